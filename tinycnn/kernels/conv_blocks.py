"""One block of a convolution: a few rows of windows of one image, small enough to stay in the cache.

Forward, the block of the image is read where it lies (or laid out with its border and in phases), multiplied by the
register tile, and its rows are written to y without the windows that wrapped around. Backward, dy is laid out once,
with zeros where windows wrapped and around the image, and all three gradients are fed from it: db is its sum, dw its
dot products with the image, and dx a convolution of it with the filters turned around.
"""

from __future__ import annotations

from tinycnn.kernels.compiling import kernel
from tinycnn.kernels.rows import clear_row, copy_every, copy_row, row_sum
from tinycnn.kernels.shuffled_rows import alternate_row, turn_rows
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
                clear_row(to, begin, s.border)


@kernel(inline="always")
def _copy_columns(to, at, x, start, step, n):
    """Copy n numbers of a row, `step` apart."""
    if step == 1:
        copy_row(to, at, x, start, n)
    else:
        copy_every(to, at, 1, x, start, step, n)


@kernel(inline="always")
def forward_block(tiles, y, x, w, bias, offsets, o, own, s, n, block):
    """y of one block; `own` is this worker's working space."""
    u, rows, size = block * s.R, min(s.R, s.OH - block * s.R), s.OH * s.OW
    y0 = n * s.F * size + u * s.OW
    if s.right == 0 and s.pitch == s.OW:  # no window wraps around
        windows_of_block(tiles, y, y0, size, x, w, bias, offsets, o, own, s, n, block)
        return
    at, line = space_of_image(s), s.R * s.pitch
    windows_of_block(tiles, own, at, line, x, w, bias, offsets, o, own, s, n, block)
    for f in range(s.F):
        for r in range(rows):
            copy_row(y, y0 + f * size + r * s.OW, own, at + f * line + r * s.pitch, s.OW)


@kernel(inline="always")
def space_of_image(s):
    """How much working space the laid-out image takes, at its beginning."""
    return s.C * s.sv * s.sh * s.plane if s.copied else 0


@kernel(inline="always")
def windows_of_block(tiles, out, at, line, x, w, bias, offsets, o, own, s, n, block):
    """out[at + f·line + r·pitch + v] = the window of row r and column v of a block, filter f."""
    u, rows = block * s.R, min(s.R, s.OH - block * s.R)
    CG, FG, K = s.C // s.groups, s.F // s.groups, s.C // s.groups * s.KH * s.KW
    source, x0 = image_of_block(x, own, s, n, u)
    channels = CG * s.sv * s.sh * s.plane
    for g in range(s.groups):
        call_product(tiles, out, at + g * FG * line, line, w, g * FG * K, offsets[o.lines :], 1,
                source, x0 + g * channels, offsets[o.taps :], 0, K, FG, (rows - 1) * s.pitch + s.OW,
                bias, g * FG, 0)  # fmt: skip


@kernel(inline="always")
def image_of_block(x, own, s, n, u):
    """Where the windows from row u on are read: where image n lies, or laid out in working space."""
    if s.copied:
        lay_out(own, x, n, u, s)
        return own, 0
    return x, n * s.C * s.plane + u * s.W


@kernel
def lay_out_dy(to, dy, s, n, block):
    """Copy dy of a block with zeros where no window is, as the taps of dx will read it.

    Windows that wrapped around have a gradient of 0; those zeros also are the border at the left of the next row.
    Above are the rows that the block's first pixels need, `down` of them.
    """
    u, pitch, at = block * s.R, s.pitch, space_of_image(s)
    for f in range(s.F):
        clear_row(to, at + f * s.dplane, s.right)
        for r in range(s.down + max(min(s.R, s.OH - u), rows_of_dx(s, block))):
            begin, row = at + f * s.dplane + s.right + r * pitch, u - s.down + r
            if row < 0 or row >= s.OH:
                clear_row(to, begin, pitch)
            else:
                copy_row(to, begin, dy, ((n * s.F + f) * s.OH + row) * s.OW, s.OW)
                clear_row(to, begin + s.OW, pitch - s.OW)


@kernel(inline="always")
def rows_of_dx(s, block):
    """How many rows of dx a block writes, counted in phases; the last one those below the last window as well."""
    return min(s.R, s.rows - block * s.R) if block < s.blocks - 1 else s.rows - block * s.R


@kernel(inline="always")
def backward_block(tiles, wanted, dx, dw, dw0, db, db0, x, turned, bias, offsets, o, own, s, n, block):
    """Add one block to dw and db, and write its rows of dx; `turned` are the filters as (group, c, taps of dx).

    Only what is `wanted`, DX or DW or their sum; dw and db come together. The block's dy is laid out already; `bias` is
    what dx begins with, one number a channel (and as many more as there are weights in a filter).
    """
    u, rows = block * s.R, min(s.R, s.OH - block * s.R)
    at = space_of_image(s)
    first, to = at + s.right + s.down * s.pitch, at + s.F * s.dplane  # dy of the block's first window; what is free
    if wanted & DW:
        _dw_of_block(tiles, dw, dw0, x, bias, offsets, o, own, first, to, s, n, u, rows)
        for f in range(s.F):
            db[db0 + f] += row_sum(own, first + f * s.dplane, (rows - 1) * s.pitch + s.OW)
    if wanted & DX:
        for a in range(s.sv):
            _dx_of_rows(tiles, dx, a, turned, bias, offsets, o, own, first, to, s, n, u, rows_of_dx(s, block))


