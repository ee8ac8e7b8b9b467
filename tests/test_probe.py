"""The probe: what is a stub, what is the same, what stops, what is put into words."""

from __future__ import annotations

import datetime as dt
import itertools
import linecache
import math
import random
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psma import probe
from psma.errors import PsmaError

_cells = itertools.count()


def names(code: str, *, source: bool = True) -> dict[str, Any]:
    """Run a cell's code and give its names; with ``source``, Python can look its text up as in a notebook."""
    code = textwrap.dedent(code)
    filename = f"<cell {next(_cells)}>"
    if source:
        linecache.cache[filename] = (len(code), None, code.splitlines(keepends=True), filename)
    space: dict[str, Any] = {"__name__": "__main__", "np": np, "pd": pd, "math": math, "time": time}
    exec(compile(code, filename, "exec"), space)
    return space


# Stubs -----------------------------------------------------------------------------------------------------

STUBS = {
    "dots": "def f(x):\n    ...",
    "docstring and dots": 'def f(x):\n    """What."""\n    ...',
    "docstring alone": 'def f(x):\n    """What."""',
    "pass": "def f(x):\n    pass",
    "dots as value": "f = ...",
    "lambda": "f = lambda x: ...",
    "returns dots": "def f(x):\n    return ...",
    "leans on a stub": "def g(x):\n    ...\ndef f(x):\n    return g(x) + 1",
    "leans on a stub two steps away": (
        "def h(x):\n    ...\ndef g(x): return h(x)\ndef f(x):\n    return [g(y) for y in x]"
    ),
    "leans on dots": "rate = ...\ndef f(x):\n    return rate * x",
    "a list with dots": "f = [1, ..., 3]",
    "a dictionary with dots": "f = {'north': ...}",
    "a class with a stub method": (
        "class f:\n    def __init__(self, x): self.x = x\n    def run(self):\n        ..."
    ),
    "an empty class": 'class f:\n    """What."""\n    ...',
    "decorated": "import functools\n@functools.lru_cache\ndef f(x):\n    ...",
    "a stub behind a partial": "import functools\ndef g(x, y):\n    ...\nf = functools.partial(g, 1)",
    "an instance of a class with a stub": "class Ward:\n    def beds(self):\n        ...\nf = Ward()",
    "a subclass of a stub": "class Base:\n    def go(self):\n        ...\nclass f(Base):\n    size = 3",
    "a generator leaning on a stub": "def g(x):\n    ...\ndef f(x):\n    yield g(x)",
}
ATTEMPTS = {
    "returns": "def f(x):\n    return x",
    "prints": "def f(x):\n    print(x)",
    "returns None in words": "def f(x):\n    return None",
    "bare return": "def f(x):\n    return",
    "a constant": "def f(x):\n    return 4",
    "raises": "def f(x):\n    raise ValueError",
    "recursive": "def f(x):\n    return f(x - 1) if x else 0",
    "an attribute with the name of a stub": "def wait(x):\n    ...\ndef f(x):\n    return x.wait",
    "a local with the name of a stub": "def wait(x):\n    ...\ndef f(x):\n    wait = 3\n    return wait",
    "a class with a method that passes": "class f:\n    def step(self):\n        pass",
    "an exception class": "class f(Exception):\n    pass",
    "a module": "import math as f",
    "numbers": "f = [1, 2]",
    "nothing": "f = None",
}


@pytest.mark.parametrize("code", STUBS.values(), ids=STUBS)
def test_stub_is_open(code: str) -> None:
    assert probe.first_open("f(1)", names(code)) is not None


@pytest.mark.parametrize("code", ATTEMPTS.values(), ids=ATTEMPTS)
def test_attempt_is_not_open(code: str) -> None:
    assert probe.first_open("f(1)", names(code)) is None


