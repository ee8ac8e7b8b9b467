"""From solution to exercise, and what psma build and psma tidy write."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_output

from psma import notebook
from psma.course import find_course
from psma.errors import PsmaError
from psma.exercises import BEGIN, END, build, exercise_from, tidy_all, with_answer, wrong_answers

# A busy machine is no failure.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

FUNCTION = '''\
def wait(load):
    """Mean wait."""
    ### BEGIN SOLUTION
    return load / (1 - load)
    ### END SOLUTION'''


def cell(source, kind="code", *tags, **fields):
    """Return a cell of this kind with these tags."""
    metadata = {"tags": list(tags)} | fields.pop("metadata", {})
    more = {"outputs": [], "execution_count": None} if kind == "code" else {}
    return nbformat.from_dict({"cell_type": kind, "source": source, "metadata": metadata} | more | fields)


def book(*cells, **metadata):
    """Return a notebook of these cells."""
    return nbformat.from_dict(
        {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": list(cells)}
    )


def stub(source, **metadata):
    """Return what becomes of one code cell."""
    return exercise_from(book(cell(source), **metadata)).cells[0].source


# ---------------------------------------------------------------- stubs


def test_a_function_keeps_signature_and_docstring():
    """Its body becomes an ellipsis at the right indentation."""
    assert stub(FUNCTION) == 'def wait(load):\n    """Mean wait."""\n    ...'


def test_a_whole_cell_becomes_a_comment():
    """And so does a gap between given lines at the left margin."""
    assert stub(f"{BEGIN}\ntable = 1\n{END}") == "# your code here"
    assert stub(f"x = 1\n{BEGIN}\ny = x\n{END}\nprint(x)") == "x = 1\n# your code here\nprint(x)"


def test_a_method_and_a_given_line_in_a_body():
    """What stands before the gap in the same function stays."""
    source = f"""\
class Model:
    def run(self):
        seed = 1
        {BEGIN}
        return seed
        {END}

    def stop(self):
        {BEGIN}
        return 0
        {END}"""
    assert stub(textwrap.dedent(source)) == (
        "class Model:\n    def run(self):\n        seed = 1\n        ...\n\n    def stop(self):\n        ..."
    )


def test_a_gap_in_a_loop_leaves_a_cell_that_runs():
    """A comment would leave the loop without a body."""
    left = stub(f"for n in range(3):\n    {BEGIN}\n    print(n)\n    {END}\nprint('done')")
    exec(compile(left, "cell", "exec"), {"print": lambda *_: None})


def test_r_gets_a_comment_everywhere():
    """An ellipsis in a function's body would stop R."""
    source = f"wait <- function(load) {{\n  {BEGIN}\n  load\n  {END}\n}}"
    ir = {"kernelspec": {"name": "ir", "language": "R", "display_name": "R"}}
    assert stub(source, **ir) == "wait <- function(load) {\n  # your code here\n}"


def test_magics_are_no_python_and_no_error():
    """A cell that Python cannot parse, such as one for the shell, is cut as it stands."""
    assert stub(f"%%bash\n{BEGIN}\ngit status\n{END}") == "%%bash\n# your code here"


def test_what_is_dropped_and_what_is_kept():
    """Written answers, wrong answers and proofs go; the empty cell for the trainee and all ids stay."""
    nb = book(
        cell("# Title", "markdown", id="title"),
        cell(FUNCTION, id="task-wait", metadata={"psma": {"answer": "assert True", "outcome": ["3.1-a"]}}),
        cell("--- a\nreturn 1", "raw", "wrong"),
        cell("check({})", "code", "check", id="check-wait"),
        cell("**Why.**", "markdown", "solution"),
        cell("", "markdown", "answer", id="answer-tell"),
        cell("The model answer", "markdown", "solution"),
        psma={"form": "code"},
    )  # fmt: skip
    before = notebook.to_bytes(nb)
    exercise = exercise_from(nb)
    assert notebook.to_bytes(nb) == before, "the solution was changed"
    assert [c.id for c in exercise.cells] == ["title", "task-wait", "check-wait", "answer-tell"]
    assert exercise.cells[1].metadata == {"psma": {"outcome": ["3.1-a"]}}
    assert exercise.metadata.psma == {"form": "code"}


def test_a_derived_id_survives_in_the_exercise():
    """The id of a stub is that of its solution, also when it was derived from the solution's text."""
    nb = notebook.tidy(book(cell(FUNCTION)))
    assert exercise_from(nb).cells[0].id == nb.cells[0].id


