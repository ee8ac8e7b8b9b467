"""What a trainee sees of a check: one line, whatever they wrote; and what is kept of it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_probe import Bomb, Liar, names

from psma import checks
from psma.errors import PsmaError


def ask(space: dict[str, Any], call: str) -> checks.Verdict:
    """Run a check cell among a trainee's names and return its verdict."""
    exec("from psma.checks import check", space)
    before = len(checks.HISTORY)
    exec(compile(f"check({call})", "<cell>", "exec"), space)
    assert len(checks.HISTORY) == before + 1
    return checks.HISTORY[-1]


def line(code: str, call: str) -> str:
    return ask(names(code), call).line


WAIT = """
def wait(per_hour, minutes):
    busy = per_hour * minutes / 60
    return math.inf if busy >= 1 else minutes * busy / (1 - busy)
"""

LINES = [
    # the four answers
    (WAIT, '{"wait(0.8, 60)": 240, "wait(3, 60)": math.inf}, within=0.01', "Right. (2 of 2)"),
    (WAIT, '"wait(0.8, 60)", 240, within=0.01', "Right."),
    (WAIT, '{"wait(0.8, 60)": lambda w: 239 < w < 241}', "Right."),
    ("x = 3", '"wait(3, 60)", 4, hint="look up"', "Not attempted yet: wait."),
    ("wait_tme = 3", '"wait_time", 4', "Not attempted yet: wait_time. (You have wait_tme: is that it?)"),
    (
        "def waitTime(): return 3",
        '"wait_time()", 3',
        "Not attempted yet: wait_time. (You have waitTime: is that it?)",
    ),
    ("def f(x):\n    ...", '"f(1)", 4, hint="no"', "Not attempted yet: f."),
    ("def g(x):\n    ...\ndef f(x): return g(x)", '"f(1)", 4', "Not attempted yet: g (f needs it)."),
    (
        "def f(x):\n    n = 0\n    ...\n    return n",
        '"f(1)", 4',
        "Not attempted yet: f (a ... still stands in it).",
    ),
    ("class Ward:\n    def beds(self):\n        ...", '"Ward().beds()", 4', "Not attempted yet: Ward.beds."),
    ("def f(x): return x", '"f(3)", 4, hint="one more"', "Not right yet: f(3) gives 3. Hint: one more"),
    (
        "def f(x): print(x + 1)",
        '"f(3)", 4',
        "Not right yet: f(3) gives nothing (a function that prints but does not return?).",
    ),
    ("def f(x): return str(x + 1)", '"f(3)", 4', "Not right yet: f(3) gives the text '4'."),
    ("def f(x): return True", '"f(0)", 1', "Not right yet: f(0) gives True."),
    ("def f(x): return [x]", '"f(4)", 4', "Not right yet: f(4) gives [4]."),
    (
        "def f(x): return np.array([x])",
        '"f(4)", lambda v: v == 4',
        "Not right yet: f(4) gives an array of 1 value: 4.",
    ),
    ("def f(x): return x", '"f", 4', "Not right yet: f gives a function (did you forget the brackets?)."),
    (
        "def f(x):\n    return x + 'a'",
        '"f(3)", 4, hint="add"',
        "Your code stopped with TypeError at f(3): unsupported operand type(s) for +: 'int' and 'str', "
        "in the line `return x + 'a'`. Hint: add",
    ),
    (
        "def f(): return 4",
        '"f(3)", 4',
        "Your code stopped with TypeError at f(3): f() takes 0 positional arguments but 1 was given.",
    ),
    (
        "def f(x): raise SystemExit",
        '"f(3)", 4',
        "Your code stopped with SystemExit at f(3), in the line `def f(x): raise SystemExit`.",
    ),
    (
        "def f(x):\n    while True: pass",
        '"f(3)", 4, seconds=0.2',
        "Your code was still running after 0.2 seconds at f(3): an endless loop?",
    ),
    (
        "def f(): return input()",
        '"f()", 4',
        "Your code asks for input() at f(): a check cannot type an answer.",
    ),
    (
        "def f(d):\n    d.sort()\n    return d[0]\ndata = [3, 1]",
        '"f(data)", 1',
        "Not right yet: f(data) changes its argument data.",
    ),
    ("def f(d):\n    d.sort()\n    return d[0]\ndata = [3, 1]", '"f(data)", 1, may_change=True', "Right."),
    # predicates
    ("def f(): return 'a'", '"f()", lambda v: v > 3', "Not right yet: f() gives the text 'a'."),
    ("def f(): return 4", '"type(f())", int', "Right."),
    ("def f(): return 4", '"f()", int', "Not right yet: f() gives 4."),
    (
        "def f():\n    while True:\n        yield 1",
        '"f()", lambda g: sum(g) == 3, seconds=0.2',
        "What f() gives was still being read after 0.2 seconds: does it ever end?",
    ),
    # tables
    (
        "t = pd.DataFrame({'wait': [12.3, 4]}, index=['Tamarmouth', 'Moor'])",
        '"t", pd.DataFrame({"wait": [12.0, 4]}, index=["Tamarmouth", "Moor"])',
        "Not right yet: t gives a table of 2 rows and 1 column (row 'Tamarmouth', column wait: 12.3).",
    ),
    # a trainee who covers Python's own names
    (
        "sum = len = print = str = sorted = isinstance = dict = 3\ndef f(x): return x",
        '"sum([f(1), f(2)])", 3',
        "Right.",
    ),
    ("hint = cases = probe = sys = answer = 3\ndef f(x): return x", '"f(3)", 3', "Right."),
]


