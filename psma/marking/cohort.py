"""The cohort as a table and as a report: marks a question, how the paper did its work, who needs a look."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from psma.marking.blueprint import Blueprint
from psma.marking.items import FEWEST, alpha, discrimination, facility
from psma.marking.model import ISOLATED, NOT_ISOLATED, Question
from psma.marking.page import number, page, share, table
from psma.marking.reports import Standing
from psma.marking.source import Paper

NEAR = 3.0
"""Marks from the pass mark within which a paper is read a second time."""
_WEAK, _HARD, _EASY = 0.2, 0.3, 0.9


@dataclass(frozen=True)
class Item:
    """A question's statistics over those who attempted its part. ``nan`` where too few did."""

    question: Question
    people: int
    mean: float
    facility: float
    discrimination: float

    @property
    def remark(self) -> str:
        """What to look at, by rules of thumb; "" where nothing stands out."""
        if self.people < FEWEST:
            return "too few attempts to say"
        if self.discrimination != self.discrimination:
            return "everyone got the same"
        if self.discrimination < 0:
            return "negative: check the key"
        if self.discrimination < _WEAK:
            return "hardly tells candidates apart"
        return "hard" if self.facility < _HARD else "easy" if self.facility > _EASY else ""


def cohort_csv(standings: Sequence[Standing], paper: Paper, blueprint: Blueprint) -> str:
    """The table as CSV, a row a candidate: marks a question, parts, total, result, flags."""
    questions = [question.id for question in paper.questions]
    parts = [part.id for part in blueprint.parts]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(
        [
            "candidate",
            *questions,
            *(f"part {part}" for part in parts),
            "counted",
            "total",
            "result",
            "isolation",
            "flags",
        ]
    )
    for each in standings:
        marks = ["" if each.marks.get(name) is None else f"{each.marks[name]:g}" for name in questions]
        sums = [f"{each.total.parts[part]:g}" for part in parts]
        flags = " ".join(flag.words for flag in each.result.flags)
        counted, total = " ".join(each.total.counted), f"{each.total.marks:g}"
        row = [
            each.result.candidate,
            *marks,
            *sums,
            counted,
            total,
            verdict(each, blueprint),
            each.result.isolation,
            flags,
        ]
        writer.writerow([f"'{cell}" if cell[:1] in ("=", "+", "-", "@") else cell for cell in row])
    return "\ufeff" + text.getvalue()


def verdict(standing: Standing, blueprint: Blueprint) -> str:
    """ "pass", "fail", or "open" while a person still has to decide something."""
    if not standing.decided:
        return "open"
    return "pass" if standing.total.marks >= blueprint.pass_mark else "fail"


def attempted(standing: Standing, part: str, blueprint: Blueprint) -> bool:
    """Whether a candidate tried a part: any mark in it, or an answer that waits for one."""
    if part not in blueprint.choice:
        return True
    own = [question for question, where in blueprint.part_of.items() if where == part]
    written = standing.result.written
    return any(standing.marks.get(q) != 0 or (q in written and not written[q].blank) for q in own)


def items(standings: Sequence[Standing], paper: Paper, blueprint: Blueprint) -> list[Item]:
    """Every question's statistics, over the candidates who attempted its part and have a mark for it."""
    found = []
    for question in paper.questions:
        part = blueprint.part_of[question.id]
        those = [
            (each, mark)
            for each in standings
            if (mark := each.marks.get(question.id)) is not None and attempted(each, part, blueprint)
        ]
        marks = [mark for _, mark in those]
        rest = [each.total.marks - (mark if part in each.total.counted else 0.0) for each, mark in those]
        mean = statistics.fmean(marks) if marks else float("nan")
        found.append(
            Item(question, len(marks), mean, facility(marks, question.points), discrimination(marks, rest))
        )
    return found


# ---------------------------------------------------------------------------------------------- the report


def cohort_html(standings: Sequence[Standing], paper: Paper, blueprint: Blueprint) -> str:
    """The report as one page of HTML."""
    read = [each for each in standings if each.result.tests or each.result.written]
    body = [
        f"<h1>{escape(blueprint.title)}: cohort report</h1>",
        _summary(standings, read, blueprint),
        _isolation(standings),
        "<h2>Distribution of totals</h2>",
        histogram([each.total.marks for each in read], blueprint),
        _parts(read, blueprint),
        _reliability(read, paper, blueprint),
        _items(read, paper, blueprint),
        _second_look(standings, blueprint),
        _everyone(standings, blueprint),
    ]
    return page(f"{blueprint.title}: cohort report", "\n".join(filter(None, body)))


