"""Time limits that are fair on a busy machine: waiting for a core is not held against who waits.

A limit counts seconds by the clock, less those in which the process was ready to run and the machine gave its
cores to others (Linux counts them, see Documentation/scheduler/sched-stats.rst: /proc/PID/schedstat, second
number). So a neighbour's fork bomb, or a second batch on the same machine, costs nobody marks; a cell that
sleeps still ends at its limit. A limit never stretches to more than ``STRETCH`` times itself, and not at all
for a submission that crowds the cores with processes and threads of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

STRETCH = 8.0
CROWD = 8


def core_wait(pid: int | str = "self") -> float:
    """Seconds that a process has waited for a core so far; 0 where the system doesn't say."""
    with suppress(OSError, IndexError, ValueError):
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    return 0.0


class Deadline:
    """The end of a wait: ``seconds`` from now (None: never), later by ``waited()``, up to the cap."""

    def __init__(self, seconds: float | None, waited: Callable[[], float] | None = None) -> None:
        self.seconds = seconds
        self.waited = waited
        self.start = time.monotonic()

    def left(self) -> float | None:
        """Seconds left, 0 at the end, None for ever. Asks ``waited`` only once the plain time is over."""
        if self.seconds is None:
            return None
        left = self.start + self.seconds - time.monotonic()
        if left <= 0 and self.waited is not None:
            left += min(self.waited(), (STRETCH - 1) * self.seconds)
        return max(0.0, left)
