"""Running notebooks: fresh kernels, honest reports, no network, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from psma import execute
from psma.errors import PsmaError
from psma.execute import Progress, Result, run_many
from psma.execute_worker import NoKernel, death, execution_error


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the timings of the person who runs the suite."""
    cache = tmp_path_factory.mktemp("cache") / "timings.json"
    monkeypatch.setattr(execute, "timings_file", lambda: cache)


def book(path: Path, *sources: str, kernel: str = "python3", first_raises: bool = False) -> Path:
    """Write a notebook of code cells, whose ids are c1, c2, …, with a text cell before each."""
    cells = []
    for number, source in enumerate(sources, 1):
        metadata = {"tags": ["raises-exception"]} if first_raises and number == 1 else {}
        code = new_code_cell(source, id=f"c{number}", metadata=metadata)
        cells += [new_markdown_cell(f"Text {number}", id=f"t{number}"), code]
    nb = new_notebook(cells=cells, metadata={"kernelspec": {"name": kernel, "display_name": kernel}})
    nbformat.write(nb, path)
    return path


BATCH: dict[str, list[str]] = {
    "good": ["x = 6", "", "print(x * 7)", "import time; time.sleep(0.3)"],
    "fresh": ["assert 'x' not in dir()"],
    "wrong": ["1", "raise ValueError('\\x1b[31mred\\x1b[0m\\nand blue')", "open('never', 'w')"],
    "allowed": ["1 / 0", "print('still here')"],
    "dies": ["import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"],
    "leaves": ["import os\nos._exit(3)"],
    "asks": ["input('name?')"],
    "endless": ["pass", "while True: pass"],
    "patient": ["import time", *["time.sleep(1.6)"] * 6],
    "hungry": ["x = bytearray(300 * 2**20); del x"],
    "parent": [
        "import subprocess, sys\nsubprocess.run([sys.executable, '-c', "
        "'import time; x = bytearray(300 * 2**20); time.sleep(0.8)'])"
    ],
    "kills": [
        "import os, pathlib, signal\npathlib.Path('kernel').write_text(str(os.getpid()))\n"
        "os.kill(os.getppid(), signal.SIGKILL)\nwhile True: pass"
    ],
    "where": [
        "import os, pathlib\nassert pathlib.Path('good.ipynb').exists()\n"
        "assert os.environ['PYTHONHASHSEED'] == '0'\nprint(hash('a'))"
    ],
    "again": ["print(hash('a'))"],
}


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Result], list[Progress]]:
    """All the small notebooks above in one run of two jobs; a cell may take 2 seconds, a notebook 6."""
    folder = tmp_path_factory.mktemp("batch")
    paths = [
        book(folder / f"{name}.ipynb", *cells, first_raises=name == "allowed")
        for name, cells in BATCH.items()
    ]
    paths.append(book(folder / "nokernel.ipynb", "1", kernel="cobol"))
    (folder / "broken.ipynb").write_text("{")
    before = {path: path.read_bytes() for path in paths}
    steps: list[Progress] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execute, "timings_file", lambda: folder / "none" / "timings.json")
        all_paths = [*paths, folder / "broken.ipynb"]
        results = run_many(all_paths, jobs=2, timeout=2, keep=True, on_progress=steps.append)
    assert {path: path.read_bytes() for path in paths} == before
    return folder, {result.path.stem: result for result in results}, steps


def test_a_good_notebook_is_reported_with_its_times(batch):
    result = batch[1]["good"]
    assert result.ok and result.failure is None and result.reason == ""
    assert len(result.cell_seconds) == 4 and result.seconds > sum(result.cell_seconds)
    assert result.slowest is not None and result.slowest[0] == 4 and 0.3 <= result.slowest[1] < 1.5
    assert 30 < result.peak_mib < 300


def test_the_executed_notebook_comes_back_and_the_file_is_never_touched(batch):
    folder, results, _ = batch
    cell = results["good"].executed.cells[5]
    assert cell.outputs[0].text == "42\n" and cell.execution_count == 3
    left = {path.name for path in folder.iterdir()} - {"none", "kernel"}
    assert left == {f"{name}.ipynb" for name in results}  # no checkpoints, nothing else


def test_results_come_in_the_order_of_the_paths(batch):
    assert list(batch[1]) == [*BATCH, "nokernel", "broken"]


def test_every_notebook_has_a_fresh_kernel_and_runs_in_its_own_folder(batch):
    assert batch[1]["fresh"].ok
    assert batch[1]["where"].ok, batch[1]["where"].reason


