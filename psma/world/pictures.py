"""One picture a family for the data dictionary: small PNG files, the same bytes for the same data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter, MonthLocator
from matplotlib.figure import Figure

from psma.world.frame import World
from psma.world.truth import TRUTH

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#5c6670"


def save(family: str, world: World, folder: Path) -> None:
    """Draw the family's picture into `folder/pictures`; a family without one is left out."""
    if family not in PICTURES:
        return
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    PICTURES[family](figure, world)
    for axes in figure.axes:
        if axes.axison:
            axes.spines[["top", "right"]].set_visible(False)
    (folder / "pictures").mkdir(exist_ok=True)
    figure.savefig(folder / "pictures" / f"{family}.png", dpi=72, metadata={"Software": None})


def geography(figure: Figure, world: World) -> None:
    """Two maps: districts with roads and hospitals, and deprivation."""
    left, right = figure.subplots(1, 2)
    areas: Any = world.tables["areas.gpkg"]  # a GeoDataFrame, whose plot takes more than a DataFrame's
    areas.plot(
        "deprivation_decile",
        ax=right,
        cmap="cividis",
        legend=True,
        legend_kwds={"label": "decile, 1 = most deprived"},
    )
    right.set_title("Deprivation of 550 small areas")
    areas.plot(ax=left, color="#e8ebee")
    areas.dissolve("district").boundary.plot(ax=left, color=GREY, linewidth=0.8)
    draw_roads(left, world)
    sites = world.tables["sites.csv"]
    for kind, mark, shade in (("emergency department", "P", ORANGE), ("police station", "o", BLUE)):
        rows = sites[sites["kind"] == kind]
        left.scatter(
            rows["easting_m"], rows["northing_m"], marker=mark, color=shade, s=28, label=kind, zorder=3
        )
    left.legend(loc="lower right", fontsize=7)
    left.set_title("Eight districts, roads and the ferry")
    for axes in (left, right):
        axes.set_axis_off()


def draw_roads(axes: Axes, world: World) -> None:
    """Main and moor roads and the ferry on a map."""
    nodes = world.tables["roads_nodes.csv"].set_index("node")[["easting_m", "northing_m"]]
    roads = world.tables["roads.csv"]
    looks = {"main road": ("black", "-"), "moor road": ("black", ":"), "ferry": (BLUE, "--")}
    for road in roads[roads["kind"].isin(list(looks))].itertuples():
        shade, line = looks[str(road.kind)]
        ends = nodes.loc[[road.from_node, road.to_node]]
        axes.plot(ends["easting_m"], ends["northing_m"], color=shade, linestyle=line, linewidth=1.0)


def demand(figure: Figure, world: World) -> None:
    """Violence and mental health by week, and the last year's mean by hour of the day."""
    left, right = figure.subplots(1, 2)
    daily = world.tables["calls_daily.csv"].groupby(["call_type", pd.Grouper(key="date", freq="W-SUN")])[
        "calls"
    ]
    weekly = daily.mean()
    for name, shade, line in (
        ("violence", ORANGE, "-"),
        ("domestic", GREY, "--"),
        ("mental health", BLUE, "-."),
    ):
        left.plot(weekly[name].index, weekly[name], color=shade, linestyle=line, label=name)
    left.set(title="Calls a day, by week", xlabel="Week", ylabel="Calls a day", ylim=(0, None))
    left.legend(fontsize=8)
    hourly = world.tables["calls_hourly.csv"]
    by_hour = hourly.groupby(pd.to_datetime(hourly["hour"]).dt.hour)[["calls", "mental_health_calls"]].mean()
    right.plot(by_hour.index, by_hour["calls"], "o-", color=GREEN, label="all calls", markersize=3)
    right.plot(
        by_hour.index,
        10 * by_hour["mental_health_calls"],
        "s--",
        color=BLUE,
        label="mental health x 10",
        markersize=3,
    )
    right.set(title="Calls by hour of the day", xlabel="Hour", ylabel="Calls an hour", ylim=(0, None))
    right.legend(fontsize=8)


