"""The papers of the course: what they are worth, what candidates get of them, and that nothing leaks."""

# ruff: noqa: E501 (tables, a row a line)
from __future__ import annotations

import csv
import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from psma.cli import app
from psma.course import find_course
from psma.errors import PsmaError
from psma.marking.batch import open_place
from psma.marking.blueprint import read_blueprint
from psma.marking.leaks import Secret, files_in, leaks_in, secrets_of, value_secrets
from psma.marking.marker import Limits, Marker
from psma.marking.paper import Builder, Candidate, read_candidates, release
from psma.marking.reader import Submission, find, load
from psma.marking.source import Cell, read_paper

ROOT = find_course().root
PAPERS = [ROOT / "assessment" / name / f"{name}.ipynb" for name in ("practice", "mock")]
PRACTICE = PAPERS[0]
linux = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("bwrap"), reason="isolation needs Linux and bubblewrap"
)
each_paper = pytest.mark.parametrize("path", PAPERS, ids=lambda path: path.stem)


def listed(folder: Path, text: str = "candidate,extra_time\n1001,\n1002,25\n") -> Path:
    path = folder / "list.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def copy(tmp_path):
    """A copy of the practice paper to spoil."""
    shutil.copytree(PRACTICE.parent, tmp_path / "paper")
    return tmp_path / "paper" / PRACTICE.name


def change(path: Path, grade_id: str, edit) -> None:
    """Edit the source of one cell."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == grade_id:
            cell["source"] = edit("".join(cell["source"]))
    path.write_text(json.dumps(notebook), encoding="utf-8")


# --------------------------------------------------------------------------------------------- the papers


@linux
@each_paper
def test_the_reference_gets_all_and_a_blank_paper_nothing(path, tmp_path):
    paper = read_paper(path)
    blueprint = read_blueprint(paper)
    points = {question.id: question.points for question in paper.questions}
    written = {question.id: question.points for question in paper.questions if question.kind == "written"}
    release(path, listed(tmp_path), tmp_path / "out")
    with open_place(paper, allow_unisolated=False) as place:
        marker = Marker(paper, place, Limits(cell=20))
        for candidate in ("1001", "other-2"):
            full = marker.mark(Submission(candidate, "", "", paper.cells))
            assert {**full.marks, **written} == points, [t.detail for t in full.tests if not t.passed]
            assert blueprint.total({**full.marks, **written}).marks == 100
        sent = {each.candidate: each for each in find(tmp_path / "out", paper)}
        blank = marker.mark(load(sent["1001"], paper))
    assert blank.marks == dict.fromkeys(points, 0.0)
    assert not blank.flags
    assert blueprint.total(blank.marks).marks == 0


SPOIL = """
def _spoiling(answer):
    def call(*given):
        value = answer(*given)
        for each in given:
            if isinstance(each, list):
                each.clear()
            elif isinstance(each, np.ndarray):
                each[...] = 0
        return value
    return call
