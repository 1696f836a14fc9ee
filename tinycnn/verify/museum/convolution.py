"""Exhibits: convolutions whose backward is not the transpose of their forward."""

from __future__ import annotations

from tinycnn.verify.museum.mutant import Mutant
from tinycnn.verify.museum.patch import Patch

BACKWARD = "ops.conv:conv2d_backward"

MUTANTS = (
    Mutant(
        "conv-without-dx", 6, "A convolution without dL/dx",
        ("conv2d",),
        (Patch(BACKWARD, "    dx = col2im(dcols, x_shape, (KH, KW), stride, padding, dilation)",
               "    dx = np.zeros(x_shape, dcols.dtype)"),),
        "The code trains one convolution, and has the gradient of its weights alone. A reader who put a second one"
        " before it found no gradient to pass on. Here it is all zeros: what comes before the last convolution stays as"
        " it began.",
        "vzhou842/cnn-from-scratch#3",
        "Check every gradient that backward owes: of the weights, of the bias, and of the input.",
        "The last convolution and the dense layer learn, and random first filters are not bad filters.",
    ),
    Mutant(
        "flipped-kernel", 7, "The kernel is flipped in backward",
        ("conv2d",),
        (Patch(BACKWARD, "    dcols = (dy_groups @ filters)",
               "    turned = filters.reshape(groups, -1, w_shape[1], KH, KW)[..., ::-1, ::-1].reshape(filters.shape)\n"
               "    dcols = (dy_groups @ turned)"),),
        "A reader asked why backward did not flip the kernel, as the textbook's rule says. The code was right: who"
        " hands on each dy to the pixels that its window saw flips by doing so. Here it is flipped once more.",
        "asked in ddbourgin/numpy-ml#27",
        "An upstream gradient of ones hides much: the sum over all places forgets the order. Use random ones.",
        "The gradient still goes to the right channels and about the right places.",
    ),
    Mutant(
        "transposed-stride-ignored", 13, "A transposed convolution's gradient at stride 2",
        ("conv_transpose2d",),
        (Patch("ops.conv_transpose:conv_transpose2d_backward", "    dx = (cols @ filters",
               "    near, (_, OH, OW) = im2col(dy, w_shape[2:], 1, *_border(window)[1:])\n"
               "    near = by_group(near.reshape(N, OH, OW, -1)[:, :H, :W].reshape(N * H * W, -1), len(filters))\n"
               "    dx = (near @ filters"),),
        "At stride 2 a pixel's stamp lies two pixels after its neighbour's. The report shows an input's gradient that"
        " was taken from one pixel after, as at stride 1, on the processor and not on the graphics card.",
        "pytorch/pytorch#63314",
        "Every option needs its own gradient check: what holds at stride 1 tells nothing about stride 2.",
        "Only the layers before it are misled, and the first pixel least; its own weights learn properly.",
    ),
    Mutant(
        "grouped-strided-dw", 14, "The weights' gradient of a grouped, strided convolution",
        ("conv2d",),
        (Patch(BACKWARD, "    dw = (dy_groups.transpose(0, 2, 1) @ cols).reshape(w_shape)",
               "    strided = groups > 1 and stride not in (1, (1, 1))\n"
               "    dw = (dy_groups.transpose(0, 2, 1) @ (cols[::-1] if strided else cols)).reshape(w_shape)"),),
        "With as many groups as channels and a stride over 1, the weights' gradient did not fit the place it was put"
        " in. Here it fits, but groups get each other's: with a stride, each group's filters meet the windows of"
        " another.",
        "tracel-ai/burn#1891",
        "Options interact. Draw them together, at random, and let the case shrink.",
        "Only this layer's filters are misled; those around it learn properly and make up for much.",
    ),
    Mutant(
        "floor-remainder-shape", 15, "The rows that the last window does not reach",
        ("conv2d",),
        (Patch("ops.im2col:col2im", "    return window.crop(dxp)",
               "    reach = (window.OH - 1) * window.sv + window.dv * (window.KH - 1) + 1\n"
               "    missed = dxp.shape[2] - reach\n"
               "    return window.crop(np.roll(dxp, missed, axis=2) if missed else dxp)"),),
        "Where (H + 2p − k) is no multiple of the stride, the last rows are in no window, and images of several sizes"
        " give the same output. Backward worked the input's size out from the output, and the shapes did not fit. Here"
        " they fit, but the gradient slips down by the rows that are left over.",
        "f-dangel/backpack#30",
        "A floor forgets something. Remember the input's shape instead of working it out backwards.",
        "Mostly nothing is left over; here it is one row, and a gradient one row off is nearly right.",
    ),
    Mutant(
        "bias-gradient-mean", 22, "A mean where a sum is meant, in db",
        ("conv2d",),
        (Patch(BACKWARD, "rows.sum(axis=0) if has_bias", "rows.mean(axis=0) if has_bias"),),
        "Every place of the output has the bias in it, so the bias gathers from all of them, and from every image. The"
        " mean over the places is smaller by their number, often by thousands.",
        "no one report: a slip that is easily made",
        "A gradient that points the right way and is too short passes every test that looks at directions only.",
        "Adam divides a gradient by its own size, so here nothing changes. With plain SGD the bias would hardly move.",
    ),
)  # fmt: skip
