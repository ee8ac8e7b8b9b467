"""Control-room logs, one at a time: opening, facts, who rang, updates with their times, result."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import numpy as np

from psma.world.words.cast import Cast
from psma.world.words.grammar import Piece, Situation, expand, join, load
from psma.world.words.style import LOG_STYLES, Style, pick_style, roughen

CLOCKS = ("{:%H:%M} ", "{:%H%M} ", "{:%H:%M} - ", "[{:%H:%M}] ", "{:%H%M}hrs ", "{:%H.%M}: ")
LOOKALIKES = (
    "drunk_slumped", "welfare_partner_agency", "abandoned_call", "street_drinking", "neighbour_dispute",
    "po_shouting", "taxi_dispute", "misper_adult", "misper_patient", "domestic_row",
)  # fmt: skip
HOURS = re.compile(r"(\d+)-(\d+)")


@dataclass(frozen=True)
class Times:
    """Minutes past the call at which a unit was sent, arrived and cleared; None where none was sent."""

    received: np.datetime64
    sent: tuple[float, float, float] | None


@cache
def part(name: str) -> tuple[str, ...]:
    """The templates of one section of `common.txt`."""
    return tuple(next(s for s in load("common.txt") if s.name == name).lines["-"])


@cache
def of_category(category: str) -> tuple[Situation, ...]:
    """The situations of one category."""
    return tuple(s for s in load("logs.txt") if s.facts[0] == category)


def open_at(situation: Situation, hour: int) -> bool:
    """Whether the situation happens at that hour of the day; its heading may say from when to when."""
    found = next((m for m in map(HOURS.fullmatch, situation.facts) if m), None)
    if not found:
        return True
    first, last = int(found[1]), int(found[2])
    return first <= hour <= last if first <= last else hour >= first or hour <= last


def choose(category: str, hour: int, sent: bool, rng: np.random.Generator) -> Situation:
    """A situation of the category that fits the hour, by weight; nothing urgent where no car was `sent`."""
    found = [s for s in of_category(category) if open_at(s, hour) and (sent or "urgent" not in s.facts)]
    weights = np.array([s.weight for s in found])
    return found[int(rng.choice(len(found), p=weights / weights.sum()))]


def stories(category: str) -> tuple[str, ...]:
    """The longer sentences that suit a category."""
    if category == "road collision":
        return part("story_road")
    worry = category in ("mental health", "concern for safety", "missing person")
    if category == "domestic":
        return part("story")
    return part("story") + part("story_worry" if worry else "story_crowd")


def some(lines: tuple[str, ...] | list[str], count: int, rng: np.random.Generator) -> list[str]:
    """At most `count` different lines in random order."""
    return [lines[int(n)] for n in rng.permutation(len(lines))[:count]]


def timed(times: Times, minutes: float, clock: str) -> str:
    """The time note of an update."""
    import pandas as pd

    return clock.format(pd.Timestamp(times.received) + pd.Timedelta(minutes=minutes))


def later(situation: Situation, times: Times, clock: str, rng: np.random.Generator) -> list[str]:
    """The updates and the result, in order of time; what is stamped with the car's times is true to them."""
    # beyond the point where no unit goes there is nothing to be on scene for, so the desk closes the log
    ends = times.sent[2] if times.sent else float(rng.uniform(5, 50))
    notes = [
        (float(rng.uniform(1, max(2.0, 0.6 * ends))), line)
        for line in some(situation.lines["*"], int(rng.random() < 0.5), rng)
    ]
    for line in some(part("update"), int(rng.choice(3, p=(0.5, 0.36, 0.14))), rng):
        notes.append((float(rng.uniform(1, max(2.0, 0.8 * ends))), line))
    if times.sent and rng.random() < 0.45:
        notes.append((times.sent[1], some(part("onscene"), 1, rng)[0]))
    result = some(situation.lines["="], 1, rng) if times.sent else some(part("phone"), 1, rng)
    if rng.random() < 0.85:
        result += some(
            part("prose_end" if times.sent else "prose_phone"), int(rng.random() < 0.45), rng
        ) + some(part("end"), int(rng.random() < 0.4), rng)
        notes.append((ends, ". ".join(result)))
    return [timed(times, minutes, clock) * (rng.random() < 0.75) + line for minutes, line in sorted(notes)]


def disguise(situation: Situation, rng: np.random.Generator) -> Situation:
    """The situation as it is told when it looks like another category: its own facts say what it is."""
    name = str(rng.choice(LOOKALIKES))
    other = next(s for s in load("logs.txt") if s.name == name)
    facts = (
        some(situation.lines["+"], 1, rng) + some(other.lines["+"], 2, rng) + some(part("distress"), 1, rng)
    )
    parts = {"-": other.lines["-"], "+": facts, "*": other.lines["*"], "=": situation.lines["="]}
    return Situation(situation.name, situation.facts, parts)


def lines_of(situation: Situation, times: Times, rng: np.random.Generator) -> list[str]:
    """The templates of one log in the order in which its call taker wrote them down."""
    first = some(situation.lines["-"], 1, rng)
    facts = some(situation.lines["+"], int(rng.choice([1, 2, 3, 4], p=(0.2, 0.38, 0.3, 0.12))), rng)
    facts += some(part("manner"), int(rng.choice(3, p=(0.5, 0.38, 0.12))), rng)
    facts += some(stories(situation.facts[0]), int(rng.choice(4, p=(0.3, 0.38, 0.22, 0.1))), rng)
    facts = some(facts, len(facts), rng)
    who = some(part("caller"), int(rng.random() < 0.62), rng)
    body = who + first + facts if rng.random() < 0.22 else first + facts + who
    return body + later(situation, times, CLOCKS[int(rng.integers(len(CLOCKS)))], rng)


def set_down(lines: list[str], cast: Cast, style: Style, rng: np.random.Generator) -> list[Piece]:
    """The templates filled, roughened and put one behind another."""
    gap = str(rng.choice([". ", " - ", "  ", ", ", " // ", "\n"], p=(0.61, 0.13, 0.04, 0.1, 0.05, 0.07)))
    gap = " / " if gap == "\n" else gap
    pieces: list[Piece] = []
    for line in lines:
        filled = expand(line, rng, cast.fill)
        if filled and not filled[0].kind and gap == ". ":
            filled[0] = Piece(filled[0].text[:1].upper() + filled[0].text[1:])
        ready = roughen(filled, style, rng)
        if ready and not ready[-1].kind and ready[-1].text.rstrip().endswith(","):
            ready[-1] = Piece(ready[-1].text.rstrip().rstrip(","))  # an optional end that isn't there
        ends = "".join(p.text for p in ready).rstrip()[-1:]
        pieces += [*ready, Piece(gap.lstrip(".") if ends in ".?!" else gap)]
    return pieces[:-1]


def write(
    situation: Situation,
    cast: Cast,
    times: Times,
    rng: np.random.Generator,
    extra: list[str],
) -> tuple[str, list[tuple[str, str, int, int]]]:
    """One log and its planted spans; `extra` lines stand somewhere after the opening."""
    lines = lines_of(situation, times, rng)
    for line in extra:
        lines.insert(int(rng.integers(1, len(lines) + 1)), line)
    return join(set_down(lines, cast, pick_style(LOG_STYLES, rng), rng))
