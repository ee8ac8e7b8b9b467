"""How soon does the tool answer, and how soon does a fresh clone run its first notebook?

    python benchmarks/startup.py [--repeats 9]          psma --help beside jupyter nbconvert --help
    python benchmarks/startup.py --cold [--session 3.1] the set-up, cold, beside pip's

The cold run clones this repository's HEAD into a temporary folder and uses an empty package cache, twice:
by the README's way (uv), and by `pip install -r requirements.lock` followed by `jupyter nbconvert --execute`
of the same notebook. The course's limits: `--help` under 0.5 s, cold set-up to the first executed notebook
under 90 s.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from psma.course import find_course


def seconds(command: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> float:
    """Seconds of a command that must succeed."""
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return time.perf_counter() - begun


def help_against_nbconvert(repeats: int) -> None:
    """Take turns; print both medians and the ratio of each pair's lowest, median and highest."""
    ours = [sys.executable, "-m", "psma", "--help"]
    other = [sys.executable, "-m", "nbconvert", "--help"]
    pairs = [(seconds(ours), seconds(other)) for _ in range(repeats)]
    ratios = sorted(b / a for a, b in pairs)
    print(f"psma --help       {statistics.median(a for a, _ in pairs):6.2f} s")
    print(f"nbconvert --help  {statistics.median(b for _, b in pairs):6.2f} s")
    print(f"ratio             {statistics.median(ratios):6.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


def cold(session: str) -> None:
    """From a clone and empty caches to one executed notebook, by uv and by pip."""
    root = find_course().root
    with tempfile.TemporaryDirectory() as folder:
        for way in ("uv", "pip"):
            place = Path(folder) / way
            clone = place / "clone"
            subprocess.run(["git", "clone", "-q", str(root), str(clone)], check=True)
            cache = {"UV_CACHE_DIR": str(place / "cache"), "PIP_CACHE_DIR": str(place / "cache")}
            env = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"} | cache
            begun = time.perf_counter()
            seconds([sys.executable, "-m", "venv", str(place / "venv")], env=env)
            bin_ = place / "venv" / ("Scripts" if os.name == "nt" else "bin")
            if way == "uv":
                seconds([str(bin_ / "pip"), "install", "-q", "uv"], env=env)
                seconds(
                    [str(bin_ / "uv"), "run", "psma", "run", session, "--kind", "lecture"], cwd=clone, env=env
                )
            else:
                seconds([str(bin_ / "pip"), "install", "-q", "-r", "requirements.lock"], cwd=clone, env=env)
                notebook = find_course(clone).session(session).lecture
                command = ["jupyter", "nbconvert", "--to", "notebook", "--execute", "--stdout", str(notebook)]
                seconds([str(bin_ / command[0]), *command[1:]], cwd=clone, env=env)
            print(f"{way:4} {time.perf_counter() - begun:6.1f} s")


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--session", default="3.1")
    asked = parser.parse_args()
    cold(asked.session) if asked.cold else help_against_nbconvert(asked.repeats)


if __name__ == "__main__":
    main()
