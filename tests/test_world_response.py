"""The response log, the rota and the control room against the queue and the parameters that they were drawn
from.

Levels: single comparisons at 3.5 standard errors, goodness of fit at p > 0.001; the seed is fixed, so a test
that passes once passes always. Beside each stands the same comparison against a wrong parameter, which must
fail.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from world_once import drawn, table

from psma.world import response
from psma.world.truth import DISTRICTS, INCIDENT_TYPES, TRUTH

START = pd.Timestamp(TRUTH.response.first_day)
EVENING = range(16, 22)


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    """One row an incident, with wait, busy and scene minutes and the hour of receipt."""
    frame = table("response_log.csv").drop_duplicates("incident").reset_index(drop=True)
    minutes = {
        "wait": frame["dispatched"] - frame["received"],
        "busy": frame["cleared"] - frame["dispatched"],
        "travel": frame["arrived"] - frame["dispatched"],
        "scene": frame["cleared"] - frame["arrived"],
        "answer": frame["arrived"] - frame["received"],
    }
    frame = frame.assign(**{name: gap.dt.total_seconds() / 60 for name, gap in minutes.items()})
    return frame.assign(hour=frame["received"].dt.hour)


def fit_of_hours(log: pd.DataFrame, profile: tuple[float, ...]) -> float:
    """p-value of the chi-square test of the incidents by hour against a profile and the weekend's nights."""
    nights = (5 + 2 * TRUTH.response.weekend_factor) / 7
    expected = np.array(profile) * np.where((np.arange(24) >= 18) | (np.arange(24) < 4), nights, 1)
    counts = log.groupby("hour").size().to_numpy()
    return float(stats.chisquare(counts, expected * counts.sum() / expected.sum()).pvalue)


def test_arrivals_follow_the_profile_of_the_day(log):
    """Chi-square over 24 hours fits the true profile and refuses a profile that is one hour late."""
    profile = TRUTH.response.profile
    assert fit_of_hours(log, profile) > 0.001
    assert fit_of_hours(log, profile[-1:] + profile[:-1]) < 1e-9


def test_arrivals_follow_the_people(log):
    """Each district has as many incidents as its people and the rate say, and not 10% more."""
    days, rate = TRUTH.response.days, TRUTH.response.incidents_per_1000_a_day
    for district in DISTRICTS:
        mean = district.population / 1_000 * rate * days
        count = (log["district"] == district.name).sum()
        assert abs(count - mean) < 3.5 * np.sqrt(mean), district.name
    total = sum(d.population for d in DISTRICTS) / 1_000 * rate * days
    assert abs(len(log) - 1.1 * total) > 3.5 * np.sqrt(total)


def test_weekend_evenings_are_busier(log):
    """Friday and Saturday evenings have the stated factor, within 3.5 standard errors."""
    evening = log[log["hour"] >= 18].groupby(log["received"].dt.weekday).size()
    weekend, week = evening[[4, 5]].sum() / 2, evening[[0, 1, 2, 3, 6]].sum() / 5
    error = np.sqrt(1 / (2 * weekend) + 1 / (5 * week))
    assert abs(np.log(weekend / week) - np.log(TRUTH.response.weekend_factor)) < 3.5 * error
    assert abs(np.log(weekend / week) - np.log(1.25)) > 3.5 * error


@pytest.mark.parametrize(
    "kind", [k for k in INCIDENT_TYPES if k.name != "mental health"], ids=lambda k: k.name
)
def test_time_on_the_scene_is_log_normal(log, kind):
    """Mean and spread of the logarithm lie within 3.5 standard errors; a median 15% off does not."""
    rows = log[(log["type"] == kind.name) & (log["grade"] > 1)]  # grade 1 arrivals may be bent to the target
    logs = np.log(rows["scene"].dropna())
    error = kind.sigma / np.sqrt(len(logs))
    assert abs(logs.mean() - np.log(kind.median)) < 3.5 * error
    assert abs(logs.std() - kind.sigma) < 3.5 * error / np.sqrt(2)
    assert abs(logs.mean() - np.log(1.15 * kind.median)) > 3.5 * error


