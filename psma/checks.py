"""What a trainee calls in an exercise: ``check`` tries expressions on their names and answers in one line.

``docs/checks.md`` tells authors how to write one.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import math
import os
import sys
import types
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from psma import probe
from psma.errors import PsmaError


@dataclass(frozen=True)
class Verdict:
    """The answer of one check: right, open (not attempted), wrong or stopped.

    ``passed`` of ``of`` expressions were right before the check stopped asking.
    """

    verdict: str
    line: str
    key: str
    passed: int
    of: int


@dataclass(frozen=True)
class _Rules:
    """The trainee's names, and what the author allows."""

    namespace: dict[str, Any]
    within: float
    seconds: float
    may_change: bool


HISTORY: list[Verdict] = []  # every answer of this process, oldest first
_NO_EXPRESSION = "This check has no expression: give check a dictionary of expressions and values."
_asked_for: set[str] = set()  # names that some check has asked for: never somebody's misspelling of another


def check(
    cases: dict[str, Any] | str,
    expected: Any = None,
    *,
    within: float = 1e-9,
    hint: str = "",
    seconds: float = 5.0,
    may_change: bool = False,
) -> None:
    """Try each expression on your names and print one line: how far are you?

    ``cases`` maps an expression to the value it should have, or to a function that says whether a value
    will do; or it is one expression, with ``expected`` beside it. ``within``: how far a number may be off, in
    its own unit. ``seconds``: the time an expression may take. ``may_change``: your function may change what
    it is given.
    Raises PsmaError only for a check that is itself wrong.
    """
    cases = cases if isinstance(cases, dict) else {cases: expected}
    _refuse_bad(cases, within, seconds)
    rules = _Rules(sys._getframe(1).f_globals, within, seconds, may_change)
    answer, passed = None, 0
    for expression, want in cases.items():
        answer = _try(expression, want, rules)
        if answer:
            break
        passed += 1
    verdict, line = answer or ("right", "Right." if passed == 1 else f"Right. ({passed} of {passed})")
    if hint and verdict in ("wrong", "stopped"):
        line += f" Hint: {hint}"
    _asked_for.update(name for expression in cases for name in probe.names_in(expression))
    result = Verdict(verdict, probe.one_line(line, 1000), key(cases), passed, len(cases))
    HISTORY.append(result)
    _record(result)
    sys.stdout.write(result.line + "\n")  # in one piece, so that a notebook keeps it as one output


def key(expressions: Iterable[str]) -> str:
    """How a check knows its task: twelve hex digits made from its expressions, whatever their order."""
    return hashlib.sha256("\n".join(sorted(expressions)).encode()).hexdigest()[:12]