def response(figure: Figure, world: World) -> None:
    """How busy the cars are by hour and what it does to the wait, and the histogram of waits."""
    left, right = figure.subplots(1, 2)
    log = world.tables["response_log.csv"].drop_duplicates("incident")
    wait = (log["dispatched"] - log["received"]).dt.total_seconds() / 60
    looks = (("Tamarmouth", BLUE, "-"), ("Easthaven", GREEN, "--"), ("Highmoor", ORANGE, "-."))
    for name, shade, line in looks:
        by_hour = wait[log["district"] == name].groupby(log["received"].dt.hour).mean()
        left.plot(by_hour.index, by_hour, color=shade, linestyle=line, label=name)
    left.set(title="Mean wait for a car", xlabel="Hour of the day", ylabel="Minutes", ylim=(0, None))
    left.legend(fontsize=8)
    right.hist(wait[wait > 0].clip(upper=120), bins=40, color=BLUE)
    share = (wait == 0).mean()
    right.set(
        title=f"Waits of those who wait ({1 - share:.0%})",
        xlabel="Minutes (120 and over together)",
        ylabel="Incidents",
    )


def health(figure: Figure, world: World) -> None:
    """Days on the stroke ward, cancelled operations by month, and how punctual people come to a clinic."""
    left, middle, right = figure.subplots(1, 3)
    stay = world.tables["stroke_admissions.csv"]["acute_days"].dropna()
    left.hist(stay.clip(upper=35), bins=range(0, 36), color=BLUE)
    left.set(title="Stroke: days on the ward", xlabel="Days (35 and over together)", ylabel="Admissions")
    operations = world.tables["surgical_cancellations.csv"]
    month = operations["date"].dt.month
    for wanted, shade, line, label in (
        ("yes", ORANGE, "-", "high-dependency bed"),
        ("no", BLUE, "--", "none wanted"),
    ):
        rows = operations["hdu_bed"] == wanted
        share = operations[rows].groupby(month[rows])["cancelled"].mean() * 100
        middle.plot(share.index, share, color=shade, linestyle=line, label=label)
    middle.set(title="Operations cancelled", xlabel="Month", ylabel="%", ylim=(0, None), xticks=[1, 4, 7, 10])
    middle.legend(fontsize=7)
    clinic = world.tables["vaccination_arrivals.csv"]
    late = (clinic["arrived"] - clinic["slot"]).dt.total_seconds() / 60
    right.hist(late, bins=range(-30, 31, 2), color=GREY)
    right.set(title="Clinic: arrival after slot", xlabel="Minutes", ylabel="People")


def crisis(figure: Figure, world: World) -> None:
    """Who comes back within 30 days, and how long patients are in the emergency department."""
    left, right = figure.subplots(1, 2)
    contacts = world.tables["crisis_contacts.csv"]
    back = contacts.groupby(contacts["previous_contacts"].clip(upper=5))["recontact_30d"].agg(
        ["mean", "size"]
    )
    half = 1.96 * (back["mean"] * (1 - back["mean"]) / back["size"]) ** 0.5
    left.errorbar(back.index, 100 * back["mean"], yerr=100 * half, fmt="o", color=BLUE, capsize=4)
    left.set(
        title="Another contact within 30 days",
        xlabel="Previous contacts (5: five and more)",
        ylabel="Share (%)",
    )
    left.set_ylim(0, None)
    events = world.tables["ed_pathway.csv"]
    times = events.set_index(["event", "patient"])["time"]
    hours = (times["departed"] - times["arrived"]).dt.total_seconds() / 3600
    route = events[events["event"] == "care started"].set_index("patient")["place"]
    groups = [
        hours[route.reindex(hours.index) == name].dropna().clip(upper=12) for name in ("ambulatory", "bed")
    ]
    right.hist(groups[0], bins=48, range=(0, 12), color=BLUE, alpha=0.8, label="ambulatory")
    right.hist(groups[1], bins=48, range=(0, 12), histtype="step", color=ORANGE, linewidth=1.6, label="bed")
    right.axvline(4, color="black", linestyle="--", linewidth=1)
    right.set(
        title="Time in the emergency department", xlabel="Hours (12 and over together)", ylabel="Patients"
    )
    right.legend(fontsize=8)


