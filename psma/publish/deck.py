"""A lecture as reveal.js slides: which cells stand on which slide, and the page made of them. Pure.

nbconvert renders each cell (its Markdown, its code, its outputs); the page around them is our own,
`assets/deck.html.j2`, so that a deck asks for nothing but the files beside it.
"""

from __future__ import annotations

import base64
import copy
import html
import itertools
import mimetypes
import re
import struct
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from psma.notebook import is_r, psma, slide_type, tags

if TYPE_CHECKING:
    from nbformat import NotebookNode

ASSETS = Path(__file__).parent / "assets"
FIGURE_SCALE = 1.2
"""How much larger than its own size a figure is shown: 12-point text at 100 dots an inch becomes 20 px."""
FIGURE_WIDTH, FIGURE_HEIGHT = 1168, 460
"""Room for a figure, in px."""
R_DOTS_AN_INCH = 120
"""What R's kernel draws with, unless told otherwise (`repr.plot.res`)."""
MINUTE_MARK = re.compile(r"<strong>(\d+):(\d\d)\.?</strong>")
LOCAL_PICTURE = re.compile(r'(<img\b[^>]*?\bsrc=")(?![a-z]+:|//)([^"]+)')
KINDS = {
    "predict": re.compile(r"predict before you run", re.I),
    "turn": re.compile(r"your turn", re.I),
    "mistake": re.compile(r"common mistake", re.I),
    "break": re.compile(r"break\b", re.I),
}


@dataclass
class Part:
    """Cells of a slide that appear together; `fragment`: only after one more key press."""

    fragment: bool
    cells: list[NotebookNode] = field(default_factory=list)


@dataclass
class Slide:
    """One slide. `below` marks a subslide, which belongs to the column of the slide before it."""

    below: bool
    parts: list[Part] = field(default_factory=list)
    notes: list[NotebookNode] = field(default_factory=list)

    @property
    def cells(self) -> list[NotebookNode]:
        """The slide's cells in order, without the notes."""
        return [cell for part in self.parts for cell in part.cells]

    @property
    def cell_id(self) -> str:
        """Id of the first cell, by which a message names the slide."""
        return next((str(cell.get("id", "")) for cell in self.cells), "")


def plan(nb: NotebookNode) -> list[Slide]:
    """Put the cells on slides, by their `slide_type`.

    `skip` and raw cells stay out, `notes` go to the slide they follow, `-` and no type at all continue
    what stands before. A slide needs a visible cell: notes alone make none.
    """
    slides: list[Slide] = []
    for cell in nb.cells:
        kind = slide_type(cell) or "-"
        if kind == "skip" or cell.cell_type == "raw":
            continue
        if kind in ("slide", "subslide") or not slides:
            slides.append(Slide(below=kind == "subslide" and bool(slides)))
        slide = slides[-1]
        if kind == "notes":
            slide.notes.append(cell)
            continue
        if kind == "fragment" or not slide.parts:
            slide.parts.append(Part(fragment=kind == "fragment"))
        slide.parts[-1].cells.append(cell)
    return [slide for slide in slides if slide.parts]


def kind_of(slide: Slide) -> str:
    """What the slide asks of the room, for its look: title, predict, turn, mistake, break, or nothing."""
    first = slide.cells[0]
    text = "\n".join(cell.source for cell in slide.cells if cell.cell_type == "markdown")
    if first.cell_type == "markdown" and first.source.lstrip().startswith("# "):
        return "title"
    heading = next((line.lstrip("# ") for line in text.splitlines() if line.startswith("#")), "")
    for kind in ("turn", "mistake", "break"):
        if KINDS[kind].match(heading):
            return kind
    return "predict" if KINDS["predict"].search(text) else ""


def seconds_planned(slides: list[Slide], minutes: int) -> list[int]:
    """Seconds planned for each slide, from the minute marks in the notes, for the speaker view's clock.

    The time between two marks is shared out evenly over the slides between them; after the last mark
    the lecture runs to `minutes`. Marks that go backwards are ignored. Without marks: equal shares.
    """
    marks: list[tuple[int, int]] = [(0, 0)]
    for position, slide in enumerate(slides):
        for cell in slide.notes:
            found = re.search(r"\*\*(\d+):(\d\d)\.?\*\*", cell.source)
            at = int(found[1]) * 3600 + int(found[2]) * 60 if found else -1
            if at > marks[-1][1] and position > marks[-1][0]:
                marks.append((position, at))
                break
    marks.append((len(slides), max(minutes * 60, marks[-1][1])))
    planned: list[int] = []
    for (start, begins), (end, ends) in itertools.pairwise(marks):
        planned += [round((ends - begins) / max(end - start, 1))] * (end - start)
    return planned


# ---------------------------------------------------------------- cells


def for_slide(cell: NotebookNode, *, r: bool = False) -> NotebookNode:
    """The cell as a slide shows it: figures enlarged, an error as its last line, no widget's placeholder.

    `r`: an R kernel ran it, whose figures have more dots an inch.
    """
    cell = copy.deepcopy(cell)
    if cell.cell_type != "code":
        return cell
    cell.outputs = [shown for output in cell.get("outputs", []) if (shown := _output_for_slide(output, r))]
    if "hide-input" in tags(cell):
        cell.source = ""
    # two blank lines say no more than one, and cost 27 px
    cell.source = re.sub(r"\n{3,}", "\n\n", cell.source)
    return cell


