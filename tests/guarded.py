"""Arrays that lie between two pages nobody may touch: a read one number beyond their ends ends the process.

Pointer arithmetic is tested in a process of its own, for what it does wrong cannot be caught: `python guarded.py NAME`.
"""

from __future__ import annotations

import ctypes
import mmap
import subprocess
import sys
from pathlib import Path

import numpy as np

PAGE = mmap.PAGESIZE
_kept = []  # the memory must outlive the arrays


def guarded(array: np.ndarray, end: bool = True) -> np.ndarray:
    """A copy that ends right before a forbidden page (or begins right behind one)."""
    size = -(-max(array.nbytes, 1) // PAGE) * PAGE
    memory = mmap.mmap(-1, size + 2 * PAGE)
    _kept.append(memory)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    mprotect = ctypes.CDLL(None, use_errno=True).mprotect
    for page in (address, address + PAGE + size):
        if mprotect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE), 0):
            raise OSError(ctypes.get_errno(), "mprotect")
    begin = PAGE + (size - array.nbytes if end else 0)
    copy = np.frombuffer(memory, array.dtype, array.size, begin).reshape(array.shape)
    copy[...] = array
    return copy


def run_guarded(name: str) -> subprocess.CompletedProcess:
    """Run this file's program `name` in a process of its own."""
    command = [sys.executable, __file__, name]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=Path(__file__).parent)


def trespass() -> None:
    """Read one number too far."""
    a = guarded(np.ones(7, np.float32))
    print(a.sum(), np.lib.stride_tricks.as_strided(a, (8,)).sum())


def tiles() -> None:
    """Every length of a row and every edge of a tile, on arrays of exactly the size that is theirs."""
    from tinycnn.kernels.tile import dots, product

    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        for columns in (*range(1, 34), 47, 48, 49, 95):
            rows, K = rng.integers(1, 20, 2)
            a, b = rng.normal(size=rows * K).astype(dtype), rng.normal(size=K * columns).astype(dtype)
            for end in (True, False):
                ga, gb, bias = (guarded(array, end) for array in (a, b, a[:1].repeat(columns)))
                out = guarded(np.zeros(rows * columns, dtype), end)
                lines, steps = (guarded(table, end) for table in (np.arange(rows) * K, np.arange(K)))
                product(out, 0, columns, ga, 0, lines, steps, gb, 0, columns, K, rows, columns, bias, 0, 0, columns % 2)
                line = guarded(rng.normal(size=rows * columns).astype(dtype), end)
                sums = guarded(np.zeros(rows * K, dtype), end)
                dots(sums, 0, K, line, 0, columns, gb, 0, columns, columns, rows, K)


def rows() -> None:
    """Every length of a row, copied, cleared and added up."""
    from numba import njit

    from tinycnn.kernels import rows

    @njit
    def go(to, x, n):
        rows.clear_row(to, 0, n)
        rows.copy_row(to, 0, x, 0, n)
        rows.copy_every(to, 0, 1, x, 0, 1, n)
        return rows.row_sum(x, 0, n)

    for dtype in (np.float32, np.float64):
        for n in range(1, 50):
            for end in (True, False):
                x = guarded(np.arange(n, dtype=dtype), end)
                to = guarded(np.zeros(n, dtype), end)
                assert go(to, x, n) == n * (n - 1) // 2
                assert (to == x).all()


def turned() -> None:
    """Rows made columns, and rows in turns; where a row is shorter than a vector, rows of zeros follow the columns."""
    from numba import njit

    from tinycnn.kernels.shuffled_rows import alternate_row, turn_rows
    from tinycnn.kernels.vectors import REGISTERS

    @njit
    def go(to, pitch, x, line, rows, n):
        turn_rows(to, 0, pitch, x, 0, line, rows, n)

    @njit
    def mix(to, x, n):
        alternate_row(to, 0, x, 0, n, n)

    for dtype in (np.float32, np.float64):
        lanes = REGISTERS.width // np.dtype(dtype).itemsize
        for n in range(1, 40):
            for end in (True, False):
                rows = n % lanes + 1
                x = guarded(np.arange(rows * n, dtype=dtype).reshape(rows, n), end)
                to = guarded(np.zeros((max(n, lanes), lanes), dtype), end)
                go(to.reshape(-1), lanes, x.reshape(-1), n, rows, n)
                assert (to[:n, :rows] == x.T).all()
                x, both = guarded(np.arange(2 * n, dtype=dtype), end), guarded(np.zeros(2 * n, dtype), end)
                mix(both, x, n)
                assert (both == np.arange(2 * n).reshape(2, n).T.ravel()).all()