# ---------------------------------------------------------------- marks that do not pair up


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (f"x\n{BEGIN}\ny", r"BEGIN SOLUTION without ### END SOLUTION \(line 2\)"),
        (f"x\n{END}", r"END SOLUTION without ### BEGIN SOLUTION \(line 2\)"),
        (f"{BEGIN}\n{BEGIN}\n{END}\n{END}", r"stands inside another \(lines 1 and 2\)"),
        (f"{END}\n{BEGIN}", "END SOLUTION without"),
        ("# BEGIN SOLUTION\ny\n# END SOLUTION", "line 1 looks like a mark: write it exactly"),
        (f"{BEGIN}\ny\n### end solution", "line 3 looks like a mark"),
        (f"x = 1  {BEGIN}\n", "line 1 looks like a mark"),
        (f"x = [\n{BEGIN}\n1]\n{END}", "without its solution the cell is not Python"),
    ],
)
def test_marks_that_do_not_pair_up(source, message):
    """Half a mark would hand the solution to the trainee, so nothing is built; the message names the cell."""
    with pytest.raises(PsmaError, match=message) as caught:
        exercise_from(book(cell("# T", "markdown"), cell(source, id="task-wait")))
    assert str(caught.value).startswith("cell 2 (`task-wait`): ")
    assert "\n" not in str(caught.value)


def test_a_mark_outside_code_and_an_id_twice():
    """Both are refused."""
    with pytest.raises(PsmaError, match=r"cell 1.*outside code"):
        exercise_from(book(cell(f"{BEGIN}\nMerge.\n{END}", "markdown")))
    with pytest.raises(PsmaError, match="cells 1 and 2 have the same id `task-wait`"):
        exercise_from(book(cell("1", id="task-wait"), cell("2", id="task-wait")))


LINES = st.lists(
    st.sampled_from(
        [
            BEGIN,
            END,
            f"    {BEGIN}",
            f"    {END}  ",
            "given = 1",
            "",
            "    given",
            "# End solution",
            "é λ\x0b\u2028",
            "def f():",
        ]
    ),
    max_size=12,
)


@PATIENT
@given(st.lists(st.tuples(LINES, st.sampled_from(["\n", "\r\n", "\r"])), max_size=4))
def test_no_solution_ever_leaks(cells):
    """Whatever the marks: either an error of one line, or nothing that stood between two marks is left."""
    sources, secret = [], 0
    for lines, newline in cells:
        written, inside = [], False
        for line in lines:
            inside = line.strip() == BEGIN if line.strip() in (BEGIN, END) else inside
            secret += 1
            written.append(line if line.strip() in (BEGIN, END) else f"{line} {'SECRET' * inside}{secret}")
        sources.append(newline.join(written))
    nb = book(*(cell(source) for source in sources))
    try:
        exercise = exercise_from(nb)
    except PsmaError as error:
        assert len(str(error).splitlines()) == 1
        return
    text = "\n".join(c.source for c in exercise.cells)
    assert "SECRET" not in text
    assert "SOLUTION" not in text
    given_lines = [line for s in sources for line in s.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    for line in given_lines:
        if "SECRET" not in line and line.strip() not in (BEGIN, END):
            assert line in text


NAMES = st.sampled_from(["wait", "options", "chance_full"])
BODY = st.lists(
    st.sampled_from(["x = 1", "return x", "for n in range(3):\n    x = n", "x = '''\n  odd\n'''"]),
    min_size=1,
    max_size=3,
)


@PATIENT
@given(NAMES, BODY, st.sampled_from(["    ", "        "]))
def test_stub_and_wrong_answers_are_python_of_the_same_function(name, body, indent):
    """Any body: the stub defines the function and returns nothing, a wrong answer parses in its place."""
    inner = textwrap.indent("\n".join(body), indent)
    source = f'def {name}(load):\n{indent}"""Mean."""\n{indent}{BEGIN}\n{inner}\n{indent}{END}'
    space = {}
    exec(stub(source), space)
    assert space[name](0.5) is None
    assert space[name].__doc__ == "Mean."
    answered = with_answer(source, "return 2")
    ast.parse(answered)
    assert stub(answered) == stub(source)


# ---------------------------------------------------------------- wrong answers


def test_wrong_answers_belong_to_the_nearest_task_above():
    """In order, with the words and the code of each."""
    nb = book(
        cell(FUNCTION, "code", "task"),
        cell("x = 1"),
        cell("--- prints\nprint(1)\n\n--- two lines\nx = 1\nreturn x\n", "raw", "wrong"),
        cell(f"{BEGIN}\ny = 1\n{END}", "code", "task"),
        cell("---  a string\ny = '1'", "raw", "wrong"),
    )
    found = [(w.task_cell_index, w.what, w.code) for w in wrong_answers(nb)]
    assert found == [
        (0, "prints", "print(1)"),
        (0, "two lines", "x = 1\nreturn x"),
        (3, "a string", "y = '1'"),
    ]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("return 1", "code before the first line"),
        ("--- a\n\n--- b\nreturn 1", "no code under '--- a'"),
        ("--- a\nreturn 1\n--- b", "no code under '--- b'"),
        ("---\nreturn 1", "say behind the ---"),
    ],
)
def test_wrong_answers_that_say_nothing(raw, message):
    """Each needs words and code."""
    with pytest.raises(PsmaError, match=rf"cell 2 \(`wrong-wait`\): .*{message}"):
        wrong_answers(book(cell(FUNCTION), cell(raw, "raw", "wrong", id="wrong-wait")))


