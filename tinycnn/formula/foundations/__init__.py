"""The formulas that belong to no op, and that every op rests on: algebra, calculus, probability, and counting.

    >>> from tinycnn.formula import formulas
    >>> print(formulas["matrix_product"].text)
    c[i,j] = Σ[k] a[i,k]·b[k,j]
    >>> formulas["matrix_product"].evaluate(a=[[1, 2], [3, 4]], b=[[5], [6]]).tolist()
    [[17.0], [39.0]]

Each is declared once, and evaluated as it is written; `tinycnn verify` holds each to two witnesses.
"""

from tinycnn.formula.foundations import algebra, calculus, counting, probability

FOUNDATIONS = {
    "algebra": algebra.FORMULAS,
    "calculus": calculus.FORMULAS,
    "probability": probability.FORMULAS,
    "size": counting.FORMULAS,
}

__all__ = ["FOUNDATIONS"]
