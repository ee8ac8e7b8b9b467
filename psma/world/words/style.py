"""How a writer roughens a text: abbreviations of the trade, dropped words, capitals, typing errors.

Planted pieces are left alone, except for capitals that hold for the whole text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from psma.world.words.cast import misspell
from psma.world.words.grammar import Piece

WORD = re.compile(r"[A-Za-z][A-Za-z']+")
SHORT = {
    "caller": "clr", "informant": "inft", "vehicle": "veh", "approximately": "approx", "with": "w",
    "address": "addr", "police": "pol", "officers": "offs", "officer": "ofc", "because": "cos",
    "please": "pls", "minutes": "mins", "location": "loc", "received": "rcvd", "unknown": "unk",
    "information": "info", "nothing": "nowt", "about": "abt", "regarding": "re", "number": "no.",
    "previous": "prev", "neighbour": "nbr", "before": "b4", "request": "req", "arrested": "arr",
    "ambulance": "ambo", "registration": "reg", "without": "w/o", "patient": "pt", "hospital": "hosp",
    "yesterday": "yday", "someone": "s/one", "injuries": "injs", "child": "chd", "and": "&",
    "towards": "twds", "friend": "fr", "street": "st", "reports": "rpts", "states": "sts",
}  # fmt: skip
CHATTY = {"you": "u", "are": "r", "please": "pls", "because": "cos", "to be honest": "tbh", "thanks": "thx"}
DROPPED = {"the", "a", "an", "is", "has", "are", "was", "to", "that"}


@dataclass(frozen=True)
class Style:
    """Chances for one writer: a short form, a dropped little word, a typing error; and the case."""

    short: float = 0.0
    drop: float = 0.0
    typo: float = 0.01
    case: str = "as is"
    table: str = "trade"


LOG_STYLES = (
    (0.34, Style(short=0.10, drop=0.03, typo=0.015)),
    (0.30, Style(short=0.5, drop=0.35, typo=0.022)),
    (0.16, Style(short=0.35, drop=0.12, typo=0.028, case="lower")),
    (0.08, Style(short=0.30, drop=0.2, typo=0.02, case="upper")),
    (0.12, Style(short=0.00, drop=0.00, typo=0.004)),
)
NOTE_STYLES = (
    (0.5, Style(short=0.1, drop=0.2, typo=0.008)),
    (0.3, Style(short=0.3, drop=0.4, typo=0.018, case="lower")),
    (0.2, Style(typo=0.004)),
)
POST_STYLES = (
    (0.50, Style(typo=0.008, table="chat")),
    (0.25, Style(short=0.5, drop=0.15, typo=0.025, case="lower", table="chat")),
    (0.20, Style(typo=0.002, table="chat")),
    (0.05, Style(typo=0.015, case="upper", table="chat")),
)


def pick_style(styles: tuple[tuple[float, Style], ...], rng: np.random.Generator) -> Style:
    """One of the styles by its share."""
    return styles[int(rng.choice(len(styles), p=[share for share, _ in styles]))][1]


def roughen(pieces: list[Piece], style: Style, rng: np.random.Generator) -> list[Piece]:
    """The pieces as that writer would type them."""
    table = SHORT if style.table == "trade" else CHATTY

    def word(match: re.Match[str]) -> str:
        text = match.group()
        if text.lower() in DROPPED and rng.random() < style.drop:
            return ""
        if text.lower() in table and rng.random() < style.short:
            return table[text.lower()]
        return misspell(text, rng) if rng.random() < style.typo else text

    return [cased(p if p.kind else Piece(WORD.sub(word, p.text)), style.case) for p in pieces]


def cased(piece: Piece, case: str) -> Piece:
    """The piece in lower or upper case where the writer uses only one; handles and hashtags stay."""
    if case == "as is" or piece.form == "handle":
        return piece
    text = piece.text.lower() if case == "lower" else piece.text.upper()
    form = f"{case} case" if piece.kind == "name" else piece.form
    return Piece(text, piece.kind, form)
