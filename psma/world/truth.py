"""The true parameters behind the shared world, one frozen dataclass a family.

Tests, solutions and trainers may import this module; lectures don't, because a lecture has to find these
numbers in the data. Times are in minutes unless a name says otherwise, rates are per day, populations in
people.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field


def shift_of(hour: int) -> int:
    """Shift of an hour of the day: 0 night, 1 early (07 to 15), 2 late (15 to 23)."""
    if 7 <= hour < 15:
        return 1
    return 2 if 15 <= hour < 23 else 0


@dataclass(frozen=True)
class District:
    """One of the eight districts: its people, its small areas and how its response cars are rostered.

    `cars` holds the cars on duty in the night (23:00 to 07:00), early (07:00 to 15:00) and late (15:00 to
    23:00) shift.
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
    District(3, "Easthaven", 130_000, 83, (5, 5, 6), ("Easthaven",)),
    District(4, "Wrenford", 110_000, 70, (4, 5, 5), ("Wrenford",)),
    District(5, "Otterleigh", 110_000, 70, (5, 5, 5), ("Otterleigh", "Otterley")),
    District(6, "Saltmere", 105_000, 66, (4, 4, 5), ("Saltmere",)),
    District(7, "Brackenford", 80_000, 49, (4, 4, 4), ("Brackenford",)),
    District(8, "Highmoor", 35_000, 22, (2, 2, 2), ("Highmoor",)),
)


@dataclass(frozen=True)
class Settlement:
    """A town or village around which a district's small areas cluster: place (km from the county's corner),
    spread (km),
    and its share of the district's areas. A spread above 3 km is open country."""

    district: int
    easting_km: float
    northing_km: float
    spread_km: float
    share: float

    @property
    def kind(self) -> str:
        """Town or open country."""
        return "country" if self.spread_km > 3 else "town"


SETTLEMENTS: tuple[Settlement, ...] = (
    Settlement(1, 34.5, 10.5, 1.9, 0.76), Settlement(1, 37.5, 15.0, 0.8, 0.12),
    Settlement(1, 36.0, 12.0, 4.5, 0.12), Settlement(2, 43.0, 22.0, 1.9, 0.76),
    Settlement(2, 38.0, 23.5, 0.8, 0.12), Settlement(2, 41.0, 23.0, 4.5, 0.12),
    Settlement(3, 56.0, 17.0, 1.8, 0.72), Settlement(3, 50.0, 13.0, 0.8, 0.13),
    Settlement(3, 53.0, 17.0, 5.0, 0.15), Settlement(4, 53.0, 40.0, 1.8, 0.68),
    Settlement(4, 48.0, 33.5, 0.8, 0.14), Settlement(4, 52.0, 37.0, 5.5, 0.18),
    Settlement(5, 33.0, 43.0, 1.7, 0.66), Settlement(5, 40.0, 38.5, 0.8, 0.14),
    Settlement(5, 34.0, 41.0, 5.5, 0.20), Settlement(6, 21.5, 10.0, 1.6, 0.66),
    Settlement(6, 25.2, 11.5, 0.6, 0.12), Settlement(6, 17.0, 11.0, 5.0, 0.22),
    Settlement(7, 9.5, 30.0, 1.5, 0.58), Settlement(7, 9.0, 41.0, 0.8, 0.16),
    Settlement(7, 9.0, 31.0, 6.0, 0.26), Settlement(8, 21.5, 31.5, 0.7, 0.40),
    Settlement(8, 22.0, 30.0, 5.5, 0.60),
)  # fmt: skip


@dataclass(frozen=True)
class GeographyTruth:
    """Behind `areas.gpkg`, `sites.csv` and the roads.

    The county lies in the open North Sea of the British National Grid, where no real place is. Deprivation is
    a simultaneous autoregression, score = mean + scale x (I - rho W)^-1 e, with W the row-standardised
    contiguity of the areas and e standard normal, scaled to `deprivation_sd` in expectation.
    """

    corner_m: tuple[int, int] = (520_000, 620_000)
    deprivation_rho: float = 0.75
    deprivation_mean: float = 26.0
    deprivation_sd: float = 6.5
    population_cv: float = 0.22
    winding: float = 1.25
    speed_kmh: tuple[tuple[str, tuple[float, float, float]], ...] = (
        # night, day, peak
        ("main road", (72.0, 64.0, 46.0)),
        ("street", (44.0, 33.0, 22.0)),
        ("lane", (40.0, 42.0, 38.0)),
        ("moor road", (26.0, 44.0, 42.0)),
    )
    ferry_minutes: tuple[float | None, float, float] = (None, 14.0, 19.0)

    @staticmethod
    def band(hour: int) -> int:
        """Hour band: 0 night (22:00 to 06:00), 1 day, 2 peak (07:00 to 09:00, 16:00 to 18:00)."""
        if hour >= 22 or hour < 6:
            return 0
        return 2 if hour in (7, 8, 16, 17) else 1


