"""What the verb ``psma mark`` shows: progress, a table of who needs a person, where the results are."""

from __future__ import annotations

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from psma.marking.batch import RESULTS, Batch, BatchResult, mark_batch
from psma.marking.model import NOT_ISOLATED, SubmissionResult


def mark_and_print(batch: Batch) -> int:
    """Mark a batch and say what came of it. The exit code: 1 where something needs a person, else 0."""
    console = Console()
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("marking", total=None)
        done = mark_batch(batch, lambda count, of: progress.update(task, completed=count, total=of))
    _print(console, batch, done)
    return 1 if any(_why(result) for result in done.results) else 0


def _why(result: SubmissionResult) -> str:
    """What a person has to decide, "" where only written answers wait, which the mark sheet is for."""
    return " ".join(flag.words for flag in result.flags if flag.needs_person)


def _print(console: Console, batch: Batch, done: BatchResult) -> None:
    flagged = [result for result in done.results if _why(result)]
    if flagged:
        table = Table("candidate", "to mark by hand", "why", title="Needs a person")
        for result in flagged:
            everything = len(result.open) == len(result.marks)
            table.add_row(
                result.candidate, "all" if everything else ", ".join(result.open) or "-", _why(result)
            )
        console.print(table)
    if any(result.isolation == NOT_ISOLATED for result in done.results):
        console.print("[bold]not isolated[/bold]: the submissions ran with your rights.")
    resumed = f" ({done.resumed} of them earlier)" if done.resumed else ""
    console.print(f"{len(done.results)} submissions marked{resumed}; results in {batch.out / RESULTS}")
