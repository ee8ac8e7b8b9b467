"""Reading, writing and tidying a notebook, with the notebooks that real editors leave behind."""

from __future__ import annotations

import errno
import json
import stat
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_output

from psma import notebook
from psma.errors import PsmaError

# A busy machine is no failure.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

PYTHON = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def book(*cells, **metadata):
    """Return a notebook of these cells with a Python kernel, as it may stand on disk, not validated."""
    meta = {"kernelspec": dict(PYTHON), **metadata}
    return nbformat.from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": meta, "cells": list(cells)})


def cell_of(kind, source, **fields):
    """Return a cell; ``id``, ``metadata`` and more may be given."""
    more = {"outputs": [], "execution_count": None} if kind == "code" else {}
    return nbformat.from_dict({"cell_type": kind, "source": source, "metadata": {}} | more | fields)


def code(source="x = 1", **fields):
    """Return a code cell."""
    return cell_of("code", source, **fields)


def md(source, **fields):
    """Return a Markdown cell."""
    return cell_of("markdown", source, **fields)


# ---------------------------------------------------------------- hostile notebooks

TEXT = st.text(alphabet=st.sampled_from("aé#`~= \n\r\t\u2028\x0b'\"λ"), max_size=40)
IDS = st.sampled_from(
    [
        "task-wait",
        "check-wait",
        "setup",
        "04e86419",
        "Cell_7",
        "md-1234abcd",
        "f" * 32,
        "3f2a9c10-aaaa-4bbb-8ccc-0123456789ab",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
METADATA = st.dictionaries(
    st.sampled_from(
        [
            "tags",
            "slideshow",
            "psma",
            "collapsed",
            "scrolled",
            "jp-MarkdownHeadingCollapsed",
            "id",
            "editable",
            "execution",
        ]
    ),
    JSON | st.lists(st.sampled_from(["task", "check", "check"])) | st.just({"slide_type": "skip"}) | IDS,
    max_size=4,
)


@st.composite
def messy_cells(draw):
    """Return any cell that an editor might save."""
    kind = draw(st.sampled_from(["code", "markdown", "raw"]))
    cell = cell_of(kind, draw(TEXT), metadata=draw(METADATA), id=draw(IDS))
    if cell.cell_type == "code":
        cell.execution_count = draw(st.none() | st.integers(1, 99))
        cell.outputs = draw(st.sampled_from([[], [new_output("stream", text="x\n")]]))
    if draw(st.booleans()):
        del cell["id"]
    return cell


@st.composite
def messy_books(draw):
    """Return a notebook of such cells."""
    nb = book(*draw(st.lists(messy_cells(), max_size=6)))
    nb.metadata |= draw(
        st.dictionaries(st.sampled_from(["widgets", "jupytext", "toc", "psma"]), JSON, max_size=3)
    )
    return nb


def tidied(nb):
    """Return the tidy notebook, or None where tidying refuses an id that two cells have."""
    try:
        return notebook.tidy(nb)
    except PsmaError as error:
        assert "the same id" in str(error)
        return None


@PATIENT
@given(messy_books())
def test_tidy_gives_a_valid_notebook_and_does_nothing_the_second_time(nb):
    """Every notebook comes out valid, without outputs, with unique ids, and the same when tidied again."""
    before = notebook.to_bytes(nb)
    once = tidied(nb)
    assert notebook.to_bytes(nb) == before, "tidy changed its argument"
    if once is None:
        return
    nbformat.validate(once)
    assert notebook.to_bytes(notebook.tidy(once)) == notebook.to_bytes(once)
    ids = [cell.id for cell in once.cells]
    assert len(set(ids)) == len(ids)
    for cell in once.cells:
        assert "\r" not in cell.source
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert set(cell.metadata) <= notebook.CELL_KEYS
        assert list(cell.metadata) == sorted(cell.metadata)


@PATIENT
@given(messy_books())
def test_a_tidy_notebook_survives_the_disk(tmp_path_factory, nb):
    """What was written is read back equal, and written again without changing a byte."""
    path = tmp_path_factory.mktemp("disk") / "01_x.ipynb"
    once = tidied(nb)
    if once is not None:
        assert notebook.write(once, path)
        assert notebook.read(path) == once
        assert not notebook.write(notebook.tidy(notebook.read(path)), path)


# ---------------------------------------------------------------- ids


def test_an_id_that_an_author_gave_stays_and_one_in_the_metadata_is_lifted():
    """Words in kebab case stay; jupytext's id in the metadata becomes the cell's."""
    nb = notebook.tidy(
        book(code(id="task-wait"), code(id="04e86419", metadata={"id": "check-wait"}), code(id="setup"))
    )
    assert [cell.id for cell in nb.cells] == ["task-wait", "check-wait", "setup"]
    assert all("id" not in cell.metadata for cell in nb.cells)


@pytest.mark.parametrize(
    "machine", ["04e86419", "3f2a9c10-aaaa-4bbb-8ccc-0123456789ab", "deadbeef", "Xy_9-Q", "f" * 32]
)
def test_an_id_of_a_machine_is_replaced_by_one_that_depends_on_the_text(machine):
    """Two people who convert the same text get the same id."""
    one = notebook.tidy(book(md("Hello", id=machine))).cells[0].id
    two = notebook.tidy(book(md("Hello", id="ffffffff"))).cells[0].id
    assert one == two
    assert one.startswith("md-")


def test_equal_cells_get_different_ids_and_a_derived_id_is_kept_when_the_text_changes():
    """So a stub and the solution that it came from keep one id."""
    nb = notebook.tidy(book(code("1"), code("1"), code("1")))
    first, second, third = [cell.id for cell in nb.cells]
    assert (second, third) == (f"{first}-2", f"{first}-3")
    nb.cells[0].source = "2"
    assert notebook.tidy(nb).cells[0].id == first


def test_one_id_given_to_two_cells_is_an_error_that_names_both():
    """An author has to decide; guessing would break progress."""
    with pytest.raises(PsmaError, match=r"cells 1 and 3 have the same id `task-wait`"):
        notebook.tidy(book(code(id="task-wait"), code(), code(metadata={"id": "task-wait"})))


def test_a_copied_cell_with_a_derived_id_gets_its_own():
    """A derived id on two cells is nobody's decision, so the second is derived anew."""
    nb = notebook.tidy(book(md("a", id="md-12345678"), md("b", id="md-12345678")))
    assert nb.cells[0].id == "md-12345678"
    assert nb.cells[1].id not in ("md-12345678", "")


# ---------------------------------------------------------------- kernel and metadata


def test_the_kernel_is_the_course_s():
    """Whatever environment it was saved in, a notebook names the one kernel, and only the language's name."""
    nb = book(
        code(), language_info={"name": "python", "version": "3.12.1", "codemirror_mode": {"name": "ipython"}}
    )
    nb.metadata.kernelspec = {"display_name": "my-env", "language": "python", "name": "conda-env-my-env-py"}
    assert notebook.tidy(nb).metadata == {"kernelspec": PYTHON, "language_info": {"name": "python"}}


@pytest.mark.parametrize(
    "metadata",
    [
        {"kernelspec": {"display_name": "R 4.2", "language": "R", "name": "ir"}},
        {"kernelspec": {"display_name": "R 4.2", "name": "ir42", "language": "R"}},
        {"language_info": {"name": "R"}},
        {"psma": {"form": "r"}},
    ],
)
def test_a_notebook_in_r_keeps_its_kernel(metadata):
    """The kernel, the language or the form say so."""
    nb = notebook.tidy(book(code("x <- 1"), **{"kernelspec": {}} | metadata))
    assert nb.metadata.kernelspec == {"display_name": "R", "language": "R", "name": "ir"}
    assert notebook.is_r(nb)


def test_another_language_is_refused():
    """Julia would silently become Python otherwise."""
    with pytest.raises(PsmaError, match="written in julia"):
        notebook.tidy(book(kernelspec={"language": "julia", "name": "julia-1.9"}))


def test_what_editors_leave_behind_goes_and_what_an_author_says_stays():
    """Outputs, widgets, timings and fold marks go; tags, slides, psma's and nbgrader's metadata stay."""
    cell = code(
        id="task-x",
        metadata={
            "tags": ["task", "core", "task"],
            "slideshow": {"slide_type": "skip"},
            "psma": {"outcome": ["3.1-b"], "alt": "x"},
            "nbgrader": {"grade": True, "schema_version": 3},
            "collapsed": True,
            "scrolled": False,
            "lines_to_next_cell": 2,
            "jp-MarkdownHeadingCollapsed": True,
            "execution": {"iopub.execute_input": "2026"},
            "ExecuteTime": {},
            "editable": True,
            "deletable": False,
        },
    )
    bare = md("x", metadata={"slideshow": {"slide_type": ""}, "tags": [], "psma": {}})
    nb = notebook.tidy(
        book(cell, bare, widgets={"state": {}}, jupytext={}, psma={"thread": True, "form": "code"})
    )
    assert nb.cells[0].metadata == {
        "tags": ["core", "task"],
        "slideshow": {"slide_type": "skip"},
        "psma": {"outcome": ["3.1-b"], "alt": "x"},
        "nbgrader": {"grade": True, "schema_version": 3},
        "deletable": False,
    }
    assert nb.cells[1].metadata == {}
    assert list(nb.metadata) == ["kernelspec", "language_info", "psma"]
    assert list(nb.metadata.psma) == ["form", "thread"]


def test_a_picture_pasted_into_the_text_stays():
    """It is an attachment of the cell; an empty one goes."""
    pasted = md("![x](attachment:a.png)", attachments={"a.png": {"image/png": "aGVsbG8="}})
    nb = notebook.tidy(book(pasted, md("x", attachments={})))
    assert nb.cells[0].attachments == {"a.png": {"image/png": "aGVsbG8="}}
    assert "attachments" not in nb.cells[1]


def test_what_changed_is_said_in_words():
    """The line that psma tidy prints."""
    ran = code(execution_count=3, outputs=[new_output("stream", text="x")])
    lifted = md("x", metadata={"id": "intro", "collapsed": True})
    before = book(ran, lifted)
    before.metadata.widgets = {}
    tidy = notebook.tidy(before)
    said = "1 cell had outputs; 1 cell had untidy metadata; 1 id lifted; 1 id derived; "
    assert notebook.what_changed(before, tidy) == said + "notebook metadata put in order"
    assert notebook.what_changed(tidy, tidy) == "written in the course's form"


# ---------------------------------------------------------------- the text of a notebook


def test_title_is_the_h1_outside_code():
    """A comment in a fenced block is no title."""
    nb = book(
        md("```python\n# not this\n```\n\n## nor this\n"),
        md("# Pathways and queues #\nx"),
    )
    assert notebook.title(nb) == "Pathways and queues"


def test_a_fence_ends_only_at_its_own_mark():
    """A line such as ```python opens a fence and cannot close one; a longer mark can."""
    text = "```\n# not\n```python\n# nor\n```\n# Title\n~~~\n# not\n~~~~\n## Below"
    assert list(notebook.headings(text)) == [(1, "Title"), (2, "Below")]


def test_no_title_is_an_error():
    """The course takes the session's name from it."""
    with pytest.raises(PsmaError, match="has no title"):
        notebook.title(book(code("# comment"), md("~~~\n# fenced\n```\n# still fenced\n~~~\n#hash")))


def test_digest_counts_what_a_trainee_sees():
    """Running and saving changes nothing; typing does, and so does the order."""
    nb = notebook.tidy(book(md("a"), code("b")))
    ran = notebook.tidy(nb)
    ran.cells[1] |= {
        "execution_count": 1,
        "outputs": [new_output("stream", text="x")],
        "id": "other",
        "metadata": {"collapsed": True},
    }
    ran.cells.append(code(""))
    ran.cells[0].source = "a\r\n"
    assert notebook.digest(ran) == notebook.digest(nb)
    typed = notebook.tidy(nb)
    typed.cells[1].source = "b + 1"
    assert notebook.digest(typed) != notebook.digest(nb)
    assert notebook.digest(book(code("b"), md("a"))) != notebook.digest(nb)


def test_accessors_bear_missing_and_malformed_metadata():
    """A notebook from outside may hold anything."""
    odd = code(metadata={"tags": "task", "slideshow": None, "psma": [1]})
    assert (notebook.tags(odd), notebook.slide_type(odd), notebook.psma(odd)) == (set(), None, {})
    assert (notebook.tags(code()), notebook.slide_type(code()), notebook.psma(code())) == (set(), None, {})


# ---------------------------------------------------------------- files


BROKEN = {
    "half": (b'{"cells": [', "broken JSON at line 1"),
    "latin": ('{"cells": ["é"]}'.encode("latin-1"), "not UTF-8"),
    "list": (b"[1]", "not a notebook"),
    "number": (b'{"nbformat": 3, "worksheets": []}', "format 3"),
    "no-cells": (b'{"nbformat": 4, "metadata": {}}', "no list of cells"),
    "odd-cell": (
        b'{"nbformat": 4, "metadata": {}, "cells": [{"cell_type": "heading"}]}',
        "cell 1 is neither",
    ),
    "no-source": (
        b'{"nbformat": 4, "metadata": {}, "cells": [{"cell_type": "raw", "metadata": {}, "source": [1]}]}',
        "cell 1 has no",
    ),
    "outputs": (
        b'{"nbformat": 4, "metadata": {"kernelspec": {"name": "ir"}}, '
        b'"cells": [{"cell_type": "code", "metadata": {}, "source": [], "outputs": [1]}]}',
        "malformed outputs",
    ),
    "no-kernel": (
        b'{"nbformat": 4, "metadata": {"kernelspec": null}, "cells": []}',
        "which kernel.*psma tidy",
    ),
    "deep": (b"[" * 100_000, "nested too deeply|broken JSON"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_is_no_notebook_is_named_in_one_line(tmp_path, name):
    """With the file's name and what to do; no traceback of another library."""
    data, message = BROKEN[name]
    path = tmp_path / "01_x.ipynb"
    path.write_bytes(data)
    with pytest.raises(PsmaError, match=message) as caught:
        notebook.read(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder(tmp_path):
    """Both are said."""
    with pytest.raises(PsmaError, match="no such file"):
        notebook.read(tmp_path / "x.ipynb")
    with pytest.raises(PsmaError, match="cannot be read"):
        notebook.read(tmp_path)


def test_a_missing_kernel_is_forgiven_to_who_is_about_to_add_it(tmp_path):
    """Tidy reads what jupytext wrote."""
    path = tmp_path / "x.ipynb"
    path.write_text('{"nbformat": 4, "nbformat_minor": 2, "metadata": {}, "cells": []}', encoding="utf-8-sig")
    assert notebook.tidy(notebook.read(path, need_kernel=False)).metadata.kernelspec == PYTHON


def test_a_glance_does_not_wait_for_nbformat(tmp_path):
    """The course is scanned at every start of the tool; title and metadata are those of a full reading."""
    path = tmp_path / "x.ipynb"
    notebook.write(notebook.tidy(book(md("Text\n\n# Pathways"), psma={"form": "code"})), path)
    seen, whole = notebook.glance(path), notebook.read(path)
    assert (notebook.title(seen), notebook.psma(seen)) == (notebook.title(whole), notebook.psma(whole))
    assert notebook.title(seen) == "Pathways"
    glance = (
        "import sys; from psma.notebook import glance; glance(sys.argv[1]); print('nbformat' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", glance, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_written_form(tmp_path):
    """Indent 1, sorted keys, sources as lists of lines, letters as they are, one newline."""
    path = tmp_path / "x.ipynb"
    notebook.write(notebook.tidy(book(code("λ = 1\nλ"))), path)
    text = path.read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert not text.endswith("\n\n")
    assert '\n "cells": [\n  {\n   "cell_type": "code",\n   "execution_count": null,\n   "id": "code-' in text
    assert '"source": [\n    "λ = 1\\n",\n    "λ"\n   ]' in text
    assert json.loads(text)["nbformat_minor"] == 5


def test_writing_keeps_the_file_s_mode_and_leaves_nothing_beside_it(tmp_path):
    """A trainee's copy stays readable for whoever could read it."""
    path = tmp_path / "x.ipynb"
    path.write_text("old")
    path.chmod(0o640)
    assert notebook.write(notebook.tidy(book(code())), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [p.name for p in tmp_path.iterdir()] == ["x.ipynb"]


def test_a_read_only_file_is_left_alone(tmp_path):
    """Also for somebody who could overwrite it, such as root."""
    path = tmp_path / "x.ipynb"
    path.write_text("mine")
    path.chmod(0o444)
    with pytest.raises(PsmaError, match="is read-only"):
        notebook.write(notebook.tidy(book(code())), path)
    assert path.read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["x.ipynb"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), r"\(Permission denied\): allow writing in "),
        (OSError(errno.ENOSPC, "No space left on device"), r"\(No space left on device\): free some space "),
    ],
)
def test_a_write_that_fails_half_way_leaves_the_old_file(tmp_path, monkeypatch, error, told):
    """A full disk, or a file that another program holds."""
    path = tmp_path / "x.ipynb"
    path.write_text("old")

    def fail(self, target):
        raise error

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(PsmaError, match=rf"x\.ipynb: cannot be written {told}"):
        notebook.write(notebook.tidy(book(code())), path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.ipynb"]


def test_half_a_character_is_refused_before_anything_is_written(tmp_path):
    """JSON can hold a lone surrogate, a file cannot."""
    path = tmp_path / "x.ipynb"
    with pytest.raises(PsmaError, match="half a character"):
        notebook.write(notebook.tidy(book(code("x = '\ud800'"))), path)
    assert not path.exists()