@pytest.mark.parametrize("kind", ["dots", "docstring and dots", "pass", "lambda", "leans on a stub"])
def test_stub_is_open_without_source(kind: str) -> None:
    assert probe.first_open("f(1)", names(STUBS[kind], source=False)) is not None


def test_open_names_the_stub_and_who_needs_it() -> None:
    space = names(STUBS["leans on a stub"])
    assert probe.first_open("f(1)", space) == probe.Open("g", user="f")
    assert probe.first_open("nowhere(1)", space) == probe.Open("nowhere", missing=True)


def test_names_bound_inside_the_expression_are_not_asked_for() -> None:
    assert probe.names_in("[f(x) for x in data if len(x)] + list(map(lambda y: y + z, data))") == [
        "f",
        "data",
        "z",
    ]


def test_leftover_dots_are_seen_beside_other_code() -> None:
    space = names("def f(x):\n    total = 0\n    ...\n    return total\ndef g(x):\n    return x")
    assert probe.unfinished("f(1)", space) == "f"
    assert probe.unfinished("g(1)", space) is None


# Expressions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["f(", "x = 3", "", "max", "import os"])
def test_author_hears_of_a_bad_expression(bad: str) -> None:
    with pytest.raises(PsmaError):
        probe.parse(bad)


def test_covered_builtins_mean_pythons_own() -> None:
    space = names("sum = 3\nlen = list = print = isinstance = 'mine'\ndef f(x):\n    return [x, x]")
    assert probe.evaluate("sum(f(2)) + len(f(2))", space).value == 6


# Comparison -----------------------------------------------------------------------------------------------

SERIES = pd.Series([1.0, 2.0, 3.0], index=["North", "South", "Wells"])
TABLE = pd.DataFrame({"wait": [12.3, 4.0], "seen": [True, False]}, index=["Tamarmouth", "Moor"])

