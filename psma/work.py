"""The trainee's own copies in `work/`, their progress, and JupyterLab opened on the home page.

An exercise becomes `work/NN_module/SS_session.ipynb`, a lecture `work/NN_module/SS_session.lecture.ipynb`:
what the course ships is never edited, so that `git pull` never conflicts. A copy counts as edited when its
cells' text differs from what was copied; outputs and metadata, which Jupyter changes on its own, do not
count. An edited copy is never overwritten: if its original has changed, the new version is put beside it.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from psma import home, notebook
from psma.course import Course, Session
from psma.errors import PsmaError

STATE, RECORD = ".psma/copies.json", ".psma/checks.jsonl"
MANY = 12
"""More new copies than this are counted, not listed."""
_EXECUTED = re.compile(r'"execution_count":\s*\d')


# ---------------------------------------------------------------- the copies


@dataclass
class Report:
    """What `prepare` did: copies made, updated, kept although the course has changed (with the new version
    beside).
    """

    work: Path
    new: list[Path] = field(default_factory=list)
    updated: list[Path] = field(default_factory=list)
    kept: list[tuple[Path, Path]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass
class _State:
    """Digests by copy, relative to work/: of what was copied there, and of what was last put beside it."""

    copied: dict[str, str]
    offered: dict[str, str]


def copies(course: Course, session: Session) -> dict[Path, Path]:
    """Original and copy of a session's exercise and lecture, of those that exist."""
    folder = course.root / "work" / session.folder
    pairs = {
        session.exercise: folder / f"{session.name}.ipynb",
        session.lecture: folder / f"{session.name}.lecture.ipynb",
    }
    return {original: copy for original, copy in pairs.items() if original.is_file()}


def prepare(course: Course) -> Report:
    """Bring `work/` up to date with the course, without touching what the trainee has written; write the home
    page.

    What an interrupted run has left undone, the next one does. PsmaError when `work/` cannot be written.
    """
    report = Report(course.root / "work")
    state = _read_state(report.work)
    try:
        for session in course.sessions:
            for original, copy in copies(course, session).items():
                try:
                    _bring(original, copy, state, report)
                except PsmaError as error:
                    if not _writable(copy.parent):
                        raise
                    report.problems.append(str(error))
    finally:
        _write_state(report.work, state)
    write_home(course)
    return report


def _bring(original: Path, copy: Path, state: _State, report: Report) -> None:
    """Make, update or keep one copy."""
    name = copy.relative_to(report.work).as_posix()
    wanted = notebook.digest(notebook.read(original, need_kernel=False))
    there = _digest(copy)
    if there == wanted:
        state.copied[name] = wanted
    elif there is None or there == state.copied.get(name):
        notebook.replace_file(copy, original.read_bytes())
        (report.new if there is None else report.updated).append(copy)
        state.copied[name] = wanted
    elif wanted not in (state.copied.get(name), state.offered.get(name)):
        beside = _put_beside(original, copy, wanted, state, report.work)
        state.offered[name] = wanted
        report.kept.append((copy, beside))


def _put_beside(original: Path, copy: Path, wanted: str, state: _State, work: Path) -> Path:
    """Write the new version as SS_x.new.ipynb, or .new2 and so on where that has been edited too."""
    for number in range(1, 1000):
        beside = copy.with_name(f"{copy.stem}.new{'' if number == 1 else number}.ipynb")
        name = beside.relative_to(work).as_posix()
        if _digest(beside) in (None, wanted, state.copied.get(name, "")):
            break
    notebook.replace_file(beside, original.read_bytes())
    state.copied[name] = wanted
    return beside


def _digest(path: Path) -> str | None:
    """Digest of a notebook; None if there is none, "unreadable" (which equals no digest) if it is broken."""
    if not path.exists():
        return None
    try:
        return notebook.digest(notebook.read(path, need_kernel=False))
    except PsmaError:
        return "unreadable"


