"""Which cells stand on which slide, how they look there, and what a deck's folder holds."""

from __future__ import annotations

import contextlib
import re
import shutil
import zlib
from pathlib import Path

import pytest
from conftest_publish import cli, code, markdown, notebook, plot, printed
from nbformat.v4 import new_output, new_raw_cell

from psma.course import find_course
from psma.errors import PsmaError
from psma.notebook import read, write
from psma.publish import slides
from psma.publish.deck import kind_of, plan, png_size, render, seconds_planned
from psma.publish.measure import opened

pytestmark = pytest.mark.usefixtures("vendored_files")


def page_of(*cells, **psma) -> str:
    """The deck's page of these cells."""
    return render(notebook(*cells, **psma), session="3.1", title="Trial", minutes=85, folder=Path())


# ---------------------------------------------------------------- plan


def test_each_slide_type_goes_where_it_belongs():
    cells = [
        markdown("## One", "slide", "one"),
        markdown("goes on", "-", "on"),
        markdown("to read alone", "skip", "skipped"),
        markdown("then", "fragment", "step"),
        code("with the step", "-", "with-step"),
        markdown("say this", "notes", "said"),
        markdown("## Below", "subslide", "below"),
        new_raw_cell("raw", id="raw"),
        code("no type", "", "untyped"),
    ]
    title, one, below = plan(notebook(*cells))
    assert [cell.id for cell in title.cells] == ["title"]
    assert [(part.fragment, [cell.id for cell in part.cells]) for part in one.parts] == [
        (False, ["one", "on"]),
        (True, ["step", "with-step"]),
    ]
    assert [cell.id for cell in one.notes] == ["said"]
    assert (below.below, below.cell_id, [cell.id for cell in below.cells]) == (
        True,
        "below",
        ["below", "untyped"],
    )
    assert not one.below


def test_notes_or_skipped_cells_alone_make_no_slide():
    assert [
        slide.cell_id for slide in plan(notebook(markdown("x", "skip", "a"), markdown("y", "notes", "b")))
    ] == ["title"]


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("# Title", "title"),
        ("### Your turn 2 (4 minutes)", "turn"),
        ("## Common mistake: a slip", "mistake"),
        ("## Break: ten minutes", "break"),
        ("### A point\n\n*Predict before you run:* more or less?", "predict"),
        ("## Breaking news, your turns and mistakes", ""),
    ],
)
def test_the_kind_of_a_slide_is_read_from_its_words(source, kind):
    assert kind_of(plan(notebook(markdown(source)))[-1]) == kind


def test_the_speakers_clock_follows_the_minute_marks():
    def mark(at: str):
        return markdown(f"**{at}.** Say it.", "notes", f"at-{at.replace(':', '-')}")

    cells = [
        mark("0:00"),
        markdown("## A", cell_id="a"),
        mark("0:10"),
        markdown("## B", cell_id="b"),
        markdown("## C", cell_id="c"),
        mark("1:00"),
        markdown("## D", cell_id="d"),
    ]
    assert seconds_planned(plan(notebook(*cells)), 85) == [600, 1500, 1500, 750, 750]
    backwards = [markdown("## A", cell_id="a"), mark("0:30"), markdown("## B"), mark("0:20")]
    assert seconds_planned(plan(notebook(*backwards)), 60) == [1800, 900, 900]
    assert seconds_planned(plan(notebook(markdown("## A"))), 60) == [1800, 1800]


# ---------------------------------------------------------------- cells


def test_a_figure_has_its_description_and_its_size():
    page = page_of(code("plot()", outputs=[plot(900, 380)], alt='Dots that "climb" & fall'))
    picture = re.search(r"<img[^>]*data:image/png[^>]*>", page)[0]
    assert (
        'alt="Dots that &quot;climb&quot; &amp; fall"' in picture
        or "alt='Dots that \"climb\" &amp; fall'" in picture
    )
    assert 'height="456"' in picture
    assert 'width="1080"' in picture


