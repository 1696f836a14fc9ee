"""A matrix of numbers on a terminal: in a box, with marks that a person who sees no colours can read.

`[ 0.50]` stands in the window, `0.50*` is the largest, `~0.50` has just changed. A matrix that is too large shows the
part around its marks, and dots where it goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

WINDOW, LARGEST, CHANGED = "window", "largest", "changed"
Place = tuple[int, int]
_GAP = 3  # columns between two pictures that stand side by side


@dataclass(frozen=True)
class Box:
    """The characters that a box is drawn with."""

    across: str
    down: str
    corners: str  # top left, top right, bottom left, bottom right
    dots: str
    rule: str


UNICODE = Box("─", "│", "┌┐└┘", "…", "━")
ASCII = Box("-", "|", "++++", "..", "=")


def grid(
    title: str, matrix: np.ndarray, show: Callable[[float], str], marks: Mapping[Place, Iterable[str]] = {},
    rows: int = 8, columns: int = 60, box: Box = UNICODE,
) -> list[str]:  # fmt: skip
    """Lines that show a matrix (or the part of it around its marks) in at most so many rows and columns of text.

    `show` puts a number in words; `marks` says of places (row, column) which of WINDOW, LARGEST and CHANGED they are.
    """
    found = {place: set(kinds) for place, kinds in marks.items()}
    H, W = matrix.shape
    top, bottom = part_around(H, [r for r, _ in found], rows)
    texts, left, right = _fitting(matrix[top:bottom], [c for _, c in found], show, columns - 4)
    lines = []
    width = max((len(text) for row in texts for text in row), default=1)
    width += any(CHANGED in kinds and WINDOW in kinds for kinds in found.values())  # room for ~ between [ and a minus
    starred = any(LARGEST in kinds for kinds in found.values())
    for r, row in enumerate(texts, start=top):
        cells = [_marked(text.rjust(width), found.get((r, left + k), set()), starred) for k, text in enumerate(row)]
        lines.append((box.dots if left else "") + "".join(cells) + (box.dots if right < W else ""))
    return [_titled(title, top, bottom, left, right, matrix.shape), *_boxed(lines, top > 0, bottom < H, box)]


def side_by_side(pictures: Sequence[list[str]], columns: int) -> list[str]:
    """Pictures beside each other as long as they fit, and below where they do not."""
    lines: list[str] = []
    row: list[list[str]] = []
    for picture in pictures:
        if row and sum(_width(one) + _GAP for one in row) + _width(picture) > columns:
            lines += [*_row(row), ""]
            row = []
        row.append(picture)
    return [*lines, *_row(row)] if row else lines


def part_around(length: int, wanted: Sequence[int], most: int) -> tuple[int, int]:
    """Where to begin and end so that at most so many places are shown, those that are wanted among them."""
    if length <= most:
        return 0, length
    low, high = (min(wanted), max(wanted) + 1) if wanted else (0, 0)
    start = max(0, min(low - (most - (high - low)) // 2, low, length - most))
    return start, start + most


def _fitting(
    matrix: np.ndarray, wanted: Sequence[int], show: Callable[[float], str], columns: int
) -> tuple[list[list[str]], int, int]:
    """As many columns of the matrix as fit into so many columns of text, in words; and which those are."""
    W = matrix.shape[1]
    for most in range(min(W, max(columns // 3, 1)), 0, -1):  # a number takes three columns at least
        left, right = part_around(W, wanted, most)
        texts = [[show(value) for value in row[left:right]] for row in matrix]
        width = max((len(text) for row in texts for text in row), default=1) + 2
        if width * (right - left) + (4 if most < W else 0) <= columns or most == 1:
            return texts, left, right
    return [[] for _ in matrix], 0, 0


def _marked(text: str, kinds: set[str], starred: bool) -> str:
    """One number with its marks: brackets around its column, ~ right before it, a star behind."""
    cell = " " + text
    if CHANGED in kinds:
        at = len(cell) - len(cell.lstrip()) - 1
        cell = cell[:at] + "~" + cell[at + 1 :]
    if WINDOW in kinds:
        cell = "[" + cell[1:] if cell[0] == " " else "[" + cell
    star = ("*" if LARGEST in kinds else " ") if starred else ""
    return cell + ("]" if WINDOW in kinds else " ") + star


def _titled(title: str, top: int, bottom: int, left: int, right: int, shape: tuple[int, ...]) -> str:
    """The title, and which rows and columns are shown if not all are."""
    shown = []
    if (top, bottom) != (0, shape[0]):
        shown.append(f"rows {top}–{bottom - 1} of {shape[0]}")
    if (left, right) != (0, shape[1]):
        shown.append(f"columns {left}–{right - 1} of {shape[1]}")
    return f"{title}  {', '.join(shown)}" if shown else title


def _boxed(lines: list[str], above: bool, below: bool, box: Box) -> list[str]:
    width = max((len(line) for line in lines), default=0)
    dots = f" {box.dots} ".center(width, box.across)
    top, bottom = (dots if more else box.across * width for more in (above, below))
    inside = [f"{box.down}{line:{width}}{box.down}" for line in lines]
    corners = box.corners
    return [corners[0] + top + corners[1], *inside, corners[2] + bottom + corners[3]]


def _width(picture: list[str]) -> int:
    return max(map(len, picture), default=0)


def _row(pictures: list[list[str]]) -> list[str]:
    height = max(map(len, pictures), default=0)
    padded = [[line.ljust(_width(p)) for line in [*p, *[""] * (height - len(p))]] for p in pictures]
    return [(" " * _GAP).join(parts).rstrip() for parts in zip(*padded, strict=True)]
