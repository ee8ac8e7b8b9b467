"""The process that runs a trainee's cells. Nothing in here is trusted once the first cell has run.

It is told to run a cell, to fork, to give a name's value, or to call a function; it answers in frames. It
knows no test and no expected answer. A request that carries a test's input reaches only a fork of it
(``serve`` with a channel of its own), which is killed after that test; or, without isolation, the only
process there is, which is used for one test.
"""

from __future__ import annotations

import importlib
import io
import os
import random
import signal
import socket
import sys
import tempfile
from contextlib import nullcontext, redirect_stdout, suppress
from pathlib import Path
from typing import Any

from psma.marking.channel import BlockingChannel, Channel, SocketChannel
from psma.marking.wire import Message, TooLarge, WireError, pack, plain

_MUTABLE = (
    "list",
    "dict",
    "set",
    "bytearray",
    "deque",
    "ndarray",
    "DataFrame",
    "Series",
    "defaultdict",
    "Counter",
    "OrderedDict",
)
_OUTPUT = 64 * 1024


def make_shell() -> Any:
    """An IPython shell for a trainee's cells: no history, no colours, no traceback printed."""
    os.environ.setdefault("MPLBACKEND", "agg")
    os.environ.setdefault("IPYTHONDIR", str(Path(tempfile.gettempdir(), ".ipython")))
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    config.InteractiveShell.cache_size = 0
    shell: Any = InteractiveShell.instance(config=config)
    for name in ("showtraceback", "showsyntaxerror", "showindentationerror"):
        setattr(shell, name, _silent)
    shell.enable_gui = _silent
    shell._tee = lambda **_: nullcontext()  # IPython would keep all that is printed, without a limit
    shell.enable_matplotlib = _no_window
    return shell


def _no_window(gui: str | None = None) -> tuple[str | None, str]:
    """``%matplotlib`` of any kind: figures are drawn, never shown."""
    return gui, "agg"


def _silent(*args: Any, **kwargs: Any) -> None:
    """Nobody reads a traceback here; what went wrong is told in the reply."""


def told(error: BaseException) -> dict[str, Any]:
    """An exception as plain words: its type, the built-in types it stems from, its message."""
    with suppress(BaseException):
        bases = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"]
        try:
            words = str(error)[:500]
        except BaseException:
            words = ""
        return {"name": type(error).__name__[:80], "bases": bases, "words": words}
    return {"name": "Exception", "bases": ["Exception"], "words": ""}


class Printed(io.StringIO):
    """What a function prints, up to a cap; the rest is dropped."""

    def write(self, text: str) -> int:
        """Keep what there is room for."""
        super().write(text[: max(0, _OUTPUT - self.tell())])
        return len(text)


class Objects:
    """The objects of this process that a test knows by number."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def give(self, value: Any, kind: str) -> dict[str, Any]:
        """Keep an object and name it."""
        self.kept.append(value)
        name = value.__name__ if kind == "module" else getattr(value, "__name__", type(value).__name__)
        return {"t": kind, "h": len(self.kept) - 1, "n": str(name)[:80]}

    def take(self, spec: dict[str, Any]) -> Any:
        """The object that a test refers to."""
        return self.kept[spec["h"]]


class Trainee:
    """Holds the trainee's namespace and answers requests about it."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.objects = Objects()
        self.main = os.getpid()

    def run(self, source: str) -> dict[str, Any]:
        """Run one cell as Jupyter would; an error in it is told, not raised."""
        try:
            result = self.shell.run_cell(source, store_history=False)
            error = result.error_before_exec or result.error_in_exec
        except BaseException as raised:
            error = raised
        if error is not None:  # whatever the frames held (all the memory, say) is free for the next cell
            error.__traceback__ = None
        if os.getpid() != self.main:  # the cell forked, and this is its child
            os._exit(0)
        return {"status": "ok"} if error is None else {"status": "error", "error": told(error)}

    def get(self, name: str) -> bytes:
        """A frame with the value of a name."""
        if name not in self.shell.user_ns:
            return plain({"missing": True})
        return self._packed({}, {"value": self.shell.user_ns[name]})

    def call(self, message: Message) -> bytes:
        """A frame with what a function gave, and with the arguments that it changed."""
        function = self.objects.kept[message["h"]]
        arguments = message.value("args", self.objects)
        keywords = message.value("kwargs", self.objects)
        before = [self._fingerprint(item) for item in arguments]
        printed = Printed()
        try:
            with redirect_stdout(printed):
                value = function(*arguments, **keywords)
        except Exception as error:
            return self._packed(
                {"error": told(error), "out": printed.getvalue()}, {"args": self._changed(arguments, before)}
            )
        except BaseException as error:
            return plain({"error": told(error), "out": ""})
        return self._packed(
            {"out": printed.getvalue()}, {"value": value, "args": self._changed(arguments, before)}
        )

    def _packed(self, message: dict[str, Any], values: dict[str, Any]) -> bytes:
        try:
            return pack(message, values, self.objects)
        except TooLarge:
            return plain({"large": True})

    def _fingerprint(self, value: Any) -> bytes | None:
        if type(value).__name__ not in _MUTABLE:
            return None
        with suppress(Exception):
            return pack({}, {"v": value}, Objects())
        return None

    def _changed(self, arguments: list[Any], before: list[bytes | None]) -> dict[int, Any]:
        return {
            place: value
            for place, (value, old) in enumerate(zip(arguments, before, strict=True))
            if old is not None and self._fingerprint(value) != old
        }

    def answer(self, message: Message) -> bytes:
        """The reply to one request that does not fork."""
        do = message["do"]
        if do == "run":
            return plain(self.run(message["source"]))
        if do == "get":
            return self.get(message["name"])
        if do == "call":
            return self.call(message)
        raise WireError("an unknown request")


