"""Occlusion: cover a patch of the picture, ask again, and see how much less probable the answer has become.

No gradient is needed, and what is found is what happens: a class that stays as probable without a patch did not need
it. It takes a prediction for every place of the patch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn.errors import ShapeError
from tinycnn.evaluation.watching import chosen, copy_of, pictures
from tinycnn.formula import formula
from tinycnn.layers.base import Array
from tinycnn.model.sequential import Sequential
from tinycnn.ops.checks import pair

AT_ONCE = 256  # covered pictures that are held at the same time


def occlusion(
    model: Sequential, x: Any, target: Any = None, kernel_size: Any = 3, stride: Any = 1, value: Any = 0.0
) -> Array:
    """How much less probable the class becomes when a pixel is covered: the mean over the patches that cover it.

    A patch of `kernel_size` is filled with `value` (a number, or one a channel) at every `stride`, the last ones
    reaching over the edge, so that every pixel is covered. `target` is a class, one for each example, or None for the
    most probable. x (N, C, H, W) -> (N, H, W): above 0 where the picture speaks for the class, below where against it.
    The model is left as it was. Raises ShapeError for pictures that do not fit, ValueError for a target that is no
    class, a patch larger than the picture, a stride larger than the patch, and a network that gives no probabilities.

    >>> from tinycnn import Dense, Flatten, Sequential
    >>> model = Sequential([Flatten(), Dense(2)], input_shape=(1, 2, 3))
    >>> model.layers[1].params["w"][:] = [[0, 0, 4, 0, 0, 0], [0, 0, 0, 0, 0, 0]]
    >>> occlusion(model, np.ones((1, 1, 2, 3), np.float32), kernel_size=1).round(2)[0]
    array([[0.  , 0.  , 0.48],
           [0.  , 0.  , 0.  ]], dtype=float32)
    """
    model = copy_of(model)
    x = pictures(model, x)
    C, H, W = x.shape[1:]
    places = _places((H, W), pair(kernel_size, "kernel_size"), pair(stride, "stride"))
    fill = np.asarray(value, x.dtype)
    if fill.shape not in ((), (C,)) or not np.isfinite(fill).all():
        raise ShapeError(f"value must be a finite number, or one for each of the {C} channels, got {value!r}")
    p = model.predict_proba(x)
    labels = chosen(target, p)
    hidden = np.empty((len(x), *map(len, places)), p.dtype)
    for n, label in enumerate(labels):
        hidden[n] = _covered(model, x[n], label, places, fill)
    p = p[np.arange(len(x)), labels]
    return _heat(p, hidden, kernel_size, stride, (H, W))[1].astype(x.dtype)


def _places(size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int]) -> list[list[slice]]:
    """The rows, and the columns, that each patch covers."""
    found = []
    for axis, length, k, s in zip(("high", "wide"), size, kernel, stride, strict=True):
        if not 1 <= k <= length:
            raise ValueError(f"kernel_size: a patch {k} {axis} does not fit a picture {length} {axis}")
        if not 1 <= s <= k:
            raise ValueError(f"stride: with steps of {s} between patches {k} {axis}, pixels would stay uncovered")
        found.append([slice(start, start + k) for start in range(0, length - k + s, s)])
    return found


def _covered(model: Sequential, x: Array, label: int, places: list[list[slice]], fill: Array) -> Array:
    """(OH, OW): the class's probability with the patch at each place."""
    rows, columns = places
    windows = [(r, q) for r in rows for q in columns]
    found = np.empty(len(windows), x.dtype)
    for start in range(0, len(windows), AT_ONCE):
        some = windows[start : start + AT_ONCE]
        covered = np.repeat(x[None], len(some), axis=0)
        for picture, (r, q) in zip(covered, some, strict=True):
            picture[:, r, q] = fill.reshape(-1, 1, 1)
        found[start : start + AT_ONCE] = model.predict_proba(covered)[:, label]
    return found.reshape(len(rows), len(columns))


def _geometry(names: dict[str, Any]) -> dict[str, Any]:
    (KH, KW), (sv, sh) = pair(names["kernel_size"], "kernel_size"), pair(names["stride"], "stride")
    H, W = names["size"]
    return {"KH": KH, "KW": KW, "sv": sv, "sh": sh, "H": H, "W": W}


@formula(
    "drop[n,u,v] = p[n] - hidden[n,u,v]",
    "heat[n,r,q] = sum[u,v](drop[n,u,v] * over) / sum[u,v](over)",
    where="p is the class's probability; hidden is the same with the patch at place u, v; "
    "over = (r >= u*sv) * (r < u*sv + KH) * (q >= v*sh) * (q < v*sh + KW) is 1 where that patch covers pixel r, q",
    shapes="p (N), hidden (N,OH,OW) -> drop (N,OH,OW), heat (N,H,W)",
    source="Zeiler & Fergus 2014, arXiv:1311.2901, section 4.2",
    name="occlusion",
    given=_geometry,
)
def _heat(p: Array, hidden: Array, kernel_size: Any, stride: Any, size: tuple[int, int]) -> tuple[Array, Array]:
    places = _places(size, pair(kernel_size, "kernel_size"), pair(stride, "stride"))
    drop = p[:, None, None] - hidden
    total, count = np.zeros((len(p), *size)), np.zeros(size)
    for u, rows in enumerate(places[0]):
        for v, columns in enumerate(places[1]):
            total[:, rows, columns] += drop[:, u, v, None, None]
            count[rows, columns] += 1
    return drop, total / count
