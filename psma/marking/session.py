"""A trainee's namespace as the tests drive it: cells run in order, forks for tests, a fresh start when one is
needed.

How the process is held is a ``Holder``'s business: ``warden`` inside the sandbox, ``Spawned`` without one.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from psma.marking.channel import Channel, Closed, Late, PipeChannel
from psma.marking.clock import core_wait
from psma.marking.wire import Message, WireError, plain


class Holder(Protocol):
    """Holds one trainee's process. ``single_use``: it serves one test, and the next one gets another."""

    single_use: bool

    def run(self, source: str, limit: float) -> dict[str, Any]:
        """Run a cell. ``status``: ok, error, time (over its limit), died, memory. ``kept`` False: needs a
        restart.
        """

    def get(self, name: str, limit: float) -> Message:
        """The reply to a request for a name's value, which tells the process nothing. Raises Closed, Late,
        WireError.
        """

    def open(self) -> Channel:
        """A channel to a fork for one test. Raises Closed where there is none to be had."""

    def close(self) -> bool:
        """End the test and its fork. False: something is left that the next test could find."""

    def restart(self) -> None:
        """Start from nothing."""

    def waited(self) -> float:
        """How many seconds the fork of this test has waited for a core."""


class Session:
    """Runs a trainee's cells through a holder, and runs them again where the process was lost.

    ``told``: a function left something behind by which later code might learn what a test gave it. Nothing
    that later code says is repeated to the trainee then.
    """

    def __init__(self, holder: Holder, limit: float, announce: Callable[[float], None]) -> None:
        self.holder = holder
        self.limit = limit
        self.announce = announce
        self.done: list[str] = []
        self.stale = False
        self.opened = False
        self.asking = False
        self.told = False

    def run(self, source: str) -> dict[str, Any]:
        """Run one cell and remember it, if it came to an end."""
        self._ready()
        outcome = self._try(source)
        if outcome["status"] in ("ok", "error"):
            self.done.append(source)
        return outcome

    def get(self, name: str) -> Message:
        """The reply to a request for a name's value. Raises Closed, Late, WireError."""
        with self._undisturbed():
            self._ready()
            try:
                return self.holder.get(name, self.limit)
            except (Closed, Late, WireError):
                self.stale = True
                raise

    def open(self) -> Channel:
        """A channel for one test, to a fork that knows the objects that were asked for. Raises Closed."""
        self.opened = True
        with self._undisturbed():
            channel = self.holder.open()
        channel.waited = self.waited
        return channel

    def waited(self) -> float:
        """How long the fork of the test at hand has waited for a core; 0 in the midst of another question."""
        if self.asking or not self.opened:
            return 0.0
        with self._undisturbed():
            return self.holder.waited()

    @contextlib.contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """A conversation with the holder, which ends by itself: broken off, the next would hear its end."""
        self.asking = True
        try:
            yield
        finally:
            self.asking = False

    def close(self) -> None:
        """The test is over."""
        if self.opened:
            self.stale = not self.holder.close()
            self.told = self.told or (self.stale and not self.holder.single_use)
        self.opened = False

    def _try(self, source: str) -> dict[str, Any]:
        self.announce(self.limit)
        outcome = self.holder.run(source, self.limit)
        self.stale = self.stale or not outcome["kept"]
        return outcome

    def _ready(self) -> None:
        while self.stale:
            self.stale = False
            self.announce(self.limit)
            self.holder.restart()
            for source in list(self.done):
                if self._try(source)["status"] not in ("ok", "error"):
                    self.done.remove(source)
                if self.stale:
                    break


def outcome_of(reply: Message) -> dict[str, Any]:
    """What a trainee's process says of a cell, reduced to known words."""
    status = "error" if reply.get("status") == "error" else "ok"
    told = reply.get("error")
    told = told if type(told) is dict else {}
    words = (
        f"{str(told.get('name', ''))[:80]}: {str(told.get('words', ''))[:300]}" if status == "error" else ""
    )
    return {"status": status, "error": words, "kept": True}


_START = 120.0


class Spawned:
    """A trainee's process without isolation: an interpreter of its own, killed and replaced after a test used
    it.
    """

    single_use = True

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.process: subprocess.Popen[bytes] | None = None
        self.channel: PipeChannel | None = None
        self.restart()

    def restart(self) -> None:
        self.kill()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "psma.marking.trainee"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.channel = PipeChannel(self.process.stdout, self.process.stdin, self.waited)  # type: ignore[arg-type]
        self.waited_before = 0.0
        self.channel.receive(_START)

    def waited(self) -> float:
        """How long the process has waited for a core since the last cell or value it was asked for."""
        return core_wait(self.process.pid) - self.waited_before if self.process is not None else 0.0

    def _ask(self, words: dict[str, Any]) -> PipeChannel:
        assert self.channel is not None
        self.waited_before += self.waited()
        self.channel.send(plain(words))
        return self.channel

    def run(self, source: str, limit: float) -> dict[str, Any]:
        try:
            return outcome_of(self._ask({"do": "run", "source": source}).receive(limit))
        except Late:
            status = "time"
        except (Closed, WireError):
            status = "died"
        self.kill()
        return {"status": status, "error": "", "kept": False}

    def get(self, name: str, limit: float) -> Message:
        return self._ask({"do": "get", "name": name}).receive(limit)

    def open(self) -> Channel:
        assert self.channel is not None
        return self.channel

    def close(self) -> bool:
        """One test, one interpreter: what a test sent must not be there for the next one."""
        self.kill()
        return False

    def kill(self) -> None:
        """End the process and what it started, as far as this system can tell."""
        if self.process is None:
            return
        import psutil

        family = []
        with contextlib.suppress(psutil.Error):
            parent = psutil.Process(self.process.pid)
            family = [*parent.children(recursive=True), parent]
        for member in family:
            with contextlib.suppress(psutil.Error):
                member.kill()
        self.process.wait()
        self.process = None
