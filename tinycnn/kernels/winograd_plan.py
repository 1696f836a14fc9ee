"""Which convolutions are done by Winograd's products (`winograd`), and how they are cut into pieces of work."""

from __future__ import annotations

from typing import Any, NamedTuple

from tinycnn.kernels.compiling import record
from tinycnn.kernels.lines import apart
from tinycnn.kernels.tile import NARROW, WIDE
from tinycnn.kernels.winograd_rows import FORMS

NEAR = 96  # squares whose products the cache holds beside them
ENOUGH = 96  # squares in a piece of work: as many rows of them as come next to it, or as many small images
EACH = 4  # bytes of a number: it is for float32
FEWEST = 16  # channels and filters, with fewer of which the additions around take longer than what they save
SMALLEST = 64  # pixels of an image, with fewer of which the weights take longest


class Squares(NamedTuple):
    """Where everything lies in the working space of a piece, in the order of the space."""

    across: int  # squares in a row of them
    near: int  # rows of squares whose products lie in the cache at once
    pitch: int  # from one row of a laid-out channel to the next
    mixed: int  # where the mixed pixels begin
    line: int  # from one channel of them to the next
    apart: int  # and from one form to the next
    products: int  # where the products begin
    results: int  # where results begin; what follows them is as `Sizes` says
    weights: int  # where the weights begin that a core mixes for itself, and what it needs for that


record("Q", Squares)


class Roles(NamedTuple):
    """Whose filters they are: those of a convolution, or of its dx, in which channels and filters change places."""

    step: int  # from one lane of filters to the next among the weights
    line: int  # and from one channel to the next
    turned: int  # 1 if the filters are turned around


record("R", Roles)


class Gathering(NamedTuple):
    """Where everything lies in the working space of a piece that is gathered into dw; see `Squares`."""

    across: int
    pitch: int
    mixed: int
    line: int
    apart: int
    gradients: int  # where dy is laid out
    gradients_line: int  # from one filter of it to the next
    strip: int  # where dy of a strip of filters begins, window after window
    forms: int  # where their forms begin
    forms_apart: int


record("D", Gathering)


class GatherPlan(NamedTuple):
    """dw by squares: sizes of its pieces, and how much working space each core needs."""

    sizes: Any
    gathering: Gathering
    roles: Roles
    squares: int  # in a piece
    space: int


class SquarePlan(NamedTuple):
    """A convolution by squares: sizes of its pieces, and how much working space each core needs."""

    sizes: Any  # of these, what lies where images are laid out is said by `squares` in place of them
    squares: Squares
    roles: Roles
    space: int
    packs: int  # how many numbers of it each core's own weights take; 0 if they are mixed beforehand


def plan_squares(s: Any, flip: bool, N: int, few: bool) -> SquarePlan | None:
    """The convolution of these sizes by squares, or None if it is none for them: F filters of 3×3, one step apart."""
    roles = Roles(s.C * 9, 9, int(flip))
    return _planned(s, roles, N, few) if _is_for_squares(s) else None


def plan_squares_of_dx(s: Any, bottom: int, right: int, flip: bool, N: int, few: bool) -> SquarePlan | None:
    """The same for its dx, a convolution of dy with the filters turned around, which are its channels now."""
    if max(s.top, s.left, bottom, right) > 2:
        return None
    mirrored = s._replace(C=s.F, H=s.OH, W=s.OW, F=s.C, OH=s.H, OW=s.W, FP=s.CP, top=2 - s.top, left=2 - s.left)
    return _planned(mirrored, Roles(9, s.C * 9, int(not flip)), N, few) if _is_for_squares(mirrored) else None


def plan_gathering(s: Any, flip: bool, N: int) -> GatherPlan | None:
    """dw of the same convolution by squares, or None if it is none for them."""
    if not _is_for_squares(s):
        return None
    across, down, width = -(-s.OW // 2), -(-s.OH // 2), 2 * s.lanes
    G, rows, blocks = _pieces(across, down, N)
    pitch, squares = 2 * across + 2, G * rows * across
    line = apart(squares + s.lanes, EACH)
    apart_forms = apart(s.C * line, EACH)
    mixed = apart((2 * rows + 2) * pitch + 4 * s.lanes, EACH)
    gradients, pixels = mixed + FORMS * apart_forms, 4 * squares
    gradients_line = apart(pixels + s.lanes, EACH)
    strip = gradients + s.F * gradients_line
    forms = strip + apart((pixels + s.lanes) * width, EACH)
    forms_apart = apart(squares * width, EACH)
    sizes = s._replace(G=G, R=min(2 * rows, s.OH), blocks=blocks)
    where = Gathering(across, pitch, mixed, line, apart_forms, gradients, gradients_line, strip, forms, forms_apart)
    return GatherPlan(sizes, where, Roles(s.C * 9, 9, int(flip)), squares, forms + FORMS * forms_apart)


def _is_for_squares(s: Any) -> bool:
    """Whether there is something to win: enough channels and filters, and squares that do not reach far beyond."""
    squares = -(-s.OH // 2) * -(-s.OW // 2)
    fits = FORMS * squares * 1.35 < 9 * s.OH * s.OW
    return fits and min(s.C, s.F) >= FEWEST and s.OH * s.OW >= SMALLEST


def _planned(s: Any, roles: Roles, N: int, few: bool) -> SquarePlan:
    across, down = -(-s.OW // 2), -(-s.OH // 2)
    G, rows, blocks = _pieces(across, down, N)
    near = max(NEAR // across, 1) if G == 1 else rows
    near = min(near, rows)
    pitch, squares, most = 2 * across + 2, G * rows * across, G * near * across
    line = apart(squares + max(s.lanes, NARROW, WIDE), EACH)
    apart_forms, width = apart(s.C * line, EACH), 2 * s.lanes
    mixed = apart((2 * rows + 2) * pitch + 4 * s.lanes, EACH)
    products = mixed + FORMS * apart_forms
    results = products + (most + max(NARROW, WIDE)) * FORMS * width
    pixels = G * min(2 * near, s.OH) * s.OW
    behind = results + (pixels + s.lanes) * width
    line_of_results = apart(pixels + s.lanes, EACH)
    weights = behind + width * line_of_results
    packs = few * FORMS * s.FP * s.C
    sizes = s._replace(G=G, R=min(2 * rows, s.OH), blocks=blocks, line=line_of_results, tile=behind - results)
    where = Squares(across, near, pitch, mixed, line, apart_forms, products, results, weights)
    scratch = 9 * s.lanes + s.lanes**2
    return SquarePlan(sizes, where, roles, apart(weights + packs + scratch, EACH), packs)


def _pieces(across: int, down: int, N: int) -> tuple[int, int, int]:
    """Images that are worked on together, rows of squares in a piece, and pieces in an image."""
    if across * down <= ENOUGH and N >= 4:
        return max(min(ENOUGH // (across * down), N // 4), 1), down, 1
    most = max(round(ENOUGH / across), 1)
    if N * -(-down // most) < 4:  # few images: more pieces, so that there is work for all threads
        most = max(min(most, -(-down // 4)), 1)
    blocks = -(-down // most)
    rows = -(-down // blocks)
    return 1, rows, -(-down // rows)
