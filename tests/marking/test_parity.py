"""The marks are those that nbgrader gives: perfect, partial, blank, other but right, and cells moved about."""

# ruff: noqa: E501 (tables, a row a line)
from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import marking_material as material
import pytest

from psma.marking.marker import Limits, Marker, modules_of
from psma.marking.plainplace import PlainPlace
from psma.marking.reader import find, load
from psma.marking.source import read_paper

nbgrader = pytest.importorskip(
    "nbgrader", reason="nbgrader, an optional extra, is what the marks are compared with"
)

OTHER_BUT_RIGHT = {
    "q1": "import statistics\nmean_wait = statistics.fmean(waits)",
    "q2": "utilisation = lambda arrivals, service, servers: arrivals / (servers / service)",
    "q3": "class Standard:\n    def __call__(self, v):\n        v = pd.Series(v, dtype=float)\n"
          "        return ((v - v.mean()) / v.std(ddof=0)).to_numpy()\nstandardise = lambda v: Standard()(v)",
    "q4": "%matplotlib inline\nby_site = pd.Series({'A': 3.0, 'B': 5.0}, name='stay').rename_axis('site')",
    "q5": "from functools import partial\ndef pick(limit, age):\n    return ['adult', 'child'][age < limit]\n"
          "triage = partial(pick, 16)",
}  # fmt: skip
PARTIAL = {
    "q2": "def utilisation(arrivals, service, servers):\n    return 2 / 3",
    "q4": "by_site = pd.Series([3.0, 5.0])",
    "q5": "def triage(age):\n    return 'child' if age <= 16 else 'adult'",
}
BROKEN = {
    "q1": "mean_wait = sum(waits / len(waits)",
    "q3": "standardise = 3",
    "q5": "def triage(age):\n    1 / 0",
}


def own_cells():
    made = material.submission()
    at = material.place_of(made, "q2")
    made["cells"][at]["source"] = "def utilisation(a, s, c):\n    return helper(a * s, c)"
    made["cells"].insert(at, material.cell("def helper(x, y):\n    return x / y"))
    made["cells"].insert(at, material.cell("1 / 0"))
    return made


def tampered():
    made = material.submission({"q1": "mean_wait = 0"})
    made["cells"][material.place_of(made, "q1_test")]["source"] = "pass"
    made["cells"][material.place_of(made, "given")]["source"] = (
        "waits = [0]\nimport numpy as np, pandas as pd"
    )
    return made


def reordered():
    made = material.submission()
    at = material.place_of(made, "q1")
    made["cells"][at], made["cells"][at + 1] = made["cells"][at + 1], made["cells"][at]
    return made


def as_markdown():
    made = material.submission()
    answer = made["cells"][material.place_of(made, "q1")]
    answer["cell_type"] = "markdown"
    del answer["outputs"], answer["execution_count"]
    return made


SENT = {
    "perfect": material.submission, "blank": lambda: material.submission(material.BLANK),
    "other": lambda: material.submission(OTHER_BUT_RIGHT), "partial": lambda: material.submission(PARTIAL),
    "broken": lambda: material.submission(BROKEN), "owncells": own_cells,
    "tampered": tampered, "reordered": reordered, "asmarkdown": as_markdown,
}  # fmt: skip


def nbgrader_marks(root: Path) -> dict[str, dict[str, float | None]]:
    """nbgrader's own marks for the same notebooks."""
    from nbgrader.api import Gradebook
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config

    config = Config()
    config.CourseDirectory.root = str(root)
    config.CourseDirectory.db_url = f"sqlite:///{root}/gradebook.db"
    config.Exchange.root = str(root / "exchange")
    material.write_paper(root / "source" / "paper")
    (root / "exchange").mkdir()
    before, path = Path.cwd(), os.environ["PATH"]
    os.environ["PATH"] = os.pathsep.join(
        [str(Path(sys.executable).parent), path]
    )  # nbgrader calls alembic by name
    os.chdir(root)
    try:
        api = NbGraderAPI(config=config)
        assert api.generate_assignment("paper")["success"]
        for name, make in SENT.items():
            folder = root / "submitted" / name / "paper"
            folder.mkdir(parents=True)
            (folder / "practice.ipynb").write_text(json.dumps(make()))
            done = api.autograde("paper", name)
            assert done["success"], f"{name}: {done['log'][-2000:]}"
        with Gradebook(config.CourseDirectory.db_url) as book:
            return {name: {grade.name: grade.auto_score for grade in
                           book.find_submission_notebook("practice", "paper", name).grades} for name in SENT}  # fmt: skip
    finally:
        os.chdir(before)
        os.environ["PATH"] = path


def our_marks(root: Path, place, names) -> dict[str, dict[str, float | None]]:
    paper = read_paper(material.write_paper(root / "paper"))
    (root / "sent").mkdir()
    for name in names:
        (root / "sent" / f"{name}.ipynb").write_text(json.dumps(SENT[name]()))
    with place(paper) as here:
        marker = Marker(paper, here, Limits(cell=10))
        return {sent.candidate: marker.mark(load(sent, paper)).marks for sent in find(root / "sent", paper)}


@pytest.fixture(scope="module")
def expected(tmp_path_factory, shared_once):
    return shared_once("nbgrader", lambda: nbgrader_marks(tmp_path_factory.mktemp("nbgrader")))


def test_the_oracle_agrees_with_what_the_paper_says(expected):
    assert expected["perfect"] == material.FULL
    assert expected["blank"] == dict.fromkeys(material.FULL, 0.0)


@pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("bwrap"), reason="isolation needs Linux and bubblewrap"
)
def test_marks_in_isolation_are_nbgraders(tmp_path, expected):
    from psma.marking.sandbox import Sandbox

    assert our_marks(tmp_path, lambda paper: Sandbox(modules_of(paper)), SENT) == expected


def test_marks_without_isolation_are_nbgraders(tmp_path, expected):
    """Those in which the place makes a difference: it starts an interpreter a test, which takes its time."""
    names = ["other", "broken"]
    got = our_marks(tmp_path, lambda paper: PlainPlace(modules_of(paper)), names)
    assert got == {name: expected[name] for name in names}
