"""The command line: quick to answer, one line for what a person can mend, and the right exit code."""

from __future__ import annotations

import ast
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from rich.console import Console
from typer.main import get_command
from typer.testing import CliRunner

import psma
from psma import cli, execute, table
from psma.errors import PsmaError
from psma.execute import CellFailure, Progress, Result

VERBS = sorted(get_command(cli.app).commands)  # type: ignore[attr-defined]


def call(*arguments: str):
    """Run `psma` in this process."""
    return CliRunner().invoke(cli.app, list(arguments), prog_name="psma")


def book(path: Path, *sources: str) -> Path:
    """Write a notebook as it is committed, but for its ids."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = [new_markdown_cell("# A title"), *map(new_code_cell, sources)]
    nbformat.write(new_notebook(cells=cells, metadata=kernel), path)
    return path


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course of one session, in which the tests' working directory lies."""
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "modules/01_first").mkdir(parents=True)
    (tmp_path / "modules/01_first/README.md").write_text(
        "# 1 · First\n\n<!-- sessions -->\n<!-- /sessions -->\n"
    )
    book(tmp_path / "modules/01_first/01_start.ipynb", "print('good')")
    book(tmp_path / "solutions/01_first/01_start.ipynb", "print('good')", "x = 1 / 0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(execute, "timings_file", lambda: tmp_path / "cache" / "timings.json")
    return tmp_path


# ---------------------------------------------------------------- help


def test_help_loads_nothing_heavy():
    heavy = {
        "nbformat",
        "nbclient",
        "jupyter_client",
        "numpy",
        "pandas",
        "matplotlib",
        "jsonschema",
        "asyncio",
    }
    code = "import sys, psma.cli; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "typer" in loaded and not heavy & set(loaded)


def test_help_costs_little_more_than_what_draws_it():
    """A ratio, so that it holds on a machine of any speed; pandas alone would treble it."""
    help_verb, bare = ["-m", "psma", "--help"], ["-c", "import typer, rich.table, rich.panel, rich.markdown"]
    seconds: dict[str, list[float]] = {"-m": [], "-c": []}
    for command in [help_verb, bare] * 5:  # in turn, so that other work on the machine hits both
        begun = time.perf_counter()
        subprocess.run([sys.executable, *command], stdout=subprocess.DEVNULL, check=True)
        seconds[command[0]].append(time.perf_counter() - begun)
    assert min(seconds["-m"]) < 4 * min(seconds["-c"])


def test_help_names_every_verb():
    result = call("--help")
    assert result.exit_code == 0
    for verb in ("lab", "doctor", "run", "build", "tidy", "data", "progress"):
        assert verb in VERBS and f" {verb} " in result.output


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_an_example(verb):
    result = call(verb, "--help")
    assert result.exit_code == 0
    assert f"psma {verb}" in result.output.split("Example")[1]


def test_version():
    assert call("--version").output == f"psma {psma.__version__}\n"


def test_an_unknown_verb_or_option_is_exit_code_2_and_no_traceback():
    for arguments in (["rnu"], ["run", "--jbos", "2"], ["run", "--jobs", "0"]):
        result = call(*arguments)
        assert result.exit_code == 2 and "Traceback" not in result.output


# ---------------------------------------------------------------- Python's version


@pytest.mark.parametrize("version", [(3, 10), (3, 8), (3, 14)])
def test_an_unsupported_python_gets_one_line(version):
    code = f"import sys; sys.version_info = {(*version, 0, 'final', 0)}; import psma.cli"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and f"this is {version[0]}.{version[1]}" in done.stderr


def test_an_old_python_can_parse_the_file_that_refuses_it():
    for module in (psma, cli):
        ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"), feature_version=(3, 7))


# ---------------------------------------------------------------- errors


def test_what_a_person_can_mend_is_one_line_on_stderr_and_exit_code_2(course):
    result = call("run", "9.9")
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr.startswith("psma: ") and result.stderr.count("\n") == 1
    assert "9" in result.stderr


def test_an_error_keeps_its_own_exit_code(course, monkeypatch):
    class Special(PsmaError):
        exit_code = 7

    def fail(*args: object) -> None:
        raise Special("so it is")

    monkeypatch.setattr("psma.course.find_course", fail)
    result = call("progress")
    assert (result.exit_code, result.stderr) == (7, "psma: so it is\n")


def test_a_bug_is_not_hidden(course, monkeypatch):
    monkeypatch.setattr("psma.course.find_course", lambda: 1 / 0)
    assert isinstance(call("progress").exception, ZeroDivisionError)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_with_130_one_line_and_no_kernel(course):
    book(
        course / "busy.ipynb",
        "import os, pathlib\npathlib.Path('pid').write_text(f'{os.getpid():9}')\nwhile True: pass",
    )
    command = [sys.executable, "-m", "psma", "run", "busy.ipynb"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {"XDG_CACHE_HOME": str(course / "cache")},
    )  # fmt: skip
    until, pid = time.monotonic() + 60, course / "pid"
    while not (pid.exists() and len(pid.read_text()) == 9):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    stderr = process.communicate(timeout=20)[1]
    assert process.returncode == 130 and stderr == "psma: stopped; nothing is left running\n"
    kernel = int(pid.read_text())
    assert not psutil.pid_exists(kernel) or psutil.Process(kernel).status() == psutil.STATUS_ZOMBIE


# ---------------------------------------------------------------- run


def test_run_reports_each_notebook_and_the_failing_cell(course):
    result = call("run", "--jobs", "1")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert any(line.startswith("ok") and line.endswith("modules/01_first/01_start.ipynb") for line in lines)
    head = next(line for line in lines if line.startswith("notebook"))
    assert head.split() == ["notebook", "result", "seconds", "peak", "MiB", "slowest", "cell"]
    failure = lines.index("failed  solutions/01_first/01_start.ipynb")
    assert lines[failure + 1].startswith("  code cell 2 (")
    assert lines[failure + 2 : failure + 4] == ["    | x = 1 / 0", "  ZeroDivisionError: division by zero"]
    assert lines[-1].startswith("2 notebooks: 1 ok, 1 failed; ") or lines[-2].startswith("2 notebooks: 1 ok")


def test_run_chooses_by_session_and_kind(course):
    result = call("run", "1.1", "--kind", "lecture")
    assert result.exit_code == 0 and "solutions" not in result.output
    assert "1 notebook: 1 ok" in result.output


def test_a_notebook_that_is_skipped_fails_nothing_and_is_named(course, monkeypatch):
    skipped = Result(course / "modules/01_first/01_start.ipynb", ok=False, skipped=True, reason="No R here.")
    monkeypatch.setattr(execute, "run_many", lambda *args, **kwargs: [skipped])
    result = call("run", "--kind", "lecture")
    assert result.exit_code == 0
    assert "1 notebook: 1 skipped" in result.output and "No R here." in result.output
    assert "The network was on" in result.output


def test_a_long_cell_is_cut_and_marks_in_it_are_text(tmp_path):
    source = "\n".join(f"print('[bold]{n}[/bold]')" for n in range(20))
    failure = CellFailure(3, "c3", source, "ValueError: [red]")
    console = Console(file=io.StringIO(), width=100)
    result = Result(tmp_path / "a.ipynb", ok=False, failure=failure, reason="x", network="off")
    table.print_results(console, [result], tmp_path, 1.0)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "| print('[bold]11[/bold]')" in text and "[bold]12" not in text and "… 8 more lines" in text
    assert "ValueError: [red]" in text and "network was on" not in text


def test_a_terminal_shows_what_is_running_and_what_is_left(tmp_path):
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    path = tmp_path / "solutions" / "03_queues" / "02_first.ipynb"
    with table.run_progress(console, 5, tmp_path) as on_progress:
        on_progress(Progress(path, "started"))
        on_progress(Progress(path, "cell", 4, 30))
        on_progress(Progress(path, "finished", result=Result(path, ok=True)))
        on_progress(Progress(tmp_path / "other.ipynb", "cell", 1, 2))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "1/5" in text and "other.ipynb, cell 1 of 2" in text


def test_labels_are_as_short_as_people_say_them(tmp_path):
    names = {"modules": "3.2 lecture", "solutions": "3.2 solution", "exercises": "3.2 exercise"}
    for folder, label in names.items():
        assert table.label(tmp_path / folder / "03_queues" / "02_first.ipynb", tmp_path) == label
    assert table.label(Path("/elsewhere/x.ipynb"), tmp_path) == "x.ipynb"
    assert table.label(tmp_path / "modules" / "ab_c" / "02_first.ipynb", tmp_path) == "02_first.ipynb"


# ---------------------------------------------------------------- build, tidy, data


def test_build_writes_and_with_check_only_tells(course):
    result = call("build", "--check")
    assert result.exit_code == 1 and "exercises/01_first/01_start.ipynb" in result.output
    assert not (course / "exercises").exists()
    assert call("build").exit_code == 0 and (course / "exercises/01_first/01_start.ipynb").exists()
    assert call("build", "--check").exit_code == 0


def test_tidy_writes_and_with_check_only_tells(course):
    before = (course / "modules/01_first/01_start.ipynb").read_bytes()
    assert call("tidy", "--check", "modules/01_first/01_start.ipynb").exit_code == 1
    assert (course / "modules/01_first/01_start.ipynb").read_bytes() == before
    assert call("tidy").exit_code == 0
    result = call("tidy", "--check")
    assert result.exit_code == 0 and "Everything is as it should be." in result.output


def test_a_broken_notebook_fails_build_and_tidy_but_not_the_others(course):
    (course / "solutions/01_first/02_broken.ipynb").write_text("{")
    for verb in ("build", "tidy"):
        result = call(verb)
        assert result.exit_code == 2 and "broken solutions/01_first/02_broken.ipynb" in result.output
    assert (course / "exercises/01_first/01_start.ipynb").exists()


def without_kernel(nb):
    del nb["metadata"]["kernelspec"]


def with_another_kernel(nb):
    nb["metadata"]["kernelspec"]["name"] = "no-such-kernel"


def with_one_mark(nb):
    nb["cells"][1]["source"] = ["### BEGIN SOLUTION\n", "print('good')"]


def with_one_id_twice(nb):
    nb["cells"][2]["id"] = nb["cells"][1]["id"] = "chosen-by-hand"


CUT_OFF = None  # the first hundred characters of the file: broken JSON
UNUSABLE = [
    (["run", "--kind", "solution"], CUT_OFF, "git checkout -- "),
    (["build"], CUT_OFF, "git checkout -- "),
    (["tidy"], CUT_OFF, "git checkout -- "),
    (["tidy", "--check"], CUT_OFF, "git checkout -- "),
    (["run", "--kind", "solution"], without_kernel, "run psma tidy"),
    (["run", "--kind", "solution"], with_another_kernel, "`no-such-kernel`, which is not here: install it"),
    (["build"], with_one_mark, "add ### END SOLUTION below it"),
    (["build"], with_one_id_twice, "rename one"),
    (["tidy", "--check"], with_one_id_twice, "rename one"),
]


@pytest.mark.parametrize(
    ("verb", "spoil", "cure"),
    UNUSABLE,
    ids=[f"{v[0]} {getattr(s, '__name__', 'cut')}" for v, s, _ in UNUSABLE],
)
def test_a_file_that_cannot_be_used_gets_one_line_with_the_cure_and_exit_code_2(course, verb, spoil, cure):
    assert call("tidy").exit_code == 0 and call("build").exit_code == 0
    path = course / "solutions/01_first/01_start.ipynb"
    if spoil is CUT_OFF:
        path.write_bytes(path.read_bytes()[:100])
    else:
        nb = json.loads(path.read_text())
        spoil(nb)
        path.write_text(json.dumps(nb))
    before = {file: file.read_bytes() for file in course.rglob("*.ipynb")}
    result = call(*verb)
    assert result.exit_code == 2, result.output
    told = [line for line in result.output.splitlines() if line.startswith("broken") and ": " in line]
    assert len(told) == 1 and cure in told[0] and told[0].count("01_start.ipynb: ") == 1, result.output
    assert "Traceback" not in result.output
    assert {
        file: file.read_bytes() for file in course.rglob("*.ipynb")
    } == before  # no file more, none changed


def test_the_cure_for_broken_json_works_where_it_is_read(course, tmp_path):
    path = course / "solutions/01_first/01_start.ipynb"
    whole = path.read_bytes()
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *command], cwd=course, check=True)
    path.write_bytes(whole[:100])
    cure = call("tidy").output.split("for example with ")[1].splitlines()[0]
    subprocess.run(cure, shell=True, cwd=course, check=True)
    assert path.read_bytes() == whole


