"""What a paper's notebook doesn't say about itself: its parts, which of them may be chosen, what a question
is for.

``paper.yml`` and ``specification.csv`` stand beside the notebook; without them every question is compulsory.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psma.errors import PsmaError
from psma.marking.source import Paper


@dataclass(frozen=True)
class Part:
    """A part of the paper; a question belongs to the part whose id begins its grade_id."""

    id: str
    title: str


@dataclass(frozen=True)
class Aim:
    """A row of the specification: what a question is for. ``outcomes`` are "3.1-c" or "module FOLDER"."""

    question: str
    marks: float
    kind: str
    outcomes: tuple[str, ...]
    shows: str


@dataclass(frozen=True)
class Total:
    """A candidate's total. ``parts`` holds the decided marks of every part, ``counted`` the ids that count.

    ``settled`` is False while a mark is missing that could still change the total.
    """

    marks: float
    parts: dict[str, float]
    counted: tuple[str, ...]
    settled: bool


@dataclass(frozen=True)
class Blueprint:
    """The rules of a paper. ``best`` of the parts in ``choice`` count, and every part outside it.

    ``minutes`` of working time, ``pass_mark`` in marks, ``markers`` people for a written answer, ``may_show``
    what the leak check lets pass.
    """

    title: str
    minutes: int
    pass_mark: float
    markers: int
    parts: tuple[Part, ...]
    best: int
    choice: tuple[str, ...]
    may_show: frozenset[str]
    part_of: dict[str, str]
    points: dict[str, float]
    aims: dict[str, Aim] = field(default_factory=dict)

    @property
    def most(self) -> float:
        """The most marks that can count."""
        return self.total(self.points).marks

    def total(self, marks: dict[str, float | None] | dict[str, float]) -> Total:
        """Add up: every compulsory part, and the best of those to choose from (at a tie, the first)."""
        sums = {part.id: 0.0 for part in self.parts}
        for question, part_id in self.part_of.items():
            sums[part_id] += marks.get(question) or 0.0
        ranked = sorted(self.choice, key=lambda part_id: -sums[part_id])[: self.best]
        counted = tuple(p.id for p in self.parts if p.id not in self.choice or p.id in ranked)
        settled = all(marks.get(question) is not None for question in self.part_of)
        return Total(sum(sums[part_id] for part_id in counted), sums, counted, settled)


def read_blueprint(paper: Paper) -> Blueprint:
    """The blueprint beside ``paper``. Raises PsmaError: not readable, a question in no part or in two, a
    specification that isn't true.
    """
    path = paper.path.with_name("paper.yml")
    raw = _yaml(path) if path.is_file() else {}
    points = {question.id: question.points for question in paper.questions}
    parts = tuple(Part(str(each["id"]), str(each["title"])) for each in raw.get("parts", []))
    part_of = {question: _part(path, question, parts) for question in points} if parts else {}
    if not parts:
        parts, part_of = (Part("paper", "The paper"),), dict.fromkeys(points, "paper")
    choose = raw.get("choose") or {}
    choice = tuple(map(str, choose.get("of", [])))
    unknown = [name for name in choice if name not in {part.id for part in parts}]
    if unknown:
        raise PsmaError(f"{path}: choose names {unknown[0]!r}, which is no part; mend it.")
    blueprint = Blueprint(
        title=str(raw.get("title", paper.path.stem)),
        minutes=int(raw.get("minutes", 90)),
        pass_mark=float(raw.get("pass", sum(points.values()) / 2)),
        markers=int(raw.get("markers", 1)),
        parts=parts,
        best=int(choose.get("best", len(choice))),
        choice=choice,
        may_show=frozenset(map(str, raw.get("may_show") or [])),
        part_of=part_of,
        points=points,
        aims=_aims(paper.path.with_name("specification.csv"), points),
    )
    if not 0 < blueprint.pass_mark <= blueprint.most:
        raise PsmaError(f"{path}: pass is {blueprint.pass_mark:g}, of {blueprint.most:g} marks; mend it.")
    return blueprint


def _yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(raw, dict):
            raise ValueError("it holds no table of settings")
        for part in raw.get("parts", []):
            part["id"], part["title"]
        for name in ("minutes", "pass", "markers"):
            float(raw.get(name, 1))
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        words = " ".join(str(error).split())[:150]
        raise PsmaError(
            f"{path}: cannot be used ({type(error).__name__}: {words}); see the practice paper's."
        ) from None
    return raw


def _part(path: Path, question: str, parts: tuple[Part, ...]) -> str:
    fits = [part.id for part in parts if question.startswith(f"{part.id}_")]
    if len(fits) != 1:
        found = " and ".join(fits) or "no part"
        raise PsmaError(
            f"{path}: question {question!r} belongs to {found}; begin its grade_id with one part's."
        )
    return fits[0]


def _aims(path: Path, points: dict[str, float]) -> dict[str, Aim]:
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            aims = [
                Aim(
                    row["question"],
                    float(row["marks"]),
                    row["kind"],
                    _outcomes(row["outcomes"]),
                    row["what it shows"],
                )
                for row in csv.DictReader(file)
            ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PsmaError(f"{path}: cannot be read ({type(error).__name__}: {error}); mend it.") from None
    stated = {aim.question: aim.marks for aim in aims}
    wrong = sorted(name for name in stated.keys() | points.keys() if stated.get(name) != points.get(name))
    if wrong or len(stated) != len(aims):
        name = (
            wrong[0]
            if wrong
            else next(a.question for a in aims if [b.question for b in aims].count(a.question) > 1)
        )
        here, there = stated.get(name, "no"), points.get(name, "no")
        raise PsmaError(f"{path}: {name}: {here} marks here, {there} in the notebook; mend one.")
    return {aim.question: aim for aim in aims}


def _outcomes(text: str) -> tuple[str, ...]:
    """ "3.1-a 3.1-d" or "module 02_machine_learning; module 04_nlp" as a tuple."""
    pieces = [piece.strip() for piece in text.split(";")]
    found: list[str] = []
    for piece in pieces:
        found += [piece] if piece.startswith("module ") else piece.split()
    return tuple(found)
