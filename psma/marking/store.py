"""The results of a batch in one SQLite file, committed a submission at a time, so that a killed batch
resumes.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import TracebackType

from psma.errors import PsmaError
from psma.marking.model import SubmissionResult, from_json, to_json

_TABLES = """
create table if not exists result (candidate text primary key, digest text, paper text, json text);
create table if not exists checked (paper text primary key);
"""


class Store:
    """The file ``results.sqlite`` of a folder of results. Use as a context manager, from one thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.connection = sqlite3.connect(path)
            self.connection.executescript(_TABLES)
        except (sqlite3.Error, OSError) as error:
            raise PsmaError(f"{path}: cannot be used for results ({error}); give another --out.") from None

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.connection.close()

    def put(self, result: SubmissionResult) -> None:
        """Keep a result, for good."""
        row = (result.candidate, result.digest, result.paper, to_json(result))
        with self.connection:
            self.connection.execute("insert or replace into result values (?, ?, ?, ?)", row)

    def get(self, candidate: str, digest: str, paper: str) -> SubmissionResult | None:
        """The result of exactly this submission to exactly this paper, if it is there."""
        query = "select json from result where candidate = ? and digest = ? and paper = ?"
        row = self.connection.execute(query, (candidate, digest, paper)).fetchone()
        return from_json(row[0]) if row else None

    def all(self) -> list[SubmissionResult]:
        """Every result, in order of the candidates' names."""
        return [
            from_json(row[0]) for row in self.connection.execute("select json from result order by candidate")
        ]

    def keep_only(self, candidates: set[str]) -> None:
        """Forget candidates who are not in the batch any more."""
        gone = [(result.candidate,) for result in self.all() if result.candidate not in candidates]
        with self.connection:
            self.connection.executemany("delete from result where candidate = ?", gone)

    def checked(self, paper: str) -> bool:
        """Whether the paper was found to pass its own tests."""
        return (
            self.connection.execute("select 1 from checked where paper = ?", (paper,)).fetchone() is not None
        )

    def note_checked(self, paper: str) -> None:
        """The paper passes its own tests."""
        with self.connection:
            self.connection.execute("insert or replace into checked values (?)", (paper,))
