"""Builds what candidates get: a notebook and data of their own, and nothing that gives an answer away."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psma.errors import PsmaError
from psma.marking.blueprint import Blueprint, read_blueprint
from psma.marking.leaks import files_in, leaks_in, secrets_of, value_secrets
from psma.marking.marker import _load_draw
from psma.marking.source import Paper, plain_python, read_paper

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,39}")
_KEPT = ("grade", "grade_id", "locked", "points", "schema_version", "solution", "task")


@dataclass(frozen=True)
class Candidate:
    """Who gets a paper. ``extra_time`` in percent of the paper's minutes."""

    name: str
    extra_time: float = 0.0


@dataclass(frozen=True)
class Released:
    """What ``release`` did: the candidates' folders, and which of them were there already, byte for byte."""

    folders: tuple[Path, ...]
    unchanged: int


def read_candidates(path: Path) -> list[Candidate]:
    """The candidates in a CSV file with a column ``candidate`` and, if need be, ``extra_time`` (percent).

    Raises PsmaError: not readable, no such column, empty, a name that can't be a file's, a name twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PsmaError(
            f"{path}: cannot be read ({type(error).__name__}); give a CSV file in UTF-8."
        ) from None
    if not rows or "candidate" not in rows[0]:
        raise PsmaError(f"{path}: no candidates; give a CSV file with a column named candidate.")
    found: dict[str, Candidate] = {}
    for number, row in enumerate(rows, start=2):
        candidate = _candidate(path, number, row)
        if candidate.name.lower() in found:
            raise PsmaError(f"{path}: line {number}: candidate {candidate.name!r} stands there twice.")
        found[candidate.name.lower()] = candidate
    return list(found.values())


def _candidate(path: Path, number: int, row: dict[str, Any]) -> Candidate:
    name = str(row.get("candidate") or "").strip()
    if not _NAME.fullmatch(name):
        raise PsmaError(
            f"{path}: line {number}: {name!r} can't be a candidate's number; use letters, digits and hyphens."
        )
    try:
        extra = float(row.get("extra_time") or 0)
        if not 0 <= extra <= 300:
            raise ValueError
    except ValueError:
        raise PsmaError(f"{path}: line {number}: extra_time must be percent, from 0 to 300.") from None
    return Candidate(name, extra)


# ------------------------------------------------------------------------------------------------ building


def release(
    paper_path: Path, candidates: Path, out: Path, on_progress: Callable[[int, int], None] | None = None
) -> Released:
    """Write a folder for each candidate into ``out``, checked for leaks first; all of them, or nothing.

    Raises PsmaError: paper or list not usable, a leak, ``draw.py`` that fails or repeats itself, a folder
    that holds something else, or that can't be written.
    """
    paper = read_paper(paper_path)
    blueprint, people = read_blueprint(paper), read_candidates(candidates)
    built: dict[str, dict[str, bytes]] = {}
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".psma-release-", dir=out.parent) as scratch:
            builder = Builder(paper, blueprint)
            for done, person in enumerate(people):
                if on_progress:
                    on_progress(done, len(people))
                folder = Path(scratch, person.name)
                builder.build(person, folder)
                built[person.name] = files_in(folder)
            _all_different(paper, built)
            waiting = [name for name in built if not _is_there(out / name, built[name])]
            out.mkdir(exist_ok=True)
            for name in waiting:
                Path(scratch, name).replace(out / name)
    except OSError as error:
        raise PsmaError(
            f"{out}: cannot be written ({error.strerror or error}); give another --out."
        ) from None
    if on_progress:
        on_progress(len(people), len(people))
    return Released(tuple(out / name for name in built), len(built) - len(waiting))


def _is_there(folder: Path, wanted: dict[str, bytes]) -> bool:
    """Whether this very release is in place. Raises PsmaError where something else is."""
    if not folder.exists():
        return False
    if folder.is_dir() and files_in(folder) == wanted:
        return True
    raise PsmaError(
        f"{folder}: holds something else; nothing was written. Move it away, or give another --out."
    )


def _all_different(paper: Paper, built: dict[str, dict[str, bytes]]) -> None:
    """Raises PsmaError where two candidates were drawn the same data."""
    if paper.draw is None:
        return
    seen: dict[tuple[bytes, ...], str] = {}
    for name, files in built.items():
        drawn = tuple(data for file, data in files.items() if not file.endswith(".ipynb"))
        if drawn in seen:
            raise PsmaError(f"{paper.draw}: {seen[drawn]} and {name} get the same data; nothing was written.")
        seen[drawn] = name


class Builder:
    """Builds candidates' folders of one paper."""

    def __init__(self, paper: Paper, blueprint: Blueprint) -> None:
        self.paper = paper
        self.blueprint = blueprint
        self.draw = _load_draw(paper)
        self.source: dict[str, Any] = json.loads(paper.path.read_text(encoding="utf-8"))
        scheme = paper.path.with_name("mark_scheme.md")
        beside = {"mark scheme": scheme} if scheme.is_file() else {}
        beside |= {"draw": paper.draw} if paper.draw else {}
        texts = {kind: path.read_text(encoding="utf-8") for kind, path in beside.items()}
        self.secrets = secrets_of(self.source, texts, blueprint.may_show)

    def build(self, person: Candidate, folder: Path) -> None:
        """Write the folder of one candidate. Raises PsmaError: a leak, a draw or reference that fails."""
        folder.mkdir(parents=True)
        self._draw(person, folder)
        if self.paper.data is not None:
            shutil.copytree(self.paper.data, folder / "data")
        values = self.reference(person, folder)
        notebook = json.dumps(self.notebook(person), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        name = f"{self.paper.path.stem}_{person.name}.ipynb"
        (folder / name).write_text(notebook, encoding="utf-8", newline="\n")
        found = leaks_in(files_in(folder), [*self.secrets, *value_secrets(values)])
        if found:
            leak = found[0]
            more = f", and {len(found) - 1} more" if len(found) > 1 else ""
            raise PsmaError(
                f"{leak.file} of candidate {person.name} would show a {leak.secret.kind} "
                f"({leak.secret.text[:60]!r}{more}); nothing was written. Mend the paper, or list it in "
                "paper.yml under may_show."
            )

    def notebook(self, person: Candidate) -> dict[str, Any]:
        """The candidate's notebook: no solution, no hidden test, no output."""
        raw = [cell for cell in self.source["cells"] if cell["cell_type"] in ("code", "markdown")]
        cells = [_released(cell, own.released) for cell, own in zip(raw, self.paper.cells, strict=True)]
        minutes = math.ceil(self.blueprint.minutes * (1 + person.extra_time / 100))
        cover = f"**Candidate {person.name}** · time allowed: {minutes} minutes"
        cells.insert(1, {"cell_type": "markdown", "id": "cover", "metadata": {}, "source": _split(cover)})
        metadata = {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "psma": {"candidate": person.name},
        }
        return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}

    def _draw(self, person: Candidate, folder: Path) -> None:
        """Draw twice and compare: a draw that isn't repeatable couldn't be marked."""
        if self.draw is None:
            return
        with tempfile.TemporaryDirectory() as again:
            for place in (folder, Path(again)):
                try:
                    self.draw(person.name, place)
                except Exception as error:
                    words = f"draw({person.name!r}) stopped with {type(error).__name__}: {error}"
                    raise PsmaError(f"{self.paper.draw}: {words}; mend it.") from None
            if files_in(folder) != files_in(Path(again)):
                raise PsmaError(
                    f"{self.paper.draw}: draws other data each time; seed it by the candidate alone."
                )

    def reference(self, person: Candidate, folder: Path) -> dict[str, Any]:
        """Run the reference solution on the candidate's data: the values that its solutions bind."""
        namespace: dict[str, Any] = {"__name__": "reference"}
        bound: set[str] = set()
        os.environ.setdefault("MPLBACKEND", "agg")
        with chdir(folder), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            for cell in self.paper.cells:
                if cell.type != "code" or cell.test:
                    continue
                before = dict(namespace)
                try:
                    exec(compile(plain_python(cell.source), cell.id or "cell", "exec"), namespace)
                except Exception as error:
                    raise PsmaError(
                        f"{self.paper.path}: the solution {cell.id} stopped with {type(error).__name__} "
                        f"on the data of candidate {person.name}: {error}"
                    ) from None
                if cell.solution:
                    bound |= {name for name in namespace if namespace[name] is not before.get(name)}
        return {name: namespace[name] for name in sorted(bound - self.blueprint.may_show)}


def _split(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _released(cell: dict[str, Any], source: str) -> dict[str, Any]:
    """A cell as trainees get it, made anew so that no output or metadata comes along."""
    grader = cell.get("metadata", {}).get("nbgrader")
    metadata = {"nbgrader": {key: grader[key] for key in _KEPT if key in grader}} if grader else {}
    made = {"cell_type": cell["cell_type"], "id": cell["id"], "metadata": metadata, "source": _split(source)}
    return {**made, "execution_count": None, "outputs": []} if cell["cell_type"] == "code" else made
