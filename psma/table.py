"""What `psma` shows on the screen: progress bars, tables, remarks; plain lines where it is no terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from psma.errors import PsmaError

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from psma.execute import Progress, Result
    from psma.exercises import Change
    from psma.work import CourseProgress

PLAIN_WIDTH = 160
"""Columns of a table that goes to a file or a pipe."""
SOURCE_LINES = 12
"""Lines of a failing cell that are shown."""
STYLES = {"ok": "green", "failed": "bold red", "broken": "bold red", "skipped": "yellow"}


def screen() -> Console:
    """The console that everything is written to."""
    found = Console(highlight=False, soft_wrap=False)
    return found if found.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


def new_table(*columns: str, numbers: Sequence[str] = ()) -> Table:
    """An empty table; the columns named in ``numbers`` are set flush right."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        right = column in numbers
        table.add_column(column, justify="right" if right else "left", no_wrap=right)
    return table


def shown(path: Path, root: Path) -> str:
    """A path as a person reads it: relative to the course where it lies inside."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def label(path: Path, root: Path) -> str:
    """The shortest name that a person knows a notebook by: "3.2 solution", or the file's own name."""
    kinds = {"modules": "lecture", "solutions": "solution", "exercises": "exercise"}
    parts = path.relative_to(root).parts if path.is_relative_to(root) else ()
    numbers = [part[:2] for part in parts[1:]]
    if len(parts) == 3 and parts[0] in kinds and all(number.isdecimal() for number in numbers):
        return f"{int(numbers[0])}.{int(numbers[1])} {kinds[parts[0]]}"
    return path.name


def _bars(console: Console) -> Bars:
    """A bar, how many of how many, the time, and in words what is running; gone when it is done."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    what = TextColumn("{task.description}")
    columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(), what)
    return Bars(*columns, console=console, transient=True)


# --- psma run


@contextmanager
def run_progress(console: Console, total: int, root: Path) -> Iterator[Callable[[Progress], None]]:
    """A bar that names what is running and counts what is left; a plain line a notebook where there is no
    terminal.
    """
    if not console.is_terminal:
        yield lambda step: _plain_step(console, step, root)
        return
    with _bars(console) as bars:
        bar = bars.add_task("starting", total=total)
        running: dict[Path, str] = {}

        def step(news: Progress) -> None:
            if news.state == "finished":
                running.pop(news.path, None)
                bars.advance(bar)
            else:
                running[news.path] = f"{label(news.path, root)}, cell {news.cell} of {news.cells or '…'}"
            bars.update(bar, description="; ".join(running.values()))

        yield step


def _plain_step(console: Console, step: Progress, root: Path) -> None:
    if step.result is not None:
        result = step.result
        console.print(f"{_word(result):8}{result.seconds:7.1f} s  {shown(result.path, root)}", markup=False)


def _word(result: Result) -> str:
    if result.ok:
        return "ok"
    return "broken" if result.unusable else "skipped" if result.skipped else "failed"


def print_results(console: Console, results: Sequence[Result], root: Path, seconds: float) -> None:
    """The table of a run, then each failing cell with its source, then one line that sums it up."""
    table = new_table(
        "notebook",
        "result",
        "seconds",
        "peak MiB",
        "slowest cell",
        numbers=("seconds", "peak MiB", "slowest cell"),
    )
    for result in results:
        slowest = f"{result.slowest[1]:.2f} s in {result.slowest[0]}" if result.slowest else ""
        word = Text(_word(result), style=STYLES[_word(result)])
        peak = f"{result.peak_mib:.0f}" if result.peak_mib else ""
        table.add_row(shown(result.path, root), word, f"{result.seconds:.1f}", peak, slowest)
    console.print(table)
    for result in results:
        if not result.ok:
            _print_failure(console, result, root)
    console.print("\n" + summary(results, seconds), markup=False)
    if any(result.network == "on" for result in results):
        warning = "The network was on: a notebook that needs it would not have been noticed."
        console.print(warning, style="yellow")


def _print_failure(console: Console, result: Result, root: Path) -> None:
    word, name = _word(result), shown(result.path, root)
    if result.failure is None:
        why = result.reason.removeprefix(f"{result.path}: ")
        console.print(Text.assemble((f"\n{word}", STYLES[word]), f"  {name}: {why}"), soft_wrap=True)
        return
    console.print(Text(f"\n{word}  {name}", style=STYLES[word]))
    lines = result.failure.source.splitlines()
    more = [f"… {len(lines) - SOURCE_LINES} more lines"] if len(lines) > SOURCE_LINES else []
    console.print(f"  code cell {result.failure.index} ({result.failure.cell_id})", markup=False)
    for line in lines[:SOURCE_LINES] + more:
        console.print(f"    | {line}", markup=False)
    console.print(f"  {result.failure.error}", markup=False)


def exit_code(results: Sequence[Result]) -> int:
    """Of a run: 2 when a file can't be run at all, 1 when a cell failed, else (skipped ones included) 0."""
    if any(result.unusable for result in results):
        return PsmaError.exit_code
    return int(not all(result.ok or result.skipped for result in results))


