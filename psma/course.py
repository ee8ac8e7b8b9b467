"""The course as it stands on disk: modules and sessions, found by a scan. There is no second list."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psma import notebook
from psma.errors import PsmaError

KINDS = ("modules", "exercises", "solutions")
UNREADABLE = "(unreadable)"

_NUMBERED = re.compile(r"(\d\d)_(\w+)")
_SESSION_ID = re.compile(r"(\d+)\.(\d+)")


@dataclass(frozen=True)
class Session:
    """One session of three hours: a lecture, an exercise and a solution of the same name."""

    id: str  # "3.2"
    module: int
    number: int  # within the module, from 1
    name: str  # "02_first_simulation"
    folder: str  # "03_queuing_des"
    title: str  # the lecture's H1
    lecture: Path
    exercise: Path
    solution: Path
    meta: dict[str, Any] = field(default_factory=dict, hash=False)  # metadata.psma of the lecture
    problem: str = ""  # why the lecture cannot be read, in one line; empty when it can

    @property
    def minutes(self) -> float:
        """Minutes of the whole session, all its parts together; 0 if the lecture does not say."""
        parts = self.meta.get("minutes")
        return sum(v for v in parts.values() if isinstance(v, (int, float))) if isinstance(parts, dict) else 0

    @property
    def outcomes(self) -> dict[str, str]:
        """Id and text of each learning outcome."""
        found = self.meta.get("outcomes")
        return dict(found) if isinstance(found, dict) else {}

    def file(self, kind: str) -> Path:
        """The session's file in modules, exercises or solutions."""
        return {"modules": self.lecture, "exercises": self.exercise, "solutions": self.solution}[kind]


@dataclass(frozen=True)
class Module:
    """A numbered folder of sessions."""

    number: int
    folder: str  # "03_queuing_des"
    title: str  # the H1 of its README, without the number
    sessions: tuple[Session, ...]


@dataclass(frozen=True)
class Course:
    """Everything that was found under ``root``, in order."""

    root: Path
    modules: tuple[Module, ...]

    @property
    def sessions(self) -> tuple[Session, ...]:
        """All sessions of all modules."""
        return tuple(session for module in self.modules for session in module.sessions)

    def session(self, id: str) -> Session:
        """The session called ``id``, such as "3.2". PsmaError that says what there is instead."""
        for session in self.sessions:
            if session.id == id:
                return session
        raise PsmaError(self._no_such(id))

    def select(self, names: Iterable[str], kinds: Sequence[str] = ("modules", "solutions")) -> list[Path]:
        """The notebooks that a person means, each once, in the order named.

        A name is a session ("3.2"), a module ("3"), "all", a notebook or a folder of notebooks. ``kinds``
        decides which of a session's files come back, of those that exist; a path comes back whatever its
        kind. No name means all. PsmaError when a name means nothing.
        """
        found: dict[Path, None] = {}
        for name in list(names) or ["all"]:
            found |= dict.fromkeys(self._meant(str(name), kinds))
        return list(found)

    def _meant(self, name: str, kinds: Sequence[str]) -> list[Path]:
        if name == "all":
            return list(_files(self.sessions, kinds))
        if _SESSION_ID.fullmatch(name):
            files = list(_files([self.session(name)], kinds))
            if not files:
                raise PsmaError(f"Session {name} has no notebook in {' or '.join(kinds)} yet.")
            return files
        if name.isdecimal() and any(m.number == int(name) for m in self.modules):
            return list(_files((s for s in self.sessions if s.module == int(name)), kinds))
        for path in (Path(name).resolve(), self.root / name) if name else ():
            if path.is_dir():
                found = sorted(path.rglob("*.ipynb"))
                return [p for p in found if not any(x.startswith(".") for x in p.relative_to(path).parts)]
            if path.is_file() and path.suffix == ".ipynb":
                return [path.resolve()]
        raise PsmaError(self._no_such(name))

    def _no_such(self, name: str) -> str:
        """What to tell someone who named what is not there."""
        number = name.partition(".")[0]
        if not (_SESSION_ID.fullmatch(name) or name.isdecimal()):
            known = {str(path.relative_to(self.root)): "" for path in _files(self.sessions, KINDS)}
            known |= {session.name: session.id for session in self.sessions}
            near = difflib.get_close_matches(name, known, 1)
            hint = 'Name a session ("3.2"), a module ("3") or a file.'
            hint = f"Did you mean {known[near[0]] or near[0]}?" if near else hint
            return f"There is no session or notebook {name}. {hint}"
        for module in self.modules:
            if module.number == int(number):
                there = ", ".join(s.id for s in module.sessions) or "no sessions yet"
                return f"There is no session {name}. Module {module.number} has {there}."
        numbers = ", ".join(str(module.number) for module in self.modules)
        return f"There is no module {number}. The modules are {numbers}."


def find_course(start: Path | None = None) -> Course:
    """The course that ``start`` (the current folder) lies in, else the one this package was installed from.

    PsmaError when neither is one. A lecture that cannot be read does not hide the others: its session has a
    ``problem``.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents, Path(__file__).resolve().parent.parent):
        if (folder / "modules").is_dir() and (folder / "pyproject.toml").is_file():
            return Course(folder, tuple(_modules(folder)))
    raise PsmaError(f"{here} is not inside the course: change to the folder that holds modules/, try again")


def _modules(root: Path) -> Iterator[Module]:
    for folder in sorted((root / "modules").iterdir()):
        if (match := _NUMBERED.fullmatch(folder.name)) and folder.is_dir():
            sessions = tuple(_sessions(root, folder))
            yield Module(int(match[1]), folder.name, _module_title(folder, match[2]), sessions)


def _sessions(root: Path, folder: Path) -> Iterator[Session]:
    module = int(folder.name[:2])
    before: dict[int, str] = {}
    for path in sorted(folder.glob("*.ipynb")):
        if match := _NUMBERED.fullmatch(path.stem):
            number = int(match[1])
            twin = before.setdefault(number, path.name)
            heading, meta, problem = _look_into(path)
            if twin != path.name:
                problem = problem or f"{path}: has the number of {twin}: rename one of them"
            exercise, solution = (root / kind / folder.name / path.name for kind in KINDS[1:])
            place = f"{module}.{number}", module, number, path.stem, folder.name
            yield Session(*place, heading, path, exercise, solution, meta, problem)


def _look_into(path: Path) -> tuple[str, dict[str, Any], str]:
    """Title and metadata.psma of a lecture, and what is wrong with it."""
    try:
        nb = notebook.glance(path)
    except PsmaError as error:
        return UNREADABLE, {}, str(error)
    try:
        return notebook.title(nb), notebook.psma(nb), ""
    except PsmaError as error:
        return UNREADABLE, notebook.psma(nb), f"{path}: {error}"


def _module_title(folder: Path, name: str) -> str:
    """The H1 of the module's README without the number in front; from the folder's name if there is none."""
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8", errors="replace") if readme.is_file() else ""
    for level, heading in notebook.headings(text):
        if level == 1:
            return re.sub(r"^\d+\s*[·.:-]\s*", "", heading)
    return name.replace("_", " ").capitalize()


def _files(sessions: Iterable[Session], kinds: Sequence[str]) -> Iterator[Path]:
    return (file for session in sessions for kind in kinds if (file := session.file(kind)).is_file())
