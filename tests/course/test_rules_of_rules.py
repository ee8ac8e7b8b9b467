"""A good session passes every rule, and each bad one is rejected by the one rule that it breaks."""

from __future__ import annotations

import copy
import json
from pathlib import PurePosixPath

import nbformat
import pytest
from bad import base
from bad.cases import CASES, Case, swap
from rulebook import KINDS, RULES, Page
from rules import pages, violations
from rules_course import COURSE_RULES, own_sentences, three_of_each, unique_checks

from psma import exercises, notebook
from psma.course import find_course

NAME = PurePosixPath("03_queuing_des/01_pathways.ipynb")


def session() -> dict:
    """Return the good session: a notebook of each kind."""
    solution = base.solution()
    return {"modules": base.lecture(), "solutions": solution, "exercises": exercises.exercise_from(solution)}


GOOD = session()


def broken_rules(nb, kind, raw=None, **twins) -> dict[str, str]:
    """Return the names of the rules that the notebook breaks, with what each says."""
    known = {"lecture": GOOD["modules"], "solution": GOOD["solutions"]} | twins
    if kind == "modules":
        known = {}
    found = violations(nb, kind, kind / NAME, raw=raw, exists=base.FILES.__contains__, **known)
    return {violation.rule: str(violation) for violation in found}


@pytest.mark.parametrize("kind", KINDS)
def test_the_good_session_keeps_every_rule(kind):
    """Otherwise a bad one would be rejected for the wrong reason."""
    assert broken_rules(GOOD[kind], kind) == {}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_notebook_is_rejected_by_just_its_rule(case: Case):
    """By that rule, and by no other that could do without."""
    nb = copy.deepcopy(GOOD[case.kind])
    before = notebook.to_bytes(nb)
    case.spoil(nb)
    if case.raw is None:
        nb = notebook.tidy(nb)
        raw = notebook.to_bytes(nb)
    else:
        raw = case.raw(notebook.to_bytes(nb))
        nb = nbformat.from_dict(json.loads(raw))
        for cell in nb.cells:
            cell.source = "".join(cell.source)
    assert raw != before, "the case changes nothing"
    assert set(broken_rules(nb, case.kind, raw)) == {case.rule, *case.also}


def test_every_rule_rejects_something():
    """A rule without a bad example could be one that never fires."""
    assert {rule.name for rule in RULES} - {case.rule for case in CASES} - {"no-solution", "rubric"} == set()


@pytest.mark.parametrize("rest", ["marks", "tag", "metadata"])
def test_a_solution_left_in_an_exercise(rest):
    """It is rejected for that as well as for differing."""
    nb = copy.deepcopy(GOOD["exercises"])
    task = next(c for c in nb.cells if c.id == "task-same-2")
    if rest == "marks":
        task.source += "\n### END SOLUTION"
    elif rest == "tag":
        task.metadata.tags = ["task", "wrong"]
    else:
        task.metadata.psma.answer = "assert True"
    assert set(broken_rules(nb, "exercises")) == {"generated", "no-solution"}


def test_an_exercise_without_its_solution():
    """Nobody could say whether it is right."""
    assert set(broken_rules(GOOD["exercises"], "exercises", solution=None)) == {"generated"}


# ---------------------------------------------------------------- forms other than code


def test_a_session_on_paper_needs_a_rubric_and_no_code():
    """The rules about plots, predictions and checks do not hold for it."""
    lecture = copy.deepcopy(GOOD["modules"])
    lecture.metadata.psma.form = "paper"
    solution = copy.deepcopy(GOOD["solutions"])
    solution.cells = [c for c in solution.cells if c.cell_type == "markdown"]
    solution.metadata.psma.form = "paper"
    solution.cells[2].metadata.psma = {"outcome": ["3.1-a", "3.1-b", "3.1-c"]}
    assert set(broken_rules(solution, "solutions", lecture=lecture)) == {"rubric"}
    swap("Draw the pathway.", "Draw the pathway. The rubric is below.")(solution)
    assert broken_rules(solution, "solutions", lecture=lecture) == {}
    lecture.cells = [c for c in lecture.cells if c.cell_type == "markdown"]
    assert broken_rules(lecture, "modules") == {}


def test_a_git_session_may_run_git_and_nothing_is_fetched():
    """The shell is its subject; the network is off all the same."""
    lecture = copy.deepcopy(GOOD["modules"])
    lecture.metadata.psma.form = "git"
    lecture.cells.insert(4, base.cell("code", "!git log", "skip"))
    assert broken_rules(notebook.tidy(lecture), "modules") == {}
    lecture.cells[4].source = "!curl example.org"
    assert set(broken_rules(notebook.tidy(lecture), "modules")) == {"no-network"}


