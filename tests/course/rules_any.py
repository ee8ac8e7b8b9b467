"""Rules for every notebook: its file, its text, its code. Text and code of an exercise are its solution's."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import unquote

import nbformat
from rulebook import LECTURE, SOLUTION, Found, Page, code_lines, one, prose, rule

from psma import notebook
from psma.errors import PsmaError

HYPE = re.compile(
    r"\b(delve|unlock|seamless|robustly|cutting-edge|state-of-the-art|game[- ]chang\w*|in today's|"
    r"powerful tool|dive into|deep dive|embark on|crucial(?:ly)?|revolutioni\w+|it is important to note)\b",
    re.IGNORECASE,
)
US = re.compile(
    r"\b(colors?|colored|behaviors?|behavioral|neighbors?|neighborhoods?|labor|favorite|centers?|modeling|modeled|"
    r"modelers?|labeled|labeling|traveled|traveling|canceled|analyze[ds]?|analyzing|catalog|"
    r"visualiz\w+|(?<!World Health )organiz\w+|"
    r"optimiz\w+|prioritiz\w+|recogniz\w+|summariz\w+|minimiz\w+|maximiz\w+|normaliz\w+)\b",
    re.IGNORECASE,
)
EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf]")
UNFINISHED = re.compile(r"\b(TODO|TBD|FIXME|XXX|lorem)\b")
DATED = re.compile(
    r"np\.random\.(seed|rand|randn|randint|normal|exponential|choice|poisson|uniform|shuffle)\b|RandomState|"
    r"^\s*import random\b|(?<!self\.)(?<!model\.)\brandom\.(expovariate|choice|random|seed)\(|"
    r"Adam\(lr=|mesa\.time|fbprophet|inplace=True|plt\.cm\.jet|freq=.M.\)",
    re.MULTILINE,
)
NETWORK = re.compile(
    r"\w+\(\s*f?[\"']https?://|https?://\S+\.(?:csv|json|zip|geojson)|urlopen|urlretrieve|"
    r"^\s*(?:import|from) (?:requests|httpx|aiohttp|urllib\.request|socket)\b|requests\.\w+\(|"
    r"nltk\.download|fetch_\w+\(|sns\.load_dataset|get_rdataset|keras\.datasets|graph_from_place|"
    r"install\.packages\(|download\.file\(|\b(?:wget|curl) |^\s*[%!]+\s*(?:pip|conda|mamba|uv)\b",
    re.MULTILINE,
)
SHELL = re.compile(r"^\s*(!|%%(bash|sh|cmd|system)\b|%(system|sx)\b|os\.system\(|subprocess\.)", re.MULTILINE)
ABSOLUTE = re.compile(
    r"[\"'(](/(?:home|tmp|Users|root|work|mnt|opt|var|etc)/|~/|[A-Za-z]:[\\/]{1,2}\w|file://)"
)
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)|(?:src|href)=[\"']([^\"']+)")
R_DATA = re.compile(r"file\.path\(\s*DATA\s*,\s*([^)]+)\)")


# ---------------------------------------------------------------- the file


@rule()
def schema(page: Page) -> Iterator[Found]:
    """The file is a valid notebook of format 4.5."""
    if (page.nb.get("nbformat"), page.nb.get("nbformat_minor")) != (4, 5):
        yield (
            None,
            f"has format {page.nb.get('nbformat')}.{page.nb.get('nbformat_minor')}, not 4.5: run psma tidy",
        )
        return
    for error in nbformat.validator.iter_validate(page.nb):
        yield None, str(error).splitlines()[0]


@rule()
def tidy(page: Page) -> Iterator[Found]:
    """The file stands on disk as psma tidy writes it."""
    try:
        clean = notebook.tidy(page.nb)
        if (page.raw or notebook.to_bytes(page.nb)) != notebook.to_bytes(clean):
            yield None, f"{notebook.what_changed(page.nb, clean)}: run psma tidy"
    except PsmaError as error:
        yield None, str(error)


@rule(SOLUTION)
def words_as_ids(page: Page) -> Iterator[Found]:
    """Tasks and checks have ids that an author gave."""
    for cell in page.cells:
        named = notebook.tags(cell) & {"task", "check"}
        if named and re.fullmatch(r"(md|code|raw)-[0-9a-f]{8}(-\d+)?", cell.get("id", "")):
            yield cell, f"the {named.pop()} needs an id of words, such as `task-wait`"


# ---------------------------------------------------------------- headings


@rule(LECTURE, SOLUTION)
def one_title(page: Page) -> Iterator[Found]:
    """There is one H1, and it opens the notebook."""
    titles = [h for h in page.headings if h.level == 1]
    if len(titles) != 1:
        yield None, f"has {one(len(titles), 'H1 title')} instead of 1"
    elif titles[0].index:
        yield page.cells[titles[0].index], "the title stands in the first cell"


@rule(LECTURE, SOLUTION)
def heading_levels(page: Page) -> Iterator[Found]:
    """No level is skipped on the way down."""
    for above, below in zip(page.headings, page.headings[1:], strict=False):
        if below.level > above.level + 1:
            yield page.cells[below.index], f"'{below.text}' skips from level {above.level} to {below.level}"


# ---------------------------------------------------------------- language


def _language(page: Page, pattern: re.Pattern[str], what: str) -> Iterator[Found]:
    """Where the pattern stands in the prose; code spans, tags and all from the references on are left out."""
    for cell in page.cells:
        if cell.cell_type != "markdown":
            continue
        text, *references = re.split(
            r"^#+ .*references", prose(cell.source), flags=re.IGNORECASE | re.MULTILINE
        )
        bare = re.sub(r"`[^`]*`|<[^>]+>|\]\([^)]*\)", "", text)
        for found in sorted({match[0] for match in pattern.finditer(bare)}):
            yield cell, f"{what}: {found}"
        if references:
            return


@rule(LECTURE, SOLUTION)
def british_spelling(page: Page) -> Iterator[Found]:
    """Prose is British English."""
    yield from _language(page, US, "American spelling")


@rule(LECTURE, SOLUTION)
def plain_words(page: Page) -> Iterator[Found]:
    """No marketing words."""
    yield from _language(page, HYPE, "marketing word")


@rule(LECTURE, SOLUTION)
def no_emoji(page: Page) -> Iterator[Found]:
    """No emoji, in prose or in code."""
    for cell in page.cells:
        if found := EMOJI.search(cell.source):
            yield cell, f"holds {found[0]!r}"


@rule(LECTURE, SOLUTION)
def finished(page: Page) -> Iterator[Found]:
    """No mark of unfinished work."""
    for cell in page.cells:
        if found := UNFINISHED.search(cell.source):
            yield cell, f"holds {found[0]}"


# ---------------------------------------------------------------- code


@rule(LECTURE, SOLUTION)
def line_width(page: Page) -> Iterator[Found]:
    """Lines of code are at most 88 characters."""
    for _, cell in page.code:
        wide = [line for line in cell.source.split("\n") if len(line) > 88]
        if wide:
            yield cell, f"{one(len(wide), 'line')} over 88 characters: {wide[0][:40]}…"


@rule(LECTURE, SOLUTION)
def no_network(page: Page) -> Iterator[Found]:
    """Nothing is fetched, nothing is installed, no command of the shell is run (git sessions may run git)."""
    for _, cell in page.code:
        acts = "\n".join(code_lines(cell.source))
        if found := NETWORK.search(acts):
            yield cell, f"reaches for the network: {found[0].strip()}"
        elif page.form != "git" and (found := SHELL.search(acts)):
            yield cell, f"runs the shell: {found[0].strip()}"


@rule(LECTURE, SOLUTION)
def no_dated_code(page: Page) -> Iterator[Found]:
    """No legacy random numbers, no interface that its library has left behind."""
    for _, cell in page.code:
        if not page.is_r and (found := DATED.search(cell.source)):
            yield cell, f"dated: {found[0].strip()}"


@rule(LECTURE, SOLUTION)
def seeded(page: Page) -> Iterator[Found]:
    """Every random generator has a seed."""
    for _, cell in page.code:
        if re.search(r"default_rng\(\s*(None)?\s*\)", cell.source):
            yield cell, "default_rng() without a seed gives other numbers every time"


@rule(LECTURE, SOLUTION)
def imports(page: Page) -> Iterator[Found]:
    """A lecture teaches through no helper; an exercise takes check from psma.checks, and nothing else."""
    for _, cell in page.code:
        for line in re.findall(
            r"^\s*((?:from|import) psma\b.*|source\(.*check\.R.*)", cell.source, re.MULTILINE
        ):
            if page.kind == LECTURE:
                yield cell, f"a lecture does without: {line}"
            elif not line.startswith("source(") and line.strip() != "from psma.checks import check":
                yield cell, f"import nothing of psma but `from psma.checks import check`: {line}"


# ---------------------------------------------------------------- files


@rule(LECTURE, SOLUTION)
def relative_paths(page: Page) -> Iterator[Found]:
    """No path of somebody's machine, in code or prose."""
    for cell in page.cells:
        if found := ABSOLUTE.search(cell.source):
            yield cell, f"absolute path: {found[0]}"


