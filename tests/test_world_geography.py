"""Areas, sites and roads: a true coverage, the stated spatial autocorrelation, and the map that lies at
night."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import shapely
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from world_once import drawn, table

from psma.world import geography
from psma.world.truth import DISTRICTS, TRUTH


@pytest.fixture(scope="module")
def areas():
    """The areas with their polygons."""
    return table("areas.gpkg")


def test_areas_cover_the_land_once(areas):
    """No gaps or overlaps.

    Every polygon valid and in one piece; every district in one piece; all of it EPSG:27700.
    """
    shapes = areas.geometry.to_numpy()
    assert areas.crs.to_epsg() == 27700
    assert shapely.coverage_is_valid(shapes)
    assert shapely.is_valid(shapes).all()
    assert (areas.geom_type == "Polygon").all()
    assert (areas.dissolve("district").geom_type == "Polygon").all()
    assert not shapely.coverage_is_valid(np.append(shapes, shapely.box(*shapes[0].bounds)))
    assert areas["area_km2"].to_numpy() == pytest.approx(areas.area / 1e6, abs=1e-3)


def test_districts_have_the_stated_people_and_areas(areas):
    """870,000 people in 550 areas, to the person in each district; codes carry the district."""
    found = areas.groupby("district")["population"].agg(["sum", "size"])
    for district in DISTRICTS:
        assert tuple(found.loc[district.name]) == (district.population, district.areas)
    assert found.sum().tolist() == [870_000, 550]
    assert (
        areas["area_code"].str[1:3].astype(int).map({d.number: d.name for d in DISTRICTS})
        == areas["district"]
    ).all()


def moran(values: np.ndarray, weights: np.ndarray) -> float:
    """Moran's I with row-standardised weights."""
    centred = values - values.mean()
    return float(centred @ weights @ centred / (centred @ centred))


def autoregressive(rho: float, weights: np.ndarray, count: int) -> np.ndarray:
    """Moran's I of `count` draws of the simultaneous autoregression."""
    rng = np.random.default_rng(7)
    spread = np.linalg.inv(np.eye(len(weights)) - rho * weights)
    return np.array([moran(spread @ rng.standard_normal(len(weights)), weights) for _ in range(count)])


def test_deprivation_is_as_autocorrelated_as_stated(areas):
    """Moran's I fits draws with the true rho within 3 standard deviations, not draws with 0.4 or 0."""
    near = geography.contiguity(list(areas.geometry))
    weights = near / near.sum(axis=1, keepdims=True)
    found = moran(areas["deprivation_score"].to_numpy(), weights)
    truth = TRUTH.geography
    for rho, fits in ((truth.deprivation_rho, True), (0.4, False), (0.0, False)):
        draws = autoregressive(rho, weights, 200)
        assert (abs(found - draws.mean()) < 3 * draws.std()) == fits, (rho, found, draws.mean())
    assert areas["deprivation_score"].std() == pytest.approx(truth.deprivation_sd, rel=0.2)
    assert areas.groupby("deprivation_decile").size().tolist() == [55] * 10
    assert areas.groupby("deprivation_decile")["deprivation_score"].mean().is_monotonic_decreasing


def test_sites_stand_in_their_area(areas):
    """Every site lies inside the polygon of its area.

    Each district has one police station, the county three EDs.
    """
    sites = table("sites.csv")
    own = areas.set_index("area_code").loc[sites["area"]]
    assert shapely.contains(
        own.geometry.to_numpy(), shapely.points(sites["easting_m"], sites["northing_m"])
    ).all()
    assert (own["district"].to_numpy() == sites["district"]).all()
    kinds = sites["kind"].value_counts()
    assert kinds["police station"] == sites.loc[sites["kind"] == "police station", "district"].nunique() == 8
    assert kinds["emergency department"] == 3
    assert sites.loc[sites["kind"] != "GP practice", "capacity"].dropna().mod(1).eq(0).all()


@pytest.fixture(scope="module")
def minutes() -> np.ndarray:
    """Travel minutes between all areas in the three hour bands, from the committed roads."""
    return geography.travel_minutes(table("roads_nodes.csv")["node"], table("roads.csv"))


def test_the_roads_reach_everybody_at_every_hour(minutes):
    """Connected in every band, the same there and back, no self loops or double stretches.

    No bridge over the estuary.
    """
    assert np.isfinite(minutes).all()
    assert np.allclose(minutes, minutes.transpose(0, 2, 1))
    assert np.allclose(minutes, drawn().hidden["geography.minutes"], atol=1e-9)
    roads = table("roads.csv")
    assert not (roads["from_node"] == roads["to_node"]).any()
    assert not roads[["from_node", "to_node"]].duplicated().any()
    spot = table("roads_nodes.csv").set_index("node")[["easting_m", "northing_m"]]
    dry = roads[roads["kind"] != "ferry"]
    ends = np.stack([spot.loc[dry[side]].to_numpy() for side in ("from_node", "to_node")], axis=1)
    assert not shapely.intersects(geography.WATER, shapely.linestrings(ends)).any()


def test_a_road_is_no_faster_than_its_kind_allows():
    """Minutes are length over the stated speed in each band.

    The ferry is the one stretch that doesn't run at night.
    """
    roads = table("roads.csv")
    for kind, speeds in TRUTH.geography.speed_kmh:
        rows = roads[roads["kind"] == kind]
        assert len(rows) > 0
        for band, speed in zip(geography.BANDS, speeds, strict=True):
            assert rows[f"{band}_minutes"].to_numpy() == pytest.approx(
                rows["length_m"] * 0.06 / speed, abs=0.006
            )
    assert roads.loc[roads["night_minutes"].isna(), "kind"].tolist() == ["ferry"]


def test_nearest_on_the_map_is_not_nearest_at_night(areas, minutes):
    """The crow's nearest ED is the wrong one for some by day, for most of Saltmere at night."""
    sites = table("sites.csv")
    departments = sites[sites["kind"] == "emergency department"]
    rows = pd.Index(areas["area_code"]).get_indexer(departments["area"])
    spot = table("roads_nodes.csv")[["easting_m", "northing_m"]].to_numpy()
    crow = np.hypot(*(spot[:, None] - spot[rows][None]).transpose(2, 0, 1)).argmin(axis=1)
    wrong = [areas["population"][minutes[band][:, rows].argmin(axis=1) != crow] for band in (0, 1)]
    assert 1.5 * wrong[1].sum() < wrong[0].sum()
    saltmere = areas["district"] == "Saltmere"
    lost = wrong[0][saltmere.loc[wrong[0].index]].sum()
    assert lost > 0.5 * areas.loc[saltmere, "population"].sum()


def test_connectedness_needs_the_spanning_tree(areas):
    """Without the stretches over the moor the county falls apart: the test of reach can fail."""
    roads, nodes = table("roads.csv"), pd.Index(table("roads_nodes.csv")["node"])
    kept = roads[~roads["kind"].isin(["moor road", "ferry"])]
    ends = nodes.get_indexer(kept["from_node"]), nodes.get_indexer(kept["to_node"])
    assert connected_components(csr_array((np.ones(len(kept)), ends), shape=(550, 550)))[0] > 1