def test_a_crisis_holds_the_car(log):
    """A mental-health job keeps its car about twice as long as the others; a quarter of them go to the ED."""
    jobs = drawn().hidden["response.jobs"]
    crisis = jobs[jobs["type"] == "mental health"]
    share, truth = (crisis["in_ed"] > 0).mean(), TRUTH.response
    assert abs(share - truth.ed_chance) < 3.5 * np.sqrt(truth.ed_chance * (1 - truth.ed_chance) / len(crisis))
    logs = np.log(crisis.loc[crisis["in_ed"] > 0, "in_ed"] / 60)
    assert (
        abs(logs.mean() - np.log(truth.ed_mean) + truth.ed_sigma**2 / 2)
        < 3.5 * truth.ed_sigma / len(logs) ** 0.5
    )
    busy = log.groupby(log["type"] == "mental health")["busy"].mean()
    assert busy[True] > 1.8 * busy[False]


def jumped(rows: pd.DataFrame) -> int:
    """Jobs of one district that were dispatched while a more urgent one had been waiting."""
    count = 0
    for grade in (2, 3):
        less, more = rows[rows["grade"] == grade], rows[rows["grade"] < grade]
        sent = less["dispatched"].to_numpy()[:, None]
        waiting = (more["received"].to_numpy() < sent) & (sent < more["dispatched"].to_numpy())
        count += int(waiting.any(axis=1).sum())
    return count


def test_the_most_urgent_goes_first(log):
    """In no district does a lower grade leave while a higher one waits; without priority, hundreds do."""
    for name, rows in log.groupby("district"):
        assert jumped(rows) == 0, name
    rows = log[log["district"] == "Wrenford"].sort_values("received")
    second = ((rows["received"] - START).dt.total_seconds()).to_numpy().astype(int)
    busy = (rows["busy"].to_numpy() * 60).astype(int)
    jobs = response.Jobs(
        second, np.ones(len(rows), int), rows["units"].to_numpy(), np.zeros(len(rows), int), busy
    )
    sent = response.run_queue(jobs, [5] * 24, 0, lambda now, job, origin: 0)[0]
    assert jumped(rows.assign(dispatched=START + pd.to_timedelta(sent, unit="s"))) > 100


def test_within_a_grade_first_come_first_served(log):
    """In order of receipt, nobody of the same grade and district is dispatched before an earlier one."""
    for _, rows in log.sort_values("received", kind="stable").groupby(["district", "grade"]):
        assert rows["dispatched"].is_monotonic_increasing


def out_at(rows: pd.DataFrame, when: pd.Series, side: str = "right") -> np.ndarray:
    """Cars of one district that are on a job at each moment, weighted by units."""
    sent, back = rows.sort_values("dispatched"), rows.sort_values("cleared")
    begun = np.r_[0, sent["units"].cumsum()][np.searchsorted(sent["dispatched"], when, side=side)]
    return begun - np.r_[0, back["units"].cumsum()][np.searchsorted(back["cleared"], when, side=side)]


@pytest.mark.parametrize("district", DISTRICTS, ids=lambda d: d.name)
def test_cars_are_neither_invented_nor_idle(log, district):
    """Dispatching never takes more cars than are on duty; nobody waits for one car while one stands free."""
    rows = log[log["district"] == district.name]
    duty = rows["dispatched"].dt.hour.map(district.cars_at).to_numpy()
    assert (out_at(rows, rows["dispatched"]) <= duty).all()
    minutes = pd.Series(
        pd.date_range(START, periods=TRUTH.response.days * 1_440, freq="min") + pd.Timedelta(seconds=30)
    )
    queue = np.searchsorted(rows["received"].sort_values(), minutes, side="right")
    queue = queue - np.searchsorted(rows["dispatched"].sort_values(), minutes, side="right")
    free = minutes.dt.hour.map(district.cars_at).to_numpy() - out_at(rows, minutes)
    assert ((queue == 0) | (free <= 1)).all()  # one may stand free while the first in line needs two
    assert ((queue > 0) & (free == 1)).sum() < 0.15 * (queue > 0).sum()


