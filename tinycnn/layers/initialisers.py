"""How weights begin: at random, and just so large that signals neither fade nor swell from layer to layer."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tinycnn.formula import formula
from tinycnn.naming import lookup

Initialiser = Callable[[tuple[int, ...], np.random.Generator], np.ndarray]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """How many numbers one output gathers from, and one input spreads to: (C·KH·KW, F·KH·KW) for (F, C, KH, KW).

    >>> fans((16, 3, 5, 5)), fans((10, 64))
    ((75, 400), (64, 10))
    """
    taps = math.prod(shape[2:])
    return shape[1] * taps, shape[0] * taps


@formula(
    "std = sqrt(2 / fan_in)",
    where="fan_in is how many numbers one output gathers from",
    shapes="-> std ()",
    source="He, Zhang, Ren & Sun 2015, arXiv:1502.01852, equation 10",
)
def he_std(fan_in: int) -> float:
    """The spread that keeps a signal's size through layers with ReLU, which drops half of it.

    >>> he_std(50)
    0.2
    """
    return math.sqrt(2 / fan_in)


@formula(
    "std = sqrt(2 / (fan_in + fan_out))",
    where="fan_in is how many numbers one output gathers from; fan_out is how many one input spreads to",
    shapes="-> std ()",
    source="Glorot & Bengio 2010, AISTATS, equation 12",
)
def glorot_std(fan_in: int, fan_out: int) -> float:
    """The spread that is a compromise between keeping the signal's size forward and the gradient's backward.

    >>> glorot_std(30, 20)
    0.2
    """
    return math.sqrt(2 / (fan_in + fan_out))


def he_normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Normal numbers of He's spread."""
    return rng.normal(0.0, he_std(fans(shape)[0]), shape)


def he_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Uniform numbers of He's spread: a uniform law on ±√3·std has standard deviation std."""
    return _uniform(he_std(fans(shape)[0]), shape, rng)


def glorot_normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Normal numbers of Glorot's spread."""
    return rng.normal(0.0, glorot_std(*fans(shape)), shape)


def glorot_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Uniform numbers of Glorot's spread."""
    return _uniform(glorot_std(*fans(shape)), shape, rng)


def zeros(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Zeros: right for a bias, useless for weights, which would all stay equal."""
    return np.zeros(shape)


def _uniform(std: float, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    limit = math.sqrt(3) * std
    return rng.uniform(-limit, limit, shape)


INITIALISERS: dict[str, Initialiser] = {
    fn.__name__: fn for fn in (he_normal, he_uniform, glorot_normal, glorot_uniform, zeros)
}


def initialiser(name: str) -> Initialiser:
    """An initialiser by its name; raises ValueError for a name that is none."""
    return lookup(INITIALISERS, name, "initialiser")