@pytest.mark.parametrize(
    ("drawn", "said", "language", "shown"),
    [
        (
            (1800, 760),
            {"width": 900, "height": 380},
            "python",
            (1080, 456),
        ),  # twice the dots, as IPython says
        ((1080, 456), {"width": 540, "height": 228}, "R", (1080, 456)),  # 9 x 3.8 inch at 120 dots
        ((900, 700), {}, "python", (591, 460)),  # too high: shrunk, which the check reports
    ],
)
def test_a_figure_of_9_by_4_inches_is_as_large_from_every_kernel(drawn, said, language, shown):
    figure = plot(*drawn)
    figure.metadata["image/png"] = said
    nb = notebook(code("plot()", outputs=[figure], alt="A plot."))
    nb.metadata.kernelspec = {"name": "x", "display_name": "x", "language": language}
    page = render(nb, session="1.7", title="T", minutes=85, folder=Path())
    sizes = dict(
        re.findall(r'\b(width|height)="(\d+)"', re.search(r"<img[^>]*data:image/png[^>]*>", page)[0])
    )
    assert (int(sizes["width"]), int(sizes["height"])) == shown


def test_png_size_reads_the_first_bytes_only():
    assert png_size(plot(1234, 567).data["image/png"]) == (1234, 567)


def test_hidden_code_is_hidden_on_the_slide_but_its_output_stays():
    shown = page_of(code("secret_name = 1", outputs=[printed("and so it is")], tags=["hide-input"]))
    assert "secret_name" not in shown
    assert "and so it is" in shown
    assert "secret_name" in page_of(code("secret_name = 1"))


def test_an_error_shows_its_last_line_and_no_answer_or_raw_cell_shows():
    failed = new_output("error", ename="KeyError", evalue="'wait'", traceback=["Traceback", "deep in pandas"])
    page = page_of(
        code("log['wait']", outputs=[failed], answer="assert x == 42"), new_raw_cell("raw_text", id="raw")
    )
    assert re.search(r"KeyError: (&#39;|')wait", page)
    assert not re.search("deep in pandas|x == 42|raw_text", page)


def test_inline_tags_and_local_pictures_survive(tmp_path):
    from PIL import Image

    Image.new("RGB", (4, 3)).save(tmp_path / "map.png")
    words = markdown("A <dfn>queue</dfn> and ![a map](map.png) and ![far](https://example.org/x.png)")
    page = render(notebook(words), session="3.1", title="T", minutes=85, folder=tmp_path)
    assert "<dfn>queue</dfn>" in page
    assert re.search(r'<img[^>]*src="data:image/png;base64,', page)
    assert 'src="https://example.org/x.png"' in page  # left for the check to refuse


def test_a_minute_mark_stands_out_in_the_notes():
    page = page_of(markdown("## A"), markdown("**0:15.** Ask them.", "notes", "n"))
    aside = re.search(r'<aside class="notes">(.*?)</aside>', page, re.S)[1]
    assert re.search(r'<strong class="minute"[^>]*>0:15</strong>', aside)


def test_every_slide_and_cell_can_be_named():
    page = page_of(markdown("## A", cell_id="a-slide"), code("x", cell_id="a-cell"))
    assert re.search(r'<section [^>]*data-cell-id="a-slide"', page)
    assert '<div class="cell" data-cell-id="a-cell">' in page


def test_subslides_stand_in_one_column():
    page = page_of(markdown("## A"), markdown("## B", "subslide", "b"))
    assert re.search(
        r'<section>\s*<section class="" data-cell-id="words".*?data-cell-id="b".*?</section>\s*</section>',
        page,
        re.S,
    )


# ---------------------------------------------------------------- folder


def test_a_page_asks_for_nothing_but_files_beside_it(course):
    page = slides.build_deck(course(), Path("deck"), executed=notebook())
    named = re.findall(r'(?:src|href)="([^"]+)"', page.read_text())
    assert named
    for name in named:
        assert name == "data:," or (page.parent / name).is_file(), name


