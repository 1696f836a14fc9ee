"""Witnesses of calculus: a table of functions whose derivatives and integrals are known, and other numerical ways.

The formulas follow limits with real numbers. The witnesses do not: a closed form needs no limit, a complex step takes
no difference, and Simpson's rule has other points than Gauss's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from tinycnn.formula import formulas
from tinycnn.optim import sgd_step
from tinycnn.verify.rows import EXACT, Row, row_of

Array = np.ndarray
FOLLOWED = 1e-9  # what a limit that is followed numerically may be off: measured 1e-12
SIMPSON = 1e-10  # what Simpson's rule with 2000 pieces may be off: measured 1e-12
STEP = 1e-30


class Known(NamedTuple):
    """A function of one number, how it is written, its derivative, and a function whose derivative it is."""

    text: str
    f: Callable[[Any], Any]
    slope: Callable[[Any], Any]
    area: Callable[[Any], Any]


exp, log, sin, cos, sqrt, tanh = np.exp, np.log, np.sin, np.cos, np.sqrt, np.tanh
TABLE = (
    Known("x**3 - 2*x", lambda x: x**3 - 2 * x, lambda x: 3 * x**2 - 2, lambda x: x**4 / 4 - x**2),
    Known("sin(x)", sin, cos, lambda x: -cos(x)),
    Known("exp(-x)", lambda x: exp(-x), lambda x: -exp(-x), lambda x: -exp(-x)),
    Known("log(x)", log, lambda x: 1 / x, lambda x: x * log(x) - x),
    Known("sqrt(x)", sqrt, lambda x: 1 / (2 * sqrt(x)), lambda x: 2 * x * sqrt(x) / 3),
    Known("tanh(x)", tanh, lambda x: 1 - tanh(x) ** 2, lambda x: log(np.cosh(x))),
    Known("1/(1 + exp(-x))", lambda x: 1 / (1 + exp(-x)), lambda x: exp(-x) / (1 + exp(-x)) ** 2,
          lambda x: log(1 + exp(x))),
    Known("x*exp(x)", lambda x: x * exp(x), lambda x: (1 + x) * exp(x), lambda x: (x - 1) * exp(x)),
    Known("1/(1 + x**2)", lambda x: 1 / (1 + x**2), lambda x: -2 * x / (1 + x**2) ** 2, np.arctan),
    Known("x**2*sin(3*x)", lambda x: x**2 * sin(3 * x), lambda x: 2 * x * sin(3 * x) + 3 * x**2 * cos(3 * x),
          lambda x: -(x**2) * cos(3 * x) / 3 + 2 * x * sin(3 * x) / 9 + 2 * cos(3 * x) / 27),
)  # fmt: skip
LEFT, RIGHT = 0.3, 2.5  # where all of the table is smooth

# f(x, y), and its slope along x
OF_TWO = (
    (lambda x, y: x**2 * y, lambda x, y: 2 * x * y),
    (lambda x, y: exp(x * y), lambda x, y: y * exp(x * y)),
    (lambda x, y: sin(x) / y, lambda x, y: cos(x) / y),
    (lambda x, y: log(x + y**2), lambda x, y: 1 / (x + y**2)),
)
# f(x) of a vector, and its gradient: what least squares, softmax's loss and products are made of
OF_VECTORS = (
    (lambda x: (x * x).sum() / 2 - x[0] * x[-1], lambda x: x - x[-1] * _unit(x, 0) - x[0] * _unit(x, len(x) - 1)),
    (lambda x: log(exp(x).sum()), lambda x: exp(x) / exp(x).sum()),
    (lambda x: x.prod(), lambda x: x.prod() / x),
    (lambda x: (sin(x) * np.arange(len(x))).sum(), lambda x: cos(x) * np.arange(len(x))),
)
# ∂z/∂u at u; the functions u(x); their slopes; dz/dx in closed form; z(u)
CHAINS = (
    (lambda u: (2 * u[0], 2 * u[1]), (cos, sin), (lambda x: -sin(x), cos), lambda x: 0 * x,
     lambda u: u[0] ** 2 + u[1] ** 2),
    (lambda u: (u[1], u[0]), (lambda x: x**3, exp), (lambda x: 3 * x**2, exp), lambda x: (3 * x**2 + x**3) * exp(x),
     lambda u: u[0] * u[1]),
    (lambda u: (u[1] * u[0] ** (u[1] - 1), u[0] ** u[1] * log(u[0])), (lambda x: x, lambda x: x),
     (lambda x: 1.0, lambda x: 1.0), lambda x: x**x * (log(x) + 1), lambda u: u[0] ** u[1]),
    (lambda u: (1 / (u[0] + u[1]), 1 / (u[0] + u[1])), (exp, lambda x: exp(-x)), (exp, lambda x: -exp(-x)), tanh,
     lambda u: log(u[0] + u[1])),
)  # fmt: skip
# f, F, from, to, and the area that every book gives
AREAS = (
    (sin, lambda x: -cos(x), 0.0, np.pi, 2.0),
    (lambda x: 1 / x, log, 1.0, np.e, 1.0),
    (lambda x: 4 / (1 + x**2), lambda x: 4 * np.arctan(x), 0.0, 1.0, np.pi),
    (lambda x: x**2, lambda x: x**3 / 3, 0.0, 1.0, 1 / 3),
    (cos, sin, np.pi / 2, 0.0, -1.0),
    (lambda x: sqrt(1 - x**2), lambda x: (x * sqrt(1 - x**2) + np.arcsin(x)) / 2, 0.0, 0.5, np.pi / 12 + sqrt(3) / 8),
)


def calculus_rows(thorough: bool = False, seed: int = 0) -> Iterator[Row]:
    """The rows of every formula of calculus."""
    rng = np.random.default_rng([seed, 43])
    points = rng.uniform(LEFT, RIGHT, size=30 if thorough else 3)
    yield from _derivatives(points)
    yield from _vectors(rng, 30 if thorough else 3)
    yield from _chains(points)
    yield from _integrals(points)
    yield from _theorems(points)
    yield from _batches(rng, 20 if thorough else 3)
    yield from _descent(rng, 20 if thorough else 3)


def _off(found: Any, expected: Any) -> float:
    """The largest difference, relative where the numbers are larger than 1."""
    return float(np.max(abs(np.asarray(found) - expected) / np.maximum(1.0, np.abs(expected))))


def _unit(x: Array, k: int) -> Array:
    return (np.arange(len(x)) == k).astype(np.float64)


def _complex_step(f: Callable[[Any], Any], x: Any, along: Any = 1.0) -> float:
    """The slope of f along a direction, exact to the last digits: nothing is subtracted."""
    return float(f(x + 1j * STEP * along).imag / STEP)


def _row(name: str, witness: str, method: str, errors: list[float], tolerance: float) -> Row:
    return row_of(name, "calculus", witness, method, errors, tolerance)


def _derivatives(points: Array) -> Iterator[Row]:
    found = [(known, x, formulas["derivative"].evaluate(f=known.f, x=x)) for known in TABLE for x in points]
    yield _row("derivative", "external", "a table of derivatives", [_off(d, known.slope(x)) for known, x, d in found],
               FOLLOWED)  # fmt: skip
    yield _row("derivative", "numeric", "complex step", [_off(d, _complex_step(known.f, x)) for known, x, d in found],
               FOLLOWED)  # fmt: skip
    closed, stepped = [], []
    for f, slope in OF_TWO:
        for x, y in zip(points, points[::-1] + 0.5, strict=True):
            d = formulas["partial_derivative"].evaluate(f=f, x=x, y=y)
            closed.append(_off(d, slope(x, y)))
            stepped.append(_off(d, _complex_step(partial(f, y=y), x)))
    yield _row("partial_derivative", "external", "a table of derivatives", closed, FOLLOWED)
    yield _row("partial_derivative", "numeric", "complex step", stepped, FOLLOWED)


def _vectors(rng: np.random.Generator, cases: int) -> Iterator[Row]:
    """Gradients and slopes along a direction, of functions of vectors."""
    errors: dict[tuple[str, str], list[float]] = {}
    for f, gradient in OF_VECTORS:
        for _ in range(cases):
            K = int(rng.integers(1, 6))
            x, d = rng.uniform(LEFT, RIGHT, size=K), rng.normal(size=K)
            units = [_complex_step(f, x, _unit(x, k)) for k in range(K)]
            along = _complex_step(f, x, d)
            found = formulas["gradient"].evaluate(f=f, x=x)
            slope = formulas["directional_derivative"].evaluate(f=f, x=x, d=d)
            product = formulas["slope_from_gradient"].evaluate(gradf=gradient(x), d=d)
            for name, witness, off in (
                ("gradient", "external", _off(found, gradient(x))),
                ("gradient", "numeric", _off(found, units)),
                ("directional_derivative", "external", _off(slope, gradient(x) @ d)),
                ("directional_derivative", "numeric", _off(slope, along)),
                ("slope_from_gradient", "external", _off(product, gradient(x) @ d)),
                ("slope_from_gradient", "numeric", _off(product, along)),
            ):
                errors.setdefault((name, witness), []).append(off)
    for (name, witness), found in errors.items():
        method = "complex step" if witness == "numeric" else "a table of gradients"
        yield _row(name, witness, method, found, EXACT if name == "slope_from_gradient" else FOLLOWED)


def _chains(points: Array) -> Iterator[Row]:
    """The sum over paths, against what the composed function's derivative is, and against a step through all of it."""
    closed, stepped = [], []
    for partials, inner, slopes, answer, outer in CHAINS:
        for x in points:
            dzdu = np.array(partials([u(x) for u in inner]))
            found = formulas["chain_rule"].evaluate(dzdu=dzdu, dudx=np.array([slope(x) for slope in slopes]))
            closed.append(_off(found, answer(x)))
            stepped.append(_off(found, _complex_step(partial(_composed, outer, inner), x)))
    yield _row("chain_rule", "external", "closed forms", closed, EXACT)
    yield _row("chain_rule", "numeric", "complex step", stepped, EXACT)


