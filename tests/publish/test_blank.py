"""The blank for live coding: demo code gone, everything else there, and nothing typed is ever lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest_publish import cli, code, markdown, notebook, printed

from psma.course import find_course
from psma.notebook import read, slide_type, write
from psma.publish.blank import blank_from

CELLS = [
    code("import math", "skip", "set-up"),
    markdown("*Predict before you run:* more?", cell_id="prediction"),
    code("print(math.pi)", "slide", "demo", outputs=[printed("3.14\n")]),
    markdown("**0:10.** Ask.", "notes", "said"),
    code("plot()", "slide", "figure", tags=["hide-input"], alt="A plot."),
    code("beds = 28\n# your code here", "-", "turn", answer="assert beds == 28"),
    code("1 / 0", "-", "mistake", tags=["raises-exception"]),
]


def test_only_demo_code_is_emptied_and_only_notes_go():
    blank = blank_from(notebook(*CELLS))
    sources = {cell.id: cell.source for cell in blank.cells}
    assert sources == {
        "title": "# A trial lecture",
        "set-up": "import math",
        "prediction": "*Predict before you run:* more?",
        "demo": "",
        "figure": "plot()",
        "turn": "beds = 28\n# your code here",
        "mistake": "",
    }
    assert not any(cell.get("outputs") for cell in blank.cells)


def test_where_cells_are_tagged_live_only_those_are_emptied():
    chosen = code("print(math.e)", "slide", "worth-typing", tags=["live"])
    blank = blank_from(notebook(*CELLS, chosen))
    sources = {cell.id: cell.source for cell in blank.cells}
    assert sources["worth-typing"] == ""
    assert (sources["demo"], sources["mistake"]) == ("print(math.pi)", "1 / 0")


def test_the_lecture_itself_is_not_changed():
    lecture = notebook(*CELLS)
    blank_from(lecture)
    assert lecture.cells[3].source == "print(math.pi)"


def test_it_goes_where_its_data_are_found_and_is_never_overwritten(course):
    course(*CELLS)
    done = cli("blank", "3.1")
    made = Path("work/03_queuing_des/01_trial_blank.ipynb")
    assert (done.returncode, Path(done.stdout.strip()).resolve()) == (0, made.resolve())
    assert cli("blank", "3.1").returncode == 0  # untouched: made again
    typed = read(made)
    typed.cells[3].source = "print(math.tau)"
    write(typed, made)
    again = cli("blank", "3.1")
    assert again.returncode == 2
    assert "--force" in again.stderr
    assert read(made).cells[3].source == "print(math.tau)"
    assert cli("blank", "3.1", "--force").returncode == 0
    assert read(made).cells[3].source == ""


def test_another_place(course):
    course(*CELLS)
    assert cli("blank", "3.1", "--out", "stage.ipynb").returncode == 0
    assert cli("blank", "3.1", "--out", "stage").returncode == 0
    assert read(Path("stage.ipynb")) == read(Path("stage/01_trial_blank.ipynb"))


@pytest.mark.parametrize("session", [s.id for s in find_course(Path(__file__)).sessions])
def test_every_lectures_blank_keeps_its_set_up_and_asks_for_code(session):
    lecture = read(find_course(Path(__file__)).session(session).lecture)
    blank = {cell.id: cell for cell in blank_from(lecture).cells}
    codes = [cell for cell in lecture.cells if cell.cell_type == "code"]
    if codes:
        assert blank[codes[0].id].source == codes[0].source != "", "the set-up cell comes first and stays"
    emptied = [cell for cell in codes if cell.source and not blank[cell.id].source]
    assert emptied or not any(slide_type(cell) == "slide" for cell in codes)
