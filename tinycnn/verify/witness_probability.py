"""Witnesses of probability: small experiments, every outcome of which is counted in fractions, and drawn many times.

A simulation is allowed five standard errors, which are worked out from the experiment and not from the draws: a right
formula fails one run in a million or so, and the draws are seeded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, permutations, product
from typing import Any

import numpy as np

from tinycnn.formula import formulas
from tinycnn.verify.rows import EXACT, Row, row_of

DRAWS = 20_000
STANDARD_ERRORS = 5


@dataclass(frozen=True)
class Experiment:
    """What can come out and how likely it is; two random variables; two events, independent if `apart`."""

    outcomes: tuple[Any, ...]
    chances: tuple[Fraction, ...]
    X: Callable[[Any], int]
    Y: Callable[[Any], int]
    A: Callable[[Any], bool]
    B: Callable[[Any], bool]
    apart: bool = False

    def chance(self, event: Callable[[Any], bool]) -> Fraction:
        """The probability of an event, outcome by outcome."""
        return sum((p for o, p in zip(self.outcomes, self.chances, strict=True) if event(o)), Fraction(0))

    def mean(self, value: Callable[[Any], Any]) -> Fraction:
        """The mean of what has a value for each outcome."""
        return sum((p * value(o) for o, p in zip(self.outcomes, self.chances, strict=True)), Fraction(0))

    def values(self, value: Callable[[Any], Any]) -> np.ndarray:
        """The same as an array, an event's as ones and zeros."""
        return np.array([float(value(o)) for o in self.outcomes])

    @property
    def p(self) -> np.ndarray:
        """The probabilities as the formulas take them."""
        return np.array([float(p) for p in self.chances])


def _likely(outcomes: Any) -> dict[str, Any]:
    outcomes = tuple(outcomes)
    return {"outcomes": outcomes, "chances": (Fraction(1, len(outcomes)),) * len(outcomes)}


def _coins(count: int, heads: Fraction) -> dict[str, Any]:
    outcomes = tuple(product((0, 1), repeat=count))
    return {"outcomes": outcomes, "chances": tuple(heads ** sum(o) * (1 - heads) ** (count - sum(o)) for o in outcomes)}


EXPERIMENTS = {
    "two dice, their sum": Experiment(
        **_likely(product(range(1, 7), repeat=2)), X=sum, Y=max, A=lambda o: sum(o) >= 10, B=lambda o: o[0] % 2 == 0),
    "two dice, one at a time": Experiment(
        **_likely(product(range(1, 7), repeat=2)), X=lambda o: o[0], Y=lambda o: o[1], A=lambda o: o[0] % 2 == 0,
        B=lambda o: o[1] >= 5, apart=True),
    "two balls of five": Experiment(  # three are red, and none is put back
        **_likely(permutations((1, 1, 1, 0, 0), 2)), X=sum, Y=lambda o: -o[0], A=lambda o: o[0] == 1,
        B=lambda o: o[1] == 1),
    "three bent coins": Experiment(
        **_coins(3, Fraction(1, 3)), X=sum, Y=lambda o: o[0] - o[2], A=lambda o: o[1] == 1, B=lambda o: o[0] == 1,
        apart=True),
    "a loaded die": Experiment(
        tuple(range(1, 7)), tuple(Fraction(face, 21) for face in range(1, 7)), X=lambda o: o**2, Y=lambda o: 3 - o,
        A=lambda o: o % 2 == 0, B=lambda o: o >= 4),
}  # fmt: skip
URNS = {  # how likely each urn is taken, and its balls: 1 is red
    "three urns": ((Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)), ((1, 0, 0), (1, 1, 0, 0, 0), (1, 1, 1, 1, 0))),
    "a rare illness": ((Fraction(1, 100), Fraction(99, 100)), ((1,) * 9 + (0,), (1,) + (0,) * 19)),
}


def probability_rows(thorough: bool = False, seed: int = 0) -> Iterator[Row]:
    """The rows of every formula of probability."""
    draws = DRAWS * (10 if thorough else 1)
    counted = [_counted(experiment) for experiment in EXPERIMENTS.values()]
    counted += [_urns_counted(*urns) for urns in URNS.values()]
    rngs = np.random.default_rng([seed, 47]).spawn(len(counted))
    drawn = [_drawn(experiment, draws, rngs.pop()) for experiment in EXPERIMENTS.values()]
    drawn += [_urns_drawn(*urns, draws, rngs.pop()) for urns in URNS.values()]
    found: dict[tuple[str, str], list[float]] = {}
    for kind, results in (("literal", counted), ("numeric", drawn)):
        for name, error in chain.from_iterable(results):
            found.setdefault((name, kind), []).append(error)
    for (name, kind), errors in found.items():
        method = "every outcome, in fractions" if kind == "literal" else f"{draws:,} draws, in five standard errors"
        yield row_of(name, "probability", kind, method, errors, EXACT if kind == "literal" else 1.0)


def _value(name: str, **given: Any) -> Any:
    return formulas[name].evaluate(**given)


