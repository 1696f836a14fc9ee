"""Witnesses of algebra: the same sums in exact fractions, NumPy's, and the laws that define each operation.

The arrays hold eighths of whole numbers, which floats add and multiply without rounding: what is exact must be equal,
and no tolerance is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from tinycnn import ops
from tinycnn.formula import formulas
from tinycnn.verify.rows import EXACT, Row, distance, row_of

Array = np.ndarray


def algebra_rows(thorough: bool = False, seed: int = 0) -> Iterator[Row]:
    """The rows of every formula of algebra."""
    cases = 50 if thorough else 5
    for name, (arguments, exact, outside) in FORMULAS.items():
        errors, others = [], []
        for case in range(cases):
            given = arguments(np.random.default_rng([seed, case]))
            value = formulas[name].evaluate(**given)
            errors.append(distance(value, _floats(exact(**{key: _fractions(a) for key, a in given.items()}))))
            others.append(distance(value, outside(**given)))
        yield row_of(name, "algebra", "literal", "exact fractions", errors, 0.0)
        yield row_of(name, "algebra", "external", "NumPy", others)
    yield from _laws(cases, seed)
    yield from _convolution(cases, seed)


def eighths(rng: np.random.Generator, *shape: int) -> Array:
    """Signed eighths of whole numbers up to 125."""
    return rng.integers(-1000, 1001, size=shape) / 8


def _fractions(a: Any) -> Any:
    """Nested lists of fractions, exactly the numbers of the array."""
    return [_fractions(row) for row in a] if np.ndim(a) else a if isinstance(a, int) else Fraction(float(a))


def _floats(exact: Any) -> Array:
    return np.array([_floats(row) for row in exact]) if isinstance(exact, list) else np.array(float(exact))


# ------------------------------------------------- arguments, the exact sum in Python, the same of NumPy


def _sizes(rng: np.random.Generator, count: int) -> list[int]:
    return [int(size) for size in rng.integers(1, 8, size=count)]


def _pair(rng: np.random.Generator, axes: int) -> dict[str, Any]:
    sizes = _sizes(rng, axes)
    return {"a": eighths(rng, *sizes), "b": eighths(rng, *sizes)}


def _factors(rng: np.random.Generator) -> dict[str, Any]:
    M, K, N = _sizes(rng, 3)
    return {"a": eighths(rng, M, K), "b": eighths(rng, K, N)}


def _image_and_filter(rng: np.random.Generator) -> dict[str, Any]:
    H, W, KH, KW = _sizes(rng, 4)
    return {"x": eighths(rng, H, W), "w": eighths(rng, KH, KW)}


def _rows_by_columns(a: list, b: list) -> list:
    columns = list(zip(*b, strict=True))
    return [[sum((p * q for p, q in zip(row, column, strict=True)), Fraction(0)) for column in columns] for row in a]


def _product_of_polynomials(x: list, w: list) -> list:
    """x and w as the coefficients of two polynomials in two unknowns: a convolution is what multiplying them gives."""
    product: dict[tuple[int, int], Fraction] = {}
    for r, row in enumerate(x):
        for q, pixel in enumerate(row):
            for i, taps in enumerate(w):
                for j, tap in enumerate(taps):
                    product[r + i, q + j] = product.get((r + i, q + j), Fraction(0)) + pixel * tap
    OH, OW = len(x) + len(w) - 1, len(x[0]) + len(w[0]) - 1
    return [[product[u, v] for v in range(OW)] for u in range(OH)]


def _by_fourier(x: Array, w: Array) -> Array:
    """The convolution theorem: transformed, it is a product number by number."""
    size = (x.shape[0] + w.shape[0] - 1, x.shape[1] + w.shape[1] - 1)
    return np.fft.irfft2(np.fft.rfft2(x, size) * np.fft.rfft2(w, size), size)


def _bytes(rng: np.random.Generator) -> dict[str, Any]:
    return {"x": rng.integers(0, 256, size=_sizes(rng, 2)).astype(np.uint8)}


def _labels(rng: np.random.Generator) -> dict[str, Any]:
    N, K = _sizes(rng, 2)
    return {"labels": rng.integers(0, K, size=N), "K": K}


FORMULAS: dict[str, tuple[Callable, Callable, Callable]] = {
    "vector_sum": (
        lambda rng: _pair(rng, 1),
        lambda a, b: [p + q for p, q in zip(a, b, strict=True)],
        lambda a, b: a + b,
    ),
    "matrix_sum": (
        lambda rng: _pair(rng, 2),
        lambda a, b: [[p + q for p, q in zip(*rows, strict=True)] for rows in zip(a, b, strict=True)],
        lambda a, b: a + b,
    ),
    "scalar_multiple": (
        lambda rng: {"s": float(eighths(rng)), "a": eighths(rng, *_sizes(rng, 1))},
        lambda s, a: [s * number for number in a],
        lambda s, a: s * a,
    ),
    "dot_product": (
        lambda rng: _pair(rng, 1),
        lambda a, b: sum((p * q for p, q in zip(a, b, strict=True)), Fraction(0)),
        np.dot,
    ),
    "matrix_product": (_factors, _rows_by_columns, lambda a, b: a @ b),
    "transpose": (
        lambda rng: {"a": eighths(rng, *_sizes(rng, 2))},
        lambda a: [list(column) for column in zip(*a, strict=True)],
        np.transpose,
    ),
    "true_convolution": (_image_and_filter, _product_of_polynomials, _by_fourier),
    "unit_scale": (_bytes, lambda x: [[number / 255 for number in row] for row in x], lambda x: np.divide(x, 255.0)),
    "one_hot": (
        _labels,
        lambda labels, K: [[Fraction(int(k == label)) for k in range(K)] for label in labels],
        lambda labels, K: np.eye(K)[labels],
    ),
}  # fmt: skip


# ------------------------------------------------- what must hold whatever the numbers


def _laws(cases: int, seed: int) -> Iterator[Row]:
    """The laws that make each operation what it is, exactly: C is the matrix of doing B first, and then A."""
    product, turned = formulas["matrix_product"].evaluate, formulas["transpose"].evaluate
    dot, multiple = formulas["dot_product"].evaluate, formulas["scalar_multiple"].evaluate
    acts, turns, angles = [], [], []
    for case in range(cases):
        rng = np.random.default_rng([seed, 31, case])
        M, K, N, P = _sizes(rng, 4)
        a, b, x, y = (rng.integers(-50, 51, size=size) for size in ((M, K), (K, N), (N, P), M))
        acts.append(distance(product(a=product(a=a, b=b), b=x), product(a=a, b=product(a=b, b=x))))
        turns.append(distance(turned(a=product(a=a, b=b)), product(a=turned(a=b), b=turned(a=a))))
        column = b[:, 0]  # ⟨A·b, y⟩ = ⟨b, Aᵀ·y⟩, of which every backward pass is an example
        there = dot(a=product(a=a, b=column[:, None])[:, 0], b=multiple(s=3, a=y))
        angles.append(distance(there, 3 * dot(a=column, b=product(a=turned(a=a), b=y[:, None])[:, 0])))
    yield row_of("matrix_product", "algebra", "numeric", "(AB)X = A(BX)", acts, 0.0)
    yield row_of("transpose", "algebra", "numeric", "(AB)ᵀ = BᵀAᵀ", turns, 0.0)
    yield row_of("dot_product", "algebra", "numeric", "⟨Ab, 3y⟩ = 3⟨b, Aᵀy⟩", angles, 0.0)


def _convolution(cases: int, seed: int) -> Iterator[Row]:
    """The op with flip=True and a border of the filter's size, less one, is the convolution of mathematics."""
    errors = []
    for case in range(cases):
        given = _image_and_filter(np.random.default_rng([seed, 37, case]))
        x, w = given["x"], given["w"]
        padding = (w.shape[0] - 1, w.shape[1] - 1)
        y, _ = ops.conv2d_forward(x[None, None], w[None, None], np.zeros(1), padding=padding, flip=True)
        errors.append(distance(formulas["true_convolution"].evaluate(x=x, w=w), y[0, 0]))
    yield row_of("true_convolution", "algebra", "literal", "conv2d with flip=True", errors, EXACT)
