"""Looks through a release for anything that trainees must not see: solutions, hidden tests, mark scheme,
answers.

What is secret is worked out here from the source alone, by other code than that which builds the release, so
that one mistake can't hide itself. A line of fewer than ``SHORTEST`` characters (``else:``) gives nothing
away and isn't searched for.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHORTEST = 8
SHORTEST_SENTENCE = 25
_DIGITS = 6
"""Significant digits from which on a number is an answer's, not a coincidence."""
_MOST_VALUES = 20_000
_MARK = re.compile(r"(BEGIN|END) (SOLUTION|HIDDEN TESTS)")
_SENTENCE = re.compile(r"(?<=[.;:?!])\s+|\s*\|\s*|\n\s*\n")


@dataclass(frozen=True)
class Secret:
    """A text that must not be in a release, and what it is: "solution", "hidden test", …"""

    kind: str
    text: str


@dataclass(frozen=True)
class Leak:
    """A secret that was found."""

    file: str
    secret: Secret


def squeezed(text: str) -> str:
    """Text with every run of white space as one blank, so that re-indenting or wrapping hides nothing."""
    return " ".join(text.split())


# ------------------------------------------------------------------------------------------- what is secret


def secrets_of(
    notebook: dict[str, Any], beside: dict[str, str], may_show: Iterable[str] = ()
) -> list[Secret]:
    """Every secret text of a paper's source.

    ``beside`` maps the kind ("mark scheme", "draw") to the text of a file beside it; ``may_show`` are lines
    that are let pass.
    """
    found: dict[str, str] = {}
    for cell in notebook["cells"]:
        for kind, text in _of_cell(cell):
            found.setdefault(text, kind)
    for kind, text in beside.items():
        for piece in _sentences(text) if kind == "mark scheme" else _lines(text):
            found.setdefault(piece, kind)
    for text in may_show:
        found.pop(squeezed(text), None)
    return [Secret(kind, text) for text, kind in found.items()]


def _of_cell(cell: dict[str, Any]) -> Iterator[tuple[str, str]]:
    grader = cell.get("metadata", {}).get("nbgrader") or {}
    source = "".join(cell["source"])
    whole = bool(grader.get("solution")) and "BEGIN SOLUTION" not in source
    if whole and cell["cell_type"] == "markdown":
        yield from (("model answer", piece) for piece in _sentences(source))
        return
    inside = "solution" if whole else ""
    for line in source.split("\n"):
        mark = _MARK.search(line)
        if mark:
            kind = "solution" if mark[2] == "SOLUTION" else "hidden test"
            inside = kind if mark[1] == "BEGIN" else ""
        elif inside and len(squeezed(line)) >= SHORTEST:
            yield inside, squeezed(line)


def _lines(text: str) -> Iterator[str]:
    """The lines of a program that say something of their own: not short ones, not imports."""
    lines = (squeezed(line) for line in text.split("\n"))
    return (line for line in lines if len(line) >= 2 * SHORTEST and not line.startswith(("import ", "from ")))


def _sentences(text: str) -> Iterator[str]:
    pieces = (squeezed(piece).strip("-*# ") for piece in _SENTENCE.split(text))
    return (piece for piece in pieces if len(piece) >= SHORTEST_SENTENCE)


def value_secrets(values: dict[str, Any]) -> list[Secret]:
    """The reference answer's numbers as they could be printed: those with six significant digits or more.

    Whole numbers and shorter ones are left out: they stand in any data by chance.
    """
    found: dict[str, Secret] = {}
    for name, value in values.items():
        for number in _numbers(value, 0):
            text = _printed(number)
            if text and len(found) < _MOST_VALUES:
                found.setdefault(text, Secret(f"value of {name}", text))
    return list(found.values())


def _numbers(value: Any, depth: int) -> Iterator[float]:
    """The floats in a value: plain, in a container, an array or a table."""
    if isinstance(value, float):
        yield float(value)
    elif hasattr(value, "to_dict") and hasattr(value, "index"):
        yield from _numbers(list(value.to_dict().values()), depth)
    elif hasattr(value, "tolist"):
        yield from _numbers(value.tolist(), depth)
    elif isinstance(value, dict) and depth < 5:
        yield from _numbers(list(value.values()), depth + 1)
    elif isinstance(value, list | tuple | set | frozenset) and depth < 5:
        for each in value:
            yield from _numbers(each, depth + 1)


def _printed(number: float) -> str:
    """The number's first significant digits as Python prints them, "" where it has too few."""
    if not math.isfinite(number):
        return ""
    text = repr(abs(number))
    mantissa = text.split("e")[0]
    digits = mantissa.replace(".", "").lstrip("0")
    if len(digits) < _DIGITS or not mantissa.replace(".", "").isdecimal():
        return ""
    wanted, kept = _DIGITS, ""
    for letter in mantissa:
        kept += letter
        started = kept.replace(".", "").lstrip("0")
        if len(started) == wanted:
            break
    return kept if "." in kept else ""


# ------------------------------------------------------------------------------------------------- searching


def leaks_in(files: dict[str, bytes], secrets: list[Secret]) -> list[Leak]:
    """Every secret that stands in any of ``files`` (name to bytes), one leak a file and secret."""
    found: list[Leak] = []
    for name, data in files.items():
        texts = [squeezed(text) for text in _texts(name, data)]
        for secret in secrets:
            if any(secret.text in text for text in texts):
                found.append(Leak(name, secret))
    return found


def _texts(name: str, data: bytes) -> Iterator[str]:
    """What can be read in a file: its bytes as text, the strings of JSON, the members of a zip."""
    text = data.decode("utf-8", "replace")
    yield text
    yield name
    if b"\0" in data:
        yield data.decode("utf-16-le", "replace")
        yield data[1:].decode("utf-16-le", "replace")
    with suppress(ValueError, RecursionError):
        yield "\n".join(_strings(json.loads(text)))
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.namelist():
                yield from _texts(member, archive.read(member))


def _strings(value: Any) -> Iterator[str]:
    """Every string in decoded JSON; a list of strings, such as a cell's source, as one text."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        if value and all(isinstance(each, str) for each in value):
            yield "".join(value)
        for each in value:
            yield from _strings(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from _strings(each)


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file under ``folder``, by its path from there."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
