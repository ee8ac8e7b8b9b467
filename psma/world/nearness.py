"""Who is near whom, for pictures and tests: burglaries in space and time, people in offences."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import networkx as nx


def near_pairs(events: pd.DataFrame, metres: float) -> np.ndarray:
    """Rows of the two members of each pair of events at most `metres` apart; shape (pairs, 2)."""
    from scipy.spatial import cKDTree

    tree = cKDTree(events[["easting_m", "northing_m"]].to_numpy())
    return np.asarray(tree.query_pairs(metres, output_type="ndarray"))


def pairs_by_days(
    events: pd.DataFrame, metres: float, longest: float, step: float, shuffles: int = 20, seed: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs within `metres` in bins of `step` days up to `longest`, and what chance gives.

    Chance is Knox's: the same points with their days shuffled, mean of `shuffles`. Each array has one value a
    bin. Source: Knox, 1964, The detection of space-time interactions.
    """
    pairs, day = near_pairs(events, metres), events["day"].to_numpy()
    edges, rng = np.arange(0, longest + step, step), np.random.default_rng(seed)

    def counted(days: np.ndarray) -> np.ndarray:
        return np.histogram(np.abs(days[pairs[:, 0]] - days[pairs[:, 1]]), edges)[0]

    expected = np.mean([counted(rng.permutation(day)) for _ in range(shuffles)], axis=0)
    return counted(day), expected


def co_offending(involvements: pd.DataFrame) -> nx.Graph:
    """People joined where they were offenders in the same offence; `weight` counts how often."""
    import networkx as nx

    graph = nx.Graph()
    offenders = involvements.drop_duplicates()
    offenders = offenders[offenders["role"] == "offender"]
    for _, rows in offenders.groupby("offence"):
        graph.add_nodes_from(sorted(rows["person"]))
        for one, two in combinations(sorted(rows["person"]), 2):
            weight = graph.get_edge_data(one, two, {"weight": 0})["weight"]
            graph.add_edge(one, two, weight=weight + 1)
    return graph


def largest_part(graph: nx.Graph) -> nx.Graph:
    """The largest connected component as a graph of its own, nodes and edges in sorted order.

    A subgraph view would list its nodes in an order that changes from run to run.
    """
    import networkx as nx

    core = nx.Graph()
    parts = [sorted(part) for part in nx.connected_components(graph)]
    core.add_nodes_from(max(parts, key=lambda part: (len(part), part)))
    inside = (tuple(sorted(pair)) for pair in graph.subgraph(core).edges)
    core.add_edges_from((one, two, graph.edges[one, two]) for one, two in sorted(inside))
    return core
