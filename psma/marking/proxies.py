"""What the tests see of a trainee's objects: values that were decoded, functions at a distance, and things
unseen.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable
from typing import Any, Protocol

from psma.marking.channel import Channel, Closed, Late
from psma.marking.wire import Message, TooLarge, WireError, pack, plain


class NeedsHand(BaseException):
    """The test needs something that does not cross: a person decides. Not an Exception, so no test catches
    it.
    """


class Gone(BaseException):
    """The trainee's process ended while it was asked."""


class Slow(BaseException):
    """The trainee's process did not answer within the limit."""


class Unreadable(BaseException):
    """What the trainee's process sent is no answer."""


class Source(Protocol):
    """Where a test's values come from: a ``session.Session``."""

    def get(self, name: str) -> Message:
        """The reply to a request for a name's value."""

    def open(self) -> Channel:
        """A fork for this test."""


class Remote:
    """One test's conversation with the trainee's process; what the test sends goes to a fork of it only."""

    def __init__(self, source: Source, modules: frozenset[str], limit: float) -> None:
        self.source = source
        self.channel: Channel | None = None
        self.modules = modules
        self.limit = limit
        self.over = False
        self.values: dict[str, Any] = {}
        self.called = ""
        self.unseen = False
        self.touched = ""

    def ask(self, request: Callable[[], Message]) -> Message:
        """One request and its answer. Raises Gone, Slow, Unreadable."""
        if self.over:
            raise self.hand("it uses a function from an earlier test")
        try:
            return request()
        except Late:
            raise Slow from None
        except Closed:
            raise Gone from None
        except WireError as error:
            raise Unreadable(str(error)) from None

    def lookup(self, name: str) -> Any:
        """The value of a name in the trainee's namespace. Raises KeyError."""
        if name not in self.values:
            frame = plain({"do": "get", "name": name})
            reply = self.ask(lambda: self.source.get(name) if self.channel is None else self._send(frame))
            if reply.get("missing") is True:
                raise KeyError(name)
            self.values[name] = self._value(reply)
        return self.values[name]

    def _send(self, frame: bytes) -> Message:
        """A request to the fork, which is made when a test first has something to send."""
        if self.channel is None:
            self.channel = self.source.open()
        self.channel.send(frame, self.limit)
        return self.channel.receive(self.limit)

    def call(self, target: dict[str, Any], label: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a trainee's function; what it changed in its arguments is changed here too."""
        self.called = label
        self.values = {name: value for name, value in self.values.items() if _is_function(value)}
        try:
            frame = pack({"do": "call", **target}, {"args": list(args), "kwargs": dict(kwargs)}, self)
        except TooLarge:
            raise self.hand("an argument is too large to be sent") from None
        reply = self.ask(lambda: self._send(frame))
        out = reply.get("out")
        if type(out) is str and out:
            sys.stdout.write(out)
        if reply.get("args") is not None:
            _write_back(args, self._decoded(reply, "args"))
        if reply.get("error") is not None:
            raise _error_from(reply["error"], label)
        return self._value(reply)

    def _value(self, reply: Message) -> Any:
        if reply.get("large") is True:
            raise self.hand("a value is too large to be read")
        return self._decoded(reply, "value")

    def _decoded(self, reply: Message, key: str) -> Any:
        try:
            return reply.value(key, self)
        except WireError as error:
            raise Unreadable(str(error)) from None

    def hand(self, why: str) -> NeedsHand:
        """The exception to raise; remembered, in case the test swallows it."""
        self.touched = self.touched or why
        return NeedsHand(why)

    def give(self, value: Any, kind: str) -> dict[str, Any]:  # noqa: ARG002 (of what kind is known here)
        """Name an argument for the trainee's process: only what came from there can go back."""
        target = (
            object.__getattribute__(value, "_target") if type(value) in (Unseen, RemoteFunction) else None
        )
        if target is None:
            raise self.hand("an argument is of a type that cannot be sent to the trainee's process")
        if object.__getattribute__(value, "_remote") is not self:
            raise self.hand("an argument belongs to another test")
        return {"t": "ref", "h": target["h"]}

    def take(self, spec: dict[str, Any]) -> Any:
        """The stand-in for an object that stayed with the trainee."""
        name = spec.get("n") if type(spec.get("n")) is str else "object"
        handle = spec.get("h")
        if type(handle) is not int or spec["t"] == "ref":
            raise WireError("not a handle")
        if spec["t"] == "fn":
            return RemoteFunction(self, {"h": handle}, str(name)[:80])
        if spec["t"] == "module" and name in self.modules:
            return __import__(str(name), fromlist=["_"])
        self.unseen = True
        return Unseen(self, {"h": handle}, str(name)[:80])


def _is_function(value: Any) -> bool:
    return type(value) is RemoteFunction


class RemoteFunction:
    """A trainee's function: can be called, has a name, and is otherwise out of reach."""

    def __init__(self, remote: Remote, target: dict[str, Any], name: str) -> None:
        self._remote, self._target = remote, target
        self.__name__ = self.__qualname__ = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._remote.call(self._target, self.__name__, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__array") or name in ("__len__", "__iter__", "__index__", "__wrapped__"):
            raise AttributeError(name)
        raise self._remote.hand(f"it asks for .{name} of the function {self.__name__}")


class Unseen:
    """An object that stayed in the trainee's process. It exists and is not None; anything more needs a
    person.
    """

    def __init__(self, remote: Remote, target: dict[str, Any], name: str) -> None:
        object.__setattr__(self, "_remote", remote)
        object.__setattr__(self, "_target", target)
        object.__setattr__(self, "_name", name)

    def __hash__(self) -> int:
        return id(self)

    def __bool__(self) -> bool:
        raise _touched(self, "bool")

    def __getattribute__(self, name: str) -> Any:
        raise _touched(self, name)


def _touched(value: Any, operation: str) -> NeedsHand:
    remote: Remote = object.__getattribute__(value, "_remote")
    name = object.__getattribute__(value, "_name")
    return remote.hand(f"it uses an object of type {name} ({operation.strip('_')})")


def _special(operation: str) -> Any:
    def method(self: Any, *_: Any, **__: Any) -> Any:
        raise _touched(self, operation)

    return method


for _operation in (
    *(
        "eq",
        "ne",
        "lt",
        "le",
        "gt",
        "ge",
        "call",
        "len",
        "iter",
        "next",
        "contains",
        "reversed",
        "length_hint",
    ),
    *(
        "getitem",
        "setitem",
        "delitem",
        "setattr",
        "delattr",
        "dir",
        "repr",
        "str",
        "format",
        "bytes",
        "fspath",
    ),
    *(
        "add",
        "radd",
        "sub",
        "rsub",
        "mul",
        "rmul",
        "truediv",
        "rtruediv",
        "floordiv",
        "rfloordiv",
        "mod",
        "rmod",
    ),
    *(
        "divmod",
        "pow",
        "rpow",
        "matmul",
        "rmatmul",
        "and",
        "rand",
        "or",
        "ror",
        "xor",
        "rxor",
        "lshift",
        "rshift",
    ),
    *("neg", "pos", "abs", "invert", "int", "float", "complex", "index", "round", "trunc", "floor", "ceil"),
    *("enter", "exit", "iadd", "isub", "imul", "await", "aiter"),
):
    setattr(Unseen, f"__{_operation}__", _special(_operation))


def _write_back(args: tuple[Any, ...], changed: Any) -> None:
    """Repeat on the test's arguments what the function did to its copies."""
    if type(changed) is not dict:
        raise Unreadable("changed arguments that are no mapping")
    for place, new in changed.items():
        if type(place) is not int or not 0 <= place < len(args) or type(new) is not type(args[place]):
            raise Unreadable("a changed argument of another type")
        old = args[place]
        if hasattr(old, "_update_inplace"):
            old._update_inplace(new)
        elif type(old).__name__ == "ndarray":
            _write_back_array(old, new)
        elif isinstance(old, list | bytearray):
            old[:] = new
        elif hasattr(old, "clear"):
            old.clear()
            (old.extend if hasattr(old, "extend") else old.update)(new)


def _write_back_array(old: Any, new: Any) -> None:
    if old.shape != new.shape or old.dtype != new.dtype:
        raise Unreadable("a changed array of another shape")
    old[...] = new


class TraineeError(Exception):
    """An error that a trainee's function raised. The classes raised are subclasses of the built-in one as
    well.
    """

    words = ""


def _error_from(told: Any, label: str) -> BaseException:
    """The exception to raise in the test for what a trainee's function raised."""
    told = told if type(told) is dict else {}
    bases = told.get("bases")
    names = [name for name in bases if type(name) is str] if type(bases) is list else []
    kinds = [getattr(builtins, name, None) for name in names]
    known = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Exception)]
    base = next((kind for kind in known if _plain_init(kind)), Exception)
    name, words = str(told.get("name", "Exception"))[:80], str(told.get("words", ""))[:500]
    if base in (Exception, StopIteration, StopAsyncIteration):
        error: BaseException = type(name, (TraineeError,), {})(words)
    else:
        error = type(name, (TraineeError, base), {})(words)
    error.words = f"{label} stopped with {name}: {words}"  # type: ignore[attr-defined]
    return error


def _plain_init(kind: type[BaseException]) -> bool:
    try:
        type("Probe", (TraineeError, kind), {})("words")
    except TypeError:
        return False
    return True
