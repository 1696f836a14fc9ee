"""Witnesses of what stands beside the pairs of ops: im2col, sizes, indices, statistics, grids, masks and penalties."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from tinycnn import ops
from tinycnn.formula import formulas
from tinycnn.ops.conv_transpose import transposed_size
from tinycnn.ops.resize import linear_neighbours
from tinycnn.ops.window import output_size
from tinycnn.optim.regularise import l1_penalty, l2_penalty
from tinycnn.verify.differences import directional
from tinycnn.verify.part_cases import GRIDS, PENALTY_WEIGHTS, STATISTICS, WINDOWS, window_image
from tinycnn.verify.recorded import recorded
from tinycnn.verify.rows import EXACT, Row, distance, row_of, worst

TORCH = "PyTorch 2.13, recorded"
PARTS = partial(recorded, "torch_parts")


def part_rows(thorough: bool = False, seed: int = 0) -> Iterator[Row]:
    """The rows of everything here; none of it has a rung of its own."""
    for rows in (_im2col, _sizes, _indices, _statistics, _grids, _penalties):
        yield from rows()
    yield from _mask(thorough, seed)


def _im2col() -> Iterator[Row]:
    """Rows from windows, and back: both against their loops, against each other as transposes, and against PyTorch."""
    forward, backward, adjoint, there, back = [], [], [], [], []
    for name, options in WINDOWS.items():
        x = window_image(name)
        cols, _ = ops.im2col(x, **options)
        dcols = np.random.default_rng(5).normal(size=cols.shape)
        dx = ops.col2im(dcols, x.shape, **options)
        forward.append(distance(cols, formulas["im2col"].evaluate(x=x, **options)))
        literal = formulas["col2im"].evaluate(cols=dcols, x_shape=x.shape, **options)
        terms = ops.col2im(abs(dcols), x.shape, **options)
        backward.append(distance(dx, literal, terms))
        adjoint.append(abs((cols * dcols).sum() - (x * dx).sum()) / abs(cols * dcols).sum())
        there.append(distance(cols, PARTS()[f"im2col/{name}"]))
        back.append(distance(dx, PARTS()[f"col2im/{name}"], terms))
    for name, literal_errors, external in (("im2col", forward, there), ("col2im", backward, back)):
        yield row_of(name, "op", "literal", "the formula walked", literal_errors)
        yield row_of(name, "op", "numeric", "adjoint", adjoint)
        yield row_of(name, "op", "external", TORCH, external)


def _sizes() -> Iterator[Row]:
    """Both size formulas: walked, counted window by window, and as PyTorch's own results are sized."""
    grid = [(H, KH, s, pads, d) for H in (5, 8, 13) for KH in (1, 2, 3) for s in (1, 2, 3) for pads in (0, 1, 4)
            for d in (1, 2)]  # fmt: skip
    literal = formulas["output_size"].evaluate
    walked = [
        output_size(*g) - literal(**dict(zip(("H", "KH", "s", "pads", "dilation"), g, strict=True))) for g in grid
    ]
    counted = [output_size(*g) - _count_windows(*g) for g in grid]
    yield row_of("output_size", "size", "literal", "the formula walked", map(abs, walked))
    yield row_of("output_size", "size", "numeric", "windows counted one by one", map(abs, counted))
    yield row_of("output_size", "size", "external", TORCH, _size_errors("output_size", output_size))
    literal = formulas["transposed_size"].evaluate
    names = ("H", "KH", "s", "pads", "dilation", "output_padding")
    walked = [transposed_size(*g, 0) - literal(**dict(zip(names, (*g, 0), strict=True))) for g in grid]
    undone = [output_size(transposed_size(H, KH, s, pads, d, extra), KH, s, pads, d) - H
              for H, KH, s, pads, d in grid for extra in range(s)]  # fmt: skip
    yield row_of("transposed_size", "size", "literal", "the formula walked", map(abs, walked))
    yield row_of("transposed_size", "size", "numeric", "a convolution makes H of it again", map(abs, undone))
    yield row_of("transposed_size", "size", "external", TORCH, _size_errors("transposed_size", transposed_size))


def _count_windows(H: int, KH: int, s: int, pads: int, dilation: int) -> int:
    """Slide the window along, and count how often it fits."""
    fits = 0
    while fits * s + dilation * (KH - 1) < H + pads:
        fits += 1
    return fits


def _size_errors(name: str, size: Callable[..., int]) -> list[float]:
    errors = []
    for case, o in WINDOWS.items():
        shape = window_image(case).shape[2:]
        pads = (2 * o["padding"][0], 2 * o["padding"][1])
        ours = [size(*axis) for axis in zip(shape, o["kernel_size"], o["stride"], pads, o["dilation"], strict=True)]
        errors.append(distance(ours, PARTS()[f"{name}/{case}"]))
    return errors


def _indices() -> Iterator[Row]:
    ours = {name: ops.max_pool2d_indices(ops.max_pool2d_forward(window_image(name), **o)[1])
            for name, o in WINDOWS.items()}  # fmt: skip
    entry = formulas["max_pool2d_indices"]
    walked = [distance(ours[name], entry.evaluate(x=window_image(name), **o)) for name, o in WINDOWS.items()]
    yield row_of("max_pool2d_indices", "address", "literal", "the formula walked", walked)
    theirs = [distance(found, PARTS()[f"max_pool2d_indices/{name}"]) for name, found in ours.items()]
    yield row_of("max_pool2d_indices", "address", "external", TORCH, theirs)


