"""What the verb ``psma paper release`` shows: progress, and what to do next."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from psma.marking.paper import release


def release_and_print(paper: Path, candidates: Path, out: Path) -> None:
    """Release a paper and say what came of it."""
    console = Console(highlight=False)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("building", total=None)
        done = release(
            paper, candidates, out, lambda count, of: progress.update(task, completed=count, total=of)
        )
    there = f" ({done.unchanged} of them were there already)" if done.unchanged else ""
    console.print(
        f"{len(done.folders)} papers in {out}{there}; nothing in them gives an answer away.", soft_wrap=True
    )
    console.print("Send each candidate the folder of that name, zipped; they send the notebook back.")
