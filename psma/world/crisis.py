"""The crisis family: contacts with people in mental-health crisis; the way through one ED stands in
`pathway`.

In the eight weeks of the response log a contact with police is one of its mental-health incidents. People
come back with a logistic chance; one group's contacts are recorded less. True parameters:
`truth.CrisisTruth`.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from psma.world.frame import World
from psma.world.pathway import choose, lognormal
from psma.world.response import DAY, HOUR
from psma.world.truth import TRUTH, CrisisTruth

FAMILY = "crisis"
NEEDS: tuple[str, ...] = ("geography", "demand", "response")
TABLES = ("crisis_contacts.csv", "ed_pathway.csv")


def crisis_arrivals(a_day: float, days: int, truth: CrisisTruth, rng: np.random.Generator) -> np.ndarray:
    """Seconds of arrival, sorted, over `days` up to the table's last one, growing with the years."""
    profile = np.array(TRUTH.demand.mental_health_profile)
    years_back = (days - np.arange(days)) / 365.25
    rates = a_day / (1 + truth.growth) ** years_back[:, None] * (profile / profile.mean() / 24)
    counts = rng.poisson(rates.ravel())
    return np.sort(np.repeat(np.arange(counts.size) * HOUR, counts) + rng.integers(0, HOUR, counts.sum()))


def spots(count: int, areas: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Rows of the areas table in which contacts happen: by people and deprivation, as in the response log."""
    score = areas["deprivation_score"]
    weight = areas["population"] * np.exp(TRUTH.response.deprivation_slope * (score - score.mean()))
    return np.asarray(rng.choice(len(areas), count, p=weight / weight.sum()))


def draw_scenes(world: World, truth: CrisisTruth, rng: np.random.Generator) -> pd.DataFrame:
    """Every contact of the run-in and the year, in order of time: when, where, log incident, ED seconds."""
    areas = world.tables["areas.gpkg"]
    start = pd.Timestamp(truth.first_day) - pd.Timedelta(days=truth.run_in_days)
    days = truth.run_in_days + truth.days
    jobs = world.hidden["response.jobs"]
    known = jobs[jobs["type"] == "mental health"]
    police = start + pd.to_timedelta(crisis_arrivals(truth.police_a_day, days, truth, rng), unit="s")
    police = police[police < pd.Timestamp(TRUTH.response.first_day)]
    ambulance = start + pd.to_timedelta(crisis_arrivals(truth.ambulance_a_day, days, truth, rng), unit="s")
    in_ed = lognormal(TRUTH.response.ed_mean, TRUTH.response.ed_sigma, len(police), rng) * 60
    in_ed = in_ed * (rng.random(len(police)) < TRUTH.response.ed_chance)
    by_ambulance = lognormal(truth.ambulance_ed_mean, truth.ambulance_ed_sigma, len(ambulance), rng) * 60
    by_ambulance = by_ambulance * (rng.random(len(ambulance)) < truth.ambulance_ed_chance)
    parts = [
        pd.DataFrame(
            {
                "time": known["received"],
                "place": known["place"],
                "incident": known["incident"],
                "in_ed": known["in_ed"],
            }
        ),
        pd.DataFrame({"time": police, "place": spots(len(police), areas, rng), "in_ed": in_ed}),
        pd.DataFrame({"time": ambulance, "place": spots(len(ambulance), areas, rng), "in_ed": by_ambulance}),
    ]
    who = ("police", "police", "ambulance")
    frame = pd.concat([part.assign(attended=name) for part, name in zip(parts, who, strict=True)])
    return frame.sort_values(["time", "place"], kind="stable").reset_index(drop=True)


def describe(
    scenes: pd.DataFrame, areas: pd.DataFrame, truth: CrisisTruth, rng: np.random.Generator
) -> pd.DataFrame:
    """Adds street triage, outcome, alcohol, and whether the contact gets recorded at all."""
    size, to_ed = len(scenes), scenes["in_ed"].to_numpy() > 0
    on_duty = scenes["time"].dt.hour.isin(truth.triage_hours).to_numpy()
    joins = rng.random(size) < np.where(to_ed, truth.triage_chance[1], truth.triage_chance[0])
    triage = on_duty & joins & (scenes["attended"] == "police").to_numpy()
    outside, inside = (choose(options, size, rng) for options in (truth.outcomes_out, truth.outcomes_ed))
    rural = (areas["rurality"] == "rural").to_numpy()[scenes["place"]]
    return scenes.assign(
        attended=np.where(triage, "street triage", scenes["attended"]),
        outcome=np.where(to_ed, inside, outside),
        alcohol=rng.random(size) < truth.alcohol_chance,
        rural=rural,
        recorded=~rural | (rng.random(size) < truth.rural_recorded),
        district=areas["district"].to_numpy()[scenes["place"]],
        decile=areas["deprivation_decile"].to_numpy()[scenes["place"]],
    )


def logit_of_scene(scenes: pd.DataFrame, truth: CrisisTruth) -> np.ndarray:
    """The part of the logistic of `CrisisTruth` that doesn't depend on who the person is."""
    logit = truth.intercept + truth.alcohol_effect * scenes["alcohol"].to_numpy()
    logit = logit + truth.decile_slope * (scenes["decile"].to_numpy() - 1)
    for column, effects in (("outcome", truth.outcome_effects), ("attended", truth.attended_effects)):
        logit = logit + scenes[column].map(dict(effects)).fillna(0).to_numpy()
    return np.asarray(logit)


@dataclass
class Caseload:
    """The people of one district's towns or country: who is due when, who rests, who was recorded."""

    due: list[tuple[float, int]] = field(default_factory=list)
    resting: list[tuple[float, int]] = field(default_factory=list)
    free: list[int] = field(default_factory=list)
    recorded: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))

    def next_person(self, now: float, old: bool, lot: float) -> int | None:
        """Whoever is due, else (if `old`) somebody last seen over 30 days ago, else None for somebody new."""
        while self.resting and self.resting[0][0] <= now:
            self.free.append(heapq.heappop(self.resting)[1])
        if self.due and self.due[0][0] <= now:
            return heapq.heappop(self.due)[1]
        if old and self.free:
            spot = int(lot * len(self.free))
            self.free[spot], self.free[-1] = self.free[-1], self.free[spot]
            return self.free.pop()
        return None

    def previous(self, person: int, now: float) -> int:
        """Recorded contacts of the person in the 365 days before."""
        return sum(now - then < 365 * DAY for then in self.recorded[person])