def conv() -> None:
    """Drawn convolutions, alone and fused, in pieces of every size; working space is full of NaN to begin with."""
    from test_kernels_conv import drawn

    from tinycnn import kernels
    from tinycnn.kernels import conv as module
    from tinycnn.kernels import conv_pack, conv_plan, fused, pointwise
    from tinycnn.kernels.conv_blocks import DX
    from tinycnn.kernels.fused import conv2d_relu_backward, conv2d_relu_forward

    for one in (module, conv_pack, fused):  # what they write is guarded too
        one.empty = lambda shape, kind: guarded(np.full(shape, np.nan if kind != np.uint8 else 255, kind), end)
    for one in (module, fused):
        one.empty_like = lambda a: guarded(np.empty(a.shape, a.dtype), end)
    module.space = pointwise.space = lambda kind, size: guarded(np.full(size, np.nan, kind), end)
    rng = np.random.default_rng(1)
    for k in range(150):
        end, dtype = k % 2 == 0, (np.float32, np.float64)[k // 2 % 2]
        conv_plan.CACHE, conv_plan.NEAR = (int(rng.choice(some)) for some in ([2048, 16384, 262144], [8, 256]))
        conv_plan.FEW, conv_plan.COPIES = (int(rng.choice(some)) for some in ([0, 32768], [0, 1]))
        module.LONG = int(rng.choice([1, 256]))
        conv_plan.plan_conv.cache_clear()
        _kept.clear()
        arrays, options = drawn(rng, widest=30, batch=20)
        if k >= 120:  # 1×1
            arrays, options = (arrays[0], rng.normal(size=(len(arrays[1]), arrays[0].shape[1], 1, 1)), arrays[2]), {}
        x, w, b = (None if a is None else guarded(a.astype(dtype), end) for a in arrays)
        y, cache = kernels.conv2d_forward(x, w, b, **options)
        dy = guarded(rng.normal(size=y.shape).astype(dtype), end)
        dx, dw, _ = kernels.conv2d_backward(dy, cache)
        alone = guarded(x, end)
        module.gradients(dy, x, w, cache[1], DX, alone, w, w)  # then nothing follows the working space
        assert all(np.isfinite(a).all() for a in (y, dx, dw))
        assert (alone == dx).all()
        for pool in (0, 2) if min(y.shape[2:]) > 1 else (0,):
            y, cache = conv2d_relu_forward(x, w, b, **options, pool=pool)
            dy = guarded(rng.normal(size=y.shape).astype(dtype), end)
            assert all(a is None or np.isfinite(a).all() for a in (y, *conv2d_relu_backward(dy, cache)))


def squares() -> None:
    """Drawn convolutions by squares, alone and fused, in pieces of every size."""
    from test_winograd import EASY, drawn

    from tinycnn import kernels
    from tinycnn.kernels import conv as module
    from tinycnn.kernels import conv_pack, conv_plan, fused, winograd, winograd_plan, winograd_weights
    from tinycnn.kernels.conv_blocks import DW, DX
    from tinycnn.kernels.fused import (
        conv2d_relu_backward,
        conv2d_relu_forward,
        conv2d_relu_of_halves_forward,
        conv2d_relu_of_two_forward,
    )

    for one in (module, conv_pack, fused, winograd):
        one.empty = lambda shape, kind: guarded(np.full(shape, np.nan if kind != np.uint8 else 255, kind), end)
    for one in (module, fused):
        one.empty_like = lambda a: guarded(np.empty(a.shape, a.dtype), end)
    module.space = winograd_weights.space = lambda kind, size: guarded(np.full(size, np.nan, kind), end)
    rng = np.random.default_rng(1)
    for k in range(60):
        end = k % 2 == 0
        enough, winograd_plan.NEAR = (int(n) for n in rng.choice([1, 30, 128], 2))
        winograd_plan.ENOUGH = (enough,) * 3
        for name, limit in EASY.items():
            setattr(winograd_plan, name, limit)
        conv_plan.FEW = int(rng.choice([0, 32768]))
        conv_plan.plan_conv.cache_clear()
        _kept.clear()
        arrays, options = drawn(rng, *((5, 22), (20, 13))[k // 2 % 2])
        x, w, b = (None if a is None else guarded(a.astype(np.float32), end) for a in arrays)
        y, cache = kernels.conv2d_forward(x, w, b, **options)
        dy = guarded(rng.normal(size=y.shape).astype(np.float32), end)
        dx = guarded(np.full_like(x, np.nan), end)
        dw, db = guarded(np.full_like(w, np.nan), end), guarded(np.full(len(w), np.nan, np.float32), end)
        module.gradients(dy, x, w, cache[1], DX, dx, w, w)
        module.gradients(dy, x, w, cache[1], DW, x, dw, db)
        assert all(np.isfinite(a).all() for a in (y, dx, dw, db))
        y_alone = conv2d_relu_forward(x, w, b, **options, remember=False)[0]
        for pool, remember in ((0, True), (2, True), (2, False)):
            y, cache = conv2d_relu_forward(x, w, b, **options, pool=pool, remember=remember)
            assert np.isfinite(y).all()
            dy = guarded(rng.normal(size=y.shape).astype(np.float32), end)
            assert not remember or all(a is None or np.isfinite(a).all() for a in conv2d_relu_backward(dy, cache))
        part = int(rng.integers(1, x.shape[1]))
        two = guarded(x[:, :part], end), guarded(x[:, part:], end)
        of_four = np.where(np.arange(4) == rng.integers(0, 4, (*x.shape, 1)), x[..., None], x[..., None] - 1)
        of_four = of_four.reshape(*x.shape, 2, 2).swapaxes(3, 4)  # each number and three smaller ones, at any place
        twice = guarded(of_four.reshape(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3]), end)
        assert conv2d_relu_of_two_forward(*two, w, b, **options).tobytes() == y_alone.tobytes()
        assert conv2d_relu_of_halves_forward(twice, w, b, **options).tobytes() == y_alone.tobytes()


def others() -> None:
    """Pools, linear maps, norms, activations and enlargement, on rows of every length."""
    from tinycnn import kernels

    rng = np.random.default_rng(2)

    def pair(name, end, *args, **options):
        args = tuple(guarded(a, end) if isinstance(a, np.ndarray) else a for a in args)
        y, cache = getattr(kernels, f"{name}_forward")(*args, **options)
        getattr(kernels, f"{name}_backward")(guarded(rng.normal(size=y.shape).astype(y.dtype), end), cache)

    for dtype in (np.float32, np.float64):
        for W in range(2, 40):
            for end in (True, False):
                x = rng.normal(size=(2, 1, 3, W)).astype(dtype)
                pair("max_pool2d", end, x, 2)
                pair("min_pool2d", end, x, 2)
                pair("avg_pool2d", end, x, 2)
                pair("max_pool2d", end, x, 3, stride=1, padding=1)
                pair("min_pool2d", end, x, 3, stride=2, padding=1)
                pair("relu", end, x)
                pair("leaky_relu", end, x)
                pair("upsample_nearest2d", end, x, 2)
                pair("batch_norm", end, x, np.ones(1, dtype), np.ones(1, dtype))
                w, b = rng.normal(size=(W % 9 + 1, W)).astype(dtype), rng.normal(size=W % 9 + 1).astype(dtype)
                pair("linear", end, x[0, 0], w, b)
                stamps, three = rng.normal(size=(1, 3, 2, 3)).astype(dtype), b[:1].repeat(3)
                pair("conv_transpose2d", end, x, stamps, three, stride=W % 3 + 1)


def numbers() -> None:
    """Losses, softmax, norms, smooth activations, borders and the like; what they write is guarded too."""
    import importlib

    from tinycnn import kernels

    end = True
    for name in ("activation_smooth", "softmax", "softmax_log", "loss", "loss_numbers", "loss_classes", "loss_overlap",
                 "norm", "norm_examples", "layout", "pool", "resize", "resize_blend", "unpool", "linear"):  # fmt: skip
        module = importlib.import_module(f"tinycnn.kernels.{name}")
        for word, shape_of in (("empty", lambda shape: shape), ("space", lambda size: (size,))):
            if hasattr(module, word):
                swap = (0, 1) if word == "empty" else (1, 0)
                made = lambda *given, s=swap, f=shape_of: guarded(np.empty(f(given[s[0]]), given[s[1]]), end)  # noqa: E731
                setattr(module, word, made)
        module.empty_like = lambda a: guarded(np.empty(a.shape, a.dtype), end)
    rng = np.random.default_rng(3)

    def pair(name, *args, **options):
        args = tuple(guarded(a, end) if isinstance(a, np.ndarray) else a for a in args)
        y, cache = getattr(kernels, f"{name}_forward")(*args, **options)
        dy = guarded(rng.normal(size=y.shape).astype(y.dtype), end) if y.ndim else 1.0
        getattr(kernels, f"{name}_backward")(dy, cache)

    for dtype in (np.float32, np.float64):
        draw = lambda *shape: rng.normal(size=shape).astype(dtype)  # noqa: B023, E731
        for W in (*range(1, 18), 513):
            for end in (True, False):  # noqa: B007, the functions above look at it
                _kept.clear()
                x, labels = draw(2, 3, 2, W), rng.integers(0, 3, (2, 2, W))
                for name in ("elu", "sigmoid", "tanh", "softmax", "log_softmax", "global_avg_pool2d"):
                    pair(name, x)
                    if name.endswith("softmax"):
                        pair(name, x[0, 0])
                pair("cross_entropy", x, labels, label_smoothing=0.1)
                pair("cross_entropy", x[0, :, 0], labels[0, 0, :1].repeat(3) % W)
                pair("mse", x, draw(2, 3, 2, W))
                pair("mae", x, draw(2, 3, 2, W))
                answers, shares = rng.integers(0, 2, x.shape).astype(dtype), 1 / (1 + np.exp(-x))
                pair("hinge", x, 2 * answers - 1)
                pair("binary_cross_entropy", shares, answers)
                pair("dice", shares, answers)
                pair("categorical_crossentropy", shares, labels)
                pair("focal", x, labels)
                for kernel_size, stride, padding in ((2, 2, 0), (3, 1, 1), (3, 2, 1), (2, 3, 1), (1, 2, 0)):
                    if 2 + 2 * padding >= kernel_size <= W + 2 * padding:
                        for name in ("max_pool2d", "min_pool2d", "avg_pool2d"):
                            pair(name, x, kernel_size, stride, padding)
                pair("upsample_nearest2d", x, (1 + W % 2, W % 3 + 1))
                pair("binary_cross_entropy_with_logits", x, rng.integers(0, 2, x.shape).astype(dtype))
                pair("batch_norm", x, draw(3), draw(3))
                pair("batch_norm", x, draw(3), draw(3), draw(3), draw(3) ** 2)
                pair("layer_norm", x, draw(3, 2, W), draw(3, 2, W))
                pair("group_norm", x, 3, draw(3), draw(3))
                pair("group_norm", x[:, 0, :, 0], 1, draw(2), draw(2))
                for N, F in ((3, 4), (13 + W % 5, 17 - W % 5), (14, 1 + W % 9)):
                    pair("linear", draw(N, W), draw(F, W), draw(F))
                pair("pad2d", x, (1, 0, 2, W % 5), 0.5)
                pair("concat", x, x[:, :1])
                pair("dropout", x, rng.random(x.shape) < 0.5, 0.5)
                pair("upsample_bilinear2d", x, (2, W % 3 + 1), align_corners=W % 2 == 0)
                pair("max_unpool2d", x, np.argsort(rng.random((2, 3, 2 * W)), axis=2).reshape(x.shape), (3, W))


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    print("unharmed")
