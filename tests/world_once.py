"""The shared world, drawn once and read once for all tests of `psma.world`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd

from psma import world
from psma.world import schema

DATA = Path(__file__).resolve().parents[1] / "data"


@cache
def drawn() -> world.World:
    """The world with its hidden facts, under the default seed. Treat it as read-only."""
    return world.draw()


@cache
def facts() -> schema.Schema:
    """The schema of the committed data."""
    return schema.load(DATA / "schema.yml")


@cache
def table(file: str) -> pd.DataFrame:
    """A committed table with the types of its schema. Treat it as read-only."""
    return schema.read(DATA / file, facts().table(file))
