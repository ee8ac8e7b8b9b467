"""`psma slides`: the executed lecture as a folder of reveal.js slides that works from a USB stick."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from psma.course import Course, Module, Session
from psma.errors import PsmaError
from psma.execute import PROFILE
from psma.notebook import psma, read, replace_file, tags, title, write

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from psma.execute import Result

ASSETS = Path(__file__).parent / "assets"
OWN = ("slides.css", "deck.js", "mathjax-config.js", "index.css")
"""Our own files in every deck, beside the vendored ones."""
LECTURE_MINUTES = 85
"""Planned length of a lecture that does not say."""


class LectureFailed(PsmaError):
    """A lecture stopped at one of its cells, or (`skipped`) has no kernel here; no deck was written."""

    exit_code = 1

    def __init__(self, text: str, *, skipped: bool = False) -> None:
        """`skipped`: nothing ran, because this machine lacks an optional kernel."""
        super().__init__(text)
        self.skipped = skipped


@dataclass(frozen=True)
class Built:
    """A deck that was written, or why it was not: `page` is None then, and `why` says it."""

    session: str
    title: str
    page: Path | None
    slides: int = 0
    minutes: int = 0
    why: str = ""


# ---------------------------------------------------------------- the executed lecture


def executed_lectures(paths: Sequence[Path]) -> list[NotebookNode | LectureFailed]:
    """The lectures with their outputs, in the order given, or in its place why a lecture has none.

    Each comes from the cache if its code and its data have not changed; the others run now, several at
    once. Prose can be edited without running anything again, because only code cells make outputs.
    """
    from psma.execute import run_many

    books = [read(path) for path in paths]
    stores = [_cache_file(path, nb) for path, nb in zip(paths, books, strict=True)]
    missing = [path for path, store in zip(paths, stores, strict=True) if not store.is_file()]
    with sharp_figures():
        results = {result.path: result for result in run_many(missing, keep=True)}
    found: list[NotebookNode | LectureFailed] = []
    for path, nb, store in zip(paths, books, stores, strict=True):
        if result := results.get(path.absolute()):
            if not result.ok or result.executed is None:
                found.append(_failed(result))
                continue
            write(result.executed, store)
            _forget_older(store)
        found.append(_with_outputs(nb, read(store)))
    return found


def executed_lecture(path: Path) -> NotebookNode:
    """One lecture with its outputs; see `executed_lectures`.

    Raises:
        LectureFailed: a cell stops with an error that it is not tagged for.
    """
    found = executed_lectures([path])[0]
    if isinstance(found, LectureFailed):
        raise found
    return found


def _failed(result: Result) -> LectureFailed:
    if failure := result.failure:
        why = f"cell {failure.cell_id} stops with {failure.error}"
    else:
        why = result.reason or "it did not run"
    return LectureFailed(f"{result.path.name}: {why}: no deck was written", skipped=result.skipped)


@contextlib.contextmanager
def sharp_figures() -> Iterator[None]:
    """Let kernels that start inside draw figures with twice the pixels, for a projector; their size stays.

    IPython takes that from its profile folder only, so the kernels get a folder of their own.
    """
    with tempfile.TemporaryDirectory(prefix="psma-ipython-", ignore_cleanup_errors=True) as home:
        profile = Path(home) / "profile_default"
        profile.mkdir()
        (profile / "ipython_kernel_config.py").write_text('c.InlineBackend.figure_formats = {"retina"}\n')
        os.environ[PROFILE] = home
        try:
            yield
        finally:
            del os.environ[PROFILE]


def _cache_file(path: Path, nb: NotebookNode) -> Path:
    """Where the executed lecture is kept, named after all that its outputs follow from."""
    root = _root(path)
    code = [[cell.source, sorted(tags(cell))] for cell in nb.cells if cell.cell_type == "code"]
    seen = hashlib.sha256(json.dumps([code, nb.metadata.get("kernelspec", {}).get("name")]).encode())
    beside = [*(root / "data").rglob("*"), *path.parent.rglob("*.py")]
    for file in [root / "requirements.lock", *sorted(beside)]:
        if file.is_file():
            seen.update(f"{file.relative_to(root)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return root / "build" / "executed" / path.parent.name / f"{path.stem}-{seen.hexdigest()[:20]}.ipynb"


def _forget_older(store: Path) -> None:
    """Delete what earlier versions of the same lecture left in the cache."""
    lecture = store.stem[: -len("-") - 20]
    for old in store.parent.glob(f"{lecture}-{'?' * 20}.ipynb"):
        if old != store:
            old.unlink(missing_ok=True)


def _root(path: Path) -> Path:
    """The course's folder: a notebook stands two folders deep in it."""
    return path.resolve().parents[2]


def _with_outputs(nb: NotebookNode, ran: NotebookNode) -> NotebookNode:
    """The notebook as it is now, with the outputs of its code cells from a run of the same code."""
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    done = [cell for cell in ran.cells if cell.cell_type == "code"]
    for cell, run in zip(code, done, strict=True):
        cell.outputs = run.outputs
        cell.execution_count = run.execution_count
    nb.metadata.language_info = ran.metadata.get("language_info", {})
    return nb


# ---------------------------------------------------------------- decks


