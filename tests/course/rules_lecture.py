"""Rules for a lecture: its metadata, its order, its slides, its length."""

from __future__ import annotations

import re
import string
import textwrap
from collections.abc import Iterator
from itertools import pairwise

from rulebook import (
    CODED,
    FENCED,
    FORMS,
    LECTURE,
    SOLUTION,
    Found,
    Heading,
    Page,
    code_lines,
    one,
    prose,
    rule,
    words,
)

from psma import notebook

PARTS = ("lecture", "break", "exercise", "report_back")
FULL_SESSION = 180  # minutes
LIVE = 85  # minutes
PREDICT = re.compile(r"predict before you run", re.IGNORECASE)
DOI = re.compile(r"10\.\d{4,9}/[-._;()/:A-Za-z0-9<>]*[A-Za-z0-9)>]")
DOI_LINK = re.compile(r"(?:\[doi:\s*([^\]]*)\]\()?https?://(?:dx\.)?doi\.org/((?:[^\s()\]]|\([^\s()]*\))*)")
ON_PAPER = re.compile(r"\bpaper\b", re.IGNORECASE)


def _letter(letter: str) -> re.Pattern[str]:
    """How a text answers one outcome: **a** in bold, or the whole id."""
    return re.compile(rf"\*\*\(?{letter}[.:)]?\*\*|\b\d\.\d+-{letter}\b")


# ---------------------------------------------------------------- metadata.psma


@rule(LECTURE)
def metadata(page: Page) -> Iterator[Found]:
    """metadata.psma says the form, the audience of both parts, and whether the session carries the thread."""
    meta = notebook.psma(page.nb)
    if meta.get("form") not in FORMS:
        yield None, f"metadata.psma.form is {meta.get('form')!r}, not one of {', '.join(FORMS)}"
    if not isinstance(meta.get("thread"), bool):
        yield None, "metadata.psma.thread is neither true nor false"
    audience = meta.get("audience")
    if not isinstance(audience, dict) or not all(audience.get(part) for part in ("lecture", "exercise")):
        yield None, "metadata.psma.audience needs lecture and exercise"


@rule(LECTURE)
def minutes(page: Page) -> Iterator[Found]:
    """The four parts of a session are given, and are three hours together."""
    parts = notebook.psma(page.nb).get("minutes")
    if not isinstance(parts, dict) or set(parts) != set(PARTS):
        yield None, f"metadata.psma.minutes needs {', '.join(PARTS)}"
    elif not all(type(n) is int and n > 0 for n in parts.values()) or sum(parts.values()) != FULL_SESSION:
        yield (
            None,
            f"metadata.psma.minutes are {list(parts.values())}: whole minutes, {FULL_SESSION} together",
        )


@rule(LECTURE)
def outcomes(page: Page) -> Iterator[Found]:
    """There are three to five, lettered from a under the session's id, each with a text."""
    found = notebook.psma(page.nb).get("outcomes")
    if not isinstance(found, dict) or not 3 <= len(found) <= 5:
        yield None, "metadata.psma.outcomes needs three to five ids with their texts"
        return
    wanted = [f"{page.session}-{letter}" for letter in string.ascii_lowercase[: len(found)]]
    if sorted(found) != wanted:
        yield None, f"metadata.psma.outcomes are {', '.join(sorted(found))}, not {', '.join(wanted)}"
    for identity, text in found.items():
        if not isinstance(text, str) or len(text.split()) < 3:
            yield None, f"outcome {identity} says nothing that can be tested: {text!r}"


# ---------------------------------------------------------------- anatomy


@rule(LECTURE)
def question(page: Page) -> Iterator[Found]:
    """The title cell asks the question that the session answers."""
    if page.cells and not re.search(r"\*\*The question\.?\*\*\.?\s*\S", page.cells[0].source):
        yield page.cells[0], "the title cell lacks '**The question.**' and the question"


@rule(LECTURE)
def outcomes_slide(page: Page) -> Iterator[Found]:
    """One slide before any code names each outcome by its letter."""
    first_code = page.code[0][0] if page.code else len(page.cells)
    letters = [identity[-1] for identity in page.outcomes]
    before = [c for i, c in page.text if i < first_code and notebook.slide_type(c) != "skip"]
    if not any(all(_letter(letter).search(c.source) for letter in letters) for c in before):
        yield None, f"no slide before the code names the outcomes {', '.join(f'**{x}**' for x in letters)}"


@rule(LECTURE, forms=CODED)
def set_up(page: Page) -> Iterator[Found]:
    """The first code cell is the set-up: it says where the data are in the line that works everywhere."""
    line = 'DATA <- "../../data"' if page.is_r else 'DATA = Path("../../data")'
    places = [i for i, c in page.code if line in c.source.split("\n")]
    if not places:
        yield None, f"no cell has the line {line}"
    elif places != [page.code[0][0]]:
        yield page.cells[places[-1]], f"{line} stands once, in the first code cell"


