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
            rows, K = rng.integers(1, 10, 2)
            a, b = rng.normal(size=rows * K).astype(dtype), rng.normal(size=K * columns).astype(dtype)
            koff = np.arange(K) * columns
            for end in (True, False):
                ga, gb, bias = (guarded(array, end) for array in (a, b, a[:1].repeat(rows)))
                out = guarded(np.zeros(rows * columns, dtype), end)
                product(out, 0, columns, ga, 0, K, 1, gb, 0, guarded(koff, end), 0, K, rows, columns, bias, 0)
                line = guarded(rng.normal(size=rows * columns).astype(dtype), end)
                sums = guarded(np.zeros(rows * K, dtype), end)
                dots(sums, 0, K, line, 0, columns, gb, 0, guarded(koff, end), 0, columns, rows, K)


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


def conv() -> None:
    """Convolutions of every kind: no padding, so that images are read where they lie, and all the rest."""
    from tinycnn import kernels

    rng = np.random.default_rng(1)
    options = [{}, {"stride": 2}, {"dilation": 2}, {"padding": 1}, {"flip": True}, {"stride": (3, 1), "padding": 2}]
    for dtype in (np.float32, np.float64):
        for W in range(5, 30):
            for end in (True, False):
                x, w, b = (guarded(rng.normal(size=shape).astype(dtype), end)
                           for shape in ((2, 3, 5, W), (W % 6 + 1, 3, 2, 3), (W % 6 + 1,)))  # fmt: skip
                y, cache = kernels.conv2d_forward(x, w, b, **options[W % len(options)])
                kernels.conv2d_backward(guarded(rng.normal(size=y.shape).astype(dtype), end), cache)


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
                pair("relu", end, x)
                pair("leaky_relu", end, x)
                pair("upsample_nearest2d", end, x, 2)
                pair("batch_norm", end, x, np.ones(1, dtype), np.ones(1, dtype))
                w, b = rng.normal(size=(W % 9 + 1, W)).astype(dtype), rng.normal(size=W % 9 + 1).astype(dtype)
                pair("linear", end, x[0, 0], w, b)
                stamps, three = rng.normal(size=(1, 3, 2, 3)).astype(dtype), b[:1].repeat(3)
                pair("conv_transpose2d", end, x, stamps, three, stride=W % 3 + 1)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    print("unharmed")
