"""Live slides: a cell runs on a slide, in the JupyterLab that the course installs."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from time import monotonic, sleep

import pytest
from conftest_publish import code, markdown

pytestmark = [pytest.mark.browser, pytest.mark.slow]
START = 120
"""Seconds that JupyterLab may take to answer on a busy machine."""


@pytest.fixture
def lab(course, tmp_path: Path):
    """Address of a JupyterLab over a course of one lecture, its settings apart from the user's."""
    course(code("answer = 6 * 7", "skip", "set-up"), markdown("## Live"), code("print(answer)", "-", "demo"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = {
        name: str(tmp_path / name)
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    }
    options = [
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token=t",
        "--no-browser",
    ]
    root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with (tmp_path / "lab.log").open("w") as log:
        command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={tmp_path}", *options, *root]
        server = subprocess.Popen(command, env=os.environ | home, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/api?token=t", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=60)


def wait_for(url: str, server: subprocess.Popen) -> None:
    """Return when the server answers; fail when it has gone or takes too long."""
    end = monotonic() + START
    while monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            sleep(0.3)
    pytest.fail(f"JupyterLab did not start (exit code {server.poll()})")


def test_a_cell_runs_on_a_slide(lab, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.set_default_timeout(240_000)
    # the slides of the notebook that stands open in JupyterLab share its kernel
    page.goto(f"{lab}/lab/tree/modules/03_queuing_des/01_trial.ipynb?token=t")
    # a cell run before the kernel answers is lost without a word
    page.get_by_text(re.compile(r"\| Idle$")).wait_for()
    page.locator(".jp-CodeCell .cm-content", has_text="answer = 6 * 7").click()
    page.keyboard.press("Shift+Enter")
    page.get_by_text(re.compile(r"^\[1\]:$")).wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("Alt+r")
    slides = page.frame_locator("iframe[src*='/rise/']")
    slides.locator(".reveal .slides > section").first.wait_for()
    demo = slides.locator(".jp-CodeCell .cm-content", has_text="print(answer)")
    slides.locator("body").press("Space")
    demo.click()
    page.keyboard.press("Shift+Enter")
    slides.locator(".jp-OutputArea-output", has_text="42").wait_for()
    assert slides.locator(".jp-Cell", has_text="answer = 6 * 7").is_hidden()  # the set-up is not on a slide
    page.close()
