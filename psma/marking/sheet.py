"""Mark sheets for what a person marks: two CSV files without names, each in an order of its own, and what
the markers disagree about.

The first and the second marker each get one sheet and never see the other's. What both gave the same counts;
what they differ in is listed in ``differences.csv``, where the agreed mark is filled in.
"""

from __future__ import annotations

import csv
import hashlib
import io
import secrets
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from psma.errors import PsmaError
from psma.marking.model import Flag, SubmissionResult
from psma.marking.page import put
from psma.marking.source import Paper

FIRST, SECOND, DIFFERENCES, KEY = (
    "written_first.csv",
    "written_second.csv",
    "differences.csv",
    "scripts.csv",
)
COLUMNS = ("script", "question", "title", "max", "answer", "answer_id", "mark", "comment to the candidate")
FLAGS, FLAG_COLUMNS = "flags.csv", ("candidate", "flag", "settled by")
_BY_MARKS = {"by hand", "answer missing", "not marked"}
DIFFERENCE_COLUMNS = ("script", "question", "title", "max", "first", "second", "agreed")
# Consonants: no word, and nothing that a spreadsheet takes for a date or a number such as 2E45.
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
Place = tuple[str, str]
"""A script's code and a question's id."""


@dataclass(frozen=True)
class Answer:
    """An answer for a person to mark. ``script`` is the code that stands for the candidate."""

    candidate: str
    script: str
    question: str
    title: str
    most: float
    text: str

    @property
    def place(self) -> Place:
        """Where it stands in a sheet."""
        return (self.script, self.question)

    @property
    def id(self) -> str:
        """Identifies the text that was marked."""
        return "a" + hashlib.sha256(self.text.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Given:
    """What a marker filled in: ``mark`` None where nothing yet; ``answer_id`` of the text it was for."""

    mark: float | None
    comment: str
    answer_id: str


@dataclass(frozen=True)
class HandMarks:
    """What people decided: marks and comments by candidate and question, flags by candidate and words; how
    many answers wait, and in how many of these the markers differ.
    """

    marks: dict[tuple[str, str], float]
    comments: dict[tuple[str, str], str]
    settled: frozenset[tuple[str, str]]
    waiting: int
    differences: int


# ------------------------------------------------------------------------------------------ who is who


def codes(store: Path, candidates: Iterable[str]) -> dict[str, str]:
    """A code for each candidate, drawn once by lot and kept in the file of results."""
    connection = sqlite3.connect(store)
    try:
        connection.execute("create table if not exists script (candidate text primary key, code text unique)")
        known = dict(connection.execute("select candidate, code from script"))
        for candidate in candidates:
            while candidate not in known:
                code = "".join(secrets.choice(_LETTERS) for _ in range(5))
                if code not in known.values():
                    known[candidate] = code
                    connection.execute("insert into script values (?, ?)", (candidate, code))
        connection.commit()
    finally:
        connection.close()
    return known


def answers(paper: Paper, results: list[SubmissionResult], code: dict[str, str]) -> list[Answer]:
    """Everything that a person has to mark: written answers, and tests that were left to a person.

    Submissions that couldn't be read at all are not among them: there is nothing to mark yet.
    """
    found = []
    for result in results:
        if not result.tests and not result.written:
            continue
        for question in paper.questions:
            if result.marks.get(question.id) is None:
                text = _text(result, question.id)
                found.append(
                    Answer(
                        result.candidate,
                        code[result.candidate],
                        question.id,
                        question.title,
                        question.points,
                        text,
                    )
                )
    return found


def _text(result: SubmissionResult, question: str) -> str:
    if question in result.written:
        return result.written[question].text
    test = next((test for test in result.tests if test.cell == question), None)
    return f"[Ask the organiser for the code. {test.detail if test else 'The answer cell is missing.'}]"


# ------------------------------------------------------------------------------------------- the sheets


def merge(paper: Paper, out: Path, results: list[SubmissionResult], markers: int) -> HandMarks:
    """Read what markers filled in, bring the sheets up to date, and say what is decided.

    ``markers`` 1 leaves the second sheet out. Raises PsmaError, and changes no sheet, where one can't be
    understood.
    """
    code = codes(out / "results.sqlite", [result.candidate for result in results])
    todo = answers(paper, results, code)
    known, most = set(code.values()), {q.id: q.points for q in paper.questions}
    names = [FIRST, SECOND][:markers]
    given = [read_sheet(out / name, known, most) for name in names]
    agreed = read_differences(out / DIFFERENCES, known, most)
    marks: dict[tuple[str, str], float] = {}
    comments: dict[tuple[str, str], str] = {}
    differing: list[tuple[Answer, float, float]] = []
    for answer in todo:
        both = [_for(sheet.get(answer.place), answer) for sheet in given]
        decided = [each.mark for each in both if each is not None and each.mark is not None]
        where = (answer.candidate, answer.question)
        if len(decided) == markers and len(set(decided)) == 1:
            marks[where] = decided[0]
        elif len(decided) == markers:
            differing.append((answer, decided[0], decided[1]))
            settled = agreed.get((*answer.place, decided[0], decided[1]))
            if settled is not None:
                marks[where] = settled
        words = dict.fromkeys(each.comment for each in both if each and each.comment)
        comments[where] = " ".join(words)
    for name, sheet in zip(names, given, strict=True):
        put(out / name, sheet_text(name, todo, sheet))
    if differing or (out / DIFFERENCES).exists():
        put(out / DIFFERENCES, _differences_text(differing, agreed))
    put(out / KEY, _csv(("script", "candidate"), sorted((c, who) for who, c in code.items())))
    waiting = len(todo) - len(marks)
    unsettled = sum((answer.candidate, answer.question) not in marks for answer, _, _ in differing)
    return HandMarks(marks, comments, _flags(out, results), waiting, unsettled)


def deciding(result: SubmissionResult) -> list[Flag]:
    """The flags that ask for a decision of their own; the others are settled by the marks they ask for."""
    return [flag for flag in result.flags if flag.needs_person and flag.code not in _BY_MARKS]


def _flags(out: Path, results: list[SubmissionResult]) -> frozenset[tuple[str, str]]:
    """Read and rewrite the list of flags; those with something under "settled by" are settled."""
    rows = [row for _, row in _rows(out / FLAGS, FLAG_COLUMNS)]
    settled = {
        (_plain(row["candidate"]), _plain(row["flag"])): (row["settled by"] or "").strip() for row in rows
    }
    raised = [(result.candidate, flag.words) for result in results for flag in deciding(result)]
    if raised or rows:
        table = [(_safe(who), _safe(words), settled.get((who, words), "")) for who, words in raised]
        put(out / FLAGS, _csv(FLAG_COLUMNS, table))
    return frozenset(each for each in raised if settled.get(each))


def _plain(text: str | None) -> str:
    """A cell's text without the apostrophe that ``_safe`` put before it."""
    return (text or "").strip().removeprefix("'")


def _for(given: Given | None, answer: Answer) -> Given | None:
    """What was filled in, if it was for this very text."""
    return given if given is not None and given.answer_id == answer.id else None


def sheet_text(name: str, todo: list[Answer], given: dict[Place, Given]) -> str:
    """A sheet as CSV: question by question, the scripts within one in an order by lot.

    Marks filled in earlier stay, also those of scripts that don't wait any more; where the answer changed
    since, the mark moves into the comment.
    """
    rows = []
    seen = set()
    order = {question: at for at, question in enumerate(dict.fromkeys(a.question for a in todo))}
    for answer in sorted(todo, key=lambda a: (order[a.question], _lot(name, a.place))):
        seen.add(answer.place)
        was = given.get(answer.place, Given(None, "", answer.id))
        if was.answer_id != answer.id and was.mark is not None:
            was = Given(
                None, f"The answer changed after it was given {was.mark:g}. {was.comment}".strip(), ""
            )
        rows.append(_row(answer, was))
    for place in sorted(given.keys() - seen):
        was = given[place]
        rows.append((*place, "", "", "(waits no more)", was.answer_id, _shown(was.mark), _safe(was.comment)))
    return _csv(COLUMNS, rows)


def _row(answer: Answer, was: Given) -> tuple[str, ...]:
    told = (_safe(answer.title), f"{answer.most:g}", _safe(answer.text), answer.id)
    return (*answer.place, *told, _shown(was.mark), _safe(was.comment))


def _lot(name: str, place: Place) -> str:
    return hashlib.sha256(f"{name}|{place}".encode()).hexdigest()


def _shown(mark: float | None) -> str:
    return "" if mark is None else f"{mark:g}"


def _safe(text: str) -> str:
    """Text that a spreadsheet doesn't take for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _csv(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """CSV with the mark at its head by which spreadsheets know UTF-8."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return "\ufeff" + text.getvalue()


# ------------------------------------------------------------------------------------------ reading back


def read_sheet(path: Path, known: set[str], most: dict[str, float]) -> dict[Place, Given]:
    """What a marker filled in; nothing where there is no sheet yet. Raises PsmaError."""
    found: dict[Place, Given] = {}
    for line, row in _rows(path, ("script", "question", "mark")):
        place = _place(path, line, row, known, most)
        comment = _plain(row.get("comment to the candidate"))
        given = Given(
            _mark(path, line, row["mark"], most[place[1]]), comment, (row.get("answer_id") or "").strip()
        )
        if found.get(place, given) != given:
            raise PsmaError(
                f"{path}: line {line}: script {place[0]}, {place[1]} is marked twice; keep one row."
            )
        found[place] = given
    return found


def read_differences(
    path: Path, known: set[str], most: dict[str, float]
) -> dict[tuple[str, str, float, float], float]:
    """Agreed marks, by script, question and the two marks that they settle. Raises PsmaError."""
    found = {}
    for line, row in _rows(path, ("script", "question", "first", "second", "agreed")):
        place = _place(path, line, row, known, most)
        top = most[place[1]]
        first, second, agreed = (_mark(path, line, row[name], top) for name in ("first", "second", "agreed"))
        if first is not None and second is not None and agreed is not None:
            found[(*place, first, second)] = agreed
    return found


def _differences_text(
    differing: list[tuple[Answer, float, float]], agreed: dict[tuple[str, str, float, float], float]
) -> str:
    rows = []
    for answer, first, second in differing:
        settled = agreed.get((*answer.place, first, second))
        told = (_safe(answer.title), f"{answer.most:g}", f"{first:g}", f"{second:g}", _shown(settled))
        rows.append((*answer.place, *told))
    return _csv(DIFFERENCE_COLUMNS, sorted(rows))


def _rows(path: Path, needed: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """The rows of a CSV file as spreadsheets save it: comma or semicolon, UTF-8 or Windows-1252."""
    if not path.exists():
        return []
    try:
        raw = path.read_bytes()
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = raw.decode("cp1252", "replace")
        head = text.split("\n", 1)[0]
        reader = csv.DictReader(
            io.StringIO(text, newline=""), delimiter=";" if head.count(";") > head.count(",") else ","
        )
        rows = [(reader.line_num, row) for row in reader]
    except (OSError, csv.Error) as error:
        raise PsmaError(f"{path}: cannot be read ({error}); save it as CSV.") from None
    missing = [name for name in needed if name not in (reader.fieldnames or [])]
    if missing:
        raise PsmaError(
            f"{path}: has no column {missing[0]!r}; save it as CSV with its columns as they were."
        )
    return [(line, row) for line, row in rows if any(row.get(name) for name in needed)]


def _place(path: Path, line: int, row: dict[str, str], known: set[str], most: dict[str, float]) -> Place:
    script, question = (row["script"] or "").strip(), (row["question"] or "").strip()
    if script not in known or question not in most:
        raise PsmaError(f"{path}: line {line}: there is no script {script!r} with a question {question!r}.")
    return (script, question)


def _mark(path: Path, line: int, text: str | None, most: float) -> float | None:
    text = (text or "").strip().replace(",", ".")
    if not text:
        return None
    try:
        mark = float(text)
    except ValueError:
        mark = -1.0
    if not 0 <= mark <= most:
        raise PsmaError(f"{path}: line {line}: {text!r} is no mark from 0 to {most:g}.")
    return mark
