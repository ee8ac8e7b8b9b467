"""Every lecture and every solution runs from top to bottom, in a fresh kernel, with the network off wherever
the system lets a user take it away (not on macOS or Windows, nor where Linux refuses user namespaces).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from psma import doctor
from psma.course import find_course
from psma.execute import execute

COURSE = find_course(Path(__file__).parent)
NOTEBOOKS = [
    pytest.param(path, id=f"{session.id} {kind}")
    for session in COURSE.sessions
    for kind, path in (("lecture", session.lecture), ("solution", session.solution))
]


@pytest.fixture(scope="session")
def network() -> str:
    """How a notebook's network should be on this system. Where it must stay "on", the last test here skips,
    which in CI no test may.
    """
    return "off" if doctor.network_off(COURSE.root).state == "ok" else "on"


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_it_runs_offline(path: Path, network: str):
    before = path.read_bytes()
    result = execute(path)
    if result.skipped:
        pytest.skip(result.reason)
    assert result.ok, f"{result.reason}\n{result.failure.source if result.failure else ''}"
    assert path.read_bytes() == before
    assert result.network == network, f"it ran with the network {result.network}"


def test_a_notebook_that_needs_the_network_fails(tmp_path: Path):
    # Without this, "runs offline" could be true of a run that was never offline.
    import nbformat.v4 as v4

    from psma import notebook

    cell = v4.new_code_cell('import socket\nsocket.create_connection(("192.0.2.1", 80), timeout=2)')
    nb = v4.new_notebook(cells=[cell])
    nb.metadata.kernelspec = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    notebook.write(notebook.tidy(nb), tmp_path / "01_net.ipynb")
    result = execute(tmp_path / "01_net.ipynb")
    if result.network != "off":
        pytest.skip("this system can't switch a notebook's network off")
    assert not result.ok and result.failure is not None
    assert "unreachable" in result.failure.error.lower()
