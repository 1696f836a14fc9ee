"""How weights begin: at random, and just so large that signals neither fade nor swell from layer to layer."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tinycnn.formula import formula
from tinycnn.naming import lookup
from tinycnn.ops.checks import number

Initialiser = Callable[[tuple[int, ...], np.random.Generator], np.ndarray]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """How many numbers one output gathers from, and one input spreads to: (C·KH·KW, F·KH·KW) for (F, C, KH, KW).

    >>> fans((16, 3, 5, 5)), fans((10, 64))
    ((75, 400), (64, 10))
    """
    if len(shape) < 2:
        raise ValueError(f"a bias of shape {shape} has no fan: begin it with 'zeros', 'ones', 'normal' or 'uniform'")
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


@formula(
    "std = sqrt(1 / fan_in)",
    where="fan_in is how many numbers one output gathers from",
    shapes="-> std ()",
    source="LeCun, Bottou, Orr & Müller 1998, Efficient BackProp, section 4.6",
)
def lecun_std(fan_in: int) -> float:
    """The spread that keeps a signal's size through linear layers, and those that are nearly so.

    >>> lecun_std(25)
    0.2
    """
    return math.sqrt(1 / fan_in)


@formula(
    "w = sqrt(2 / fan_in) * e",
    where="fan_in is how many numbers one output gathers from; e is drawn from the standard normal law",
    shapes="e (...) -> w (...)",
    source="He, Zhang, Ren & Sun 2015, arXiv:1502.01852, equation 10",
)
def he_normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Normal numbers of He's spread."""
    return rng.normal(0.0, he_std(fans(shape)[0]), shape)


@formula(
    "w = sqrt(6 / fan_in) * (2*e - 1)",
    where="fan_in is how many numbers one output gathers from; e is drawn uniformly from [0, 1)",
    shapes="e (...) -> w (...)",
    source="He, Zhang, Ren & Sun 2015, arXiv:1502.01852, equation 10",
)
def he_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Uniform numbers of He's spread: a uniform law on ±√3·std has standard deviation std."""
    return _uniform(he_std(fans(shape)[0]), shape, rng)


@formula(
    "w = sqrt(2 / (fan_in + fan_out)) * e",
    where="fan_in is how many numbers one output gathers from;"
    " fan_out is how many one input spreads to; e is drawn from the standard normal law",
    shapes="e (...) -> w (...)",
    source="Glorot & Bengio 2010, AISTATS, equation 12",
)
def glorot_normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Normal numbers of Glorot's spread."""
    return rng.normal(0.0, glorot_std(*fans(shape)), shape)


@formula(
    "w = sqrt(6 / (fan_in + fan_out)) * (2*e - 1)",
    where="fan_in is how many numbers one output gathers from;"
    " fan_out is how many one input spreads to; e is drawn uniformly from [0, 1)",
    shapes="e (...) -> w (...)",
    source="Glorot & Bengio 2010, AISTATS, equation 16",
)
def glorot_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Uniform numbers of Glorot's spread."""
    return _uniform(glorot_std(*fans(shape)), shape, rng)


@formula(
    "w = sqrt(1 / fan_in) * e",
    where="fan_in is how many numbers one output gathers from; e is drawn from the standard normal law",
    shapes="e (...) -> w (...)",
    source="LeCun, Bottou, Orr & Müller 1998, Efficient BackProp, section 4.6",
)
def lecun_normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Normal numbers of LeCun's spread."""
    return rng.normal(0.0, lecun_std(fans(shape)[0]), shape)


@formula(
    "w = sqrt(3 / fan_in) * (2*e - 1)",
    where="fan_in is how many numbers one output gathers from; e is drawn uniformly from [0, 1)",
    shapes="e (...) -> w (...)",
    source="LeCun, Bottou, Orr & Müller 1998, Efficient BackProp, section 4.6",
)
def lecun_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Uniform numbers of LeCun's spread."""
    return _uniform(lecun_std(fans(shape)[0]), shape, rng)


@formula(
    "eye[k,l] = sum[c](w[k,c] * w[l,c])",
    where="w holds the weights as a matrix, a row an output; eye is 1 where k = l and 0 elsewhere",
    shapes="w (K,C) -> eye (K,K)",
    source="Saxe, McClelland & Ganguli 2014, arXiv:1312.6120",
)
def orthogonal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Rows at right angles to each other and of length 1 (columns, where there are more rows): no length is changed."""
    F, K = shape[0], math.prod(shape[1:])
    q, r = np.linalg.qr(rng.normal(size=(max(F, K), min(F, K))))
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)  # else QR's choice of signs would favour some directions
    return (q.T if F < K else q).reshape(shape)


@formula("w = 0", shapes="w (...) -> w", source="Rumelhart, Hinton & Williams 1986, Nature 323, for why not")
def zeros(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Zeros: right for a bias, useless for weights, which would all stay equal."""
    return np.zeros(shape)


@formula("w = 1", shapes="w (...) -> w", source="Ioffe & Szegedy 2015, arXiv:1502.03167, section 3")
def ones(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Ones: a scale that changes nothing yet."""
    return np.ones(shape)


def _uniform(std: float, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    limit = math.sqrt(3) * std
    return rng.uniform(-limit, limit, shape)


@formula("w = value", shapes="w (...) -> w", source="Keras, as Constant")
def constant(value: float = 0.0) -> Initialiser:
    """One number everywhere."""
    return lambda shape, rng: np.full(shape, value)


@formula(
    "w = std * e",
    where="e is drawn from the standard normal law",
    shapes="e (...) -> w (...)",
    source="Krizhevsky, Sutskever & Hinton 2012, NeurIPS, section 5",
)
def normal(std: float = 0.05) -> Initialiser:
    """Normal numbers of mean 0 and this standard deviation; 0.05 as in Keras."""
    return lambda shape, rng: rng.normal(0.0, std, shape)


@formula(
    "w = limit * (2*e - 1)",
    where="e is drawn uniformly from [0, 1)",
    shapes="e (...) -> w (...)",
    source="Keras, as RandomUniform",
)
def uniform(limit: float = 0.05) -> Initialiser:
    """Uniform numbers on ±limit; 0.05 as in Keras."""
    return lambda shape, rng: rng.uniform(-limit, limit, shape)


_PLAIN = (
    he_normal, he_uniform, glorot_normal, glorot_uniform, lecun_normal, lecun_uniform, orthogonal, zeros, ones,
)  # fmt: skip
_WITH_NUMBER: dict[str, Callable[..., Initialiser]] = {fn.__name__: fn for fn in (constant, normal, uniform)}
INITIALISERS: dict[str, Initialiser] = {fn.__name__: fn for fn in _PLAIN} | {n: f() for n, f in _WITH_NUMBER.items()}


def initialiser(name: str | tuple[str, float]) -> Initialiser:
    """An initialiser by its name, or by name and number: `("constant", 0.1)`, `("normal", 0.02)`, `("uniform", 0.1)`.

    Raises ValueError for a name that is none, or for a number that is not finite.

    >>> initialiser(("constant", 0.5))((2,), np.random.default_rng(0))
    array([0.5, 0.5])
    """
    if isinstance(name, tuple | list) and len(name) == 2:
        return lookup(_WITH_NUMBER, name[0], "initialiser with a number")(number(name[1], "its number"))
    return lookup(INITIALISERS, name, "initialiser")
