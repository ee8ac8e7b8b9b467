"""The geography family: small areas, sites and roads of Tamarshire.

Areas are the Voronoi cells of points that cluster in towns and villages, cut at the coast and the estuary.
Deprivation is spatially autocorrelated with known strength. The road graph has one node an area; it goes
round the estuary, across which only a day-time ferry runs, and crosses the moor on slow roads. True
parameters: `truth.GeographyTruth`.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import permutations

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra, minimum_spanning_tree
from scipy.spatial import Delaunay, cKDTree
from shapely.geometry import LineString, Point, Polygon

from psma.world.frame import World
from psma.world.truth import DISTRICTS, SETTLEMENTS, TRUTH, Settlement

FAMILY = "geography"
NEEDS: tuple[str, ...] = ()
TABLES = ("areas.gpkg", "sites.csv", "roads_nodes.csv", "roads.csv")
CRS = "EPSG:27700"
BANDS = ("night", "day", "peak")

COAST_KM = (
    (2.0, 7.0), (7.0, 4.5), (12.0, 5.5), (17.0, 4.0), (22.0, 5.5), (26.0, 4.5), (29.0, 3.0), (33.0, 4.5),
    (38.0, 3.5), (43.0, 6.0), (49.0, 6.5), (54.0, 8.5), (58.0, 12.0), (60.0, 16.0), (59.0, 20.0),
    (61.0, 25.0), (60.0, 30.0), (62.0, 36.0), (61.0, 42.0), (62.5, 47.0), (55.0, 49.5), (47.0, 47.5),
    (40.0, 50.5), (31.0, 52.0), (22.0, 50.0), (14.0, 51.0), (5.0, 48.0), (3.5, 40.0), (1.5, 32.0),
    (3.0, 23.0), (1.0, 15.0),
)  # fmt: skip
ESTUARY_KM = (
    (27.2, 2.0), (28.0, 6.0), (27.4, 9.0), (28.2, 12.0), (28.0, 16.0), (29.4, 20.0), (30.4, 24.0),
    (31.2, 26.5), (31.6, 26.5), (31.4, 23.5), (30.8, 19.5), (30.0, 15.5), (30.4, 12.0), (30.0, 8.5),
    (30.8, 6.0), (32.0, 2.0),
)  # fmt: skip
MOOR_KM = (
    (15.0, 23.5),
    (19.5, 21.0),
    (26.0, 23.0),
    (29.5, 29.0),
    (28.0, 36.0),
    (21.5, 39.0),
    (15.5, 36.0),
    (14.0, 29.0),
)


def metres(points_km: tuple[tuple[float, float], ...]) -> Polygon:
    """Polygon on the British National Grid from corners in km from the county's own corner."""
    east, north = TRUTH.geography.corner_m
    return Polygon([(east + 1_000 * x, north + 1_000 * y) for x, y in points_km])


def smooth(shape: Polygon, rounds: int = 2) -> Polygon:
    """The shape with its corners cut off (Chaikin's algorithm), so that a coast looks like one."""
    points = np.asarray(shape.exterior.coords)[:-1]
    for _ in range(rounds):
        following = np.roll(points, -1, axis=0)
        points = np.stack(
            [0.75 * points + 0.25 * following, 0.25 * points + 0.75 * following], axis=1
        ).reshape(-1, 2)
    return Polygon(points)


WATER = smooth(metres(ESTUARY_KM))
LAND = smooth(metres(COAST_KM)).difference(WATER)
MOOR = smooth(metres(MOOR_KM))
GAP_M = {"town": 260.0, "country": 900.0}  # least distance between the hearts of two areas
DRY = {kind: LAND.buffer(-gap / 2) for kind, gap in GAP_M.items()}
shapely.prepare([WATER, *DRY.values()])
MOOR_ROADS = ((7, 8), (8, 2), (6, 8))  # districts whose main towns a road over the moor joins
FERRY_KM = ((26.6, 10.2), (31.4, 10.2))  # the landings at Saltmere and Tamarmouth


def seats() -> np.ndarray:
    """The middle of each district's open country, from which it is measured (metres, shape (8, 2))."""
    east, north = TRUTH.geography.corner_m
    country = [
        max((s for s in SETTLEMENTS if s.district == d.number), key=lambda s: s.spread_km) for d in DISTRICTS
    ]
    return np.array([(east + 1_000 * s.easting_km, north + 1_000 * s.northing_km) for s in country])


