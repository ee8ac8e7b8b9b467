"""The home page of the course in JupyterLab, as Markdown with the little HTML that its preview lets through.
Pure.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psma.course import Module
    from psma.work import CourseProgress, SessionProgress

LINE = "1px solid rgba(128,128,128,0.35)"
BLUE, GREY, FAINT = "#0072b2", "rgba(128,128,128,0.25)", "rgba(128,128,128,0.08)"  # for light and dark themes
CELL = f"text-align:left; padding:6px 10px; border-bottom:{LINE}; background-color:transparent"
WIDTHS = ("5%", "47%", "13%", "13%", "22%")


def page(progress: CourseProgress) -> str:
    """The whole page."""
    right = sum(session.count("right") for session in progress.sessions)
    tasks = sum(len(session.tasks) for session in progress.sessions)
    parts = [
        "# Applied modelling and data science for policing and health",
        f"{bar(right, tasks, 260)} <b>{right} of {tasks}</b> tasks right" if tasks else "",
        where_next(progress),
        *(module(progress, m) for m in progress.course.modules),
        HELP,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def bar(part: int, whole: int, width: int) -> str:
    """A bar of ``width`` pixels, filled by part / whole; the figures stand beside it in words."""
    filled = round(width * part / whole) if whole else 0
    style = "display:inline-block; height:10px; vertical-align:middle"
    full = f'<span style="{style}; width:{filled}px; background-color:{BLUE}"></span>' if filled else ""
    empty = f'<span style="{style}; width:{width - filled}px; background-color:{GREY}"></span>'
    return full + (empty if filled < width else "")


def where_next(progress: CourseProgress) -> str:
    """One box: the session to go on with, and at which step."""
    following = progress.next
    if following is None:
        text = "Every task of every session that is here is right. What will you model at work?"
        return box(text if progress.sessions else "No session is here yet: run git pull, then psma lab.")
    title = f"<b>{following.session.id} {escape(following.session.title)}</b>"
    step = "Go on with" if following.begun else "Start with"
    target, where = (exercise(following), "exercise") if following.begun else (lecture(following), "lecture")
    detail = f": {escape(following.next_step)}" if following.begun else ""
    return box(f'<b>Where to go next</b><br>{step} {title}{detail}. <a href="{target}">Open the {where}</a>')


def box(text: str) -> str:
    """A paragraph with a bar at its left."""
    style = f"border-left:4px solid {BLUE}; padding:8px 14px; margin:14px 0px; background-color:{FAINT}"
    return f'<div style="{style}">{text}</div>'


def module(progress: CourseProgress, wanted: Module) -> str:
    """A module's heading and the table of its sessions."""
    heading = f"## {wanted.number} · {wanted.title}"
    rows = [row(session) for session in progress.sessions if session.session.module == wanted.number]
    if not rows:
        return f"{heading}\n\n*In preparation.*"
    cells = zip(("", "Session", "Lecture", "Exercise", "Tasks right"), WIDTHS, strict=True)
    head = "".join(
        f'<th style="{CELL}; width:{width}; font-weight:bold">{name}</th>' for name, width in cells
    )
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'{heading}\n\n<table style="width:100%; border:none">{body}</table>'


def row(done: SessionProgress) -> str:
    """One session: title, links that open in JupyterLab, progress."""
    session = done.session
    right, of = done.count("right"), len(done.tasks)
    state = f"{bar(right, of, 80)} {right} of {of}" if of else "written" if done.done else "no checks"
    links = [
        f'<a href="{lecture(done)}">lecture</a>{" ✓" * done.lecture_run}'
        if session.lecture.is_file()
        else "",
        f'<a href="{exercise(done)}">exercise</a>{" ✓" * done.done}' if session.exercise.is_file() else "",
    ]
    cells = (session.id, escape(session.title), *links, state if session.exercise.is_file() else "")
    return "<tr>" + "".join(f'<td style="{CELL}">{cell}</td>' for cell in cells) + "</tr>"


def lecture(done: SessionProgress) -> str:
    """Link to the trainee's copy of the lecture, relative to work/."""
    return f"{done.session.folder}/{done.session.name}.lecture.ipynb"


def exercise(done: SessionProgress) -> str:
    """Link to the trainee's copy of the exercise, relative to work/."""
    return f"{done.session.folder}/{done.session.name}.ipynb"


HELP = """## How to work

Lecture and exercise open as **your own copies** in `work/`; nothing that you edit there is ever overwritten.
To get a fresh copy, delete yours and run `psma lab` again. A check answers in one line, and this page counts
it when you open it anew. Worked solutions are in [solutions/](../solutions), the data and what they mean in
[data/README.md](../data/README.md), and [docs/self-study.md](../docs/self-study.md) says how to study alone.
`psma doctor` says what is missing on this machine."""
