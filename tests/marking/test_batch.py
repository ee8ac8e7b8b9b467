"""A batch: it ends, it resumes, it refuses what is not safe, and a cluster gives the same marks."""

# ruff: noqa: E501 (tables, a row a line)
from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import marking_material as material
import pytest

from psma.errors import PsmaError
from psma.marking import batch as batch_module
from psma.marking.batch import RESULTS, Batch, mark_batch
from psma.marking.marker import Limits, scratch
from psma.marking.model import NOT_ISOLATED, SubmissionResult, from_json, to_json
from psma.marking.source import read_paper
from psma.marking.store import Store

linux = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("bwrap"), reason="isolation needs Linux and bubblewrap"
)
ANSWERS = [{}, material.BLANK, {"q1": "mean_wait = 0"}, {"q5": "def triage(age): return 'adult'"}]


@pytest.fixture
def work(tmp_path):
    """A paper and eight submissions."""
    (tmp_path / "sent").mkdir()
    for number in range(8):
        made = material.submission(ANSWERS[number % len(ANSWERS)])
        (tmp_path / "sent" / f"{number:04}.ipynb").write_text(json.dumps(made))
    return Batch(
        material.write_paper(tmp_path / "paper"), tmp_path / "sent", tmp_path / "out", Limits(cell=10)
    )


def marks(results):
    return {result.candidate: result.marks for result in results}


@linux
def test_a_batch_is_marked_and_the_next_run_finds_it_done(work):
    first = mark_batch(work)
    assert (len(first.results), first.resumed) == (8, 0)
    assert marks(first.results)["0000"] == material.FULL
    again = mark_batch(work)
    assert again.resumed == 8
    assert again.results == first.results


@linux
def test_only_what_changed_is_marked_again(work):
    mark_batch(work)
    (work.submissions / "0000.ipynb").write_text(json.dumps(material.submission({"q1": "mean_wait = 1"})))
    (work.submissions / "0001.ipynb").unlink()
    done = mark_batch(work)
    assert done.resumed == 6
    assert marks(done.results)["0000"]["q1_test"] == 0
    assert "0001" not in marks(done.results)


