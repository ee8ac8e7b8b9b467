"""Run notebooks from top to bottom, each in a fresh kernel, several at once, with the network off.

``run_many`` hands the notebooks to a few worker processes (`psma.execute_worker`), longest first, and
collects one ``Result`` for each. On Linux a worker and its kernels live in a network namespace of their own
in which only the loopback exists; where the system refuses that, they run with the network on and the result
says so.

Whatever ends the caller (Ctrl-C, SIGTERM, SIGKILL), its workers see their standard input close, kill
everything they started and leave.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psma.errors import PsmaError

if TYPE_CHECKING:
    from nbformat import NotebookNode

TIMEOUT = 600.0
"""Seconds that one cell may take."""
NOTEBOOK_CELLS = 3
"""A whole notebook may take this many times the limit of one cell."""
PROFILE = "PSMA_IPYTHONDIR"
"""Environment variable: an IPython folder that the caller made for the kernels of a run."""
MIB_A_JOB = 700
"""Free memory (MiB) that a default job is expected to need: one kernel with pandas and scikit-learn, or with
TensorFlow.
"""


@dataclass(frozen=True)
class CellFailure:
    """The cell at which a notebook stopped.

    ``index`` counts code cells from 1; ``error`` is one line, such as ``NameError: name 'x' is not defined``.
    """

    index: int
    cell_id: str
    source: str
    error: str


@dataclass(frozen=True)
class Result:
    """What running one notebook gave.

    ``seconds`` is the whole run with the kernel's start; ``cell_seconds`` holds one figure for every code
    cell that ran. ``peak_mib`` is the largest resident memory of the kernel and its children, in MiB.
    ``slowest`` is (number of the code cell, its seconds). ``reason`` is one line, given whenever ``ok`` is
    false. ``skipped`` means that nothing ran because this machine lacks an optional kernel, ``unusable`` that
    nothing ran because the file is no notebook that can be run here. ``network`` is "off" or "on".
    """

    path: Path
    ok: bool
    seconds: float = 0.0
    cell_seconds: tuple[float, ...] = ()
    peak_mib: float = 0.0
    slowest: tuple[int, float] | None = None
    failure: CellFailure | None = None
    executed: NotebookNode | None = None
    reason: str = ""
    skipped: bool = False
    unusable: bool = False
    network: str = "on"


@dataclass(frozen=True)
class Progress:
    """A step: ``state`` is "started", "cell" (code cell ``cell`` of ``cells`` begins) or "finished"."""

    path: Path
    state: str
    cell: int = 0
    cells: int = 0
    result: Result | None = None


OnProgress = Callable[[Progress], None]


def execute(
    path: Path | str,
    *,
    network: bool = False,
    timeout: float = TIMEOUT,
    keep: bool = False,
    on_progress: OnProgress | None = None,
) -> Result:
    """Run one notebook; see ``run_many``."""
    return run_many([path], jobs=1, network=network, timeout=timeout, keep=keep, on_progress=on_progress)[0]


def run_many(
    paths: Iterable[Path | str],
    *,
    jobs: int | None = None,
    network: bool = False,
    timeout: float = TIMEOUT,
    keep: bool = False,
    on_progress: OnProgress | None = None,
) -> list[Result]:
    """Run notebooks and return one result for each, in the order given.

    Each runs in a fresh kernel, from its own folder; the file itself is never changed.

    Args:
        paths: the notebooks.
        jobs: how many at once; by default as many as there are cores, and fewer where memory is short.
        network: leave the network on.
        timeout: seconds that one cell may take; a notebook may take three times that.
        keep: return the executed notebooks too.
        on_progress: called in the caller's thread at each step.

    Raises:
        PsmaError: a path is not a file, or no worker can be started.
    """
    notebooks = [Path(path).absolute() for path in paths]
    for notebook in notebooks:
        if not notebook.is_file():
            raise PsmaError(f"There is no notebook {notebook}: check the name.")
    if not notebooks:
        return []
    known = _read_timings()
    with tempfile.TemporaryDirectory(prefix="psma-", ignore_cleanup_errors=True) as scratch:
        crew = _Crew(notebooks, Path(scratch), network, timeout, keep, on_progress)
        results = crew.run(longest_first(notebooks, known), jobs or default_jobs(len(notebooks)))
    _write_timings(known | {str(result.path): round(result.seconds, 2) for result in results if result.ok})
    return results


def default_jobs(notebooks: int) -> int:
    """As many jobs as cores, at most one a notebook, and fewer where free memory is short."""
    import psutil

    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    room = int(psutil.virtual_memory().available / 2**20 // MIB_A_JOB)
    return max(1, min(cores, notebooks, room))


def longest_first(notebooks: Sequence[Path], known: dict[str, float]) -> list[int]:
    """Positions of the notebooks, longest past run first.

    A notebook without a past run comes first of all, the larger file before the smaller: starting a long one
    last is the only expensive mistake.
    """

    def weight(position: int) -> tuple[float, int]:
        notebook = notebooks[position]
        return known.get(str(notebook), float("inf")), notebook.stat().st_size

    return sorted(range(len(notebooks)), key=weight, reverse=True)


# --- past timings, kept in the user's cache folder


def timings_file() -> Path:
    """Where the seconds of past runs are kept; deleting it is harmless."""
    return _cache_folder() / "timings.json"


def _cache_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("psma", appauthor=False))


def _read_timings() -> dict[str, float]:
    try:
        found = json.loads(timings_file().read_text(encoding="utf-8"))
        return {str(key): float(value) for key, value in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _write_timings(timings: dict[str, float]) -> None:
    target = timings_file()
    kept = {key: value for key, value in timings.items() if Path(key).is_file()}
    with contextlib.suppress(OSError):  # a cache that can't be written costs a little time, never a run
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f"{target.name}.{os.getpid()}")
        beside.write_text(json.dumps(kept, indent=0, sort_keys=True), encoding="utf-8")
        beside.replace(target)


# --- the workers, seen from the caller


@dataclass(eq=False)
class _Worker:
    """One worker process and the notebook it is busy with."""

    process: subprocess.Popen[str]
    errors: Path
    network: str = "on"
    position: int | None = None

    def send(self, position: int, job: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.position = position
        with contextlib.suppress(OSError):  # it has just died: its reader thread reports that
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()

    def stop(self) -> None:
        """Close its input, on which it kills its kernel and leaves; a worker that does not is killed."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def last_words(self) -> str:
        lines = self.errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else f"exit code {self.process.poll()}"