def test_wrong_answers_without_a_task():
    """They would be tried on nothing."""
    with pytest.raises(PsmaError, match="no task with ### BEGIN SOLUTION stands above"):
        wrong_answers(book(cell("x = 1"), cell("--- a\nb", "raw", "wrong")))


def test_with_answer_indents_as_the_marks_do():
    """The answer may be written at any indentation, and keeps its own inner one."""
    expected = (
        f'def wait(load):\n    """Mean wait."""\n    {BEGIN}\n    if load:\n        return 1\n    {END}'
    )
    assert with_answer(FUNCTION, "if load:\n    return 1") == expected
    assert with_answer(FUNCTION, "        if load:\n            return 1\n") == expected


@pytest.mark.parametrize("source", ["x = 1", f"{BEGIN}\n1\n{END}\n{BEGIN}\n2\n{END}"])
def test_with_answer_needs_one_gap(source):
    """With none or two it is not clear where the answer goes."""
    with pytest.raises(PsmaError, match="one pair"):
        with_answer(source, "1")


# ---------------------------------------------------------------- build


@pytest.fixture
def course_root(tmp_path) -> Path:
    """Return a course of one module and two tidy sessions, not built yet."""
    root = tmp_path / "course"
    root.mkdir()
    (root / "pyproject.toml").write_text("")
    for number, name in ((1, "pathways"), (2, "simulation")):
        meta = {
            "minutes": {"lecture": 85, "break": 10, "exercise": 65, "report_back": 20},
            "outcomes": {f"3.{number}-a": "x"},
        }
        heading = f'# {name.title()} | 1\n\n**The question.** *"Why can\'t I\nhave 95%?"*\n\nChief Inspector'
        lecture = book(cell(heading, "markdown"), psma=meta)
        solution = book(
            cell("# T", "markdown"), cell(FUNCTION, id="task-wait"), cell("So.", "markdown", "solution")
        )
        notebook.write(notebook.tidy(lecture), root / f"modules/03_queuing_des/0{number}_{name}.ipynb")
        notebook.write(notebook.tidy(solution), root / f"solutions/03_queuing_des/0{number}_{name}.ipynb")
    (root / "modules/03_queuing_des/README.md").write_text(
        "# 3 · Queues\n\n<!-- sessions -->\n<!-- /sessions -->\n\nEnd\n"
    )
    return root


def said(course, changes):
    """Return file, why and problem of each change."""
    return [
        (c.path.relative_to(course.root).as_posix().replace("03_queuing_des/", ""), c.why, c.problem)
        for c in changes
    ]


def bytes_of(root):
    """Return what stands in every file."""
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_build_writes_exercises_and_tables_once(course_root):
    """First a check that writes nothing, then the build, then nothing is left to do."""
    course = find_course(course_root)
    before = bytes_of(course_root)
    expected = [
        ("exercises/01_pathways.ipynb", "is missing", False),
        ("exercises/02_simulation.ipynb", "is missing", False),
        ("modules/README.md", "the table of sessions is out of date", False),
    ]
    assert said(course, build(course, check=True)) == expected
    assert bytes_of(course_root) == before
    assert said(course, build(course)) == expected
    built = bytes_of(course_root)
    assert build(course) == []
    assert build(find_course(course_root), check=True) == []
    assert bytes_of(course_root) == built
    readme = (course_root / "modules/03_queuing_des/README.md").read_text()
    assert readme == (
        "# 3 · Queues\n\n<!-- sessions -->\n"
        "| Session | Lecture | The question | Outcomes | Minutes |\n|---|---|---|---:|---:|\n"
        "| 3.1 | [Pathways \\| 1](01_pathways.ipynb) | Why can't I have 95%? | 1 | 180 |\n"
        "| 3.2 | [Simulation \\| 1](02_simulation.ipynb) | Why can't I have 95%? | 1 | 180 |\n"
        "<!-- /sessions -->\n\nEnd\n"
    )


