"""Read, write and tidy a notebook, and read what stands in its cells.

A tidy notebook is the same bytes whoever saved it last: no outputs, no traces of an editor, ids that mean
something, metadata in order. What does not take a path is pure.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shlex
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psma.errors import PsmaError

if TYPE_CHECKING:
    from nbformat import NotebookNode

SLIDE_TYPES = frozenset({"slide", "subslide", "fragment", "skip", "notes", "-"})
KERNELS = {
    "python": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "R": {"display_name": "R", "language": "R", "name": "ir"},
}
CELL_KEYS = frozenset({"slideshow", "tags", "psma", "nbgrader", "editable", "deletable"})
CELL_TYPES = ("markdown", "code", "raw")

_WORDS = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MACHINE_MADE = re.compile(r"[0-9a-f]{8}|[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DERIVED = re.compile(r"(md|code|raw)-[0-9a-f]{8}(-\d+)?")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$")


# ---------------------------------------------------------------- what stands in a notebook


def tags(cell: NotebookNode) -> set[str]:
    """The cell's tags."""
    found = cell.get("metadata", {}).get("tags", [])
    return {str(tag) for tag in found} if isinstance(found, list) else set()


def slide_type(cell: NotebookNode) -> str | None:
    """The cell's place in the slides: one of SLIDE_TYPES, or None where nothing is said."""
    return _part(cell, "slideshow").get("slide_type") or None


def psma(node: Mapping[str, Any]) -> dict[str, Any]:
    """The course's own metadata of a cell or of a notebook: what stands under ``metadata.psma``."""
    return _part(node, "psma")


def is_r(nb: NotebookNode) -> bool:
    """Whether the notebook is written in R."""
    return _language(nb) == "R"


def headings(markdown: str) -> Iterator[tuple[int, str]]:
    """Level and text of each heading of a Markdown source, those inside code fences left out."""
    fence = ""
    for line in markdown.splitlines():
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not line.strip(" `~"):
                fence = ""
        elif mark:
            fence = mark[1]
        elif heading := _HEADING.match(line):
            yield len(heading[1]), heading[2].strip()


def title(nb: Mapping[str, Any]) -> str:
    """Text of the notebook's H1. PsmaError when there is none."""
    for cell in nb["cells"]:
        if cell["cell_type"] == "markdown":
            for level, text in headings(cell["source"]):
                if level == 1 and text:
                    return text
    raise PsmaError("the notebook has no title: begin its first cell with '# ' and the title")


def digest(nb: NotebookNode) -> str:
    """Fingerprint of what a trainee sees: type and text of every cell that is not empty, in order.

    Outputs, ids and metadata do not count, so that a notebook that was only run, or saved by another editor,
    keeps its digest. SHA-256 in hex.
    """
    seen = [[c.cell_type, _plain(c.source).strip()] for c in nb.cells if c.source.strip()]
    return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


def cell_name(nb: NotebookNode, index: int) -> str:
    """How a message names a cell: its number, counted from 1 over all cells, and its id if it has one."""
    identity = nb.cells[index].get("id")
    return f"cell {index + 1} (`{identity}`)" if identity else f"cell {index + 1}"


# ---------------------------------------------------------------- read and write


def read(path: Path | str, *, need_kernel: bool = True) -> NotebookNode:
    """The notebook in a file.

    PsmaError, naming the file and the remedy, when it cannot be read, is not JSON, is not a notebook of
    format 4, or (unless ``need_kernel`` is false) does not say which kernel runs it.
    """
    from nbformat.v4 import to_notebook

    book = _load(Path(path), need_kernel)
    try:
        return to_notebook(book)
    except (AttributeError, KeyError, TypeError):
        raise PsmaError(
            f"{path}: has malformed outputs: open it in JupyterLab, clear them and save"
        ) from None


def glance(path: Path | str) -> dict[str, Any]:
    """The notebook in a file as plain data, without waiting for nbformat: enough for ``title`` and ``psma``.

    PsmaError as in :func:`read`.
    """
    return _load(Path(path), need_kernel=True)


