"""The crime family against its truth: background, near repeats, map points and lasting risk."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from world_once import drawn, table

from psma.world.crime import background_weights
from psma.world.nearness import pairs_by_days
from psma.world.truth import TRUTH


@pytest.fixture(scope="module")
def burglary() -> pd.DataFrame:
    """Every burglary, with its generation and its exact day."""
    return drawn().hidden["crime.burglary"]


@pytest.fixture(scope="module")
def incidents() -> pd.DataFrame:
    """Every incident, with the point where it really happened."""
    return drawn().hidden["crime.incidents"]


def knox(events: pd.DataFrame, metres: float, days: float) -> float:
    """Pairs within so many metres and days, over what shuffled days give."""
    seen, chance = pairs_by_days(events, metres, longest=days, step=days)
    return seen[0] / chance[0]


def test_background_follows_people_and_deprivation(burglary):
    """Counts by fifth of deprivation: chi-square above its 0.1% point, and refused without the slope."""
    areas = drawn().tables["areas.gpkg"]
    fifth = pd.qcut(areas["deprivation_score"], 5, labels=False)
    found = burglary[burglary["generation"] == 0].groupby("area").size()
    seen = areas["area_code"].map(found).fillna(0).groupby(fifth).sum()

    def p_value(slope: float) -> float:
        share = pd.Series(background_weights(areas, slope)).groupby(fifth).sum()
        return stats.chisquare(seen, share * seen.sum()).pvalue

    assert p_value(TRUTH.crime.burglary_slope) > 0.001
    assert p_value(0.0) < 1e-6


def test_background_has_the_stated_rate(burglary):
    """Poisson count within 3.5 standard errors; days uniform (Kolmogorov-Smirnov)."""
    own = burglary.loc[burglary["generation"] == 0, "day"]
    expected = TRUTH.crime.background_a_day * TRUTH.crime.burglary_days
    assert abs(len(own) - expected) < 3.5 * np.sqrt(expected)
    assert stats.kstest(own / TRUTH.crime.burglary_days, "uniform").pvalue > 0.001


def test_burglaries_breed_near_repeats_and_only_near(burglary):
    """Knox: above 2 within 200 m and a fortnight; about 1 at long range in space, and in time."""
    assert knox(burglary, 200, 14) > 2
    far_in_space = knox(burglary, 4_000, 14)
    assert 0.97 < far_in_space < 1.15 < knox(burglary, 200, 14)
    seen, chance = pairs_by_days(burglary, 200, longest=330, step=30)
    assert (
        0.7 < seen[3:].sum() / chance[3:].sum() < 1.0
    )  # what the early bins have too much, the late ones lack


def test_without_children_there_is_no_near_repeat(burglary):
    """The background alone has a Knox ratio within its own chance of 1."""
    own = burglary[burglary["generation"] == 0].reset_index(drop=True)
    assert 0.8 < knox(own, 200, 14) < 1.2


def test_boost_and_decay_are_recovered(burglary):
    """Children by generation as stated; the excess of near pairs over chance falls off at the stated pace."""
    children = (burglary["generation"] > 0).sum()
    assert children / len(burglary) == pytest.approx(TRUTH.crime.repeat_mean, abs=0.03)
    seen, chance = pairs_by_days(burglary, 300, longest=60, step=5)
    base = seen[-3:].sum() / chance[-3:].sum()
    extra = np.clip(seen - base * chance, 1, None)[:6]
    slope = np.polyfit(np.arange(6) * 5 + 2.5, np.log(extra), 1)[0]
    # siblings and grandchildren stretch the tail a little beyond one child's mean
    assert 0.8 * TRUTH.crime.repeat_days < -1 / slope < 1.9 * TRUTH.crime.repeat_days


def test_every_burglary_lies_in_its_area_and_its_window():
    """Published points are in the polygon of their area; the window has its two ends the right way round."""
    frame, areas = table("burglary.csv"), drawn().tables["areas.gpkg"].set_index("area_code")
    points = gpd.points_from_xy(frame["easting_m"], frame["northing_m"])
    home = gpd.GeoSeries(areas.loc[frame["area"], "geometry"].to_numpy())
    assert (home.distance(gpd.GeoSeries(points)) < 1.0).all()  # a metre for the rounding
    assert (frame["earliest"] <= frame["latest"]).all()


def test_an_incident_is_published_at_the_nearest_point_of_its_area(incidents):
    """No other map point of the area is nearer to where it happened."""
    spots = table("snap_points.csv")
    some = incidents.dropna(subset=["point"]).sample(300, random_state=1)
    merged = some.merge(spots, on="area", suffixes=("", "_spot"))
    gap = np.hypot(
        merged["true_easting_m"] - merged["easting_m_spot"],
        merged["true_northing_m"] - merged["northing_m_spot"],
    )
    nearest = merged.loc[gap.groupby(merged["incident"]).idxmin()].set_index("incident")["point_spot"]
    agree = nearest.reindex(some["incident"]).to_numpy() == some["point"].to_numpy()
    assert agree.mean() > 0.99


def test_the_dots_are_not_where_it_happened(incidents):
    """Median distance from event to dot over 30 m: the anonymiser moves things."""
    known = incidents.dropna(subset=["point"])
    moved = np.hypot(
        known["true_easting_m"] - known["easting_m"], known["true_northing_m"] - known["northing_m"]
    )
    assert 30 < moved.median() < 200


def test_months_differ_by_chance_alone_and_places_do_not(incidents):
    """Monthly totals pass a chi-square test for Poisson; points are far more uneven than chance."""
    months = incidents.groupby("month").size()
    assert stats.chisquare(months).pvalue > 0.001
    points = incidents.groupby("point").size()
    assert points.var() / points.mean() > 5


def test_hot_spots_regress_to_the_mean(incidents):
    """The points ranked 101 to 200 in one quarter fall in the next, although nothing changed."""
    quarter = incidents["month"].dt.quarter
    first, second = (incidents[quarter == q].groupby("point").size() for q in (1, 2))
    hottest = first.sort_values(ascending=False).index[100:200]
    assert second.reindex(hottest).fillna(0).sum() < first.reindex(hottest).sum()


def test_public_places_stand_out(incidents):
    """Incidents a point at public places over those at streets: more than twice."""
    spots = table("snap_points.csv")
    public = spots["location"].isin([f"On or near {name}" for name, _ in TRUTH.crime.places])
    counts = spots["point"].map(incidents.groupby("point").size()).fillna(0)
    assert counts[public].mean() > 2 * counts[~public].mean()
