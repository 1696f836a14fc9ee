"""What comes after a piece of a convolution, while it is in the cache: a ReLU, or a ReLU and a 2×2 max pool."""

from __future__ import annotations

from tinycnn.kernels.compiling import kernel
from tinycnn.kernels.conv_blocks import room_of_images, turn_in_space
from tinycnn.kernels.fused_rows import SHORTEST, cut_row, relu_pool_row, relu_row, uncut_row, unpool_row
from tinycnn.kernels.rows import zero_row

ALONE, RELU, RELU_POOL = 0, 1, 2  # what comes after a convolution; its number is also the step from window to window
RELU_ALONE = 3  # a ReLU of which nothing need be remembered
HALVED = 4  # what comes before one: a 2×2 max pool of which nothing need be remembered


@kernel
def cut_out(y, kept, n, images, own, begin, s, after, g, f, width, u, rows):
    """A strip of results, from own[begin] on, cut at 0 and pooled on its way to y."""
    FG, lines = s.F // s.groups, begin + s.tile
    turn_in_space(own, lines, begin, width, images * rows * s.OW, s)
    for m in range(images):
        cut_lines(y, kept, n + m, own, lines + m * rows * s.OW, s, after, g * FG + f, min(width, FG - f), u, rows)


@kernel
def cut_lines(y, kept, n, own, lines, s, after, f, filters, u, rows):
    """Some rows of results of one image, filter f and on, which lie in rows already."""
    step = 1 if after == RELU_ALONE else after
    OH, OW = s.OH // step, s.OW // step
    byte_row = max(OW, SHORTEST)
    for j in range(filters):
        row, begin = (n * s.F + f + j) * OH + u // step, lines + j * s.line
        if after == RELU_ALONE:
            cut_row(y, row * OW, own, begin, rows * OW)
            continue
        if after == RELU and OW >= SHORTEST:
            relu_row(y, row * OW, kept, row * OW, own, begin, rows * OW)
            continue
        for r in range(row, row + rows // step):
            if after == RELU_POOL:
                relu_pool_row(y, r * OW, kept, r * byte_row, own, begin, begin + s.OW, OW)
            else:
                relu_row(y, r * OW, kept, r * byte_row, own, begin, OW)
            begin += step * s.OW


@kernel
def uncut_dy(to, dy, kept, s, after, n, images, u, rows):
    """The gradients of a piece's windows, laid out as `lay_out_dy` does: 0 where the pool or the ReLU chose others."""
    OH, OW = s.OH // after, s.OW // after
    byte_row = max(OW, SHORTEST)
    for m in range(images * s.F):
        begin = room_of_images(s) + m * s.dplane
        zero_row(to, begin, s.right)
        begin += s.right
        for row in range(u - s.down, u + rows):
            above = (n * s.F + m) * OH + row // after
            if row < 0 or row >= OH * after:
                zero_row(to, begin, s.dpitch)
            elif after == RELU_POOL:
                unpool_row(to, begin, row % 2, dy, above * OW, kept, above * byte_row, OW)
                zero_row(to, begin + 2 * OW, s.dpitch - 2 * OW)
            else:
                uncut_row(to, begin, dy, above * OW, kept, above * byte_row, OW)
                zero_row(to, begin + OW, s.right)
            begin += s.dpitch
