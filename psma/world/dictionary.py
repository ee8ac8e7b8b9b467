"""The data dictionary `data/README.md`, written from the schema."""

from __future__ import annotations

from psma.world.schema import Column, FamilyFacts, Schema, Table

HEAD = """# The shared world: Tamarshire

<!-- Generated from schema.yml by `psma data`; edit that file. -->

Every table here is synthetic: drawn by seeded generators (`psma/world/`) for a made-up English county of
about 870,000 people with one police force, one ambulance service and one acute trust. No real person, place
or force is in it. The county lies in the open North Sea of the British National Grid (EPSG:27700), so that no
map shows a real street.

- Licence: CC0 1.0, do with it what you like.
- `psma data` draws every file again from one seed; `psma data --check` holds the files to `SHA256SUMS`, to
  `schema.yml` and to this page.
- CSV is UTF-8 with a header; times are local clock time, `YYYY-MM-DD HH:MM:SS`; an empty
  field is a missing value.
- Dirt (double rows, second spellings, gaps) is there on purpose and is listed with each table.
"""


def render(schema: Schema) -> str:
    """The whole page."""
    parts = [HEAD, contents(schema)]
    for family in schema.families:
        parts.append(heading(family))
        parts += [section(table) for table in schema.tables if table.family == family.name]
    return "\n".join(parts)


def contents(schema: Schema) -> str:
    """The list of all tables with what a row is and who uses it."""
    lines = ["## The tables", "", "| Table | One row is | Sessions |", "|---|---|---|"]
    for table in schema.tables:
        link = table.file.replace(".", "").replace("/", "")
        lines.append(f"| [`{table.file}`](#{link}) | {table.row} | {', '.join(table.sessions)} |")
    return "\n".join([*lines, ""])


def heading(family: FamilyFacts) -> str:
    """A family's heading, what it is about and its picture."""
    lines = [f"## {family.name.capitalize()}", "", family.about.strip(), ""]
    if family.picture:
        lines += [f"![{' '.join(family.alt.split())}]({family.picture})", ""]
    return "\n".join(lines)


def section(table: Table) -> str:
    """One table: holder, row, process, dirt, sessions and columns."""
    lines = [
        f"### {table.file}",
        "",
        f"One row is {table.row}. In real life this would be held by {table.holder}.",
        "",
    ]
    if table.process:
        lines += [table.process.strip(), ""]
    lines += [f"- Known dirt: {dirt}" for dirt in table.dirt] or ["- Known dirt: none."]
    if table.sessions:
        lines.append(f"- Used in {', '.join(table.sessions)}.")
    lines += ["", "| Column | Type | Unit | Values | Meaning |", "|---|---|---|---|---|"]
    lines += [row(column) for column in table.columns]
    return "\n".join([*lines, ""])


def row(column: Column) -> str:
    """One column's line in the table."""
    cells = (f"`{column.name}`", column.type, column.unit, values(column), " ".join(column.meaning.split()))
    return f"| {' | '.join(cells)} |"


def values(column: Column) -> str:
    """What may stand in a column, in words."""
    said = []
    if column.allowed:
        said.append(", ".join(str(value) for value in column.allowed))
    if column.range is not None:
        said.append(f"{column.range[0]:,} to {column.range[1]:,}")
    if column.pattern:
        said.append(f"`{column.pattern}`".replace("|", "\\|"))
    if column.joins:
        said.append(f"joins `{column.joins}`")
    if column.unique:
        said.append("unique")
    if column.null:
        said.append("may be missing")
    return "; ".join(said)