def _composed(outer: Callable[[Any], Any], inner: tuple[Callable[[Any], Any], ...], x: Any) -> Any:
    return outer([u(x) for u in inner])


def _simpson(f: Callable[[Any], Any], a: float, b: float) -> float:
    """Simpson's rule with 2000 pieces: parabolas through neighbouring points."""
    y = f(np.linspace(a, b, 2001)) * np.ones(2001)
    return float((b - a) / 6000 * (y[0] + y[-1] + 4 * y[1::2].sum() + 2 * y[2:-1:2].sum()))


def _integrals(points: Array) -> Iterator[Row]:
    """Areas under the table's functions; a Riemann sum of x² falls short by exactly (b − a)³ / 12N²."""
    tabled, summed, rectangles = [], [], []
    for known in TABLE:
        for b in points:
            found = formulas["integral"].evaluate(f=known.f, a=LEFT, b=b)
            tabled.append(_off(found, known.area(b) - known.area(LEFT)))
            summed.append(_off(found, _simpson(known.f, LEFT, b)))
            rectangles.append(_off(formulas["riemann_sum"].evaluate(f=known.f, a=LEFT, b=b, N=500), found))
    yield _row("integral", "external", "a table of integrals", tabled, EXACT)
    yield _row("integral", "numeric", "Simpson's rule", summed, SIMPSON)
    yield _row("riemann_sum", "numeric", "500 rectangles against the integral", rectangles, 1e-4)
    known_errors = []
    for a, b, N in ((0, 1, 1), (0, 3, 4), (-2, 5, 7), (4, 1, 3)):
        exact = Fraction(b**3 - a**3, 3) - Fraction((b - a) ** 3, 12 * N**2)
        found = formulas["riemann_sum"].evaluate(f=lambda x: x**2, a=a, b=b, N=N)
        known_errors.append(_off(found, float(exact)))
    yield _row("riemann_sum", "literal", "exact fractions, for x²", known_errors, EXACT)


