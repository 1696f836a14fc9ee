"""The command line: what it prints, where, and with which exit status."""

import json

import numpy as np
import pytest
from PIL import Image

import tinycnn as tc
from tinycnn import cli, demo


def run(capsys, *arguments):
    """Exit status, standard output, standard error."""
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return stopped.value.code, out, err


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    """One short demo, as JSON, that several tests look at."""
    folder = tmp_path_factory.mktemp("demo")
    return folder, demo.run_demo(folder, epochs=2, seed=3)


def test_demo_writes_every_file_it_names_and_proves_its_gradients(short_run):
    folder, result = short_run
    names = {"model.safetensors", "history.json", "curves.png", "confusion.png", "filters.png", "predictions.png"}
    assert names <= {path.name for path in folder.iterdir()}
    assert {str(folder / n) for n in names} <= set(result.files)
    assert result.gradients_pass
    assert result.worst_gradient_error <= 1e-12
    assert result.test_accuracy > 0.9
    history = json.loads((folder / "history.json").read_text())
    assert [len(values) for values in history.values()] == [2, 2, 2, 2]


def test_the_model_that_demo_wrote_gives_the_accuracy_that_demo_printed(short_run):
    folder, result = short_run
    _, _, test = tc.data.load_digits()
    assert tc.load(folder / "model.safetensors").evaluate(test.x, test.y).accuracy == result.test_accuracy


def test_demo_json_is_alone_on_standard_output(tmp_path, capsys):
    code, out, err = run(capsys, "demo", "--json", "--epochs", 1, "--out", tmp_path / "a")
    assert code == 0
    found = json.loads(out)
    assert set(found) == {"test_accuracy", "worst_gradient_error", "seconds", "files"}
    assert "Epoch 1/1" in err


def test_demo_exits_with_1_when_a_gradient_is_wrong(tmp_path, capsys, monkeypatch):
    from tinycnn.layers import ReLU

    monkeypatch.setattr(ReLU, "backward", lambda self, dy: -self.undo(dy))
    code, out, _ = run(capsys, "demo", "--epochs", 1, "--out", tmp_path / "a")
    assert code == 1
    assert "WRONG" in out


def test_demo_refuses_a_file_as_its_folder_before_any_work(tmp_path, capsys):
    (tmp_path / "taken").write_text("")
    code, out, err = run(capsys, "demo", "--out", tmp_path / "taken")
    assert (code, out) == (2, "")
    assert "must be a folder" in err


def test_predict_reads_a_picture_and_says_what_it_shows(short_run, capsys):
    folder, _ = short_run
    code, out, _ = run(capsys, "predict", folder / "model.safetensors", folder / "digit.png")
    assert code == 0
    _, _, test = tc.data.load_digits()
    said = tc.load(folder / "model.safetensors").predict_classes(test.x[:1])[0]
    assert f"digit.png  {said}  " in out


def test_predict_json_holds_every_probability(short_run, tmp_path, capsys):
    folder, _ = short_run
    _, _, test = tc.data.load_digits()
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for i, path in enumerate(paths):
        Image.fromarray((test.x[i, 0] * 255).round().astype(np.uint8)).save(path)
    code, out, _ = run(capsys, "predict", folder / "model.safetensors", *paths, "--json")
    found = json.loads(out)
    p = tc.load(folder / "model.safetensors").predict_proba(test.x[:3])
    assert code == 0
    assert [one["image"] for one in found] == [str(path) for path in paths]
    np.testing.assert_allclose([list(one["probabilities"].values()) for one in found], p, atol=0.02)


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "no model file"), (b"not a model at all", "not a safetensors file"), (b"", "not a safetensors file")],
)
def test_predict_with_a_bad_model_is_one_clear_line_and_exit_2(tmp_path, capsys, content, said):
    path = tmp_path / "model.safetensors"
    if content is not None:
        path.write_bytes(content)
    code, out, err = run(capsys, "predict", path, path)
    assert (code, out) == (2, "")
    assert said in err
    assert err.startswith("tinycnn: ")
    assert err.count("\n") == 1


def test_predict_with_a_bad_picture_names_it(short_run, tmp_path, capsys):
    folder, _ = short_run
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    code, out, err = run(capsys, "predict", folder / "model.safetensors", tmp_path / "broken.png")
    assert (code, out) == (2, "")
    assert "broken.png" in err


def test_predict_refuses_a_model_that_does_not_say_how_pictures_become_inputs(tmp_path, capsys):
    tc.Sequential([tc.Flatten(), tc.Dense(2)], input_shape=(1, 4, 4)).save(tmp_path / "plain.safetensors")
    code, _, err = run(capsys, "predict", tmp_path / "plain.safetensors", tmp_path / "x.png")
    assert code == 2
    assert "does not say how a picture becomes its input" in err


def test_debug_shows_the_traceback(tmp_path):
    with pytest.raises(FileNotFoundError):
        cli.main(["--debug", "predict", str(tmp_path / "none"), "x.png"])


@pytest.mark.parametrize("arguments", [["demo", "--epochs", "0"], ["demo", "--nonsense"], ["nonsense"], ["predict"]])
def test_bad_usage_exits_with_2(arguments, capsys):
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert err


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"], ["predict", "--help"]])
def test_help_says_what_a_command_does(arguments, capsys):
    code, out, _ = run(capsys, *arguments)
    assert code == 0
    assert "Usage: " in out
    assert arguments == ["--help"] or "Example: tinycnn" in out


def test_the_least_sure_pictures_come_first_and_none_twice():
    p = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]])
    y = np.array([0, 0, 1, 0])
    assert demo.least_sure(p, y).tolist() == [3, 1, 2, 0]
    shown = demo.hardest_and_others(p, y, most=4)
    assert sorted(shown.tolist()) == [0, 1, 2, 3]
    assert shown[:2].tolist() == [3, 1]
