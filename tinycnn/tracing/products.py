"""A convolution as matrices: every window laid out as a row (im2col), and the one matrix product that is left to do.

Forward `y = cols·wᵀ + b`, and backward both of its transposes: `dw = dyᵀ·cols`, and `dcols = dy·w`, of which each row
is a window's share of the gradient and goes back to where the window stood (col2im). In groups, each has its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tinycnn.tracing.grid import WINDOW
from tinycnn.tracing.pictures import Picture, Place, pictures, recorded
from tinycnn.tracing.views import Windows

if TYPE_CHECKING:
    from tinycnn.tracing.recorded import Trace
    from tinycnn.tracing.steps import Step

Array = np.ndarray
Index = tuple[int, ...]
VIEWS = ("window", "im2col", "matmul")
_RULES = {
    "y": "y = cols·wᵀ + b: a row of cols is a window, a column of wᵀ a filter, a row of y a place",
    "dw": "dw = dyᵀ·cols: a row of dyᵀ is a filter, a column of cols what one weight met in every window",
    "dcols": "dcols = dy·w: a row of dy is a place, a column of w a tap; a row of dcols goes back to where its window "
    "stood",
}


def views_of(step: Step) -> tuple[str, ...]:
    """The ways a step can be looked at: a convolution also as im2col and as one matrix product."""
    is_one = re.fullmatch(r"conv[12]d_(forward|backward)", step.op) and step.result in ("y", "dw", "dx")
    return VIEWS if is_one else VIEWS[:1]


def checked_view(step: Step, view: str) -> str:
    """The view, if the step has it; raises ValueError if it has not."""
    if view not in views_of(step):
        raise ValueError(f"step {step.number}, {step.title}, has the views {', '.join(views_of(step))}, not {view!r}")
    return view


@dataclass(frozen=True)
class Product:
    """`left @ right + plus = product`, with what the three matrices are called.

    `product` is what the step recorded, laid out as a matrix; of dx it is dcols, in float64.
    """

    left: Array
    right: Array
    product: Array
    names: tuple[str, str, str]
    plus: Array | None = None


class Matrices:
    """The matrices of one convolution step, for one group of its channels and filters."""

    def __init__(self, trace: Trace, step: Step, group: int = 0):
        checked_view(step, "matmul")
        names, result = trace.names(step), recorded(trace, step, step.result)
        if result is None:
            raise ValueError(f"step {step.number} makes {step.result}, of which only a part was kept")
        w = names["w"]
        groups = names["xp"].shape[1] // w.shape[1]
        if not 0 <= group < groups:
            raise IndexError(f"step {step.number} has groups 0 to {groups - 1}, got {group}")
        self.step, self.names, self.group, self.groups, self.result = step, names, group, groups, result
        self.windows = Windows.of(names, False)
        self.F, self.CG, self.KH, self.KW = len(w) // groups, w.shape[1], self.windows.KH, self.windows.KW

    @property
    def cols(self) -> Array:
        """Every window of the group as a row, (N·OH·OW, C·KH·KW)."""
        K = self.CG * self.KH * self.KW
        return self.windows.rows(self.names["xp"])[:, self.group * K :][:, :K]

    def product(self) -> Product:
        """The product that the step is."""
        w = self._taps(self.names["w"])
        if self.step.result == "y":
            b = self.names["b"]
            plus = b[self._filters] if np.ndim(b) else np.asarray(b)
            return Product(self.cols, w.T, self._places(self.result), ("cols", "wᵀ", "y"), plus)
        dy = self._places(self.names["dy"])
        if self.step.result == "dw":
            return Product(dy.T, self.cols, self._taps(self.result), ("dyᵀ", "cols", "dw"))
        return Product(dy, w, dy.astype(np.float64) @ w.astype(np.float64), ("dy", "w", "dcols"))

    def marks(self, index: Index) -> tuple[list[Place], list[Place], list[Place]]:
        """The places in left, right and product that belong to one cell of the step's result."""
        if self.step.result == "y":
            n, f, *at = index
            cells = [(self._row(n, at), f % self.F)]
        elif self.step.result == "dw":
            f, c, *tap = index
            cells = [(f % self.F, self._column(c, tap))]
        else:
            n, c, *pixel = index
            found = self.windows.holding(*(0, *pixel)[-2:])
            cells = [(self._row(n, one["place"]), self._column(c % self.CG, one["tap"], False)) for one in found]
        product = self.product()
        inner = range(product.left.shape[1])
        left = [(r, k) for r in dict.fromkeys(row for row, _ in cells) for k in inner]
        return left, [(k, c) for c in dict.fromkeys(column for _, column in cells) for k in inner], cells

    # ------------------------------------------------------------------ laid out

    @property
    def _filters(self) -> slice:
        return slice(self.group * self.F, (self.group + 1) * self.F)

    def _places(self, image: Array) -> Array:
        """An image of the filters as a matrix: a row for each place, a column for each filter of the group."""
        own = image[:, self._filters]
        return np.moveaxis(own, 1, -1).reshape(-1, self.F)

    def _taps(self, w: Array) -> Array:
        """Weights as a matrix: a row for each filter, a column for each tap, in the order in which windows are read."""
        own = w[self._filters]
        if self.names.get("flip"):
            own = np.flip(own, axis=tuple(range(2, own.ndim)))
        return own.reshape(self.F, -1)

    def _row(self, n: int, at: Any) -> int:
        u, v = (0, *at)[-2:]
        return (n * self.windows.OH + u) * self.windows.OW + v

    def _column(self, c: int, tap: Any, of_weight: bool = True) -> int:
        """Which column a tap is; a weight of a flipped kernel meets the tap on the other side."""
        i, j = (0, *tap)[-2:]
        if of_weight and self.names.get("flip"):
            i, j = self.KH - 1 - i, self.KW - 1 - j
        return (c * self.KH + i) * self.KW + j


