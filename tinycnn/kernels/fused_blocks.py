"""What comes after a block of a convolution, while the block is in the cache: a ReLU, or a ReLU and a 2×2 max pool."""

from __future__ import annotations

from tinycnn.kernels.compiling import kernel
from tinycnn.kernels.conv_blocks import rows_of_dx, space_of_image
from tinycnn.kernels.fused_rows import SHORTEST, relu_pool_row, relu_row, uncut_row, unpool_row
from tinycnn.kernels.rows import clear_row

ALONE, RELU, RELU_POOL = 0, 1, 2  # what comes after a convolution; its number is also the step from window to window


@kernel
def cut_block(y, kept, own, s, after, n, block):
    """Rows of windows, cut at 0 and pooled, on their way to y."""
    u, rows, line = block * s.R, min(s.R, s.OH - block * s.R), s.R * s.pitch
    OH, OW = s.OH // after, s.OW // after
    width = max(OW, SHORTEST)
    for f in range(s.F):
        for r in range(rows // after):
            begin, row = space_of_image(s) + f * line + r * after * s.pitch, (n * s.F + f) * OH + u // after + r
            if after == RELU_POOL:
                relu_pool_row(y, row * OW, kept, row * width, own, begin, begin + s.pitch, OW)
            else:
                relu_row(y, row * OW, kept, row * width, own, begin, OW)


@kernel
def uncut_block(to, dy, kept, s, after, n, block):
    """The gradients of a block's windows, laid out as `lay_out_dy` does: 0 where the pool or the ReLU chose others."""
    u, pitch = block * s.R, s.pitch
    OH, OW = s.OH // after, s.OW // after
    width = max(OW, SHORTEST)
    for f in range(s.F):
        line = space_of_image(s) + f * s.dplane
        clear_row(to, line, s.right)
        for r in range(s.down + max(min(s.R, s.OH - u), rows_of_dx(s, block))):
            begin, row = line + s.right + r * pitch, u - s.down + r
            above = (n * s.F + f) * OH + row // after
            if row < 0 or row >= OH * after:
                clear_row(to, begin, pitch)
            elif after == RELU_POOL:
                unpool_row(to, begin, row % 2, dy, above * OW, kept, above * width, OW)
                clear_row(to, begin + 2 * OW, pitch - 2 * OW)
            else:
                uncut_row(to, begin, dy, above * OW, kept, above * width, OW)
                clear_row(to, begin + OW, pitch - OW)
