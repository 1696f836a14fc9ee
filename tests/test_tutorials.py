"""The lessons are pairs: each notebook is its .py file, cell by cell, and holds nothing that running it has left."""

import re
from pathlib import Path

import jupytext
import nbformat
import pytest

TUTORIALS = Path(__file__).parent.parent / "tutorials"
SCRIPTS = sorted(TUTORIALS.glob("*.py"))
NOTEBOOKS = sorted(TUTORIALS.glob("*.ipynb"))
CLEAN = "write it afresh with `jupytext --to ipynb tutorials/*.py`"

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path: Path) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in jupytext.read(path).cells]


def test_every_lesson_is_a_pair():
    assert SCRIPTS
    assert [path.stem for path in SCRIPTS] == [path.stem for path in NOTEBOOKS]


@each_notebook
def test_a_notebook_equals_its_script(path):
    assert cells(path) == cells(path.with_suffix(".py")), "bring the pair together: `jupytext --sync tutorials/*.py`"


@each_notebook
def test_a_notebook_is_valid_and_keeps_no_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [], CLEAN
            assert cell.execution_count is None, CLEAN


@each_notebook
def test_a_notebook_asks_for_the_plain_python_kernel(path):
    metadata = nbformat.read(path, as_version=4).metadata
    assert metadata.kernelspec == {"display_name": "Python 3", "language": "python", "name": "python3"}
    assert set(metadata) <= {"kernelspec", "jupytext"}, CLEAN


def test_lessons_are_numbered_and_no_two_alike():
    numbers = [re.match(r"(\d\d)_[a-z0-9_]+$", path.stem).group(1) for path in SCRIPTS]
    assert len(set(numbers)) == len(numbers)


@each_notebook
def test_a_lesson_opens_with_its_number_and_title(path):
    kind, source = cells(path)[0]
    assert kind == "markdown"
    assert source.startswith(f"# {int(path.stem[:2])}. ")


@each_notebook
def test_the_table_of_lessons_links_to_it(path):
    assert f"]({path.name})" in (TUTORIALS / "README.md").read_text(encoding="utf-8")
