"""Arrays are used again as soon as nobody holds them, and never before."""

import threading

import numpy as np
import pytest

from tinycnn import Conv2D, Dense, Flatten, MaxPool2D, ReLU, Sequential, backend, kept

SHAPE = (40, 1000)  # large enough to be kept


def _address(array):
    return array.__array_interface__["data"][0]


def _addresses(pool):
    return [_address(one.array) + one.begin for one in pool.all]


def _network(seed=0):
    layers = [Conv2D(16, 3), ReLU(), MaxPool2D(2), Flatten(), Dense(4)]
    model = Sequential(layers, input_shape=(3, 24, 26), seed=seed)
    model.compile()
    return model


def _data(n=32):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 3, 24, 26)).astype(np.float32), rng.integers(0, 4, n)


def test_outside_every_array_is_a_new_one_of_the_shape_and_type_asked_for():
    for shape, wanted in ((7, (7,)), ((2, 3), (2, 3)), ([4], (4,)), ((0, 5), (0, 5))):
        array = kept.empty(shape, np.float64)
        assert array.shape == wanted
        assert array.dtype == np.float64
        assert array.base is None


def test_an_array_that_nobody_holds_is_handed_out_again_also_as_another_type():
    with kept.keeping():
        first = kept.empty(SHAPE, np.float32)
        place = _address(first)
        del first
        again = kept.empty((20, 1000), np.float64)
        assert _address(again) == place
        assert again.shape == (20, 1000)
        assert again.flags.c_contiguous
        assert again.flags.writeable


@pytest.mark.parametrize(
    "hold",
    [lambda a: a, lambda a: a[3:, ::2].T, lambda a: a.view(np.int32), memoryview, lambda a: a.reshape(-1)[5:6],
     lambda a: [{"deep": (a,)}], lambda a: (lambda: a)],
    ids=["itself", "view", "other type", "memoryview", "one number", "container", "closure"],
)  # fmt: skip
def test_what_somebody_holds_in_any_way_is_not_touched(hold):
    with kept.keeping():
        array = kept.empty(SHAPE, np.float32)
        array[:] = 7
        held, place = hold(array), _address(array)
        del array
        others = [kept.empty(SHAPE, np.float32) for _ in range(3)]
        assert place not in [_address(other) for other in others]
        assert held is not None


def test_two_arrays_that_live_at_once_do_not_overlap_and_a_much_larger_one_is_not_spent_on_a_small_one():
    with kept.keeping():
        large = kept.empty((10 * SHAPE[0], SHAPE[1]), np.float32)
        place = _address(large)
        del large
        arrays = [kept.empty(SHAPE, np.float32) for _ in range(5)]
        for k, array in enumerate(arrays):
            array[:] = k
        assert [float(array.max()) for array in arrays] == [0, 1, 2, 3, 4]
        assert place not in map(_address, arrays)


def test_what_is_kept_ends_with_the_outermost_context_and_belongs_to_one_thread():
    seen = []
    with kept.keeping():
        with kept.keeping():
            place = _address(kept.empty(SHAPE, np.float32))
        assert _address(kept.empty(SHAPE, np.float32)) == place
        thread = threading.Thread(target=lambda: seen.append(kept.is_keeping()))
        thread.start()
        thread.join()
        with kept.asking():
            assert kept.is_asking()
        assert not kept.is_asking()
    assert seen == [False]
    assert not kept.is_keeping()


def test_a_model_that_is_asked_again_takes_no_new_memory():
    model, (x, _) = _network(), _data(48)
    model.predict(x)
    held = _addresses(model._pool)
    assert held
    model.predict(x)
    assert _addresses(model._pool) == held
    assert "_pool" not in model.__getstate__()


def test_between_two_calls_a_pool_keeps_what_the_last_one_used_and_nobody_holds():
    pool = kept.Pool()
    with kept.keeping(pool):
        mine, free = kept.empty(SHAPE, np.float32), _address(kept.empty((2 * SHAPE[0], SHAPE[1]), np.float32))
    assert _addresses(pool) == [free]
    with kept.keeping(pool):
        fresh = kept.empty(SHAPE, np.float32)
        assert _address(fresh) != _address(mine)
        assert [one.size for one in pool.all] == [fresh.nbytes], "what this call does not use makes room"
    with kept.keeping(pool):
        pass
    assert pool.all == [], "nobody used anything"


