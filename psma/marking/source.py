"""The paper, in nbgrader's source format, and how a trainee's notebook is laid over it.

nbgrader's rules are followed where it has one (its preprocessors ``DeduplicateIds``, ``OverwriteCells`` and
``add_missing_cells``): of cells with the same id the last counts, locked cells are the paper's own again,
cells with an unknown id are the trainee's own, a missing test goes back after the cell that precedes it in
the paper. Whatever a submission's metadata claims about points, locks and tests is not read at all; only its
grade_id is.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from psma.errors import PsmaError
from psma.marking.model import Flag, Question, WrittenAnswer

CODE_STUB = "# YOUR CODE HERE\nraise NotImplementedError()"
TEXT_STUB = "YOUR ANSWER HERE"
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Cell:
    """A cell of a notebook, reduced to what marking needs."""

    type: Literal["code", "markdown"]
    source: str
    id: str | None = None


@dataclass(frozen=True)
class PaperCell(Cell):
    """A cell of the paper: ``test`` is decided by running it, ``written`` by a person, ``locked`` is not the
    trainee's.
    """

    points: float = 0.0
    test: bool = False
    written: bool = False
    locked: bool = False
    solution: bool = False
    title: str = ""

    @property
    def released(self) -> str:
        """The source as trainees get it: solutions replaced by nbgrader's stub, hidden tests left out."""
        source = without_hidden(self.source)
        return without_solution(source, self.type) if self.solution else source


@dataclass(frozen=True)
class Paper:
    """A paper to mark: its cells in order, its questions, what stands beside it."""

    path: Path
    cells: tuple[PaperCell, ...]
    digest: str
    by_id: dict[str, PaperCell] = field(repr=False)

    @property
    def questions(self) -> tuple[Question, ...]:
        """Every cell that carries marks, in order."""
        return tuple(
            Question(cell.id or "", cell.title, cell.points, "tests" if cell.test else "written")
            for cell in self.cells
            if cell.test or cell.written
        )

    @property
    def draw(self) -> Path | None:
        """The script that makes a candidate's own data, where there is one."""
        script = self.path.parent / "draw.py"
        return script if script.is_file() else None

    @property
    def data(self) -> Path | None:
        """The folder of data files that every candidate gets, where there is one."""
        folder = self.path.parent / "data"
        return folder if folder.is_dir() else None


@dataclass(frozen=True)
class Step:
    """One thing to do, in the order of the trainee's notebook.

    ``number`` counts the notebook's cells from 1 (0: the cell was put back by the marking).
    """

    do: Literal["run", "test"]
    source: str
    id: str | None
    number: int
    points: float = 0.0


@dataclass(frozen=True)
class Plan:
    """A submission laid over the paper: steps, written answers, flags. ``recognised`` counts the paper's
    cells in it.
    """

    steps: tuple[Step, ...]
    written: dict[str, WrittenAnswer]
    flags: tuple[Flag, ...]
    recognised: int


# --------------------------------------------------------------------------------------------- the paper


def read_paper(path: Path) -> Paper:
    """The paper at ``path``, checked.

    Raises PsmaError: not readable, not nbgrader's format, an id twice, a solution or hidden test that is not
    closed.
    """
    try:
        raw = path.read_bytes()
        cells = tuple(_titled(_paper_cells(json.loads(raw.decode("utf-8")))))
    except FileNotFoundError:
        raise PsmaError(f"{path}: no such paper; give the path of its source notebook.") from None
    except (ValueError, KeyError, TypeError, AttributeError, IsADirectoryError) as error:
        raise PsmaError(
            f"{path}: not a notebook ({type(error).__name__}); give the paper's source .ipynb."
        ) from None
    ids = [cell.id for cell in cells if cell.id]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise PsmaError(f"{path}: grade_id {twice[0]!r} stands twice; give every cell its own.")
    if not any(cell.test or cell.written for cell in cells):
        raise PsmaError(
            f"{path}: no cell carries marks; a paper needs nbgrader's metadata (grade: true, points)."
        )
    for cell in cells:
        _check_marks(path, cell)
    return Paper(path, cells, _digest(path, raw), {cell.id: cell for cell in cells if cell.id})


def _digest(path: Path, raw: bytes) -> str:
    """Of everything that decides a mark: the notebook, ``draw.py``, the data beside them."""
    sha = hashlib.sha256(raw)
    beside = [path.parent / "draw.py", *sorted((path.parent / "data").rglob("*"))]
    for file in beside:
        if file.is_file():
            sha.update(file.relative_to(path.parent).as_posix().encode() + b"\0" + file.read_bytes())
    return sha.hexdigest()[:16]


