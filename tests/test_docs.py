"""The documentation is true: made pages are as their makers make them, and tables are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import tinycnn as tc
from tinycnn import optim
from tinycnn.formula import formulas
from tinycnn.formula.notation import INDEX_SIZES
from tinycnn.formula.page import page

DOCS = Path(__file__).parent.parent / "docs"


def test_the_page_of_formulas_is_the_one_the_declarations_make():
    said = (DOCS / "formulas.md").read_text(encoding="utf-8")
    assert said == page(formulas), "make it anew: python -m tinycnn.formula.page > docs/formulas.md"


def test_the_notation_page_names_every_index_and_its_size():
    table = {}
    for names, sizes in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ((?:`\w+`(?:, )?)+) \|", notation(), re.MULTILINE):
        names, sizes = re.findall(r"`(\w+)`", names), re.findall(r"`(\w+)`", sizes)
        table |= dict(zip(names, sizes if len(sizes) > 1 else sizes * len(names), strict=True))
    assert table == INDEX_SIZES


def test_every_public_op_optimizer_and_layer_stands_on_a_page():
    pages = "".join(path.read_text(encoding="utf-8") for path in DOCS.glob("*.md"))
    ops = [name.removesuffix("_forward") for name in tc.ops.__all__ if name.endswith("_forward")]
    steps = [name.removesuffix("_step") for name in optim.__all__ if name.endswith("_step")]
    for name in (*ops, *steps):
        assert f"## {name}\n" in pages, name
    for name in (*tc.layers.__all__, "Residual", "SkipConcat"):
        assert f"`{name}`" in pages, name


def notation() -> str:
    return (DOCS / "notation.md").read_text(encoding="utf-8")
