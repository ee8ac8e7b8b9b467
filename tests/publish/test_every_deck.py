"""Every lecture's deck, network off, every slide measured: the report names notebook, cell and pixels."""

from __future__ import annotations

from pathlib import Path

import pytest

from psma.course import find_course
from psma.publish.measure import check_lecture
from psma.publish.slides import LectureFailed

COURSE = find_course(Path(__file__))


@pytest.mark.usefixtures("vendored_files")
@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("session", COURSE.sessions, ids=[session.id for session in COURSE.sessions])
def test_every_slide_of_a_lecture_fits_and_asks_for_nothing_outside(session, browser):
    try:
        problems = check_lecture(session.lecture, browser=browser)
    except LectureFailed as error:
        if error.skipped:
            pytest.skip(str(error))
        raise
    name = session.lecture.relative_to(COURSE.root)
    assert not problems, "\n" + "\n".join(f"{name}: {problem}" for problem in problems)
