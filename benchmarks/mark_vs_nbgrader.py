"""Marking against nbgrader's autograde plus feedback, on the same submissions in one run.

uv run python benchmarks/mark_vs_nbgrader.py                  150 submissions; 30 of them by nbgrader as well
uv run python benchmarks/mark_vs_nbgrader.py --many 20 --paired 5

Prints the seconds of each by the clock and, where this user can make a control group (Linux, root), of
processor, the ratio of both, and the most memory (proportional set size, so shared pages count once) that
marking used. nbgrader is called as its manual says, once for all submissions. Before and after it the same
submissions are marked by ``psma mark``, and the mean of the two runs counts: the machine's load is shared
alike.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "marking"))
import marking_material as material  # noqa: E402

VARIANTS = [
    {},
    {"q1": "mean_wait = np.mean(waits)"},
    {"q2": "def utilisation(arrivals, service, servers):\n    return 2 / 3"},
    {"q3": "standardise = lambda v: (np.array(v) - np.mean(v)) / np.std(v)"},
    {"q4": "by_site = pd.Series({'A': 3.0, 'B': 5.0})", "q5": "def triage(age):\n    return 'adult'"},
    material.BLANK,
]
CONFIG = """
c = get_config()
c.CourseDirectory.course_id = "benchmark"
c.Exchange.root = "{root}/exchange"
"""


class Memory(threading.Thread):
    """Samples the memory of a process and all its descendants."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.process = psutil.Process(pid)
        self.peak = 0.0

    def run(self) -> None:
        """Until the process is gone."""
        while True:
            try:
                family = [self.process, *self.process.children(recursive=True)]
            except psutil.Error:
                return
            self.peak = max(self.peak, sum(_pss(each.pid) for each in family))
            time.sleep(0.3)


def _pss(pid: int) -> float:
    """MiB of one process, shared pages counted by their share."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    except (OSError, StopIteration):
        return 0.0


class Processor:
    """The processor seconds of a command and all it starts, also what is killed: a control group's count."""

    def __init__(self) -> None:
        self.group: Path | None = None
        for root in (Path("/sys/fs/cgroup/cpuacct"), Path("/sys/fs/cgroup")):
            group = root / f"psma-benchmark-{os.getpid()}"
            with suppress(OSError):
                group.mkdir(exist_ok=True)
                if (group / "cgroup.procs").exists():
                    self.group = group
                    return
                group.rmdir()

    def join(self) -> None:
        """Put this process into the group."""
        if self.group is not None:
            (self.group / "cgroup.procs").write_text(str(os.getpid()))

    def seconds(self) -> float:
        """What the group has used so far, ``nan`` where there is none."""
        if self.group is None:
            return float("nan")
        if (self.group / "cpuacct.usage").exists():
            return int((self.group / "cpuacct.usage").read_text()) / 1e9
        return int((self.group / "cpu.stat").read_text().split()[1]) / 1e6


PROCESSOR = Processor()


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock, seconds of processor, MiB at the peak."""

    seconds: float
    cpu: float
    mib: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.seconds + other.seconds, self.cpu + other.cpu, max(self.mib, other.mib))

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s, {self.cpu:.1f} s of processor"


def timed(command: list[str], folder: Path) -> Cost:
    """What a command costs."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    start, before = time.monotonic(), PROCESSOR.seconds()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PATH": path},
            stdout=log,
            stderr=log,
            preexec_fn=PROCESSOR.join,  # noqa: PLW1509 (no thread of ours holds a lock then)
        )
        memory = Memory(process.pid)
        memory.start()
        code = process.wait()
        seconds = time.monotonic() - start
        if code not in (0, 1):
            log.seek(0)
            raise SystemExit(f"{' '.join(command)} ended with {code}:\n{log.read().decode()[-2000:]}")
    return Cost(seconds, PROCESSOR.seconds() - before, memory.peak)


def psma_run(root: Path, sent: Path, out: str) -> Cost:
    """``psma mark`` on a folder."""
    paper = str(root / "source" / "paper" / "practice.ipynb")
    return timed([sys.executable, "-m", "psma", "mark", paper, str(sent), "--out", str(root / out)], root)


def nbgrader_run(root: Path) -> tuple[Cost, Cost]:
    """nbgrader's autograde, and its feedback."""
    nbgrader = [sys.executable, "-m", "nbgrader"]
    timed([*nbgrader, "generate_assignment", "paper"], root)
    autograde = timed([*nbgrader, "autograde", "paper"], root)
    feedback = timed([*nbgrader, "generate_feedback", "paper"], root)
    made = len(list((root / "feedback").rglob("*.html")))
    if made != len(list((root / "submitted").iterdir())):
        raise SystemExit(f"nbgrader made {made} pages of feedback only")
    return autograde, feedback


def main() -> None:
    """Write the submissions, mark them, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--many", type=int, default=150)
    parser.add_argument("--paired", type=int, default=30)
    asked = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="psma-benchmark-"))
    try:
        run(root, asked.many, asked.paired)
    finally:
        shutil.rmtree(root, ignore_errors=True)
        if PROCESSOR.group is not None:
            with suppress(OSError):
                PROCESSOR.group.rmdir()


def run(root: Path, many: int, paired: int) -> None:
    """The whole comparison in one folder."""
    (root / "nbgrader_config.py").write_text(CONFIG.format(root=root))
    (root / "exchange").mkdir()
    material.write_paper(root / "source" / "paper")
    for folder in ("many", "few"):
        (root / folder).mkdir()
    for number in range(many):
        text = json.dumps(material.submission(VARIANTS[number % len(VARIANTS)]))
        (root / "many" / f"{number:04}.ipynb").write_text(text)
        if number < paired:
            (root / "few" / f"{number:04}.ipynb").write_text(text)
            submitted = root / "submitted" / f"{number:04}" / "paper"
            submitted.mkdir(parents=True)
            (submitted / "practice.ipynb").write_text(text)
    print(f"cores {os.cpu_count()}, load {os.getloadavg()[0]:.1f}")
    cost = psma_run(root, root / "many", "out-many")
    print(f"psma mark, {many} submissions: {cost}, at most {cost.mib:.0f} MiB")
    if paired:
        before = psma_run(root, root / "few", "out-before")
        autograde, feedback = nbgrader_run(root)
        after = psma_run(root, root / "few", "out-after")
        ours, theirs = before + after, autograde + feedback
        print(f"psma mark, {paired} submissions: {before} before; {after} after")
        print(f"nbgrader, the same {paired}: autograde {autograde}; feedback {feedback}")
        clock, cpu = 2 * theirs.seconds / ours.seconds, 2 * theirs.cpu / ours.cpu
        print(f"nbgrader / psma: {clock:.1f} by the clock, {cpu:.1f} in processor seconds")


if __name__ == "__main__":
    main()
