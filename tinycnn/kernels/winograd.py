"""Winograd's convolution: 16 multiplications for a square of 2×2 results, where the sum over 3×3 taps makes 36.

Two neighbours in a row, y₀ = d₀g₀ + d₁g₁ + d₂g₂ and y₁ = d₁g₀ + d₂g₁ + d₃g₂, take six multiplications. Four will do:

    m₀ = (d₀ − d₂)·g₀     m₁ = (d₁ + d₂)·(g₀ + g₁ + g₂)/2     m₂ = (d₂ − d₁)·(g₀ − g₁ + g₂)/2     m₃ = (d₁ − d₃)·g₂

    y₀ = m₀ + m₁ + m₂     y₁ = m₁ − m₂ − m₃

for m₁ + m₂ = d₁g₁ + d₂(g₀ + g₂), and m₁ − m₂ = d₁(g₀ + g₂) + d₂g₁. In two directions that is 4·4 multiplications for
2·2 results, and with matrices for the three changes of form

    Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A

where the sum over the channels is made between the products and Aᵀ. So each of the 16 *forms* of a square is a matrix
product of its own, forms of pixels times forms of weights, on the register tile. What is added around it pays as soon
as there are some channels and filters to share it: the pixels are mixed once for all filters, the weights once for all
squares, the products once for all channels.

Where windows are two apart, y₀ = d₀g₀ + d₁g₁ + d₂g₂ and y₁ = d₂g₀ + d₃g₁ + d₄g₂ share one pixel, and five will do,
25 in two directions:

    m₀ = (d₀ − d₂)·g₀     m₁ = d₂·(g₀ + g₂)     m₂ = (d₄ − d₂)·g₂     m₃ = d₁g₁     m₄ = d₃g₁

    y₀ = m₀ + m₁ + m₃     y₁ = m₁ + m₂ + m₄

Their dx takes 25 for a square of 4×4 pixels, where the sum makes 36: every other pixel is under g₁ alone, the others
are under g₀ and g₂, as windows one apart of a filter with two taps. `winograd_forms` has all three. (dw gains nothing
where windows are two apart.)

Each result is still made of the pixels of its own window and of no other: y₀ does not contain d₃. But it is the
difference of larger numbers, so its rounding goes by the largest products in its window, and not by each for itself:
with forms of absolute values in place of forms, u the rounding of one operation, and as long as nothing underflows,

    |error| ≤ γ · (|Aᵀ|[(|G| |g| |Gᵀ|) ⊙ (|Bᵀ| |d| |B|)]|A| + |b|)     γ = n·u/(1 − n·u), n = C + 11

For numbers of about one size that is no more than the plain sum may cost, which is rounded 9·C times. Where a pixel or
a weight is not finite, or a form overflows, the forms say nothing of the sum; images of which that is true are left to
the plain convolution. It is for float32: float64 is for checking, and the plain sum is what is checked against.

Source: Winograd, Arithmetic Complexity of Computations, 1980, p. 43; Lavin & Gray 2016, arXiv:1509.09308, section 4.1;
for windows two apart, the filter split as in Huang et al. 2020, arXiv:2002.00552.
"""

from __future__ import annotations

import numpy as np

from tinycnn.kept import empty
from tinycnn.kernels.compiling import Worker, kernel, next_part, unpack
from tinycnn.kernels.conv_blocks import piece, pieces_of, write_out
from tinycnn.kernels.fused_blocks import ALONE, HALVED, RELU_POOL, cut_out
from tinycnn.kernels.fused_rows import SHORTEST, pool_row, uncut_row, unpool_row
from tinycnn.kernels.rows import copy_row, zero_row
from tinycnn.kernels.shuffled_rows import turn_rows
from tinycnn.kernels.tile import NARROW, WIDE, strip_width
from tinycnn.kernels.winograd_forms import FOUR
from tinycnn.kernels.winograd_plan import SquarePlan
from tinycnn.kernels.winograd_rows import (
    has_bias,
    mix_pixels,
    mix_weights,
    narrow_tile,
    results_of_squares,
    weights_of,
    wide_tile,
)

Array = np.ndarray


def convolve_squares(
    threads: int, x: Array, w: Array, bias: Array, plan: SquarePlan, own: Array, y: Array, kept: Array, after: int,
    kept_before: Array, before: int, beside: Array | None = None,
) -> list[int]:  # fmt: skip
    """Fill in y, but for the images whose numbers are given back: of these some result is not finite.

    What comes `after`, and what is `kept` of it, is as in `fused`. `before` says what x is: ALONE, images as they are;
    HALVED, images that a 2×2 max pool halves on the way; RELU or RELU_POOL, the gradient of what came after a
    convolution, with what was `kept_before`. Channels that x lacks are those of `beside`.
    """
    s, p, spoiled, mixed = plan.sizes, plan.pixels, np.zeros(len(x), np.int64), w
    if not plan.packs:
        mixed = empty((FOUR**2 * s.FP * s.C,), w.dtype)
        _mix(threads, w.dtype, mixed, own, w, plan.space, s, p, plan.squares, plan.roles)
    nothing = np.zeros(2 * s.lanes, x.dtype)
    _convolve(
        threads, x.dtype, y, kept, after, x, x if beside is None else beside, x.shape[1], kept_before, before, mixed,
        bias, nothing, spoiled, own, plan.space, plan.packs, s, p, plan.squares, plan.roles, len(x),
    )  # fmt: skip
    return [n for n, found in enumerate(spoiled.tolist()) if found]


