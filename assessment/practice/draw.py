"""Draws a candidate's own figures and data for the practice paper.

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

PAPER = "practice paper 1"


def draw(candidate: str, folder: Path) -> dict[str, Any]:
    """Write the candidate's files into ``folder``; return the figures that stand in ``numbers.json``."""
    digest = hashlib.sha256(f"{PAPER}|{candidate}".encode()).digest()
    seeds = np.random.SeedSequence(int.from_bytes(digest[:16], "big")).spawn(6)
    luck = [np.random.default_rng(seed) for seed in seeds]
    tables = {
        "attendances": attendances(luck[1]),
        "replications": replications(luck[2]),
        "patients": patients(luck[3]),
        "ties": ties(luck[4]),
        "calls": calls(luck[5]),
    }
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    numbers = figures(luck[0])
    text = json.dumps(numbers, indent=1) + "\n"
    (folder / "numbers.json").write_text(text, encoding="utf-8", newline="\n")
    return numbers


def figures(luck: np.random.Generator) -> dict[str, Any]:
    """The figures of A3.3 and B1: pounds, people an hour, minutes."""
    minutes = round(float(luck.uniform(3.2, 4.8)), 1)
    busy = luck.uniform(0.70, 0.88)
    return {
        "place_cost": int(luck.integers(90, 190)) * 100,
        "wait_cost": int(luck.integers(55, 95)) * 10,
        "desk_arrivals": round(float(60 * busy / minutes), 1),
        "desk_minutes": minutes,
    }


def attendances(luck: np.random.Generator) -> pd.DataFrame:
    """A month at three emergency departments, with rows sent twice, odd spellings and gaps."""
    size = int(luck.integers(820, 960))
    start = datetime(2026, 3, 1)
    by_hour = np.array([2, 2, 1, 1, 1, 1, 2, 3, 5, 7, 8, 8, 7, 7, 7, 7, 7, 8, 8, 8, 7, 6, 4, 3], dtype=float)
    hours = luck.choice(24, size, p=by_hour / by_hour.sum())
    days = luck.integers(0, 31, size)
    arrived = [
        start + timedelta(days=int(d), hours=int(h), minutes=int(m))
        for d, h, m in zip(days, hours, luck.integers(0, 60, size), strict=True)
    ]
    sites = luck.choice(3, size, p=[0.5, 0.3, 0.2])
    night = (hours < 7) | (hours >= 22)
    wait = luck.lognormal(np.log(np.array([58, 44, 36])[sites]) + 0.35 * night, 0.55).round()
    stay = wait + luck.lognormal(np.log(105), 0.6, size).round()
    seen = [_time(at, minutes) for at, minutes in zip(arrived, wait, strict=True)]
    left = [_time(at, minutes) for at, minutes in zip(arrived, stay, strict=True)]
    seen = ["" if lost else time for time, lost in zip(seen, luck.random(size) < 0.03, strict=True)]
    gone = luck.random(size) < np.where(night, 0.20, 0.03)
    left = ["" if lost else time for time, lost in zip(left, gone, strict=True)]
    table = pd.DataFrame(
        {
            "id": [f"A{number:04}" for number in luck.permutation(size)],
            "site": [_spelt(int(site), luck.random()) for site in sites],
            "arrived": [_time(at, 0) for at in arrived],
            "seen": seen,
            "left": left,
        }
    ).sort_values("arrived", kind="stable")
    twice = table.iloc[luck.choice(size, 24, replace=False)]
    return pd.concat([table, twice]).sort_values(["arrived", "id"], kind="stable")


def _spelt(site: int, chance: float) -> str:
    name = ("Tamarmouth", "Stonebridge", "Easthaven")[site]
    return name.upper() if chance < 0.08 else f"{name} " if chance < 0.14 else name


def _time(arrived: datetime, minutes: float) -> str:
    return f"{arrived + timedelta(minutes=float(minutes)):%Y-%m-%d %H:%M}"


def replications(luck: np.random.Generator) -> pd.DataFrame:
    """30 months with and without one more place, run with common random numbers."""
    demand = luck.normal(0, 9, 30)
    today = np.maximum(np.round(61 + demand + luck.normal(0, 3, 30)), 0)
    saved = np.round(luck.uniform(14, 26) + 0.15 * demand + luck.normal(0, 4, 30))
    return pd.DataFrame({"today": today, "one_more": np.maximum(today - saved, 0)}).astype(int)


def patients(luck: np.random.Generator) -> pd.DataFrame:
    """People seen in crisis, of whom about a third return within 30 days."""
    size = 420
    table = pd.DataFrame(
        {
            "age": luck.integers(18, 86, size),
            "previous": luck.poisson(1.3, size),
            "alone": (luck.random(size) < 0.4).astype(int),
            "night": (luck.random(size) < 0.35).astype(int),
        }
    )
    score = -1.5 - 0.012 * (table["age"] - 45) + 0.42 * table["previous"] + 0.6 * table["alone"]
    table["returned"] = (luck.random(size) < 1 / (1 + np.exp(-score))).astype(int)
    table["set"] = np.where(luck.random(size) < 0.7, "train", "test")
    return table


def ties(luck: np.random.Generator) -> pd.DataFrame:
    """Pairs recorded together: a few groups, one person with clearly the most partners, and slips."""
    names = [f"P{number:03}" for number in luck.choice(np.arange(100, 1000), 60, replace=False)]
    sizes = [int(luck.integers(16, 22)), int(luck.integers(8, 12)), int(luck.integers(4, 7)), 3, 2]
    pairs: list[tuple[str, str]] = []
    start = 0
    for size in sizes:
        group = names[start : start + size]
        start += size
        pairs += [(group[int(luck.integers(0, k))], group[k]) for k in range(1, size)]
        extra = luck.integers(0, size, (size // 3, 2))
        pairs += [(group[int(i)], group[int(j)]) for i, j in extra if i != j]
    degree = {name: len({frozenset(p) for p in pairs if name in p}) for name in names}
    hub = max(names[: sizes[0]], key=lambda name: degree[name])
    friends = [name for name in names[: sizes[0]] if name != hub]
    pairs += [(hub, name) for name in luck.choice(friends, 9, replace=False)]
    pairs += [pairs[int(k)][::-1] for k in luck.choice(len(pairs), 10, replace=False)]
    pairs += [(name, name) for name in luck.choice(names[:start], 5, replace=False)]
    pairs += [(names[start], names[start])]
    order = luck.permutation(len(pairs))
    return pd.DataFrame([pairs[int(k)] for k in order], columns=["a", "b"])


def calls(luck: np.random.Generator) -> pd.DataFrame:
    """Ten weeks of 999 calls a day, with a week's rhythm and a slow rise."""
    days = pd.date_range("2026-01-05", periods=70)
    week = np.array([0.95, 0.93, 0.94, 0.97, 1.08, 1.16, 0.97])
    level = luck.uniform(230, 330) * (1 + 0.001 * np.arange(70))
    mean = level * week[np.arange(70) % 7]
    return pd.DataFrame({"day": days.strftime("%Y-%m-%d"), "calls": luck.poisson(mean)})
