"""Is this the gradient? Ask the function itself.

For a function that is smooth where it stands, f(x + ih·v) = f(x) + ih·(∇f·v) − …: the imaginary part over h *is* the
derivative in the direction v. Nothing is subtracted, so nothing cancels, and h can be 1e-30: what is left is the
rounding of the function itself. Where a function cannot take complex numbers, difference quotients ask with real ones.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinycnn.verify.differences import METHODS, Array
from tinycnn.verify.doubts import KINKS_TOLD, doubts_about, without_kinks
from tinycnn.verify.gradient_report import SPOKEN, GradientCheck, GradientReport
from tinycnn.verify.hints import hint
from tinycnn.verify.kinks import Kink
from tinycnn.verify.places import Asking, Function, directions_of, entries_of, finite

ALL_BUT_ZERO = 1e-9  # of the largest gradient: less is the rounding of a true zero
Gradient = Callable[..., Any] | Array | Sequence[Array | None]


def check_gradient(
    f: Callable[..., Any],
    *arrays: Array,
    gradient: Gradient | None = None,
    method: str = "complex",
    difference: str = "complex",
    names: Iterable[str] | None = None,
    entries: int = 64,
    directions: int = 3,
    seed: int = 0,
    tolerance: float | None = None,
    terms: Sequence[Array | None] | None = None,
) -> GradientReport:
    """Check a gradient against the function that it is the gradient of.

    Either `f(*arrays)` gives one number, and `gradient` is the function that gives its gradient (for several arrays a
    tuple, one each), or the gradient itself; or f returns both: `f(*arrays) -> (value, gradients)`.

    Each array, in float64, is asked in random signed directions (the error is taken relative to Σ|∇f·v|, the rounding
    that the sum allows) and at single entries, all of them or `entries` drawn at random (relative to the largest; or,
    given `terms`, the sums of the absolute products behind each entry, relative to the entry's own, where a true zero
    must be zero). An array whose gradient is all but 0, such as a bias before a batch norm, has nothing but rounding to
    be relative to; it is held to the largest gradient of all. A gradient of None is passed over.

    `method`: "complex" (passes at 1e-12), "richardson" (at 1e-9, or what its extrapolations differ by, if that is no
    more than 1e-6), "central" (at 1e-7), or "projection": directions only, for large networks, each asked by the
    method that `difference` names.

    Raises TypeError for arrays that are not float64, and where the complex step meets a function that refuses complex
    numbers; ValueError for a gradient of the wrong shape, a value that is not one number, an unknown method.

    >>> x = np.array([1.0, -2.0, 3.0])
    >>> check_gradient(lambda x: (x * x).sum(), x, gradient=lambda x: 2 * x).passed
    True
    >>> print(check_gradient(lambda x: (x * x).sum(), x, gradient=lambda x: x))
    array  method        checks  worst error  allowed  where
    x      complex step       6      5.0e-01    1e-12  [2]    WRONG
    x is WRONG at [2]: the gradient says 3, by complex step it is 6, a ratio of 0.5: 2 times too small, everywhere.
    6 of the 6 places checked are off.
    """
    arrays, names = _checked(arrays, _names(f, len(arrays)) if names is None else names)
    asking = _asking(method, difference, entries, directions, tolerance)
    rng = np.random.default_rng(seed)
    value, gradients = value_and_gradients(f, arrays, gradient)
    _check_shapes(gradients, arrays, names)
    largest = max(_largest(g) for g in gradients if g is not None)
    checks, kinks = [], []
    for place, (array, found, name) in enumerate(zip(arrays, gradients, names, strict=True)):
        if found is None or array.size == 0:
            continue

        def alone(x: Array, place: int = place) -> Any:
            return _number(value(*arrays[:place], x, *arrays[place + 1 :]))

        floor = largest if _largest(found) < ALL_BUT_ZERO * largest else 0.0
        own_terms = None if terms is None or terms[place] is None else np.asarray(terms[place])
        check, near = _check_array(alone, array, found, name, asking, floor, own_terms, rng)
        checks.append(check)
        kinks += near
    return GradientReport(tuple(checks), tuple(kinks))


def _largest(gradient: Array) -> float:
    return float(np.abs(finite(gradient)).max(initial=0.0))


def _check_array(
    f: Function, x: Array, gradient: Array, name: str, asking: Asking, floor: float, terms: Array | None,
    rng: np.random.Generator,
) -> tuple[GradientCheck, list[Kink]]:  # fmt: skip
    """Check the gradient of one array; `floor` is what errors are at least relative to (0 but for a true zero)."""
    places = [*directions_of(f, x, gradient, asking, floor, terms, rng)]
    places += entries_of(f, x, gradient, asking, floor, terms, rng)
    once = replace(asking, directions=1)
    looked = places[0] if asking.directions else next(directions_of(f, x, gradient, once, floor, terms, rng))
    scale = max(floor, float(finite(np.abs(gradient * looked.along(x))).sum()))
    on, doubt = doubts_about(f, x, looked, places, scale, asking.method == "complex", name)
    failed = sorted((p for p in places if p.failed), key=lambda p: (p.v is None, p.nearness), reverse=True)
    real, near = without_kinks(f, x, failed, asking, name)
    sure = [place for place in real if place.sure(asking.limit)]
    if failed and not real and not doubt:
        doubt = "it was asked at a kink or a jump, where a derivative is a convention at most (see below)"
    named = [p for p in sure or failed if p.v is None]  # an entry, which names a place, rather than a direction
    worst = max(named or sure or failed or places[::-1], key=lambda p: p.nearness)
    loosest = max(places, key=lambda p: p.unsure)
    if not doubt and not sure and loosest.unsure > asking.limit and (failed or asking.method == "richardson"):
        worst = loosest
        doubt = (
            f"at {worst.where} the {SPOKEN[asking.method]} quotient is sure to {worst.unsure:.1e} at best, and nothing "
            f"is proved over {asking.limit:.0e}. Use the complex step, compute in float64, or move the point"
        )
    check = GradientCheck(
        name, worst.error, worst.where, len(places), worst.allowed, asking.method, worst.said, worst.witness,
        len(failed), hint(gradient, places, worst) if failed else "", doubt,
    )  # fmt: skip
    kinks = {kink.place: kink for kink in (*on, *near)}.values()
    named_kinks = [kink for kink in kinks if kink.at is not None]
    return check, (named_kinks or list(kinks))[:KINKS_TOLD]


def _names(f: Callable[..., Any], count: int) -> Iterable[str]:
    """What f calls its arguments; numbers where it does not say."""
    try:
        parameters = list(inspect.signature(f).parameters.values())[:count]
    except (TypeError, ValueError):  # a function of C may have no signature to look at
        parameters = []
    plain = len(parameters) == count and all(p.kind == p.POSITIONAL_OR_KEYWORD for p in parameters)
    return [p.name for p in parameters] if plain else [f"array {i}" for i in range(count)]


def _checked(arrays: Sequence[Array], names: Iterable[str]) -> tuple[tuple[Array, ...], tuple[str, ...]]:
    """The arrays, which must be of float64, and their names."""
    names, arrays = tuple(names), tuple(np.asarray(array) for array in arrays)
    for array, name in zip(arrays, names, strict=True):
        if array.dtype != np.float64:
            raise TypeError(f"{name} must be float64 for a gradient check, got {array.dtype}: use .astype(np.float64)")
    return arrays, names


def _asking(method: str, difference: str, entries: int, directions: int, tolerance: float | None) -> Asking:
    known = (*METHODS, "projection")
    if method not in known:
        raise ValueError(f"method must be one of {', '.join(known)}, got {method!r}")
    if difference not in METHODS:
        raise ValueError(f"difference must be one of {', '.join(METHODS)}, got {difference!r}")
    if entries + directions < 1 or (method == "projection" and directions < 1):
        raise ValueError(f"nothing would be checked with entries={entries} and directions={directions}")
    if method == "projection":
        return Asking(difference, 0, directions, tolerance)
    return Asking(method, entries, directions, tolerance)


def value_and_gradients(
    f: Callable[..., Any], arrays: tuple[Array, ...], gradient: Gradient | None
) -> tuple[Callable[..., Any], list[Array | None]]:
    """The function that gives the value alone, and the gradients to check, as `check_gradient` takes both.

    Raises ValueError if f gives no gradient and none is given, or no single number.
    """
    if gradient is None:
        pair = f(*arrays)
        if not (isinstance(pair, tuple | list) and len(pair) == 2):
            raise ValueError(
                f"f must return (value, gradients), or `gradient=` say what its gradient is; it returned a "
                f"{type(pair).__name__}"
            )
        value, found = (lambda *arrays: f(*arrays)[0]), pair[1]
    else:
        value, found = f, gradient(*arrays) if callable(gradient) else gradient
    _number(value(*arrays) if gradient is not None else pair[0])
    several = list(found) if isinstance(found, tuple | list) else list(found) if _a_row(found, arrays) else [found]
    return value, [None if g is None else np.array(g) for g in several]


def _a_row(found: Any, arrays: tuple[Array, ...]) -> bool:
    """Whether this is an iterable of gradients, such as a generator, and not one gradient itself."""
    return not isinstance(found, np.ndarray | np.generic | float | int | type(None)) and len(arrays) > 0


def _check_shapes(gradients: list[Array | None], arrays: Sequence[Array], names: Sequence[str]) -> None:
    if len(gradients) != len(arrays):
        raise ValueError(f"f returned {len(gradients)} gradients for {len(arrays)} arrays")
    if all(gradient is None for gradient in gradients):
        raise ValueError("f returned no gradient at all (None for every array): there is nothing to check")
    for gradient, array, name in zip(gradients, arrays, names, strict=True):
        if gradient is not None and array.size and gradient.shape != array.shape:
            raise ValueError(f"the gradient of {name} has shape {gradient.shape}, but {name} has {array.shape}")


def _number(value: Any) -> Any:
    """One number, real or complex."""
    if np.size(value) != 1:
        raise ValueError(
            f"f must give one number, got shape {np.shape(value)}: multiply by a random dy and sum, (y * dy).sum()"
        )
    return value if np.ndim(value) == 0 else np.asarray(value).reshape(())[()]
