"""Is this machine ready for the course? Each check answers in one line, and says what to do.

"missing" is something without which the course can't be studied; "lacking" costs one part of it, and the line
names which.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

FREE_DISK_GB, MEMORY_GB = 1.0, 4.0
SECONDS = 30
SHOWN = 5
"""How many differing packages or files are named."""


@dataclass(frozen=True)
class Finding:
    """What one check found: ``state`` is "ok", "lacking" or "missing"; ``cure`` says what to do."""

    name: str
    state: str
    text: str
    cure: str = ""


def examine(root: Path) -> Iterator[Finding]:
    """Every check in turn. One that fails by itself is a finding too, never a traceback."""
    for check in CHECKS:
        try:
            yield check(root)
        except Exception as error:
            name = check.__name__.replace("_", " ")
            yield Finding(name, "lacking", f"could not be examined ({type(error).__name__}: {error})")


def main(*, as_json: bool = False) -> int:
    """Print the findings; returns the exit code: 1 if something essential is missing."""
    from psma.course import find_course

    findings = []
    root = find_course().root
    for finding in examine(root):
        findings.append(finding)
        if not as_json:
            _print(finding)
    missing = [finding for finding in findings if finding.state == "missing"]
    if as_json:
        print(json.dumps({"ready": not missing, "findings": [asdict(f) for f in findings]}, indent=1))
    else:
        print(
            "\nReady."
            if not missing
            else "\nNot ready: mend what is marked missing, then run psma doctor again."
        )
    return int(bool(missing))


def _print(finding: Finding) -> None:
    from rich.text import Text

    from psma.table import screen

    style = {"ok": "green", "lacking": "yellow", "missing": "bold red"}[finding.state]
    line = Text.assemble((f"{finding.state:8}", style), f"{finding.name:18}{finding.text}")
    line.highlight_words(["not isolated"], "bold")
    if finding.cure:
        line.append(f": {finding.cure}")
    screen().print(line, soft_wrap=True)


# ---------------------------------------------------------------- what is essential


def python(_root: Path) -> Finding:
    """The Python that is running; the command line has refused unsupported ones already."""
    return Finding("Python", "ok", f"{sys.version.split()[0]} ({sys.executable})")


def packages(root: Path) -> Finding:
    """Are the packages those of requirements.lock, as far as it is meant for this system?"""
    absent, other = compare_packages((root / "requirements.lock").read_text(encoding="utf-8"))
    cure = "run `uv sync`, or `pip install -e .`"
    if absent:
        return Finding("packages", "missing", f"{len(absent)} are not installed ({_some(absent)})", cure)
    if other:
        return Finding("packages", "lacking", f"{len(other)} differ from the lock ({_some(other)})", cure)
    return Finding("packages", "ok", "as in requirements.lock")


def compare_packages(lock: str) -> tuple[list[str], list[str]]:
    """Names that are locked for this system but not installed, and those installed in another version."""
    from packaging.requirements import InvalidRequirement, Requirement

    absent, other = [], []
    for line in lock.splitlines():
        try:
            wanted = Requirement(line.split("#")[0].strip())
        except InvalidRequirement:  # a comment, an option, an empty line
            continue
        if wanted.marker and not wanted.marker.evaluate():
            continue
        try:
            version = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            absent.append(wanted.name)
            continue
        if not wanted.specifier.contains(version, prereleases=True):
            other.append(f"{wanted.name} {version}, locked {str(wanted.specifier).removeprefix('==')}")
    return absent, other


def python_kernel(_root: Path) -> Finding:
    """Is the kernel of nearly all notebooks there, and is it this Python?"""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    cure = f"run `{Path(sys.executable).name} -m ipykernel install --sys-prefix`"
    try:
        command = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return Finding("Python kernel", "missing", "Jupyter knows no kernel `python3`", cure)
    if command not in {"python", "python3"} and not _in_this_environment(command):
        return Finding("Python kernel", "lacking", f"`python3` starts another Python ({command})", cure)
    return Finding("Python kernel", "ok", "python3")


def data(root: Path) -> Finding:
    """Is Tamarshire there, byte for byte?"""
    folder = root / "data"
    sums = folder / "SHA256SUMS"
    if not sums.is_file():
        return Finding(
            "data", "missing", "data/ is not there", "fetch the whole repository, or run `psma data`"
        )
    lines = [line.partition("  ") for line in sums.read_text(encoding="utf-8").splitlines() if line.strip()]
    absent = [name for _, _, name in lines if not (folder / name).is_file()]
    changed = [name for digest, _, name in lines if name not in absent and _sha256(folder / name) != digest]
    cure = "run `psma data`, or `git checkout -- data`"
    if absent:
        return Finding("data", "missing", f"{len(absent)} files are missing ({_some(absent)})", cure)
    if changed:
        return Finding("data", "lacking", f"{len(changed)} files were changed ({_some(changed)})", cure)
    return Finding("data", "ok", f"{len(lines)} files of Tamarshire as published")


def work_folder(root: Path) -> Finding:
    """Can the trainee's own copies be written?"""
    work = root / "work"
    folder = work if work.is_dir() else root
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        cure = "put the course where you may write"
        return Finding("work folder", "missing", f"{folder} can't be written ({error.strerror})", cure)
    return Finding("work folder", "ok", str(work))