def serve(trainee: Trainee, channel: Channel) -> None:
    """Answer requests until the channel closes."""
    while True:
        channel.send(trainee.answer(channel.receive()))


def serve_with_forks(trainee: Trainee, channel: SocketChannel) -> None:
    """Run cells, and fork on request: each fork serves one test, over the socket that came along.

    The fork is an orphan, or its end (exit status, memory and time used) would be told to this process.
    """
    while True:
        message, fds = channel.receive_with_fds(1)
        if message["do"] != "fork":
            channel.send(trainee.answer(message))
            continue
        pid = os.fork()
        if pid == 0:
            if os.fork() == 0:
                _serve_fork(trainee, channel, fds[0])
            os._exit(0)
        os.waitpid(pid, 0)
        os.close(fds[0])
        channel.send(plain({"status": "ok"}))


def _serve_fork(trainee: Trainee, parent: SocketChannel, fd: int) -> None:
    try:
        parent.close()
        trainee.main = os.getpid()
        own = SocketChannel(socket.socket(fileno=fd))
        own.send(plain({"status": "ready"}))  # the kernel vouches for the pid of whoever sends this
        serve(trainee, own)
    finally:
        os._exit(0)


def warm_up(modules: list[str]) -> None:
    """Import libraries before the clock of the first cell runs. One that cannot be imported fails where it is
    used.
    """
    for module in filter(None, modules):
        with suppress(Exception):
            importlib.import_module(module)


def rehearse(shell: Any) -> None:
    """Do once, before forking, what every submission does: the first time loads code and data."""
    import pandas

    table = pandas.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "x"], "c": [0.5, 1.0, None]})
    with suppress(Exception):
        for value in (table, table.groupby("b")["a"].mean(), table.describe(), table["c"].to_numpy()):
            again = Message(pack({}, {"v": value}, Objects())[4:]).value("v", Objects())
            pandas.testing.assert_frame_equal(pandas.DataFrame(value), pandas.DataFrame(again))
        shell.run_cell("%matplotlib inline\n1 + 1", store_history=False)
        shell.run_cell("1 / 0", store_history=False)


def fresh_state() -> None:
    """What a new process must not share with the one it was forked from."""
    for name in ("SIGINT", "SIGTERM", "SIGCHLD", "SIGALRM", "SIGPIPE"):
        default = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
        signal.signal(getattr(signal, name), default)
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()


def main() -> None:
    """Serve over standard input and output: a single-use interpreter, for systems without isolation."""
    reader, writer = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with Path(os.devnull).open("r+b") as null:
        for fd in (0, 1, 2):
            os.dup2(null.fileno(), fd)
    sys.stdin, sys.stdout, sys.stderr = (
        io.TextIOWrapper(open(fd, mode, closefd=False))  # noqa: SIM115
        for fd, mode in ((0, "rb"), (1, "wb"), (2, "wb"))
    )
    warm_up(os.environ.get("PSMA_WARM", "").split(","))
    shell = make_shell()
    sys.path.insert(0, str(Path.cwd()))
    writer.write(plain({"status": "ready"}))
    writer.flush()
    with suppress(Exception):
        serve(Trainee(shell), BlockingChannel(reader, writer))
    os._exit(0)


if __name__ == "__main__":
    main()
