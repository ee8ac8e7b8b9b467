"""The people family against its truth: groups and brokers are found by the obvious method; keys join."""

from __future__ import annotations

import networkx as nx
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score
from world_once import drawn, table

from psma.world.nearness import co_offending, largest_part
from psma.world.truth import TRUTH


@pytest.fixture(scope="module")
def graph() -> nx.Graph:
    """Who offended with whom."""
    return co_offending(table("involvements.csv"))


@pytest.fixture(scope="module")
def core(graph) -> nx.Graph:
    """Its largest component."""
    return largest_part(graph)


@pytest.fixture(scope="module")
def truth() -> pd.DataFrame:
    """Group and other group by person."""
    return drawn().hidden["people.truth"].set_index("person")


def largest_after(core: nx.Graph, removed: list[str]) -> int:
    """People in the largest component once some are taken out."""
    left = core.copy()
    left.remove_nodes_from(removed)
    return max(len(part) for part in nx.connected_components(left))


def top(scores: dict[str, float], count: int) -> list[str]:
    """The names with the highest scores."""
    return sorted(scores, key=lambda name: (-scores[name], name))[:count]


def test_there_are_four_groups_and_six_brokers(truth):
    """As planted; a broker's two groups are the stated ones."""
    brokers = truth[truth["other"] > 0]
    planted = sorted(TRUTH.people.brokers)
    assert sorted(zip(brokers["group"], brokers["other"], strict=True)) == planted
    sizes = truth[truth["group"] > 0].groupby("group").size()
    assert all(0.85 * n <= sizes[k] <= n for k, n in enumerate(TRUTH.people.group_sizes, start=1))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_communities_are_the_planted_groups(core, truth, seed):
    """Louvain's partition of the members agrees with the groups; shuffled groups don't."""
    found = nx.community.louvain_communities(core, seed=seed)
    label = {name: n for n, part in enumerate(found) for name in part}
    members = [name for name in core if truth.loc[name, "group"] > 0]
    groups = truth.loc[members, "group"]
    labels = [label[name] for name in members]
    assert adjusted_rand_score(groups, labels) > 0.75
    assert adjusted_rand_score(groups.sample(frac=1, random_state=1), labels) < 0.1


def test_brokers_are_found_by_betweenness_and_not_by_counting_links(core, truth):
    """At least four of six are among the ten highest by betweenness, fewer among the ten best connected."""
    brokers = set(truth.index[truth["other"] > 0])
    between = brokers & set(top(nx.betweenness_centrality(core), 10))
    degree = brokers & set(top(dict(core.degree()), 10))
    assert len(between) >= 4 > len(degree)


def test_taking_out_brokers_splits_it_and_taking_out_the_best_connected_does_not(core, truth):
    """The largest component falls by more than half without the brokers, by under a fifth by degree."""
    brokers = [name for name in core if truth.loc[name, "other"] > 0]
    assert largest_after(core, brokers) < 0.5 * len(core)
    assert largest_after(core, top(dict(core.degree()), 6)) > 0.8 * len(core)


def test_people_in_crisis_are_the_same_people(truth):
    """The stated share of all who were drawn stands in crisis_contacts.csv too, others don't."""
    crisis = set(table("crisis_contacts.csv")["person"])
    both = len(set(truth.index) & crisis)
    assert both / len(truth) == pytest.approx(TRUTH.people.also_in_crisis, abs=0.03)


def test_every_offence_has_an_offender_and_nobody_has_two_parts_in_one():
    """A person is in an offence once (the double rows apart); each offence has an offender."""
    rows = table("involvements.csv")
    once = rows.drop_duplicates()
    assert len(rows) - len(once) == TRUTH.people.duplicated_rows
    assert not once.duplicated(["offence", "person"]).any()
    assert set(once.loc[once["role"] == "offender", "offence"]) == set(table("offences.csv")["offence"])
    assert set(once["person"]) == set(table("people.csv")["person"])


def test_friends_have_more_friends(core):
    """The friendship paradox holds, as in any network that isn't regular."""
    degree = dict(core.degree())
    friends = [sum(degree[f] for f in core[name]) / degree[name] for name in core]
    assert sum(f > degree[name] for f, name in zip(friends, core, strict=True)) > len(core) / 2
