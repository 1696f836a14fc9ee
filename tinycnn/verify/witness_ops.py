"""Three witnesses for a pair of ops: its formula walked literally, numerical derivatives, and what PyTorch computed.

None of them shares code with the op. The formula's loops say what forward and backward should be; the derivatives say
that backward belongs to forward, whatever the formula; PyTorch says that both are what everybody means by the name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from tinycnn import ops
from tinycnn.formula import literal_twin
from tinycnn.verify.cases import OpCase, as_tuple, rewound, terms_of
from tinycnn.verify.differences import directional
from tinycnn.verify.recorded import recorded
from tinycnn.verify.rows import EXACT, Row, distance, worst

Array = np.ndarray
Serve = Callable[[str], Callable[..., Any]]
RICHARDSON, RICHARDSON_WORST = 1e-9, 1e-6  # where two extrapolations differ by more than the second, nothing is proved


class OpUnderTest:
    """One case on one rung: its forward, and its backward as a tuple of gradients."""

    def __init__(self, case: OpCase, serve: Serve):
        self.case = case
        names = [function.__name__ for function in case.functions]
        own = case.pair is None  # a pair of another name is served by NumPy alone
        self._forward, self._backward = map(serve, names) if own else case.functions

    def forward(self, *args: Any, **options: Any) -> tuple[Any, Any]:
        """The rung's forward, with random generators as they were."""
        return self._forward(*rewound(args), **rewound(options))

    def both(self, args: Any, options: Any, dy: Any = None) -> tuple[Any, Any, tuple[Any, ...]]:
        """y, the upstream dy (drawn unless given), and the gradients."""
        y, kept = self.forward(*args, **options)
        dy = self.case.upstream(y) if dy is None else dy
        return y, dy, as_tuple(self._backward(dy, kept))


def op_rows(name: str, cases: list[OpCase], serve: Serve, backend: str, seed: int = 0) -> Iterator[Row]:
    """The rows of one pair of ops."""
    kind = "loss" if name in LOSSES else "op"

    def row(witness: str, method: str, errors: list[float]) -> Row:
        return Row(name, kind, witness, method, backend, len(errors), worst(errors), EXACT)

    under_test = [OpUnderTest(case, serve) for case in cases]
    literal = [_literal(one, seed) for one in under_test if one.case.twin]
    yield row("literal", "forward: the formula walked", [forward for forward, _ in literal])
    yield row("literal", "backward: the formula walked", [backward for _, backward in literal])
    yield row("numeric", "backward: complex step", [_complex_step(one, seed) for one in under_test])
    pairs = [pair for one in under_test for pair in _richardson(one, seed)]
    yield Row(name, kind, "numeric", "backward: Richardson", backend, len(pairs), *_nearest_to_failing(pairs))
    linear = [_adjoint(one, seed) for one in under_test if one.case.linear]
    if linear:
        yield row("numeric", "backward: adjoint", linear)
    external = [_recorded(one) for one in under_test if f"{one.case}/y" in recorded("torch_ops")]
    yield row("external", "forward: PyTorch 2.13, recorded", [forward for forward, _ in external])
    yield row("external", "backward: PyTorch 2.13, recorded", [backward for _, backward in external])


LOSSES = frozenset(
    name.removesuffix("_forward")
    for name in ops.__all__
    if name.endswith("_forward") and getattr(ops, name).__module__.rpartition(".")[2].startswith("loss")
)


def _apart(ours: Iterable[Any], theirs: Iterable[Any], terms: Iterable[Any]) -> float:
    """The worst distance of some gradients, where None (no bias) must be None."""
    pairs = zip(ours, theirs, terms, strict=True)
    return worst(
        (0.0 if a is b else float("inf")) if a is None or b is None else distance(a, b, t) for a, b, t in pairs
    )


def _literal(one: OpUnderTest, seed: int) -> tuple[float, float]:
    """Forward and backward against the formulas walked loop by loop."""
    args, options = one.case.build(seed)
    y, dy, gradients = one.both(args, options)
    forward, backward = literal_twin(*one.case.functions)
    y2, kept = forward(*rewound(args), **rewound(options))
    y_terms, terms = terms_of(one.case, args, options, dy)
    return distance(y, y2, y_terms), _apart(gradients, as_tuple(backward(dy, kept)), terms)


