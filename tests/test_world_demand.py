"""Daily and hourly counts against the means, the dispersion and the step that they were drawn from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from world_once import table

from psma.world import demand
from psma.world.truth import CALL_TYPES, TRUTH, CallType


@pytest.fixture(scope="module")
def daily() -> pd.DataFrame:
    """Calls a day, one column a type."""
    return table("calls_daily.csv").pivot_table(
        index="date", columns="call_type", values="calls", aggfunc="sum"
    )


@pytest.mark.parametrize("kind", CALL_TYPES, ids=lambda kind: kind.name)
def test_means_and_over_dispersion_are_as_stated(daily, kind):
    """Mean and 1/size within 3.5 standard errors; a Poisson count (1/size = 0) is refused."""
    mean, count = demand.expected_calls(kind, TRUTH.demand), daily[kind.name].to_numpy()
    variance = mean + mean**2 / kind.size
    assert abs((count - mean).sum()) < 3.5 * np.sqrt(variance.sum())
    each = ((count - mean) ** 2 - mean) / mean**2
    error = each.std() / np.sqrt(len(each))
    assert abs(each.mean() - 1 / kind.size) < 3.5 * error
    assert each.mean() > 3.5 * error
    poisson = np.random.default_rng(3).poisson(mean)
    assert abs((((poisson - mean) ** 2 - mean) / mean**2).mean()) < 0.5 / kind.size


def design(days: pd.DatetimeIndex) -> pd.DataFrame:
    """Trend, year, weekday, holiday and payday, as an analyst would put them who only has the file."""
    angle = days.dayofyear.to_numpy() / 365.25 * 2 * np.pi
    frame = pd.DataFrame(
        {"years": np.arange(len(days)) / 365.25, "cos": np.cos(angle), "sin": np.sin(angle)}, index=days
    )
    calendar = table("calendar.csv")
    for kind in ("bank holiday", "payday", "event"):
        frame[kind] = days.isin(calendar.loc[calendar["kind"] == kind, "date"])
    week = pd.get_dummies(days.weekday, drop_first=True).set_axis(days)
    return sm.add_constant(pd.concat([frame, week.add_prefix("day ")], axis=1).astype(float))


def step_in(daily: pd.DataFrame, name: str, day: str) -> tuple[float, float]:
    """Coefficient of a step in a log-linear regression of one call type, and its standard error."""
    x = design(daily.index).assign(step=(daily.index >= day).astype(float))
    fit = sm.OLS(np.log(daily[name]), x).fit(cov_type="HAC", cov_kwds={"maxlags": 7})
    return fit.params["step"], fit.bse["step"]


def test_the_recording_rule_is_a_step_of_the_stated_size(daily):
    """For violence the interval holds log 0.68 and not 0; for the other types it holds 0."""
    truth = TRUTH.demand
    step, error = step_in(daily, truth.rule_type, truth.rule_day)
    assert abs(step - np.log(truth.rule_factor)) < 3 * error
    assert abs(step) > 10 * error
    for name in ("domestic", "theft", "public order"):
        step, error = step_in(daily, name, truth.rule_day)
        assert abs(step) < 3 * error, name
    crime = daily[["violence", "theft", "burglary", "criminal damage", "public order"]].sum(axis=1)
    before, after = crime["2024-02-05":"2024-03-31"], crime["2024-04-02":"2024-05-26"]
    assert 0.07 < 1 - after.mean() / before.mean() < 0.17  # "crime fell 12% overnight"


def test_mental_health_calls_grow_as_stated(daily):
    """The yearly growth of 9% is recovered within 3 standard errors; no growth is refused."""
    kind = next(k for k in CALL_TYPES if k.name == "mental health")
    fit = sm.OLS(np.log(daily[kind.name]), design(daily.index)).fit(cov_type="HAC", cov_kwds={"maxlags": 7})
    assert abs(fit.params["years"] - np.log(1 + kind.growth)) < 3 * fit.bse["years"]
    assert fit.params["years"] > 10 * fit.bse["years"]


def test_week_and_season_are_as_stated(daily):
    """Weekday factors and the amplitude and peak of the year, within 3.5 standard errors, by regression."""
    kind = next(k for k in CALL_TYPES if k.name == "anti-social behaviour")
    fit = sm.OLS(np.log(daily[kind.name]), design(daily.index)).fit(cov_type="HAC", cov_kwds={"maxlags": 7})
    for day in range(1, 7):
        factor = np.log(kind.week[day] / kind.week[0])
        assert abs(fit.params[f"day {day}"] - factor) < 3.5 * fit.bse[f"day {day}"]
        assert abs(factor) > 3.5 * fit.bse[f"day {day}"] or day < 3
    angle = kind.peak / 365.25 * 2 * np.pi
    for name, share in (("cos", np.cos(angle)), ("sin", np.sin(angle))):
        assert (
            abs(fit.params[name] - kind.season * share) < 3.5 * fit.bse[name] + 0.005
        )  # log(1 + x) is not x
        assert abs(fit.params[name] + kind.season * share) > 3.5 * fit.bse[name]


def fit_of_hours(counts: np.ndarray, profile: tuple[float, ...]) -> float:
    """p-value of the chi-square test of calls by hour against a profile and the weekend's nights."""
    nights = (5 + 2 * TRUTH.response.weekend_factor) / 7
    expected = np.array(profile) * np.where((np.arange(24) >= 18) | (np.arange(24) < 4), nights, 1)
    return float(stats.chisquare(counts, expected * counts.sum() / expected.sum()).pvalue)


