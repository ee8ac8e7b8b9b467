"""The crime family: burglaries that breed near repeats, and recorded incidents on snapped points.

Burglary is a self-exciting point process (a Hawkes process, drawn by its branching structure): background
events follow households and deprivation, and each event has children nearby and soon after. Incidents happen
at places whose risk is lasting, and are published as an open-data portal would: by month, moved to the
nearest of a list of map points. True parameters: `truth.CrimeTruth`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import shapely

from psma.world.frame import World
from psma.world.pathway import choose
from psma.world.truth import TRUTH, CrimeTruth

FAMILY = "crime"
NEEDS: tuple[str, ...] = ("geography",)
TABLES = ("burglary.csv", "snap_points.csv", "incidents.csv")
DAY = 86_400
TRIES = 40


def points_in(shapes: Sequence[shapely.Geometry], which: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A uniform random point (easting, northing in metres) in the shape of each row of `which`; rejection."""
    bounds = shapely.bounds(np.asarray(shapes))[which]
    found, todo = np.empty((which.size, 2)), np.arange(which.size)
    chosen = np.asarray(shapes)[which]
    shapely.prepare(chosen)
    while todo.size:
        low, high = bounds[todo, :2], bounds[todo, 2:]
        tried = low + rng.random((todo.size, 2)) * (high - low)
        inside = shapely.contains_xy(chosen[todo], tried[:, 0], tried[:, 1])
        found[todo[inside]] = tried[inside]
        todo = todo[~inside]
    return found


def area_of(points: np.ndarray, shapes: Sequence[shapely.Geometry]) -> np.ndarray:
    """Row of the area that holds each point, -1 for the sea."""
    row = np.full(len(points), -1)
    pairs = shapely.STRtree(shapes).query(shapely.points(points), predicate="within")
    row[pairs[0]] = pairs[1]
    return row


def background_weights(areas: pd.DataFrame, slope: float) -> np.ndarray:
    """Share of background events in each area: people times exp(slope x deprivation score)."""
    score = areas["deprivation_score"]
    weight = areas["population"] * np.exp(slope * (score - score.mean()))
    return np.asarray(weight / weight.sum())