def test_figures_are_drawn_inside_the_notebook_and_libraries_keep_quiet(tmp_path, monkeypatch):
    # On a new machine matplotlib builds its font cache and says so on standard error.
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "new"))
    cells = [
        "import matplotlib\nassert matplotlib.get_backend().endswith('inline'), matplotlib.get_backend()",
        "import sys, matplotlib.font_manager\nprint('mine', file=sys.stderr)",
    ]
    result = run_many([book(tmp_path / "figure.ipynb", *cells)], keep=True)[0]
    assert result.ok, result.reason
    assert list((tmp_path / "new").glob("fontlist*"))  # it was built, so it was said
    texts = ["".join(o.text for o in cell.outputs) for cell in result.executed.cells if "outputs" in cell]
    assert texts == ["", "mine\n"]


def test_what_a_person_has_set_up_for_their_own_ipython_is_left_out(tmp_path, monkeypatch):
    startup = tmp_path / "mine" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "always.py").write_text("import math as handy\n")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "mine"))
    assert run_many([book(tmp_path / "a.ipynb", "assert 'handy' not in dir()")])[0].ok


def test_two_runs_hash_alike(batch):
    printed = [batch[1][name].executed.cells[1].outputs[-1].text for name in ("where", "again")]
    assert printed[0] == printed[1]


def test_a_failing_cell_is_named_with_number_id_source_and_one_line(batch):
    result = batch[1]["wrong"]
    assert not result.ok and result.failure is not None
    assert (result.failure.index, result.failure.cell_id) == (2, "c2")
    assert result.failure.source.startswith("raise ValueError")
    assert result.failure.error == "ValueError: red and blue"
    assert len(result.cell_seconds) == 2  # the third never ran
    assert result.executed.cells[3].outputs[0].ename == "ValueError"


def test_a_cell_that_is_meant_to_raise_may(batch):
    assert batch[1]["allowed"].ok
    assert batch[1]["allowed"].executed.cells[3].outputs[0].text == "still here\n"


@pytest.mark.parametrize(
    ("name", "index", "error"),
    [
        ("dies", 1, "The kernel died in this cell (SIGKILL, often a lack of memory)"),
        ("leaves", 1, "The kernel died in this cell (exit code 3)"),
        ("endless", 2, "Timeout: this cell took longer than 2 s"),
        ("patient", 5, "Timeout: the notebook took longer than 6 s"),
    ],
)
def test_what_ends_a_kernel_is_said(batch, name, index, error):
    failure = batch[1][name].failure
    assert (failure.index, failure.error) == (index, error)


def test_a_notebook_that_asks_for_input_fails_instead_of_hanging(batch):
    assert batch[1]["asks"].failure.error.startswith("StdinNotImplementedError")


def test_a_missing_kernel_and_a_broken_file_are_reasons_not_failures_of_a_cell(batch):
    missing, broken = batch[1]["nokernel"], batch[1]["broken"]
    assert missing.failure is None and "`cobol`" in missing.reason and "install it" in missing.reason
    assert broken.failure is None and "broken.ipynb" in broken.reason
    assert not (missing.ok or missing.skipped or broken.ok or broken.skipped)


def test_only_the_missing_r_kernel_is_a_skip():
    assert NoKernel("ir").optional and "1.7 and 1.8" in str(NoKernel("ir"))
    assert not NoKernel("python3").optional


def test_peak_memory_counts_a_short_peak_and_a_child(batch):
    quiet = batch[1]["good"].peak_mib
    # a kernel by itself varies by some 30 MiB, more where its modules are compiled for the first time
    assert 240 < batch[1]["hungry"].peak_mib - quiet < 400
    assert 240 < batch[1]["parent"].peak_mib - quiet < 400


def test_a_worker_that_is_killed_costs_its_notebook_only_and_its_kernel_dies_with_it(batch):
    folder, results, _ = batch
    assert "died" in results["kills"].reason and not results["kills"].ok
    assert results["again"].ok
    if sys.platform == "linux":
        wait_until_gone([int((folder / "kernel").read_text())])


def test_progress_tells_of_every_notebook_and_cell(batch):
    steps = [step for step in batch[2] if step.path.stem == "good"]
    assert [step.state for step in steps] == ["started", "cell", "cell", "cell", "cell", "finished"]
    assert [(step.cell, step.cells) for step in steps[1:-1]] == [(n, 4) for n in (1, 2, 3, 4)]
    assert steps[-1].result is batch[1]["good"]


def test_a_path_that_is_not_there_is_an_error_before_anything_starts(tmp_path):
    with pytest.raises(PsmaError, match=r"nothing\.ipynb"):
        run_many([tmp_path / "nothing.ipynb"])


def test_nothing_to_run_is_no_error():
    assert run_many([]) == []


def test_r_errors_are_one_line_without_the_word_error_twice():
    assert execution_error("ERROR", "Error in f(): no\nway\n") == "Error in f(): no way"
    assert execution_error("KeyboardInterrupt", "") == "KeyboardInterrupt"
    assert death(-11) == "The kernel died in this cell (SIGSEGV)"