SAME = [
    (4, 4.0),
    (np.float64(4), 4),
    (np.int64(4), 4.0),
    (np.array(4.0), 4),
    (Decimal("0.5"), 0.5),
    (Fraction(1, 3), 1 / 3),
    (0.1 + 0.2, 0.3),
    (math.nan, math.nan),
    (np.nan, float("nan")),
    (pd.NA, math.nan),
    (math.inf, np.inf),
    (10**400, 10**400),
    (True, np.bool_(True)),
    ("a", np.str_("a")),
    ((1, 2), [1, 2]),
    ([1, (2, 3)], (1, [2, 3])),
    (np.array([1, 2]), [1.0, 2.0]),
    ([1, 2], np.array([1, 2])),
    (pd.Series([1, 2]), [1, 2]),
    (range(3), [0, 1, 2]),
    ({"a": 1}.keys(), ["a"]),
    (deque([1, 2]), [1, 2]),
    (pd.Index([1, 2]), [1, 2]),
    (pd.Categorical(["a", "b"]), ["a", "b"]),
    ([[1, 2], [3, 4]], np.array([[1, 2], [3, 4]])),
    ({"a": 1.0, "b": [1, 2]}, {"b": (1, 2), "a": 1}),
    (Counter("aab"), {"a": 2, "b": 1}),
    (defaultdict(int, {"a": 1}), {"a": 1}),
    (OrderedDict([("b", 1), ("a", 2)]), {"a": 2, "b": 1}),
    ({1, 2}, frozenset([2, 1])),
    ({np.int64(1): 2}, {1: 2}),
    (None, None),
    (pd.Timestamp("2024-01-31 07:40"), dt.datetime(2024, 1, 31, 7, 40)),
    (np.datetime64("2024-01-31T07:40"), pd.Timestamp("2024-01-31 07:40")),
    (dt.date(2024, 1, 31), pd.Timestamp("2024-01-31")),
    (pd.Timedelta(hours=1), dt.timedelta(hours=1)),
    (np.timedelta64(60, "m"), dt.timedelta(hours=1)),
    (pd.Timestamp("2024-06-01 12:00", tz="Europe/London"), pd.Timestamp("2024-06-01 11:00", tz="UTC")),
    (pd.NaT, pd.NaT),
    (pd.Period("2024-01"), pd.Period("2024-01")),
    (SERIES.iloc[[2, 0, 1]], SERIES),
    (SERIES.rename("other"), SERIES),
    (pd.Series([1, 2], index=[7, 3]), pd.Series([1, 2])),
    (pd.Series([1, None]), pd.Series([1.0, math.nan])),
    (pd.Series([1, None], dtype="Int64"), pd.Series([1.0, math.nan])),
    (pd.Series(["a", None]), pd.Series(["a", pd.NA], dtype=object)),
    (pd.Series(["a", "b"], dtype="category"), pd.Series(["a", "b"])),
    (pd.Series(pd.to_datetime(["2024-01-01", None])), pd.Series([dt.datetime(2024, 1, 1), None])),
    (TABLE[["seen", "wait"]].iloc[::-1], TABLE),
    (TABLE.reset_index(), TABLE.reset_index()),
    (TABLE.reset_index().set_index("index"), TABLE),
    (pd.DataFrame(), pd.DataFrame()),
    (np.array([]), []),
    (np.array([(1, 2.0)], dtype="i8,f8"), np.array([(1, 2.0)], dtype="i8,f8")),
    (np.ma.array([1.0, 2.0], mask=[False, True]), np.array([1.0, math.nan])),
    (3 + 4j, np.complex128(3 + 4j)),
    (b"ab", np.bytes_(b"ab")),
]
DIFFERENT = [
    ("4", 4),
    (True, 1),
    (1, True),
    (0, False),
    ([4], 4),
    (np.array([4]), 4),
    (pd.Series([4]), 4),
    (4, "4"),
    (None, 0),
    (None, math.nan),
    (math.nan, 0),
    (0, math.nan),
    (3, math.inf),
    (-math.inf, math.inf),
    (math.inf, 3),
    (10**400, 3.0),
    (np.array([3.0]), np.array([math.inf])),
    (np.array([math.inf]), np.array([3.0])),
    (pd.Series([-math.inf]), pd.Series([math.inf])),
    (3.0, 10**400),
    (10**17, 10**17 + 1),
    ("North", "north"),
    ("a ", "a"),
    (b"a", "a"),
    ([1, 2], [2, 1]),
    ([1, 2], [1, 2, 3]),
    ([1, 2, 3], [1, 2]),
    ("ab", ["a", "b"]),
    ({"a": 1}, ["a"]),
    ({1, 2}, [1, 2]),
    ([True, False], [1, 0]),
    (np.array([True, False]), np.array([1, 0])),
    (np.array([1, 2, 3, 4]), np.array([[1, 2], [3, 4]])),
    (np.zeros((0, 3)), np.zeros((0, 2))),
    (np.array([2**60]), np.array([2**60 + 1])),
    (["1"], [1]),
    ([None], [math.nan]),
    (iter([1, 2]), [1, 2]),
    ({"a": 1}, {"a": 1, "b": 2}),
    ({"a": 1, "b": 2}, {"a": 1}),
    ({"1": 2}, {1: 2}),
    ({True: 2}, {1: 2}),
    ({True}, {1}),
    ("2024-01-31", dt.date(2024, 1, 31)),
    (pd.Timestamp("2024-01-31", tz="UTC"), pd.Timestamp("2024-01-31")),
    (dt.timedelta(hours=1), 3600),
    (pd.Timestamp("2024-01-31 00:00:01"), dt.date(2024, 1, 31)),
    (SERIES.iloc[[2, 0, 1]].reset_index(drop=True), SERIES),
    ([1.0, 2.0, 3.0], SERIES),
    (SERIES.iloc[:2], SERIES),
    (pd.Series([2, 1]), pd.Series([1, 2])),
    (pd.Series(["1", "2"]), pd.Series([1, 2])),
    (pd.Series([True, False]), pd.Series([1, 0])),
    (pd.Series([1, 2], index=["1", "2"]), pd.Series([1, 2], index=[1, 2])),
    (pd.Series([1, 2], index=["a", "a"]), pd.Series([2, 1], index=["a", "a"])),
    (pd.Series([1.0, math.nan]), pd.Series([1.0, 0.0])),
    (TABLE.assign(wait=[12.3, 5.0]), TABLE),
    (TABLE.assign(extra=1), TABLE),
    (TABLE[["wait"]], TABLE),
    (TABLE.rename(columns={"wait": "Wait"}), TABLE),
    (TABLE.iloc[:1], TABLE),
    (TABLE["wait"], TABLE),
    (TABLE.to_dict(), TABLE),
    (TABLE.reset_index(drop=True), TABLE),
    (np.ma.array([1, 2], mask=[False, True]), [1, 2]),
    (int, 4),
    (len, 4),
]