def test_the_hours_follow_their_profile():
    """Mental-health calls by hour of the day fit their own profile and not that of the other calls."""
    hourly = table("calls_hourly.csv")
    counts = hourly.groupby(hourly["hour"].dt.hour)["mental_health_calls"].sum().to_numpy()
    assert fit_of_hours(counts, TRUTH.demand.mental_health_profile) > 0.001
    assert fit_of_hours(counts, TRUTH.response.profile) < 1e-9


def test_the_calendar_moves_the_calls(daily):
    """Holiday and payday factors of domestic calls within 3.5 standard errors, by regression."""
    kind: CallType = next(k for k in CALL_TYPES if k.name == "domestic")
    fit = sm.OLS(np.log(daily[kind.name]), design(daily.index)).fit(cov_type="HAC", cov_kwds={"maxlags": 7})
    for column, factor in (("bank holiday", kind.holiday), ("payday", kind.payday)):
        assert abs(fit.params[column] - np.log(factor)) < 3.5 * fit.bse[column]


def test_the_hours_add_up_to_the_days(daily):
    """All calls and mental-health calls, on every one of 364 days."""
    hourly = table("calls_hourly.csv")
    sums = hourly.groupby(hourly["hour"].dt.normalize())[["calls", "mental_health_calls"]].sum()
    assert len(sums) == TRUTH.demand.hourly_days
    assert (sums["calls"] == daily.loc[sums.index].sum(axis=1)).all()
    assert (sums["mental_health_calls"] == daily.loc[sums.index, "mental health"]).all()


def test_the_clocks_change_twice():
    """One hour is missing in March, one stands there twice in October, all others once.

    The calendar says so.
    """
    hours = table("calls_hourly.csv")["hour"]
    every = pd.date_range(hours.min(), hours.max(), freq="h")
    assert every.difference(pd.DatetimeIndex(hours)).tolist() == [pd.Timestamp("2025-03-30 01:00")]
    assert hours[hours.duplicated()].tolist() == [pd.Timestamp("2025-10-26 01:00")]
    calendar = table("calendar.csv")
    listed = calendar.loc[calendar["kind"] == "clock change", "date"].dt.strftime("%Y-%m-%d").tolist()
    assert listed == list(demand.CLOCK_CHANGES)


def test_paydays_are_last_fridays_and_their_saturdays():
    """January 2026: the 30th and the 31st, and nothing else."""
    found = demand.paydays(pd.date_range("2026-01-01", "2026-01-31"))
    assert found.sort_values().strftime("%d").tolist() == ["30", "31"]


def test_breaches_follow_the_logistic():
    """Crowding, winter and trend of one department's breaches within 3 standard errors.

    Winter is not nothing.
    """
    truth = TRUTH.demand
    department = truth.departments[1]
    rows = table("ed_attendances_daily.csv").query("hospital == @department.hospital").set_index("date")
    rows = rows.astype({"attendances": float, "over_four_hours": float})
    years = np.arange(len(rows)) / 365.25
    usual = (
        department.base
        * (1 + truth.attendance_growth) ** years
        * np.array(truth.attendance_week)[rows.index.weekday]
    )
    x = sm.add_constant(
        np.column_stack([rows["attendances"] / usual - 1, rows.index.month.isin([12, 1, 2]), years])
    )
    both = np.column_stack([rows["over_four_hours"], rows["attendances"] - rows["over_four_hours"]])
    fit = sm.GLM(both, x.astype(float), family=sm.families.Binomial()).fit()
    expected = [department.breach_logit, truth.breach_crowding, truth.breach_winter, truth.breach_trend]
    assert (abs(fit.params - expected) < 3 * fit.bse).all()
    assert fit.params[2] > 10 * fit.bse[2]


def test_four_days_of_one_department_are_lost():
    """Exactly the stated days are empty, in one hospital."""
    frame = table("ed_attendances_daily.csv")
    lost = frame[frame["attendances"].isna()]
    assert lost["hospital"].unique().tolist() == [TRUTH.demand.departments[0].hospital]
    assert lost["date"].dt.strftime("%Y-%m-%d").tolist() == [
        "2023-09-11",
        "2023-09-12",
        "2023-09-13",
        "2023-09-14",
    ]
    seen = frame.dropna()
    assert (seen["over_four_hours"] <= seen["attendances"]).all()
    assert (seen["mental_health"] <= seen["attendances"]).all()
