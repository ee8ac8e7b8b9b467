"""The process behind ``psma run``: takes notebooks on standard input, one JSON line each, and runs them in
turn.

Started as ``python -m psma.execute_worker SCRATCH [--network]`` by `psma.execute`, never by hand. Events go
to standard output, one JSON line each: ``ready``, ``cell``, ``done``. When standard input closes, whatever
the reason, this process kills everything it has started and leaves: that is how no kernel outlives its
caller.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psma.errors import PsmaError
from psma.execute import NOTEBOOK_CELLS, PROFILE
from psma.startup import skip_slow_imports

if TYPE_CHECKING:
    from nbclient import NotebookClient
    from nbformat import NotebookNode

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # linux/sched.h
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1  # linux/sockios.h, net/if.h
POLL_SECONDS = 0.2
STARTUP_SECONDS = 120
SOCKET_PATH = 90  # a socket's name may have 104 characters on macOS, 108 on Linux
TEMPORARY = ("TMPDIR", "TMP", "TEMP", "JOBLIB_TEMP_FOLDER")
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
CHATTER = re.compile(
    r"Matplotlib is building the font cache|absl::InitializeLog|oneDNN custom operations|cpu_feature_guard"
    r"|rebuild TensorFlow with the appropriate|Could not find cuda drivers|cuda_\w+\.cc"
)

Sender = Any  # a function of one event and its fields


# --- a place without a network (Linux)


def leave_network() -> bool:
    """Move this process into a network namespace that holds nothing but the loopback; False where that is
    refused.

    Must be called before any thread starts. It is tried out in a child first: half of it can't be undone, and
    some systems allow the namespace but not the loopback in it.
    """
    if sys.platform != "linux":
        return False
    child = os.fork()
    if child == 0:
        try:
            _enter_namespaces()
        except BaseException:
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1] != 0:
        return False
    _enter_namespaces()
    return True


def _enter_namespaces() -> None:
    libc = ctypes.CDLL(None, use_errno=True)  # os.unshare needs Python 3.12
    if (
        libc.unshare(CLONE_NEWNET) != 0
    ):  # an ordinary user needs a user namespace; root would lose rights in it
        user, group = os.geteuid(), os.getegid()
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")  # the same user inside as outside
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _loopback_up()


def _loopback_up() -> None:
    import fcntl
    import socket
    import struct

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sH14s", b"lo", 0, b"")
        flags = struct.unpack("16sH14s", fcntl.ioctl(sock, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", flags | IFF_UP, b""))


# --- nothing is left behind


def adopt_orphans() -> None:
    """Let what a dead kernel leaves behind become a child of this process, to be found (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent() -> None:
    """Ask Linux to kill the calling process when its parent dies; runs in a kernel's process before it
    starts.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def kill_descendants(patience: float = 0.0) -> None:
    """Kill every process below this one; helpers that leave by themselves have ``patience`` seconds."""
    import psutil

    until = time.monotonic() + patience
    me = psutil.Process()
    while children := [child for child in me.children(recursive=True) if _alive(child)]:
        if time.monotonic() < until:
            time.sleep(0.02)
            continue
        for child in children:
            with contextlib.suppress(psutil.Error):
                child.kill()
        psutil.wait_procs(children, timeout=1)


def _alive(process: Any) -> bool:
    import psutil

    try:
        if process.status() != psutil.STATUS_ZOMBIE:
            return True
        if process.ppid() == os.getpid():
            os.waitpid(process.pid, os.WNOHANG)  # an adopted orphan: nobody else will collect it
    except (psutil.Error, OSError):
        pass
    return False


# --- one notebook


@dataclass
class Run:
    """One notebook on its way: what is known so far, so that a failure at any point can be reported."""

    cells: list[NotebookNode]
    client: NotebookClient
    send: Sender
    seconds: list[float] = field(default_factory=list)
    current: int = 0
    begun: float = 0.0
    peak: int = 0

    async def all_cells(self) -> None:
        number = 0
        for position, cell in enumerate(self.client.nb.cells):
            if cell.cell_type != "code":
                continue
            number += 1
            self.current, self.begun = number, time.perf_counter()
            self.send("cell", cell=number, cells=len(self.cells))
            await self.client.async_execute_cell(cell, position, execution_count=number)
            self.seconds.append(round(time.perf_counter() - self.begun, 4))
        self.current = 0
        self.client.set_widgets_metadata()

    async def watch_memory(self) -> None:
        """Keep the largest resident memory of the kernel and its children, in bytes."""
        import psutil

        kernel = psutil.Process(kernel_process(self.client).pid)
        while True:
            with contextlib.suppress(psutil.Error):
                family = [kernel, *kernel.children(recursive=True)]
                self.peak = max(self.peak, sum(_resident(process) for process in family))
            await asyncio.sleep(POLL_SECONDS)

    def failure(self, error: str) -> dict[str, Any]:
        self.seconds.append(round(time.perf_counter() - self.begun, 4))
        cell = self.cells[self.current - 1]
        return {"index": self.current, "cell_id": cell.get("id", ""), "source": cell.source, "error": error}


def _resident(process: Any) -> int:
    import psutil

    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def high_water_mark(pid: int) -> int:
    """The largest resident memory that Linux has seen of one process, in bytes; 0 elsewhere."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def kernel_process(client: NotebookClient) -> Any:
    """The kernel's ``Popen``."""
    provisioner: Any = client.km.provisioner  # type: ignore[union-attr]
    return provisioner.process


async def run_notebook(job: dict[str, Any], scratch: Path, send: Sender) -> dict[str, Any]:
    """Run one notebook and return the fields of a `psma.execute.Result`."""
    begun = time.perf_counter()
    outcome: dict[str, Any] = {"ok": False, "failure": None, "reason": "", "executed": None}
    outcome |= {"skipped": False, "unusable": False}
    run = None
    try:
        run = make_run(job, scratch, send)
        await start_kernel(run.client, scratch)
        outcome["failure"] = await run_cells(run, job["timeout"])
    except PsmaError as error:
        outcome["reason"] = str(error)
        outcome["skipped"] = isinstance(error, NoKernel) and error.optional
        outcome["unusable"] = run is None and not outcome["skipped"]  # the file's fault: nothing could start
    except Exception as error:
        outcome["reason"] = one_line(f"{type(error).__name__}: {error}") + kernel_words(scratch)
    finally:
        if run is not None:
            await end_kernel(run.client)
    outcome["ok"] = not outcome["failure"] and not outcome["reason"]
    if outcome["failure"]:
        outcome["reason"] = f"code cell {outcome['failure']['index']}: {outcome['failure']['error']}"
    if run is not None and job["keep"]:
        import nbformat

        drop_chatter(run.cells)
        outcome["executed"] = nbformat.writes(run.client.nb)
    seconds = run.seconds if run else []
    slowest = max(enumerate(seconds, 1), key=lambda pair: pair[1]) if seconds else None
    peak = round(run.peak / 2**20, 1) if run else 0.0
    took = round(time.perf_counter() - begun, 3)
    return outcome | {"seconds": took, "cell_seconds": seconds, "slowest": slowest, "peak_mib": peak}


def drop_chatter(cells: list[Any]) -> None:
    """Take out what libraries say of themselves on standard error: it is not part of the lesson."""
    for cell in cells:
        for output in [o for o in cell.outputs if o.output_type == "stream" and o.name == "stderr"]:
            output.text = "".join(line for line in output.text.splitlines(True) if not CHATTER.search(line))
            if not output.text.strip():
                cell.outputs.remove(output)


def make_run(job: dict[str, Any], scratch: Path, send: Sender) -> Run:
    """Read the notebook and make its kernel's manager; nothing is started yet."""
    from nbclient import NotebookClient

    from psma.notebook import read

    path = Path(job["path"])
    notebook = read(path)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in cells:
        cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        notebook,
        km=kernel_manager(notebook.metadata.kernelspec.name, scratch),
        timeout=max(1, round(job["timeout"])),
        resources={"metadata": {"path": str(path.parent)}},
        coalesce_streams=True,
    )
    client.log.disabled = True  # what it would log stands in the result
    return Run(cells, client, send)


