"""What marking produces: questions, results of tests, results of submissions. Plain data, no behaviour beyond
sums.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["tests", "written"]
ISOLATED = "isolated"
NOT_ISOLATED = "not isolated"


def readable(text: str) -> str:
    """Text from a submission as it can be written to any file: no lone surrogates, no control characters."""
    clean = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(
        letter if letter.isprintable() or letter == "\n" else "\N{REPLACEMENT CHARACTER}" for letter in clean
    )


@dataclass(frozen=True)
class Question:
    """One cell of the paper that carries marks.

    ``id`` is nbgrader's grade_id, ``title`` the nearest heading above the cell, ``points`` the most marks it
    can give. A ``tests`` question is decided by its test cell, a ``written`` one by a person.
    """

    id: str
    title: str
    points: float
    kind: Kind


@dataclass(frozen=True)
class TestResult:
    """What one test cell decided.

    ``passed`` is None where a person has to decide. ``reason`` is for the trainee and shows nothing of a
    hidden test; ``detail`` is for the marker and may. ``points`` are the marks given, None where not decided.
    """

    question: str
    cell: str
    passed: bool | None
    reason: str
    points: float | None
    detail: str = ""

    __test__ = False  # pytest collects what is called Test...


@dataclass(frozen=True)
class Flag:
    """Something a person should know: a fixed ``code``, the same in ``words``, and whether it needs a
    decision.
    """

    code: str
    words: str
    needs_person: bool = False


@dataclass(frozen=True)
class CellError:
    """A cell of the trainee's that did not run to its end. ``cell`` counts the notebook's cells from 1."""

    cell: int
    error: str


@dataclass(frozen=True)
class WrittenAnswer:
    """An answer that a person marks. ``blank``: left as it was released, which nbgrader gives 0."""

    text: str
    blank: bool


@dataclass(frozen=True)
class SubmissionResult:
    """Everything known of one submission.

    ``marks`` holds a number for each question, or None: not marked, needs a person. ``isolation`` is
    ``ISOLATED`` or ``NOT_ISOLATED``, "" where nothing was run. ``digest`` identifies what was sent, ``paper``
    the paper and limits it was marked with, ``seconds`` is wall time.
    """

    candidate: str
    sent_as: str
    digest: str
    paper: str
    flags: tuple[Flag, ...] = ()
    marks: dict[str, float | None] = field(default_factory=dict)
    tests: tuple[TestResult, ...] = ()
    written: dict[str, WrittenAnswer] = field(default_factory=dict)
    errors: tuple[CellError, ...] = ()
    isolation: str = ""
    seconds: float = 0.0

    @property
    def marked(self) -> float:
        """Sum of the marks that are decided."""
        return sum(mark for mark in self.marks.values() if mark is not None)

    @property
    def open(self) -> tuple[str, ...]:
        """The questions that a person still has to mark."""
        return tuple(question for question, mark in self.marks.items() if mark is None)

    @property
    def needs_person(self) -> bool:
        """True where a mark is missing or a flag asks for a decision."""
        return bool(self.open) or any(flag.needs_person for flag in self.flags)


def to_json(result: SubmissionResult) -> str:
    """The result as one line of JSON, for the store."""
    return json.dumps(asdict(result), ensure_ascii=True)


def from_json(text: str) -> SubmissionResult:
    """The inverse of ``to_json``."""
    raw: dict[str, Any] = json.loads(text)
    raw["flags"] = tuple(Flag(**flag) for flag in raw["flags"])
    raw["tests"] = tuple(TestResult(**test) for test in raw["tests"])
    raw["errors"] = tuple(CellError(**error) for error in raw["errors"])
    raw["written"] = {question: WrittenAnswer(**answer) for question, answer in raw["written"].items()}
    return SubmissionResult(**raw)
