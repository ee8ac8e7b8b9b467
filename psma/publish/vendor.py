"""Fetch once, by npm, what a deck needs to stand alone: reveal.js, MathJax and two typefaces.

Nothing of this is committed. `assets/vendor.json` lists each package with its exact version, the
checksum of its archive, and the few files of it that a deck carries. The files are kept in the
user's cache, so that a second deck, on any day and without a network, fetches nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from psma.errors import PsmaError

ASSETS = Path(__file__).parent / "assets"
LIST = ASSETS / "vendor.json"
INSTALL_NPM = "install Node.js, which brings npm (apt install npm, brew install node, winget OpenJS.NodeJS)"


@dataclass(frozen=True)
class Package:
    """One npm package: its archive's checksum, and `files`, path in the archive -> path in a deck."""

    name: str
    version: str
    integrity: str
    files: dict[str, str]


def packages(listed: Path = LIST) -> list[Package]:
    """The packages that a deck needs, as committed in `assets/vendor.json`."""
    return [Package(**entry) for entry in json.loads(listed.read_text(encoding="utf-8"))]


def cache_folder() -> Path:
    """Where this user keeps fetched files: `PSMA_CACHE`, or the system's usual place for a cache."""
    import platformdirs

    return Path(os.environ.get("PSMA_CACHE") or platformdirs.user_cache_dir("psma", appauthor=False))


def vendored(listed: Path = LIST) -> Path:
    """The folder with every listed file, fetched and checked on first use.

    The folder is named after the list's own content, so another version is another folder and an
    interrupted download leaves nothing that looks complete.

    Raises:
        PsmaError: npm is missing or cannot fetch, or an archive is not the one that was listed.
    """
    key = hashlib.sha256(listed.read_bytes()).hexdigest()[:16]
    target = cache_folder() / "vendor" / key
    if target.is_dir():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            ready = Path(scratch) / "ready"
            for package in packages(listed):
                unpack(fetch(package, Path(scratch)), package, ready)
            move_into_place(ready, target)
    except OSError as error:
        why = f"cannot write to the cache {target.parent} ({error.strerror})"
        raise PsmaError(f"{why}: set PSMA_CACHE to a folder of your own") from error
    return target


def move_into_place(ready: Path, target: Path) -> None:
    """Rename the finished folder; if another process was quicker, its copy is as good as ours."""
    try:
        ready.replace(target)
    except OSError:
        if not target.is_dir():
            raise


def fetch(package: Package, folder: Path) -> Path:
    """Let npm download one package's archive into `folder`, and check it against the list."""
    npm = shutil.which("npm")
    what = f"{package.name}@{package.version}"
    if npm is None:
        raise PsmaError(f"npm is needed once, to fetch {what}: {INSTALL_NPM}, then run this again")
    command = [npm, "pack", what, "--silent", "--pack-destination", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    archives = list(folder.glob(f"*{package.name.rsplit('/')[-1]}-{package.version}.tgz"))
    if done.returncode or not archives:
        lines = (done.stderr or done.stdout).strip().splitlines()
        why = lines[-1] if lines else f"exit code {done.returncode}"
        raise PsmaError(f"npm could not fetch {what} ({why}): go online once, then run this again")
    check_integrity(archives[0], package)
    return archives[0]


def check_integrity(archive: Path, package: Package) -> None:
    """Refuse an archive whose sha512 is not the listed one (the list's form is npm's `sha512-base64`)."""
    found = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != package.integrity:
        raise PsmaError(
            f"the archive of {package.name}@{package.version} is not the one listed in {LIST.name}: "
            "do not use it; compare the version and its checksum with the package's own page"
        )


def unpack(archive: Path, package: Package, folder: Path) -> None:
    """Copy the listed files, and nothing else, out of one archive."""
    with tarfile.open(archive) as tar:
        for inside, outside in package.files.items():
            try:
                member = tar.extractfile(f"package/{inside}")
            except KeyError:
                member = None
            if member is None:
                raise PsmaError(f"{package.name}@{package.version} has no file {inside}: correct {LIST.name}")
            target = folder / outside
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(member.read())
