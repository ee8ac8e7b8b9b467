"""Every exercise answers back: untouched, solved, and wrong in every way that its author listed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from psma.course import Session, find_course

HERE = Path(__file__).parent
SESSIONS = [s for s in find_course(HERE).sessions if s.meta.get("form", "code") == "code"]
BY_ID = pytest.mark.parametrize("session", SESSIONS, ids=lambda s: s.id)


def prove(kind: str, path: Path) -> dict:
    """Run prove.py on one notebook in a fresh process and return its report."""
    done = subprocess.run(
        [sys.executable, str(HERE / "prove.py"), kind, str(path)],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "MPLBACKEND": "Agg", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def complaints_about_exercise(report: dict) -> list[str]:
    """Return what is wrong with an untouched exercise: it stops, or a check is not open."""
    said = [f"{v['cell']}: {v['line']}" for v in report["verdicts"] if v["verdict"] != "open"]
    return report["failures"] + said + ([] if report["verdicts"] else ["there is no check"])


def complaints_about_solution(report: dict) -> list[str]:
    """Return what is wrong with a solution: it stops, is not right, or passes a wrong answer."""
    said = [f"{v['cell']}: {v['line']}" for v in report["verdicts"] if v["verdict"] != "right"]
    slipped = [
        f"{w['task']}: passes the wrong answer {w['what']!r}"
        for w in report["wrongs"]
        if not w["verdicts"] or all(v["verdict"] == "right" for v in w["verdicts"])
    ]
    open_ones = [
        f"{w['task']}: the wrong answer {w['what']!r} counts as not attempted"
        for w in report["wrongs"]
        if w["verdicts"] and all(v["verdict"] in {"open", "crash"} for v in w["verdicts"])
    ]
    unused = [f"{w['task']}: no check stands behind the wrong answer {w['what']!r}" for w in report["unused"]]
    return report["failures"] + said + slipped + open_ones + unused


def complaints_about_lecture(report: dict) -> list[str]:
    """Return what is wrong with a lecture's Your turns: an answer fails, or asserts nothing."""
    failed = [a["failed"] for a in report["answers"] if a["failed"]]
    empty = [f"answer of {a['cell']}: asserts nothing" for a in report["answers"] if not a["asserts"]]
    return report["failures"] + failed + empty


@BY_ID
def test_the_untouched_exercise_runs_and_every_check_says_not_attempted(session: Session):
    assert complaints_about_exercise(prove("exercise", session.exercise)) == []


@BY_ID
def test_the_solution_is_right_and_every_wrong_answer_is_caught(session: Session):
    assert complaints_about_solution(prove("solution", session.solution)) == []


@BY_ID
def test_every_your_turn_answer_holds(session: Session):
    assert complaints_about_lecture(prove("lecture", session.lecture)) == []