class NoKernel(PsmaError):
    """The notebook's kernel is not installed; ``optional`` if the course can do without it."""

    def __init__(self, name: str) -> None:
        self.optional = name == "ir"
        if self.optional:
            cure = "install R and IRkernel, or leave sessions 1.7 and 1.8 out"
        else:
            cure = "install it, or choose another kernel in JupyterLab and save"
        kernel = "R kernel" if self.optional else "kernel"
        super().__init__(f"This notebook needs the {kernel} `{name}`, which is not here: {cure}.")


def kernel_manager(name: str, scratch: Path) -> Any:
    """A manager of one kernel, which talks through a socket file, or through TCP where there are none."""
    from jupyter_client.kernelspec import NoSuchKernel
    from jupyter_client.manager import AsyncKernelManager

    files = scratch / "kernel"
    shutil.rmtree(files, ignore_errors=True)
    (files / "tmp").mkdir(parents=True)
    manager = AsyncKernelManager(kernel_name=name, connection_file=str(files / "c.json"))
    if os.name == "posix" and len(str(files)) < SOCKET_PATH:
        manager.transport = "ipc"
        manager.ip = str(files / "s")
    try:
        assert manager.kernel_spec is not None
    except NoSuchKernel as error:
        raise NoKernel(name) from error
    return manager


