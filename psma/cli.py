"""The command line: every verb of `psma`, a few lines each. What a verb does stands in the module that it
imports.

Imports stand inside the functions, so that `psma --help` answers at once. This file is parsed before Python's
version is checked: no syntax in it that an older Python 3 would refuse.
"""

import sys

if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    sys.stderr.write(
        "psma: Python 3.11, 3.12 or 3.13 is needed, this is {}.{}: "
        "try `uv run --python 3.12 psma lab`, or see the README.\n".format(*sys.version_info[:2])
    )
    raise SystemExit(2)

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from psma import __version__
from psma.errors import PsmaError
from psma.startup import skip_slow_imports

STUDY, TEACH, WRITE = "To study", "To teach", "To write and maintain"
INTERRUPTED = 130


class OneLineErrors(TyperGroup):
    """Turns what a person can mend into one line on standard error, and Ctrl-C into a quiet end."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; PsmaError ends with its exit code, Ctrl-C with 130."""
        try:
            return super().invoke(ctx)
        except PsmaError as error:
            typer.echo(f"psma: {error}", err=True)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            typer.echo("psma: stopped; nothing is left running", err=True)
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    cls=OneLineErrors,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Kind(StrEnum):
    """Which of a session's three notebooks."""

    lecture = "lecture"
    solution = "solution"
    exercise = "exercise"


FOLDERS = {Kind.lecture: "modules", Kind.solution: "solutions", Kind.exercise: "exercises"}

Sessions = Annotated[
    list[str] | None, typer.Argument(help='Sessions ("3.2"), modules ("3") or files; none: all.')
]
Check = Annotated[bool, typer.Option("--check", help="Change nothing; exit code 1 if something would.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"psma {__version__}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
]


@app.callback(epilog="Start with: psma lab")
def _root(
    version: Version = False,
) -> None:
    """A course in applied modelling and data science for policing and health."""


# --- to study


@app.command(
    epilog="Example: psma lab, or with options for JupyterLab: psma lab --port 9000",
    rich_help_panel=STUDY,
    context_settings={"ignore_unknown_options": True},
)
def lab(
    options: Annotated[list[str] | None, typer.Argument(help="Passed on to JupyterLab.")] = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Only prepare, open nothing.")] = False,
) -> None:
    """Prepare your own copies in work/ and open JupyterLab on the home page."""
    from psma import table, work
    from psma.course import find_course

    course = find_course()
    table.print_lines(work.lines(work.prepare(course)))
    if not no_open:
        raise typer.Exit(work.open_lab(course, options or []))


@app.command(epilog="Example: psma progress", rich_help_panel=STUDY)
def progress() -> None:
    """Show what you have done, session by session, and what comes next."""
    from psma import table, work
    from psma.course import find_course

    table.print_progress(work.progress(find_course()))


@app.command(epilog="Example: psma doctor", rich_help_panel=STUDY)
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Is this machine ready for the course? One line each, with what to do."""
    from psma import doctor

    raise typer.Exit(doctor.main(as_json=as_json))


# --- to teach


@app.command(
    epilog="Examples: psma slides 3.2; psma slides --check 3.2 --shots build/shots; psma slides 3",
    rich_help_panel=TEACH,
)
def slides(
    session: Annotated[str, typer.Argument(help='A session ("3.2"), or a module ("3") for all its decks.')],
    out: Annotated[Path | None, typer.Option(help="Folder to write to; else build/slides/SESSION.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Measure every slide; 1 if any overflows.")] = False,
    shots: Annotated[Path | None, typer.Option(help="Folder for a picture of each slide.")] = None,
) -> None:
    """Make reveal.js slides of a lecture, in a folder that needs no network."""
    from psma.publish.slides import main as make

    raise typer.Exit(make(session, out=out, check=check, shots=shots))


@app.command(epilog="Example: psma blank 3.2", rich_help_panel=TEACH)
def blank(
    session: Annotated[str, typer.Argument(help='A session ("3.2").')],
    out: Annotated[Path | None, typer.Option(help="File or folder; else work/MODULE/.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a blank that has been typed into.")] = False,
) -> None:
    """Copy a lecture with its demo code emptied, to type it live."""
    from psma.course import find_course
    from psma.publish.blank import write_blank

    course = find_course()
    typer.echo(write_blank(course, course.session(session), out, force=force))


RELEASE = "Example: psma paper release paper/live.ipynb --candidates list.csv --out released/"
paper_verbs = typer.Typer(no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})
app.add_typer(paper_verbs, name="paper", rich_help_panel=TEACH, help="Release a test paper.", epilog=RELEASE)


@paper_verbs.command(epilog=RELEASE)
def release(
    paper: Annotated[Path, typer.Argument(help="The paper's source notebook, in nbgrader's format.")],
    candidates: Annotated[Path, typer.Option(help="CSV with columns candidate, extra_time (percent).")],
    out: Annotated[Path, typer.Option(help="Folder that gets a folder for each candidate.")],
) -> None:
    """Build each candidate's own notebook and data, and check that nothing in them gives an answer away."""
    from psma.marking.paper_command import release_and_print

    release_and_print(paper, candidates, out)


# --- to write and maintain


@app.command(epilog="Examples: psma run 3.2; psma run 3 --kind solution; psma run", rich_help_panel=WRITE)
def run(
    sessions: Sessions = None,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", min=1, help="At once; else one a core.")] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that one cell may take.")] = 600,
    kind: Annotated[list[Kind] | None, typer.Option(help="Else lectures and solutions.")] = None,
    allow_network: Annotated[bool, typer.Option("--allow-network", help="Leave the network on.")] = False,
) -> None:
    """Run notebooks in fresh kernels, the network off, and report."""
    import time

    from psma import table
    from psma.course import find_course
    from psma.execute import run_many

    course, console, begun = find_course(), table.screen(), time.perf_counter()
    paths = course.select(sessions or [], [FOLDERS[k] for k in kind or (Kind.lecture, Kind.solution)])
    with table.run_progress(console, len(paths), course.root) as on_progress:
        results = run_many(paths, jobs=jobs, network=allow_network, timeout=timeout, on_progress=on_progress)
    table.print_results(console, results, course.root, time.perf_counter() - begun)
    raise typer.Exit(table.exit_code(results))


