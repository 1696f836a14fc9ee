"""What a run says to the person who began it: how to go on, what cannot be, and what its numbers are numbers of."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tqdm.std import tqdm

import tinycnn as tc
from tinycnn import cli, cli_train
from tinycnn.data import write_image
from tinycnn.runs.asking import predict_file
from tinycnn.runs.folder import LAST, model_file, written
from tinycnn.runs.judging import Judgement, _areas, judge, learned_from
from tinycnn.runs.network import check_words
from tinycnn.runs.parts import named
from tinycnn.runs.run import train_run
from tinycnn.runs.settings import Settings, SettingsError
from tinycnn.runs.sweep import sweep
from tinycnn.runs.things import optimizer_of
from tinycnn.runs.trials import choices, chosen, tried
from tinycnn.train.progress import BAR

FLAT = Settings(data="digits", epochs=2, batch_size=256, layers=({"type": "Flatten"}, {"type": "Dense", "units": 10}))
UNIX = pytest.mark.skipif(not hasattr(os, "killpg"), reason="groups of processes are Unix's")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("told") / "run"
    train_run(FLAT, out, verbose=0)
    return out


# ending, and going on


def test_a_run_that_ctrl_c_ends_says_where_it_stopped_and_which_command_goes_on(tmp_path, capsys):
    out = tmp_path / "my run"
    (out / LAST).parent.mkdir(parents=True)
    (out / LAST).write_bytes(b"")
    with pytest.raises(KeyboardInterrupt), cli_train._how_to_go_on(out):
        raise KeyboardInterrupt("interrupted at epoch 2; the run is saved in a: go on with resume_from='a'")
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "tinycnn: interrupted at epoch 2; the run is saved in a"
    assert said[1] == f"tinycnn: go on with: tinycnn train --out '{out}' --resume"
    with pytest.raises(KeyboardInterrupt), cli_train._how_to_go_on(tmp_path / "none"):
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "tinycnn: stopped\n"


def test_a_default_that_is_said_is_no_other_setting_where_a_run_goes_on(tmp_path):
    train_run(Settings(optimizer={"name": "adam", "lr": 0.001}).over(FLAT), tmp_path, verbose=0)
    assert train_run(Settings(seed=0, lr=0.001), tmp_path, resume=True, verbose=0)["epochs"] == 2
    with pytest.raises(SettingsError, match=r"begun with seed = 0, and now it is to be seed = 3"):
        train_run(Settings(seed=3), tmp_path, resume=True, verbose=0)
    with pytest.raises(SettingsError, match=r"begun with layers of its own, .* the network 'digits'"):
        train_run(Settings(net="digits", batch_size=256), tmp_path, resume=True, verbose=0)


def test_fewer_epochs_than_a_run_has_had_are_refused(folder):
    before = (folder / "result.json").read_bytes()
    with pytest.raises(SettingsError, match="is in epoch 2 already: ask for as many or more, not for 1"):
        train_run(Settings(epochs=1), folder, resume=True, verbose=0)
    assert (folder / "result.json").read_bytes() == before


# the folder


def test_a_run_is_not_written_into_its_own_data(tmp_path):
    for name in ("a", "b"):
        for n in range(12):
            write_image(tmp_path / "set" / name / f"{n}.png", np.full((1, 8, 8), 0.3 if name == "a" else 0.7))
    here = Settings(data=str(tmp_path / "set")).over(FLAT)
    for out in (tmp_path / "set", tmp_path / "set" / "run"):
        with pytest.raises(SettingsError, match="is inside the data"):
            train_run(here, out, verbose=0)
    assert sorted(p.name for p in (tmp_path / "set").iterdir()) == ["a", "b"]


def test_a_folder_that_cannot_be_is_said_in_words_and_before_data_are_read(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match=r"^--out: nothing can be written to the folder .*file.run: \w"):
        train_run(FLAT, tmp_path / "file" / "run", verbose=0)
    with pytest.raises(NotADirectoryError, match="must be a folder"):
        train_run(Settings(data="nowhere"), tmp_path / "file", verbose=0)


def test_what_was_written_is_what_the_run_wrote(folder):
    (folder / "notes.txt").write_text("mine")
    assert "notes.txt" not in written(folder)
    assert {"model.safetensors", "curves.png", "checkpoints"} <= set(written(folder))


def test_a_model_is_found_in_the_folder_of_its_run(folder, tmp_path):
    assert model_file(folder) == folder / "model.safetensors"
    assert model_file(tmp_path / "other.safetensors") == tmp_path / "other.safetensors"
    with pytest.raises(FileNotFoundError, match="holds no run"):
        model_file(tmp_path)
    (tmp_path / LAST).parent.mkdir()
    (tmp_path / LAST).write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"has not come to its end.*best\.safetensors"):
        model_file(tmp_path)


def test_predict_takes_the_folder_of_a_run(folder, tmp_path, capsys):
    _, _, test = tc.data.load_digits()
    write_image(tmp_path / "digit.png", test.x[0])
    with pytest.raises(SystemExit) as stopped:
        cli.main(["predict", str(folder), str(tmp_path / "digit.png"), "--json"])
    assert stopped.value.code == 0
    assert len(json.loads(capsys.readouterr().out)[0]["probabilities"]) == 10


# words


@pytest.mark.parametrize(
    ("schedule", "says"),
    [
        ({"name": "cosin"}, "schedule: no schedule 'cosin'; did you mean 'cosine'"),
        ({"name": "cosine", "lenght": 3}, "schedule, cosine, has no option 'lenght'; did you mean 'length'"),
        ({"name": "step"}, "schedule, step, needs length"),
        ({"name": "cosine", "length": 0}, "schedule, cosine: length must be an int ≥ 1, got 0"),
        ({"name": "warmup", "length": 2, "then": {"name": "cosin"}}, "schedule: no schedule 'cosin'"),
    ],
)
def test_a_schedule_that_cannot_be_is_said_of_the_schedule(schedule, says):
    with pytest.raises(SettingsError, match="^" + says):
        optimizer_of(Settings(schedule=schedule))


def test_a_warm_up_leads_to_the_schedule_inside_it():
    made = optimizer_of(Settings(schedule={"name": "warmup", "length": 2, "then": {"name": "cosine", "length": 3}}))
    assert repr(made.schedule.then) == "CosineDecay(length=3, final=0.0)"


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (Settings(size=(16, 16)), "digits comes as 1×8×8, and picture files alone are resized to 16×16"),
        (Settings(grey=False), "digits comes as 1×8×8, and picture files alone are read in grey or in colour"),
    ],
)
def test_a_size_or_a_colour_that_the_data_cannot_have_is_refused_and_not_ignored(asked, says):
    with pytest.raises(SettingsError, match=says):
        named(asked.over(Settings(data="digits")))
    named(Settings(data="digits", size=(8, 8), grey=True))


# sweeps


def test_every_word_of_a_sweep_is_looked_up_before_its_first_trial(tmp_path):
    for tries, says in (("net=digits,lenet", "did you mean 'lenet5'"), ("optimizer=adam,adamm", "did you mean 'adam'")):
        with pytest.raises(SettingsError, match=says):
            sweep(Settings(data="digits"), choices(tried([tries]), None, 0), tmp_path / "sweep")
    assert not (tmp_path / "sweep").exists()
    check_words(Settings(net="lenet5", schedule={"name": "cosine"}))  # as long as the run, which only the data say


def test_an_optimizer_can_be_tried_by_its_name_with_its_options_beside_it():
    base = Settings(optimizer={"name": "adam", "lr": 0.5, "beta1": 0.8})
    assert chosen(base, {"optimizer": "sgd"}).optimizer == {"name": "sgd"}
    assert chosen(base, {"optimizer": "adam"}).optimizer == base.optimizer
    either_way = [{"optimizer": "sgd", "optimizer.lr": 0.1}, {"optimizer.lr": 0.1, "optimizer": "sgd"}]
    assert [chosen(base, one).optimizer for one in either_way] == [{"name": "sgd", "lr": 0.1}] * 2


def test_a_range_of_rates_is_drawn_from_between_whole_numbers_too():
    rates = [choice["lr"] for choice in choices(tried(["lr=0..1"]), 20, 0)]
    assert all(0 < rate < 1 for rate in rates)
    assert all(isinstance(choice["epochs"], int) for choice in choices(tried(["epochs=1..9"]), 5, 0))


def test_the_same_value_twice_is_refused():
    with pytest.raises(SettingsError, match=r"lr: 0\.1 stands there twice"):
        tried(["lr=0.1,0.2,0.1"])


def children(pid):
    """The processes that a process began."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def runs(pid):
    """Whether the process is there still, and not just its exit status."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def sweeping(out):
    """A sweep of three long trials, in a process of its own, once the first trial has come through an epoch."""
    words = [sys.executable, "-m", "tinycnn.cli", "sweep", "digits", "--try", "lr=0.001,0.002,0.003", "--out", str(out)]
    started = subprocess.Popen(
        [*words, "--epochs", "5000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )  # fmt: skip
    deadline = time.monotonic() + 90
    while not (out / "trial-0001" / LAST).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return started


@pytest.mark.slow
@UNIX
def test_ctrl_c_ends_a_sweep_soon_with_the_trial_under_way_saved_and_no_other_begun(tmp_path):
    started = sweeping(tmp_path)
    try:
        os.killpg(started.pid, signal.SIGINT)
        _, said = started.communicate(timeout=60)
    finally:
        started.kill()
    assert started.returncode == 130, said
    assert "the same command goes on from here" in said
    assert "Traceback" not in said
    assert sorted(p.name for p in tmp_path.glob("trial-*")) == ["trial-0001"]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="asks Linux for the children of a process")
def test_the_workers_of_a_sweep_that_is_killed_do_not_outlive_it(tmp_path):
    started = sweeping(tmp_path)
    workers = children(started.pid)
    assert workers
    started.kill()
    started.wait(timeout=30)
    deadline = time.monotonic() + 30
    alive = workers
    while alive and time.monotonic() < deadline:
        alive = [pid for pid in alive if runs(pid)]
        time.sleep(0.1)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
    started.communicate(timeout=30)
    assert not alive


def test_where_there_is_no_terminal_each_trial_that_is_done_has_a_line(capsys):
    with cli_train._counter(2, "trial") as count:
        count("lr 0.1")
        count("lr 0.2")
    assert capsys.readouterr().err.splitlines() == ["1 of 2  lr 0.1", "2 of 2  lr 0.2"]


def test_amounts_are_whole_numbers_and_one_said_twice_is_asked_once():
    assert cli_train._numbers("--sizes", "100,20,100", int) == [100, 20]
    with pytest.raises(ValueError, match=r"--sizes reads 100,1000; got '100\.5'"):
        cli_train._numbers("--sizes", "100.5", int)


# numbers


def test_a_judgement_on_the_pictures_that_were_learned_from_says_so(tmp_path):
    for name, grey in (("dark", 0.1), ("light", 0.8)):
        for n in range(12):
            write_image(tmp_path / "set" / name / f"{n}.png", np.full((1, 8, 8), grey + n / 100))
    told = Settings(data=str(tmp_path / "set"), size=(8, 8), grey=True, epochs=1, layers=(
        {"type": "Flatten"}, {"type": "Dense", "units": 2}))  # fmt: skip
    train_run(told, tmp_path / "run", verbose=0)
    seen = judge(tmp_path / "run", f"{tmp_path}/run/../set")
    assert "learned from these pictures" in str(seen)
    assert seen.as_dict()["seen_in_training"] is True
    os.rename(tmp_path / "set", tmp_path / "others")
    others = judge(tmp_path / "run", str(tmp_path / "others"))
    assert "learned from" not in str(others)
    assert "seen_in_training" not in others.as_dict()


def test_the_part_to_learn_from_was_learned_from_and_the_others_were_not(tmp_path):
    for part in ("train", "val", "test"):
        (tmp_path / "set" / part).mkdir(parents=True)
    seen = [learned_from(str(tmp_path / "set"), f"{tmp_path}/set/{part}") for part in ("", "train", "val", "test")]
    assert seen == [True, True, False, False]
    assert not learned_from("", f"{tmp_path}/set")
    assert not learned_from("digits", f"{tmp_path}/set/train")


def test_a_set_with_a_part_to_be_judged_on_was_not_learned_from(folder):
    assert not judge(folder, "digits").seen


def test_areas_are_those_that_a_hand_counts():
    said = _areas(np.array([[6, 2, 0], [1, 3, 0], [0, 0, 0]]), ("ground", "cell", "none")).splitlines()
    assert said[1].split() == ["ground", f"{6 / 9:.3f}", f"{12 / 15:.3f}", "8"]
    assert said[2].split() == ["cell", f"{3 / 6:.3f}", f"{6 / 9:.3f}", "4"]
    assert said[3].split() == ["none", "nan", "nan", "0"]
    assert said[4].split() == ["mean", f"{(6 / 9 + 3 / 6) / 2:.3f}", f"{(12 / 15 + 6 / 9) / 2:.3f}", "12"]


@pytest.fixture(scope="module")
def masks(tmp_path_factory):
    """Pictures and masks, and a run of a network that says a class for each pixel."""
    root, rng = tmp_path_factory.mktemp("masks"), np.random.default_rng(0)
    for n in range(12):
        mask = np.zeros((1, 8, 8))
        mask[:, : 2 + n % 4] = 1
        write_image(root / "set" / "images" / f"{n}.png", np.clip(0.6 * mask + 0.2 * rng.random((1, 8, 8)), 0, 1))
        write_image(root / "set" / "masks" / f"{n}.png", mask)
    told = Settings(data=str(root / "set"), size=(8, 8), grey=True, epochs=30, lr=0.1, batch_size=4, layers=(
        {"type": "Conv2D", "filters": 2, "kernel_size": 1},))  # fmt: skip
    train_run(told, root / "run", verbose=0)
    return root


def test_a_judgement_of_masks_tells_the_overlap_of_every_class(masks):
    found = judge(masks / "run", str(masks / "set"))
    _, ground, cell, mean = found.report.splitlines()
    model, (part,) = tc.load(masks / "run" / "model.safetensors"), named(
        Settings(data=str(masks / "set"), size=(8, 8), grey=True))  # fmt: skip
    wanted = tc.metrics.iou(part.y, model.predict(part.x), average=None)
    assert [float(line.split()[1]) for line in (ground, cell)] == pytest.approx(wanted.tolist(), abs=5e-4)
    assert int(mean.split()[3].replace(",", "")) == part.y.size


def test_masks_and_classes_are_not_taken_for_one_another(masks, folder):
    with pytest.raises(SettingsError, match="have a class for each picture, and the model gives one for each pixel"):
        judge(masks / "run", "digits")
    with pytest.raises(SettingsError, match="have a class for each pixel, and the model gives one for each picture"):
        judge(folder, str(masks / "set"))
    with pytest.raises(ValueError, match=r"model\.predict_classes\(x\) is the mask"):
        predict_file(tc.load(masks / "run" / "model.safetensors"), masks / "set" / "images" / "0.png")


def test_a_judgement_without_a_report_is_one_line():
    assert str(Judgement("a", 3, {"loss": 0.5}, ("x", "y"))) == "3 pictures of a: loss 0.5000"


def test_a_bar_of_sixty_columns_does_not_cut_the_numbers():
    out = io.StringIO()
    with tqdm(total=1875, desc="Epoch 1/9", file=out, ncols=59, bar_format=BAR, leave=False) as bar:
        bar.set_postfix_str("loss 0.1234, accuracy 0.5678", refresh=False)
        bar.update(900)
        bar.refresh()
    assert "loss 0.1234, accuracy 0.5678" in out.getvalue()