@pytest.mark.parametrize(
    ("code", "call", "said"), LINES, ids=[f"{i}-{said[:30]}" for i, (*_, said) in enumerate(LINES)]
)
def test_line(code: str, call: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert line(code, call) == said
    assert capsys.readouterr() == (said + "\n", "")


@pytest.mark.parametrize(
    ("code", "verdict", "passed"),
    [
        ("def f(x): return x", "right", 3),
        ("def f(x): return min(x, 2)", "wrong", 2),
        ("def f(x):\n    if x > 1: raise ValueError\n    return x", "stopped", 1),
        ("def f(x):\n    ...", "open", 0),
    ],
)
def test_history_keeps_verdict_and_count(code: str, verdict: str, passed: int) -> None:
    result = ask(names(code), '{"f(1)": 1, "f(2)": 2, "f(3)": 3}')
    assert (result.verdict, result.passed, result.of) == (verdict, passed, 3)
    assert result.key == checks.key(["f(3)", "f(2)", "f(1)"])


def test_another_tasks_name_is_not_a_misspelling() -> None:
    space = names("def share_low(x): return x")
    ask(space, '"share_low(1)", 1')
    assert ask(space, '"share_lows(1)", 1').line == "Not attempted yet: share_lows."


@pytest.mark.parametrize(
    "value", [Bomb(), Liar(), [Bomb()], lambda: Bomb()], ids=["bomb", "liar", "list", "function"]
)
@pytest.mark.parametrize("want", ["4", "lambda v: v.x == 3", "[1]", "np.array([1.0])", "None", "{'a': 1}"])
def test_hostile_values_get_one_line(value: Any, want: str, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = ask({**names(""), "f": value}, f'"f", {want}')
    assert verdict.verdict == "wrong"
    assert capsys.readouterr().out == verdict.line + "\n"


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    "error",
    [UnspeakableError(), ValueError("two\nlines"), ValueError("\ud800\x1b[31m"), ValueError("x" * 9999)],
)
def test_any_error_gets_one_line(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    def f() -> None:
        raise error

    verdict = ask({**names(""), "f": f}, '"f()", 4')
    assert verdict.verdict == "stopped"
    assert capsys.readouterr().out == verdict.line + "\n"
    assert len(verdict.line) < 400


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.text()
    | st.integers()
    | st.just(...)
    | st.builds(Bomb)
    | st.builds(Liar),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | inner.map(lambda v: lambda *a: v),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(["f", "g", "sum", "data", "__builtins__", "print"]), anything), st.data()
)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_line_for_any_names_and_expression(
    capsys: pytest.CaptureFixture[str], space: dict[str, Any], data: st.DataObject
) -> None:
    expression = data.draw(
        st.sampled_from(["f", "f(3)", "f(g)", "sum(f)", "[x for x in f]", "g.data", "f[0]", "1 / 0"])
    )
    want = data.draw(anything)
    capsys.readouterr()
    notebook = {**space, "__builtins__": __builtins__}
    caller = eval("lambda check, expression, want: check(expression, want, seconds=2)", notebook)
    caller(checks.check, expression, want)
    printed = capsys.readouterr()
    assert printed.out.count("\n") == 1
    assert printed.out.endswith("\n")
    assert printed.err == ""


