"""One defect each: what is done to the good session, and the one rule that must reject it.

A case changes the notebook of its kind in place; it is tidied afterwards, unless the defect is in the bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nbformat import NotebookNode

from bad.base import cell
from psma import notebook

Spoil = Callable[[NotebookNode], object]


@dataclass(frozen=True)
class Case:
    """A defect: its name, the rule that rejects it, the kind of notebook, and what is done to it."""

    name: str
    rule: str
    kind: str
    spoil: Spoil
    raw: Callable[[bytes], bytes] | None = None  # done to the file's bytes instead of tidying
    also: tuple[str, ...] = ()  # rules that cannot but reject it too


# ---------------------------------------------------------------- ways to spoil


def find(nb: NotebookNode, text: str) -> NotebookNode:
    """Return the first cell that holds the text."""
    return next(c for c in nb.cells if text in c.source)


def swap(old: str, new: str) -> Spoil:
    """Put other words into the first cell that holds the old ones."""

    def spoil(nb: NotebookNode) -> None:
        found = find(nb, old)
        found.source = found.source.replace(old, new)

    return spoil


def swap_all(old: str, new: str) -> Spoil:
    """Put other words into every cell."""

    def spoil(nb: NotebookNode) -> None:
        assert any(old in c.source for c in nb.cells)
        for c in nb.cells:
            c.source = c.source.replace(old, new)

    return spoil


def drop(text: str) -> Spoil:
    """Take the first cell out that holds the text."""
    return lambda nb: nb.cells.remove(find(nb, text))


def after(text: str, *cells: NotebookNode) -> Spoil:
    """Put cells behind the first one that holds the text."""

    def spoil(nb: NotebookNode) -> None:
        place = nb.cells.index(find(nb, text)) + 1
        nb.cells[place:place] = cells

    return spoil


def say(text: str, **psma) -> Spoil:
    """Change metadata.psma of the first cell that holds the text; None takes a key out."""

    def spoil(nb: NotebookNode) -> None:
        found = find(nb, text)
        found.metadata.psma = {k: v for k, v in (notebook.psma(found) | psma).items() if v is not None}

    return spoil


def meta(**psma) -> Spoil:
    """Change metadata.psma of the notebook."""
    return lambda nb: nb.metadata.psma.update(psma)


def place(text: str, slide_type: str) -> Spoil:
    """Change where the first cell that holds the text stands in the slides."""
    return lambda nb: find(nb, text).metadata.update({"slideshow": {"slide_type": slide_type}})


def tag(text: str, *tags: str) -> Spoil:
    """Give the first cell that holds the text these tags instead of its own."""
    return lambda nb: find(nb, text).metadata.update({"tags": list(tags)})


def code(source: str) -> Spoil:
    """Add a cell of code, left out of the slides."""
    return after("jobs = pd", cell("code", source, "skip"))


def prose(source: str) -> Spoil:
    """Add a sentence to the text for reading."""
    return swap("which no slide shows.", source)


def nothing(nb: NotebookNode) -> None:
    """Leave the notebook as it is."""


def many(number: int, source: str, slide_type: str) -> Spoil:
    """Add many cells of text."""
    return after("jobs = pd", *(cell("markdown", f"{source} {n}", slide_type) for n in range(number)))


def other_session(nb: NotebookNode) -> None:
    """Let the outcomes carry the ids of session 3.2."""
    found = nb.metadata.psma.outcomes
    nb.metadata.psma.outcomes = {identity.replace("3.1", "3.2"): text for identity, text in found.items()}


def no_break(nb: NotebookNode) -> None:
    """Give the minutes of the break to the lecture: 180 all the same."""
    nb.metadata.psma.minutes |= {"lecture": 95, "break": 0}


def drop_stub(nb: NotebookNode) -> None:
    """Take the stub of the second Your turn out."""
    nb.cells.remove(next(c for c in nb.cells if "4 / 2" in notebook.psma(c).get("answer", "")))


def two_references(nb: NotebookNode) -> None:
    """Leave the first two entries."""
    found = nb.cells[-1]
    found.source = "\n".join(found.source.split("\n")[:4])


def two_checks(nb: NotebookNode) -> None:
    """Let one cell check twice."""
    found = find(nb, '"same_2(3)"')
    found.source += "\n" + found.source.replace("3)", "4)")


def move_references(nb: NotebookNode) -> None:
    """Put the recap behind the references."""
    nb.cells[-2], nb.cells[-1] = nb.cells[-1], nb.cells[-2]


def on_paper(nb: NotebookNode) -> None:
    """Three of the four on paper."""
    for number in (1, 2, 3):
        swap(f"Your turn {number} (4 minutes)", f"Your turn {number} (4 minutes, on paper)")(nb)


def share_slide(nb: NotebookNode) -> None:
    """Let the code that answers a prediction stand on its slide."""
    index = nb.cells.index(find(nb, "what does plot 1 show"))
    nb.cells[index + 1].metadata.slideshow.slide_type = "-"


def two_predictions(nb: NotebookNode) -> None:
    """Take two of the four away."""
    for _ in range(2):
        swap("*Predict before you run:*", "Look:")(nb)


def two_plots(nb: NotebookNode) -> None:
    """Take two of the four away."""
    for _ in range(2):
        drop("plt.show()")(nb)


def long_winded(nb: NotebookNode) -> None:
    """Add some 25 minutes of talk and 20 of code."""
    many(36, "word " * 69, "slide")(nb)
    after("jobs = pd", *(cell("code", f"x = {n}\n" * 40, "skip") for n in range(4)))(nb)


LONG = "word " * 15
CASES = [
    # the file
    Case(
        "format 4.4",
        "schema",
        "modules",
        nothing,
        lambda b: b.replace(b'_minor": 5', b'_minor": 4'),
        ("tidy",),
    ),
    Case(
        "a cell id with a space",
        "schema",
        "modules",
        nothing,
        lambda b: b.replace(b'"id": "md-', b'"id": "md ', 1),
        ("tidy",),
    ),
    Case(
        "outputs committed", "tidy", "modules", nothing, lambda b: b.replace(b'count": null', b'count": 3', 1)
    ),
    Case("a blank line at the end", "tidy", "exercises", nothing, lambda b: b + b"\n", ("generated",)),
    Case(
        "a task without an id of words",
        "words-as-ids",
        "solutions",
        lambda nb: find(nb, "def same_2").pop("id"),
    ),
    # headings
    Case("no title", "one-title", "modules", swap("# Pathways\n", "")),
    Case("two titles", "one-title", "modules", swap("## In practice", "# Also\n\n## In practice")),
    Case(
        "the title in the second cell",
        "one-title",
        "solutions",
        lambda nb: nb.cells.insert(0, cell("code", "1")),
    ),
    Case("a level is skipped", "heading-levels", "modules", swap("## Recap\n", "## Recap\n\n#### Deep\n")),
    # language
    Case("American spelling", "british-spelling", "modules", prose("and we analyze it.")),
    Case(
        "American spelling in a solution",
        "british-spelling",
        "solutions",
        swap("What goes in", "The color goes in"),
    ),
    Case("marketing words", "plain-words", "modules", prose("so let us dive into it.")),
    Case("a face", "no-emoji", "modules", prose("\U0001f600")),
    Case("a tick in code", "no-emoji", "modules", code('print("\u2705")')),
    Case("something to do", "finished", "modules", prose("TODO: say more.")),
    # code
    Case("a wide line", "line-width", "modules", code("x = " + "1 + " * 30 + "1")),
    Case("a table from the web", "no-network", "modules", code('pd.read_csv("https://example.org/a.csv")')),
    Case("an address in a variable", "no-network", "modules", code('where = "https://example.org/a.csv"')),
    Case("requests", "no-network", "modules", code("import requests")),
    Case("something installed", "no-network", "modules", code("%pip install simpy")),
    Case("the shell", "no-network", "modules", code("!ls")),
    Case(
        "a corpus downloaded",
        "no-network",
        "solutions",
        after("from psma", cell("code", "nltk.download('x')")),
    ),
    Case("legacy random numbers", "no-dated-code", "modules", code("np.random.seed(1)")),
    Case("a generator without a seed", "seeded", "modules", swap("default_rng(31)", "default_rng()")),
    Case("a lecture with a helper", "imports", "modules", code("from psma.checks import check")),
    Case(
        "a solution with a helper",
        "imports",
        "solutions",
        after("from psma", cell("code", "import psma.course")),
    ),
    # files
    Case("a path of one machine", "relative-paths", "modules", code('open("/home/someone/a.csv")')),
    Case("a path of one machine, in Windows", "relative-paths", "modules", code("open('C:\\\\a.csv')")),
    Case("a link that leads nowhere", "links", "modules", swap("data/README.md", "data/READ.md")),
    Case(
        "a link out of the course",
        "links",
        "modules",
        swap("../../data/README.md", "../../../data/README.md"),
    ),
    Case("a link from the root", "links", "modules", swap("../../data/README.md", "/data/README.md")),
    Case("a picture without words", "image-alt", "modules", prose("![](../../data/README.md)")),
    Case("a table that is not there", "data-files", "modules", swap('"jobs.csv"', '"job.csv"')),
    Case("a table in a folder that is not there", "data-files", "modules", code('DATA / "old" / "jobs.csv"')),
    # metadata
    Case("no form", "metadata", "modules", meta(form="talk")),
    Case("no thread", "metadata", "modules", meta(thread="yes")),
    Case("no audience of the exercise", "metadata", "modules", meta(audience={"lecture": "police"})),
    Case(
        "minutes that add up to less",
        "minutes",
        "modules",
        meta(minutes={**{"lecture": 80, "break": 10}, "exercise": 65, "report_back": 20}),
    ),
    Case("a break of no minutes", "minutes", "modules", no_break),
    Case("no report back", "minutes", "modules", meta(minutes={"lecture": 105, "break": 10, "exercise": 65})),
    Case("two outcomes", "outcomes", "modules", lambda nb: nb.metadata.psma.outcomes.pop("3.1-c")),
    Case(
        "an outcome without text",
        "outcomes",
        "modules",
        lambda nb: nb.metadata.psma.outcomes.update({"3.1-b": "count"}),
    ),
    Case("outcomes of another session", "outcomes", "modules", other_session),
    # anatomy
    Case("no question", "question", "modules", swap("**The question.**", "Asked:")),
    Case("no slide for the outcomes", "outcomes-slide", "modules", drop("By noon")),
    Case("the outcomes off the slides", "outcomes-slide", "modules", place("By noon", "skip")),
    Case("another folder for the data", "set-up", "modules", swap('Path("../../data")', 'Path("../data")')),
    Case("the data folder said twice", "set-up", "modules", code('DATA = Path("../../data")')),
    Case("no break", "one-break", "modules", swap("## Break: ten minutes", "## Ten minutes")),
    Case("all sections before the break", "sections", "modules", swap_all("## 3", "### 3")),
    Case("the recap behind the references", "order", "modules", move_references),
    Case(
        "no common mistake",
        "common-mistake",
        "modules",
        swap("### Common mistake", "### A mistake"),
        also=("only-mistakes-may-raise",),
    ),
    Case("a mistake without code", "common-mistake", "modules", drop("1 / 0")),
    Case("a mistake without words", "common-mistake", "modules", drop("There is no answer")),
    Case("an error anywhere", "only-mistakes-may-raise", "modules", tag("jobs = pd", "raises-exception")),
    Case("nothing from practice", "in-practice", "modules", swap("## In practice", "## Elsewhere")),
    Case("no recap", "recap", "modules", swap("## Recap", "## The end")),
    Case("an outcome that the recap forgets", "recap", "modules", swap("- **c** Someone pays.", "")),
    Case("no references", "references", "modules", drop("## References")),
    Case(
        "six references",
        "references",
        "modules",
        swap("- Home Office (2022). New", "- One more.\n- And one.\n- Home Office (2022). New"),
    ),
    Case("two references", "references", "modules", two_references),
    Case("a DOI that is none", "dois", "modules", swap_all("10.1287/opre.2.1.70", "opre.2.1.70")),
    Case(
        "a DOI that leads elsewhere", "dois", "modules", swap("/10.1287/opre.2.1.70", "/10.1287/opre.2.1.71")
    ),
    # Your turn
    Case("three Your turn", "your-turns", "modules", swap("Your turn 4", "My turn 4")),
    Case("three on paper", "your-turns", "modules", on_paper),
    Case(
        "no hint",
        "your-turn-hint",
        "modules",
        swap("<details><summary>Hint</summary>Divide first.</details>", ""),
    ),
    Case("no stub", "your-turn-proof", "modules", drop("# your code here")),
    Case("no stub before the next heading", "your-turn-proof", "modules", drop_stub),
    Case("no proof", "your-turn-proof", "modules", say("# your code here", answer=None)),
    Case(
        "a proof that asserts nothing",
        "your-turn-proof",
        "modules",
        say("# your code here", answer="print(1)"),
    ),
    # slides
    Case("a slide type that is none", "slide-types", "modules", place("jobs = pd", "page")),
    Case("no slide type", "slide-types", "modules", place("jobs = pd", "")),
    Case("a prediction beside its answer", "predictions", "modules", share_slide),
    Case("a prediction off the slides", "predictions", "modules", place("what does plot 1 show", "skip")),
    Case(
        "a prediction that nothing answers",
        "predictions",
        "modules",
        swap("said what it cost.", "cost. Predict before you run."),
    ),
    Case("two predictions", "predictions", "modules", two_predictions),
    Case("a full slide", "lean-slides", "modules", swap("moves the wait.", LONG * 5)),
    Case("a long list", "lean-slides", "modules", swap("- **a** Draw it.", "- **a** " + LONG * 7)),
    Case("a long paragraph", "reading-cells", "modules", prose(LONG * 9)),
    Case("a long cell", "code-length", "modules", swap("jobs.head()", "jobs.head()\n" * 12)),
    Case(
        "a very long class",
        "code-length",
        "modules",
        swap("return worst", "x = 1\n        " * 30 + "return 1"),
    ),
    Case("a class that no slide quotes", "quotations", "modules", swap("```python", "```text")),
    Case(
        "a class that a slide misquotes",
        "quotations",
        "modules",
        swap("self.waits.append(when)\n```", "self.waits.add(when)\n```"),
    ),
    Case("a table without its code", "hidden-input", "modules", tag("jobs = pd", "hide-input")),
    Case("a plot without words", "alt-text", "modules", say("plt.show()", alt=None)),
    Case("a plot that nobody speaks", "spoken-summaries", "modules", swap("**Spoken summary.**", "")),
    Case("too few notes", "speaker-notes", "modules", drop("Ask what they see")),
    Case("two plots", "plots", "modules", two_plots),
    Case("no term", "terms", "modules", lambda nb: [swap("<dfn>", "<b>")(nb) for _ in range(2)]),
    Case("a term explained twice", "terms", "modules", swap("<dfn>Priority</dfn>", "A <dfn>Pathway</dfn>")),
    # length
    Case("too many cells", "size", "modules", many(60, "Short.", "skip")),
    Case("too many live minutes", "live-minutes", "modules", long_winded),
    # the solution
    Case("another form", "same-form", "solutions", meta(form="r")),
    Case("five tasks", "tasks", "solutions", swap("## Task 3 (core)", "## Work 3 (core)")),
    Case("a task out of order", "tasks", "solutions", swap("## Task 3 (core)", "## Task 7 (core)")),
    Case("a task without a tier", "tasks", "solutions", swap("## Task 3 (core)", "## Task 3 (easy)")),
    Case("no challenge", "tiers", "solutions", swap("(challenge)", "(core)")),
    Case("no brief", "brief", "solutions", swap_all("\n> ", "\n")),
    Case("nothing on paper", "paper-task", "solutions", swap("paper, ", "")),
    Case(
        "two tasks on paper",
        "paper-task",
        "solutions",
        swap("## Task 2 (core)", "## Task 2 (core, on paper)"),
    ),
    Case("no last word", "last-task", "solutions", swap("Five sentences at most.", "Say it.")),
    Case(
        "two last words", "last-task", "solutions", swap("Draw the pathway.", "Draw it, in five sentences.")
    ),
    Case(
        "nowhere to type",
        "last-task",
        "solutions",
        lambda nb: nb.cells.remove(next(c for c in nb.cells if "answer" in notebook.tags(c))),
    ),
    Case(
        "an answer given away",
        "answer-cells",
        "solutions",
        lambda nb: next(c for c in nb.cells if "answer" in notebook.tags(c)).update(source="Merge."),
    ),
    Case("a task that is not explained", "model-answers", "solutions", drop("in task 2 too")),
    Case("a check without a hint", "folded-hints", "solutions", drop("You need nothing but n in task 2")),
    Case(
        "three hints",
        "folded-hints",
        "solutions",
        swap("but n in task 2.</details>", "but n in task 2.</details>" + "<details>x</details>" * 2),
    ),
    Case("an open hint", "folded-hints", "solutions", swap("Give back n.", "Give back n.\n\n**Hint:** n.")),
    Case(
        "an outcome that nobody practises", "outcomes-practised", "solutions", say("def same_4", outcome=None)
    ),
    Case(
        "an outcome that the lecture lacks",
        "outcomes-practised",
        "solutions",
        say("def same_4", outcome=["3.1-c", "3.1-x"]),
    ),
    Case("an outcome that is no list", "outcomes-practised", "solutions", say("def same_3", outcome="3.1-b")),
    Case("three checks", "enough-checks", "solutions", drop('"same_5(3)"')),
    Case(
        "a check that checks nothing", "check-cells", "solutions", swap('check({"same_2(3)": 3})', "print(3)")
    ),
    Case(
        "a check without its tag",
        "check-cells",
        "solutions",
        after("What goes in", cell("code", 'check({"same_2(9)": 9})')),
    ),
    Case("two checks in a cell", "check-cells", "solutions", two_checks),
    Case(
        "two wrong answers", "three-wrong-answers", "solutions", swap("--- one too many\nreturn n + 1\n", "")
    ),
    Case(
        "a wrong answer without words",
        "wrong-answers",
        "solutions",
        swap("--- forgets to return\n", "--- a\nb\n--- c\nd\n---\n"),
    ),
    Case(
        "wrong answers that would run",
        "wrong-answers",
        "solutions",
        lambda nb: find(nb, "--- forgets").update(cell_type="markdown"),
    ),
    Case(
        "two gaps for a wrong answer",
        "wrong-answers",
        "solutions",
        swap("    ### END SOLUTION", "    ### END SOLUTION\n    ### BEGIN SOLUTION\n    ### END SOLUTION"),
    ),
    Case(
        "half a mark", "buildable", "solutions", after("What goes in", cell("code", "### BEGIN SOLUTION\n1"))
    ),
    # the exercise
    Case("an exercise edited by hand", "generated", "exercises", swap("Give back n.", "Return n.")),
]
