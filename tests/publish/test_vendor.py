"""What is fetched is what was listed, whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import tarfile
from pathlib import Path

import pytest

from psma.errors import PsmaError
from psma.publish import vendor


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A list of one package, a cache of its own, and a stand-in for npm that delivers `archive`."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name in ("package/dist/thing.js", "package/big/unwanted.js"):
            entry = tarfile.TarInfo(name)
            entry.size = 5
            tar.addfile(entry, io.BytesIO(b"hello"))
    (tmp_path / "thing-1.2.3.tgz").write_bytes(archive.getvalue())
    checksum = base64.b64encode(hashlib.sha512(archive.getvalue()).digest()).decode()
    entry = {
        "name": "thing",
        "version": "1.2.3",
        "integrity": f"sha512-{checksum}",
        "files": {"dist/thing.js": "t/thing.js"},
    }
    program = tmp_path / "bin" / "npm"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho x >> {tmp_path}/calls\ncp {tmp_path}/thing-1.2.3.tgz "$5"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("PSMA_CACHE", str(tmp_path / "cache"))

    def listed(**changes) -> Path:
        file = tmp_path / "list.json"
        file.write_text(json.dumps([entry | changes]))
        return file

    return listed


def test_the_listed_files_and_nothing_else_and_only_once(npm, tmp_path):
    folder = vendor.vendored(npm())
    assert [file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()] == [
        "t/thing.js"
    ]
    assert vendor.vendored(npm()) == folder
    assert (tmp_path / "calls").read_text() == "x\n"


def test_another_archive_is_refused_and_leaves_nothing(npm, tmp_path):
    other = "sha512-" + base64.b64encode(bytes(64)).decode()
    with pytest.raises(PsmaError, match="is not the one listed"):
        vendor.vendored(npm(integrity=other))
    assert list((tmp_path / "cache" / "vendor").iterdir()) == []


def test_a_file_that_the_archive_lacks(npm):
    with pytest.raises(PsmaError, match=r"has no file dist/moved\.js"):
        vendor.vendored(npm(files={"dist/moved.js": "t/moved.js"}))


def test_without_npm_one_line_says_what_to_install(npm, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PsmaError, match=r"install Node\.js") as caught:
        vendor.vendored(npm())
    assert "\n" not in str(caught.value)


def test_npm_without_a_network(npm, tmp_path):
    (tmp_path / "bin" / "npm").write_text("#!/bin/sh\necho 'npm error network offline' >&2\nexit 1\n")
    with pytest.raises(PsmaError, match=r"network offline.*go online once"):
        vendor.vendored(npm())


def test_a_cache_that_cannot_be_written(npm, monkeypatch, tmp_path):
    monkeypatch.setenv("PSMA_CACHE", str(tmp_path / "list.json"))
    with pytest.raises(PsmaError, match="PSMA_CACHE"):
        vendor.vendored(npm())


def test_the_committed_list_is_exact_and_names_no_address():
    packages = vendor.packages()
    assert {"reveal.js", "mathjax"} <= {package.name for package in packages}
    for package in packages:
        assert re.fullmatch(r"\d+\.\d+\.\d+", package.version)
        assert len(base64.b64decode(package.integrity.removeprefix("sha512-"))) == 64
        assert any("LICENSE" in file for file in package.files)
    assert "://" not in vendor.LIST.read_text()
