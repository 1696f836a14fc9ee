"""Witnesses of the formulas that belong to no op: exact arithmetic, closed forms, enumeration and simulation."""

from __future__ import annotations

from tinycnn.formula import FOUNDATIONS
from tinycnn.verify.rows import Row
from tinycnn.verify.witness_algebra import algebra_rows
from tinycnn.verify.witness_calculus import calculus_rows
from tinycnn.verify.witness_counting import counting_rows
from tinycnn.verify.witness_probability import probability_rows


def foundation_rows(thorough: bool = False, seed: int = 0) -> list[Row]:
    """Two witnesses or more for each formula of `tinycnn.formula.FOUNDATIONS`; `thorough` draws ten times the cases.

    >>> row = foundation_rows()[0]
    >>> row.formula, row.witness, row.method, row.passed
    ('vector_sum', 'literal', 'exact fractions', True)
    """
    parts = (algebra_rows, calculus_rows, probability_rows, counting_rows)
    rows = [row for part in parts for row in part(thorough, seed)]
    declared = [entry.name for part in FOUNDATIONS.values() for entry in part]
    return sorted(rows, key=lambda row: declared.index(row.formula))  # a formula's rows together