@pytest.mark.browser
def test_a_deck_works_from_another_place_with_the_network_off(course, browser, tmp_path):
    words = [markdown("## Formula\n\n$$ L = \\lambda W $$"), code("1", outputs=[printed("1")])]
    page = slides.build_deck(course(), tmp_path / "made", executed=notebook(*words))
    stick = shutil.copytree(page.parent, tmp_path / "usb stick")
    shutil.rmtree(page.parent)
    with opened(browser, stick / "index.html") as (view, problems):
        assert problems == []
        view.keyboard.press("Space")
        assert view.locator("section.present mjx-container svg").count() == 1
        assert view.locator(".slide-number").inner_text().split() == ["2", "/", "2"]
        assert view.locator("section.present .foot").inner_text() == "3.1 · A trial lecture"
        assert view.evaluate("[...document.fonts].filter(f => f.status === 'loaded').length") >= 2


@pytest.mark.browser
def test_speaker_view_shows_notes_and_follows(course, browser):
    cells = [
        markdown("## A"),
        markdown("**0:05.** Ask about $\\lambda$.", "notes", "n"),
        markdown("## B", cell_id="b"),
    ]
    page = slides.build_deck(course(), Path("deck"), executed=notebook(*cells))
    with opened(browser, page) as (view, problems):
        with view.context.expect_page() as popup:
            view.keyboard.press("s")
        speaker = popup.value
        view.wait_for_timeout(1500)
        view.keyboard.press("Space")
        notes = speaker.locator(".speaker-controls-notes .value")
        notes.get_by_text("Ask about").wait_for(timeout=10_000)
        assert "0:05" in notes.inner_text()
        assert notes.locator("svg").count() == 1
        assert problems == []


@pytest.mark.browser
def test_printing_gives_one_page_a_slide(course, browser):
    steps = [markdown("## A"), markdown("one", "fragment", "f1"), markdown("two", "fragment", "f2")]
    pdf = pdf_of(browser, slides.build_deck(course(), Path("deck"), executed=notebook(*steps)))
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 2
    assert set(re.findall(rb"/MediaBox\s*(\[.*?\])", pdf)) == {b"[0 0 960 540]"}


@pytest.mark.browser
def test_printing_loses_no_row_at_the_foot_of_a_slide(course, browser):
    def text_runs(rows: int) -> int:
        body = "".join("<tr><th>same</th><td>12149.0</td><td>7</td></tr>" for _ in range(rows))
        head = "<thead><tr><th></th><th>wait</th><th>busy</th></tr></thead>"
        table = f"<table>{head}<tbody>{body}</tbody></table>"
        output = new_output("execute_result", data={"text/html": table, "text/plain": "table"})
        words = markdown("## Eight weeks\n\nOne row.\n\n- **wait**: long\n- **busy**: longer")
        cells = [words, code("x = 1\n" * 5, outputs=[output]), markdown("## After", cell_id="after")]
        page = slides.build_deck(course(), Path("deck"), executed=notebook(*cells))
        pdf = pdf_of(browser, page)
        return sum(len(re.findall(rb"T[jJ]\b", text)) for text in texts_in(pdf))

    a_row = text_runs(7) - text_runs(6)
    assert a_row > 0
    assert text_runs(8) - text_runs(7) == a_row


def pdf_of(browser, page: Path) -> bytes:
    """A deck as the browser prints it."""
    with opened(browser, page, "?print-pdf") as (view, problems):
        assert problems == []
        return view.pdf(prefer_css_page_size=True, print_background=True)


def texts_in(pdf: bytes) -> list[bytes]:
    """The drawing instructions of a PDF's pages, without its typefaces and pictures."""
    found = []
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.S):
        with contextlib.suppress(zlib.error):
            found.append(zlib.decompress(stream))
    return [text for text in found if b" Tf" in text and b"BT" in text]


# ---------------------------------------------------------------- running and the cache


@pytest.fixture
def runs(monkeypatch):
    """The lectures that were really run."""
    import psma.execute

    ran: list[str] = []
    real = psma.execute.run_many

    def counting(paths, **options):
        ran.extend(Path(path).name for path in paths)
        return real(paths, **options)

    monkeypatch.setattr(psma.execute, "run_many", counting)
    return ran


