"""The language of formulas: declare a formula once; print it, evaluate it literally, and take it apart."""

from tinycnn.formula.declare import Formula, formula, formulas
from tinycnn.formula.foundations import FOUNDATIONS
from tinycnn.formula.parse import FormulaError
from tinycnn.formula.twin import compiled_twin, literal_twin

__all__ = ["FOUNDATIONS", "Formula", "FormulaError", "compiled_twin", "formula", "formulas", "literal_twin"]
