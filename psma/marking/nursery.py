"""A warm parent inside bubblewrap: libraries imported once, one fork for each submission. Runs no trainee's
code itself.

``python -m psma.marking.nursery FD MODULE…``: commands come over the socket FD. In the role ``trainee`` the
fork goes on into namespaces of its own, from which this one and the testers cannot be seen, and becomes a
warden; in the role ``tests`` it becomes a tester.
"""

from __future__ import annotations

import gc
import os
import resource
import select
import signal
import socket
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from psma.marking import confine
from psma.marking.channel import Channel, Closed, Late, SocketChannel
from psma.marking.session import outcome_of
from psma.marking.tester import run_job
from psma.marking.trainee import make_shell, rehearse, warm_up
from psma.marking.warden import Warden
from psma.marking.wire import Message, WireError, plain


class Held:
    """The tester's end of the conversation with a warden: a ``session.Holder``."""

    single_use = False

    def __init__(self, sock: socket.socket) -> None:
        self.channel = SocketChannel(sock)

    def waited(self) -> float:
        self.channel.send(plain({"do": "waited"}))
        return float(self.channel.receive()["waited"])

    def run(self, source: str, limit: float) -> dict[str, Any]:
        self.channel.send(plain({"do": "run", "source": source, "limit": limit}))
        reply = self.channel.receive()
        if reply["status"] in ("ok", "error"):
            return {**outcome_of(reply), "error": str(reply["error"])}
        return {"status": reply["status"], "error": "", "kept": reply["kept"] is True}

    def get(self, name: str, limit: float) -> Message:
        self.channel.send(plain({"do": "get", "name": name, "limit": limit}))
        status = self.channel.receive()["status"]
        if status != "ok":
            raise {"Late": Late, "Closed": Closed}.get(status, WireError)
        return self.channel.receive()

    def open(self) -> Channel:
        self.channel.send(plain({"do": "open"}))
        reply, fds = self.channel.receive_with_fds(1)
        if reply["status"] != "open" or not fds:
            raise Closed
        return SocketChannel(socket.socket(fileno=fds[0]))

    def close(self) -> bool:
        self.channel.send(plain({"do": "close"}))
        return self.channel.receive()["clean"] is True

    def restart(self) -> None:
        self.channel.send(plain({"do": "restart"}))
        self.channel.receive()


def _be_warden(message: Message, fds: list[int], shell: Any) -> None:
    """Enter own namespaces; the process that comes out as number 1 is the warden, this one waits for it."""
    confine.enter_namespaces()
    pid = os.fork()
    if pid:
        os.closerange(3, 2**16)
        os.waitpid(pid, 0)
        return
    confine.prctl(confine.PR_SET_PDEATHSIG, signal.SIGKILL)
    confine.furnish(f"/jobs/{message['folder']}/trainee", message["memory"])
    Warden(socket.socket(fileno=fds[0]), shell, message["memory"], message["budget"]).serve()


def _be_tester(message: Message, fds: list[int]) -> None:
    """Decide one submission's tests, in a folder that shows the same files as the trainee's code sees."""
    confine.prctl(confine.PR_SET_PDEATHSIG, signal.SIGKILL)
    most = confine.virtual_memory() + message["memory"] * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    home = Path(tempfile.mkdtemp(dir=confine.SCRATCH))
    for entry in Path("/jobs", message["folder"], "tests").iterdir():
        (home / entry.name).symlink_to(entry)
    os.chdir(home)
    run_job(SocketChannel(socket.socket(fileno=fds[1])), lambda _: Held(socket.socket(fileno=fds[0])))


class Nursery:
    """Forks on command, kills on command, buries the dead."""

    def __init__(self, control: socket.socket, shell: Any) -> None:
        self.channel = SocketChannel(control)
        self.shell = shell
        self.jobs: dict[str, list[int]] = {}

    def serve(self) -> None:
        """Until the control socket closes."""
        while True:
            self._bury()
            if not select.select([self.channel.sock], [], [], 0.5)[0]:
                continue
            message, fds = self.channel.receive_with_fds(2)
            if message["do"] == "start":
                self._start(message, fds)
            for pid in self.jobs.get(message["folder"], []) if message["do"] == "kill" else ():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _start(self, message: Message, fds: list[int]) -> None:
        pid = os.fork()
        if pid == 0:
            try:
                self.channel.close()
                confine.close_all_but(*fds)
                _be_warden(message, fds, self.shell) if message["role"] == "trainee" else _be_tester(
                    message, fds
                )
            except (Closed, WireError):
                pass
            except BaseException:
                traceback.print_exc()  # to the log of the warm parent; only trusted code comes here
                sys.stderr.flush()
            finally:
                os._exit(0)
        for fd in fds:
            os.close(fd)
        self.jobs.setdefault(message["folder"], []).append(pid)

    def _bury(self) -> None:
        for job, pids in list(self.jobs.items()):
            self.jobs[job] = [pid for pid in pids if os.waitpid(pid, os.WNOHANG)[0] != pid]
            if not self.jobs[job]:
                del self.jobs[job]


def main() -> None:
    """Warm up, say so, serve."""
    control, *modules = sys.argv[1:]
    sock = socket.socket(fileno=int(control))
    if os.getuid() == 0:
        confine.mount("proc", "/proc", "proc", confine.MS_NOSUID | confine.MS_NODEV | confine.MS_NOEXEC)
        confine.become_nobody()
    os.chdir(confine.SCRATCH)
    warm_up([*modules, "numpy.testing", "pandas.testing"])
    shell = make_shell()
    rehearse(shell)
    gc.collect()
    gc.freeze()  # what is warm is not walked again, and stays shared with the forks
    nursery = Nursery(sock, shell)
    nursery.channel.send(plain({"status": "ready"}))
    with suppress(Closed, WireError):
        nursery.serve()


if __name__ == "__main__":
    main()
