"""A course of one lecture, made for the test, and one browser for all decks."""

from __future__ import annotations

import base64
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from psma.errors import PsmaError
from psma.notebook import write
from psma.publish.measure import chromium, find_chromium
from psma.publish.vendor import vendored

KERNEL = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}


@pytest.fixture(scope="module")
def browser():
    """One Chromium for every deck of a test file (Playwright's event loop must not outlive the file)."""
    if find_chromium() is None:
        pytest.skip("Chromium is not installed")
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def vendored_files() -> Path:
    """What a deck carries, fetched before the first test that makes one; skips where npm cannot fetch it."""
    try:
        return vendored()
    except PsmaError as error:
        pytest.skip(str(error))


def markdown(source: str, kind: str = "slide", cell_id: str = "words") -> NotebookNode:
    """A Markdown cell of one slide type."""
    return new_markdown_cell(source, id=cell_id, metadata={"slideshow": {"slide_type": kind}})


def code(source: str, kind: str = "-", cell_id: str = "code", *, outputs=(), tags=(), **psma) -> NotebookNode:
    """A code cell of one slide type, with outputs as if it had run; `psma` goes to metadata.psma."""
    metadata = {"slideshow": {"slide_type": kind}, "tags": list(tags)} | ({"psma": psma} if psma else {})
    return new_code_cell(source, id=cell_id, metadata=metadata, outputs=list(outputs))


def printed(text: str) -> NotebookNode:
    """What print() leaves."""
    return new_output("stream", name="stdout", text=text)


def plot(width: int = 900, height: int = 380) -> NotebookNode:
    """A figure of so many pixels."""
    from PIL import Image

    picture = io.BytesIO()
    Image.new("RGB", (width, height), "#0072B2").save(picture, "PNG")
    data = {"image/png": base64.b64encode(picture.getvalue()).decode(), "text/plain": "<Figure>"}
    return new_output("display_data", data=data)


def notebook(*cells: NotebookNode, **psma) -> NotebookNode:
    """A lecture: a title slide and the cells."""
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}, "psma": psma}
    return new_notebook(cells=[markdown("# A trial lecture", cell_id="title"), *cells], metadata=metadata)


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Write a lecture into a course of its own, make that the current folder, and return its path."""
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "data").mkdir()
    folder = tmp_path / "modules" / "03_queuing_des"
    folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    def put(*cells: NotebookNode, name: str = "01_trial.ipynb", **psma) -> Path:
        write(notebook(*cells, **psma), folder / name)
        return folder / name

    yield put


def cli(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person would, from the current folder."""
    command = [sys.executable, "-m", "psma", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)