def test_an_edited_exercise_is_reported_with_the_first_cell_that_differs(course_root):
    """And is put right by a build."""
    course = find_course(course_root)
    build(course)
    path = course.session("3.1").exercise
    good = path.read_bytes()
    path.write_bytes(good.replace(b'"    ..."', b'"    return 1"'))
    assert said(course, build(course, check=True)) == [
        (
            "exercises/01_pathways.ipynb",
            "differs from its solution: first difference in cell 2 (`task-wait`)",
            False,
        )
    ]
    build(course)
    assert path.read_bytes() == good
    nb = notebook.read(course.session("3.1").solution)
    del nb.metadata["kernelspec"]
    notebook.write(nb, course.session("3.1").solution)
    assert build(course, check=True) == [], "an untidy solution gives the same exercise"


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda b: b"{", "cannot be read: is broken JSON"),
        (lambda b: b + b"\n", "in the notebook's metadata or its layout"),
        (
            lambda b: b.replace(b'"nbformat_minor": 5', b'"nbformat_minor": 4'),
            "in the notebook's metadata or its layout",
        ),
    ],
)
def test_other_differences_of_an_exercise(course_root, spoil, why):
    """Every byte counts."""
    course = find_course(course_root)
    build(course)
    path = course.session("3.1").exercise
    path.write_bytes(spoil(path.read_bytes()))
    (change,) = build(course, check=True)
    assert why in change.why
    build(course)
    assert build(course, check=True) == []


def test_an_exercise_with_a_cell_too_many(course_root):
    """Equal as far as it goes."""
    course = find_course(course_root)
    build(course)
    nb = notebook.read(course.session("3.1").exercise)
    nb.cells.append(cell("more", id="more"))
    notebook.write(notebook.tidy(nb), course.session("3.1").exercise)
    assert [c.why for c in build(course, check=True)] == [
        "differs from its solution: has 3 cells instead of 2"
    ]


def test_a_broken_solution_stops_nothing_else(course_root):
    """Its exercise stays as it was, the other one is built, and the report names the file and the cell."""
    course = find_course(course_root)
    build(course)
    kept = course.session("3.1").exercise.read_bytes()
    course.session("3.2").exercise.unlink()
    solution = course.session("3.1").solution
    solution.write_bytes(solution.read_bytes().replace(b"### END SOLUTION", b"### ENDE"))
    assert said(course, build(course)) == [
        (
            "solutions/01_pathways.ipynb",
            f"cell 2 (`task-wait`): {BEGIN} without {END} (line 3): add {END} below it",
            True,
        ),
        ("exercises/02_simulation.ipynb", "is missing", False),
    ]
    assert course.session("3.1").exercise.read_bytes() == kept
    assert course.session("3.2").exercise.exists()


def test_an_exercise_without_a_solution_is_removed(course_root):
    """Reported by the check, removed by the build."""
    course = find_course(course_root)
    build(course)
    course.session("3.1").solution.unlink()
    expected = [("exercises/01_pathways.ipynb", "its solution is gone", False)]
    assert said(course, build(course, check=True)) == expected
    assert course.session("3.1").exercise.exists()
    assert said(course, build(course)) == expected
    assert not course.session("3.1").exercise.exists()


def test_a_read_only_exercise(course_root):
    """It is a problem of that file alone, and the file is whole."""
    course = find_course(course_root)
    build(course)
    path = course.session("3.1").exercise
    path.write_bytes(b"{}")
    path.chmod(0o444)
    (change,) = build(course)
    assert (change.path, change.problem) == (path, True)
    assert change.why.startswith("is read-only")
    assert path.read_bytes() == b"{}"