def _ids(pairs: list[tuple[Any, Any]]) -> list[str]:
    return [f"{i}-{type(got).__name__}-{type(want).__name__}" for i, (got, want) in enumerate(pairs)]


@pytest.mark.parametrize(("got", "want"), SAME, ids=_ids(SAME))
def test_right_answers_in_every_form_are_the_same(got: Any, want: Any) -> None:
    assert probe.same(got, want)


@pytest.mark.parametrize(("got", "want"), DIFFERENT, ids=_ids(DIFFERENT))
def test_other_answers_are_not_the_same(got: Any, want: Any) -> None:
    assert not probe.same(got, want)


def test_within_is_absolute_in_the_answers_own_unit() -> None:
    assert probe.same(240.009, 240, 0.01)
    assert not probe.same(240.011, 240, 0.01)
    assert probe.same(0.51, 0.5, 0.01), "0.51 - 0.5 is a hair more than 0.01 in floats"
    assert probe.same(np.array([240.009]), [240], 0.01)
    assert not probe.same(pd.Series([240.011]), pd.Series([240.0]), 0.01)
    assert not probe.same({"a": 1.1}, {"a": 1.0}, 0.01)
    assert probe.same(5, 6, 1)


def test_rounding_of_large_floats_is_forgiven_unless_within_is_0() -> None:
    large = 123_456_789_012.3
    near = np.nextafter(large, math.inf)
    assert abs(near - large) > 1e-9
    assert probe.same(near, large)
    assert probe.same(np.array([near]), np.array([large]))
    assert not probe.same(near, large, 0)
    assert not probe.same(large + 1, large)


class Liar:
    """Says that it is everything."""

    __class__ = int  # type: ignore[assignment]
    ndim, shape, dtype = 0, (), np.dtype(float)

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash(4)

    def __float__(self) -> float:
        return 4.0

    def __index__(self) -> int:
        return 4

    def __array__(self, *args: object, **options: object) -> np.ndarray:
        return np.array(4.0)

    def __sub__(self, other: object) -> int:
        return 0

    __rsub__ = __abs__ = __sub__

    def __len__(self) -> int:
        return 1

    def __getitem__(self, item: object) -> int:
        return 4

    def __iter__(self) -> Any:
        return iter([4])


class LyingFloat(float):
    def __eq__(self, other: object) -> bool:
        return True

    def __sub__(self, *other: object) -> float:
        return 0.0

    __hash__ = float.__hash__
    __rsub__ = __abs__ = __sub__


class LyingList(list):
    def __eq__(self, other: object) -> bool:
        return True

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Any:
        return iter([1, 2, 3])


class LyingText(str):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


