"""Try an expression on somebody's names, and compare what comes out with what was expected.

Nothing here prints, writes or trusts the code it runs. ``evaluate`` runs an expression on copies of the
data it names, quietly and for a limited time; ``same`` compares; ``describe`` and ``difference`` put the
result into words. numpy and pandas are used only when the notebook has loaded them, so that importing this module stays fast.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import contextvars
import ctypes
import datetime
import dis
import functools
import math
import os
import random
import signal
import sys
import threading
import time
import types
import warnings
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from psma.errors import PsmaError

Namespace = dict[str, Any]

# ----------------------------------------------------------------------------------------------------
# Expressions and the names in them
# ----------------------------------------------------------------------------------------------------

# What Python itself brings; IPython's additions (display, its own input) are left out on purpose.
PYTHONS_OWN = frozenset(
    name
    for name, value in vars(builtins).items()
    if isinstance(value, (type, types.BuiltinFunctionType)) and not name.startswith("_")
)


def parse(expression: str) -> ast.Expression:
    """The syntax tree of an author's expression; PsmaError if it is none, or only the name of a builtin."""
    if not isinstance(expression, str):
        raise PsmaError(f"An expression of a check must be text in quotes, not {type(expression).__name__}.")
    try:
        tree = ast.parse(expression.strip(), "<check>", mode="eval")
    except (SyntaxError, ValueError) as error:
        raise PsmaError(
            f"The check's expression {expression!r} is not a Python expression: {error}."
        ) from None
    if isinstance(tree.body, ast.Name) and tree.body.id in PYTHONS_OWN:
        raise PsmaError(
            f"A check cannot ask for the name {expression}: it is Python's own. Choose another name."
        )
    return tree


def names_in(expression: str) -> list[str]:
    """The names that an expression takes from outside, in reading order, without Python's own."""
    nodes = list(ast.walk(parse(expression)))
    bound = {n.id for n in nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    bound |= {n.arg for n in nodes if isinstance(n, ast.arg)}
    loaded = sorted((n.lineno, n.col_offset, n.id) for n in nodes if isinstance(n, ast.Name))
    free = dict.fromkeys(name for _, _, name in loaded if name not in bound and name not in PYTHONS_OWN)
    return list(free)


# ----------------------------------------------------------------------------------------------------
# What is still a stub
# ----------------------------------------------------------------------------------------------------

_TRIVIAL_STEPS = {
    "RESUME",
    "NOP",
    "CACHE",
    "MAKE_CELL",
    "COPY_FREE_VARS",
    "LOAD_CONST",
    "RETURN_CONST",
    "RETURN_VALUE",
}
_LOADS = {"LOAD_GLOBAL", "LOAD_NAME"}


@dataclass(frozen=True)
class Open:
    """A name that is not there yet: missing, a stub, or needed by ``user`` and a stub."""

    name: str
    missing: bool = False
    user: str = ""


def first_open(expression: str, namespace: Namespace) -> Open | None:
    """The first name in the expression that is missing, still a stub, or leans on a stub."""
    for name in names_in(expression):
        if name not in namespace and not hasattr(builtins, name):
            return Open(name, missing=True)
        stub = _stub_below(name, namespace.get(name), namespace, set())
        if stub:
            return Open(stub, user="" if stub.split(".")[0] == name else name)
    return None


def unfinished(expression: str, namespace: Namespace) -> str | None:
    """The first function that the expression uses in which a lone ``...`` still stands beside other code."""
    for name in names_in(expression):
        for function in _functions_below(namespace.get(name), namespace, set()):
            body = _body_of(function)
            if body and any(_is_dots(node) for top in body for node in ast.walk(top)):
                return function.__qualname__
    return None


def _stub_below(name: str, value: Any, namespace: Namespace, seen: set[int]) -> str | None:
    """The name of the first stub met from ``value`` downwards, through functions and classes of the notebook."""
    value = _unwrapped(value)
    if id(value) in seen:
        return None
    seen.add(id(value))
    if _is_placeholder(value):
        return name
    if isinstance(value, types.FunctionType):
        return name if _is_stub_function(value) else _stub_in_names(value, namespace, seen)
    kind = value if isinstance(value, type) else type(value)
    if kind.__module__ == namespace.get("__name__") and not issubclass(kind, BaseException):
        return _stub_in_class(kind, namespace, seen)
    return None


def _stub_in_names(function: types.FunctionType, namespace: Namespace, seen: set[int]) -> str | None:
    if function.__globals__ is not namespace:
        return None
    for name in _globals_of(function.__code__):
        stub = _stub_below(name, namespace[name], namespace, seen) if name in namespace else None
        if stub:
            return stub
    return None


def _stub_in_class(kind: type, namespace: Namespace, seen: set[int]) -> str | None:
    """A class with nothing in it, or the first of its methods that is a stub or leans on one."""
    methods = list(_methods_of(kind))
    own = [key for key in vars(kind) if not key.startswith("__")] or vars(kind).get("__annotations__")
    if not methods and not own and kind.__bases__ == (object,):
        return kind.__name__
    for method in methods:
        if _is_stub_function(method, passing=False):
            return f"{kind.__name__}.{method.__name__}"
        stub = _stub_in_names(method, namespace, seen)
        if stub:
            return stub
    for base in kind.__bases__:
        stub = _stub_below(base.__name__, base, namespace, seen)
        if stub:
            return stub
    return None


def _functions_below(value: Any, namespace: Namespace, seen: set[int]) -> Iterator[types.FunctionType]:
    """Every function of the notebook that ``value`` is, holds as a method, or uses by name."""
    value = _unwrapped(value)
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, types.FunctionType):
        if value.__globals__ is namespace:
            yield value
            for name in _globals_of(value.__code__):
                yield from _functions_below(namespace.get(name), namespace, seen)
        return
    kind = value if isinstance(value, type) else type(value)
    if kind.__module__ == namespace.get("__name__"):
        for method in _methods_of(kind):
            yield from _functions_below(method, namespace, seen)