@rule(LECTURE)
def one_break(page: Page) -> Iterator[Found]:
    """One heading begins with Break."""
    found = [h for h in page.headings if h.starts("break")]
    if len(found) != 1:
        yield None, f"{one(len(found), 'heading')} starting 'Break' instead of 1"


@rule(LECTURE, forms=CODED)
def sections(page: Page) -> Iterator[Found]:
    """The body has four to six sections in two parts: the numbered ones, or where none is numbered, all."""
    pause, practice = page.heading("break"), page.heading("in practice")
    if pause is None or practice is None or not page.code:
        return
    other = ("break", "your turn", "common mistake", "predict", "set-?up")
    span = range(page.code[0][0], practice.index)
    body = [h for h in page.headings if h.level == 2 and h.index in span and not h.starts(*other)]
    body = [h for h in body if re.match(r"\d+ *[·.:]", h.text)] or body
    before = sum(h.index < pause.index for h in body)
    if not 4 <= len(body) <= 6 or before in (0, len(body)):
        yield None, f"{before} + {len(body) - before} sections before and after the break: four to six in all"


@rule(LECTURE)
def order(page: Page) -> Iterator[Found]:
    """Break, In practice, Recap and References follow one another, and nothing follows the references."""
    names = ("break", "in practice", "recap", "references")
    found = [h for name in names if (h := page.heading(name))]
    for above, below in pairwise(found):
        if below.index <= above.index:
            yield page.cells[below.index], f"'{below.text}' stands before '{above.text}'"
    last = page.heading("references")
    if last and page.headings[-1] is not last:
        yield page.cells[page.headings[-1].index], f"'{page.headings[-1].text}' stands after the references"


@rule(LECTURE)
def common_mistake(page: Page) -> Iterator[Found]:
    """A Common mistake is shown by code (paper and git sessions: in words), and explained."""
    heading = page.heading("common mistake")
    if heading is None:
        yield None, "no heading 'Common mistake'"
        return
    section = page.section(heading)
    shown = [i for i, c in section if c.cell_type == "code"]
    if page.form in CODED and not shown:
        yield page.cells[heading.index], "the mistake is not shown by code"
    elif shown and not any(i in range(shown[0], section[-1][0] + 1) for i, _ in page.text):
        yield page.cells[heading.index], "the mistake is not explained after it is shown"


@rule(LECTURE)
def only_mistakes_may_raise(page: Page) -> Iterator[Found]:
    """The tag raises-exception stands in a Common mistake alone."""
    allowed = {i for h in page.headings if h.starts("common mistake") for i, _ in page.section(h)}
    for index, cell in page.code:
        if "raises-exception" in notebook.tags(cell) and index not in allowed:
            yield cell, "tagged raises-exception outside the Common mistake"


@rule(LECTURE)
def in_practice(page: Page) -> Iterator[Found]:
    """In practice has its own heading."""
    if page.heading("in practice") is None:
        yield None, "no heading 'In practice'"


@rule(LECTURE)
def recap(page: Page) -> Iterator[Found]:
    """The recap answers each outcome by its letter."""
    heading = page.heading("recap")
    if heading is None:
        yield None, "no heading 'Recap'"
        return
    text = "\n".join(c.source for _, c in page.section(heading) if c.cell_type == "markdown")
    if missing := [identity for identity in page.outcomes if not _letter(identity[-1]).search(text)]:
        yield page.cells[heading.index], f"the recap does not answer {', '.join(missing)}"


@rule(LECTURE)
def references(page: Page) -> Iterator[Found]:
    """There are three to five, as a list."""
    heading = page.heading("references")
    if heading is None:
        yield None, "no heading 'References'"
        return
    cell = page.cells[heading.index]
    text = re.split(r"^#+ .*references.*$", cell.source, flags=re.IGNORECASE | re.MULTILINE)[1]
    entries = re.findall(r"^(?:[-*]|\d+\.) \S", text, re.MULTILINE)
    if not 3 <= len(entries) <= 5:
        yield cell, f"{one(len(entries), 'reference')}: three to five"


@rule(LECTURE, SOLUTION)
def dois(page: Page) -> Iterator[Found]:
    """A DOI has the form of one, and its link leads where its text says."""
    for _, cell in page.text:
        for said, link in DOI_LINK.findall(cell.source):
            if not DOI.fullmatch(link):
                yield cell, f"{link!r} is no DOI"
            elif said and said != link:
                yield cell, f"the DOI {said} leads to {link}"


# ---------------------------------------------------------------- Your turn


