"""The process that decides: it evaluates the paper's tests and never runs a line of a trainee's code.

A test's names are looked up in this order: what the tests themselves bound, what the paper imports, Python's
builtins, and last the trainee's namespace, through ``proxies``. So a trainee's ``abs`` or ``np`` is not the
one a test uses.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import io
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import asdict, dataclass
from types import SimpleNamespace
from typing import Any

from psma.marking.channel import Channel
from psma.marking.clock import STRETCH, Deadline, core_wait
from psma.marking.model import TestResult
from psma.marking.proxies import Gone, NeedsHand, Remote, Slow, TraineeError, Unreadable
from psma.marking.session import Holder, Session
from psma.marking.source import hidden_lines, plain_python
from psma.marking.wire import plain

BY_HAND = "This test cannot be decided by the machine and is marked by hand."
NOT_REPEATED = "It stopped with an error, which is not repeated here."
_OURS = {"reference", "draw"}  # never a trainee's, whatever their cells bind
_SESSION = {"globals", "locals", "vars", "dir", "eval", "exec", "get_ipython", "In", "Out"}
_SESSION_MODULES = {"inspect", "matplotlib", "gc"}


class TestTimeout(BaseException):
    """The test ran over its limit."""

    __test__ = False


@dataclass(frozen=True)
class Job:
    """What the tester is told of one submission.

    ``steps`` are ``source.Step`` as dictionaries; ``imports`` maps a name to the module and attribute that
    the paper imports it from; ``reference`` is the source of the reference solution, where a test asks for
    it; ``draw`` the candidate's values; ``limit`` and ``budget`` seconds for a cell and for everything;
    ``skip`` tests not to run.
    """

    steps: list[dict[str, Any]]
    imports: dict[str, tuple[str, str | None]]
    limit: float
    budget: float
    reference: list[str] | None = None
    draw: dict[str, Any] | None = None
    skip: tuple[str, ...] = ()


class TestNames(dict[str, Any]):
    """The tests' namespace, which reaches out to the trainee's for what it does not know."""

    def __init__(self, find: Callable[[str], Any]) -> None:
        super().__init__(__name__="tests", __builtins__=builtins)
        self.find = find

    __test__ = False

    def __missing__(self, name: str) -> Any:
        return self.find(name)


class Tester:
    """Runs one submission's steps and reports each, as plain messages, to ``report``."""

    def __init__(self, job: Job, holder: Holder, report: Callable[[dict[str, Any]], None]) -> None:
        self.job = job
        self.report = report
        self.session = Session(holder, job.limit, lambda seconds: report({"allow": STRETCH * seconds + 5}))
        self.names = TestNames(self.find)
        self.remote: Remote | None = None
        self.modules = frozenset(module for module, _ in job.imports.values()) | {
            "math",
            "statistics",
            "random",
        }
        self.missing = ""
        self.testing = False
        self.deadline = Deadline(None)
        self.waited_before = 0.0

    def mark(self) -> None:
        """Every step in order, then ``end``."""
        start = time.monotonic()
        self._references()
        for step in self.job.steps:
            over = time.monotonic() - start > self.job.budget
            if step["do"] == "run":
                self._run(step, over)
            elif step["id"] not in self.job.skip:
                self.report({"allow": STRETCH * self.job.limit + 5, "testing": step["id"]})
                self.report({"test": asdict(self._out_of_time(step) if over else self.decide(step))})
        self.report({"end": True})

    def _run(self, step: dict[str, Any], over: bool) -> None:
        if over:
            self.report({"cell": step["number"], "status": "budget", "error": ""})
            return
        outcome = self.session.run(step["source"])
        for name in _bound(step["source"]) & set(self.names) - _OURS:
            del self.names[name]  # the trainee's later value counts, as it would in one kernel
        error = NOT_REPEATED if outcome["error"] and self.session.told else outcome["error"]
        self.report({"cell": step["number"], "status": outcome["status"], "error": error})

    def _references(self) -> None:
        """Run the reference solution, here, where only trusted code runs."""
        if self.job.draw is not None:
            self.names["draw"] = self.job.draw
        if self.job.reference is None:
            return
        namespace: dict[str, Any] = {"__name__": "reference"}
        for source in self.job.reference:
            self.report({"allow": STRETCH * self.job.limit + 5})
            try:
                with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                    exec(compile(plain_python(source), "<reference>", "exec"), namespace)
            except Exception as error:
                self.report(
                    {"broken": f"the reference solution stopped with {type(error).__name__}: {error}"}
                )
                raise
        self.names["reference"] = SimpleNamespace(**namespace)

    # --------------------------------------------------------------------------------------- names

    def find(self, name: str) -> Any:
        """A name that no test bound. Raises KeyError, which Python turns into NameError."""
        if name in self.job.imports:
            module, attribute = self.job.imports[name]
            value = importlib.import_module(module)
            self.names[name] = getattr(value, attribute) if attribute else value
            return self.names[name]
        if hasattr(builtins, name) or name.startswith("__"):
            raise KeyError(name)
        if self.remote is None:
            self.remote = Remote(self.session, self.modules, self.job.limit)
        try:
            return self.remote.lookup(name)
        except KeyError:
            self.missing = name
            raise

    # --------------------------------------------------------------------------------------- one test

    def decide(self, step: dict[str, Any]) -> TestResult:
        """Run one test cell and say what it means."""
        self.remote, self.missing = None, ""
        try:
            value = self._evaluate(step["source"], step["id"])
        except NeedsHand as error:
            return self._open(step, str(error))
        except BaseException as error:
            return self._failed(step, error)
        finally:
            self.testing = False
            remote = self.remote
            if remote is not None:
                remote.over = True
                self.session.close()
        if remote is not None and remote.touched:
            return self._open(step, remote.touched)
        points = partial_credit(value, step["points"])
        if points is None:
            return self._open(step, "its last value is more than the points of the cell")
        passed = points >= step["points"]
        reason = "Passed." if passed else f"Partly right: {points:g} of {step['points']:g}."
        return TestResult(step["id"], step["id"], passed, reason, points)

    def _evaluate(self, source: str, name: str) -> Any:
        tree = ast.parse(plain_python(source))
        beyond = _looks_into_session(tree, self.job.imports)
        if beyond:
            raise NeedsHand(f"it looks into the trainee's session ({beyond})")
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        self._start_clock()
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            exec(compile(tree, f"<{name}>", "exec"), self.names)
            if not isinstance(last, ast.Expr):
                return None
            value = eval(compile(ast.Expression(last.value), f"<{name}>", "eval"), self.names)
        return None if source.rstrip().endswith(";") else value

    def _start_clock(self) -> None:
        self.testing = True
        self.deadline = Deadline(self.job.limit, self._waited)
        self.waited_before = core_wait()
        if hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, self._ring)
            # rings again, should the test swallow the first one
            signal.setitimer(signal.ITIMER_REAL, self.job.limit, 0.5)

    def _waited(self) -> float:
        """How long the test has waited for a core, here or in the trainee's process."""
        return core_wait() - self.waited_before + self.session.waited()

    def _ring(self, *_: Any) -> None:
        if not self.testing:
            signal.setitimer(signal.ITIMER_REAL, 0)
        elif not self.session.asking and self.deadline.left() == 0:
            raise TestTimeout

    def _open(self, step: dict[str, Any], detail: str) -> TestResult:
        return TestResult(step["id"], step["id"], None, BY_HAND, None, f"By hand: {detail}.")

    def _out_of_time(self, step: dict[str, Any]) -> TestResult:
        words = "Not decided: the notebook used up the time for all its cells."
        return TestResult(step["id"], step["id"], None, words, None, words)

    def _failed(self, step: dict[str, Any], error: BaseException) -> TestResult:
        remote = self.remote
        if remote is not None and (remote.touched or remote.unseen) and isinstance(error, Exception):
            return self._open(step, remote.touched or "it met an object that the machine cannot read")
        called = remote.called if remote is not None else ""
        words, detail = self._in_words(step, error, called)
        return TestResult(step["id"], step["id"], False, words, 0.0, detail)

    def _in_words(self, step: dict[str, Any], error: BaseException, called: str) -> tuple[str, str]:
        """Why the test failed: for the trainee, and for the marker."""
        line = _line_of(error, f"<{step['id']}>")
        text = step["source"].split("\n")[line - 1].strip() if line else ""
        # what comes after a hidden line could tell of it as well
        hidden = line >= min(hidden_lines(step["source"]), default=line + 1)
        if isinstance(error, TestTimeout | Slow):
            detail = f"{called or 'The test'} took longer than {self.job.limit:g} s."
        elif isinstance(error, Gone):
            detail = f"{called or 'The notebook'} ended the process that it ran in."
        elif isinstance(error, Unreadable):
            detail = f"What came back from {called or 'the notebook'} could not be read ({error})."
        elif isinstance(error, TraineeError):
            detail = f"{error.words}."
        elif isinstance(error, NameError) and self.missing:
            detail = f"There is no {self.missing}: the answer is missing, misnamed or stopped with an error."
            return detail, detail
        elif isinstance(error, AssertionError):
            detail = f"{_safe_text(error)}" if error.args else f"This does not hold: {text}"
        else:
            detail = f"The test stopped with {type(error).__name__}: {_safe_text(error)}"
        return (
            self._veiled(error, hidden) if hidden or self.session.told else detail
        ), f"{detail} [line {line}: {text}]" if line else detail

    def _veiled(self, error: BaseException, hidden: bool) -> str:
        """The same in words that tell nothing of a hidden test's inputs and expected answers."""
        test = "A hidden test" if hidden else "The test"
        if isinstance(error, TestTimeout | Slow):
            return f"{test} took longer than {self.job.limit:g} s."
        kind = _built_in(error) if isinstance(error, TraineeError) else ""
        return f"{test} stopped with {kind}." if kind else f"{test} does not hold."


