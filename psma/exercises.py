"""From a worked solution to the exercise that a trainee opens, and what ``psma build`` and ``psma tidy`` do.

What a trainee must write stands in the solution between two marks, nbgrader's own::

    def wait(load):
        \"\"\"Mean wait in minutes.\"\"\"
        ### BEGIN SOLUTION
        return load / (1 - load)
        ### END SOLUTION
"""

from __future__ import annotations

import ast
import copy
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from psma import notebook
from psma.course import Course, Module, Session
from psma.errors import PsmaError

if TYPE_CHECKING:
    from nbformat import NotebookNode

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
BLANK = "# your code here"
TABLE_BEGIN, TABLE_END = "<!-- sessions -->", "<!-- /sessions -->"

_LOOKS_LIKE_A_MARK = re.compile(r"#\s*(BEGIN|END)[ _-]?SOLUTION\b", re.IGNORECASE)
_WHAT = re.compile(r"---[ \t]*(.*)")


@dataclass(frozen=True)
class Change:
    """A file that was changed (or would be, or can't be), and why."""

    path: Path
    why: str
    problem: bool = False  # True: nothing was written, somebody has to mend the file first


@dataclass(frozen=True)
class WrongAnswer:
    """What a beginner writes instead of the solution of one task."""

    task_cell_index: int  # in nb.cells, from 0
    what: str  # what went wrong, in words
    code: str  # to stand between the marks of that cell


# ---------------------------------------------------------------- solution -> exercise


def exercise_from(solution_nb: NotebookNode) -> NotebookNode:
    """The exercise of a solution: answers taken out, stubs put in, ids and all given text kept. Pure.

    Inside a block the stub is ``...``, at the left margin it is ``# your code here``, so that the untouched
    exercise runs. Cells tagged ``solution`` or ``wrong`` are dropped, and so is the answer in
    ``metadata.psma``. PsmaError, naming the cell, for marks that don't pair up and for an id that two cells
    have.
    """
    nb = notebook.tidy(solution_nb)
    kept = []
    for index, cell in enumerate(nb.cells):
        if notebook.tags(cell) & {"solution", "wrong"}:
            continue
        try:
            kept.append(_exercise_cell(cell, is_r=notebook.is_r(nb)))
        except PsmaError as error:
            raise PsmaError(f"{notebook.cell_name(nb, index)}: {error}") from None
    nb.cells = kept
    return notebook.tidy(nb)


def wrong_answers(nb: NotebookNode) -> list[WrongAnswer]:
    """All wrong answers that a solution lists, in order: each belongs to the nearest marked cell above it.

    A raw cell tagged ``wrong`` holds any number of them, each under a line ``--- what went wrong``.
    PsmaError, naming the cell, when one has no task, no words or no code.
    """
    found: list[WrongAnswer] = []
    task: int | None = None
    for index, cell in enumerate(nb.cells):
        if cell.cell_type == "code" and any(line.strip() == BEGIN for line in cell.source.split("\n")):
            task = index
        if "wrong" not in notebook.tags(cell):
            continue
        where = notebook.cell_name(nb, index)
        if task is None:
            raise PsmaError(f"{where}: no task with {BEGIN} stands above these wrong answers")
        for what, code in _listed(cell.source, where):
            found.append(WrongAnswer(task, what, code))
    return found


def with_answer(source: str, code: str) -> str:
    """The source of a task with ``code`` instead of the solution between its marks, at their indentation.

    PsmaError unless the source has exactly one pair of marks.
    """
    lines = source.split("\n")
    parts = list(_marked(lines))
    if len(parts) != 1:
        raise PsmaError(f"the cell needs one pair of {BEGIN} and {END}, it has {len(parts)}")
    begin, end = parts[0]
    answer = textwrap.indent(textwrap.dedent(code).strip("\n"), _indent(lines[begin]))
    return "\n".join([*lines[: begin + 1], answer, *lines[end:]])