@dataclass(frozen=True)
class IncidentType:
    """One type of incident: how often, how urgent, how long on the scene.

    `share` is its weight in the night, early and late shift; `grades` the chances of grade 1, 2 and 3. Time
    on the scene is log-normal: `median` minutes, `sigma` the standard deviation of its logarithm.
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
    IncidentType("concern for safety", (0.13, 0.14, 0.13), (0.28, 0.50, 0.22), 30, 0.75),
    IncidentType("criminal damage", (0.05, 0.06, 0.05), (0.07, 0.33, 0.60), 24, 0.60),
    IncidentType("domestic", (0.20, 0.11, 0.15), (0.38, 0.47, 0.15), 45, 0.65),
    IncidentType("mental health", (0.06, 0.045, 0.055), (0.34, 0.50, 0.16), 44, 0.60),
    IncidentType("missing person", (0.05, 0.04, 0.06), (0.14, 0.66, 0.20), 40, 0.80),
    IncidentType("public order", (0.06, 0.04, 0.05), (0.22, 0.48, 0.30), 26, 0.65),
    IncidentType("road collision", (0.05, 0.10, 0.07), (0.34, 0.46, 0.20), 38, 0.65),
    IncidentType("suspicious behaviour", (0.10, 0.05, 0.06), (0.20, 0.55, 0.25), 16, 0.65),
    IncidentType("theft", (0.04, 0.14, 0.09), (0.06, 0.24, 0.70), 28, 0.60),
    IncidentType("violence", (0.17, 0.10, 0.13), (0.36, 0.44, 0.20), 41, 0.75),
)


@dataclass(frozen=True)
class ResponseTruth:
    """Behind `response_log.csv` and `cars_on_duty.csv`.

    Arrivals are a Poisson process whose rate is population x `incidents_per_1000_a_day` x `profile` (mean 1
    over the day) x the weekend factor (Friday and Saturday 18:00 to 24:00, and 00:00 to 04:00 after them),
    scaled so that the eight weeks have the stated mean. A mental-health job is taken to the emergency
    department with chance `ed_chance`; its car then stays there for a further log-normal time of mean
    `ed_mean` and `ed_sigma` on the log scale.

    Within a district an area's chance is proportional to its people x exp(`deprivation_slope` x its score).
    The nearest free car goes. Travel = `turnout_minutes` + pace x (road minutes + `address_minutes` x root of
    the area in km2), pace log-normal with median 1 and `travel_sigma`, times `blue_light_factor` for grade 1.

    Grade 1 is to be reached within `target_minutes` of receipt: of the arrivals up to `target_window` minutes
    later a share `target_chance` is recorded somewhere in the last 80 seconds before the target. The queue
    knows the true one.
    """

    first_day: str = "2026-01-05"
    days: int = 56
    incidents_per_1000_a_day: float = 0.61
    weekend_factor: float = 1.10
    profile_weights: tuple[float, ...] = (
        0.85, 0.70, 0.56, 0.46, 0.38, 0.36, 0.42, 0.56, 0.74, 0.86, 0.93, 0.98,
        1.02, 1.06, 1.14, 1.26, 1.38, 1.46, 1.52, 1.53, 1.46, 1.34, 1.18, 1.00,
    )  # fmt: skip
    two_cars_chance: float = 0.10
    ed_chance: float = 0.25
    ed_mean: float = 240.0
    ed_sigma: float = 0.55
    deprivation_slope: float = 0.03
    turnout_minutes: float = 1.0
    address_minutes: float = 0.7
    travel_sigma: float = 0.20
    blue_light_factor: float = 0.75
    target_minutes: float = 15.0
    target_window: float = 3.0
    target_chance: float = 0.4
    duplicated_rows: int = 60
    missing_arrived: int = 90
    second_spelling_chance: float = 0.08

    @property
    def profile(self) -> tuple[float, ...]:
        """Relative rate of each hour of the day, mean 1."""
        mean = sum(self.profile_weights) / 24
        return tuple(weight / mean for weight in self.profile_weights)


@dataclass(frozen=True)
class CallType:
    """One type of call: mean a day on 1 March 2021, growth a year, season, calendar and over-dispersion.

    `week` is the factor of Monday to Sunday; `season` the amplitude of a yearly cosine that is highest on day
    `peak` of the year; `holiday` and `payday` are factors. Counts are negative binomial with variance
    mean + mean squared / `size`.
    """

    name: str
    base: float
    growth: float
    week: tuple[float, float, float, float, float, float, float]
    season: float
    peak: int
    holiday: float
    payday: float
    size: float


FLAT_WEEK = (1.00, 1.00, 1.00, 1.00, 1.00, 1.00, 1.00)
NIGHT_OUT = (0.88, 0.88, 0.90, 0.95, 1.12, 1.26, 1.01)
AT_HOME = (0.97, 0.93, 0.93, 0.94, 1.02, 1.12, 1.09)
SHOP_HOURS = (1.08, 1.04, 1.03, 1.04, 1.06, 1.00, 0.75)
OFFICE = (1.18, 1.10, 1.08, 1.07, 1.07, 0.80, 0.70)
CALL_TYPES: tuple[CallType, ...] = (
    CallType("anti-social behaviour", 175, 0.010, NIGHT_OUT, 0.18, 200, 1.06, 1.07, 60),
    CallType("burglary", 52, -0.030, SHOP_HOURS, 0.12, 345, 0.85, 1.00, 80),
    CallType("concern for safety", 130, 0.020, FLAT_WEEK, 0.04, 20, 1.05, 1.00, 90),
    CallType("criminal damage", 72, -0.010, NIGHT_OUT, 0.06, 180, 1.00, 1.03, 80),
    CallType("domestic", 165, 0.015, AT_HOME, 0.06, 200, 1.16, 1.06, 90),
    CallType("mental health", 42, 0.090, FLAT_WEEK, 0.06, 130, 1.04, 1.00, 70),
    CallType("missing person", 52, 0.010, AT_HOME, 0.08, 190, 1.00, 1.00, 60),
    CallType("public order", 60, 0.010, NIGHT_OUT, 0.12, 200, 1.05, 1.09, 60),
    CallType("road collision", 95, 0.000, SHOP_HOURS, 0.12, 325, 0.72, 1.00, 50),
    CallType("suspicious behaviour", 90, -0.010, FLAT_WEEK, 0.08, 330, 1.00, 1.00, 90),
    CallType("theft", 135, 0.020, SHOP_HOURS, 0.04, 340, 0.72, 1.02, 80),
    CallType("violence", 210, 0.010, NIGHT_OUT, 0.09, 200, 1.08, 1.08, 90),
    CallType("other", 190, 0.005, OFFICE, 0.03, 20, 0.60, 1.00, 100),
)


@dataclass(frozen=True)
class EmergencyDepartment:
    """Mean attendances a day of one department, the share in mental-health crisis, and its usual breaches."""

    hospital: str
    base: float
    crisis_share: float
    breach_logit: float


@dataclass(frozen=True)
class DemandTruth:
    """Behind the daily and hourly counts; the mean is a product of trend, week, season, calendar and step.

    From `rule_day` on, a second report of the same assault no longer counts as a call: violence falls to
    `rule_factor` of what it was, and nothing happened on the street. Events: (first day, days, {type:
    factor}). Breaches of four hours are binomial with logit = `breach_logit` + `breach_crowding` x
    (attendances / mean - 1) + `breach_winter` from December to February + `breach_trend` x years.
    """

    first_day: str = "2021-03-01"
    days: int = 1_827
    hourly_first_day: str = "2025-03-03"
    hourly_days: int = 364
    rule_day: str = "2024-04-01"
    rule_type: str = "violence"
    rule_factor: float = 0.68
    events: tuple[tuple[str, str, int, tuple[tuple[str, float], ...]], ...] = (
        *(
            (
                f"Tamarmouth Regatta {day[:4]}",
                day,
                3,
                (("anti-social behaviour", 1.25), ("public order", 1.35)),
            )
            for day in ("2021-08-20", "2022-08-19", "2023-08-18", "2024-08-16", "2025-08-15")
        ),
        ("Winter storm", "2024-01-21", 3, (("road collision", 1.80), ("concern for safety", 1.35))),
        ("Heatwave", "2022-07-16", 5, (("anti-social behaviour", 1.20), ("concern for safety", 1.25))),
    )
    mental_health_profile: tuple[float, ...] = (
        0.95, 0.85, 0.75, 0.65, 0.55, 0.50, 0.50, 0.60, 0.75, 0.90, 1.00, 1.05,
        1.05, 1.05, 1.05, 1.10, 1.15, 1.20, 1.25, 1.35, 1.45, 1.50, 1.45, 1.30,
    )  # fmt: skip
    departments: tuple[EmergencyDepartment, ...] = (
        EmergencyDepartment("Tamarmouth General Hospital", 330, 0.032, -2.20),
        EmergencyDepartment("Wrenford Royal Infirmary", 225, 0.028, -2.35),
        EmergencyDepartment("Brackenford Hospital", 120, 0.026, -2.60),
    )
    attendance_growth: float = 0.018
    attendance_size: float = 120.0
    attendance_week: tuple[float, ...] = (1.10, 1.02, 0.99, 0.98, 0.98, 0.95, 0.98)
    breach_crowding: float = 2.5
    breach_winter: float = 0.45
    breach_trend: float = 0.08
    lost_ed_days: tuple[str, int] = ("2023-09-11", 4)


@dataclass(frozen=True)
class ControlRoomTruth:
    """Behind `control_room.csv`: one desk, 999 before 101, nobody interrupted, nobody hangs up.

    Calls are those of `calls_hourly.csv`, spread evenly over the hour; a share of them is 999, the rest 101.
    The handling time of both kinds is log-normal with mean `handling_mean` seconds and coefficient of
    variation `handling_cv` (1, as the exponential that Erlang C assumes). `agents` is the rota of the night,
    early and late shift; in the first `handover_minutes` of each shift `handover_agents` of them are still at
    the briefing, which the rota doesn't say.
    """

    first_day: str = "2026-01-12"
    days: int = 21
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
class CrisisTruth:
    """Behind `crisis_contacts.csv`.

    Contacts where a police car goes are, in the eight weeks of the response log, its mental-health incidents;
    before that, and for the ambulance, a Poisson process. A contact goes to the emergency department with
    `ResponseTruth.ed_chance` (police) or `ambulance_ed_chance`; the street-triage car comes along in its
    hours with chance `triage_chance` (contact stays out of the ED, contact goes there), so it is seen with
    the easier ones.

    Whether the person has another contact within 30 days is logistic in columns of the table: `intercept`,
    `slope` for each previous contact (at most `previous_cap`), for each deprivation decile above the first,
    for alcohol, and the shifts by age band, outcome and attendance; what is not listed is 0. The planted
    bias: a contact in an area that is `rural` is recorded with chance `rural_recorded`, anywhere else always,
    so that people there seem to come back less, although nothing in the chance of coming back depends on
    where they live but deprivation.
    """

    first_day: str = "2025-03-03"
    days: int = 364
    run_in_days: int = 364
    police_a_day: float = 27.0
    ambulance_a_day: float = 15.0
    growth: float = 0.09
    ambulance_ed_chance: float = 0.55
    ambulance_ed_mean: float = 310.0
    ambulance_ed_sigma: float = 0.60
    triage_hours: tuple[int, ...] = (17, 18, 19, 20, 21, 22, 23, 0)
    triage_chance: tuple[float, float] = (0.50, 0.20)
    age_bands: tuple[tuple[str, float], ...] = (
        ("under 18", 0.10), ("18 to 24", 0.18), ("25 to 34", 0.22),
        ("35 to 49", 0.25), ("50 to 64", 0.16), ("65 and over", 0.09),
    )  # fmt: skip
    alcohol_chance: float = 0.38
    outcomes_out: tuple[tuple[str, float], ...] = (
        ("advice only", 0.52),
        ("community team", 0.36),
        ("section 136", 0.12),
    )
    outcomes_ed: tuple[tuple[str, float], ...] = (
        ("advice only", 0.15), ("community team", 0.38), ("admitted", 0.27), ("left before seen", 0.20),
    )  # fmt: skip
    intercept: float = -1.30
    previous_slope: float = 0.32
    previous_cap: int = 6
    decile_slope: float = -0.05
    alcohol_effect: float = 0.40
    age_effects: tuple[tuple[str, float], ...] = (("18 to 24", 0.25), ("65 and over", -0.45))
    outcome_effects: tuple[tuple[str, float], ...] = (
        ("community team", -0.50), ("admitted", -0.70), ("section 136", -0.30), ("left before seen", 0.55),
    )  # fmt: skip
    attended_effects: tuple[tuple[str, float], ...] = (("street triage", -0.20),)
    old_person_chance: float = 0.30
    rural_recorded: float = 0.65
    missing_age: float = 0.012
    missing_alcohol: float = 0.03


@dataclass(frozen=True)
class Condition:
    """What brings a patient: share of those not in crisis, chance of a bed, mean minutes in it."""

    name: str
    share: float
    bed_chance: float
    bed_mean: float


@dataclass(frozen=True)
class PathwayTruth:
    """Behind `ed_pathway.csv`: three weeks of Tamarmouth General as a queue with `nurses`, `chairs` and
    `beds`.

    First come first served at every step. Triage and care are log-normal (mean minutes, sigma of the
    logarithm); `admit_chance` of those in a bed wait there for a ward, another log-normal time.
    """

    first_day: str = "2026-01-12"
    days: int = 21
    nurses: int = 3
    chairs: int = 24
    beds: int = 24
    triage: tuple[float, float] = (9.0, 0.45)
    chair: tuple[float, float] = (98.0, 0.55)
    bed_sigma: float = 0.50
    admit_chance: float = 0.38
    boarding: tuple[float, float] = (130.0, 0.80)
    conditions: tuple[Condition, ...] = (
        Condition("abdominal pain", 0.12, 0.60, 195.0),
        Condition("breathing", 0.10, 0.80, 205.0),
        Condition("chest pain", 0.11, 0.75, 185.0),
        Condition("injury", 0.28, 0.15, 160.0),
        Condition("minor illness", 0.39, 0.08, 150.0),
        Condition("mental health", 0.00, 0.55, 280.0),
    )


@dataclass(frozen=True)
class StrokeType:
    """One kind of admission to the stroke unit: its share, stay on the acute ward and what follows.

    Stays are log-normal: mean days and sigma of the logarithm. `rehab_chance` go on to the rehabilitation
    ward, where the stay is log-normal with `rehab` (mean days, sigma); `early_chance` of the others leave
    with early supported discharge.
    """

    name: str
    share: float
    acute: tuple[float, float]
    rehab_chance: float
    rehab: tuple[float, float]
    early_chance: float


@dataclass(frozen=True)
class StrokeTruth:
    """Behind `stroke_admissions.csv`: two years of one unit, a Poisson process with a winter season.

    The rate is `a_day` x (1 + `winter` x cosine with its peak on 15 January); `day_share` of admissions come
    between 08:00 and 20:00. Stays are as patients needed them: no bed was ever missing.
    """

    first_day: str = "2024-01-01"
    days: int = 731
    a_day: float = 3.4
    winter: float = 0.10
    day_share: float = 0.68
    kinds: tuple[StrokeType, ...] = (
        StrokeType("ischaemic stroke", 0.56, (7.4, 0.85), 0.30, (26.0, 0.55), 0.30),
        StrokeType("haemorrhagic stroke", 0.10, (11.0, 0.95), 0.38, (34.0, 0.60), 0.18),
        StrokeType("transient ischaemic attack", 0.14, (1.8, 0.60), 0.00, (1.0, 0.10), 0.05),
        StrokeType("mimic", 0.20, (2.6, 0.80), 0.03, (12.0, 0.50), 0.02),
    )
    missing_discharge: float = 0.012
    duplicated_rows: int = 14


@dataclass(frozen=True)
class SurgeryTruth:
    """Behind `surgical_cancellations.csv`: operations on a list, and which were cancelled within a day of it.

    Cancellation is logistic: `intercept`, then for each column the coefficient times the value, with one
    interaction (a high-dependency bed wanted in winter) and nothing that depends on `consultant`.
    """

    first_day: str = "2024-04-01"
    days: int = 728
    a_weekday: float = 12.0
    specialties: tuple[tuple[str, float, float], ...] = (
        # share, chance that a high-dependency bed is wanted
        ("orthopaedics", 0.30, 0.06), ("general surgery", 0.25, 0.20), ("urology", 0.14, 0.05),
        ("gynaecology", 0.12, 0.04), ("ear, nose and throat", 0.11, 0.02), ("vascular", 0.08, 0.35),
    )  # fmt: skip
    consultants: int = 18
    intercept: float = -3.15
    last_on_list: float = 0.55
    hdu: float = 0.35
    hdu_in_winter: float = 0.90
    cancelled_before: float = 0.45
    asa: float = 0.22
    lead_months: float = 0.06
    no_preassessment: float = 0.80
    monday: float = 0.20
    preassessed_chance: float = 0.86
    missing_asa: float = 0.03


@dataclass(frozen=True)
class VaccinationTruth:
    """Behind `vaccination_arrivals.csv`: ten days of a pilot clinic, one row a person who came.

    Appointments every `slot_minutes`, `a_slot` people each, `no_show` of whom don't come; arrival is normal
    around the slot (`early_mean` minutes, `early_sd`). Registration and vaccination are log-normal (mean
    minutes, sigma); `first_dose` need a conversation before it, also log-normal; who needs `assistance` takes
    `slower` times as long everywhere.
    """

    first_day: str = "2026-02-02"
    days: int = 10
    opens: int = 8
    closes: int = 18
    slot_minutes: int = 10
    a_slot: int = 14
    no_show: float = 0.07
    early_mean: float = -4.0
    early_sd: float = 7.0
    first_dose: float = 0.62
    assistance: float = 0.08
    slower: float = 1.8
    registration: tuple[float, float] = (1.6, 0.45)
    conversation: tuple[float, float] = (3.2, 0.50)
    vaccination: tuple[float, float] = (2.4, 0.40)
    missing_times: float = 0.01


@dataclass(frozen=True)
class HealthTruth:
    """Stroke beds, cancelled operations and a vaccination clinic."""

    stroke: StrokeTruth = field(default_factory=StrokeTruth)
    surgery: SurgeryTruth = field(default_factory=SurgeryTruth)
    vaccination: VaccinationTruth = field(default_factory=VaccinationTruth)


@dataclass(frozen=True)
class CrimeTruth:
    """Behind `burglary.csv`, `snap_points.csv` and `incidents.csv`.

    Burglary: background events are Poisson at `background_a_day`, in an area with weight people x
    exp(`burglary_slope` x deprivation), uniform within it. Each event has Poisson(`repeat_mean`) children, at
    an exponential distance of mean `repeat_metres` in any direction and an exponential time of mean
    `repeat_days` later. The time of an event is known only as a window round it, in total about log-normal
    with `window_median_hours` and `window_sigma`, which says when people were out.

    Incidents: each map point has a lasting risk, gamma with mean 1 and shape `risk_shape`, `place_boost`
    times as much at a public place; an incident happens `scatter_metres` (standard deviation in each
    direction) from its point and is published at the nearest one.
    """

    burglary_first_day: str = "2024-01-01"
    burglary_days: int = 731
    background_a_day: float = 7.5
    burglary_slope: float = 0.035
    repeat_mean: float = 0.24
    repeat_metres: float = 110.0
    repeat_days: float = 9.0
    window_median_hours: float = 6.0
    window_sigma: float = 0.9
    entries: tuple[tuple[str, float], ...] = (
        ("rear door", 0.34), ("front door", 0.27), ("rear window", 0.21), ("other window", 0.11),
        ("not known", 0.07),
    )  # fmt: skip
    people_a_point: float = 320.0
    place_chance: float = 0.13
    places: tuple[tuple[str, float], ...] = (
        ("Supermarket", 0.28), ("Parking Area", 0.24), ("Park/Open Space", 0.20), ("Petrol Station", 0.14),
        ("Pub or Bar", 0.14),
    )  # fmt: skip
    risk_shape: float = 0.8
    place_boost: float = 3.0
    scatter_metres: float = 90.0
    incident_slope: float = 0.03
    incident_first_month: str = "2025-01"
    incident_months: int = 12
    incidents_a_month: float = 3_350.0
    no_location: float = 0.012
    categories: tuple[tuple[str, float], ...] = (
        ("violence", 0.31), ("anti-social behaviour", 0.20), ("shoplifting", 0.09), ("criminal damage", 0.08),
        ("public order", 0.08), ("other theft", 0.07), ("vehicle crime", 0.06), ("burglary", 0.04),
        ("drugs", 0.03), ("robbery", 0.01), ("other", 0.03),
    )  # fmt: skip
    outcomes: tuple[tuple[str, float], ...] = (
        ("no suspect identified", 0.40), ("unable to prosecute", 0.34), ("under investigation", 0.12),
        ("charged", 0.07), ("community resolution", 0.07),
    )  # fmt: skip


@dataclass(frozen=True)
class PeopleTruth:
    """Behind `people.csv`, `offences.csv` and `involvements.csv`.

    `group_share` of the offences belong to one of four groups, in proportion to its size, with two offenders
    and Poisson(`extra_offenders`) more, drawn by their activity (gamma, mean 1, `activity_shape`). A broker,
    (own group, other group), is drawn for the other group's offences with `broker_pull` times its activity,
    which is `broker_activity` of the median: it stands out by where it stands, not by how much it does. Every
    other offence has one offender, or two with `pair_chance`. Victims and witnesses are Poisson.
    """

    group_sizes: tuple[int, ...] = (34, 28, 24, 20)
    group_districts: tuple[str, ...] = ("Tamarmouth", "Easthaven", "Stonebridge", "Otterleigh")
    brokers: tuple[tuple[int, int], ...] = ((1, 2), (2, 1), (2, 3), (3, 4), (1, 4), (4, 2))
    broker_pull: float = 1.6
    broker_activity: float = 0.5
    others: int = 1_300
    offences: int = 1_900
    group_share: float = 0.22
    extra_offenders: float = 0.8
    activity_shape: float = 0.9
    pair_chance: float = 0.06
    victims: float = 0.75
    witnesses: float = 0.45
    near_home: float = 0.7
    deprivation_slope: float = 0.04
    also_in_crisis: float = 0.14
    first_day: str = "2023-03-01"
    days: int = 1_096
    last_birth_year: int = 2_011
    types: tuple[tuple[str, float], ...] = (
        ("violence", 0.30), ("theft", 0.22), ("criminal damage", 0.14), ("burglary", 0.12), ("drugs", 0.12),
        ("public order", 0.10),
    )  # fmt: skip
    duplicated_rows: int = 40


@dataclass(frozen=True)
class LogsTruth:
    """Behind `incident_logs.csv` and `planted_names.csv`.

    `in_response` logs belong to incidents of the response log, whose type is the `category`; the rest are
    calls for which nobody was sent. What really happened differs from the category with the chances of
    `miscoded` (category, what it was, chance); `reviewed` logs say it. Of the logs that are really about
    mental health a share `plain` holds none of the `keywords`; of the others a share `markers` holds a line
    that does, and is about something else. A share `disguised` of the first opens like another category,
    and a share `distress` of all that might be either tells of distress.
    """

    logs: int = 6_000
    in_response: int = 4_600
    reviewed: int = 1_500
    miscoded: tuple[tuple[str, str, float], ...] = (
        ("concern for safety", "mental health", 0.17), ("anti-social behaviour", "mental health", 0.05),
        ("public order", "mental health", 0.07), ("missing person", "mental health", 0.06),
        ("violence", "domestic", 0.08), ("public order", "violence", 0.06), ("theft", "burglary", 0.06),
        ("criminal damage", "anti-social behaviour", 0.06), ("mental health", "concern for safety", 0.06),
        ("suspicious behaviour", "anti-social behaviour", 0.05),
    )  # fmt: skip
    keywords: tuple[str, ...] = (
        "mental health", "suicid", "self harm", "self-harm", "overdose", "depress", "bipolar",
        "schizophren", "psychosis", "crisis team", "s136", "section",
    )  # fmt: skip
    plain: float = 0.42
    markers: float = 0.035
    disguised: float = 0.45
    distress: float = 0.35


@dataclass(frozen=True)
class NotesTruth:
    """Behind `gp_notes.csv`: admission within 14 days is logistic in age and in which signals are present.

    A signal (name, share of notes, effect on the logit) is present independently of the others; another share
    `denied` of the notes says that it is not there, a share `trap` tells of a relative or of years ago:
    neither changes the chance. Age enters as `age_slope` x (age - 80) / 10.
    """

    first_day: str = "2025-03-03"
    days: int = 364
    notes: int = 2_500
    patients: int = 1_600
    intercept: float = -3.25
    age_slope: float = 0.30
    signals: tuple[tuple[str, float, float], ...] = (
        ("breathless", 0.16, 1.3), ("not_coping", 0.12, 1.0), ("off_food", 0.12, 1.1),
        ("carer_exhausted", 0.09, 1.2), ("weight_gain", 0.08, 0.9), ("confused", 0.11, 1.2),
        ("falls", 0.11, 0.8), ("chest_pain", 0.08, 1.0), ("fever_rigors", 0.07, 1.5), ("sats_low", 0.06, 1.8),
    )  # fmt: skip
    denied: float = 0.13
    trap: float = 0.06


@dataclass(frozen=True)
class PostsTruth:
    """Behind `force_accounts.csv` and `force_posts.csv`.

    A post has a theme with the share of `themes` and, within it, a sentiment with the shares (negative,
    neutral, positive); a part of the negative ones is sarcastic, as the grammar has it. On `viral_evening`
    another `viral_posts` about `home` come within a few hours, `viral_sentiment`, mostly from people who
    never posted before and don't live in the county.

    `labelled` posts carry two people's labels. Each says the truth with chance `label_right` (first, second
    person) and, of a sarcastic post, with `label_sarcasm`, taking it for positive otherwise; a wrong label is
    most often neutral instead of a side, or the other way round. Their agreement beyond chance is `kappa`
    (Cohen, expected value). The label of the theme is right with chance `theme_right`. Authors say in their
    profile that they live in the county with chance `local` (viral posts: `viral_local`), say nothing with
    chance `silent`.
    """

    first_day: str = "2025-03-03"
    days: int = 364
    posts: int = 8_000
    home: str = "@TamarshirePol"
    viral_evening: str = "2025-12-28"
    viral_posts: int = 420
    viral_sentiment: tuple[float, float, float] = (0.86, 0.07, 0.07)
    viral_local: float = 0.06
    local: float = 0.46
    silent: float = 0.38
    themes: tuple[tuple[str, float, tuple[float, float, float]], ...] = (
        ("response times", 0.13, (0.62, 0.14, 0.24)), ("dogs", 0.09, (0.13, 0.22, 0.65)),
        ("traffic", 0.08, (0.32, 0.46, 0.22)), ("speeding", 0.09, (0.48, 0.30, 0.22)),
        ("appeals for help", 0.11, (0.20, 0.58, 0.22)), ("custody death rumours", 0.05, (0.58, 0.28, 0.14)),
        ("football", 0.07, (0.34, 0.36, 0.30)), ("thanks", 0.09, (0.12, 0.0, 0.88)),
        ("recruitment", 0.06, (0.28, 0.40, 0.32)), ("crime prevention", 0.09, (0.24, 0.42, 0.34)),
        ("weather", 0.03, (0.0, 0.62, 0.38)), ("cuts and politics", 0.05, (0.66, 0.34, 0.0)),
        ("neighbourhood", 0.06, (0.52, 0.26, 0.22)),
    )  # fmt: skip
    labelled: int = 1_200
    label_right: tuple[float, float] = (0.87, 0.84)
    label_sarcasm: float = 0.55
    kappa: float = 0.58
    theme_right: float = 0.94
    accounts: tuple[tuple[str, str, int, int, int, float], ...] = (
        ("Aldmouth Metropolitan Police", "@AldmouthMet", 36_210, 1_104_300, 1_310, 0.11),
        ("Tamarshire Police", "@TamarshirePol", 31_480, 148_700, 96, 0.06),
        ("Northdale Police", "@NorthdalePol", 61_950, 512_400, 236, 0.04),
        ("Brackwater and Isleford Police", "@BrackIslePol", 72_130, 431_900, 188, 0.05),
        ("Corvemere Police", "@CorvemerePol", 39_870, 187_200, 162, 0.09),
        ("Fernhaven Police", "@FernhavenPol", 27_640, 139_600, 121, 0.07),
        ("Eskvale Police", "@EskvalePol", 34_310, 226_800, 84, 0.04),
        ("Dunmarsh Police", "@DunmarshPol", 24_090, 88_300, 76, 0.08),
        ("Larkshire Police", "@LarkshirePol", 58_220, 171_400, 73, 0.05),
        ("Quarrenshire Police", "@QuarrenPol", 29_760, 133_500, 68, 0.06),
        ("Kestmere Police", "@KestmerePol", 31_150, 91_700, 63, 0.07),
        ("Greywold Police", "@GreywoldPol", 35_940, 197_300, 61, 0.03),
        ("Rivelstone Police", "@RivelstonePol", 51_070, 168_900, 59, 0.04),
        ("Harrowmoor Police", "@HarrowmoorPol", 66_480, 204_100, 55, 0.03),
        ("Ostermarsh Police", "@OstermarshPol", 40_330, 112_600, 51, 0.05),
        ("Mereland Police", "@MerelandPol", 26_870, 99_800, 49, 0.05),
        ("Pennick and Wold Police", "@PennickWoldPol", 30_520, 101_300, 46, 0.04),
    )  # fmt: skip


@dataclass(frozen=True)
class TextTruth:
    """Control-room logs, GP notes and posts."""

    logs: LogsTruth = field(default_factory=LogsTruth)
    notes: NotesTruth = field(default_factory=NotesTruth)
    posts: PostsTruth = field(default_factory=PostsTruth)


@dataclass(frozen=True)
class Truth:
    """Everything that the generators know and the tables don't say."""

    geography: GeographyTruth = field(default_factory=GeographyTruth)
    demand: DemandTruth = field(default_factory=DemandTruth)
    response: ResponseTruth = field(default_factory=ResponseTruth)
    control_room: ControlRoomTruth = field(default_factory=ControlRoomTruth)
    crisis: CrisisTruth = field(default_factory=CrisisTruth)
    pathway: PathwayTruth = field(default_factory=PathwayTruth)
    health: HealthTruth = field(default_factory=HealthTruth)
    crime: CrimeTruth = field(default_factory=CrimeTruth)
    people: PeopleTruth = field(default_factory=PeopleTruth)
    text: TextTruth = field(default_factory=TextTruth)


TRUTH = Truth()
