"""What a run is told: settings from a file and from flags, the network and the data that they name."""

import re
from pathlib import Path

import numpy as np
import pytest

from tinycnn import data, zoo
from tinycnn.data import write_image
from tinycnn.layers import Conv2D, Dense
from tinycnn.optim import SGD, Adam, Momentum
from tinycnn.runs.completed import completed
from tinycnn.runs.network import network_for, usual_shape, with_recipe
from tinycnn.runs.parts import named, open_parts
from tinycnn.runs.settings import Settings, SettingsError, read_settings, settings_of
from tinycnn.runs.things import AUGMENTATIONS, augment_of, optimizer_of

OWN = """
data = "digits"
epochs = 3
[[layers]]
type = "Conv2D"
filters = 4
kernel_size = [3, 3]
padding = "same"
[[layers]]
type = "Residual"
layers = [{type = "Conv2D", filters = 4, kernel_size = 3, padding = 1}, {type = "ReLU"}]
[[layers]]
type = "Flatten"
[[layers]]
type = "Dense"
units = 10
[optimizer]
name = "sgd"
lr = 0.05
momentum = 0.9
[[augment]]
type = "RandomRotate90"
"""


def written(tmp_path, text):
    (tmp_path / "run.toml").write_text(text)
    return read_settings(tmp_path / "run.toml")


def network(settings):
    settings = with_recipe(settings)
    parts = open_parts(settings, usual_shape(settings))
    return network_for(completed(settings, parts), parts)


def pictures(folder, counts, size=(9, 12), seed=0):
    rng = np.random.default_rng(seed)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            write_image(folder / name / f"{i}.png", rng.random((3, *size)).astype(np.float32))
    return folder


def test_a_settings_file_states_layers_inside_layers_and_an_optimizer(tmp_path):
    settings = written(tmp_path, OWN)
    model = network(settings)
    assert model.output_shape == (10,)
    assert isinstance(model.layers[1].inner.layers[0], Conv2D)
    assert isinstance(model.layers[-1], Dense)
    assert isinstance(model.optimizer, SGD)
    assert (model.optimizer.lr, model.optimizer.momentum) == (0.05, 0.9)
    assert [type(step).__name__ for step in augment_of(settings).steps] == ["RandomRotate90"]


def test_a_flag_is_stronger_than_the_file_and_the_file_than_the_recipe(tmp_path):
    file = written(tmp_path, 'net = "article004"\nepochs = 7\n[optimizer]\nname = "adam"\nbeta1 = 0.8')
    told = with_recipe(Settings(lr=0.02, data="digits").over(file))
    assert (told.epochs, told.batch_size, told.lr) == (7, 64, 0.02)
    optimizer = optimizer_of(told)
    assert isinstance(optimizer, Adam)
    assert (optimizer.lr, optimizer.beta1) == (0.02, 0.8)


def test_another_optimizer_does_not_take_over_the_options_of_the_first():
    told = with_recipe(Settings(net="article002", optimizer={"name": "adam"}))
    assert told.optimizer == {"name": "adam"}


def test_a_seed_of_0_and_a_rate_said_later_are_stronger_too():
    assert Settings(seed=0).over(Settings(seed=5)).seed == 0
    below = Settings(lr=0.01, optimizer={"name": "sgd", "momentum": 0.9})
    told = Settings(optimizer={"name": "sgd", "lr": 0.5}).over(below)
    optimizer = optimizer_of(told)
    assert (optimizer.lr, optimizer.momentum) == (0.5, 0.9)
    for name in ("sgd", "adam"):
        told = Settings(optimizer={"name": name}).over(Settings(lr=0.01, optimizer={"name": "adam"}))
        assert optimizer_of(told).lr == 0.01


def test_no_metrics_and_no_augmentation_survive_their_record_too():
    told = with_recipe(Settings(net="resnet8", metrics=(), augment=()))
    assert (told.metrics, told.augment) == ((), ())
    assert settings_of(told.as_dict()) == told


def test_a_network_by_flag_replaces_the_layers_of_the_file(tmp_path):
    told = with_recipe(Settings(net="digits").over(written(tmp_path, OWN)))
    assert (told.net, told.layers) == ("digits", ())