def test_the_rota_is_the_one_in_the_queue():
    """`cars_on_duty.csv` says the cars that the queue had."""
    cars = table("cars_on_duty.csv")
    assert len(cars) == 24 * len(DISTRICTS)
    for district in DISTRICTS:
        rows = cars[cars["district"] == district.name].sort_values("hour")
        assert rows["cars"].tolist() == [district.cars_at(hour) for hour in range(24)]


def test_littles_law_holds_in_the_log(log):
    """Jobs counted at every minute equal rate times stay within 1%, waiting and with a car."""
    minutes = pd.date_range(START, periods=TRUTH.response.days * 1_440, freq="min")
    rate = len(log) / len(minutes)
    for begin, end, stay in (("received", "dispatched", "wait"), ("dispatched", "cleared", "busy")):
        begun = np.searchsorted(log[begin].sort_values(), minutes, side="right")
        inside = begun - np.searchsorted(log[end].sort_values(), minutes, side="right")
        assert inside.mean() == pytest.approx(rate * log[stay].mean(), rel=0.01)


def test_utilisation_and_waits_have_the_magnitudes_that_lessons_need(log):
    """Evenings bring 73% to 95% of what the cars can do, Highmoor less and waits longest.

    Most wait not at all.
    """
    for district in DISTRICTS:
        rows = log[(log["district"] == district.name) & log["hour"].isin(EVENING)]
        capacity = TRUTH.response.days * 60 * sum(district.cars_at(hour) for hour in EVENING)
        share = (rows["busy"] * rows["units"]).sum() / capacity
        low, high = (0.5, 0.72) if district.name == "Highmoor" else (0.73, 0.95)
        assert low < share < high, (district.name, share)
    assert log.groupby("district")["wait"].mean().idxmax() == "Highmoor"
    assert (log["wait"] == 0).mean() > 0.5
    assert 9 < log["wait"].mean() < 14


def test_tamarmouth_and_stonebridge_are_twins(log):
    """Neighbours with the same people, areas and cars, and counts that differ by chance alone."""
    one, two = DISTRICTS[:2]
    assert (one.population, one.areas, one.cars) == (two.population, two.areas, two.cars)
    districts = table("areas.gpkg").dissolve("district").geometry
    assert districts["Tamarmouth"].intersection(districts["Stonebridge"]).length > 1_000
    counts = log["district"].value_counts()
    assert abs(counts["Tamarmouth"] - counts["Stonebridge"]) < 3.5 * np.sqrt(
        counts[["Tamarmouth", "Stonebridge"]].sum()
    )


def test_travel_comes_from_the_roads_and_the_nearest_free_car(log):
    """No car is faster than the graph allows, and travel is longer when few cars are free."""
    rows = log[(log["district"] == "Tamarmouth") & log["travel"].notna()]
    free = 6 - out_at(rows, rows["dispatched"], side="left")
    few, many = rows[free <= 1]["travel"], rows[free >= 5]["travel"]
    error = np.sqrt(few.var() / len(few) + many.var() / len(many))
    assert few.mean() - many.mean() > 3.5 * error
    assert few.mean() > 1.3 * many.mean()


def test_the_dirt_is_what_the_dictionary_says(log):
    """Double rows, missing arrivals, second spellings and arrivals bent to the target, as many as stated."""
    truth, raw = TRUTH.response, table("response_log.csv")
    assert raw["incident"].duplicated().sum() == truth.duplicated_rows
    assert raw.duplicated().sum() == truth.duplicated_rows
    assert log["arrived"].isna().sum() == truth.missing_arrived
    spelling = log.groupby("district")["station"].nunique()
    assert spelling[spelling == 2].index.tolist() == ["Otterleigh", "Tamarmouth"]
    recorded = log.loc[log["grade"] == 1, "answer"]
    jobs = drawn().hidden["response.jobs"]
    true = (jobs["arrived"] - jobs["received"]).dt.total_seconds()[jobs["grade"] == 1] / 60
    before, after = ((recorded > low).sum() - (recorded > low + 1).sum() for low in (14, 15))
    assert before > 1.6 * after
    assert (true.between(14, 15)).sum() < 1.3 * true.between(15, 16).sum()