def belongs(spot: np.ndarray, place: Settlement, middles: np.ndarray) -> bool:
    """Is the spot on dry land, nearest to its district's middle, and on the same bank of the estuary?"""
    if np.hypot(*(middles - spot).T).argmin() != place.district - 1 or not DRY[place.kind].contains(
        Point(spot)
    ):
        return False
    return not WATER.intersects(LineString([spot, middles[place.district - 1]]))


def settlement_points(
    place: Settlement, wanted: int, taken: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """`taken` (metres, shape (n, 2)) and `wanted` points of one settlement, none too close to another."""
    east, north = TRUTH.geography.corner_m
    centre = np.array([east + 1_000 * place.easting_km, north + 1_000 * place.northing_km])
    middles, goal = seats(), len(taken) + wanted
    while len(taken) < goal:
        spot = np.round(centre + rng.standard_normal(2) * place.spread_km * 1_000)
        if np.hypot(*(taken - spot).T).min(initial=np.inf) > GAP_M[place.kind] and belongs(
            spot, place, middles
        ):
            taken = np.vstack([taken, spot])
    return taken


def draw_points(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Hearts of all areas in order of their codes (metres), and which of them lie in the open country."""
    points, country = np.empty((0, 2)), []
    for district in DISTRICTS:
        places = [s for s in SETTLEMENTS if s.district == district.number]
        counts = [round(district.areas * s.share) for s in places]
        counts[0] += district.areas - sum(counts)
        for place, count in zip(places, counts, strict=True):
            points = settlement_points(place, count, points, rng)
            country += [place.kind == "country"] * count
    return points, np.array(country)


def cells(points: np.ndarray) -> list[Polygon]:
    """The land cut into Voronoi cells.

    A piece beyond the water goes to the neighbour it shares most boundary with.
    """
    raw = shapely.voronoi_polygons(shapely.MultiPoint(points), extend_to=LAND, ordered=True).geoms
    clipped = [shapely.intersection(cell, LAND, grid_size=1.0) for cell in raw]
    own, loose = [], []
    for shape, point in zip(clipped, points, strict=True):
        parts = list(getattr(shape, "geoms", [shape]))
        home = min(parts, key=lambda part: part.distance(Point(point)))
        own.append(home)
        loose += [part for part in parts if part is not home and part.area > 0]
    for part in loose:
        near = [i for i, shape in enumerate(own) if shape.distance(part) < 0.5]
        best = max(near, key=lambda i: own[i].intersection(part).length)
        own[best] = shapely.union(own[best], part, grid_size=1.0)
    return own


def contiguity(shapes: list[Polygon]) -> np.ndarray:
    """1 where two areas share a stretch of boundary, else 0; shape (n, n)."""
    tree = shapely.STRtree(shapes)
    left, right = tree.query(shapes, predicate="intersects")
    shared = shapely.length(shapely.intersection(np.array(shapes)[left], np.array(shapes)[right]))
    near = np.zeros((len(shapes), len(shapes)))
    near[left, right] = (shared > 1.0) & (left != right)
    return near


def deprivation_scores(near: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One draw of the simultaneous autoregression of `GeographyTruth`, one score an area."""
    truth = TRUTH.geography
    weights = near / near.sum(axis=1, keepdims=True)
    spread = np.linalg.inv(np.eye(len(near)) - truth.deprivation_rho * weights)
    scale = truth.deprivation_sd / np.sqrt(np.mean((spread**2).sum(axis=1)))
    scores = truth.deprivation_mean + scale * spread @ rng.standard_normal(len(near))
    return np.clip(scores, 1.0, None)


def spread_people(total: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Whole people in `count` areas that add up to `total`.

    Log-normal with the stated coefficient of variation.
    """
    sigma = np.sqrt(np.log(1 + TRUTH.geography.population_cv**2))
    share = np.exp(sigma * rng.standard_normal(count))
    people = np.floor(total * share / share.sum()).astype(np.int64)
    people[: total - people.sum()] += 1
    return people


def draw_areas(rng: np.random.Generator) -> tuple[gpd.GeoDataFrame, np.ndarray]:
    """The areas with everything known about them, and the point at the heart of each (metres)."""
    hearts, country = draw_points(rng)
    shapes = cells(hearts)
    number = np.concatenate([np.arange(1, d.areas + 1) for d in DISTRICTS])
    district = np.repeat([d.name for d in DISTRICTS], [d.areas for d in DISTRICTS])
    frame = gpd.GeoDataFrame(
        {
            "area_code": np.concatenate([d.area_codes() for d in DISTRICTS]),
            "area_name": [f"{name} {n:03d}" for name, n in zip(district, number, strict=True)],
            "district": district,
            "population": np.concatenate([spread_people(d.population, d.areas, rng) for d in DISTRICTS]),
        },
        geometry=shapes,
        crs=CRS,
    )
    frame.insert(4, "area_km2", np.round(frame.area / 1e6, 3))
    return describe(frame, contiguity(shapes), country, rng), hearts


def describe(
    areas: gpd.GeoDataFrame, near: np.ndarray, country: np.ndarray, rng: np.random.Generator
) -> gpd.GeoDataFrame:
    """Adds deprivation, rurality and age mix: older in the country and by the sea, younger where poor."""
    score = np.round(deprivation_scores(near, rng), 1)
    density = areas["population"] / areas["area_km2"]
    rurality = np.where(density > 1_000, "urban", np.where(country, "rural", "town and fringe"))
    older = 0.17 + 0.06 * (rurality != "urban") + 0.04 * (areas.distance(WATER.boundary) < 1_500)
    older += -0.0015 * (score - TRUTH.geography.deprivation_mean) + 0.02 * rng.standard_normal(len(areas))
    younger = (
        0.20 + 0.0020 * (score - TRUTH.geography.deprivation_mean) + 0.015 * rng.standard_normal(len(areas))
    )
    rank = pd.Series(-score).rank(method="first")
    return gpd.GeoDataFrame(
        areas.drop(columns="geometry").assign(
            rurality=rurality,
            share_under_18=np.round(np.clip(younger, 0.05, 0.45), 3),
            share_65_plus=np.round(np.clip(older, 0.05, 0.50), 3),
            deprivation_score=score,
            deprivation_decile=np.ceil(rank / len(areas) * 10).astype(np.int64),
        ),
        geometry=areas.geometry,
        crs=CRS,
    )


def neighbours(hearts: np.ndarray) -> np.ndarray:
    """Pairs of areas that a road could join: Delaunay neighbours whose straight line stays on land.

    Shape (n, 2), sorted.
    """
    triangles = Delaunay(hearts).simplices
    pairs = np.unique(
        np.sort(np.vstack([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [0, 2]]]), axis=1), axis=0
    )
    lines = shapely.linestrings(hearts[pairs])
    inland = LAND.buffer(400)
    return pairs[shapely.contains(inland, lines) & ~shapely.intersects(WATER, lines)]


def road_pairs(hearts: np.ndarray) -> np.ndarray:
    """The pairs that are joined: Gabriel neighbours off the moor, a spanning tree, the moor roads."""
    pairs = neighbours(hearts)
    length = np.hypot(*(hearts[pairs[:, 0]] - hearts[pairs[:, 1]]).T)
    middle = hearts[pairs].mean(axis=1)
    nearest = cKDTree(hearts).query(middle)[0]
    gabriel = nearest >= length / 2 - 1e-6
    wild = shapely.length(shapely.intersection(shapely.linestrings(hearts[pairs]), MOOR)) > 0.3 * length
    size = (len(hearts), len(hearts))
    cost = length * np.where(wild, 3.0, 1.0)  # the tree crosses the moor only where it must
    tree = minimum_spanning_tree(csr_array((cost, (pairs[:, 0], pairs[:, 1])), shape=size)).toarray()
    crossing = on_the_way(hearts, pairs, MOOR_ROADS)
    over_moor = np.array([(int(a), int(b)) in crossing for a, b in pairs])
    return pairs[(gabriel & ~wild) | (tree[pairs[:, 0], pairs[:, 1]] > 0) | over_moor]


def on_the_way(
    hearts: np.ndarray, pairs: np.ndarray, journeys: Iterable[tuple[int, int]]
) -> set[tuple[int, int]]:
    """Pairs on the shortest way between the main towns of two districts, for each of the journeys."""
    length = np.hypot(*(hearts[pairs[:, 0]] - hearts[pairs[:, 1]]).T)
    graph = csr_array((length, (pairs[:, 0], pairs[:, 1])), shape=(len(hearts), len(hearts)))
    towns = town_nodes(hearts)
    before = dijkstra(graph, directed=False, indices=towns, return_predecessors=True)[1]
    found = set()
    for start, end in journeys:
        node = towns[end - 1]
        while node != towns[start - 1]:
            step = int(before[start - 1, node])
            found.add((min(step, node), max(step, node)))
            node = step
    return found


def town_nodes(hearts: np.ndarray) -> list[int]:
    """The area at the heart of each district's main town, by district number."""
    east, north = TRUTH.geography.corner_m
    firsts = [next(s for s in SETTLEMENTS if s.district == d.number) for d in DISTRICTS]
    centres = [(east + 1_000 * s.easting_km, north + 1_000 * s.northing_km) for s in firsts]
    return [int(n) for n in cKDTree(hearts).query(centres)[1]]


def draw_roads(areas: gpd.GeoDataFrame, hearts: np.ndarray) -> pd.DataFrame:
    """One row a stretch of road (both directions) or the ferry: ends, kind, length, minutes by hour band."""
    truth = TRUTH.geography
    pairs = road_pairs(hearts)
    metres_straight = np.hypot(*(hearts[pairs[:, 0]] - hearts[pairs[:, 1]]).T)
    lines = shapely.linestrings(hearts[pairs])
    main = on_the_way(hearts, pairs, permutations(range(1, len(DISTRICTS) + 1), 2))
    on_moor = shapely.length(shapely.intersection(lines, MOOR)) > 0.3 * metres_straight
    rural = (areas["rurality"].to_numpy() == "rural")[pairs].any(axis=1)
    on_main = np.array([(int(a), int(b)) in main for a, b in pairs])
    kind = np.select([on_moor, on_main, rural], ["moor road", "main road", "lane"], "street")
    length = np.round(metres_straight * truth.winding)
    speed = np.array([dict(truth.speed_kmh)[name] for name in kind])
    minutes = np.round(length[:, None] / 1_000 / speed * 60, 2)
    landing = cKDTree(hearts).query(np.array(truth.corner_m) + 1_000 * np.array(FERRY_KM))[1]
    ferry = (
        *(int(n) for n in np.sort(landing)),
        "ferry",
        np.round(np.hypot(*np.diff(hearts[landing], axis=0)[0])),
    )
    rows = pd.DataFrame({"a": pairs[:, 0], "b": pairs[:, 1], "kind": kind, "length": length})
    rows = pd.concat([rows, pd.DataFrame([ferry], columns=rows.columns)], ignore_index=True)
    minutes = np.vstack([minutes, [np.nan if m is None else m for m in truth.ferry_minutes]])
    code = areas["area_code"].to_numpy()
    return pd.DataFrame(
        {
            "road": [f"R{n:04d}" for n in range(1, len(rows) + 1)],
            "from_node": [f"N{code[n][1:]}" for n in rows["a"]],
            "to_node": [f"N{code[n][1:]}" for n in rows["b"]],
            "kind": rows["kind"],
            "length_m": rows["length"].astype(np.int64),
            **{f"{band}_minutes": minutes[:, i] for i, band in enumerate(BANDS)},
        }
    )


def travel_minutes(nodes: pd.Series, roads: pd.DataFrame) -> np.ndarray:
    """Shortest minutes between all pairs of nodes in the three hour bands (night, day, peak).

    Shape (3, n, n).
    """
    place = pd.Series(np.arange(len(nodes)), index=nodes)
    out = []
    for band in BANDS:
        open_now = roads[roads[f"{band}_minutes"].notna()]
        ends = place[open_now["from_node"]].to_numpy(), place[open_now["to_node"]].to_numpy()
        graph = csr_array((open_now[f"{band}_minutes"].to_numpy(), ends), shape=(len(nodes), len(nodes)))
        out.append(dijkstra(graph, directed=False))
    return np.array(out)


GP_FIRST = (
    "Abbey", "Beacon", "Bridge", "Castle", "Chapel", "Church Lane", "Fairfield", "Ferry Road", "Grange",
    "Harbour", "Heron", "Highfield", "Larch", "Market", "Meadow", "Mill", "Moorview", "Orchard", "Park",
    "Priory", "Quayside", "Riverside",
)  # fmt: skip
GP_SECOND = ("Surgery", "Medical Centre", "Practice", "Health Centre")
HOSPITALS = (
    # name, district, cubicles in the emergency department, children's beds, beds of its place of safety
    ("Tamarmouth General Hospital", 1, 48, 26, 3),
    ("Wrenford Royal Infirmary", 4, 44, 18, 0),
    ("Brackenford Hospital", 7, 24, 8, 0),
    ("Otterleigh Hospital", 5, 0, 10, 2),
)


def site_list(
    areas: gpd.GeoDataFrame, towns: list[int], rng: np.random.Generator
) -> list[tuple[str, str, int, float | None]]:
    """Every site as kind, name, row of its area and capacity (None where it has none)."""
    sites: list[tuple[str, str, int, float | None]] = []
    for district, town in zip(DISTRICTS, towns, strict=True):
        sites.append(("police station", f"{district.name} Police Station", town, None))
    rows = {d.name: np.flatnonzero(areas["district"] == d.name) for d in DISTRICTS}
    for name, number, cubicles, children, safety in HOSPITALS:
        around = rows[DISTRICTS[number - 1].name]
        place = int(rng.choice(around[areas["rurality"].to_numpy()[around] == "urban"]))
        if cubicles:
            sites.append(("emergency department", name, place, cubicles))
        sites.append(("children's unit", f"{name}, children's unit", place, children))
        if safety:
            sites.append(("place of safety", f"{name}, place of safety", place, safety))
    for kind, label, extra in (
        ("ambulance station", "Ambulance Station", 4),
        ("community hub", "Community Hub", 2),
    ):
        for n, district in enumerate([*DISTRICTS, *DISTRICTS[:extra]]):
            place = int(rng.choice(rows[district.name]))
            sites.append((kind, f"{district.name} {label}{' 2' if n >= len(DISTRICTS) else ''}", place, None))
    people = areas["population"].to_numpy() * np.where(areas["rurality"] == "rural", 0.6, 1.0)
    names = [f"{first} {second}" for first in GP_FIRST for second in GP_SECOND]
    places = np.sort(rng.choice(len(areas), len(names), replace=False, p=people / people.sum()))
    doctors = np.round(np.clip(rng.gamma(6.0, 0.95, len(names)), 1.5, 14.0), 1)
    sites += [
        ("GP practice", n, int(p), float(d))
        for n, p, d in zip(rng.permutation(names), places, doctors, strict=True)
    ]
    return sites


def draw_sites(areas: gpd.GeoDataFrame, hearts: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """One row a site, with the node of the road graph that it stands at."""
    sites = site_list(areas, town_nodes(hearts), rng)
    place = np.array([site[2] for site in sites])
    spots = np.round(hearts[place] + rng.uniform(-120, 120, (len(sites), 2)))
    outside = ~shapely.contains(areas.geometry.to_numpy()[place], shapely.points(spots))
    spots[outside] = hearts[place][outside]
    return pd.DataFrame(
        {
            "site": [f"S{n:03d}" for n in range(1, len(sites) + 1)],
            "kind": [site[0] for site in sites],
            "name": [site[1] for site in sites],
            "district": areas["district"].to_numpy()[place],
            "area": areas["area_code"].to_numpy()[place],
            "node": node_of(areas["area_code"]).to_numpy()[place],
            "easting_m": spots[:, 0].astype(np.int64),
            "northing_m": spots[:, 1].astype(np.int64),
            "capacity": [site[3] for site in sites],
        }
    )


def node_of(area: pd.Series) -> pd.Series:
    """Node of the road graph at the heart of an area: N and the digits of its code."""
    return "N" + area.str[1:]


def draw(world: World, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """The four tables; hidden `geography.minutes` is the travel matrix (3 bands, areas, areas)."""
    areas, hearts = draw_areas(rng)
    roads = draw_roads(areas, hearts)
    nodes = pd.DataFrame(
        {
            "node": node_of(areas["area_code"]),
            "area": areas["area_code"],
            "easting_m": hearts[:, 0].astype(np.int64),
            "northing_m": hearts[:, 1].astype(np.int64),
        }
    )
    world.hidden["geography.minutes"] = travel_minutes(nodes["node"], roads)
    sites = draw_sites(areas, hearts, rng)
    return {"areas.gpkg": areas, "sites.csv": sites, "roads_nodes.csv": nodes, "roads.csv": roads}
