"""What the drawn cases of several ops choose alike: shapes, options spelled in every way, and how a case is written."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from tinycnn import ops
from tinycnn.verify.cases.case import Draw, OpCase
from tinycnn.verify.cases.chooser import Chooser

AXES = {"rows": 0, "sequences": 1, "images": 2}  # how many axes lie behind (N, C)


def case_of(
    name: str, shapes: dict[str, Any], arguments: Callable[[Draw], tuple[Any, ...]], kinds: dict[str, str],
    options: dict[str, Any] | None = None, **about: Any,
) -> OpCase:  # fmt: skip
    """A drawn case, called what it is: the shape of every array, then the options that are not their default.

    `kinds` says of each parameter that varies which kind of value it has here.
    """
    given = options or {}
    defaults = inspect.signature(getattr(ops, f"{name}_forward")).parameters
    text = [f"{array} {_said(shape)}" for array, shape in shapes.items()]
    text += [f"{key} {value}" for key, value in given.items() if value != defaults[key].default]
    N = next(iter(shapes.values()))[0]
    return OpCase(name, ", ".join(text), lambda d: (arguments(d), given), N=N, parameters=kinds, **about)


def _said(shape: Any) -> str:
    return "×".join(map(str, shape)) if isinstance(shape, tuple) else str(shape)


def behind_channels(chooser: Chooser, most: int = 3) -> tuple[str, tuple[int, ...]]:
    """What an example is made of, rows, sequences or images, and the sizes of the axes behind its channels."""
    kind = chooser.choice(list(AXES))
    return kind, tuple(chooser.integer(1, most) for _ in range(AXES[kind]))


def batch_shape(chooser: Chooser, least: int = 1, most: int = 3) -> tuple[str, tuple[int, ...]]:
    """(N, C), (N, C, W) or (N, C, H, W), with `least` to `most` channels."""
    kind, behind = behind_channels(chooser)
    return kind, (chooser.integer(1, 2), chooser.integer(least, most), *behind)


def spelled(chooser: Chooser, low: int, high: int, axes: int = 2) -> tuple[Any, tuple[int, ...]]:
    """One number for all axes, or one for each: as it is spelled, and axis by axis."""
    if axes == 1 or chooser.choice(("one number", "one an axis")) == "one number":
        number = chooser.integer(low, high)
        return number, (number,) * axes
    each = tuple(chooser.integer(low, high) for _ in range(axes))
    return each, each


def spelling(value: Any, least: int = 1) -> str:
    """What kind of value such a number is: the least there is, more, or another for each axis."""
    if isinstance(value, tuple) and len(set(value)) > 1:
        return "per axis"
    return str(least) if value in (least, (least, least)) else f"> {least}"


def border(chooser: Chooser, most: tuple[int, ...], words: bool = True) -> tuple[str, Any, list[int] | None]:
    """A border of at most `most` on each side of each axis: its kind, as it is spelled, and how much it adds to each.

    What "same" adds depends on the image: None.
    """
    axes = len(most)
    sides = "four sides" if axes == 2 else "two sides"
    how = chooser.choice(["int"] + ["pair"] * (axes == 2) + [sides] + ["same", "valid"] * words)
    if how in ("same", "valid"):
        return how, how, None if how == "same" else [0] * axes
    if how == "int":
        p = chooser.integer(0, min(most))
        return "> 0" if p else "0", p, [2 * p] * axes
    if how == "pair":
        pair = tuple(chooser.integer(0, m) for m in most)
        return how, pair, [2 * p for p in pair]
    each = [(chooser.integer(0, m), chooser.integer(0, m)) for m in most]
    return how, tuple(p for both in each for p in both), [before + after for before, after in each]