def test_every_incident_lies_in_its_district(log):
    """The area of each incident belongs to the district whose cars answer."""
    district = table("areas.gpkg").set_index("area_code")["district"]
    assert (log["area"].map(district) == log["district"]).all()
    assert (log["received"] <= log["dispatched"]).all()
    assert (log["dispatched"] < log["arrived"].fillna(log["cleared"])).all()
    assert (log["arrived"].fillna(log["dispatched"]) < log["cleared"]).all()


@pytest.fixture(scope="module")
def calls() -> pd.DataFrame:
    """The control room's calls with the seconds of waiting and the half hour of the day."""
    frame = table("control_room.csv")
    wait = (frame["answered"] - frame["received"]).dt.total_seconds()
    return frame.assign(wait=wait, half=frame["received"].dt.hour + frame["received"].dt.minute // 30 / 2)


def erlang_c(load: float, servers: int) -> float:
    """Chance of waiting in M/M/c."""
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = load * blocked / (n + load * blocked)
    return blocked / (1 - load / servers * (1 - blocked))


def against_erlang(calls: pd.DataFrame, halves: list[float]) -> tuple[float, float]:
    """Share of callers who wait in these half hours: in the log, and by Erlang C with the rota's agents."""
    rows = calls[calls["half"].isin(halves)]
    expected = []
    for _, part in rows.groupby("half"):
        load = len(part) / TRUTH.control_room.days * part["handled_seconds"].mean() / 1_800
        expected += [erlang_c(load, int(part["agents"].iloc[0]))] * len(part)
    return (rows["wait"] > 0).mean(), float(np.mean(expected))


def test_erlang_c_fits_the_steady_hours_and_misses_the_change_of_shift(calls):
    """From 16:00 to 22:00 the share that waits is Erlang's within a sixth; from 23:00 it is far more."""
    seen, expected = against_erlang(calls, [16 + n / 2 for n in range(12)])
    assert seen == pytest.approx(expected, rel=1 / 6)
    seen, expected = against_erlang(calls, [23.0])
    assert seen > 1.3 * expected


def test_a_999_call_never_waits_behind_a_101_call(calls):
    """No 101 call is answered while a 999 call rings; the conservation law leaves the shares as they are."""
    urgent, rest = calls[calls["kind"] == 999], calls[calls["kind"] == 101]
    late = urgent[urgent["wait"] > 0]
    answered = np.sort(rest["answered"].to_numpy())
    between = np.searchsorted(answered, late["answered"], side="left") - np.searchsorted(
        answered, late["received"], side="right"
    )
    assert between.sum() == 0
    assert urgent["wait"].mean() < rest["wait"].mean() / 2
    share = TRUTH.control_room.share_999
    assert abs(len(urgent) / len(calls) - share) < 3.5 * np.sqrt(share * (1 - share) / len(calls))


def test_the_calls_are_those_of_the_hourly_table_and_their_handling_log_normal(calls):
    """Hour by hour as many as counted.

    Mean and coefficient of variation of the handling time within 3.5 errors.
    """
    hourly = table("calls_hourly.csv").set_index("hour")["calls"]
    counted = calls.groupby(calls["received"].dt.floor("h")).size()
    assert (counted == hourly.loc[counted.index]).all()
    assert counted.sum() == hourly.loc["2026-01-12":"2026-02-01"].sum()
    truth, logs = TRUTH.control_room, np.log(calls["handled_seconds"])
    sigma = np.sqrt(np.log(1 + truth.handling_cv**2))
    assert abs(logs.mean() - np.log(truth.handling_mean) + sigma**2 / 2) < 3.5 * sigma / np.sqrt(len(logs))
    assert abs(logs.std() - sigma) < 3.5 * sigma / np.sqrt(2 * len(logs))
