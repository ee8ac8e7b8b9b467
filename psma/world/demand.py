"""The demand family: calls by day and type, calls by hour, attendances at the emergency departments.

A mean is trend x week x season x calendar x step; a count around it is negative binomial. The hours of a day
add up to the day. True parameters: `truth.DemandTruth`, `truth.CALL_TYPES`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from psma.world.frame import World
from psma.world.pathway import draw_pathway, pathway_days
from psma.world.truth import CALL_TYPES, TRUTH, CallType, DemandTruth, EmergencyDepartment

FAMILY = "demand"
NEEDS: tuple[str, ...] = ("geography",)
TABLES = ("calls_daily.csv", "calls_hourly.csv", "ed_attendances_daily.csv", "calendar.csv")

BANK_HOLIDAYS = (  # England and Wales, as the government lists them
    ("2021-04-02", "Good Friday"), ("2021-04-05", "Easter Monday"), ("2021-05-03", "Early May"),
    ("2021-05-31", "Spring"), ("2021-08-30", "Summer"), ("2021-12-27", "Christmas Day"),
    ("2021-12-28", "Boxing Day"), ("2022-01-03", "New Year's Day"), ("2022-04-15", "Good Friday"),
    ("2022-04-18", "Easter Monday"), ("2022-05-02", "Early May"), ("2022-06-02", "Spring"),
    ("2022-06-03", "Platinum Jubilee"), ("2022-08-29", "Summer"), ("2022-09-19", "State Funeral"),
    ("2022-12-26", "Boxing Day"), ("2022-12-27", "Christmas Day"), ("2023-01-02", "New Year's Day"),
    ("2023-04-07", "Good Friday"), ("2023-04-10", "Easter Monday"), ("2023-05-01", "Early May"),
    ("2023-05-08", "Coronation"), ("2023-05-29", "Spring"), ("2023-08-28", "Summer"),
    ("2023-12-25", "Christmas Day"), ("2023-12-26", "Boxing Day"), ("2024-01-01", "New Year's Day"),
    ("2024-03-29", "Good Friday"), ("2024-04-01", "Easter Monday"), ("2024-05-06", "Early May"),
    ("2024-05-27", "Spring"), ("2024-08-26", "Summer"), ("2024-12-25", "Christmas Day"),
    ("2024-12-26", "Boxing Day"), ("2025-01-01", "New Year's Day"), ("2025-04-18", "Good Friday"),
    ("2025-04-21", "Easter Monday"), ("2025-05-05", "Early May"), ("2025-05-26", "Spring"),
    ("2025-08-25", "Summer"), ("2025-12-25", "Christmas Day"), ("2025-12-26", "Boxing Day"),
    ("2026-01-01", "New Year's Day"),
)  # fmt: skip
CLOCK_CHANGES = (
    "2025-03-30",
    "2025-10-26",
)  # those within the hourly year: 01:00 is skipped, 01:00 comes twice


def days_of(truth: DemandTruth) -> pd.DatetimeIndex:
    """Every day of the five years."""
    return pd.date_range(truth.first_day, periods=truth.days, freq="D")


def paydays(days: pd.DatetimeIndex) -> pd.DatetimeIndex:
    """The last Friday of each month and the Saturday after it, where they fall into `days`."""
    fridays = days[days.weekday == 4]
    last = fridays[(fridays + pd.Timedelta(days=7)).month != fridays.month]
    return pd.DatetimeIndex(last.append(last + pd.Timedelta(days=1)).intersection(days))


def draw_calendar(truth: DemandTruth) -> pd.DataFrame:
    """One row a day that is out of the ordinary: date, kind and name."""
    rows = [(pd.Timestamp(day), "bank holiday", name) for day, name in BANK_HOLIDAYS]
    rows += [(day, "payday", "Last Friday of the month, and the Saturday") for day in paydays(days_of(truth))]
    for name, first, length, _ in truth.events:
        rows += [(day, "event", name) for day in pd.date_range(first, periods=length)]
    rule = "A second report of the same assault is no longer counted"
    rows.append((pd.Timestamp(truth.rule_day), "recording rule", rule))
    clocks = zip(CLOCK_CHANGES, ("01:00 is skipped", "01:00 comes twice"), strict=True)
    rows += [(pd.Timestamp(day), "clock change", name) for day, name in clocks]
    frame = pd.DataFrame(rows, columns=["date", "kind", "name"])
    return frame.sort_values(["date", "kind"], kind="stable").reset_index(drop=True)


def expected_calls(kind: CallType, truth: DemandTruth) -> np.ndarray:
    """Mean calls of one type on every day of the five years."""
    days = days_of(truth)
    mean = kind.base * (1 + kind.growth) ** (np.arange(truth.days) / 365.25)
    mean = mean * np.array(kind.week)[days.weekday]
    mean = mean * (1 + kind.season * np.cos((days.dayofyear - kind.peak) / 365.25 * 2 * np.pi))
    mean = mean * np.where(days.isin(pd.to_datetime([day for day, _ in BANK_HOLIDAYS])), kind.holiday, 1)
    mean = mean * np.where(days.isin(paydays(days)), kind.payday, 1)
    for _, first, length, factors in truth.events:
        mean = mean * np.where(
            days.isin(pd.date_range(first, periods=length)), dict(factors).get(kind.name, 1), 1
        )
    if kind.name == truth.rule_type:
        mean = mean * np.where(days >= pd.Timestamp(truth.rule_day), truth.rule_factor, 1)
    return np.asarray(mean)


def negative_binomial(mean: np.ndarray, size: float, rng: np.random.Generator) -> np.ndarray:
    """Counts with that mean and variance mean + mean squared / size."""
    return rng.poisson(mean * rng.gamma(size, 1 / size, len(mean)))


def draw_calls_daily(truth: DemandTruth, rng: np.random.Generator) -> pd.DataFrame:
    """One row a day and call type."""
    days = days_of(truth)
    parts = [
        pd.DataFrame(
            {
                "date": days,
                "call_type": kind.name,
                "calls": negative_binomial(expected_calls(kind, truth), kind.size, rng),
            }
        )
        for kind in CALL_TYPES
    ]
    return pd.concat(parts).sort_values(["date", "call_type"], kind="stable").reset_index(drop=True)


def hours_of(day: pd.Timestamp) -> list[int]:
    """Hours of the clock on one day: 23 when the clocks go forward, 25 when they go back."""
    hours = list(range(24))
    if day == pd.Timestamp(CLOCK_CHANGES[0]):
        hours.remove(1)
    elif day == pd.Timestamp(CLOCK_CHANGES[1]):
        hours.insert(1, 1)
    return hours


def hour_weights(day: pd.Timestamp, profile: np.ndarray, hours: list[int]) -> np.ndarray:
    """Share of the day's calls in each of its hours: the profile, and the weekend's nights."""
    weights = profile.copy()
    if day.weekday() in (4, 5):
        weights[18:] *= TRUTH.response.weekend_factor
    if day.weekday() in (5, 6):
        weights[:4] *= TRUTH.response.weekend_factor
    return weights[hours] / weights[hours].sum()


def draw_calls_hourly(daily: pd.DataFrame, truth: DemandTruth, rng: np.random.Generator) -> pd.DataFrame:
    """One row an hour of the last year; the hours of a day add up to `calls_daily.csv`."""
    days = pd.date_range(truth.hourly_first_day, periods=truth.hourly_days)
    total = daily.groupby("date")["calls"].sum().loc[days].tolist()
    crisis = daily[daily["call_type"] == "mental health"].set_index("date")["calls"].loc[days].tolist()
    general_profile, crisis_profile = np.array(TRUTH.response.profile), np.array(truth.mental_health_profile)
    rows = []
    for day, calls, mental_health in zip(days, total, crisis, strict=True):
        hours = hours_of(day)
        some = rng.multinomial(mental_health, hour_weights(day, crisis_profile, hours))
        rest = rng.multinomial(calls - mental_health, hour_weights(day, general_profile, hours))
        for hour, m, n in zip(hours, some, rest, strict=True):
            rows.append((day + pd.Timedelta(hours=hour), int(m + n), int(m)))
    return pd.DataFrame(rows, columns=["hour", "calls", "mental_health_calls"])


def draw_department(
    department: EmergencyDepartment, truth: DemandTruth, rng: np.random.Generator
) -> pd.DataFrame:
    """One row a day of one emergency department; a few days were lost by its old system."""
    days, years = days_of(truth), np.arange(truth.days) / 365.25
    usual = (
        department.base
        * (1 + truth.attendance_growth) ** years
        * np.array(truth.attendance_week)[days.weekday]
    )
    came = negative_binomial(np.asarray(usual), truth.attendance_size, rng)
    winter = np.isin(days.month, (12, 1, 2))
    logit = department.breach_logit + truth.breach_crowding * (came / usual - 1)
    logit = logit + truth.breach_winter * winter + truth.breach_trend * years
    frame = pd.DataFrame(
        {
            "date": days,
            "hospital": department.hospital,
            "attendances": came,
            "mental_health": rng.binomial(came, np.minimum(department.crisis_share * 1.04**years, 0.5)),
            "over_four_hours": rng.binomial(came, 1 / (1 + np.exp(-logit))),
        }
    ).astype({"attendances": "Int64", "mental_health": "Int64", "over_four_hours": "Int64"})
    if department is truth.departments[0]:
        lost = frame["date"].isin(pd.date_range(truth.lost_ed_days[0], periods=truth.lost_ed_days[1]))
        frame.loc[lost, ["attendances", "mental_health", "over_four_hours"]] = pd.NA
    return frame


def draw(world: World, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """The four tables; hidden `demand.pathway` is one department's event log, for the crisis family."""
    truth = TRUTH.demand
    daily = draw_calls_daily(truth, rng)
    departments = pd.concat([draw_department(d, truth, rng) for d in truth.departments], ignore_index=True)
    world.hidden["demand.pathway"], over = draw_pathway(departments, TRUTH.pathway, rng)
    departments.loc[pathway_days(departments, TRUTH.pathway), "over_four_hours"] = over
    return {
        "calls_daily.csv": daily,
        "calls_hourly.csv": draw_calls_hourly(daily, truth, rng),
        "ed_attendances_daily.csv": departments.sort_values(["date", "hospital"], kind="stable").reset_index(
            drop=True
        ),
        "calendar.csv": draw_calendar(truth),
    }
