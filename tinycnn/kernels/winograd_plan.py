"""Which convolutions are done by Winograd's products (`winograd`), and how they are cut into pieces of work."""

from __future__ import annotations

from typing import Any, NamedTuple

from tinycnn.kernels.compiling import record
from tinycnn.kernels.lines import apart
from tinycnn.kernels.tile import NARROW, WIDE
from tinycnn.kernels.winograd_forms import APART_1, APART_2, DX_OF_2, FOUR, SCHEMES

NEAR = 96  # squares whose products the cache holds beside them
# By scheme: squares in a piece of work, as many rows of them as come next to it, or as many small images.
ENOUGH = 96, 128, 128
EACH = 4  # bytes of a number: it is for float32
FEWEST = 16, 64, 64  # by scheme: channels and filters, with fewer of which the additions around take what they save
MOST = 0.74, 0.72, 0.8  # by scheme: the share of the plain sum's products that squares may take, beyond the image too
SMALLEST = 64, 256, 64  # by scheme: windows of an image, with fewer of which the weights take longest


class Pixels(NamedTuple):
    """Where the pixels of a piece lie, and their forms, at the beginning of its working space."""

    scheme: int  # which one of `winograd_forms`
    forms: int  # that it has, in both directions together
    step: int
    border: int  # pixels that a row of squares sees beyond `step` for each
    made: int
    across: int  # squares in a row of them
    pitch: int  # from one row of a laid-out channel to the next
    mixed: int  # where the forms begin
    line: int  # from one channel of them to the next
    apart: int  # and from one form to the next


record("W", Pixels)


class Squares(NamedTuple):
    """Where everything else lies in the working space of a piece, in the order of the space."""

    near: int  # rows of squares whose products lie in the cache at once
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
    """Where everything else lies in the working space of a piece that is gathered into dw."""

    gradients: int  # where dy is laid out
    line: int  # from one filter of it to the next
    strip: int  # where dy of a strip of filters begins, window after window
    forms: int  # where their forms begin
    apart: int  # from one form to the next


record("D", Gathering)


class GatherPlan(NamedTuple):
    """dw by squares: sizes of its pieces, and how much working space each core needs."""

    sizes: Any
    pixels: Pixels
    gathering: Gathering
    roles: Roles
    squares: int  # in a piece
    space: int


class SquarePlan(NamedTuple):
    """A convolution by squares: sizes of its pieces, and how much working space each core needs."""

    sizes: Any  # of these, what lies where images are laid out is said by `pixels` in place of them
    pixels: Pixels
    squares: Squares
    roles: Roles
    space: int
    packs: int  # how many numbers of it each core's own weights take; 0 if they are mixed beforehand


def plan_squares(s: Any, flip: bool, N: int, few: bool) -> SquarePlan | None:
    """The convolution of these sizes by squares, or None if it is none for them: F filters of 3×3, 1 or 2 apart."""
    scheme, roles = _scheme(s), Roles(s.C * 9, 9, int(flip))
    return _planned(s, scheme, roles, N, few) if _is_for_squares(s, scheme, s.OH * s.OW) else None


def plan_squares_of_dx(s: Any, bottom: int, right: int, flip: bool, N: int, few: bool) -> SquarePlan | None:
    """The same for its dx, a convolution of dy with the filters turned around, which are its channels now.

    Where windows are 2 apart, squares of dx begin with the second pixel of a window: so it is for a border of 1.
    """
    apart_2 = _scheme(s) == APART_2
    if max(s.top, s.left, bottom, right) > 2 or (apart_2 and (s.top, s.left) != (1, 1)):
        return None
    mirrored = s._replace(C=s.F, H=s.OH, W=s.OW, F=s.C, OH=s.H, OW=s.W, FP=s.CP, top=2 - s.top, left=2 - s.left)
    scheme, windows = APART_1, s.H * s.W
    if apart_2:
        scheme, windows, mirrored = DX_OF_2, s.OH * s.OW, mirrored._replace(top=0, left=0)
    roles = Roles(9, s.C * 9, int(not flip))
    return _planned(mirrored, scheme, roles, N, few) if _is_for_squares(mirrored, scheme, windows) else None


