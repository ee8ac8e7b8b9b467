"""The doctor: one line a check, what to do, and exit code 1 only where the course can't be studied."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from psma import cli, doctor
from psma.doctor import Finding


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course with data and a lock, in which the tests' working directory lies."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "requirements.lock").write_text(f"typer=={metadata.version('typer')}\n    # via me\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "calls.csv").write_bytes(b"abc")
    digest = (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # SHA-256 of "abc", FIPS 180-2
    )
    (tmp_path / "data" / "SHA256SUMS").write_text(f"{digest}  calls.csv\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def only(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> None:
    """Let the doctor find just this."""
    monkeypatch.setattr(doctor, "CHECKS", tuple((lambda root, f=f: f) for f in findings))


def call(*arguments: str):
    """Run `psma doctor` in this process."""
    return CliRunner().invoke(cli.app, ["doctor", *arguments])


# ---------------------------------------------------------------- what it says


def test_every_check_answers_on_this_machine(root):
    findings = list(doctor.examine(root))
    assert [f.state for f in findings if f.name in ("Python", "packages", "data", "work folder")] == [
        "ok"
    ] * 4
    assert all(finding.state == "ok" or finding.cure for finding in findings)
    assert not [finding.text for finding in findings if "could not be examined" in finding.text]


def test_what_only_lacks_a_part_is_exit_code_0(root, monkeypatch):
    only(
        monkeypatch, Finding("R", "lacking", "R is not installed", "install R"), Finding("disk", "ok", "much")
    )
    result = call()
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "lacking R                 R is not installed: install R",
        "ok      disk              much",
        "",
        "Ready.",
    ]


def test_what_is_essential_is_exit_code_1(root, monkeypatch):
    only(monkeypatch, Finding("data", "missing", "data/ is not there", "fetch it"))
    result = call()
    assert result.exit_code == 1 and "Not ready" in result.output


def test_json(root, monkeypatch):
    only(monkeypatch, Finding("data", "missing", "data/ is not there", "fetch it"))
    result = call("--json")
    assert result.exit_code == 1
    assert json.loads(result.output) == {
        "ready": False,
        "findings": [{"name": "data", "state": "missing", "text": "data/ is not there", "cure": "fetch it"}],
    }


def test_a_check_that_fails_by_itself_is_a_finding(root, monkeypatch):
    def strange_thing(root: Path) -> Finding:
        raise RuntimeError("odd")

    monkeypatch.setattr(doctor, "CHECKS", (strange_thing,))
    result = call()
    assert result.exit_code == 0
    assert "strange thing" in result.output and "RuntimeError: odd" in result.output


def test_not_isolated_is_bold(monkeypatch):
    import io

    from rich.console import Console

    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    monkeypatch.setattr("psma.table.screen", lambda: console)
    doctor._print(Finding("marking", "lacking", "not isolated", "install bubblewrap"))
    assert "\x1b[1mnot isolated\x1b[0m" in console.file.getvalue()  # type: ignore[attr-defined]


# ---------------------------------------------------------------- what it finds


def test_packages_are_held_to_the_lock_of_this_system():
    typer = metadata.version("typer")
    lock = f"""
typer=={typer}
    # via -r requirements.in