def summary(results: Sequence[Result], seconds: float) -> str:
    """One line: how many notebooks, how they ended, how long it took, whether the network was off."""
    words = [_word(result) for result in results]
    ends = ", ".join(f"{words.count(word)} {word}" for word in STYLES if word in words)
    network = "/".join(sorted({result.network for result in results}))
    noun = "notebook" if len(results) == 1 else "notebooks"
    return f"{len(results)} {noun}: {ends}; {seconds:.1f} s; network: {network}"


# --- psma build, psma tidy, psma data


def print_changes(changes: Sequence[Change], root: Path, check: bool, verb: str) -> int:
    """One line a change; returns the exit code: 2 for a broken file, else 1 for a change under ``check``."""
    console = screen()
    for change in changes:
        word, style = ("changed", "yellow") if not check else ("differs", "yellow")
        if change.problem:
            word, style = "broken", "bold red"
        line = Text.assemble((word, style), f" {shown(change.path, root)}: {change.why}")
        console.print(line, soft_wrap=True)
    if not changes:
        console.print("Everything is as it should be.")
    elif check and not all(change.problem for change in changes):
        console.print(f"Run `{verb}` and commit the result.", markup=False)
    if any(change.problem for change in changes):
        return PsmaError.exit_code
    return int(check and bool(changes))


def print_problems(problems: Sequence[str], otherwise: str) -> int:
    """One line a problem, or what to say if there is none; returns the exit code."""
    console = screen()
    for problem in problems or [otherwise]:
        console.print(problem, markup=False, soft_wrap=True)
    return int(bool(problems))


# --- psma lab, psma progress


def print_lines(lines: Iterable[str]) -> None:
    """Each line as it is, however long."""
    console = screen()
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def print_progress(progress: CourseProgress) -> None:
    """A line a session, then where to go next."""
    numbers = ("right", "wrong", "not tried")
    table = new_table("session", "", "lecture", *numbers, "last check", "next step", numbers=numbers)
    for done in progress.sessions:
        counts = [str(done.count(state)) for state in ("right", "wrong", "open")] if done.tasks else [""] * 3
        last = f"{done.last:%d %b %Y, %H:%M}" if done.last else ""
        step = "done" if done.done else done.next_step
        lecture = "run" if done.lecture_run else ""
        table.add_row(done.session.id, Text(done.session.title), lecture, *counts, last, Text(step))
    console = screen()
    console.print(table)
    following = progress.next
    where = (
        f"{following.session.id} · {following.session.title}: {following.next_step}"
        if following
        else "nothing"
    )
    console.print(f"\nNext: {where}", markup=False, soft_wrap=True)


# --- psma data


@contextmanager
def named_progress(console: Console, total: int) -> Iterator[Callable[[str], None]]:
    """A bar that is told the name of each of ``total`` parts as it begins; a plain line each where there is
    no terminal.
    """
    if not console.is_terminal:
        yield lambda name: console.print(f"drawing {name}", markup=False)
        return
    with _bars(console) as bars:
        bar, begun = bars.add_task("starting", total=total), 0

        def step(name: str) -> None:
            nonlocal begun
            bars.update(bar, description=name, completed=begun)
            begun += 1

        yield step
