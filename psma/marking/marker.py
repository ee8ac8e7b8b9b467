"""Marks one submission: lays it over the paper, has it run and tested, puts the results together."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from psma.errors import PsmaError
from psma.marking.channel import Channel, Closed, Late
from psma.marking.model import CellError, Flag, SubmissionResult, TestResult, readable
from psma.marking.reader import Submission
from psma.marking.source import Paper, Plan, plain_python, plan
from psma.marking.wire import Message, WireError, plain

_TRIES = 3
_STALE = 24 * 3600.0
_WORDS = {
    "time": "ran over its time limit and was stopped",
    "died": "ended the process that it ran in",
    "memory": "used more memory than is allowed and was stopped",
    "processes": "started more processes than are allowed and was stopped",
    "budget": "was not run: the notebook had used up the time for all its cells",
}


@dataclass(frozen=True)
class Limits:
    """Seconds for a cell, test or call (``cell``) and for a whole submission (``budget``); MiB of memory.

    Seconds for a cell don't count the waiting for a busy machine's cores; see ``clock``.
    """

    cell: float = 30.0
    budget: float = 300.0
    memory: int = 1024


class PaperFault(PsmaError):
    """The paper's own code (``draw.py``, the reference solution) failed for a candidate."""


class Running(Protocol):
    """One submission that is being marked somewhere."""

    channel: Channel

    def kill(self) -> None:
        """End everything that belongs to it."""


class Place(Protocol):
    """Where submissions are run: ``sandbox.Sandbox`` or ``PlainPlace``."""

    isolation: str

    def folder(self) -> Path:
        """A new empty folder that what runs can read."""

    def begin(self, folder: Path, limits: Limits) -> Running:
        """Start the processes for one submission."""


@dataclass
class _Report:
    """What the tester told, as it comes."""

    tests: dict[str, TestResult] = field(default_factory=dict)
    cells: dict[int, str] = field(default_factory=dict)
    ended: bool = False
    testing: str | None = None
    broken: str = ""
    lost: int = 0
    late: bool = False


