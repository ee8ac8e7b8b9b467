"""Prove a session's exercise: execute its cells in a process of its own and report what every check says.

``python prove.py KIND NOTEBOOK`` prints one JSON object; KIND is one of

- ``exercise``: the untouched exercise, as a trainee opens it: a list of verdicts;
- ``solution``: the solution's verdicts, and for every wrong answer the verdict of the check behind it;
- ``lecture``: for every Your turn, whether its ``answer`` holds after its stub.

Cells run by plain ``exec`` in one namespace, without a kernel: some hundred wrong answers in seconds.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

os.environ.setdefault("MPLBACKEND", "Agg")


class Cells:
    """A notebook's cells executed one after another in one namespace that can be set back."""

    def __init__(self, path: Path) -> None:
        from psma import notebook

        self.nb = notebook.read(path)
        self.space: dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__}
        self.tags = [notebook.tags(cell) for cell in self.nb.cells]
        self.code = [cell.cell_type == "code" for cell in self.nb.cells]

    def run(self, source: str, label: str) -> str | None:
        """Execute one cell's source; return the last line of its traceback, or None."""
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                exec(compile(source, label, "exec"), self.space)
        except BaseException as error:  # SystemExit from a trainee's cell counts as an error too
            return f"{label}: {''.join(traceback.format_exception_only(error)).strip().splitlines()[-1]}"
        finally:
            plt = sys.modules.get("matplotlib.pyplot")
            if plt is not None:
                plt.close("all")
        return None

    @contextlib.contextmanager
    def set_back(self):
        """Undo on leaving whatever names the block binds: functions keep the same globals."""
        before = dict(self.space)
        yield
        self.space.clear()
        self.space.update(before)


def verdicts_of(cells: Cells, index: int) -> list[dict]:
    """Run check cell ``index`` and return what its checks answered."""
    from psma import checks

    start = len(checks.HISTORY)
    failed = cells.run(cells.nb.cells[index].source, f"cell {cells.nb.cells[index].id}")
    if failed:
        return [{"verdict": "crash", "line": failed, "cell": cells.nb.cells[index].id}]
    return [
        {"verdict": v.verdict, "line": v.line, "cell": cells.nb.cells[index].id}
        for v in checks.HISTORY[start:]
    ]


def prove_exercise(path: Path) -> dict:
    """Run the untouched exercise from top to bottom."""
    cells, verdicts, failures = Cells(path), [], []
    for index, cell in enumerate(cells.nb.cells):
        if not cells.code[index]:
            continue
        if "check" in cells.tags[index]:
            verdicts += verdicts_of(cells, index)
        elif failed := cells.run(cell.source, f"cell {cell.id}"):
            failures.append(failed)
    return {"verdicts": verdicts, "failures": failures}


def prove_solution(path: Path) -> dict:
    """Run the solution; before each check, try every wrong answer that is listed for its task."""
    from psma import exercises

    cells, verdicts, failures, wrongs = Cells(path), [], [], []
    pending = exercises.wrong_answers(cells.nb)
    for index, cell in enumerate(cells.nb.cells):
        if not cells.code[index]:
            continue
        if "check" not in cells.tags[index]:
            if failed := cells.run(cell.source, f"cell {cell.id}"):
                failures.append(failed)
            continue
        behind = [w for w in pending if w.task_cell_index < index]
        pending = [w for w in pending if w.task_cell_index >= index]
        for wrong in behind:
            with cells.set_back():
                task = cells.nb.cells[wrong.task_cell_index]
                crash = cells.run(
                    exercises.with_answer(task.source, wrong.code), f"wrong answer {wrong.what!r}"
                )
                got = verdicts_of(cells, index)
            wrongs.append({"what": wrong.what, "task": task.id, "crash": crash, "verdicts": got})
        verdicts += verdicts_of(cells, index)
    unused = [{"what": w.what, "task": cells.nb.cells[w.task_cell_index].id} for w in pending]
    return {"verdicts": verdicts, "failures": failures, "wrongs": wrongs, "unused": unused}


def prove_lecture(path: Path) -> dict:
    """Run the lecture; after each Your turn's stub, run the answer whose asserts prove its words."""
    from psma import notebook

    cells, failures, answers = Cells(path), [], []
    for index, cell in enumerate(cells.nb.cells):
        if cells.code[index]:
            failed = cells.run(cell.source, f"cell {cell.id}")
            if failed and "raises-exception" not in cells.tags[index]:
                failures.append(failed)
        answer = notebook.psma(cell).get("answer")
        if answer:
            text = answer if isinstance(answer, str) else "\n".join(answer)
            with cells.set_back():
                answers.append(
                    {
                        "cell": cell.id,
                        "failed": cells.run(text, f"answer of {cell.id}"),
                        "asserts": text.count("assert "),
                    }
                )
    return {"failures": failures, "answers": answers}


def main() -> None:
    """Prove one notebook from its own folder and print the result as JSON."""
    from psma.startup import skip_slow_imports

    skip_slow_imports()
    kind, path = sys.argv[1], Path(sys.argv[2]).resolve()
    os.chdir(path.parent)
    report = {"exercise": prove_exercise, "solution": prove_solution, "lecture": prove_lecture}[kind](path)
    print("\n" + json.dumps(report))


if __name__ == "__main__":
    main()