def build_deck(
    path: Path,
    out: Path,
    *,
    session: str = "",
    executed: NotebookNode | None = None,
    name: str = "index.html",
) -> Path:
    """Write one lecture's deck into the folder `out` and return its page.

    The page is written last and in one step, so a deck is there in full or not at all.

    Args:
        path: the lecture.
        out: folder to write into; what else stands in it is left alone.
        session: the id at the foot of each slide; by default from the file's place.
        executed: the lecture with its outputs, if somebody has run it already.
        name: the page's file name.

    Raises:
        LectureFailed: the lecture does not run.
        PsmaError: npm is missing, or the folder cannot be written.
    """
    from psma.publish.deck import render

    nb = executed if executed is not None else executed_lecture(path)
    minutes = psma(nb).get("minutes", {}).get("lecture", LECTURE_MINUTES)
    name_shown = session or session_id(path)
    page = render(nb, session=name_shown, title=title(nb), minutes=int(minutes), folder=path.resolve().parent)
    copy_assets(out)
    replace_file(out / name, page.encode("utf-8"))
    return out / name


def session_id(path: Path) -> str:
    """3.2 for modules/03_queuing_des/02_first_simulation.ipynb; the file's name if it is elsewhere."""
    module, number = path.resolve().parent.name[:2], path.stem[:2]
    return f"{int(module)}.{int(number)}" if module.isdecimal() and number.isdecimal() else path.stem


def copy_assets(out: Path) -> None:
    """Put the vendored files and our own beside the page; a file that is there already is left as it is.

    Raises:
        PsmaError: the folder cannot be written.
    """
    from psma.publish.vendor import vendored

    source = vendored()
    files = {file.relative_to(source): file for file in source.rglob("*") if file.is_file()}
    files |= {Path(name): ASSETS / name for name in OWN}
    for inside, file in files.items():
        target = out / "assets" / inside
        if not (target.is_file() and target.stat().st_size == file.stat().st_size and inside.name not in OWN):
            replace_file(target, file.read_bytes())


def build_session(course: Course, session: Session, out: Path | None = None) -> Built:
    """The deck of one session, by default in build/slides/3.2/.

    Raises:
        PsmaError: see `build_deck`.
    """
    if session.problem:
        raise PsmaError(session.problem)
    folder = out or course.root / "build" / "slides" / session.id
    return _built(session, build_deck(session.lecture, folder, session=session.id))


def build_module(course: Course, module: Module, out: Path | None = None) -> tuple[Path, list[Built]]:
    """All decks of a module and a page that links to them, by default in build/slides/3/.

    A lecture that does not run keeps only its own deck from being made.
    """
    if not module.sessions:
        raise PsmaError(f"Module {module.number} has no lectures yet.")
    folder = out or course.root / "build" / "slides" / str(module.number)
    readable = [session for session in module.sessions if not session.problem]
    books = executed_lectures([session.lecture for session in readable])
    built = [Built(s.id, s.title, None, why=s.problem) for s in module.sessions if s.problem]
    for session, nb in zip(readable, books, strict=True):
        if isinstance(nb, LectureFailed):
            built.append(Built(session.id, session.title, None, why=str(nb)))
            continue
        page = build_deck(session.lecture, folder, session=session.id, executed=nb, name=f"{session.id}.html")
        built.append(_built(session, page))
    built.sort(key=lambda deck: [int(part) for part in deck.session.split(".")])
    index = folder / "index.html"
    replace_file(index, index_page(module, built).encode("utf-8"))
    return index, built


def _built(session: Session, page: Path) -> Built:
    minutes = session.meta.get("minutes") or {}
    slides = page.read_text(encoding="utf-8").count("<section class=")
    return Built(session.id, session.title, page, slides, int(minutes.get("lecture", LECTURE_MINUTES)))


def index_page(module: Module, decks: Sequence[Built]) -> str:
    """The page with a link to each deck of a module, and the presenter's keys."""
    from jinja2 import Environment, FileSystemLoader

    pages = Environment(loader=FileSystemLoader(ASSETS), autoescape=True, keep_trailing_newline=True)
    return pages.get_template("index.html.j2").render(module=module, decks=[d for d in decks if d.page])


# ---------------------------------------------------------------- the verb


def main(name: str, *, out: Path | None = None, check: bool = False, shots: Path | None = None) -> int:
    """What `psma slides NAME` does; returns the exit code.

    Args:
        name: a session ("3.2") or a module ("3").
        out: folder for the decks.
        check: measure every slide too.
        shots: folder for a picture of every slide (measures too).
    """
    import typer

    from psma.course import find_course

    course = find_course()
    module = next((module for module in course.modules if name == str(module.number)), None)
    if module:
        index, built = build_module(course, module, out)
        typer.echo(f"{_short(index)}: {sum(deck.page is not None for deck in built)} decks")
    else:
        built = [build_session(course, course.session(name), out)]
    for deck in built:
        if deck.page:
            typer.echo(f"{_short(deck.page)}: {deck.slides} slides")
        else:
            typer.echo(f"psma: {deck.why}", err=True)
    failed = any(deck.page is None for deck in built)
    if check or shots:
        failed |= check_decks(built, shots)
    return int(failed)


def check_decks(decks: Sequence[Built], shots: Path | None = None) -> bool:
    """Measure decks that were built, print what does not fit, and say whether anything did not."""
    import typer

    from psma.publish.measure import chromium, measure

    any_problem = False
    with chromium() as browser:
        for deck in decks:
            if deck.page is None:
                continue
            pictures = shots / deck.session if shots and len(decks) > 1 else shots
            measured = measure(deck.page, browser, shots=pictures)
            for problem in measured.problems:
                typer.echo(f"{deck.session} {problem}")
            if not measured.problems:
                typer.echo(f"{deck.session}: all {len(measured.bottoms)} slides fit")
            any_problem |= bool(measured.problems)
    return any_problem


def _short(path: Path) -> str:
    """A path as a person types it: from the current folder where it lies below."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
