"""A run before its first step: what the data say is filled in, and what does not fit them is one line of refusal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tinycnn as tc
from tinycnn import zoo
from tinycnn.data import Stream
from tinycnn.optim import OneCycle
from tinycnn.runs import parts as parts_module
from tinycnn.runs.completed import check_augment, completed
from tinycnn.runs.judging import judge
from tinycnn.runs.network import network_for, usual_shape, with_recipe
from tinycnn.runs.parts import open_parts
from tinycnn.runs.run import train_run
from tinycnn.runs.settings import Settings, SettingsError, read_settings
from tinycnn.runs.things import augment_of, optimizer_of

TUTORIALS = Path(__file__).parents[1] / "tutorials" / "settings"
DENSE = ({"type": "Flatten"}, {"type": "Dense", "units": 10})
DIGITS = Settings(data="digits", layers=DENSE, batch_size=100)  # 1257 to learn from: 13 steps an epoch


def completed_digits(**settings):
    settings = with_recipe(replace(DIGITS, **settings))
    return completed(settings, open_parts(settings))


# --------------------------------------------------------------------------- what may be left open


@pytest.mark.parametrize(
    ("schedule", "length"),
    [
        ({"name": "cosine"}, 7),
        ({"name": "cosine", "every": "step"}, 7 * 13),
        ({"name": "one_cycle"}, 7 * 13),
        ({"name": "one_cycle", "every": "epoch"}, 7),
        ({"name": "cosine", "length": 3}, 3),
    ],
)
def test_a_schedule_that_does_not_say_its_length_is_as_long_as_the_run(schedule, length):
    told = completed_digits(epochs=7, schedule=schedule)
    assert told.schedule["length"] == length
    assert optimizer_of(told).schedule.length == length


def test_after_a_warm_up_it_is_as_long_as_what_is_left():
    told = completed_digits(epochs=7, schedule={"name": "warmup", "length": 2, "then": {"name": "cosine"}})
    assert told.schedule["then"]["length"] == 5
    by_step = {"name": "warmup", "length": 20, "then": {"name": "one_cycle", "every": "step"}}
    schedule = optimizer_of(completed_digits(epochs=7, schedule=by_step)).schedule
    assert isinstance(schedule.then, OneCycle)
    assert schedule.then.length == 7 * 13 - 20


def test_full_batch_descent_takes_a_step_an_epoch():
    told = completed_digits(epochs=7, optimizer={"name": "gd"}, schedule={"name": "cosine", "every": "step"})
    assert told.schedule["length"] == 7


def test_other_schedules_say_their_own_length():
    told = completed_digits(schedule={"name": "step"})
    with pytest.raises(SettingsError, match="schedule, step, needs length"):
        optimizer_of(told)


def test_a_crop_that_does_not_say_its_size_keeps_that_of_the_pictures():
    told = completed_digits(augment=({"type": "RandomCrop", "padding": 1}, {"type": "RandomCrop", "size": 8}))
    assert told.augment == ({"type": "RandomCrop", "padding": 1, "size": (8, 8)}, {"type": "RandomCrop", "size": 8})
    assert told.augment == completed(told, open_parts(told)).augment


def test_a_run_that_goes_on_for_longer_keeps_the_schedule_that_it_began_with(tmp_path):
    begun = replace(DIGITS, epochs=2, schedule={"name": "cosine"})
    train_run(begun, tmp_path, verbose=0)
    assert train_run(Settings(epochs=3), tmp_path, resume=True, verbose=0)["epochs"] == 3
    assert json.loads((tmp_path / "config.json").read_text())["schedule"] == {"name": "cosine", "length": 2}
    with pytest.raises(SettingsError, match=r"was begun with schedule = \{'name': 'cosine', 'length': 2\}, and"):
        train_run(replace(begun, epochs=4), tmp_path, resume=True, verbose=0)


@pytest.mark.parametrize("name", sorted(zoo.NETWORKS))
def test_every_recipe_fits_pictures_of_another_size_than_its_networks(name):
    size = {"article003": (46, 50), "unet": (16, 24)}.get(name, (30, 30))
    settings = with_recipe(Settings(data="digits", net=name))
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, (10, *size) if name == "unet" else 10)
    some = tc.data.Dataset(rng.random((10, 2, *size), dtype=np.float32), y, ("a", "b"))
    parts = parts_module.Parts(some, some, None)
    settings = completed(settings, parts)
    assert network_for(settings, parts).input_shape == (2, *size)
    check_augment(augment_of(settings), parts)


# --------------------------------------------------------------------------- the files that the docs show


def test_the_settings_that_the_docs_show_are_those_of_the_tutorials():
    page = (TUTORIALS.parents[1] / "docs" / "runs.md").read_text(encoding="utf-8")
    files = sorted(TUTORIALS.glob("*.toml"))
    assert len(files) == 3
    for path in files:
        read_settings(path)
        assert f"tutorials/settings/{path.name}" in page
        assert f"tutorials/settings/{path.name}" in path.read_text(encoding="utf-8")
    for name in ("mnist-article004", "digits"):
        text = (TUTORIALS / f"{name}.toml").read_text(encoding="utf-8")
        assert text.split("\n\n", 1)[1] in page, name


def test_the_written_out_lenet_is_its_recipe():
    assert with_recipe(read_settings(TUTORIALS / "mnist-lenet5.toml")) == with_recipe(Settings(net="lenet5"))


# --------------------------------------------------------------------------- what does not fit, before a folder is made


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"loss": "bce_with_logits"}, "loss 'bce_with_logits' is not for data with one class a picture: cross_entropy "
         "is, or sparse_categorical_crossentropy behind a Softmax; several labels a picture are for model.fit"),
        ({"loss": "mse"}, "loss 'mse' is not for data with one class a picture"),
        ({"loss": "categorical_crossentropy", "layers": (*DENSE, {"type": "Softmax"})}, "loss 'categorical_cross"),
        ({"metrics": ("r2",)}, "metric 'r2' is not for these data: "),
        ({"layers": ({"type": "Conv2D", "filters": 10, "kernel_size": 1},)}, "the data have one class a picture, and "
         r"the network gives numbers of shape \(10, 8, 8\)"),
        ({"augment": ({"type": "RandomCrop", "size": 6},)}, r"augment makes pictures \(1, 8, 8\) into \(1, 6, 6\)"),
        ({"augment": ({"type": "RandomCrop", "size": 9},)}, "augment: a crop of 9×9 does not fit into 8×8"),
        ({"augment": ({"type": "MixUp"},)}, "augment: mixed targets are probabilities"),
    ],
)  # fmt: skip
def test_what_is_not_for_these_data_is_said_in_one_line_before_the_folder_is_made(told, says, tmp_path):
    with pytest.raises(SettingsError, match=says) as caught:
        train_run(replace(DIGITS, epochs=1, **told), tmp_path / "out", verbose=0)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_the_losses_that_are_for_classes_train(tmp_path):
    behind = {"focal": (), "multi_margin": (), "sparse_categorical_crossentropy": ({"type": "Softmax"},)}
    for loss, more in behind.items():
        told = replace(DIGITS, epochs=1, loss=loss, layers=(*DENSE, *more), metrics=("accuracy", "top_5_accuracy"))
        assert train_run(told, tmp_path / loss, verbose=0)["epochs"] == 1


# --------------------------------------------------------------------------- masks


def masks(folder: Path, count: int, highest: int, seed: int = 0) -> Path:
    """Pictures of squares, and masks in which they have the values 100, 200, … up to `highest` of them."""
    rng = np.random.default_rng(seed)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for i in range(count):
        mask = np.zeros((12, 16), np.uint8)
        for k in range(1, highest + 1):
            row, column = 6 * (k - 1), int(rng.integers(0, 10))
            mask[row : row + 5, column : column + 5] = 100 * k
        Image.fromarray(mask).save(folder / "masks" / f"{i}.png")
        Image.fromarray((mask + rng.integers(0, 40, mask.shape)).astype(np.uint8)).save(folder / "images" / f"{i}.png")
    return folder


SEGMENT = Settings(net="unet", size=(12, 16), epochs=6, batch_size=4, lr=0.01)


def test_masks_to_be_judged_on_may_lack_a_class_and_count_as_those_to_learn_from(tmp_path):
    masks(tmp_path / "set" / "train", 16, highest=2)
    test = masks(tmp_path / "set" / "test", 4, highest=2, seed=1)
    for path in sorted((test / "masks").iterdir()):  # none of the middle value is left
        mask = np.asarray(Image.open(path))
        Image.fromarray(np.where(mask == 100, 0, mask)).save(path)
    told = replace(SEGMENT, data=str(tmp_path / "set"))
    parts = open_parts(told, usual_shape(told))
    assert parts.classes == parts.test.classes == ("0", "100", "200")
    assert set(np.unique(parts.test.y)) == {0, 2}
    result = train_run(told, tmp_path / "run", verbose=0)
    assert result["test"]["accuracy"] > 0.6
    found = judge(tmp_path / "run", str(test)).numbers  # alone it has two classes, which are counted as learned
    assert found["accuracy"] == pytest.approx(result["test"]["accuracy"])


def test_masks_with_a_value_that_none_to_learn_from_has_are_refused(tmp_path):
    masks(tmp_path / "set" / "train", 8, highest=1)
    masks(tmp_path / "set" / "test", 4, highest=2)
    with pytest.raises(SettingsError, match=r"not the same classes: '200' is in test/ and not in train/$"):
        open_parts(replace(SEGMENT, data=str(tmp_path / "set")))


def test_a_value_that_the_held_out_masks_alone_have_is_named(tmp_path):
    folder = masks(tmp_path / "set", 8, highest=1)
    told = replace(SEGMENT, data=str(folder), val=0.25)
    rare = open_parts(told).val.x[0, 0]
    for path in sorted((folder / "images").iterdir()):
        x = np.asarray(Image.open(path)) / np.float32(255)
        if np.array_equal(x, rare):
            Image.fromarray(np.full((12, 16), 250, np.uint8)).save(folder / "masks" / path.name)
    with pytest.raises(SettingsError, match="to watch by hold a class that none to learn from has: '250'"):
        open_parts(told)


def test_masks_read_while_training_give_what_those_in_memory_do(tmp_path, monkeypatch):
    told = replace(SEGMENT, data=str(masks(tmp_path / "set", 12, highest=2)), epochs=1)
    result = train_run(told, tmp_path / "memory", verbose=0)
    monkeypatch.setattr(parts_module, "IN_MEMORY", 0)
    parts = open_parts(told, usual_shape(told))
    assert isinstance(parts.train, Stream)
    assert isinstance(parts.val, Stream)
    streamed = train_run(told, tmp_path / "stream", verbose=0)
    assert streamed["val"] == result["val"]
    with pytest.raises(SettingsError, match=r"the data have a class for each of 12×16 pixels, as unet gives, and the"):
        train_run(replace(told, net="digits"), tmp_path / "digits", verbose=0)


@pytest.mark.parametrize(("count", "share", "fits"), [(2, None, 0), (5, 0.1, 0), (6, 0.1, 1), (2, 0.5, 1)])
def test_too_few_to_hold_out_a_share_is_said(count, share, fits, tmp_path):
    told = replace(SEGMENT, data=str(masks(tmp_path / "set", count, highest=2)), val=share)
    if fits:
        assert len(open_parts(told).val) == 1
        return
    with pytest.raises(SettingsError, match=rf"^of {count} pictures, 0\.1 cannot be held out to watch by"):
        open_parts(told)