def crime(figure: Figure, world: World) -> None:
    """Near repeats against chance, and the map points of one town."""
    from psma.world.nearness import pairs_by_days

    left, right = figure.subplots(1, 2)
    seen, chance = pairs_by_days(world.hidden["crime.burglary"], metres=200, longest=70, step=7)
    middle = [7 * n + 3.5 for n in range(len(seen))]
    left.bar(middle, seen, width=6, color=BLUE, label="pairs within 200 m")
    left.plot(middle, chance, color=ORANGE, marker="o", label="expected by chance")
    left.set(title="Burglaries near one another", xlabel="Days between the two", ylabel="Pairs")
    left.legend(fontsize=8)
    counts = world.tables["incidents.csv"].groupby("point").size()
    points = world.tables["snap_points.csv"].set_index("point")
    town = points[points["area"].str.startswith("T01")].join(counts.rename("incidents")).fillna(0)
    public = town["location"].isin([f"On or near {name}" for name, _ in TRUTH.crime.places])
    for rows, shade, mark, label in (
        (town[~public], GREY, "o", "street"),
        (town[public], ORANGE, "D", "public place"),
    ):
        right.scatter(
            rows["easting_m"], rows["northing_m"], s=rows["incidents"] + 2, color=shade, alpha=0.6,
            marker=mark, label=label,
        )  # fmt: skip
    right.set_title("Tamarmouth: incidents by map point")
    right.set_aspect("equal")
    right.set_axis_off()
    right.legend(fontsize=8)


def people(figure: Figure, world: World) -> None:
    """The largest component of who offended with whom, and offences a person."""
    import networkx as nx

    from psma.world.nearness import co_offending, largest_part

    left, right = figure.subplots(1, 2)
    truth = world.hidden["people.truth"].set_index("person")
    core = largest_part(co_offending(world.tables["involvements.csv"]))
    where = nx.spring_layout(core, seed=5, weight=None, k=0.22)
    nx.draw_networkx_edges(core, where, ax=left, edge_color=GREY, width=0.4, alpha=0.5)
    brokers = [name for name in core if truth.loc[name, "other"] > 0]
    rest = [name for name in core if truth.loc[name, "other"] == 0]
    nx.draw_networkx_nodes(core, where, rest, ax=left, node_size=14, node_color=BLUE)
    nx.draw_networkx_nodes(core, where, brokers, ax=left, node_size=50, node_color=ORANGE, node_shape="D")
    left.set_title("Who offended with whom: the largest set")
    left.set_axis_off()
    each = world.tables["involvements.csv"].drop_duplicates()["person"].value_counts().clip(upper=15)
    right.hist(each, bins=range(1, 17), color=BLUE)
    right.set(title="Offences a person", xlabel="Offences (15 and over together)", ylabel="People")


def text(figure: Figure, world: World) -> None:
    """How few words make up the logs, what is planted in them, and posts a day about one force."""
    left, middle, right = figure.subplots(1, 3)
    words = world.tables["incident_logs.csv"]["text"].str.lower().str.findall(r"[a-z]+(?:'[a-z]+)?")
    counts = words.explode().value_counts()
    covered = counts.cumsum() / counts.sum() * 100
    left.semilogx(range(1, len(covered) + 1), covered, color=BLUE)
    left.axvline(100, color="black", linestyle="--", linewidth=1)
    left.set(title="Words of the logs", xlabel="Commonest words", ylabel="Share of all words (%)")
    left.set_ylim(0, 100)
    kinds = world.tables["planted_names.csv"]["kind"].value_counts(ascending=True)
    middle.barh(kinds.index, kinds, color=GREY)
    middle.set(title="Planted in 6,000 logs", xlabel="Spans")
    posts = world.tables["force_posts.csv"]
    days = posts.loc[posts["handle"] == "@TamarshirePol", "time"].dt.floor("D").value_counts()
    year = pd.date_range(posts["time"].min().floor("D"), posts["time"].max(), freq="D")
    every = days.reindex(year, fill_value=0)
    right.plot(every.index, every, color=ORANGE, linewidth=1.2)
    right.set(title="Posts about Tamarshire", ylabel="Posts a day", ylim=(0, None))
    right.xaxis.set_major_locator(MonthLocator(interval=3))
    right.xaxis.set_major_formatter(DateFormatter("%b %y"))
    right.tick_params(axis="x", labelsize=8)


PICTURES: dict[str, Callable[[Figure, World], None]] = {
    "geography": geography,
    "demand": demand,
    "response": response,
    "crisis": crisis,
    "crime": crime,
    "people": people,
    "health": health,
    "text": text,
}