def _built_in(error: BaseException) -> str:
    """The built-in type of a trainee's error: a name of their own could tell what the function was given."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins")


def _safe_text(error: BaseException) -> str:
    with suppress(Exception):
        return str(error)[:500]
    return type(error).__name__


def _line_of(error: BaseException, filename: str) -> int:
    """The line of the test cell that ``error`` passed through, 0 if none."""
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == filename
    ]
    return lines[0] or 0 if lines else 0


def _bound(source: str) -> set[str]:
    """The names that a cell may bind."""
    with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        names: set[str] = set()
        for node in ast.walk(ast.parse(plain_python(source))):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.alias):
                names.add((node.asname or node.name).split(".")[0])
        return names
    return set()


def _looks_into_session(tree: ast.AST, imports: dict[str, tuple[str, str | None]]) -> str:
    """What in a test can only be answered inside the trainee's own process, "" if nothing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            module = imports.get(node.id, ("", None))[0].split(".")[0]
            if node.id in _SESSION or module in _SESSION_MODULES:
                return node.id
    return ""


def partial_credit(value: Any, points: float) -> float | None:
    """nbgrader's rule (``utils.get_partial_grade``): a last value that reads as a number of 0 or more is the
    mark.

    Anything else gives full marks. None: more than the cell's points, which nbgrader refuses.
    """
    if value is None:
        return points
    try:
        number = float(repr(value))
    except (ValueError, TypeError):
        return points
    if number > points:
        return None
    return number if number >= 0.0 else points


