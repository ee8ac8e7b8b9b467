"""The paper that the tests of marking use, as a table one can read, and trainees' notebooks made from it."""

# ruff: noqa: E501 (tables, a row a line)
from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

SOLUTION = "### BEGIN SOLUTION\n{}\n### END SOLUTION"

# (grade_id, kind, points, source); kind: text, given, answer, test, written. Answers are the reference solution.
PAPER: list[tuple[str | None, str, float, str]] = [
    (None, "text", 0, "# Practice paper\nAnswer every question."),
    ("given", "given", 0, "import numpy as np\nimport pandas as pd\n\nwaits = [4, 9, 2, 7, 3]"),
    (None, "text", 0, "## Question 1: a value"),
    ("q1", "answer", 0, "mean_wait = sum(waits) / len(waits)"),
    ("q1_test", "test", 2, "assert abs(mean_wait - 5.0) < 1e-9, 'mean_wait should be the mean of waits'"),
    (None, "text", 0, "## Question 2: a function"),
    ("q2", "answer", 0, "def utilisation(arrivals, service, servers):\n    return arrivals * service / servers"),
    ("q2_test", "test", 3,
     "assert abs(utilisation(4, 0.5, 3) - 2 / 3) < 1e-9\n"
     "### BEGIN HIDDEN TESTS\nassert utilisation(10, 0.25, 5) == 0.5\nassert utilisation(0, 1, 1) == 0\n"
     "### END HIDDEN TESTS"),
    (None, "text", 0, "## Question 3: an array"),
    ("q3", "answer", 0, "def standardise(values):\n    values = np.asarray(values, dtype=float)\n"
                        "    return (values - values.mean()) / values.std()"),
    ("q3_test", "test", 3,
     "z = standardise(waits)\nassert z.shape == (5,)\n"
     "np.testing.assert_allclose([z.mean(), z.std()], [0, 1], atol=1e-9)\n"
     "### BEGIN HIDDEN TESTS\nnp.testing.assert_allclose(standardise([1, 3]), [-1, 1])\n### END HIDDEN TESTS"),
    (None, "text", 0, "## Question 4: a table"),
    ("q4", "answer", 0, "patients = pd.DataFrame({'site': ['A', 'B', 'A'], 'stay': [2, 5, 4]})\n"
                        "by_site = patients.groupby('site')['stay'].mean()"),
    ("q4_test", "test", 4,
     "pd.testing.assert_series_equal(by_site, pd.Series([3.0, 5.0], index=pd.Index(['A', 'B'], name='site'), "
     "name='stay'), check_index_type=False)"),
    (None, "text", 0, "## Question 5: part marks"),
    ("q5", "answer", 0, "def triage(age):\n    return 'child' if age < 16 else 'adult'"),
    ("q5_test", "test", 2, "right = [triage(3) == 'child', triage(40) == 'adult', triage(15) == 'child', "
                           "triage(16) == 'adult']\n0.5 * sum(right)"),
    (None, "text", 0, "## Question 6: in words"),
    ("q6", "written", 5, "Queues grow without bound as utilisation nears one."),
]  # fmt: skip
FULL = {"q1_test": 2.0, "q2_test": 3.0, "q3_test": 3.0, "q4_test": 4.0, "q5_test": 2.0, "q6": None}
NAME = "practice"


def _metadata(name: str, kind: str, points: float) -> dict[str, Any]:
    meta = {"grade": kind in ("test", "written"), "solution": kind in ("answer", "written"),
            "locked": kind in ("test", "given"), "task": False, "grade_id": name, "schema_version": 3}  # fmt: skip
    return {"nbgrader": {**meta, "points": points} if meta["grade"] else meta}


def cell(source: str, name: str | None = None, kind: str = "own", points: float = 0) -> dict[str, Any]:
    """A cell as it stands in a notebook file."""
    code = kind not in ("text", "written")
    made: dict[str, Any] = {
        "cell_type": "code" if code else "markdown", "id": f"cell-{abs(hash((source, name))) % 10**9}",
        "metadata": _metadata(name, kind, points) if name else {}, "source": source,
    }  # fmt: skip
    return {**made, "outputs": [], "execution_count": None} if code else made


def notebook(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """A notebook around cells."""
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def source(table: list[tuple[str | None, str, float, str]] = PAPER) -> dict[str, Any]:
    """The paper's source notebook, with solutions and hidden tests."""
    return notebook([
        cell(SOLUTION.format(text) if kind in ("answer", "written") else text, name, kind, points)
        for name, kind, points, text in table
    ])  # fmt: skip


def write_paper(
    folder: Path, table: list[tuple[str | None, str, float, str]] = PAPER, name: str = NAME
) -> Path:
    """The source notebook in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.ipynb"
    path.write_text(json.dumps(source(table)), encoding="utf-8")
    return path


def submission(answers: dict[str, str] | None = None, table: Any = PAPER) -> dict[str, Any]:
    """A trainee's notebook: the reference solution, but for the answers given. Hidden tests are not in it."""
    answers = answers or {}
    cells = []
    for name, kind, points, text in table:
        text = answers.get(name or "", text)
        if kind == "test":
            text = text.split("### BEGIN HIDDEN TESTS")[0].rstrip()
        cells.append(cell(text, name, kind, points))
    return notebook(cells)


BLANK = {name: "# YOUR CODE HERE\nraise NotImplementedError()" if kind == "answer" else "YOUR ANSWER HERE"
         for name, kind, _, _ in PAPER if name and kind in ("answer", "written")}  # fmt: skip


def place_of(made: dict[str, Any], name: str) -> int:
    """Where the cell with a grade_id stands."""
    return next(at for at, each in enumerate(made["cells"])
                if each["metadata"].get("nbgrader", {}).get("grade_id") == name)  # fmt: skip


def changed(made: dict[str, Any]) -> dict[str, Any]:
    """A copy to change."""
    return copy.deepcopy(made)
