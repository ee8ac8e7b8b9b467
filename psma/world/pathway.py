"""Patients on their way through one emergency department: a queue in three steps, drawn with the demand
family.

It stands beside `demand` because the daily table's counts of four hours come out of it; the crisis family
writes it. True parameters: `truth.PathwayTruth`.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
import pandas as pd

from psma.world.truth import TRUTH, PathwayTruth

HOUR = 3_600
DAY = 86_400


def choose(options: Sequence[tuple[str, float]], size: int, rng: np.random.Generator) -> np.ndarray:
    """`size` names drawn with the chances that stand beside them."""
    names, chances = zip(*options, strict=True)
    return np.asarray(rng.choice(names, size, p=np.array(chances) / sum(chances)))


def lognormal(mean: float | np.ndarray, sigma: float, size: int, rng: np.random.Generator) -> np.ndarray:
    """Log-normal draws with that mean and that standard deviation of the logarithm."""
    return np.asarray(mean * np.exp(sigma * rng.standard_normal(size) - sigma**2 / 2))


def serve(ready: np.ndarray, busy: np.ndarray, servers: int) -> np.ndarray:
    """Start of each customer in a first come first served queue; `ready` and `busy` share a unit."""
    free, start = [0.0] * servers, np.zeros(len(ready))
    for n in np.argsort(ready, kind="stable"):
        start[n] = max(ready[n], heapq.heappop(free))
        heapq.heappush(free, start[n] + busy[n])
    return start


def pathway_days(daily: pd.DataFrame, truth: PathwayTruth) -> pd.Series:
    """Which rows of the daily table are the three weeks of the first hospital."""
    last = pd.Timestamp(truth.first_day) + pd.Timedelta(days=truth.days - 1)
    return (daily["hospital"] == TRUTH.demand.departments[0].hospital) & daily["date"].between(
        truth.first_day, last
    )


def draw_arrivals(
    daily: pd.DataFrame, truth: PathwayTruth, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Seconds of arrival (sorted) and condition of the patients that the daily table counts."""
    own = daily[pathway_days(daily, truth)]
    profile = np.array(TRUTH.response.profile) ** 0.8
    seconds, condition = [], []
    usual = [(c.name, c.share) for c in truth.conditions if c.share > 0]
    for day, (came, crisis) in enumerate(zip(own["attendances"], own["mental_health"], strict=True)):
        hour = rng.choice(24, int(came), p=profile / profile.sum())
        seconds.append(day * DAY + hour * HOUR + rng.integers(0, HOUR, int(came)))
        kind = choose(usual, int(came), rng)
        kind[: int(crisis)] = "mental health"
        condition.append(kind)
    order = np.argsort(np.concatenate(seconds), kind="stable")
    return np.concatenate(seconds)[order], np.concatenate(condition)[order]


def draw_pathway(
    daily: pd.DataFrame, truth: PathwayTruth, rng: np.random.Generator
) -> tuple[pd.DataFrame, np.ndarray]:
    """The event log, cut off at the last midnight, and how many of each day stayed over four hours."""
    arrived, condition = draw_arrivals(daily, truth, rng)
    size, facts = len(arrived), {c.name: c for c in truth.conditions}
    triage = np.round(lognormal(truth.triage[0], truth.triage[1], size, rng) * 60)
    to_bed = rng.random(size) < np.array([facts[name].bed_chance for name in condition])
    bed_mean = np.array([facts[name].bed_mean for name in condition])
    bed_care = np.round(lognormal(bed_mean, truth.bed_sigma, size, rng) * 60)
    care = np.where(to_bed, bed_care, np.round(lognormal(*truth.chair, size, rng) * 60))
    admitted = to_bed & (rng.random(size) < truth.admit_chance)
    boarding = np.where(admitted, np.round(lognormal(*truth.boarding, size, rng) * 60), 0)
    triage_start = serve(arrived.astype(float), triage, truth.nurses)
    seen = triage_start + triage
    start = np.zeros(size)
    start[to_bed] = serve(seen[to_bed], (care + boarding)[to_bed], truth.beds)
    start[~to_bed] = serve(seen[~to_bed], care[~to_bed], truth.chairs)
    events = {
        "arrived": arrived,
        "triage started": triage_start,
        "triage ended": seen,
        "care started": start,
        "decision": start + care,
        "departed": start + care + boarding,
    }
    late = events["departed"] - arrived > 4 * HOUR
    over = np.bincount(arrived[late] // DAY, minlength=truth.days)
    return event_log(events, condition, np.where(to_bed, "bed", "ambulatory"), admitted, truth), over


def event_log(
    events: dict[str, np.ndarray],
    condition: np.ndarray,
    route: np.ndarray,
    admitted: np.ndarray,
    truth: PathwayTruth,
) -> pd.DataFrame:
    """One row an event: the place is the route from the start of care, the destination at the end."""
    size = len(condition)
    parts = []
    for step, (name, seconds) in enumerate(events.items()):
        part = pd.DataFrame({"number": np.arange(size), "step": step, "event": name, "second": seconds})
        part["condition"] = condition
        part["place"] = {0: "entrance", 1: "triage", 2: "triage"}.get(step, "")
        if step >= 3:
            part["place"] = route
        if step == 5:
            part["place"] = np.where(admitted, "ward", "home")
        parts.append(part)
    log = pd.concat(parts).sort_values(["number", "step"], kind="stable")
    log = log[log["second"] < truth.days * DAY].reset_index(drop=True)
    log["patient"] = [f"ED-{n + 1:05d}" for n in log["number"]]
    log["time"] = pd.Timestamp(truth.first_day) + pd.to_timedelta(log["second"], unit="s")
    return log[["patient", "condition", "event", "place", "time"]]
