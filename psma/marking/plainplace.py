"""Marking without isolation, where the system offers none: single-use interpreters, the same marks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from psma.errors import PsmaError
from psma.marking.channel import PipeChannel
from psma.marking.marker import Limits, scratch
from psma.marking.model import NOT_ISOLATED

SINGLE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)


@dataclass
class _Job:
    """One tester that was started, and the channel to it."""

    process: subprocess.Popen[bytes]
    channel: PipeChannel

    def kill(self) -> None:
        """End the tester and all that it started. A second time does nothing."""
        if self.process.poll() is not None:
            return
        import psutil

        try:
            parent = psutil.Process(self.process.pid)
            family = [*parent.children(recursive=True), parent]
        except psutil.Error:
            family = []
        for member in family:
            try:
                member.kill()
            except psutil.Error:
                continue
        self.process.kill()
        self.process.wait()


class PlainPlace:
    """Runs each submission in interpreters of its own, with this user's rights."""

    isolation = NOT_ISOLATED

    def __init__(self, modules: list[str]) -> None:
        self.modules = sorted({"numpy", "pandas", *modules})

    def __enter__(self) -> PlainPlace:
        self.root = scratch()
        self.closed = False
        self.jobs: list[_Job] = []
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.closed = True
        for job in self.jobs:
            job.kill()
        shutil.rmtree(self.root, ignore_errors=True)

    def folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.root))

    def begin(self, folder: Path, limits: Limits) -> _Job:  # noqa: ARG002 (the tester keeps the time)
        if self.closed:
            raise PsmaError("The marking was stopped.")
        package = str(Path(__file__).parents[2])
        environment = {
            **os.environ,
            **SINGLE_THREAD,
            "MPLBACKEND": "agg",
            "PYTHONSAFEPATH": "1",
            "PSMA_WARM": ",".join(self.modules),
            "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")])),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "psma.marking.tester"],
            cwd=folder / "tests",
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdin is not None and process.stdout is not None
        job = _Job(process, PipeChannel(process.stdout, process.stdin))  # type: ignore[arg-type]
        self.jobs.append(job)
        return job