def job_from(raw: dict[str, Any]) -> Job:
    """A job as it arrives: JSON."""
    raw = {**raw, "imports": {name: (pair[0], pair[1]) for name, pair in raw["imports"].items()}}
    return Job(**{**raw, "skip": tuple(raw["skip"])})


def run_job(channel: Channel, holder_for: Callable[[dict[str, Any]], Holder]) -> None:
    """Receive a job, mark it, report over the same channel."""
    message = channel.receive()
    holder = holder_for(message.header)

    def report(words: dict[str, Any]) -> None:
        channel.send(plain(words))

    Tester(job_from(message["job"]), holder, report).mark()


def main() -> None:
    """Serve one job over standard input and output, without isolation."""
    import os
    from pathlib import Path

    from psma.marking.channel import BlockingChannel
    from psma.marking.session import Spawned
    from psma.marking.trainee import warm_up

    reader, writer = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    sys.stdin, sys.stdout = io.StringIO(), io.StringIO()
    with Path(os.devnull).open("r+b") as null:
        for fd in (0, 1):
            os.dup2(null.fileno(), fd)
    warm_up(os.environ.get("PSMA_WARM", "").split(","))
    holders: list[Spawned] = []

    def spawned(header: dict[str, Any]) -> Holder:
        holders.append(Spawned(Path(header["folder"], "trainee"), dict(os.environ)))
        return holders[0]

    try:
        run_job(BlockingChannel(reader, writer), spawned)
    finally:
        for holder in holders:
            holder.kill()


if __name__ == "__main__":
    main()
