"""The shared world Tamarshire: every file in `data/`, drawn from one seed by one generator a family.

To add a family: write a module as `frame` describes, put its name into `FAMILIES` after the families it
needs, describe its tables in `data/schema.yml`, and for a picture add a function to `pictures.PICTURES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from types import ModuleType

from psma.errors import PsmaError
from psma.world import dictionary, frame, pictures, schema
from psma.world.frame import SEED, World

__all__ = ["FAMILIES", "SEED", "World", "draw", "generate", "verify"]

FAMILIES = ("geography", "demand", "response", "crisis", "crime", "people", "health", "text")
SCHEMA = Path(__file__).parents[2] / "data" / "schema.yml"
LARGEST_FILE, LARGEST_FOLDER = 5_000_000, 25_000_000


def module_of(family: str) -> ModuleType:
    """The generator of a family; PsmaError with the nearest name where there is none."""
    if family not in FAMILIES:
        near = get_close_matches(family, FAMILIES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(FAMILIES)}"
        raise PsmaError(f"there is no family of tables called {family!r}; {hint}")
    return import_module(f"psma.world.{family}")


def with_needs(families: Iterable[str]) -> list[str]:
    """The families and everything that they read, in the order in which they are drawn."""
    wanted: set[str] = set()
    todo = list(families)
    while todo:
        family = todo.pop()
        if family not in wanted:
            todo += module_of(family).NEEDS
            wanted.add(family)
    return [family for family in FAMILIES if family in wanted]


def draw(
    seed: int = SEED, families: Iterable[str] | None = None, on_progress: Callable[[str], None] | None = None
) -> World:
    """The world in memory, without writing anything: `world.tables["response_log.csv"]` and so on."""
    world = World(seed)
    for family in with_needs(FAMILIES if families is None else families):
        if on_progress:
            on_progress(family)
        world.tables |= module_of(family).draw(world, world.stream(family))
    return world


def generate(
    out: Path | str,
    seed: int = SEED,
    families: Iterable[str] | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> list[str]:
    """Draw the world and write it to `out`; returns the names of the files whose bytes changed.

    `families` limits what is written (their needs are drawn all the same); `on_progress` is told each
    family's name as it begins. Raises PsmaError for an unknown family and for a folder that can't be written;
    then every old file stands as it was.
    """
    out, wanted = Path(out), list(FAMILIES if families is None else families)
    facts = schema.load(SCHEMA)
    world = draw(seed, wanted, on_progress)
    before = frame.read_sums(out)
    with frame.staging(out) as folder:
        for family in wanted:
            for file in module_of(family).TABLES:
                frame.save(world.tables[file], facts.table(file), folder / file)
            pictures.save(family, world, folder)
        if SCHEMA.resolve() != (out / SCHEMA.name).resolve():
            (folder / SCHEMA.name).write_bytes(SCHEMA.read_bytes())
        (folder / "README.md").write_text(dictionary.render(facts), encoding="utf-8", newline="\n")
        fresh = {
            p.relative_to(folder).as_posix(): frame.sha256(p)
            for p in sorted(folder.rglob("*"))
            if p.is_file()
        }
        kept = {name: digest for name, digest in before.items() if name != SCHEMA.name}
        listed = {name: digest for name, digest in fresh.items() if name not in (SCHEMA.name, "README.md")}
        frame.write_sums(folder, kept | listed)
    return [name for name, digest in fresh.items() if before.get(name) != digest and name in listed]


def verify(data: Path | str) -> list[str]:
    """Hold a data folder to its checksums, its schema, its keys and its size.

    One line a problem, empty when all is well.
    """
    data = Path(data)
    facts = schema.load(data / SCHEMA.name)
    sums, lines, frames = frame.read_sums(data), [], {}
    for name in sorted(set(sums) | {table.file for table in facts.tables}):
        path = data / name
        if not path.is_file():
            lines.append(f"{name}: missing; run: psma data")
        elif frame.sha256(path) != sums.get(name):
            lines.append(f"{name}: not the file that {frame.SUMS} lists; run: psma data")
        elif path.stat().st_size > LARGEST_FILE:
            lines.append(f"{name}: {path.stat().st_size / 1e6:.1f} MB, more than {LARGEST_FILE / 1e6:.0f} MB")
    for table in facts.tables:
        if (data / table.file).is_file():
            try:
                frames[table.file] = schema.read(data / table.file, table)
                lines += schema.problems(frames[table.file], table)
            except ValueError as problem:
                lines.append(str(problem))
    for table in facts.tables:
        if table.file in frames:
            lines += schema.join_problems(frames, table)
    if sum(path.stat().st_size for path in data.rglob("*") if path.is_file()) > LARGEST_FOLDER:
        lines.append(f"the folder holds more than {LARGEST_FOLDER / 1e6:.0f} MB")
    readme = data / "README.md"
    if not readme.is_file() or readme.read_text(encoding="utf-8") != dictionary.render(facts):
        lines.append("README.md: not what schema.yml says; run: psma data")
    return lines
