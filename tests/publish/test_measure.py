"""The test of the slide test: a deck that does not fit is caught, and named; one that fits is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest_publish import code, markdown, notebook, plot, printed

from psma.errors import PsmaError
from psma.publish import measure as m
from psma.publish.slides import build_deck

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("vendored_files")]


def problems(tmp_path: Path, browser, *cells) -> dict[str, m.Problem]:
    """What is wrong with a deck of these cells, by kind."""
    page = build_deck(tmp_path / "01_trial.ipynb", tmp_path / "deck", executed=notebook(*cells))
    found = m.measure(page, browser).problems
    assert len({problem.kind for problem in found}) == len(found), found
    return {problem.kind: problem for problem in found}


def test_a_deck_that_fits_is_left_alone(tmp_path, browser):
    fits = [
        markdown(
            "## One idea\n\n$\\rho = \\lambda s$ and $$ W_q = s\\,\\frac{\\rho}{1-\\rho} $$\n\n- a\n- b"
        ),
        code("x = 1\n" * 9, cell_id="nine-lines", outputs=[printed("£ 5 to $6, then $7\n")]),
        code("plot()", "slide", "figure", outputs=[plot()], alt="A blue plane.", tags=["hide-input"]),
        markdown("**Spoken summary.** " + "Words that say what is there. " * 8, "-", "summary"),
    ]
    assert problems(tmp_path, browser, *fits) == {}


def test_too_tall_is_named_by_its_lowest_cell_and_by_how_much(tmp_path, browser):
    tall = [markdown("## Heading", cell_id="heading"), code("x = 1\n" * 30, cell_id="thirty-lines")]
    found = problems(tmp_path, browser, *tall)["bottom"]
    assert (found.cell_id, found.slide) == ("thirty-lines", 2)
    assert 100 < found.pixels < 300
    taller = problems(tmp_path, browser, tall[0], code("x = 1\n" * 31, cell_id="more"))["bottom"]
    assert taller.pixels - found.pixels == 27  # one line of code
    assert f"{found.pixels} px" in str(found)
    assert "thirty-lines" in str(found)


def test_a_step_that_only_appears_later_counts(tmp_path, browser):
    steps = [markdown("## Heading"), *[markdown("- step\n" * 9, "fragment", f"step-{n}") for n in range(3)]]
    assert problems(tmp_path, browser, *steps)["bottom"].cell_id == "step-2"


@pytest.mark.parametrize(
    "cell",
    [
        code("x = " + "1 + " * 40 + "1", "slide", "wide"),
        code("print()", "slide", "wide", outputs=[printed("9" * 120)]),
        markdown("## Formula\n\n$$ " + "x + " * 60 + "x $$", cell_id="wide"),
        markdown("| a |" * 30 + "\n" + "|---|" * 30 + "\n" + "| four |" * 30, cell_id="wide"),
    ],
    ids=["code", "output", "formula", "table"],
)
def test_too_wide(tmp_path, browser, cell):
    found = problems(tmp_path, browser, cell)["right"]
    assert found.cell_id == "wide"
    assert found.pixels > 20


def test_tiny_text(tmp_path, browser):
    small = markdown('## Small print\n\n<span style="font-size:14px">terms apply</span>', cell_id="small")
    found = problems(tmp_path, browser, small)["font"]
    assert (found.cell_id, found.pixels) == ("small", 5)
    assert "14 px" in found.what


@pytest.mark.parametrize(
    "source",
    ["Wait $\\frac{1}{2$ then", "So $\\nosuchmacro x$ it", "Open \\\\(\\rho = 1 and", "$$ \\rho = 1"],
    ids=["brace", "macro", "never-closed", "display-never-closed"],
)
def test_a_formula_that_is_not_drawn(tmp_path, browser, source):
    assert problems(tmp_path, browser, markdown(f"## F\n\n{source}", cell_id="f"))["formula"].cell_id == "f"


def test_a_figure_that_is_shrunk_or_not_described(tmp_path, browser):
    found = problems(tmp_path, browser, code("plot()", "slide", "big", outputs=[plot(900, 700)]))
    assert set(found) == {"figure", "alt"}
    assert found["figure"].pixels > 200


def test_an_address_outside_is_refused_and_named(tmp_path, browser):
    outside = markdown('## P\n\n<img alt="a" src="https://example.org/a.png">', cell_id="far")
    found = problems(tmp_path, browser, outside)
    assert "https://example.org/a.png" in found["request"].what
    assert found["image"].cell_id == "far"


def test_a_script_that_fails_is_named(tmp_path, browser):
    assert (
        "no such luck"
        in problems(tmp_path, browser, markdown("## S\n\n<script>throw Error('no such luck')</script>"))[
            "script"
        ].what
    )


def test_what_only_the_speaker_sees_or_is_folded_does_not_count(tmp_path, browser):
    notes = markdown("**0:15.** " + "Say this. " * 900, "notes", "spoken")
    folded = markdown("<details><summary>Hint</summary>" + "<p>line</p>" * 40 + "</details>", "-", "folded")
    assert problems(tmp_path, browser, markdown("## Short", cell_id="short"), notes, folded) == {}


def test_without_chromium_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(m, "find_chromium", lambda: None)
    with pytest.raises(PsmaError, match="install Chromium") as caught, m.chromium():
        pass
    assert "\n" not in str(caught.value)


def test_a_driver_that_does_not_start_is_one_line_too(monkeypatch):
    """As on a Debian without libatomic1, whose loader refuses the driver's program."""

    def refuse():
        raise RuntimeError("Connection closed while reading from the driver")

    monkeypatch.setattr(m, "find_chromium", lambda: "/usr/bin/chromium")
    monkeypatch.setattr("playwright.sync_api.sync_playwright", refuse)
    with pytest.raises(PsmaError, match=r"does not start .* apt install libatomic1") as caught, m.chromium():
        pass
    assert "\n" not in str(caught.value)


def test_pictures_and_a_contact_sheet(tmp_path, browser):
    from PIL import Image

    page = build_deck(tmp_path / "01_trial.ipynb", tmp_path / "deck", executed=notebook(markdown("## Two")))
    m.measure(page, browser, shots=tmp_path / "shots")
    assert sorted(file.name for file in (tmp_path / "shots").iterdir()) == [
        "001.png",
        "002.png",
        "contact-sheet.png",
    ]
    with Image.open(tmp_path / "shots" / "002.png") as slide:
        assert slide.size == (1280, 720)
