"""The true parameters behind the shared world, one frozen dataclass a family.

Tests, solutions and trainers may import this module; lectures don't, because a lecture has to find these numbers in the data.
Times are in minutes unless a name says otherwise, rates are per day, populations in people.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field


def shift_of(hour: int) -> int:
    """Number of the shift that an hour of the day belongs to: 0 night, 1 early (07 to 15), 2 late (15 to 23)."""
    if 7 <= hour < 15:
        return 1
    return 2 if 15 <= hour < 23 else 0


@dataclass(frozen=True)
class District:
    """One of the eight districts: its people, its small areas and how its response cars are rostered.

    `cars` holds the cars on duty in the night (23:00 to 07:00), early (07:00 to 15:00) and late (15:00 to 23:00) shift.
    """

    number: int
    name: str
    population: int
    areas: int
    cars: tuple[int, int, int]
    station_spellings: tuple[str, ...]

    def cars_at(self, hour: int) -> int:
        """Cars on duty in one hour of the day (0 to 23)."""
        return self.cars[shift_of(hour)]

    def area_codes(self) -> list[str]:
        """Codes of the district's small areas, in order."""
        return [f"T{self.number:02d}{n:03d}" for n in range(1, self.areas + 1)]


DISTRICTS: tuple[District, ...] = (
    District(1, "Tamarmouth", 150_000, 95, (6, 6, 6), ("Tamarmouth", "TAMARMOUTH STN")),
    District(2, "Stonebridge", 150_000, 95, (6, 6, 6), ("Stonebridge",)),
    District(3, "Easthaven", 130_000, 82, (4, 5, 6), ("Easthaven",)),
    District(4, "Wrenford", 120_000, 76, (4, 5, 5), ("Wrenford",)),
    District(5, "Otterleigh", 110_000, 70, (4, 5, 5), ("Otterleigh", "Otterley")),
    District(6, "Saltmere", 95_000, 60, (3, 4, 5), ("Saltmere",)),
    District(7, "Brackenford", 85_000, 52, (4, 4, 4), ("Brackenford",)),
    District(8, "Highmoor", 30_000, 20, (2, 2, 2), ("Highmoor",)),
)


@dataclass(frozen=True)
class IncidentType:
    """One type of incident: how often, how urgent, how long on the scene.

    `share` is its weight in the night, early and late shift; `grades` the chances of grade 1, 2 and 3. Time on the scene is
    log-normal: `median` minutes, `sigma` the standard deviation of its logarithm.
    """

    name: str
    share: tuple[float, float, float]
    grades: tuple[float, float, float]
    median: float
    sigma: float

    @property
    def mean(self) -> float:
        """Mean minutes on the scene, without any wait in the emergency department."""
        return self.median * math.exp(self.sigma**2 / 2)


INCIDENT_TYPES: tuple[IncidentType, ...] = (
    IncidentType("anti-social behaviour", (0.14, 0.12, 0.18), (0.10, 0.40, 0.50), 20, 0.70),
    IncidentType("burglary", (0.04, 0.07, 0.04), (0.16, 0.34, 0.50), 46, 0.55),
    IncidentType("concern for safety", (0.13, 0.14, 0.13), (0.28, 0.50, 0.22), 32, 0.75),
    IncidentType("criminal damage", (0.05, 0.06, 0.05), (0.07, 0.33, 0.60), 24, 0.60),
    IncidentType("domestic", (0.20, 0.11, 0.15), (0.38, 0.47, 0.15), 48, 0.65),
    IncidentType("mental health", (0.06, 0.045, 0.055), (0.34, 0.50, 0.16), 44, 0.60),
    IncidentType("missing person", (0.05, 0.04, 0.06), (0.14, 0.66, 0.20), 40, 0.80),
    IncidentType("public order", (0.06, 0.04, 0.05), (0.22, 0.48, 0.30), 26, 0.65),
    IncidentType("road collision", (0.05, 0.10, 0.07), (0.34, 0.46, 0.20), 42, 0.65),
    IncidentType("suspicious behaviour", (0.10, 0.05, 0.06), (0.20, 0.55, 0.25), 16, 0.65),
    IncidentType("theft", (0.04, 0.14, 0.09), (0.06, 0.24, 0.70), 28, 0.60),
    IncidentType("violence", (0.17, 0.10, 0.13), (0.36, 0.44, 0.20), 44, 0.75),
)


@dataclass(frozen=True)
class ResponseTruth:
    """Behind `response_log.csv` and `cars_on_duty.csv`.

    Arrivals are a Poisson process whose rate is population x `incidents_per_1000_a_day` x `profile` (mean 1 over the day) x
    the weekend factor (Friday and Saturday 18:00 to 24:00, and 00:00 to 04:00 after them), scaled so that the eight weeks
    have the stated mean. A mental-health job is taken to the emergency department with chance `ed_chance`; its car then
    stays there for a further log-normal time of mean `ed_mean` and `ed_sigma` on the log scale.
    """

    first_day: str = "2026-01-05"
    days: int = 56
    incidents_per_1000_a_day: float = 0.61
    weekend_factor: float = 1.10
    profile_weights: tuple[float, ...] = (
        0.85, 0.72, 0.60, 0.50, 0.42, 0.40, 0.46, 0.62, 0.82, 0.95, 1.02, 1.07,
        1.10, 1.12, 1.18, 1.27, 1.36, 1.42, 1.47, 1.48, 1.42, 1.32, 1.20, 1.02,
    )  # fmt: skip
    two_cars_chance: float = 0.12
    ed_chance: float = 0.25
    ed_mean: float = 240.0
    ed_sigma: float = 0.55
    duplicated_rows: int = 60
    missing_arrived: int = 90
    second_spelling_chance: float = 0.08

    @property
    def profile(self) -> tuple[float, ...]:
        """Relative rate of each hour of the day, mean 1."""
        mean = sum(self.profile_weights) / 24
        return tuple(weight / mean for weight in self.profile_weights)


@dataclass(frozen=True)
class ControlRoomTruth:
    """Behind `control_room.csv`: one desk, 999 before 101, nobody interrupted, nobody hangs up.

    Calls are Poisson with mean `calls_a_day` x `profile`; the handling time of both kinds is log-normal with mean
    `handling_mean` seconds and coefficient of variation `handling_cv` (1, as the exponential that Erlang C assumes).
    `agents` is the rota of the night, early and late shift; in the first `handover_minutes` of each shift `handover_agents` of
    them are still at the briefing, which the rota doesn't say.
    """

    first_day: str = "2026-01-12"
    days: int = 21
    calls_a_day: float = 1_400.0
    share_999: float = 0.34
    handling_mean: float = 240.0
    handling_cv: float = 1.0
    agents: tuple[int, int, int] = (5, 6, 8)
    handover_hours: tuple[int, ...] = (7, 15, 23)
    handover_minutes: int = 15
    handover_agents: int = 2

    def agents_at(self, hour: int) -> int:
        """Agents on the rota in one hour of the day (0 to 23)."""
        return self.agents[shift_of(hour)]


@dataclass(frozen=True)
class Truth:
    """Everything that the generators know and the tables don't say."""

    response: ResponseTruth = field(default_factory=ResponseTruth)
    control_room: ControlRoomTruth = field(default_factory=ControlRoomTruth)


TRUTH = Truth()
