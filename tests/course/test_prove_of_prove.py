"""The proof is itself proven: each kind of bad exercise, solution and lecture gets its complaint."""

from __future__ import annotations

from pathlib import Path

import nbformat.v4 as v4
import pytest
from test_prove import complaints_about_exercise, complaints_about_lecture, complaints_about_solution, prove

from psma import exercises, notebook

SET_UP = "from psma.checks import check"
TASK = '''def double(x):
    """Twice x."""
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION'''
WRONG = """--- adds two
    return 2 + x
--- squares
    return x ** 2
--- right for the brief's own number only
    return 6"""
CHECK = 'check({"double(3)": 6, "double(5)": 10}, hint="twice")'


def book(tmp_path: Path, *cells) -> Path:
    """Write cells as a notebook and return its path."""
    nb = v4.new_notebook(cells=list(cells))
    nb.metadata.kernelspec = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    path = tmp_path / "01_bad.ipynb"
    notebook.write(notebook.tidy(nb), path)
    return path


def code(source: str, *tags: str, **psma: object):
    """Return a code cell."""
    return v4.new_code_cell(
        source, metadata={"tags": list(tags), "psma": psma} if psma else {"tags": list(tags)}
    )


def raw(source: str):
    """Return a raw cell that lists wrong answers."""
    return v4.new_raw_cell(source, metadata={"tags": ["wrong"]})


def solution(tmp_path: Path, *, task: str = TASK, wrong: str = WRONG, check: str = CHECK) -> Path:
    """Return a small solution, good unless told otherwise."""
    return book(tmp_path, code(SET_UP), code(task, "task"), raw(wrong), code(check, "check"))


def test_a_good_solution_draws_no_complaint_and_tries_every_wrong_answer(tmp_path: Path):
    report = prove("solution", solution(tmp_path))
    assert complaints_about_solution(report) == []
    assert [w["verdicts"][0]["verdict"] for w in report["wrongs"]] == ["wrong"] * 3


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"check": 'check({"double(2)": 4, "double(0)": 0})'}, "passes the wrong answer"),
        ({"check": 'check({"double(3)": lambda value: True})'}, "passes the wrong answer"),
        ({"check": 'check({"double(3)": 7, "double(5)": 10})'}, "Not right yet"),
        ({"task": TASK.replace("2 * x", "1 / 0")}, "ZeroDivisionError"),
        ({"wrong": "--- does nothing\n    ..."}, "not attempted"),
        ({"check": "raise RuntimeError('the check itself breaks')"}, "RuntimeError"),
    ],
)
def test_a_bad_solution_is_named(tmp_path: Path, change: dict, complaint: str):
    said = complaints_about_solution(prove("solution", solution(tmp_path, **change)))
    assert any(complaint in line for line in said), said


def test_wrong_answers_without_a_check_behind_them_are_named(tmp_path: Path):
    path = book(tmp_path, code(SET_UP), code(TASK, "task"), raw(WRONG))
    assert any(
        "no check stands behind" in line for line in complaints_about_solution(prove("solution", path))
    )


def test_a_wrong_answer_leaves_nothing_behind(tmp_path: Path):
    # The second task uses the first: if a wrong answer stayed, its check would not be right.
    second = TASK.replace("double", "quadruple").replace("2 * x", "double(double(x))")
    first = [code(SET_UP), code(TASK, "task"), raw(WRONG), code(CHECK, "check")]
    wrong, check = raw("--- once only\n    return double(x)"), code('check("quadruple(3)", 12)', "check")
    path = book(tmp_path, *first, code(second, "task"), wrong, check)
    assert complaints_about_solution(prove("solution", path)) == []


def test_the_untouched_exercise_of_a_good_solution_is_open(tmp_path: Path):
    nb = exercises.exercise_from(notebook.read(solution(tmp_path)))
    path = tmp_path / "02_exercise.ipynb"
    notebook.write(nb, path)
    report = prove("exercise", path)
    assert complaints_about_exercise(report) == [] and len(report["verdicts"]) == 1


@pytest.mark.parametrize(
    ("cells", "complaint"),
    [
        ([code(SET_UP), code(TASK, "task"), code(CHECK, "check")], "Right"),
        ([code(SET_UP), code("print(double(3))"), code(CHECK, "check")], "NameError"),
        ([code(SET_UP)], "there is no check"),
    ],
)
def test_a_bad_exercise_is_named(tmp_path: Path, cells: list, complaint: str):
    assert any(
        complaint in line for line in complaints_about_exercise(prove("exercise", book(tmp_path, *cells)))
    )


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [("assert x == 4", "AssertionError"), ("x == 3", "asserts nothing"), ("assert x == 3", None)],
)
def test_a_your_turn_whose_answer_fails_or_proves_nothing_is_named(
    tmp_path: Path, answer: str, complaint: str | None
):
    path = book(tmp_path, code("x = 3"), code("# your code here", answer=answer))
    said = complaints_about_lecture(prove("lecture", path))
    assert said == [] if complaint is None else any(complaint in line for line in said)
