"""The response family: graded incidents, the cars on duty, and the desk that takes the calls.

Arrivals are a non-homogeneous Poisson process, times on the scene are log-normal by type, and `dispatched`
comes out of a simulated queue: so many cars a district and hour, grade before order of arrival, nobody
interrupted. All times are whole seconds, so that every law that holds in the queue holds in the log to the
second. True parameters: `truth.ResponseTruth` and `truth.ControlRoomTruth`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd

from psma.world.frame import World
from psma.world.truth import (
    DISTRICTS,
    INCIDENT_TYPES,
    TRUTH,
    ControlRoomTruth,
    District,
    ResponseTruth,
    shift_of,
)

FAMILY = "response"
NEEDS: tuple[str, ...] = ("geography", "demand")
TABLES = ("response_log.csv", "cars_on_duty.csv", "control_room.csv")
HOUR = 3_600
DAY = 86_400
Travel = Callable[[int, int, int], int]
CLEARED, ROTA, RECEIVED = 0, 1, 2  # order of events that fall on the same second


@dataclass
class Fleet:
    """The response cars of one district: where the free ones stand, how many are out and on duty."""

    base: int
    duty: int = 0
    out: int = 0
    free: list[int] = field(default_factory=list)

    def change_duty(self, cars: int) -> None:
        """A new hour: spare cars go off duty, missing ones start at the base.

        A car that is out first finishes its job.
        """
        self.duty = cars
        while self.free and self.out + len(self.free) > cars:
            self.free.pop()
        while self.out + len(self.free) < cars:
            self.free.append(self.base)

    def take_nearest(self, seconds: Callable[[int], int], units: int) -> int:
        """Send the `units` nearest free cars; returns the place from which the first of them sets out."""
        self.free.sort(key=seconds, reverse=True)
        nearest = self.free[-1]
        del self.free[-units:]
        self.out += units
        return nearest

    def come_back(self, place: int, units: int) -> None:
        """A job is cleared: its cars are free where they stand, unless too many are on duty."""
        self.out -= units
        for _ in range(units):
            if self.out + len(self.free) < self.duty:
                self.free.append(place)


@dataclass(frozen=True)
class Jobs:
    """Incidents of one district by arrival: seconds, grade, cars needed, place, seconds on scene."""

    received: np.ndarray
    grade: np.ndarray
    units: np.ndarray
    place: np.ndarray
    scene: np.ndarray


def run_queue(
    jobs: Jobs, cars: Sequence[int], base: int, travel: Travel
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Play eight weeks of one district; returns dispatched, arrived and cleared (seconds since the start).

    `cars` is the number on duty by hour of the day, `travel(now, job, origin)` the seconds that a car needs
    from a place to the job. A job waits until as many cars as it needs are free; the most urgent grade goes
    first, then the earliest, and a job that needs two cars holds up those behind it. A cleared car stays
    where it is.
    """
    dispatched, arrived, cleared = (np.zeros(len(jobs.received), dtype=np.int64) for _ in range(3))
    hours = int(jobs.received[-1]) // HOUR + 24 * 7  # the last jobs need time to clear
    events = [(hour * HOUR, ROTA, cars[hour % 24]) for hour in range(hours)]
    events += [(int(second), RECEIVED, job) for job, second in enumerate(jobs.received)]
    heapq.heapify(events)
    fleet, queue = Fleet(base), list[tuple[int, int]]()
    while events:
        now, kind, number = heapq.heappop(events)
        if kind == ROTA:
            fleet.change_duty(number)
        elif kind == CLEARED:
            fleet.come_back(int(jobs.place[number]), int(jobs.units[number]))
        else:
            heapq.heappush(queue, (int(jobs.grade[number]), number))
        if events and events[0][0] == now:
            continue  # everything that happens in one second comes before the decision
        while queue and len(fleet.free) >= jobs.units[queue[0][1]]:
            job = heapq.heappop(queue)[1]
            seconds = partial(travel, now, job)
            dispatched[job] = now
            arrived[job] = now + seconds(fleet.take_nearest(seconds, int(jobs.units[job])))
            cleared[job] = arrived[job] + jobs.scene[job]
            heapq.heappush(events, (int(cleared[job]), CLEARED, job))
    return dispatched, arrived, cleared


