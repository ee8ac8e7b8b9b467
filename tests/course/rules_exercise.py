"""Rules for a solution and for the exercise that is generated from it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from nbformat import NotebookNode
from rulebook import CODED, EXERCISE, SOLUTION, Found, Heading, Page, one, rule

from psma import exercises, notebook
from psma.checks import expressions_in
from psma.errors import PsmaError

TASK = re.compile(r"Task (\d+) \((core|extension|challenge)\b[^)]*\)", re.IGNORECASE)
TIERS = ("core", "extension", "challenge")


class Task(NamedTuple):
    """One task: its heading, and its cells from there to the next task."""

    heading: Heading
    cells: list[NotebookNode]

    def tagged(self, tag: str) -> list[NotebookNode]:
        """Those of its cells that have the tag."""
        return [c for c in self.cells if tag in notebook.tags(c)]

    @property
    def given(self) -> str:
        """The text that a trainee reads."""
        kept = [
            c
            for c in self.cells
            if c.cell_type == "markdown" and not notebook.tags(c) & {"solution", "answer"}
        ]
        return "\n\n".join(c.source for c in kept)


def tasks_of(page: Page) -> list[Task]:
    """The tasks in order."""
    heads = [h for h in page.headings if h.starts("task")]
    ends = [h.index for h in heads[1:]] + [len(page.cells)]
    return [Task(head, page.cells[head.index : end]) for head, end in zip(heads, ends, strict=True)]


# ---------------------------------------------------------------- the tasks


@rule(SOLUTION)
def same_form(page: Page) -> Iterator[Found]:
    """metadata.psma.form is said, and is the lecture's."""
    said = notebook.psma(page.nb).get("form")
    if said != page.form:
        yield None, f"metadata.psma.form is {said!r}, the lecture's is {page.form!r}"


@rule(SOLUTION)
def tasks(page: Page) -> Iterator[Found]:
    """Six to eight, numbered from 1, each with its tier: "Task 2 (core): how many people?"."""
    found = tasks_of(page)
    if not 6 <= len(found) <= 8:
        yield None, f"{one(len(found), 'task')}: six to eight"
    for number, task in enumerate(found, 1):
        match = TASK.match(task.heading.text)
        if not match or int(match[1]) != number:
            yield (
                task.cells[0],
                f"'{task.heading.text}' should begin 'Task {number} (core)', or extension, challenge",
            )


@rule(SOLUTION)
def tiers(page: Page) -> Iterator[Found]:
    """There is a core, an extension and a challenge."""
    there = {match[2].lower() for t in tasks_of(page) if (match := TASK.match(t.heading.text))}
    for tier in TIERS:
        if tier not in there:
            yield None, f"no task is marked ({tier})"


@rule(SOLUTION)
def brief(page: Page) -> Iterator[Found]:
    """It opens on a brief: somebody's own words, quoted."""
    if not any(re.search(r"^> \S", c.source, re.MULTILINE) for c in page.cells[:2]):
        yield None, "the first cells quote nobody: open on a brief (lines that begin with >)"


@rule(SOLUTION)
def paper_task(page: Page) -> Iterator[Found]:
    """One task is on paper."""
    paper = [t for t in tasks_of(page) if re.search(r"\bpaper\b", t.heading.text, re.IGNORECASE)]
    if len(paper) != 1 and page.form != "paper":
        yield None, f"{one(len(paper), 'task')} on paper (said in the heading) instead of 1"


@rule(SOLUTION)
def last_task(page: Page) -> Iterator[Found]:
    """The last task, and no other, asks for five sentences; there is a cell to type them into."""
    found = tasks_of(page)
    asking = [t for t in found if re.search(r"\bfive sentences\b", t.given, re.IGNORECASE)]
    if [t.heading for t in asking] != [t.heading for t in found[-1:]]:
        yield None, "the last task, and only that one, asks what you would tell them in five sentences"
    elif found and not found[-1].tagged("answer"):
        yield found[-1].cells[0], "no empty cell tagged `answer` to type the five sentences into"


@rule(SOLUTION)
def answer_cells(page: Page) -> Iterator[Found]:
    """A cell for the trainee's own words is empty."""
    for cell in page.cells:
        if "answer" in notebook.tags(cell) and cell.source.strip():
            yield cell, "tagged answer, but not empty: a model answer is tagged `solution`"


@rule(SOLUTION)
def model_answers(page: Page) -> Iterator[Found]:
    """Every task is explained in a cell that the exercise leaves out."""
    for task in tasks_of(page):
        if not task.tagged("solution"):
            yield task.cells[0], f"'{task.heading.text}' has no cell tagged `solution` that says why"


