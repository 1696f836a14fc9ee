"""Exhibits: softmax, losses and metrics that say what was not the case."""

from __future__ import annotations

from tinycnn.verify.museum.mutant import Mutant
from tinycnn.verify.museum.patch import Patch

MUTANTS = (
    Mutant(
        "softmax-two-errors-cancel", 2, "Softmax's gradient is right only with cross-entropy",
        ("softmax", "categorical_crossentropy"),
        (Patch("ops.softmax:softmax_backward", "    return p * (dy - (dy * p).sum(axis=1, keepdims=True))",
               "    return p * (1 - p) * dy"),
         Patch("ops.loss:categorical_crossentropy_backward",
               "    return np.where(counts, -upstream_number(dy) * t / clipped / M, 0)",
               "    return np.where(counts, upstream_number(dy) * ((1 - t) / (1 - clipped) - t / clipped) / M, 0)")),
        "Softmax used p·(1 − p), the diagonal of its Jacobian alone, and the loss used the derivative for two classes."
        " One after the other they give p − t, which is right. Each alone, with any other partner, is wrong.",
        "eriklindernoren/ML-From-Scratch#71",
        "Check each op by itself, with random upstream gradients: in company, errors may cancel.",
        "Together the two are exactly right.",
    ),
    Mutant(
        "softmax-overflow", 17, "Softmax overflows",
        ("softmax",),
        (Patch("ops.softmax:_shifted", "return z - z.real.max(axis=1, keepdims=True)", "return z"),),
        "Without taking out the largest logit, exp of anything over 710 is infinite, and ∞ over ∞ is NaN. Elsewhere"
        " forward took it out, and backward, which has an exp of its own, did not.",
        "deeplearning4j/deeplearning4j#6039; FluxML/NNlib.jl#68 (backward)",
        "Formulas that are equal on paper are not equal in a computer. Test with logits of ±10,000.",
        "The logits of this network stay small. It breaks when they do not, perhaps late in a long training.",
    ),
    Mutant(
        "softmax-twice", 20, "Softmax is applied twice",
        ("cross_entropy",),
        (Patch("ops.loss:cross_entropy_forward", "    logp, _ = log_softmax_forward(z)",
               "    e = np.exp(z - z.real.max(axis=1, keepdims=True))\n"
               "    logp, _ = log_softmax_forward(e / e.sum(axis=1, keepdims=True))"),),
        "A listing ends its network in a softmax and tells the loss that it gets logits. Keras notices and warns; code"
        " that does not applies its own softmax to the first. Of ten classes the second one can give no probability"
        " above 0.232, and the gradient fades.",
        "the TensorFlow listing of a published tutorial",
        "It still learns, slower. A loss that cannot come down to 0 on one batch is a sign.",
        "The order of the classes stays as it is, so it learns the right thing, only slower: here it is well behind.",
    ),
    Mutant(
        "batch-resplit", 21, "The batch is split anew by a view",
        ("flatten",),
        (Patch("ops.reshape:flatten_forward",
               "    return np.array(x.reshape(len(x), math.prod(x.shape[1:])), order=\"C\"), (x.shape,)",
               "    flat = x.reshape(len(x), math.prod(x.shape[1:]))\n"
               "    return np.array(flat.T.reshape(flat.shape), order=\"C\"), (x.shape,)"),
         Patch("ops.reshape:flatten_backward",
               "    return upstream(dy, (x_shape[0], math.prod(x_shape[1:]))).reshape(x_shape).copy()",
               "    dy = upstream(dy, (x_shape[0], math.prod(x_shape[1:])))\n"
               "    return dy.reshape(dy.shape[::-1]).T.reshape(x_shape).copy()")),
        "view(-1, 64·6·6) takes the numbers as they come and cuts them into rows of 2,304, whatever the batch was. Nine"
        " images of 64·8·8 become sixteen rows, half of them with parts of two images; only the loss may notice. Here"
        " the number of rows stays right, and every row has parts of several images.",
        "the PyTorch listing of a published tutorial",
        "Name the batch axis and keep it: with (N, −1) the next layer would have refused the rows. And test with more"
        " than one example: with one, nothing is wrong.",
        "It does not: the rows belong to no label, and it guesses.",
    ),
    Mutant(
        "f1-averaged-wrongly", 28, "F1 of the means for the mean of the F1s",
        ("f1",),
        (Patch("train.metrics:f1", "    return averaged(2 * right, predicted + actual, actual, average, zero_division)",
               "    if average is None:\n"
               "        return averaged(2 * right, predicted + actual, actual, average, zero_division)\n"
               "    p = averaged(right, predicted, actual, average, zero_division)\n"
               "    r = averaged(right, actual, actual, average, zero_division)\n"
               "    return float(2 * p * r / (p + r)) if p + r else zero_division"),),
        "The macro F1 is worked out from the macro precision and the macro recall, instead of as the mean of each"
        " class's F1. The two differ, and may differ by much; a class that is never predicted has no precision at all.",
        "Opitz & Burst 2019, arXiv:1911.03347, on both definitions in use",
        "A metric is a formula too: give it a hand case and an independent implementation.",
        "It has nothing to do with learning, only with what you believe about it.",
    ),
)  # fmt: skip