def hourly_rates(truth: ResponseTruth, population: int) -> np.ndarray:
    """Expected incidents in each hour, shape (days, 24), for a district of that many people."""
    rates = np.tile(truth.profile, (truth.days, 1))
    weekday = (pd.Timestamp(truth.first_day).weekday() + np.arange(truth.days)) % 7
    rates[np.isin(weekday, (4, 5)), 18:] *= truth.weekend_factor
    rates[np.isin(weekday, (5, 6)), :4] *= truth.weekend_factor
    mean_a_day = population / 1_000 * truth.incidents_per_1000_a_day
    return rates * mean_a_day * truth.days / rates.sum()


def poisson_seconds(rates: np.ndarray, rng: np.random.Generator, width: int = HOUR) -> np.ndarray:
    """Sorted whole seconds of a Poisson process with expected counts `rates` a period of `width`."""
    counts = rng.poisson(rates.ravel())
    starts = np.repeat(np.arange(counts.size) * width, counts)
    return np.sort(starts + rng.integers(0, width, counts.sum()))


def pick(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One column number a row, drawn with that row's weights."""
    steps = np.cumsum(weights, axis=1)
    return (rng.random(len(weights))[:, None] * steps[:, -1:] > steps[:, :-1]).sum(axis=1)


def draw_incidents(
    district: District, place_weights: np.ndarray, truth: ResponseTruth, rng: np.random.Generator
) -> pd.DataFrame:
    """One district's incidents before anybody is sent; `scene` and `in_ed` are seconds."""
    received = poisson_seconds(hourly_rates(truth, district.population), rng)
    shift = np.array([shift_of(hour) for hour in range(24)])[received // HOUR % 24]
    kind = pick(np.array([t.share for t in INCIDENT_TYPES]).T[shift], rng)
    grade = 1 + pick(np.array([t.grades for t in INCIDENT_TYPES])[kind], rng)
    median, sigma = (
        np.array([getattr(t, name) for t in INCIDENT_TYPES])[kind] for name in ("median", "sigma")
    )
    scene = np.exp(np.log(median * 60) + sigma * rng.standard_normal(len(kind)))
    mental_health = np.array([t.name == "mental health" for t in INCIDENT_TYPES])[kind]
    to_ed = mental_health & (rng.random(len(kind)) < truth.ed_chance)
    log_mean = np.log(truth.ed_mean * 60) - truth.ed_sigma**2 / 2
    in_ed = np.where(to_ed, np.exp(log_mean + truth.ed_sigma * rng.standard_normal(len(kind))), 0)
    return pd.DataFrame(
        {
            "received": received,
            "type": np.array([t.name for t in INCIDENT_TYPES])[kind],
            "grade": grade,
            "units": np.where((grade == 1) & (rng.random(len(kind)) < truth.two_cars_chance), 2, 1),
            "place": pick(np.tile(place_weights, (len(kind), 1)), rng),
            "scene": np.maximum(scene.astype(np.int64), 60),
            "in_ed": in_ed.astype(np.int64),
        }
    )


def cars_on_duty() -> pd.DataFrame:
    """The rota: district, hour of the day, cars."""
    rows = [(d.name, hour, d.cars_at(hour)) for d in DISTRICTS for hour in range(24)]
    return pd.DataFrame(rows, columns=["district", "hour", "cars"])


def run_desk(
    received: np.ndarray, handling: np.ndarray, second: np.ndarray, truth: ControlRoomTruth
) -> np.ndarray:
    """Seconds at which each call is answered: one desk, calls marked `second` (101) only when no 999 call
    waits.

    Agents follow the rota minute by minute, less those at a briefing; an agent whose shift ends finishes the
    call.
    """
    answered = np.zeros(len(received), dtype=np.int64)
    minutes = int(received[-1]) // 60 + 12 * 60
    events = [(minute * 60, ROTA, desk_agents(truth, minute)) for minute in range(minutes)]
    events += [(int(moment), RECEIVED, call) for call, moment in enumerate(received)]
    heapq.heapify(events)
    agents, busy, queue = 0, 0, list[tuple[bool, int]]()
    while events:
        now, kind, number = heapq.heappop(events)
        if kind == ROTA:
            agents = number
        elif kind == CLEARED:
            busy -= 1
        else:
            heapq.heappush(queue, (bool(second[number]), number))
        while queue and busy < agents:
            call = heapq.heappop(queue)[1]
            answered[call], busy = now, busy + 1
            heapq.heappush(events, (now + int(handling[call]), CLEARED, call))
    return answered


def desk_agents(truth: ControlRoomTruth, minute: int) -> int:
    """Agents who really sit at the desk in a minute since the start: the rota less the briefing."""
    hour, past = divmod(minute % (24 * 60), 60)
    at_briefing = hour in truth.handover_hours and past < truth.handover_minutes
    return truth.agents_at(hour) - (truth.handover_agents if at_briefing else 0)


def travel_on(
    minutes: np.ndarray, areas: pd.DataFrame, jobs: pd.DataFrame, rng: np.random.Generator
) -> Travel:
    """The seconds from a place to a job: getting going, the road graph in that hour's band, finding the
    address.

    `minutes` is the matrix of the geography family. Drivers differ log-normally; grade 1 drives on blue
    lights.
    """
    truth, place = TRUTH.response, jobs["place"].to_numpy()
    pace = np.exp(truth.travel_sigma * rng.standard_normal(len(jobs)))
    pace *= np.where(jobs["grade"] == 1, truth.blue_light_factor, 1.0)
    last = truth.address_minutes * np.sqrt(areas["area_km2"].to_numpy())[place]
    band = [TRUTH.geography.band(hour) for hour in range(24)]

    def seconds(now: int, job: int, origin: int) -> int:
        drive = minutes[band[now // HOUR % 24], origin, place[job]]
        return int(60 * (truth.turnout_minutes + pace[job] * (drive + last[job])))

    return seconds


def base_of(district: District, world: World) -> int:
    """Row of the area in which the district's police station stands: its cars start there."""
    sites = world.tables["sites.csv"]
    own = (sites["kind"] == "police station") & (sites["district"] == district.name)
    return int(np.flatnonzero(world.tables["areas.gpkg"]["area_code"] == sites.loc[own, "area"].iloc[0])[0])


def draw_district(district: District, world: World, rng: np.random.Generator) -> pd.DataFrame:
    """Eight weeks of one district, in seconds since the start, with its places as rows of the areas table."""
    truth, areas = TRUTH.response, world.tables["areas.gpkg"]
    own = np.flatnonzero(areas["district"] == district.name)
    score = areas["deprivation_score"].to_numpy()[own]
    weights = areas["population"].to_numpy()[own] * np.exp(truth.deprivation_slope * (score - score.mean()))
    jobs = draw_incidents(district, weights, truth, rng)
    jobs["place"] = own[jobs["place"]]
    travel = travel_on(world.hidden["geography.minutes"], areas, jobs, rng)
    received, grade, units, place = (
        jobs[name].to_numpy() for name in ("received", "grade", "units", "place")
    )
    todo = Jobs(received, grade, units, place, (jobs["scene"] + jobs["in_ed"]).to_numpy())
    cars = [district.cars_at(hour) for hour in range(24)]
    jobs["dispatched"], jobs["arrived"], jobs["cleared"] = run_queue(
        todo, cars, base_of(district, world), travel
    )
    second = rng.random(len(jobs)) < truth.second_spelling_chance
    jobs["station"] = np.where(second, district.station_spellings[-1], district.station_spellings[0])
    jobs["area"] = areas["area_code"].to_numpy()[jobs["place"]]
    return jobs.assign(district=district.name)


def meet_target(log: pd.DataFrame, truth: ResponseTruth, rng: np.random.Generator) -> pd.Series:
    """Arrivals as recorded: some of those just over the grade 1 target stand just under it."""
    target = log["received"] + pd.Timedelta(minutes=truth.target_minutes)
    late = log["arrived"] - target
    near = (
        (late > pd.Timedelta(0)) & (late <= pd.Timedelta(minutes=truth.target_window)) & (log["grade"] == 1)
    )
    said = target - pd.to_timedelta(rng.integers(5, 80, len(log)), unit="s")
    bent = near & (said > log["dispatched"]) & (rng.random(len(log)) < truth.target_chance)
    return log["arrived"].where(~bent, said)


def draw_log(world: World, rng: np.random.Generator) -> pd.DataFrame:
    """The log as somebody would export it: double rows and missing arrivals included."""
    truth = TRUTH.response
    parts = [draw_district(district, world, rng) for district in DISTRICTS]
    log = pd.concat(parts).sort_values(["received", "district"], kind="stable").reset_index(drop=True)
    log.insert(0, "incident", [f"TS-{n:06d}" for n in range(1, len(log) + 1)])
    for name in ("received", "dispatched", "arrived", "cleared"):
        log[name] = pd.Timestamp(truth.first_day) + pd.to_timedelta(log[name], unit="s")
    world.hidden["response.jobs"] = log.copy()
    log["arrived"] = meet_target(log, truth, rng)
    log.loc[rng.choice(len(log), truth.missing_arrived, replace=False), "arrived"] = pd.NaT
    double = log.iloc[np.sort(rng.choice(len(log), truth.duplicated_rows, replace=False))]
    columns = ["incident", "district", "station", "area", "type", "grade"]
    columns += ["received", "dispatched", "arrived", "cleared", "units"]
    return pd.concat([log, double]).sort_values("incident", kind="stable")[columns].reset_index(drop=True)


def draw_control_room(
    hourly: pd.DataFrame, truth: ControlRoomTruth, rng: np.random.Generator
) -> pd.DataFrame:
    """The calls of three weeks of `calls_hourly.csv`, one by one, through the desk."""
    start = pd.Timestamp(truth.first_day)
    counts = hourly[hourly["hour"].between(start, start + pd.Timedelta(days=truth.days), inclusive="left")][
        "calls"
    ]
    moment = np.repeat(np.arange(len(counts)) * HOUR, counts)
    received = np.sort(moment + rng.integers(0, HOUR, len(moment)))
    urgent = rng.random(len(received)) < truth.share_999
    sigma = np.sqrt(np.log(1 + truth.handling_cv**2))
    handling = truth.handling_mean * np.exp(sigma * rng.standard_normal(len(received)) - sigma**2 / 2)
    handling = np.maximum(handling.round().astype(np.int64), 5)
    answered = run_desk(received, handling, ~urgent, truth)
    return pd.DataFrame(
        {
            "call": [f"CR-{n:06d}" for n in range(1, len(received) + 1)],
            "kind": np.where(urgent, 999, 101),
            "received": start + pd.to_timedelta(received, unit="s"),
            "answered": start + pd.to_timedelta(answered, unit="s"),
            "handled_seconds": handling,
            "agents": np.array([truth.agents_at(hour) for hour in range(24)])[received // HOUR % 24],
        }
    )


def draw(world: World, rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """The three tables; hidden `response.jobs` is the log before dirt, with the seconds in the ED."""
    return {
        "response_log.csv": draw_log(world, rng),
        "cars_on_duty.csv": cars_on_duty(),
        "control_room.csv": draw_control_room(world.tables["calls_hourly.csv"], TRUTH.control_room, rng),
    }
