"""Process 1 of a submission's own namespaces: starts the trainee's process, and ends whatever it started.

It runs no trainee's code. The tester asks it to run a cell, to open a fork for a test and to close it. While
a fork holds a test's inputs, the trainee's process sleeps (SIGSTOP) and everything else in the namespace is
dead; after the test the fork is killed. If anything is left by which it could have told the next fork what it
saw (a file, shared memory, a descriptor, a signal, a wake-up), the whole process is thrown away and the cells
are run again.
"""

from __future__ import annotations

import os
import re
import resource
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from psma.marking import confine
from psma.marking.channel import Closed, Late, SocketChannel
from psma.marking.clock import CROWD, core_wait
from psma.marking.session import outcome_of
from psma.marking.trainee import Trainee, fresh_state, serve_with_forks
from psma.marking.wire import WireError, plain

_GRACE = 0.3
_FORK = 2.0
_DEEPEST = 50
Traces = tuple[Any, ...]


class Warden:
    """Holds one trainee's process for the tester on the other end of ``tester``."""

    def __init__(self, tester: socket.socket, shell: Any, memory: int, budget: float) -> None:
        self.tester = SocketChannel(tester, self.watch)
        self.shell = shell
        self.memory = memory
        self.budget = budget
        self.main = 0
        self.waited_before = 0.0
        self.channel: SocketChannel | None = None
        self.descriptors: dict[str, str] = {}
        self.before: Traces | None = None
        self.fork = 0
        self.over = ""

    def serve(self) -> None:
        """Do as the tester asks, until it is gone."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # what process 1 has no handler for does not reach it
        self.start()
        with suppress(Closed, WireError):
            while True:
                message = self.tester.receive()
                do = message["do"]
                if do == "run":
                    self.tester.send(plain(self.run(message["source"], float(message["limit"]))))
                elif do == "get":
                    self.get(message["name"], float(message["limit"]))
                elif do == "open":
                    self.open()
                elif do == "close":
                    self.tester.send(plain({"clean": self.close()}))
                elif do == "restart":
                    self.restart()
                    self.tester.send(plain({"status": "ok"}))
                elif do == "waited":
                    self.tester.send(plain({"waited": 0.0 if _crowded() else core_wait(self.fork)}))

    # ------------------------------------------------------------------------------- the trainee's process

    def start(self) -> None:
        """Fork the process that will run the cells, without rights."""
        ours, theirs = socket.socketpair()
        self.main = os.fork()
        if self.main == 0:
            try:
                self._become_trainee(theirs)
            finally:
                os._exit(1)
        theirs.close()
        self.over = ""
        self.channel = SocketChannel(ours, self.watch, self.waited)
        self.waited_before = 0.0
        self.channel.receive(30.0)
        self.descriptors = _descriptors(self.main)

    def _become_trainee(self, theirs: socket.socket) -> None:
        confine.close_all_but(theirs.fileno())
        null = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.close(null)
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")
        confine.working_folder()
        sys.path.insert(0, "")
        fresh_state()
        confine.limit(self.memory, self.budget)
        confine.drop_rights()
        trainee = Trainee(self.shell)
        channel = SocketChannel(theirs)
        channel.send(plain({"status": "ready"}))
        serve_with_forks(trainee, channel)

    def restart(self) -> None:
        """Kill everything, empty every place that can be written, start again."""
        self.kill_all()
        if self.channel is not None:
            self.channel.close()
        confine.fresh_scratch(self.memory, again=True)
        self.start()

    def kill_all(self) -> None:
        """Everything in the namespace but this process dies at once."""
        with suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        with suppress(ChildProcessError):  # all are this one's children by now
            while True:
                os.waitpid(-1, 0)

    def waited(self) -> float:
        """How long the trainee's process has waited for a core since the last request to it."""
        return 0.0 if _crowded() else core_wait(self.main) - self.waited_before

    def ask(self, words: dict[str, Any], descriptors: list[int] | None = None) -> SocketChannel:
        """Send the trainee's process a request; the channel by which it answers. Raises Closed, Late."""
        if self.channel is None:
            raise Closed
        self.waited_before = core_wait(self.main)
        if descriptors is None:
            self.channel.send(plain(words), 5.0)
        else:
            self.channel.send_with_fds(plain(words), descriptors, 5.0)
        return self.channel

    # ------------------------------------------------------------------------------------------------ cells

    def run(self, source: str, limit: float) -> dict[str, Any]:
        """Run a cell; interrupt it at its limit, and kill it where that does not help."""
        try:
            return outcome_of(self.ask({"do": "run", "source": source}).receive_short(limit))
        except Late:
            return self._interrupt()
        except (Closed, WireError):
            self.kill_all()
            return {"status": self.over or "died", "error": "", "kept": False}

    def _interrupt(self) -> dict[str, Any]:
        outcome = {"status": "time", "error": "", "kept": False}
        try:
            os.kill(self.main, signal.SIGINT)
            assert self.channel is not None
            self.channel.receive_short(_GRACE)
            return {**outcome, "kept": True}
        except (Late, Closed, WireError, ProcessLookupError):
            self.kill_all()
            return outcome

    # ------------------------------------------------------------------------------------------------ tests

    def get(self, name: str, limit: float) -> None:
        """Ask for a name's value, which tells the trainee's process nothing; pass the answer on unread."""
        try:
            frame = self.ask({"do": "get", "name": name}).receive_frame(limit)
        except (Late, Closed, WireError) as error:
            self.kill_all()
            self.tester.send(plain({"status": type(error).__name__}))
            return
        self.tester.send(plain({"status": "ok"}))
        self.tester.send(frame)

    def open(self) -> None:
        """Have the trainee's process fork, put it to sleep, and hand the fork's socket to the tester."""
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        try:
            channel = self.ask({"do": "fork"}, [theirs.fileno()])
            theirs.close()
            self.fork = _sender(SocketChannel(ours, waited=self.waited))
            channel.receive_short(_FORK)
            if self.fork in (0, 1, self.main) or _status(self.fork).get("PPid") != "1":
                raise Closed
            self._put_to_sleep()
            self._only(self.main, self.fork)
            self.before = self._traces()
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
            self.tester.send_with_fds(plain({"status": "open"}), [ours.fileno()])
        except (Closed, Late, WireError, OSError):
            self.before = None
            self.tester.send(plain({"status": "gone"}))
        finally:
            ours.close()
            theirs.close()

    def close(self) -> bool:
        """Kill the fork and all that it started; True if the sleeping process can be used on."""
        if self.before is None:
            return False
        try:
            _end(self.fork)
            self._only(self.main)
            if self._traces() == self.before and self._unreachable():
                os.kill(self.main, signal.SIGCONT)
                return True
        except (OSError, Closed):
            pass
        self.kill_all()  # it must not wake up to what was left for it
        return False

    def _put_to_sleep(self) -> None:
        """Stop the trainee's process, which nothing but this one's SIGCONT or a fork's can undo. Raises
        Closed.
        """
        os.kill(self.main, signal.SIGSTOP)
        for pause in (0.0, 0.0, 0.001, 0.001, 0.01, 0.01, 0.1, 0.1, 1.0):
            time.sleep(pause)
            pid, how = os.waitpid(self.main, os.WUNTRACED | os.WNOHANG)
            if pid == self.main and os.WIFSTOPPED(how):
                return
        raise Closed

    def _only(self, *keep: int) -> None:
        """Kill every process but this one and ``keep``. All are stopped first, so none can outrun it by
        forking.
        """
        for _ in range(50):
            others = [pid for pid in _processes() if pid not in (1, *keep)]
            if not others:
                return
            for pid in others:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            for pid in others:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for pid in others:
                _end(pid)
            _reap()
        self.kill_all()
        raise Closed

    def _traces(self) -> Traces:
        """What a fork could change to be found later: files, how often the sleeper woke, how many processes
        were ever started.
        """
        status = _status(self.main)
        woke = (status.get("voluntary_ctxt_switches"), status.get("nonvoluntary_ctxt_switches"))
        return woke, _files(confine.SCRATCH), _files("/dev/shm"), Path("/proc/loadavg").read_text().split()[4]

    def _unreachable(self) -> bool:
        """Whether the sleeper shares nothing else with its forks: descriptors, memory, pending signals, an
        answer in its name.
        """
        if self.channel is None or select.select([self.channel.sock], [], [], 0)[0]:
            return False
        if _descriptors(self.main) != self.descriptors:
            return False
        status = _status(self.main)
        pending = int(status.get("SigPnd", "0"), 16) | int(status.get("ShdPnd", "0"), 16)
        return not pending and not _shared_memory(self.main)

    # ------------------------------------------------------------------------------------------------ watch

    def watch(self) -> None:
        """Called about every 50 ms: kill everything where memory or processes are over the limit.

        A quarter more than one process may have: so one alone meets MemoryError first, and its notebook goes
        on. What a fork shares with the process that it was forked from is counted once.
        """
        _reap()
        processes = _processes()
        if self._memory(processes, _resident) and self._memory(processes, _proportional):
            self.over = "memory"
        elif len(processes) > confine.MOST_AT_ONCE:
            self.over = "processes"
        else:
            return
        self.kill_all()

    def _memory(self, processes: list[int], measure: Callable[[str], int]) -> bool:
        """Whether the processes use more memory than all of them together may."""
        warm = measure("self")  # what every process here had from the start
        used = sum(max(0, measure(str(pid)) - warm) for pid in processes if pid != 1)
        return used > 1.25 * self.memory * 2**20


