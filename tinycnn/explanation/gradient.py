"""Explain one number of a gradient: every term that it adds up, where each came from, and the paths to the loss."""

from __future__ import annotations

import ast
import itertools
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tinycnn.explanation.backward_run import BackwardRun
from tinycnn.explanation.layout import chain, equals, made_from, place, width, wrap, written
from tinycnn.explanation.paths import Branches, Gradient, HandedOn, Index, Link, Opened, Path, Paths, follow
from tinycnn.formula.cell import Cell
from tinycnn.formula.numbers import formula_number, in_brackets
from tinycnn.formula.printing import text_statement
from tinycnn.layers.base import Array, Layer
from tinycnn.model.sequential import Sequential

_SHOWN_TERMS, _SHOWN_SOURCES, _SHOWN_PATHS = 6, 3, 2  # so that all of it fits on a screen


@dataclass(frozen=True)
class GradientTerm:
    """One number of a layer's output that the explained number went into: its share of the gradient is `product`."""

    index: Index
    derivative: float  # of that output by the explained number
    upstream: float  # dy there: the gradient of that output
    product: float


@dataclass(frozen=True)
class GradientExplanation:
    """One number of a gradient, taken apart. `cell` has the formula's terms, `value` is what backward computed.

    `terms` says for each number of the layer's output how much came back from it, `paths()` follows that to the loss.
    """

    title: str
    formula: str
    cell: Cell | None  # None where two ways meet, or no formula is declared
    value: float
    terms: tuple[GradientTerm, ...]
    start: str  # what the paths begin at: w[0,0,1,1]
    links: Sequence[Link] = field(repr=False)
    note: str = ""
    depth: int = 1

    def paths(self, limit: int | None = 10) -> Paths:
        """The `limit` paths to the loss that carry most, or all of them (limit=None), with the sum of the others.

        Raises ValueError for a limit below 1.
        """
        if limit is not None and limit < 1:
            raise ValueError(f"limit must be at least 1, or None for all paths, got {limit!r}")
        return follow(self.links, limit)

    def __str__(self) -> str:
        columns = width()
        lines = [self.title, *(part for line in self.formula.splitlines() for part in wrap("  " + line, columns))]
        lines += self._sum(columns)
        summed = self.cell.value if self.cell is not None else sum(term.product for term in self.terms)
        lines.append(f"  = {formula_number(summed)}    backward's own value: {formula_number(self.value)}")
        lines += wrap("  " + self.note, columns) if self.note else []
        lines += _sources(self.links, self.depth, columns)
        return "\n".join(lines + self._paths(columns))

    def _sum(self, columns: int) -> list[str]:
        """The terms that weigh most, a line each: places, numbers, and what they make."""
        if self.cell is None:
            return wrap("  = " + _two_ways(self.links), columns)
        if len(self.cell.terms) == 1:
            sums = [equals(self.cell, numbers, columns) for numbers in (False, True)]
            return [*sums[0], *sums[1], *made_from(self.cell, columns)]
        terms = sorted((term for term in self.cell.terms if term.value != 0), key=lambda t: -abs(t.value))
        shown, rest = terms[:_SHOWN_TERMS], terms[_SHOWN_TERMS:]
        rows = [[text for text, _ in itertools.groupby(written(term))] for term in shown]
        lines = [("  + " if k else "  = ") + line for k, line in enumerate(_columns(rows))]
        if rest:
            lines.append(f"  + {len(rest)} more, smaller terms = {formula_number(sum(term.value for term in rest))}")
        if nothing := len(self.cell.terms) - len(terms):
            lines.append(f"  {'+' if lines else '='} {nothing} term{'s' * (nothing > 1)} of 0")
        return lines

    def _paths(self, columns: int) -> list[str]:
        paths = self.paths(_SHOWN_PATHS)
        if not paths:
            return ["  no path carries anything to the loss"]
        which = "every path to the loss" if paths.complete else "the paths to the loss that carry most"
        lines = [f"  {which}, and the derivatives along them:"]
        for path in paths:
            lines += [*wrap("    " + self._route(path), columns, 6), *wrap("      " + _product(path), columns, 8)]
        return lines if paths.complete else [*lines, f"    all the others together: {formula_number(paths.left_out)}"]

    def _route(self, path: Path) -> str:
        return " → ".join([self.start, *(place(step.layer, step.index) for step in path.steps), "loss"])

    def __repr__(self) -> str:
        return f"<explanation of {self.title}>"