@Worker
def _mix(t, workers, given):
    to, own, w, size, s, p, q, roles = unpack(given, "xxxnSWQR")
    vectors = s.FP // s.lanes
    mix(to, 0, own, t * size + q.weights, w, s, p, roles, t * vectors // workers, (t + 1) * vectors // workers)


@Worker
def _convolve(t, workers, given):
    (
        y, kept, after, x, beside, CX, kept_before, before, w, bias, nothing, spoiled, space, size, packs, s, p, q,
        roles, N,
    ) = unpack(given, "xunxxnunxxxixnnSWQRn")  # fmt: skip
    own, items = space[t * size :], pieces_of(N, s)
    mixed, item = w, next_part(given)
    if item < items:
        zero_row(own, 0, p.mixed - s.lanes)  # the border of what is laid out
        if packs:
            mixed = own[q.weights :]
            mix(own, q.weights, own, q.weights + packs, w, s, p, roles, 0, s.FP // s.lanes)
    while item < items:
        n, images, u, rows = piece(item, N, s)
        down = (rows + p.made - 1) // p.made
        mix_piece(own, x, beside, CX, kept_before, s, p, before, n, images, first_row(u, s, p), down)
        f = 0
        while f < s.FP:
            width = strip_width(s.FP - f, s.lanes)
            for r in range(0, down, q.near):
                some, high = min(q.near, down - r), min(rows - p.made * r, p.made * q.near)
                for form in range(p.forms):
                    start, first = (bias, f) if has_bias(p.scheme, form) else (nothing, 0)
                    _products(own, form, r, images * some * p.across, mixed, f, width, start, first, s, p, q)
                _results(own, spoiled, n, images, some, high, width, s, p, q)
                if after == ALONE:
                    write_out(y, n, images, own, q.results, s, 0, f, width, u + p.made * r, high)
                else:
                    cut_out(y, kept, n, images, own, q.results, s, after, 0, f, width, u + p.made * r, high)
            f += width
        item = next_part(given)


@kernel
def mix(to, start, own, scratch, w, s, p, roles, first, end):
    """The forms of weights as (strip of filters, form, channel, filter), of some vectors of filters."""
    for vector in range(first, end):
        f = vector * s.lanes
        strip = f // (2 * s.lanes) * 2 * s.lanes
        width = strip_width(s.FP - strip, s.lanes)
        at = start + strip * FOUR**2 * s.C + f - strip
        for c in range(s.C):
            turn_rows(own, scratch, s.lanes, w, f * roles.step + c * roles.line, roles.step, s.F - f, 9)
            mix_weights(p.scheme, to, at + c * width, s.C * width, own, scratch, s.lanes, roles.turned)


@kernel(inline="always")
def first_row(u, s, p):
    """Which row of pixels the squares from row u of results on see first."""
    return u * p.step // p.made - s.top


@kernel
def mix_piece(own, x, beside, CX, kept, s, p, before, n, images, top, down):
    """The forms of a piece's pixels as (form, channel, square), for so many rows of squares from pixel row `top`.

    The first CX channels are those of x, the others those of what lies beside it.
    """
    for m in range(images):
        for c in range(s.C):
            source, image = (x, (n + m) * CX + c) if c < CX else (beside, (n + m) * (s.C - CX) + c - CX)
            end = top + p.step * down + p.border
            lay_channel(own, s.left, p.pitch, source, s.H, s.W, kept, before, image, top, end)
            to = p.mixed + c * p.line + m * down * p.across
            for r in range(down):
                mix_pixels(p.scheme, own, to + r * p.across, p.apart, p.step * r * p.pitch, p.pitch, p.across)


@kernel
def lay_channel(own, begin, pitch, x, rows, columns, kept, before, image, first, end):
    """Some rows of one channel of so many rows and columns to own[begin + …]; what is left between them stays."""
    step = 2 if before == RELU_POOL else 1
    H, W = rows // step, columns // step
    byte_row = max(W, SHORTEST)
    for row in range(first, end):
        above = image * H + row // step
        if row < 0 or row >= H * step:
            zero_row(own, begin, W * step)
        elif before == ALONE:
            copy_row(own, begin, x, above * W, W)
        elif before == HALVED:
            pool_row(own, begin, x, above * 4 * W, above * 4 * W + 2 * W, W)
        elif before == RELU_POOL:
            unpool_row(own, begin, row % 2, x, above * W, kept, above * byte_row, W)
        else:
            uncut_row(own, begin, x, above * W, kept, above * byte_row, W)
        begin += pitch


@kernel(inline="always")
def _products(own, form, r, squares, mixed, f, width, start, first, s, p, q):
    """The products of one form, for the squares from row r on and a strip of filters."""
    to, pixels = q.products + form * 2 * s.lanes, p.mixed + form * p.apart + r * p.across
    weights = (f * FOUR**2 + weights_of(p.scheme, form) * width) * s.C
    height = WIDE if width > s.lanes else NARROW
    for t in range(0, squares, height):
        place = to + t * p.forms * 2 * s.lanes
        if width > s.lanes:
            wide_tile(own, place, p.forms, pixels + t, p.line, mixed, weights, s.C, start, first)
        else:
            narrow_tile(own, place, p.forms, pixels + t, p.line, mixed, weights, s.C, start, first)


@kernel(inline="always")
def _results(own, spoiled, n, images, some, high, width, s, p, q):
    """The results of a strip, as (image, pixel, filter), from its products."""
    line = s.OW * width
    for m in range(images):
        for r in range(some):
            products = q.products + (m * some + r) * p.across * p.forms * 2 * s.lanes
            to, there = q.results + (m * high + p.made * r) * line, high - p.made * r
            if not results_of_squares(p.scheme, own, to, line, s.OW, there, products, p.across, width):
                spoiled[n + m] = 1  # nobody ever writes a 0, so it does not matter who else does
