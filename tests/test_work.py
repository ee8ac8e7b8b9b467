"""The trainee's copies are never lost, progress is counted, and the home page says where to go."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from psma import home, notebook, work
from psma.checks import key
from psma.course import Course, find_course
from psma.errors import PsmaError

KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


def write(path: Path, *cells: object, title: str = "Queues & cars") -> None:
    """Write a notebook with a title."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=[new_markdown_cell(f"# {title}"), *cells], metadata=KERNEL), path)


def task(number: int, *expressions: str) -> list[object]:
    """Heading, stub and check of one task."""
    cases = ", ".join(f'"{expression}": 1' for expression in expressions)
    return [
        new_markdown_cell(f"## Task {number} (core, 5 minutes): count the *cars*"),
        new_code_cell("# your code here"),
        new_code_cell(f"check({{{cases}}})", metadata={"tags": ["check"]}),
    ]


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """Two modules; 1.1 has an exercise of two tasks, 1.2 one without checks, 2.1 a lecture alone."""
    (tmp_path / "pyproject.toml").touch()
    for folder, name in (("01_first", "01_start"), ("01_first", "02_paper"), ("02_second", "01_more")):
        write(
            tmp_path / "modules" / folder / f"{name}.ipynb", new_code_cell("x = 1"), title=f"Title of {name}"
        )
    write(tmp_path / "exercises/01_first/01_start.ipynb", *task(1, "f(1)", "f(2)"), *task(2, "g(1)"))
    write(tmp_path / "exercises/01_first/02_paper.ipynb", new_markdown_cell("## Task 1: draw"))
    return find_course(tmp_path)


def edit(path: Path, change: Callable[[nbformat.NotebookNode], None]) -> bytes:
    """Change a notebook and save it as JupyterLab would; returns the new bytes."""
    nb = nbformat.read(path, as_version=4)
    change(nb)
    nbformat.write(nb, path)
    return path.read_bytes()


def answer(nb: nbformat.NotebookNode) -> None:
    """What a trainee does."""
    nb.cells[2].source = "def f(x): return x"


def reword(nb: nbformat.NotebookNode) -> None:
    """What an author does."""
    nb.cells[0].source += ", once more"


def run(nb: nbformat.NotebookNode) -> None:
    """What Jupyter does on its own: outputs, counts, metadata, an empty cell at the end."""
    nb.metadata["language_info"] = {"name": "python", "version": "3.12"}
    nb.cells[-1].execution_count = 4
    nb.cells[-1].outputs = [nbformat.v4.new_output("stream", text="Right.")]
    nb.cells.append(new_code_cell(""))


def exercise_of(course: Course) -> tuple[Path, Path]:
    """Original and copy of the exercise of 1.1."""
    return course.root / "exercises/01_first/01_start.ipynb", course.root / "work/01_first/01_start.ipynb"


def files(course: Course) -> set[str]:
    """The notebooks in work/, relative to it."""
    return {
        path.relative_to(course.root / "work").as_posix() for path in (course.root / "work").rglob("*.ipynb")
    }


# ---------------------------------------------------------------- copies

ALL = {
    "01_first/01_start.ipynb",
    "01_first/01_start.lecture.ipynb",
    "01_first/02_paper.ipynb",
    "01_first/02_paper.lecture.ipynb",
    "02_second/01_more.lecture.ipynb",
}


def test_exercises_and_lectures_are_copied_and_nothing_else(course):
    report = work.prepare(course)
    assert files(course) == ALL and len(report.new) == 5
    original, copy = exercise_of(course)
    assert copy.read_bytes() == original.read_bytes()
    everything = {
        path.relative_to(course.root / "work").as_posix() for path in (course.root / "work").rglob("*.*")
    }
    assert everything == ALL | {"Home.md", ".psma", ".psma/copies.json"}


def test_a_second_time_nothing_happens(course):
    work.prepare(course)
    before = {path: path.stat().st_mtime_ns for path in (course.root / "work").rglob("*") if path.is_file()}
    report = work.prepare(course)
    assert not (report.new or report.updated or report.kept or report.problems)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert list(work.lines(report)) == ["Your copies in work/ are up to date."]


