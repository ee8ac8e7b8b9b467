"""How long does a deck take, and how long the answer whether it fits?

    python benchmarks/slides.py [SESSION ...] [--repeats 5]

For each session (by default all) it makes the deck of the already executed lecture, measures every slide in
Chromium, and prints the median seconds of both, each in a process of its own as a person starts it; beside
them `jupyter nbconvert --to slides` of the same executed notebook, as the ratio that does not depend on the
machine. The course's limits: a deck of an executed notebook under 5 s, its check under 15 s.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from psma.course import Session, find_course
from psma.notebook import write
from psma.publish.slides import executed_lecture


def seconds(command: list[str], repeats: int) -> float:
    """Median seconds of a command that must succeed (1, "something does not fit", is an answer too)."""
    taken = []
    for _ in range(repeats):
        begun = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        taken.append(time.perf_counter() - begun)
        if done.returncode > 1:
            raise SystemExit(done.stderr)
    return statistics.median(taken)


def measure(session: Session, repeats: int) -> tuple[float, float, float]:
    """Seconds for the deck, for the deck with its check, and for nbconvert's own slides."""
    executed = executed_lecture(session.lecture)
    with tempfile.TemporaryDirectory() as folder:
        notebook = Path(folder) / session.lecture.name
        write(executed, notebook)
        psma = [sys.executable, "-m", "psma", "slides", session.id, "--out", f"{folder}/deck"]
        other = [sys.executable, "-m", "nbconvert", "--to", "slides", str(notebook)]
        return seconds(psma, repeats), seconds([*psma, "--check"], repeats), seconds(other, repeats)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sessions", nargs="*", metavar="SESSION")
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    course = find_course()
    chosen = [course.session(name) for name in asked.sessions] or list(course.sessions)
    print(f"{'session':8}{'deck (s)':>10}{'with check (s)':>16}{'nbconvert (s)':>15}{'deck / nbconvert':>18}")
    for session in chosen:
        deck, check, other = measure(session, asked.repeats)
        print(f"{session.id:8}{deck:10.2f}{check:16.2f}{other:15.2f}{deck / other:18.2f}")


if __name__ == "__main__":
    main()
