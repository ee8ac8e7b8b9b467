"""Reads whatever trainees sent: a notebook, a folder or a zip each. What cannot be read is flagged, never
marked 0.

Nothing is followed (symbolic links), nothing is unpacked to disk (zips), nothing is believed (names, sizes,
encodings).
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from psma.errors import PsmaError
from psma.marking.model import Flag, readable
from psma.marking.source import Cell, Paper, cells_of

LARGEST_NOTEBOOK = 20 * 2**20
LARGEST_SUBMISSION = 60 * 2**20
MOST_FILES = 500
_IGNORED = {".DS_Store", "Thumbs.db", "__MACOSX", ".ipynb_checkpoints", "desktop.ini", ".git", "__pycache__"}


@dataclass(frozen=True)
class Sent:
    """One candidate and the entries of the submissions folder that bear the name."""

    candidate: str
    entries: tuple[Path, ...]


@dataclass(frozen=True)
class Submission:
    """What one candidate sent: the notebook's cells (None: there is nothing to mark), other files, flags."""

    candidate: str
    sent_as: str
    digest: str
    cells: tuple[Cell, ...] | None
    flags: tuple[Flag, ...] = ()
    files: dict[str, bytes] = field(default_factory=dict, repr=False)


@dataclass
class _Found:
    """What stands in one entry: notebooks and other files by their path inside it."""

    notebooks: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    flags: list[Flag] = field(default_factory=list)
    room: int = LARGEST_SUBMISSION