@app.command(epilog="Example: psma build --check", rich_help_panel=WRITE)
def build(check: Check = False) -> None:
    """Make the exercises from the solutions, and the tables in the modules."""
    from psma import table
    from psma.course import find_course
    from psma.exercises import build

    course = find_course()
    changes = build(course, check=check)
    raise typer.Exit(table.print_changes(changes, course.root, check, "psma build"))


@app.command(epilog="Example: psma tidy 3.2", rich_help_panel=WRITE)
def tidy(sessions: Sessions = None, check: Check = False) -> None:
    """Bring notebooks into the form in which they are committed."""
    from psma import table
    from psma.course import find_course
    from psma.exercises import tidy_all

    course = find_course()
    paths = course.select(sessions) if sessions else None
    changes = tidy_all(course, check=check, paths=paths)
    raise typer.Exit(table.print_changes(changes, course.root, check, "psma tidy"))


@app.command(
    epilog="Examples: psma data; psma data demand; psma data --check; psma data --seed 7 --out elsewhere",
    rich_help_panel=WRITE,
)
def data(
    families: Annotated[
        list[str] | None, typer.Argument(help="Families of tables (geography, demand, …); none: all.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Hold the files to checksums and schema.")] = False,
    seed: Annotated[int | None, typer.Option(help="Another draw of the county; needs --out.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write to; else the course's data/.")] = None,
) -> None:
    """Draw the shared county Tamarshire, or check the committed files."""
    from psma import table, world
    from psma.course import find_course

    if seed is not None and out is None:
        raise PsmaError("Another draw would replace the course's own data: say where to, with --out DIR.")
    target = out or find_course().root / "data"
    if check:
        raise typer.Exit(table.print_problems(world.verify(target), f"{target}: all as it should be"))
    wanted = families or world.FAMILIES
    console, number = table.screen(), world.SEED if seed is None else seed
    with table.named_progress(console, len(world.with_needs(wanted))) as on_progress:
        changed = world.generate(target, number, wanted, on_progress)
    table.print_lines([f"changed: {name}" for name in changed] or [f"{target}: no file changed"])


@app.command(
    epilog="Example: psma mark assessment/practice/practice.ipynb submissions/ --out results/",
    rich_help_panel=TEACH,
)
def mark(
    paper: Annotated[Path, typer.Argument(help="The paper's source notebook, in nbgrader's format.")],
    submissions: Annotated[Path, typer.Argument(help="The folder of what trainees sent.")],
    out: Annotated[Path, typer.Option(help="Where the results go; marking resumes from what is there.")],
    jobs: Annotated[int | None, typer.Option(help="How many at a time; every core unless given.")] = None,
    cell_seconds: Annotated[float, typer.Option(help="The longest a cell or a test may take.")] = 30.0,
    memory: Annotated[int, typer.Option(help="MiB that a submission may use.")] = 1024,
    scheduler: Annotated[str | None, typer.Option(help="A Dask cluster, such as tcp://host:8786.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Mark all again.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be marked.")] = False,
    gradebook: Annotated[Path | None, typer.Option(help="Also put the marks into nbgrader's file.")] = None,
    allow_unisolated: Annotated[
        bool,
        typer.Option(
            "--allow-unisolated", help="Run trainees' code with your rights where nothing else is possible."
        ),
    ] = False,
) -> None:
    """Mark a folder of submissions: safely, resumably, on every core. Filled-in mark sheets are merged."""
    from psma.marking.batch import Batch
    from psma.marking.command import mark_and_print, preview_and_print
    from psma.marking.marker import Limits

    limits = Limits(cell=cell_seconds, budget=10 * cell_seconds, memory=memory)
    batch = Batch(paper, submissions, out, limits, jobs, allow_unisolated, scheduler, fresh)
    raise typer.Exit(preview_and_print(batch) if dry_run else mark_and_print(batch, gradebook))


def main() -> None:
    """Entry point of the `psma` command."""
    skip_slow_imports()
    app(prog_name="psma")