def _statistics() -> Iterator[Row]:
    """What batch norm remembers: walked, recomputed exactly in fractions, and PyTorch's running statistics."""
    walked, exact, theirs, moved, halfway, kept = [], [], [], [], [], []
    for name, (x, mean, var, momentum) in STATISTICS.items():
        found = ops.batch_statistics(x)
        walked.append(worst(map(distance, found, formulas["batch_statistics"].evaluate(x=x))))
        rows = np.moveaxis(x, 1, 0).reshape(x.shape[1], -1).astype(np.longdouble)
        exact.append(worst(map(distance, found, (rows.mean(axis=1), rows.var(axis=1, ddof=1)))))
        theirs.append(
            worst(distance(a, PARTS()[f"batch/{name}/{k}"]) for k, a in zip(("mean", "var"), found, strict=True))
        )
        for key, running, batch in zip(("mean", "var"), (mean, var), found, strict=True):
            new = ops.running_update(running, batch, momentum)
            literal = formulas["running_update"].evaluate(running=running, batch=batch, momentum=momentum)
            moved.append(distance(new, literal))
            halfway.append(distance(new - running, momentum * (batch - running)))
            kept.append(distance(new, PARTS()[f"running/{name}/{key}"]))
    yield row_of("batch_statistics", "statistic", "literal", "the formula walked", walked)
    yield row_of("batch_statistics", "statistic", "numeric", "in longer numbers", exact)
    yield row_of("batch_statistics", "statistic", "external", TORCH, theirs)
    yield row_of("running_update", "statistic", "literal", "the formula walked", moved)
    yield row_of("running_update", "statistic", "numeric", "moves by its share of the way", halfway)
    yield row_of("running_update", "statistic", "external", TORCH, kept)


def _grids() -> Iterator[Row]:
    """Bilinear weights as a matrix: walked, exact on straight lines, and PyTorch's stretched unit vectors."""
    walked, straight, theirs = [], [], []
    for name, (H, scale, align) in GRIDS.items():
        row, weight = linear_neighbours(H, scale, align)
        literal = formulas["linear_neighbours"].evaluate(H=H, scale=scale, align_corners=align)
        walked.append(worst(map(distance, (row, weight), literal)))
        matrix = np.zeros((H * scale, H))
        np.add.at(matrix, (np.arange(H * scale)[:, None], row), weight)
        at = np.linspace(0, H - 1, H * scale) if align else (np.arange(H * scale) + 0.5) / scale - 0.5
        straight.append(distance(matrix @ (3.0 + 2.0 * np.arange(H)), 3.0 + 2.0 * np.clip(at, 0, H - 1)))
        theirs.append(distance(matrix, PARTS()[f"grid/{name}"]))
    yield row_of("linear_neighbours", "address", "literal", "the formula walked", walked)
    yield row_of("linear_neighbours", "address", "numeric", "straight lines stay straight", straight)
    yield row_of("linear_neighbours", "address", "external", TORCH, theirs)


def _mask(thorough: bool, seed: int) -> Iterator[Row]:
    """The same draws through the formula; and how many stay, in units of five standard errors: the tolerance is 1."""
    errors, walked = [], []
    for drop_prob in (0.0, 0.2, 0.5, 0.9):
        for per_channel in (False, True):
            shape = (200 if thorough else 50, 80, 3, 3)
            mask = ops.dropout_mask(shape, drop_prob, np.random.default_rng(seed), per_channel)
            draw = np.random.default_rng(seed).random((*shape[:2], 1, 1) if per_channel else shape)[:5]
            literal = formulas["dropout_mask"].evaluate(draw=draw, drop_prob=drop_prob)
            walked.append(distance(mask[:5], np.broadcast_to(literal, mask[:5].shape)))
            n = mask.size // (9 if per_channel else 1)
            spread = 5 * np.sqrt(drop_prob * (1 - drop_prob) / n)
            off = abs(mask.mean() - (1 - drop_prob))
            errors.append(off / spread if spread else off)
    yield row_of("dropout_mask", "random", "literal", "the formula walked", walked)
    yield row_of("dropout_mask", "random", "numeric", "share kept, in five standard errors", errors, tolerance=1.0)


def _value(penalty: Callable[..., tuple[float, np.ndarray]], w: np.ndarray) -> float:
    return penalty(w, 0.3)[0]


def _penalties() -> Iterator[Row]:
    w = PENALTY_WEIGHTS
    smooth = np.where(w == 0, 0.7, w)  # away from the kink of |w|; what holds there is the recorded case's business
    for name, penalty in (("l1", l1_penalty), ("l2", l2_penalty)):
        value, dw = penalty(w, 0.3)
        literal = formulas[f"{name}_penalty"].evaluate(w=w, strength=0.3)
        yield row_of(f"{name}_penalty", "regulariser", "literal", "the formula walked",
                     [distance(value, literal.R), distance(dw, literal.dw)])  # fmt: skip
        v = np.random.default_rng(7).normal(size=w.shape)
        slope = directional(partial(_value, penalty), smooth, v, "richardson")
        error = abs(slope.value - (penalty(smooth, 0.3)[1] * v).sum()) / abs(dw * v).sum()
        yield row_of(f"{name}_penalty", "regulariser", "numeric", "Richardson", [error], tolerance=1e-9)
        theirs = [distance(value, PARTS()[f"{name}/R"]), distance(dw, PARTS()[f"{name}/dw"])]
        yield row_of(f"{name}_penalty", "regulariser", "external", TORCH, theirs, tolerance=EXACT)
