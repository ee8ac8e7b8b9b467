"""Fixtures for the tests of marking."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def shared_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[], Any]], Any]:
    """Work that is done once for all of pytest's worker processes; its result must be JSON."""

    def once(name: str, work: Callable[[], Any]) -> Any:
        root = tmp_path_factory.getbasetemp()
        root = root.parent if os.environ.get("PYTEST_XDIST_WORKER") else root
        done, lock = root / f"{name}.json", root / f"{name}.lock"
        while not done.exists():
            try:
                lock.touch(exist_ok=False)
            except FileExistsError:
                time.sleep(0.2)
                continue
            try:
                if done.exists():
                    break
                made = Path(f"{done}.part")
                made.write_text(json.dumps(work()))
                made.replace(done)
            finally:
                lock.unlink()
        return json.loads(done.read_text())

    return once
