"""One piece of a convolution: a few rows of windows of one image, or several small images, to stay in the cache.

Forward, the images are read where they lie (or laid out with their border), and the register tile multiplies all
windows of the piece by one strip of filters after the other. What it gives has a window in each row and a filter in
each column; turned on its side, it is rows of y. Backward, dy is laid out once, with zeros where no window is, and all
three gradients are fed from it: db is its sum, dw the image times dy turned on its side, and dx a convolution of dy
with the filters turned around.
"""

from __future__ import annotations

from tinycnn.kernels.compiling import kernel
from tinycnn.kernels.conv_plan import columns_of_phase, pieces, room_of_dy, room_of_images
from tinycnn.kernels.rows import copy_every, copy_row, lay_row, row_sum, zero_row
from tinycnn.kernels.shuffled_rows import alternate_row, turn_rows
from tinycnn.kernels.tile import call_product, strip_width

DX, DW = 1, 2  # which gradients are wanted
columns_of_phase, room_of_images, room_of_dy = kernel(columns_of_phase), kernel(room_of_images), kernel(room_of_dy)
pieces_of = kernel(pieces)


@kernel(inline="always")
def piece(item, N, s):
    """Which images a piece of work has, the first and how many, and which rows of windows."""
    if s.blocks > 1:
        u = item % s.blocks * s.R
        return item // s.blocks, 1, u, min(s.R, s.OH - u)
    return item * s.G, min(s.G, N - item * s.G), 0, s.OH


@kernel
def lay_out(to, x, n, images, u, s):
    """Copy what the windows from row u on see of some images to working space, with the border."""
    left, top = min(s.left, s.pitch), u * s.sv - s.top
    columns = min(s.W, s.pitch - left)
    for m in range(images * s.C):
        begin, image = m * s.plane, (n * s.C + m) * s.H
        if s.pitch == s.W and left == 0 and top >= 0 and top + s.seen <= s.H:  # rows without a border: all at once
            lay_row(to, begin, x, (image + top) * s.W, s.seen * s.W)
            continue
        for row in range(top, top + s.seen):
            if row < 0 or row >= s.H:
                zero_row(to, begin, s.pitch)
            else:
                zero_row(to, begin, left)
                lay_row(to, begin + left, x, (image + row) * s.W, columns)
                zero_row(to, begin + left + columns, s.pitch - left - columns)
            begin += s.pitch


@kernel(inline="always")
def images_of_piece(x, own, s, n, images, u):
    """Where the windows from row u on are read: where the images lie, or laid out in working space."""
    if s.copied:
        lay_out(own, x, n, images, u, s)
        return own, 0
    return x, n * s.C * s.plane + u * s.sv * s.pitch