def explain_grad(
    model: Sequential, x: Array, y: Any, layer: str, index: Index | int, weight: str | None = "w", depth: int = 1
) -> GradientExplanation:
    """Print how backward came to one number of a gradient: its terms, and the paths on which they came from the loss.

    `x` and `y` are a batch as `fit` takes it, or one example with its target; the network is run as in a training step
    (a dropout draws what it would draw next), on a copy. `index` is the place in the layer's `weight`; with
    `weight=None` it is the place in the layer's input whose gradient dx is explained, (n, …), or without n in the
    first example. For `depth` layers onwards the upstream gradients are explained in turn.

    A regulariser's pull is not in `layer.grads`, and not in this number. Raises RuntimeError if the model is not
    compiled, KeyError if there is no such layer or weight, IndexError for a place outside it, ValueError for a layer
    without a formula, and what `fit` raises for data that do not fit.

    >>> import numpy as np
    >>> from tinycnn import Dense, Sequential
    >>> model = Sequential([Dense(2, name="out")], input_shape=(2,))
    >>> model.layers[0].params["w"][:] = [[1, 2], [3, 1]]
    >>> model.compile(loss="mse")
    >>> found = explain_grad(model, np.array([[1.0, 2.0]]), np.array([[4.0, 5.0]]), layer="out", index=(0, 1))
    Dense 'out': gradient of w[0, 1], over 1 example
      dw[f,c] = Σ[n] dy[n,f]·x[n,c]
      = dy[0,0]·x[0,1]
      = 1·2
      = 2    backward's own value: 2
      dy of out is what the loss 'mse' hands back: dx = dy·2·(x − t) / M
        dx[0,0] = dy·2·(x[0,0] − t[0,0]) / M = 1·2·(5 − 4) / 2 = 1
      every path to the loss, and the derivatives along them:
        w[0,1] → out[0,0] → loss
          2 · 1 = 2
    """
    found = _explain_grad(model, x, y, layer, index, weight, depth)
    print(found)
    return found


def _explain_grad(
    model: Sequential, x: Array, y: Any, layer: str, index: Any, weight: str | None, depth: int
) -> GradientExplanation:
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 0:
        raise ValueError(f"depth is how many layers onwards, an int of at least 0, got {depth!r}")
    model.layer(layer)  # a layer that there is not is said before anything is run
    run = BackwardRun(model, x, y)
    chosen = run.model.layer(layer)
    if weight is None:
        gradient, what = run.of_input[layer], "x"
    else:
        gradient, what = run.weight(layer, _with_weight(chosen, weight), weight), weight
    if type(gradient) is Gradient:
        raise ValueError(f"{chosen.label}: no formula is declared that makes the gradient of its input")
    at = _place(index, gradient.value.shape, chosen, weight)
    links = gradient.links(at)
    terms = [(link.index, float(link.derivative), float(link.gradient.value[link.index])) for link in links]
    batch = f"{run.examples} example{'s' * (run.examples > 1)}"
    pulls = run.model.penalty()[1].get(f"{layer}.{weight}")
    pull = 0.0 if pulls is None else pulls[at]
    return GradientExplanation(
        title=f"{chosen.label}: gradient of {'its input ' * (weight is None)}{what}{list(at)}, over {batch}",
        formula=_formula(gradient),
        cell=gradient.cell(at) if isinstance(gradient, Opened) else None,
        value=float(gradient.value[at]),
        terms=tuple(GradientTerm(place, d, dy, d * dy) for place, d, dy in terms),
        start=place(what, at),
        links=links,
        note=f"the regulariser adds {formula_number(pull)} to it before the step" if pull else "",
        depth=depth,
    )  # fmt: skip


def _with_weight(layer: Layer, weight: str) -> Layer:
    if weight not in layer.params:
        has = f"has {', '.join(layer.params)}" if layer.params else "has none"
        raise KeyError(f"{layer.label} has no weight {weight!r}; it {has} (weight=None explains its input's gradient)")
    return layer


def _place(index: Any, shape: tuple[int, ...], layer: Layer, weight: str | None) -> Index:
    at = tuple(map(operator.index, index if isinstance(index, tuple | list) else (index,)))
    at = (0, *at) if weight is None and len(at) == len(shape) - 1 else at
    if len(at) != len(shape) or any(not 0 <= i < size for i, size in zip(at, shape, strict=True)):
        what = f"{weight} of {layer.label}" if weight else f"the input of {layer.label}, with the batch,"
        raise IndexError(f"{what} has shape {shape}; index {at} is no place in it")
    return at