@linux
@pytest.mark.parametrize("deadly", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_killed_batch_resumes_and_leaves_no_process(work, deadly):
    slow = material.submission({"q1": "import time\ntime.sleep(1.5)\nmean_wait = 5.0"})
    for number in range(8):
        (work.submissions / f"{number:04}.ipynb").write_text(json.dumps(slow))
    command = [sys.executable, "-m", "psma", "mark", str(work.paper), str(work.submissions), "--out", str(work.out),
               "--jobs", "2", "--cell-seconds", "10"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while time.monotonic() < end and _kept(work.out) < 2:
        time.sleep(0.05)
    process.send_signal(deadly)
    process.wait(10)
    kept = _kept(work.out)
    assert 2 <= kept < 8
    time.sleep(0.5)
    assert not _running(str(work.out.parent))
    done = mark_batch(Batch(work.paper, work.submissions, work.out, Limits(10.0, 100.0)))
    assert done.resumed >= kept
    assert marks(done.results) == {f"{number:04}": material.FULL for number in range(8)}


def _kept(out: Path) -> int:
    if not (out / RESULTS).exists():
        return 0
    try:
        with Store(out / RESULTS) as store:
            return len(store.all())
    except PsmaError:
        return 0


def _running(word: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in line and path.parent.name != str(os.getpid()) and "bwrap" in line:
            found.append(line)
    return found


@linux
def test_the_verb_says_who_needs_a_person(work):
    (work.submissions / "0042.ipynb").write_text("{")
    command = [
        sys.executable,
        "-m",
        "psma",
        "mark",
        str(work.paper),
        str(work.submissions),
        "--out",
        str(work.out),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200"}
    )
    assert done.returncode == 1
    assert "0042" in done.stdout
    assert "not a whole notebook" in done.stdout
    assert "9 submissions marked" in done.stdout


@linux
def test_a_paper_that_fails_its_own_tests_is_refused(work):
    table = [row if row[0] != "q1" else ("q1", "answer", 0, "mean_wait = 3") for row in material.PAPER]
    material.write_paper(work.paper.parent, table)
    with pytest.raises(PsmaError, match="its own solution does not pass q1_test"):
        mark_batch(work)


@pytest.mark.parametrize(("spoil", "words"), [
    (lambda work: work.paper.unlink(), "no such paper"),
    (lambda work: work.paper.write_text("{"), "not a notebook"),
    (lambda work: work.paper.write_text(json.dumps(material.notebook([]))), "no cell carries marks"),
    (lambda work: shutil.rmtree(work.submissions), "no such folder"),
    (lambda work: [path.unlink() for path in work.submissions.iterdir()], "nothing in it"),
    (lambda work: work.out.write_text("x"), "cannot be used for results"),
    (lambda work: material.write_paper(work.paper.parent, [*material.PAPER, ("q1", "answer", 0, "")]), "stands twice"),
    (lambda work: material.write_paper(work.paper.parent, [("t", "test", 1, "### BEGIN HIDDEN TESTS")]), "pair them"),
    (lambda work: material.write_paper(work.paper.parent, [("t", "test", 1, "assert (")]), "is not Python"),
], ids=["no paper", "broken paper", "no marks", "no folder", "empty folder", "out is a file", "id twice", "not closed", "syntax"])  # fmt: skip
def test_what_cannot_be_marked_is_said_in_one_line(work, spoil, words):
    spoil(work)
    with pytest.raises(PsmaError, match=words) as caught:
        mark_batch(work)
    assert "\n" not in str(caught.value)


def test_without_isolation_it_refuses_and_with_leave_it_marks_the_same(work, monkeypatch):
    for path in sorted(work.submissions.iterdir())[2:]:
        path.unlink()

    def none(*_):
        raise PsmaError("This system allows no isolation (tried).")

    monkeypatch.setattr(batch_module.Sandbox, "__enter__", none)
    with pytest.raises(PsmaError, match="--allow-unisolated"):
        mark_batch(work)
    assert batch_module.isolation() == (NOT_ISOLATED, "This system allows no isolation (tried).")
    done = mark_batch(Batch(work.paper, work.submissions, work.out, work.limits, allow_unisolated=True))
    assert [result.isolation for result in done.results] == [NOT_ISOLATED, NOT_ISOLATED]
    assert marks(done.results) == {"0000": material.FULL, "0001": dict.fromkeys(material.FULL, 0.0)}


def test_without_isolation_what_was_sent_is_out_of_the_tests_reach(work, monkeypatch):
    """Modules beside the notebook, named like those that the tests import, run in no process of the tests."""
    for path in work.submissions.iterdir():
        path.unlink()
    folder = work.submissions / "0001"
    folder.mkdir()
    (folder / "practice.ipynb").write_text(json.dumps(material.submission({"q1": "mean_wait = 0"})))
    for name in ("json", "queue", "unittest", "select"):
        (folder / f"{name}.py").write_text(f"open({str(work.out.parent / 'ran')!r}, 'w').close()")

    def none(*_):
        raise PsmaError("none")

    monkeypatch.setattr(batch_module.Sandbox, "__enter__", none)
    done = mark_batch(Batch(work.paper, work.submissions, work.out, work.limits, allow_unisolated=True))
    assert done.results[0].marks == {**material.FULL, "q1_test": 0.0}
    assert not (work.out.parent / "ran").exists()


@linux
def test_a_fault_of_the_marking_itself_is_a_flag(work, monkeypatch):
    real = batch_module.Marker.mark

    def faulty(self, submission):
        if submission.candidate == "0003":
            raise RuntimeError("a bug")
        return real(self, submission)

    monkeypatch.setattr(batch_module.Marker, "mark", faulty)
    results = {result.candidate: result for result in mark_batch(work).results}
    assert set(results["0003"].marks.values()) == {None}
    assert results["0003"].flags[0].code == "marking failed"
    assert results["0004"].marks == material.FULL


@linux
def test_a_warm_parent_that_was_killed_is_replaced(work):
    paper = read_paper(work.paper)
    with batch_module.open_place(paper, False) as place:
        place.parent.process.kill()
        place.parent.process.wait()
        marker = batch_module.Marker(paper, place, work.limits)
        batch_module.check_paper(marker, "0000")


@linux
def test_a_cluster_gives_the_same_marks(work):
    distributed = pytest.importorskip("distributed")
    here = mark_batch(work)
    with distributed.LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=None) as cluster:
        there = mark_batch(Batch(work.paper, work.submissions, work.out.parent / "there", work.limits,
                                 scheduler=cluster.scheduler_address))  # fmt: skip
    assert marks(there.results) == marks(here.results)
    assert {result.isolation for result in there.results} == {result.isolation for result in here.results}


def test_no_cluster_is_said_in_one_line(work):
    with pytest.raises(PsmaError, match="no Dask scheduler answers"):
        mark_batch(Batch(work.paper, work.submissions, work.out, scheduler="tcp://127.0.0.1:9"))


def test_what_a_killed_batch_left_is_taken_away_a_day_later(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead, alive = 2**22 + 1, os.getpid()  # no system has so high a number of a process
    yesterday = time.time() - 25 * 3600
    for name, at in ((f"psma-mark-{dead}-old", yesterday), (f"psma-mark-{dead}-new", time.time()),
                     (f"psma-mark-{alive}-old", yesterday), ("psma-mark-x-old", yesterday), ("other", yesterday)):  # fmt: skip
        (tmp_path / name).mkdir()
        (tmp_path / name / "sent.ipynb").touch()
        os.utime(tmp_path / name, (at, at))
    made = scratch()
    left = {path.name for path in tmp_path.iterdir()} - {made.name}
    assert left == {f"psma-mark-{dead}-new", f"psma-mark-{alive}-old", "psma-mark-x-old", "other"}


def test_a_result_is_stored_as_it_was():
    result = SubmissionResult("0001", "0001.ipynb", "d", "p", marks={"q1": None, "q2": 1.5})
    assert from_json(to_json(result)) == result
    assert (result.marked, result.open, result.needs_person) == (1.5, ("q1",), True)
