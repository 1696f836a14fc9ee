"""Where windows lie: what one saw, which of them hold a pixel, and all of them as the rows of im2col."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinycnn.tracing.cells import RecordedCells

Array = np.ndarray
Names = dict[str, Any]


@dataclass(frozen=True)
class Windows:
    """OH×OW windows of KH×KW taps over an image with `top` rows and `left` columns of border before it."""

    H: int
    W: int
    KH: int
    KW: int
    sv: int
    sh: int
    dv: int
    dh: int
    top: int
    left: int
    OH: int
    OW: int

    @classmethod
    def of(cls, names: Names, transposed: bool) -> Windows:
        """From what a formula over windows reads; raises KeyError where it has none."""
        x = np.shape(names["x"])
        if "sv" not in names:  # a sequence is an image of height 1
            return cls(1, x[-1], 1, names["KW"], 1, names["s"], 1, names["d"], 0, names["left"], 1, names["OW"])
        keys = ("KH", "KW", "sv", "sh", "dv", "dh", "top", "left")
        KH, KW, sv, sh, dv, dh, top, left = (int(names[key]) for key in keys)
        image, places = x[-2:], (int(names["OH"]), int(names["OW"]))
        if transposed:  # its windows are those of the convolution that it is the transpose of, over its output
            image, places = places, image
        (H, W), (OH, OW) = image, places
        return cls(H, W, KH, KW, sv, sh, dv, dh, top, left, OH, OW)

    def holding(self, r: int, q: int) -> list[dict[str, list[int]]]:
        """Every window that pixel (r, q) lies in, with the tap that falls on it."""
        found = []
        for i, j in np.ndindex(self.KH, self.KW):
            u, beyond_v = divmod(r + self.top - i * self.dv, self.sv)
            v, beyond_h = divmod(q + self.left - j * self.dh, self.sh)
            if not (beyond_v or beyond_h) and 0 <= u < self.OH and 0 <= v < self.OW:
                found.append({"place": [u, v], "tap": [i, j]})
        return sorted(found, key=lambda one: one["place"])

    def visits(self) -> Array:
        """In how many windows each pixel lies, (H, W)."""
        rows = _visits(self.H, self.OH, self.KH, self.sv, self.dv, self.top)
        columns = _visits(self.W, self.OW, self.KW, self.sh, self.dh, self.left)
        return rows[:, None] * columns

    def rows(self, xp: Array) -> Array:
        """Every window as a row: (N·OH·OW, C·KH·KW)."""
        xp = xp[:, :, None] if xp.ndim == 3 else xp
        reach = (self.dv * (self.KH - 1) + 1, self.dh * (self.KW - 1) + 1)
        view = np.lib.stride_tricks.sliding_window_view(xp, reach, axis=(-2, -1))
        view = view[:, :, :: self.sv, :: self.sh, :: self.dv, :: self.dh][:, :, : self.OH, : self.OW]
        N, C = xp.shape[:2]
        return view.transpose(0, 2, 3, 1, 4, 5).reshape(N * self.OH * self.OW, C * self.KH * self.KW)


def _visits(H: int, OH: int, KH: int, s: int, d: int, before: int) -> Array:
    at = (np.arange(OH)[:, None] * s + np.arange(KH) * d - before).ravel()
    return np.bincount(at[(at >= 0) & (at < H)], minlength=H)


def seen(cells: RecordedCells, index: tuple[int, ...], result: str) -> list[dict[str, Any]]:
    """Every cell of the padded image that one number was made from, once each, in the order of the formula."""
    names = cells.names
    cell = cells.cell(index, result)
    image, before = np.shape(names["x"]), (names.get("top", 0), names["left"])
    found: dict[tuple[int, ...], dict[str, Any]] = {}
    for symbol, place, value in cell.reads:
        if symbol != "xp" or place in found:
            continue
        lead = len(place) - 2 if len(image) == 4 else len(place) - 1
        at = [*place[:lead], *(p - b for p, b in zip(place[lead:], before[-(len(place) - lead) :], strict=True))]
        inside = all(0 <= a < size for a, size in zip(at[lead:], image[lead:], strict=True))
        found[place] = {"place": at if inside else None, "padded_place": list(place), "padding": not inside,
                        "value": float(value)}  # fmt: skip
    return list(found.values())
