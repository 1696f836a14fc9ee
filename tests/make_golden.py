"""Make the files of tests/golden anew, by hand, after a deliberate change.

    python tests/make_golden.py formulas    # how every op's formula prints
    python tests/make_golden.py torch       # what PyTorch computes (needs PyTorch), for tests that run without it
    python tests/make_golden.py optim       # a hundred steps of PyTorch's optimizers, likewise
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "golden"
RECORDED = {  # which cases PyTorch's answers are recorded for: one of each kind, so that the file stays small
    "conv2d": ("stride", "four_paddings", "same", "dilation", "groups", "depthwise", "flip"),
    "max_pool2d": ("overlapping", "padding", "ceil_padding", "dilation", "same"),
    "min_pool2d": ("overlapping", "dilation"),
    "avg_pool2d": ("overlapping", "padding", "ceil_padding", "include_pad_ceil", "same"),
    "global_avg_pool2d": ("images",),
    "linear": ("plain", "no_bias"),
    "relu": ("images",),
    "softmax": ("images",),
    "log_softmax": ("images",),
    "flatten": ("images",),
    "pad2d": ("value",),
    "cross_entropy": ("labels", "one_hot", "soft", "pixels", "weights", "weights_soft", "smoothing", "ignore", "all"),
    "categorical_crossentropy": ("labels", "pixels"),
    "focal": ("labels", "gamma_0", "gamma_1", "pixels"),
    "mse": ("images",),
    "mae": ("images",),
    "hinge": ("rows",),
    "multi_margin": ("labels", "pixels"),
    "binary_cross_entropy_with_logits": ("rows", "soft"),
    "binary_cross_entropy": ("rows", "images"),
    "dice": ("masks", "rows"),
    "leaky_relu": ("steep",),
    "elu": ("alpha",),
    "sigmoid": ("rows",),
    "tanh": ("rows",),
    "batch_norm": ("images", "eval_images"),
    "layer_norm": ("rows",),
    "group_norm": ("rows",),
    "upsample_bilinear2d": ("odd", "corners_odd"),
    "max_unpool2d": ("odd",),
    "conv_transpose2d": ("output_padding",),
    "conv1d": ("groups_flip",),
}


def printed_formulas() -> str:
    """Every formula of tinycnn.ops in text and LaTeX, a paragraph each."""
    from tinycnn import ops

    entries = {getattr(ops, name).formula.name: getattr(ops, name).formula for name in sorted(ops.__all__)}
    return "\n\n".join(f"{name}\n{entry.text}\n{entry.latex}" for name, entry in entries.items()) + "\n"


def torch_vectors() -> dict[str, np.ndarray]:
    """Inputs (float32, so that half the bytes say them exactly), and PyTorch's results in float64."""
    from op_cases import CASES
    from torch_reference import torch_results

    table = {}
    for case in CASES:
        if case.variant not in RECORDED.get(case.name, ()):
            continue
        args, options = case.build(dtype=np.float32, N=1)
        wide = [a.astype(np.float64) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in args]
        dy = lambda y, case=case: np.float64(case.upstream(y, dtype=np.float32))  # noqa: E731
        y, gradients = torch_results(case, wide, options, case.grads, dy)
        table |= {f"{case}/arg{p}": a for p, a in enumerate(args) if isinstance(a, np.ndarray)}
        table |= {f"{case}/y": y, f"{case}/dy": np.float32(dy(y))}
        table |= {f"{case}/grad{p}": g for p, g in zip(case.grads, gradients, strict=True) if g is not None}
    return table


def optimizer_vectors() -> dict[str, np.ndarray]:
    """Weights and gradients (float32, as above), and PyTorch's weights in float64 after 1, 10 and 100 steps."""
    from optim_cases import RECORDED_STEPS, SHAPES, VARIED, end_to_end, random_grads, random_params, torch_trajectory

    narrow = lambda arrays: {key: np.float32(a) for key, a in arrays.items()}  # noqa: E731
    wide = lambda arrays: {key: np.float64(a) for key, a in arrays.items()}  # noqa: E731
    start, grads = narrow(random_params()), [narrow(step) for step in random_grads(100)]
    table = {f"start/{key}": w for key, w in start.items()}
    table |= {f"grads/{key}": np.stack([step[key] for step in grads]) for key in SHAPES}
    for name, case in VARIED.items():
        weights = list(torch_trajectory(case, wide(start), [wide(step) for step in grads]))
        table[name] = np.stack([end_to_end(weights[t - 1]) for t in RECORDED_STEPS])
    return table


def main(what: str) -> None:
    """Write one of the files."""
    if what == "formulas":
        (FOLDER / "formulas.txt").write_text(printed_formulas(), encoding="utf-8")
    elif what == "torch":
        np.savez_compressed(FOLDER / "torch_ops.npz", **torch_vectors())
    elif what == "optim":
        np.savez_compressed(FOLDER / "torch_optim.npz", **optimizer_vectors())
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
