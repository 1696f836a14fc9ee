"""Exhibits: pools that lose gradients, borders and NaNs."""

from __future__ import annotations

from tinycnn.verify.museum.mutant import Mutant
from tinycnn.verify.museum.patch import Patch

MAX_BACKWARD, MAX_FORWARD = "ops.pool:max_pool2d_backward", "ops.pool:max_pool2d_forward"

MUTANTS = (
    Mutant(
        "pool-overlap-overwritten", 1, "Max pool's backward assigns where windows overlap",
        ("max_pool2d",),
        (Patch(MAX_BACKWARD, "dxp[window.tap(i, j)] += np.where(winner == tap, dy, 0)",
               "dxp[window.tap(i, j)] = np.where(winner == tap, dy, dxp[window.tap(i, j)])"),),
        "A pixel that is the largest of two windows gets a gradient from both of them. The code wrote each gradient"
        " into place instead of adding it, so the last window won. The course's own check passed: its windows do not"
        " overlap.",
        "0809zheng/CS231n-assignment2019#19",
        "Where paths meet, gradients add: the multivariate chain rule is a +=, never an =.",
        "With stride = kernel size nothing is wrong. Here windows overlap, and one of a pixel's gradients still"
        " arrives.",
    ),
    Mutant(
        "avg-pool-without-gradient", 3, "Average pool has no gradient path",
        ("avg_pool2d",),
        (Patch("ops.pool:avg_pool2d_backward", "[window.tap(i, j)] += share", "[window.tap(i, j)] += 0 * share"),),
        "Max pool and convolution each had a backward, average pool had none: the gradient stopped there. Here it hands"
        " zeros to every layer before it, and no error tells.",
        "harvard-edge/cs249r_book#1885",
        "A gradient of zero is an answer, and may be a wrong one. Look at the gradients, not only at the loss.",
        "The layers behind the pool still learn, on features that stay as random as they began.",
    ),
    Mutant(
        "pool-drops-last-window", 5, "A pool loses its last window",
        ("max_pool2d",),
        (Patch("ops.window:_places", "    if ceil_mode and size >= 1:",
               "    size -= (H + pads) % s == 0 and s > 1 and size > 1\n    if ceil_mode and size >= 1:"),),
        "The size of the result and the loop that fills it were two sums, both wrong: of 510 rows came 254 windows"
        " where 255 fit. Once that was mended, odd sizes were reported, for which the result has a row and a column"
        " that the loop does not reach. Here the last window is lost wherever the windows fit exactly.",
        "ahmedfgad/NumPyCNN#2, #5 and #7",
        "Test sizes for which (H + 2p − k) is a multiple of s, and such for which it is not. Our formula's loops see"
        " nothing here, as they ask the same function for the size: an answer from elsewhere must be at hand.",
        "Most of the picture is still seen; its last rows and columns are not, and that costs.",
    ),
    Mutant(
        "pool-early-return", 8, "An early return zeroes most of the pool's gradients",
        ("max_pool2d",),
        (Patch(MAX_BACKWARD, "        dxp[window.tap(i, j)] += np.where(winner == tap, dy, 0)\n",
               "        dxp[window.tap(i, j)] += np.where(winner == tap, dy, 0)\n        return window.crop(dxp)\n"),),
        "A return stood one level too deep, inside the loop over the windows: only the first window handed its gradient"
        " on. The report adds that the model still converges. Our loop runs over the taps of a window, so here it is"
        " the first tap of every window that is left.",
        "riccardoandreoni0/CNN-from-scratch#1",
        "That a network learns proves very little. It learns from a part of its gradient too.",
        "The gradients that are left are right, there are only fewer of them; but it falls far behind.",
    ),
    Mutant(
        "pool-pads-with-zero", 9, "Max pool pads with 0",
        ("max_pool2d",),
        (Patch(MAX_FORWARD, "window.pad(x, -np.inf)", "window.pad(x, 0)"),),
        "The border is filled with zeros, as for a convolution. Where all numbers of a window are negative, the border"
        " wins, and the pool returns a 0 that is nowhere in the image.",
        "oreilly-japan/deep-learning-from-scratch-3 (DeZero), Pooling; ddbourgin/numpy-ml, Pool2D",
        "Forward and backward agree with each other perfectly: a gradient check passes. Only another definition of the"
        " maximum finds it.",
        "With a ReLU behind the pool, or before it, nothing changes: it makes 0 of everything negative.",
    ),
    Mutant(
        "pool-backward-unpadded", 10, "Backward indexes x, not the padded x",
        ("max_pool2d",),
        (Patch(MAX_FORWARD, "    return y, (winner, window, x.shape)",
               "    shifted = np.roll(window.pad(x, -np.inf), (-window.top, -window.left), axis=(2, 3))\n"
               "    winner = window.view(shifted).reshape(windows.shape).real.argmax(axis=-1)\n"
               "    return y, (winner, window, x.shape)"),),
        "Forward takes the maximum of a window of the padded image. Backward looks for it again, at the same rows and"
        " columns of the image without its border: in another window. The gradient goes to where that one has its"
        " maximum.",
        "ddbourgin/numpy-ml, Pool2D.backward",
        "With padding = 0 both are the same. Test with padding > 0, and with another one on each side.",
        "A gradient stays inside its window, or is lost in the border; pixels of one window are much alike.",
    ),
    Mutant(
        "pool-gaps-misplaced", 12, "Gradient at a stride larger than the kernel",
        ("max_pool2d",),
        (Patch(MAX_BACKWARD, "    for tap, (i, j) in enumerate(np.ndindex(window.KH, window.KW)):\n"
               "        dxp[window.tap(i, j)] += np.where(winner == tap, dy, 0)\n    return window.crop(dxp)",
               "    step = min(window.sv, window.KH), min(window.sh, window.KW)\n"
               "    for u, v in np.ndindex(window.OH, window.OW):\n"
               "        for tap, (i, j) in enumerate(np.ndindex(window.KH, window.KW)):\n"
               "            at = (..., u * step[0] + i * window.dv, v * step[1] + j * window.dh)\n"
               "            dxp[at] += np.where(winner[..., u, v] == tap, dy[..., u, v], 0)\n"
               "    return window.crop(dxp)"),),
        "A max pool's gradient was reported wrong at stride 4 with a kernel of 2. Here backward takes the windows to"
        " lie side by side, as they mostly do: gradients go to pixels that no window has seen.",
        "tensorflow#11092",
        "Test strides larger than the kernel: pixels between the windows must get exactly 0.",
        "The layers behind the pool get their whole gradient, and so does the first window.",
    ),
    Mutant(
        "pool-ignores-nan", 18, "A pool overlooks NaN",
        ("max_pool2d",),
        (Patch(MAX_FORWARD, "    winner = windows.real.argmax(axis=-1)",
               "    winner = np.where(np.isnan(windows.real), -np.inf, windows.real).argmax(axis=-1)"),),
        "x > best is false when x is NaN, and a pool that asks so goes on as if the NaN was not there: the maximum of a"
        " NaN and some numbers was a number. In a related bug a window of nothing but NaN or −∞ kept the index −1, and"
        " backward wrote outside of the array.",
        "pytorch/pytorch#7645; pytorch/pytorch#1465",
        "NaN in, NaN out: what is broken must stay visibly broken.",
        "Without NaN nothing is wrong.",
    ),
    Mutant(
        "ceil-mode-divisor", 19, "The average of a window that reaches over the edge",
        ("avg_pool2d",),
        (Patch("ops.pool:cells_counted",
               "    rows = np.minimum(ends[0] - np.arange(window.OH) * window.sv, window.KH)\n"
               "    columns = np.minimum(ends[1] - np.arange(window.OW) * window.sh, window.KW)\n",
               "    rows, columns = np.full(window.OH, window.KH), np.full(window.OW, window.KW)\n"),),
        "With ceil_mode the last window may reach beyond the border. The sum was divided by the whole kernel all the"
        " same, cells beyond the border included, so the means along two edges came out too small.",
        "microsoft/onnxruntime#16203",
        "Options meet: test ceil_mode and count_include_pad together, not one after the other.",
        "Only with both options together is anything wrong, and there only the last row and column.",
    ),
    Mutant(
        "unpool-forgets-indices", 27, "Unpooling forgets where the maxima were",
        ("max_unpool2d",),
        (Patch("ops.resize:max_unpool2d_forward",
               "    np.put_along_axis(y, indices, x.reshape(N, C, H * W), axis=2)",
               "    rows, columns = np.arange(H) * (OH // H), np.arange(W) * (OW // W)\n"
               "    indices = np.broadcast_to((rows[:, None] * OW + columns).ravel(), (N, C, H * W))\n"
               "    np.put_along_axis(y, indices, x.reshape(N, C, H * W), axis=2)"),),
        "Every number is put back at the upper left corner of its window, wherever the maximum was: edges move by up to"
        " a window. SegNet keeps the indices so that they need not.",
        "no one report; what the indices are for: Badrinarayanan, Kendall & Cipolla 2017, arXiv:1511.00561",
        "Forward and backward agree, and the shapes are right. Compare with the formula, or put a pool before it.",
        "Which digit it is needs no exact places: here it reached no less. Where each pixel has a label, it matters.",
    ),
)  # fmt: skip