class Marker:
    """Marks submissions of one paper in one place."""

    def __init__(self, paper: Paper, place: Place, limits: Limits) -> None:
        self.paper = paper
        self.place = place
        self.limits = limits
        self.imports = imports_of(paper)
        self.draw = _load_draw(paper)
        self.reference = _reference_of(paper)

    def mark(self, submission: Submission) -> SubmissionResult:
        """The result of one submission; whatever goes wrong stands in its flags."""
        start = time.monotonic()
        blank = SubmissionResult(
            candidate=submission.candidate,
            sent_as=submission.sent_as,
            digest=submission.digest,
            paper=self.paper.digest,
            flags=submission.flags,
            marks={question.id: None for question in self.paper.questions},
        )
        if submission.cells is None:
            return blank
        laid = plan(self.paper, list(submission.cells))
        try:
            report = self._run(submission, laid)
        except PaperFault as fault:
            flag = Flag("paper", str(fault), needs_person=True)
            return replace(blank, flags=(*submission.flags, *laid.flags, flag), written=laid.written)
        return replace(
            blank,
            flags=(*submission.flags, *laid.flags, *_flags(report, laid)),
            marks=self._marks(report, laid),
            tests=tuple(report.tests.values()),
            written=laid.written,
            isolation=self.place.isolation,
            errors=tuple(CellError(cell, words) for cell, words in sorted(report.cells.items())),
            seconds=round(time.monotonic() - start, 3),
        )

    def _marks(self, report: _Report, laid: Plan) -> dict[str, float | None]:
        marks: dict[str, float | None] = {}
        for question in self.paper.questions:
            if question.kind == "tests":
                test = report.tests.get(question.id)
                marks[question.id] = test.points if test else None
            else:
                answer = laid.written.get(question.id)
                marks[question.id] = 0.0 if answer and answer.blank else None
        return marks

    def _run(self, submission: Submission, laid: Plan) -> _Report:
        folder = self.place.folder()
        try:
            values = self._furnish(folder, submission)
            report = _Report()
            tests = [step.id or "" for step in laid.steps if step.do == "test"]
            for _ in range((len(tests) + 1) * _TRIES):
                self._once(folder, laid, values, report)
                if report.ended:
                    break
                self._blame(report, laid)
            return report
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _once(self, folder: Path, laid: Plan, values: dict[str, Any] | None, report: _Report) -> None:
        """One go at the whole notebook; tests that are decided already are left out."""
        report.testing, report.late = None, False
        running = self.place.begin(folder, self.limits)
        try:
            job = {
                "steps": [asdict(step) for step in laid.steps],
                "imports": self.imports,
                "draw": values,
                "limit": self.limits.cell,
                "budget": self.limits.budget,
                "reference": self.reference,
                "skip": list(report.tests),
            }
            running.channel.send(plain({"job": job, "folder": str(folder)}), 30.0)
            allow = 60.0
            while not report.ended:
                allow = _take(running.channel.receive(allow), report) or allow
        except (Closed, Late, WireError) as lost:
            report.late = isinstance(lost, Late)
        finally:
            running.kill()
        if report.broken:
            raise PaperFault(f"{self.paper.path.name}: {report.broken}. Mend the paper, then mark again.")

    def _blame(self, report: _Report, laid: Plan) -> None:
        """The tester is stuck in a test (the answer made it so) or lost (again; in the end, a person)."""
        step = next((step for step in laid.steps if step.id == report.testing and step.do == "test"), None)
        cell = step.id if step is not None and step.id is not None else ""
        if cell and report.late:
            words = "The answer made the test run out of time."
            report.tests[cell] = TestResult(cell, cell, False, words, 0.0, words)
            return
        report.lost += 1
        time.sleep(0.2)
        if report.lost < _TRIES:
            return
        if cell:
            words = "Not decided: the test's own process ended, more than once."
            report.tests[cell] = TestResult(cell, cell, None, words, None, words)
            report.lost = 0
        else:
            report.ended = True

    def _furnish(self, folder: Path, submission: Submission) -> dict[str, Any] | None:
        """Fill ``folder/tests`` with the paper's files, ``folder/trainee`` with what was sent and those.

        What was sent is never within reach of the tests. Returns the candidate's values. Raises PaperFault.
        """
        tests, trainee = folder / "tests", folder / "trainee"
        tests.mkdir()
        trainee.mkdir()
        values = self._drawn(submission.candidate, tests)
        if self.paper.data is not None:
            shutil.copytree(self.paper.data, tests / "data")
        own = {path.name for path in tests.iterdir()}
        for name, data in submission.files.items():
            if PurePosixPath(name).parts[0] not in own:
                _write_inside(trainee, name, data)
        shutil.copytree(tests, trainee, dirs_exist_ok=True)
        return values

    def _drawn(self, candidate: str, folder: Path) -> dict[str, Any] | None:
        if self.draw is None:
            return None
        try:
            return dict(self.draw(candidate, folder))
        except Exception as error:
            raise PaperFault(
                f"draw.py: draw({candidate!r}) stopped with {type(error).__name__}: {error}"
            ) from None


def _write_inside(folder: Path, name: str, data: bytes) -> None:
    """Write a file that was sent, if its name stays inside; one that the system refuses is left out."""
    path = PurePosixPath(name)
    if ".." in path.parts or path.is_absolute():
        return
    with suppress(OSError, ValueError):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def _take(message: Message, report: _Report) -> float | None:
    """Note one message of the tester's; the seconds that it asks for, if it does."""
    if "test" in message.header:
        told: dict[str, Any] = message["test"]
        test = TestResult(**{**told, "reason": readable(told["reason"]), "detail": readable(told["detail"])})
        report.tests[test.cell] = test
        report.testing = None
    elif "cell" in message.header:
        status, words = message["status"], message["error"]
        if status != "ok":
            report.cells[message["cell"]] = (
                readable(words) if status == "error" else f"The cell {_WORDS[status]}."
            )
    elif "broken" in message.header:
        report.broken = message["broken"]
    report.testing = message.get("testing", report.testing)
    report.ended = bool(message.get("end"))
    allow = message.get("allow")
    return float(allow) if allow is not None else None