def test_arrays_of_a_pool_begin_at_different_places_of_a_page():
    pool = kept.Pool()
    with kept.keeping(pool):
        held = [kept.empty(SHAPE, np.float32) for _ in range(30)]
        places = {_address(array) % kept.PAGE for array in held}
    assert len(places) == len(held)
    assert all(place % kept.LINE == 0 for place in places)


def test_an_interrupted_call_leaves_the_pool_in_order():
    pool = kept.Pool()

    def interrupted():
        for k in (3, 1, 2):
            kept.empty((k * SHAPE[0], SHAPE[1]), np.float32)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), kept.keeping(pool):
        interrupted()
    assert [one.size for one in pool.all] == [k * 4 * SHAPE[0] * SHAPE[1] for k in (1, 2, 3)]
    with kept.keeping(pool):
        assert _address(kept.empty(SHAPE, np.float32)) == _addresses(pool)[0]


def test_what_is_kept_begins_where_a_cache_line_does():
    with kept.keeping():
        held = [kept.empty((10_000 + 7 * k, 3), np.float32) for k in range(20)]
        assert all(_address(array) % kept.LINE == 0 for array in held)


def test_between_two_calls_a_pool_keeps_no_more_than_it_may(monkeypatch):
    size = 4 * SHAPE[0] * SHAPE[1]
    monkeypatch.setattr(kept, "AT_REST", 2 * size + 1)
    pool = kept.Pool()
    with kept.keeping(pool):
        arrays = [kept.empty(SHAPE, np.float32) for _ in range(4)]
        del arrays
        kept.empty((3 * SHAPE[0], SHAPE[1]), np.float32)
    assert [one.size for one in pool.all] == [size, size]


def test_what_predict_and_evaluate_return_is_the_callers_own():
    model, (x, y) = _network(), _data()
    first = model.predict(x)
    before = first.copy()
    model.predict(-x)
    model.fit(x, y, verbose=0)
    assert (first == before).all()


def test_gradients_and_weights_that_a_callback_holds_are_never_overwritten():
    model, (x, y) = _network(), _data(96)
    held = []

    def hold(run):
        grads = run.model.named_grads()
        held.append((grads, {key: dw.copy() for key, dw in grads.items()}))

    model.fit(x, y, epochs=4, verbose=0, callbacks=[hold])
    assert len(held) == 4
    for grads, copies in held:
        assert all((grads[key] == copies[key]).all() for key in copies)
    assert (held[0][0]["conv1.w"] != held[1][0]["conv1.w"]).any()


def test_a_prediction_in_the_middle_of_training_changes_nothing():
    (x, y), scores = _data(96), []
    with_it, without = _network(), _network()
    with_it.fit(x, y, epochs=3, verbose=0, callbacks=[lambda run: scores.append(run.model.predict(x))])
    without.fit(x, y, epochs=3, verbose=0)
    for key, w in with_it.named_params().items():
        assert (w == without.named_params()[key]).all()
    assert (scores[0] != scores[1]).any()


def test_training_gives_the_same_bits_with_kept_arrays_and_without(monkeypatch):
    (x, y), kept_ones, new_ones = _data(96), _network(), _network()
    kept_ones.fit(x, y, epochs=2, verbose=0)
    monkeypatch.setattr(kept, "COUNTS", False)
    new_ones.fit(x, y, epochs=2, verbose=0)
    for key, w in kept_ones.named_params().items():
        assert (w == new_ones.named_params()[key]).all()


def test_after_training_no_layer_holds_what_a_step_left_behind():
    model, (x, y) = _network(), _data()
    model.fit(x, y, verbose=0)
    model.predict(x)
    assert [layer.cache for layer in model.layers] == [None] * len(model.layers)
    with pytest.raises(RuntimeError, match="Dense 'dense1': backward needs a forward first"):
        model.backward(np.ones((32, 4), np.float32))


def test_steps_after_the_first_few_take_no_new_memory():
    model, (x, y) = _network(), _data(32)
    made = []
    with backend("numba"), kept.keeping():
        from tinycnn.train.loop import train_step

        for _ in range(5):
            train_step(model, x, y)
            made.append(len(kept._here.pool.all))
    assert made[1] == made[-1]
