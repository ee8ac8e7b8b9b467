"""The page that a trainee gets back: marks a question, what failed in words, what to read again."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import escape

from psma.errors import PsmaError
from psma.marking.blueprint import Blueprint, Part
from psma.marking.model import NOT_ISOLATED, Question
from psma.marking.page import number, page, table
from psma.marking.reports import Standing
from psma.marking.source import Paper


@dataclass(frozen=True)
class Reading:
    """Where an outcome is taught: its words, and the lecture's number, title and file."""

    places: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of_course(cls) -> Reading:
        """What the course at hand teaches; nothing where there is none."""
        from psma.course import find_course

        try:
            course = find_course()
        except PsmaError:
            return cls()
        places = {
            f"module {m.folder}": f"Module {m.number}, {m.title} (modules/{m.folder})" for m in course.modules
        }
        for session in course.sessions:
            file = session.lecture.relative_to(course.root).as_posix()
            for name, words in session.meta.get("outcomes", {}).items():
                places[name] = f"{session.id} {session.title}: {words} ({file})"
        return cls(places)

    def of(self, outcome: str) -> str:
        """The words for one outcome, or its bare name."""
        return self.places.get(outcome, outcome)


def feedback_page(standing: Standing, paper: Paper, blueprint: Blueprint, reading: Reading) -> str:
    """One candidate's page as HTML. Shows nothing of a hidden test, and no other candidate's result."""
    parts = [
        part
        for part in blueprint.parts
        if part.id in standing.total.counted or _tried(standing, part, blueprint)
    ]
    body = [_head(standing, blueprint), _parts_table(standing, blueprint)]
    body += [_part(standing, part, paper, blueprint) for part in parts]
    body += [_again(standing, blueprint, reading), _remarks(standing)]
    return page(
        f"{blueprint.title}: feedback for candidate {standing.result.candidate}",
        "\n".join(filter(None, body)),
    )


def _tried(standing: Standing, part: Part, blueprint: Blueprint) -> bool:
    return any(standing.marks.get(q) != 0 for q, where in blueprint.part_of.items() if where == part.id)


def _head(standing: Standing, blueprint: Blueprint) -> str:
    who, total = escape(standing.result.candidate), standing.total
    lines = [f"<h1>{escape(blueprint.title)}</h1>", f'<p class="soft">Feedback for candidate {who}</p>']
    marks = f"{number(total.marks)} of {number(blueprint.most)} marks"
    if _unread(standing):
        lines.append('<div class="box warn"><p class="lead"><strong>Not marked yet.</strong></p>')
        words = (
            "What was sent could not be read as this paper. That is not a mark of 0: a person looks at it."
        )
        lines.append(f"<p>{words}</p></div>")
    elif standing.decided:
        word = "Passed" if total.marks >= blueprint.pass_mark else "Not passed"
        lines.append(f'<div class="box"><p class="lead"><strong>{word}: {marks}.</strong></p>')
        lines.append(f"<p>The pass mark is {number(blueprint.pass_mark)}.</p></div>")
    else:
        lines.append(
            f'<div class="box warn"><p class="lead"><strong>So far: {marks}.</strong> This is not final.</p>'
        )
        lines.append("<p>Some answers still wait for a person to mark them.</p></div>")
    if standing.result.isolation == NOT_ISOLATED:
        lines.append("<p>This paper was run <strong>not isolated</strong> from the marker's machine.</p>")
    return "\n".join(lines)


def _unread(standing: Standing) -> bool:
    return not standing.result.tests and not standing.result.written


def _parts_table(standing: Standing, blueprint: Blueprint) -> str:
    if len(blueprint.parts) < 2 or _unread(standing):
        return ""
    rows = []
    for part in blueprint.parts:
        most = sum(p for q, p in blueprint.points.items() if blueprint.part_of[q] == part.id)
        counts = "yes" if part.id in standing.total.counted else "no"
        rows.append((escape(part.title), number(standing.total.parts[part.id]), number(most), counts))
    caption = "Marks by part" + (
        f"; of the topics to choose from, the best {blueprint.best} count" if blueprint.choice else ""
    )
    return "<h2>Your marks</h2>\n" + table(caption, ("Part", "Marks", "Of", "Counts"), rows, ("Marks", "Of"))


def _part(standing: Standing, part: Part, paper: Paper, blueprint: Blueprint) -> str:
    if _unread(standing):
        return ""
    uncounted = "" if part.id in standing.total.counted else " (does not count)"
    questions = [q for q in paper.questions if blueprint.part_of[q.id] == part.id]
    return f"<h2>{escape(part.title)}{uncounted}</h2>\n" + "\n".join(
        _question(standing, q) for q in questions
    )


def _question(standing: Standing, question: Question) -> str:
    mark = standing.marks.get(question.id)
    told = "to be marked" if mark is None else f"{number(mark)} of {number(question.points)}"
    return (
        f'<section class="question"><h3>{escape(_bare(question.title))}</h3>'
        f'<span class="marks">{told}</span>{_why(standing, question, mark)}</section>'
    )


def _bare(title: str) -> str:
    """A question's title without the marks in brackets, which stand beside it."""
    return title[: title.rindex(" (")] if title.endswith(" marks)") else title


def _why(standing: Standing, question: Question, mark: float | None) -> str:
    """What is said of a question: the test's own words, a marker's comment, or nothing where all is right."""
    lines = []
    if question.kind == "tests":
        test = next((test for test in standing.result.tests if test.cell == question.id), None)
        if test is not None and test.passed is None:
            lines.append("A person marks this one." if mark is None else "A person marked this one.")
        elif test is not None and mark != question.points:
            lines.append(test.reason)
    elif (answer := standing.result.written.get(question.id)) is not None and answer.blank:
        lines.append("Left blank.")
    lines.append(standing.comments.get(question.id, ""))
    return "".join(f"<p>{escape(line)}</p>" for line in lines if line)


def _again(standing: Standing, blueprint: Blueprint, reading: Reading) -> str:
    """What to read again: the outcomes of the counted questions that lost marks, most marks lost first."""
    lost: dict[str, float] = {}
    for question, aim in blueprint.aims.items():
        mark = standing.marks.get(question)
        if mark is not None and mark < aim.marks and blueprint.part_of[question] in standing.total.counted:
            for outcome in aim.outcomes:
                lost[outcome] = lost.get(outcome, 0.0) + aim.marks - mark
    if not lost or _unread(standing):
        return ""
    ranked = sorted(lost, key=lambda outcome: -lost[outcome])
    items = "\n".join(f"<li>{escape(reading.of(outcome))}</li>" for outcome in ranked)
    return f"<h2>What to read again</h2>\n<p>What cost most marks comes first.</p>\n<ul>\n{items}\n</ul>"


def _own(error: str) -> bool:
    """Whether an error is the trainee's: a cell left as it was released raises this one."""
    return not error.startswith("NotImplementedError")


def _plain(error: str) -> str:
    """An error without the inner name of a cell, which says nothing to its author."""
    return re.sub(r"<ipython-input[^>]*>, ", "", error)


def _remarks(standing: Standing) -> str:
    """What the marking noticed: cells that stopped, and flags."""
    told = [
        f"Cell {error.cell}: {_plain(error.error)}" for error in standing.result.errors if _own(error.error)
    ]
    told += [flag.words for flag in standing.result.flags]
    if not told:
        return ""
    items = "\n".join(f"<li>{escape(words)}</li>" for words in dict.fromkeys(told))
    return f"<h2>What was noticed in your notebook</h2>\n<ul>\n{items}\n</ul>"
