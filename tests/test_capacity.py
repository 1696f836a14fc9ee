"""Capacity: the same network at several widths, on several amounts of data."""

import json

import numpy as np
import pytest

from tinycnn import Conv2D, Dense, Flatten, ReLU, Residual, Sequential, zoo
from tinycnn.runs.capacity import RECORD, Trial, measure_capacity, subset, verdicts
from tinycnn.runs.network import with_recipe
from tinycnn.runs.parts import open_parts
from tinycnn.runs.settings import Settings, SettingsError
from tinycnn.runs.width import scaled

TINY = Settings(
    data="digits", epochs=1, batch_size=64,
    layers=({"type": "Conv2D", "filters": 4, "kernel_size": 3}, {"type": "Flatten"}, {"type": "Dense", "units": 10}),
)  # fmt: skip


def trial(width, pictures, loss, val_loss):
    return Trial(width, pictures, int(1000 * width), loss, 0.5, val_loss, 0.25)


def test_a_wider_network_has_more_filters_everywhere_but_as_many_classes():
    wide = scaled(zoo.resnet8(classes=7), 1.5)
    assert [layer.filters for _, layer in wide.walk() if isinstance(layer, Conv2D)] == [24, 24, 24, 48, 48, 48, 96]
    assert wide.output_shape == (7,)
    again = scaled(zoo.resnet8(classes=7), 1.5)
    np.testing.assert_array_equal(wide.named_params()["conv1.w"], again.named_params()["conv1.w"])


def test_a_residual_block_stays_as_wide_as_what_it_is_added_to():
    block = Residual([Conv2D(3, 3, padding=1), ReLU()])
    model = Sequential([Conv2D(3, 3, padding=1), block, Flatten(), Dense(2)], input_shape=(1, 4, 4))
    assert scaled(model, 0.5).layers[1].inner.layers[0].filters == 2  # round(1.5), as the convolution before it


@pytest.mark.parametrize("factor", [0, -1, float("nan"), float("inf")])
def test_a_width_that_is_none_is_refused(factor):
    with pytest.raises(SettingsError, match="width must be a number above 0"):
        scaled(zoo.digits(), factor)


def test_groups_that_no_longer_divide_are_named():
    model = Sequential([Conv2D(4, 3), Conv2D(4, 3, groups=4), Flatten(), Dense(2)], input_shape=(1, 8, 8))
    with pytest.raises(SettingsError, match=r"0\.75 times as wide: .*groups"):
        scaled(model, 0.75)


def test_a_subset_keeps_the_mix_of_classes():
    part = open_parts(TINY).train
    few = subset(part, 100, seed=3)
    assert len(few) == 100
    assert (np.abs(few.counts() / 100 - part.counts() / len(part)) < 0.02).all()


def test_what_was_measured_is_not_measured_again(tmp_path, monkeypatch):
    settings = with_recipe(TINY)
    parts = open_parts(settings)
    first = measure_capacity(settings, parts, [0.5, 1], [40], tmp_path)
    assert [(t.width, t.pictures) for t in first] == [(0.5, 40), (1, 40)]
    assert json.loads((tmp_path / RECORD).read_text())["trials"][0]["weights"] == first[0].weights
    monkeypatch.setattr("tinycnn.runs.capacity._try", lambda *_: pytest.fail("trained again"))
    assert measure_capacity(settings, parts, [0.5, 1], [40], tmp_path) == first
    with pytest.raises(SettingsError, match="made with other settings"):
        measure_capacity(with_recipe(Settings(data="digits", epochs=3)), parts, [1], [40], tmp_path)


def test_a_width_that_diverges_is_a_finding_and_not_the_end(tmp_path):
    settings = with_recipe(Settings(lr=1e30, optimizer={"name": "sgd"}).over(TINY))
    (found,) = measure_capacity(settings, open_parts(settings), [1], [64], tmp_path)
    assert found.val_loss == np.inf
    assert measure_capacity(settings, open_parts(settings), [1], [64], tmp_path) == [found]


def test_few_pictures_get_as_many_steps_as_all(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(Sequential, "fit", lambda self, x, y, epochs, batch, **_: seen.append((len(x), epochs, batch)))
    settings = with_recipe(Settings(epochs=3).over(TINY))
    parts = open_parts(settings)
    measure_capacity(settings, parts, [1], [64, 1257], tmp_path)
    assert seen == [(64, 60, 64), (1257, 3, 64)]  # 3 epochs of 20 batches


@pytest.mark.parametrize("size", [9, 1258])
def test_an_amount_that_the_data_do_not_have_is_refused(size, tmp_path):
    settings = with_recipe(TINY)
    with pytest.raises(SettingsError, match=f"from 10 .* to 1,257 pictures, got {size}"):
        measure_capacity(settings, open_parts(settings), [1], [size], tmp_path)


def test_the_words_say_which_width_underfits_and_which_overfits():
    (line,) = verdicts([trial(0.5, 60, 2.0, 2.1), trial(1, 60, 0.5, 0.6), trial(2, 60, 0.01, 0.9)])
    assert line.startswith("60 pictures: width 1 does best")
    assert "underfit, down to width 0.5 (loss 2 in training, 2.1 in validation)" in line
    assert "overfit, up to width 2 (loss 0.01 in training, 0.9 in validation)" in line
    (line,) = verdicts([trial(1, 60, 0.5, 0.6), trial(2, 60, 0.5, float("nan"))])
    assert "width 1 does best" in line
