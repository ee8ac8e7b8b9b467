"""Marks a folder of submissions: finds them, leaves out what is marked already, marks the rest, keeps each
result.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from psma.errors import PsmaError
from psma.marking.marker import Limits, Marker, modules_of
from psma.marking.model import ISOLATED, NOT_ISOLATED, Flag, SubmissionResult
from psma.marking.plainplace import PlainPlace
from psma.marking.reader import Sent, Submission, find, load
from psma.marking.sandbox import Sandbox
from psma.marking.source import Paper, read_paper
from psma.marking.store import Store

RESULTS = "results.sqlite"


@dataclass(frozen=True)
class Batch:
    """What ``psma mark`` was asked to do. ``jobs`` None: every core; ``scheduler``: the address of a Dask
    cluster.
    """

    paper: Path
    submissions: Path
    out: Path
    limits: Limits = field(default_factory=Limits)
    jobs: int | None = None
    allow_unisolated: bool = False
    scheduler: str | None = None
    fresh: bool = False


@dataclass(frozen=True)
class BatchResult:
    """All results, in order of the candidates' names, and how many of them were there already."""

    paper: Paper
    results: tuple[SubmissionResult, ...]
    resumed: int


def mark_batch(batch: Batch, on_progress: Callable[[int, int], None] | None = None) -> BatchResult:
    """Mark a batch; ``on_progress(done, of)`` after each submission.

    Raises PsmaError: paper or folder not usable, the paper fails its own tests, no isolation and none waived.
    """
    paper = read_paper(batch.paper)
    sent = find(batch.submissions, paper)
    key = key_of(paper, batch.limits)
    with Store(batch.out / RESULTS) as store:
        if batch.fresh:
            store.keep_only(set())
        known = {result.candidate for result in store.all()}
        todo = [each for each in sent if each.candidate not in known or not _there(store, each, paper, key)]
        done = len(sent) - len(todo)
        for result in _results(batch, paper, todo, store, key):
            store.put(replace(result, paper=key))
            done += 1
            if on_progress:
                on_progress(done, len(sent))
        store.keep_only({each.candidate for each in sent})
        return BatchResult(paper, tuple(store.all()), len(sent) - len(todo))


def key_of(paper: Paper, limits: Limits) -> str:
    """What a result depends on besides the submission: the paper, what stands beside it, the limits."""
    return hashlib.sha256(f"{paper.digest} {asdict(limits)}".encode()).hexdigest()[:16]


def _there(store: Store, sent: Sent, paper: Paper, key: str) -> bool:
    return store.get(sent.candidate, load(sent, paper).digest, key) is not None


def _results(
    batch: Batch, paper: Paper, todo: list[Sent], store: Store, key: str
) -> Iterable[SubmissionResult]:
    if not todo:
        return
    if batch.scheduler is not None:
        from psma.marking.cluster import mark_on_cluster

        yield from mark_on_cluster(batch.scheduler, paper, todo, batch.limits, batch.allow_unisolated)
        return
    with open_place(paper, batch.allow_unisolated) as place:
        marker = Marker(paper, place, batch.limits)
        if not store.checked(key):
            check_paper(marker, todo[0].candidate)
            store.note_checked(key)
        # one more than there are cores, as each waits for its own processes part of the time
        yield from _mark_all(marker, todo, batch.jobs or (os.cpu_count() or 1) + 1)


def _mark_all(marker: Marker, todo: list[Sent], jobs: int) -> Iterator[SubmissionResult]:
    """Results as they come. Threads only wait for the processes that do the work."""
    pool = ThreadPoolExecutor(jobs)
    try:
        waiting = [pool.submit(_mark_sent, marker, sent) for sent in todo]
        for future in as_completed(waiting):
            yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # when interrupted, leaving the place ends what runs


def _mark_sent(marker: Marker, sent: Sent) -> SubmissionResult:
    return mark_safely(marker, load(sent, marker.paper))


def mark_safely(marker: Marker, submission: Submission) -> SubmissionResult:
    """Mark one submission; a fault of the marking itself is a flag, so that the batch goes on."""
    try:
        return marker.mark(submission)
    except Exception as error:
        words = (
            f"The marking itself failed ({type(error).__name__}: {str(error)[:200]}); mark by hand or again."
        )
        return SubmissionResult(
            candidate=submission.candidate,
            sent_as=submission.sent_as,
            digest=submission.digest,
            paper=marker.paper.digest,
            flags=(*submission.flags, Flag("marking failed", words, needs_person=True)),
            marks={question.id: None for question in marker.paper.questions},
        )


@contextmanager
def open_place(paper: Paper, allow_unisolated: bool) -> Iterator[Any]:
    """The sandbox; or, where the system has none and that was allowed, the place without isolation.

    Raises PsmaError where there is no isolation and it was not waived.
    """
    modules = modules_of(paper)
    with ExitStack() as stack:
        try:
            place: Any = stack.enter_context(Sandbox(modules))
        except PsmaError as reason:
            if not allow_unisolated:
                raise PsmaError(
                    f"{reason} Trainees' code would run with your rights: use Linux with bubblewrap, or, if "
                    "you trust all of them, add --allow-unisolated."
                ) from None
            place = stack.enter_context(PlainPlace(modules))
        yield place


def isolation() -> tuple[str, str]:
    """What this machine offers: ``ISOLATED`` or ``NOT_ISOLATED``, and why not."""
    try:
        with Sandbox([]):
            return ISOLATED, ""
    except PsmaError as reason:
        return NOT_ISOLATED, str(reason)


def check_paper(marker: Marker, candidate: str) -> None:
    """Mark the paper's own solutions. Raises PsmaError where a test does not pass them: then no mark would be
    just.
    """
    paper = marker.paper
    own = Submission(candidate, paper.path.name, "", paper.cells)
    result = marker.mark(own)
    wrong = [test for test in result.tests if test.passed is False]
    if wrong:
        raise PsmaError(
            f"{paper.path}: its own solution does not pass {wrong[0].cell} ({wrong[0].detail}). Mend it."
        )
    lost = [flag.words for flag in result.flags if flag.code in ("paper", "not marked")]
    if lost:
        raise PsmaError(f"{paper.path}: its own solution cannot be marked: {lost[0]}")