"""


@linux
@each_paper
def test_tests_trust_nothing_that_a_candidate_can_touch(path, tmp_path):
    """Functions that empty what they are given, and names that tests use for their own: the marks are the same."""
    paper = read_paper(path)
    release(path, listed(tmp_path), tmp_path / "out")
    cells = [
        replace(cell, source=cell.source + SPOIL + "\n".join(f"{f} = _spoiling({f})" for f in functions))
        if cell.solution and (functions := re.findall(r"^def (\w+)", cell.source, re.MULTILINE))
        else cell
        for cell in paper.cells
    ]
    names = {
        name
        for cell in paper.cells
        if cell.test
        for name in re.findall(r"^(\w+) = ", cell.source, re.MULTILINE)
    }
    fakes = "\n".join(
        f"{name} = pd.DataFrame({{'mean_wait': [0.0]}})" for name in sorted({"reference", "draw", *names})
    )
    at = next(number for number, cell in enumerate(cells) if cell.id == "setup")
    cells.insert(at + 1, Cell("code", fakes))
    with open_place(paper, allow_unisolated=False) as place:
        marks = Marker(paper, place, Limits(cell=20)).mark(Submission("1001", "", "", tuple(cells))).marks
    lost = {q.id: marks[q.id] for q in paper.questions if q.kind == "tests" and marks[q.id] != q.points}
    # the mock's first question asks for a function that leaves its list alone
    assert lost == ({"core_middle_test": 3} if path.stem == "mock" else {})


OTHER_WAYS = {
    "practice": {
        "core_share": "within_target = lambda waits, target: float(np.mean(np.array(waits) <= target)) if waits else 1",
        "core_shift": "def shift_of(hour):\n    if hour not in range(24): raise ValueError\n"
                      "    return ['night', 'early', 'late', 'night'][(hour >= 7) + (hour >= 15) + (hour >= 23)]",
        "core_clean": "import csv\nattendances = pd.DataFrame(list(csv.DictReader(open('attendances.csv')))).drop_duplicates()\n"
                      "for c in ('arrived', 'seen', 'left'): attendances[c] = pd.to_datetime(attendances[c].replace('', None))\n"
                      "attendances['site'] = [s.strip().title() for s in attendances['site']]",
        "core_median": "wait = attendances['seen'] - attendances['arrived']\nmedian_wait = {site: wait[attendances['site'] == site].median() "
                       "/ pd.Timedelta(minutes=1) for site in attendances['site'].unique()}",
        "core_hours": "late = attendances[attendances['left'] - attendances['arrived'] > pd.Timedelta(hours=4)]\n"
                      "late_by_hour = np.bincount(late['arrived'].dt.hour, minlength=24)",
        "core_interval": "from scipy.stats import ttest_rel\nruns = pd.read_csv('replications.csv')\n"
                         "test = ttest_rel(runs['today'], runs['one_more'])\ndifference = (runs.today - runs.one_more).to_numpy().mean()\n"
                         "interval = list(test.confidence_interval())",
        "networks_groups": "groups = sum(len(g) > 1 for g in nx.connected_components(graph))\n"
                           "largest = np.int64(max(map(len, nx.connected_components(graph))))",
        "forecasting_naive": "past = list(pd.read_csv('calls.csv').calls)[:56]\nforecast = pd.Series(list(past[-7:]) * 2, index=range(100, 114))",
    },
    "mock": {
        "core_middle": "import statistics\nmiddle = lambda values: statistics.median(values) if values else None",
        "core_full": "def first_full(arrive, leave, seats):\n    over = np.cumsum(np.array(arrive) - np.array(leave)) > seats\n"
                     "    return int(np.argmax(over)) if over.any() else None",
        "core_log": "log = pd.read_csv('responses.csv').groupby('incident').nth[[-1]].copy()\n"
                    "for c in ('sent', 'arrived'): log[c] = pd.to_datetime(log[c])\n"
                    "log['station'] = log['district'].map(pd.read_csv('stations.csv').set_index('district')['station'])",
        "core_ontime": "urgent = log[(log.grade == 1)].dropna(subset=['arrived', 'station'])\n"
                       "on_time = {s: ((g.arrived - g.sent) <= pd.Timedelta(minutes=numbers['target'])).mean() for s, g in urgent.groupby('station')}",
        "core_counts": "counts = log.pivot_table(index='station', columns='grade', values='incident', aggfunc='count', fill_value=0)",
        "core_waits": "def queue_waits(arrivals, services):\n    w = np.zeros(len(arrivals))\n    for k in range(1, len(w)):\n"
                      "        w[k] = max(0, w[k - 1] + services[k - 1] - (arrivals[k] - arrivals[k - 1]))\n    return w",
        "queuing_load": "load = numbers['line_calls'] / (60 / numbers['line_minutes'])\nleast = int(np.floor(load)) + 1\nbusy = np.float64(load / (least + 2))",
        "learning_brier": "from sklearn.metrics import mean_squared_error\nbrier = lambda y, p: float(mean_squared_error(y, p))",
        "networks_reach": "seen, edge = set(), {numbers['outbreak']}\nties = transfers.groupby('origin')['target'].agg(set)\n"
                          "while edge:\n    seen |= edge\n    edge = set().union(*(ties.get(p, set()) for p in edge)) - seen\nreachable = len(seen) - 1",
        "forecasting_origins": "origins = lambda length, first, horizon: range(first, length - horizon + 1, horizon)",
    },
}  # fmt: skip


@linux
@each_paper
def test_another_way_to_the_right_answer_earns_the_same(path):
    paper = read_paper(path)
    ways = OTHER_WAYS[path.stem]
    assert set(ways) <= {cell.id for cell in paper.cells}
    cells = tuple(replace(cell, source=ways.get(cell.id, cell.source)) for cell in paper.cells)
    with open_place(paper, allow_unisolated=False) as place:
        result = Marker(paper, place, Limits(cell=20)).mark(Submission("1001", "", "", cells))
    lost = [(test.cell, test.points, test.detail) for test in result.tests if not test.passed]
    assert not lost, (lost, result.errors)


@linux
def test_a_neighbours_numbers_earn_nothing(tmp_path):
    paper = read_paper(PRACTICE)
    builder = Builder(paper, read_blueprint(paper))
    earned = {}
    with open_place(paper, allow_unisolated=False) as place:
        marker = Marker(paper, place, Limits(cell=20))
        for source in ("1001", "1002"):
            folder = tmp_path / source
            folder.mkdir()
            builder.draw(source, folder)
            values = builder.reference(Candidate(source), folder)
            typed = (
                f"utilisation, mean_wait = {float(values['utilisation'])!r}, {float(values['mean_wait'])!r}"
            )
            cells = [replace(c, source=typed) if c.id == "queuing_desk" else c for c in paper.cells]
            earned[source] = marker.mark(Submission("1001", "", "", tuple(cells))).marks["queuing_desk_test"]
    assert earned == {"1001": 6, "1002": 0}


def complete(module) -> bool:
    """Whether a module has all the sessions that its README plans."""
    text = (ROOT / "modules" / module.folder / "README.md").read_text(encoding="utf-8")
    planned = next((line for line in text.splitlines() if line.startswith("Planned:")), "")
    return bool(module.sessions) and len(module.sessions) > planned.count(";")


def test_a_module_is_complete_when_all_that_it_plans_is_there():
    modules = {module.number: module for module in find_course().modules}
    full = replace(modules[2], sessions=modules[3].sessions[:1] * 7)
    assert complete(full)
    assert not complete(replace(full, sessions=full.sessions[:6]))
    assert not complete(replace(full, sessions=()))


@each_paper
def test_the_specification_is_true(path):
    paper = read_paper(path)
    blueprint = read_blueprint(paper)
    course = find_course()
    outcomes = {name for session in course.sessions for name in session.meta["outcomes"]}
    modules = {f"module {module.folder}" for module in course.modules if not complete(module)}
    assert set(blueprint.aims) == {question.id for question in paper.questions}
    for aim in blueprint.aims.values():
        assert aim.outcomes
        # a whole module stands for outcomes that are still to be written; once they are, name them
        assert set(aim.outcomes) <= outcomes | modules, f"{aim.question}: name outcomes that there are"
    with path.with_name("specification.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kinds = {
        question.id: {"tests": "code", "written": "written"}[question.kind] for question in paper.questions
    }
    assert {row["question"]: row["kind"] for row in rows} == kinds
    by_audience = {
        who: sum(float(r["marks"]) for r in rows if r["audience"] == who) for who in ("police", "health")
    }
    assert abs(by_audience["police"] - by_audience["health"]) <= 10


@each_paper
def test_the_marks_add_up(path):
    blueprint = read_blueprint(read_paper(path))
    sums = blueprint.total(blueprint.points).parts
    assert sums["core"] == 60
    assert len(blueprint.choice) >= 4
    assert {sums[part] for part in blueprint.choice} == {20}
    assert (blueprint.most, blueprint.pass_mark, blueprint.minutes) == (100, 50, 90)


@each_paper
def test_the_mark_scheme_gives_every_question_its_marks(path):
    scheme = path.with_name("mark_scheme.md").read_text(encoding="utf-8")
    numbers = {}
    for line in scheme.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 3 and cells[1].isdecimal():
            numbers[cells[0].split()[0]] = float(cells[1])
    for question in read_paper(path).questions:
        assert numbers.pop(question.title.split()[0]) == question.points, question
    assert not numbers


def test_the_best_two_topics_count():
    blueprint = read_blueprint(read_paper(PRACTICE))
    marks = dict.fromkeys(blueprint.points, 0.0)
    marks |= {"core_share_test": 3, "queuing_words": 5, "learning_words": 4, "networks_words": 6}
    total = blueprint.total(marks)
    assert (total.marks, total.counted, total.settled) == (14, ("core", "queuing", "networks"), True)
    assert blueprint.total({**marks, "learning_model_test": None}).settled is False


@pytest.mark.parametrize(("name", "text", "words"), [
    ("paper.yml", "parts: [", "cannot be used"),
    ("paper.yml", "parts: [{id: queuing, title: Q}]", "belongs to no part"),
    ("paper.yml", "pass: 400", "pass is 400"),
    ("paper.yml", "minutes: soon", "cannot be used"),
    ("paper.yml", "choose: {best: 2, of: [none]}", "'none', which is no part"),
    ("specification.csv", "question,marks\ncore_share_test,4\n", "cannot be read"),
    ("specification.csv", "question,marks,kind,outcomes,what it shows\ncore_share_test,4,code,3.1-a,x\n", "in the notebook"),
])  # fmt: skip
def test_a_broken_blueprint_is_said_in_one_line(copy, name, text, words):
    copy.with_name(name).write_text(text, encoding="utf-8")
    with pytest.raises(PsmaError, match=words) as caught:
        read_blueprint(read_paper(copy))
    assert "\n" not in str(caught.value)


# -------------------------------------------------------------------------------------------- the release


def test_a_release_is_personal_and_repeatable(tmp_path):
    first = release(PRACTICE, listed(tmp_path), tmp_path / "one")
    release(PRACTICE, listed(tmp_path), tmp_path / "two")
    assert [folder.name for folder in first.folders] == ["1001", "1002"]
    assert files_in(tmp_path / "one") == files_in(tmp_path / "two")
    one, two = files_in(tmp_path / "one" / "1001"), files_in(tmp_path / "one" / "1002")
    assert all(one[name] != two[name] for name in one if not name.endswith(".ipynb"))
    assert "time allowed: 113 minutes" in two["practice_1002.ipynb"].decode()
    notebook = json.loads(one["practice_1001.ipynb"])
    assert notebook["metadata"]["psma"] == {"candidate": "1001"}
    assert release(PRACTICE, listed(tmp_path), tmp_path / "one").unchanged == 2


def test_a_released_notebook_is_nbgraders_own_release(tmp_path):
    """nbgrader's preprocessors leave the same cells."""
    pytest.importorskip("nbgrader")
    import nbformat
    from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions

    released = release(PRACTICE, listed(tmp_path), tmp_path / "out").folders[0]
    ours = nbformat.read(released / "practice_1001.ipynb", as_version=4)
    nbformat.validate(ours)
    theirs = nbformat.read(PRACTICE, as_version=4)
    for preprocessor in (ClearSolutions(), ClearHiddenTests()):
        theirs, _ = preprocessor.preprocess(theirs, {})
    # the last line of a cell: nbgrader leaves a blank where we do too
    assert [c.source for c in ours.cells if c.id != "cover"] == [c.source for c in theirs.cells]