def test_data_check_lists_problems(course, monkeypatch):
    monkeypatch.setattr("psma.world.verify", lambda folder: ["calls.csv: missing", "[x]: odd"])
    result = call("data", "--check")
    assert (result.exit_code, result.output) == (1, "calls.csv: missing\n[x]: odd\n")
    monkeypatch.setattr("psma.world.verify", lambda folder: [])
    assert call("data", "--check").exit_code == 0


def test_another_draw_never_replaces_the_courses_own_data(course, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "psma.world.generate", lambda out, seed, wanted, told: drawn.append((out, seed)) or ["calls.csv"]
    )
    assert call("data", "--seed", "7").exit_code == 2 and drawn == []
    result = call("data", "--seed", "7", "--out", "elsewhere")
    assert result.exit_code == 0 and drawn == [(Path("elsewhere"), 7)] and "calls.csv" in result.output


def test_one_family_is_drawn_and_what_it_needs_is_named(course):
    result = call("data", "geography", "--out", "elsewhere")
    assert result.exit_code == 0 and "drawing geography\n" in result.output
    assert "drawing demand" not in result.output
    assert (course / "elsewhere/areas.gpkg").exists() and not (course / "elsewhere/calls_daily.csv").exists()


def test_an_unknown_family_is_refused_in_one_line_with_the_nearest(course):
    result = call("data", "geografy", "--out", "elsewhere")
    assert (result.exit_code, len(result.output.splitlines())) == (2, 1)
    assert "did you mean geography?" in result.output and not (course / "elsewhere").exists()


def test_a_bar_counts_what_is_done_and_names_what_is_running():
    console = Console(force_terminal=True, width=100, file=io.StringIO())
    with table.named_progress(console, 3) as step:
        step("geography")
        step("demand")
    shown = console.file.getvalue()
    assert "demand" in shown and "1/3" in shown


# ---------------------------------------------------------------- lab, progress


def test_lab_prepares_and_progress_shows(course):
    call("build")
    result = call("lab", "--no-open")
    assert result.exit_code == 0 and "new: work/01_first/01_start.ipynb" in result.output
    assert (course / "work/Home.md").exists()
    result = call("progress")
    assert result.exit_code == 0 and "Next: 1.1 · A title: open the lecture" in result.output


def test_lab_passes_options_on_and_returns_jupyterlabs_exit_code(course, monkeypatch):
    given: list[list[str]] = []
    monkeypatch.setattr("psma.work.open_lab", lambda course, options: given.append(list(options)) or 3)
    assert call("lab", "--port", "9000", "--no-browser").exit_code == 3
    assert given == [["--port", "9000", "--no-browser"]]
