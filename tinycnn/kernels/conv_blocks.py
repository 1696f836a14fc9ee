"""One block of a convolution: a few rows of windows of one image, small enough to stay in the cache.

Forward, the block of the image is read where it lies (or laid out with its border and in phases), multiplied by the
register tile, and its rows are written to y without the windows that wrapped around. Backward, dy is laid out once,
with zeros where windows wrapped and around the image, and all three gradients are fed from it: db is its sum, dw its
dot products with the image, and dx a convolution of it with the filters turned around.
"""

from __future__ import annotations

from tinycnn.kernels.compiling import kernel
from tinycnn.kernels.rows import clear_row, copy_every, copy_row, row_sum
from tinycnn.kernels.tile import call_dots, call_product

DX, DW = 1, 2  # which gradients are wanted


@kernel
def lay_out(to, x, n, u, s):
    """Copy what the windows of rows u … u + R of image n see to working space, with its border, phase by phase."""
    for b in range(s.sh):  # columns b, b + sh, b + 2·sh … of every row
        first = min(max((s.left - b + s.sh - 1) // s.sh, 0), s.pitch)  # the first of them in the image, and the last
        last = min(max((s.left + s.W - b + s.sh - 1) // s.sh, first), s.pitch)
        for c in range(s.C):
            for a in range(s.sv):
                begin = ((c * s.sv + a) * s.sh + b) * s.plane
                for row in range(u * s.sv + a - s.top, (u + s.R + s.down) * s.sv + a - s.top, s.sv):
                    if row < 0 or row >= s.H:
                        clear_row(to, begin, s.pitch)
                    else:
                        clear_row(to, begin, first)
                        source = ((n * s.C + c) * s.H + row) * s.W + first * s.sh + b - s.left
                        _copy_columns(to, begin + first, x, source, s.sh, last - first)
                        clear_row(to, begin + last, s.pitch - last)
                    begin += s.pitch


@kernel(inline="always")
def _copy_columns(to, at, x, start, step, n):
    """Copy n numbers of a row, `step` apart."""
    if step == 1:
        copy_row(to, at, x, start, n)
    else:
        copy_every(to, at, 1, x, start, step, n)


@kernel(inline="always")
def forward_block(tiles, y, x, w, bias, taps, own, s, n, block):
    """y of one block; `own` is this worker's working space."""
    u, rows = block * s.R, min(s.R, s.OH - block * s.R)
    CG, FG, K = s.C // s.groups, s.F // s.groups, s.C // s.groups * s.KH * s.KW
    source, x0, used = x, n * s.C * s.plane + u * s.W, 0
    if s.copied:
        lay_out(own, x, n, u, s)
        source, x0, used = own, 0, s.C * s.sv * s.sh * s.plane
    size, channels = s.OH * s.OW, CG * s.sv * s.sh * s.plane
    y0 = n * s.F * size + u * s.OW
    if s.right == 0 and s.pitch == s.OW:  # no window wraps around
        for g in range(s.groups):
            call_product(tiles, y, y0 + g * FG * size, size, w, g * FG * K, K, 1, source, x0 + g * channels, taps, 0, K,
                    FG, rows * s.OW, bias, g * FG)  # fmt: skip
        return
    line = s.R * s.pitch
    columns = (rows - 1) * s.pitch + s.OW
    for g in range(s.groups):
        call_product(tiles, own, used + g * FG * line, line, w, g * FG * K, K, 1, source, x0 + g * channels, taps, 0, K,
                FG, columns, bias, g * FG)  # fmt: skip
    for f in range(s.F):
        for r in range(rows):
            copy_row(y, y0 + f * size + r * s.OW, own, used + f * line + r * s.pitch, s.OW)


@kernel
def lay_out_dy(to, at, dy, n, u, rows, pitch, s):
    """Copy dy of a block with zeros where no window is, as the taps of dx will read it.

    Windows that wrapped around have a gradient of 0; those zeros also are the border at the left of the next row.
    Above are the rows that the block's first pixels need, `down` of them.
    """
    for f in range(s.F):
        clear_row(to, at + f * s.dplane, s.right)
        for r in range(s.down + rows):
            begin, row = at + f * s.dplane + s.right + r * pitch, u - s.down + r
            if row < 0 or row >= s.OH:
                clear_row(to, begin, pitch)
            else:
                copy_row(to, begin, dy, ((n * s.F + f) * s.OH + row) * s.OW, s.OW)
                clear_row(to, begin + s.OW, pitch - s.OW)


@kernel(inline="always")
def backward_block(tiles, wanted, dx, dw, dw0, db, db0, dy, x, turned, taps, taps_dx, phases, zeros, own, s, n, block):
    """Add one block to dw and db, and write its rows of dx; `turned` are the filters as (group, c, taps of dx).

    Only what is `wanted`, DX or DW or their sum; dw and db come together.
    """
    u, rows = block * s.R, min(s.R, s.OH - block * s.R)
    CG, FG, K = s.C // s.groups, s.F // s.groups, s.C // s.groups * s.KH * s.KW
    used = s.C * s.sv * s.sh * s.plane if s.copied else 0
    rows_dx = min(rows, s.rows - u) if block < s.blocks - 1 else s.rows - u
    pitch = s.OW + s.right
    lay_out_dy(own, used, dy, n, u, max(rows, rows_dx), pitch, s)
    first = used + s.right + s.down * pitch  # dy of the block's first window
    if wanted & DW:
        source, x0 = x, n * s.C * s.plane + u * s.W
        if s.copied:
            lay_out(own, x, n, u, s)
            source, x0 = own, 0
        length = (rows - 1) * pitch + s.OW
        for g in range(s.groups):
            call_dots(tiles, dw, dw0 + g * FG * K, K, own, first + g * FG * s.dplane, s.dplane,
                      source, x0 + g * CG * s.sv * s.sh * s.plane, taps, 0, length, FG, K)  # fmt: skip
        for f in range(s.F):
            db[db0 + f] += row_sum(dy, ((n * s.F + f) * s.OH + u) * s.OW, rows * s.OW)
    if wanted & DX:
        to = used + s.F * s.dplane
        for a in range(s.sv):
            for b in range(s.sh):
                _dx_of_phase(tiles, dx, a, b, turned, taps_dx, phases, zeros, own, first, to, s, n, u, rows_dx)


@kernel(inline="always")
def _dx_of_phase(tiles, dx, a, b, turned, taps_dx, phases, zeros, own, first, to, s, n, u, rows_dx):
    """dx at rows a, a + sv, … and columns b, b + sh, … of the image with its border, as far as it is the image."""
    CG, FG, KF = s.C // s.groups, s.F // s.groups, s.F // s.groups * s.KH * s.KW
    pitch = s.OW + s.right
    row, end = max(u, (s.top - a + s.sv - 1) // s.sv), min(u + rows_dx, (s.top + s.H - a + s.sv - 1) // s.sv)
    col, stop = max((s.left - b + s.sh - 1) // s.sh, 0), (s.left + s.W - b + s.sh - 1) // s.sh
    seen = min(stop, pitch)  # columns further right are in no window
    k0, K = phases[a * s.sh + b], phases[a * s.sh + b + 1] - phases[a * s.sh + b]
    some = K > 0 and seen > col
    if end <= row:
        return
    line = (end - row) * pitch
    if some:
        for g in range(s.groups):
            call_product(tiles, own, to + g * CG * line, line, turned, g * CG * KF + k0, KF, 1,
                    own, first + (row - u) * pitch + col + g * FG * s.dplane, taps_dx, k0, K,
                    CG, (end - row - 1) * pitch + seen - col, zeros, 0)  # fmt: skip
    for c in range(s.C):
        for r in range(row, end):
            place = ((n * s.C + c) * s.H + r * s.sv + a - s.top) * s.W + b - s.left
            begin = to + c * line + (r - row) * pitch - col
            filled = seen if some else col
            if s.sh == 1:
                copy_row(dx, place + col, own, begin + col, filled - col)
            else:
                copy_every(dx, place + col * s.sh, s.sh, own, begin + col, 1, filled - col)
            for q in range(filled, stop):
                dx[place + q * s.sh] = 0
