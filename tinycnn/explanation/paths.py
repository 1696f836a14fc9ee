"""The chain rule as a sum over paths: from one number, through every layer that it reaches, to the loss.

Backward computes the gradient of each layer's output once, however many paths lead through it. Here the same gradients
are opened again: each is a sum of derivative · upstream gradient over what the number went into, and following those
sums to the loss gives every path, with the product of the derivatives along it. The paths' products add up to the
gradient: that is the multivariate chain rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tinycnn.formula import Formula, FormulaError
from tinycnn.formula.cell import Cell
from tinycnn.formula.expand import Cells
from tinycnn.layers.base import Array

Index = tuple[int, ...]


@dataclass(frozen=True)
class Link:
    """One way on from a number: the output of layer `via` that it went into, the derivative, and the gradient there."""

    via: str
    index: Index
    derivative: Any
    gradient: Gradient

    @property
    def carries(self) -> Any:
        """What comes back along this link: derivative · upstream gradient."""
        return self.derivative * self.gradient.value[self.index]


class Gradient:
    """The gradient of the loss by every number of an array, as backward computed it (`value`).

    `links` opens one of its numbers; one without links comes from the loss itself, or from a layer without a formula.
    """

    def __init__(self, value: Array, owner: str):
        self.value, self.owner = value, owner

    def links(self, index: Index) -> Sequence[Link]:
        """The ways on, in the order of the formula."""
        return ()


class Opened(Gradient):
    """A gradient that a declared formula makes, of the layer's upstream gradient `dy` (the loss: of 1)."""

    def __init__(self, value: Array, owner: str, formula: Formula, result: str, values: dict[str, Any],
                 upstream: Gradient | None = None):  # fmt: skip
        super().__init__(value, owner)
        self.formula, self.result, self.upstream = formula, result, upstream
        self._values = values | {"dy": 1.0 if upstream is None else upstream.value}
        self._links: dict[Index, list[Link]] = {}

    @cached_property
    def _cells(self) -> Cells:
        return self.formula.cells(**self._values)

    def cell(self, index: Index) -> Cell:
        """One number of it, taken apart by the formula."""
        return self._cells.cell(index, self.result)

    def links(self, index: Index) -> Sequence[Link]:
        """The outputs of the layer that this number went into."""
        if self.upstream is None:
            return ()
        if index not in self._links:
            found = derivatives(self.cell(index), "dy")
            self._links[index] = [Link(self.owner, at, slope, self.upstream) for at, slope in found.items()]
        return self._links[index]


class HandedOn(Gradient):
    """What a layer leaves as it is: dx = dy."""

    def __init__(self, owner: str, upstream: Gradient):
        super().__init__(upstream.value, owner)
        self.upstream = upstream

    def links(self, index: Index) -> Sequence[Link]:
        """The same number behind the layer."""
        return [Link(self.owner, index, 1.0, self.upstream)]


class Branches(Gradient):
    """The gradient of what went two ways: past some layers, and through them. What comes back adds up."""

    def __init__(self, value: Array, owner: str, past: Gradient, through: Gradient):
        super().__init__(value, owner)
        self.past, self.through = past, through

    def links(self, index: Index) -> Sequence[Link]:
        """Both ways' links."""
        return [*self.past.links(index), *self.through.links(index)]


@dataclass(frozen=True)
class Step:
    """One step of a path: to this number of a layer's output, and the derivative of it by the number before."""

    layer: str
    index: Index
    derivative: float


@dataclass(frozen=True)
class Path:
    """A way from a number to the loss; `at_loss` is the loss' derivative by the last number on it."""

    steps: tuple[Step, ...]
    at_loss: float
    product: float


@dataclass(frozen=True)
class Paths(Sequence[Path]):
    """Paths to the loss, those that carry most first; what all others carry together is `left_out`."""

    found: tuple[Path, ...]
    left_out: float
    complete: bool  # there are no others

    def __getitem__(self, k: Any) -> Any:
        return self.found[k]

    def __len__(self) -> int:
        return len(self.found)

    def __iter__(self) -> Iterator[Path]:
        return iter(self.found)

    @property
    def total(self) -> float:
        """What all paths together carry: the gradient."""
        return sum(path.product for path in self.found) + self.left_out


def follow(links: Sequence[Link], limit: int | None) -> Paths:
    """Every path that begins with these links, or the `limit` that carry most.

    The paths grow step by step together. With a limit, after each step only those go on whose share of the gradient
    is largest; the share of the others is known without following them, as backward has already summed it. A path
    whose derivative is 0 somewhere carries nothing, and is none.
    """
    growing: list[tuple[tuple[Step, ...], Any, Link]] = [((), 1.0, link) for link in links if link.derivative != 0]
    ended: list[Path] = []
    left_out, dropped = 0.0, 0
    while growing:
        growing, others = _heaviest(growing, limit, lambda one: abs(one[1] * one[2].carries))
        left_out, dropped = left_out + sum(float(f * link.carries) for _, f, link in others), dropped + len(others)
        further = []
        for steps, factor, link in growing:
            steps, factor = (*steps, Step(link.via, link.index, float(link.derivative))), factor * link.derivative
            following = link.gradient.links(link.index)
            if not following:
                at_loss = link.gradient.value[link.index]
                ended.append(Path(steps, float(at_loss), float(factor * at_loss)))
            further += [(steps, factor, after) for after in following if after.derivative != 0]
        growing = further
    found, rest = _heaviest(ended, limit, lambda path: abs(path.product))
    return Paths(tuple(found), left_out + sum(path.product for path in rest), not dropped and not rest)


def _heaviest(items: list[Any], limit: int | None, weight: Any) -> tuple[list[Any], list[Any]]:
    ordered = sorted(items, key=weight, reverse=True)
    return (ordered, []) if limit is None else (ordered[:limit], ordered[limit:])


def derivatives(cell: Cell, symbol: str) -> dict[Index, Any]:
    """The derivative of a cell by each number of `symbol` it was made from, where it is linear in all of these.

    Raises FormulaError where it is not.
    """
    found: dict[Index, Any] = {}
    uses: dict[int, bool] = {}

    def used(one: Cell) -> bool:
        if id(one) not in uses:
            inside = one.parts if one.made is None else (one.made,)
            uses[id(one)] = (one.kind == "read" and one.symbol == symbol) or any(used(part) for part in inside)
        return uses[id(one)]

    def add(one: Cell, factor: Any) -> None:
        if not used(one):
            return
        if one.kind == "read" and one.made is None:
            found[one.index] = found.get(one.index, 0) + factor
        elif one.kind == "read":
            add(one.made, factor)  # type: ignore[arg-type]
        elif one.kind in ("sum", " + "):
            for part in one.parts:
                add(part, factor)
        elif one.kind == " − ":
            add(one.parts[0], factor)
            add(one.parts[1], -factor)
        elif one.kind == "−":
            add(one.parts[0], -factor)
        elif one.kind == "·" and not (used(one.parts[0]) and used(one.parts[1])):
            left, right = one.parts
            add(left, factor * right.value)
            add(right, factor * left.value)
        elif one.kind == " / " and not used(one.parts[1]):
            add(one.parts[0], factor / one.parts[1].value)
        else:
            raise FormulaError(f"{one.text(numbers=False)} is not linear in {symbol}")

    add(cell, 1.0)
    return found
