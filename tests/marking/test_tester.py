"""How a test is decided: names, values, calls, part marks, references, and what is left to a person."""

# ruff: noqa: E501 (tables, a row a line)
from __future__ import annotations

import json
import shutil
import sys
import textwrap

import marking_material as material
import pytest

from psma.marking.marker import Limits, Marker
from psma.marking.reader import find, load
from psma.marking.sandbox import Sandbox
from psma.marking.source import read_paper

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("bwrap"), reason="isolation needs Linux and bubblewrap"
)


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(["numpy", "pandas"]) as place:
        yield place


@pytest.fixture
def decide(sandbox, tmp_path):
    """Mark an answer against a test: ``decide(answer, test)``. Further pairs make further questions."""

    def run(*pairs: str, points: float = 2, draw: str = "", data: dict[str, str] | None = None, **limits):
        pairs = tuple(textwrap.dedent(text).strip() for text in pairs)
        table: list = [(None, "given", 0, "import numpy as np\nimport pandas as pd\nimport math")]
        for number, (answer, test) in enumerate(zip(pairs[::2], pairs[1::2], strict=True), start=1):
            table += [(f"a{number}", "answer", 0, answer), (f"t{number}", "test", points, test)]
        path = material.write_paper(tmp_path / "paper", table)
        if draw:
            (tmp_path / "paper" / "draw.py").write_text(textwrap.dedent(draw))
        for name, text in (data or {}).items():
            (tmp_path / "paper" / "data").mkdir(exist_ok=True)
            (tmp_path / "paper" / "data" / name).write_text(text)
        (tmp_path / "sent").mkdir(exist_ok=True)
        (tmp_path / "sent" / "0007.ipynb").write_text(json.dumps(material.submission(table=table)))
        paper = read_paper(path)
        marker = Marker(paper, sandbox, Limits(**{"cell": 5.0, "budget": 60.0, **limits}))
        result = marker.mark(load(find(tmp_path / "sent", paper)[0], paper))
        return result.tests[0] if len(pairs) == 2 else result

    return run


@pytest.mark.parametrize(("answer", "test"), [
    ("def f(x): x.append(1)", "x = [0]\nf(x)\nassert x == [0, 1]"),
    ("def f(x): x['a'] = 2", "x = {'a': 1}\nf(x)\nassert x == {'a': 2}"),
    ("def f(x): x *= 2", "x = np.arange(3)\nf(x)\nassert x.tolist() == [0, 2, 4]"),
    ("def f(x): x['b'] = x['a'] * 2", "x = pd.DataFrame({'a': [1, 2]})\nf(x)\nassert list(x['b']) == [2, 4]"),
    ("def f(x): return x.drop(columns='a')", "x = pd.DataFrame({'a': [1]})\nf(x)\nassert list(x.columns) == ['a']"),
    ("def f(x): raise ValueError('no')", "try:\n    f(1)\nexcept ValueError:\n    pass\nelse:\n    assert False"),
    ("class Sad(KeyError): pass\ndef f(x): raise Sad(x)", "import pytest\nwith pytest.raises(KeyError):\n    f(1)"),
    ("def f(): print('hello')", "import io, contextlib\nout = io.StringIO()\nwith contextlib.redirect_stdout(out):\n"
                                "    f()\nassert out.getvalue() == 'hello\\n'"),
    ("def f(): b'\\xff'.decode()", "try:\n    f()\nexcept ValueError:\n    pass\nelse:\n    assert False"),
    ("def make(n):\n    return lambda x: x + n", "add = make(3)\nassert add(4) == 7"),
    ("def apply(f, x): return f(x)\ndef double(x): return 2 * x", "assert apply(double, 4) == 8"),
    ("class Queue:\n    def __init__(self): self.items = []\ndef new(): return Queue()\n"
     "def push(q, x): q.items.append(x)\ndef size(q): return len(q.items)",
     "q = new()\npush(q, 1)\npush(q, 2)\nassert size(q) == 2"),
    ("steps = {'a': max, 'b': len}", "assert steps['a'](1, 2) == 2\nassert steps['b']([1]) == 1"),
    ("count = 0\ndef f():\n    global count\n    count += 1", "f()\nf()\nassert count == 2"),
    ("x = None\ny = object()", "assert x is None\nassert y is not None"),
    ("import numpy\ndef f(x): return numpy.float64(x)", "assert isinstance(f(1), float)\nassert callable(f)"),
    ("def f(n): return n if n < 2 else f(n - 1) + f(n - 2)", "assert [f(n) for n in range(10)][-1] == 34"),
    ("def f(*a, k=1, **kw): return a, k, kw", "assert f(1, 2, k=3, z=4) == ((1, 2), 3, {'z': 4})"),
    ("from datetime import date\nday = date(2026, 1, 1)", "import datetime\nassert day == datetime.date(2026, 1, 1)"),
    ("import math as m\nx = m.pi", "assert math.isclose(x, math.pi)"),
], ids=lambda text: text.split("\n")[0][:30])  # fmt: skip
def test_passes(decide, answer, test):
    result = decide(answer, test)
    assert result.passed, result.detail


