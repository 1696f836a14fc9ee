"""Every formula for pictures has two witnesses that agree, and a formula that is broken is found."""

from __future__ import annotations

import numpy as np
import pytest

from tinycnn.data import adjust, colour, filters, resizing
from tinycnn.formula import formulas
from tinycnn.verify import witness_images
from tinycnn.verify.witness_images import image_rows

OWN = {name for name in formulas if name in {*witness_images._cases(), *witness_images.SHARES}}


@pytest.mark.parametrize("seed", range(6))
def test_every_witness_agrees(seed):
    assert [row for row in image_rows(thorough=seed == 0, seed=seed) if not row.passed] == []


def test_every_formula_has_the_formula_walked_and_one_more():
    rows = image_rows()
    declared = {
        f.formula.name
        for module in (adjust, colour, filters, resizing)
        for f in vars(module).values()
        if hasattr(f, "formula")
    }
    assert declared - {"conv2d"} <= OWN
    for name in OWN:
        witnesses = {(row.witness, row.method) for row in rows if row.formula == name}
        assert ("literal", "the formula walked") in witnesses
        assert len(witnesses) > 1, name
    assert {row.kind for row in rows} == {"image"}


@pytest.mark.parametrize(
    ("module", "name", "broken", "formula"),
    [
        (colour, "rgb_to_gray", lambda x: x.mean(axis=-3, keepdims=True), "rgb_to_gray"),
        (adjust, "contrast", lambda x, factor: np.clip(0.5 + factor * (x - 0.5), 0, 1), "contrast"),
        (resizing, "tent_shares", lambda H, OH: resizing.nearest_shares(H, OH), None),
    ],
)
def test_a_broken_function_is_found_by_both(module, name, broken, formula, monkeypatch):
    if formula is None:
        monkeypatch.setitem(witness_images.SHARES, name, broken)
        bad = {row.witness for row in image_rows() if row.formula == name and not row.passed}
        assert bad == {"literal", "external"}
        return
    monkeypatch.setattr(
        module, name, broken if name != "contrast" else lambda x, factor: broken(x, np.reshape(factor, (-1, 1, 1, 1)))
    )
    assert "literal" in {row.witness for row in image_rows() if row.formula == formula and not row.passed}
