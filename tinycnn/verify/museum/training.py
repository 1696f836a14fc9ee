"""Exhibits: what goes wrong between the steps of training: norms, dropout, optimizers, arrays changed in place."""

from __future__ import annotations

from tinycnn.verify.museum.mutant import Mutant
from tinycnn.verify.museum.patch import Patch

ADAM = "optim.adam:adam_step"

MUTANTS = (
    Mutant(
        "batchnorm-per-pixel", 4, "Batch norm normalises each pixel",
        ("batch_norm",),
        (Patch("ops.norm:batch_norm_forward",
               "    x, axes = _channels(x)\n",
               "    x, axes = _channels(x)\n    axes = (0,) if mean is None else axes\n"),
         Patch("ops.norm:batch_norm_forward",
               "BatchNormCache(xhat, rstd, gamma.reshape(wide), mean.ravel(), var.ravel() * (M / (M - 1)))",
               "BatchNormCache(xhat, rstd, gamma.reshape(wide), *batch_statistics(x))")),
        "The image is flattened before it is normalised: the mean is taken over the batch alone, and every pixel of a"
        " channel has statistics of its own. Here the layer keeps running statistics by channel all the same, so"
        " evaluation does another thing than training.",
        "oreilly-japan/deep-learning-from-scratch, BatchNormalization",
        "The output looks normalised either way. The number of statistics gives it away: C, not C·H·W.",
        "What it learns from is still the image, normalised more than it should be. But it loses a good deal.",
    ),
    Mutant(
        "dy-changed-in-place", 11, "The upstream gradient is changed in place",
        ("relu",),
        (Patch("ops.activation:relu_backward", "    return np.where(off, 0, upstream(dy, off.shape))",
               "    dy = upstream(dy, off.shape)\n    dy[off] = 0\n    return dy"),),
        "Backward zeroes the entries of the array it is handed. Where the same array goes two ways, as in x + relu(x),"
        " the other way gets the zeros too: for a negative x the gradient is 1, and comes out as 0.",
        "oreilly-japan/deep-learning-from-scratch, Relu",
        "backward returns, and changes nothing that the caller holds. By itself the result is right, and every"
        " gradient check passes.",
        "In a plain chain of layers nobody else holds the array. Here there are shortcuts, and positive numbers'"
        " gradients are still right.",
    ),
    Mutant(
        "adam-without-correction", 16, "Adam without bias correction",
        ("adam",),
        (Patch(ADAM, "    m_hat = m / (1 - beta1**t)\n    v_hat = v / (1 - beta2**t)\n", "    m_hat, v_hat = m, v\n"),),
        "Both means begin at zero and are too small at first; the correction undoes that. Without it the first step is"
        " three times too long, the tenth more than six times, the thousandth still by a quarter. Elsewhere it was"
        " right until a resume: the powers of β were taken before the saved β were restored.",
        "ml-explore/mlx#1640 (left out); tenstorrent/tt-metal#53212 (after a resume)",
        "Follow another implementation's trajectory, step by step, and go on with it after saving and loading.",
        "Here it even reached more: longer steps are a higher learning rate, and these 120 steps were few. The first"
        " report came from a network that had trouble without the correction.",
    ),
    Mutant(
        "adamw-decay-in-moments", 23, "Weight decay passes through Adam's moments",
        ("adamw",),
        (Patch("optim.adam:adamw_step", "adam_step(w - lr * weight_decay * w, dw, m, v, t, lr, beta1, beta2, eps)",
               "adam_step(w, dw + weight_decay * w, m, v, t, lr, beta1, beta2, eps)"),),
        "L2 in the gradient is divided by √v like everything else: weights with large gradients hardly decay. Decoupled"
        " decay acts on the weight itself. The paper found the one under the name of the other in common libraries.",
        "Loshchilov & Hutter 2019, arXiv:1711.05101",
        "With plain SGD both are the same, but for a factor of lr, and so they are easily taken for the same.",
        "It learns until the loss's gradient is small. Then √v is small too, and decay pulls with Adam's whole step,"
        " lr, instead of lr·λ·w.",
    ),
    Mutant(
        "dropout-not-rescaled", 24, "Dropout does not rescale",
        ("dropout",),
        (Patch("ops.dropout:dropout_forward", "np.where(mask, x / keep, 0)", "np.where(mask, x, 0)"),
         Patch("ops.dropout:dropout_backward", "upstream(dy, mask.shape) / keep", "upstream(dy, mask.shape)")),
        "Numbers are left out in training, and what is left is not made larger: in evaluation, where nothing is left"
        " out, every sum is, at a rate of a half, about twice what the next layer was trained on.",
        "no one report: a slip that is easily made",
        "Forward and backward agree. The mean of what comes out, over many masks, must be what went in.",
        "Training is not disturbed. In evaluation all the sums grow together, and mostly the same class stays ahead.",
    ),
    Mutant(
        "batchnorm-test-statistics", 25, "Batch norm uses the batch's statistics at test time",
        ("batch_norm",),
        (Patch("layers.norm:_BatchNorm.forward", "    if not (train and self.trainable):\n",
               "    if not (train and self.trainable) and len(x) == 1:\n"),),
        "In evaluation the layer goes on normalising by the batch at hand, so that a prediction depends on which other"
        " images are predicted with it.",
        "no one report: what a forgotten model.eval() does in PyTorch",
        "Predict one image alone and in company: the answers must be the same.",
        "On large, mixed batches the batch's statistics are near the running ones.",
    ),
)  # fmt: skip