class _Refused(Exception):
    """The entry cannot be taken; the flag says why."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.flag = Flag(code, words, needs_person=True)


def find(folder: Path, paper: Paper) -> list[Sent]:
    """The candidates in a folder of submissions, in order of their names. Raises PsmaError: no such folder,
    empty.
    """
    if not folder.is_dir():
        raise PsmaError(f"{folder}: no such folder; give the folder that holds what trainees sent.")
    by_name: dict[str, list[Path]] = {}
    for entry in sorted(folder.iterdir()):
        if not _is_clutter(entry):
            by_name.setdefault(candidate_of(entry, paper), []).append(entry)
    if not by_name:
        raise PsmaError(f"{folder}: nothing in it; put each trainee's notebook, folder or zip there.")
    return [Sent(name, tuple(entries)) for name, entries in sorted(by_name.items())]


def _is_clutter(entry: Path) -> bool:
    """Whether an entry is what systems leave lying about, and nobody sent."""
    if entry.name in _IGNORED or entry.name.startswith(("._", ".~")):
        return True
    return entry.name.startswith(".") and entry.suffix.lower() not in (".ipynb", ".zip")


def candidate_of(entry: Path, paper: Paper) -> str:
    """The candidate's name: that of the folder or file, without the paper's own name in it."""
    is_folder = entry.is_dir() and not entry.is_symlink()
    name = entry.name if is_folder else entry.stem
    stem = paper.path.stem
    for joined in (f"{stem}_", f"{stem}-", f"_{stem}", f"-{stem}"):
        if name.startswith(joined):
            name = name[len(joined) :]
        elif name.endswith(joined):
            name = name[: -len(joined)]
    printable = "".join(
        letter if letter.isprintable() and letter not in '/\\:*?"<>|' else "_" for letter in name
    )
    return printable.strip(" .")[:80] or "unnamed"


def load(sent: Sent, paper: Paper) -> Submission:
    """Read what a candidate sent. Never raises: what is wrong stands in the flags."""
    submission = _load(sent, paper)
    flags = tuple(replace(flag, words=readable(flag.words)) for flag in submission.flags)
    return replace(submission, sent_as=readable(submission.sent_as), flags=flags)


def _load(sent: Sent, paper: Paper) -> Submission:
    read = [_load_entry(sent.candidate, entry, paper) for entry in sent.entries]
    if len(read) == 1:
        return read[0]
    names = ", ".join(entry.name for entry in sent.entries)
    if len({submission.digest for submission in read}) == 1 and read[0].cells is not None:
        flag = Flag("sent twice", f"Sent more than once, all the same: {names}.")
        return replace(read[0], flags=(*read[0].flags, flag))
    flag = Flag(
        "two submissions", f"Sent more than once, not the same: {names}. Keep one.", needs_person=True
    )
    digest = hashlib.sha256("".join(submission.digest for submission in read).encode()).hexdigest()
    return Submission(sent.candidate, names, digest, None, (flag, *(f for each in read for f in each.flags)))


def _load_entry(candidate: str, entry: Path, paper: Paper) -> Submission:
    found = _Found()
    try:
        _collect(entry, found)
        name, raw, cells, metadata = _choose(found, paper)
    except _Refused as refused:
        digest = hashlib.sha256(
            b"".join([refused.flag.words.encode(), *found.notebooks.values()])
        ).hexdigest()
        return Submission(candidate, entry.name, digest, None, (*found.flags, refused.flag))
    except Exception as error:  # whatever a library says of hostile input, it cannot be read
        words = f"{entry.name}: cannot be read ({type(error).__name__}: {str(error)[:100]})."
        flag = Flag("unreadable", words, needs_person=True)
        return Submission(candidate, entry.name, hashlib.sha256(words.encode()).hexdigest(), None, (flag,))
    claimed = _claimed(metadata)
    if claimed and claimed != candidate:
        words = f"The notebook says it is the paper of {claimed!r}, but it was sent as {candidate!r}."
        found.flags.append(Flag("another candidate", words, needs_person=True))
    sha = hashlib.sha256(raw)
    files = _beside(name, found.files)
    for path in sorted(files):
        sha.update(path.encode("utf-8", "replace") + b"\0" + files[path])
    return Submission(candidate, entry.name, sha.hexdigest(), tuple(cells), tuple(found.flags), files)


def _claimed(metadata: Any) -> str:
    """The candidate whose paper this is, where the paper was released with a name in it."""
    psma = metadata.get("psma") if isinstance(metadata, dict) else None
    claimed = psma.get("candidate") if isinstance(psma, dict) else None
    return str(claimed)[:80] if isinstance(claimed, str | int) else ""


def _beside(notebook: str, files: dict[str, bytes]) -> dict[str, bytes]:
    """The other files, by their path from the notebook; those above it are left out."""
    home = PurePosixPath(notebook).parent
    paths = {path: PurePosixPath(path) for path in files}
    return {
        path.relative_to(home).as_posix(): files[name]
        for name, path in paths.items()
        if path.is_relative_to(home)
    }


# --------------------------------------------------------------------------------------------- collecting


def _collect(entry: Path, found: _Found) -> None:
    mode = entry.lstat().st_mode
    if stat.S_ISLNK(mode):
        raise _Refused("symbolic link", f"{entry.name}: is a symbolic link, which is not followed.")
    if stat.S_ISDIR(mode):
        _collect_folder(entry, found)
    elif not stat.S_ISREG(mode):
        raise _Refused("not a file", f"{entry.name}: is neither a file nor a folder.")
    elif entry.suffix.lower() == ".zip":
        _collect_zip(entry, found)
    else:
        _add(found, entry.name, entry.stat().st_size, lambda: _read_regular(entry))


def _read_regular(path: Path) -> bytes:
    """The bytes of a file, not through a link that was put there meanwhile, and no more than the cap."""
    flags = (
        os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    with os.fdopen(os.open(path, flags), "rb") as file:
        return file.read(LARGEST_NOTEBOOK + 1)


def _collect_folder(entry: Path, found: _Found) -> None:
    for folder, names, files in os.walk(entry, followlinks=False):
        links = [name for name in names if Path(folder, name).is_symlink()]
        names[:] = sorted(name for name in names if name not in _IGNORED and name not in links)
        for name in sorted([*files, *links]):
            path = Path(folder, name)
            inside = path.relative_to(entry).as_posix()
            mode = path.lstat().st_mode
            if name in _IGNORED:
                continue
            if stat.S_ISREG(mode):
                _add(found, inside, path.stat().st_size, lambda path=path: _read_regular(path))
            else:
                kind = "symbolic link" if stat.S_ISLNK(mode) else "not a file"
                found.flags.append(Flag(kind, f"{inside}: a {kind}, left out.", needs_person=True))


def _collect_zip(entry: Path, found: _Found) -> None:
    if entry.stat().st_size > LARGEST_SUBMISSION:
        raise _Refused("too large", f"{entry.name}: larger than {LARGEST_SUBMISSION // 2**20} MB.")
    try:
        with zipfile.ZipFile(io.BytesIO(entry.read_bytes())) as archive:
            for info in archive.infolist()[: 4 * MOST_FILES]:
                _collect_member(archive, info, found)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise _Refused("broken zip", f"{entry.name}: not a zip that can be read ({error}).") from None


def _collect_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, found: _Found) -> None:
    path = PurePosixPath(info.filename.replace("\\", "/"))
    if info.is_dir() or _IGNORED & set(path.parts):
        return
    if not path.parts or path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
        found.flags.append(
            Flag("path outside", f"The zip holds {info.filename!r}, which leads outside.", True)
        )
    elif stat.S_ISLNK(info.external_attr >> 16):
        found.flags.append(Flag("symbolic link", f"{path}: a symbolic link, left out.", needs_person=True))
    elif info.flag_bits & 1:
        raise _Refused("encrypted zip", "The zip is encrypted.")
    else:
        _add(found, path.as_posix(), info.file_size, lambda: _unzip(archive, info))


def _unzip(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """A member's bytes, never more than the cap, whatever its header says of its size."""
    try:
        with archive.open(info) as member:
            return member.read(LARGEST_NOTEBOOK + 1)
    except Exception as error:  # zipfile raises many kinds on hostile members
        raise zipfile.BadZipFile(f"{info.filename!r}: {error}") from None


