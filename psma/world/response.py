"""The response family: graded incidents, the cars on duty, and the desk that takes the calls.

Arrivals are a non-homogeneous Poisson process, times on the scene are log-normal by type, and `dispatched` comes out of a
simulated queue: so many cars a district and hour, grade before order of arrival, nobody interrupted. All times are whole
seconds, so that every law that holds in the queue holds in the log to the second. True parameters: `truth.ResponseTruth`
and `truth.ControlRoomTruth`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from psma.world.truth import (
    DISTRICTS,
    INCIDENT_TYPES,
    TRUTH,
    ControlRoomTruth,
    District,
    ResponseTruth,
    shift_of,
)

HOUR = 3_600
DAY = 86_400
CLEARED, ROTA, RECEIVED = 0, 1, 2  # order of events that fall on the same second


@dataclass
class Fleet:
    """The response cars of one district: where the free ones stand, how many are out, how many are on duty."""

    base: int
    duty: int = 0
    out: int = 0
    free: list[int] = field(default_factory=list)

    def change_duty(self, cars: int) -> None:
        """A new hour: spare cars go off duty, missing ones start at the base; a car that is out first finishes its job."""
        self.duty = cars
        while self.free and self.out + len(self.free) > cars:
            self.free.pop()
        while self.out + len(self.free) < cars:
            self.free.append(self.base)

    def take_nearest(self, minutes: Callable[[int], float], units: int) -> int:
        """Send the `units` nearest free cars; returns the place from which the first of them sets out."""
        self.free.sort(key=minutes, reverse=True)
        nearest = self.free[-1]
        del self.free[-units:]
        self.out += units
        return nearest

    def come_back(self, place: int, units: int) -> None:
        """A job is cleared: its cars are free where they stand, unless the district has more than are on duty."""
        self.out -= units
        for _ in range(units):
            if self.out + len(self.free) < self.duty:
                self.free.append(place)


@dataclass(frozen=True)
class Jobs:
    """Incidents of one district in order of arrival: seconds since the start, grade, cars needed, place, seconds on scene."""

    received: np.ndarray
    grade: np.ndarray
    units: np.ndarray
    place: np.ndarray
    scene: np.ndarray


def run_queue(
    jobs: Jobs, cars: Sequence[int], base: int, travel: Callable[[int, int, int, int], int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Play eight weeks of one district; returns dispatched, arrived and cleared (seconds since the start).

    `cars` is the number on duty by hour of the day, `travel(job, origin, place, now)` the seconds a car needs. A job waits
    until as many cars as it needs are free; the most urgent grade goes first, then the earliest, and a job that needs two
    cars holds up those behind it.
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
        if events and events[0][:2] == (now, kind):
            continue  # everything that happens in one second comes before the decision
        while queue and len(fleet.free) >= jobs.units[queue[0][1]]:
            job = heapq.heappop(queue)[1]
            place = int(jobs.place[job])
            origin = fleet.take_nearest(lambda spot: travel(job, spot, place, now), int(jobs.units[job]))  # noqa: B023
            dispatched[job] = now
            arrived[job] = now + travel(job, origin, place, now)
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
    """Arrival times (whole seconds, sorted) of a Poisson process whose expected counts a period of `width` are `rates`."""
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
    """The incidents of one district before anybody is sent: received, type, grade, units, place, scene and ED seconds."""
    received = poisson_seconds(hourly_rates(truth, district.population), rng)
    shift = np.array([shift_of(hour) for hour in range(24)])[received // HOUR % 24]
    kind = pick(np.array([t.share for t in INCIDENT_TYPES]).T[shift], rng)
    grade = 1 + pick(np.array([t.grades for t in INCIDENT_TYPES])[kind], rng)
    median, sigma = (np.array([getattr(t, name) for t in INCIDENT_TYPES])[kind] for name in ("median", "sigma"))
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


def run_desk(received: np.ndarray, handling: np.ndarray, second: np.ndarray, truth: ControlRoomTruth) -> np.ndarray:
    """Seconds at which each call is answered: one desk, calls marked `second` (101) only when no 999 call waits.

    Agents follow the rota minute by minute, less those at a briefing; an agent whose shift ends finishes the call.
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