def _theorems(points: Array) -> Iterator[Row]:
    """Differentiate an integral, integrate a derivative: the two undo each other."""
    tabled, slopes = [], []
    for known in TABLE:
        for x in points:
            h = 1e-3  # five points: what is left out is of the order h⁴
            around = [x, x + h, x - h, x + 2 * h, x - 2 * h]
            given = {"f": known.f, "a": LEFT, "C": known.area(LEFT)}
            y, up, down, up2, down2 = (formulas["antiderivative"].evaluate(x=at, **given) for at in around)
            tabled.append(_off(y, known.area(x)))
            slopes.append(_off((8 * (up - down) - (up2 - down2)) / (12 * h), known.f(x)))
    yield _row("antiderivative", "external", "a table of integrals", tabled, EXACT)
    yield _row("antiderivative", "numeric", "its derivative is f, by five points", slopes, 1e-8)
    areas, summed = [], []
    for f, F, a, b, area in AREAS:
        found = formulas["fundamental_theorem"].evaluate(F=F, a=a, b=b)
        areas.append(_off(found, area))
        summed.append(_off(found, _simpson(f, a, b)))
    yield _row("fundamental_theorem", "external", "areas that are known", areas, EXACT)
    yield _row("fundamental_theorem", "numeric", "Simpson's rule", summed, SIMPSON)


