"""Every op against what PyTorch computed, recorded so that the witness is there without PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from make_golden import RECORDED
from oracles import assert_all_same, assert_same

import tinycnn
from tinycnn.verify.cases import CASES

FILE = Path(tinycnn.__file__).parent / "verify" / "golden" / "torch_ops.npz"
CHOSEN = [case for case in CASES if case.variant in RECORDED.get(case.name, ())]


@pytest.fixture(scope="module")
def recorded():
    with np.load(FILE) as table:
        return dict(table)


@pytest.mark.parametrize("case", CHOSEN, ids=str)
def test_forward_and_backward_are_what_pytorch_recorded(case, recorded):
    template, options = case.build(N=1)
    args = [recorded.get(f"{case}/arg{p}", a) for p, a in enumerate(template)]
    args = [a.astype(np.float64) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in args]
    y, cache = case.forward(*args, **options)
    assert_same(y, recorded[f"{case}/y"], what="y:")
    gradients = case.backward(recorded[f"{case}/dy"].astype(np.float64), cache)
    expected = [recorded.get(f"{case}/grad{p}") for p in case.grads]
    assert_all_same(gradients, expected, map(case.argument_name, case.grads))


def test_the_record_is_whole_and_small(recorded):
    assert {key.split("/")[0] for key in recorded} == set(map(str, CHOSEN))
    assert len(CHOSEN) == sum(map(len, RECORDED.values())), "RECORDED names a case that the table does not have"
    assert FILE.stat().st_size < 200_000
