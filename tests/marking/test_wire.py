"""Values come through the wire as they were; whatever is forged is refused, never believed."""

# ruff: noqa: E501 (tables, a row a line)
from __future__ import annotations

import collections
import contextlib
import datetime
import decimal
import fractions
import json
import struct

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psma.marking.wire import Message, TooLarge, WireError, pack, plain


class Nothing:
    """Handles for values that must all cross."""

    def give(self, value, kind):
        raise AssertionError(f"{type(value)} did not cross")

    def take(self, spec):
        raise WireError("no handles here")


def through(value):
    frame = pack({}, {"v": value}, Nothing())
    return Message(frame[4:]).value("v", Nothing())


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers()
    | st.fractions() | st.decimals(allow_nan=False) | st.dates() | st.datetimes().map(lambda when: when.replace(fold=0)) | st.timedeltas(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    | st.tuples(inner, inner),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(plain_values)
def test_plain_values_come_through(value):
    assert repr(through(value)) == repr(value)


@pytest.mark.parametrize("value", [
    10**5000, -(2**2000), {1, 2}, frozenset({"a"}), range(2, 9, 3), collections.Counter("aab"),
    collections.OrderedDict(b=1, a=2), collections.deque([1, 2]), fractions.Fraction(1, 3), decimal.Decimal("1.10"),
    datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), bytearray(b"x"), {(1, 2): [3]}, "\ud800",
], ids=lambda value: type(value).__name__)  # fmt: skip
def test_other_values_come_through(value):
    got = through(value)
    assert type(got) is type(value)
    assert got == value


@pytest.mark.parametrize("array", [
    np.arange(6).reshape(2, 3), np.array([1.5, np.nan]), np.array(["a", "bc"]), np.array([True]), np.array(3),
    np.array(["2026-01-01"], dtype="M8[D]"), np.array([[1, 2], "x", None], dtype=object), np.zeros((0, 3)),
    np.arange(6).reshape(2, 3).T, np.array([1], dtype=">i4"),
], ids=lambda array: str(array.dtype))  # fmt: skip
def test_arrays_come_through(array):
    got = through(array)
    assert got.dtype == array.dtype
    assert got.shape == array.shape
    assert got.tolist() == array.tolist() or np.isnan(array.astype(float)).any()


def test_numpy_scalars_keep_their_type():
    for value in (np.float32(1.5), np.int64(3), np.bool_(True), np.datetime64("2026-01-01")):
        assert type(through(value)) is type(value)
        assert through(value) == value


TABLE = pd.DataFrame({
    "whole": [1, 2, 3], "real": [0.5, np.nan, 2], "text": ["a", None, "c"], "flag": [True, False, True],
    "when": pd.to_datetime(["2026-01-01", None, "2026-01-03"]), "kind": pd.Categorical(["x", "y", "x"]),
    "zoned": pd.date_range("2026-01-01", periods=3, tz="Europe/London"), "maybe": pd.array([1, None, 3], dtype="Int64"),
    "mixed": pd.Series([1, "a", [2]], dtype=object), "time": pd.to_timedelta([1, 2, 3], unit="h"),
})  # fmt: skip


@pytest.mark.parametrize("table", [
    TABLE, TABLE.set_index("text"), TABLE.groupby("kind", observed=True)["whole"].agg(["mean", "max"]),
    TABLE.set_index(["whole", "kind"])[["real"]], TABLE.iloc[:0], TABLE[["whole", "whole"]],
    pd.DataFrame({"a": [1, 2]}, index=pd.date_range("2026-01-01", periods=2, freq="D")),
], ids=["columns", "text index", "grouped", "two levels", "empty", "twice", "dated"])  # fmt: skip
def test_tables_come_through(table):
    pd.testing.assert_frame_equal(through(table), table)


