"""What people read of a marked batch: feedback pages, mark sheets, the cohort's table and report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from psma.errors import PsmaError
from psma.marking.blueprint import Blueprint, Total, read_blueprint
from psma.marking.model import Flag, SubmissionResult
from psma.marking.page import put
from psma.marking.sheet import HandMarks, deciding, merge
from psma.marking.source import Paper
from psma.marking.store import Store

RESULTS = "results.sqlite"


@dataclass(frozen=True)
class Standing:
    """A candidate's result with people's marks merged into the machine's, and the total."""

    result: SubmissionResult
    total: Total
    comments: dict[str, str]
    open_flags: tuple[Flag, ...]

    @property
    def marks(self) -> dict[str, float | None]:
        """Marks by question; None where still undecided."""
        return self.result.marks

    @property
    def decided(self) -> bool:
        """Whether the total is final: no mark missing, no flag that asks for a decision still."""
        return self.total.settled and not self.open_flags


@dataclass(frozen=True)
class Written:
    """What was written: everybody's standing, and what still waits for a person."""

    standings: tuple[Standing, ...]
    hand: HandMarks


def write(paper: Paper, out: Path) -> Written:
    """Write all reports of the results in ``out``, merging the mark sheets that were filled in.

    Raises PsmaError: no results, a sheet that can't be understood, a folder that can't be written.
    """
    from psma.marking.cohort import cohort_csv, cohort_html
    from psma.marking.feedback import Reading, feedback_page

    if not (out / RESULTS).is_file():
        raise PsmaError(f"{out}: no results in it; run psma mark first.")
    with Store(out / RESULTS) as store:
        results = store.all()
    blueprint = read_blueprint(paper)
    hand = merge(paper, out, results, blueprint.markers)
    standings = tuple(standing(result, blueprint, hand) for result in results)
    reading = Reading.of_course()
    for each in standings:
        text = feedback_page(each, paper, blueprint, reading)
        put(out / "feedback" / f"{each.result.candidate}.html", text)
    _forget(out / "feedback", {each.result.candidate for each in standings})
    put(out / "cohort.csv", cohort_csv(standings, paper, blueprint))
    put(out / "cohort.html", cohort_html(standings, paper, blueprint))
    return Written(standings, hand)


def standing(result: SubmissionResult, blueprint: Blueprint, hand: HandMarks) -> Standing:
    """A result with people's marks merged in, where the machine left a question open."""
    own = {question: mark for (who, question), mark in hand.marks.items() if who == result.candidate}
    marks = {name: own.get(name) if mark is None else mark for name, mark in result.marks.items()}
    comments = {
        question: words for (who, question), words in hand.comments.items() if who == result.candidate
    }
    waiting = tuple(flag for flag in deciding(result) if (result.candidate, flag.words) not in hand.settled)
    return Standing(replace(result, marks=marks), blueprint.total(marks), comments, waiting)


def _forget(folder: Path, candidates: set[str]) -> None:
    """Take away the pages of candidates who are not in the batch any more."""
    for path in folder.glob("*.html"):
        if path.stem not in candidates:
            path.unlink()