def _load(path: Path, need_kernel: bool) -> dict[str, Any]:
    """The file's JSON, sources joined to text, once it is sure that it is a notebook."""
    try:
        book = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise PsmaError(f"{path}: there is no such file") from None
    except OSError as error:
        raise PsmaError(f"{path}: cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise PsmaError(f"{path}: is not UTF-8 text, so not a notebook: fetch the file again") from None
    except json.JSONDecodeError as error:
        raise PsmaError(
            f"{path}: is broken JSON at line {error.lineno} ({error.msg}): restore it, "
            f"for example with git checkout -- {shlex.quote(str(path))}"
        ) from None
    except RecursionError:
        raise PsmaError(f"{path}: is nested too deeply to be a notebook") from None
    if fault := _fault(book):
        raise PsmaError(f"{path}: {fault}")
    if need_kernel and not _part(book, "kernelspec").get("name"):
        raise PsmaError(
            f"{path}: does not say which kernel runs it: run psma tidy, or choose one in JupyterLab and save"
        )
    for cell in book["cells"]:
        cell["source"] = "".join(cell["source"])
    return book


def to_bytes(nb: NotebookNode) -> bytes:
    """What stands in the notebook's file: sorted keys, indent 1, sources as lists, one newline at the end."""
    from nbformat.v4 import writes as write_v4

    try:
        return (write_v4(nb).rstrip("\n") + "\n").encode("utf-8")
    except UnicodeEncodeError:
        raise PsmaError("holds half a character (a lone surrogate), which no file can: retype it") from None


def write(nb: NotebookNode, path: Path | str) -> bool:
    """Write the notebook, whole or not at all (PsmaError), and say whether the file's bytes changed."""
    try:
        data = to_bytes(nb)
    except PsmaError as error:
        raise PsmaError(f"{path}: {error}") from None
    return replace_file(Path(path), data)


def replace_file(path: Path, data: bytes) -> bool:
    """Put ``data`` into the file in one step, by a temporary file beside it; False if it is there already.

    A file that is marked read-only is left alone. PsmaError when the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if path.exists():
            if path.read_bytes() == data:
                return False
            if not path.stat().st_mode & 0o222:
                raise PsmaError(f"{path}: is read-only: allow writing (chmod u+w) and try again")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        if path.exists():
            shutil.copymode(path, temporary)
        temporary.replace(path)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        folder = next((each for each in path.parents if each.exists()), path.parent)
        cure = "free some space" if full else f"allow writing in {folder}"
        raise PsmaError(
            f"{path}: cannot be written ({error.strerror or error}): {cure} and try again"
        ) from None
    finally:
        if temporary.exists():
            temporary.unlink()
    return True


def _fault(book: Any) -> str:
    """What keeps the JSON from being a notebook of format 4; empty if nothing does."""
    if not isinstance(book, dict) or "nbformat" not in book:
        return "is JSON, but not a notebook"
    if book["nbformat"] != 4:
        return f"has notebook format {book['nbformat']}, not 4: open it in JupyterLab and save it"
    if not isinstance(book.get("metadata"), dict) or not isinstance(book.get("cells"), list):
        return "has no list of cells or no metadata: fetch the file again"
    for number, cell in enumerate(book["cells"], 1):
        if not isinstance(cell, dict) or cell.get("cell_type") not in CELL_TYPES:
            return f"cell {number} is neither markdown nor code nor raw: remove it"
        if not _is_text(cell.get("source")) or not isinstance(cell.get("metadata"), dict):
            return f"cell {number} has no source or no metadata: remove it"
    return ""


def _is_text(source: Any) -> bool:
    lines = source if isinstance(source, list) else [source]
    return all(isinstance(line, str) for line in lines)


# ---------------------------------------------------------------- tidy


def tidy(nb: NotebookNode) -> NotebookNode:
    """The notebook as it is committed. Pure and idempotent.

    Outputs, execution counts, widget state and editors' traces go; line ends become LF and a cell's last line
    ends without one; metadata is sorted; the kernel is the course's. An id that an author gave stays (words
    in kebab case; one that jupytext left in the metadata is lifted), every other is derived from the cell's
    text and from then on kept. PsmaError when an author gave one id to two cells, or when the notebook is
    neither Python nor R.
    """
    from nbformat import from_dict

    language = _language(nb)
    meta = {"kernelspec": KERNELS[language], "language_info": {"name": language}}
    if psma(nb):
        meta["psma"] = _sorted(psma(nb))
    cells = [_tidy_cell(cell) for cell in nb.cells]
    for cell, identity in zip(cells, _ids(nb), strict=True):
        cell["id"] = identity
    return from_dict({"cells": cells, "metadata": meta, "nbformat": 4, "nbformat_minor": 5})


def what_changed(before: NotebookNode, after: NotebookNode) -> str:
    """What tidying did, in words: "3 cells had outputs; 2 ids derived"."""
    pairs = list(zip(before.cells, after.cells, strict=True))
    counts = {
        "had outputs": sum(bool(b.get("outputs")) for b, _ in pairs),
        "had been run": sum(bool(b.get("execution_count")) and not b.get("outputs") for b, _ in pairs),
        "had untidy metadata": sum(
            {k: b.metadata[k] for k in set(b.metadata) - {"id"}} != a.metadata for b, a in pairs
        ),
        "had other line ends": sum(b.source != a.source for b, a in pairs),
    }
    said = [f"{n} cell{'s' * (n > 1)} {what}" for what, n in counts.items() if n]
    lifted = sum(_given_id(b) == a.id != b.get("id") for b, a in pairs)
    derived = sum(_given_id(b) != a.id != b.get("id") for b, a in pairs)
    said += [f"{n} id{'s' * (n > 1)} {what}" for what, n in (("lifted", lifted), ("derived", derived)) if n]
    if _sorted(before.metadata) != after.metadata:
        said.append("notebook metadata put in order")
    return "; ".join(said) or "written in the course's form"


def _language(nb: NotebookNode) -> str:
    """Either "python" or "R", from the kernel, the language or the form that is named; Python if none is."""
    spec = _part(nb, "kernelspec")
    named = str(spec.get("language") or _part(nb, "language_info").get("name") or "")
    if spec.get("name") == "ir" or named.lower() == "r" or (not named and psma(nb).get("form") == "r"):
        return "R"
    if named.lower() in ("", "python", "ipython"):
        return "python"
    raise PsmaError(f"the notebook is written in {named}; the course has kernels for Python and R")


def _tidy_cell(cell: NotebookNode) -> dict[str, Any]:
    """The cell without its id, as plain data."""
    clean: dict[str, Any] = {
        "cell_type": cell.cell_type,
        "metadata": _cell_metadata(cell),
        "source": _plain(cell.source).rstrip("\n"),
    }
    if cell.cell_type == "code":
        clean |= {"execution_count": None, "outputs": []}
    elif cell.get("attachments"):
        clean["attachments"] = _sorted(cell["attachments"])
    return clean


def _cell_metadata(cell: NotebookNode) -> dict[str, Any]:
    """What an author says about a cell; what editors leave behind, and what holds by default, is dropped."""
    kept = {key: _sorted(cell.metadata[key]) for key in CELL_KEYS & set(cell.metadata)}
    kept["tags"] = sorted(tags(cell))
    kept["slideshow"] = {"slide_type": slide_type(cell)} if slide_type(cell) else {}
    return {key: value for key, value in sorted(kept.items()) if value not in ({}, [], None, True)}


def _ids(nb: NotebookNode) -> list[str]:
    """One id a cell: the author's where there is one, else a derived one that no other cell has."""
    given = [_given_id(cell) for cell in nb.cells]
    for identity, times in Counter(given).items():
        if times > 1 and identity and not _DERIVED.fullmatch(identity):
            first, second = [n for n, g in enumerate(given, 1) if g == identity][:2]
            raise PsmaError(f"cells {first} and {second} have the same id `{identity}`: rename one")
    taken = {identity for identity in given if identity}
    ids: list[str] = []
    for cell, wanted in zip(nb.cells, given, strict=True):
        identity = wanted if wanted and wanted not in ids else _derived_id(cell, taken)
        taken.add(identity)
        ids.append(identity)
    return ids


