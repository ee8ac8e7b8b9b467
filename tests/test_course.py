"""Finding the course: modules and sessions by a scan of the notebooks."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest

from psma import notebook
from psma.course import UNREADABLE, find_course
from psma.errors import PsmaError


def put(path: Path, heading: str = "A title", **psma) -> Path:
    """Write a notebook with one H1."""
    cell = {"cell_type": "markdown", "metadata": {}, "source": f"# {heading}\n"}
    nb = nbformat.from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": {"psma": psma}, "cells": [cell]})
    notebook.write(notebook.tidy(nb), path)
    return path


NO_KERNEL = (
    '{"nbformat": 4, "metadata": {}, "cells": [{"cell_type": "markdown", "metadata": {}, "source": ["# A"]}]}'
)


@pytest.fixture
def course_root(tmp_path) -> Path:
    """Return a course of two modules: 3.1 whole, 3.2 with a lecture alone, and module 4 empty."""
    root = tmp_path / "course"
    for kind in ("modules", "exercises", "solutions"):
        put(
            root / kind / "03_queuing_des" / "01_pathways.ipynb",
            "Pathways",
            minutes={"lecture": 85, "break": 10},
        )
    put(root / "modules" / "03_queuing_des" / "02_first_simulation.ipynb", "A first simulation")
    (root / "modules" / "04_nlp").mkdir()
    (root / "modules" / "03_queuing_des" / "README.md").write_text("# 3 · Pathway and queuing problems\n")
    (root / "pyproject.toml").write_text("")
    return root


def test_scan(course_root):
    """Numbers come from the names, titles from the H1, the module's title from its README."""
    course = find_course(course_root)
    assert [(m.number, m.folder, m.title) for m in course.modules] == [
        (3, "03_queuing_des", "Pathway and queuing problems"),
        (4, "04_nlp", "Nlp"),
    ]
    first, second = course.sessions
    assert (first.id, first.module, first.number, first.name) == ("3.1", 3, 1, "01_pathways")
    assert (first.title, first.folder, first.problem) == ("Pathways", "03_queuing_des", "")
    assert first.minutes == 95
    assert first.outcomes == {}
    assert first.solution == course_root / "solutions" / "03_queuing_des" / "01_pathways.ipynb"
    assert second.exercise == course_root / "exercises" / "03_queuing_des" / "02_first_simulation.ipynb"
    assert hash(first) != hash(second)


def test_other_files_are_no_sessions(course_root):
    """Apps, checkpoints and notes stand in the folders too."""
    folder = course_root / "modules" / "03_queuing_des"
    put(folder / "scratch.ipynb")
    put(folder / ".ipynb_checkpoints" / "03_x-checkpoint.ipynb")
    put(folder / "apps" / "01_app.ipynb")
    put(course_root / "modules" / "drafts" / "01_x.ipynb")
    (course_root / "modules" / "05_note.txt").write_text("")
    assert [s.id for s in find_course(course_root).sessions] == ["3.1", "3.2"]


def test_found_from_inside_and_from_outside(course_root, tmp_path, monkeypatch):
    """From a trainee's folder, and otherwise the course that the package belongs to."""
    inside = course_root / "work" / "03_queuing_des"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    assert find_course().root == course_root
    (course_root / "modules" / "modules").mkdir()
    assert find_course(course_root / "modules").root == course_root
    monkeypatch.chdir(tmp_path)
    assert find_course().root == Path(notebook.__file__).resolve().parents[1]


def test_no_course_anywhere(tmp_path, monkeypatch):
    """One line that says what to do."""
    import psma.course

    monkeypatch.setattr(psma.course, "__file__", str(tmp_path / "site-packages" / "psma" / "course.py"))
    with pytest.raises(PsmaError, match="is not inside the course"):
        find_course(tmp_path)


@pytest.mark.parametrize("data", ["{", NO_KERNEL])
def test_a_broken_lecture_does_not_hide_the_others(course_root, data):
    """It is a session with a problem, whose file can still be selected."""
    broken = course_root / "modules" / "03_queuing_des" / "02_first_simulation.ipynb"
    broken.write_text(data)
    course = find_course(course_root)
    assert [s.title for s in course.sessions] == ["Pathways", UNREADABLE]
    assert str(broken) in course.session("3.2").problem
    assert course.select(["3.2"]) == [broken]