def assign_people(scenes: pd.DataFrame, truth: CrisisTruth, rng: np.random.Generator) -> pd.DataFrame:
    """Adds person, age band, previous contacts and whether the person really came back within 30 days.

    People are drawn contact by contact: each contact decides by the logistic whether its person is due again,
    and the next contact after that moment, in the same district and the same kind of place (rural or not), is
    theirs. Everyone else rests for 30 days at least.
    """
    second = (scenes["time"] - scenes["time"].iloc[0]).dt.total_seconds().to_numpy()
    age_of, lots = choose(truth.age_bands, len(scenes), rng), rng.random((len(scenes), 4))
    fixed, effects = logit_of_scene(scenes, truth), dict(truth.age_effects)
    loads: dict[tuple[str, bool], Caseload] = defaultdict(Caseload)
    person, previous, again = (np.zeros(len(scenes), dtype=np.int64) for _ in range(3))
    people = 0
    places = zip(scenes["district"], scenes["rural"], scenes["recorded"], strict=True)
    for n, (district, rural, recorded) in enumerate(places):
        load, now, (lot_old, lot_who, lot_back, lot_when) = loads[district, rural], second[n], lots[n]
        found = load.next_person(now, bool(lot_old < truth.old_person_chance), lot_who)
        people += found is None
        who = people - 1 if found is None else found
        person[n], previous[n] = who, load.previous(who, now)
        earlier = min(previous[n], truth.previous_cap)
        logit = fixed[n] + effects.get(age_of[who], 0) + truth.previous_slope * earlier
        again[n] = lot_back < 1 / (1 + np.exp(-logit))
        if again[n]:
            heapq.heappush(load.due, (now + DAY * (0.2 + 18 * lot_when**1.5), who))
        else:
            heapq.heappush(load.resting, (now + 30 * DAY, who))
        if recorded:
            load.recorded[who].append(now)
    return scenes.assign(person=person, age_band=age_of[person], previous=previous, again=again)