rich==0.1 ; python_version >= '3'
no-such-package-at-all==1.0
only-elsewhere==1.0 ; sys_platform == 'amiga'
"""
    absent, other = doctor.compare_packages(lock)
    assert absent == ["no-such-package-at-all"]
    assert other == [f"rich {metadata.version('rich')}, locked 0.1"]


def test_a_missing_package_is_essential_another_version_is_not(root):
    (root / "requirements.lock").write_text("rich==0.1\n")
    assert doctor.packages(root).state == "lacking"
    (root / "requirements.lock").write_text("".join(f"no-such-{n}==1\n" for n in range(9)))
    finding = doctor.packages(root)
    assert finding.state == "missing" and "no-such-4 and 4 more" in finding.text and "uv sync" in finding.cure


def test_data_that_is_missing_or_changed(root):
    assert doctor.data(root).state == "ok"
    (root / "data" / "calls.csv").write_bytes(b"abd")
    assert (doctor.data(root).state, "calls.csv" in doctor.data(root).text) == ("lacking", True)
    (root / "data" / "calls.csv").unlink()
    assert (doctor.data(root).state, "calls.csv" in doctor.data(root).text) == ("missing", True)
    shutil.rmtree(root / "data")
    assert doctor.data(root).state == "missing"


def test_a_work_folder_that_cannot_be_written(root, monkeypatch):
    def refuse(**kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    assert doctor.work_folder(root).state == "ok"
    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    assert doctor.work_folder(root).state == "missing"


def test_little_room_is_said(root, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: SimpleNamespace(free=0.4e9))
    assert (doctor.disk(root).state, doctor.disk(root).text) == ("lacking", "only 0.4 GB free")
    import psutil

    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=2e9, available=1e9))
    assert (doctor.memory(root).state, doctor.memory(root).text) == ("lacking", "1.0 of 2.0 GB free")


def kernels(monkeypatch: pytest.MonkeyPatch, **commands: str) -> None:
    """Let Jupyter know just these kernels, by the program that each starts."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    def get(self: object, name: str) -> SimpleNamespace:
        if name not in commands:
            raise NoSuchKernel(name)
        return SimpleNamespace(argv=[commands[name]])

    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", get)
    monkeypatch.setattr(
        KernelSpecManager, "find_kernel_specs", lambda self: dict.fromkeys(commands, "folder")
    )


def test_the_python_kernel_must_be_this_python(root, monkeypatch, tmp_path):
    kernels(monkeypatch)
    assert doctor.python_kernel(root).state == "missing"
    for command, state in (("python", "ok"), (sys.executable, "ok"), ("/nowhere/python", "lacking")):
        kernels(monkeypatch, python3=command)
        assert doctor.python_kernel(root).state == state


def test_r_is_missed_with_what_it_costs(root, monkeypatch):
    def lacks(*args: object, **kwargs: object) -> SimpleNamespace:
        return SimpleNamespace(stdout="ggplot2 ", returncode=0)

    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    texts = [doctor.r_kernel(root)]
    monkeypatch.setattr(doctor.shutil, "which", lambda name: f"/usr/bin/{name}")
    kernels(monkeypatch, python3="python")
    texts.append(doctor.r_kernel(root))
    kernels(monkeypatch, ir="R")
    monkeypatch.setattr(doctor.subprocess, "run", lacks)
    texts.append(doctor.r_kernel(root))
    assert [f.text for f in texts] == [
        "R is not installed",
        "R has no Jupyter kernel `ir`",
        "R lacks ggplot2",
    ]
    assert all(f.state == "lacking" and "sessions 1.7 and 1.8" in f.cure for f in texts)


@pytest.mark.skipif(sys.platform != "linux", reason="isolation is a matter of Linux")
def test_marking_says_not_isolated_and_why(root, monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    assert doctor.marking(root).text == "not isolated" and "bubblewrap" in doctor.marking(root).cure
    monkeypatch.setattr(doctor.shutil, "which", lambda name: "/usr/bin/bwrap")
    refused = subprocess.CompletedProcess([], 1, "", "bwrap: setting up uid map: Permission denied\n")
    monkeypatch.setattr(doctor.subprocess, "run", lambda *args, **kwargs: refused)
    assert doctor.marking(root).text == "not isolated (bwrap: setting up uid map: Permission denied)"
    assert doctor.network_off(root).state == "lacking"


def test_parts_for_trainers_are_named(root, monkeypatch):
    monkeypatch.delenv("PSMA_CHROMIUM", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert [doctor.browser(root).state, doctor.npm(root).state] == ["lacking", "lacking"]
    assert "psma slides" in doctor.browser(root).text and "psma slides" in doctor.npm(root).text