def _turns(page: Page) -> Iterator[tuple[Heading, list[int]]]:
    """Each Your turn: its heading, and the indices of its cells up to the next heading of any level."""
    for heading in page.headings:
        if heading.starts("your turn"):
            later = [h.index for h in page.headings if h.index > heading.index]
            yield heading, list(range(heading.index, min(later, default=len(page.cells))))


@rule(LECTURE)
def your_turns(page: Page) -> Iterator[Found]:
    """There are at least four, at most two of them on paper (in a session with code)."""
    found = [h for h, _ in _turns(page)]
    if len(found) < 4:
        yield None, f"{len(found)} Your turn: at least four"
    paper = [h for h in found if ON_PAPER.search(h.text)]
    if page.form in CODED and len(paper) > 2:
        yield page.cells[paper[2].index], f"{len(paper)} Your turn on paper: at most two"


@rule(LECTURE)
def your_turn_hint(page: Page) -> Iterator[Found]:
    """Each has a folded hint."""
    for heading, cells in _turns(page):
        text = "".join(page.cells[i].source for i in cells if page.cells[i].cell_type == "markdown")
        if "<details>" not in text:
            yield page.cells[heading.index], f"'{heading.text}' has no folded hint"


@rule(LECTURE, forms=CODED)
def your_turn_proof(page: Page) -> Iterator[Found]:
    """Each that is not on paper has a stub whose metadata.psma.answer proves the result by asserts."""
    for heading, cells in _turns(page):
        if ON_PAPER.search(heading.text):
            continue
        stub = next((page.cells[i] for i in cells if page.cells[i].cell_type == "code"), None)
        if stub is None:
            yield page.cells[heading.index], f"'{heading.text}' has no cell to type into; or say: on paper"
            continue
        answer = notebook.psma(stub).get("answer")
        if not isinstance(answer, str) or not re.search(r"\bassert\b|\bstopifnot\(", answer):
            yield stub, f"the stub of '{heading.text}' has no metadata.psma.answer with an assert"


# ---------------------------------------------------------------- slides


@rule(LECTURE)
def slide_types(page: Page) -> Iterator[Found]:
    """Every cell says where it stands in the slides."""
    for cell in page.cells:
        if notebook.slide_type(cell) not in notebook.SLIDE_TYPES:
            yield cell, f"slide_type is {notebook.slide_type(cell)!r}"


@rule(LECTURE, forms=CODED)
def predictions(page: Page) -> Iterator[Found]:
    """Each stands on its own slide before the code that answers it, and there are at least three."""
    asked = [(i, c) for i, c in page.text if PREDICT.search(c.source)]
    if len(asked) < 3:
        yield None, f"{one(len(asked), 'prediction')} ('Predict before you run'): at least three"
    for index, cell in asked:
        slide = next((s for s in page.slides if index in s), None)
        if slide is None:
            yield cell, "a prediction stands on a slide, not in the text for reading"
        elif any(page.cells[i].cell_type == "code" for i in slide):
            yield cell, "the prediction shares its slide with code: give it its own, before the code"
        elif not any(i in range(index + 1, index + 6) for i, _ in page.code):
            yield cell, "no code answers the prediction within the next five cells"


@rule(LECTURE)
def lean_slides(page: Page) -> Iterator[Found]:
    """A slide has at most 70 words, 100 in a list; its heading and what is folded do not count."""
    for slide in page.slides:
        together = [page.cells[i] for i in slide]
        text = "\n\n".join(prose(c.source) for c in together if c.cell_type == "markdown")
        shown = re.sub(r"(?s:<details>.*?</details>)|^#+ .*$", "", text, flags=re.MULTILINE)
        most = 100 if re.search(r"^\s*(?:[-*]|\d+\.) ", shown, re.MULTILINE) else 70
        if words(shown) > most:
            yield page.cells[slide[0]], f"{words(shown)} words on one slide: at most {most}"


@rule(LECTURE)
def reading_cells(page: Page) -> Iterator[Found]:
    """In text for reading alone a paragraph, or an item of a list, has at most 120 words."""
    for _, cell in page.text:
        if notebook.slide_type(cell) == "skip":
            parts = re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", prose(cell.source))
            longest = max(words(part) for part in parts)
            if longest > 120:
                yield cell, f"a paragraph of {longest} words: at most 120"


@rule(LECTURE)
def code_length(page: Page) -> Iterator[Found]:
    """A cell has at most 12 lines of code, 40 in one that the slides leave out."""
    for _, cell in page.code:
        most = 40 if notebook.slide_type(cell) == "skip" else 12
        if len(code_lines(cell.source)) > most:
            yield cell, f"{len(code_lines(cell.source))} lines of code: at most {most}"