def _add(found: _Found, name: str, size: int, read: Any) -> None:
    if len(found.notebooks) + len(found.files) >= MOST_FILES:
        raise _Refused("too many files", f"More than {MOST_FILES} files.")
    if size > LARGEST_NOTEBOOK or size > found.room:
        found.flags.append(
            Flag("too large", f"{name}: {size // 2**20} MB, too large, left out.", needs_person=True)
        )
        return
    data = read()
    if len(data) > LARGEST_NOTEBOOK or len(data) > found.room:
        found.flags.append(Flag("too large", f"{name}: too large, left out.", needs_person=True))
        return
    found.room -= len(data)
    box = found.notebooks if name.lower().endswith(".ipynb") else found.files
    while box.get(name, data) != data:  # a zip can hold a name twice: neither is the one that was meant
        name = f"{name} (again)"
    box[name] = data


# --------------------------------------------------------------------------------------------- choosing


def _choose(found: _Found, paper: Paper) -> tuple[str, bytes, list[Cell], Any]:
    """The one notebook that is this paper's. Raises _Refused."""
    if not found.notebooks:
        if any(flag.code in ("too large", "symbolic link", "path outside") for flag in found.flags):
            raise _Refused("no notebook", "There is no notebook that could be taken.")
        raise _Refused("no notebook", f"There is no notebook (.ipynb) in it, only {_listed(found.files)}.")
    readable, troubles = _readable(found, paper)
    ours = {name: each for name, each in readable.items() if each[1]}
    if not readable:
        raise _Refused(*troubles[0])
    if not ours:
        raise _Refused(
            "another notebook", f"No cell of the paper is in {_listed(readable)}: another notebook?"
        )
    if len({each[2] for each in ours.values()}) > 1:
        raise _Refused("two notebooks", f"Two different notebooks of the paper: {_listed(ours)}. Keep one.")
    if len(found.notebooks) > 1:
        found.flags.append(
            Flag("other notebooks", f"Several notebooks were sent: {_listed(found.notebooks)}.")
        )
    name = next(iter(ours))
    cells, _, raw, metadata, words = ours[name]
    if words:
        found.flags.append(Flag("encoding", words))
    return name, raw, cells, metadata


def _listed(names: Any) -> str:
    shown = sorted(names)
    return (", ".join(shown[:5]) + (" …" if len(shown) > 5 else ""))[:300] or "nothing"


def _readable(found: _Found, paper: Paper) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    readable: dict[str, Any] = {}
    troubles: list[tuple[str, str]] = []
    for name, raw in found.notebooks.items():
        try:
            text, words = _decoded(raw)
            notebook = json.loads(text)
            cells = cells_of(notebook)
        except json.JSONDecodeError as error:
            code = "empty file" if not raw.strip() else "broken JSON"
            what = "is empty" if not raw.strip() else f"is not a whole notebook (line {error.lineno})"
            troubles.append((code, f"{name}: {what}."))
        except (ValueError, RecursionError) as error:
            troubles.append(("broken notebook", f"{name}: {str(error)[:100]}."))
        else:
            known = sum(1 for cell in cells if cell.id in paper.by_id)
            if not cells:
                troubles.append(("empty notebook", f"{name}: has no cells."))
            else:
                readable[name] = (cells, known, raw, notebook.get("metadata"), words)
    return readable, troubles


def _decoded(raw: bytes) -> tuple[str, str]:
    """The text of a file and, where it is not UTF-8, a remark in words."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16"), "The file was saved as UTF-16; it was read as that."
    try:
        return raw.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace"), "The file is not UTF-8; it was read as Windows-1252."
