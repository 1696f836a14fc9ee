"""What a wrong gradient looks like: the mistakes that everyone makes once, told by what would put them right."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from tinycnn.verify.places import Place

Array = np.ndarray
CLOSE = 1e-5  # relative: how well a mended gradient has to fit before it is spoken of


def hint(gradient: Array, places: Sequence[Place], worst: Place) -> str:
    """What would turn the gradient into the true one, known at some places; empty if nothing simple would.

    >>> gradient, true = np.array([[1.0, 2.0], [3.0, 4.0]]), [1.0, 3.0, 2.0, 4.0]
    >>> places = [Place("", None, i, gradient.flat[i], t, 1.0, 0.0) for i, t in enumerate(true)]
    >>> hint(gradient, places, places[1])
    'it looks transposed'
    """
    given = gradient.ravel()
    if not np.isfinite(given).all():
        return f"{int((~np.isfinite(given)).sum())} of its {given.size} entries are not finite"
    if not given.any():
        return "it is zero everywhere, as if forgotten"
    said, wanted = np.array([p.said for p in places]), np.array([p.witness for p in places])
    ratio = worst.said / worst.witness if worst.witness else 0.0
    if np.count_nonzero(wanted) < 2 or not np.isfinite(wanted).all():
        return _plain_factor(ratio)
    slope = float(said @ wanted / (wanted @ wanted))
    if slope and np.abs(said - slope * wanted).max() < CLOSE * abs(slope) * np.abs(wanted).max():
        return f"{factor(slope)}, everywhere" if abs(slope - 1) > CLOSE else ""
    for words, mended in _mended(gradient):
        if all(abs(p.of(mended) - p.witness) < CLOSE * np.abs(wanted).max() for p in places):
            return words
    return _plain_factor(ratio)


def factor(ratio: float) -> str:
    """A ratio in words.

    >>> factor(2.0), factor(1 / 3), factor(-1.0)
    ('2 times too large', '3 times too small', 'its sign is flipped')
    """
    if not math.isfinite(ratio) or not ratio:
        return ""
    size = abs(ratio)
    words = f"{size:.6g} times too large" if size > 1 else f"{1 / size:.6g} times too small"
    if abs(size - 1) < CLOSE:
        return "its sign is flipped" if ratio < 0 else ""
    return f"its sign is flipped and it is {words}" if ratio < 0 else words


def _plain_factor(ratio: float) -> str:
    """The ratio in words if it is a whole number, or one over one: others say nothing."""
    if not math.isfinite(ratio) or not ratio:
        return ""
    size = max(abs(ratio), 1 / abs(ratio))
    return factor(ratio) if abs(size - round(size)) < CLOSE * size and size < 1e4 else ""


def _mended(gradient: Array) -> Iterator[tuple[str, Array]]:
    """The gradient put right in every way that is worth trying."""
    shape, rank = gradient.shape, gradient.ndim
    for a in range(rank):
        for b in range(a + 1, rank):
            axes = "" if rank == 2 else f" in axes {a} and {b}"
            if shape[a] == shape[b]:
                yield f"it looks transposed{axes}", gradient.swapaxes(a, b)
            turned = list(shape)
            turned[a], turned[b] = turned[b], turned[a]
            yield f"it looks reshaped where it should be transposed{axes}", gradient.reshape(turned).swapaxes(a, b)
    for axis in range(rank):
        yield f"it looks flipped along axis {axis}", np.flip(gradient, axis)
    if rank >= 2:
        yield "it looks flipped along its last two axes, as a kernel turned by 180° is", gradient[..., ::-1, ::-1]
    for axis in range(rank):
        for by in (-1, 1):
            yield f"it looks shifted by one along axis {axis}", np.roll(gradient, by, axis)
