"""Marks into nbgrader's gradebook, for a site that keeps its marks there; nbgrader is an optional extra."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from psma.errors import PsmaError
from psma.marking.model import Question
from psma.marking.reports import Standing
from psma.marking.source import Paper


def export(paper: Paper, standings: Sequence[Standing], path: Path) -> int:
    """Write everybody's marks into the gradebook at ``path`` (made if need be); how many were written.

    The paper's name is the assignment's and the notebook's. The machine's marks become nbgrader's auto score,
    people's its manual score and comment; a question without a mark needs manual grading there too. A
    submission that couldn't be read is left out: nbgrader would count it as 0. Raises PsmaError: no nbgrader,
    a file that is no gradebook.
    """
    try:
        from nbgrader.api import Gradebook
    except ImportError:
        raise PsmaError(
            "There is no nbgrader here; add it (uv pip install nbgrader), or leave out --gradebook."
        ) from None
    path.parent.mkdir(parents=True, exist_ok=True)
    path_before = os.environ.get("PATH", "")  # nbgrader starts alembic, which lies beside Python, by its name
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), path_before])
    known = [each for each in standings if each.result.tests or each.result.written]
    try:
        with warnings.catch_warnings(), Gradebook(f"sqlite:///{path.resolve()}") as book:
            warnings.simplefilter("ignore")  # nbgrader's queries set off SQLAlchemy's
            _put_paper(book, paper)
            for each in known:
                _put_candidate(book, paper, each)
            book.db.commit()
    except Exception as error:  # of SQLAlchemy's, nbgrader's and the file system's many kinds
        words = str(error).split("\n")[0][:200]
        raise PsmaError(f"{path}: cannot be used as a gradebook ({words}); give another file.") from None
    finally:
        os.environ["PATH"] = path_before
    return len(known)


def _put_paper(book: Any, paper: Paper) -> None:
    name = paper.path.stem
    book.update_or_create_assignment(name)
    book.update_or_create_notebook(name, name)
    for question in paper.questions:
        kind = paper.by_id[question.id].type
        book.update_or_create_grade_cell(question.id, name, name, max_score=question.points, cell_type=kind)
        if question.kind == "written":
            book.update_or_create_solution_cell(question.id, name, name)


def _put_candidate(book: Any, paper: Paper, standing: Standing) -> None:
    name, who = paper.path.stem, standing.result.candidate
    book.update_or_create_student(who)
    book.update_or_create_submission(name, who)
    for question in paper.questions:
        grade = book.find_grade(question.id, name, name, who)
        _put_mark(grade, standing, question)
        if question.kind == "written":
            comment = book.find_comment(question.id, name, name, who)
            comment.manual_comment = standing.comments.get(question.id) or None


def _put_mark(grade: Any, standing: Standing, question: Question) -> None:
    mark = standing.marks.get(question.id)
    machine = _by_machine(standing, question)
    grade.auto_score = mark if machine else None
    grade.manual_score = None if machine else mark
    grade.needs_manual_grade = mark is None


def _by_machine(standing: Standing, question: Question) -> bool:
    """Whether the machine gave the mark: a decided test, or an answer left blank."""
    if question.kind == "written":
        answer = standing.result.written.get(question.id)
        return answer is not None and answer.blank
    tests = {test.cell: test.passed for test in standing.result.tests}
    return tests.get(question.id) is not None