@pytest.mark.parametrize(("answer", "test", "words"), [
    ("x = 3", "assert x == 4, 'x should be four'", "x should be four"),
    ("x = 3", "assert x == 4", "This does not hold: assert x == 4"),
    ("y = 3", "assert x == 4", "There is no x"),
    ("def f(): return 1 / 0", "assert f() == 1", "f stopped with ZeroDivisionError"),
    ("def f(): import os; os._exit(3)", "assert f() == 1", "f ended the process"),
    ("def f():\n    while True: pass", "assert f() == 1", "took longer than"),
    ("x = 3", "assert x.missing", "AttributeError"),
    ("x = 'secret'", "### BEGIN HIDDEN TESTS\nassert x == 'hidden word'\n### END HIDDEN TESTS", "A hidden test does not hold."),
    ("def f(x): raise ValueError(x)", "### BEGIN HIDDEN TESTS\nf('hidden word')\n### END HIDDEN TESTS",
     "A hidden test stopped with ValueError."),
    ("n = 10 ** 13", "for _ in range(n): pass", "took longer than"),
    ("n = 3", "while n:\n    try:\n        while True: pass\n    except BaseException: pass", "took longer than"),
    ("n = 10 ** 12", "assert sum(range(n)) == 0", "made the test run out of time"),
], ids=lambda text: text.split("\n")[0][:30])  # fmt: skip
def test_fails_and_says_why(decide, answer, test, words):
    result = decide(answer, test, cell=1.0)
    assert result.passed is False
    assert words in result.reason
    assert "hidden word" not in result.reason
    assert result.points == 0


@pytest.mark.parametrize(("answer", "test"), [
    ("class P:\n    age = 3\np = P()", "assert p.age == 3"), ("class P: pass", "assert P().x == 3"),
    ("p = (n for n in [1])", "assert list(p) == [1]"), ("class P: pass\np = P()", "assert p"),
    ("class P: pass\np = P()", "try:\n    assert p == 1\nexcept BaseException:\n    pass"),
    ("class P: pass\np = [P()]", "assert len(p) == 1 and p[0].x"), ("class P: pass\np = P()", "assert type(p).__name__ == 'P'"),
    ("class P: pass\np = P()", "assert isinstance(p, int)"), ("def f(g): return g(2)", "assert f(lambda x: x + 1) == 3"),
    ("x = 3", "assert 'x' in globals()"), ("x = 3", "assert eval('x') == 3"), ("def f(): pass", "assert f.__code__"),
    ("def f(): pass", "import inspect\nassert 'pass' in inspect.getsource(f)"),
    ("import matplotlib.pyplot as plt\nplt.plot([1])", "import matplotlib.pyplot as plt\nassert plt.gca().lines"),
    ("async def f(): return 1", "assert f() == 1"), ("import json as x", "assert x.dumps(1) == '1'"), ("x = 3", "7"),
], ids=lambda text: text.split("\n")[0][:30])  # fmt: skip
def test_is_left_to_a_person(decide, answer, test):
    result = decide(answer, test)
    assert result.passed is None, result
    assert result.points is None
    assert result.detail.startswith("By hand: ")


@pytest.mark.parametrize(("last", "points"), [
    ("0.5", 0.5), ("0", 0.0), ("2", 2.0), ("-1", 2.0), ("None", 2.0), ("'1'", 2.0), ("1;", 2.0), ("np.float64(1)", 2.0),
    ("True", 2.0), ("[1]", 2.0),
])  # fmt: skip
def test_part_marks_follow_nbgrader(decide, last, points):
    assert decide("x = 3", f"assert x == 3\n{last}").points == points


def test_a_later_answer_replaces_what_a_test_called_the_same(decide):
    result = decide("x = 1", "result = x\nassert result == 1", "result = 5", "assert result == 5")
    assert result.marks == {"t1": 2, "t2": 2}


def test_what_a_test_binds_is_there_for_the_next(decide):
    assert (
        decide(
            "x = 1", "helper = lambda v: v + 1\nassert helper(x) == 2", "y = 4", "assert helper(y) == 5"
        ).open
        == ()
    )


def test_a_function_from_an_earlier_test_needs_a_person(decide):
    assert decide(
        "def f(): return 1", "kept = f\nassert kept() == 1", "y = 1", "assert kept() == 1"
    ).open == ("t2",)


DRAW = """
def draw(candidate, folder):
    rate = int(candidate) + 1
    (folder / "arrivals.csv").write_text("n\\n" + "\\n".join(str(rate * k) for k in range(5)))
    return {"rate": rate}
"""


def test_a_candidate_is_marked_on_the_own_draw(decide):
    answer = "table = pd.read_csv('arrivals.csv')\ntotal = int(table['n'].sum())"
    test = "assert total == reference.total\nassert total == 10 * draw['rate']\nassert draw['rate'] == 8"
    assert decide(answer, test, draw=DRAW).passed


def test_the_draw_cannot_be_written_over(decide):
    answer = "with open('own.txt', 'w') as f: f.write('x')\ntry:\n    open('arrivals.csv', 'w')\nexcept OSError as e:\n    x = e.errno"
    assert decide(answer, "assert x in (13, 30)", draw=DRAW).passed


def test_data_beside_the_paper_is_there_to_read(decide):
    assert decide(
        "x = pd.read_csv('data/d.csv')['n'].sum()", "assert x == 3", data={"d.csv": "n\n1\n2\n"}
    ).passed


def test_a_draw_that_fails_is_flagged_and_not_marked(decide):
    result = decide(
        "x = 1", "assert x == 1", "y = 1", "assert y == 1", draw="def draw(candidate, folder): 1 / 0"
    )
    assert result.marks == {"t1": None, "t2": None}
    assert [flag.code for flag in result.flags] == ["paper"]


def test_time_for_the_whole_notebook_ends(decide):
    result = decide(
        "import time; time.sleep(1)", "assert True", "time.sleep(1)", "assert True", cell=5, budget=0.5
    )
    assert "time used up" in {flag.code for flag in result.flags}
    assert None in result.marks.values()
