"""Calibration: whether a network that says 80 % is right 8 times out of 10.

Examples are put into bins by the probability that was given, and in each bin what was promised (the mean probability)
stands beside what came true. `probabilities` are (N,), of class 1 with `y_true` (N,) of 0 and 1; or (N, K) rows that
add up to 1 with `y_true` (N,) class integers: then the promise is the highest probability of each row, and it came true
where that class is the right one. Every function raises ValueError for what is no probability, naming value and
position, and TypeError or ShapeError as all metrics do.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinycnn.formula import formula
from tinycnn.train.labels import binary_of, scores_of

Array = NDArray[np.float64]
ROUND_OFF = 1e-4  # how far a row's sum may be from 1: float32, and thousands of classes


class Calibration(NamedTuple):
    """What was promised and what came true, bin by bin; NaN for a bin that is empty."""

    edges: Array
    counts: NDArray[np.int64]
    confidence: Array
    frequency: Array


def _promised(names: dict[str, Any]) -> dict[str, Any]:
    """The promises, whether each came true, and the edges between the bins; NaN for what is no number."""
    p, right = _promises(names["y_true"], names["probabilities"])
    B = _check_bins(names["bins"])
    return {"p": p, "right": right, "edge": np.append(-np.inf, np.linspace(0, 1, B + 1)[1:]), "B": B, "nan": np.nan}


_BINS = (
    "count[u] = sum[n]((p[n] > edge[u]) * (p[n] <= edge[u+1]))",
    "promised[u] = sum[n](p[n] * (p[n] > edge[u]) * (p[n] <= edge[u+1]))",
    "came[u] = sum[n](right[n] * (p[n] > edge[u]) * (p[n] <= edge[u+1]))",
)
_WHERE = (
    "p is the probability given; right[n] counts 1 if it came true; bin u is what is above edge[u] and not above "
    "edge[u+1], and the first begins at −∞, so that 0 is in it"
)
_SHAPES = "p (N), right (N), count (B), promised (B), came (B)"


@formula(
    *_BINS,
    "confidence[u] = promised[u] / count[u] if count[u] > 0 else nan",
    "frequency[u] = came[u] / count[u] if count[u] > 0 else nan",
    where=_WHERE,
    shapes=_SHAPES + " -> count (B), confidence (B), frequency (B)",
    source="Murphy & Winkler 1977, Journal of the Royal Statistical Society C 26(1); DeGroot & Fienberg 1983",
    given=_promised,
)
def calibration_curve(y_true: ArrayLike, probabilities: ArrayLike, bins: int = 10) -> Calibration:
    """The reliability diagram's numbers: in each of `bins` equal bins of [0, 1], what was promised and what came true.

    y_true (N,), probabilities (N,) or (N, K) -> edges (B + 1,), counts, confidence and frequency (B,), a named result.
    A probability on the edge between two bins is in the lower one. Raises as the module says.

    >>> found = calibration_curve([0, 1, 1, 1], [0.2, 0.7, 0.8, 0.9], bins=2)
    >>> found.counts, found.confidence, found.frequency
    (array([1, 3]), array([0.2, 0.8]), array([0., 1.]))
    """
    p, right = _promises(y_true, probabilities)
    count, promised, came = _binned(p, right, _check_bins(bins))
    share = lambda total: np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)  # noqa: E731
    return Calibration(np.linspace(0, 1, len(count) + 1), count, share(promised), share(came))


@formula(
    *_BINS,
    "ece = sum[u](max(promised[u] - came[u], came[u] - promised[u])) / N",
    where=_WHERE,
    shapes=_SHAPES + " -> ece ()",
    source="Naeini, Cooper & Hauskrecht 2015, AAAI; Guo et al. 2017, arXiv:1706.04599",
    given=_promised,
)
def expected_calibration_error(y_true: ArrayLike, probabilities: ArrayLike, bins: int = 10) -> float:
    """How far promise and outcome are apart: the mean of their distance over the bins, each as often as it occurs.

    That is Σ count/N · |frequency − confidence|. y_true (N,), probabilities (N,) or (N, K) -> a number, 0 for perfect
    calibration; it depends on `bins`, so say which. Raises as the module says.

    >>> round(expected_calibration_error([0, 1, 1, 1], [0.2, 0.7, 0.8, 0.9], bins=2), 3)
    0.2
    """
    p, right = _promises(y_true, probabilities)
    _, promised, came = _binned(p, right, _check_bins(bins))
    return float(np.abs(promised - came).sum() / len(p))


def _columns(names: dict[str, Any]) -> dict[str, Any]:
    t, p = _rows(names["y_true"], names["probabilities"])
    return {"t": t, "p": p}


@formula(
    "brier = mean[n](sum[k]((p[n,k] - t[n,k])**2))",
    where="t[n,k] counts 1 if example n is of class k; where only the probability of class 1 is given, K = 1",
    shapes="p (N,K), t (N,K) -> brier ()",
    source="Brier 1950, Monthly Weather Review 78(1)",
    given=_columns,
)
def brier_score(y_true: ArrayLike, probabilities: ArrayLike) -> float:
    """The squared distance of the probabilities from what came true: it falls with sureness and with honesty.

    y_true (N,), probabilities (N,) of class 1 -> in [0, 1]; (N, K) -> in [0, 2], Brier's own form, which for two
    columns is twice the first. Raises as the module says.

    >>> round(brier_score([0, 1], [0.2, 0.7]), 3), round(brier_score([0, 1], [[0.8, 0.2], [0.3, 0.7]]), 3)
    (0.065, 0.13)
    """
    t, p = _rows(y_true, probabilities)
    return float(((p - t) ** 2).sum(axis=1).mean())


def probabilities_of(y_true: ArrayLike, probabilities: ArrayLike) -> tuple[NDArray[np.int64], Array]:
    """Labels (N,) and probabilities (N,) or (N, K) in float64, once they are what they should be.

    >>> probabilities_of([0], [[0.75, 0.5]])
    Traceback (most recent call last):
    ValueError: probabilities: row 0 adds up to 1.25, not to 1. Are these scores? predict_proba gives probabilities.
    """
    flat = np.ndim(probabilities) == 1
    true, p = binary_of(y_true, probabilities) if flat else scores_of(y_true, probabilities)
    p = np.asarray(p, np.float64)
    p = np.where((p > 1) & (p <= 1 + ROUND_OFF), 1.0, p)
    outside = ~((p >= 0) & (p <= 1))
    if outside.any():
        at = tuple(map(int, np.argwhere(outside)[0]))
        raise ValueError(f"probabilities: {p[at]:g} at position {at if len(at) > 1 else at[0]} is not in [0, 1].")
    if not flat and (wrong := np.abs(p.sum(axis=1) - 1) > ROUND_OFF).any():
        row = int(wrong.argmax())
        raise ValueError(
            f"probabilities: row {row} adds up to {p[row].sum():g}, not to 1. Are these scores? predict_proba gives "
            "probabilities."
        )
    return true, p


def _promises(y_true: ArrayLike, probabilities: ArrayLike) -> tuple[Array, NDArray[np.int64]]:
    """(N,) the probability given, and whether it came true."""
    true, p = probabilities_of(y_true, probabilities)
    if p.ndim == 1:
        return p, true
    return p.max(axis=1), (p.argmax(axis=1) == true).astype(np.int64)


def _rows(y_true: ArrayLike, probabilities: ArrayLike) -> tuple[Array, Array]:
    """(N, K) what came true, as ones among zeros, and the probabilities; one column for those of class 1 alone."""
    true, p = probabilities_of(y_true, probabilities)
    if p.ndim == 1:
        return true[:, None].astype(np.float64), p[:, None]
    return (true[:, None] == np.arange(p.shape[1])).astype(np.float64), p


def _binned(p: Array, right: NDArray, bins: int) -> tuple[NDArray[np.int64], Array, Array]:
    """(B,) each: how many examples a bin holds, the sum of their probabilities, and how many came true."""
    place = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], p, side="left")
    count = np.bincount(place, minlength=bins).astype(np.int64)
    return count, np.bincount(place, p, bins).astype(np.float64), np.bincount(place, right, bins).astype(np.float64)


def _check_bins(bins: Any) -> int:
    if isinstance(bins, bool) or not isinstance(bins, int | np.integer) or bins < 1:
        raise ValueError(f"bins must be an int ≥ 1, got {bins!r}")
    return int(bins)