def disk(root: Path) -> Finding:
    """Is there room?"""
    free = shutil.disk_usage(root).free / 1e9
    if free < FREE_DISK_GB:
        return Finding("disk", "lacking", f"only {free:.1f} GB free", f"free at least {FREE_DISK_GB:g} GB")
    return Finding("disk", "ok", f"{free:.0f} GB free")


def memory(_root: Path) -> Finding:
    """Is there enough memory for TensorFlow beside a browser?"""
    import psutil

    seen = psutil.virtual_memory()
    text = f"{seen.available / 1e9:.1f} of {seen.total / 1e9:.1f} GB free"
    if seen.total < MEMORY_GB * 1e9:
        return Finding("memory", "lacking", text, "close other programs before a session with TensorFlow")
    return Finding("memory", "ok", text)


# ---------------------------------------------------------------- what one part needs


def r_kernel(_root: Path) -> Finding:
    """R, its kernel, and the two packages that sessions 1.7 and 1.8 use."""
    from jupyter_client.kernelspec import KernelSpecManager

    cost = "without it sessions 1.7 and 1.8 are left out"
    cure = f"install R with the packages IRkernel, dplyr and ggplot2; {cost}"
    if not (r := shutil.which("R")):
        return Finding("R", "lacking", "R is not installed", cure)
    if "ir" not in KernelSpecManager().find_kernel_specs():
        text = "R has no Jupyter kernel `ir`"
        return Finding("R", "lacking", text, f"run IRkernel::installspec() in R; {cost}")
    code = "for (p in c('dplyr', 'ggplot2')) if (!requireNamespace(p, quietly = TRUE)) cat(p, '')"
    answer = subprocess.run(
        [r, "--slave", "--no-init-file", "-e", code],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if absent := answer.stdout.split():
        return Finding("R", "lacking", f"R lacks {' and '.join(absent)}", f"install them in R; {cost}")
    return Finding("R", "ok", "kernel ir, dplyr, ggplot2")


def browser(_root: Path) -> Finding:
    """Chromium, which measures slides."""
    from psma.publish.measure import INSTALL, find_chromium

    if path := find_chromium():
        return Finding("Chromium", "ok", path)
    return Finding("Chromium", "lacking", "no browser for `psma slides --check`", INSTALL)


def npm(_root: Path) -> Finding:
    """npm, which fetches what slides are made with, once."""
    if path := shutil.which("npm"):
        return Finding("npm", "ok", path)
    return Finding("npm", "lacking", "`psma slides` fetches reveal.js with it, once", "install Node.js")


def network_off(_root: Path) -> Finding:
    """Can notebooks be run where there is no network?"""
    code = "import sys; from psma.execute_worker import leave_network; sys.exit(not leave_network())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=SECONDS, check=False)
    if done.returncode == 0:
        return Finding(
            "network off", "ok", "`psma run` gives notebooks a network of their own, with nothing in it"
        )
    text = "`psma run` leaves the network on here"
    cure = (
        "only Linux can take it away" if sys.platform != "linux" else "allow user namespaces to change that"
    )
    return Finding("network off", "lacking", text, cure)


def marking(_root: Path) -> Finding:
    """Can other people's code be run in isolation?"""
    if sys.platform != "linux":
        return Finding("marking", "lacking", "not isolated", "mark untrusted papers on Linux")
    if not (bwrap := shutil.which("bwrap")):
        return Finding("marking", "lacking", "not isolated", "install the package bubblewrap to mark papers")
    command = [bwrap, "--unshare-all", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "true"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode != 0:
        why = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        return Finding("marking", "lacking", f"not isolated ({why[0]})", "allow user namespaces")
    return Finding("marking", "ok", "isolated by bubblewrap")


CHECKS: tuple[Callable[[Path], Finding], ...] = (
    python,
    packages,
    python_kernel,
    data,
    work_folder,
    disk,
    memory,
    r_kernel,
    browser,
    npm,
    network_off,
    marking,
)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return "; ".join(names[:SHOWN]) + more


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _in_this_environment(command: str) -> bool:
    found = shutil.which(command)
    return found is not None and Path(found).parent == Path(sys.executable).parent