@kernel(inline="always")
def _dw_of_block(tiles, dw, dw0, x, bias, offsets, o, own, first, to, s, n, u, rows):
    """dw as (group, tap, f): products of x with dy turned on its side, all filters of a window next to each other.

    With too few filters to fill a vector, dw as (group, f, tap): sums along the rows of both.
    """
    CG, FG, K = s.C // s.groups, s.F // s.groups, s.C // s.groups * s.KH * s.KW
    source, x0 = image_of_block(x, own, s, n, u)
    taps, windows = offsets[o.taps :], (rows - 1) * s.pitch + s.OW  # those that wrapped around have a dy of 0
    for g in range(s.groups):
        here, channels, dy = dw0 + g * FG * K, x0 + g * CG * s.sv * s.sh * s.plane, first + g * FG * s.dplane
        if s.strip == 0:
            call_dots(tiles, dw, here, K, own, dy, s.dplane, source, channels, taps, 0, windows,
                      FG, K)  # fmt: skip
            continue
        _turn_dy(own, to, dy, s, FG, windows)
        for strip in range(s.strips):
            f = strip * s.strip
            call_product(tiles, dw, here + f, FG, source, channels, taps, 1, own, to + f * windows,
                    offsets[o.turned :], 0, windows, K, min(s.strip, FG - f), bias, 0, 1)  # fmt: skip


@kernel
def _turn_dy(own, to, dy, s, FG, windows):
    """Strip after strip, window after window: dy of the strip's filters side by side."""
    for strip in range(0, FG, s.strip):
        for f in range(strip, min(strip + s.strip, FG), s.lanes):
            turn_rows(own, to + strip * windows + f - strip, s.strip, own, dy + f * s.dplane, s.dplane, FG - f, windows)


@kernel(inline="always")
def _dx_of_rows(tiles, dx, a, turned, bias, offsets, o, own, first, to, s, n, u, rows_dx):
    """dx at rows a, a + sv, … of the image with its border, as far as it is the image."""
    CG, FG, KF = s.C // s.groups, s.F // s.groups, s.F // s.groups * s.KH * s.KW
    row, end = max(u, (s.top - a + s.sv - 1) // s.sv), min(u + rows_dx, (s.top + s.H - a + s.sv - 1) // s.sv)
    line = (end - row) * s.pitch
    if end <= row:
        return
    phases = offsets[o.phases :]
    for b in range(s.sh):
        col, seen, _ = _columns_of_phase(b, s)
        k0, K = phases[a * s.sh + b], phases[a * s.sh + b + 1] - phases[a * s.sh + b]
        if K > 0 and seen > col:
            for g in range(s.groups):
                call_product(tiles, own, to + (b * s.C + g * CG) * line, line, turned, g * CG * KF + k0,
                        offsets[o.lines_dx :], 1,
                        own, first + (row - u) * s.pitch + col + g * FG * s.dplane, offsets[o.taps_dx :], k0, K, CG,
                        (end - row - 1) * s.pitch + seen - col, bias, g * CG, 0)  # fmt: skip
    for c in range(s.C):
        for r in range(row, end):
            place = ((n * s.C + c) * s.H + r * s.sv + a - s.top) * s.W - s.left
            _write_dx(dx, place, own, to + c * line + (r - row) * s.pitch, s.C * line, bias[c], phases, a, s)


@kernel
def _columns_of_phase(b, s):
    """Columns b, b + sh, … of the image with its border: the first in the image, and the last in a window, and at all.

    Columns further right are in no window.
    """
    stop = (s.left + s.W - b + s.sh - 1) // s.sh
    return max((s.left - b + s.sh - 1) // s.sh, 0), min(stop, s.pitch), stop


@kernel
def _write_dx(dx, place, own, begin, phase, bias, phases, a, s):
    """One row of dx from the rows of its phases; where no window looks, only the bias."""
    if s.sh == 2 and s.left == 0 and s.W % 2 == 0 and s.pitch >= s.W // 2:
        full = phases[2 * a + 1] > phases[2 * a] and phases[2 * a + 2] > phases[2 * a + 1]
        if full:
            alternate_row(dx, place, own, begin, begin + phase, s.W // 2)
            return
    for b in range(s.sh):
        col, seen, stop = _columns_of_phase(b, s)
        filled = seen if phases[a * s.sh + b + 1] > phases[a * s.sh + b] and seen > col else col
        source = begin + b * phase
        if s.sh == 1:
            copy_row(dx, place + col, own, source, filled - col)
        else:
            copy_every(dx, place + col * s.sh + b, s.sh, own, source, 1, filled - col)
        for q in range(filled, stop):
            dx[place + q * s.sh + b] = bias
