"""Isolation on Linux, seen from outside: a warm parent in bubblewrap, and what is started in it.

It sees neither the paper, nor the results, nor the network. What runs a submission's code lives in namespaces
of its own inside; killing their first process ends it all. What runs the tests lives beside them, out of
their sight.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from psma.errors import PsmaError
from psma.marking.channel import Closed, Late, SocketChannel
from psma.marking.marker import Limits
from psma.marking.marker import scratch as private_folder
from psma.marking.model import ISOLATED
from psma.marking.wire import WireError, plain

SINGLE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/alternatives",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/fonts",
    "/etc/mime.types",
    "/etc/ssl/openssl.cnf",
)
_NEVER_WARM = {
    "tensorflow",
    "keras",
    "torch",
    "psma",
    "dask",
    "distributed",
    "ray",
}  # threads that no fork survives


def command(control: int, jobs: Path, modules: list[str]) -> list[str]:
    """The bubblewrap command line for a warm parent."""
    package = Path(__file__).parents[1]
    binds: list[str] = []
    wanted = [*_SYSTEM, sys.base_prefix, sys.prefix]
    wanted += [str(package / name) for name in ("__init__.py", "errors.py", "marking")]
    # an environment that lies in /tmp must stay visible there, so what can be written is elsewhere then
    scratch = "/scratch" if any(Path(path).is_relative_to("/tmp") for path in wanted) else "/tmp"
    above = sorted({str(parent) for path in wanted for parent in list(Path(path).parents)[:-1]})
    for folder in above:  # or bubblewrap would make them for its own user only
        binds += ["--dir", folder]
    for path in wanted:
        binds += ["--ro-bind-try", path, path]
    as_root = os.geteuid() == 0
    # root mounts /proc itself and then becomes nobody (see nursery); others get a user namespace first
    who = ["--cap-add", "ALL"] if as_root else ["--unshare-user", "--proc", "/proc"]
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": scratch,
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONPATH": str(package.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONSAFEPATH": "1",
        "MPLBACKEND": "agg",
        "MPLCONFIGDIR": f"{scratch}/.matplotlib",
        "TMPDIR": scratch,
        "PSMA_SCRATCH": scratch,
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "NUMBA_CACHE_DIR": f"{scratch}/.numba",
        **dict.fromkeys(SINGLE_THREAD, "1"),
    }
    settings = [part for name, value in environment.items() for part in ("--setenv", name, value)]
    return [
        "bwrap",
        *who,
        "--unshare-pid",
        "--unshare-net",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-cgroup-try",
        "--die-with-parent",
        "--new-session",
        "--clearenv",
        *settings,
        *binds,
        "--dev",
        "/dev",
        "--perms",
        "1777",
        "--tmpfs",
        scratch,
        "--dir",
        "/proc",
        "--dir",
        "/given",
        "--ro-bind",
        str(jobs),
        "/jobs",
        "--remount-ro",
        "/dev",
        "--remount-ro",
        "/",
        "--chdir",
        "/",
        sys.executable,
        "-m",
        "psma.marking.nursery",
        str(control),
        *modules,
    ]


class Parent:
    """One warm parent and the socket that commands it."""

    def __init__(self, jobs: Path, modules: list[str]) -> None:
        ours, theirs = socket.socketpair()
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the parent)
        try:
            self.process = subprocess.Popen(
                command(theirs.fileno(), jobs, modules),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self.log,
                stderr=self.log,
            )
        except OSError as error:
            raise PsmaError(
                f"bubblewrap cannot be started ({error}); install the package bubblewrap."
            ) from None
        finally:
            theirs.close()
        self.channel = SocketChannel(ours)
        self.lock = threading.Lock()

    def wait_until_ready(self) -> None:
        """Raises PsmaError where the system allows no isolation."""
        try:
            self.channel.receive(120.0)
        except (Closed, Late, WireError):
            self.stop()
            raise PsmaError(f"This system allows no isolation ({self.last_words()}).") from None

    def last_words(self) -> str:
        """The last line that it wrote to its log, to say what is wrong."""
        self.log.seek(0)
        lines = self.log.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "its processes ended"

    def start(self, role: str, folder: str, fds: list[int], limits: Limits) -> None:
        """Fork for one side of a submission. Raises Closed."""
        words = {
            "do": "start",
            "role": role,
            "folder": folder,
            "memory": limits.memory,
            "budget": limits.budget + 60,
        }
        with self.lock:
            self.channel.send_with_fds(plain(words), fds, 10.0)

    def kill(self, folder: str) -> None:
        """End the processes of one submission."""
        with self.lock:
            try:
                self.channel.send(plain({"do": "kill", "folder": folder}), 10.0)
            except (Closed, Late):
                return

    def stop(self) -> None:
        """End the warm parent and everything in it."""
        self.channel.close()
        self.process.kill()
        self.process.wait()


@dataclass
class _Job:
    """One submission that is being marked."""

    sandbox: Sandbox
    name: str
    channel: SocketChannel

    def kill(self) -> None:
        """End both sides of it."""
        self.channel.close()
        self.sandbox.parent.kill(self.name)


class Sandbox:
    """A place where submissions are run in isolation. ``modules`` are imported once, for all."""

    isolation = ISOLATED

    def __init__(self, modules: list[str]) -> None:
        self.modules = sorted({"numpy", "pandas", *modules} - _NEVER_WARM)
        self.modules = [name for name in self.modules if name.split(".")[0] not in _NEVER_WARM]

    def __enter__(self) -> Sandbox:
        if sys.platform != "linux" or shutil.which("bwrap") is None:
            raise PsmaError(
                "There is no isolation on this system: it needs Linux and the package bubblewrap."
            )
        self.root = private_folder()
        self.jobs = self.root / "jobs"
        self.jobs.mkdir(mode=0o755)
        self.jobs.chmod(0o755)
        self.lock = threading.Lock()
        self.closed = False
        self.parent = Parent(self.jobs, self.modules)
        try:
            self.parent.wait_until_ready()
            self.prove()
        except PsmaError:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        with self.lock:
            self.closed = True
            self.parent.stop()
        shutil.rmtree(self.root, ignore_errors=True)

    def folder(self) -> Path:
        path = Path(tempfile.mkdtemp(dir=self.jobs))
        path.chmod(0o755)
        return path

    def begin(self, folder: Path, limits: Limits) -> _Job:
        near, far = socket.socketpair()
        ours, theirs = socket.socketpair()
        try:
            self._start("trainee", folder.name, [far.fileno()], limits)
            self._start("tests", folder.name, [near.fileno(), theirs.fileno()], limits)
        finally:
            for sock in (near, far, theirs):
                sock.close()
        return _Job(self, folder.name, SocketChannel(ours))

    def _start(self, role: str, folder: str, fds: list[int], limits: Limits) -> None:
        """Start one side of a submission; a warm parent that was lost (killed by the system, say) is
        replaced.
        """
        parent = self.parent
        if self.closed:
            raise PsmaError("The marking was stopped.")
        try:
            parent.start(role, folder, fds, limits)
        except (Closed, Late):
            with self.lock:
                if self.parent is parent and not self.closed:
                    parent.stop()
                    self.parent = Parent(self.jobs, self.modules)
                    self.parent.wait_until_ready()
            self.parent.start(role, folder, fds, limits)

    def prove(self) -> None:
        """Hold one cell of our own in namespaces. Raises PsmaError where the system does not let us."""
        folder = self.folder()
        for name in ("tests", "trainee"):
            (folder / name).mkdir()
        job = self.begin(folder, Limits(cell=20.0))
        try:
            step = {
                "do": "run",
                "source": "import os; 1 / (os.listdir('/proc').count('1') == 0)",
                "id": None,
                "number": 1,
            }
            work = {"steps": [step], "imports": {}, "limit": 20.0, "budget": 60.0, "skip": []}
            job.channel.send(plain({"job": work, "folder": str(folder)}), 10.0)
            while True:
                message = job.channel.receive(60.0)
                if message.get("end"):
                    return
        except (Closed, Late, WireError):
            raise PsmaError(f"This system allows no isolation ({self.parent.last_words()}).") from None
        finally:
            job.kill()