def _unwrapped(value: Any) -> Any:
    """What stands behind a bound method, a partial or a decorator that kept ``__wrapped__``."""
    for _ in range(20):
        if isinstance(value, types.MethodType):
            value = value.__func__
        elif isinstance(value, functools.partial):
            value = value.func
        elif isinstance(value, (types.FunctionType, functools._lru_cache_wrapper)) and hasattr(
            value, "__wrapped__"
        ):
            value = value.__wrapped__
        else:
            break
    return value


def _methods_of(kind: type) -> Iterator[types.FunctionType]:
    for value in list(vars(kind).values()):
        inner = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        method = _unwrapped(inner)
        if isinstance(method, types.FunctionType) and method.__module__ == kind.__module__:
            yield method


def _is_placeholder(value: Any) -> bool:
    """``...`` itself, or a small container that still holds one."""
    if value is ...:
        return True
    if type(value) in (list, tuple) and len(value) < 100:
        return any(item is ... for item in value)
    return type(value) is dict and len(value) < 100 and any(item is ... for item in value.values())


def _is_stub_function(function: types.FunctionType, *, passing: bool = True) -> bool:
    """Is the body nothing but ``...`` (or ``pass``, unless ``passing`` is off) under a docstring?

    The bytecode decides that nothing is done; the source, where there is one, tells ``...`` from ``return None``.
    """
    for step in dis.get_instructions(function):
        if step.opname not in _TRIVIAL_STEPS:
            return False
        if (
            step.opname in ("LOAD_CONST", "RETURN_CONST")
            and step.argval is not None
            and step.argval is not ...
        ):
            return False
    body = _body_of(function)
    if body is None:
        return True
    return all(
        _is_docstring(node) or _is_dots(node) or (passing and isinstance(node, ast.Pass)) for node in body
    )


def _body_of(function: types.FunctionType) -> list[ast.stmt] | None:
    """The statements of a function from its source, or None where there is no source to be had."""
    import inspect
    import textwrap

    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function.__code__)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    node = tree.body[0] if tree.body else None
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == function.__code__.co_name:
        return node.body
    return None


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _is_dots(node: ast.AST) -> bool:
    """A ``...`` that stands as a statement, or is what a function returns or a name is set to."""
    if isinstance(node, (ast.Expr, ast.Return, ast.Assign, ast.AnnAssign)):
        return isinstance(node.value, ast.Constant) and node.value.value is ...
    return False


def _globals_of(code: types.CodeType) -> list[str]:
    """The global names that a function and the functions inside it read; attributes are not among them."""
    names = [str(step.argval) for step in dis.get_instructions(code) if step.opname in _LOADS]
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            names += _globals_of(inner)
    return list(dict.fromkeys(names))