def test_every_network_of_the_zoo_has_a_recipe_that_can_be_followed():
    assert set(zoo.recipes.RECIPES) == set(zoo.NETWORKS)
    for name in zoo.NETWORKS:
        told = with_recipe(Settings(net=name))
        assert told.epochs
        assert told.optimizer["lr"] > 0
        assert len(usual_shape(told)) == 3
    assert isinstance(network(Settings(data="digits", optimizer={"name": "momentum"})).optimizer, Momentum)


def test_settings_survive_their_own_record(tmp_path):
    told = with_recipe(Settings(seed=3).over(written(tmp_path, OWN)))
    assert settings_of(told.as_dict()) == told


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("epoch = 3", "no setting 'epoch'; did you mean 'epochs'?"),
        ("epochs = 0", "epochs must be a whole number ≥ 1, got 0"),
        ("epochs = true", "epochs must be a whole number ≥ 1, got True"),
        ("lr = -1.0", "lr must be a number above 0, got -1.0"),
        ("val = 1.5", "val must be a number above 0 and below 1, got 1.5"),
        ("size = [3]", r"size must be two whole numbers, height and width, got \(3,\)"),
        ("metrics = 3", "metrics must be a list of names, got 3"),
        ("optimizer = 'adam'", r"optimizer must be a table, got 'adam'"),
        ("[optimizer]\nlr = 1.0", r"\[optimizer\] needs a name"),
        ("[[layers]]\nfilters = 3", "entry 1 of layers needs a type"),
        ("layers = 3", "layers must be a list of tables"),
        ('[[layers]]\ntype="Residual"\nlayers=[{filters=2}]', r"entry 1\.1 of layers needs a type"),
        ('net = "digits"\n[[layers]]\ntype="ReLU"', "give one of them"),
        ("epochs = ", "not TOML"),
    ],
)
def test_a_bad_settings_file_is_one_clear_line(tmp_path, text, says):
    with pytest.raises(SettingsError, match=says) as caught:
        written(tmp_path, text)
    assert str(tmp_path / "run.toml") in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"net": "lenet"}, "no network 'lenet'; did you mean 'lenet5'"),
        ({"layers": ({"type": "Conv"},)}, "layer 1: no layer 'Conv'; did you mean 'Conv2D'"),
        ({"layers": ({"type": "Conv2D", "filter": 3},)}, "1, Conv2D, has no option 'filter'; did you mean 'filters'"),
        ({"layers": ({"type": "Conv2D"},)}, "layer 1, Conv2D, needs filters, kernel_size"),
        ({"layers": ({"type": "Dense", "units": -1},)}, "layer 1, Dense: .*-1"),
        ({"layers": ({"type": "Flatten"}, {"type": "Dense", "units": 7})}, "gives 7 numbers, and there are 10 classes"),
        ({"layers": ({"type": "MaxPool2D", "kernel_size": 9},)}, "pictures of 1×8×8 do not fit the network"),
        ({"optimizer": {"name": "adm"}}, "no optimizer 'adm'; did you mean 'adam'"),
        ({"optimizer": {"name": "adam", "learning_rate": 1.0}}, "optimizer, adam, has no option 'learning_rate'"),
        ({"loss": "crossentropy"}, "did you mean"),
        ({"metrics": ("acuracy",)}, "did you mean 'accuracy'"),
        ({"regularizer": {"name": "l3", "strength": 1.0}}, "no regularizer 'l3'"),
        ({"net": "article003"}, "pictures of 1×8×8 do not fit the network"),
    ],
)  # fmt: skip
def test_a_network_that_cannot_be_is_refused_before_training(settings, says):
    with pytest.raises(SettingsError, match=says):
        network(Settings(data="digits", **settings))


def test_every_augmentation_can_be_stated():
    assert {"RandomFlip", "RandomCrop", "Cutout", "MixUp"} <= set(AUGMENTATIONS)
    with pytest.raises(SettingsError, match="augment 2: no augmentation 'Flip'"):
        augment_of(Settings(augment=({"type": "RandomFlip"}, {"type": "Flip"})))
    with pytest.raises(SettingsError, match="augment 1, RandomFlip, has no option 'prob'"):
        augment_of(Settings(augment=({"type": "RandomFlip", "prob": 0.1},)))


def test_the_digits_come_in_their_three_parts():
    parts = open_parts(Settings(data="digits"))
    assert (len(parts.train), len(parts.val), len(parts.test)) == (1257, 180, 360)
    np.testing.assert_array_equal(parts.test.x, data.load_digits()[2].x)