# What an author gets wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        "{}",
        '"f(", 3',
        "3, 4",
        '"f(1)", 1, within=-1',
        '"f(1)", 1, within=math.nan',
        '"f(1)", 1, seconds=0',
        '"max", 3',
        "{3: 4}",
    ],
)
def test_a_wrong_check_tells_its_author(call: str) -> None:
    with pytest.raises(PsmaError):
        ask(names("def f(x): return x"), call)


SOURCES = [
    ('check({"f(1)": 1, "f(2)": [2]}, within=0.1, hint="x")', ["f(1)", "f(2)"]),
    ('x = 3\ncheck("f(1)", 2)', ["f(1)"]),
    ('psma.checks.check("f(1)", 2)', ["f(1)"]),
    ('check(cases={"f(1)": 1})', ["f(1)"]),
    ('check({"f(1,"\n       " 2)": 1})', ["f(1, 2)"]),
    ("print(3)", []),
    ("mycheck('f(1)')", []),
]


@pytest.mark.parametrize(("source", "expressions"), SOURCES)
def test_expressions_are_read_without_running(source: str, expressions: list[str]) -> None:
    assert checks.expressions_in(source) == expressions


@pytest.mark.parametrize(
    "source",
    [
        'check({f"f({x})": 1})',
        'check({"f(1)" + y: 1})',
        "check(cases)",
        "check({**cases})",
        "check({name: 1})",
        'check({"f(": 1})',
        'check({"f(1)": 1, "f(1)": 2})',
        "check({})",
        "check()",
        'check("f(1)", 1)\ncheck("g(1)", 1)',
        "check(",
        "%matplotlib inline\ncheck('f(1)', 1)",
    ],
)
def test_expressions_that_are_not_written_out_are_refused(source: str) -> None:
    with pytest.raises(PsmaError):
        checks.expressions_in(source)


def test_key_depends_on_the_expressions_alone() -> None:
    assert checks.key(["b", "a"]) == checks.key(("a", "b")) == "7e18f737311b"  # printf 'a\nb' | sha256sum


# The record -----------------------------------------------------------------------------------------------


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work" / "03_queuing_des"
    folder.mkdir(parents=True)
    (tmp_path / "work" / ".psma").mkdir()
    monkeypatch.chdir(folder)
    return tmp_path / "work"


def test_verdicts_are_recorded_in_a_prepared_work_folder(work: Path) -> None:
    result = ask(names("def f(x): return x"), '{"f(1)": 1, "f(2)": 3}')
    ask(names("def f(x): return x"), '"f(1)", 1')
    lines = [json.loads(text) for text in (work / ".psma" / "checks.jsonl").read_text().splitlines()]
    assert [set(entry) for entry in lines] == [{"time", "key", "verdict", "passed", "of"}] * 2
    first = lines[0]
    assert (first["key"], first["verdict"], first["passed"], first["of"]) == (result.key, "wrong", 1, 2)
    assert lines[1]["verdict"] == "right"