def _output_for_slide(output: NotebookNode, r: bool) -> NotebookNode | None:
    if output.output_type == "error":
        output.traceback = [f"{output.ename}: {output.evalue}".rstrip(": ")]
    data = output.get("data", {})
    if "application/vnd.jupyter.widget-view+json" in data:
        return None
    if isinstance(png := data.get("image/png"), str):
        sizes = output.setdefault("metadata", {}).setdefault("image/png", {})
        width, height = natural_size(png, sizes, r)
        sizes["natural"] = f"{width}x{height}"
        scale = min(FIGURE_SCALE, FIGURE_WIDTH / width, FIGURE_HEIGHT / height)
        sizes["width"], sizes["height"] = round(width * scale), round(height * scale)
    return output


def natural_size(png: str, sizes: dict[str, Any], r: bool) -> tuple[int, int]:
    """A figure's width and height in px at 100 dots an inch, however many dots it was drawn with.

    IPython says so itself where it drew twice the dots. R's kernel draws 120 an inch and says 60.
    """
    width, height = png_size(png)
    if r:
        return round(width * 100 / R_DOTS_AN_INCH), round(height * 100 / R_DOTS_AN_INCH)
    return sizes.get("width") or width, sizes.get("height") or height


def png_size(encoded: str) -> tuple[int, int]:
    """Width and height in pixels of a base64 PNG, from its first bytes (PNG specification, IHDR)."""
    header = base64.b64decode(encoded[:44].replace("\n", "") + "==")
    width, height = struct.unpack(">II", header[16:24])
    return width, height


class Renderer:
    """Turns cells into HTML through nbconvert, with the course's own cell template."""

    def __init__(self, nb: NotebookNode, folder: Path) -> None:
        """`folder` is where the notebook stands: pictures that its Markdown names are put into the page."""
        self.metadata = nb.metadata
        self.r = is_r(nb)
        self.folder = folder

    def cell(self, cell: NotebookNode) -> str:
        """One cell as HTML."""
        from nbformat import from_dict

        shown = for_slide(cell, r=self.r)
        alone = from_dict({"cells": [shown], "metadata": self.metadata, "nbformat": 4, "nbformat_minor": 5})
        resources: dict[str, Any] = {"metadata": {"path": str(self.folder)}}
        resources["alt"] = psma(cell).get("alt", "")
        body, _ = _exporter().from_notebook_node(alone, resources=resources)
        return LOCAL_PICTURE.sub(self._embedded, str(body).strip())

    def _embedded(self, found: re.Match[str]) -> str:
        """A picture that stands in a file, as part of the page; left as it is if there is no such file.

        nbconvert's own `embed_images` closes every inline tag at once (`<dfn></dfn>word`), so it is off.
        """
        file = self.folder / unquote(html.unescape(found[2]))
        if not file.is_file():
            return found[0]
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        return f"{found[1]}data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"

    def note(self, cell: NotebookNode) -> str:
        """A notes cell as HTML, its minute mark large, since the speaker view has no style sheet of ours."""
        return MINUTE_MARK.sub(
            r'<strong class="minute" style="font-size:1.5em;color:#9a3d00">\1:\2</strong>', self.cell(cell)
        )


@cache
def _exporter() -> Any:
    from nbconvert import HTMLExporter

    return HTMLExporter(
        template_name="lab",
        template_file=str(ASSETS / "cell.html.j2"),
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
    )


# ---------------------------------------------------------------- the page


def render(nb: NotebookNode, *, session: str, title: str, minutes: int, folder: Path) -> str:
    """The deck's page.

    Args:
        nb: the executed lecture.
        session: its id, such as "3.2", shown at the foot of each slide.
        title: the lecture's title.
        minutes: planned length, for the speaker view's clock.
        folder: where the notebook stands.
    """
    from jinja2 import Environment, FileSystemLoader

    slides = plan(nb)
    renderer = Renderer(nb, folder)
    columns: list[list[str]] = []
    for slide, seconds in zip(slides, seconds_planned(slides, minutes), strict=True):
        section = _section(slide, renderer, foot=f"{session} · {title}", seconds=seconds)
        if slide.below:
            columns[-1].append(section)
        else:
            columns.append([section])
    pages = Environment(loader=FileSystemLoader(ASSETS), autoescape=True, keep_trailing_newline=True)
    language = "en-GB"
    return pages.get_template("deck.html.j2").render(
        columns=columns, title=f"{session} {title}", language=language, minutes=minutes
    )


def _section(slide: Slide, renderer: Renderer, *, foot: str, seconds: int) -> str:
    body = ['<div class="page">']
    for part in slide.parts:
        opening = '<div class="part fragment">' if part.fragment else '<div class="part">'
        cells = "\n".join(
            f'<div class="cell" data-cell-id="{html.escape(cell.get("id", ""))}">{renderer.cell(cell)}</div>'
            for cell in part.cells
        )
        body.append(f"{opening}\n{cells}\n</div>")
    body.append("</div>")
    if slide.notes:
        notes = "\n".join(renderer.note(cell) for cell in slide.notes)
        body.append(f'<aside class="notes">\n{notes}\n</aside>')
    body.append(f'<div class="foot" aria-hidden="true">{html.escape(foot)}</div>')
    names = f'class="{kind_of(slide)}" data-cell-id="{html.escape(slide.cell_id)}" data-timing="{seconds}"'
    return f"<section {names}>\n" + "\n".join(body) + "\n</section>"
