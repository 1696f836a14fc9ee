"""The language of formulas: declare a formula once; print it, evaluate it literally, and take it apart."""

from tinycnn.formula.declare import Formula, formula, formulas
from tinycnn.formula.parse import FormulaError
from tinycnn.formula.twin import literal_twin

__all__ = ["Formula", "FormulaError", "formula", "formulas", "literal_twin"]
