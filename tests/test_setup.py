"""The set-up: one environment, locked once, the same for uv, pip and conda; clean code; no leak."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

NAME = re.compile(r"^([A-Za-z0-9._-]+)")


def normal(name: str) -> str:
    """Return a package name as the registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def names(lines: list[str]) -> dict[str, str]:
    """Return {package: requirement} of requirement lines, comments and blank lines left out."""
    found = {}
    for line in lines:
        line = line.split("#")[0].strip()
        match = NAME.match(line)
        if match:
            found[normal(match.group(1))] = line
    return found


def conda_pins_what_the_lock_pins(environment: str, lock: str) -> list[str]:
    """Return the packages that environment.yml lists although requirements.lock has their version."""
    locked = names(lock.splitlines())
    listed: list[str] = []
    for entry in yaml.safe_load(environment)["dependencies"]:
        listed += [x for x in entry["pip"] if not x.startswith("-e")] if isinstance(entry, dict) else [entry]
    return sorted(set(names(listed)) & set(locked))


def test_environment_yml_pins_nothing_that_the_lock_pins(root: Path):
    lock = (root / "requirements.lock").read_text()
    assert conda_pins_what_the_lock_pins((root / "environment.yml").read_text(), lock) == []


def test_a_conda_pin_of_a_locked_package_would_be_found():
    environment = "dependencies: [python, pandas=2.0, {pip: [-e ., Simpy==4.0]}]"
    assert conda_pins_what_the_lock_pins(environment, "pandas==3.1.1\nsimpy==4.1.2\n") == ["pandas", "simpy"]


@pytest.mark.parametrize("stem", ["requirements", "requirements-dev"])
def test_every_direct_dependency_is_locked_and_every_lock_line_is_exact(root: Path, stem: str):
    direct = names([x for x in (root / f"{stem}.in").read_text().splitlines() if not x.startswith("-c")])
    locked = names((root / f"{stem}.lock").read_text().splitlines())
    missing = {x.split("[")[0] for x in direct} - set(locked)
    assert not missing
    assert all("==" in line for line in locked.values())


def test_every_direct_dependency_says_why_or_stands_under_a_heading(root: Path):
    lines = (root / "requirements.in").read_text().splitlines()
    under = ""
    for line in lines:
        under = line if line.startswith("# ---") else under
        if line and not line.startswith("#"):
            assert "#" in line or under, f"{line}: say in a comment why it is here"


def test_the_two_locks_agree(root: Path):
    course = names((root / "requirements.lock").read_text().splitlines())
    dev = names((root / "requirements-dev.lock").read_text().splitlines())
    versions = {
        name: (course[name].split(";")[0], dev[name].split(";")[0]) for name in course.keys() & dev.keys()
    }
    assert {k: v for k, v in versions.items() if v[0].strip() != v[1].strip()} == {}


def test_pyproject_reads_its_dependencies_from_the_lock(root: Path):
    project = tomllib.loads((root / "pyproject.toml").read_text())
    assert "dependencies" in project["project"]["dynamic"]
    assert project["tool"]["setuptools"]["dynamic"]["dependencies"]["file"] == ["requirements.lock"]
    assert project["project"]["requires-python"] == ">=3.11,<3.14"


def test_readme_and_ci_use_the_same_two_commands(root: Path):
    readme = (root / "README.md").read_text()
    assert "pip install uv && uv run psma lab" in readme
    assert "pip install uv && uv run pytest" in readme
    assert re.search(
        r"^pip install (--quiet )?uv && uv run pytest$", (root / ".ci" / "run").read_text(), re.M
    )


def tracked(root: Path) -> list[Path]:
    """Return every file that git tracks (or would track)."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=root, capture_output=True, check=True
    )
    return [root / name for name in listed.stdout.decode().split("\0") if name and (root / name).is_file()]


HOSTS = re.compile(
    r"(files\.pythonhosted|pypi\.org/simple|registry\.npmjs|deb\.debian|conda\.anaconda)", re.I
)
SECRETS = re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----|AKIA[0-9A-Z]{16}|ghp_[0-9A-Za-z]{36})")


def test_no_file_names_a_registry_or_holds_a_secret(root: Path):
    here = Path(__file__)
    for path in tracked(root):
        if path == here or path.suffix in {".png", ".gpkg", ".ico", ".woff2", ".gz", ".zip"}:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        assert not HOSTS.search(text), f"{path} names a package registry's host"
        assert not SECRETS.search(text), f"{path} holds what looks like a secret"


def test_no_npm_lock_file_holds_an_address(root: Path):
    for path in tracked(root):
        if path.name in {"package-lock.json", "npm-shrinkwrap.json"}:
            assert '"resolved"' not in path.read_text(), f"{path}: set omit-lockfile-registry-resolved"


def test_data_stays_small(root: Path):
    files = [p for p in tracked(root) if (root / "data") in p.parents]
    assert all(p.stat().st_size <= 5_000_000 for p in files)
    assert sum(p.stat().st_size for p in files) <= 25_000_000
    assert not [p for p in files if p.suffix in {".pkl", ".pickle", ".joblib", ".npy"}]


@pytest.mark.parametrize("command", [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]])
def test_the_code_is_clean(root: Path, command: list[str]):
    done = subprocess.run([sys.executable, "-m", *command], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