def test_a_session_in_r_is_held_to_the_same_rules():
    """With R's own line for the data folder, R's plots and R's assertion."""
    lecture = copy.deepcopy(GOOD["modules"])
    lecture.metadata |= {"kernelspec": notebook.KERNELS["R"], "language_info": {"name": "R"}}
    lecture.metadata.psma.form = "r"
    for cell in lecture.cells:
        if cell.cell_type == "code":
            cell.source = cell.source.replace('DATA = Path("../../data")', 'DATA <- "../../data"')
            cell.source = cell.source.replace('DATA / "jobs.csv"', 'file.path(DATA, "jobs.csv")')
            cell.source = cell.source.replace("ax.plot(", "plot(")
        if answer := notebook.psma(cell).get("answer"):
            cell.metadata.psma.answer = answer.replace("assert 2", "stopifnot(2")
    assert broken_rules(notebook.tidy(lecture), "modules") == {}
    swap('file.path(DATA, "jobs.csv")', 'file.path(DATA, "old", "jobs.csv")')(lecture)
    assert set(broken_rules(notebook.tidy(lecture), "modules")) == {"data-files"}


def test_one_id_for_two_cells():
    """Tidying cannot decide it, so the rule says it."""
    nb = copy.deepcopy(GOOD["solutions"])
    next(c for c in nb.cells if c.id == "task-same-3").id = "task-same-2"
    assert "have the same id `task-same-2`" in broken_rules(nb, "solutions")["tidy"]


# ---------------------------------------------------------------- the course as a whole


def test_the_pages_of_a_course_on_disk(tmp_path):
    """Each with its twins and bytes; one that cannot be read is missing, and that is reported."""
    (tmp_path / "pyproject.toml").write_text("")
    for kind in KINDS:
        notebook.write(GOOD[kind], tmp_path / kind / NAME)
    (tmp_path / "data").mkdir()
    for file in base.FILES:
        (tmp_path / file).write_text("")
    found = list(pages(find_course(tmp_path)))
    assert [page.kind for page in found] == ["modules", "exercises", "solutions"]
    for page in found:
        known = {name: getattr(page, name) for name in ("raw", "exists", "lecture", "solution")}
        assert violations(page.nb, page.kind, page.path, **known) == []
    assert found[1].solution == found[2].nb
    assert found[2].lecture == found[0].nb
    (tmp_path / "solutions" / NAME).write_text("{")
    there = list(pages(find_course(tmp_path)))
    assert [page.kind for page in there] == ["modules", "exercises"]
    assert [str(path) for path, _ in three_of_each(there)] == [f"solutions/{NAME}"]


def course(**names) -> list[Page]:
    """Return the pages of a course: for the name of each session, its notebooks by kind."""
    return [
        Page(nb, kind, PurePosixPath(kind) / "03_queuing_des" / f"{name}.ipynb")
        for name, books in names.items()
        for kind, nb in books.items()
    ]


def test_a_course_of_one_good_session():
    """Nothing to complain about."""
    for rule in COURSE_RULES:
        assert list(rule(course(**{"01_a": GOOD}))) == []


def test_a_check_that_is_asked_twice():
    """In another session, or in the same one."""
    pages = course(**{"01_a": {"solutions": GOOD["solutions"]}, "02_b": {"solutions": GOOD["solutions"]}})
    found = [(path.name, v.cell_id, v.text) for path, v in unique_checks(pages)]
    assert found[0] == ("02_b.ipynb", "check-same-2", "asks just what 3.1 `check-same-2` asks")
    assert len(found) == 4
    twice = copy.deepcopy(GOOD["solutions"])
    swap('"same_3(3)": 3', '"same_2(3)": 4')(twice)
    assert [v.cell_id for _, v in unique_checks(course(**{"01_a": {"solutions": twice}}))] == ["check-same-3"]


def test_sentences_that_stand_in_another_notebook():
    """More than 8% of the long ones are too many; an exercise repeats its solution by design."""
    long = "This is a sentence of which nobody would say that it is short."
    mine = base.book([base.cell("markdown", "# A\n\n" + long)], {})
    yours = base.book([base.cell("markdown", "# B\n\n" + long)], {})
    more = "".join(f" {long[:-1]} {n}." for n in range(12))
    hers = base.book([base.cell("markdown", "# C\n\n" + long + more)], {})
    assert list(own_sentences(course(**{"01_a": {"solutions": mine, "exercises": mine}}))) == []
    found = list(
        own_sentences(
            course(**{"01_a": {"modules": mine}, "02_b": {"modules": yours}, "03_c": {"modules": hers}})
        )
    )
    assert [path.name for path, _ in found] == ["01_a.ipynb", "02_b.ipynb"]
    assert "1 of 1 sentences" in found[0][1].text


def test_a_session_without_its_solution():
    """It is named, with what is missing."""
    found = three_of_each(course(**{"01_a": {"modules": GOOD["modules"], "exercises": GOOD["exercises"]}}))
    assert [str(path) for path, _ in found] == ["solutions/03_queuing_des/01_a.ipynb"]
