"""Make the recorded files anew, by hand, after a deliberate change: in tests/golden, and in tinycnn/verify/golden.

    python tests/make_golden.py formulas    # how every op's formula prints
    python tests/make_golden.py torch       # what PyTorch computes (needs PyTorch), for tests that run without it
    python tests/make_golden.py optim       # a hundred steps of PyTorch's optimizers, likewise
    python tests/make_golden.py schedules   # the rates of PyTorch's schedulers, likewise
    python tests/make_golden.py parts       # PyTorch on what stands beside the ops: im2col, sizes, statistics
    python tests/make_golden.py metrics     # what scikit-learn computes (needs scikit-learn)
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "golden"
BUNDLED = Path(__file__).parents[1] / "tinycnn" / "verify" / "golden"  # for `tinycnn verify`, where it is installed
RECORDED = {  # which cases PyTorch's answers are recorded for: one of each kind, so that the file stays small
    "conv2d": ("no_bias", "stride", "four_paddings", "same", "dilation", "groups", "depthwise", "flip"),
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
    "leaky_relu": ("images", "steep"),
    "elu": ("images", "alpha"),
    "sigmoid": ("rows",),
    "tanh": ("rows",),
    "batch_norm": ("images", "sequences", "eval_images"),
    "layer_norm": ("images", "eps"),
    "group_norm": ("images", "each_channel"),
    "upsample_bilinear2d": ("odd", "one_pixel", "corners_odd"),
    "max_unpool2d": ("odd",),
    "conv_transpose2d": ("no_bias", "output_padding", "same", "dilation", "groups"),
    "conv1d": ("no_bias", "two_paddings", "dilation", "groups_flip"),
    "dropout": ("images",),
    "upsample_nearest2d": ("odd",),
    "reshape": ("rest",),
    "concat": ("images",),
}


def printed_formulas() -> str:
    """Every formula of tinycnn.ops in text and LaTeX, a paragraph each."""
    from tinycnn import ops

    entries = {getattr(ops, name).formula.name: getattr(ops, name).formula for name in sorted(ops.__all__)}
    return "\n\n".join(f"{name}\n{entry.text}\n{entry.latex}" for name, entry in entries.items()) + "\n"


def torch_vectors() -> dict[str, np.ndarray]:
    """Inputs (float32, so that half the bytes say them exactly), and PyTorch's results in float64."""
    from torch_reference import torch_results

    from tinycnn.verify.cases import CASES

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
    from torch_optim import torch_trajectory

    from tinycnn.verify.optimizer_cases import (
        RECORDED_STEPS,
        SHAPES,
        VARIED,
        end_to_end,
        random_grads,
        random_params,
    )

    narrow = lambda arrays: {key: np.float32(a) for key, a in arrays.items()}  # noqa: E731
    wide = lambda arrays: {key: np.float64(a) for key, a in arrays.items()}  # noqa: E731
    start, grads = narrow(random_params()), [narrow(step) for step in random_grads(100)]
    table = {f"start/{key}": w for key, w in start.items()}
    table |= {f"grads/{key}": np.stack([step[key] for step in grads]) for key in SHAPES}
    for name, case in VARIED.items():
        weights = list(torch_trajectory(case, wide(start), [wide(step) for step in grads]))
        table[name] = np.stack([end_to_end(weights[t - 1]) for t in RECORDED_STEPS])
    return table


def schedule_vectors() -> dict[str, np.ndarray]:
    """PyTorch's rates step by step, for a rate of 1."""
    from torch_optim import torch_plateau, torch_schedule

    from tinycnn.verify.schedule_cases import CASES, PLATEAUS, watched_values

    table = {name: np.array(torch_schedule(case)) for name, case in CASES.items()}
    return table | {name: np.array(torch_plateau(case, watched_values())) for name, case in PLATEAUS.items()}


