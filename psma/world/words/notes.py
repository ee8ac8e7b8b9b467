"""GP notes, one at a time: why the patient was seen, signals present, denied or another's, findings, plan."""

from __future__ import annotations

import numpy as np

from psma.world.words.cast import Cast
from psma.world.words.grammar import Situation, join, load
from psma.world.words.logs import part, set_down, some
from psma.world.words.style import NOTE_STYLES, pick_style

PRESENT, DENIED, TRAP = "-", "+", "*"


def visits() -> tuple[Situation, ...]:
    """The reasons for a visit."""
    return tuple(s for s in load("notes.txt") if s.facts[0] == "visit")


def signals() -> dict[str, Situation]:
    """The signals by name, each with phrases for present, denied and another person's or long ago."""
    return {s.name: s for s in load("notes.txt") if s.facts[0] == "signal"}


def choose(rng: np.random.Generator) -> Situation:
    """A reason for a visit, by weight."""
    found = visits()
    weights = np.array([s.weight for s in found])
    return found[int(rng.choice(len(found), p=weights / weights.sum()))]


def write(visit: Situation, marks: dict[str, str], cast: Cast, rng: np.random.Generator) -> str:
    """One note; `marks` says for each signal that it mentions which kind of phrase to use."""
    bank = signals()
    opening = some(part("gp_open"), 1, rng)[0] + " " + some(visit.lines["-"], 1, rng)[0]
    middle = [some(bank[name].lines[mark], 1, rng)[0] for name, mark in marks.items()]
    middle += some(visit.lines["+"], int(rng.random() < 0.8), rng)
    middle += some(part("gloss_age"), int(rng.random() < 0.5), rng)
    middle += some(part("gp_story"), int(rng.choice(3, p=(0.35, 0.45, 0.2))), rng)
    middle = some(middle, len(middle), rng)
    exam = some(part("gp_exam"), int(rng.random() < 0.6), rng)
    plan = some(visit.lines["="], int(rng.random() < 0.85), rng) + some(
        part("gp_plan"), int(rng.random() < 0.6), rng
    )
    text, _ = join(set_down([opening, *middle, *exam, *plan], cast, pick_style(NOTE_STYLES, rng), rng))
    return text
