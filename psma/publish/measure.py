"""Does every slide fit? Measured in a real browser, with transitions off and the formulas drawn."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psma.errors import PsmaError

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from playwright.sync_api import Browser, Page

ASSETS = Path(__file__).parent / "assets"
WIDTH, HEIGHT = 1280, 720
FOOT = 28
"""Height in px of the line at the foot of a slide, with the session and the slide number."""
LIMITS = {"bottom": HEIGHT - FOOT, "right": WIDTH, "font": 19}
PATIENCE = 30_000
"""Milliseconds to wait for a deck to stand."""
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
INSTALL = "install Chromium (apt install chromium, brew install chromium) or set PSMA_CHROMIUM to a browser"
DRIVER = "install the libraries that it names above (a small Debian lacks one: apt install libatomic1)"

SAID = {
    "bottom": "runs {pixels} px below the foot line",
    "right": "runs {pixels} px over the right edge",
    "left": "begins {pixels} px left of the slide",
    "top": "begins {pixels} px above the slide",
    "font": "text too small, {pixels} px under {font} ({detail})",
    "formula": "formula not drawn: {detail}",
    "figure": "figure too large by {pixels} px, so its text shrinks: draw it at 9 x 3.8 inch ({detail})",
    "alt": "figure without metadata.psma.alt",
    "image": "picture that does not load: {detail}",
    "request": "asks for an address outside the deck: {detail}",
    "script": "a script fails: {detail}",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong on a slide. `pixels` is by how much, 0 where that has no meaning."""

    cell_id: str
    what: str
    pixels: int = 0
    slide: int = 0
    kind: str = ""

    def __str__(self) -> str:
        return f"slide {self.slide}, cell {self.cell_id or '?'}: {self.what}" if self.slide else self.what


@dataclass(frozen=True)
class Measured:
    """A deck's problems, and where each slide's lowest point lies (px from its top)."""

    problems: list[Problem]
    bottoms: list[tuple[str, int]]


def find_chromium() -> str | None:
    """Path of a Chromium-like browser: `PSMA_CHROMIUM`, the system's, or the one Playwright fetched."""
    if chosen := os.environ.get("PSMA_CHROMIUM"):
        return chosen if Path(chosen).is_file() else None
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """One headless browser, for as many decks as there are.

    Raises:
        PsmaError: there is no Chromium, or it or what drives it does not start.
    """
    from playwright.sync_api import Error, sync_playwright

    path = find_chromium()
    if path is None:
        raise PsmaError(f"Chromium is needed to measure slides: {INSTALL}")
    with contextlib.ExitStack() as stack:
        try:
            playwright = stack.enter_context(sync_playwright())
        except Exception as error:  # the driver is a program of its own, and says what it lacks on stderr
            raise PsmaError(f"Playwright's driver does not start ({error}): {DRIVER}") from error
        try:
            browser = playwright.chromium.launch(executable_path=path, args=browser_arguments())
        except Error as error:
            raise PsmaError(f"{path} does not start ({error.message.splitlines()[0]}): {INSTALL}") from error
        try:
            yield browser
        finally:
            browser.close()


def browser_arguments() -> list[str]:
    """Flags for the same text rendering everywhere; no sandbox only where there is no other way (root)."""
    arguments = ["--font-render-hinting=none", "--disable-lcd-text", "--hide-scrollbars"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--no-sandbox")
    return arguments


@contextlib.contextmanager
def opened(browser: Browser, page_file: Path, query: str = "") -> Iterator[tuple[Page, list[Problem]]]:
    """A deck's page with the network off, ready to be walked, and what went wrong while it loaded.

    Every request that leaves the deck's folder is refused and noted.
    """
    home = page_file.resolve().parent.as_uri() + "/"
    problems: list[Problem] = []
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, offline=True)
    try:
        context.route("**/*", lambda route: _answer(route, home, problems))
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(_problem("script", detail=str(error)[:120])))
        page.goto(page_file.resolve().as_uri() + query)
        page.wait_for_selector("html[data-ready]", state="attached", timeout=PATIENCE)
        yield page, problems
    finally:
        context.close()


def _answer(route: Any, home: str, problems: list[Problem]) -> None:
    url = route.request.url
    if url.startswith((home, "data:", "blob:", "about:")):
        route.continue_()
    else:
        problems.append(_problem("request", detail=url[:120]))
        route.abort()


def _problem(kind: str, *, cell_id: str = "", pixels: int = 0, slide: int = 0, detail: str = "") -> Problem:
    said = SAID[kind].format(pixels=pixels, detail=" ".join(detail.split()), font=LIMITS["font"])
    return Problem(cell_id, said, pixels, slide, kind)


def measure(page_file: Path, browser: Browser, *, shots: Path | None = None) -> Measured:
    """Walk a built deck and measure every slide; with `shots`, save a PNG a slide there."""
    from playwright.sync_api import Error

    try:
        with opened(browser, page_file) as (page, problems):
            slides = page.evaluate((ASSETS / "measure.js").read_text(encoding="utf-8"), LIMITS)
            if shots:
                photograph(page, shots)
    except Error as error:
        why = error.message.splitlines()[0]
        raise PsmaError(f"{page_file}: the browser could not show the deck ({why})") from error
    found = list(problems)
    for slide in slides:
        for raw in slide["problems"]:
            found.append(_problem(raw.pop("what"), **raw))
    return Measured(found, [(slide["cell_id"], slide["bottom"]) for slide in slides])


def check_lecture(
    path: Path, executed: NotebookNode | None = None, browser: Browser | None = None
) -> list[Problem]:
    """What does not fit on the slides of one lecture; an empty list if all is well.

    Args:
        path: the lecture.
        executed: the same notebook with its outputs, if somebody has run it already.
        browser: an open one, to be used for many lectures; without it one is started.

    Raises:
        PsmaError: the lecture does not run, or Chromium is missing.
    """
    from psma.publish.slides import build_deck

    with tempfile.TemporaryDirectory(prefix="psma-slides-") as folder, contextlib.ExitStack() as stack:
        page = build_deck(path, Path(folder), executed=executed)
        return measure(page, browser or stack.enter_context(chromium())).problems


# ---------------------------------------------------------------- pictures


def photograph(page: Page, folder: Path) -> list[Path]:
    """Save a PNG of every slide of an open deck, and one contact sheet of them all."""
    folder.mkdir(parents=True, exist_ok=True)
    count = page.evaluate("Reveal.getTotalSlides()")
    pictures = []
    for number in range(count):
        page.evaluate(
            "n => { const {h, v} = Reveal.getIndices(Reveal.getSlides()[n]); Reveal.slide(h, v); }", number
        )
        pictures.append(folder / f"{number + 1:03d}.png")
        page.screenshot(path=pictures[-1])
    contact_sheet(pictures, folder / "contact-sheet.png")
    return pictures


def contact_sheet(pictures: list[Path], target: Path, *, columns: int = 4, width: int = 480) -> None:
    """All slides small on one picture, in reading order."""
    from PIL import Image

    gap, height = 8, width * HEIGHT // WIDTH
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * (width + gap) + gap, rows * (height + gap) + gap), "#8a96a1")
    for position, picture in enumerate(pictures):
        row, column = divmod(position, columns)
        with Image.open(picture) as slide:
            small = slide.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
        sheet.paste(small, (gap + column * (width + gap), gap + row * (height + gap)))
    sheet.save(target)