def test_an_untouched_copy_follows_the_course(course):
    work.prepare(course)
    original, copy = exercise_of(course)
    edit(original, reword)
    assert work.prepare(course).updated == [copy]
    assert copy.read_bytes() == original.read_bytes()


def test_a_copy_that_was_only_run_counts_as_untouched(course):
    work.prepare(course)
    original, copy = exercise_of(course)
    edit(copy, run)
    edit(original, reword)
    assert work.prepare(course).updated == [copy]


def test_an_edited_copy_is_never_overwritten_and_nothing_is_said_while_the_course_stands_still(course):
    work.prepare(course)
    _, copy = exercise_of(course)
    mine = edit(copy, answer)
    report = work.prepare(course)
    assert copy.read_bytes() == mine and not report.kept and files(course) == ALL


def test_where_both_have_changed_the_new_version_is_put_beside_once(course):
    work.prepare(course)
    original, copy = exercise_of(course)
    mine = edit(copy, answer)
    edit(original, reword)
    report = work.prepare(course)
    beside = copy.with_name("01_start.new.ipynb")
    assert report.kept == [(copy, beside)] and copy.read_bytes() == mine
    assert beside.read_bytes() == original.read_bytes()
    assert any("01_start.new.ipynb" in line for line in work.lines(report))
    beside.unlink()  # the trainee does not want it
    assert not work.prepare(course).kept and not beside.exists()


def test_a_new_version_that_was_edited_is_kept_too(course):
    work.prepare(course)
    original, copy = exercise_of(course)
    edit(copy, answer)
    edit(original, reword)
    work.prepare(course)
    beside = copy.with_name("01_start.new.ipynb")
    also_mine = edit(beside, answer)
    edit(original, reword)
    assert work.prepare(course).kept == [(copy, copy.with_name("01_start.new2.ipynb"))]
    assert beside.read_bytes() == also_mine


def test_an_unedited_new_version_follows_the_course(course):
    work.prepare(course)
    original, copy = exercise_of(course)
    edit(copy, answer)
    for _ in range(2):
        edit(original, reword)
        work.prepare(course)
    assert copy.with_name("01_start.new.ipynb").read_bytes() == original.read_bytes()
    assert not copy.with_name("01_start.new2.ipynb").exists()


def test_a_deleted_copy_comes_back_fresh(course):
    work.prepare(course)
    original, copy = exercise_of(course)
    edit(copy, answer)
    copy.unlink()
    assert work.prepare(course).new == [copy]
    assert copy.read_bytes() == original.read_bytes()


@pytest.mark.parametrize(
    "state", ["", "{broken", "[1]", '{"copied": 3}', '{"copied": {"a": 1}, "offered": {}}']
)
def test_without_a_readable_state_every_difference_counts_as_edited(course, state):
    work.prepare(course)
    _, copy = exercise_of(course)
    mine = edit(copy, answer)
    (course.root / "work" / work.STATE).write_text(state)
    report = work.prepare(course)
    assert copy.read_bytes() == mine
    assert report.kept == [(copy, copy.with_name("01_start.new.ipynb"))]