def test_a_folder_of_classes_gives_up_a_share_of_every_class_and_takes_the_networks_size(tmp_path):
    pictures(tmp_path / "set", {"a": 10, "b": 20})
    settings = with_recipe(Settings(data=str(tmp_path / "set"), net="article004", val=0.2))
    parts = open_parts(settings, usual_shape(settings))
    assert parts.shape == (3, 32, 32)
    assert parts.test is None
    np.testing.assert_array_equal(parts.val.counts(), [2, 4])
    np.testing.assert_array_equal(parts.train.counts(), [8, 16])


def test_folders_train_and_test_are_parts_and_no_classes(tmp_path):
    for part in ("train", "test"):
        pictures(tmp_path / "set" / part, {"a": 5, "b": 5}, seed=len(part))
    parts = open_parts(Settings(data=str(tmp_path / "set"), size=(9, 12), val=0.2))
    assert parts.classes == ("a", "b")
    assert (len(parts.train), len(parts.val), len(parts.test)) == (8, 2, 10)


def test_parts_with_different_classes_are_refused(tmp_path):
    pictures(tmp_path / "set" / "train", {"a": 5, "b": 5})
    pictures(tmp_path / "set" / "test", {"a": 5, "c": 5})
    said = "not the same classes: 'b' is in train/ and not in test/; 'c' is in test/ and not in train/$"
    with pytest.raises(SettingsError, match=said):
        open_parts(Settings(data=str(tmp_path / "set"), size=(9, 12)))


def test_of_many_classes_that_a_part_lacks_ten_are_named(tmp_path):
    pictures(tmp_path / "set" / "train", {f"c{n:02}": 1 for n in range(13)})
    pictures(tmp_path / "set" / "test", {"c00": 1})
    with pytest.raises(SettingsError, match=r"'c01', .*'c10' and 2 more are in train/ and not in test/$"):
        open_parts(Settings(data=str(tmp_path / "set"), size=(9, 12)))


def test_statistics_are_of_the_training_part_alone(tmp_path):
    pictures(tmp_path / "set", {"a": 10, "b": 10})
    settings = with_recipe(Settings(data=str(tmp_path / "set"), net="digits", size=(8, 8), grey=True, normalise=True))
    parts = open_parts(settings, usual_shape(settings))
    kept = network_for(settings, parts).preprocessing["normalise"]
    assert kept == data.channel_statistics(parts.train.x)
    assert kept != data.channel_statistics(np.concatenate([parts.train.x, parts.val.x]))


def test_data_that_nothing_can_be_learned_from_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="'digit'; did you mean 'digits'"):
        named(Settings(data="digit"))
    with pytest.raises(SettingsError, match="which data"):
        named(Settings())
    with pytest.raises(SettingsError, match="one class alone, 'only'"):
        open_parts(Settings(data=str(pictures(tmp_path / "one", {"only": 6})), size=(8, 8)))
    (tmp_path / "empty" / "cat").mkdir(parents=True)
    pictures(tmp_path / "empty", {"dog": 3})
    with pytest.raises(ValueError, match="cat: the class has no pictures"):
        open_parts(Settings(data=str(tmp_path / "empty"), size=(8, 8)))


def test_a_class_unseen_in_training_is_named(tmp_path):
    pictures(tmp_path / "set" / "train", {"a": 5, "b": 5})
    rows = [f"train/{k}/{i}.png,{k}" for k in "ab" for i in range(5)]
    pictures(tmp_path / "set" / "more", {"rare": 1})
    (tmp_path / "set" / "table.csv").write_text("\n".join(["path,label", *rows, "more/rare/0.png,rare"]))
    with pytest.raises((SettingsError, ValueError), match=r"rare|one example"):
        open_parts(Settings(data=str(tmp_path / "set" / "table.csv"), size=(8, 8), val=0.5, seed=1))


def test_the_file_that_the_docs_show_can_be_followed(tmp_path):
    page = (Path(__file__).parents[1] / "docs" / "runs.md").read_text(encoding="utf-8")
    settings = written(tmp_path, re.search(r"```toml\n(.*?)```", page, re.DOTALL)[1])
    assert settings.patience == 5
    assert len(network(settings).layers) == 5
    assert [entry["type"] for entry in settings.augment] == ["RandomCrop"]
    assert network(settings).optimizer.schedule.length == settings.epochs
    assert all(f"`{name}`" in page for name in zoo.NETWORKS)
