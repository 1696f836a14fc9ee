"""The register tile: a small block of results that stays in registers, right at every size and within its bounds."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import numpy as np
import pytest
from guarded import run_guarded
from numba import njit
from oracles import assert_same

from tinycnn.kernels import tile, vectors
from tinycnn.kernels.tile import dots, product

DTYPES = [np.float32, np.float64]
EPS = {np.float32: 2e-6, np.float64: 1e-14}


def _matrices(rng, dtype, rows, K, columns):
    return rng.normal(size=(rows, K)).astype(dtype), rng.normal(size=(K, columns)).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_product_worked_by_hand(dtype):
    out = np.full(2, 7, dtype)
    a, b = np.array([2, 3], dtype), np.array([10, 20, 100, 200], dtype)
    bias = np.array([1, 5], dtype)
    product(out, 0, 2, a, 0, np.array([0]), np.array([0, 1]), b, 0, 2, 2, 1, 2, bias, 0, 0, 0)
    assert out.tolist() == [1 + 2 * 10 + 3 * 100, 5 + 2 * 20 + 3 * 200]
    product(out, 0, 2, a, 0, np.array([0]), np.array([0, 1]), b, 0, 2, 2, 1, 2, bias, 0, 0, 1)
    assert out.tolist() == [1 + 2 * 320, 5 + 2 * 640], "added to what was there, without the bias"


def _packed(b, lanes):
    """The columns in strips, one behind the other, each with its rows next to each other."""
    strips, n = [], 0
    while n < b.shape[1]:
        width = 2 * lanes if b.shape[1] - n >= 2 * lanes else lanes
        strips.append(np.ascontiguousarray(b[:, n : n + width]).ravel())
        n += width
    return np.concatenate(strips)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [*range(1, 20), 23, 24, 25, 31, 32, 33, 47, 48, 49, 64, 95, 97])
def test_the_product_is_the_matrix_product_for_every_number_of_rows_and_columns(dtype, columns):
    rng = np.random.default_rng(columns)
    lanes = vectors.REGISTERS.width // np.dtype(dtype).itemsize
    for rows in (*range(1, 14), 16, 17, 25):
        K = int(rng.integers(1, 20))
        a, b = _matrices(rng, dtype, rows, K, columns)
        bias = rng.normal(size=columns + 3).astype(dtype)
        of_row = rng.normal(size=rows).astype(dtype)  # or one for each row, as often as the widest tile has lanes
        as_wide = of_row.repeat(2 * lanes)
        terms = abs(a) @ abs(b)
        factors = [(b.ravel(), columns)] + ([(_packed(b, lanes), 0)] if columns % lanes == 0 else [])
        for factor, bk in factors:
            out = np.full(rows * columns + 2, 777, dtype)
            lines, steps = np.arange(rows) * K, np.arange(K)
            for begins, f0, fm, start in ((bias, 3, 0, bias[3:]), (as_wide, 0, 2 * lanes, of_row[:, None])):
                product(out, 1, columns, a.ravel(), 0, lines, steps, factor, 0, bk, K, rows, columns, begins, f0, fm, 0)
                found = out[1:-1].reshape(rows, columns)
                assert_same(found, a @ b + start, terms=terms + abs(start), tol=EPS[dtype])
                assert out[0] == out[-1] == 777, "written beyond the result"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [319, 320, 321, 639, 641, 1000])
@pytest.mark.parametrize("packed", [False, True])
def test_a_long_sum_is_done_piece_by_piece(dtype, K, packed):
    rng = np.random.default_rng(K)
    lanes = vectors.REGISTERS.width // np.dtype(dtype).itemsize
    columns = 3 * lanes if packed else 27
    (a, b), bias = _matrices(rng, dtype, 5, K, columns), rng.normal(size=columns).astype(dtype)
    lines, before = rng.permutation(5) * K, rng.normal(size=(5, columns)).astype(dtype)
    factor, bk = (_packed(b, lanes), 0) if packed else (b.ravel(), columns)
    for add, start in ((0, bias), (1, before)):
        out = before.copy()
        product(out.reshape(-1), 0, columns, a.ravel(), 0, lines, np.arange(K), factor, 0, bk, K, 5, columns, bias, 0,
                0, add)  # fmt: skip
        turned = a[lines // K]
        assert_same(out, turned @ b + start, terms=abs(turned) @ abs(b) + abs(start), tol=4 * EPS[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_left_factor_may_lie_anywhere_and_overlap_itself(dtype):
    rng = np.random.default_rng(0)
    line, b = rng.normal(size=70).astype(dtype), rng.normal(size=(5, 21)).astype(dtype)
    moff, koff = rng.integers(0, 30, size=11), rng.integers(0, 30, size=5)
    out = np.empty((11, 21), dtype)
    zeros = np.zeros(21, dtype)
    product(out.reshape(-1), 0, 21, line, 7, moff, koff, b.ravel(), 0, 21, 5, 11, 21, zeros, 0, 0, 0)
    a = line[7 + moff[:, None] + koff]
    assert_same(out, a @ b, terms=abs(a) @ abs(b), tol=EPS[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", [*range(1, 20), 31, 32, 33, 100, 1023, 1024, 1025, 2500])
def test_dots_adds_the_sums_along_the_vectors_for_every_length(dtype, length):
    rng = np.random.default_rng(length)
    for rows, taps in ((1, 1), (3, 4), (5, 7), (9, 13)):
        a, b = rng.normal(size=(rows, length)).astype(dtype), rng.normal(size=(taps, length)).astype(dtype)
        out = np.full(rows * taps + 2, 1, dtype)
        dots(out, 1, taps, a.ravel(), 0, length, b.ravel(), 0, length, length, rows, taps)
        terms = abs(a) @ abs(b).T + 1
        assert_same(out[1:-1].reshape(rows, taps), a @ b.T + 1, terms=terms, tol=EPS[dtype])
        assert out[0] == out[-1] == 1, "written beyond the result"


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_nan_comes_through_where_it_belongs_and_nowhere_else(dtype):
    a, b = np.ones((3, 4), dtype), np.ones((4, 30), dtype)
    a[1, 2], b[3, 17] = np.nan, np.nan
    out = np.empty((3, 30), dtype)
    lines = np.arange(3) * 4
    zeros = np.zeros(30, dtype)
    product(out.reshape(-1), 0, 30, a.ravel(), 0, lines, np.arange(4), b.ravel(), 0, 30, 4, 3, 30, zeros, 0, 0, 0)
    expected = np.zeros((3, 30), bool)
    expected[1], expected[:, 17] = True, True
    assert (np.isnan(out) == expected).all()


@pytest.mark.parametrize("features", ["avx512f", "avx", "neon", "sse2"])
def test_the_sums_of_a_tile_fit_the_registers_of_every_kind_of_cpu(features):
    r = vectors.registers_of({features: True})
    registers = 32 if features in ("avx512f", "neon") else 16
    assert r.wide * 2 + 2 + 1 <= registers
    assert 8 <= r.narrow + 1 + 1 <= registers
    assert r.rows * r.taps + min(r.rows, r.taps) + 1 <= registers
    assert r.width == {"avx512f": 64, "avx": 32, "neon": 16, "sse2": 16}[features]


def test_a_guard_page_ends_a_process_that_reads_too_far():
    run = run_guarded("trespass")
    assert run.returncode < 0
    assert "unharmed" not in run.stdout


@pytest.mark.parametrize("program", ["tiles", "rows", "turned"])
def test_tiles_and_rows_touch_nothing_beyond_their_arrays(program):
    run = run_guarded(program)
    assert run.stdout.strip() == "unharmed", (run.returncode, run.stderr[-2000:])


def test_a_cpu_without_wide_vectors_gets_the_same_results():
    program = (
        "import numpy as np\n"
        "from tinycnn.kernels import tile\n"
        "assert tile.REGISTERS.width == 16, tile.REGISTERS\n"
        "rng = np.random.default_rng(0)\n"
        "a, b = rng.integers(-9, 9, (5, 7)).astype('f'), rng.integers(-9, 9, (7, 31)).astype('f')\n"
        "out = np.empty((5, 31), 'f')\n"
        "zeros = np.zeros(31, 'f')\n"
        "lines, steps = np.arange(5) * 7, np.arange(7)\n"
        "tile.product(out.reshape(-1), 0, 31, a.ravel(), 0, lines, steps, b.ravel(), 0, 31, 7, 5, 31, zeros, 0, 0, 0)\n"
        "assert (out == a @ b).all()\n"
        "sums = np.zeros((5, 7), 'f')\n"
        "line = np.ones((5, 31), 'f')\n"
        "tile.dots(sums.reshape(-1), 0, 7, line.ravel(), 0, 31, b.ravel(), 0, 31, 31, 5, 7)\n"
        "assert (sums == line @ b.T).all()\n"
        "print('right')"
    )
    environment = os.environ | {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, env=environment)
    assert run.stdout.strip() == "right", run.stderr[-2000:]


LOOPS = """
import re
import numpy as np
from tinycnn.kernels import tile, winograd

