"""Crisis contacts and the emergency department's event log against their truth and against the other
tables."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from world_once import drawn, table

from psma.world.truth import TRUTH


@pytest.fixture(scope="module")
def contacts() -> pd.DataFrame:
    """The committed contacts."""
    return table("crisis_contacts.csv")


@pytest.fixture(scope="module")
def everything() -> pd.DataFrame:
    """Every contact of the year, recorded or not, with the true flag."""
    return drawn().hidden["crisis.truth"]


def expected_coefficients() -> dict[str, float]:
    """The logistic of the truth, by the name of the column in `logit_of`."""
    truth = TRUTH.crisis
    shifts = dict(truth.age_effects + truth.outcome_effects + truth.attended_effects)
    return {
        "const": truth.intercept,
        "previous": truth.previous_slope,
        "decile": truth.decile_slope,
        "alcohol": truth.alcohol_effect,
        **shifts,
    }


def logit_of(frame: pd.DataFrame, answer: str):
    """Logistic regression of re-contact on what the truth uses."""
    x = pd.DataFrame(
        {
            "previous": frame["previous"].clip(upper=TRUTH.crisis.previous_cap),
            "decile": frame["decile"] - 1,
            "alcohol": frame["alcohol"],
            **{name: frame["age_band"] == name for name, _ in TRUTH.crisis.age_effects},
            **{name: frame["outcome"] == name for name, _ in TRUTH.crisis.outcome_effects},
            **{name: frame["attended"] == name for name, _ in TRUTH.crisis.attended_effects},
        }
    )
    return sm.Logit(frame[answer].astype(float), sm.add_constant(x.astype(float))).fit(disp=False)


def test_coming_back_is_logistic_with_the_stated_coefficients(everything):
    """All eleven coefficients within 3 standard errors; turned round, most of them are refused."""
    fit, truth = logit_of(everything, "again"), expected_coefficients()
    distance = {name: abs(fit.params[name] - value) / fit.bse[name] for name, value in truth.items()}
    assert max(distance.values()) < 3, distance
    turned = [abs(fit.params[name] + value) / fit.bse[name] for name, value in truth.items()]
    assert sum(far > 3 for far in turned) >= 8


def test_rural_contacts_are_recorded_less_and_seem_to_come_back_less(everything, contacts):
    """The share recorded is the truth's; what is recorded shows a deficit that the truth doesn't have."""
    truth, areas = TRUTH.crisis, table("areas.gpkg").set_index("area_code")
    rural = (areas["rurality"] == "rural").to_numpy()[everything["place"]]
    share = everything.loc[rural, "recorded"].mean()
    assert everything.loc[~rural, "recorded"].all()
    assert abs(share - truth.rural_recorded) < 3.5 * np.sqrt(share * (1 - share) / rural.sum())
    shown = (
        everything[everything["recorded"]].groupby("rural")[["again", "recontact_30d"]].agg(["mean", "size"])
    )
    said, true = shown["recontact_30d"]["mean"], shown["again"]["mean"]
    error = np.sqrt((said * (1 - said) / shown["again"]["size"]).sum())
    assert said[False] - said[True] > 3.5 * error
    assert abs(true[False] - true[True]) < 3.5 * error
    assert 0.55 < said[True] / true[True] < 0.85
    assert said[False] == pytest.approx(true[False], rel=0.01)
    assert len(contacts) == everything["recorded"].sum()


def test_the_true_flag_is_what_happens_next(everything):
    """Whoever is marked comes back within 30 days, nobody else does, as far as the file can tell."""
    rows = everything.sort_values(["person", "time"])
    gap = rows.groupby("person")["time"].shift(-1) - rows["time"]
    settled = rows["time"] < rows["time"].max() - pd.Timedelta(days=30)
    assert ((gap <= pd.Timedelta(days=30)) == (rows["again"] == 1))[settled].all()
    assert 0.1 < rows["again"].mean() < 0.35


def test_the_recorded_flag_can_be_computed_from_the_file(contacts):
    """`recontact_30d` is the next row of the same person within 30 days, where the file is long enough."""
    rows = contacts.sort_values(["person", "time"])
    gap = rows.groupby("person")["time"].shift(-1) - rows["time"]
    settled = rows["time"] < rows["time"].max() - pd.Timedelta(days=30)
    assert ((gap <= pd.Timedelta(days=30)) == (rows["recontact_30d"] == 1))[settled].all()


def test_previous_contacts_are_counted(contacts):
    """Never fewer than the file shows, and exactly as many for people whose 365 days lie within it."""
    position = contacts.sort_values("time").groupby("person").cumcount()
    assert (contacts["previous_contacts"] >= position).all()
    late = contacts["time"] > contacts["time"].max() - pd.Timedelta(hours=12)
    assert (contacts["previous_contacts"] - position)[late].max() <= 1


def test_police_contacts_are_the_mental_health_incidents_of_the_log(contacts):
    """Incident, time, district and area agree with the log; ED hours are held by the car."""
    log = table("response_log.csv").drop_duplicates("incident").set_index("incident")
    rows = contacts.dropna(subset="incident").set_index("incident")
    own = log.loc[rows.index]
    assert rows.index.is_unique
    assert (own["type"] == "mental health").all()
    for column, other in (("time", "received"), ("area", "area"), ("district", "district")):
        assert (rows[column] == own[other]).all()
    assert rows["attended"].isin(["police", "street triage"]).all()
    scene = (own["cleared"] - own["arrived"]).dt.total_seconds() / 3600
    held = rows["ed_wait_hours"].notna() & scene.notna()
    assert (scene[held] > rows["ed_wait_hours"][held] - 0.01).all()
    assert len(rows) > 0.85 * (log["type"] == "mental health").sum()
    during = contacts["time"] >= TRUTH.response.first_day
    assert contacts.loc[during & (contacts["attended"] != "ambulance"), "incident"].notna().all()
    assert contacts.loc[~during | (contacts["attended"] == "ambulance"), "incident"].isna().all()


def test_the_columns_agree_with_one_another(contacts):
    """Hours and hospital stand together.

    The outcome fits the place; triage keeps its hours; gaps are as stated.
    """
    to_ed = contacts["ed_wait_hours"].notna()
    assert (contacts["hospital"].notna() == to_ed).all()
    assert not contacts.loc[~to_ed, "outcome"].isin(["admitted", "left before seen"]).any()
    assert not contacts.loc[to_ed, "outcome"].eq("section 136").any()
    triage = contacts["attended"] == "street triage"
    assert contacts.loc[triage, "time"].dt.hour.isin(TRUTH.crisis.triage_hours).all()
    share = to_ed.groupby(contacts["attended"]).mean()
    assert share["street triage"] < share["police"] < share["ambulance"]
    for column, chance in (("age_band", TRUTH.crisis.missing_age), ("alcohol", TRUTH.crisis.missing_alcohol)):
        assert abs(contacts[column].isna().mean() - chance) < 3.5 * np.sqrt(chance / len(contacts))


@pytest.fixture(scope="module")
def pathway() -> pd.DataFrame:
    """The event log, one row a patient and one column an event."""
    events = table("ed_pathway.csv")
    wide = events.set_index(["patient", "event"])["time"].unstack()
    start = events[events["event"] == "care started"].set_index("patient")["place"]
    return wide.assign(route=start, condition=events.groupby("patient")["condition"].first())


STEPS = ["arrived", "triage started", "triage ended", "care started", "decision", "departed"]


def test_events_come_in_order_and_the_flow_balances(pathway):
    """Nobody leaves before arriving or skips a step; in = out + still inside, and somebody is."""
    for before, after in pairwise(STEPS):
        assert not (pathway[before] > pathway[after]).any()
        assert not (pathway[before].isna() & pathway[after].notna()).any()
    inside = pathway["departed"].isna().sum()
    assert len(pathway) == pathway["departed"].notna().sum() + inside
    assert 5 < inside < 80
    assert pathway.drop(columns=["route", "condition"]).max().max() < pd.Timestamp("2026-02-02")


def most_at_once(begin: pd.Series, end: pd.Series) -> int:
    """Largest number inside at any moment; whoever leaves in a second leaves before others come in."""
    end = end.fillna(pd.Timestamp("2027-01-01"))[begin.notna()]
    moments = pd.concat([pd.Series(-1, end), pd.Series(1, begin.dropna())])
    order = np.lexsort((moments.to_numpy(), moments.index.to_numpy()))
    return int(moments.to_numpy()[order].cumsum().max())


def test_nurses_chairs_and_beds_are_never_more_than_there_are(pathway):
    """Concurrent triages, chairs and beds reach their number and never pass it.

    Each line is first come first served.
    """
    truth = TRUTH.pathway
    assert most_at_once(pathway["triage started"], pathway["triage ended"]) == truth.nurses
    for route, places in (("ambulatory", truth.chairs), ("bed", truth.beds)):
        rows = pathway[pathway["route"] == route]
        assert most_at_once(rows["care started"], rows["departed"]) == places
        assert rows.sort_values(["triage ended", "care started"])["care started"].is_monotonic_increasing
    assert pathway.sort_values(["arrived", "triage started"])["triage started"].is_monotonic_increasing


def test_the_daily_table_counts_the_pathway(pathway):
    """Arrivals, patients in crisis and (where the departure is known) stays over four hours, day by day."""
    daily = table("ed_attendances_daily.csv")
    own = (
        daily[daily["hospital"] == TRUTH.demand.departments[0].hospital]
        .set_index("date")
        .loc["2026-01-12":"2026-02-01"]
    )
    day = pathway["arrived"].dt.normalize()
    assert (pathway.groupby(day).size() == own["attendances"]).all()
    assert ((pathway["condition"] == "mental health").groupby(day).sum() == own["mental_health"]).all()
    over = (pathway["departed"] - pathway["arrived"] > pd.Timedelta(hours=4)).groupby(day).sum()
    assert (over == own["over_four_hours"])[:-2].all()


def test_beds_are_used_by_condition_and_breach_more(pathway):
    """The share sent to a bed is the condition's, within 3.5 standard errors.

    Beds breach four hours far more often.
    """
    done = pathway.dropna(subset="route")
    for condition in TRUTH.pathway.conditions:
        share = done.loc[done["condition"] == condition.name, "route"] == "bed"
        error = np.sqrt(condition.bed_chance * (1 - condition.bed_chance) / len(share))
        assert abs(share.mean() - condition.bed_chance) < 3.5 * error, condition.name
    late = (pathway["departed"] - pathway["arrived"] > pd.Timedelta(hours=4)).groupby(pathway["route"]).mean()
    assert late["bed"] > 5 * late["ambulatory"]
    assert 0.1 < (pathway["departed"] - pathway["arrived"] > pd.Timedelta(hours=4)).mean() < 0.4