def _summary(standings: Sequence[Standing], read: Sequence[Standing], blueprint: Blueprint) -> str:
    counts = {
        word: sum(verdict(each, blueprint) == word for each in standings) for word in ("pass", "fail", "open")
    }
    totals = [each.total.marks for each in read]
    middle = f"Median total {number(statistics.median(totals))}, " if totals else ""
    lines = (
        f'<div class="box"><p class="lead"><strong>{len(standings)} candidates: {counts["pass"]} passed, '
        f"{counts['fail']} did not, {counts['open']} open.</strong></p>"
        f"<p>{middle}{number(blueprint.most)} marks in all, pass mark {number(blueprint.pass_mark)}.</p>"
    )
    if counts["open"]:
        lines += "<p>While papers are open, their totals count only the marks decided so far.</p>"
    return lines + "</div>"


def _isolation(standings: Sequence[Standing]) -> str:
    loose = sum(each.result.isolation == NOT_ISOLATED for each in standings)
    safe = sum(each.result.isolation == ISOLATED for each in standings)
    if loose:
        return (
            f'<div class="box warn"><p>{loose} of {len(standings)} submissions ran '
            "<strong>not isolated</strong> from the marker's machine.</p></div>"
        )
    rest = len(standings) - safe
    others = f" The other {rest} could not be run." if rest else ""
    return f"<p>{safe} of {len(standings)} submissions ran isolated from the marker's machine.{others}</p>"


def histogram(totals: Sequence[float], blueprint: Blueprint) -> str:
    """Totals in 20 bins as an inline SVG, with the pass mark, and the same in words."""
    if not totals:
        return "<p>No totals yet.</p>"
    width, height, left, base = 760, 250, 20, 205
    step = blueprint.most / 20
    bins = [0] * 20
    for total in totals:
        bins[min(int(total / step), 19)] += 1
    top = max(bins)
    wide = (width - 2 * left) / 20
    shapes = []
    for at, count in enumerate(bins):
        tall = 150 * count / top
        x, colour = left + at * wide, "#0b5394" if at * step >= blueprint.pass_mark else "#b45f06"
        if count:
            shapes.append(
                f'<rect x="{x + 2:.1f}" y="{base - tall:.1f}" width="{wide - 4:.1f}" height="{tall:.1f}" '
                f'fill="{colour}"/>'
            )
            shapes.append(
                f'<text x="{x + wide / 2:.1f}" y="{base - tall - 5:.1f}" text-anchor="middle">{count}</text>'
            )
        if at % 2 == 0:
            shapes.append(f'<text x="{x:.1f}" y="{base + 18}" text-anchor="middle">{at * step:g}</text>')
    line = left + blueprint.pass_mark / step * wide
    shapes.append(
        f'<text x="{left + 20 * wide:.1f}" y="{base + 18}" text-anchor="middle">{blueprint.most:g}</text>'
    )
    shapes.append(f'<path d="M{left} {base}H{left + 20 * wide:.1f}" stroke="#4a5665"/>')
    shapes.append(f'<path d="M{line:.1f} 6V{base}" stroke="#1b2430" stroke-dasharray="5 4"/>')
    shapes.append(f'<text x="{line + 6:.1f}" y="18">pass mark {blueprint.pass_mark:g}</text>')
    shapes.append(
        f'<text x="{left + 10 * wide:.1f}" y="{height - 6}" text-anchor="middle">total marks</text>'
    )
    below = sum(total < blueprint.pass_mark for total in totals)
    words = (
        f"Histogram of {len(totals)} totals: lowest {number(min(totals))}, median "
        f"{number(statistics.median(totals))}, highest {number(max(totals))}; {below} below the pass mark."
    )
    return (
        f'<figure style="margin:0"><svg viewBox="0 0 {width} {height}" role="img" aria-label="{words}" '
        f'font-size="13" font-family="inherit" fill="#1b2430">{"".join(shapes)}</svg>'
        f'<figcaption class="soft">{words}</figcaption></figure>'
    )


def _parts(read: Sequence[Standing], blueprint: Blueprint) -> str:
    if len(blueprint.parts) < 2 or not read:
        return ""
    rows = []
    for part in blueprint.parts:
        those = [each for each in read if attempted(each, part.id, blueprint)]
        marks = [each.total.parts[part.id] for each in those]
        most = sum(p for q, p in blueprint.points.items() if blueprint.part_of[q] == part.id)
        counted = sum(part.id in each.total.counted for each in those)
        mean = number(statistics.fmean(marks)) if marks else "–"
        rows.append((escape(part.title), str(len(those)), str(counted), mean, number(most)))
    columns = ("Part", "Attempted", "Counted", "Mean mark", "Of")
    return "<h2>Parts</h2>\n" + table("Means over those who attempted the part", columns, rows, columns[1:])