@rule(LECTURE, forms=("code",))
def quotations(page: Page) -> Iterator[Found]:
    """A class that the slides leave out is quoted on one, at most 12 lines, word for word."""
    quoted = [block for _, c in page.text if notebook.slide_type(c) != "skip" for block in _blocks(c.source)]
    for _, cell in page.code:
        shown = notebook.slide_type(cell) != "skip"
        if (
            shown
            or len(code_lines(cell.source)) <= 12
            or not re.search(r"^class ", cell.source, re.MULTILINE)
        ):
            continue
        if not any(_quotes(block, cell.source) for block in quoted):
            yield cell, "no slide quotes this class: a ```python block of at most 12 of its lines"


def _blocks(markdown: str) -> Iterator[list[str]]:
    """The lines of each fenced block of Python."""
    for match in FENCED.finditer(markdown):
        first, *lines = match[0].split("\n")[:-1]
        if first.strip(" `~") in ("python", "py"):
            yield textwrap.dedent("\n".join(lines)).split("\n")


def _quotes(block: list[str], source: str) -> bool:
    """Whether the block's lines stand in the source in this order; "..." stands for what was left out."""
    rest = iter([line.strip() for line in source.split("\n")])
    wanted = [line.strip() for line in block if line.strip() not in ("", "...", "# ...")]
    return 0 < len(wanted) <= 12 and all(line in rest for line in wanted)


@rule(LECTURE)
def hidden_input(page: Page) -> Iterator[Found]:
    """Only a plot may hide its code from the slide."""
    drawing = [c for _, c in page.drawing]
    for _, cell in page.code:
        if "hide-input" in notebook.tags(cell) and cell not in drawing:
            yield cell, "tagged hide-input, but draws nothing"


@rule(LECTURE)
def alt_text(page: Page) -> Iterator[Found]:
    """Every plot has words for those who cannot see it."""
    for _, cell in page.drawing:
        alt = notebook.psma(cell).get("alt")
        if not isinstance(alt, str) or len(alt.split()) < 3:
            yield cell, "draws, but has no metadata.psma.alt"


@rule(LECTURE)
def spoken_summaries(page: Page) -> Iterator[Found]:
    """Under every plot, what it shows is said."""
    for index, cell in page.drawing:
        below = [c for c in page.cells[index + 1 :] if notebook.slide_type(c) != "notes"][:2]
        if not any("spoken summary" in c.source.lower() for c in below if c.cell_type == "markdown"):
            yield cell, "no '**Spoken summary.**' under the plot"


@rule(LECTURE, forms=CODED)
def speaker_notes(page: Page) -> Iterator[Found]:
    """At least eight cells tell the trainer what to say."""
    count = sum(notebook.slide_type(c) == "notes" for c in page.cells)
    if count < 8:
        yield None, f"{one(count, 'speaker note')}: at least eight"


@rule(LECTURE, forms=CODED)
def plots(page: Page) -> Iterator[Found]:
    """At least three pictures."""
    if len(page.drawing) < 3:
        yield None, f"{one(len(page.drawing), 'plot')}: at least three"


@rule(LECTURE)
def terms(page: Page) -> Iterator[Found]:
    """Terms are marked <dfn> where they first appear, and each once."""
    marked = [
        (c, term.strip().lower()) for _, c in page.text for term in re.findall(r"<dfn>(.*?)</dfn>", c.source)
    ]
    if not marked:
        yield None, "no term is marked <dfn>"
    seen: set[str] = set()
    for cell, term in marked:
        if term in seen:
            yield cell, f"the term '{term}' is explained twice"
        seen.add(term)


# ---------------------------------------------------------------- length


@rule(LECTURE)
def live_minutes(page: Page) -> Iterator[Found]:
    """What is said and typed live fits into 85 minutes."""
    estimate = live(page)
    if estimate > LIVE:
        yield None, f"{estimate} live minutes by the rule: at most {LIVE}"


def live(page: Page) -> int:
    """Minutes: 100 words, 8 lines of code, 1 a prediction and a plot, 4 a Your turn, 12 for questions."""
    spoken = sum(words(c.source) for _, c in page.text if notebook.slide_type(c) != "skip")
    lines = sum(len(code_lines(c.source)) for _, c in page.code)
    asked = sum(len(PREDICT.findall(c.source)) for _, c in page.text)
    turns = sum(1 for _ in _turns(page))
    return round(spoken / 100 + lines / 8 + asked + 4 * turns + len(page.drawing) + 12)


@rule(LECTURE)
def size(page: Page) -> Iterator[Found]:
    """The ceilings of a lecture: 95 cells, 3,100 words of prose, 230 lines of code."""
    sizes = {
        "cells": (len(page.cells), 95),
        "words": (sum(words(c.source) for _, c in page.text), 3100),
        "lines of code": (sum(len(code_lines(c.source)) for _, c in page.code), 230),
    }
    for what, (count, most) in sizes.items():
        if count > most:
            yield None, f"{count} {what}: at most {most}"
