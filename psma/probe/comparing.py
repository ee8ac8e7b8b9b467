"""Is a value what was wanted, in any right form? And if not, where does it first differ?"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

from psma.probe.values import is_a, label, loaded, plain

ROUNDING = 1e-12  # relative: floats that differ less are the same number, computed in another order
_ROWS = ("sequence", "array", "column")


@dataclass(frozen=True)
class Difference:
    """The first difference between two values.

    ``what``: "whole" (nothing more to say), "length", "item", "key", "no key", "row", "no row", "labels",
    "unlabelled", "cell", "no column", "extra column", "rows". ``place`` and ``column`` say where, ``value``
    what stands there; for "length" and "rows" it is the number that was expected.
    """

    what: str
    place: Any = None
    column: Any = None
    value: Any = None


_WHOLE = Difference("whole")


def same(got: Any, want: Any, within: float = 1e-9) -> bool:
    """Is ``got`` what was wanted, in any right form? Never raises.

    Numbers may differ by ``within`` (absolute, in the answer's own unit) plus, unless it is 0, a relative
    1e-12 for rounding. ``docs/checks.md`` has the rules for every other type.
    """
    try:
        return first_difference(got, want, within) is None
    except (Exception, SystemExit, GeneratorExit):
        return False


def first_difference(got: Any, want: Any, within: float, in_table: bool = False) -> Difference | None:
    """Where two values first differ, or None; may raise what a hostile object raises.

    ``in_table``: inside arrays and tables every missing value (None, NaN, NA, NaT) is the same.
    """
    if got is want:
        return None
    got_kind, left = plain(got)
    kind, right = plain(want)
    if in_table and {kind, got_kind} <= {"missing", "nothing"}:
        return None
    if kind in _ROWS and got_kind in _ROWS:
        return _rows(got_kind, left, kind, right, within)
    if kind != got_kind:
        return _WHOLE
    if kind == "mapping":
        return _mappings(left, right, within)
    if kind == "table":
        return _tables(left, right, within)
    return None if _plainly_same(kind, left, right, within) else _WHOLE


def _plainly_same(kind: str, got: Any, want: Any, within: float) -> bool:
    """Two values of one kind that have no places inside."""
    if kind == "missing":
        return True
    if kind == "number":
        return _numbers_same(got, want, within)
    if kind == "time":  # (has a time zone, microseconds)
        return bool(got[0] == want[0] and abs(got[1] - want[1]) <= 1)
    if kind == "span":
        return bool(abs(got - want) <= 1)
    if kind == "set":
        return {label(item) for item in got} == {label(item) for item in want}
    if kind == "other":
        return type(got) is type(want) and plain(got == want) == ("truth", True)
    return bool(got == want)


def _numbers_same(got: Any, want: Any, within: float) -> bool:
    if got == want:
        return True
    if isinstance(got, int) and isinstance(want, int):
        return abs(got - want) <= within
    try:
        gap, size = abs(got - want), abs(want)
    except OverflowError:  # an int too large for a float
        return False
    return math.isfinite(gap) and gap <= within + (ROUNDING * size if within else 0)


def _mappings(got: dict[Any, Any], want: dict[Any, Any], within: float) -> Difference | None:
    """Keys in any order, each of the same kind; values within the tolerance."""
    by_label = {label(key): value for key, value in got.items()}
    for key, value in want.items():
        found = label(key)
        if found not in by_label:
            return Difference("no key", key)
        if first_difference(by_label[found], value, within):
            return Difference("key", key, value=by_label[found])
    return None if len(got) == len(want) else Difference("length", value=len(want))


def _rows(got_kind: str, got: Any, kind: str, want: Any, within: float) -> Difference | None:
    """Lists, tuples, arrays and columns against each other."""
    if len(got) != len(want):
        return Difference("length", value=len(want))
    if kind == got_kind == "array" and got.shape != want.shape:
        return _WHOLE
    if kind == got_kind == "column":
        return _columns(got, want, within)
    if kind == "column" and not _is_numbered(want.index):
        return Difference("unlabelled")
    in_table = (got_kind, kind) != ("sequence", "sequence")
    place = _first_unlike(_values(got), _values(want), within, in_table)
    return None if place is None else Difference("item", place, value=_values(got)[place])


def _columns(got: Any, want: Any, within: float) -> Difference | None:
    """Two Series of one length."""
    order = _row_order(got.index, want.index)
    if order is None:
        return _label_difference(got.index, want.index)
    got = got.iloc[order]
    place = _first_unlike(_values(got), _values(want), within, True)
    return None if place is None else Difference("row", got.index[place], value=got.iloc[place])


def _tables(got: Any, want: Any, within: float) -> Difference | None:
    """Two DataFrames: columns by name in any order, rows as ``_row_order`` says."""
    have, need = [label(name) for name in got.columns], [label(name) for name in want.columns]
    for name in want.columns:
        if label(name) not in have:
            return Difference("no column", column=name)
    for name in got.columns:
        if label(name) not in need:
            return Difference("extra column", column=name)
    if len(have) != len(need):
        return _WHOLE
    if len(got) != len(want):
        return Difference("rows", value=len(want))
    order = _row_order(got.index, want.index)
    if order is None:
        return _label_difference(got.index, want.index)
    places = [have.index(name) for name in need] if len(set(have)) == len(have) else range(len(need))
    for want_place, got_place in enumerate(places):
        column = got.iloc[order, got_place]
        row = _first_unlike(_values(column), _values(want.iloc[:, want_place]), within, True)
        if row is not None:
            return Difference("cell", column.index[row], want.columns[want_place], column.iloc[row])
    return None


def _is_numbered(index: Any) -> bool:
    """Is it the index that pandas makes by itself, 0, 1, 2 and so on?"""
    return is_a(index, *loaded("pandas", "RangeIndex")) and index.start == 0 and index.step == 1


def _row_order(got: Any, want: Any) -> list[int] | None:
    """The places in ``got`` of the rows of ``want``: as they stand if ``want`` is only numbered, else by
    label. None if the labels differ, or stand there twice in another order.
    """
    if _is_numbered(want):
        return list(range(len(want)))
    have, need = [label(item) for item in got.tolist()], [label(item) for item in want.tolist()]
    if have == need:
        return list(range(len(want)))
    place = {name: i for i, name in enumerate(have)}
    if len(place) < len(have) or place.keys() != set(need):
        return None
    return [place[name] for name in need]


def _label_difference(got: Any, want: Any) -> Difference:
    have = {label(item) for item in got.tolist()}
    missing = [item for item in want.tolist() if label(item) not in have]
    return Difference("no row", missing[0]) if missing else Difference("labels")


def _values(rows: Any) -> Any:
    """A column as an array where numpy can compare it at once, else as a list; anything else as it is."""
    if not is_a(rows, *loaded("pandas", "Series")):
        return rows
    dtype = rows.dtype
    kind = getattr(dtype, "kind", "O")
    if kind in "iufcbMm" and is_a(dtype, sys.modules["numpy"].dtype):
        return rows.to_numpy()
    if kind in "iuf" and not is_a(dtype, *loaded("pandas", "CategoricalDtype", "SparseDtype")):
        return (
            rows.to_numpy(dtype=float, na_value=math.nan) if rows.isna().any() else rows.to_numpy(kind + "8")
        )
    return rows.tolist()


def _first_unlike(got: Any, want: Any, within: float, in_table: bool) -> int | None:
    """The first place where two rows of values of one length differ, or None."""
    numpy = sys.modules.get("numpy")
    if numpy and is_a(got, numpy.ndarray) and is_a(want, numpy.ndarray) and got.shape == want.shape:
        unlike = _arrays_unlike(got, want, within)
        if unlike is not None:
            places = unlike.reshape(len(unlike), -1).any(axis=1).nonzero()[0] if unlike.size else []
            return int(places[0]) if len(places) else None
    got, want = list(got), list(want)
    kinds = set(map(type, got + want))
    if kinds == {str} and got == want:
        return None  # a hundred thousand texts at once
    if numpy and kinds == {float}:
        return _first_unlike(numpy.array(got), numpy.array(want), within, in_table)
    for place, (one, other) in enumerate(zip(got, want, strict=True)):
        if first_difference(one, other, within, in_table):
            return place
    return None


def _arrays_unlike(got: Any, want: Any, within: float) -> Any:
    """Where two arrays of one shape differ, as truths; None if they must be compared one by one."""
    numpy = sys.modules["numpy"]
    kinds = {got.dtype.kind, want.dtype.kind}
    if kinds in ({"b"}, {"U"}):
        return got != want
    if kinds in ({"M"}, {"m"}):
        missing, other_missing = numpy.isnat(got), numpy.isnat(want)
        unit = f"{'datetime64' if kinds == {'M'} else 'timedelta64'}[us]"
        gap = got.astype(unit).astype("int64") - want.astype(unit).astype("int64")
        return (missing != other_missing) | (~missing & (numpy.abs(gap) > 1))
    whole = kinds <= set("iu")
    if not kinds <= set("iufc") or (whole and got.size and max(_largest(got), _largest(want)) >= 2**53):
        return None  # whole numbers too large for a float are compared exactly
    kind = complex if "c" in kinds else float
    with numpy.errstate(all="ignore"):
        got, want = got.astype(kind), want.astype(kind)
        allowed = within + (0 if whole or not within else ROUNDING * numpy.abs(want))
        near = numpy.isfinite(got) & numpy.isfinite(want) & (numpy.abs(got - want) <= allowed)
        return ~(near | (got == want) | (numpy.isnan(got) & numpy.isnan(want)))


def _largest(array: Any) -> int:
    return max(abs(int(array.max())), abs(int(array.min())))