def part_vectors() -> dict[str, np.ndarray]:
    """PyTorch on what stands beside the pairs of ops, for the cases of tinycnn/verify/part_cases.py."""
    import torch

    from tinycnn.verify.part_cases import GRIDS, PENALTY_WEIGHTS, STATISTICS, WINDOWS, window_image

    F = torch.nn.functional
    table = {}
    for name, o in WINDOWS.items():
        x = torch.tensor(window_image(name), requires_grad=True)
        cols = F.unfold(x, o["kernel_size"], o["dilation"], o["padding"], o["stride"])
        cols = cols.movedim(1, 2).flatten(0, 1)  # ours has a window a row
        dcols = np.random.default_rng(5).normal(size=cols.shape)
        cols.backward(torch.tensor(dcols))
        pooled = F.max_pool2d(x, o["kernel_size"], o["stride"], o["padding"], o["dilation"])
        table |= {f"im2col/{name}": cols.detach().numpy(), f"col2im/{name}": x.grad.numpy()}
        table[f"output_size/{name}"] = np.array(pooled.shape[2:])
        _, indices = F.max_pool2d(x, o["kernel_size"], o["stride"], o["padding"], o["dilation"], return_indices=True)
        table[f"max_pool2d_indices/{name}"] = indices.numpy()
        w = torch.zeros(2, 1, *o["kernel_size"], dtype=torch.float64)
        shape = F.conv_transpose2d(x.detach(), w, None, o["stride"], o["padding"], 0, 1, o["dilation"]).shape
        table[f"transposed_size/{name}"] = np.array(shape[2:])
    for name, (x, mean, var, momentum) in STATISTICS.items():
        running = torch.tensor(mean), torch.tensor(var)
        F.batch_norm(torch.tensor(x), *running, training=True, momentum=momentum)
        table |= {f"running/{name}/mean": running[0].numpy(), f"running/{name}/var": running[1].numpy()}
        running = torch.tensor(mean), torch.tensor(var)
        F.batch_norm(torch.tensor(x), *running, training=True, momentum=1.0)  # nothing is left of what was
        table |= {f"batch/{name}/mean": running[0].numpy(), f"batch/{name}/var": running[1].numpy()}
    for name, (H, scale, align) in GRIDS.items():
        units = torch.eye(H, dtype=torch.float64)[:, None, :]  # every unit vector, stretched: a column of the matrix
        table[f"grid/{name}"] = F.interpolate(units, H * scale, mode="linear", align_corners=align)[:, 0].numpy().T
    w = torch.tensor(PENALTY_WEIGHTS, requires_grad=True)
    for name, penalty in {"l1": 0.3 * w.abs().sum(), "l2": 0.3 * (w * w).sum()}.items():
        (dw,) = torch.autograd.grad(penalty, w)
        table |= {f"{name}/R": penalty.detach().numpy(), f"{name}/dw": dw.numpy()}
    return table


def metric_vectors() -> dict[str, np.ndarray]:
    """scikit-learn's answers for the cases of tinycnn/verify/part_cases.py."""
    from sklearn import metrics
    from sklearn.calibration import calibration_curve

    from tinycnn.verify.part_cases import AVERAGES, belief_case, label_case, number_case, ranking_case, score_case

    table = {}
    for seed in range(6):
        true, pred, K = label_case(seed)
        table[f"confusion_matrix/{seed}"] = metrics.confusion_matrix(true, pred, labels=range(K))
        table[f"accuracy/{seed}"] = np.array(metrics.accuracy_score(true, pred))
        ratios = {"precision": metrics.precision_score, "recall": metrics.recall_score, "f1": metrics.f1_score,
                  "iou": metrics.jaccard_score}  # fmt: skip
        for name, ratio in ratios.items():
            for average in AVERAGES:
                found = ratio(true, pred, labels=range(K), average=average, zero_division=0.0)
                table[f"{name}/{average}/{seed}"] = np.array(found)
        labels, scores, k = score_case(seed)
        found = metrics.top_k_accuracy_score(labels, scores, k=k, labels=range(scores.shape[1]))
        table[f"top_k_accuracy/{seed}"] = np.array(found)
        true, scores = ranking_case(seed)
        fpr, tpr, _ = metrics.roc_curve(true, scores, drop_intermediate=False)
        precision, recall, _ = metrics.precision_recall_curve(true, scores)
        table |= {f"roc_curve/0/{seed}": fpr, f"roc_curve/1/{seed}": tpr}
        table |= {f"precision_recall_curve/0/{seed}": precision[::-1], f"precision_recall_curve/1/{seed}": recall[::-1]}
        table[f"roc_auc/{seed}"] = np.array(metrics.roc_auc_score(true, scores))
        table[f"average_precision/{seed}"] = np.array(metrics.average_precision_score(true, scores))
        table |= {f"auc/xy/{seed}": np.stack([fpr, tpr]), f"auc/{seed}": np.array(metrics.auc(fpr, tpr))}
        true, p = belief_case(seed)
        right = (p.argmax(axis=1) == true).astype(int)
        came, promised = calibration_curve(right, p.max(axis=1), n_bins=10, pos_label=1)
        table |= {f"calibration_curve/0/{seed}": came, f"calibration_curve/1/{seed}": promised}
        brier = metrics.brier_score_loss(true, p, labels=range(p.shape[1]), scale_by_half=False)
        table[f"brier_score/{seed}"] = np.array(brier)
        a, b = number_case(seed)
        table[f"mean_squared_error/{seed}"] = np.array(metrics.mean_squared_error(a, b))
        table[f"mean_absolute_error/{seed}"] = np.array(metrics.mean_absolute_error(a, b))
        table[f"r2/{seed}"] = np.array(metrics.r2_score(a.ravel(), b.ravel()))
    return table


def main(what: str) -> None:
    """Write one of the files."""
    if what == "formulas":
        (FOLDER / "formulas.txt").write_text(printed_formulas(), encoding="utf-8")
    elif what == "torch":
        np.savez_compressed(BUNDLED / "torch_ops.npz", **torch_vectors())
    elif what == "optim":
        np.savez_compressed(BUNDLED / "torch_optim.npz", **optimizer_vectors())
    elif what == "schedules":
        np.savez_compressed(BUNDLED / "torch_schedules.npz", **schedule_vectors())
    elif what == "parts":
        np.savez_compressed(BUNDLED / "torch_parts.npz", **part_vectors())
    elif what == "metrics":
        np.savez_compressed(BUNDLED / "sklearn_metrics.npz", **metric_vectors())
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
