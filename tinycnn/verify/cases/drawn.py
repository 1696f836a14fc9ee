"""A configuration of any op, drawn: small, odd, valid by construction, with every option taking every kind of value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tinycnn.naming import lookup
from tinycnn.verify.cases import drawn_windows
from tinycnn.verify.cases.case import OpCase
from tinycnn.verify.cases.chooser import Chooser
from tinycnn.verify.cases.drawn_layers import LAYERS
from tinycnn.verify.cases.drawn_losses import LOSSES

WINDOWS = ("conv2d", "conv1d", "conv_transpose2d", "max_pool2d", "min_pool2d", "avg_pool2d")
DRAWN: dict[str, Callable[[Chooser], OpCase]] = {
    **{name: getattr(drawn_windows, name) for name in WINDOWS},
    **LAYERS,
    **LOSSES,
}


def draw_case(op: str, chooser: Chooser) -> OpCase:
    """A case of the op that the chooser draws, with a seed of its own.

    Raises ValueError for an op that no case can be drawn of.

    >>> import numpy as np
    >>> from tinycnn.verify.cases import NumpyChooser
    >>> case = draw_case("linear", NumpyChooser(np.random.default_rng(0)))
    >>> case.variant
    'x 2×3, w 3×3'
    >>> args, options = case.build()
    >>> case.forward(*args, **options)[0].shape
    (2, 3)
    """
    case = lookup(DRAWN, op, "op")(chooser)
    return replace(case, seed=chooser.seed())