def test_a_lecture_without_a_title(course_root):
    """The problem names the file."""
    path = put(course_root / "modules" / "03_queuing_des" / "02_first_simulation.ipynb", "")
    assert find_course(course_root).session("3.2").problem.startswith(f"{path}: the notebook has no title")


def test_two_lectures_with_one_number(course_root):
    """The second one has a problem that names the first."""
    put(course_root / "modules" / "03_queuing_des" / "01_zebra.ipynb")
    problems = [s.problem for s in find_course(course_root).sessions if s.id == "3.1"]
    assert problems[0] == ""
    assert "01_zebra.ipynb: has the number of 01_pathways.ipynb" in problems[1]


def test_malformed_metadata_is_borne(course_root):
    """Rules complain about it elsewhere."""
    put(course_root / "modules" / "03_queuing_des" / "02_first_simulation.ipynb", minutes=[85], outcomes="a")
    session = find_course(course_root).session("3.2")
    assert (session.minutes, session.outcomes) == (0, {})


def relative(course, paths):
    """Return the paths as a reader would write them."""
    return [path.relative_to(course.root).as_posix().replace("03_queuing_des/", "") for path in paths]


def test_select(course_root, monkeypatch):
    """Sessions, modules, all, files and folders; each file once, in the order named."""
    course = find_course(course_root)
    lecture, solution, second = (
        "modules/01_pathways.ipynb",
        "solutions/01_pathways.ipynb",
        "modules/02_first_simulation.ipynb",
    )
    assert relative(course, course.select(["3.1"])) == [lecture, solution]
    assert relative(course, course.select(["3.1"], kinds=("exercises",))) == ["exercises/01_pathways.ipynb"]
    assert relative(course, course.select(["3.2", "3"])) == [second, lecture, solution]
    assert (
        relative(course, course.select(["all"]))
        == relative(course, course.select([]))
        == [lecture, solution, second]
    )
    assert course.select(["4"]) == []
    exercise = "exercises/03_queuing_des/01_pathways.ipynb"
    assert relative(course, course.select([exercise])) == ["exercises/01_pathways.ipynb"]
    monkeypatch.chdir(course_root / "exercises")
    assert course.select(["03_queuing_des/01_pathways.ipynb", exercise]) == [course_root / exercise]
    assert relative(course, course.select(["modules/03_queuing_des"])) == [lecture, second]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("3.9", "There is no session 3.9. Module 3 has 3.1, 3.2."),
        ("4.1", "There is no session 4.1. Module 4 has no sessions yet."),
        ("12", "There is no module 12. The modules are 3, 4."),
        ("12.1", "There is no module 12. The modules are 3, 4."),
        ("first_simulation", "There is no session or notebook first_simulation. Did you mean 3.2?"),
        (
            "modules/03_queuing_des/01_pathway.ipynb",
            "There is no session or notebook modules/03_queuing_des/01_pathway.ipynb. "
            "Did you mean modules/03_queuing_des/01_pathways.ipynb?",
        ),
        ("zzz", 'There is no session or notebook zzz. Name a session ("3.2"), a module ("3") or a file.'),
        ("", 'There is no session or notebook . Name a session ("3.2"), a module ("3") or a file.'),
        (
            "README.md",
            'There is no session or notebook README.md. Name a session ("3.2"), a module ("3") or a file.',
        ),
    ],
)
def test_an_unknown_name_gets_what_there_is(course_root, name, message):
    """The nearest match, in one line."""
    with pytest.raises(PsmaError) as caught:
        find_course(course_root).select([name])
    assert str(caught.value) == message


def test_session_by_id(course_root):
    """One of them, or the same message."""
    course = find_course(course_root)
    assert course.session("3.2").title == "A first simulation"
    with pytest.raises(PsmaError, match=r"Module 3 has 3\.1, 3\.2"):
        course.session("3.3")


def test_a_session_without_the_wanted_file(course_root):
    """Silence would look like success."""
    with pytest.raises(PsmaError, match=r"Session 3\.2 has no notebook in solutions yet"):
        find_course(course_root).select(["3.2"], kinds=("solutions",))


def test_a_course_without_notebooks(course_root):
    """A fresh clone of an empty course is no error."""
    shutil.rmtree(course_root / "modules" / "03_queuing_des")
    course = find_course(course_root)
    assert course.sessions == ()
    assert course.select(["all"]) == []