LEAVES = re.compile(r"[xyz]mm[0-9]+, [^ ]*[(]%")  # to memory, wherever: while sums are made, nothing is stored


def rounds(lines):
    "The loops that have no loop inside: each goes back from a jump to a label before it."
    labels = {line[:-1]: k for k, line in enumerate(lines) if re.fullmatch(r"[.]LBB[0-9_]+:", line)}
    jumps = [(k, re.fullmatch(r"[ \t]+j[a-z]+[ \t]+([.]LBB[0-9_]+)", line)) for k, line in enumerate(lines)]
    loops = [(labels[to[1]], k) for k, to in jumps if to and labels[to[1]] <= k]
    return [lines[a:b] for a, b in loops if not any((c, d) != (a, b) and a <= c and d <= b for c, d in loops)]


tile.tiles_for(np.dtype("f"))
for code in (*tile._kept, winograd._convolve.compile(np.dtype("f"))[1]):
    loops = rounds(code._library.get_asm_str().splitlines())
    sums = [one for one in loops if sum("vfmadd" in line for line in one) >= 8]
    print(len(sums), sum(bool(LEAVES.search(line)) for one in sums for line in one), end=" ")
"""
AVX2 = "+sse4.2,+avx,+avx2,+fma,+bmi,+bmi2"
AVX512 = AVX2 + ",+avx512f,+avx512vl,+avx512dq,+avx512bw,+avx512cd"


@pytest.mark.slow  # it compiles as long as all other tests of this file take
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="these are the words of x86's assembly")
@pytest.mark.parametrize(("cpu", "features"), [("haswell", AVX2), ("znver3", AVX2), ("skylake-avx512", AVX512)],
                         ids=["haswell", "znver3", "skylake-avx512"])  # fmt: skip
def test_no_sum_of_a_tile_leaves_the_registers_before_its_last_step(tmp_path, cpu, features):
    """In the machine code for kinds of CPU that need not be this one: nothing here is run, only read."""
    kept = {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": features, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", LOOPS]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ | kept)
    product, product_left, dots, dots_left, squares, squares_left = map(int, run.stdout.split())
    assert min(product, dots, squares) > 0, "no loops found"
    assert (product_left, dots_left, squares_left) == (0, 0, 0), run.stderr[-2000:]


@pytest.mark.parametrize("dtype", DTYPES)
def test_called_by_its_address_a_tile_does_the_same(dtype):
    rng = np.random.default_rng(0)
    a, b, bias = (rng.normal(size=n).astype(dtype) for n in (5 * 7, 7 * 31, 31))
    lines, steps = np.arange(5) * 7, np.arange(7)
    by_name, by_address = np.empty(5 * 31, dtype), np.empty(5 * 31, dtype)
    product(by_name, 0, 31, a, 0, lines, steps, b, 0, 31, 7, 5, 31, bias, 0, 0, 0)
    sums, sums_by_address = np.zeros(5 * 7, dtype), np.zeros(5 * 7, dtype)
    dots(sums, 0, 7, by_name, 0, 31, b, 0, 31, 31, 5, 7)

    @njit
    def call(tiles, out, sums):
        tile.call_product(tiles, out, 0, 31, a, 0, lines, steps, b, 0, 31, 7, 5, 31, bias, 0, 0, 0)
        tile.call_dots(tiles, sums, 0, 7, out, 0, 31, b, 0, 31, 31, 5, 7)

    call(tile.tiles_for(np.dtype(dtype)), by_address, sums_by_address)
    assert by_name.tobytes() == by_address.tobytes()
    assert sums.tobytes() == sums_by_address.tobytes()
