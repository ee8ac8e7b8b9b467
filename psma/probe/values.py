"""Values in plain Python, whatever class they came in."""

from __future__ import annotations

import datetime
import math
import sys
from collections import deque
from collections.abc import Iterator
from typing import Any

_EPOCH = datetime.datetime(1970, 1, 1)
_MICROSECOND = datetime.timedelta(microseconds=1)
_SEQUENCES: tuple[type, ...] = (list, tuple, deque, range, type({}.keys()), type({}.values()))


def plain(value: Any) -> tuple[str, Any]:
    """The kind of a value and the value in plain Python, whatever class it came in.

    Kinds: nothing, missing, truth, number, text, bytes, time, span, sequence, array, column, table, mapping,
    set, other.
    Goes by ``type``, never by what the object says about itself.
    """
    if value is None:
        return "nothing", None
    kind = type(value)
    if kind is bool:
        return "truth", value
    if issubclass(kind, str):
        return "text", str.__str__(value)
    if issubclass(kind, int):
        return "number", int.__pos__(value)
    if issubclass(kind, float):
        number = float.__pos__(value)
        return ("missing", number) if math.isnan(number) else ("number", number)
    if issubclass(kind, bytes):
        return "bytes", bytes.__getitem__(value, slice(None))
    if issubclass(kind, _SEQUENCES):
        return "sequence", list(_base_iter(value))
    if issubclass(kind, dict):
        return "mapping", dict(dict.items(value))
    if issubclass(kind, (set, frozenset)):
        return "set", frozenset(value)
    return _plain_science(value)


def _plain_science(value: Any) -> tuple[str, Any]:
    """``plain`` for what comes from numpy, pandas, datetime and their like."""
    if any(value is missing for missing in loaded("pandas", "NA", "NaT")):
        return "missing", value
    if is_a(value, datetime.date):
        return _plain_time(value)
    if is_a(value, datetime.timedelta):
        return "span", value // _MICROSECOND
    if is_a(value, complex, *loaded("decimal", "Decimal"), *loaded("fractions", "Fraction")):
        number = value if is_a(value, complex) else float(value)
        return ("missing", number) if number != number else ("number", number)
    if is_a(value, *loaded("numpy", "generic")):
        return _plain_scalar(value)
    if is_a(value, *loaded("numpy.ma", "MaskedArray")):
        array = sys.modules["numpy"].array(value, dtype=object)
        array[sys.modules["numpy.ma"].getmaskarray(value)] = None
        return plain(array)
    if is_a(value, *loaded("numpy", "ndarray")):
        array = sys.modules["numpy"].asarray(value)
        return ("array", array) if array.ndim else plain(array[()])
    if is_a(value, *loaded("pandas", "Series")):
        return "column", value
    if is_a(value, *loaded("pandas", "DataFrame")):
        return "table", value
    if is_a(value, *loaded("pandas", "Index"), *loaded("pandas.api.extensions", "ExtensionArray")):
        return "sequence", value.tolist()
    if is_a(value, *loaded("tensorflow", "Tensor")):
        return plain(value.numpy())
    return "other", value


def _plain_scalar(value: Any) -> tuple[str, Any]:
    """``plain`` for one of numpy's own scalars."""
    numpy = sys.modules["numpy"]
    if is_a(value, numpy.bool_):
        return "truth", bool(value)
    if is_a(value, numpy.datetime64, numpy.timedelta64):
        if numpy.isnat(value):
            return "missing", value
        unit = "datetime64[us]" if is_a(value, numpy.datetime64) else "timedelta64[us]"
        number = int(value.astype(unit).astype("int64"))
        return ("time", (False, number)) if unit[0] == "d" else ("span", number)
    if is_a(value, numpy.complexfloating):
        return plain(complex(value))
    if is_a(value, numpy.floating):
        return plain(float(value))
    if is_a(value, numpy.integer):
        return plain(int(value))
    return "other", value


def _plain_time(value: Any) -> tuple[str, Any]:
    """A date or a moment as (has a time zone, microseconds since 1970); a date is its midnight."""
    if not is_a(value, datetime.datetime):
        value = datetime.datetime(value.year, value.month, value.day)
    aware = value.tzinfo is not None
    if aware:
        value = value.astimezone(datetime.UTC)
    return "time", (aware, (value.replace(tzinfo=None) - _EPOCH) // _MICROSECOND)


def loaded(module: str, *names: str) -> tuple[Any, ...]:
    """Classes and constants of a module, if somebody has imported it; else none."""
    found = sys.modules.get(module)
    return tuple(getattr(found, name) for name in names if hasattr(found, name)) if found else ()


def is_a(value: Any, *kinds: type) -> bool:
    """isinstance that an object cannot talk its way into with ``__class__``."""
    return issubclass(type(value), kinds)


def _base_iter(value: Any) -> Iterator[Any]:
    """Iterate as the built-in type does, whatever a subclass says."""
    for base in (list, tuple, deque):
        if issubclass(type(value), base):
            return iter(base.__iter__(value))
    return iter(value)


def label(item: Any) -> Any:
    """A key, a member of a set or a row's label so that it can be looked up: 1, True and '1' are three."""
    kind, value = plain(item)
    if kind in ("missing", "nothing"):
        return ("missing",)
    if kind == "sequence":
        return (kind, *map(label, value))
    return (kind, frozenset(map(label, value)) if kind == "set" else value)
