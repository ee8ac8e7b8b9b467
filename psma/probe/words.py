"""Values and differences in words, on one line."""

from __future__ import annotations

import functools
import math
import types
from collections.abc import Callable
from typing import Any

from psma.probe.comparing import Difference, first_difference
from psma.probe.values import plain

LONGEST = 80  # characters of a description


def describe(value: Any) -> str:
    """A value in at most 80 characters on one line, in words that a beginner understands. Never raises."""
    try:
        return one_line(_describe(value), LONGEST)
    except (Exception, SystemExit, GeneratorExit):
        return "an object that cannot be shown"


def difference(got: Any, want: Any, within: float = 1e-9) -> str:
    """Where ``got`` first differs from ``want``, if that helps somebody; else "". Never raises."""
    try:
        return one_line(_difference(got, want, within), LONGEST)
    except (Exception, SystemExit, GeneratorExit):
        return ""


def one_line(text: str, longest: int) -> str:
    """Text without line breaks or unprintable characters, cut to a length."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _describe(value: Any) -> str:
    if value is None:
        return "nothing (a function that prints but does not return?)"
    if isinstance(value, type):
        return f"the class {value.__name__} (did you forget the brackets?)"
    if isinstance(
        value, (types.FunctionType, types.MethodType, types.BuiltinFunctionType, functools.partial)
    ):
        return "a function (did you forget the brackets?)"
    if isinstance(value, types.GeneratorType) or type(value) in (map, filter, zip, enumerate, reversed):
        return f"a {type(value).__name__} (put list(...) around it to get its values)"
    kind, simple = plain(value)
    if kind == "text":
        return f"the text {simple!r}" if simple else "an empty text"
    if kind == "table":
        return f"a table of {_count(len(simple), 'row')} and {_count(simple.shape[1], 'column')}"
    if kind == "column":
        return f"a column of {_count(len(simple), 'value')}" + _preview(simple.iloc[:4].tolist(), len(simple))
    if kind == "array":
        if simple.ndim == 1:
            return f"an array of {_count(len(simple), 'value')}" + _preview(list(simple[:4]), len(simple))
        return "an array of " + " by ".join(str(side) for side in simple.shape) + " values"
    return _short(value)


def _preview(first: list[Any], length: int) -> str:
    if not first:
        return ""
    return ": " + ", ".join([_short(item) for item in first] + ["..."] * (length > len(first)))


def _short(value: Any, depth: int = 0) -> str:
    """A value as it would be typed, short: numbers to six digits, long containers cut."""
    kind, simple = plain(value)
    if kind in ("number", "missing"):
        return _number(simple)
    if kind == "text":
        return repr(simple) if len(simple) <= 60 else repr(simple[:60])[:-1] + "..."
    if kind in ("time", "span"):
        return str(value)
    if kind in ("sequence", "array", "column", "set", "mapping") and depth > 2:
        return "..."
    if kind in ("sequence", "set", "array", "column"):
        items = [_short(item, depth + 1) for item in list(simple)[:12]] + ["..."] * (len(simple) > 12)
        left, right = ("(", ")") if isinstance(value, tuple) else ("{", "}") if kind == "set" else ("[", "]")
        return left + ", ".join(items) + right
    if kind == "mapping":
        pairs = [f"{_short(k, depth + 1)}: {_short(v, depth + 1)}" for k, v in list(simple.items())[:8]]
        return "{" + ", ".join(pairs + ["..."] * (len(simple) > 8)) + "}"
    if kind == "other" and type(value).__repr__ is object.__repr__:
        return f"an object of class {type(value).__name__}"
    return repr(simple)


def _bare(label: Any) -> str:
    """A column's name without quotes."""
    return label if isinstance(label, str) else _short(label)


def _number(value: Any) -> str:
    if not isinstance(value, (int, float, complex)):
        return str(value)  # NA, NaT
    if isinstance(value, int) and abs(value) < 10**15:
        return str(value)
    if isinstance(value, int) and value.bit_length() > 1000:
        return f"a number of about {round(value.bit_length() * math.log10(2))} digits"
    return f"{value:.6g}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _difference(got: Any, want: Any, within: float) -> str:
    found = first_difference(got, want, within)
    if found is None:
        return ""
    if found.what == "whole":
        return _more_digits(got, want)
    return _WORDS[found.what](found) if found.what != "item" or len(got) > 3 else ""


_WORDS: dict[str, Callable[[Difference], str]] = {
    "length": lambda d: f"{_count(d.value, 'value')} expected",
    "item": lambda d: f"at [{d.place}]: {_short(d.value)}",
    "key": lambda d: f"at {_short(d.place)}: {_short(d.value)}",
    "no key": lambda d: f"it has no key {_short(d.place)}",
    "row": lambda d: f"row {_short(d.place)}: {_short(d.value)}",
    "no row": lambda d: f"it has no row labelled {_short(d.place)}",
    "labels": lambda _: "a row label stands there twice",
    "unlabelled": lambda _: "a column with labels was expected",
    "cell": lambda d: f"row {_short(d.place)}, column {_bare(d.column)}: {_short(d.value)}",
    "no column": lambda d: f"it has no column {_bare(d.column)}",
    "extra column": lambda d: f"its column {_bare(d.column)} is too many",
    "rows": lambda d: f"{_count(d.value, 'row')} expected",
}


def _more_digits(got: Any, want: Any) -> str:
    """More digits of a number, where the six that are shown are right."""
    (got_kind, left), (kind, right) = plain(got), plain(want)
    if kind == got_kind == "number" and _number(left) == _number(right):
        return f"to more digits {left!r}"
    return ""