def _processes() -> list[int]:
    """The processes of this namespace that are not dead already."""
    alive = []
    for name in os.listdir("/proc"):  # noqa: PTH208 (called often, and quicker than Path)
        if name.isdigit():
            with suppress(OSError, ValueError):
                stat = Path("/proc", name, "stat").read_bytes()
                if stat[stat.rindex(b")") + 2 : stat.rindex(b")") + 3] not in (b"Z", b"X"):
                    alive.append(int(name))
    return alive


def _crowded() -> bool:
    """Whether this namespace has so many processes and threads that they wait for each other."""
    return sum(int(_status(pid).get("Threads", "1")) for pid in _processes()) > CROWD


def _end(pid: int) -> None:
    """Kill a process and wait until it is dead."""
    with suppress(ProcessLookupError, OSError):
        handle = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            select.select([handle], [], [], 2.0)
        finally:
            os.close(handle)


def _reap() -> None:
    """Bury the dead that are this process's children."""
    with suppress(ChildProcessError):
        while True:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return


def _resident(pid: str) -> int:
    with suppress(OSError, IndexError, ValueError):
        return int(Path("/proc", pid, "statm").read_text().split()[1]) * resource.getpagesize()
    return 0


def _proportional(pid: str) -> int:
    """Bytes of memory, what several processes share counted by their shares; slower than ``_resident``."""
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc", pid, "smaps_rollup").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return _resident(pid)


