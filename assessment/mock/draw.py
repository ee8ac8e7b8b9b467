"""Draws a candidate's own figures and data for the mock paper.

The same candidate number always gets the same files; two candidates get different ones.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

PAPER = "mock paper 1"
STATIONS = {
    "Tamarmouth": "Quayside",
    "Saltby": "Quayside",
    "Stonebridge": "Old Mill",
    "Easthaven": "Harbour Road",
}


def draw(candidate: str, folder: Path) -> dict[str, Any]:
    """Write the candidate's files into ``folder``; return the figures that stand in ``numbers.json``."""
    digest = hashlib.sha256(f"{PAPER}|{candidate}".encode()).digest()
    seeds = np.random.SeedSequence(int.from_bytes(digest[:16], "big")).spawn(6)
    luck = [np.random.default_rng(seed) for seed in seeds]
    runs_of_unit = runs(luck[2])
    moves = transfers(luck[4])
    tables = {
        "responses": responses(luck[1]),
        "stations": pd.DataFrame({"district": STATIONS.keys(), "station": STATIONS.values()}),
        "runs": runs_of_unit,
        "operations": operations(luck[3]),
        "transfers": moves,
        "attendances": attendances(luck[5]),
    }
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    mean = float((runs_of_unit["admitted"] / 365 * runs_of_unit["stay"]).mean())
    numbers = figures(luck[0], mean, moves)
    text = json.dumps(numbers, indent=1) + "\n"
    (folder / "numbers.json").write_text(text, encoding="utf-8", newline="\n")
    return numbers


def figures(luck: np.random.Generator, occupied: float, moves: pd.DataFrame) -> dict[str, Any]:
    """The figures of A2.2 (minutes), A3.3 (beds), B1 (calls an hour, minutes) and B3.2 (a place)."""
    return {
        "target": int(luck.integers(11, 15)),
        "beds": int(occupied + luck.integers(2, 4)),
        "line_calls": int(luck.integers(41, 79)),
        "line_minutes": round(float(luck.uniform(5.1, 8.9)), 1),
        "outbreak": str(luck.choice(sorted(set(moves["origin"])))),
    }


def responses(luck: np.random.Generator) -> pd.DataFrame:
    """A month of responses; some incidents stand twice, the later row being the correction."""
    size = int(luck.integers(640, 760))
    districts = np.array(["Tamarmouth", "Saltby", "Stonebridge", "Easthaven", "Moorside"])
    district = luck.choice(districts, size, p=[0.38, 0.17, 0.28, 0.12, 0.05])
    grade = luck.choice([1, 2, 3], size, p=[0.3, 0.45, 0.25])
    sent = [datetime(2026, 5, 1) + timedelta(minutes=int(m)) for m in np.sort(luck.integers(0, 44640, size))]
    minutes = luck.lognormal(np.log(np.array([0, 10, 19, 45])[grade]), 0.45).round() + 1
    gap = luck.random(size) < np.where(district == "Stonebridge", 0.14, 0.04)
    arrived = [_time(at + timedelta(minutes=float(m))) for at, m in zip(sent, minutes, strict=True)]
    table = pd.DataFrame(
        {
            "incident": [f"R{number:04}" for number in range(1, size + 1)],
            "district": district,
            "grade": grade,
            "sent": [_time(at) for at in sent],
            "arrived": ["" if lost else time for time, lost in zip(arrived, gap, strict=True)],
        }
    )
    mended = table.iloc[np.sort(luck.choice(size, 30, replace=False))].copy()
    mended["grade"] = mended["grade"] % 3 + 1
    return pd.concat([table, mended])


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"


def runs(luck: np.random.Generator) -> pd.DataFrame:
    """40 runs of a model of the unit: admissions in the year, mean stay in days."""
    return pd.DataFrame(
        {
            "admitted": luck.poisson(luck.uniform(380, 520), 40),
            "stay": luck.normal(luck.uniform(11, 16), 0.7, 40).round(1),
        }
    )


def operations(luck: np.random.Generator) -> pd.DataFrame:
    """Planned operations, of which about a fifth are cancelled."""
    size = 480
    table = pd.DataFrame(
        {
            "age": luck.integers(18, 90, size),
            "wait": luck.integers(10, 400, size),
            "earlier": luck.poisson(0.5, size),
            "monday": (luck.random(size) < 0.22).astype(int),
        }
    )
    score = -2.2 + 0.9 * table["earlier"] + 0.003 * (table["wait"] - 200) + 0.6 * table["monday"]
    table["cancelled"] = (luck.random(size) < 1 / (1 + np.exp(-score))).astype(int)
    table["set"] = np.where(luck.random(size) < 0.7, "train", "test")
    return table


def transfers(luck: np.random.Generator) -> pd.DataFrame:
    """Transfers between places; one clearly receives the most."""
    places = [f"H{number:02}" for number in luck.choice(np.arange(10, 100), 34, replace=False)]
    pairs = [(places[int(i)], places[int(j)]) for i, j in luck.integers(0, 34, (52, 2)) if i != j]
    hub = places[int(luck.integers(0, 34))]
    most = max(sum(target == name for _, target in pairs) for name in places)
    others = [name for name in places if name != hub]
    pairs += [(str(name), hub) for name in luck.choice(others, most + 3)]
    order = luck.permutation(len(pairs))
    return pd.DataFrame([pairs[int(k)] for k in order], columns=["origin", "target"])


def attendances(luck: np.random.Generator) -> pd.DataFrame:
    """Twelve weeks of attendances a day, with a week's rhythm."""
    days = pd.date_range("2026-02-02", periods=84)
    week = np.array([1.12, 1.02, 0.98, 0.97, 0.97, 0.95, 1.0])
    mean = luck.uniform(210, 290) * week[np.arange(84) % 7]
    return pd.DataFrame({"day": days.strftime("%Y-%m-%d"), "attendances": luck.poisson(mean)})
