"""What every test shares: the course, and the rule that in CI nothing may skip."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from psma.startup import skip_slow_imports

skip_slow_imports()  # before any test file imports nbformat: 1.6 s in every worker

ROOT = Path(__file__).resolve().parents[1]
STRICT = os.environ.get("PSMA_STRICT") == "1"


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the repository's root folder."""
    return ROOT


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Turn every skip into a failure where PSMA_STRICT=1: a green run must have run everything."""
    outcome = yield
    report = outcome.get_result()
    if STRICT and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} would have skipped, and PSMA_STRICT=1 allows none: {reason}"
