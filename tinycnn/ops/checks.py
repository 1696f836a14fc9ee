"""What an op accepts, checked at its edge so that no formula below has to."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinycnn.errors import ShapeError

Array = np.ndarray
_TYPES = ("float32", "float64", "complex64", "complex128")


def floating(array: Any, name: str, axes: str = "") -> Array:
    """The array, in this machine's byte order, once it is known to hold float32, float64 or their complex kin.

    `axes` states the axes it must have, such as "N,C,H,W". Raises TypeError on any other type (integers and float16
    are not converted behind the caller's back), ShapeError on another number of axes.
    """
    plain = type(array) is np.ndarray and array.dtype.char in "fdFD" and array.dtype.isnative
    if plain and (not axes or array.ndim == axes.count(",") + 1):
        return array  # nearly always
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} must be a NumPy array, got {type(array).__name__}; convert it with np.asarray({name})")
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array, and an op has no use for a mask: fill it with {name}.filled(0)")
    array = np.asarray(array)  # np.matrix and its kin would multiply as matrices
    if array.dtype.newbyteorder("=").name not in _TYPES:
        raise TypeError(
            f"{name} must hold float32 or float64 (complex in verification), got {array.dtype}; "
            f"convert it with {name}.astype(np.float32)"
        )
    if axes and array.ndim != axes.count(",") + 1:
        raise ShapeError(f"{name} must be ({axes}), got {array.ndim} axes: shape {array.shape}")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def upstream(dy: Any, shape: tuple[int, ...]) -> Array:
    """The upstream gradient, once it is known to have the shape of the output it belongs to."""
    dy = floating(dy, "dy")
    if dy.shape != shape:
        raise ShapeError(f"dy must have the shape of the output, {shape}, got {dy.shape}")
    return dy


def upstream_number(dy: Any) -> Any:
    """The upstream gradient of a loss, once it is known to be one number: 1, if the loss itself is minimised."""
    if np.ndim(dy):
        raise ShapeError(f"dy of a loss must be one number, got shape {np.shape(dy)}")
    return dy


def check_probabilities(p: Array) -> None:
    """Raise ValueError, naming the first, if a number is no probability."""
    wrong = np.argwhere((p.real < 0) | (p.real > 1 + 1e-3))  # rounding may carry a 1 a little over
    if wrong.size:
        at = tuple(map(int, wrong[0]))
        raise ValueError(f"probabilities lie between 0 and 1, but p{list(at)} is {p[at]:.6g}; are these logits?")


def pair(value: Any, name: str, least: int = 1) -> tuple[int, int]:
    """An int or (vertical, horizontal) as a pair.

    >>> pair(3, "stride"), pair((2, 1), "stride")
    ((3, 3), (2, 1))
    """
    if type(value) is int and value >= least:
        return value, value  # nearly always
    if type(value) is tuple and len(value) == 2 and type(value[0]) is type(value[1]) is int and min(value) >= least:
        return value
    both = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(both) != 2 or not all(_is_int(v) and v >= least for v in both):
        raise ValueError(f"{name} must be an int ≥ {least} or a pair (vertical, horizontal) of them, got {value!r}")
    return int(both[0]), int(both[1])


def whole(value: Any, name: str, least: int = 1) -> int:
    """An int of at least `least`.

    >>> whole(3, "groups")
    3
    """
    if not (_is_int(value) and value >= least):
        raise ValueError(f"{name} must be an int ≥ {least}, got {value!r}")
    return int(value)


def number(value: Any, name: str, above: float = -math.inf) -> float:
    """A finite real number greater than `above`, as Python's float, which leaves an array's dtype alone.

    >>> number(np.float64(0.5), "alpha")
    0.5
    """
    real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not (real and math.isfinite(value) and value > above):
        over = f" > {above:g}" if math.isfinite(above) else ""
        raise ValueError(f"{name} must be a finite number{over}, got {value!r}")
    return float(value)


def four_sides(padding: Any) -> tuple[int, int, int, int]:
    """Padding as (top, bottom, left, right), from an int, (vertical, horizontal) or the four themselves."""
    if type(padding) is int and padding >= 0:
        return padding, padding, padding, padding  # nearly always
    if type(padding) is tuple and list(map(type, padding)) == [int] * 4 and min(padding) >= 0:
        return padding
    sides = tuple(padding) if isinstance(padding, tuple | list) else (padding, padding)
    if len(sides) == 2:
        sides = (sides[0], sides[0], sides[1], sides[1])
    if len(sides) != 4 or not all(_is_int(p) and p >= 0 for p in sides):
        raise ValueError(
            "padding must be an int ≥ 0, (vertical, horizontal), (top, bottom, left, right), 'valid' or 'same', "
            f"got {padding!r}"
        )
    top, bottom, left, right = (int(p) for p in sides)
    return top, bottom, left, right


def _is_int(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
