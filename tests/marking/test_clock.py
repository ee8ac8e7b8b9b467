"""Limits count what a process could have used: on a busy machine nobody loses marks or gains time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import marking_material as material
import pytest

from psma.marking.batch import open_place
from psma.marking.clock import STRETCH, Deadline, core_wait
from psma.marking.marker import Limits, Marker
from psma.marking.plainplace import PlainPlace
from psma.marking.reader import find, load
from psma.marking.source import read_paper

linux = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("bwrap"), reason="isolation needs Linux and bubblewrap"
)
counts_waiting = pytest.mark.skipif(
    not Path("/proc/self/schedstat").exists(), reason="this kernel doesn't count the waiting for a core"
)
SPIN = "import time\nend = time.process_time() + {}\nwhile time.process_time() < end: pass\n"


@pytest.fixture
def busy_core() -> Iterator[None]:
    """This process, and all that it starts, on one core, which another program uses as well."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    other = subprocess.Popen([sys.executable, "-c", SPIN.format(120)])
    try:
        yield
    finally:
        other.kill()
        other.wait()
        os.sched_setaffinity(0, before)


def test_a_deadline_moves_by_what_was_waited_but_not_for_ever():
    assert Deadline(None).left() is None
    assert 9 < Deadline(10).left() <= 10
    assert Deadline(0).left() == 0
    waited = [0.5]
    deadline = Deadline(0.2, lambda: waited[0])
    time.sleep(0.25)
    assert 0.3 < deadline.left() <= 0.45
    waited[0] = 1e9
    assert deadline.left() <= 0.2 * (STRETCH - 1)


def test_what_the_system_does_not_say_counts_as_no_waiting():
    assert core_wait("no such process") == 0


@counts_waiting
def test_waiting_for_a_core_is_counted(busy_core):
    start, before, used = time.monotonic(), core_wait(), time.process_time()
    while time.process_time() - used < 0.5:
        pass
    lost = time.monotonic() - start - 0.5
    assert lost > 0.1
    assert abs(core_wait() - before - lost) < 0.3 * lost + 0.1


NEEDS = SPIN.format(0.35).replace("\n", "\n    ")
ANSWERS = {
    "q1": SPIN.format(1.4) + "mean_wait = 5.0",
    "q5": f"def triage(age):\n    {NEEDS}\n    return 'child' if age < 16 else 'adult'",
}


def marks_on(place, folder: Path, *questions: str) -> dict:
    """Flags and marks of a submission whose cell and function each need most of their limit."""
    table = [row for row in material.PAPER if (row[0] or "").split("_")[0] in ("given", *questions)]
    paper = read_paper(material.write_paper(folder / "paper", table))
    (folder / "sent").mkdir()
    sent = material.submission({name: ANSWERS[name] for name in questions}, table)
    (folder / "sent" / "1001.ipynb").write_text(json.dumps(sent))
    with place(paper) as here:
        result = Marker(paper, here, Limits(cell=1.7)).mark(load(find(folder / "sent", paper)[0], paper))
    return {**result.marks, "flags": [flag.words for flag in result.flags]}


@linux
@counts_waiting
def test_a_busy_machine_costs_nobody_marks(busy_core, tmp_path):
    got = marks_on(lambda paper: open_place(paper, False), tmp_path, "q1", "q5")
    assert got == {"q1_test": 2, "q5_test": 2, "flags": []}


@counts_waiting
def test_a_busy_machine_costs_nobody_marks_without_isolation(busy_core, tmp_path):
    assert marks_on(lambda _: PlainPlace([]), tmp_path, "q1") == {"q1_test": 2, "flags": []}
