"""The rules that hold every notebook: what ``violations`` finds in one, and how the real ones become pages.

Each rule is one small function in ``rules_any``, ``rules_lecture``, ``rules_exercise`` or ``rules_course``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import rules_any  # noqa: F401  enters its rules into the book
import rules_exercise  # noqa: F401
import rules_lecture  # noqa: F401
from nbformat import NotebookNode
from rulebook import EXERCISE, KINDS, LECTURE, RULES, SOLUTION, Page, Violation

from psma import notebook
from psma.course import Course
from psma.errors import PsmaError


def violations(nb: NotebookNode, kind: str, path: PurePosixPath, **known: Any) -> list[Violation]:
    """All that is wrong with a notebook: of a kind (modules, exercises, solutions), at a path from the root.

    ``known`` is what else is known of it: the fields of ``Page``.
    """
    page = Page(nb, kind, path, **known)
    return [
        Violation(rule.name, cell.get("id", "") if cell is not None else "", text)
        for rule in RULES
        if rule.holds_for(page)
        for cell, text in rule.find(page)
    ]


def pages(course: Course) -> Iterator[Page]:
    """Every notebook on disk that can be read, with its twins."""
    for session in course.sessions:
        books = {kind: _read(session.file(kind)) for kind in KINDS}
        for kind, nb in books.items():
            if nb is None:
                continue
            file = session.file(kind)
            yield Page(
                nb,
                kind,
                PurePosixPath(file.relative_to(course.root).as_posix()),
                raw=file.read_bytes(),
                exists=lambda path: (course.root / path).exists(),
                lecture=books[LECTURE] if kind != LECTURE else None,
                solution=books[SOLUTION] if kind == EXERCISE else None,
            )


def _read(path: Path) -> NotebookNode | None:
    try:
        return notebook.read(path, need_kernel=False)
    except PsmaError:
        return None