class Bomb:
    """Explodes at whatever one does to it."""

    def _explode(self, *args: object, **options: object) -> Any:
        raise SystemExit("boom")

    __eq__ = __ne__ = __lt__ = __hash__ = __repr__ = __str__ = __bool__ = __len__ = __iter__ = _explode
    __float__ = __array__ = __getattr__ = __sub__ = __rsub__ = __abs__ = __getitem__ = __format__ = _explode


def _loop() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


HOSTILE = [Liar(), LyingFloat(5), LyingList([9]), LyingText("z"), Bomb(), [Bomb()], {"a": Bomb()}, _loop()]
WANTED = [
    4,
    4.0,
    "4",
    True,
    None,
    [4],
    [1, 2, 3],
    {"a": 1},
    {4},
    np.array([1, 2, 3]),
    np.array(4),
    SERIES,
    TABLE,
    dt.date(2024, 1, 1),
    math.nan,
    pd.NA,
    b"4",
    3j,
    range(3),
]


@pytest.mark.parametrize("want", WANTED, ids=[type(want).__name__ for want in WANTED])
@pytest.mark.parametrize("got", HOSTILE, ids=[type(got).__name__ for got in HOSTILE])
def test_hostile_objects_are_never_right_and_never_raise(got: Any, want: Any) -> None:
    assert probe.same(got, want) is False
    assert isinstance(probe.describe(got), str)
    assert isinstance(probe.difference(got, want), str)
    assert probe.same(want, got) is False


def test_two_lists_that_hold_themselves_do_not_raise() -> None:
    assert probe.same(_loop(), _loop()) is False


plain_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.dates()
    | st.datetimes()
    | st.timedeltas()
    | st.complex_numbers()
    | st.decimals(allow_nan=False)
    | st.fractions(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.integers() | st.dates(), inner)
        | st.frozensets(st.integers() | st.text())
    ),
    max_leaves=12,
)
arrays = st.lists(st.floats() | st.integers(-(10**9), 10**9), max_size=20).map(np.array)
series = st.dictionaries(st.text(max_size=3), st.floats(), max_size=12).map(
    lambda d: pd.Series(d, dtype=float)
)
frames = st.lists(
    st.tuples(st.text(max_size=3), st.floats(), st.booleans(), st.integers(0, 9)), max_size=8
).map(lambda rows: pd.DataFrame(rows, columns=["place", "wait", "seen", "n"]))


@given(st.one_of(plain_values, arrays, series, frames, st.lists(series | frames | arrays, max_size=3)))
def test_a_value_is_the_same_as_its_copy(value: Any) -> None:
    import copy

    assert probe.same(copy.deepcopy(value), value)
    assert probe.difference(copy.deepcopy(value), value) == ""


@given(
    st.floats(allow_nan=False, allow_infinity=False, width=32), st.floats(1e-6, 1e6), st.floats(1.001, 1e6)
)
def test_numbers_further_apart_than_within_are_never_the_same(
    want: float, within: float, times: float
) -> None:
    got = want + within * times
    if abs(got - want) > within + 1.01e-12 * abs(want):
        for wrap in (float, np.float64, lambda x: [x], lambda x: np.array([x]), lambda x: pd.Series([x])):
            assert not probe.same(wrap(got), wrap(want), within)


@given(series, st.randoms())
def test_a_labelled_series_may_stand_in_any_order(value: pd.Series, chance: random.Random) -> None:
    order = list(range(len(value)))
    chance.shuffle(order)
    assert probe.same(value.iloc[order], value)
    assert probe.same(value.to_frame("x").iloc[order], value.to_frame("x"))


@given(st.one_of(plain_values, arrays, series, frames), st.one_of(plain_values, arrays, series, frames))
@settings(max_examples=300)
def test_words_are_one_short_line_for_anything(got: Any, want: Any) -> None:
    for text in (probe.describe(got), probe.difference(got, want)):
        assert len(text) <= 80
        assert text.isprintable()
    if probe.same(got, want):
        assert probe.difference(got, want) == ""


# Words ----------------------------------------------------------------------------------------------------

