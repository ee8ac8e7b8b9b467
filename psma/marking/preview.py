"""``psma mark --dry-run``: what would be marked, without running or writing anything."""

from __future__ import annotations

from collections.abc import Iterator

from psma.marking.batch import RESULTS, Batch, key_of
from psma.marking.blueprint import read_blueprint
from psma.marking.reader import Submission, find, load
from psma.marking.source import read_paper
from psma.marking.store import Store


def preview(batch: Batch) -> Iterator[tuple[str, str, str]]:
    """Candidate, what was sent, and what would be done with it, in order of the candidates' names.

    Raises PsmaError where the batch couldn't be marked at all.
    """
    paper = read_paper(batch.paper)
    read_blueprint(paper)
    done = _done(batch, key_of(paper, batch.limits))
    for sent in find(batch.submissions, paper):
        submission = load(sent, paper)
        yield submission.candidate, submission.sent_as, _plan(submission, done)


def _done(batch: Batch, key: str) -> set[tuple[str, str]]:
    """Candidates and digests that are marked already, by this paper and these limits."""
    if batch.fresh or not (batch.out / RESULTS).is_file():
        return set()
    with Store(batch.out / RESULTS) as store:
        return {(result.candidate, result.digest) for result in store.all() if result.paper == key}


def _plan(submission: Submission, done: set[tuple[str, str]]) -> str:
    remarks = " ".join(flag.words for flag in submission.flags)
    if submission.cells is None:
        return f"cannot be marked: {remarks}"
    if (submission.candidate, submission.digest) in done:
        return "marked already"
    return f"would be marked. {remarks}".strip()