def plan_gathering(s: Any, flip: bool, N: int) -> GatherPlan | None:
    """dw of the same convolution by squares, or None if it is none for them: with windows 2 apart it gains nothing."""
    if _scheme(s) == APART_2 or not _is_for_squares(s, APART_1, s.OH * s.OW):
        return None
    sizes, p, squares, _ = _laid(s, APART_1, N)
    width, pixels, begin = 2 * s.lanes, 4 * squares, p.mixed + p.forms * p.apart
    line = apart(pixels + s.lanes, EACH)
    strip = begin + s.F * line
    forms = strip + apart((pixels + s.lanes) * width, EACH)
    forms_apart = apart(squares * width, EACH)
    where, roles = Gathering(begin, line, strip, forms, forms_apart), Roles(s.C * 9, 9, int(flip))
    return GatherPlan(sizes, p, where, roles, squares, forms + p.forms * forms_apart)


def _scheme(s: Any) -> int:
    return APART_1 if s.sv == 1 else APART_2


def _is_for_squares(s: Any, scheme: int, windows: int) -> bool:
    """Whether there is something to win: enough channels and filters, and squares that do not reach far beyond."""
    about = SCHEMES[scheme]
    squares = -(-s.OH // about.made) * -(-s.OW // about.made)
    fits = about.forms**2 * squares < MOST[scheme] * 9 * windows
    return fits and min(s.C, s.F) >= FEWEST[scheme] and windows >= SMALLEST[scheme]


def _planned(s: Any, scheme: int, roles: Roles, N: int, few: bool) -> SquarePlan:
    sizes, p, _, rows = _laid(s, scheme, N)
    G, width = sizes.G, 2 * s.lanes
    near = max(NEAR // p.across, 1) if G == 1 else rows
    near = min(near, rows)
    products = p.mixed + p.forms * p.apart
    results = products + (G * near * p.across + max(NARROW, WIDE)) * p.forms * width
    pixels = G * min(p.made * near, s.OH) * s.OW
    behind = results + (pixels + s.lanes) * width
    line_of_results = apart(pixels + s.lanes, EACH)
    weights = behind + width * line_of_results
    packs = few * FOUR**2 * s.FP * s.C
    sizes = sizes._replace(line=line_of_results, tile=behind - results)
    scratch = 9 * s.lanes + s.lanes**2
    where = Squares(near, products, results, weights)
    return SquarePlan(sizes, p, where, roles, apart(weights + packs + scratch, EACH), packs)


def _laid(s: Any, scheme: int, N: int) -> tuple[Any, Pixels, int, int]:
    """The sizes of pieces, where their pixels and forms lie, how many squares a piece has, and rows of them."""
    about = SCHEMES[scheme]
    forms, step, border = about.forms**2, about.step, about.seen - about.step
    across, down = -(-s.OW // about.made), -(-s.OH // about.made)
    G, rows, blocks = _pieces(across, down, N, ENOUGH[scheme])
    pitch, squares = max(step * across + border, s.left + s.W), G * rows * across
    line = apart(squares + max(s.lanes, NARROW, WIDE), EACH)
    mixed = apart((step * rows + border) * pitch + 2 * step * s.lanes, EACH)
    sizes = s._replace(G=G, R=min(about.made * rows, s.OH), blocks=blocks)
    pixels = Pixels(
        scheme, forms, step, border, about.made, across, pitch, mixed, line, apart(s.C * line, EACH)
    )  # fmt: skip
    return sizes, pixels, squares, rows


def _pieces(across: int, down: int, N: int, enough: int) -> tuple[int, int, int]:
    """Images that are worked on together, rows of squares in a piece, and pieces in an image."""
    if across * down <= enough and N >= 4:
        return max(min(enough // (across * down), N // 4), 1), down, 1
    most = max(round(enough / across), 1)
    if N * -(-down // most) < 4:  # few images: more pieces, so that there is work for all threads
        most = max(min(most, -(-down // 4)), 1)
    blocks = -(-down // most)
    rows = -(-down // blocks)
    return 1, rows, -(-down // rows)