def test_the_visible_checks_run_on_what_is_released(tmp_path):
    """No check that trainees see leans on a hidden line: with the solutions pasted in, all of them run."""
    from contextlib import chdir

    for path in PAPERS:
        paper = read_paper(path)
        folder = release(path, listed(tmp_path), tmp_path / path.stem).folders[0]
        namespace: dict = {}
        with chdir(folder):
            for cell in paper.cells:
                if cell.type == "code":
                    exec(cell.source if cell.solution else cell.released, namespace)


HINT = """
_draw = draw
def draw(candidate, folder):
    n = _draw(candidate, folder)
    rate = 60 / n["desk_minutes"]
    wait = 60 * n["desk_arrivals"] / rate / (rate - n["desk_arrivals"])
    (folder / "hint.txt").write_text(f"about {wait:.9f} minutes")
    return n
"""
LEAKS = {
    "a solution in a question": lambda path: change(path, "setup", lambda s: s + "\n# in_time = [seconds for seconds in waits if seconds <= target]"),
    "a solution outside its marks": lambda path: change(path, "core_share", lambda s: s + "\n    return len(in_time)  /  len(waits)"),
    "a hidden test in sight": lambda path: change(path, "core_mend_test", lambda s: "mend_right = sum(longest_run(list(c), n) == reference.longest_run(c, n) for c, n in mend_cases)\n" + s),
    "the mark scheme": lambda path: _beside(path, "notes.txt", "All 24 right; no part marks: an error in one hour is\n an error in the rule"),
    "a model answer": lambda path: _beside(path, "notes.txt", "not only the middle. If the gain holds, weigh it against cost, upkeep and who can explain it at three in the morning."),
    "the draw": lambda path: shutil.copy(path.with_name("draw.py"), _data(path) / "draw.py"),
    "the source notebook": lambda path: shutil.copy(path, _data(path) / "x.bin"),
    "the source notebook, zipped": lambda path: shutil.make_archive(str(_data(path) / "x"), "zip", path.parent, path.name),
    "an answer that draw.py writes": lambda path: path.with_name("draw.py").write_text(path.with_name("draw.py").read_text() + HINT),
}  # fmt: skip