def _formula(gradient: Gradient) -> str:
    """The lines of the formula that make a gradient; words where two ways meet."""
    if isinstance(gradient, Branches):
        return "dx = dy + f.backward(dy): what comes back past the layers, and through them"
    if isinstance(gradient, HandedOn):
        return "dx = dy"
    if not isinstance(gradient, Opened):
        return "(no formula is declared for it)"
    wanted, lines = {gradient.result}, []
    for statement in reversed(gradient.formula.statements):
        if statement.target in wanted:
            wanted |= {node.id for node in ast.walk(statement.expr) if isinstance(node, ast.Name)}
            lines.append(text_statement(statement))
    return "\n".join(reversed(lines))


def _two_ways(links: Sequence[Link]) -> str:
    """The sum where no formula's cell can be shown: one term a link."""
    shares = sorted(links, key=lambda link: -abs(link.carries))
    texts = [f"{_bracketed(link.carries)} (from {place(link.via, link.index)})" for link in shares[:_SHOWN_TERMS]]
    if rest := shares[_SHOWN_TERMS:]:
        texts.append(f"{_bracketed(sum(link.carries for link in rest))} (from {len(rest)} more)")
    return " + ".join(texts)


def _sources(links: Sequence[Link], depth: int, columns: int) -> list[str]:
    """Where the upstream gradients came from, those that weigh most, as many layers onwards as `depth` says."""
    lines: list[str] = []
    level = sorted((link for link in links if link.carries != 0), key=lambda link: -abs(link.carries))[:_SHOWN_SOURCES]
    for _ in range(depth):
        for gradient in dict.fromkeys(link.gradient for link in level):
            lines += _handed_back([link for link in level if link.gradient is gradient], columns)
        further = {}  # of each, what came back from where most came back from
        for link in level:
            after = [one for one in link.gradient.links(link.index) if one.carries != 0]
            if after:
                heaviest = max(after, key=lambda one: abs(one.carries))
                further[heaviest.via, heaviest.index] = heaviest
        level = list(further.values())
    return lines


def _handed_back(links: list[Link], columns: int) -> list[str]:
    """Some numbers of one upstream gradient, each by the formula of the layer that handed it back."""
    gradient = links[0].gradient
    said, rule = f"  dy of {links[0].via} is what {gradient.owner} hands back:", _formula(gradient).splitlines()
    lines = [said, *(part for one in rule for part in wrap(f"    {one}", columns, indent=6))]
    if len(rule) == 1 and len(said) + 1 + len(rule[0]) <= columns:
        lines = [f"{said} {rule[0]}"]
    shown: list[str] = []
    for link in links:
        if isinstance(gradient, Opened):
            steps = [place(gradient.result, link.index), *_in_short(gradient.cell(link.index))]
        else:
            ways = [_two_ways(gradient.links(link.index))] if isinstance(gradient, Branches) else []
            ways += [place("dy", link.index)] if isinstance(gradient, HandedOn) else []
            steps = [place("dx", link.index), *ways, formula_number(gradient.value[link.index])]
        shown += chain(steps, columns)
        if len(shown) > 3:
            break  # one long sum says how all are made; more would fill the screen
    return lines + shown


def _in_short(cell: Cell) -> list[str]:
    """A cell as its places, numbers and value; of many terms the three that weigh most, and the others' sum."""
    if len(cell.terms) <= 4:
        return written(cell)
    terms = sorted(cell.terms, key=lambda term: -abs(term.value))
    shown, rest = terms[:3], terms[3:]
    places = [*(term.text(numbers=False, level=1) for term in shown), f"{len(rest)} more"]
    numbers = [*(term.text(level=1) for term in shown), _bracketed(sum(term.value for term in rest))]
    return [" + ".join(places), " + ".join(numbers), formula_number(cell.value)]


def _columns(rows: list[list[str]]) -> list[str]:
    """Rows `a = b = c` with their signs below each other."""
    count = max(map(len, rows), default=0)
    widths = [max((len(row[k]) for row in rows if k < len(row)), default=0) for k in range(count)]
    return [" = ".join(text.ljust(size) for text, size in zip(row, widths, strict=False)).rstrip() for row in rows]


def _product(path: Path) -> str:
    factors = [_bracketed(value) for value in (*(step.derivative for step in path.steps), path.at_loss)]
    return f"{' · '.join(factors)} = {formula_number(path.product)}"


def _bracketed(value: Any) -> str:
    """A number as it stands inside a sum or a product."""
    return in_brackets(formula_number(value))
