"""Every notebook of the course keeps the rules; what they are, test_rules_of_rules shows on bad examples."""

from __future__ import annotations

from pathlib import Path

import pytest
from rulebook import KINDS, Page
from rules import pages, violations
from rules_course import COURSE_RULES

from psma.course import find_course

COURSE = find_course(Path(__file__))
PAGES = list(pages(COURSE))
NAMES = {"modules": "lecture", "exercises": "exercise", "solutions": "solution"}


def listed(found) -> str:
    """Return the violations, one a line."""
    return "".join(f"\n  {violation}" for violation in found)


@pytest.mark.parametrize("session", COURSE.sessions, ids=lambda session: session.id)
def test_every_lecture_can_be_read(session):
    """A lecture that cannot be read would pass every rule below."""
    assert not session.problem


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.session} {NAMES[page.kind]}")
def test_notebook(page: Page):
    """No rule is broken; the message lists all that are."""
    assert page.kind in KINDS
    known = {name: getattr(page, name) for name in ("raw", "exists", "lecture", "solution")}
    found = violations(page.nb, page.kind, page.path, **known)
    if found:
        pytest.fail(f"{page.path}{listed(found)}", pytrace=False)


@pytest.mark.parametrize("rule", COURSE_RULES, ids=lambda rule: rule.__name__)
def test_all_notebooks_together(rule):
    """A check that is asked twice, sentences that are copied, a session without its solution."""
    found = [f"{path}: {violation}" for path, violation in rule(PAGES)]
    if found:
        pytest.fail(listed(found), pytrace=False)
