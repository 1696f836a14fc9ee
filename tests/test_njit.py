"""The rung njit: the formula's own loops, compiled, give what the ops give, for every op and every kind of number."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from oracles import assert_all_same, assert_same

import tinycnn as tc
from tinycnn import backend, ops
from tinycnn.backends import RUNGS
from tinycnn.formula import Formula, FormulaError, formulas
from tinycnn.formula.compiled import CompiledNest, compile_loops, compiled
from tinycnn.verify.cases import CASES, OpCase, as_tuple

SINGLE = 4e-6  # float32: each statement is rounded once, so a few roundings and what a norm makes of them
RNG = np.random.default_rng(0)


NAMES = list(dict.fromkeys(case.name for case in CASES))
SAMPLE = {"conv2d", "max_pool2d", "avg_pool2d", "linear", "relu", "softmax", "cross_entropy", "batch_norm", "dropout"}
# Compiling all of them takes a minute; `tinycnn verify --backend njit` goes through them too.


@pytest.fixture(scope="module", params=[pytest.param(n, marks=() if n in SAMPLE else pytest.mark.slow) for n in NAMES])
def name(request):
    """An op. All tests of it run one after the other, so that one process compiles it and the others find it done."""
    return request.param


def variants(name: str) -> list[OpCase]:
    return [case for case in CASES if case.name == name]


def serve(rung: str, case: OpCase, args, options, dy=None):
    """y and the gradients as this rung gives them, under the case's own random dy."""
    forward, backward = RUNGS[rung](f"{case.name}_forward"), RUNGS[rung](f"{case.name}_backward")
    y, cache = forward(*args, **options)
    return y, as_tuple(backward(case.upstream(y) if dy is None else dy, cache))


