"""Posts that mention a force, one at a time: an opening, the matter, a tail, in the author's register."""

from __future__ import annotations

import re
from functools import cache

import numpy as np

from psma.world.words.cast import Cast
from psma.world.words.grammar import Piece, Situation, expand, join, load
from psma.world.words.logs import part, some
from psma.world.words.style import Style, roughen

TWIN = re.compile("%(.*?)%")


@cache
def of(theme: str, sentiment: str) -> tuple[Situation, ...]:
    """The situations of a theme and sentiment."""
    return tuple(s for s in load("posts.txt") if s.facts[:2] == (theme, sentiment))


def choose(theme: str, sentiment: str, rng: np.random.Generator) -> Situation:
    """A situation of that theme and sentiment, by weight."""
    found = of(theme, sentiment)
    weights = np.array([s.weight for s in found])
    return found[int(rng.choice(len(found), p=weights / weights.sum()))]


def sarcastic(situation: Situation) -> bool:
    """Whether its posts say the opposite of what they mean."""
    return "sarcasm" in situation.facts


def matter_of(situation: Situation, rng: np.random.Generator) -> str:
    """The template of the post's matter.

    A third of the plain ones is a twin, which differs from the other moods' by a word or two; half of the
    sarcastic ones say what a positive post of the theme says.
    """
    theme, side = situation.facts[:2]
    if sarcastic(situation):
        copied = [line for other in of(theme, "positive") for line in other.lines["-"]]
        return some(copied if copied and rng.random() < 0.5 else situation.lines["-"], 1, rng)[0]
    if theme != "viral video" and rng.random() < 0.36:
        twin = some(part("p_twin"), 1, rng)[0]
        at = ("positive", "negative", "neutral").index(side)
        twin = twin.replace("<matter>", part(f"about {theme}")[0])
        return TWIN.sub(lambda match: match[1].split(";")[at], twin)
    return some(situation.lines["-"], 1, rng)[0]


def lines_of(situation: Situation, rng: np.random.Generator) -> list[str]:
    """The templates of one post: an opening or a concession, the matter, tails of that mood or a sting."""
    theme, side = situation.facts[:2]
    line = matter_of(situation, rng)
    if "<h>" not in line:
        line = f"<h> {line}" if rng.random() < 0.6 else f"{line} <h>"
    if sarcastic(situation):
        return [line, *some(part("p_sting"), int(rng.random() < 0.35), rng)]
    grave = theme in ("viral video", "custody death rumours")  # no small talk under those
    lot = rng.random()
    start = some(part("p_intro"), 1, rng) if lot < 0.2 else []
    if not grave and lot > 0.78:
        start = some(part(f"p_but_{side}"), 1, rng)
    tails = some(part(f"p_{side}"), int(rng.random() < 0.3), rng)
    tails += some(part(f"p_extra_{side}"), int(rng.random() < 0.4) * (not grave), rng)
    return [*start, line, *tails]


def write(situation: Situation, handle: str, cast: Cast, style: Style, rng: np.random.Generator) -> str:
    """One post that mentions the handle."""

    def fill(slot: str) -> list[Piece]:
        return [Piece(handle, "handle", "handle")] if slot == "h" else cast.fill(slot)

    lines = lines_of(situation, rng)
    starts = part("p_intro") + part(f"p_but_{situation.facts[1]}")
    pieces: list[Piece] = []
    for text in lines:
        filled = expand(text, rng, fill)
        written = "".join(p.text for p in filled).rstrip()
        closed = text in starts or written[-1:] in ".?!:," or "#" in written[written.rfind(" ") + 1 :]
        stop = "" if closed else str(rng.choice([".", "", "!", " -"], p=(0.6, 0.25, 0.08, 0.07)))
        pieces += [*filled, Piece(f"{stop} ")]
    text, _ = join(roughen(pieces, style, rng))
    text = text.removesuffix(" -")
    return text if handle in text else f"{text} {handle}"  # a choice may have left it out
