"""Witnesses of the initialisers: the same draws through the formula, the moments of many, and signals through depth."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinycnn.formula import formulas
from tinycnn.layers.initialisers import INITIALISERS, fans, glorot_std, he_std, initialiser, lecun_std
from tinycnn.verify.rows import Row, distance, row_of

SHAPE = (40, 30, 5, 3)  # F, C, KH, KW
SPREADS = {"he": he_std, "glorot": glorot_std, "lecun": lecun_std}
FIXED = {"zeros": 0.0, "ones": 1.0}


def initialiser_rows(thorough: bool = False, seed: int = 0) -> Iterator[Row]:
    """The rows of every initialiser, and of the spreads that some take."""
    for name in INITIALISERS:
        yield row_of(name, "initialiser", "literal", "the formula with the same draws", [_literal(name, seed)])
        if name not in (*FIXED, "constant", "orthogonal"):
            yield row_of(name, "initialiser", "numeric", "four moments of many draws, in five standard errors",
                         _moments(name, seed, 4 if thorough else 1), tolerance=1.0)  # fmt: skip
        if name.partition("_")[0] in SPREADS:
            yield row_of(name, "initialiser", "numeric", "mean square through ten layers, as a power of 2",
                         [_through_depth(name, seed)], tolerance=1.0)  # fmt: skip
    yield from _plain(seed)
    yield from _spreads()


def _drawn(name: str, seed: int) -> np.ndarray:
    return INITIALISERS[name](SHAPE, np.random.default_rng(seed))


def _literal(name: str, seed: int) -> float:
    """The formula, given the numbers that the generator gives."""
    rng, (fan_in, fan_out) = np.random.default_rng(seed), fans(SHAPE)
    if name == "orthogonal":
        w = _drawn(name, seed).reshape(SHAPE[0], -1)
        return distance(formulas[name].evaluate(w=w), np.eye(SHAPE[0]))
    e = rng.random(SHAPE) if name.endswith("uniform") else rng.normal(size=SHAPE)
    given: dict[str, Any] = {"e": e}
    entry = formulas[name]
    if name in (*FIXED, "constant"):
        given = {"w": e, "value": 0.0} if name == "constant" else {"w": e}
    elif name in ("normal", "uniform"):
        given |= {"std": 0.05} if name == "normal" else {"limit": 0.05}
    else:
        given |= {"fan_in": fan_in} | ({"fan_out": fan_out} if name.startswith("glorot") else {})
    return distance(_drawn(name, seed), entry.evaluate(**given))


def _spread(name: str) -> float:
    """The standard deviation that the law promises, worked out from the papers and not by the code under test."""
    fan_in, fan_out = SHAPE[1] * SHAPE[2] * SHAPE[3], SHAPE[0] * SHAPE[2] * SHAPE[3]
    plain = {"normal": 0.05, "uniform": 0.05 / math.sqrt(3)}
    paper = {"he": math.sqrt(2 / fan_in), "glorot": math.sqrt(2 / (fan_in + fan_out)), "lecun": math.sqrt(1 / fan_in)}
    return plain[name] if name in plain else paper[name.partition("_")[0]]


def _moments(name: str, seed: int, rounds: int) -> list[float]:
    """How far the first four moments are from the law's, in five standard errors of their estimates."""
    rng = np.random.default_rng([seed, 19])
    z = np.concatenate([INITIALISERS[name](SHAPE, rng).ravel() for _ in range(rounds)]) / _spread(name)
    fourth, sixth, eighth = (3.0, 15.0, 105.0) if name.endswith("normal") else (9 / 5, 27 / 7, 9.0)
    spreads = (1.0, fourth - 1, sixth, eighth - fourth**2)  # of z, z², z³, z⁴
    expected = (0.0, 1.0, 0.0, fourth)
    found = [
        abs((z**k).mean() - m) / (5 * math.sqrt(v / z.size))
        for k, m, v in zip((1, 2, 3, 4), expected, spreads, strict=True)
    ]
    return [float(value) for value in found]


def _through_depth(name: str, seed: int, width: int = 400, depth: int = 10) -> float:
    """|log2| of a signal's mean square behind ten square layers over that before them: it neither fades nor swells.

    He's law is for layers with ReLU, the others for layers without.
    """
    rng = np.random.default_rng([seed, 29])
    signal = rng.normal(size=(200, width))
    first = (signal**2).mean()
    for _ in range(depth):
        signal = signal @ INITIALISERS[name]((width, width), rng).T
        if name.startswith("he"):
            signal = np.maximum(signal, 0)
    return abs(math.log2((signal**2).mean() / first))


def _plain(seed: int) -> Iterator[Row]:
    """What needs no law: a constant is itself, and rows at right angles keep every length."""
    for name, value in FIXED.items():
        yield row_of(
            name, "initialiser", "numeric", "every number looked at", [float(abs(_drawn(name, seed) - value).max())]
        )
    errors = [
        float(abs(initialiser(("constant", c))(SHAPE, np.random.default_rng(0)) - c).max()) for c in (0.0, -1.5, 7.0)
    ]
    yield row_of("constant", "initialiser", "numeric", "every number looked at", errors)
    x = np.random.default_rng([seed, 31]).normal(size=30)
    tall = INITIALISERS["orthogonal"]((50, 30), np.random.default_rng(seed))
    kept = abs(np.linalg.norm(tall @ x) / np.linalg.norm(x) - 1)
    yield row_of("orthogonal", "initialiser", "numeric", "lengths before and after", [float(kept)])


def _spreads() -> Iterator[Row]:
    for name, std in SPREADS.items():
        pairs = [(1, 1), (27, 64), (1000, 10)]
        given = [pair if name == "glorot" else pair[:1] for pair in pairs]
        walked = [formulas[f"{name}_std"].evaluate(**dict(zip(("fan_in", "fan_out"), g, strict=False))) for g in given]
        found = [std(*g) for g in given]
        yield row_of(f"{name}_std", "initialiser", "literal", "the formula walked", map(distance, found, walked))
        gain = 2 if name != "lecun" else 1
        back = [abs(s**2 * sum(g) - gain) for s, g in zip(found, given, strict=True)]
        yield row_of(f"{name}_std", "initialiser", "numeric", "its variance times the fans", back)