def children(
    parents: np.ndarray, days: np.ndarray, truth: CrimeTruth, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points and days of the next generation, and the row of each one's parent."""
    who = np.repeat(np.arange(len(parents)), rng.poisson(truth.repeat_mean, len(parents)))
    angle = rng.uniform(0, 2 * np.pi, who.size)
    distance = rng.exponential(truth.repeat_metres, who.size)
    step = np.column_stack([np.cos(angle), np.sin(angle)]) * distance[:, None]
    return parents[who] + step, days[who] + rng.exponential(truth.repeat_days, who.size), who


def draw_burglary(areas: pd.DataFrame, truth: CrimeTruth, rng: np.random.Generator) -> pd.DataFrame:
    """Every burglary of the two years in order of time, with its generation (0: background) for the tests."""
    shapes = list(areas["geometry"])
    count = rng.poisson(truth.background_a_day * truth.burglary_days)
    which = rng.choice(len(areas), count, p=background_weights(areas, truth.burglary_slope))
    points, days = points_in(shapes, which, rng), rng.uniform(0, truth.burglary_days, count)
    parts = [(points, days, np.zeros(count, dtype=int))]
    for generation in range(1, TRIES):
        points, days, _ = children(points, days, truth, rng)
        keep = (days < truth.burglary_days) & (area_of(points, shapes) >= 0)
        points, days = points[keep], days[keep]
        if not days.size:
            break
        parts.append((points, days, np.full(days.size, generation)))
    where, when, born = (np.concatenate([part[n] for part in parts]) for n in range(3))
    order = np.argsort(when, kind="stable")
    where, when, born = where[order], when[order], born[order]
    row = area_of(where, shapes)
    found = pd.Timestamp(truth.burglary_first_day) + pd.to_timedelta(np.floor(when * 1_440), unit="min")
    away = np.round(rng.lognormal(np.log(truth.window_median_hours), truth.window_sigma, when.size) * 60)
    return pd.DataFrame({
        "burglary": [f"BG-{n:05d}" for n in range(1, when.size + 1)],
        "earliest": found - pd.to_timedelta(away * rng.random(when.size), unit="min").floor("min"),
        "latest": found + pd.to_timedelta(away * rng.random(when.size), unit="min").ceil("min"),
        "district": areas["district"].to_numpy()[row],
        "area": areas["area_code"].to_numpy()[row],
        "easting_m": np.round(where[:, 0]),
        "northing_m": np.round(where[:, 1]),
        "entry": choose(truth.entries, when.size, rng),
        "generation": born,
        "day": when,
    })  # fmt: skip


def draw_snap_points(areas: pd.DataFrame, truth: CrimeTruth, rng: np.random.Generator) -> pd.DataFrame:
    """The map points to which incidents are moved: streets everywhere, public places in the towns."""
    people = areas["population"].to_numpy()
    counts = np.maximum(3, np.round(people / truth.people_a_point)).astype(int)
    which = np.repeat(np.arange(len(areas)), counts)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    name = np.array([f"On or near {street}" for street in streets(which.size, rng)], dtype=object)
    urban = (areas["rurality"] != "rural").to_numpy()[which]
    place = urban & (rng.random(which.size) < truth.place_chance)
    name[place] = choose([(f"On or near {n}", share) for n, share in truth.places], int(place.sum()), rng)
    points = points_in(list(areas["geometry"]), which, rng)
    risk = rng.gamma(truth.risk_shape, 1 / truth.risk_shape, which.size) * np.where(
        place, truth.place_boost, 1.0
    )
    return pd.DataFrame({
        "point": [f"SP-{n:04d}" for n in range(1, which.size + 1)],
        "area": areas["area_code"].to_numpy()[which],
        "location": name,
        "easting_m": np.round(points[:, 0]),
        "northing_m": np.round(points[:, 1]),
        "risk": risk,
        "row": which,
        "number": np.arange(which.size) - first[which],
    })  # fmt: skip


def streets(size: int, rng: np.random.Generator) -> list[str]:
    """Invented street names."""
    first = (
        "Alder", "Barley", "Cooper", "Drover", "Elm", "Ferry", "Gorse", "Harbour", "Ivy", "Kiln",
        "Lark", "Mill", "Nettle", "Orchard", "Priory", "Quarry", "Rope", "Station", "Tanner", "Weir",
    )  # fmt: skip
    last = ("Street", "Road", "Lane", "Close", "Avenue", "Way", "Terrace", "Drive", "Gardens", "Hill", "Row")
    one, two = rng.integers(0, len(first), size), rng.integers(0, len(last), size)
    return [f"{first[a]} {last[b]}" for a, b in zip(one, two, strict=True)]


def draw_incidents(
    areas: pd.DataFrame, spots: pd.DataFrame, truth: CrimeTruth, rng: np.random.Generator
) -> pd.DataFrame:
    """A year of incidents in order of month; `true_*` is where they happened, the rest what is published.

    An incident belongs to a place of lasting risk and happens at some distance from it; it is then published
    at the nearest map point of its area, which need not be that place.
    """
    weight = background_weights(areas, truth.incident_slope)[spots["row"]] * spots["risk"].to_numpy()
    month = np.repeat(
        np.arange(truth.incident_months), rng.poisson(truth.incidents_a_month, truth.incident_months)
    )
    place = rng.choice(len(spots), month.size, p=weight / weight.sum())
    site = spots[["easting_m", "northing_m"]].to_numpy()[place]
    true = site + rng.normal(0, truth.scatter_metres, (month.size, 2))
    row = spots["row"].to_numpy()[place]
    nearest = np.empty(month.size, dtype=int)
    for area in np.unique(row):
        own, mine = np.flatnonzero(spots["row"] == area), np.flatnonzero(row == area)
        grid = spots[["easting_m", "northing_m"]].to_numpy()[own]
        gap = ((true[mine][:, None, :] - grid[None, :, :]) ** 2).sum(axis=2)
        nearest[mine] = own[gap.argmin(axis=1)]
    published = spots.iloc[nearest].reset_index(drop=True)
    frame = pd.DataFrame({
        "incident": [f"CR-{n:05d}" for n in range(1, month.size + 1)],
        "month": (np.datetime64(truth.incident_first_month, "M") + month).astype("datetime64[s]"),
        "category": choose(truth.categories, month.size, rng),
        "area": areas["area_code"].to_numpy()[row],
        "point": published["point"],
        "location": published["location"],
        "easting_m": published["easting_m"],
        "northing_m": published["northing_m"],
        "outcome": choose(truth.outcomes, month.size, rng),
        "true_easting_m": true[:, 0],
        "true_northing_m": true[:, 1],
    })  # fmt: skip
    nowhere = rng.random(month.size) < truth.no_location
    frame.loc[nowhere, ["area", "point", "location", "easting_m", "northing_m"]] = None
    return frame


def draw(world: World, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """The three tables; what they leave out stands in `world.hidden` under `crime.…`."""
    areas, truth = world.tables["areas.gpkg"], TRUTH.crime
    break_ins, points, places = rng.spawn(3)
    burglary = draw_burglary(areas, truth, break_ins)
    spots = draw_snap_points(areas, truth, points)
    incidents = draw_incidents(areas, spots, truth, places)
    world.hidden |= {"crime.burglary": burglary, "crime.incidents": incidents, "crime.points": spots}
    return {
        "burglary.csv": burglary.drop(columns=["generation", "day"]),
        "snap_points.csv": spots.drop(columns=["risk", "row", "number"]),
        "incidents.csv": incidents.drop(columns=["true_easting_m", "true_northing_m"]),
    }