def _data(path: Path) -> Path:
    (path.parent / "data").mkdir(exist_ok=True)
    return path.parent / "data"


def _beside(path: Path, name: str, text: str) -> None:
    (_data(path) / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize("plant", LEAKS.values(), ids=LEAKS)
def test_a_leak_stops_the_release(copy, tmp_path, plant):
    plant(copy)
    with pytest.raises(PsmaError, match=r"would show a .* nothing was written") as caught:
        release(copy, listed(tmp_path), tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".psma-release-*"))


def test_what_may_show_is_let_pass(copy, tmp_path):
    LEAKS["a solution in a question"](copy)
    rules = copy.with_name("paper.yml")
    allowed = "may_show: ['in_time = [seconds for seconds in waits if seconds <= target]']"
    rules.write_text(rules.read_text().replace("may_show: []", allowed))
    assert len(release(copy, listed(tmp_path), tmp_path / "out").folders) == 2


@pytest.mark.parametrize("data", [
    b"x = total_wait / calls", b"x  =\n total_wait\t/ calls", "x = total_wait / calls".encode("utf-16-le"),
    b'{"source": ["x = total_wait /", " calls"]}', b'{"a": "x = total\\u005fwait / calls"}', b"\xff\xfe" + "total_wait / calls".encode("utf-16-le"),
])  # fmt: skip
def test_a_secret_is_found_however_it_is_written(data):
    assert leaks_in({"file": data}, [Secret("solution", "total_wait / calls")])


