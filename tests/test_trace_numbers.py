"""Numbers in words: as near as their digits allow, halves away from zero, tiny never zero."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycnn.formula.numbers import cell_number, formula_number

finite = st.floats(allow_nan=False, allow_infinity=False)


def meant(text: str) -> Fraction:
    """The number that a text says."""
    return Fraction(text.replace("−", "-"))


@given(finite)
def test_a_formula_shows_the_nearest_number_of_four_digits(value):
    said = meant(formula_number(value))
    digits = formula_number(value).replace("−", "").partition("e")[0].replace(".", "").lstrip("0")
    assert len(digits) <= 4
    assert (said > 0) == (value > 0)
    assert (said < 0) == (value < 0)
    if value:
        exponent = len(str(int(abs(said)))) - 1 if abs(said) >= 1 else -next(
            k for k in range(1, 400) if abs(said) * 10**k >= 1
        )  # fmt: skip
        assert abs(said - Fraction(value)) <= Fraction(10) ** (exponent - 3) / 2


@given(finite)
def test_a_cell_shows_two_decimals_and_no_tiny_number_as_zero(value):
    text = cell_number(value)
    assert (text == "0") == (value == 0)
    assert text not in ("0.00", "−0.00", "0.000", "−0.000")
    if 0.005 <= abs(value) < 9999.99:
        assert abs(meant(text) - Fraction(value)) <= Fraction(1, 200)
        assert len(text.partition(".")[2]) == 2
    if value and (abs(value) < 0.0009 or abs(value) > 10_001):
        assert "e" in text


@given(finite)
def test_the_sign_is_said_and_is_a_real_minus(value):
    for text in (cell_number(value), formula_number(value)):
        assert text.startswith("−") == (value < 0)
        assert "-" not in text


@pytest.mark.parametrize(
    ("value", "cell", "formula"),
    [
        (0.125, "0.13", "0.125"),  # exact halves go away from zero,
        (-0.125, "−0.13", "−0.125"),
        (2.6750, "2.67", "2.675"),  # which 2.675 is not: its float64 is a little less
        (1000.5, "1000.50", "1001"),
        (-1000.5, "−1000.50", "−1001"),
        (0.0, "0", "0"),
        (-0.0, "0", "0"),
        (9999.5, "9999.50", "1e4"),  # rounded, it is outside
        (9999.995, "1e4", "1e4"),
        (0.000012, "1.2e−5", "1.2e−5"),
        (0.00099999, "0.001", "0.001"),
        (0.0049, "0.005", "0.0049"),
        (5e-324, "4.9e−324", "4.941e−324"),
        (1.7976931348623157e308, "1.8e308", "1.798e308"),
        (float("nan"), "NaN", "NaN"),
        (float("-inf"), "−∞", "−∞"),
        (np.int64(12), "12", "12"),
        (np.float32(0.1), "0.10", "0.1"),
    ],
)
def test_numbers_at_the_edges(value, cell, formula):
    assert (cell_number(value), formula_number(value)) == (cell, formula)