def test_nothing_is_recorded_elsewhere(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ask(names("f = 3"), '"f", 3')
    assert not list(tmp_path.rglob("*.jsonl"))
    (work / ".psma").rmdir()
    monkeypatch.chdir(work / "03_queuing_des")
    ask(names("f = 3"), '"f", 3')
    assert not list(tmp_path.rglob("*.jsonl"))


def test_a_record_that_cannot_be_written_does_not_disturb(work: Path) -> None:
    (work / ".psma" / "checks.jsonl").mkdir()
    assert ask(names("f = 3"), '"f", 3').line == "Right."


def test_two_notebooks_at_once_do_not_mix_their_lines(work: Path) -> None:
    result = checks.Verdict("right", "Right.", "0" * 12, 1, 1)
    threads = [
        threading.Thread(
            target=lambda: [checks._append(work / ".psma" / "checks.jsonl", result) for _ in range(200)]
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (
        len([json.loads(text) for text in (work / ".psma" / "checks.jsonl").read_text().splitlines()]) == 800
    )


# The notebook ---------------------------------------------------------------------------------------------

NOTEBOOK = [
    (
        "%matplotlib inline\n"
        "import math, sys\n"
        "import numpy as np, pandas as pd, matplotlib.pyplot as plt\n"
        "from psma.checks import check"
    ),
    'def stub(x):\n    """What."""\n    ...',
    'check("stub(3)", 4)',
    (
        "def empty(x):\n"
        "    return None\n"
        "class Ward:\n"
        "    def step(self):\n"
        "        pass\n"
        "    def beds(self):\n"
        '        """Beds."""\n'
        "        ..."
    ),
    'check("empty(3)", 4)',
    'check("Ward().beds()", 4)',
    (
        "def draws(x):\n"
        "    fig, ax = plt.subplots()\n"
        "    ax.plot(x)\n"
        "    plt.show()\n"
        "    display(pd.DataFrame({'a': x}))\n"
        "    print(x)\n"
        "    print(x, file=sys.stderr)\n"
        "    return fig"
    ),
    'check("draws([1, 2])", lambda fig: len(fig.axes) == 1)',
    "def leaves():\n    exit()",
    'check("leaves()", 4)',
    "def asks():\n    return input()",
    'check("asks()", 4)',
    "def loops():\n    while True:\n        try:\n            x = 3\n        except:\n            pass",
    'check("loops()", 4, seconds=0.3)',
    "def broken(x):\n    y = x + 1\n    return y / 0",
    'check("broken(3)", 4)',
    'sum = list = 3\ncheck("sum([1, 2])", 3)',
]
NOTEBOOK_LINES = {
    2: "Not attempted yet: stub.",
    4: "Not right yet: empty(3) gives nothing (a function that prints but does not return?).",
    5: "Not attempted yet: Ward.beds.",
    7: "Right.",
    9: "Your code stopped with SystemExit at leaves(), in the line `exit()`.",
    11: "Your code asks for input() at asks(): a check cannot type an answer.",
    13: "Your code was still running after 0.3 seconds at loops(): an endless loop?",
    15: (
        "Your code stopped with ZeroDivisionError at broken(3): division by zero, in the line `return y / 0`."
    ),
    16: "Right.",
}


def test_a_real_notebook_shows_one_line_a_check(tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in NOTEBOOK])
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
    for place, said in NOTEBOOK_LINES.items():
        assert [(out.output_type, out.get("text")) for out in notebook.cells[place].outputs] == [
            ("stream", said + "\n")
        ]


def test_importing_is_light() -> None:
    script = "import sys, psma.checks; print({'numpy', 'pandas', 'IPython', 'asyncio'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout == "set()\n", done.stderr


def test_the_lines_in_the_manual_are_what_check_says() -> None:
    manual = (Path(checks.__file__).parents[1] / "docs" / "checks.md").read_text(encoding="utf-8")
    call = manual.split("```python\ncheck(")[1].split(")\n```")[0]
    full = "def nurse_wait(rate, minutes):\n    u = rate * minutes / 60\n    return "
    answers = [
        full + "math.inf if u >= 1 else minutes * u / (1 - u)",
        "",
        "def nurseWait(): return 3",
        full + "minutes * u / (1 - u)",
        full.replace("return ", "print(minutes * u)"),
        full + "minuts * u",
        full.replace("return ", "while True: pass"),
    ]
    rows = [
        row.strip("| ").split(" | ", 1)[1].strip("`")
        for row in manual.split("| --- | --- |\n")[1].splitlines()[:7]
    ]
    for code, row in zip(answers, rows, strict=True):
        said = line(code, call + ", seconds=0.1")
        assert said.replace("0.1 seconds", "5 seconds").startswith(row.split("…")[0]), row


def test_pandas_answers_need_no_import_by_the_author() -> None:
    assert ask({**names(""), "f": np.float64(4)}, '"f", 4').verdict == "right"
    assert ask({**names(""), "f": pd.Series([1, 2])}, '"f", [1, 2]').verdict == "right"