def group_of(trace: Trace, step: Step, index: Index | None) -> int:
    """Which group a cell of the step's result belongs to; without a cell, the first."""
    if index is None:
        return 0
    w, xp = trace.names(step)["w"], trace.names(step)["xp"]
    if step.result == "dx":
        return index[1] // w.shape[1]
    return index[1 if step.result == "y" else 0] // (len(w) * w.shape[1] // xp.shape[1])


def product_pictures(trace: Trace, step: Step, cell: dict[str, Any] | None, view: str) -> tuple[list[Picture], str]:
    """The matrices of a view of a step (or of one cell of it), and what there is to say of them."""
    index = None if cell is None else tuple(cell["index"])
    matrices = Matrices(trace, step, group_of(trace, step, index))
    product = matrices.product()
    marks = ([], [], []) if index is None else matrices.marks(index)
    three = [
        _picture(name, matrix, places, name != product.names[2])
        for name, matrix, places in zip(
            product.names, (product.left, product.right, product.product), marks, strict=True
        )
    ]
    said = _said(matrices, product, marks, view)
    if view == "matmul":
        return three, said
    beside = [one for one in pictures(trace, step, cell)[0] if one.symbol == "xp" or not one.is_read]
    columns = next(one for one in three if one.symbol in ("cols", "dcols"))
    return [*(one for one in beside if one.is_read), columns, *(one for one in beside if not one.is_read)], said


def _picture(name: str, matrix: Array, places: list[Place], is_read: bool) -> Picture:
    role = "weight" if name[0] == "w" else "activation" if name in ("cols", "y") else "gradient"
    return Picture(name, (), matrix, {place: [WINDOW] for place in places}, role, is_read)


def _said(matrices: Matrices, product: Product, marks: tuple[list[Place], ...], view: str) -> str:
    """What the matrices are, and where the cell is in them."""
    made = product.names[2]
    group = f" (group {matrices.group} of {matrices.groups})" if matrices.groups > 1 else ""
    if view == "matmul":
        return _RULES[made] + group
    columns = product.product if made == "dcols" else product.left if made == "y" else product.right
    name = f"{'dcols' if made == 'dcols' else 'cols'}, {len(columns)}×{columns.shape[1]}{group}"
    if made == "dcols":
        fall = f"{len(marks[2])} of its cells fall on this pixel, and add"
        count = fall if marks[2] else "where rows overlap, they add"
        return f"{name}: a row goes back to where its window stood; {count}"
    row, column = marks[2][0] if marks[2] else (0, 0)
    here = f"row {row} is this one" if made == "y" else f"column {column} is what this weight met in all of them"
    return f"{name}: every window laid out as a row{'; ' + here if marks[2] else ''}"
