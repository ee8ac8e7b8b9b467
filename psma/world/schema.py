"""The facts about every table, read from `data/schema.yml`: what the dictionary prints and the tests hold
files to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from psma.errors import PsmaError

TYPES = ("text", "integer", "number", "date", "datetime")


@dataclass(frozen=True)
class Column:
    """One column: type, unit, what may stand in it and what it means.

    `joins` is "file.column" of the table where every value must exist; `decimals` is how a number is rounded.
    """

    name: str
    type: str
    meaning: str
    unit: str = ""
    allowed: tuple[Any, ...] = ()
    range: tuple[float, float] | None = None
    decimals: int | None = None
    null: bool = False
    unique: bool = False
    pattern: str = ""
    joins: str = ""


@dataclass(frozen=True)
class Table:
    """One file: who would hold it, what a row is, its known dirt and the sessions that use it."""

    file: str
    family: str
    holder: str
    row: str
    columns: tuple[Column, ...]
    process: str = ""
    dirt: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()


@dataclass(frozen=True)
class FamilyFacts:
    """A family of tables: what it is about, and its picture's file, alternative text and reading."""

    name: str
    about: str
    picture: str = ""
    alt: str = ""


@dataclass(frozen=True)
class Schema:
    """Everything in `data/schema.yml`."""

    families: tuple[FamilyFacts, ...]
    tables: tuple[Table, ...]

    def table(self, file: str) -> Table:
        """The table in that file; ValueError where the schema doesn't know it."""
        for table in self.tables:
            if table.file == file:
                return table
        raise ValueError(f"{file} is not described in data/schema.yml")


def load(path: Path) -> Schema:
    """Read `schema.yml`; PsmaError says in one line what is wrong in it."""
    import yaml

    try:
        facts = yaml.safe_load(path.read_text(encoding="utf-8"))
        families, tables = [], []
        for name, family in facts["families"].items():
            families.append(FamilyFacts(name, *(family.get(key, "") for key in ("about", "picture", "alt"))))
            tables += [read_table(file, name, table) for file, table in family["tables"].items()]
        return Schema(tuple(families), tuple(tables))
    except FileNotFoundError as problem:
        raise PsmaError(f"{path} is missing; restore it with: git checkout -- data/schema.yml") from problem
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as problem:
        text = " ".join(str(problem).split())
        raise PsmaError(
            f"{path} cannot be read ({type(problem).__name__}: {text}); mend that entry"
        ) from problem


def read_table(file: str, family: str, facts: Mapping[str, Any]) -> Table:
    """One table's block of the schema; KeyError, TypeError or ValueError where it is not well formed."""
    columns = []
    for name, given in facts["columns"].items():
        listed = {key: tuple(given[key]) for key in ("allowed", "range") if key in given}
        columns.append(Column(name=name, **{**given, **listed}))
        if columns[-1].type not in TYPES:
            raise ValueError(f"{file}, {name}: type {columns[-1].type!r} is none of {', '.join(TYPES)}")
    lists = {key: tuple(facts.get(key, ())) for key in ("dirt", "sessions")}
    words = {key: str(facts.get(key, "")) for key in ("holder", "row", "process")}
    return Table(
        file,
        family,
        columns=tuple(columns),
        dirt=lists["dirt"],
        sessions=tuple(sorted(lists["sessions"])),
        **words,
    )


def read(path: Path, table: Table) -> pd.DataFrame:
    """A data file with the types of its schema; ValueError names the column that holds something else."""
    if path.suffix == ".gpkg":
        import geopandas as gpd

        frame: pd.DataFrame = gpd.read_file(path)
    else:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""], encoding="utf-8")
    for column in table.columns:
        if column.name in frame:
            try:
                frame[column.name] = convert(frame[column.name], column)
            except (ValueError, TypeError) as problem:
                raise ValueError(f"{path.name}, {column.name}: {problem}") from problem
    return frame


def convert(values: pd.Series, column: Column) -> pd.Series:
    """The values in the column's type; raises ValueError where one can't be read."""
    if column.type == "integer":
        return pd.to_numeric(values).astype("Int64" if column.null else "int64")
    if column.type == "number":
        return pd.to_numeric(values).astype("float64")
    if column.type in ("date", "datetime"):
        return pd.to_datetime(values, format="%Y-%m-%d" if column.type == "date" else "%Y-%m-%d %H:%M:%S")
    return values.astype("str")


def problems(frame: pd.DataFrame, table: Table) -> list[str]:
    """One line for every rule of the schema that the frame breaks; empty when it keeps them all."""
    import pandera.pandas as pa
    from pandera.errors import SchemaErrors

    spatial = ["geometry"] if "geometry" in frame else []
    wanted, found = [column.name for column in table.columns], [n for n in frame.columns if n not in spatial]
    if wanted != found:
        return [f"{table.file}: columns are {', '.join(found)}, the schema says {', '.join(wanted)}"]
    rules = {column.name: pa.Column(**rule(column)) for column in table.columns}
    try:
        pa.DataFrameSchema(rules).validate(frame.drop(columns=spatial), lazy=True)
    except SchemaErrors as broken:
        cases = broken.failure_cases.groupby(["column", "check"], sort=False, dropna=False)["failure_case"]
        return [
            f"{table.file}, {column}: {len(values)} value(s) break {check!r}, the first is {values.iloc[0]!r}"
            for (column, check), values in cases
        ]
    return []


def rule(column: Column) -> dict[str, Any]:
    """The arguments of the pandera column that holds values to this description."""
    import pandera.pandas as pa

    checks = []
    if column.allowed:
        checks.append(pa.Check.isin(list(column.allowed), error=f"one of {list(column.allowed)}"))
    if column.range is not None:
        low, high = column.range
        checks.append(pa.Check.in_range(low, high, error=f"from {low} to {high}"))
    if column.pattern:
        checks.append(pa.Check.str_matches(rf"(?:{column.pattern})\Z", error=f"pattern {column.pattern}"))
    if column.type == "number" and column.decimals is not None:
        places = column.decimals
        checks.append(pa.Check(lambda v: (v - v.round(places)).abs() < 1e-9, error=f"{places} decimals"))
    return {"nullable": column.null, "unique": column.unique, "checks": checks, "dtype": None}


def join_problems(frames: Mapping[str, pd.DataFrame], table: Table) -> list[str]:
    """One line for every column with a value that doesn't exist where the schema says that it does."""
    lines = []
    for column in table.columns:
        file, _, key = column.joins.rpartition(".")
        if file and file in frames:
            lost = set(frames[table.file][column.name].dropna()) - set(frames[file][key])
            if lost:
                lines.append(
                    f"{table.file}, {column.name}: {len(lost)} value(s), the first is {min(lost)!r}, "
                    f"are not in {column.joins}"
                )
    return lines