# ----------------------------------------------------------------------------------------------------
# Running code: quietly, on copies, for a limited time
# ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What came of running something.

    ``kind`` is "value" (see ``value``), "error" (see ``error``), "time" (stopped) or "input" (it asked for input()).
    ``changed`` is the name of the first piece of data that the expression changed, or "".
    """

    kind: str
    value: Any = None
    error: BaseException | None = None
    changed: str = ""


class _TimeUp(SystemExit):
    """Raised in code that runs too long: ``except Exception`` lets it through, and a thread dies of it quietly."""


class _InputAsked(BaseException):
    """Raised where code asks for input()."""


class _Asked:
    """Whether the code ran out of time, or asked for input, even if it swallowed the exception."""

    time_up = False
    for_input = False


def evaluate(expression: str, namespace: Namespace, seconds: float = 5.0) -> Outcome:
    """Evaluate an expression on copies of the data it names, muted, for at most ``seconds``.

    Never raises for what the code does. A builtin that the notebook has covered (``sum = 3``) means Python's own here.
    """
    code = compile(parse(expression), "<check>", "eval", dont_inherit=True)
    copies = _copies(expression, namespace)
    scope = {name: value for name, value in namespace.items() if name not in PYTHONS_OWN} | copies
    scope["__builtins__"] = builtins
    outcome = run(lambda: eval(code, scope), seconds)
    if outcome.kind == "value":
        for name, copy in copies.items():
            if not _unchanged(copy, namespace[name]):
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


# As a C function, so that nothing can interrupt it: PyThreadState_SetAsyncExc(thread, exception).
_raise_in = ctypes.PYFUNCTYPE(None, ctypes.c_ulong, ctypes.py_object)(
    ("PyThreadState_SetAsyncExc", ctypes.pythonapi)
)
_NO_EXCEPTION: Any = ctypes.py_object()


def _bell(thread: int) -> type[_TimeUp]:
    """An exception for one thread that orders the next one while it is made.

    Code that swallows it (``while True: try: ... except: pass``) meets the next before it can start again.
    """

    class TimeUp(_TimeUp):
        pass

    TimeUp.__init__ = staticmethod(functools.partial(_raise_in, thread, TimeUp))  # type: ignore[method-assign]
    return TimeUp


def _call_with_bell(action: Callable[[], Any], bell: type[_TimeUp], thread: int) -> Any:
    """Call the action and silence the bell. Two steps that Python never interrupts, so keep them as they are."""
    try:
        return _call(action)
    finally:
        bell.__init__ = _TimeUp.__init__  # type: ignore[method-assign]
        _raise_in(thread, _NO_EXCEPTION)


def _limited_by_signal(action: Callable[[], Any], seconds: float, asked: _Asked) -> Any:
    """Stop the action with an alarm, in the main thread of Linux and macOS."""
    thread = threading.get_ident()
    bell = _bell(thread)

    def ring(_signum: int, frame: types.FrameType | None) -> None:
        if _is_running(frame):
            asked.time_up = True
            raise bell

    handler = signal.signal(signal.SIGALRM, ring)
    started = time.monotonic()
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, 0.05)
    try:
        return _call_with_bell(action, bell, thread)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler or signal.SIG_DFL)
        if left:  # somebody else's alarm (a test runner's, say) goes on
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - started), 1e-6), interval)


def _limited_by_thread(action: Callable[[], Any], seconds: float, asked: _Asked) -> Any:
    """The same without signals (Windows, or off the main thread): in a second thread, given up if need be.

    One long call into C, such as ``time.sleep(1000)``, goes on behind the notebook's back.
    """
    results: list[tuple[Any, BaseException | None]] = []
    bells: list[type[_TimeUp]] = []
    context = contextvars.copy_context()

    def work() -> None:
        thread = threading.get_ident()
        bells.append(_bell(thread))
        try:
            results.append((context.run(_call_with_bell, action, bells[0], thread), None))
        except BaseException as error:
            results.append((None, error))

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        worker.join(seconds)
    finally:  # also when somebody presses the stop button
        asked.time_up = worker.is_alive()
        _end(worker, bells)
    if asked.time_up or not results:
        raise _TimeUp
    value, error = results[0]
    if error is not None:
        raise error
    return value


def _end(worker: threading.Thread, bells: list[type[_TimeUp]]) -> None:
    """Ring in the worker until it ends, but for a second at most."""
    until = time.monotonic() + 1
    while worker.is_alive() and time.monotonic() < until:
        if _is_running(sys._current_frames().get(worker.ident or 0)):
            _raise_in(worker.ident or 0, bells[0])
        worker.join(0.01)


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
    with open(os.devnull, "w", encoding="utf-8") as nowhere, open(os.devnull, encoding="utf-8") as nothing:
        with warnings.catch_warnings():
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


# ----------------------------------------------------------------------------------------------------
# Copies of the data that an expression names
# ----------------------------------------------------------------------------------------------------

_COPY_ITEMS = 200_000  # about a tenth of a second; what is larger is used as it is, and not watched
_COPY_BYTES = 200_000_000


class _TooLarge(Exception):
    """The data is larger than a check should copy."""


def _copies(expression: str, namespace: Namespace) -> Namespace:
    """Copies of the lists, dictionaries, sets, arrays and tables that the expression hands to a call."""
    if not any(isinstance(node, ast.Call) for node in ast.walk(parse(expression))):
        return {}
    copies: Namespace = {}
    memo: dict[int, Any] = {}  # shared, so that two names for one list stay two names for one list
    for name in names_in(expression):
        with contextlib.suppress(Exception):
            copy = _copy(namespace.get(name), memo)
            if copy is not namespace.get(name):
                copies[name] = copy
    return copies


def _copy(value: Any, memo: dict[int, Any]) -> Any:
    """A copy all the way down of plain containers, arrays and tables; anything else stays the same object."""
    if id(value) in memo:
        return memo[id(value)]
    kind = type(value)
    copy: Any
    if kind in (list, deque, set, dict, defaultdict, OrderedDict, Counter, tuple):
        if len(memo) + len(value) > _COPY_ITEMS:
            raise _TooLarge
        if kind is tuple:
            copy = tuple(_copy(item, memo) for item in value)
            copy = value if all(a is b for a, b in zip(copy, value, strict=True)) else copy
        else:
            copy = memo[id(value)] = value.copy()
            if isinstance(value, dict):
                for key in value:
                    copy[key] = _copy(value[key], memo)
            elif kind is not set:
                for place, item in enumerate(value):
                    copy[place] = _copy(item, memo)
    elif _is(value, *_loaded("numpy", "ndarray"), *_loaded("pandas", "Series", "DataFrame")):
        if _bytes_of(value) > _COPY_BYTES:
            raise _TooLarge
        copy = value.copy()
    elif _is(value, random.Random, *_loaded("numpy.random", "Generator", "RandomState")):
        import copy as copying

        copy = copying.deepcopy(value)
    else:
        return value
    memo[id(value)] = copy
    return copy


def _bytes_of(value: Any) -> int:
    return int(value.nbytes if hasattr(value, "nbytes") else value.memory_usage().sum())


def _unchanged(copy: Any, original: Any) -> bool:
    """Is the copy still like the original, in every detail? In doubt, yes."""
    try:
        return _identical(copy, original)
    except Exception:
        return True


def _identical(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple, deque)):
        return len(a) == len(b) and all(map(_identical, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(_identical(a[key], b[key]) for key in a)
    if _is(a, *_loaded("numpy", "ndarray")):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        return all(map(_identical, a.flat, b.flat)) if a.dtype.hasobject else a.tobytes() == b.tobytes()
    if _is(a, *_loaded("pandas", "Series", "DataFrame")):
        names = a.columns.equals(b.columns) if hasattr(a, "columns") else a.name == b.name
        return bool(names and a.index.equals(b.index) and a.equals(b))
    if _is(a, random.Random, *_loaded("numpy.random", "Generator", "RandomState")):
        return True  # a random generator is there to move on
    return bool(a == b) or (a != a and b != b)


# ----------------------------------------------------------------------------------------------------
# Comparison
# ----------------------------------------------------------------------------------------------------

ROUNDING = 1e-12  # relative: floats that differ less are the same number, computed in another order
_EPOCH = datetime.datetime(1970, 1, 1)
_MICROSECOND = datetime.timedelta(microseconds=1)
_SEQUENCES: tuple[type, ...] = (list, tuple, deque, range, type({}.keys()), type({}.values()))
_ROWS = ("sequence", "array", "column")


def same(got: Any, want: Any, within: float = 1e-9) -> bool:
    """Is ``got`` what was wanted, in any right form? Never raises.

    Numbers may differ by ``within`` (absolute, in the answer's own unit) plus a relative 1e-12 for rounding, unless
    ``within`` is 0. ``docs/checks.md`` has the rules for every other type.
    """
    try:
        return _same(got, want, within)
    except (Exception, SystemExit, GeneratorExit):
        return False


def _same(got: Any, want: Any, within: float, table: bool = False) -> bool:
    """``table``: inside arrays and tables every missing value (None, NaN, NA, NaT) is the same."""
    if got is want:
        return True
    got_kind, got = plain(got)
    kind, want = plain(want)
    if table and {kind, got_kind} <= {"missing", "nothing"}:
        return True
    if kind in _ROWS and got_kind in _ROWS:
        return _rows_same(got_kind, got, kind, want, within)
    if kind != got_kind:
        return False
    if kind == "number":
        return _numbers_same(got, want, within)
    if kind in ("time", "span"):
        return type(got) is type(want) and _times_same(got, want)
    if kind == "table":
        return first_difference_in_table(got, want, within) is None
    if kind == "mapping":
        return _mappings_same(got, want, within)
    if kind == "set":
        return len(got) == len(want) and all(_find(item, got) is not _NOT_FOUND for item in want)
    if kind == "other":
        return type(got) is type(want) and (got == want) is True
    return bool(got == want)


def plain(value: Any) -> tuple[str, Any]:
    """The kind of a value and the value in plain Python, whatever class it came in.

    Kinds: nothing, missing, truth, number, text, bytes, time, span, sequence, array, column, table, mapping, set, other.
    Goes by ``type``, never by what the object says about itself.
    """
    if value is None:
        return "nothing", None
    kind = type(value)
    if kind is bool:
        return "truth", value
    if issubclass(kind, str):
        return "text", str.__str__(value)
    if issubclass(kind, int):
        return "number", int.__pos__(value)
    if issubclass(kind, float):
        number = float.__pos__(value)
        return ("missing", number) if math.isnan(number) else ("number", number)
    if issubclass(kind, bytes):
        return "bytes", bytes.__getitem__(value, slice(None))
    if issubclass(kind, _SEQUENCES):
        return "sequence", list(_base_iter(value))
    if issubclass(kind, dict):
        return "mapping", dict(dict.items(value))
    if issubclass(kind, (set, frozenset)):
        return "set", frozenset(value)
    return _plain_science(value)


def _plain_science(value: Any) -> tuple[str, Any]:
    """``plain`` for what comes from numpy, pandas, datetime and their like."""
    if any(value is missing for missing in _loaded("pandas", "NA", "NaT")):
        return "missing", value
    if _is(value, datetime.date):
        return _plain_time(value)
    if _is(value, datetime.timedelta):
        return "span", value // _MICROSECOND
    if _is(value, complex, *_loaded("decimal", "Decimal"), *_loaded("fractions", "Fraction")):
        number = value if _is(value, complex) else float(value)
        return ("missing", number) if number != number else ("number", number)
    if _is(value, *_loaded("numpy", "generic")):
        return _plain_scalar(value)
    if _is(value, *_loaded("numpy", "ndarray")):
        array = sys.modules["numpy"].asarray(value)
        return ("array", array) if array.ndim else plain(array[()])
    if _is(value, *_loaded("pandas", "Series")):
        return "column", value
    if _is(value, *_loaded("pandas", "DataFrame")):
        return "table", value
    if _is(value, *_loaded("pandas", "Index"), *_loaded("pandas.api.extensions", "ExtensionArray")):
        return "sequence", value.tolist()
    if _is(value, *_loaded("tensorflow", "Tensor")):
        return plain(value.numpy())
    return "other", value


def _plain_scalar(value: Any) -> tuple[str, Any]:
    """``plain`` for one of numpy's own scalars."""
    numpy = sys.modules["numpy"]
    if _is(value, numpy.bool_):
        return "truth", bool(value)
    if _is(value, numpy.datetime64, numpy.timedelta64):
        if numpy.isnat(value):
            return "missing", value
        unit = "datetime64[us]" if _is(value, numpy.datetime64) else "timedelta64[us]"
        number = int(value.astype(unit).astype("int64"))
        return ("time", (False, number)) if unit[0] == "d" else ("span", number)
    if _is(value, numpy.complexfloating):
        return plain(complex(value))
    if _is(value, numpy.floating):
        return plain(float(value))
    if _is(value, numpy.integer):
        return plain(int(value))
    return "other", value


def _plain_time(value: Any) -> tuple[str, Any]:
    """A date or a moment as (has a time zone, microseconds since 1970); a date is its midnight."""
    if not _is(value, datetime.datetime):
        value = datetime.datetime(value.year, value.month, value.day)
    aware = value.tzinfo is not None
    if aware:
        value = value.astimezone(datetime.UTC)
    return "time", (aware, (value.replace(tzinfo=None) - _EPOCH) // _MICROSECOND)


def _loaded(module: str, *names: str) -> tuple[Any, ...]:
    """Classes and constants of a module, if somebody has imported it; else none."""
    found = sys.modules.get(module)
    return tuple(getattr(found, name) for name in names if hasattr(found, name)) if found else ()


def _is(value: Any, *kinds: type) -> bool:
    """isinstance that an object cannot talk its way into with ``__class__``."""
    return issubclass(type(value), kinds)


def _base_iter(value: Any) -> Iterator[Any]:
    """Iterate as the built-in type does, whatever a subclass says."""
    for base in (list, tuple, deque):
        if issubclass(type(value), base):
            return iter(base.__iter__(value))
    return iter(value)


def _numbers_same(got: Any, want: Any, within: float) -> bool:
    if got == want:
        return True
    if isinstance(got, int) and isinstance(want, int):
        return abs(got - want) <= within
    try:
        gap, size = abs(got - want), abs(want)
    except OverflowError:  # an int too large for a float
        return False
    return math.isfinite(gap) and gap <= within + (ROUNDING * size if within else 0)


def _times_same(got: Any, want: Any) -> bool:
    """Moments and spans of time agree to the microsecond; with a time zone is never without one."""
    if isinstance(got, tuple):
        return bool(got[0] == want[0] and abs(got[1] - want[1]) <= 1)
    return bool(abs(got - want) <= 1)


_NOT_FOUND = object()


def _find(item: Any, among: Any) -> Any:
    """The member of a set or the key of a dictionary that is the same as ``item``, of the same kind."""
    for other in among if len(among) <= 200 else (other for other in among if hash(other) == hash(item)):
        if _same(other, item, 0):
            return other
    return _NOT_FOUND


def _mappings_same(got: dict[Any, Any], want: dict[Any, Any], within: float) -> bool:
    return len(got) == len(want) and first_difference_in_mapping(got, want, within) is None


def first_difference_in_mapping(
    got: dict[Any, Any], want: dict[Any, Any], within: float
) -> tuple[Any, Any] | None:
    """The first wanted key that is missing or has another value: (key, got's value or ``_NOT_FOUND``)."""
    for key, value in want.items():
        found = _find(key, got)
        if found is _NOT_FOUND:
            return key, _NOT_FOUND
        if not _same(got[found], value, within):
            return key, got[found]
    return None


def _rows_same(got_kind: str, got: Any, kind: str, want: Any, within: float) -> bool:
    """Lists, tuples, arrays and columns against each other."""
    if kind == "column" and got_kind != "column" and not _is_numbered(want.index):
        return False  # the labels are part of the answer
    if kind == "column" and got_kind == "column":
        order = _row_order(got.index, want.index)
        if order is None:
            return False
        got = got.iloc[order]
    if kind == got_kind == "array" and got.shape != want.shape:
        return False
    return first_unlike(_values(got), _values(want), within) is None


def _values(rows: Any) -> Any:
    """A list, array or column as an array of numbers where it is one, else as a list."""
    if not _is(rows, *_loaded("pandas", "Series")):
        return rows
    dtype = rows.dtype
    if getattr(dtype, "kind", "O") in "iufc":
        if isinstance(dtype, sys.modules["numpy"].dtype):
            return rows.to_numpy()
        if not rows.isna().any():
            return rows.to_numpy(dtype=dtype.kind + "8")
        return rows.to_numpy(dtype=float, na_value=math.nan)
    if getattr(dtype, "kind", "O") in "Mmb" and isinstance(dtype, sys.modules["numpy"].dtype):
        return rows.to_numpy()
    return rows.tolist()


def first_unlike(got: Any, want: Any, within: float) -> int | None:
    """The first place where two rows of values differ (the shorter one's length, if that is all), or None."""
    numpy = sys.modules.get("numpy")
    if numpy and _is(got, numpy.ndarray) and _is(want, numpy.ndarray) and got.shape == want.shape:
        unlike = _arrays_unlike(got, want, within)
        if unlike is not None:
            places = unlike.reshape(len(unlike), -1).any(axis=1).nonzero()[0] if unlike.size else []
            return int(places[0]) if len(places) else None
    got, want = list(got), list(want)
    if got and set(map(type, got)) == set(map(type, want)) == {str} and got == want:
        return None
    for place, (one, other) in enumerate(zip(got, want, strict=False)):
        if not _same(one, other, within, table=True):
            return place
    return None if len(got) == len(want) else min(len(got), len(want))


def _arrays_unlike(got: Any, want: Any, within: float) -> Any:
    """Where two arrays of one shape differ, as an array of truths; None if they are not both of one simple kind."""
    numpy = sys.modules["numpy"]
    kinds = {got.dtype.kind, want.dtype.kind}
    if kinds == {"b"} or kinds == {"U"}:
        return got != want
    if kinds == {"M"} or kinds == {"m"}:
        unit = "datetime64[us]" if kinds == {"M"} else "timedelta64[us]"
        both_missing = numpy.isnat(got) & numpy.isnat(want)
        gap = got.astype(unit).astype("int64") - want.astype(unit).astype("int64")
        return ~both_missing & ((numpy.abs(gap) > 1) | (numpy.isnat(got) != numpy.isnat(want)))
    if not kinds <= set("iufc"):
        return None
    if kinds <= set("iu") and got.size and max(_largest(got), _largest(want)) >= 2**53:
        return None  # too large for a float: one by one, exactly
    kind = complex if "c" in kinds else float
    with numpy.errstate(all="ignore"):
        got, want = got.astype(kind), want.astype(kind)
        allowed = within + (ROUNDING * numpy.abs(want) if within and not kinds <= set("iu") else 0)
        near = numpy.isfinite(got) & numpy.isfinite(want) & (numpy.abs(got - want) <= allowed)
        return ~(near | (got == want) | (numpy.isnan(got) & numpy.isnan(want)))


def _largest(array: Any) -> int:
    return max(abs(int(array.max())), abs(int(array.min())))


def _is_numbered(index: Any) -> bool:
    """Is it the index that pandas makes by itself, 0, 1, 2, …?"""
    return _is(index, *_loaded("pandas", "RangeIndex")) and index.start == 0 and index.step == 1


def _row_order(got: Any, want: Any) -> list[int] | None:
    """The places in ``got`` of the rows of ``want``: as they stand, or by label. None if the labels differ."""
    if len(got) != len(want):
        return None
    if _is_numbered(want):
        return list(range(len(want)))
    have, need = [_label(item) for item in got.tolist()], [_label(item) for item in want.tolist()]
    if have == need:
        return list(range(len(want)))
    place = {label: i for i, label in enumerate(have)}
    if len(place) < len(have) or len(set(need)) < len(need) or place.keys() != set(need):
        return None
    return [place[label] for label in need]


def _label(item: Any) -> Any:
    """A row's or column's label in a form that can be looked up, so that 1, True and '1' are three labels."""
    kind, value = plain(item)
    if kind in ("missing", "nothing"):
        return ("missing",)
    if kind == "sequence":
        return tuple(_label(part) for part in value)
    return (kind, value)


def first_difference_in_table(got: Any, want: Any, within: float) -> str | None:
    """Where two tables first differ, in words, or None. Columns go by name; rows as ``_row_order`` says."""
    have, need = [_label(c) for c in got.columns.tolist()], [_label(c) for c in want.columns.tolist()]
    for place, label in enumerate(need):
        if label not in have:
            return f"it has no column {_short(want.columns[place])}"
    for place, label in enumerate(have):
        if label not in need:
            return f"its column {_short(got.columns[place])} is too many"
    if len(got) != len(want):
        return f"{_count(len(want), 'row')} {'was' if len(want) == 1 else 'were'} expected"
    order = _row_order(got.index, want.index)
    if order is None:
        return _label_difference(got.index, want.index)
    places = [have.index(label) for label in need] if len(set(have)) == len(have) else list(range(len(need)))
    for want_place, got_place in enumerate(places):
        column = got.iloc[order, got_place]
        row = first_unlike(_values(column), _values(want.iloc[:, want_place]), within)
        if row is not None:
            return f"row {_short(column.index[row])}, column {_bare(want.columns[want_place])}: {_short(column.iloc[row])}"
    return None


def _label_difference(got: Any, want: Any) -> str:
    have = {_label(item) for item in got.tolist()}
    for item in want.tolist():
        if _label(item) not in have:
            return f"it has no row labelled {_short(item)}"
    return "some row labels stand there more than once, or in another order"


# ----------------------------------------------------------------------------------------------------
# Words
# ----------------------------------------------------------------------------------------------------

LONGEST = 80  # characters of a description


def describe(value: Any) -> str:
    """A value in at most 80 characters on one line, in words that a beginner understands. Never raises."""
    try:
        return one_line(_describe(value), LONGEST)
    except (Exception, SystemExit, GeneratorExit):
        return one_line(f"an object of class {type(value).__name__} that cannot be shown", LONGEST)


def difference(got: Any, want: Any, within: float = 1e-9) -> str:
    """Where ``got`` first differs from ``want``, if that helps somebody; else "". Never raises."""
    try:
        return one_line(_difference(got, want, within), LONGEST)
    except (Exception, SystemExit, GeneratorExit):
        return ""


def one_line(text: str, longest: int) -> str:
    """Text without line breaks or unprintable characters, cut to a length."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _describe(value: Any) -> str:
    if value is None:
        return "nothing (a function that prints but does not return?)"
    if isinstance(value, type):
        return f"the class {value.__name__} (did you forget the brackets?)"
    if isinstance(
        value, (types.FunctionType, types.MethodType, types.BuiltinFunctionType, functools.partial)
    ):
        return "a function (did you forget the brackets?)"
    if isinstance(value, types.GeneratorType) or type(value) in (map, filter, zip, enumerate, reversed):
        return f"a {type(value).__name__} (put list(...) around it to get its values)"
    kind, simple = plain(value)
    if kind == "text":
        return f"the text {simple!r}" if simple else "an empty text"
    if kind == "table":
        return f"a table of {_count(len(simple), 'row')} and {_count(simple.shape[1], 'column')}"
    if kind == "column":
        return f"a column of {_count(len(simple), 'value')}" + _preview(simple.iloc[:4].tolist(), len(simple))
    if kind == "array":
        if simple.ndim == 1:
            return f"an array of {_count(len(simple), 'value')}" + _preview(list(simple[:4]), len(simple))
        return "an array of " + " by ".join(str(side) for side in simple.shape) + " values"
    return _short(value)


def _preview(first: list[Any], length: int) -> str:
    return (
        (": " + ", ".join(_short(item) for item in first) + (", ..." if length > len(first) else ""))
        if first
        else ""
    )


def _short(value: Any, depth: int = 0) -> str:
    """A value as it would be typed, short: numbers to six digits, long containers cut."""
    kind, simple = plain(value)
    if kind in ("number", "missing"):
        return _number(simple)
    if kind == "text":
        return repr(simple) if len(simple) <= 60 else repr(simple[:60])[:-1] + "..."
    if kind in ("time", "span"):
        return str(value)
    if kind in ("sequence", "array", "column", "set", "mapping") and depth > 2:
        return "..."
    if kind in ("sequence", "set", "array", "column"):
        items = [_short(item, depth + 1) for item in list(simple)[:12]] + ["..."] * (len(simple) > 12)
        left, right = ("(", ")") if isinstance(value, tuple) else ("{", "}") if kind == "set" else ("[", "]")
        return left + ", ".join(items) + right
    if kind == "mapping":
        pairs = [f"{_short(k, depth + 1)}: {_short(v, depth + 1)}" for k, v in list(simple.items())[:8]]
        return "{" + ", ".join(pairs + ["..."] * (len(simple) > 8)) + "}"
    if kind == "other" and type(value).__repr__ is object.__repr__:
        return f"an object of class {type(value).__name__}"
    return repr(simple)


def _bare(label: Any) -> str:
    """A column's name without quotes."""
    return label if isinstance(label, str) else _short(label)


def _number(value: Any) -> str:
    if not isinstance(value, (int, float, complex)):
        return str(value)  # NA, NaT
    if isinstance(value, int) and abs(value) < 10**15:
        return str(value)
    if isinstance(value, int) and value.bit_length() > 1000:
        return f"a number of about {round(value.bit_length() * math.log10(2))} digits"
    return f"{value:.6g}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _difference(got: Any, want: Any, within: float) -> str:
    got_kind, left = plain(got)
    kind, right = plain(want)
    if kind == got_kind == "number" and _number(left) == _number(right):
        return f"to more digits {left!r}"
    if kind == got_kind == "table":
        return first_difference_in_table(left, right, within) or ""
    if kind == got_kind == "mapping":
        return _mapping_difference(left, right, within)
    if kind in _ROWS and got_kind in _ROWS:
        return _rows_difference(got_kind, left, kind, right, within)
    return ""


def _mapping_difference(got: dict[Any, Any], want: dict[Any, Any], within: float) -> str:
    found = first_difference_in_mapping(got, want, within)
    if found is None:
        return f"{_count(len(want), 'key')} expected" if len(got) != len(want) else ""
    return (
        f"no key {_short(found[0])}"
        if found[1] is _NOT_FOUND
        else f"at {_short(found[0])}: {_short(found[1])}"
    )


def _rows_difference(got_kind: str, got: Any, kind: str, want: Any, within: float) -> str:
    if len(got) != len(want):
        return f"{_count(len(want), 'value')} expected"
    if kind == "column" and got_kind != "column" and not _is_numbered(want.index):
        return "a column with labels was expected"
    if kind == got_kind == "column":
        order = _row_order(got.index, want.index)
        if order is None:
            return _label_difference(got.index, want.index)
        got = got.iloc[order]
        place = first_unlike(_values(got), _values(want), within)
        return "" if place is None else f"row {_short(got.index[place])}: {_short(got.iloc[place])}"
    place = first_unlike(_values(got), _values(want), within)
    return "" if place is None or len(want) <= 3 else f"at [{place}]: {_short(_values(got)[place])}"