@kernel(inline="always")
def windows_of_strip(tiles, source, x0, packed, bias, offsets, o, own, s, r, pixels, g, f, width):
    """own[room of images + window·width + filter]: windows from row r of a piece on, a strip of a group's filters."""
    K = s.C // s.groups * s.KK
    call_product(tiles, own, room_of_images(s), width, source, x0 + g * (s.C // s.groups) * s.plane,
            offsets[o.pixels + r * s.OW :], offsets[o.taps :], packed, (g * s.FP + f) * K, 0, K, pixels, width,
            bias, g * s.FP + f, 0, 0)  # fmt: skip


@kernel
def turn_out(to, at, pitch, own, begin, width, there, pixels, s):
    """to[at + f·pitch + p] = own[begin + p·width + f], for all p < pixels and f < there.

    A whole vector of pixels at a time, the last of them together with some of those before; so there are as many
    pixels and filters as fill one.
    """
    for p in range(0, pixels, s.lanes):
        p = min(p, pixels - s.lanes)
        turn_rows(to, at + p, pitch, own, begin + p * width, width, s.lanes, there)


@kernel
def turn_in_space(own, to, begin, width, pixels, s):
    """The same for any number of pixels, within working space, where there is room for more."""
    for p in range(0, pixels, s.lanes):
        turn_rows(own, to + p, s.line, own, begin + p * width, width, pixels - p, width)


@kernel
def write_out(y, n, images, own, begin, s, g, f, width, u, rows):
    """A strip of results, from own[begin] on, to where it belongs in y."""
    FG, size, pixels = s.F // s.groups, s.OH * s.OW, rows * s.OW
    there = min(width, FG - f)
    lines = begin + s.tile
    turned = there < s.lanes or pixels < s.lanes
    if turned:
        turn_in_space(own, lines, begin, width, images * pixels, s)
    for m in range(images):
        at = ((n + m) * s.F + g * FG + f) * size + u * s.OW
        if not turned:
            turn_out(y, at, size, own, begin + m * pixels * width, width, there, pixels, s)
            continue
        for j in range(there):
            copy_row(y, at + j * size, own, lines + j * s.line + m * pixels, pixels)


@kernel
def lay_out_dy(to, dy, s, n, images, u, rows):
    """Copy dy of a piece with zeros where no window is, as the taps of dx will read it.

    What is left of a row is zero, and is right of the row before. Above are the rows that the first pixels need.
    """
    for m in range(images * s.F):
        begin = room_of_images(s) + m * s.dplane
        if s.right + s.down == 0 and u + rows <= s.OH:  # no window lies across another: all rows at once
            lay_row(to, begin, dy, ((n * s.F + m) * s.OH + u) * s.OW, rows * s.OW)
            continue
        zero_row(to, begin, s.right)
        begin += s.right
        for row in range(u - s.down, u + rows):
            if row < 0 or row >= s.OH:
                zero_row(to, begin, s.dpitch)
            else:
                lay_row(to, begin, dy, ((n * s.F + m) * s.OH + row) * s.OW, s.OW)
                zero_row(to, begin + s.OW, s.right)
            begin += s.dpitch


@kernel(inline="always")
def rows_of_dx(s, u):
    """How many rows of dx a piece writes, counted in phases; the last one those below the last window as well."""
    return s.R if u + s.R < s.OH else s.rows - u


@kernel(inline="always")
def backward_piece(tiles, wanted, dx, dw, dw0, db, db0, x, packed, bias, offsets, o, own, s, n, images, u, rows):
    """Add a piece to dw and db, and write its rows of dx; `packed` are the filters as (group, taps of dx, c).

    Only what is `wanted`, DX or DW or their sum; dw and db come together. The piece's dy is laid out already; `bias` is
    what dx begins with, one number a channel.
    """
    first = room_of_images(s) + s.right + s.down * s.dpitch  # dy of the piece's first window
    free = room_of_images(s) + room_of_dy(s)
    if wanted & DW:
        _dw_of_piece(tiles, dw, dw0, x, bias, offsets, o, own, first, free, s, n, images, u, rows)
        for m in range(images):
            for f in range(s.F):
                db[db0 + f] += row_sum(own, first + (m * s.F + f) * s.dplane, (rows - 1) * s.dpitch + s.OW)
    if wanted & DX:
        for a in range(s.sv):
            row = max(u, (s.top - a + s.sv - 1) // s.sv)
            end = min(u + rows_of_dx(s, u), (s.top + s.H - a + s.sv - 1) // s.sv)
            for r in range(row, end, s.near if s.G == 1 else s.rows):
                _dx_of_rows(tiles, dx, a, packed, bias, offsets, o, own, first + (r - u) * s.dpitch, free, s, n,
                            images, r, min(r + s.near, end) if s.G == 1 else end)  # fmt: skip


@kernel(inline="always")
def _dw_of_piece(tiles, dw, dw0, x, bias, offsets, o, own, first, free, s, n, images, u, rows):
    """dw as (group, strip, tap, f): products of x with dy turned on its side, the filters of a window side by side."""
    FG, CG = s.F // s.groups, s.C // s.groups
    K = CG * s.KK
    source, x0 = images_of_piece(x, own, s, n, images, u)
    for g in range(s.groups):
        f = 0
        while f < s.FP:
            width = strip_width(s.FP - f, s.lanes)
            for r in range(0, rows, s.near):
                some = min(s.near, rows - r)
                _turn_dy(own, free, first + r * s.dpitch, s, g * FG, f, width, images, some)
                call_product(tiles, dw, dw0 + (g * s.FP + f) * K, width, source, x0 + g * CG * s.plane,
                        offsets[o.taps :], offsets[o.pixels + r * s.OW :], own, free, 0, images * some * s.OW, K, width,
                        bias, 0, 0, 1)  # fmt: skip
            f += width


@kernel
def _turn_dy(own, to, first, s, f0, f, width, images, rows):
    """Window after window: dy of a strip's filters side by side; filters that are not there repeat the last."""
    FG = s.F // s.groups
    for m in range(images):
        for r in range(rows):
            at = to + (m * rows + r) * s.OW * width
            for v in range(f, f + width, s.lanes):
                begin = first + (m * s.F + f0 + v) * s.dplane + r * s.dpitch
                turn_rows(own, at + v - f, width, own, begin, s.dplane, FG - v, s.OW)


@kernel(inline="always")
def _dx_of_rows(tiles, dx, a, packed, bias, offsets, o, own, first, free, s, n, images, row, end):
    """dx of some images at rows a, a + sv, … of the image with its border: of these the rows `row` … `end`."""
    CG, FG, KF = s.C // s.groups, s.F // s.groups, s.F // s.groups * s.KK
    lines, phases, starts = free + s.tile, offsets[o.phases :], offsets[o.starts :]
    in_turns, first_phase = _in_turns(phases, a, s), s.left % 2
    whole = s.sv * s.sh == 1 and (end - row) * s.W >= s.lanes  # every column is in a window, and in the one phase
    for g in range(s.groups):
        c = 0
        while c < s.CP:
            width = strip_width(s.CP - c, s.lanes)
            there = min(width, CG - c)
            direct = whole and there >= s.lanes
            for b in range(s.sh):
                phase = a * s.sh + b
                col, seen, _ = columns_of_phase(b, s.sh, s.left, s.W, s.dpitch)
                k0, K, pixels = phases[phase], phases[phase + 1] - phases[phase], images * (end - row) * (seen - col)
                if K == 0 or seen <= col:
                    continue
                call_product(tiles, own, free, width, own, first + g * FG * s.dplane,
                        offsets[o.pixels_dx + starts[phase] :], offsets[o.taps_dx + k0 :], packed,
                        (g * s.CP + c) * KF + k0 * width, 0, K, pixels, width, bias, g * s.CP + c, 0, 0)  # fmt: skip
                if not direct:
                    turn_in_space(own, lines + b * width * s.line, free, width, pixels, s)
            for m in range(images):
                at = ((n + m) * s.C + g * CG + c) * s.H * s.W
                if direct:
                    pixels = (end - row) * s.W
                    turn_out(dx, at + (row - s.top) * s.W, s.H * s.W, own, free + m * pixels * width, width, there,
                             pixels, s)  # fmt: skip
                    continue
                for j in range(there):
                    for r in range(row, end):
                        place, source = at + (j * s.H + r * s.sv + a - s.top) * s.W, lines + j * s.line
                        if in_turns:
                            source += (m * (end - row) + r - row) * (s.W // 2)
                            other = source + (1 - first_phase) * width * s.line
                            alternate_row(dx, place, own, source + first_phase * width * s.line, other, s.W // 2)
                        else:
                            _write_dx(dx, place, own, source, m * (end - row) + r - row, width * s.line,
                                      bias[g * s.CP + c + j], phases, a, s)  # fmt: skip
            c += width


@kernel
def _in_turns(phases, a, s):
    """Whether the pixels of a row are of two phases in turns, with as many of each, and all of them in windows."""
    for b in range(s.sh):
        _, seen, stop = columns_of_phase(b, s.sh, s.left, s.W, s.dpitch)
        if seen < stop or phases[a * s.sh + b + 1] == phases[a * s.sh + b]:
            return False
    return s.sh == 2 and s.W % 2 == 0


@kernel
def _write_dx(dx, place, own, begin, r, apart, bias, phases, a, s):
    """One row of dx from row r of each of its phases; where no window looks, only the bias."""
    for b in range(s.sh):
        col, seen, stop = columns_of_phase(b, s.sh, s.left, s.W, s.dpitch)
        filled = seen if phases[a * s.sh + b + 1] > phases[a * s.sh + b] and seen > col else col
        source, first = begin + b * apart + r * (filled - col), place + col * s.sh + b - s.left
        if s.sh == 1:
            copy_row(dx, first, own, source, filled - col)
        else:
            copy_every(dx, first, s.sh, own, source, 1, filled - col)
        for q in range(filled, stop):
            dx[place + q * s.sh + b - s.left] = bias