async def start_kernel(client: NotebookClient, scratch: Path) -> None:
    """Start the kernel and wait until it answers.

    The wait is shorter than jupyter_client's own, which ends by listening for 0.2 s to a silent channel.
    """
    manager: Any = client.km
    files = scratch / "kernel"
    # never the person's own IPython folder: a start-up script of theirs would run in the notebook
    profile = os.environ.get(PROFILE) or str(files / "ipython")
    own = dict.fromkeys(TEMPORARY, str(files / "tmp")) | {"IPYTHONDIR": profile}
    with (files / "stderr").open("w") as errors:
        await client.async_start_new_kernel(
            env=os.environ | own,
            stdout=errors,
            stderr=errors,
            **({"preexec_fn": die_with_parent} if sys.platform == "linux" else {}),
        )
    channel: Any = manager.client()
    channel.start_channels()
    channel.allow_stdin = False
    client.kc = channel
    until = time.monotonic() + STARTUP_SECONDS
    while not await answers(channel):
        if kernel_process(client).poll() is not None:
            raise PsmaError(f"The kernel `{manager.kernel_name}` died at its start{kernel_words(scratch)}.")
        if time.monotonic() > until:
            raise PsmaError(f"The kernel `{manager.kernel_name}` did not answer within {STARTUP_SECONDS} s.")


async def answers(channel: Any) -> bool:
    """Ask the kernel who it is; True once its answer and its output channel have both been heard."""
    from queue import Empty

    asked = channel.kernel_info()
    with contextlib.suppress(Empty):
        while (await channel.get_shell_msg(timeout=1))["parent_header"].get("msg_id") != asked:
            pass
        await channel.get_iopub_msg(timeout=1)
        return True
    return False


async def run_cells(run: Run, timeout: float) -> dict[str, Any] | None:
    """Run all cells; None, or the failure that ended them."""
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    memory = asyncio.ensure_future(run.watch_memory())
    work = asyncio.ensure_future(run.all_cells())
    try:
        # not wait_for: nbclient takes its cancelling for a dead kernel
        finished, _ = await asyncio.wait({work}, timeout=timeout * NOTEBOOK_CELLS)
        if not finished:
            work.cancel()
            return run.failure(f"Timeout: the notebook took longer than {timeout * NOTEBOOK_CELLS:g} s")
        work.result()
    except CellExecutionError as error:
        return run.failure(execution_error(error.ename, error.evalue))
    except CellTimeoutError:
        return run.failure(f"Timeout: this cell took longer than {timeout:g} s")
    except DeadKernelError:
        return run.failure(death(kernel_process(run.client).poll()))
    finally:
        run.peak = max(run.peak, high_water_mark(kernel_process(run.client).pid))
        memory.cancel()
    return None


async def end_kernel(client: NotebookClient) -> None:
    """Kill the kernel and all that it has started, and close the channels."""
    if client.km is None or not client.km.has_kernel:
        return
    process = kernel_process(client)
    process.kill()
    process.wait()
    kill_descendants(patience=0.3)
    if client.kc is not None:
        client.kc.stop_channels()
    await client.km.cleanup_resources()  # type: ignore[misc]


# --- words


def one_line(text: str, limit: int = 240) -> str:
    """Without colours, on one line, cut at ``limit`` characters."""
    flat = " ".join(ANSI.sub("", text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def execution_error(name: str, value: str) -> str:
    """``NameError: name 'x' is not defined``; R calls every error ERROR, which says nothing."""
    return one_line(value if name == "ERROR" and value.strip() else f"{name}: {value}".removesuffix(": "))


def death(code: int | None) -> str:
    """Why a kernel is gone, from its exit code."""
    if code is None or code >= 0:
        return f"The kernel died in this cell (exit code {code})"
    name = signal.Signals(-code).name
    hint = ", often a lack of memory" if name == "SIGKILL" else ""
    return f"The kernel died in this cell ({name}{hint})"


def kernel_words(scratch: Path) -> str:
    """The last line that the kernel wrote to its standard error, as ": line", or nothing."""
    with contextlib.suppress(OSError):
        lines = (scratch / "kernel" / "stderr").read_text(errors="replace").strip().splitlines()
        if lines:
            return f": {one_line(lines[-1])}"
    return ""


# --- the process


def main() -> None:
    """Serve notebooks until standard input closes."""
    scratch = Path(sys.argv[1])
    skip_slow_imports()
    sending = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # whatever a library prints must not mix with the events

    def send(event: str, **fields: Any) -> None:
        with contextlib.suppress(OSError):
            sending.write(json.dumps({"event": event} | fields) + "\n")

    isolated = "--network" not in sys.argv[2:] and leave_network()
    adopt_orphans()
    send("ready", network="off" if isolated else "on")
    if sys.platform == "win32":
        asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())
    asyncio.run(serve(scratch, send))


async def serve(scratch: Path, send: Sender) -> None:
    """Run the notebooks that arrive, one after another."""
    jobs: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    threading.Thread(target=receive, args=(loop, jobs, scratch), daemon=True).start()
    import nbclient  # noqa: F401  (takes a while: done before the first notebook arrives)

    while True:
        job = await jobs.get()
        send("done", **await run_notebook(job, scratch, send))


def receive(loop: asyncio.AbstractEventLoop, jobs: asyncio.Queue[dict[str, Any]], scratch: Path) -> None:
    """Pass on what standard input says; when it closes, end everything at once."""
    for line in sys.stdin:
        loop.call_soon_threadsafe(jobs.put_nowait, json.loads(line))
    kill_descendants()
    shutil.rmtree(scratch, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main()