def test_what_is_no_secret_is_not_found():
    cell = {"cell_type": "code", "metadata": {"nbgrader": {"solution": True}},
            "source": "### BEGIN SOLUTION\nelse:\n    total = waits + 17\n### END SOLUTION\nprint(total)"}  # fmt: skip
    assert secrets_of({"cells": [cell]}, {}) == [Secret("solution", "total = waits + 17")]
    whole = {**cell, "source": "total = waits + 18"}
    assert secrets_of({"cells": [whole]}, {}) == [Secret("solution", "total = waits + 18")]


def test_only_numbers_that_say_something_are_secret():
    import numpy as np

    values = {
        "a": 0.5,
        "b": 1234.5678,
        "c": np.array([1.0, 1 / 3]),
        "d": 12,
        "e": {"x": [2 / 3 * 1e-9]},
        "f": float("nan"),
    }
    assert [secret.text for secret in value_secrets(values)] == ["1234.56", "0.333333", "6.66666"]


@pytest.mark.parametrize(("text", "words"), [
    ("name\n1001\n", "a column named candidate"), ("", "no candidates"), ("candidate\n", "no candidates"),
    ("candidate\n1001\n1001\n", "line 3: candidate '1001' stands there twice"),
    ("candidate\nab\nAB\n", "twice"), ("candidate\n../x\n", "can't be a candidate's number"),
    ("candidate\n\"\"\n", "can't be a candidate's number"), ("candidate,extra_time\n1,much\n", "from 0 to 300"),
])  # fmt: skip
def test_a_broken_list_is_said_in_one_line(tmp_path, text, words):
    with pytest.raises(PsmaError, match=words):
        read_candidates(listed(tmp_path, text))


@pytest.mark.parametrize(("spoil", "words"), [
    (lambda copy, out: out.write_text("x"), "cannot be written"),
    (lambda copy, out: (out / "1002").mkdir(parents=True), "holds something else"),
    (lambda copy, out: copy.with_name("draw.py").write_text("import random\ndef draw(candidate, folder):\n"
     "    (folder / 'x.txt').write_text(str(random.random()))\n    return {}"), "draws other data each time"),
    (lambda copy, out: copy.with_name("draw.py").write_text("def draw(candidate, folder): 1 / 0"), "ZeroDivisionError"),
    (lambda copy, out: copy.with_name("draw.py").write_text("def draw(candidate, folder): return {}"), "the solution setup stopped"),
    (lambda copy, out: copy.with_name("draw.py").write_text(copy.with_name("draw.py").read_text().replace("|{candidate}", "")),
     "get the same data"),
], ids=["out is a file", "folder taken", "random draw", "broken draw", "no data", "not personal"])  # fmt: skip
def test_what_cannot_be_released_is_said_in_one_line(copy, tmp_path, monkeypatch, spoil, words):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)  # no __pycache__ beside the paper either
    out = tmp_path / "out"
    spoil(copy, out)
    before = files_in(tmp_path)
    result = CliRunner().invoke(
        app, ["paper", "release", str(copy), "--candidates", str(listed(tmp_path)), "--out", str(out)]
    )
    assert result.exit_code == 2
    assert words in " ".join(result.output.split())
    assert {**files_in(tmp_path)} == {**before, "list.csv": (tmp_path / "list.csv").read_bytes()}


def test_a_blank_paper_has_no_cell_of_the_solution():
    """The engine's own idea of a blank answer is what candidates get."""
    paper = read_paper(PRACTICE)
    blank = [Cell(cell.type, cell.released, cell.id) for cell in paper.cells if cell.solution]
    assert {cell.source for cell in blank} == {
        "# YOUR CODE HERE\nraise NotImplementedError()",
        "YOUR ANSWER HERE",
    }