@rule(SOLUTION)
def folded_hints(page: Page) -> Iterator[Found]:
    """A task with a check has one or two hints a check, and hints are folded."""
    for task in tasks_of(page):
        count, checks = task.given.count("<details>"), len(task.tagged("check"))
        if checks and not 1 <= count <= 2 * checks:
            yield task.cells[0], f"'{task.heading.text}' has {one(count, 'folded hint')}: one or two"
        open_text = re.sub(r"<details>.*?</details>", "", task.given, flags=re.DOTALL)
        if re.search(r"^[*_]*Hint\b", open_text, re.MULTILINE):
            yield task.cells[0], f"'{task.heading.text}' has a hint that is not folded"


@rule(SOLUTION)
def outcomes_practised(page: Page) -> Iterator[Found]:
    """Every outcome of the lecture is practised, and metadata.psma.outcome names nothing else."""
    practised = set()
    for cell in page.cells:
        named = notebook.psma(cell).get("outcome", [])
        if not isinstance(named, list):
            yield cell, "metadata.psma.outcome is a list of outcome ids"
            continue
        practised |= set(named)
        if unknown := [identity for identity in named if identity not in page.outcomes]:
            yield cell, f"the lecture has no outcome {', '.join(unknown)}"
    if idle := [identity for identity in page.outcomes if identity not in practised]:
        yield None, f"no task practises {', '.join(idle)}"


@rule(SOLUTION, forms=("paper",))
def rubric(page: Page) -> Iterator[Found]:
    """A session on paper has a rubric where others have checks."""
    if not any(re.search(r"\brubric\b", c.source, re.IGNORECASE) for _, c in page.text):
        yield None, "no rubric"


# ---------------------------------------------------------------- checks and wrong answers


def _checks(page: Page) -> Iterator[tuple[int, NotebookNode]]:
    return ((i, c) for i, c in page.code if "check" in notebook.tags(c))


@rule(SOLUTION, forms=CODED)
def enough_checks(page: Page) -> Iterator[Found]:
    """At least four tasks are checked."""
    count = len(list(_checks(page)))
    if count < 4:
        yield None, f"{one(count, 'check')}: at least four"


@rule(SOLUTION, forms=("code", "git"))
def check_cells(page: Page) -> Iterator[Found]:
    """A check cell calls check once, on expressions that are written out; no other cell does."""
    for _, cell in page.code:
        tagged = "check" in notebook.tags(cell)
        try:
            asks = (
                bool(expressions_in(cell.source)) if tagged or re.search(r"\bcheck\(", cell.source) else False
            )
        except PsmaError as error:
            asks = True
            yield cell, str(error)
        if tagged != asks:
            yield (
                cell,
                "tagged check, but calls no check" if tagged else "calls check, but is not tagged `check`",
            )


@rule(SOLUTION, forms=CODED)
def three_wrong_answers(page: Page) -> Iterator[Found]:
    """Before every check stand at least three wrong answers that it has to catch."""
    count = 0
    for cell in page.cells:
        if "wrong" in notebook.tags(cell):
            count += len(re.findall(r"^--- \S", cell.source, re.MULTILINE))
        elif "check" in notebook.tags(cell):
            if count < 3:
                yield cell, f"{one(count, 'wrong answer')} before this check: at least three"
            count = 0


@rule(SOLUTION)
def wrong_answers(page: Page) -> Iterator[Found]:
    """Each stands in a raw cell, under a line that says what went wrong, and has one gap to go into."""
    for cell in page.cells:
        if "wrong" in notebook.tags(cell) and cell.cell_type != "raw":
            yield cell, "wrong answers stand in a raw cell"
    try:
        listed = exercises.wrong_answers(page.nb)
    except PsmaError as error:
        yield None, str(error)
        return
    for index in sorted({wrong.task_cell_index for wrong in listed}):
        try:
            exercises.with_answer(page.cells[index].source, "")
        except PsmaError as error:
            yield page.cells[index], str(error)


# ---------------------------------------------------------------- the exercise


@rule(SOLUTION)
def buildable(page: Page) -> Iterator[Found]:
    """An exercise can be made from it: the marks pair up."""
    try:
        exercises.exercise_from(page.nb)
    except PsmaError as error:
        yield None, str(error)


@rule(EXERCISE)
def generated(page: Page) -> Iterator[Found]:
    """It is, byte for byte, what its solution gives."""
    if page.solution is None:
        yield None, "has no solution: run psma build"
        return
    try:
        made = notebook.to_bytes(exercises.exercise_from(page.solution))
    except PsmaError:
        return  # the solution's own rule reports it
    if (page.raw or notebook.to_bytes(page.nb)) != made:
        yield None, "differs from what its solution gives: run psma build"


@rule(EXERCISE)
def no_solution(page: Page) -> Iterator[Found]:
    """Nothing of the solution stands in it."""
    for cell in page.cells:
        if re.search(r"(BEGIN|END) SOLUTION", cell.source):
            yield cell, "holds a mark of the solution"
        if found := notebook.tags(cell) & {"solution", "wrong"}:
            yield cell, f"is tagged {found.pop()}"
        if "answer" in notebook.psma(cell):
            yield cell, "holds the answer in its metadata"
