"""A network in a table: every size formula with its numbers in."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from tinycnn.layers.base import Facts, Layer
from tinycnn.model.fuse import in_words

if TYPE_CHECKING:
    from tinycnn.model.chain import Chain

HEAD = ("", "layer", "size", "output", "sees", "params", "MACs")


def summary(model: Chain) -> str:
    """The table: layer, size formula, output shape, receptive field, weights, multiply-accumulates for one example."""
    if model.input_shape is None:
        return f"{model!r}, not built: the shape of its input is not known yet"
    rows: list[tuple[str, ...]] = [("input", "", "", _shape(model.input_shape), "1×1", "", "")]
    seen = Facts()
    for layer in model.layers:
        assert layer.input_shape is not None
        assert layer.output_shape is not None
        facts = layer.facts(layer.input_shape)
        seen = seen.then(facts)
        sees = "all" if seen.sees_all else f"{seen.kernel[0]}×{seen.kernel[1]}"
        weights = sum(w.size for _, inner in layer.walk() for w in inner.params.values())
        rows.append((layer.name or "", type(layer).__name__, facts.size, _shape(layer.output_shape), sees,
                     f"{weights:,}" if weights else "0", f"{facts.macs:,}"))  # fmt: skip
    together = in_words(model.layers)
    fused = [f"one kernel each: {'; '.join(together)}"] if together else []
    return "\n".join([*_table(rows), _totals(model), *fused])


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _totals(model: Chain) -> str:
    weights = sum(w.size for w in model.named_params().values())
    macs = sum(_macs(layer) for layer in model.layers)
    size = sum(w.nbytes for w in model.named_params().values())
    return f"{weights:,} parameters ({size / 1024:,.0f} KiB), {macs:,} multiply-accumulates for one example"


def _macs(layer: Layer) -> int:
    assert layer.input_shape is not None
    return layer.facts(layer.input_shape).macs


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(_width, column)) for column in zip(HEAD, *rows, strict=True)]
    right = (5, 6)
    line = "─" * (sum(widths) + 2 * (len(widths) - 1))
    return [_row(HEAD, widths, right), line, *(_row(row, widths, right) for row in rows), line]


def _row(cells: tuple[str, ...], widths: list[int], right: tuple[int, ...]) -> str:
    padded = []
    for place, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        gap = " " * (width - _width(cell))
        padded.append(gap + cell if place in right else cell + gap)
    return "  ".join(padded).rstrip()


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(ch) in "WF" else 1 for ch in text)
