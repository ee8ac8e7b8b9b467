"""What people read of a marked batch: totals, feedback, mark sheets, the cohort's report and its statistics."""

# ruff: noqa: E501 (tables, a row a line)
from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import marking_material as material
import numpy as np
import pytest
from typer.testing import CliRunner

from psma.cli import app
from psma.errors import PsmaError
from psma.marking.cohort import histogram
from psma.marking.items import alpha, discrimination, facility
from psma.marking.leaks import files_in
from psma.marking.model import (
    ISOLATED,
    NOT_ISOLATED,
    CellError,
    Flag,
    SubmissionResult,
    TestResult,
    WrittenAnswer,
)
from psma.marking.reports import RESULTS, write
from psma.marking.sheet import DIFFERENCES, FIRST, FLAGS, KEY, SECOND
from psma.marking.source import read_paper
from psma.marking.store import Store

TABLE = [
    *material.PAPER[:2],
    (None, "text", 0, "## A1 A value (2 marks)"), ("core_value", "answer", 0, "x = 1"), ("core_value_test", "test", 2, "assert x == 1"),
    (None, "text", 0, "## A2 Another (2 marks)"), ("core_more", "answer", 0, "y = 1"), ("core_more_test", "test", 2, "assert y == 1"),
    (None, "text", 0, "## A3 Words (6 marks)"), ("core_words", "written", 6, "The model answer of this question."),
    (None, "text", 0, "## B1 One (10 marks)"), ("one_a", "answer", 0, "z = 1"), ("one_a_test", "test", 10, "### BEGIN HIDDEN TESTS\nassert z == 918273\n### END HIDDEN TESTS"),
    (None, "text", 0, "## B2 Two (10 marks)"), ("two_words", "written", 10, "Another model answer."),
]  # fmt: skip
RULES = """
title: A small paper
pass: 10
markers: 2
parts: [{id: core, title: Core}, {id: one, title: One}, {id: two, title: Two}]
choose: {best: 1, of: [one, two]}
"""
SPECIFICATION = """question,marks,kind,outcomes,what it shows
core_value_test,2,code,3.1-c,a
core_more_test,2,code,module 01_or_intro,b
core_words,6,written,3.2-d,c
one_a_test,10,code,3.1-d,d
two_words,10,written,module 06_forecasting,e
"""
HOSTILE = '=HYPERLINK("http://example.org/?x")<script>alert(1)</script> & "quoted"\nsecond line; with, all'


@pytest.fixture
def paper(tmp_path):
    path = material.write_paper(tmp_path / "paper", TABLE)
    path.with_name("paper.yml").write_text(RULES)
    path.with_name("specification.csv").write_text(SPECIFICATION)
    return read_paper(path)


def result(
    candidate: str, value=2.0, more=2.0, one=10.0, words: str | None = "An answer.", **others
) -> SubmissionResult:
    """A result as the engine leaves it."""
    tests = (
        TestResult("core_value_test", "core_value_test", value == 2, "Passed." if value == 2 else "There is no x.", value, "detail 918273"),
        TestResult("core_more_test", "core_more_test", more == 2, "Passed." if more == 2 else "A hidden test does not hold.", more, "detail 918273"),
        TestResult("one_a_test", "one_a_test", one == 10, "Passed.", one, "detail 918273"),
    )  # fmt: skip
    written = {"core_words": WrittenAnswer(words or "", words is None), "two_words": WrittenAnswer("", True)}
    marks = {
        "core_value_test": value,
        "core_more_test": more,
        "core_words": None if words else 0.0,
        "one_a_test": one,
        "two_words": 0.0,
    }
    made = SubmissionResult(
        candidate,
        f"{candidate}.ipynb",
        f"digest-{candidate}",
        "p",
        (),
        marks,
        tests,
        written,
        (),
        ISOLATED,
        1.0,
    )
    return replace(made, **others)


