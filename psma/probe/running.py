"""Running somebody's code: muted, on copies of its data, and for a limited time."""

from __future__ import annotations

import builtins
import contextlib
import contextvars
import ctypes
import os
import random
import signal
import sys
import threading
import time
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psma.probe.copies import copies_for, unchanged
from psma.probe.expressions import PYTHONS_OWN, Namespace, parse


@dataclass(frozen=True)
class Outcome:
    """What came of running something.

    ``kind`` is "value" (see ``value``), "error" (see ``error``), "time" (stopped) or "input" (it asked for
    input()).
    ``changed`` is the name of the first piece of data that the expression changed, or "".
    """

    kind: str
    value: Any = None
    error: BaseException | None = None
    changed: str = ""


class _TimeUp(SystemExit):
    """Raised in code that runs too long. ``except Exception`` lets it pass; a thread dies of it quietly."""


class _InputAsked(BaseException):
    """Raised where code asks for input()."""


class _Asked:
    """Whether the code ran out of time, or asked for input, even if it swallowed the exception."""

    time_up = False
    for_input = False


def evaluate(expression: str, namespace: Namespace, seconds: float = 5.0) -> Outcome:
    """Evaluate an expression on copies of the data it names, muted, for at most ``seconds``.

    Never raises for what the code does. A builtin that the notebook has covered (``sum = 3``) means Python's
    own here.
    """
    code = compile(parse(expression), "<check>", "eval", dont_inherit=True)
    copies = copies_for(expression, namespace)
    scope = {name: value for name, value in namespace.items() if name not in PYTHONS_OWN} | copies
    scope["__builtins__"] = builtins
    outcome = run(lambda: eval(code, scope), seconds)
    if outcome.kind == "value":
        for name, copy in copies.items():
            if not unchanged(copy, namespace[name]):
                return Outcome("value", outcome.value, changed=name)
    return outcome


def run(action: Callable[[], Any], seconds: float) -> Outcome:
    """Call ``action`` muted and for at most ``seconds``, and put everything back that it could disturb."""
    asked = _Asked()
    limited = _limited_by_signal if _signals_work() else _limited_by_thread
    with _isolated(asked):
        try:
            outcome = Outcome("value", limited(action, seconds, asked))
        except BaseException as error:  # SystemExit and KeyboardInterrupt too: the notebook goes on
            outcome = Outcome("error", error=error)
    if asked.time_up:
        return Outcome("time")
    if asked.for_input:
        return Outcome("input")
    return outcome


def _call(action: Callable[[], Any]) -> Any:
    """Only this function's frame tells the alarm that the code under test is still running."""
    return action()


def _is_running(frame: types.FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code is _call.__code__:
            return True
        frame = frame.f_back
    return False


def _signals_work() -> bool:
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


_AGAIN = 0.005  # seconds from one alarm to the next, until the code has been left


def _limited_by_signal(action: Callable[[], Any], seconds: float, asked: _Asked) -> Any:
    """Stop the action with an alarm, in the main thread of Linux and macOS."""

    def ring(_signum: int, frame: types.FrameType | None) -> None:
        if _is_running(frame):
            asked.time_up = True
            _ring_at_next_line(frame)
            raise _TimeUp

    handler, tracer = signal.signal(signal.SIGALRM, ring), sys.gettrace()
    started = time.monotonic()
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
    try:
        return _call(action)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler or signal.SIG_DFL)
        if asked.time_up:
            sys.settrace(tracer)
        if left:  # somebody else's alarm (a test runner's, say) goes on
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - started), 1e-6), interval)


def _ring_at_next_line(frame: types.FrameType | None) -> None:
    """Raise at the next line too, here or in a caller: where ``except:`` swallows, that is its first line.

    So ``while True: try: ... except: pass`` is left. Tracing ends with the first exception; for a loop around
    such a loop the alarm is set to a few microseconds later, sometimes one and sometimes another.
    """

    def trace(where: types.FrameType, event: str, _: object) -> Callable[..., Any]:
        if event == "line" and _is_running(where):
            signal.setitimer(signal.ITIMER_REAL, (1 + time.perf_counter_ns() % 16) * 1e-6, _AGAIN)
            raise _TimeUp
        return trace

    sys.settrace(trace)
    while frame is not None and frame.f_code is not _call.__code__:
        frame.f_trace = trace
        frame = frame.f_back


