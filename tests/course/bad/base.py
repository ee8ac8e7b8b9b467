"""The smallest session that keeps every rule."""

from __future__ import annotations

from pathlib import PurePosixPath

import nbformat
from nbformat import NotebookNode

from psma import notebook
from psma.exercises import BEGIN, END

FILES = {PurePosixPath("data/jobs.csv"), PurePosixPath("data/README.md")}
META = {
    "form": "code",
    "thread": True,
    "audience": {"lecture": "police", "exercise": "health"},
    "minutes": {"lecture": 85, "break": 10, "exercise": 65, "report_back": 20},
    "outcomes": {
        "3.1-a": "draw a service as a pathway",
        "3.1-b": "compute how many are inside",
        "3.1-c": "say who pays for a shorter wait",
    },
}


def cell(kind: str, source: str, place: str = "", *tags: str, id: str = "", **psma) -> NotebookNode:
    """Return one cell: its place in the slides, its tags, and what metadata.psma says."""
    metadata = {"slideshow": {"slide_type": place}, "tags": list(tags), "psma": psma}
    more = {"outputs": [], "execution_count": None} if kind == "code" else {}
    named = {"id": id} if id else {}
    return nbformat.from_dict({"cell_type": kind, "source": source, "metadata": metadata} | more | named)


def book(cells: list[NotebookNode], meta: dict) -> NotebookNode:
    """Return the tidy notebook of these cells."""
    metadata = {"psma": meta}
    return notebook.tidy(
        nbformat.from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells})
    )


# ---------------------------------------------------------------- the lecture

TITLE = """\
# Pathways

**The question.** *"Why do people wait for a car that is free?"*

Chief Inspector, Response"""

OUTCOMES = """\
## By noon you will be able to

- **a** draw a service as a pathway
- **b** compute how many are inside
- **c** say who pays for a shorter wait"""

SET_UP = """\
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

DATA = Path("../../data")
rng = np.random.default_rng(31)
plt.rcParams.update({"figure.figsize": (9, 3.8)})"""

CLASS = """\
class Model:
    def __init__(self, cars):
        self.cars = cars
        self.waits = []

    def call(self, when):
        self.waits.append(when)

    def clear(self):
        self.waits = []

    def mean(self):
        return sum(self.waits) / len(self.waits)

    def worst(self):
        worst = max(self.waits)
        return worst"""

QUOTE = """\
## 2 · A model of it

```python
class Model:
    ...
    def call(self, when):
        self.waits.append(when)
```"""

REFERENCES = f"""\
## References

- Little, J. D. C. (1961). A proof. [doi:10.1287/opre.9.3.383](https://doi.org/10.1287/opre.9.3.383)
- Cobham, A. (1954). Priority. [doi:10.1287/opre.2.1.70](https://doi.org/10.1287/opre.2.1.70)
- Home Office (2022). New league tables. Press release.
- {"Several, A. " * 25}(2020). Many authors. Press release."""


def section(number: int, text: str) -> list[NotebookNode]:
    """Return a section: a slide, a prediction, the plot that answers it, what it shows, and the notes."""
    return [
        cell("markdown", text, "slide"),
        cell("markdown", f"*Predict before you run:* what does plot {number} show?", "subslide"),
        cell(
            "code",
            f"fig, ax = plt.subplots()\nax.plot([0, {number}])\nplt.show()",
            "slide",
            "hide-input",
            alt=f"A line that rises from 0 to {number}",
        ),
        cell("markdown", f"**Spoken summary.** The line rises from nought to {number}.", "-"),
        cell("markdown", f"**0:{number}0.** Ask what they see, and wait.", "notes"),
    ]


def turn(number: int, answer: str) -> list[NotebookNode]:
    """Return a Your turn with its hint, its stub and the proof of its result."""
    hint = "<details><summary>Hint</summary>Divide first.</details>"
    task = (
        f"### Your turn {number} (4 minutes)\n\nHalve {2 * number}.\n\n*You should get {number}.*\n\n{hint}"
    )
    return [
        cell("markdown", task, "slide"),
        cell("code", "# your code here", "-", answer=answer),
        cell("markdown", f"**0:{number}5.** The answer is {number}.", "notes"),
    ]


