"""The health family: stroke admissions, operations that were cancelled, and a vaccination clinic.

Three services, one table each, independent of one another. True parameters: `truth.HealthTruth`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from psma.world.frame import World
from psma.world.pathway import choose, lognormal
from psma.world.truth import DISTRICTS, TRUTH, StrokeTruth, SurgeryTruth, VaccinationTruth

FAMILY = "health"
NEEDS: tuple[str, ...] = ()
TABLES = ("stroke_admissions.csv", "surgical_cancellations.csv", "vaccination_arrivals.csv")
WINTER = (11, 12, 1, 2)


def stroke_times(truth: StrokeTruth, rng: np.random.Generator) -> pd.Series:
    """Moment of each admission, in order: Poisson by day with a winter season, more by day than by night."""
    day = np.arange(truth.days)
    date = pd.Timestamp(truth.first_day) + pd.to_timedelta(day, unit="D")
    rate = truth.a_day * (1 + truth.winter * np.cos(2 * np.pi * (date.dayofyear - 15) / 365.25))
    which = np.repeat(day, rng.poisson(rate))
    by_day = rng.random(which.size) < truth.day_share
    minute = np.where(
        by_day, 480 + rng.integers(0, 720, which.size), (1_200 + rng.integers(0, 720, which.size)) % 1_440
    )
    order = np.sort(which * 1_440 + minute)
    return pd.Series(pd.Timestamp(truth.first_day) + pd.to_timedelta(order, unit="min"))


def draw_stroke(rng: np.random.Generator) -> pd.DataFrame:
    """One row an admission: what it was, days on each ward, where the patient went."""
    truth = TRUTH.health.stroke
    admitted = stroke_times(truth, rng)
    size = len(admitted)
    kind = choose([(k.name, k.share) for k in truth.kinds], size, rng)
    known = {k.name: k for k in truth.kinds}
    acute, rehab = np.zeros(size), np.zeros(size)
    onward, lot = np.empty(size, dtype=object), rng.random((size, 2))
    for name, k in known.items():
        rows = np.flatnonzero(kind == name)
        acute[rows] = lognormal(k.acute[0], k.acute[1], rows.size, rng)
        goes = lot[rows, 0] < k.rehab_chance
        rehab[rows] = np.where(goes, lognormal(k.rehab[0], k.rehab[1], rows.size, rng), 0)
        early = lot[rows, 1] < k.early_chance
        onward[rows] = np.where(
            goes, "rehabilitation", np.where(early, "early supported discharge", "home or care home")
        )
    age = np.clip(np.round(74 + 13 * rng.standard_normal(size) - 4 * (kind == "mimic")), 18, 104)
    people = np.array([district.population for district in DISTRICTS])
    frame = pd.DataFrame({
        "admission": [f"ST-{n:05d}" for n in range(1, size + 1)],
        "admitted": admitted,
        "district": rng.choice([district.name for district in DISTRICTS], size, p=people / people.sum()),
        "age": age,
        "kind": kind,
        "acute_days": pd.Series(acute).mask(rng.random(size) < truth.missing_discharge),
        "onward": onward,
        "rehab_days": pd.Series(rehab).where(rehab > 0),
    })  # fmt: skip
    twice = frame.sample(truth.duplicated_rows, random_state=rng)
    return pd.concat([frame, twice]).sort_values("admission", kind="stable").reset_index(drop=True)


def cancellation_logit(frame: pd.DataFrame, truth: SurgeryTruth) -> np.ndarray:
    """The logistic of `SurgeryTruth`, one value a row; `frame` holds the true columns, none missing."""
    winter = frame["date"].dt.month.isin(WINTER)
    wants = frame["hdu_bed"] == "yes"
    value = (
        truth.intercept
        + truth.last_on_list * (frame["list_position"] == frame["list_length"])
        + truth.hdu * wants
        + truth.hdu_in_winter * (wants & winter)
        + truth.cancelled_before * frame["cancelled_before"]
        + truth.asa * (frame["asa_grade"] - 1)
        + truth.lead_months * frame["lead_days"] / 30
        + truth.no_preassessment * (frame["preassessed"] == "no")
        + truth.monday * (frame["date"].dt.dayofweek == 0)
    )
    return np.asarray(value, dtype=float)


def draw_surgery(rng: np.random.Generator) -> pd.DataFrame:
    """One row a planned operation, in order of date, list and position."""
    truth = TRUTH.health.surgery
    days = pd.bdate_range(truth.first_day, periods=truth.days * 5 // 7)
    date = np.repeat(days.to_numpy(), rng.poisson(truth.a_weekday, len(days)))
    size = date.size
    shares = [(name, share) for name, share, _ in truth.specialties]
    hdu = {name: chance for name, _, chance in truth.specialties}
    frame = pd.DataFrame({"date": date, "specialty": choose(shares, size, rng)})
    frame = frame.sort_values(["date", "specialty"], kind="stable").reset_index(drop=True)
    lists = frame.groupby(["date", "specialty"])
    frame["list_position"] = lists.cumcount() + 1
    frame["list_length"] = lists["specialty"].transform("size")
    frame["consultant"] = [f"C{n:02d}" for n in rng.integers(1, truth.consultants + 1, size)]
    frame["age"] = np.clip(np.round(61 + 17 * rng.standard_normal(size)), 18, 97)
    frame["asa_grade"] = np.clip(1 + rng.binomial(3, 0.15 + 0.25 * (frame["age"] / 100)), 1, 4)
    frame["hdu_bed"] = np.where(rng.random(size) < frame["specialty"].map(hdu), "yes", "no")
    frame["lead_days"] = np.round(lognormal(75, 0.7, size, rng)).clip(3, 540)
    frame["preassessed"] = np.where(rng.random(size) < truth.preassessed_chance, "yes", "no")
    frame["cancelled_before"] = rng.choice([0, 1, 2], size, p=[0.86, 0.12, 0.02])
    chance = 1 / (1 + np.exp(-cancellation_logit(frame, truth)))
    frame["cancelled"] = (rng.random(size) < chance).astype(int)
    frame["asa_grade"] = frame["asa_grade"].astype("Int64").mask(rng.random(size) < truth.missing_asa)
    frame.insert(0, "operation", [f"OP-{n:05d}" for n in range(1, size + 1)])
    return frame


def draw_vaccination(rng: np.random.Generator) -> pd.DataFrame:
    """One row a person who came: slot, arrival, minutes at each desk."""
    truth: VaccinationTruth = TRUTH.health.vaccination
    slots = np.arange(truth.opens * 60, truth.closes * 60, truth.slot_minutes)
    one_day = np.repeat(slots, truth.a_slot)
    minute = np.concatenate([day * 1_440 + one_day for day in range(truth.days)])
    minute = minute[rng.random(minute.size) >= truth.no_show]
    size = minute.size
    start = pd.Timestamp(truth.first_day)
    came = minute * 60 + np.round(60 * (truth.early_mean + truth.early_sd * rng.standard_normal(size)))
    dose = np.where(rng.random(size) < truth.first_dose, "first", "second")
    helped = rng.random(size) < truth.assistance
    pace = np.where(helped, truth.slower, 1.0)
    minutes = {
        name: pace * lognormal(mean, sigma, size, rng)
        for name, (mean, sigma) in (
            ("registration", truth.registration),
            ("conversation", truth.conversation),
            ("vaccination", truth.vaccination),
        )
    }
    registration = pd.Series(minutes["registration"]).mask(rng.random(size) < truth.missing_times)
    minutes["conversation"] = np.where(dose == "first", minutes["conversation"], 0)
    frame = pd.DataFrame({
        "slot": start + pd.to_timedelta(minute, unit="min"),
        "arrived": start + pd.to_timedelta(came, unit="s"),
        "dose": dose,
        "assistance": np.where(helped, "yes", "no"),
        "registration_minutes": registration,
        "conversation_minutes": minutes["conversation"],
        "vaccination_minutes": minutes["vaccination"],
    })  # fmt: skip
    frame = frame.sort_values("arrived", kind="stable").reset_index(drop=True)
    frame.insert(0, "visit", [f"VC-{n:05d}" for n in range(1, size + 1)])
    return frame


def draw(world: World, rng: np.random.Generator) -> dict[str, pd.DataFrame]:  # noqa: ARG001 (needs no other family)
    """The three tables, each from a stream of its own."""
    stroke, surgery, vaccination = rng.spawn(3)
    return {
        "stroke_admissions.csv": draw_stroke(stroke),
        "surgical_cancellations.csv": draw_surgery(surgery),
        "vaccination_arrivals.csv": draw_vaccination(vaccination),
    }