def _read_state(work: Path) -> _State:
    """What was copied; nothing if that was never written or is damaged: then every differing copy counts as
    edited.
    """
    try:
        found = json.loads((work / STATE).read_text(encoding="utf-8"))
        return _State(_texts(found["copied"]), _texts(found["offered"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return _State({}, {})


def _texts(found: Any) -> dict[str, str]:
    return {str(key): value for key, value in found.items() if isinstance(value, str)}


def _write_state(work: Path, state: _State) -> None:
    text = json.dumps({"copied": state.copied, "offered": state.offered}, indent=1, sort_keys=True)
    notebook.replace_file(work / STATE, (text + "\n").encode())


def _writable(folder: Path) -> bool:
    import os

    while not folder.exists():
        folder = folder.parent
    return os.access(folder, os.W_OK)


def lines(report: Report) -> Iterator[str]:
    """What `psma lab` says about the copies."""
    root = report.work.parent
    for paths, done in ((report.new, "new"), (report.updated, "updated")):
        if len(paths) > MANY:
            yield f"{len(paths)} notebooks {done} in work/"
        else:
            yield from (f"{done}: {path.relative_to(root).as_posix()}" for path in paths)
    for copy, beside in report.kept:
        name = copy.relative_to(root).as_posix()
        yield f"kept: {name} is as you left it; the course's new version is beside it: {beside.name}"
    yield from (f"left out: {problem}" for problem in report.problems)
    if not (report.new or report.updated or report.kept or report.problems):
        yield "Your copies in work/ are up to date."


# ---------------------------------------------------------------- progress


@dataclass(frozen=True)
class Task:
    """One checked task of an exercise: its heading, and "right", "wrong" or "open" (not attempted)."""

    name: str
    key: str
    state: str = "open"


@dataclass(frozen=True)
class SessionProgress:
    """How far a trainee is in one session. ``lecture_run``: some cell of the lecture's copy has been run."""

    session: Session
    tasks: tuple[Task, ...]
    lecture_run: bool
    exercise_edited: bool
    last: datetime | None

    def count(self, state: str) -> int:
        """How many tasks are in a state."""
        return sum(task.state == state for task in self.tasks)

    @property
    def begun(self) -> bool:
        """Whether there is any sign of work."""
        return self.lecture_run or self.exercise_edited or self.last is not None

    @property
    def done(self) -> bool:
        """Whether every checked task is right; without checks, whether something was written."""
        return self.count("right") == len(self.tasks) if self.tasks else self.exercise_edited

    @property
    def next_step(self) -> str:
        """What to do next in this session; empty when it is done."""
        if self.done:
            return ""
        if not self.begun:
            return "open the lecture"
        if not self.tasks:
            return "write your answers"
        return next(task.name for task in self.tasks if task.state != "right")


@dataclass(frozen=True)
class CourseProgress:
    """How far a trainee is, session by session in the course's order."""

    course: Course
    sessions: tuple[SessionProgress, ...]

    @property
    def next(self) -> SessionProgress | None:
        """Where to go on: the session worked on last, if it is not done, else the first that is not."""
        open_ones = [session for session in self.sessions if not session.done]
        latest = max((s for s in self.sessions if s.last), key=lambda s: str(s.last), default=None)
        if latest is not None and not latest.done:
            return latest
        return next((s for s in open_ones if s.begun), next(iter(open_ones), None))


def progress(course: Course) -> CourseProgress:
    """Read the record of checks and the state of the copies. A task that was once right stays right."""
    verdicts = _read_record(course.root / "work" / RECORD)
    copied = _read_state(course.root / "work").copied
    return CourseProgress(course, tuple(_session(course, s, verdicts, copied) for s in course.sessions))


def _session(
    course: Course, session: Session, verdicts: dict[str, tuple[str, datetime]], copied: dict[str, str]
) -> SessionProgress:
    pairs = copies(course, session)
    exercise, lecture = pairs.get(session.exercise), pairs.get(session.lecture)
    tasks = tasks_of(exercise) if exercise else ()
    if not tasks and session.exercise.is_file():
        tasks = tasks_of(session.exercise)
    seen = [verdicts[task.key] for task in tasks if task.key in verdicts]
    judged = tuple(Task(t.name, t.key, verdicts[t.key][0] if t.key in verdicts else "open") for t in tasks)
    edited = (
        exercise is not None and exercise.exists() and _digest(exercise) != _known(exercise, course, copied)
    )
    run = (
        lecture is not None
        and lecture.exists()
        and bool(_EXECUTED.search(lecture.read_text("utf-8", "replace")))
    )
    return SessionProgress(session, judged, run, edited, max((time for _, time in seen), default=None))


def _known(copy: Path, course: Course, copied: dict[str, str]) -> str | None:
    return copied.get(copy.relative_to(course.root / "work").as_posix())


def tasks_of(path: Path) -> tuple[Task, ...]:
    """The checked tasks of an exercise, in order; () if it cannot be read."""
    from psma.checks import expressions_in, key

    found, heading = [], ""
    try:
        cells = notebook.read(path, need_kernel=False).cells
    except PsmaError:
        return ()
    for cell in cells:
        if cell.cell_type == "markdown":
            heading = next((text for level, text in notebook.headings(cell.source) if level > 1), heading)
        elif cell.cell_type == "code" and "check" in notebook.tags(cell):
            try:
                found.append(Task(_plain(heading), key(expressions_in(cell.source))))
            except PsmaError:
                continue  # an edited check: nothing to record
    return tuple(found)


def _plain(heading: str) -> str:
    """A task's heading without what stands in brackets and without marks: "Task 2: both doors at once"."""
    return re.sub(r"\s*\([^)]*\)", "", re.sub(r"[*_`]", "", heading)).strip()


def _read_record(path: Path) -> dict[str, tuple[str, datetime]]:
    """By key: right if it ever was, else wrong if anything was tried; and the time of the last attempt.

    Lines that cannot be read, as after a power cut, are skipped.
    """
    verdicts: dict[str, tuple[str, datetime]] = {}
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    for line in text.splitlines():
        try:
            entry = json.loads(line)
            key, verdict = str(entry["key"]), str(entry["verdict"])
            when = datetime.fromisoformat(entry["time"]).astimezone()
        except (ValueError, KeyError, TypeError, OverflowError):
            continue
        before, last = verdicts.get(key, ("open", when))
        state = "right" if "right" in (before, verdict) else before if verdict == "open" else "wrong"
        verdicts[key] = (state, max(last, when))
    return verdicts


# ---------------------------------------------------------------- JupyterLab


def write_home(course: Course) -> Path:
    """Write `work/Home.md`, the page that JupyterLab opens on."""
    target = course.root / "work" / "Home.md"
    notebook.replace_file(target, home.page(progress(course)).encode("utf-8"))
    return target


def open_lab(course: Course, options: Sequence[str] = ()) -> int:
    """Run JupyterLab on the home page until it ends; returns its exit code. The page follows the checks."""
    record = course.root / "work" / RECORD
    command = lab_command(course, options)
    before = _stamp(record)
    process = subprocess.Popen(command, cwd=course.root)
    previous = signal.signal(
        signal.SIGINT, lambda *_: None
    )  # Ctrl-C is for JupyterLab, which asks before it stops
    try:
        while True:
            try:
                return process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                if _stamp(record) != before:
                    before = _stamp(record)
                    write_home(course)
    finally:
        signal.signal(signal.SIGINT, previous)


def lab_command(course: Course, options: Sequence[str] = ()) -> list[str]:
    """The command that starts JupyterLab at the course's root, on the rendered home page, without news from
    outside.
    """
    settings = course.root / "work" / ".psma" / "lab"
    overrides = {
        "@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"markdown": "Markdown Preview"}},
        "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    }
    notebook.replace_file(settings / "overrides.json", json.dumps(overrides, indent=1).encode())
    # installed for whoever maintains the marking; a trainee who tries its buttons only gets errors
    page = {"disabledExtensions": {"@jupyter/nbgrader": True}}
    notebook.replace_file(settings / "page_config.json", json.dumps(page, indent=1).encode())
    return [
        sys.executable, "-m", "jupyterlab",
        f"--ServerApp.root_dir={course.root}",
        f"--LabApp.app_settings_dir={settings}",
        f"--LabApp.workspaces_dir={settings / 'workspaces'}",
        "--LabApp.default_url=/lab/tree/work/Home.md",
        *options,
    ]  # fmt: skip


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