@dataclass
class _Crew:
    """A run: which notebooks wait, which worker has which, and what came back."""

    notebooks: list[Path]
    scratch: Path
    network: bool
    timeout: float
    keep: bool
    on_progress: OnProgress | None
    results: dict[int, Result] = field(default_factory=dict)
    inbox: queue.SimpleQueue[tuple[_Worker, dict[str, Any]]] = field(default_factory=queue.SimpleQueue)
    started: int = 0

    def tell(self, step: Progress) -> None:
        if self.on_progress:
            self.on_progress(step)

    def run(self, order: list[int], jobs: int) -> list[Result]:
        waiting = iter(order)
        busy: list[_Worker] = []
        try:
            for _ in range(min(jobs, len(order))):
                busy.append(self._start(jobs))
            while busy:
                worker, event = self.inbox.get()
                if event["event"] == "gone":
                    busy.remove(worker)
                    if self._lost(worker):
                        busy.append(self._start(jobs))
                else:
                    self._handle(worker, event, waiting)
        finally:
            for worker in busy:
                worker.process.stdin.close()  # type: ignore[union-attr]  # all at once, then wait for each
            for worker in busy:
                worker.stop()
        return [self.results[position] for position in range(len(self.notebooks))]

    def _start(self, jobs: int) -> _Worker:
        self.started += 1
        home = self.scratch / f"w{self.started}"
        home.mkdir()
        errors = home / "stderr"
        with errors.open("w", encoding="utf-8") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "psma.execute_worker", str(home)] + ["--network"] * self.network,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                encoding="utf-8",
                env=kernel_environment(jobs),
                # Ctrl-C in a terminal reaches a whole group: workers shall hear of it by a closed pipe
                start_new_session=os.name == "posix",
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        worker = _Worker(process, errors)
        threading.Thread(target=self._listen, args=(worker,), daemon=True).start()
        return worker

    def _listen(self, worker: _Worker) -> None:
        assert worker.process.stdout is not None
        for line in worker.process.stdout:
            self.inbox.put((worker, json.loads(line)))
        self.inbox.put((worker, {"event": "gone"}))

    def _handle(self, worker: _Worker, event: dict[str, Any], waiting: Iterator[int]) -> None:
        kind = event.pop("event")
        if kind == "ready":
            worker.network = event["network"]
        elif kind == "cell":
            assert worker.position is not None
            self.tell(Progress(self.notebooks[worker.position], "cell", event["cell"], event["cells"]))
        elif kind == "done":
            self._finish(worker, self._result(worker, event))
        if kind in {"ready", "done"}:
            self._next(worker, waiting)

    def _next(self, worker: _Worker, waiting: Iterator[int]) -> None:
        position = next(waiting, None)
        if position is None:
            worker.process.stdin.close()  # type: ignore[union-attr]  # it leaves, and its reader says "gone"
            return
        path = self.notebooks[position]
        worker.send(position, {"path": str(path), "timeout": self.timeout, "keep": self.keep})
        self.tell(Progress(path, "started"))

    def _finish(self, worker: _Worker, result: Result) -> None:
        assert worker.position is not None
        self.results[worker.position] = result
        worker.position = None
        self.tell(Progress(result.path, "finished", result=result))

    def _result(self, worker: _Worker, event: dict[str, Any]) -> Result:
        assert worker.position is not None
        executed = event.pop("executed", None)
        failure = event.pop("failure", None)
        if executed is not None:
            import nbformat

            executed = nbformat.reads(executed, as_version=4)
        return Result(
            path=self.notebooks[worker.position],
            network=worker.network,
            executed=executed,
            failure=CellFailure(**failure) if failure else None,
            slowest=tuple(event.pop("slowest") or ()) or None,
            cell_seconds=tuple(event.pop("cell_seconds")),
            **event,
        )

    def _lost(self, worker: _Worker) -> bool:
        """A worker has gone; True if it died over a notebook, so that another must take its place."""
        worker.process.wait()
        if worker.position is None:
            if worker.process.returncode and len(self.results) < len(self.notebooks):
                words = worker.last_words()
                raise PsmaError(f"The process that runs notebooks stopped: {words}. Try `psma doctor`.")
            return False
        path = self.notebooks[worker.position]
        reason = f"the process that ran this notebook died ({worker.last_words()})"
        self._finish(worker, Result(path, ok=False, reason=reason, network=worker.network))
        return True


def kernel_environment(jobs: int) -> dict[str, str]:
    """The environment of a worker and its kernels: the caller's own, made reproducible.

    Cores are shared out, so that several kernels do not each start a thread for every core. Where Python is
    told to write no compiled files, every kernel would compile pandas and its like anew, for seconds: they go
    to a cache of our own.
    """
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    fixed = {
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "JUPYTER_PLATFORM_DIRS": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    shared = {name: threads for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS") if name not in os.environ}
    if os.environ.get("PYTHONDONTWRITEBYTECODE") and "PYTHONPYCACHEPREFIX" not in os.environ:
        fixed |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(_cache_folder() / "bytecode")}
    return os.environ | fixed | shared