# --- order


def test_the_longest_past_run_comes_first_and_unknown_ones_before_it(tmp_path):
    paths = [book(tmp_path / f"{n}.ipynb", "pass" * n) for n in range(1, 5)]
    known = {str(paths[1]): 5.0, str(paths[3]): 50.0}
    assert execute.longest_first(paths, known) == [2, 0, 3, 1]


def test_timings_are_remembered_and_a_broken_cache_is_ignored(tmp_path):
    path = book(tmp_path / "a.ipynb", "pass")
    execute.timings_file().write_text("[broken")
    result = run_many([path])[0]
    kept = json.loads(execute.timings_file().read_text())
    assert kept == {str(path): pytest.approx(result.seconds, abs=0.01)}


# --- the network


@pytest.fixture
def server() -> Iterator[int]:
    """A port of this machine's loopback at which somebody answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        answer = threading.Thread(target=lambda: listening.accept()[0].sendall(b"hello"), daemon=True)
        answer.start()
        yield listening.getsockname()[1]


def test_a_notebook_reaches_nothing_outside_but_its_own_loopback(tmp_path, server):
    outside = f"import socket\nsocket.create_connection(('127.0.0.1', {server}), timeout=5)"
    own = "s = socket.create_server(('127.0.0.1', 0))\nsocket.create_connection(s.getsockname(), timeout=5)"
    path = book(tmp_path / "a.ipynb", outside, own, first_raises=True)
    result = run_many([path], keep=True)[0]
    assert result.ok, result.reason
    if result.network == "on":
        pytest.skip("this system lets no program leave the network")
    assert result.executed.cells[1].outputs[0].ename == "ConnectionRefusedError"


def test_the_network_can_be_allowed(tmp_path, server):
    source = f"import socket\nsocket.create_connection(('127.0.0.1', {server}), timeout=5)"
    path = book(tmp_path / "a.ipynb", source)
    result = run_many([path], network=True)[0]
    assert result.ok and result.network == "on"


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are a matter of Linux")
def test_where_namespaces_are_refused_the_run_goes_on_with_the_network():
    code = (
        "import psma.execute_worker as worker\n"
        "def refuse(): raise PermissionError\n"
        "worker._enter_namespaces = refuse\n"
        "print(worker.leave_network())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


# --- nothing is left behind


def gone(pid: int) -> bool:
    """Whether a process has ended, collected by its parent or not."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until_gone(pids: list[int], seconds: float = 5.0) -> None:
    """Fail if one of the processes is still there after ``seconds``."""
    until = time.monotonic() + seconds
    while left := [pid for pid in pids if not gone(pid)]:
        assert time.monotonic() < until, [psutil.Process(pid).cmdline() for pid in left]
        time.sleep(0.05)


BUSY = """
import os, pathlib, subprocess, sys
stray = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
temporary = pathlib.Path("pids.tmp")
temporary.write_text(f"{os.getpid()} {os.getppid()} {stray.pid}")
temporary.rename("pids")
while True: pass
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_the_caller_no_kernel_survives(tmp_path, how):
    book(tmp_path / "a.ipynb", BUSY)
    code = "from psma.execute import run_many; run_many(['a.ipynb'])"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    caller = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"TMPDIR": str(scratch), "XDG_CACHE_HOME": str(tmp_path)},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until = time.monotonic() + 60
    while not (tmp_path / "pids").exists():
        assert time.monotonic() < until and caller.poll() is None
        time.sleep(0.05)
    caller.send_signal(how)
    caller.wait(timeout=15)
    wait_until_gone([int(pid) for pid in (tmp_path / "pids").read_text().split()])
    assert not [p for p in scratch.rglob("*") if p.is_file() or p.is_socket()]


def test_a_stray_process_ends_with_its_notebook(tmp_path):
    start = BUSY.splitlines()[1:3]
    path = book(tmp_path / "a.ipynb", "\n".join([*start, "pathlib.Path('pid').write_text(str(stray.pid))"]))
    assert run_many([path])[0].ok
    wait_until_gone([int((tmp_path / "pid").read_text())], seconds=1)


# --- R


def test_an_r_notebook_runs_and_fails_like_any_other(tmp_path):
    good = book(tmp_path / "good.ipynb", "x <- 6", "cat(x * 7)", kernel="ir")
    bad = book(tmp_path / "bad.ipynb", "x <- 6", "stop('no way')", kernel="ir")
    results = run_many([good, bad], keep=True)
    if results[0].skipped:
        pytest.skip(results[0].reason)
    assert results[0].ok and results[0].executed.cells[3].outputs[0].text == "42"
    assert results[1].failure is not None
    assert results[1].failure.index == 2 and results[1].failure.error.endswith("no way")
