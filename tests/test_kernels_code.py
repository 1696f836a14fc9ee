"""Where Numba's insides are others than those known here, kernels compile as plain Numba does, and give the same."""

from __future__ import annotations

import shutil
from typing import NamedTuple

import numpy as np
import pytest
from numba import config

from tinycnn.kernels import code_kept, compiling
from tinycnn.kernels.compiling import Worker, entry, kernel, record, unpack


def _double(t, workers, given):
    y, x, n = unpack(given, "xxn")
    for k in range(n):
        y[k] = x[k] + x[k]


def _half(x):
    return x / 2


def _without_files(self, function):
    """Begin a cache that has no file with a stamp."""


def _of_other_arguments(*given):
    raise TypeError("CFunc() takes other arguments")


def assert_all_works(kept: bool) -> None:
    x, y = np.arange(5.0), np.zeros(5)
    worker = Worker(_double)
    worker(1, x.dtype, y, x, 5)
    assert y.tolist() == [0, 2, 4, 6, 8]
    halves = entry(_half)
    assert halves(3.0) == 1.5
    assert isinstance(halves._cache, code_kept.KeptCode) == kept


def test_with_the_numba_known_here_code_is_kept():
    assert_all_works(kept=True)


@pytest.mark.parametrize("class_", [None, _of_other_arguments])
def test_without_the_callback_class_its_public_twin_serves(monkeypatch, class_):
    monkeypatch.setattr(compiling, "CFunc", class_)
    assert_all_works(kept=True)


def test_a_numba_without_a_stamp_for_the_source_keeps_nothing(monkeypatch):
    monkeypatch.setattr(code_kept.FunctionCache, "__init__", _without_files)
    assert_all_works(kept=False)


def test_a_numba_without_such_a_cache_keeps_nothing(monkeypatch):
    class KeptCode:
        """Made of `object`, which code_kept puts in the place of a class that it cannot import."""

    monkeypatch.setattr(code_kept, "KeptCode", KeptCode)
    assert_all_works(kept=False)


def test_what_is_kept_is_stamped_with_every_file_of_the_package(monkeypatch):
    once = code_kept.KeptCode(_half)._cache_file._source_stamp
    monkeypatch.setattr(code_kept, "sources", lambda: "other files")
    assert code_kept.KeptCode(_half)._cache_file._source_stamp != once


def _plus_one(t, workers, given):
    y, n = unpack(given, "xn")
    for k in range(n):
        y[k] += 1


def test_what_only_kernels_call_refuses_python_and_says_so():
    inner = kernel(_half)
    outer = entry(lambda x: inner(x) + inner(0 * x))
    assert outer(3.0) == 1.5
    with pytest.raises(TypeError, match=r"_half is a kernel for other kernels; .* or _half\.py_func"):
        inner(3.0)


def test_a_kernel_called_with_a_number_and_with_any_is_compiled_once():
    inner = kernel(_half)
    outer = entry(lambda n: inner(0) + inner(n))
    assert outer(6) == 3.0
    assert len(inner.overloads) == 1


def test_kept_code_that_says_it_is_for_other_types_is_not_taken(monkeypatch, tmp_path):
    """As when two processes write at once, and the file that one has named in the list is the other's."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    worker = Worker(_plus_one)
    for dtype in (np.float32, np.float64):
        worker.compile(np.dtype(dtype))
    files = sorted(tmp_path.rglob("*.nbc"), key=lambda file: file.stat().st_mtime_ns)
    assert len(files) == 2
    shutil.copy(files[0], files[1])
    y = np.ones(3)
    Worker(_plus_one)(1, y.dtype, y, 3)
    assert y.tolist() == [2, 2, 2]


def test_a_worker_knows_for_which_types_its_code_is_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    single, double = np.dtype(np.float32), np.dtype(np.float64)
    assert not Worker(_plus_one).is_kept(single)
    Worker(_plus_one).compile(single)
    assert Worker(_plus_one).is_kept(single)
    assert not Worker(_plus_one).is_kept(double)
    monkeypatch.setattr(code_kept, "sources", lambda: "other files")
    assert not Worker(_plus_one).is_kept(single)


class Pair(NamedTuple):
    first: int
    second: int


record("Y", Pair)


def _of_pair(t, workers, given):
    y, pair, x, n = unpack(given, "xYxn")
    for k in range(n):
        y[k] = pair.first * x[k] + pair.second


def test_records_reach_a_worker_however_many_there_have_been(monkeypatch):
    monkeypatch.setattr(compiling, "MANY", 3)
    monkeypatch.setattr(compiling, "_lines", {})
    x, y, worker = np.arange(4.0), np.zeros(4), Worker(_of_pair)
    often = Pair(5, 6)
    for k in range(20):
        worker(1, x.dtype, y, Pair(k, 7 * k), x, 4)
        assert y.tolist() == [k * n + 7 * k for n in range(4)]
        worker(1, x.dtype, y, often, x, 4)
        assert y.tolist() == [6, 11, 16, 21]
    assert len(compiling._lines) <= 3


def _of_two_pairs(t, workers, given):
    y, a, b = unpack(given, "xYY")
    y[0], y[1], y[2], y[3] = a.first, a.second, b.first, b.second


def test_records_that_are_given_together_live_until_they_are_read(monkeypatch):
    """Also where the second is one too many to be kept."""
    monkeypatch.setattr(compiling, "MANY", 1)
    monkeypatch.setattr(compiling, "_lines", {})
    y, worker = np.zeros(4), Worker(_of_two_pairs)
    for k in range(9):
        worker(1, y.dtype, y, Pair(k, k + 1), Pair(k + 2, k + 3))
        assert y.tolist() == [k, k + 1, k + 2, k + 3]


def test_a_record_is_laid_in_line_once():
    record = Pair(8, 9)
    assert compiling._in_line(record) is compiling._in_line(record)
    assert compiling._in_line(record).tolist() == [8, 9]


def test_a_worker_finds_the_numbers_of_any_array_and_of_those_derived_from_it():
    class Own(np.ndarray):
        """Somebody's own kind of array."""

    x, y, worker = np.arange(12.0), np.zeros(4), Worker(_of_pair)
    read_only = x[4:8]
    read_only.flags.writeable = False
    for given in (x[4:8], read_only, x.view(Own)[4:8], np.frombuffer(x.tobytes(), np.float64)[4:8]):
        worker(1, x.dtype, y, Pair(1, 0), given, np.int64(4))
        assert y.tolist() == [4, 5, 6, 7]


def test_what_a_worker_would_misread_is_refused():
    x, y, worker = np.arange(8.0), np.zeros(4), Worker(_of_pair)
    for given in (x[::2], x.reshape(2, 4).T, np.asfortranarray(x.reshape(2, 4))):
        with pytest.raises(AssertionError, match="how this array lies in memory"):
            worker(1, x.dtype, y, Pair(1, 0), given, 4)
    with pytest.raises(TypeError, match="float"):
        worker(1, x.dtype, y, Pair(1, 0), x, 4.0)
    assert y.tolist() == [0] * 4
