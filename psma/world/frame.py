"""What every family of tables shares: the world so far, one stream of random numbers a family, safe writing.

A family is a module of this package with four things: `FAMILY` (its name), `NEEDS` (families it reads),
`TABLES` (the files it makes) and `draw(world, rng) -> {file: DataFrame}`. It is registered in
`psma.world.FAMILIES`, and its tables are described in `data/schema.yml`, which says how each column is
rounded and written.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from psma.errors import PsmaError
from psma.world.schema import Table

SEED = 20_260_105
SUMS = "SHA256SUMS"
GEOPACKAGE_TIME = "2026-01-05T00:00:00.000Z"


@dataclass
class World:
    """What has been drawn so far: `tables` as they will be written, and `hidden` facts that no file says.

    `hidden` is for a later family, such as the travel matrix for the response family; keys are "family.name".
    """

    seed: int = SEED
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    hidden: dict[str, Any] = field(default_factory=dict)

    def stream(self, family: str) -> np.random.Generator:
        """The family's own random numbers: the same whichever other families are drawn."""
        return np.random.default_rng([self.seed, zlib.crc32(family.encode())])


def as_written(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """The columns of the schema in its order, rounded and typed as the file will hold them.

    Raises ValueError where the frame has other columns than the schema: the generator is wrong, not the user.
    """
    names = [column.name for column in table.columns]
    if sorted(names) != sorted(set(frame.columns) - {"geometry"}):
        raise ValueError(f"{table.file}: drawn {sorted(frame.columns)}, described {sorted(names)}")
    out = frame[names + (["geometry"] if "geometry" in frame else [])].copy()
    for column in table.columns:
        if column.type == "number" and column.decimals is not None:
            out[column.name] = out[column.name].astype(float).round(column.decimals)
        elif column.type == "integer":
            out[column.name] = out[column.name].astype("Int64" if column.null else "int64")
        elif column.type in ("date", "datetime"):
            style = "%Y-%m-%d" if column.type == "date" else "%Y-%m-%d %H:%M:%S"
            out[column.name] = pd.to_datetime(out[column.name]).dt.strftime(style)
    return out


def save(frame: pd.DataFrame, table: Table, path: Path) -> None:
    """Write one table as CSV (UTF-8, LF) or GeoPackage (fixed time stamps), the same bytes every time."""
    ready = as_written(frame, table)
    if path.suffix != ".gpkg":
        ready.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")
        return
    import pyogrio

    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": GEOPACKAGE_TIME})
    try:
        pyogrio.write_dataframe(ready, path, layer=path.stem, driver="GPKG")
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


@contextmanager
def staging(out: Path) -> Iterator[Path]:
    """A folder inside `out` for the new files: they are moved into place only when all of them are whole.

    Raises PsmaError when the folder can't be written or the disk is full; then, and after an interruption
    before the move, every old file stands as it was.
    """
    folder = None
    try:
        out.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".new-", dir=out))
        yield folder
        for path in sorted(folder.rglob("*"), key=lambda p: (p.name == SUMS, p)):
            if path.is_file():
                target = out / path.relative_to(folder)
                target.parent.mkdir(exist_ok=True)
                path.replace(target)
    except OSError as problem:
        reason = (problem.strerror or str(problem)).lower()
        raise PsmaError(
            f"cannot write the data to {out}: {reason}; "
            "free some space or choose a folder you may write to, then run again"
        ) from problem
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def sha256(path: Path) -> str:
    """Checksum of a file, as `sha256sum` prints it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_sums(data: Path) -> dict[str, str]:
    """File name to checksum, from the committed list; empty when there is none."""
    path = data / SUMS
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines) if name}


def write_sums(folder: Path, sums: Mapping[str, str]) -> None:
    """The list that `sha256sum -c` reads, sorted by file name."""
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    (folder / SUMS).write_text(text, encoding="utf-8", newline="\n")
