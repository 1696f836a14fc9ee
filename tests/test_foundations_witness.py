"""Every foundation has two witnesses or more, all agree, and each notices a formula that is wrong."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest

from tinycnn.formula import FOUNDATIONS, formulas
from tinycnn.formula.parse import parse_statement
from tinycnn.verify import witness_calculus
from tinycnn.verify.rows import WITNESSES
from tinycnn.verify.witness_algebra import algebra_rows
from tinycnn.verify.witness_calculus import LEFT, RIGHT, TABLE, calculus_rows
from tinycnn.verify.witness_counting import counting_rows
from tinycnn.verify.witness_foundations import foundation_rows
from tinycnn.verify.witness_probability import probability_rows

PARTS = {"algebra": algebra_rows, "calculus": calculus_rows, "probability": probability_rows, "size": counting_rows}
KINDS = {entry.name: part for part, entries in FOUNDATIONS.items() for entry in entries}
BREAKS = {  # what each formula is mistaken for
    "vector_sum": ("+ b[k]", "- b[k]"),
    "matrix_sum": ("a[i,j] + b[i,j]", "a[i,j] + b[i,0]"),
    "scalar_multiple": ("s*a[k]", "s + a[k]"),
    "dot_product": ("a[k]*b[k]", "a[k]*b[K-1-k]"),
    "matrix_product": ("sum[k](a[i,k]*b[k,j])", "sum[k](a[i,k])*b[0,j]"),
    "transpose": ("a[i,j]", "a[i,N-1-j]"),
    "true_convolution": ("w[i,j]", "w[KH-1-i,KW-1-j]"),
    "unit_scale": ("255", "256"),
    "one_hot": ("k == labels[n]", "k <= labels[n]"),
    "derivative": ("f(x)", "f(x + 2*h)"),
    "partial_derivative": ("f(x + h, y)", "f(x + h, y + h)"),
    "gradient": ("k == l", "k <= l"),
    "directional_derivative": ("/ h)", "/ (2*h))"),
    "slope_from_gradient": ("gradf[k]*d[k]", "gradf[k]*d[k]**2"),
    "chain_rule": ("sum[i](dzdu[i]*dudx[i])", "prod[i](dzdu[i]*dudx[i])"),
    "riemann_sum": ("0.5", "1"),
    "integral": ("integral[x,a,b]", "integral[x,b,a]"),
    "antiderivative": ("integral[t,a,x]", "x*integral[t,a,x]"),  # without C, the derivative would be as right
    "fundamental_theorem": ("F(b) - F(a)", "F(b)"),
    "batch_gradient": ("mean[n](g[n,k])", "sum[n](g[n,k])"),
    "gradient_descent": ("theta[k] - lr", "theta[k] + lr"),
    "equally_likely": ("nA / N", "nA / (N - 1)"),
    "probability": ("sum[n](p[n]*A[n])", "mean[n](A[n])"),
    "conditional_probability": ("P_AB / P_B", "P_AB"),
    "independence": ("P_A*P_B", "P_A + P_B - P_A*P_B"),
    "total_probability": ("*P_A[k]", "/K"),
    "bayes": ("P_B_if_A[k]*P_A[k]", "P_B_if_A[k]"),
    "expectation": ("sum[n](x[n]*p[n])", "mean[n](x[n]) + 1"),
    "variance": ("**2 * p[n])", "**2 * p[n]) * N / (N - 1)"),
    "variance_by_moments": ("EX2 - EX**2", "EX2 - EX"),
    "covariance": ("(y[n] - EY)", "y[n]**2"),
    "conv2d_parameters": ("C//groups", "C"),
    "conv2d_macs": ("KH*KW", "KH"),
    "linear_parameters": ("F*(C + bias)", "F*C + bias"),
    "linear_macs": ("F*C", "F*C + F"),
    "receptive_field": ("k < l", "k <= l"),
}


@pytest.fixture(scope="module")
def rows():
    return foundation_rows()


@pytest.mark.parametrize("name", KINDS)
def test_a_foundation_has_two_witnesses_or_more_and_all_agree(rows, name):
    own = [row for row in rows if row.formula == name]
    assert len({row.witness for row in own}) >= 2
    for row in own:
        assert row.passed, row
        assert row.kind == KINDS[name]
        assert row.witness in WITNESSES
        assert row.backend == "formula"


def test_the_rows_are_of_foundations_alone_a_formulas_together(rows):
    order = [row.formula for row in rows]
    assert list(dict.fromkeys(order)) == list(KINDS)
    assert len(list(itertools.groupby(order))) == len(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_two_witnesses_notice_what_a_formula_is_mistaken_for(monkeypatch, name):
    entry, (right, wrong) = formulas[name], BREAKS[name]
    monkeypatch.setitem(formulas._table, name, _mistaken(entry, right, wrong))
    failed = {row.witness for row in PARTS[KINDS[name]]() if row.formula == name and not row.passed}
    assert len(failed) >= 2


def _mistaken(entry, right, wrong):
    """The formula with a part of its last line that has it written wrongly."""
    lines = list(entry.lines)
    at = max(place for place, line in enumerate(lines) if right in line)
    lines[at] = lines[at].replace(right, wrong, 1)
    mistaken = copy.copy(entry)
    for kept in ("_nests", "_macros", "_first", "_accepted"):
        mistaken.__dict__.pop(kept, None)
    elementwise = frozenset(symbol for symbol, dims in entry.shapes.items() if dims == ("...",))
    mistaken.statements = tuple(parse_statement(line, elementwise, entry.functions) for line in lines)
    return mistaken


def test_another_seed_and_many_more_cases_agree_too():
    for seed in range(1, 4):
        assert [row for row in foundation_rows(seed=seed) if not row.passed] == []
    assert [row for row in algebra_rows(thorough=True) if not row.passed] == []


def test_a_wrong_entry_in_the_table_of_derivatives_is_noticed(monkeypatch):
    """The witnesses are held to each other: the complex step knows nothing of the table."""
    wrong = TABLE[0]._replace(slope=lambda x: 3 * x**2)
    monkeypatch.setattr(witness_calculus, "TABLE", (wrong,))
    failed = {(row.formula, row.witness) for row in calculus_rows() if not row.passed}
    assert failed == {("derivative", "external")}


@pytest.mark.parametrize("known", TABLE, ids=lambda known: known.text)
def test_sympy_knows_the_table_of_derivatives_and_integrals(known):
    sympy = pytest.importorskip("sympy")
    x = sympy.Symbol("x", positive=True)
    expression = sympy.sympify(known.text, locals={"x": x})
    for at in np.linspace(LEFT, RIGHT, 5):
        for ours, theirs in (
            (known.f(at), expression.subs(x, at)),
            (known.slope(at), sympy.diff(expression, x).subs(x, at)),
            (known.area(at) - known.area(LEFT), sympy.Integral(expression, (x, LEFT, at))),
        ):
            assert abs(ours - float(sympy.N(theirs))) < 1e-11
