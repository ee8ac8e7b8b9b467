"""How fast is `psma run`, and how much memory does it take, beside `pytest --nbmake -n JOBS` on the same
notebooks?

    python benchmarks/run_vs_nbmake.py [--jobs 2] [--pairs 5] [NOTEBOOK ...]

Without notebooks it writes twelve of the kind that the course holds: imports, a table, a simulation, a plot.
The two runners take turns, so that whatever else the machine does hits both; what counts is the ratio within
a pair. Memory is the peak of the sum over all processes of proportional set sizes (Linux), sampled ten times
a second.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

CELLS = [
    "import numpy as np\nimport pandas as pd\nimport matplotlib.pyplot as plt\nrng=np.random.default_rng(1)",
    "log = pd.DataFrame({'unit': rng.integers(0, 9, 20_000), 'minutes': rng.exponential(20, 20_000)})\n"
    "log.head()",
    "log.groupby('unit')['minutes'].agg(['mean', 'median', 'size'])",
    "def wait(rho, runs):\n"
    "    return [np.maximum.accumulate(rng.exponential(rho, 5_000)).mean() for _ in range(runs)]",
    "waits = wait(0.8, 400)\nprint(f'{np.mean(waits):.2f}')",
    "fig, ax = plt.subplots(figsize=(9, 3.8))\nax.hist(log['minutes'], bins=60)\nax.set_xlabel('minutes');",
]


@dataclass(frozen=True)
class Cost:
    """What one run took: seconds by the clock, seconds of processor, MiB at the peak."""

    seconds: float
    cpu: float
    mib: float


def write_notebooks(folder: Path, count: int) -> list[Path]:
    """Write ``count`` notebooks of the usual kind."""
    paths = []
    for number in range(count):
        pairs = ((new_markdown_cell("What we do next."), new_code_cell(source)) for source in CELLS)
        cells = [cell for pair in pairs for cell in pair]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        paths.append(folder / f"{number:02}_session.ipynb")
        nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), paths[-1])
    return paths


def memory_mib(root: psutil.Process) -> float:
    """Sum of the proportional set sizes of a process and all its descendants, in MiB."""
    total = 0
    try:
        family = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0.0
    for process in family:
        try:
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0)
    return total / 1024


def measure(command: list[str], cwd: Path) -> Cost:
    """Run a command to its end; it must succeed."""
    before = os.times()
    begun = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=cwd, stdout=output, stderr=subprocess.STDOUT)
        peak, watched = 0.0, psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, memory_mib(watched))
            time.sleep(0.1)
        seconds = time.perf_counter() - begun
        if process.returncode:
            output.seek(0)
            raise SystemExit(output.read().decode()[-3000:])
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(seconds, cpu, peak)


def report(name: str, ours: list[float], theirs: list[float], unit: str) -> None:
    """Print medians, and the ratio theirs / ours with its range over the pairs."""
    ratios = sorted(b / a for a, b in zip(ours, theirs, strict=True))
    ratio, low, high = statistics.median(ratios), ratios[0], ratios[-1]
    print(
        f"{name:10} psma {statistics.median(ours):7.1f} {unit:4}"
        f" nbmake {statistics.median(theirs):7.1f} {unit:4}"
        f" nbmake / psma {ratio:.2f} (over {len(ratios)} pairs {low:.2f} to {high:.2f})"
    )


def main() -> None:
    """Run both, in turn, and print the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument(
        "--count", type=int, default=12, help="how many notebooks to write where none is named"
    )
    parser.add_argument("notebooks", nargs="*", type=Path)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        notebooks = wanted.notebooks or write_notebooks(Path(folder), wanted.count)
        paths = [str(path.resolve()) for path in notebooks]
        jobs = str(wanted.jobs)
        psma = [sys.executable, "-m", "psma", "run", "--jobs", jobs, *paths]
        plugins = ["-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", folder]
        nbmake = [sys.executable, "-m", "pytest", "-q", "--nbmake", "-n", jobs, *plugins, *paths]
        costs: list[tuple[Cost, Cost]] = []
        for turn in range(wanted.pairs + 1):
            order = (psma, nbmake) if turn % 2 else (nbmake, psma)
            pair = {id(command): measure(command, Path(folder)) for command in order}
            if turn:  # the first pair warms the disk's cache
                costs.append((pair[id(psma)], pair[id(nbmake)]))
    print(f"{len(paths)} notebooks, {jobs} jobs, {os.cpu_count()} cores, Python {sys.version.split()[0]}")
    for name, unit in (("seconds", "s"), ("cpu", "s"), ("mib", "MiB")):
        report(name, [getattr(a, name) for a, _ in costs], [getattr(b, name) for _, b in costs], unit)


if __name__ == "__main__":
    main()
