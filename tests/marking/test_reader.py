"""Reading what was sent: whatever it is, there is a submission with cells, or a flag in words."""

# ruff: noqa: E501 (tables, a row a line)
from __future__ import annotations

import json

import marking_material as material
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from psma.marking.reader import Sent, candidate_of, find, load
from psma.marking.source import Cell, hidden_lines, plan, read_paper

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["cells", "cell_type", "source", "metadata", "nbgrader", "grade_id", "worksheets", "input", "code"]), inner, max_size=4),
    max_leaves=15,
)  # fmt: skip


@pytest.fixture
def paper(tmp_path):
    return read_paper(material.write_paper(tmp_path / "paper"))


def check(paper, path):
    submission = load(Sent("1", (path,)), paper)
    if submission.cells is None:
        assert any(flag.needs_person and flag.words for flag in submission.flags)
    else:
        plan(paper, list(submission.cells))
    json.dumps([flag.words for flag in submission.flags]).encode("utf-8")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_any_bytes(paper, tmp_path, noise):
    for name in ("1.ipynb", "1.zip"):
        (tmp_path / name).write_bytes(noise)
        check(paper, tmp_path / name)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(anything)
def test_any_json(paper, tmp_path, value):
    (tmp_path / "1.ipynb").write_text(json.dumps(value))
    check(paper, tmp_path / "1.ipynb")


names = st.sampled_from(["given", "q1", "q1_test", "q2", "q2_test", "q6", "mine", "", None])
sent_cells = st.lists(
    st.builds(Cell, st.sampled_from(["code", "markdown"]), st.text(max_size=9), names), max_size=12
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent_cells)
def test_whatever_cells_come_every_test_of_the_paper_runs_once_and_is_the_papers_own(paper, cells):
    steps = plan(paper, cells).steps
    tests = [(step.id, step.source, step.points) for step in steps if step.do == "test"]
    wanted = [(cell.id, cell.source, cell.points) for cell in paper.cells if cell.test]
    assert sorted(tests) == sorted(wanted)
    hidden = [step for step in steps if step.do == "run" and "HIDDEN" in step.source]
    assert hidden == []


@pytest.mark.parametrize(("name", "candidate"), [
    ("0012.ipynb", "0012"), ("practice_0012.ipynb", "0012"), ("0012-practice.zip", "0012"), ("0012 (1).ipynb", "0012 (1)"),
    ("caf\u00e9.ipynb", "caf\u00e9"), ("a:b.ipynb", "a_b"), ("x" * 200 + ".ipynb", "x" * 80), ("....ipynb", "unnamed"),
])  # fmt: skip
def test_candidates_are_called_by_their_files(paper, tmp_path, name, candidate):
    assert candidate_of(tmp_path / name, paper) == candidate


def test_hidden_files_are_left_out(paper, tmp_path):
    sent = tmp_path / "sent"
    sent.mkdir()
    for name in (".DS_Store", ".hidden", "Thumbs.db", "0001.ipynb"):
        (sent / name).write_text("{}")
    assert [each.candidate for each in find(sent, paper)] == ["0001"]


def test_hidden_lines_are_those_between_the_marks():
    assert hidden_lines("a\n### BEGIN HIDDEN TESTS\nb\n### END HIDDEN TESTS\nc") == {2, 3, 4}


def test_what_is_released_is_what_nbgrader_releases(paper):
    pytest.importorskip("nbgrader")
    import nbformat
    from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions

    notebook = nbformat.from_dict(material.source())
    for preprocessor in (ClearSolutions(), ClearHiddenTests()):
        notebook, _ = preprocessor.preprocess(notebook, {})
    theirs = {
        cell.metadata.nbgrader.grade_id: cell.source for cell in notebook.cells if "nbgrader" in cell.metadata
    }
    assert theirs == {cell.id: cell.released for cell in paper.cells if cell.id}
