"""Slips in one line of code, as changes of our own: the museum's small sisters, which nobody ever reported."""

from __future__ import annotations

from dataclasses import dataclass

from tinycnn.verify.museum import Patch

MAX_FORWARD, MAX_BACKWARD = "ops.pool:max_pool2d_forward", "ops.pool:max_pool2d_backward"
ADAM = "optim.adam:adam_step"


@dataclass(frozen=True)
class CodeSlip:
    """A slip: its patches, and what to tell whoever made it."""

    name: str
    title: str
    story: str
    patches: tuple[Patch, ...]


CODE_SLIPS = (
    CodeSlip("tie-last", "Of equal numbers the last wins, not the first",
             "Where a window holds its maximum twice, the gradient goes to the first of them. A ≥ where a > is meant,"
             " or a walk from the end, takes the last.",
             (Patch(MAX_FORWARD, "winner = windows.real.argmax(axis=-1)",
                    "winner = windows.shape[-1] - 1 - windows.real[..., ::-1].argmax(axis=-1)"),)),
    CodeSlip("tie-all", "Every one of several equal maxima gets the whole gradient",
             "A mask x == max is true at every tie, so the gradient is handed out several times. It goes to the first"
             " maximum alone.",
             (Patch(MAX_FORWARD, "return y, (winner, window, x.shape)",
                    "return y, (windows == y[..., None], window, x.shape)"),
              Patch(MAX_BACKWARD, "upstream(dy, winner.shape)", "upstream(dy, winner.shape[:-1])"),
              Patch(MAX_BACKWARD, "np.where(winner == tap, dy, 0)", "np.where(winner[..., tap], dy, 0)"))),
    CodeSlip("average-overlap-overwritten", "Gradients overwrite each other where windows overlap",
             "A pixel in two windows owes to both: dx[…] += share, not dx[…] = share.",
             (Patch("ops.pool:avg_pool2d_backward", "dxp[window.tap(i, j)] += share",
                    "dxp[window.tap(i, j)] = share"),)),
    CodeSlip("overlap-overwritten", "Gradients overwrite each other where windows overlap",
             "A pixel that lies in several windows gets the sum over all of them: +=, not =.",
             (Patch("ops.im2col:col2im", "dxp[window.tap(i, j)] += windows", "dxp[window.tap(i, j)] = windows"),)),
    CodeSlip("border-not-cut-off", "The border is cut off at the wrong side",
             "dx is the padded gradient without its border: it begins at row `padding`, not at row 0.",
             (Patch("ops.im2col:col2im", "return window.crop(dxp)", "return dxp[..., : window.H, : window.W]"),)),
    CodeSlip("average-border-not-cut-off", "The border is cut off at the wrong side",
             "dx is the padded gradient without its border: it begins at row `padding`, not at row 0.",
             (Patch("ops.pool:avg_pool2d_backward", "return window.crop(dxp)",
                    "return dxp[..., : window.H, : window.W]"),)),
    CodeSlip("pad-counted-in-average", "The border is counted in the average, or is not, against what was asked",
             "With count_include_pad=False (the default) a window at the edge divides by the image's pixels in it.",
             (Patch("ops.pool:cells_counted", "    if not count_include_pad:\n", "    if count_include_pad:\n"),)),
    CodeSlip("relu-at-zero", "At exactly 0 the gradient is let through",
             "By convention the derivative of relu at 0 is 0: the test is x > 0, not x ≥ 0.",
             (Patch("ops.activation:relu_forward", "off = x.real <= 0", "off = x.real < 0"),)),
    CodeSlip("statistics-held-constant", "The mean and the variance are taken for constants",
             "Every number took part in the mean and in the variance, so backward has two more terms: the gradient's"
             " mean, and its part along x̂, are taken out.",
             (Patch("ops.norm:_normalise_backward", "return rstd * (dxhat - level - xhat * along)",
                    "return rstd * dxhat"),)),
    CodeSlip("batch-statistics-held-constant", "The mean and the variance are taken for constants",
             "Every number took part in the mean and in the variance, so backward has two more terms: the gradient's"
             " mean, and its part along x̂, are taken out.",
             (Patch("ops.norm:batch_norm_backward", "rest = dy if mean is None else dy - (dbeta + xhat * dgamma) /"
                    " _per_channel(xhat)", "rest = dy"),)),
    CodeSlip("batch-variance-held-constant", "The variance is taken for a constant",
             "The gradient passes through the variance too: the term x̂ · dgamma / M is missing.",
             (Patch("ops.norm:batch_norm_backward", "(dbeta + xhat * dgamma)", "dbeta"),)),
    CodeSlip("variance-held-constant", "The variance is taken for a constant",
             "The gradient passes through the variance too: the term x̂ · mean(dx̂ · x̂) is missing.",
             (Patch("ops.norm:_normalise_backward", "return rstd * (dxhat - level - xhat * along)",
                    "return rstd * (dxhat - level)"),)),
    CodeSlip("variance-unbiased", "The variance is divided by M − 1",
             "Normalising uses the mean of the squares (over M). The unbiased one, over M − 1, is for the running"
             " statistics alone.",
             (Patch("ops.norm:_moments", "(centred * centred).mean(axis=axes, keepdims=True)",
                    "(centred * centred).sum(axis=axes, keepdims=True)"
                    " / max(np.prod([x.shape[a] for a in axes]) - 1, 1)"),)),
    CodeSlip("eps-outside-the-root", "eps is added to the standard deviation, not to the variance",
             "1 / sqrt(var + eps), not 1 / (sqrt(var) + eps).",
             (Patch("ops.norm:_normalise", "rstd = 1 / np.sqrt(var + eps)", "rstd = 1 / (np.sqrt(var) + eps)"),)),
    CodeSlip("adam-eps-inside-the-root", "eps stands under the root",
             "Adam divides by sqrt(v̂) + eps, not by sqrt(v̂ + eps).",
             (Patch(ADAM, "(np.sqrt(v_hat) + eps)", "np.sqrt(v_hat + eps)"),)),
    CodeSlip("adam-first-mean-uncorrected", "The running mean m is not corrected",
             "m is divided by 1 − beta1^t, as v is by 1 − beta2^t.",
             (Patch(ADAM, "m_hat = m / (1 - beta1**t)", "m_hat = m"),)),
    CodeSlip("adam-second-mean-uncorrected", "The running mean of the squares v is not corrected",
             "v is divided by 1 − beta2^t, as m is by 1 − beta1^t.",
             (Patch(ADAM, "v_hat = v / (1 - beta2**t)", "v_hat = v"),)),
    CodeSlip("adam-without-root", "The root of v is missing",
             "The step is divided by sqrt(v̂): by the gradient's size, not by its square.",
             (Patch(ADAM, "np.sqrt(v_hat)", "v_hat"),)),
    CodeSlip("adam-gradient-not-squared", "v holds the gradient, not its square",
             "v = beta2·v + (1 − beta2)·dw².",
             (Patch(ADAM, "v = beta2 * v + (1 - beta2) * dw * dw", "v = beta2 * v + (1 - beta2) * abs(dw)"),)),
    CodeSlip("rate-in-the-velocity", "The rate is inside the velocity",
             "v = momentum·v + dw, and the rate comes in at the step, w − lr·v. Polyak's own form, v = momentum·v +"
             " lr·dw, is another convention: the two differ when the rate changes.",
             (Patch("optim.sgd:momentum_step", "v = momentum * v + dw", "v = momentum * v + lr * dw"),
              Patch("optim.sgd:momentum_step", "return w - lr * v, v", "return w - v, v"))),
    CodeSlip("tanh-not-squared", "The square is missing in tanh's slope",
             "The slope is 1 − y², not 1 − y.",
             (Patch("ops.activation:tanh_backward", "(1 - y * y)", "(1 - y)"),)),
    CodeSlip("softmax-overflow-logits", "The largest logit is not taken out first",
             "exp of anything over 709 is infinite. z − max(z) gives the same probabilities, and never overflows.",
             (Patch("ops.softmax:log_softmax_forward",
                    "    y = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))",
                    "    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)\n    y = np.log(p)"),)),
)  # fmt: skip