def test_a_lecture_runs_again_only_if_its_code_or_its_data_changed(course, runs):
    path = course(code("print(6 * 7)", "slide"))
    assert slides.executed_lecture(path).cells[1].outputs[0].text == "42\n"
    nb = read(path)
    nb.cells[0].source = "# Another title"
    write(nb, path)
    again = slides.executed_lecture(path)
    assert (again.cells[0].source, again.cells[1].outputs[0].text) == ("# Another title", "42\n")
    assert runs == ["01_trial.ipynb"]
    Path("data/log.csv").write_text("a\n1\n")
    slides.executed_lecture(path)
    assert len(runs) == 2
    nb.cells[1].source = "print(6 * 8)"
    write(nb, path)
    assert slides.executed_lecture(path).cells[1].outputs[0].text == "48\n"
    assert len(runs) == 3
    assert len(list(Path("build/executed").rglob("*.ipynb"))) == 1  # what older versions left is gone


def test_figures_are_drawn_sharp_and_shown_at_their_size(course):
    path = course(
        code("import matplotlib.pyplot as plt\nfig, ax = plt.subplots(figsize=(6, 3))\nplt.show()", "slide")
    )
    output = slides.executed_lecture(path).cells[1].outputs[0]
    across, _ = png_size(output.data["image/png"])
    assert across == pytest.approx(2 * output.metadata["image/png"]["width"], abs=2)


def test_a_lecture_that_fails_names_the_cell_and_leaves_no_deck(course):
    course(code("1 / 0", "slide", "boom"))
    done = cli("slides", "3.1")
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert "boom" in line
    assert "ZeroDivisionError" in line
    assert not Path("build/slides").exists()


def test_an_old_deck_survives_a_lecture_that_no_longer_runs(course):
    course(code("1", "slide"))
    assert cli("slides", "3.1").returncode == 0
    before = Path("build/slides/3.1/index.html").read_bytes()
    course(code("1 / 0", "slide"))
    assert cli("slides", "3.1").returncode == 1
    assert Path("build/slides/3.1/index.html").read_bytes() == before


def test_a_module_has_an_index_and_one_bad_lecture_spoils_only_its_own_deck(course):
    course(code("1", "slide"), minutes={"lecture": 80})
    course(code("1 / 0", "slide", "boom"), name="02_bad.ipynb")
    done = cli("slides", "3", "--out", "usb")
    assert done.returncode == 1
    assert "boom" in done.stderr
    assert sorted(file.name for file in Path("usb").iterdir()) == ["3.1.html", "assets", "index.html"]
    index = Path("usb/index.html").read_text()
    assert 'href="3.1.html"' in index
    assert "80" in index
    assert "3.2" not in index


def test_other_files_in_the_folder_are_left_alone(course):
    course()
    Path("usb").mkdir()
    Path("usb/holiday.txt").write_text("mine")
    assert cli("slides", "3.1", "--out", "usb").returncode == 0
    assert Path("usb/holiday.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_written(course):
    course()
    Path("file").touch()
    done = cli("slides", "3.1", "--out", "file/deck")
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("name", "said"), [("3.9", "3.1"), ("9", "no module 9"), ("cake", "no session")])
def test_a_session_that_is_not_there(course, name, said):
    course()
    done = cli("slides", name)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_module_without_lectures(course):
    course()
    Path("modules/04_nlp").mkdir()
    assert "no lectures yet" in cli("slides", "4").stderr


@pytest.mark.browser
def test_check_says_what_does_not_fit_and_exits_1(course):
    course(code("x = 1\n" * 40, "slide", "forty-lines"))
    done = cli("slides", "--check", "3.1", "--shots", "shots")
    assert done.returncode == 1
    assert re.search(r"3\.1 slide 2, cell forty-lines: runs \d+ px below", done.stdout)
    assert Path("shots/contact-sheet.png").is_file()
    course(code("x = 1", "slide"))
    done = cli("slides", "--check", "3.1")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "3.1: all 2 slides fit")


def test_decks_are_made_without_chromium_and_only_the_check_needs_it(course):
    course()
    assert cli("slides", "3.1", PSMA_CHROMIUM="/nowhere").returncode == 0
    done = cli("slides", "--check", "3.1", PSMA_CHROMIUM="/nowhere")
    assert done.returncode == 2
    assert "install Chromium" in done.stderr.strip().splitlines()[-1]


def test_the_course_found_is_the_one_of_the_test(course):
    course()
    assert [session.id for session in find_course().sessions] == ["3.1"]
    with pytest.raises(PsmaError):
        find_course().session("3.2")