def _status(pid: int) -> dict[str, str]:
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return {}


def _descriptors(pid: int) -> dict[str, str]:
    """What each descriptor of a process leads to, with its position and flags."""
    found = {}
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            info = Path(f"/proc/{pid}/fdinfo/{entry.name}").read_text()
            found[entry.name] = f"{entry.readlink()} {info}"
    return found


def _shared_memory(pid: int) -> bool:
    """Whether a process has memory that it shares with others, other than read-only files of the system."""
    with suppress(OSError):
        shared = re.findall(
            rb"^\S+ ...s \S+ \S+ \S+ *(.*)$", Path(f"/proc/{pid}/maps").read_bytes(), re.MULTILINE
        )
        return any(
            not path.startswith(b"/") or path.startswith((confine.SCRATCH.encode(), b"/dev"))
            for path in shared
        )
    return True


def _files(root: str, depth: int = 0) -> list[tuple[Any, ...]]:
    """Every entry below ``root`` with what changes when it is written; of too deep a tree, nothing twice the
    same.
    """
    if depth > _DEEPEST:
        return [(root, time.monotonic_ns())]
    found: list[tuple[Any, ...]] = []
    info = Path(root).lstat()
    found.append((root, info.st_ino, info.st_mode, info.st_mtime_ns, info.st_ctime_ns))
    for entry in os.scandir(root):
        if entry.is_dir(follow_symlinks=False):
            found += _files(entry.path, depth + 1)
        else:
            with suppress(OSError):
                info = entry.stat(follow_symlinks=False)
                marks = (info.st_ino, info.st_mode, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
                found.append((entry.path, *marks))
    return sorted(found)


def _sender(channel: SocketChannel) -> int:
    """The process that sent the first frame, by the kernel's word. Reads that frame. Raises Closed, Late."""
    deadline = channel.deadline(_FORK)
    channel.wait(select.POLLIN, deadline)
    try:
        head, ancillary, _, _ = channel.sock.recvmsg(4, socket.CMSG_SPACE(struct.calcsize("iII")))
    except OSError:
        raise Closed from None
    if len(head) < 4 or not ancillary or ancillary[0][1] != socket.SCM_CREDENTIALS:
        raise Closed
    pid, _, _ = struct.unpack("iII", ancillary[0][2][: struct.calcsize("iII")])
    (size,) = struct.unpack(">I", head)
    if size > 200:
        raise WireError("not a greeting")
    channel.exactly(size, deadline)
    return int(pid)