def test_the_table_needs_both_marks_and_a_readme(course_root):
    """With neither mark the table is added at the end; with half, or no README, somebody has to look."""
    course = find_course(course_root)
    readme = course_root / "modules/03_queuing_des/README.md"
    readme.write_text("# 3 · Queues\n\nText\n\n")
    build(course)
    assert readme.read_text().startswith("# 3 · Queues\n\nText\n\n<!-- sessions -->\n| Session")
    assert readme.read_text().endswith("|\n<!-- /sessions -->\n")
    assert build(course, check=True) == []
    readme.write_text("# 3 · Queues\n<!-- sessions -->\nText\n")
    assert said(course, build(course)) == [
        ("modules/README.md", "has <!-- sessions --> but no <!-- /sessions --> after it: add it", True)
    ]
    readme.write_bytes(b"# \xff")
    assert [c.problem for c in build(course)] == [True]
    readme.unlink()
    assert said(course, build(course)) == [
        ("modules/README.md", "is missing: write what the module answers", True)
    ]


def test_the_table_waits_for_a_lecture_that_cannot_be_read(course_root):
    """A broken file must not wipe a row."""
    course = find_course(course_root)
    build(course)
    course.session("3.2").lecture.write_text("{")
    (change,) = build(find_course(course_root))
    assert change.problem
    assert "3.2 cannot be read" in change.why


def test_a_lecture_without_a_question(course_root):
    """Its row has an empty place."""
    lecture = find_course(course_root).session("3.1").lecture
    notebook.write(notebook.tidy(book(cell("# Pathways", "markdown"), cell("**The question.** x"))), lecture)
    course = find_course(course_root)
    build(course)
    readme = (course_root / "modules/03_queuing_des/README.md").read_text()
    assert "| 3.1 | [Pathways](01_pathways.ipynb) |  |  |  |\n" in readme


def test_an_exercise_that_cannot_be_removed(course_root, monkeypatch):
    """A problem, and no traceback."""
    course = find_course(course_root)
    build(course)
    course.session("3.1").solution.unlink()

    def fail(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", fail)
    (change,) = build(course)
    assert (change.why, change.problem) == ("cannot be removed (Permission denied)", True)


def test_a_module_without_sessions_needs_no_table(course_root):
    """Its README is left as it stands, or gets an empty table if it has the marks."""
    empty = course_root / "modules/04_nlp"
    empty.mkdir()
    assert [c.path.name for c in build(find_course(course_root))][-1] == "README.md"
    assert build(find_course(course_root)) == []
    (empty / "README.md").write_text("# 4 · NLP\n")
    course = find_course(course_root)
    build(course)
    assert (empty / "README.md").read_text() == "# 4 · NLP\n"
    (empty / "README.md").write_text("# 4\n<!-- sessions -->\n| old |\n<!-- /sessions -->\n")
    build(course)
    assert (empty / "README.md").read_text() == "# 4\n<!-- sessions -->\n<!-- /sessions -->\n"


# ---------------------------------------------------------------- tidy


def test_tidy_all(course_root):
    """Says of each file what it changed, changes nothing with check, and nothing the second time."""
    course = find_course(course_root)
    lecture, solution = course.session("3.1").lecture, course.session("3.2").solution
    nb = notebook.read(lecture)
    nb.cells[0].metadata.collapsed = True
    lecture.write_bytes(notebook.to_bytes(nb))
    nb = notebook.read(solution)
    nb.cells[1].outputs = [new_output("stream", text="x")]
    nb.cells[1].id = "04e86419"
    del nb.metadata["kernelspec"]
    solution.write_bytes(notebook.to_bytes(nb))
    before = bytes_of(course_root)
    expected = [
        ("modules/01_pathways.ipynb", "1 cell had untidy metadata", False),
        (
            "solutions/02_simulation.ipynb",
            "1 cell had outputs; 1 id derived; notebook metadata put in order",
            False,
        ),
    ]
    assert said(course, tidy_all(course, check=True)) == expected
    assert bytes_of(course_root) == before
    assert said(course, tidy_all(course, paths=[lecture])) == expected[:1]
    assert said(course, tidy_all(course)) == expected[1:]
    assert tidy_all(course) == []


def test_tidy_reports_what_it_cannot_read(course_root):
    """And goes on with the others."""
    course = find_course(course_root)
    course.session("3.1").lecture.write_text("{")
    solution = course.session("3.2").solution
    solution.write_bytes(solution.read_bytes() + b" ")
    assert said(course, tidy_all(course)) == [
        ("modules/01_pathways.ipynb", tidy_all(course)[0].why, True),
        ("solutions/02_simulation.ipynb", "written in the course's form", False),
    ]
    assert tidy_all(course)[0].why.startswith("is broken JSON")
