"""The health family against its truth: stays, cancellations and the clinic's desks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from world_once import drawn, table

from psma.world.health import WINTER, cancellation_logit
from psma.world.truth import TRUTH


@pytest.fixture(scope="module")
def stroke() -> pd.DataFrame:
    """The committed admissions, each once."""
    return table("stroke_admissions.csv").drop_duplicates("admission")


@pytest.fixture(scope="module")
def surgery() -> pd.DataFrame:
    """The committed operations."""
    return table("surgical_cancellations.csv")


@pytest.fixture(scope="module")
def clinic() -> pd.DataFrame:
    """The committed visits."""
    return table("vaccination_arrivals.csv")


def standard_errors_off(values: pd.Series, mean: float, sigma: float) -> tuple[float, float]:
    """How many standard errors a sample's log mean and log spread are off a log-normal's."""
    logs = np.log(values[values > 0])
    mu = np.log(mean) - sigma**2 / 2
    return abs(logs.mean() - mu) / (sigma / np.sqrt(len(logs))), abs(logs.std() - sigma) / (
        sigma / np.sqrt(2 * len(logs))
    )


def test_admissions_come_at_the_stated_rate_and_more_in_winter(stroke):
    """Count within 3.5 SE of Poisson; January above July; the double rows are as many as stated."""
    truth = TRUTH.health.stroke
    expected = truth.a_day * truth.days
    assert abs(len(stroke) - expected) < 3.5 * np.sqrt(expected)
    winter, summer = (stroke["admitted"].dt.month.isin(m).sum() for m in ([12, 1, 2], [6, 7, 8]))
    assert winter > summer
    assert len(table("stroke_admissions.csv")) - len(stroke) == truth.duplicated_rows


@pytest.mark.parametrize("kind", TRUTH.health.stroke.kinds, ids=lambda kind: kind.name)
def test_stays_are_log_normal_with_the_stated_parameters(stroke, kind):
    """Mean and spread of the logarithm within 3.5 standard errors; a mean a third longer is refused."""
    rows = stroke[stroke["kind"] == kind.name]
    assert max(standard_errors_off(rows["acute_days"].dropna(), *kind.acute)) < 3.5
    assert standard_errors_off(rows["acute_days"].dropna(), kind.acute[0] * 1.33, kind.acute[1])[0] > 3.5
    goes = (rows["onward"] == "rehabilitation").sum()
    spread = np.sqrt(len(rows) * kind.rehab_chance * (1 - kind.rehab_chance))
    assert abs(goes - len(rows) * kind.rehab_chance) <= 3.5 * spread
    assert (rows["rehab_days"].notna() == (rows["onward"] == "rehabilitation")).all()


def test_cancellation_follows_its_logistic(surgery):
    """Every coefficient within 3 standard errors, from the world before a grade goes missing."""
    truth, frame = TRUTH.health.surgery, surgery.dropna(subset=["asa_grade"])
    wants, winter = frame["hdu_bed"] == "yes", frame["date"].dt.month.isin(WINTER)
    x = pd.DataFrame({
        "intercept": 1.0,
        "last_on_list": frame["list_position"] == frame["list_length"],
        "hdu": wants,
        "hdu_in_winter": wants & winter,
        "cancelled_before": frame["cancelled_before"],
        "asa": frame["asa_grade"] - 1,
        "lead_months": frame["lead_days"] / 30,
        "no_preassessment": frame["preassessed"] == "no",
        "monday": frame["date"].dt.dayofweek == 0,
    }).astype(float)  # fmt: skip
    fit = sm.Logit(frame["cancelled"].astype(float), x).fit(disp=False)
    off = {name: abs(fit.params[name] - getattr(truth, name)) / fit.bse[name] for name in x}
    assert max(off.values()) < 3, off
    assert sum(abs(fit.params[name]) > 3 * fit.bse[name] for name in x) >= 6  # a flat zero would not do


def test_the_interaction_is_in_the_formula(surgery):
    """A wanted bed costs more in January than in June, by the stated amount and for nobody else."""
    row = surgery.dropna().iloc[[0]].assign(hdu_bed="yes")
    january, june = (row.assign(date=pd.Timestamp(f"2025-{m}-14")) for m in ("01", "06"))
    truth = TRUTH.health.surgery
    gap = cancellation_logit(january, truth) - cancellation_logit(june, truth)
    assert gap == pytest.approx(truth.hdu_in_winter)


def test_consultants_make_no_difference(surgery):
    """Cancelled shares by consultant are as even as chance makes them (chi-square below its 99.9% point)."""
    from scipy.stats import chi2_contingency

    assert chi2_contingency(pd.crosstab(surgery["consultant"], surgery["cancelled"])).pvalue > 0.001


def test_the_clinic_is_as_punctual_and_as_slow_as_stated(clinic):
    """Arrival, desks and assistance within 3.5 standard errors; a second dose has no conversation."""
    truth = TRUTH.health.vaccination
    early = (clinic["arrived"] - clinic["slot"]).dt.total_seconds() / 60
    assert abs(early.mean() - truth.early_mean) < 3.5 * truth.early_sd / np.sqrt(len(early))
    assert abs(early.std() - truth.early_sd) < 3.5 * truth.early_sd / np.sqrt(2 * len(early))
    slots = truth.days * (truth.closes - truth.opens) * 60 // truth.slot_minutes * truth.a_slot
    kept = 1 - truth.no_show
    assert abs(len(clinic) - slots * kept) < 3.5 * np.sqrt(slots * kept * truth.no_show)
    plain = clinic[clinic["assistance"] == "no"]
    assert max(standard_errors_off(plain["vaccination_minutes"], *truth.vaccination)) < 3.5
    assert max(standard_errors_off(plain["registration_minutes"].dropna(), *truth.registration)) < 3.5
    helped = clinic.loc[clinic["assistance"] == "yes", "vaccination_minutes"]
    ratio = helped.mean() / plain["vaccination_minutes"].mean()
    assert ratio == pytest.approx(truth.slower, rel=0.08)
    assert (clinic.loc[clinic["dose"] == "second", "conversation_minutes"] == 0).all()
    assert (clinic.loc[clinic["dose"] == "first", "conversation_minutes"] > 0).all()


def test_the_committed_files_are_the_drawn_ones(stroke):
    """The tables in memory and on disk have the same rows."""
    world = drawn()
    assert len(world.tables["stroke_admissions.csv"].drop_duplicates("admission")) == len(stroke)