def _batches(rng: np.random.Generator, cases: int) -> Iterator[Row]:
    """The mean over every batch of two is that over all, exactly; and it is the slope of the mean of the losses."""
    evaluate = formulas["batch_gradient"].evaluate
    equal, stepped = [], []
    for _ in range(cases):
        N, K = int(rng.integers(2, 7)), int(rng.integers(1, 4))
        x, t, theta = rng.normal(size=(N, K)), rng.normal(size=N), rng.normal(size=K)
        whole = rng.integers(-50, 51, size=(N, K))
        mean = [float(Fraction(int(total), N)) for total in whole.sum(axis=0)]
        pairs = [evaluate(g=whole[[a, b]]) for a, b in combinations(range(N), 2)]
        equal += [_off(evaluate(g=whole), mean), _off(np.mean(pairs, axis=0), mean)]
        found = evaluate(g=2 * (x @ theta - t)[:, None] * x)
        loss = partial(_mean_square, x, t)
        stepped.append(_off(found, [_complex_step(loss, theta, _unit(theta, k)) for k in range(K)]))
    yield _row("batch_gradient", "literal", "every batch of two, and fractions", equal, EXACT)
    yield _row("batch_gradient", "numeric", "complex step", stepped, EXACT)


def _mean_square(x: Array, t: Array, theta: Array) -> Any:
    return ((x @ theta - t) ** 2).mean()


def _descent(rng: np.random.Generator, cases: int, steps: int = 5) -> Iterator[Row]:
    """Down a quadratic bowl, where the whole path is known: θ − θ* shrinks by (1 − lr·A) a step. And SGD's own step."""
    closed, stepped = [], []
    for _ in range(cases):
        K = int(rng.integers(1, 5))
        half, best, start = rng.normal(size=(K, K)) / K, rng.normal(size=K), rng.normal(size=K)
        A, lr = half @ half.T + np.eye(K), 0.1

        def loss(theta: Array, A: Array = A, best: Array = best) -> Any:
            return (theta - best) @ A @ (theta - best) / 2

        found = taken = start
        for _ in range(steps):
            found = formulas["gradient_descent"].evaluate(L=loss, theta=found, lr=lr)
            gradient = np.array([_complex_step(loss, taken, _unit(taken, k)) for k in range(K)])
            taken = sgd_step(taken, gradient, lr=lr)
        closed.append(_off(found, best + np.linalg.matrix_power(np.eye(K) - lr * A, steps) @ (start - best)))
        stepped.append(_off(found, taken))
    yield _row("gradient_descent", "external", "five steps in closed form", closed, FOLLOWED)
    yield _row("gradient_descent", "numeric", "five of SGD's steps, by complex step", stepped, FOLLOWED)