def _paper_cells(notebook: dict[str, Any]) -> Iterable[PaperCell]:
    for raw in notebook["cells"]:
        if raw["cell_type"] not in ("code", "markdown"):
            continue
        meta = raw.get("metadata", {}).get("nbgrader") or {}
        grade, solution = bool(meta.get("grade")), bool(meta.get("solution"))
        task, code = bool(meta.get("task")), raw["cell_type"] == "code"
        yield PaperCell(
            type=raw["cell_type"],
            source=_text(raw["source"]),
            id=meta.get("grade_id") or None,
            points=float(meta.get("points") or 0.0),
            test=grade and code and not solution,
            written=(grade and solution) or task or (grade and not code),
            solution=solution,
            locked=not solution and not task and (bool(meta.get("locked")) or grade),
        )


def _titled(cells: Iterable[PaperCell]) -> Iterable[PaperCell]:
    title = ""
    for cell in cells:
        if cell.type == "markdown":
            headings = _HEADING.findall(cell.source)
            title = headings[0] if headings else title
        yield PaperCell(**{**cell.__dict__, "title": title or (cell.id or "")})


def _check_marks(path: Path, cell: PaperCell) -> None:
    for what in ("SOLUTION", "HIDDEN TESTS"):
        begins, ends = cell.source.count(f"BEGIN {what}"), cell.source.count(f"END {what}")
        if begins != ends:
            raise PsmaError(
                f"{path}: cell {cell.id or '?'}: {begins} BEGIN {what} and {ends} END {what}; pair them."
            )
    if (cell.test or cell.written) and not cell.id:
        raise PsmaError(f"{path}: a cell with marks has no grade_id; give it one.")
    if cell.test:
        try:
            ast.parse(plain_python(cell.source))
        except SyntaxError as error:
            raise PsmaError(f"{path}: test {cell.id}: line {error.lineno} is not Python; mend it.") from None


def plain_python(source: str) -> str:
    """The source without IPython's line magics and shell lines (the tests are plain Python)."""
    return "\n".join("pass" if line.startswith(("%", "!")) else line for line in source.split("\n"))


def _outside(source: str, what: str, stub: str | None) -> tuple[str, bool]:
    lines: list[str] = []
    inside = found = False
    for line in source.split("\n"):
        if f"BEGIN {what}" in line:
            inside = found = True
            indent = line[: len(line) - len(line.lstrip())]
            lines += [indent + part for part in stub.split("\n")] if stub is not None else []
        elif f"END {what}" in line:
            inside = False
        elif not inside:
            lines.append(line)
    return "\n".join(lines), found


def without_hidden(source: str) -> str:
    """The source without its hidden tests, as nbgrader's ClearHiddenTests leaves it."""
    return _outside(source, "HIDDEN TESTS", None)[0]


def without_solution(source: str, cell_type: str) -> str:
    """The source with its solution replaced by the stub, as nbgrader's ClearSolutions leaves it."""
    stub = CODE_STUB if cell_type == "code" else TEXT_STUB
    text, found = _outside(source, "SOLUTION", stub)
    return text if found else stub


def hidden_lines(source: str) -> set[int]:
    """Numbers of the lines, from 1, that stand in a hidden test."""
    numbers: set[int] = set()
    inside = False
    for number, line in enumerate(source.split("\n"), start=1):
        inside = inside or "BEGIN HIDDEN TESTS" in line
        if inside:
            numbers.add(number)
        inside = inside and "END HIDDEN TESTS" not in line
    return numbers


# --------------------------------------------------------------------------------------------- a submission


def cells_of(notebook: Any) -> list[Cell]:
    """The cells of a submitted notebook, whatever its author made of it.

    Reads nbformat 4 and 3. Raises ValueError, in words, where there is no list of cells. A cell that is no
    cell is left out.
    """
    if not isinstance(notebook, dict):
        raise ValueError("it is not a notebook")
    raw = notebook.get("cells")
    if raw is None and isinstance(notebook.get("worksheets"), list):
        raw = [
            cell
            for sheet in notebook["worksheets"]
            if isinstance(sheet, dict)
            for cell in sheet.get("cells", [])
        ]
    if not isinstance(raw, list):
        raise ValueError("it has no cells")
    return [cell for cell in map(_cell, raw) if cell is not None]