WORDS = [
    (None, "nothing (a function that prints but does not return?)"),
    (np.float64(2.5), "2.5"),
    (np.int64(3), "3"),
    (4.0, "4"),
    (np.bool_(True), "True"),
    (np.array(4), "4"),
    (1 / 3, "0.333333"),
    (math.inf, "inf"),
    ("4", "the text '4'"),
    ("", "an empty text"),
    ([4], "[4]"),
    ((1, 2.0), "(1, 2)"),
    ({"a": np.float64(1)}, "{'a': 1}"),
    (len, "a function (did you forget the brackets?)"),
    (lambda x: x, "a function (did you forget the brackets?)"),
    (Counter, "the class Counter (did you forget the brackets?)"),
    ((x for x in [1]), "a generator (put list(...) around it to get its values)"),
    (map(str, [1]), "a map (put list(...) around it to get its values)"),
    (pd.DataFrame({"a": [1, 2, 3], "b": 0}), "a table of 3 rows and 2 columns"),
    (pd.DataFrame({"a": [1]}), "a table of 1 row and 1 column"),
    (pd.Series([1.5, 2.0]), "a column of 2 values: 1.5, 2"),
    (np.arange(9), "an array of 9 values: 0, 1, 2, 3, ..."),
    (np.zeros((2, 3)), "an array of 2 by 3 values"),
    (pd.Timestamp("2024-01-31 07:40"), "2024-01-31 07:40:00"),
    (10**5000, "a number of about 5000 digits"),
    (object(), "an object of class object"),
    ("line\nbreak", r"the text 'line\nbreak'"),
]


@pytest.mark.parametrize(("value", "words"), WORDS, ids=[words[:20] for _, words in WORDS])
def test_words(value: Any, words: str) -> None:
    assert probe.describe(value) == words


DIFFERENCES = [
    (TABLE.assign(wait=[12.5, 4.0]), TABLE, "row 'Tamarmouth', column wait: 12.5"),
    (TABLE[["seen"]], TABLE, "it has no column wait"),
    (TABLE.assign(total=1), TABLE, "its column total is too many"),
    (TABLE.iloc[:1], TABLE, "2 rows expected"),
    (TABLE.rename({"Moor": "Moors"}), TABLE, "it has no row labelled 'Moor'"),
    (SERIES * [1, 1, 2], SERIES, "row 'Wells': 6"),
    ([1, 2, 3, 5], [1, 2, 3, 4], "at [3]: 5"),
    (np.array([1, 2, 9, 4]), np.arange(1, 5), "at [2]: 9"),
    ([1, 2], [1, 2, 3], "3 values expected"),
    ({"a": 1}, {"b": 1}, "it has no key 'b'"),
    ({"a": 1}, {"a": 2}, "at 'a': 1"),
    (0.30000004, 0.3, "to more digits 0.30000004"),
    ("4", 4, ""),
]


@pytest.mark.parametrize(("got", "want", "words"), DIFFERENCES, ids=[words for *_, words in DIFFERENCES])
def test_the_first_difference_is_said(got: Any, want: Any, words: str) -> None:
    assert probe.difference(got, want) == words


# Running --------------------------------------------------------------------------------------------------

ENDLESS = {
    "empty": "def f():\n    while True: pass",
    "bare except": """
        def f():
            while True:
                try:
                    x = 1
                except:
                    pass
        """,
    "bare except around a sleep": """
        def f():
            while True:
                try:
                    time.sleep(0.1)
                except:
                    pass
        """,
    "two of them, one inside the other": """
        def f():
            while True:
                try:
                    while True:
                        try:
                            time.sleep(1000)
                        except BaseException:
                            continue
                finally:
                    continue
        """,
    "swallowed, and then an answer": """
        def f():
            try:
                time.sleep(1000)
            except:
                return 4
        """,
    "a list built again and again": (
        "def f():\n    n = 0\n    while True:\n        n += 1\n        [x for x in range(1000)]"
    ),
}