def expressions_in(source: str) -> list[str]:
    """The expressions of the ``check(...)`` call in a cell's source, without running it; [] if there is none.

    PsmaError if an expression is not written out (an f-string, a variable), stands there twice, or is none.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise PsmaError(f"This check cell is not valid Python (line {error.lineno}: {error.msg}).") from None
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_check(node.func)]
    if not calls:
        return []
    if len(calls) > 1:
        raise PsmaError("A check cell calls check once: put all expressions of a task into one dictionary.")
    given = calls[0].args[:1] + [word.value for word in calls[0].keywords if word.arg == "cases"]
    nodes = given[0].keys if given and isinstance(given[0], ast.Dict) else given[:1]
    expressions = []
    for node in nodes:
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            what = "**" if node is None else ast.unparse(node)
            raise PsmaError(f"Write the expressions of a check out as plain text, not as {what}.")
        probe.parse(node.value)
        expressions.append(node.value)
    if not expressions:
        raise PsmaError(_NO_EXPRESSION)
    for expression in expressions:
        if expressions.count(expression) > 1:
            raise PsmaError(
                f"The expression {expression!r} stands twice in one check: Python keeps only the last."
            )
    return expressions


def _is_check(function: ast.expr) -> bool:
    return (isinstance(function, ast.Name) and function.id == "check") or (
        isinstance(function, ast.Attribute)
        and function.attr == "check"
        and ast.unparse(function.value).endswith("checks")
    )


def _refuse_bad(cases: dict[str, Any], within: float, seconds: float) -> None:
    """Say to the author what is wrong with the check itself."""
    if not cases:
        raise PsmaError(_NO_EXPRESSION)
    if not within >= 0 or math.isinf(within):
        raise PsmaError(f"within={within} is not a tolerance: give a number that is 0 or more.")
    if not seconds > 0:
        raise PsmaError(f"seconds={seconds} is not a time: give a number above 0.")
    for expression in cases:
        probe.parse(expression)


def _try(expression: str, want: Any, rules: _Rules) -> tuple[str, str] | None:
    """The verdict and the line for one expression, or None if it is right."""
    missing = probe.first_open(expression, rules.namespace)
    if missing:
        return "open", _open_line(missing, expression, rules.namespace)
    outcome = probe.evaluate(expression, rules.namespace, rules.seconds)
    if outcome.value is ...:
        return "open", f"Not attempted yet: {_first_name(expression)} (it gives ...)."
    answer = _judge(expression, want, outcome, rules)
    unfinished = probe.unfinished(expression, rules.namespace) if answer and outcome.kind != "time" else None
    if unfinished:
        return "open", f"Not attempted yet: {unfinished} (a ... still stands in it)."
    return answer


def _judge(expression: str, want: Any, outcome: probe.Outcome, rules: _Rules) -> tuple[str, str] | None:
    """The verdict and the line for what an expression came to, or None if it is right."""
    late = f"after {rules.seconds:g} seconds"
    if outcome.kind == "time":
        return "stopped", f"Your code was still running {late} at {expression}: an endless loop?"
    if outcome.kind == "input":
        return "stopped", f"Your code asks for input() at {expression}: a check cannot type an answer."
    if outcome.error is not None:
        return "stopped", _error_line(expression, outcome.error, rules.namespace)
    right = probe.run(lambda: _is_right(outcome.value, want, rules.within), rules.seconds)
    if right.kind == "time":
        return "stopped", f"What {expression} gives was still being read {late}: does it ever end?"
    if right.value is not True:
        words = probe.run(lambda: _wrong_words(outcome.value, want, rules.within), rules.seconds)
        return "wrong", f"Not right yet: {expression} gives {words.value or 'what cannot be shown'}."
    if outcome.changed and not rules.may_change:
        return "wrong", f"Not right yet: {expression} changes its argument {outcome.changed}."
    return None


def _is_right(got: Any, want: Any, within: float) -> bool:
    """Ask the predicate, if the author gave one; a class is a value, not a predicate."""
    if not callable(want) or isinstance(want, type):
        return probe.same(got, want, within)
    said = want(got)
    return bool(said) and not getattr(said, "ndim", 0)  # array([True]) comes from [4], and [4] is not 4


def _wrong_words(got: Any, want: Any, within: float) -> str:
    where = "" if callable(want) else probe.difference(got, want, within)
    return probe.describe(got) + (f" ({where})" if where else "")


def _open_line(missing: probe.Open, expression: str, namespace: dict[str, Any]) -> str:
    if missing.user:
        return f"Not attempted yet: {missing.name} ({missing.user} needs it)."
    near = _near(missing.name, expression, namespace) if missing.missing else ""
    return f"Not attempted yet: {missing.name}." + (f" (You have {near}: is that it?)" if near else "")


def _near(name: str, expression: str, namespace: dict[str, Any]) -> str:
    """A name in the notebook that may be a misspelling of the one asked for, or ""."""
    import difflib

    taken = {*_asked_for, *probe.names_in(expression), "In", "Out", "exit", "quit", "get_ipython"}
    have = {
        other.lower().replace("_", ""): other
        for other, value in list(namespace.items())
        if not other.startswith("_") and other not in taken and not isinstance(value, types.ModuleType)
    }
    close = difflib.get_close_matches(name.lower().replace("_", ""), have, 1, 0.8)
    return have[close[0]] if close else ""


def _first_name(expression: str) -> str:
    return next(iter(probe.names_in(expression)), expression)


def _error_line(expression: str, error: BaseException, namespace: dict[str, Any]) -> str:
    """The error in one line, and the trainee's own line where it happened."""
    kind = next(base.__name__ for base in type(error).__mro__ if not base.__name__.startswith("_"))
    try:
        text = probe.one_line(str(error), 160).rstrip(".")
    except Exception:
        text = ""
    line = _line_of(error, namespace)
    return (
        f"Your code stopped with {kind} at {expression}"
        + (f": {text}" if text else "")
        + (f", in the line `{line}`." if line else ".")
    )


def _line_of(error: BaseException, namespace: dict[str, Any]) -> str:
    """The last line of the trainee's own code that the error came through."""
    import linecache

    line, trace = "", error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if trace.tb_frame.f_globals is namespace and code.co_filename != "<check>":
            line = linecache.getline(code.co_filename, trace.tb_lineno)
        trace = trace.tb_next
    return probe.one_line(line, 60)


def _record(result: Verdict) -> None:
    """Append the verdict to work/.psma/checks.jsonl, if we are in a prepared work folder. Never fails."""
    with contextlib.suppress(OSError):
        here = Path.cwd()
        for folder in (here, *here.parents):
            if folder.name == "work" and (folder / ".psma").is_dir():
                _append(folder / ".psma" / "checks.jsonl", result)
                return


def _append(path: Path, result: Verdict) -> None:
    """One line in one write, so that two notebooks at once never mix theirs."""
    entry = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "key": result.key,
        "verdict": result.verdict,
        "passed": result.passed,
        "of": result.of,
    }
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
    try:
        os.write(handle, (json.dumps(entry) + "\n").encode())
    finally:
        os.close(handle)
