"""The changes of form around Winograd's products (`winograd`), in one direction: once for columns, then for rows.

A square of results sees a square of pixels; the next one sees those `step` pixels further on. Each change is a few
additions, and a halving where windows are one apart, of whole vectors at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir

from tinycnn.kernels.vectors import Writer

Numbers = list[Any]


class Scheme(NamedTuple):
    """How a square becomes forms, and its products results."""

    forms: int  # of pixels in each direction: so many, times so many, multiplications
    seen: int  # pixels
    step: int  # from the first pixel of a square to that of the next
    made: int  # results
    plus: tuple[int, ...]  # forms of which each result has exactly one, with a plus: where the bias comes in
    turned: tuple[int, ...]  # which form of turned filters each form of filters is; of those there are four
    pixels: Callable[[Writer, Numbers], Numbers]  # Bᵀd
    weights: Callable[[Writer, Numbers], Numbers]  # Gg
    results: Callable[[Writer, Numbers], Numbers]  # Aᵀm


def _half(w: Writer, value: Any) -> Any:
    return w.builder.fmul(value, w.everywhere(ir.Constant(w.number, 0.5)))


def _pixels_1(w: Writer, d: Numbers) -> Numbers:
    """d₀ − d₂, d₁ + d₂, d₂ − d₁, d₁ − d₃."""
    add, sub = w.builder.fadd, w.builder.fsub
    return [sub(d[0], d[2]), add(d[1], d[2]), sub(d[2], d[1]), sub(d[1], d[3])]


def _weights_1(w: Writer, g: Numbers) -> Numbers:
    """g₀, (g₀ + g₁ + g₂)/2, (g₀ − g₁ + g₂)/2, g₂."""
    outer = w.builder.fadd(g[0], g[2])
    return [g[0], _half(w, w.builder.fadd(outer, g[1])), _half(w, w.builder.fsub(outer, g[1])), g[2]]


def _results_1(w: Writer, m: Numbers) -> Numbers:
    """m₀ + m₁ + m₂, m₁ − m₂ − m₃."""
    add, sub = w.builder.fadd, w.builder.fsub
    return [add(m[0], add(m[1], m[2])), sub(sub(m[1], m[2]), m[3])]


def _pixels_2(w: Writer, d: Numbers) -> Numbers:
    """d₀ − d₂, d₂, d₄ − d₂, d₁, d₃."""
    return [w.builder.fsub(d[0], d[2]), d[2], w.builder.fsub(d[4], d[2]), d[1], d[3]]


def _weights_2(w: Writer, g: Numbers) -> Numbers:
    """g₀, g₀ + g₂, g₂, g₁; with the last go the last two forms of pixels."""
    return [g[0], w.builder.fadd(g[0], g[2]), g[2], g[1]]


def _results_2(w: Writer, m: Numbers) -> Numbers:
    """m₀ + m₁ + m₃, m₁ + m₂ + m₄."""
    add = w.builder.fadd
    return [add(add(m[0], m[1]), m[3]), add(add(m[1], m[2]), m[4])]


def _pixels_of_dx(w: Writer, e: Numbers) -> Numbers:
    """e₀ − e₁, e₁, e₂ − e₁, e₀, e₁."""
    return [w.builder.fsub(e[0], e[1]), e[1], w.builder.fsub(e[2], e[1]), e[0], e[1]]


def _results_of_dx(w: Writer, m: Numbers) -> Numbers:
    """m₃, m₀ + m₁, m₄, m₁ + m₂."""
    return [m[3], w.builder.fadd(m[0], m[1]), m[4], w.builder.fadd(m[1], m[2])]


FOUR = 4  # forms of weights in each direction, whatever the scheme
APART_1, APART_2, DX_OF_2 = range(3)  # windows one apart; two apart; and the dx of those
SCHEMES = (
    Scheme(4, 4, 2, 2, (1,), (3, 1, 2, 0), _pixels_1, _weights_1, _results_1),
    Scheme(5, 5, 4, 2, (1,), (2, 1, 0, 3), _pixels_2, _weights_2, _results_2),
    Scheme(5, 3, 2, 4, (1, 3, 4), (2, 1, 0, 3), _pixels_of_dx, _weights_2, _results_of_dx),
)


def gradients_mixed(w: Writer, e: Numbers) -> Numbers:
    """Ae of two gradients one apart: e₀, e₀ + e₁, e₀ − e₁, −e₁."""
    return [e[0], w.builder.fadd(e[0], e[1]), w.builder.fsub(e[0], e[1]), w.builder.fsub(w.zeros, e[1])]


def taps(w: Writer, m: Numbers) -> Numbers:
    """Gᵀm of the same: m₀ + (m₁ + m₂)/2, (m₁ − m₂)/2, (m₁ + m₂)/2 + m₃."""
    middle = _half(w, w.builder.fadd(m[1], m[2]))
    return [w.builder.fadd(m[0], middle), _half(w, w.builder.fsub(m[1], m[2])), w.builder.fadd(middle, m[3])]