def recorded_recontact(frame: pd.DataFrame, truth: CrisisTruth, rng: np.random.Generator) -> np.ndarray:
    """1 where another recorded contact of the person follows within 30 days.

    Where the next contact lies beyond the end of the file, it is recorded with the chance of the place.
    """
    ordered = frame.sort_values(["person", "time"], kind="stable")
    beyond = ordered.groupby("person")["time"].shift(-1).isna() & (ordered["again"] == 1)
    beyond &= ~ordered["rural"] | (rng.random(len(frame)) < truth.rural_recorded)
    seen = ordered[ordered["recorded"]]
    gap = seen.groupby("person")["time"].shift(-1) - seen["time"]
    back = (gap <= pd.Timedelta(days=30)) | beyond.loc[seen.index]
    return np.asarray(back.reindex(frame.index, fill_value=False).astype(np.int64))


def nearest_department(frame: pd.DataFrame, world: World) -> np.ndarray:
    """Name of the emergency department that is nearest by road from the contact's area at that hour."""
    areas, sites = world.tables["areas.gpkg"], world.tables["sites.csv"]
    departments = sites[sites["kind"] == "emergency department"]
    rows = pd.Index(areas["area_code"]).get_indexer(departments["area"])
    band = np.array([TRUTH.geography.band(hour) for hour in range(24)])[frame["time"].dt.hour]
    minutes = world.hidden["geography.minutes"][
        band[:, None], frame["place"].to_numpy()[:, None], rows[None, :]
    ]
    return departments["name"].to_numpy()[minutes.argmin(axis=1)]


def draw_contacts(world: World, rng: np.random.Generator) -> pd.DataFrame:
    """The table as recorded; hidden `crisis.truth` is every contact, recorded or not, with the true flag."""
    truth, areas = TRUTH.crisis, world.tables["areas.gpkg"]
    everything = describe(draw_scenes(world, truth, rng), areas, truth, rng)
    everything = assign_people(everything, truth, rng)
    everything["recontact_30d"] = recorded_recontact(everything, truth, rng)
    year = everything[everything["time"] >= pd.Timestamp(truth.first_day)].reset_index(drop=True)
    world.hidden["crisis.truth"] = year
    seen = year[year["recorded"]].reset_index(drop=True)
    to_ed = seen["in_ed"] > 0
    alcohol = pd.Series(np.where(seen["alcohol"], "yes", "no")).mask(
        rng.random(len(seen)) < truth.missing_alcohol
    )
    renumber = {old: n for n, old in enumerate(seen["person"].unique(), start=1)}
    return pd.DataFrame(
        {
            "contact": [f"MH-{n:05d}" for n in range(1, len(seen) + 1)],
            "person": [f"P-{renumber[old]:05d}" for old in seen["person"]],
            "incident": seen["incident"],
            "time": seen["time"],
            "district": seen["district"],
            "area": areas["area_code"].to_numpy()[seen["place"]],
            "attended": seen["attended"],
            "age_band": seen["age_band"].mask(rng.random(len(seen)) < truth.missing_age),
            "alcohol": alcohol,
            "hospital": pd.Series(nearest_department(seen, world)).where(to_ed),
            "ed_wait_hours": (seen["in_ed"] / HOUR).clip(0.1, 36.0).where(to_ed),
            "outcome": seen["outcome"],
            "previous_contacts": seen["previous"],
            "recontact_30d": seen["recontact_30d"],
        }
    )


def draw(world: World, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """The two tables."""
    return {
        "crisis_contacts.csv": draw_contacts(world, rng),
        "ed_pathway.csv": world.hidden["demand.pathway"],
    }