def _limited_by_thread(action: Callable[[], Any], seconds: float, asked: _Asked) -> Any:
    """The same without signals (Windows, or off the main thread): in a second thread, given up if need be.

    One long call into C, or a loop that swallows everything, may go on behind the notebook's back.
    """
    results: list[tuple[Any, BaseException | None]] = []
    context = contextvars.copy_context()

    def work() -> None:
        try:
            results.append((context.run(_call, action), None))
        except BaseException as error:
            results.append((None, error))

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        worker.join(seconds)
    finally:  # also when somebody presses the stop button
        asked.time_up = worker.is_alive()
        _end(worker)
    if asked.time_up or not results:
        raise _TimeUp
    value, error = results[0]
    if error is not None:
        raise error
    return value


def _end(worker: threading.Thread) -> None:
    """Raise in the thread again and again until it ends, but for a second at most."""
    thread, until = worker.ident or 0, time.monotonic() + 1
    while worker.is_alive() and time.monotonic() < until:
        if _is_running(sys._current_frames().get(thread)):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(_TimeUp))
        worker.join(_AGAIN)


@contextlib.contextmanager
def _isolated(asked: _Asked) -> Iterator[None]:
    """Mute prints, warnings, figures and display(); refuse input(); afterwards put random numbers back."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(_muted())
        stack.enter_context(_input_refused(asked))
        stack.enter_context(_random_kept())
        stack.enter_context(_figures_kept())
        stack.enter_context(_notebook_muted())
        yield


@contextlib.contextmanager
def _muted() -> Iterator[None]:
    streams = sys.stdout, sys.stderr, sys.stdin
    logging = sys.modules.get("logging")
    level = logging.root.manager.disable if logging else 0
    null = Path(os.devnull)
    with null.open("w", encoding="utf-8") as nowhere, null.open() as nothing, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.stdout, sys.stderr, sys.stdin = nowhere, nowhere, nothing
        if logging:
            logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            sys.stdout, sys.stderr, sys.stdin = streams
            if logging:
                logging.disable(level)


@contextlib.contextmanager
def _input_refused(asked: _Asked) -> Iterator[None]:
    def refuse(*_args: object, **_options: object) -> str:
        asked.for_input = True
        raise _InputAsked

    before = builtins.input
    builtins.input = refuse
    try:
        yield
    finally:
        builtins.input = before


@contextlib.contextmanager
def _random_kept() -> Iterator[None]:
    numpy_random = sys.modules.get("numpy.random")
    before = random.getstate()
    numpy_before = numpy_random.get_state() if numpy_random else None
    try:
        yield
    finally:
        random.setstate(before)
        if numpy_random:
            numpy_random.set_state(numpy_before)


@contextlib.contextmanager
def _figures_kept() -> Iterator[None]:
    """plt.show() does nothing, and figures that the code leaves open do not appear under the check."""
    plt = sys.modules.get("matplotlib.pyplot")
    if plt is None:
        yield
        return
    before, show = set(plt.get_fignums()), plt.show
    plt.show = lambda *_args, **_options: None  # type: ignore[attr-defined]
    try:
        yield
    finally:
        plt.show = show  # type: ignore[attr-defined]
        for number in set(plt.get_fignums()) - before:
            plt.close(number)


@contextlib.contextmanager
def _notebook_muted() -> Iterator[None]:
    """In a notebook display() shows nothing, and exit() does not end the kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None:
        yield
        return

    def refuse(*_args: object, **_options: object) -> None:
        raise SystemExit

    from IPython.utils.capture import capture_output

    with capture_output(stdout=False, stderr=False, display=True):
        shell.ask_exit = refuse
        try:
            yield
        finally:
            del shell.ask_exit
