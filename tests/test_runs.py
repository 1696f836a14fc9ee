"""A run in its folder: trained, gone on with, judged and asked; and sweeps of them."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import tinycnn as tc
from tinycnn.data import write_image
from tinycnn.runs.asking import predict_file
from tinycnn.runs.folder import read_config
from tinycnn.runs.judging import as_learned, judge
from tinycnn.runs.parts import named
from tinycnn.runs.run import train_run
from tinycnn.runs.settings import Settings, SettingsError
from tinycnn.runs.sweep import ranked, sweep
from tinycnn.runs.trials import choices, tried
from tinycnn.train import metrics

SMALL = Settings(
    data="digits", epochs=2, batch_size=64,
    layers=(
        {"type": "Conv2D", "filters": 4, "kernel_size": 3}, {"type": "ReLU"}, {"type": "MaxPool2D", "kernel_size": 2},
        {"type": "Dropout", "drop_prob": 0.2}, {"type": "Flatten"}, {"type": "Dense", "units": 10},
    ),
    augment=({"type": "RandomCrop", "size": 8, "padding": 1},),
    schedule={"name": "cosine", "length": 4},
)  # fmt: skip


def weights(folder):
    return tc.load(folder / "model.safetensors").named_params()


def assert_same_weights(first, second):
    for key, w in weights(first).items():
        np.testing.assert_array_equal(w, weights(second)[key], err_msg=key)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "one"
    train_run(SMALL, out, verbose=0)
    return out


def test_a_run_leaves_all_that_is_needed_to_judge_it_and_to_go_on(folder):
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "history.json", "log.csv", "model.safetensors", "curves.png", "confusion.png", "hardest.png",
            "result.json", "checkpoints"} <= names  # fmt: skip
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"best.safetensors", "last.safetensors"}
    result = json.loads((folder / "result.json").read_text())
    _, _, test = tc.data.load_digits()
    model = tc.load(folder / "model.safetensors")
    assert result["test"]["accuracy"] == metrics.accuracy(test.y, model.predict(test.x))
    assert len(json.loads((folder / "history.json").read_text())["loss"]) == 2
    assert read_config(folder).layers == SMALL.layers


def test_a_run_that_goes_on_ends_where_an_undisturbed_one_does(folder, tmp_path):
    longer = Settings(epochs=4).over(SMALL)
    train_run(longer, tmp_path / "whole", verbose=0)
    train_run(SMALL, tmp_path / "parts", verbose=0)
    result = train_run(Settings(epochs=4), tmp_path / "parts", resume=True, verbose=0)
    assert result["epochs"] == 4
    assert_same_weights(tmp_path / "whole", tmp_path / "parts")
    whole, parts = ((tmp_path / n / "history.json").read_bytes() for n in ("whole", "parts"))
    assert whole == parts


def test_a_folder_that_holds_a_run_is_refused_and_so_is_going_on_with_other_settings(folder):
    with pytest.raises(SettingsError, match="holds a run already: go on with it by --resume"):
        train_run(SMALL, folder, verbose=0)
    with pytest.raises(SettingsError, match="was begun with batch_size = 64, and now it is to be batch_size = 32"):
        train_run(Settings(batch_size=32), folder, resume=True, verbose=0)


def test_resume_begins_afresh_where_the_folder_is_empty(tmp_path):
    assert train_run(Settings(epochs=1).over(SMALL), tmp_path, resume=True, verbose=0)["epochs"] == 1


def test_what_is_wrong_is_said_before_the_folder_is_made(tmp_path):
    for told in ({"net": "lenet", "data": "digits"}, {"data": "nowhere"}, {"net": "article003", "data": "digits"}):
        settings = Settings(**told)
        with pytest.raises((SettingsError, FileNotFoundError)):
            train_run(settings, tmp_path / "out", verbose=0)
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(NotADirectoryError, match="must be a folder"):
        train_run(SMALL, tmp_path / "file", verbose=0)


@pytest.mark.slow
def test_an_interrupted_run_is_saved_and_goes_on_to_the_same_bits(tmp_path):
    toml = tmp_path / "run.toml"
    toml.write_text('epochs = 3\n[[layers]]\ntype = "Flatten"\n[[layers]]\ntype = "Dense"\nunits = 10\n')
    told = ["digits", "--config", str(toml), "--batch-size", "2", "--out"]
    words = [sys.executable, "-m", "tinycnn.cli", "train", *told]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = subprocess.Popen([*words, str(tmp_path / "cut")], **pipes)
    deadline = time.monotonic() + 60
    while not (tmp_path / "cut" / "checkpoints" / "last.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(started.pid, signal.SIGTERM)
    _, said = started.communicate(timeout=60)
    if started.returncode != 0:  # else it was over before the signal came
        assert started.returncode == 143, said
    for out in ("cut", "whole"):
        more = ["--resume"] if out == "cut" else []
        done = subprocess.run([*words, str(tmp_path / out), *more], **pipes, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
    assert_same_weights(tmp_path / "cut", tmp_path / "whole")


def test_a_judgement_counts_every_class(folder):
    found = judge(folder, "digits")
    _, _, test = tc.data.load_digits()
    p = tc.load(folder / "model.safetensors").predict_proba(test.x)
    np.testing.assert_array_equal(found.matrix, metrics.confusion_matrix(test.y, p))
    assert found.numbers["accuracy"] == np.trace(found.matrix) / len(test)
    assert "precision" in str(found)
    assert judge(folder / "model.safetensors", "digits").numbers == found.numbers
    assert json.loads(json.dumps(found.as_dict()))["confusion"] == found.matrix.tolist()


def test_a_judgement_by_other_data_says_what_does_not_fit(folder):
    with pytest.raises(SettingsError, match=r"pictures are \(1, 32, 32\), and the model learned from \(1, 8, 8\)"):
        judge(folder, "shapes")
    model = tc.load(folder / "model.safetensors")
    (part,) = named(Settings(data="digits"))[-1:]
    mixed = tc.data.Dataset(part.x, part.y, tuple("9876543210"), "turned")
    np.testing.assert_array_equal(as_learned(mixed, model).y, 9 - part.y)
    with pytest.raises(SettingsError, match="did not learn 'ten'"):
        as_learned(tc.data.Dataset(part.x, part.y, (*"012345678", "ten"), "more"), model)


def test_a_network_of_pictures_is_asked_about_a_file_at_its_own_size(tmp_path):
    rng = np.random.default_rng(0)
    for name, bright in (("dark", 0.2), ("light", 0.8)):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(12):
            picture = (bright + 0.1 * rng.random((3, 20, 30))).astype(np.float32)
            write_image(tmp_path / "set" / name / f"{i}.png", picture)
    told = Settings(data=str(tmp_path / "set"), net="digits", size=(8, 12), epochs=12, batch_size=4, lr=0.01)
    train_run(told, tmp_path / "run", verbose=0)
    model = tc.load(tmp_path / "run" / "model.safetensors")
    assert model.input_shape == (3, 8, 12) or model.input_shape == (1, 8, 12)
    assert "normalise" in model.preprocessing or told.normalise is None
    for name in ("dark", "light"):
        found = predict_file(model, tmp_path / "set" / name / "3.png")
        assert found["class"] == name
        x = tc.data.read_image(tmp_path / "set" / name / "3.png", "gray" if model.input_shape[0] == 1 else "rgb")
        p = model.predict_proba(tc.data.resize(x, (8, 12))[None])[0]
        assert found["probabilities"] == dict(zip(("dark", "light"), p.tolist(), strict=True))


def test_a_sweep_runs_every_trial_once_and_ranks_them(tmp_path):
    base = Settings(epochs=1).over(SMALL)
    trials = choices(tried(["lr=0.001,0.01"]), None, 0)
    rows = sweep(base, trials, tmp_path)
    assert [row["val_loss"] for row in rows] == sorted(row["val_loss"] for row in rows)
    assert {row["lr"] for row in rows} == {0.001, 0.01}
    before = (tmp_path / "trial-0001" / "model.safetensors").stat().st_mtime_ns
    assert [row["val_loss"] for row in sweep(base, trials, tmp_path)] == [row["val_loss"] for row in rows]
    assert (tmp_path / "trial-0001" / "model.safetensors").stat().st_mtime_ns == before
    assert (tmp_path / "sweep.csv").read_text().splitlines()[0].startswith("trial,lr,val_loss")
    with pytest.raises(SettingsError, match="holds another sweep"):
        sweep(Settings(seed=5).over(base), trials, tmp_path)


def test_a_trial_without_a_number_comes_last():
    rows = [{"trial": k, "val_loss": v} for k, v in enumerate((0.5, float("nan"), 0.1, None), 1)]
    assert [row["trial"] for row in ranked(rows)] == [3, 1, 2, 4]


def test_full_batch_descent_can_be_asked_for_in_words(tmp_path):
    result = train_run(Settings(optimizer={"name": "gd"}).over(SMALL), tmp_path / "run", verbose=0)
    assert result["epochs"] == 2


def test_a_trial_that_fails_is_a_row_and_not_the_end(tmp_path):
    rows = sweep(Settings(epochs=1).over(SMALL), [{"net": "article003"}, {"lr": 0.01}], tmp_path)
    assert rows[0]["failed"] == ""
    assert "do not fit the network" in rows[1]["failed"]
    assert rows[1]["val_loss"] is None
