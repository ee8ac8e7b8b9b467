"""What the verb ``psma mark`` shows: progress, a table of who needs a person, where the results are."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from psma.marking.batch import RESULTS, Batch, BatchResult, mark_batch
from psma.marking.model import NOT_ISOLATED, SubmissionResult
from psma.marking.preview import preview
from psma.marking.reports import Written, write
from psma.marking.sheet import DIFFERENCES


def mark_and_print(batch: Batch, gradebook: Path | None = None) -> int:
    """Mark a batch and say what came of it. The exit code: 1 where something needs a person, else 0."""
    console = Console()
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("marking", total=None)
        done = mark_batch(batch, lambda count, of: progress.update(task, completed=count, total=of))
    with console.status("writing reports"):
        written = write(done.paper, batch.out)
    _print(console, batch, done)
    _print_waiting(console, batch, written)
    if gradebook is not None:
        from psma.marking.gradebook import export

        put = export(done.paper, written.standings, gradebook)
        console.print(f"{put} candidates' marks in the gradebook {gradebook}", soft_wrap=True)
    return 1 if any(each.open_flags for each in written.standings) else 0


def preview_and_print(batch: Batch) -> int:
    """Say what would be marked, and mark nothing. Exit code: 1 where something can't be marked, else 0."""
    table = Table("candidate", "sent as", "what would be done")
    rows = list(preview(batch))
    for row in rows:
        table.add_row(*map(escape, row))
    console = Console()
    console.print(table)
    console.print(f"{len(rows)} submissions; nothing was run or written.")
    return 1 if any(words.startswith("cannot") for _, _, words in rows) else 0


def _print_waiting(console: Console, batch: Batch, written: Written) -> None:
    """What people have to do next, and where the reports are."""
    hand = written.hand
    if hand.differences:
        console.print(
            f"{hand.differences} answers on which the markers differ: agree in {batch.out / DIFFERENCES}"
        )
    if hand.waiting > hand.differences:
        sheets = sorted(path.name for path in batch.out.glob("written_*.csv"))
        console.print(
            f"{hand.waiting} written answers wait: fill in {' and '.join(sheets)}, then mark again."
        )
    final = sum(each.decided for each in written.standings)
    console.print(f"{final} of {len(written.standings)} totals are final; see {batch.out / 'cohort.html'}")


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
