"""The same work on a Dask cluster: the paper travels to each worker once, submissions one by one, results as
JSON.
"""

from __future__ import annotations

import atexit
import io
import json
import shutil
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from psma.errors import PsmaError
from psma.marking.marker import Limits, Marker
from psma.marking.model import SubmissionResult, from_json, to_json
from psma.marking.reader import Sent, Submission, load
from psma.marking.source import Cell, Paper, read_paper

_markers: dict[str, Marker] = {}
_lock = threading.Lock()


def mark_on_cluster(
    scheduler: str, paper: Paper, todo: list[Sent], limits: Limits, allow_unisolated: bool
) -> Iterator[SubmissionResult]:
    """Results as they come. Raises PsmaError: no such scheduler, a worker without isolation, a paper that is
    wrong.
    """
    from distributed import Client, as_completed

    try:
        client = Client(scheduler, timeout="5s")
    except (OSError, ValueError) as error:
        raise PsmaError(
            f"{scheduler}: no Dask scheduler answers ({error}); start one, or leave out --scheduler."
        ) from None
    with client:
        parcel = client.scatter(_parcel(paper), broadcast=True)
        settings = json.dumps({"limits": asdict(limits), "allow_unisolated": allow_unisolated})
        client.submit(_check, parcel, settings, todo[0].candidate, pure=False).result()
        waiting = [
            client.submit(_mark, parcel, settings, _to_json(load(each, paper)), pure=False) for each in todo
        ]
        for future in as_completed(waiting):
            yield from_json(future.result())


def _parcel(paper: Paper) -> bytes:
    """The paper and what stands beside it, as a zip."""
    buffer = io.BytesIO()
    home = paper.path.parent
    files = [
        paper.path,
        *([paper.draw] if paper.draw else []),
        *(sorted(paper.data.rglob("*")) if paper.data else []),
    ]
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in files:
            if file.is_file():
                archive.write(file, file.relative_to(home).as_posix())
    return buffer.getvalue()


def _to_json(submission: Submission) -> str:
    raw = asdict(submission)
    raw["files"] = {name: data.decode("latin-1") for name, data in submission.files.items()}
    return json.dumps(raw)


def _from_json(text: str) -> Submission:
    raw = json.loads(text)
    from psma.marking.model import Flag

    raw["cells"] = None if raw["cells"] is None else tuple(Cell(**cell) for cell in raw["cells"])
    raw["flags"] = tuple(Flag(**flag) for flag in raw["flags"])
    raw["files"] = {name: data.encode("latin-1") for name, data in raw["files"].items()}
    return Submission(**raw)


def _marker(parcel: bytes, settings: str) -> Marker:
    """This worker's marker for a paper, made once and kept until the worker ends."""
    from psma.marking.batch import open_place

    key = f"{hash(parcel)} {settings}"
    with _lock:
        if key not in _markers:
            asked: dict[str, Any] = json.loads(settings)
            home = Path(tempfile.mkdtemp(prefix="psma-paper-"))
            with zipfile.ZipFile(io.BytesIO(parcel)) as archive:
                archive.extractall(home)
            paper = read_paper(next(home.glob("*.ipynb")))
            stack = ExitStack()
            stack.callback(shutil.rmtree, home, ignore_errors=True)
            place = stack.enter_context(open_place(paper, asked["allow_unisolated"]))
            atexit.register(stack.close)
            _markers[key] = Marker(paper, place, Limits(**asked["limits"]))
        return _markers[key]


def _check(parcel: bytes, settings: str, candidate: str) -> None:
    """Runs on a worker: hold the paper to its own tests."""
    from psma.marking.batch import check_paper

    check_paper(_marker(parcel, settings), candidate)


def _mark(parcel: bytes, settings: str, submission: str) -> str:
    """Runs on a worker: mark one submission."""
    from psma.marking.batch import mark_safely

    return to_json(mark_safely(_marker(parcel, settings), _from_json(submission)))
