"""A page of HTML that stands alone: one file, no script, nothing fetched from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from psma.errors import PsmaError

STYLE = """
:root { --ink: #1b2430; --soft: #4a5665; --line: #c9d1da; --wash: #f3f6f9; --blue: #0b5394; --warn: #8a3b00; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #fff; line-height: 1.5;
  font: 1rem/1.5 system-ui, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif; }
main { max-width: 58rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.25rem; margin: 2.25rem 0 .5rem; padding-top: .75rem; border-top: 2px solid var(--line); }
h3 { font-size: 1rem; margin: 0; }
p, li { overflow-wrap: anywhere; }
p { margin: .4rem 0; max-width: 46rem; } ul { margin: .4rem 0; padding-left: 1.2rem; } li { margin: .2rem 0; }
.lead { font-size: 1.15rem; } .soft { color: var(--soft); }
.box { background: var(--wash); border-left: 5px solid var(--blue); padding: .75rem 1rem; margin: 1rem 0; }
.warn { border-left-color: var(--warn); }
.question { display: grid; grid-template-columns: 1fr auto; gap: 0 1rem; padding: .7rem 0;
  border-bottom: 1px solid var(--line); }
.question p, .question ul { grid-column: 1 / -1; } .marks { font-weight: 600; white-space: nowrap; }
table { border-collapse: collapse; width: 100%; margin: .75rem 0; font-size: .95rem; }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top; }
thead th { border-bottom: 2px solid var(--soft); vertical-align: bottom; }
tbody th { font-weight: 600; } tr > :first-child { padding-left: 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.wide { overflow-x: auto; } svg { max-width: 100%; height: auto; display: block; }
code { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: .9em;
  overflow-wrap: anywhere; }
@media print { main { max-width: none; padding: 0; } .question { break-inside: avoid; } }
"""


def page(title: str, body: str) -> str:
    """A whole page. ``title`` is text, ``body`` is HTML that holds its own h1."""
    return (
        '<!DOCTYPE html>\n<html lang="en-GB">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def table(
    caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[str] = ()
) -> str:
    """A table of HTML cells; the first column heads its row, those in ``numbers`` are set flush right."""
    right = [' class="number"' if column in numbers else "" for column in columns]
    head = "".join(f'<th scope="col"{r}>{escape(c)}</th>' for c, r in zip(columns, right, strict=True))
    lines = []
    for row in rows:
        first, *others = (f"{r}>{cell}<" for cell, r in zip(row, right, strict=True))
        lines.append(
            f'<tr><th scope="row"{first}/th>' + "".join(f"<td{each}/td>" for each in others) + "</tr>"
        )
    body = "\n".join(lines)
    return (
        f'<div class="wide"><table><caption>{escape(caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def number(value: float | None) -> str:
    """A mark as people write it: one decimal where it has one, a dash for none."""
    return "–" if value is None or value != value else f"{value:.1f}".removesuffix(".0")


def share(value: float) -> str:
    """A share, a correlation: two decimals, a dash for ``nan``."""
    return "–" if value != value else f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def put(path: Path, text: str) -> bool:
    """Write a file whole or not at all; True if its bytes changed. Raises PsmaError in one line."""
    data = text.encode("utf-8")
    try:
        if path.is_file() and path.read_bytes() == data:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.with_name(f".{path.name}.part")
        made.write_bytes(data)
        made.replace(path)
    except OSError as error:
        raise PsmaError(
            f"{path}: cannot be written ({error.strerror or error}); is it open in a spreadsheet?"
        ) from None
    return True
