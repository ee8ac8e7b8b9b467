"""Hostile and broken submissions, all in one batch: right marks, right flags, nothing gets out, nobody else
is harmed.
"""

# ruff: noqa: E501 (tables, a row a line)
from __future__ import annotations

import os
import shutil
import socket
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import marking_material as material
import pytest
from hostile import BLANK, BROKEN, CASES, CHANGED, PERFECT, RUNNING, Case

from psma.marking.batch import Batch, mark_batch
from psma.marking.marker import Limits, Marker
from psma.marking.model import ISOLATED
from psma.marking.reader import find, load
from psma.marking.sandbox import Sandbox
from psma.marking.source import read_paper

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("bwrap"), reason="isolation needs Linux and bubblewrap"
)
NAME, LISTENER = f"psma-survivor-{os.getpid()}", f"psma-listener-{os.getpid()}"  # others may run this too
LIMIT = 2.5


class Listener:
    """Listens on this machine, on the loopback network and in the file system, and notes whoever comes."""

    def __init__(self, folder: Path) -> None:
        self.sockets = [socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_UNIX),
                        socket.socket(socket.AF_UNIX)]  # fmt: skip
        self.sockets[0].bind(("127.0.0.1", 0))
        self.port = self.sockets[0].getsockname()[1]
        self.sockets[1].bind(("127.0.0.1", self.port))
        self.sockets[2].bind(f"\0{LISTENER}")
        self.sockets[3].bind(str(folder / "socket"))
        self.heard = 0
        for each in self.sockets:
            threading.Thread(target=self._listen, args=(each,), daemon=True).start()

    def _listen(self, sock: socket.socket) -> None:
        if sock.type == socket.SOCK_STREAM:
            sock.listen()
            sock.accept()
        else:
            sock.recv(1)
        self.heard += 1


def _fill_in(path: Path, port: int, mark: Path) -> None:
    """Put the port, the folder and the name into the notebooks."""
    for file in path.glob("*.ipynb"):
        if file.is_file() and not file.is_symlink() and file.stat().st_size < 10**6:
            data = file.read_bytes()
            for word, value in (
                (b"PORT", str(port)),
                (b"MARK", str(mark)),
                (b"NAME", NAME),
                (b"LISTENER", LISTENER),
            ):
                data = data.replace(word, value.encode())
            file.write_bytes(data)


def _survivors() -> list[str]:
    """The command lines of processes that bear the name."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it may end while it is looked at
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in lines if NAME in line]


def _run(root: Path) -> dict[str, Any]:
    mark = root / "mark"
    mark.mkdir()
    (mark / "secret").write_text("x")
    listener = Listener(mark)
    (root / "sent").mkdir()
    paper = material.write_paper(root / "paper")
    for case in CASES:
        case.write(root / "sent", case.name)
    _fill_in(root / "sent", listener.port, mark)
    start = time.monotonic()
    done = mark_batch(
        Batch(paper, root / "sent", root / "out", Limits(cell=LIMIT, budget=120, memory=256), jobs=3)
    )
    return {
        "seconds": time.monotonic() - start, "heard": listener.heard, "survivors": _survivors(),
        "written": sorted(path.name for path in mark.iterdir()),
        "results": {result.candidate: asdict(result) for result in done.results},
    }  # fmt: skip


@pytest.fixture(scope="module")
def batch(shared_once, tmp_path_factory):
    return shared_once("hostile", lambda: _run(tmp_path_factory.mktemp("hostile")))


def test_there_are_enough_cases():
    assert len(RUNNING + CHANGED + BROKEN) >= 40
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_marks_and_flags(batch, case: Case):
    result = batch["results"][case.name]
    told = [(test["cell"], test["detail"]) for test in result["tests"]], result["errors"]
    assert result["marks"] == {**material.FULL, **case.marks}, told
    assert {flag["code"] for flag in result["flags"]} == case.flags, result["flags"]
    assert all(flag["words"].endswith((".", "?")) for flag in result["flags"])


def test_nobody_else_is_harmed(batch):
    assert {case.name for case in CASES} == set(batch["results"])
    for case in PERFECT + BLANK:
        assert batch["results"][case.name]["isolation"] == ISOLATED


def test_nothing_gets_out(batch):
    assert batch["written"] == ["secret", "socket"]
    assert batch["heard"] == 0


def test_no_hidden_input_reaches_a_trainee(batch):
    """What a function saw in a hidden test is in no words that its author reads, by whatever way."""
    for name, result in batch["results"].items():
        told = [test["reason"] for test in result["tests"]] + [error["error"] for error in result["errors"]]
        assert not [words for words in told if "SAW" in words], name


def test_no_process_survives(batch):
    assert batch["survivors"] == []


@pytest.mark.parametrize(
    "name", ["perfect-a", "loop", "loop-signals-ignored", "crowd", "sleep", "stops-itself", "output-flood"]
)
def test_a_hanging_cell_costs_its_limit_plus_two_seconds(sandbox, tmp_path, name):
    """The better of two tries, as other programs may hold this machine up for a moment; what they take from
    the machine's cores is not the cell's time.
    """
    case = next(case for case in CASES if case.name == name)
    case.write(tmp_path, name)
    paper = read_paper(material.write_paper(tmp_path / "paper"))
    marker = Marker(paper, sandbox, Limits(cell=1.0, budget=60))
    sent = next(sent for sent in find(tmp_path, paper) if sent.candidate == name)
    costs = []
    for _ in range(2):
        before = _waited_for_cores()
        result = marker.mark(load(sent, paper))
        costs.append(result.seconds - (_waited_for_cores() - before))
        assert result.marks == {**material.FULL, **case.marks}
    assert min(costs) < (2.0 if name == "perfect-a" else 1.0 + 2.0)


def _waited_for_cores() -> float:
    """Seconds in which any process of the machine waited for a core, 0 where the system doesn't say."""
    with suppress(OSError, IndexError):
        return int(Path("/proc/pressure/cpu").read_text().split("total=")[1].split()[0]) / 1e6
    return 0.0


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(["numpy", "pandas"]) as place:
        yield place
