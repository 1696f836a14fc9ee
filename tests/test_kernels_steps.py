"""An optimizer's step in one pass is the step of its formula, in place, for a linear map and a norm of any size too."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from kernel_oracles import assert_twin_of_a_multilinear_op
from oracles import assert_same

from tinycnn import kernels, ops
from tinycnn.cores import threads
from tinycnn.kernels import steps
from tinycnn.optim.adam import adam_step, adamw_step
from tinycnn.optim.base import decayed_gradient
from tinycnn.optim.sgd import momentum_step, sgd_step

DTYPES = [np.float32, np.float64]
TOLERANCE = {np.float32: 2e-6, np.float64: 1e-14}


def _arrays(dtype, n, how_many):
    rng = np.random.default_rng(n)
    return [abs(rng.normal(size=n)).astype(dtype) if k == 3 else rng.normal(size=n).astype(dtype)
            for k in range(how_many)]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 7, 1000])
@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("t", [1, 50])
def test_adam_and_adamw_step_by_their_formulas(dtype, n, decay, t):
    w, dw, m, v = _arrays(dtype, n, 4)
    expected = adam_step(w, decayed_gradient(w, dw, decay), m, v, t, lr=0.1, beta1=0.8, beta2=0.95, eps=1e-3)
    decoupled = adamw_step(w, dw, m, v, t, lr=0.1, weight_decay=decay)
    ours = [a.copy() for a in (w, dw, m, v)]
    steps.do([steps.adam_job(*ours, t, lr=0.1, beta1=0.8, beta2=0.95, eps=1e-3, decay=decay)])
    assert (ours[1] == dw).all()
    for a, b in zip((ours[0], *ours[2:]), expected, strict=True):
        assert_same(a, b, tol=TOLERANCE[dtype])
    ours = [a.copy() for a in (w, dw, m, v)]
    steps.do([steps.adam_job(*ours, t, lr=0.1, decay=decay, decoupled=True)])
    for a, b in zip((ours[0], *ours[2:]), decoupled, strict=True):
        assert_same(a, b, tol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_gradient_descent_and_momentum_step_by_their_formulas(dtype, decay):
    w, dw, v = _arrays(dtype, 133, 3)
    pulled = decayed_gradient(w, dw, decay)
    ours = w.copy()
    steps.do([steps.sgd_job(ours, dw, lr=0.1, decay=decay)])
    assert_same(ours, sgd_step(w, pulled, 0.1), tol=TOLERANCE[dtype])
    ours, velocity = w.copy(), v.copy()
    steps.do([steps.momentum_job(ours, dw, velocity, lr=0.1, momentum=0.7, decay=decay)])
    for a, b in zip((ours, velocity), momentum_step(w, pulled, v, 0.1, 0.7), strict=True):
        assert_same(a, b, tol=TOLERANCE[dtype])


def test_a_step_serves_only_what_it_can_change_in_place():
    w = np.ones((4, 6), np.float32)
    assert steps.serves(w, w.copy())
    assert not steps.serves(w, w.astype(np.float64))
    assert not steps.serves(w, w.T)
    assert not steps.serves(w[:, ::2], w[:, ::2])
    w.flags.writeable = False
    assert not steps.serves(w)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("N", [1, 3, 8, 33])
@pytest.mark.parametrize("C", [1, 5, 200, 2500])
@pytest.mark.parametrize("F", [1, 10, 129])
def test_a_linear_map_of_any_size_is_that_of_ops(dtype, N, C, F):
    rng = np.random.default_rng(N * C + F)
    args = rng.normal(size=(N, C)), rng.normal(size=(F, C)), rng.normal(size=F) if N % 2 else None
    assert_twin_of_a_multilinear_op("linear", kernels, args, {}, dtype, rng)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_batch_norm_far_from_zero_keeps_its_digits(dtype):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(16, 3, 9, 11)) + 1000).astype(dtype)
    gamma, beta = rng.normal(size=(2, 3)).astype(dtype)
    y, cache = kernels.batch_norm_forward(x, gamma, beta)
    exact, exact_cache = ops.batch_norm_forward(*(a.astype(np.float64) for a in (x, gamma, beta)))
    assert_same(y, exact, tol=3e-6 if dtype == np.float32 else 1e-12)
    dy = rng.normal(size=x.shape).astype(dtype)
    for a, b in zip(kernels.batch_norm_backward(dy, cache),
                    ops.batch_norm_backward(dy.astype(np.float64), exact_cache), strict=True):  # fmt: skip
        assert_same(a, b, tol=3e-6 if dtype == np.float32 else 1e-12)


def test_every_kernel_gives_the_same_bits_with_one_thread_and_two():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(33, 6, 40, 50)).astype(np.float32)
    rows, w, b = (rng.normal(size=s).astype(np.float32) for s in ((33, 700), (90, 700), (90,)))
    calls = [("relu", x), ("max_pool2d", x, 2), ("avg_pool2d", x, 3), ("linear", rows, w, b),
             ("batch_norm", x, x[0, :, 0, 0].copy(), x[0, :, 0, 1].copy()), ("upsample_nearest2d", x, 2),
             ("conv_transpose2d", x, rng.normal(size=(6, 4, 3, 3)).astype(np.float32), None, 2)]  # fmt: skip

    def bits():
        found = []
        for name, *args in calls:
            y, cache = getattr(kernels, f"{name}_forward")(*args)
            gradients = getattr(kernels, f"{name}_backward")(np.cos(y), cache)
            gradients = gradients if isinstance(gradients, tuple) else (gradients,)
            found.append([a.tobytes() for a in (y, *gradients) if a is not None])
        return found

    with threads(1):
        one = bits()
    assert bits() == one


PROGRAM = (
    "import numpy as np\n"
    "from tinycnn import kernels\n"
    "y, cache = kernels.relu_forward(np.array([-1, 2], np.float32))\n"
    "assert y.tolist() == [0, 2]\n"
    "print('served')"
)


def _served(**environment):
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, env=os.environ | environment
    )
    return run.stdout.strip() == "served", run.stderr[-1500:]


def test_a_cache_folder_that_cannot_be_made_or_written_is_done_without(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    for folder in (blocked / "below", "/proc/nowhere", "/dev/null/x"):
        served, error = _served(NUMBA_CACHE_DIR=str(folder))
        assert served, error


def test_torn_files_in_the_cache_folder_are_compiled_anew(tmp_path):
    assert _served(NUMBA_CACHE_DIR=str(tmp_path))[0]
    kept = [path for path in tmp_path.rglob("*.nb[ic]") if path.is_file()]
    assert kept
    for path in kept:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    served, error = _served(NUMBA_CACHE_DIR=str(tmp_path))
    assert served, error


def test_importing_the_kernels_compiles_nothing():
    program = (
        "from numba.core import event\n"
        "with event.install_recorder('numba:compile') as seen:\n"
        "    from tinycnn import kernels\n"
        "    from tinycnn.kernels import steps\n"
        "assert not seen.buffer, seen.buffer\n"
        "print('nothing')"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert run.stdout.strip() == "nothing", run.stderr[-1500:]
