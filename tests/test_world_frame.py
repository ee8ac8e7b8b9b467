"""The frame of the shared world: the same bytes every time, safe writing, schema, dictionary, lines for
people."""

from __future__ import annotations

import errno
import platform
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from world_once import DATA, drawn, facts, table

from psma import world
from psma.errors import PsmaError
from psma.world import dictionary, frame, schema

TABLES = [t for t in facts().tables if t.family in world.FAMILIES]
CI_PLATFORM = platform.system() == "Linux" and platform.machine() == "x86_64"


@pytest.fixture
def data(tmp_path) -> Path:
    """A copy of the committed data to spoil."""
    return Path(shutil.copytree(DATA, tmp_path / "data"))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder and its bytes, hidden ones too."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_committed_data_are_as_described():
    """Checksums, schema, keys, sizes and dictionary all hold."""
    assert world.verify(DATA) == []


@pytest.mark.slow
def test_drawing_again_gives_the_committed_files(tmp_path):
    """Equal in value to 1e-9 everywhere; on CI's platform equal in every byte, pictures included."""
    world.generate(tmp_path)
    for described in TABLES:
        new, old = (schema.read(folder / described.file, described) for folder in (tmp_path, DATA))
        pd.testing.assert_frame_equal(
            pd.DataFrame(new.drop(columns="geometry", errors="ignore")),
            pd.DataFrame(old.drop(columns="geometry", errors="ignore")),
            rtol=0,
            atol=1e-9,
        )
        if "geometry" in new:
            assert new.geometry.geom_equals_exact(old.geometry, 1e-9).all()
    if CI_PLATFORM:
        fresh, kept = frame.read_sums(tmp_path), frame.read_sums(DATA)
        assert fresh == {name: digest for name, digest in kept.items() if name in fresh}
        assert set(contents(tmp_path)) == {*fresh, "README.md", "schema.yml", frame.SUMS}


def test_another_seed_is_another_world_of_the_same_shape(tmp_path):
    """A second cohort: other rows, and still everything that the schema asks for."""
    world.generate(tmp_path, seed=7, families=["geography", "response"])
    for described in TABLES:
        if described.family in ("geography", "response"):
            rows = schema.read(tmp_path / described.file, described)
            assert schema.problems(rows, described) == []
    assert (tmp_path / "sites.csv").read_bytes() != (DATA / "sites.csv").read_bytes()
    assert (tmp_path / "response_log.csv").read_bytes() != (DATA / "response_log.csv").read_bytes()
    assert not (tmp_path / "crisis_contacts.csv").exists()


def test_a_family_is_the_same_whichever_others_are_drawn():
    """Streams belong to families: demand alone equals demand among all."""
    alone = world.draw(families=["demand"]).tables["calls_daily.csv"]
    pd.testing.assert_frame_equal(alone, drawn().tables["calls_daily.csv"])
    one, two = (world.World().stream(name).random(4) for name in ("demand", "crisis"))
    assert not np.allclose(one, two)


def test_progress_names_the_families_in_order_of_need():
    """Asking for the response family draws what it needs first, and says so."""
    said: list[str] = []
    world.draw(families=["response"], on_progress=said.append)
    assert said == ["geography", "demand", "response"]


def test_writing_one_family_keeps_the_others(data):
    """Only that family's files are written; the list of checksums stays whole."""
    (data / "cars_on_duty.csv").write_text("spoilt\n", encoding="utf-8")
    before = contents(data)
    world.generate(data, families=["demand"])
    after = contents(data)
    assert after == before
    assert world.verify(data) != []
    world.generate(data, families=["response"])
    assert (data / "cars_on_duty.csv").read_bytes() == (DATA / "cars_on_duty.csv").read_bytes()


def test_generate_names_the_files_that_changed(tmp_path):
    """All of a family the first time, none the second."""
    first = world.generate(tmp_path, families=["geography"])
    assert first == ["areas.gpkg", "pictures/geography.png", "roads.csv", "roads_nodes.csv", "sites.csv"]
    assert world.generate(tmp_path, families=["geography"]) == []


def test_an_unknown_family_gets_the_nearest_name(tmp_path):
    """And nothing is written."""
    with pytest.raises(PsmaError, match="did you mean geography"):
        world.generate(tmp_path / "new", families=["geografy"])
    with pytest.raises(PsmaError, match="choose from"):
        world.generate(tmp_path / "new", families=["zzz"])
    assert not (tmp_path / "new").exists()