def _evaluated(e: Experiment) -> Iterator[tuple[str, float]]:
    """What each formula says of an experiment."""
    p, A, x, y = e.p, e.values(e.A), e.values(e.X), e.values(e.Y)
    if len(set(e.chances)) == 1:
        yield "equally_likely", _value("equally_likely", A=A)
    yield "probability", _value("probability", p=p, A=A)
    both, PB = float(e.chance(lambda o: e.A(o) and e.B(o))), float(e.chance(e.B))
    yield "conditional_probability", _value("conditional_probability", P_AB=both, P_B=PB)
    if e.apart:
        yield "independence", _value("independence", P_A=float(e.chance(e.A)), P_B=PB)
    yield "expectation", _value("expectation", x=x, p=p)
    yield "variance", _value("variance", x=x, p=p)
    yield "variance_by_moments", _value("variance_by_moments", x=x, p=p)
    yield "covariance", _value("covariance", x=x, y=y, p=p)


def _spread(e: Experiment, name: str) -> Callable[[Any], Fraction]:
    """The random variable whose mean is the variance, or the covariance."""
    EX, EY = e.mean(e.X), e.mean(e.Y)
    return (lambda o: (e.X(o) - EX) * (e.Y(o) - EY)) if name == "covariance" else (lambda o: (e.X(o) - EX) ** 2)


def _counted(e: Experiment) -> Iterator[tuple[str, float]]:
    """How far each formula is from the exact fraction, relative to the numbers that go in."""
    both = e.chance(lambda o: e.A(o) and e.B(o))
    exact = {"equally_likely": e.chance(e.A), "probability": e.chance(e.A), "independence": both,
             "conditional_probability": both / e.chance(e.B), "expectation": e.mean(e.X)}  # fmt: skip
    scale = max(1.0, *(float(e.X(o)) ** 2 for o in e.outcomes))
    for name, value in _evaluated(e):
        truth = exact[name] if name in exact else e.mean(_spread(e, name))
        yield name, abs(float(value) - float(truth)) / (scale if name in ("variance", "variance_by_moments") else 1.0)


def _drawn(e: Experiment, draws: int, rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    """How far each formula is from the mean of many draws, in five standard errors of that mean."""
    shown = rng.choice(len(e.outcomes), size=draws, p=e.p)
    for name, value in _evaluated(e):
        what, known = _observed(e, name), e.B if name == "conditional_probability" else lambda o: True
        among = shown[e.values(known)[shown] == 1]
        mean, square = (_moment(e, known, what, power) for power in (1, 2))
        error = math.sqrt(float(square - mean**2) / len(among))
        yield name, abs(float(value) - e.values(what)[among].mean()) / (STANDARD_ERRORS * error)


def _observed(e: Experiment, name: str) -> Callable[[Any], Any]:
    """What is noted at each draw, whose mean the formula gives."""
    if name == "expectation":
        return e.X
    if name in ("variance", "variance_by_moments", "covariance"):
        return _spread(e, name)
    return (lambda o: int(e.A(o) and e.B(o))) if name == "independence" else (lambda o: int(e.A(o)))


def _moment(e: Experiment, known: Callable[[Any], bool], what: Callable[[Any], Any], power: int) -> Fraction:
    """The mean of what is noted, or of its square, among the outcomes of an event."""
    return e.mean(lambda o: what(o) ** power * known(o)) / e.chance(known)


# ------------------------------------------------- cases of which one holds: urns


def _urns_evaluated(before: Any, balls: Any) -> Iterator[tuple[str, Any]]:
    red = np.array([sum(urn) / len(urn) for urn in balls])
    given = {"P_B_if_A": red, "P_A": np.array([float(p) for p in before])}
    yield "total_probability", _value("total_probability", **given)
    yield "bayes", _value("bayes", **given)


def _urns_exact(before: Any, balls: Any) -> dict[str, list[float]]:
    """Ball by ball: each is as likely as its urn, shared by the balls in it."""
    red = [sum((p / len(urn) for ball in urn if ball == 1), Fraction(0)) for p, urn in zip(before, balls, strict=True)]
    return {"total_probability": [float(sum(red))], "bayes": [float(share / sum(red)) for share in red]}


def _urns_counted(before: Any, balls: Any) -> Iterator[tuple[str, float]]:
    exact = _urns_exact(before, balls)
    for name, value in _urns_evaluated(before, balls):
        yield name, float(abs(np.atleast_1d(value) - exact[name]).max())


def _urns_drawn(before: Any, balls: Any, draws: int, rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    """Take an urn, and a ball from it, many times; look at all, and then at the urns of the red ones."""
    urns = rng.choice(len(before), size=draws, p=[float(p) for p in before])
    sizes = np.array([len(urn) for urn in balls])
    drawn = np.array([urn[place] for urn, place in
                      zip([balls[u] for u in urns], rng.integers(0, sizes[urns]), strict=True)])  # fmt: skip
    of_red = np.array([(urns[drawn == 1] == k).mean() for k in range(len(balls))])
    seen = {"total_probability": (np.array([drawn.mean()]), draws), "bayes": (of_red, int(drawn.sum()))}
    exact = _urns_exact(before, balls)
    for name, value in _urns_evaluated(before, balls):
        (frequency, count), chance = seen[name], np.array(exact[name])
        error = np.sqrt(chance * (1 - chance) / count)
        yield name, float((abs(frequency - value) / (STANDARD_ERRORS * error)).max())
