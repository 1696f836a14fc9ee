"""A judge that finds nobody guilty proves nothing: ops with mistakes in them are run by ONNX's cases, and condemned."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tinycnn import ops
from tinycnn.backends import RUNGS, Rung, backend

pytest.importorskip("onnx")
from onnx_judge.cases import MODEL_KINDS, all_cases, node_cases
from onnx_judge.scope import OUT_OF_SCOPE


def _conv_flipped(x, w, b, **options):
    return ops.conv2d_forward(x, w, b, **options, flip=True)


def _mixed_up(forward, order):
    """The op with the four sides of its border in another order."""

    def mixed(*args, padding=0, **options):
        return forward(*args, padding=padding if isinstance(padding, str) else [padding[k] for k in order], **options)

    return mixed


COLUMNS_FOR_ROWS, ENDS_FOR_STARTS = (2, 3, 0, 1), (1, 0, 3, 2)


def _max_pool_of_zeros(x, kernel_size, padding=0, **options):
    border = padding if isinstance(padding, tuple) else 0
    return ops.max_pool2d_forward(ops.pad2d_forward(x, border)[0], kernel_size, **options)


def _unbiased_batch_norm(x, gamma, beta, mean=None, var=None, eps=1e-5):
    mean, var = ops.batch_statistics(x) if mean is None else (mean, var)
    return ops.batch_norm_forward(x, gamma, beta, mean, var, eps)


WRONG = [  # operator, our op, a mistake that is easily made
    ("Conv", "conv2d_forward", _conv_flipped),
    ("Conv", "conv2d_forward", _mixed_up(ops.conv2d_forward, COLUMNS_FOR_ROWS)),
    ("ConvTranspose", "conv_transpose2d_forward", _mixed_up(ops.conv_transpose2d_forward, COLUMNS_FOR_ROWS)),
    ("ConvTranspose", "conv_transpose2d_forward",
     lambda x, w, b, **o: ops.conv_transpose2d_forward(x, w[:, :, ::-1, ::-1], b, **o)),
    ("MaxPool", "max_pool2d_forward", _mixed_up(ops.max_pool2d_forward, ENDS_FOR_STARTS)),
    ("AveragePool", "avg_pool2d_forward", _mixed_up(ops.avg_pool2d_forward, ENDS_FOR_STARTS)),
    ("MaxPool", "max_pool2d_forward", _max_pool_of_zeros),
    ("MaxPool", "max_pool2d_forward", lambda *a, ceil_mode, **o: ops.max_pool2d_forward(*a, **o)),
    ("AveragePool", "avg_pool2d_forward", lambda *a, count_include_pad, **o: ops.avg_pool2d_forward(*a, **o)),
    ("BatchNormalization", "batch_norm_forward", _unbiased_batch_norm),
    ("GroupNormalization", "group_norm_forward", lambda x, g, *a: ops.group_norm_forward(x, x.shape[1] // g * 2, *a)),
    ("Gemm", "linear_forward", lambda x, w, b: ops.linear_forward(x, w, None)),
    ("Softmax", "softmax_forward", lambda z: (np.exp(z) / np.exp(z).sum(axis=1, keepdims=True), ())),
    ("SoftmaxCrossEntropyLoss", "cross_entropy_forward",
     lambda z, t, class_weights=None, **o: ops.cross_entropy_forward(z, t, **o)),
    ("Resize", "upsample_bilinear2d_forward", lambda x, s, align_corners: ops.upsample_bilinear2d_forward(x, s)),
    ("Dropout", "dropout_forward", lambda x, mask, drop_prob: (x * mask, ())),
    ("Elu", "elu_forward", lambda x, alpha=1.0: ops.elu_forward(x)),
]  # fmt: skip


def _condemns(case) -> bool:
    try:
        with backend("wrong"):
            case.judge()
    except AssertionError:
        return True
    return False


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("op", "name", "wrong"), WRONG)
def test_a_mistaken_op_is_condemned(op, name, wrong, monkeypatch):
    """By a case of the operator, or by one of the models in which it is."""
    monkeypatch.setitem(RUNGS, "wrong", Rung("wrong", lambda: SimpleNamespace(**{name: wrong}), below=RUNGS["numpy"]))
    models = [case for kind in MODEL_KINDS for case in all_cases(kind)]
    with_it = [case for case in models if op in {node.op_type for node in case.model.graph.node}]
    cases = [case for case in (*node_cases(op), *with_it) if case.name not in OUT_OF_SCOPE[case.kind]]
    assert any(map(_condemns, cases))
