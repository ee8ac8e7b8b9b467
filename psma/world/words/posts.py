"""Posts that mention a force, one at a time: an opening, the matter, a tail, in the author's register."""

from __future__ import annotations

from functools import cache

import numpy as np

from psma.world.words.cast import Cast
from psma.world.words.grammar import Piece, Situation, expand, join, load
from psma.world.words.logs import part, some
from psma.world.words.style import Style, roughen


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


def write(situation: Situation, handle: str, cast: Cast, style: Style, rng: np.random.Generator) -> str:
    """One post that mentions the handle."""

    def fill(slot: str) -> list[Piece]:
        return [Piece(handle, "handle", "handle")] if slot == "h" else cast.fill(slot)

    line = some(situation.lines["-"], 1, rng)[0]
    if "<h>" not in line:
        line = f"<h> {line}" if rng.random() < 0.6 else f"{line} <h>"
    intro = some(part("p_intro"), int(rng.random() < 0.22), rng)
    # a sarcastic post that ends in open anger would not be sarcastic any more
    side, plain = situation.facts[1], not sarcastic(situation)
    tails = some(part(f"p_{side}"), int(rng.random() < 0.45) * plain, rng)
    grave = situation.facts[0] in ("viral video", "custody death rumours")  # no small talk under those
    tails += some(part(f"p_extra_{side}"), int(rng.random() < 0.5) * plain * (not grave), rng)
    pieces: list[Piece] = []
    for text in (*intro, line, *tails):
        filled = expand(text, rng, fill)
        written = "".join(p.text for p in filled).rstrip()
        closed = text in intro or written[-1:] in ".?!:" or "#" in written[written.rfind(" ") + 1 :]
        stop = "" if closed else str(rng.choice([".", "", "!", " -"], p=(0.6, 0.25, 0.08, 0.07)))
        pieces += [*filled, Piece(f"{stop} ")]
    text, _ = join(roughen(pieces, style, rng))
    text = text.removesuffix(" -")
    return text if handle in text else f"{text} {handle}"  # a choice may have left it out
