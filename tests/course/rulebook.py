"""What every rule needs: the page it reads, the violation it reports, the book it stands in."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from nbformat import NotebookNode

from psma import notebook

LECTURE, EXERCISE, SOLUTION = "modules", "exercises", "solutions"
KINDS = (LECTURE, EXERCISE, SOLUTION)
FORMS = ("code", "paper", "r", "git")
CODED = ("code", "r")

DRAWS = re.compile(
    r"plt\.(show|subplots|figure|plot|hist|imshow)|\.plot(\.\w+)?\(|sns\.|\.explore\(|ggplot\(|plot_tree|plot_model"
    r"|folium\.Map|px\.|draw_networkx|\bplot\(|hist\("
)
FENCED = re.compile(r"^ {0,3}(```|~~~).*?^ {0,3}\1", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Violation:
    """A rule that a notebook breaks, the cell where it does (empty: the whole notebook), and what to do."""

    rule: str
    cell_id: str
    text: str

    def __str__(self) -> str:
        where = f" at `{self.cell_id}`" if self.cell_id else ""
        return f"{self.rule}{where}: {self.text}"


@dataclass(frozen=True)
class Heading:
    """One heading: the index of its cell, its level, its text."""

    index: int
    level: int
    text: str

    def starts(self, *words: str) -> bool:
        """Whether the text begins with one of these, after a number such as "3 · "."""
        text = re.sub(r"^[\d.]+\s*[·.:-]?\s*", "", self.text)
        return bool(re.match(rf"({'|'.join(words)})\b", text, re.IGNORECASE))


@dataclass(frozen=True)
class Page:
    """A notebook with all that a rule may ask about it. Nothing here reads a disk but ``exists``."""

    nb: NotebookNode
    kind: str  # modules, exercises or solutions
    path: PurePosixPath  # from the course's root
    raw: bytes | None = None  # the file's bytes
    exists: Callable[[PurePosixPath], bool] = lambda path: True  # of a path from the course's root
    lecture: NotebookNode | None = None  # of the same session, for its exercise and solution
    solution: NotebookNode | None = None  # of the same session, for its exercise

    @property
    def cells(self) -> list[NotebookNode]:
        """All cells in order."""
        return self.nb.cells

    @cached_property
    def form(self) -> str:
        """The session's form: code, paper, r or git; code where none of them is said."""
        said = notebook.psma(self.lecture if self.lecture is not None else self.nb).get("form")
        return said if said in FORMS else "code"

    @property
    def is_r(self) -> bool:
        """Whether the code is R."""
        return notebook.is_r(self.nb)

    @property
    def session(self) -> str:
        """The session's id as its path says it, such as "3.2"."""
        folder, name = self.path.parts[-2:]
        return f"{int(folder[:2])}.{int(name[:2])}"

    @property
    def outcomes(self) -> dict[str, Any]:
        """Outcome ids and texts of the lecture (this notebook, if it is one)."""
        found = notebook.psma(self.lecture if self.lecture is not None else self.nb).get("outcomes", {})
        return dict(found) if isinstance(found, dict) else {}

    @cached_property
    def code(self) -> list[tuple[int, NotebookNode]]:
        """Index and cell of every code cell."""
        return [(i, c) for i, c in enumerate(self.cells) if c.cell_type == "code"]

    @cached_property
    def text(self) -> list[tuple[int, NotebookNode]]:
        """Index and cell of every Markdown cell, speaker notes left out."""
        cells = enumerate(self.cells)
        return [(i, c) for i, c in cells if c.cell_type == "markdown" and notebook.slide_type(c) != "notes"]

    @cached_property
    def headings(self) -> list[Heading]:
        """All headings, speaker notes left out."""
        return [Heading(i, level, text) for i, c in self.text for level, text in notebook.headings(c.source)]

    def heading(self, *words: str) -> Heading | None:
        """The first heading that begins with one of these words."""
        return next((h for h in self.headings if h.starts(*words)), None)

    def section(self, heading: Heading) -> list[tuple[int, NotebookNode]]:
        """The cells from a heading's to the next cell with a heading of the same or a higher level."""
        stop = (h.index for h in self.headings if h.index > heading.index and h.level <= heading.level)
        end = next(stop, len(self.cells))
        return list(enumerate(self.cells))[heading.index : end]

    @cached_property
    def slides(self) -> list[list[int]]:
        """Indices of the cells that stand together on each slide."""
        together: list[list[int]] = []
        for index, cell in enumerate(self.cells):
            place = notebook.slide_type(cell)
            if place in ("slide", "subslide") or (not together and place in ("-", "fragment")):
                together.append([index])
            elif place in ("-", "fragment"):
                together[-1].append(index)
        return together

    @cached_property
    def drawing(self) -> list[tuple[int, NotebookNode]]:
        """Index and cell of every code cell whose output is an image."""
        if self.is_r:
            return [(i, c) for i, c in self.code if DRAWS.search(c.source)]
        helpers = {name for _, c in self.code for name, body in _functions(c.source) if DRAWS.search(body)}
        return [(i, c) for i, c in self.code if _draws(c.source, helpers)]


def _functions(source: str) -> Iterator[tuple[str, str]]:
    """Name and text of every function and class at the top level of a cell."""
    for node in _statements(source):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name, ast.unparse(node)


def _draws(source: str, helpers: set[str]) -> bool:
    """Whether what a cell does itself, its functions left out, draws."""
    acts = [n for n in _statements(source) if not isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    called = {
        n.func.id
        for a in acts
        for n in ast.walk(a)
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    }
    return bool(called & helpers) or any(DRAWS.search(ast.unparse(act)) for act in acts)


def _statements(source: str) -> list[ast.stmt]:
    try:
        return ast.parse(source).body
    except SyntaxError:
        return []


# ---------------------------------------------------------------- small readings of text


def prose(markdown: str) -> str:
    """Markdown without its fenced code."""
    return FENCED.sub("", markdown)


def words(markdown: str) -> int:
    """Number of words that are read aloud: no code blocks, formulas, tags or link targets."""
    bare = re.sub(r"```.*?```|\$[^$]*\$|<[^>]+>|\]\([^)]*\)", " ", markdown, flags=re.DOTALL)
    return len(re.findall(r"[A-Za-z0-9'’-]+", bare))


def code_lines(source: str) -> list[str]:
    """The lines of code that are neither empty nor comment."""
    return [line for line in source.splitlines() if line.strip() and not line.strip().startswith("#")]


def one(count: int, noun: str) -> str:
    """The count with its noun: "1 line", "3 lines"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


# ---------------------------------------------------------------- the book

Found = tuple[NotebookNode | None, str]
Check = Callable[[Page], Iterable[Found]]


@dataclass(frozen=True)
class Rule:
    """One rule: its name, the notebooks it holds for, and the function that finds where they break it."""

    name: str
    kinds: tuple[str, ...]
    forms: tuple[str, ...]
    find: Check

    def holds_for(self, page: Page) -> bool:
        """Whether this rule has a say about the page."""
        return page.kind in self.kinds and page.form in self.forms


RULES: list[Rule] = []


def rule(*kinds: str, forms: Iterable[str] = FORMS) -> Callable[[Check], Check]:
    """Enter a function into the book under its own name, for these kinds of notebook and forms of session."""

    def enter(find: Check) -> Check:
        RULES.append(Rule(find.__name__.replace("_", "-"), kinds or KINDS, tuple(forms), find))
        return find

    return enter
