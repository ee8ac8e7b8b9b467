"""Copies of the data that an expression names, so that code which changes its argument is found out."""

from __future__ import annotations

import ast
import contextlib
import random
from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any

from psma.probe.expressions import Namespace, names_in, parse
from psma.probe.values import is_a, loaded

_COPY_ITEMS = 200_000  # about a tenth of a second; what is larger is used as it is, and not watched
_COPY_BYTES = 200_000_000


class _TooLarge(Exception):
    """The data is larger than a check should copy."""


def copies_for(expression: str, namespace: Namespace) -> Namespace:
    """Copies of the lists, dictionaries, sets, arrays and tables that the expression hands to a call."""
    if not any(isinstance(node, ast.Call) for node in ast.walk(parse(expression))):
        return {}
    copies: Namespace = {}
    memo: dict[int, Any] = {}  # shared, so that two names for one list stay two names for one list
    for name in names_in(expression):
        with contextlib.suppress(Exception):
            copy = _copy(namespace.get(name), memo)
            if copy is not namespace.get(name):
                copies[name] = copy
    return copies


def _copy(value: Any, memo: dict[int, Any]) -> Any:
    """A copy all the way down of plain containers, arrays and tables; anything else stays the same object."""
    if id(value) in memo:
        return memo[id(value)]
    kind = type(value)
    copy: Any
    if kind in (list, deque, set, dict, defaultdict, OrderedDict, Counter, tuple):
        if len(memo) + len(value) > _COPY_ITEMS:
            raise _TooLarge
        if kind is tuple:
            copy = tuple(_copy(item, memo) for item in value)
            copy = value if all(a is b for a, b in zip(copy, value, strict=True)) else copy
        else:
            copy = memo[id(value)] = value.copy()
            if isinstance(value, dict):
                for key in value:
                    copy[key] = _copy(value[key], memo)
            elif kind is not set:
                for place, item in enumerate(value):
                    copy[place] = _copy(item, memo)
    elif is_a(value, *loaded("numpy", "ndarray"), *loaded("pandas", "Series", "DataFrame")):
        if _bytes_of(value) > _COPY_BYTES:
            raise _TooLarge
        copy = value.copy()
    elif is_a(value, random.Random, *loaded("numpy.random", "Generator", "RandomState")):
        import copy as copying

        copy = copying.deepcopy(value)
    else:
        return value
    memo[id(value)] = copy
    return copy


def _bytes_of(value: Any) -> int:
    return int(value.nbytes if hasattr(value, "nbytes") else value.memory_usage().sum())


def unchanged(copy: Any, original: Any) -> bool:
    """Is the copy still like the original, in every detail? In doubt, yes."""
    try:
        return _identical(copy, original)
    except Exception:
        return True


def _identical(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple, deque)):
        return len(a) == len(b) and all(map(_identical, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(_identical(a[key], b[key]) for key in a)
    if is_a(a, *loaded("numpy", "ndarray")):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        return all(map(_identical, a.flat, b.flat)) if a.dtype.hasobject else a.tobytes() == b.tobytes()
    if is_a(a, *loaded("pandas", "Series", "DataFrame")):
        names = a.columns.equals(b.columns) if hasattr(a, "columns") else a.name == b.name
        return bool(names and a.index.equals(b.index) and a.equals(b))
    if is_a(a, random.Random, *loaded("numpy.random", "Generator", "RandomState")):
        return True  # a random generator is there to move on
    return bool(a == b) or (a != a and b != b)