def _exercise_cell(cell: NotebookNode, *, is_r: bool) -> NotebookNode:
    cell = copy.deepcopy(cell)
    if "answer" in notebook.psma(cell):
        del cell.metadata["psma"]["answer"]
    lines = cell.source.split("\n")
    if cell.cell_type != "code":
        if any(line.strip() in (BEGIN, END) for line in lines):
            raise PsmaError("a mark stands outside code: tag the cell `solution` instead")
        return cell
    parts = list(_marked(lines))
    for begin, end in reversed(parts):
        indent = _indent(lines[begin])
        lines[begin : end + 1] = [indent + ("..." if indent and not is_r else BLANK)]
    stub = "\n".join(lines)
    if not is_r and _is_python(cell.source) and not _is_python(stub):
        raise PsmaError("without its solution the cell is not Python: put the marks round whole statements")
    cell.source = stub
    return cell


def _marked(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Line numbers, from 0, of each pair of marks. PsmaError for any mark that is not one of a pair."""
    begin: int | None = None
    for number, line in enumerate(lines):
        mark = line.strip()
        if mark == BEGIN:
            if begin is not None:
                raise PsmaError(
                    f"{BEGIN} stands inside another (lines {begin + 1} and {number + 1}): end the first"
                )
            begin = number
        elif mark == END:
            if begin is None:
                raise PsmaError(f"{END} without {BEGIN} (line {number + 1}): add {BEGIN} above it")
            yield begin, number
            begin = None
        elif _LOOKS_LIKE_A_MARK.search(line):
            raise PsmaError(f"line {number + 1} looks like a mark: write it exactly {BEGIN} or {END}")
    if begin is not None:
        raise PsmaError(f"{BEGIN} without {END} (line {begin + 1}): add {END} below it")


def _listed(source: str, where: str) -> Iterator[tuple[str, str]]:
    """What went wrong and the code, of each answer in a raw cell."""
    what, code = "", list[str]()
    for line in [*source.split("\n"), "--- end"]:
        if not (match := _WHAT.fullmatch(line)):
            code.append(line)
            continue
        if what and not "".join(code).strip():
            raise PsmaError(f"{where}: no code under '--- {what}'")
        if not what and "".join(code).strip():
            raise PsmaError(f"{where}: code before the first line '--- what went wrong'")
        if not match[1].strip():
            raise PsmaError(f"{where}: say behind the --- what went wrong")
        if what:
            yield what, "\n".join(code).strip("\n")
        what, code = match[1].strip(), []


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _is_python(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    return True


# ---------------------------------------------------------------- psma build


def build(course: Course, check: bool = False) -> list[Change]:
    """Write each exercise that differs from its solution, and each module README's table; say what and why.

    ``check`` writes nothing. A broken solution is a Change with ``problem``; the others are still built.
    """
    solutions = _notebooks(course, "solutions")
    changes = [change for path in solutions if (change := _build_one(course, path, check))]
    for path in _notebooks(course, "exercises"):
        if not _twin(course, path, "solutions").exists():
            changes.append(_put(path, None, "its solution is gone", check))
    changes += [change for module in course.modules if (change := _build_table(course, module, check))]
    return changes


def tidy_all(course: Course, check: bool = False, paths: Sequence[Path] | None = None) -> list[Change]:
    """Tidy every lecture and solution, or just ``paths``, and say what changed. ``check`` writes nothing."""
    if paths is None:
        paths = [path for kind in ("modules", "solutions") for path in _notebooks(course, kind)]
    return [change for path in paths if (change := _tidy_one(path, check))]


def _build_one(course: Course, solution: Path, check: bool) -> Change | None:
    target = _twin(course, solution, "exercises")
    try:
        exercise = exercise_from(notebook.read(solution, need_kernel=False))
        why = _difference(target, exercise)
        return _put(target, notebook.to_bytes(exercise), why, check) if why else None
    except PsmaError as error:
        return Change(solution, _without(solution, error), problem=True)


def _difference(target: Path, exercise: NotebookNode) -> str:
    """In what the file differs from the exercise that should stand there; empty if in nothing."""
    if not target.exists():
        return "is missing"
    if target.read_bytes() == notebook.to_bytes(exercise):
        return ""
    try:
        there = notebook.read(target, need_kernel=False)
    except PsmaError as error:
        return f"cannot be read: {_without(target, error)}"
    for index, (old, new) in enumerate(zip(there.cells, exercise.cells, strict=False)):
        if old != new:
            return f"differs from its solution: first difference in {notebook.cell_name(exercise, index)}"
    if len(there.cells) != len(exercise.cells):
        return f"differs from its solution: has {len(there.cells)} cells instead of {len(exercise.cells)}"
    return "differs from its solution in the notebook's metadata or its layout"


def _tidy_one(path: Path, check: bool) -> Change | None:
    try:
        before = notebook.read(path, need_kernel=False)
        after = notebook.tidy(before)
        data = notebook.to_bytes(after)
    except PsmaError as error:
        return Change(path, _without(path, error), problem=True)
    if path.read_bytes() == data:
        return None
    return _put(path, data, notebook.what_changed(before, after), check)


def _build_table(course: Course, module: Module, check: bool) -> Change | None:
    """Bring the table of sessions in the module's README up to date."""
    readme = course.root / "modules" / module.folder / "README.md"
    if not module.sessions and not readme.is_file():
        return None
    try:
        old = readme.read_bytes()
        new = _with_table(old.decode("utf-8"), module.sessions).encode()
    except FileNotFoundError:
        return Change(readme, "is missing: write what the module answers", problem=True)
    except (PsmaError, UnicodeDecodeError) as error:
        return Change(readme, str(error), problem=True)
    return _put(readme, new, "the table of sessions is out of date", check) if new != old else None


def _with_table(readme: str, sessions: Sequence[Session]) -> str:
    """The text of a module's README with its table of sessions brought up to date."""
    for session in sessions:
        if session.problem:
            raise PsmaError(f"is left as it is, for {session.id} cannot be read: {session.problem}")
    head, begin, rest = readme.partition(TABLE_BEGIN)
    _, end, tail = rest.partition(TABLE_END)
    if not begin and not sessions:
        return readme
    if not begin:
        head, end, tail = readme.rstrip("\n") + "\n\n", TABLE_END, "\n"
    if not end:
        raise PsmaError(f"has {TABLE_BEGIN} but no {TABLE_END} after it: add it")
    return f"{head}{TABLE_BEGIN}\n{_table(sessions)}{TABLE_END}{tail}"


def _table(sessions: Sequence[Session]) -> str:
    if not sessions:
        return ""
    rows = ["| Session | Lecture | The question | Outcomes | Minutes |", "|---|---|---|---:|---:|"]
    for s in sessions:
        rows.append(
            f"| {s.id} | [{_cell(s.title)}]({s.lecture.name}) | {_cell(question(s))} | "
            f"{len(s.outcomes) or ''} | {s.minutes or ''} |"
        )
    return "\n".join(rows) + "\n"


def question(session: Session) -> str:
    """What follows "The question." in the lecture's title cell, without its quotes; empty if nothing does."""
    for cell in notebook.read(session.lecture).cells[:2]:
        match = re.search(r"\*\*The question\.?\*\*\.?\s*(.+?)\s*(?:\n\s*\n|\Z)", cell.source, re.DOTALL)
        if match and cell.cell_type == "markdown":
            return " ".join(match[1].split()).strip("*_").strip('"“”').strip()
    return ""


def _cell(text: str) -> str:
    """The text as it may stand in a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")


def _notebooks(course: Course, kind: str) -> list[Path]:
    return sorted((course.root / kind).glob("[0-9][0-9]_*/[0-9][0-9]_*.ipynb"))


def _twin(course: Course, path: Path, kind: str) -> Path:
    return course.root / kind / path.parent.name / path.name


def _put(path: Path, data: bytes | None, why: str, check: bool) -> Change:
    """Write the file (or, without data, remove it) unless ``check``, and report it."""
    try:
        if check:
            pass
        elif data is None:
            path.unlink()
        else:
            notebook.replace_file(path, data)
    except PsmaError as error:
        return Change(path, _without(path, error), problem=True)
    except OSError as error:
        return Change(path, f"cannot be removed ({error.strerror})", problem=True)
    return Change(path, why)


def _without(path: Path, error: PsmaError) -> str:
    """The error's text without the file's name in front: a Change names the file already."""
    return str(error).removeprefix(f"{path}: ")
