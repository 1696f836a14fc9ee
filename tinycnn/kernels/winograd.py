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

Each result is still made of the pixels of its own window and of no other: y₀ does not contain d₃. But it is the
difference of larger numbers, so its rounding goes by the largest products in its window, and not by each for itself:
with forms of absolute values in place of forms, u the rounding of one operation, and as long as nothing underflows,

    |error| ≤ γ · (|Aᵀ|[(|G| |g| |Gᵀ|) ⊙ (|Bᵀ| |d| |B|)]|A| + |b|)     γ = n·u/(1 − n·u), n = C + 11

For numbers of about one size that is no more than the plain sum may cost, which is rounded 9·C times. Where a pixel or
a weight is not finite, or a form overflows, the forms say nothing of the sum; images of which that is true are left to
the plain convolution. It is for float32: float64 is for checking, and the plain sum is what is checked against.

Source: Winograd, Arithmetic Complexity of Computations, 1980, p. 43; Lavin & Gray 2016, arXiv:1509.09308, section 4.1.
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
from tinycnn.kernels.winograd_plan import SquarePlan
from tinycnn.kernels.winograd_rows import (
    FORMS,
    MIDDLE,
    mix_pixels,
    mix_weights,
    narrow_tile,
    results_of_squares,
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
    s, spoiled, mixed = plan.sizes, np.zeros(len(x), np.int64), w
    if not plan.packs:
        mixed = empty((FORMS * s.FP * s.C,), w.dtype)
        _mix(threads, w.dtype, mixed, own, w, plan.space, s, plan.squares, plan.roles)
    nothing = np.zeros(2 * s.lanes, x.dtype)
    _convolve(
        threads, x.dtype, y, kept, after, x, x if beside is None else beside, x.shape[1], kept_before, before, mixed,
        bias, nothing, spoiled, own, plan.space, plan.packs, s, plan.squares, plan.roles, len(x),
    )  # fmt: skip
    return [n for n, found in enumerate(spoiled.tolist()) if found]


@Worker
def _mix(t, workers, given):
    to, own, w, size, s, q, roles = unpack(given, "xxxnSQR")
    vectors = s.FP // s.lanes
    mix(to, 0, own, t * size + q.weights, w, s, roles, t * vectors // workers, (t + 1) * vectors // workers)


@Worker
def _convolve(t, workers, given):
    (
        y, kept, after, x, beside, CX, kept_before, before, w, bias, nothing, spoiled, space, size, packs, s, q, roles,
        N,
    ) = unpack(given, "xunxxnunxxxixnnSQRn")  # fmt: skip
    own, items = space[t * size :], pieces_of(N, s)
    mixed, item = w, next_part(given)
    if item < items:
        zero_row(own, 0, q.mixed - s.lanes)  # the border of what is laid out
        if packs:
            mixed = own[q.weights :]
            mix(own, q.weights, own, q.weights + packs, w, s, roles, 0, s.FP // s.lanes)
    while item < items:
        n, images, u, rows = piece(item, N, s)
        down = (rows + 1) // 2
        mix_piece(own, x, beside, CX, kept_before, s, q, before, n, images, u - s.top, down)
        f = 0
        while f < s.FP:
            width = strip_width(s.FP - f, s.lanes)
            for r in range(0, down, q.near):
                some, high = min(q.near, down - r), min(rows - 2 * r, 2 * q.near)
                for form in range(FORMS):
                    start, first = (bias, f) if form == MIDDLE else (nothing, 0)
                    _products(own, form, r, images * some * q.across, mixed, f, width, start, first, s, q)
                _results(own, spoiled, n, images, some, high, width, s, q)
                if after == ALONE:
                    write_out(y, n, images, own, q.results, s, 0, f, width, u + 2 * r, high)
                else:
                    cut_out(y, kept, n, images, own, q.results, s, after, 0, f, width, u + 2 * r, high)
            f += width
        item = next_part(given)


@kernel
def mix(to, start, own, scratch, w, s, roles, first, end):
    """The forms of weights as (strip of filters, form, channel, filter), of some vectors of filters."""
    for vector in range(first, end):
        f = vector * s.lanes
        strip = f // (2 * s.lanes) * 2 * s.lanes
        width = strip_width(s.FP - strip, s.lanes)
        at = start + strip * FORMS * s.C + f - strip
        for c in range(s.C):
            turn_rows(own, scratch, s.lanes, w, f * roles.step + c * roles.line, roles.step, s.F - f, 9)
            mix_weights(to, at + c * width, s.C * width, own, scratch, s.lanes, roles.turned)


@kernel
def mix_piece(own, x, beside, CX, kept, s, q, before, n, images, top, down):
    """The forms of a piece's pixels as (form, channel, square), for so many rows of squares from pixel row `top`.

    The first CX channels are those of x, the others those of what lies beside it.
    """
    for m in range(images):
        for c in range(s.C):
            source, image = (x, (n + m) * CX + c) if c < CX else (beside, (n + m) * (s.C - CX) + c - CX)
            lay_channel(own, s.left, q.pitch, source, s.H, s.W, kept, before, image, top, top + 2 * down + 2)
            to = q.mixed + c * q.line + m * down * q.across
            for r in range(down):
                mix_pixels(own, to + r * q.across, q.apart, 2 * r * q.pitch, q.pitch, q.across)


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
def _products(own, form, r, squares, mixed, f, width, start, first, s, q):
    """The products of one form, for the squares from row r on and a strip of filters."""
    to, pixels, weights = q.products + form * 2 * s.lanes, q.mixed + form * q.apart + r * q.across, f * FORMS * s.C
    weights += form * width * s.C
    height = WIDE if width > s.lanes else NARROW
    for t in range(0, squares, height):
        place = to + t * FORMS * 2 * s.lanes
        if width > s.lanes:
            wide_tile(own, place, pixels + t, q.line, mixed, weights, s.C, start, first)
        else:
            narrow_tile(own, place, pixels + t, q.line, mixed, weights, s.C, start, first)


@kernel(inline="always")
def _results(own, spoiled, n, images, some, high, width, s, q):
    """The results of a strip, as (image, pixel, filter), from its products."""
    line = s.OW * width
    for m in range(images):
        for r in range(some):
            products = q.products + (m * some + r) * q.across * FORMS * 2 * s.lanes
            to = q.results + (m * high + 2 * r) * line
            if not results_of_squares(own, to, line, s.OW, 2 * r + 1 < high, products, q.across, width):
                spoiled[n + m] = 1  # nobody ever writes a 0, so it does not matter who else does