def _given_id(cell: NotebookNode) -> str:
    """The id that an author gave or an earlier tidying derived; empty if there is a machine's or none."""
    for identity in (str(cell.metadata.get("id")), str(cell.get("id"))):
        if len(identity) <= 64 and _WORDS.fullmatch(identity) and not _MACHINE_MADE.fullmatch(identity):
            return identity
    return ""


def _derived_id(cell: NotebookNode, taken: set[str]) -> str:
    """An id from the cell's text, such as ``md-1f0c9a2e``; with a number behind it if another cell has it."""
    kind = "md" if cell.cell_type == "markdown" else cell.cell_type
    text = _plain(cell.source).rstrip("\n")
    stem = f"{kind}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    identity, number = stem, 1
    while identity in taken:
        number += 1
        identity = f"{stem}-{number}"
    return identity


def _part(node: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A dictionary in the metadata of a cell or a notebook; empty if it is missing or something else."""
    found = node.get("metadata", {}).get(key)
    return found if isinstance(found, dict) else {}


def _plain(source: str) -> str:
    """The text with LF as its only line end."""
    return source.replace("\r\n", "\n").replace("\r", "\n")


def _sorted(value: Any) -> Any:
    """The same plain data with every dictionary in the order of its keys."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [_sorted(item) for item in value]
    return value
