"""A small grammar: situations in a text file, choices in braces, slots in angle brackets.

A file is a list of situations. A line `== name | fact | fact` opens one; the lines below begin with a mark
that says which part of a text they can be (`-` opening, `+` detail, `*` update, `=` result) and hold a
template. `{a|b}` picks one of the choices, which may be nested or empty; `[a]` is there half the time;
`<slot>` is filled by the caller. Lines that begin with `#` are comments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
MARKS = "-+*="


@dataclass(frozen=True)
class Piece:
    """A run of characters; `kind` and `form` are set where it names a person, number, plate or address."""

    text: str
    kind: str = ""
    form: str = ""


@dataclass
class Situation:
    """One situation: its name, the facts of its heading, and its templates by mark."""

    name: str
    facts: tuple[str, ...]
    lines: dict[str, list[str]] = field(default_factory=lambda: {mark: [] for mark in MARKS})

    @property
    def weight(self) -> float:
        """How often, next to others of the same kind: the heading's first fact that is a number."""
        return next(float(fact) for fact in self.facts if fact.replace(".", "").isdigit())


@cache
def load(file: str) -> tuple[Situation, ...]:
    """All situations of a file in this folder, in its order."""
    found: list[Situation] = []
    for line in (HERE / file).read_text(encoding="utf-8").splitlines():
        if line.startswith("=="):
            name, *facts = (part.strip() for part in line[2:].split("|"))
            found.append(Situation(name, tuple(facts)))
        elif line and not line.startswith("#"):
            found[-1].lines[line[0]].append(line[1:].strip())
    return tuple(found)


@cache
def words_of(name: str) -> tuple[str, ...]:
    """A list of `names.txt`; an underscore stands for a space inside an entry."""
    rows = next(s for s in load("names.txt") if s.name == name).lines["-"]
    return tuple(word.replace("_", " ") for row in rows for word in row.split())


@cache
def closing(template: str, start: int) -> int:
    """Position of the bracket that closes the one at `start`."""
    opens = template[start]
    closes = {"{": "}", "[": "]", "<": ">"}[opens]
    depth = 0
    for at in range(start, len(template)):
        depth += (template[at] == opens) - (template[at] == closes)
        if depth == 0:
            return at
    raise ValueError(f"{opens!r} is never closed in {template!r}")


@cache
def choices(body: str) -> tuple[str, ...]:
    """The parts of a brace's inside, cut at the bars that are not inside a further bracket."""
    parts, depth = [""], 0
    for letter in body:
        depth += (letter in "{[") - (letter in "}]")
        if letter == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return tuple(parts)


def expand(template: str, rng: np.random.Generator, slot: Callable[[str], list[Piece]]) -> list[Piece]:
    """A template with its choices made and its slots filled."""
    out: list[Piece] = []
    at = 0
    while at < len(template):
        letter = template[at]
        if letter not in "{[<":
            stop = min((p for p in (template.find(c, at) for c in "{[<") if p >= 0), default=len(template))
            out.append(Piece(template[at:stop]))
            at = stop
            continue
        stop = closing(template, at)
        body = template[at + 1 : stop]
        if letter == "<":
            out += slot(body)
        elif letter == "{":
            parts = choices(body)
            out += expand(parts[int(rng.integers(len(parts)))], rng, slot)
        elif rng.random() < 0.5:
            out += expand(body, rng, slot)
        at = stop + 1
    return out


def join(pieces: list[Piece]) -> tuple[str, list[tuple[str, str, int, int]]]:
    """The text and its planted spans (kind, form, start, end); single spaces, none at the ends."""
    text, spans = "", []
    for piece in pieces:
        part = piece.text
        if not piece.kind:
            part = " ".join(part.split()) if part.strip() else " " * bool(part)
            part = " " * (piece.text[:1] == " " and part != " ") + part
            part += " " * (piece.text[-1:] == " " and part != " ")
            part = part.replace(" ,", ",").replace(" .", ".")
            if part[:1] in (",", "."):
                text = text.rstrip(" ,.")  # an optional end that isn't there leaves its comma or stop behind
        if text[-1:] in ("", " "):
            part = part.lstrip(" ")
        if piece.kind and part:
            spans.append((piece.kind, piece.form, len(text), len(text) + len(part)))
        text += part
    return text.rstrip(" "), spans
