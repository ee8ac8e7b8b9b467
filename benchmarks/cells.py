"""How long does a session's notebook take, and how much of it is the start?

    python benchmarks/cells.py [SESSION ...] [--repeats 3]

For each session (by default 3.1 and 3.2) and for its lecture and its solution it prints the median seconds of
`psma.execute.execute` (kernel's start, imports and all cells), those of all cells, and those of the cells
behind the first, which holds the imports; and beside them `jupyter nbconvert --execute` of the same notebook,
taken in turn, as the ratio that does not depend on the machine. The course's limits for 3.1 and 3.2: 3 s for
the cells behind the imports, 8 s for everything.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from psma.course import find_course
from psma.execute import execute


def nbconvert(notebook: Path) -> float:
    """Seconds of nbconvert's own execution, which must succeed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--output-dir", folder]
        begun = time.perf_counter()
        subprocess.run([*command, str(notebook)], capture_output=True, check=True)
        return time.perf_counter() - begun


def measure(notebook: Path, repeats: int) -> list[float]:
    """Medians in seconds: everything, all cells, the cells behind the imports, nbconvert."""
    rows = []
    for _ in range(repeats):
        result = execute(notebook)
        if not result.ok:
            raise SystemExit(f"{notebook}: {result.reason}")
        cells = result.cell_seconds
        rows.append((result.seconds, sum(cells), sum(cells[1:]), nbconvert(notebook)))
    return [statistics.median(column) for column in zip(*rows, strict=True)]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sessions", nargs="*", metavar="SESSION", default=["3.1", "3.2"])
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    course = find_course()
    heads = ("everything", "cells", "behind imports", "nbconvert", "nbconvert / psma")
    print(f"{'notebook':14}" + "".join(f"{head:>18}" for head in heads))
    for session in [course.session(name) for name in asked.sessions]:
        for kind, path in (("lecture", session.lecture), ("solution", session.solution)):
            figures = measure(path, asked.repeats)
            figures.append(figures[3] / figures[0])
            print(f"{session.id} {kind:10}" + "".join(f"{figure:18.1f}" for figure in figures))


if __name__ == "__main__":
    main()