def test_an_interrupted_run_is_repaired_by_the_next(course, monkeypatch):
    write_file, calls = notebook.replace_file, []

    def interrupted(path: Path, data: bytes) -> bool:
        calls.append(path)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return write_file(path, data)

    monkeypatch.setattr(notebook, "replace_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        work.prepare(course)
    monkeypatch.undo()
    assert len(files(course)) == 2
    (course.root / "work" / work.STATE).unlink()  # as if it had been stopped by force
    report = work.prepare(course)
    assert files(course) == ALL and not report.kept and len(report.new) == 3


def test_a_copy_that_is_broken_json_is_kept(course):
    work.prepare(course)
    original, copy = exercise_of(course)
    copy.write_text('{"half')
    edit(original, reword)
    report = work.prepare(course)
    assert copy.read_text() == '{"half'
    assert report.kept == [(copy, copy.with_name("01_start.new.ipynb"))]


def test_an_original_that_is_broken_is_named_and_the_others_are_copied(course):
    exercise_of(course)[0].write_text("{")
    report = work.prepare(course)
    assert files(course) == ALL - {"01_first/01_start.ipynb"}
    assert len(report.problems) == 1 and "01_start.ipynb" in report.problems[0]


def test_many_new_copies_are_counted_few_are_listed(course):
    report = work.Report(course.root / "work", new=[course.root / "work" / f"{n}.ipynb" for n in range(13)])
    assert list(work.lines(report)) == ["13 notebooks new in work/"]
    assert list(work.lines(work.Report(report.work, new=report.new[:1]))) == ["new: work/0.ipynb"]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_a_work_folder_that_cannot_be_written_is_one_line(course, monkeypatch):
    (course.root / "work").mkdir()
    if os.geteuid() == 0:  # root may write anywhere: the system's answer is put in its mouth
        monkeypatch.setattr(Path, "write_bytes", _refuse)
        monkeypatch.setattr(os, "access", lambda *_: False)
    else:
        (course.root / "work").chmod(0o555)
    with pytest.raises(PsmaError, match=r"cannot be written \(Permission denied\): allow writing in .*work"):
        work.prepare(course)


def _refuse(path: Path, data: bytes) -> int:
    raise PermissionError(13, "Permission denied", str(path))


# ---------------------------------------------------------------- progress


def record(course: Course, *entries: tuple[str, str, str] | str) -> None:
    """Write the record of checks: (verdict, expressions, time), or a line as it is."""
    lines = []
    for entry in entries:
        if isinstance(entry, str):
            lines.append(entry)
        else:
            verdict, expressions, time = entry
            lines.append(json.dumps({"time": time, "key": key(expressions.split()), "verdict": verdict}))
    (course.root / "work" / work.RECORD).write_text("\n".join(lines) + "\n")


EARLY, LATE = "2026-03-01T09:00:00+00:00", "2026-03-02T09:00:00+00:00"


def states(course: Course) -> list[str]:
    """States of the two tasks of 1.1."""
    return [task.state for task in work.progress(course).sessions[0].tasks]


@pytest.mark.parametrize(
    ("verdicts", "state"),
    [
        ([], "open"),
        (["open"], "open"),
        (["wrong"], "wrong"),
        (["stopped", "open"], "wrong"),
        (["wrong", "right"], "right"),
        (["right", "open", "wrong"], "right"),  # what was once right stays right
    ],
)
def test_a_task_is_right_wrong_or_not_attempted(course, verdicts, state):
    work.prepare(course)
    record(course, *((verdict, "f(2) f(1)", EARLY) for verdict in verdicts))
    assert states(course) == [state, "open"]


def test_lines_that_cannot_be_read_are_skipped(course):
    work.prepare(course)
    entry = {"key": key(["g(1)"]), "verdict": "right"}
    broken = [
        '{"time": "2026',
        "[]",
        "3",
        json.dumps(entry),
        json.dumps(entry | {"time": "soon"}),
        "\x00\xff",
    ]
    record(course, *broken, ("right", "f(1) f(2)", EARLY), json.dumps(entry | {"time": 4}))
    assert states(course) == ["right", "open"]


@given(st.text())
def test_no_record_can_stop_it(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("record") / "checks.jsonl"
    path.write_text(text, encoding="utf-8", errors="replace")
    assert isinstance(work._read_record(path), dict)


def test_a_trainee_is_led_through_the_course(course):
    work.prepare(course)
    first = work.progress(course).sessions[0]
    assert not first.begun and first.next_step == "open the lecture"
    assert work.progress(course).next == first

    edit(course.root / "work/01_first/01_start.lecture.ipynb", run)
    assert work.progress(course).sessions[0].lecture_run
    record(course, ("right", "f(1) f(2)", EARLY))
    following = work.progress(course).next
    assert following.session.id == "1.1" and following.next_step == "Task 2: count the cars"
    assert following.last == datetime.fromisoformat(EARLY)

    record(course, ("right", "f(1) f(2)", EARLY), ("right", "g(1)", LATE))
    done = work.progress(course)
    assert done.sessions[0].done and done.sessions[0].last == datetime.fromisoformat(LATE)
    assert done.next.session.id == "1.2"

    edit(
        exercise_of(course)[1].with_name("02_paper.ipynb"),
        lambda nb: nb.cells.append(new_markdown_cell("Drawn.")),
    )
    assert work.progress(course).sessions[1].done
    assert work.progress(course).next.session.id == "2.1"


def test_the_session_worked_on_last_goes_on_before_earlier_ones(course):
    write(course.root / "exercises/02_second/01_more.ipynb", *task(1, "h(1)"), *task(2, "h(2)"))
    work.prepare(course)
    record(course, ("wrong", "f(1) f(2)", EARLY), ("wrong", "h(1)", LATE))
    assert work.progress(course).next.session.id == "2.1"


def test_tasks_are_those_of_the_copy_the_trainee_works_on(course):
    work.prepare(course)
    _, copy = exercise_of(course)
    edit(copy, lambda nb: nb.cells.pop())
    assert len(work.progress(course).sessions[0].tasks) == 1
    copy.write_text("{")
    assert len(work.progress(course).sessions[0].tasks) == 2  # unreadable: those of the course


def test_progress_needs_no_prepared_folder(course):
    assert [session.begun for session in work.progress(course).sessions] == [False, False, False]


# ---------------------------------------------------------------- the home page


def test_every_link_of_the_home_page_leads_somewhere(course):
    for folder in ("solutions", "docs", "data"):
        (course.root / folder).mkdir()
    (course.root / "docs/self-study.md").touch()
    (course.root / "data/README.md").touch()
    work.prepare(course)
    text = (course.root / "work/Home.md").read_text()
    links = re.findall(r'href="([^"]+)"', text) + re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) == 9
    assert [link for link in links if not (course.root / "work" / link).exists()] == []


def test_the_home_page_shows_modules_titles_progress_and_the_next_step(course):
    work.prepare(course)
    record(course, ("right", "f(1) f(2)", EARLY), ("wrong", "g(1)", LATE))
    text = work.write_home(course).read_text()
    assert "## 1 · First" in text and "## 2 · Second" in text
    assert "<b>1 of 2</b> tasks right" in text and "1 of 2" in text.split("## 1")[1]
    assert "Go on with <b>1.1 Title of 01_start</b>: Task 2: count the cars." in text


def test_a_title_is_text_not_html(course):
    write(course.root / "modules/01_first/01_start.ipynb", title="<script>x</script> & cars")
    text = home.page(work.progress(find_course(course.root)))
    assert "<script>" not in text and "&lt;script&gt;x&lt;/script&gt; &amp; cars" in text


def test_a_bar_is_as_long_as_it_should_be():
    assert [int(width) for width in re.findall(r"width:(\d+)px", home.bar(1, 4, 80))] == [20, 60]
    assert re.findall(r"width:(\d+)px", home.bar(4, 4, 80)) == ["80"]
    assert re.findall(r"width:(\d+)px", home.bar(0, 0, 80)) == ["80"]


def test_a_course_without_sessions_or_with_all_done_has_a_page(course):
    empty = Course(course.root, ())
    assert "psma lab" in home.page(work.progress(empty))
    work.prepare(course)
    assert "In preparation" in home.page(work.CourseProgress(course, ()))


# ---------------------------------------------------------------- JupyterLab


def test_jupyterlab_starts_at_the_root_on_the_rendered_home_page(course):
    command = work.lab_command(course, ["--port", "9000"])
    assert command[:3] == [sys.executable, "-m", "jupyterlab"] and command[-2:] == ["--port", "9000"]
    assert f"--ServerApp.root_dir={course.root}" in command
    settings = next(x.split("=")[1] for x in command if "app_settings_dir" in x)
    overrides = json.loads((Path(settings) / "overrides.json").read_text())
    assert overrides["@jupyterlab/docmanager-extension:plugin"]["defaultViewers"] == {
        "markdown": "Markdown Preview"
    }
    page = json.loads((Path(settings) / "page_config.json").read_text())
    assert page == {"disabledExtensions": {"@jupyter/nbgrader": True}}


def test_the_home_page_follows_the_checks_while_jupyterlab_runs(course, monkeypatch):
    work.prepare(course)
    line = json.dumps({"time": LATE, "key": key(["g(1)"]), "verdict": "right"})
    where = str(course.root / "work" / work.RECORD)
    code = f"import time; time.sleep(0.5); open({where!r}, 'w').write({line!r}); "
    stop = "time.sleep(3); raise SystemExit(5)"
    monkeypatch.setattr(work, "lab_command", lambda *_: [sys.executable, "-c", code + stop])
    assert work.open_lab(course) == 5
    assert "<b>1 of 2</b> tasks right" in (course.root / "work/Home.md").read_text()
