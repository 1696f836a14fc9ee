"""Where Numba's insides are others than those known here, kernels compile as plain Numba does, and give the same."""

from __future__ import annotations

import numpy as np
import pytest

from tinycnn.kernels import code_kept, compiling
from tinycnn.kernels.compiling import Worker, kernel, unpack


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
    halves = kernel(_half)
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
