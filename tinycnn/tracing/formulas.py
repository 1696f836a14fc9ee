"""The formulas that a training step needs beside those of the ops: where sums meet, and what a check compares."""

from __future__ import annotations

from tinycnn.explanation.forward import ADDED, HANDED_ON
from tinycnn.formula import Formula
from tinycnn.formula import formulas as declared

PADDED = Formula(
    "border", ("y[n,c,v] = value", "y[n, c, q+left] = x[n,c,q]"),
    where="OW is as many as x has, and the border's", shapes="x (N,C,W) -> y (N,C,OW)",
    source="Dumoulin & Visin 2016, arXiv:1603.07285",
)  # fmt: skip
BRANCHES = Formula(
    "branches", ("dx = past + through",),
    where="past is the gradient that came by the short way; through is the one that came back through the layers",
    shapes="past (...), through (...) -> dx (...)", source="the multivariate chain rule",
)  # fmt: skip
HANDED_BACK = Formula("handed_back", ("dx = dy",), shapes="dy (...) -> dx (...)")
WITH_PULL = Formula(
    "with_penalty", ("dw = dw + pull",), where="pull is the gradient of the penalty",
    shapes="dw (...), pull (...) -> dw (...)",
)  # fmt: skip
WITH_PENALTY = Formula(
    "penalised_loss", ("total = L + sum[k](R[k])",), where="R holds each array's penalty",
    shapes="L (), R (K) -> total ()",
)  # fmt: skip
LENGTH = Formula(
    "gradient_length", ("norm = sqrt(sum[n](g[n]**2))",), where="g is all gradients, laid end to end",
    shapes="g (N) -> norm ()", source="Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063",
)  # fmt: skip
SLOPE = Formula(
    "numerical_gradient", ("slope[k] = (above[k] - below[k]) / (2*h[k])",),
    where="above, below is what the loss changes by as weight k moves up and down by h[k]",
    shapes="above (K), below (K), h (K) -> slope (K)", source="Burden & Faires, Numerical Analysis, section 4.1",
)  # fmt: skip
JACOBIAN = Formula(
    "softmax_jacobian", ("J[n,k,l] = p[n,k] * ((k == l) - p[n,l])",), where="J is diag(p) − p·pᵀ for each example",
    shapes="p (N,K) -> J (N,K,K)", source="Bridle 1990, Neurocomputing (NATO ASI F68)",
)  # fmt: skip

_OWN = {f.name: f for f in (ADDED, HANDED_ON, PADDED, BRANCHES, HANDED_BACK, WITH_PULL, WITH_PENALTY, LENGTH, SLOPE,
                            JACOBIAN)}  # fmt: skip


def formula_named(name: str) -> Formula:
    """A formula of a step, by its name; raises ValueError for one that this tinycnn does not have."""
    if name in _OWN:
        return _OWN[name]
    if name not in declared:
        raise ValueError(f"the trace has a step by the formula {name!r}, which this tinycnn does not know")
    return declared[name]
