"""The people family: who was involved in which offence, as offender, victim or witness.

A two-mode stochastic block model. Four planted groups commit their own offences; six planted brokers belong
to one group and also join the offences of another. Everyone else offends now and then, alone or with a
neighbour, or is a victim or a witness. Some of these people are also in crisis: the same `person` stands in
`crisis_contacts.csv`. True parameters: `truth.PeopleTruth`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from psma.world.frame import World
from psma.world.pathway import choose
from psma.world.truth import TRUTH, PeopleTruth

FAMILY = "people"
NEEDS: tuple[str, ...] = ("geography", "crisis")
TABLES = ("people.csv", "offences.csv", "involvements.csv")


def draw_people(world: World, truth: PeopleTruth, rng: np.random.Generator) -> pd.DataFrame:
    """Everybody, with the planted `group` and the `other` group of a broker, 0 for none."""
    grouped = sum(truth.group_sizes)
    size = grouped + truth.others
    group = np.zeros(size, dtype=int)
    group[:grouped] = np.repeat(np.arange(1, len(truth.group_sizes) + 1), truth.group_sizes)
    other = np.zeros(size, dtype=int)
    for home, away in truth.brokers:
        free = np.flatnonzero((group == home) & (other == 0))
        other[rng.choice(free)] = away
    areas = world.tables["areas.gpkg"]
    score = areas["deprivation_score"]
    weight = areas["population"] * np.exp(truth.deprivation_slope * (score - score.mean()))
    row = rng.choice(len(areas), size, p=weight / weight.sum())
    for home, district in enumerate(truth.group_districts, start=1):
        near = np.flatnonzero(areas["district"] == district)
        mine = np.flatnonzero(group == home)
        row[mine] = rng.choice(near, mine.size)
    contacts = world.tables["crisis_contacts.csv"].drop_duplicates("person")
    numbers = contacts["person"].str.slice(2).astype(int).to_numpy()
    in_crisis = rng.choice(numbers, round(size * truth.also_in_crisis), replace=False)
    fresh = numbers.max() + 1 + np.arange(size - in_crisis.size)
    code = rng.permutation(np.concatenate([in_crisis, fresh]))
    known = pd.Series(code).map(dict(zip(numbers, contacts["area"], strict=True)))
    area = pd.Series(areas["area_code"].to_numpy()[row])
    return pd.DataFrame({
        "person": [f"P-{n:05d}" for n in code],
        "birth_year": truth.last_birth_year - np.round(rng.gamma(4.0, 6.0, size)).clip(0, 70).astype(int),
        "sex": np.where(rng.random(size) < np.where(group > 0, 0.88, 0.55), "male", "female"),
        "area": known.where((group == 0) & known.notna(), area),
        "group": group,
        "other": other,
    })  # fmt: skip


def cast_of(
    kind: str, people: pd.DataFrame, rate: np.ndarray, truth: PeopleTruth, rng: np.random.Generator
) -> tuple[list[int], int]:
    """Rows of the offenders of one offence and the group that it belongs to (0: nobody's)."""
    if kind == "group":
        groups = people["group"].to_numpy()
        number = 1 + int(
            rng.choice(len(truth.group_sizes), p=np.array(truth.group_sizes) / sum(truth.group_sizes))
        )
        member = np.where(groups == number, 1.0, 0.0)
        member = np.where(people["other"].to_numpy() == number, truth.broker_pull, member) * rate
        wanted = min(2 + int(rng.poisson(truth.extra_offenders)), 6)
        return list(rng.choice(len(people), wanted, replace=False, p=member / member.sum())), number
    first = int(rng.choice(len(people), p=rate / rate.sum()))
    if rng.random() < truth.pair_chance:
        loose = np.where(people["group"].to_numpy() == 0, rate, 0)
        loose[first] = 0
        return [first, int(rng.choice(len(people), p=loose / loose.sum()))], 0
    return [first], 0


def draw_offences(
    people: pd.DataFrame, areas: pd.DataFrame, truth: PeopleTruth, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Offences in order of date, and one row for each person in each of them."""
    size = truth.offences
    rate = rng.gamma(truth.activity_shape, 1 / truth.activity_shape, len(people)) + 0.05
    quiet = truth.broker_activity * np.median(rate)  # brokers do not stand out by how much they do
    rate = np.where(people["other"] > 0, quiet, rate)
    date = pd.Timestamp(truth.first_day) + pd.to_timedelta(
        np.sort(rng.integers(0, truth.days, size)), unit="D"
    )
    kinds = np.where(rng.random(size) < truth.group_share, "group", "loose")
    types, area_row, rows = choose(truth.types, size, rng), np.empty(size, dtype=int), []
    home = pd.Index(areas["area_code"]).get_indexer(people["area"])
    for n in range(size):
        offenders, _ = cast_of(kinds[n], people, rate, truth, rng)
        area_row[n] = home[offenders[0]] if rng.random() < truth.near_home else rng.choice(home)
        rows += [(n, who, "offender") for who in offenders]
        others = [w for w in rng.choice(len(people), 6, replace=False) if w not in offenders]
        victims, witnesses = int(rng.poisson(truth.victims)), int(rng.poisson(truth.witnesses))
        rows += [(n, who, "victim") for who in others[: min(victims, 2)]]
        rows += [(n, who, "witness") for who in others[2 : 2 + min(witnesses, 2)]]
    offences = pd.DataFrame({
        "offence": [f"OF-{n:05d}" for n in range(1, size + 1)],
        "date": date,
        "type": types,
        "area": areas["area_code"].to_numpy()[area_row],
    })  # fmt: skip
    told = pd.DataFrame(rows, columns=["n", "who", "role"])
    involved = pd.DataFrame({
        "offence": offences["offence"].to_numpy()[told["n"]],
        "person": people["person"].to_numpy()[told["who"]],
        "role": told["role"],
    })  # fmt: skip
    twice = involved.sample(truth.duplicated_rows, random_state=rng)
    both = pd.concat([involved, twice]).sort_values(["offence", "role", "person"], kind="stable")
    return offences, both.reset_index(drop=True)


def draw(world: World, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """The three tables; groups and brokers stand in `world.hidden["people.truth"]`."""
    truth, areas = TRUTH.people, world.tables["areas.gpkg"]
    people = draw_people(world, truth, rng)
    offences, involved = draw_offences(people, areas, truth, rng)
    seen = people[people["person"].isin(involved["person"])].sort_values("person").reset_index(drop=True)
    world.hidden["people.truth"] = seen
    return {
        "people.csv": seen.drop(columns=["group", "other"]),
        "offences.csv": offences,
        "involvements.csv": involved,
    }