def assert_equal_bits(ours, theirs):
    for a, b in zip((ours[0], *ours[1]), (theirs[0], *theirs[1]), strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert np.asarray(a).dtype == np.asarray(b).dtype
            np.testing.assert_array_equal(a, b)


def test_compiled_loops_give_what_the_op_gives(name):
    for case in variants(name):
        args, options = case.build()
        before = [a.tobytes() for a in args if isinstance(a, np.ndarray)]
        y, gradients = serve("numpy", case, args, options)
        y2, gradients2 = serve("njit", case, args, options)
        assert_same(y2, y, what=f"{case}:")
        assert_all_same(gradients2, gradients, [f"{case}, {p}" for p in case.grads])
        assert [a.tobytes() for a in args if isinstance(a, np.ndarray)] == before


def test_in_float32_they_are_near_float64_and_stay_float32(name):
    for case in variants(name):
        args, options = case.build(dtype=np.float32)
        wide = tuple(a.astype(float) if getattr(a, "dtype", None) == np.float32 else a for a in args)
        y, gradients = serve("njit", case, args, options)
        y2, gradients2 = serve("loops", case, wide, options, case.upstream(y).astype(float))
        walked = serve("loops", case, args, options)
        for found in ((y, *gradients), (walked[0], *walked[1])):
            assert {a.dtype for a in found if a is not None} == {np.dtype(np.float32)}
        assert_same(y, y2, tol=SINGLE, what=f"{case}:")
        assert_all_same(gradients, gradients2, [f"{case}, {p}" for p in case.grads], tol=SINGLE)


def test_nan_and_infinities_go_the_way_they_go_in_python(name):
    for case in variants(name):
        args, options = case.build()
        x = args[0]
        for place, special in enumerate((np.nan, np.inf, -np.inf, -0.0)):
            x.flat[np.random.default_rng(place).integers(x.size)] = special
        try:
            expected = serve("loops", case, args, options)
        except ValueError as refused:  # these are no probabilities
            with pytest.raises(type(refused)):
                serve("njit", case, args, options)
            continue
        y, gradients = serve("njit", case, args, options)
        assert_same(y, expected[0], what=f"{case}:")
        assert_all_same(gradients, expected[1], [f"{case}, {p}" for p in case.grads])


def test_an_empty_batch_is_treated_as_by_the_op(name):
    for case in variants(name):
        args, options = case.build(N=0)
        if case.empty == "refused":
            with pytest.raises(ValueError, match=r"empty|of which there is none"):
                serve("njit", case, args, options)
        else:
            assert_equal_bits(serve("njit", case, args, options), serve("numpy", case, args, options))


LAYOUTS = {
    "non-contiguous": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "reversed": lambda a: a[::-1].copy()[::-1],
    "Fortran order": np.asfortranarray,
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "read-only": lambda a: np.lib.stride_tricks.as_strided(a, writeable=False),
}


def test_the_layout_of_what_goes_in_makes_no_difference(name):
    case = variants(name)[0]
    args, options = case.build()
    expected = serve("njit", case, args, options)
    dy = case.upstream(expected[0])
    for lay_out in LAYOUTS.values():
        again = lambda a: lay_out(a) if isinstance(a, np.ndarray) and a.ndim else a  # noqa: B023, E731
        found = serve("njit", case, tuple(map(again, args)), options, again(dy))
        assert_equal_bits(found, expected)


def test_complex_numbers_are_served_by_numpy(name):
    case = variants(name)[0]
    for dtype in (np.complex64, np.complex128):
        args, options = case.build(dtype=dtype)
        assert_equal_bits(serve("njit", case, args, options), serve("numpy", case, args, options))


def test_a_complex_gradient_of_a_real_result_is_walked_in_python():
    case = variants("conv2d")[0]
    args, options = case.build()
    dy = RNG.normal(size=(2, 4, 4, 4)) + 1j * RNG.normal(size=(2, 4, 4, 4))
    assert_all_same(serve("njit", case, args, options, dy)[1], serve("loops", case, args, options, dy)[1], "xwb")


def test_long_doubles_are_walked_in_python_and_lose_no_digit():
    x = np.longdouble(1) + np.array([2], np.longdouble) * np.finfo(np.longdouble).eps
    assert compiled(Formula("same", ("y[n] = x[n]",), shapes="x (N)")).evaluate(x=x) == x


def test_floats_of_two_widths_and_whole_numbers_all_run_the_same_machine_code():
    for case in [*variants("conv2d"), *variants("max_pool2d"), *variants("linear")]:
        for dtype in (np.float32, np.float64):
            serve("njit", case, *case.build(dtype=dtype))
    for name in ("conv2d", "conv2d_backward", "max_pool2d", "max_pool2d_backward", "linear", "linear_backward"):
        for nest in formulas[name]._nests:
            assert len(compile_loops(nest.source).signatures) == 1, nest.source


def test_the_rung_runs_machine_code_of_the_very_source_that_is_shown(monkeypatch):
    ran = []
    keep = lambda source: ran.append(source) or compile_loops(source)  # noqa: E731
    monkeypatch.setattr("tinycnn.formula.compiled.compile_loops", keep)
    serve("njit", variants("conv2d")[0], *variants("conv2d")[0].build())
    assert "\n\n".join(ran) == f"{formulas['conv2d'].loops}\n\n{formulas['conv2d_backward'].loops}"


def test_an_index_outside_its_array_is_an_error_and_reads_nothing():
    x, w = np.ones((1, 2, 4, 4)), np.ones((1, 3, 2, 2))  # filters of three channels, images of two
    with pytest.raises(IndexError):
        RUNGS["njit"]("conv2d_forward")(x, w, None)
    indices = np.full((1, 1, 1, 1), 99)
    with pytest.raises(IndexError):
        RUNGS["njit"]("max_unpool2d_forward")(np.ones((1, 1, 1, 1)), indices, (2, 2))


def test_a_fraction_of_zero_is_infinite_or_no_number_as_in_python():
    ratio = Formula("ratio", ("y[n] = x[n] / t[n]",), shapes="x (N), t (N) -> y (N)")
    x, t = np.array([1.0, -1.0, 0.0, 2.0]), np.array([0.0, 0.0, 0.0, -0.0])
    for formula in (ratio, compiled(ratio)):
        np.testing.assert_array_equal(formula.evaluate(x=x, t=t), [np.inf, -np.inf, np.nan, -np.inf])


@pytest.mark.parametrize("rung", ["loops", "njit"])
def test_a_whole_division_by_zero_is_an_error_and_not_zero(rung):
    with pytest.raises(ValueError, match="divided by 0"):  # four filters in five groups: 4 // 5 each
        RUNGS[rung]("conv2d_forward")(np.ones((1, 5, 2, 2)), np.ones((4, 1, 1, 1)), None, groups=5)
    by_an_index = Formula("rest", ("y[n] = 7 % n",), shapes="-> y (N)")
    with pytest.raises(ValueError, match="divided by 0"):
        (compiled(by_an_index) if rung == "njit" else by_an_index).evaluate(N=3)


@pytest.mark.parametrize("how", [lambda formula: formula, compiled], ids=["walked", "compiled"])
@pytest.mark.parametrize("kind", ["mean", "max", "min"])
def test_a_mean_or_a_maximum_of_nothing_is_refused(kind, how):
    rows = how(Formula("rows", (f"y[n] = {kind}[c](x[n,c])",), shapes="x (N,C) -> y (N)"))
    with pytest.raises(FormulaError, match="y takes a mean, max or min over c, of which there is none"):
        rows.evaluate(x=np.ones((2, 0)))
    assert rows.evaluate(x=np.ones((0, 0))).shape == (0,)
    sure = how(Formula("sure", (f"y[n] = {kind}[c](x[n,c]) if ask else 7",), shapes="x (N,C) -> y (N)"))
    assert sure.evaluate(x=np.ones((2, 0)), ask=False).tolist() == [7, 7]


@pytest.mark.parametrize("how", [lambda formula: formula, compiled], ids=["walked", "compiled"])
def test_of_equals_the_first_is_the_maximum_and_of_many_nans_the_first_too(how):
    shapes, (inf, nan) = "x (N,KH,KW) -> y (N)", (np.inf, np.nan)
    place = how(Formula("place", ("y[n] = a*10 + b",), shapes=shapes, where="a, b = argmax[i,j](x[n,i,j])"))
    zeros = [[0, -0.0, -1], [-1, 0, -1]]
    x = np.array([[[1.0, 5, 2], [5, 0, 1]], [[-inf] * 3] * 2, [[1, nan, inf], [nan, 2, 3]], zeros])
    assert place.evaluate(x=x).tolist() == [1, 0, 1, 0]
    for kind, pick in (("max", np.max), ("min", np.min)):
        one = how(Formula("one", (f"y[n] = {kind}[i,j](x[n,i,j])",), shapes=shapes))
        np.testing.assert_array_equal(one.evaluate(x=x), pick(x, axis=(1, 2)))


def small_network():
    train, _, _ = tc.data.load_digits()
    layers = [tc.Conv2D(4, 3, padding="same"), tc.BatchNorm2D(), tc.ReLU(), tc.MaxPool2D(2), tc.Flatten(), tc.Dense(10)]
    model = tc.Sequential(layers, input_shape=(1, 8, 8), seed=0)
    model.compile(optimizer=tc.optim.SGD(0.1), loss="cross_entropy")
    return model, train.x[:16], train.y[:16]


def test_a_network_learns_the_same_on_either_rung():
    found = {}
    for name in ("numpy", "njit"):
        with backend(name):
            model, x, y = small_network()
            history = model.fit(x, y, epochs=3, batch_size=8, verbose=0)
            found[name] = history["loss"], model.predict(x)
    assert_same(np.array(found["njit"][0]), np.array(found["numpy"][0]), tol=1e-6)
    assert_same(found["njit"][1], found["numpy"][1], tol=1e-4)


RUNGS_IN_TURN = [("njit", "numpy"), ("numpy", "njit"), ("njit", "loops"), ("numba", "njit"), ("njit", "numba")]


@pytest.mark.parametrize(("first", "second"), RUNGS_IN_TURN)
def test_a_layers_backward_is_served_by_the_rung_of_its_forward(first, second):
    layer = tc.Conv2D(2, 3, padding=1)
    layer.build((1, 5, 4), np.random.default_rng(0))
    x, dy = RNG.normal(size=(2, 1, 5, 4)), RNG.normal(size=(2, 2, 5, 4))
    with backend(first):
        layer.forward(x)
        expected = layer.backward(dy)
        layer.forward(x)
    with backend(second):
        np.testing.assert_array_equal(layer.backward(dy), expected)


def test_gradients_can_be_proved_on_the_rung():
    model, x, y = small_network()
    with backend("njit"):
        assert tc.verify.check_model(model, x[:3], y[:3]).passed


def test_threads_may_meet_the_same_new_formula_at_once():
    formula = compiled(Formula("new", ("y[n] = 3*x[n] + 4",), shapes="x (N)"))
    together, found = threading.Barrier(4, timeout=60), []

    def run():
        together.wait()
        found.append(formula.evaluate(x=np.arange(5.0)).tolist())

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [[4, 7, 10, 13, 16]] * 4


def test_no_folder_for_machine_code_is_said_once_and_all_works(monkeypatch):
    import numba

    from tinycnn.formula import compiled as module

    def njit(function=None, *, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return plain(function, **options) if function else plain(**options)

    plain = numba.njit
    monkeypatch.setattr(numba, "njit", njit)
    module._can_keep.cache_clear()
    module._words()
    double, triple = (Formula("f", (f"y[n] = {k}*x[n] - 0.125",), shapes="x (N)") for k in (2, 3))
    try:
        with pytest.warns(RuntimeWarning, match="Numba finds no folder .* NUMBA_CACHE_DIR names one"):
            assert compiled(double).evaluate(x=np.ones(1)) == 1.875
        assert compiled(triple).evaluate(x=np.ones(1)) == 2.875
    finally:
        module._can_keep.cache_clear()


def test_a_disk_without_room_for_the_machine_code_does_no_harm(monkeypatch):
    calls = []

    def full_at_first(out, x, size_n):
        calls.append(1)
        if len(calls) == 1:
            raise OSError("No space left on device")
        out += x

    monkeypatch.setattr("tinycnn.formula.compiled.compile_loops", lambda source: full_at_first)
    assert compiled(Formula("f", ("y[n] = x[n]",), shapes="x (N)")).evaluate(x=np.ones(1)) == 1
    assert len(calls) == 2


KEEPS = """
import numpy as np, sys
import tinycnn as tc
from tinycnn.backends import RUNGS
tc.backend("njit")
assert "numba" not in sys.modules
y, _ = RUNGS["njit"]("relu_forward")(np.array([-1.0, 2.0]))
from tinycnn.formula.compiled import compile_loops
print(y.tolist(), sum(compile_loops(tc.formulas["relu"].loops).stats.cache_hits.values()))
"""


def test_numba_is_loaded_at_the_first_op_and_the_next_process_finds_its_machine_code(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    for hits in (0, 1):
        command = [sys.executable, "-c", KEEPS]
        run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, env=environment)
        assert run.stdout.split("\n")[0] == f"[0.0, 2.0] {hits}"
        assert run.stderr == ""


WITHOUT = """
import sys, warnings
if "absent" in sys.argv:
    sys.modules["numba"] = None
import numpy as np, tinycnn as tc
from tinycnn import ops
from tinycnn.backends import RUNGS
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    for name in ("njit", "numba"):
        with tc.backend(name):
            layer = tc.Dense(2)
            layer.build((3,), np.random.default_rng(0))
            layer.forward(np.ones((1, 3), np.float32))
            assert RUNGS[name]("conv2d_forward") is ops.conv2d_forward
print([f"{w.category.__name__}: {w.message}" for w in said])
"""


@pytest.mark.parametrize(
    ("how", "reason"), [("absent", "Numba cannot be imported"), ("disabled", "NUMBA_DISABLE_JIT is set")]
)
def test_without_numba_numpy_serves_and_says_so_once(how, reason):
    environment = os.environ | ({"NUMBA_DISABLE_JIT": "1"} if how == "disabled" else {})
    command = [sys.executable, "-c", WITHOUT, how]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, env=environment)
    assert run.stdout.count("RuntimeWarning") == 1
    assert reason in run.stdout
    assert "NumPy serves in place of the compiled rungs" in run.stdout


def test_every_pair_that_the_loops_serve_is_compiled():
    names = [name for name in ops.__all__ if name.endswith(("_forward", "_backward"))]
    for name in names:
        assert (RUNGS["njit"](name) is getattr(ops, name)) == (RUNGS["loops"](name) is getattr(ops, name)), name
    by_numpy = [name for name in names if RUNGS["njit"](name) is getattr(ops, name)]
    assert by_numpy == ["flatten_backward", "flatten_forward"]


def test_a_compiled_formula_leaves_the_walked_one_as_it_was():
    linear = formulas["linear_backward"]
    twin = compiled(linear)
    assert all(isinstance(nest, CompiledNest) for nest in twin._nests)
    assert not any(isinstance(nest, CompiledNest) for nest in linear._nests)
    assert (twin.text, twin.loops, twin.name) == (linear.text, linear.loops, linear.name)