def _reliability(read: Sequence[Standing], paper: Paper, blueprint: Blueprint) -> str:
    """Alpha over the compulsory questions: the only ones that everyone answers."""
    core = [q.id for q in paper.questions if blueprint.part_of[q.id] not in blueprint.choice]
    rows = [[each.marks.get(name) for name in core] for each in read]
    whole = [[mark for mark in row if mark is not None] for row in rows]
    found = alpha([row for row in whole if len(row) == len(core)])
    if found is None:
        words = f"Not computed: it needs at least {FEWEST} candidates whose compulsory part is fully marked."
    else:
        words = (
            f"Cronbach's alpha of the {found.items} compulsory questions is "
            f"<strong>{share(found.value)}</strong>, 95% interval {share(found.low)} to "
            f"{share(found.high)} ({found.people} candidates)."
        )
    note = (
        "Alpha says how consistently the questions rank candidates, not whether they ask the right things. "
        "Topics by choice are left out, since not everyone answers them. Interval: Feldt (1965), "
        "Psychometrika 30, 357–370."
    )
    return f'<h2>Reliability</h2>\n<p>{words}</p>\n<p class="soft">{note}</p>'


def _items(read: Sequence[Standing], paper: Paper, blueprint: Blueprint) -> str:
    rows = []
    for item in items(read, paper, blueprint):
        mean = f"{number(item.mean)} of {number(item.question.points)}"
        title = escape(item.question.title.split(" (")[0])
        easy = _bar(item.facility) + share(item.facility)
        told = share(item.discrimination), escape(item.remark)
        rows.append((title, str(item.people), mean, easy, *told))
    columns = ("Question", "Attempts", "Mean", "Facility", "Discrimination", "Look at")
    note = (
        "Facility is the mean mark as a share of the question's marks. Discrimination is the correlation of "
        f"the question with the rest of the total; below {_WEAK} a question hardly tells candidates apart. "
        "In a small cohort both are rough."
    )
    shown = table("Over those who attempted the part and have a mark", columns, rows, columns[1:5])
    return f'<h2>Questions</h2>\n<p class="soft">{note}</p>\n{shown}'


def _bar(part: float) -> str:
    """A small bar for a share, beside the figure that says the same."""
    if part != part:
        return ""
    return (
        '<svg width="62" height="10" aria-hidden="true" style="display:inline-block;margin-right:.4rem">'
        f'<rect width="60" height="10" fill="#dbe3ec"/>'
        f'<rect width="{60 * part:.0f}" height="10" fill="#0b5394"/></svg>'
    )


def _second_look(standings: Sequence[Standing], blueprint: Blueprint) -> str:
    rows = []
    for each in standings:
        why = [flag.words for flag in each.result.flags]
        waits = [q for q, mark in each.marks.items() if mark is None]
        if waits and (each.result.tests or each.result.written):
            why.append(f"{len(waits)} answers wait for a person.")
        if each.decided and abs(each.total.marks - blueprint.pass_mark) <= NEAR:
            why.append(f"Within {number(NEAR)} marks of the pass mark: read the paper a second time.")
        if why:
            needs = "yes" if not each.decided else "no"
            rows.append((escape(each.result.candidate), needs, "<br>".join(escape(words) for words in why)))
    if not rows:
        return "<h2>For a person to look at</h2>\n<p>Nothing.</p>"
    return "<h2>For a person to look at</h2>\n" + table(
        "Flags", ("Candidate", "Needs a decision", "Why"), rows
    )


def _everyone(standings: Sequence[Standing], blueprint: Blueprint) -> str:
    parts = [part for part in blueprint.parts if len(blueprint.parts) > 1]
    columns = ("Candidate", *(part.title.split(":")[0] for part in parts), "Total", "Result")
    rows = []
    for each in standings:
        sums = [
            number(each.total.parts[part.id])
            if part.id in each.total.counted
            else f"({number(each.total.parts[part.id])})"
            for part in parts
        ]
        rows.append(
            (escape(each.result.candidate), *sums, number(each.total.marks), verdict(each, blueprint))
        )
    caption = "Marks by part; in brackets, what does not count" if parts else "Totals"
    return "<h2>All candidates</h2>\n" + table(caption, columns, rows, columns[1:-1])
