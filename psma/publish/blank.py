"""`psma blank`: the lecture to type on stage. Its demo code is gone, its set-up is there."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING

from psma.course import Course, Session
from psma.errors import PsmaError
from psma.notebook import digest, psma, read, slide_type, tags, tidy, write

if TYPE_CHECKING:
    from nbformat import NotebookNode

LIVE = "live"
"""The tag of a code cell that is worth typing in front of the room."""


def blank_from(lecture: NotebookNode) -> NotebookNode:
    """The lecture with its demo code emptied and the speaker's notes taken out. Pure.

    A lecture that tags cells `live` says which are worth typing: those are emptied, everything else stays and
    runs. Without the tag, code stays where the slides do not show it (`skip`, tag `hide-input`: set-up, long
    classes, plots) and where the room works (Your turns). Words, predictions, ids and tags all stay.
    """
    nb = tidy(copy.deepcopy(lecture))
    nb.cells = [cell for cell in nb.cells if slide_type(cell) != "notes" and cell.cell_type != "raw"]
    chosen = [cell for cell in nb.cells if cell.cell_type == "code" and LIVE in tags(cell)]
    for cell in chosen or [cell for cell in nb.cells if is_demo(cell)]:
        cell.source = ""
    return nb


def is_demo(cell: NotebookNode) -> bool:
    """Whether the cell is code that a presenter types in front of the room."""
    kept = slide_type(cell) == "skip" or "hide-input" in tags(cell) or "answer" in psma(cell)
    return cell.cell_type == "code" and not kept


def write_blank(course: Course, session: Session, out: Path | None = None, *, force: bool = False) -> Path:
    """Write one session's blank and return its path.

    Args:
        course: the course.
        session: whose lecture.
        out: the file, or the folder for it; by default beside the trainee's copies in work/, two folders
            deep, where the lecture's `../../data` is found.
        force: replace a blank that somebody has typed into.

    Raises:
        PsmaError: the lecture cannot be read, or the file has been typed into, or cannot be written.
    """
    if session.problem:
        raise PsmaError(session.problem)
    target = out or course.root / "work" / session.folder
    if target.suffix != ".ipynb":
        target = target / f"{session.name}_blank.ipynb"
    blank = blank_from(read(session.lecture))
    if target.exists() and not force and digest(read(target)) != digest(blank):
        raise PsmaError(f"{target} is not empty any more: name another file with --out, or add --force")
    write(blank, target)
    return target