@pytest.mark.parametrize("value", [
    pd.Series([1, 2], name="n", index=["a", "b"]), TABLE["zoned"], TABLE["whole"].value_counts(), pd.Series(["a"]),
    pd.Series([pd.NA, "x"], dtype="string"), TABLE["kind"],
], ids=str)  # fmt: skip
def test_columns_come_through(value):
    pd.testing.assert_series_equal(through(value), value)


def test_index_and_stamps_come_through():
    for value in (pd.RangeIndex(3, name="i"), pd.Index(["a", "b"]), pd.MultiIndex.from_tuples([(1, "a")])):
        pd.testing.assert_index_equal(through(value), value)
    assert through(pd.Timestamp("2026-01-01 10:00", tz="Europe/London")) == pd.Timestamp(
        "2026-01-01 10:00", tz="Europe/London"
    )
    assert through(pd.Timedelta("1h")) == pd.Timedelta("1h")
    assert through(pd.NaT) is pd.NaT
    assert through(pd.NA) is pd.NA


def test_values_that_are_no_plain_ones_do_not_cross():
    class Equal(int):
        def __eq__(self, other):
            return True

        __hash__ = int.__hash__

    class Table(pd.DataFrame):
        pass

    for value in (Equal(3), Table({"a": [1]}), object(), (n for n in [1]), np.ma.array([1]), Nothing()):
        with pytest.raises(AssertionError, match="did not cross"):
            pack({}, {"v": value}, Nothing())


def test_loops_and_floods_are_too_large():
    loop: list = []
    loop.append(loop)
    for value in (loop, b"x" * (65 * 2**20)):
        with pytest.raises(TooLarge):
            pack({}, {"v": value}, Nothing())


def frame_of(body, *blobs):
    header = json.dumps({**body, "blobs": [len(blob) for blob in blobs]}).encode()
    return struct.pack(">I", len(header)) + header + b"".join(blobs)


@pytest.mark.parametrize("spec", [
    {"t": "array", "d": "O", "s": [1], "b": 0}, {"t": "array", "d": "<f8", "s": [2], "b": 0},
    {"t": "array", "d": "<f8", "s": [-1], "b": 0}, {"t": "array", "d": "<f8", "s": [2**62, 2**62], "b": 0},
    {"t": "array", "d": "<f8,<f8", "s": [1], "b": 0}, {"t": "array", "d": "<f8", "s": [1], "b": 7},
    {"t": "nonsense"}, {"t": "__class__"}, {"t": "mro"}, {"t": "list", "v": {"a": 1}}, {"v": 1}, [1], {"t": ["list"]},
    {"t": "dict", "k": [1], "v": []}, {"t": "dict", "k": [{"t": "list", "v": []}], "v": [1]},
    {"t": "Fraction", "v": [1, 0]}, {"t": "Decimal", "v": 3}, {"t": "DataFrame", "i": 1, "k": 2, "v": []},
    {"t": "masked", "d": "eval", "v": 1, "m": 1}, {"t": "strings", "v": [1], "s": "python", "n": True},
    {"t": "ref", "h": 0}, {"t": "fn", "h": "x"}, {"t": "datetime", "v": "yesterday"},
], ids=lambda spec: json.dumps(spec)[:40])  # fmt: skip
def test_forged_values_are_refused(spec):
    with pytest.raises(WireError):
        Message(frame_of({"v": spec}, b"\0" * 8)).value("v", Nothing())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_refused(noise):
    with pytest.raises(WireError):
        Message(noise)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 60), st.binary(min_size=1, max_size=8))
def test_a_damaged_frame_is_refused_or_read_as_plain(place, noise):
    frame = bytearray(pack({}, {"v": TABLE[["whole", "real"]]}, Nothing())[4:])
    frame[place : place + len(noise)] = noise
    with contextlib.suppress(WireError):
        Message(bytes(frame)).value("v", Nothing())


def test_deep_nesting_is_refused():
    deep = b'{"blobs":[],"v":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(WireError):
        Message(struct.pack(">I", len(deep)) + deep)


def test_a_plain_frame_is_read_back():
    assert Message(plain({"a": 1})[4:])["a"] == 1