def _cell(raw: Any) -> Cell | None:
    if not isinstance(raw, dict) or raw.get("cell_type") not in ("code", "markdown", "raw"):
        return None
    meta = raw.get("metadata")
    grader = meta.get("nbgrader") if isinstance(meta, dict) else None
    name = grader.get("grade_id") if isinstance(grader, dict) else None
    try:
        source = _text(raw.get("source", raw.get("input", "")))
    except TypeError:
        return None
    kind: Literal["code", "markdown"] = "code" if raw["cell_type"] == "code" else "markdown"
    return Cell(kind, source, name if isinstance(name, str) and name else None)


def _text(source: Any) -> str:
    """A cell's source, which the format allows as a text or a list of lines. Lone surrogates become question
    marks.
    """
    if not isinstance(source, str | list):
        raise TypeError("neither a text nor a list of lines")
    text = source if isinstance(source, str) else "".join(source)
    return text.encode("utf-8", "replace").decode("utf-8")


def plan(paper: Paper, cells: list[Cell]) -> Plan:
    """Lay a submission's cells over the paper."""
    flags: list[Flag] = []
    placed = _put_back(paper, _known(paper, cells, flags), flags)
    steps: list[Step] = []
    written: dict[str, WrittenAnswer] = {}
    for number, cell in placed:
        own = paper.by_id.get(cell.id or "")
        if own is not None and own.test:
            steps.append(Step("test", own.source, own.id, number, own.points))
        elif own is not None and own.written:
            written[own.id or ""] = WrittenAnswer(cell.source, cell.source.strip() == own.released.strip())
        if own is None or not own.test:
            kind = own.type if own is not None else cell.type
            source = own.released if own is not None and own.locked else cell.source
            if kind == "code" and source.strip():
                steps.append(Step("run", source, cell.id, number))
    recognised = sum(1 for cell in cells if cell.id in paper.by_id)
    return Plan(tuple(steps), written, tuple(flags), recognised)


def _known(paper: Paper, cells: list[Cell], flags: list[Flag]) -> list[tuple[int, Cell]]:
    """The cells with their numbers; ids that are not the paper's, or not the last so called, off."""
    seen: set[str] = set()
    result: list[tuple[int, Cell]] = []
    for number, cell in reversed(list(enumerate(cells, start=1))):
        name = cell.id
        if name is not None and name not in paper.by_id:
            flags.append(
                Flag("unknown cell", f"Cell {number} claims to be {name[:60]!r}, which is not in the paper.")
            )
            name = None
        if name is not None and name in seen:
            flags.append(Flag("cell copied", f"Cell {number} is a second {name!r}; the last one counts."))
            name = None
        seen |= {name} if name else set()
        result.append((number, Cell(cell.type, cell.source, name)))
    result.reverse()
    flags.reverse()
    return result


def _put_back(paper: Paper, cells: list[tuple[int, Cell]], flags: list[Flag]) -> list[tuple[int, Cell]]:
    """The cells with the paper's own locked code and tests put back where they were taken out or changed."""
    here = {cell.id for _, cell in cells if cell.id}
    before: str | None = None
    placed = list(cells)
    for own in paper.cells:
        if own.id is None:
            continue
        if own.id not in here and (own.test or (own.locked and own.type == "code")):
            where = (
                next((at for at, (_, cell) in enumerate(placed) if cell.id == before), -1) if before else -1
            )
            placed.insert(where + 1, (0, own))
            flags.append(Flag("cell put back", f"The paper's cell {own.id!r} was missing; it was put back."))
            here.add(own.id)
        elif own.id not in here:
            words = f"The answer cell {own.id!r} is missing or renamed."
            flags.append(Flag("answer missing", words, needs_person=own.written))
        before = own.id if own.id in here else before
    flags += _changes(paper, cells)
    return placed


def _changes(paper: Paper, cells: list[tuple[int, Cell]]) -> Iterable[Flag]:
    changed = [
        cell.id
        for _, cell in cells
        if cell.id
        and paper.by_id[cell.id].locked
        and cell.source.strip()
        not in (paper.by_id[cell.id].released.strip(), paper.by_id[cell.id].source.strip())
    ]
    if changed:
        yield Flag(
            "locked cell changed",
            f"Changed, and replaced by the paper's own: {', '.join(map(str, changed))}.",
        )
    order = [cell.id for _, cell in cells if cell.id]
    wanted = [cell.id for cell in paper.cells if cell.id in order]
    if order != wanted:
        yield Flag(
            "order changed", "The paper's cells stand in another order than in the paper.", needs_person=True
        )
