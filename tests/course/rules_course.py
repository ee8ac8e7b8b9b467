"""Rules for all notebooks together."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from rulebook import EXERCISE, KINDS, SOLUTION, Page, Violation, prose

from psma import notebook
from psma.checks import expressions_in, key
from psma.errors import PsmaError

MOST_REPEATED = 0.08  # of a notebook's sentences
LONG = 9  # words that make a sentence worth comparing


def unique_checks(pages: Iterable[Page]) -> Iterator[tuple[PurePosixPath, Violation]]:
    """A check knows its task by its expressions, so no two checks of the course have the same."""
    known: dict[str, str] = {}
    for page in pages:
        for _, cell in page.code if page.kind == SOLUTION and not page.is_r else ():
            if "check" not in notebook.tags(cell):
                continue
            try:
                mine = key(expressions_in(cell.source))
            except PsmaError:
                continue  # the notebook's own rule reports it
            first = known.setdefault(mine, f"{page.session} `{cell.get('id')}`")
            if first != f"{page.session} `{cell.get('id')}`":
                yield (
                    page.path,
                    Violation("unique-checks", cell.get("id", ""), f"asks just what {first} asks"),
                )


def own_sentences(pages: Iterable[Page]) -> Iterator[tuple[PurePosixPath, Violation]]:
    """Hardly any sentence of nine words or more stands in another notebook too."""
    pages = [page for page in pages if page.kind != EXERCISE]
    places: dict[str, set[PurePosixPath]] = defaultdict(set)
    for page in pages:
        for sentence in sentences(page):
            places[sentence].add(page.path)
    for page in pages:
        mine = sentences(page)
        again = [sentence for sentence in mine if len(places[sentence]) > 1]
        if mine and len(again) / len(mine) > MOST_REPEATED:
            text = f"{len(again)} of {len(mine)} sentences stand in other notebooks too: {again[0][:70]}…"
            yield page.path, Violation("own-sentences", "", text)


def sentences(page: Page) -> list[str]:
    """The long sentences of a notebook's prose."""
    text = "\n\n".join(re.sub(r"^#+ .*$", "\n", prose(c.source), flags=re.MULTILINE) for _, c in page.text)
    parts = (" ".join(part.split()) for part in re.split(r"(?<=[.!?])\s+|\n\s*\n", text))
    return [part for part in parts if len(part.split()) >= LONG]


def three_of_each(pages: Iterable[Page]) -> Iterator[tuple[PurePosixPath, Violation]]:
    """Every session is a lecture, an exercise and a solution of one name."""
    there: dict[PurePosixPath, set[str]] = defaultdict(set)
    for page in pages:
        there[PurePosixPath(*page.path.parts[1:])].add(page.kind)
    for name, kinds in sorted(there.items()):
        for kind in KINDS:
            if kind not in kinds:
                yield kind / name, Violation("three-of-each", "", "is missing")


COURSE_RULES = (unique_checks, own_sentences, three_of_each)