@rule(LECTURE, SOLUTION)
def links(page: Page) -> Iterator[Found]:
    """What a relative link or an image names is there."""
    for cell in page.cells:
        if cell.cell_type != "markdown":
            continue
        for match in LINK.finditer(re.sub(r"`[^`]*`", "", prose(cell.source))):
            target = (match[1] or match[2]).split("#")[0]
            if target and not re.match(r"(https?|mailto|attachment|data):", target):
                place = _resolve(page.path.parent, unquote(target))
                if place is None or not page.exists(place):
                    yield cell, f"the link to {target} leads nowhere"


@rule(LECTURE, SOLUTION)
def image_alt(page: Page) -> Iterator[Found]:
    """Every image in the text has words for those who cannot see it."""
    for cell in page.cells:
        if cell.cell_type == "markdown" and re.search(
            r"!\[\s*\]\(|<img(?![^>]*\balt=[\"'][^\"'])", cell.source
        ):
            yield cell, "an image without alternative text"


@rule(LECTURE, SOLUTION)
def data_files(page: Page) -> Iterator[Found]:
    """What DATA names is in data/."""
    for _, cell in page.code:
        for name in _data_names(cell.source, page.is_r):
            if not page.exists(PurePosixPath("data") / name):
                yield cell, f"there is no data/{name}"


def _resolve(folder: PurePosixPath, target: str) -> PurePosixPath | None:
    """The path from the root that a relative link means; None if it leaves the course."""
    parts = [] if target.startswith("/") else list(folder.parts)
    for part in PurePosixPath(target.lstrip("/")).parts:
        if part == ".." and not parts:
            return None
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return None if target.startswith("/") else PurePosixPath(*parts)


def _data_names(source: str, is_r: bool) -> Iterator[str]:
    """The files that ``DATA / "x.csv"`` (in R ``file.path(DATA, "x.csv")``) names."""
    if is_r:
        for inside in R_DATA.findall(source):
            yield "/".join(re.findall(r"[\"']([^\"']+)[\"']", inside))
        return
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return
    inner = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and node not in inner:
            inner.add(node.left)
            if name := _below_data(node):
                yield name


def _below_data(node: ast.expr) -> str:
    """The path below DATA that a chain of slashes spells; empty if it is no such chain."""
    if not (
        isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and isinstance(node.right, ast.Constant)
    ):
        return ""
    if isinstance(node.left, ast.Name) and node.left.id == "DATA":
        return str(node.right.value)
    above = _below_data(node.left)
    return f"{above}/{node.right.value}" if above else ""