@pytest.mark.parametrize("code", ENDLESS.values(), ids=ENDLESS)
def test_endless_loops_are_stopped(code: str) -> None:
    """In a process of its own, so that a loop that is not stopped fails this test and not the whole suite."""
    script = (
        "import time\nfrom psma import probe\n"
        + textwrap.dedent(code)
        + "\nfor _ in range(3):\n    started = time.monotonic()\n"
        + "    outcome = probe.evaluate('f()', globals(), 0.2)\n"
        + "    assert outcome.kind == 'time', outcome\n"
        + "    assert time.monotonic() - started < 3\n"
        + "assert probe.evaluate('1 + 1', globals(), 0.2).value == 2\n"
        + "time.sleep(0.3)\nprint('survived')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "survived", done.stderr
    assert done.stderr == ""


def test_endless_loop_off_the_main_thread_is_stopped() -> None:
    space = names(ENDLESS["empty"])
    outcomes: list[probe.Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(probe.evaluate("f()", space, 0.2)), daemon=True)
    thread.start()
    thread.join(10)
    assert [outcome.kind for outcome in outcomes] == ["time"]
    assert threading.active_count() < 20


def test_a_thread_gives_values_and_errors_as_the_main_thread_does() -> None:
    outcomes: list[probe.Outcome] = []
    space = names("def f(x):\n    return 1 / x")
    for expression in ("f(2)", "f(0)"):
        thread = threading.Thread(target=lambda e=expression: outcomes.append(probe.evaluate(e, space)))
        thread.start()
        thread.join()
    assert outcomes[0].value == 0.5
    assert isinstance(outcomes[1].error, ZeroDivisionError)


@pytest.mark.parametrize(
    "error", ["SystemExit", "KeyboardInterrupt", "MemoryError", "GeneratorExit", "ValueError"]
)
def test_whatever_is_raised_comes_back_as_an_outcome(error: str) -> None:
    outcome = probe.evaluate("f()", names(f"def f():\n    raise {error}('no')"))
    assert outcome.kind == "error"
    assert type(outcome.error).__name__ == error


def test_endless_recursion_comes_back() -> None:
    assert isinstance(probe.evaluate("f()", names("def f():\n    return f()")).error, RecursionError)


@pytest.mark.parametrize("handler", ["", "Exception"])
def test_input_is_refused_even_if_the_code_swallows_it(handler: str) -> None:
    code = f"def f():\n    try:\n        return input('?')\n    except {handler}:\n        return 3"
    assert probe.evaluate("f()", names(code)).kind == "input"


def test_everything_is_muted(capfd: pytest.CaptureFixture[str]) -> None:
    code = """
        import logging, sys, warnings
        def f():
            print("out")
            print("err", file=sys.stderr)
            warnings.warn("careful")
            logging.warning("log")
            np.float64(1) / 0
            return 4
        """
    with pytest.warns(UserWarning, match="later"):  # and afterwards warnings come through again
        assert probe.evaluate("f()", names(code)).value == 4
        import warnings

        warnings.warn("later", stacklevel=1)
    print("after")
    assert capfd.readouterr() == ("after\n", "")


def test_random_numbers_go_on_as_if_nothing_had_been() -> None:
    code = """
        import random
        rng = np.random.default_rng(1)
        def f(g):
            return random.random() + np.random.rand() + g.random()
        """

    def draw(rng: np.random.Generator) -> tuple[float, ...]:
        return random.random(), np.random.rand(), rng.random()  # noqa: NPY002

    space = names(code)
    state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    first = draw(np.random.default_rng(1))
    random.setstate(state)
    np.random.set_state(numpy_state)  # noqa: NPY002
    outcome = probe.evaluate("f(rng)", space)
    assert outcome.kind == "value"
    assert outcome.changed == ""
    assert draw(space["rng"]) == first


def test_figures_do_not_stay_open_and_show_does_not_block() -> None:
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    before = plt.get_fignums()
    code = """
        import matplotlib.pyplot as plt
        def f():
            fig, ax = plt.subplots()
            plt.show()
            return ax
        """
    outcome = probe.evaluate("f()", names(code))
    assert outcome.kind == "value"
    assert plt.get_fignums() == before


# Copies ---------------------------------------------------------------------------------------------------

CHANGES = {
    "sorts a list": ("data = [3, 1, 2]", "data.sort()"),
    "pops": ("data = [3, 1, 2]", "data.pop()"),
    "changes a list inside a dictionary": ("data = {'a': [1]}", "data['a'].append(2)"),
    "reorders a dictionary": ("data = {'a': 1, 'b': 2}", "data['a'] = data.pop('a')"),
    "adds to a set": ("data = {1}", "data.add(2)"),
    "scales an array": ("data = np.ones(3)", "data *= 2"),
    "one nan": ("data = np.ones(3)", "data[0] = np.nan"),
    "adds a column": ("data = pd.DataFrame({'a': [1, 2]})", "data['b'] = 1"),
    "sorts a table in place": ("data = pd.DataFrame({'a': [2, 1]})", "data.sort_values('a', inplace=True)"),
    "changes a cell": ("data = pd.DataFrame({'a': [2, 1]})", "data.loc[0, 'a'] = 5"),
    "renames": ("data = pd.DataFrame({'a': [2, 1]})", "data.rename(columns={'a': 'b'}, inplace=True)"),
    "sets a type": ("data = pd.DataFrame({'a': ['2', '1']})", "data['a'] = data['a'].astype(int)"),
    "drops from a series": ("data = pd.Series([2, 1])", "data.drop(0, inplace=True)"),
    "a queue": ("from collections import deque\ndata = deque([1, 2])", "data.popleft()"),
    "a defaultdict that grows": (
        "from collections import defaultdict\ndata = defaultdict(list)",
        "data['x']",
    ),
}


@pytest.mark.parametrize(("data", "change"), CHANGES.values(), ids=CHANGES)
def test_a_changed_argument_is_found_out_and_the_original_left_alone(data: str, change: str) -> None:
    space = names(
        f"{data}\ndef f(data):\n    {change}\n    return 4\ndef harmless(data):\n    return len(data)"
    )
    before = repr(space["data"])
    assert probe.evaluate("f(data)", space).changed == "data"
    assert repr(space["data"]) == before
    assert probe.evaluate("harmless(data)", space).changed == ""


def test_objects_inside_a_list_stay_the_same_objects() -> None:
    code = """
        class Patient:
            pass
        ann = Patient()
        ward = [ann, Patient()]
        both = {"ward": ward}
        def discharge(ward, patient):
            ward = list(ward)
            ward.remove(patient)
            return len(ward)
        def same_ward(both, ward):
            return both["ward"] is ward
        """
    space = names(code)
    assert probe.evaluate("discharge(ward, ann)", space).value == 1
    assert probe.evaluate("same_ward(both, ward)", space).value is True


def test_literals_of_the_expression_are_fresh_every_time() -> None:
    space = names("def f(x):\n    x.sort()\n    return x[0]")
    assert [probe.evaluate("f([3, 1, 2])", space).value for _ in range(2)] == [1, 1]


def test_very_large_data_is_not_copied() -> None:
    space = names("data = list(range(300_000))\ndef f(data):\n    return len(data)")
    started = time.monotonic()
    assert probe.evaluate("f(data)", space).value == 300_000
    assert time.monotonic() - started < 0.5


def test_a_name_that_the_expression_sets_does_not_reach_the_notebook() -> None:
    space = names("def f(x):\n    return x")
    assert probe.evaluate("(y := f(3)) + y", space).value == 6
    assert "y" not in space