def lecture() -> NotebookNode:
    """Return a lecture that keeps every rule."""
    cells = [
        cell("markdown", TITLE, "slide"),
        cell("markdown", OUTCOMES, "slide"),
        cell("code", SET_UP, "skip"),
        cell("code", 'jobs = pd.read_csv(DATA / "jobs.csv")\njobs.head()', "slide"),
        *section(1, "## 1 · Draw it\n\nA <dfn>pathway</dfn> is what happens to one caller."),
        *turn(1, "assert 2 / 2 == 1"),
        cell("code", CLASS, "skip"),
        *section(2, QUOTE),
        *turn(2, "assert 4 / 2 == 2"),
        cell("markdown", "### Common mistake: dividing by nothing", "slide"),
        cell("code", "1 / 0", "-", "raises-exception"),
        cell("markdown", "There is no answer, and Python says so.", "-"),
        cell("markdown", "## Break: ten minutes", "slide"),
        *section(3, "## 3 · Count it\n\nSee the [data dictionary](../../data/README.md)."),
        *turn(3, "assert 6 / 2 == 3"),
        *section(4, "## 4 · Who pays?\n\n<dfn>Priority</dfn> moves the wait."),
        *turn(4, "assert 8 / 2 == 4"),
        cell("markdown", "Text for reading alone, which no slide shows.", "skip"),
        cell("markdown", "## In practice\n\nOne force did this, and said what it cost.", "slide"),
        cell("markdown", "## Recap\n\n- **a** Draw it.\n- **b** Count it.\n- **c** Someone pays.", "slide"),
        cell("markdown", REFERENCES, "skip"),
    ]
    return book(cells, META)


# ---------------------------------------------------------------- the solution

BRIEF = """\
# Pathways: half empty, and full

> **From:** the bed manager
> **To:** you
>
> One more bed, or one suite of six? I need to know by noon.

**Core** is for everyone."""

WRONG = """\
--- forgets to return
print(n)
--- one too many
return n + 1
--- right for the brief's number only
return 2"""


def task(number: int, tier: str, *outcome: str) -> list[NotebookNode]:
    """Return a task with its stub, wrong answers, check, hint and explanation."""
    stub = f'def same_{number}(n):\n    """Return n."""\n    {BEGIN}\n    return n\n    {END}'
    hint = f"<details><summary>Hint</summary>You need nothing but n in task {number}.</details>"
    return [
        cell(
            "markdown",
            f"## Task {number} ({tier}): the same number\n\nGive back n. *Why it matters: it counts.*",
        ),
        cell("code", stub, "", "task", id=f"task-same-{number}", outcome=list(outcome)),
        cell("raw", WRONG, "", "wrong"),
        cell("code", f'check({{"same_{number}(3)": 3}})', "", "check", id=f"check-same-{number}"),
        cell("markdown", hint),
        cell("markdown", f"**Why.** What goes in comes out, in task {number} too.", "", "solution"),
    ]


def solution() -> NotebookNode:
    """Return a solution that keeps every rule."""
    paper = "## Task 1 (core, paper, whole group): draw it\n\nDraw the pathway."
    tell = "## Task 6 (core): what would you tell them?\n\nFive sentences at most."
    cells = [
        cell("markdown", BRIEF),
        cell("code", "from psma.checks import check"),
        cell("markdown", paper),
        cell("markdown", "**Model answer.** A queue, then an activity.", "", "solution", outcome=["3.1-a"]),
        *task(2, "core", "3.1-b"),
        *task(3, "core", "3.1-b"),
        *task(4, "extension", "3.1-c"),
        *task(5, "challenge"),
        cell("markdown", tell),
        cell("markdown", "", "", "answer", id="answer-tell"),
        cell("markdown", "**Model answer.** Merge the two.", "", "solution"),
    ]
    return book(cells, {"form": "code"})
