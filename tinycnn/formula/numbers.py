"""Numbers in words: two decimals in a table, four significant digits in a formula, and never a lie.

Zero alone is written `0`, so a tiny number never looks like it. A minus is a real minus. Half of the last digit is
rounded away from zero, judged by the number's exact value. The page's `numbers.js` writes the same strings.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

import numpy as np

_SMALLEST, _LARGEST = Decimal("0.001"), Decimal(10_000)  # outside, powers of ten are written
_EXACT = Context(prec=1200, rounding=ROUND_HALF_UP)  # a float64 written out has up to 1,075 digits


def formula_number(value: Any) -> str:
    """Four significant digits: what stands in a formula.

    >>> formula_number(-0.12345), formula_number(0.000012), formula_number(2), formula_number(float("nan"))
    ('−0.1235', '1.2e−5', '2', 'NaN')
    """
    if isinstance(value, complex | np.complexfloating):
        return f"({value:.4g})".replace("-", "−")
    value = float(value)
    return _special(value) or _signed(value, _significant(abs(value), 4))


def cell_number(value: Any) -> str:
    """Two decimals, whole numbers as they are: what stands in a table.

    >>> cell_number(0.125), cell_number(-0.0004), cell_number(0.004), cell_number(0.0), cell_number(3)
    ('0.13', '−4e−4', '0.004', '0', '3')
    """
    if isinstance(value, bool | np.bool_ | int | np.integer):
        return _signed(value, str(abs(int(value))))
    value = float(value)
    return _special(value) or _signed(value, _two_decimals(abs(value)))


def in_brackets(text: str) -> str:
    """A negative number as it stands inside a sum or a product."""
    return f"({text})" if text.startswith("−") else text


def _special(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return "0" if value == 0 else ""


def _signed(value: Any, text: str) -> str:
    return "−" + text if value < 0 else text


def _two_decimals(size: float) -> str:
    exact = Decimal(size)
    if _rounded(exact, 2) < _SMALLEST:
        return _significant(size, 2)
    if exact < Decimal("0.005"):
        return f"{exact.quantize(Decimal('0.001'), context=_EXACT):f}"
    rounded = exact.quantize(Decimal("0.01"), context=_EXACT)
    return f"{rounded:f}" if rounded < _LARGEST else _significant(size, 2)


def _significant(size: float, digits: int) -> str:
    """Trailing zeros dropped; a power of ten where the rounded number lies outside 1e-3…1e4."""
    rounded = _rounded(Decimal(size), digits)
    if _SMALLEST <= rounded < _LARGEST:
        return _trimmed(f"{rounded:f}")
    exponent = rounded.adjusted()
    mantissa = _trimmed(f"{rounded.scaleb(-exponent, context=_EXACT):f}")
    return f"{mantissa}e{exponent}".replace("-", "−")


def _rounded(exact: Decimal, digits: int) -> Decimal:
    return exact.quantize(Decimal(1).scaleb(exact.adjusted() - digits + 1), context=_EXACT)


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