def _flags(report: _Report, laid: Plan) -> list[Flag]:
    flags = []
    for status, code in (
        ("time", "over time"),
        ("died", "process ended"),
        ("memory", "over memory"),
        ("processes", "too many processes"),
        ("budget", "time used up"),
    ):
        cells = [number for number, words in report.cells.items() if words == f"The cell {_WORDS[status]}."]
        if cells:
            flags.append(
                Flag(code, f"Cell {', '.join(map(str, cells))} {_WORDS[status]}.", status == "budget")
            )
    hand = [test.cell for test in report.tests.values() if test.passed is None]
    if hand:
        flags.append(Flag("by hand", f"To be marked by hand: {', '.join(hand)}.", needs_person=True))
    lost = [step.id for step in laid.steps if step.do == "test" and step.id not in report.tests]
    if lost:
        flags.append(
            Flag("not marked", f"The marking stopped before: {', '.join(map(str, lost))}.", needs_person=True)
        )
    return flags


# ------------------------------------------------------------------------------------------------- the paper


def imports_of(paper: Paper) -> dict[str, tuple[str, str | None]]:
    """The names that the paper imports outside its solutions, each with its module and attribute."""
    found: dict[str, tuple[str, str | None]] = {}
    for cell in paper.cells:
        if cell.type != "code" or cell.solution:
            continue
        with suppress(SyntaxError):
            for node in ast.walk(ast.parse(plain_python(cell.source))):
                found |= _imported(node)
    return found


def _imported(node: ast.AST) -> dict[str, tuple[str, str | None]]:
    if isinstance(node, ast.Import):
        return {
            alias.asname or alias.name.split(".")[0]: (
                alias.name if alias.asname else alias.name.split(".")[0],
                None,
            )
            for alias in node.names
        }
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return {
            alias.asname or alias.name: (node.module, alias.name) for alias in node.names if alias.name != "*"
        }
    return {}


def modules_of(paper: Paper) -> list[str]:
    """The top-level modules that the paper's own code imports anywhere."""
    names: set[str] = set()
    for cell in paper.cells:
        with suppress(SyntaxError):
            for node in ast.walk(ast.parse(plain_python(cell.source))) if cell.type == "code" else ():
                names |= {module for module, _ in _imported(node).values()}
    return sorted(names)


def _reference_of(paper: Paper) -> list[str] | None:
    """The reference solution's cells, where a test asks for ``reference``."""
    if not any("reference" in cell.source for cell in paper.cells if cell.test):
        return None
    return [cell.source for cell in paper.cells if cell.type == "code" and not cell.test]


def _load_draw(paper: Paper) -> Callable[[str, Path], Any] | None:
    """The function ``draw(candidate, folder)`` beside the paper, if any."""
    if paper.draw is None:
        return None
    spec = importlib.util.spec_from_file_location("psma_paper_draw", paper.draw)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    try:
        code = compile(paper.draw.read_bytes(), str(paper.draw), "exec")
        exec(code, module.__dict__)  # the loader's own exec_module would leave a __pycache__ beside the paper
        function: Callable[[str, Path], Any] = module.draw
    except Exception as error:
        raise PsmaError(f"{paper.draw}: cannot be used ({type(error).__name__}: {error}); mend it.") from None
    return function


def scratch() -> Path:
    """A private folder for the files of submissions that are being marked.

    Those of batches that were killed a day ago or more are taken away first: they hold what candidates sent.
    """
    import psutil

    mine = os.getuid() if hasattr(os, "getuid") else 0
    for left in Path(tempfile.gettempdir()).glob("psma-mark-*-*"):
        with suppress(OSError, ValueError):
            about = left.lstat()
            old = about.st_uid == mine and time.time() - about.st_mtime > _STALE
            if old and not psutil.pid_exists(int(left.name.split("-")[2])):
                shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"psma-mark-{os.getpid()}-"))