def store(out: Path, *results: SubmissionResult) -> Path:
    with Store(out / RESULTS) as kept:
        for each in results:
            kept.put(each)
    return out


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def fill(path: Path, marks, column="mark", delimiter=",", encoding="utf-8") -> None:
    """Fill in a sheet: ``marks`` is called with each row."""
    table = rows(path)
    for row in table:
        row[column] = str(marks(row))
    with path.open("w", encoding=encoding, errors="replace", newline="") as file:
        writer = csv.DictWriter(file, table[0].keys(), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(table)


# ---------------------------------------------------------------------------------------------- statistics


def test_alpha_is_what_a_hand_computes():
    marks = [[1, 1, 2], [2, 2, 1], [3, 3, 3], [4, 5, 4], [5, 4, 5]]
    # sums 4 5 9 13 14: mean 9, variance (25 + 16 + 0 + 16 + 25) / 4 = 20.5; each item has variance 10 / 4 = 2.5
    found = alpha(marks)
    assert found.value == pytest.approx(3 / 2 * (1 - 7.5 / 20.5), abs=1e-12)
    # F(0.975; 4, 8) = 5.0526, F(0.025; 4, 8) = 0.1114 (tables): 1 - (1 - alpha) F
    assert found.low == pytest.approx(1 - (1 - found.value) * 5.0526, abs=1e-4)
    assert found.high == pytest.approx(1 - (1 - found.value) * 0.1114, abs=1e-4)
    assert (found.people, found.items) == (5, 3)


def test_alphas_interval_covers_as_often_as_it_says():
    luck = np.random.default_rng(1)
    true = 6 * 0.4 / (1 + 5 * 0.4)  # Spearman-Brown for six items that correlate 0.4
    hits = 0
    for _ in range(400):
        table = np.sqrt(0.4) * luck.normal(size=(25, 1)) + np.sqrt(0.6) * luck.normal(size=(25, 6))
        found = alpha(table)
        hits += found.low <= true <= found.high
    assert 0.92 <= hits / 400 <= 0.98


def test_alpha_needs_people_and_questions():
    assert alpha([[1, 2]] * 4) is None
    assert alpha([[1, 2]] * 9) is None
    assert alpha([[k] for k in range(9)]) is None


def test_facility_and_discrimination_on_a_small_table():
    assert facility([0, 2, 4, 4], 4) == 0.625
    # deviations -2 -1 0 1 2 and -3 -1 1 -1 4: sum of products 6 + 1 + 0 - 1 + 8 = 14, of squares 10 and 28
    assert discrimination([1, 2, 3, 4, 5], [4, 6, 8, 6, 11]) == pytest.approx(14 / np.sqrt(10 * 28))
    assert np.isnan(discrimination([1, 1, 1, 1, 1], [1, 2, 3, 4, 5]))
    assert np.isnan(discrimination([1, 2, 3, 4], [1, 2, 3, 4]))


def test_the_item_itself_is_left_out_of_the_rest(paper, tmp_path):
    from psma.marking.cohort import items

    values = [0, 2, 0, 2, 0, 2]
    others = [2, 0, 2, 0, 2, 0]
    people = [
        result(f"{n}", value=float(v), more=float(m), one=0.0, words=None)
        for n, (v, m) in enumerate(zip(values, others, strict=True))
    ]
    written = write(paper, store(tmp_path / "out", *people))
    from psma.marking.blueprint import read_blueprint

    found = {item.question.id: item for item in items(written.standings, paper, read_blueprint(paper))}
    assert found["core_value_test"].discrimination == pytest.approx(-1)
    assert found["core_value_test"].remark == "negative: check the key"
    assert found["one_a_test"].people == 0


# ------------------------------------------------------------------------------------------------- sheets


def test_sheets_are_blind_and_come_back(paper, tmp_path):
    out = store(tmp_path / "out", *(result(f"candidate-{n:02}", words=f"Answer {n}.") for n in range(12)))
    first = write(paper, out)
    assert (first.hand.waiting, [s.decided for s in first.standings]) == (12, [False] * 12)
    sheets = [out / FIRST, out / SECOND]
    assert all("candidate-" not in path.read_text(encoding="utf-8") for path in sheets)
    orders = [[row["script"] for row in rows(path)] for path in sheets]
    assert set(orders[0]) == set(orders[1])
    assert orders[0] != orders[1]
    who = {row["script"]: row["candidate"] for row in rows(out / KEY)}
    assert [who[script] for script in orders[0]] != sorted(who.values())
    # as a German and as a French spreadsheet save it
    fill(sheets[0], lambda row: 4, delimiter=";", encoding="cp1252")
    fill(sheets[1], lambda row: 4 if who[row["script"]] != "candidate-03" else "2,5", delimiter=";")
    second = write(paper, out)
    assert (second.hand.waiting, second.hand.differences) == (1, 1)
    totals = {each.result.candidate: each.total.marks for each in second.standings}
    assert totals["candidate-02"] == 2 + 2 + 4 + 10
    (differing,) = rows(out / DIFFERENCES)
    assert (who[differing["script"]], differing["first"], differing["second"]) == ("candidate-03", "4", "2.5")
    fill(out / DIFFERENCES, lambda row: 3, column="agreed")
    third = write(paper, out)
    assert third.hand.waiting == 0
    assert {each.result.candidate: each.total.marks for each in third.standings}["candidate-03"] == 17
    kept = files_in(out)
    write(paper, out)
    assert files_in(out) == kept


def test_an_agreed_mark_lasts_only_as_long_as_the_marks_it_settles(paper, tmp_path):
    out = store(tmp_path / "out", result("a"))
    write(paper, out)
    fill(out / FIRST, lambda row: 4)
    fill(out / SECOND, lambda row: 2)
    write(paper, out)
    fill(out / DIFFERENCES, lambda row: 3, column="agreed")
    assert write(paper, out).hand.waiting == 0
    fill(out / SECOND, lambda row: 1)
    assert write(paper, out).hand.differences == 1


def test_a_mark_does_not_pass_to_another_answer(paper, tmp_path):
    out = store(tmp_path / "out", result("a", words="Old words."))
    write(paper, out)
    for name in (FIRST, SECOND):
        fill(out / name, lambda row: 5)
    assert write(paper, out).hand.waiting == 0
    store(out, result("a", words="New words."))
    assert write(paper, out).hand.waiting == 1
    (row,) = rows(out / FIRST)
    assert row["mark"] == ""
    assert "after it was given 5" in row["comment to the candidate"]


def test_a_test_left_to_a_person_is_in_the_sheet(paper, tmp_path):
    open_test = TestResult(
        "core_value_test", "core_value_test", None, "By hand.", None, "By hand: it uses an object."
    )
    made = result("a", words=None)
    made = replace(made, marks={**made.marks, "core_value_test": None}, tests=(open_test, *made.tests[1:]),
                   flags=(Flag("by hand", "To be marked by hand: core_value_test.", True),))  # fmt: skip
    out = store(tmp_path / "out", made)
    write(paper, out)
    (row,) = rows(out / FIRST)
    assert (row["question"], row["max"]) == ("core_value_test", "2")
    for name in (FIRST, SECOND):
        fill(out / name, lambda row: 1)
    (standing,) = write(paper, out).standings
    assert (standing.decided, standing.total.marks) == (True, 13)
    assert "A person marked this one." in (out / "feedback" / "a.html").read_text()


def test_formulas_do_not_reach_a_spreadsheet(paper, tmp_path):
    out = store(tmp_path / "out", result("a", words=HOSTILE))
    write(paper, out)
    assert rows(out / FIRST)[0]["answer"] == f"'{HOSTILE}"


def test_a_flag_is_settled_by_a_person(paper, tmp_path):
    flag = Flag("order changed", "The cells stand in another order.", True)
    out = store(tmp_path / "out", result("a", words=None, flags=(flag,)))
    assert not write(paper, out).standings[0].decided
    fill(out / FLAGS, lambda row: "JS", column="settled by")
    assert write(paper, out).standings[0].decided
    assert rows(out / FLAGS)[0]["settled by"] == "JS"


@pytest.mark.parametrize(("spoil", "words"), [
    (lambda text: text.replace("An answer.", "x", 1).replace(",,\r\n", ",9,\r\n"), "'9' is no mark from 0 to 6"),
    (lambda text: text.replace(",,\r\n", ",good,\r\n"), "'good' is no mark"),
    (lambda text: text.replace(",,\r\n", ",-1,\r\n"), "'-1' is no mark"),
    (lambda text: text.replace("core_words", "core_nothing"), "no script"),
    (lambda text: text.replace(",mark,", ",points,"), "has no column 'mark'"),
    (lambda text: text + text.split("\r\n")[1].replace(",,", ",2,") + "\r\n", "marked twice"),
    (lambda text: "PK\x03\x04" + text[20:], "has no column"),
])  # fmt: skip
def test_a_spoilt_sheet_changes_nothing(paper, tmp_path, spoil, words):
    out = store(tmp_path / "out", result("a"))
    write(paper, out)
    text = (out / FIRST).read_bytes().decode()
    (out / FIRST).write_bytes(spoil(text).encode())
    kept = files_in(out)
    with pytest.raises(PsmaError, match=words) as caught:
        write(paper, out)
    assert "\n" not in str(caught.value)
    assert files_in(out) == kept


def test_one_marker_is_enough_where_the_paper_says_so(paper, tmp_path):
    rules = paper.path.with_name("paper.yml")
    rules.write_text(rules.read_text().replace("markers: 2", "markers: 1"))
    out = store(tmp_path / "out", result("a"))
    write(paper, out)
    assert not (out / SECOND).exists()
    fill(out / FIRST, lambda row: 6)
    assert write(paper, out).standings[0].total.marks == 20


# ------------------------------------------------------------------------------------------------- pages


class Page(HTMLParser):
    """Checks that tags are balanced, and collects what a page asks for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.asks: list[str] = []
        self.headings: list[int] = []
        self.images: list[dict] = []
        self.lang = ""
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.lang = found.get("lang", self.lang)
        self.asks += [found[name] for name in ("src", "href", "action", "srcset") if name in found]
        self.asks += [tag] if tag in ("script", "iframe", "link", "object") else []
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "svg":
            self.images.append(found)
        if tag not in ("meta", "br", "rect", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def marked(paper, tmp_path):
    """Results of every kind, and the reports of them."""
    unread = SubmissionResult(
        "unread",
        "unread.ipynb",
        "d",
        "p",
        (Flag("broken JSON", "unread.ipynb: is not a whole notebook.", True),),
        dict.fromkeys(TABLE_IDS),
    )
    people = [
        result("full"), result("hidden", more=0.0), result("missing", value=0.0, words=None, errors=(CellError(4, "SyntaxError: '(' was never closed (<ipython-input-1-abc>, line 1)"),)),
        result("hostile", words=HOSTILE, errors=(CellError(3, HOSTILE),), flags=(Flag("x", HOSTILE),)),
        result("loose", isolation=NOT_ISOLATED), unread,
        *(result(f"more-{n}", value=float(n % 2) * 2, one=float(n % 3), words=None) for n in range(6)),
    ]  # fmt: skip
    out = store(tmp_path / "out", *people)
    write(paper, out)
    return out


TABLE_IDS = ("core_value_test", "core_more_test", "core_words", "one_a_test", "two_words")


def test_pages_stand_alone_and_are_accessible(marked):
    pages = [*(marked / "feedback").glob("*.html"), marked / "cohort.html"]
    assert len(pages) == 13
    for path in pages:
        text = path.read_text(encoding="utf-8")
        found = Page(text)
        assert found.lang == "en-GB"
        assert found.asks == [], path
        assert not re.search(r"url\(|@import|<script", text)
        assert found.headings[0] == 1
        assert found.headings.count(1) == 1
        assert all(b - a <= 1 for a, b in zip(found.headings, found.headings[1:], strict=False))
        assert all(image.get("aria-label") or image.get("aria-hidden") for image in found.images)
        assert "<title>" in text


def test_feedback_says_why_and_what_to_read_and_shows_nothing_hidden(marked, paper):
    hidden = (marked / "feedback" / "hidden.html").read_text(encoding="utf-8")
    assert "A hidden test does not hold." in hidden
    assert "Introduction to operational research" in hidden
    missing = (marked / "feedback" / "missing.html").read_text(encoding="utf-8")
    assert "There is no x." in missing
    assert "compute utilisation" in missing
    assert "(modules/03_queuing_des/01_pathways_and_queues.ipynb)" in missing
    assert "Left blank." in missing
    assert "Passed: 12 of 20 marks." in missing
    assert "(line 1)" in missing
    for path in (marked / "feedback").glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert "918273" not in text
        assert "model answer" not in text
        assert not any(
            other.stem in text
            for other in (marked / "feedback").glob("*.html")
            if len(other.stem) > 6 and other != path
        )


def test_open_unread_and_not_isolated_are_said(marked):
    pages = {path.stem: path.read_text(encoding="utf-8") for path in (marked / "feedback").glob("*.html")}
    assert "This is not final." in pages["full"]
    assert "Not marked yet." in pages["unread"]
    assert "0 of 20" not in pages["unread"]
    assert "<strong>not isolated</strong>" in pages["loose"]
    assert "not isolated" not in pages["full"]
    assert "<strong>not isolated</strong>" in (marked / "cohort.html").read_text(encoding="utf-8")


def test_the_cohorts_table_holds_every_mark(marked):
    table = {row["candidate"]: row for row in rows(marked / "cohort.csv")}
    assert table["missing"]["total"] == "12"
    assert table["missing"]["result"] == "pass"
    assert table["full"]["core_words"] == ""
    assert table["full"]["result"] == "open"
    assert table["unread"]["result"] == "open"
    assert table["more-0"]["counted"] == "core one"
    assert {row["result"] for row in table.values()} == {"pass", "fail", "open"}


def test_the_cohorts_report_names_what_to_look_at(marked):
    text = (marked / "cohort.html").read_text(encoding="utf-8")
    for words in (
        "12 candidates:",
        "Cronbach",
        "Feldt (1965)",
        "Facility",
        "too few attempts",
        "unread.ipynb: is not a whole notebook.",
    ):
        assert words in text, words


def test_a_histogram_counts_everyone(paper):
    from psma.marking.blueprint import read_blueprint

    text = histogram([0, 20, 20, 9.99], read_blueprint(paper))
    assert sorted(int(n) for n in re.findall(r'text-anchor="middle">(\d+)</text><', text) if n)
    assert text.count("<rect") == 3
    assert "Histogram of 4 totals: lowest 0, median 15, highest 20; 2 below the pass mark." in text


def test_a_candidate_who_left_is_forgotten(paper, marked):
    with Store(marked / RESULTS) as kept:
        kept.keep_only({"full"})
    write(paper, marked)
    assert [path.name for path in (marked / "feedback").iterdir()] == ["full.html"]


def test_marks_go_into_nbgraders_gradebook_and_stay_what_they_are(paper, tmp_path):
    """The machine's marks, people's marks, what is still open; twice gives the same; the unread are left out."""
    api = pytest.importorskip("nbgrader.api")
    from psma.marking.gradebook import export

    unread = SubmissionResult("1003", "1003.zip", "d", "p", marks=dict.fromkeys(TABLE_IDS))
    out = store(tmp_path / "out", result("1001", more=1.0), result("1002", words=None), unread)
    write(paper, out)
    fill(out / "written_first.csv", lambda row: 3)
    fill(out / "written_second.csv", lambda row: 3)
    standings = write(paper, out).standings
    path = tmp_path / "new" / "gradebook.db"
    for _ in range(2):
        assert export(paper, standings, path) == 2
    with api.Gradebook(f"sqlite:///{path}") as book:
        name = paper.path.stem
        assert [student.id for student in book.students] == ["1001", "1002"]
        scores = {each.student.id: each.score for each in book.assignment_submissions(name)}
        grade = {q: book.find_grade(q, name, name, "1001") for q in ("core_more_test", "core_words")}
        told = {q: (g.auto_score, g.manual_score, g.needs_manual_grade) for q, g in grade.items()}
    assert scores == {each.result.candidate: sum(each.marks.values()) for each in standings[:2]}
    assert told == {"core_more_test": (1.0, None, False), "core_words": (None, 3.0, False)}


def test_a_file_that_is_no_gradebook_is_said_in_one_line(paper, tmp_path):
    pytest.importorskip("nbgrader.api")
    from psma.marking.gradebook import export

    (tmp_path / "notes.db").write_text("not a database" * 100)
    with pytest.raises(PsmaError, match="cannot be used as a gradebook") as caught:
        export(paper, (), tmp_path / "notes.db")
    assert "\n" not in str(caught.value)


def test_no_results_is_said_in_one_line(paper, tmp_path):
    with pytest.raises(PsmaError, match="no results in it"):
        write(paper, tmp_path)


def test_a_dry_run_runs_and_writes_nothing(paper, tmp_path):
    sent = tmp_path / "sent"
    sent.mkdir()
    made = material.submission({"core_value": f"open({str(tmp_path / 'ran')!r}, 'w')"}, TABLE)
    (sent / "0001.ipynb").write_text(json.dumps(made))
    (sent / "0002.ipynb").write_text("{")
    command = ["mark", str(paper.path), str(sent), "--out", str(tmp_path / "out"), "--dry-run"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1
    assert "would be marked" in done.output
    assert "cannot be" in done.output
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "ran").exists()