def _along(one: OpUnderTest, seed: int) -> Iterator[tuple[Callable[[Array], Any], Array, Array, Array, float, float]]:
    """For each argument that has a gradient: f(argument) = Σ dy·(y − y₀), the point, a random direction, the gradient.

    y₀ is y at the point: so no y that the argument has nothing to do with leaves its rounding in the sum.

    Behind them, what an error along it and one of a single entry is relative to: of the terms that the gradient is
    made of, the sum along the direction, and the largest.
    """
    args, options = one.case.build(seed)
    y0, dy, gradients = one.both(args, options)
    rng = np.random.default_rng([seed, 13])
    _, all_terms = terms_of(one.case, args, options, dy)
    for position, gradient, its_terms in zip(one.case.grads, gradients, all_terms, strict=True):
        if gradient is None or not np.size(gradient):
            continue

        def f(value: Array, position: int = position) -> Any:
            y, _ = one.forward(*args[:position], value, *args[position + 1 :], **options)
            return ((y - y0) * dy).sum()

        v = rng.normal(size=np.shape(gradient))
        terms = np.abs(gradient) if its_terms is None else its_terms
        yield f, args[position], v, gradient, float((terms * abs(v)).sum()), float(terms.max())


def _complex_step(one: OpUnderTest, seed: int, entries: int = 12) -> float:
    """The worst error of a random direction and of some single entries."""
    errors = []
    rng = np.random.default_rng([seed, 17])
    for f, x, v, gradient, along, largest in _along(one, seed):
        errors.append(_relative(directional(f, x, v, "complex").value - (gradient * v).sum(), along))
        for flat in rng.permutation(x.size)[:entries]:
            unit = np.zeros(x.shape)
            unit.flat[flat] = 1.0
            error = directional(f, x, unit, "complex").value - gradient.flat[flat]
            errors.append(_relative(error, largest))
    return worst(errors)


def _richardson(one: OpUnderTest, seed: int) -> Iterator[tuple[float, float]]:
    """The error in a random direction, and what is allowed: the larger of 1e-9 and the extrapolations' difference."""
    for f, x, v, gradient, along, _ in _along(one, seed):
        found = directional(f, x, v, "richardson")
        error = _relative(found.value - (gradient * v).sum(), along)
        yield error, max(RICHARDSON, _relative(found.uncertainty, along))


def _nearest_to_failing(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    """The (error, allowed) that speaks for all of them; infinite where more would be allowed than proves anything."""
    held = [(error if allowed <= RICHARDSON_WORST else float("inf"), allowed) for error, allowed in pairs]
    return max(held, key=lambda pair: pair[0] / pair[1], default=(0.0, RICHARDSON))


def _adjoint(one: OpUnderTest, seed: int) -> float:
    """⟨Ax, dy⟩ = ⟨x, Aᵀdy⟩, relative to the same with absolute values; a bias is left out, as it is not linear."""
    args, options = one.case.build(seed)
    args = tuple(None if one.case.argument_name(p) == "b" else a for p, a in enumerate(args))
    y, dy, gradients = one.both(args, options)
    terms, _ = terms_of(one.case, args, options, dy)
    return _relative((y * dy).sum() - (args[0] * gradients[0]).sum(), float((terms * abs(dy)).sum()))


def _recorded(one: OpUnderTest) -> tuple[float, float]:
    """Forward and backward against what PyTorch recorded for this case."""
    case, table = one.case, recorded("torch_ops")
    template, options = case.build(N=1)
    args = [table.get(f"{case}/arg{p}", a) for p, a in enumerate(template)]
    args = [a.astype(np.float64) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in args]
    dy = table[f"{case}/dy"].astype(np.float64)
    y, dy, gradients = one.both(args, options, dy if dy.ndim else dy[()])
    y_terms, terms = terms_of(one.case, args, options, dy)
    theirs = [table.get(f"{case}/grad{p}") for p in case.grads]
    return distance(y, table[f"{case}/y"], y_terms), _apart(gradients, theirs, terms)


def _relative(error: Any, scale: float) -> float:
    error = abs(complex(error))
    return 0.0 if error == 0 else error / scale if scale else float("inf")