def failing_save(problem: BaseException, after: int):
    """A `frame.save` that works some times and then fails half-way through a file."""
    real, count = frame.save, [0]

    def save(rows: pd.DataFrame, described: schema.Table, path: Path) -> None:
        count[0] += 1
        if count[0] > after:
            path.write_text("half a fi", encoding="utf-8")
            raise problem
        real(rows, described, path)

    return save


@pytest.mark.parametrize(
    ("problem", "raised"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), PsmaError),
        (PermissionError(errno.EACCES, "Permission denied"), PsmaError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (MemoryError(), MemoryError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_after_a_failure_every_old_file_stands(data, monkeypatch, problem, raised):
    """A full disk, a refused file, Ctrl-C: nothing half-written or left behind, one line says why."""
    before = contents(data)
    monkeypatch.setattr(frame, "save", failing_save(problem, after=2))
    with pytest.raises(raised) as caught:
        world.generate(data, seed=7, families=["geography"])
    if raised is PsmaError:
        assert "\n" not in str(caught.value)
        assert str(problem.strerror).lower() in str(caught.value)
        assert str(data) in str(caught.value)
    assert contents(data) == before
    assert world.verify(data) == []


def test_a_folder_that_cannot_be_written_is_refused_in_one_line(tmp_path, monkeypatch):
    """A read-only folder, and a file where the folder should be."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(PsmaError, match="choose a folder"):
        world.generate(tmp_path / "file", families=["geography"])

    def refuse(*args: object, **kwargs: object) -> str:
        raise PermissionError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(frame.tempfile, "mkdtemp", refuse)
    with pytest.raises(PsmaError, match="read-only file system"):
        world.generate(tmp_path / "new", families=["geography"])


def test_verify_sees_what_was_spoilt(data):
    """One byte, a missing file, an edited dictionary, an orphan key, a wrong type: each has its line."""
    path = data / "sites.csv"
    path.write_bytes(path.read_bytes().replace(b"S001", b"S999", 1))
    (data / "calendar.csv").unlink()
    (data / "README.md").write_text("my own\n", encoding="utf-8")
    roads = (data / "roads.csv").read_text(encoding="utf-8")
    (data / "roads.csv").write_text(roads.replace("N01001", "N01999"), encoding="utf-8")
    cars = (data / "cars_on_duty.csv").read_text(encoding="utf-8")
    (data / "cars_on_duty.csv").write_text(cars.replace(",6\n", ",six\n", 1), encoding="utf-8")
    lines = "\n".join(world.verify(data))
    for words in (
        "sites.csv: not the file",
        "calendar.csv: missing",
        "README.md: not what",
        "'N01999', are not in roads_nodes.csv.node",
        "cars_on_duty.csv, cars: ",
    ):
        assert words in lines, words


def test_a_broken_schema_is_named(data):
    """Bad YAML, a missing entry, an unknown type, no file: PsmaError, one line, the file's name."""
    path = data / "schema.yml"
    good = path.read_text(encoding="utf-8")
    spoilt = {
        "bad yaml": "families: [",
        "no columns": good.replace(
            "        columns:\n          road:", "        kolumns:\n          road:", 1
        ),
        "type": good.replace("{type: date,", "{type: day,", 1),
        "field": good.replace("{type: date,", "{type: date, colour: red,", 1),
    }
    for text in spoilt.values():
        path.write_text(text, encoding="utf-8")
        with pytest.raises(PsmaError, match=r"schema\.yml cannot be read") as caught:
            world.verify(data)
        assert "\n" not in str(caught.value)
    path.unlink()
    with pytest.raises(PsmaError, match="missing"):
        world.verify(data)


BAD_ROWS = [
    ("areas.gpkg", "area_code", "E01000001", "pattern"),
    ("areas.gpkg", "population", -5, "from"),
    ("areas.gpkg", "deprivation_decile", 11, "from"),
    ("sites.csv", "kind", "police sation", "one of"),
    ("sites.csv", "easting_m", 0, "from"),
    ("sites.csv", "site", "S002", "unique"),
    ("roads.csv", "day_minutes", np.nan, "null"),
    ("roads.csv", "day_minutes", 1.23456, "decimals"),
    ("calls_daily.csv", "calls", -1, "from"),
    ("calls_daily.csv", "call_type", "mental helth", "one of"),
    ("calls_hourly.csv", "hour", pd.NaT, "null"),
    ("ed_attendances_daily.csv", "hospital", None, "null"),
    ("response_log.csv", "grade", 4, "one of"),
    ("response_log.csv", "district", "TAMARMOUTH", "one of"),
    ("response_log.csv", "incident", "TS-1", "pattern"),
    ("response_log.csv", "units", 0, "one of"),
    ("response_log.csv", "received", pd.NaT, "null"),
    ("cars_on_duty.csv", "hour", 24, "from"),
    ("control_room.csv", "kind", 112, "one of"),
    ("control_room.csv", "call", "CR-000002", "unique"),
    ("crisis_contacts.csv", "ed_wait_hours", 99.0, "from"),
    ("crisis_contacts.csv", "age_band", "65+", "one of"),
    ("crisis_contacts.csv", "recontact_30d", 2, "one of"),
    ("ed_pathway.csv", "event", "left", "one of"),
]


@pytest.mark.parametrize(("file", "column", "value", "rule"), BAD_ROWS, ids=lambda value: str(value)[:20])
def test_the_schema_refuses_bad_rows(file, column, value, rule):
    """Fifty good rows pass; with one bad value the line names file, column and rule."""
    described = facts().table(file)
    rows = table(file).drop_duplicates().head(50).reset_index(drop=True).copy()
    assert schema.problems(rows, described) == []
    rows[column] = rows[column].astype(object)
    rows.loc[0, column] = value
    lines = schema.problems(rows, described)
    assert lines
    assert lines[0].startswith(f"{file}, {column}: ")
    assert rule in lines[0]


def test_the_schema_refuses_other_columns_and_orphan_keys():
    """A column more, less or renamed is one line; so is an area that no map shows."""
    described, rows = facts().table("sites.csv"), table("sites.csv")
    for wrong in (rows.drop(columns="kind"), rows.assign(more=1), rows.rename(columns={"kind": "sort"})):
        assert "columns are" in schema.problems(wrong, described)[0]
    frames = {"sites.csv": rows.assign(area="T99999"), "areas.gpkg": table("areas.gpkg")}
    assert "'T99999', are not in areas.gpkg.area_code" in schema.join_problems(frames, described)[0]
    with pytest.raises(ValueError, match="not described"):
        facts().table("nothing.csv")


def test_a_generator_that_draws_another_column_is_stopped():
    """The frame compares what was drawn with the schema before it writes."""
    rows = drawn().tables["cars_on_duty.csv"]
    with pytest.raises(ValueError, match=r"cars_on_duty\.csv: drawn"):
        frame.as_written(rows.assign(extra=1), facts().table("cars_on_duty.csv"))


def test_every_family_is_complete():
    """Each module has its name, its needs before it, and exactly the tables that the schema lists."""
    seen: set[str] = set()
    for name in world.FAMILIES:
        module = world.module_of(name)
        assert name == module.FAMILY
        assert set(module.NEEDS) <= seen
        assert {t.file for t in facts().tables if t.family == name} == set(module.TABLES)
        seen.add(name)
    assert {family.name for family in facts().families} == seen


def test_the_dictionary_says_everything_and_shows_pictures():
    """Every table and column, holder and row; every picture exists, is small and has an alternative text."""
    page = (DATA / "README.md").read_text(encoding="utf-8")
    assert page == dictionary.render(facts())
    for described in facts().tables:
        assert f"### {described.file}\n" in page
        assert described.holder
        assert described.row in page
        assert described.sessions
        for column in described.columns:
            assert f"| `{column.name}` | {column.type} |" in page
    for family in facts().families:
        if family.picture:
            assert (DATA / family.picture).stat().st_size <= 120_000
            assert len(family.alt) > 80
            assert f"({family.picture})" in page


def test_sessions_in_the_schema_exist():
    """A session that a table names is one of the nine modules' sessions."""
    sessions = {1: 8, 2: 7, 3: 7, 4: 5, 5: 5, 6: 5, 7: 5, 8: 4, 9: 5}
    for described in facts().tables:
        for session in described.sessions:
            module, number = map(int, session.split("."))
            assert 1 <= number <= sessions[module], (described.file, session)


def test_files_are_plain():
    """UTF-8 without a mark, line feeds, no carriage returns, a header.

    Nothing above 5 MB, all under 25 MB.
    """
    for path in DATA.glob("*.csv"):
        raw = path.read_bytes()
        assert b"\r" not in raw
        assert not raw.startswith(b"\xef\xbb\xbf")
        assert raw.endswith(b"\n")
        raw.decode("utf-8")
        assert len(raw) < world.LARGEST_FILE
    assert sum(p.stat().st_size for p in DATA.rglob("*") if p.is_file()) < world.LARGEST_FOLDER
