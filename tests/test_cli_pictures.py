"""The command line on one's own pictures: masks that are written, bad files that are left out."""

import base64
import json

import numpy as np
import pytest
from PIL import Image
from test_cli import run

import tinycnn as tc
from tinycnn.data import read_mask, write_image
from tinycnn.errors import ImageError
from tinycnn.runs.masks import _check_folder, encode_mask

LEVELS = np.array([0.1, 0.5, 0.9])  # the brightness of a pixel of each class, far from where one class becomes another


def masker(tmp_path, classes=("ground", "leaf", "sky"), reader="picture"):
    """A network whose mask can be told by hand: scores 0, x − 1/3 and 2x − 1 make a class of each third of [0, 1]."""
    model = tc.Sequential([tc.Conv2D(3, 1)], input_shape=(1, 4, 6), classes=classes, preprocessing={"reader": reader})
    model.layers[0].params["w"][:, 0, 0, 0] = [0, 1, 2]
    model.layers[0].params["b"][:] = [0, -1 / 3, -1]
    model.save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def drawn(path, seed, size=(4, 6)):
    """A picture file of random classes, and those classes."""
    truth = np.random.default_rng(seed).integers(0, 3, size)
    write_image(path, LEVELS[truth][None])
    return truth


# --------------------------------------------------------------------------- masks


def test_a_mask_is_the_class_of_every_pixel_as_large_as_the_picture_and_in_stated_colours(tmp_path, capsys):
    model, truth = masker(tmp_path), drawn(tmp_path / "in" / "a.png", 0)
    bands = np.repeat([[0, 0, 0, 2, 2, 2], [1, 1, 1, 0, 0, 0]], 2, axis=0)  # wide enough for a reader that blends
    large = np.kron(bands, np.ones((3, 2), int))  # each pixel three high and two wide
    write_image(tmp_path / "in" / "b.jpeg", LEVELS[large][None], quality=100)
    code, out, _ = run(capsys, "predict", model, tmp_path / "in" / "a.png", tmp_path / "in" / "b.jpeg", "--masks",
                       tmp_path / "new" / "found")  # fmt: skip
    assert code == 0
    assert sorted(p.name for p in (tmp_path / "new" / "found").iterdir()) == ["a.png", "b.png"]
    np.testing.assert_array_equal(read_mask(tmp_path / "new" / "found" / "a.png"), truth)
    np.testing.assert_array_equal(read_mask(tmp_path / "new" / "found" / "b.png"), large)
    assert out.splitlines()[-1].endswith("0 is 'ground' (#000000), 1 is 'leaf' (#D55E00), 2 is 'sky' (#0072B2)")
    colours = np.array([[0, 0, 0], [0xD5, 0x5E, 0], [0, 0x72, 0xB2]])
    with Image.open(tmp_path / "new" / "found" / "a.png") as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), colours[truth])


def test_masks_that_were_written_can_be_learned_from_as_the_number_of_a_class(tmp_path, capsys):
    model, truth = masker(tmp_path), drawn(tmp_path / "set" / "images" / "a.png", 3)
    run(capsys, "predict", model, tmp_path / "set" / "images" / "a.png", "--masks", tmp_path / "set" / "masks")
    found = tc.data.load_pairs(tmp_path / "set", channels=1)
    np.testing.assert_array_equal(found.y[0], truth)


def test_shares_of_every_class_are_told_with_and_without_masks(tmp_path, capsys):
    model, truth = masker(tmp_path), drawn(tmp_path / "a.png", 5)
    code, out, _ = run(capsys, "predict", model, tmp_path / "a.png", "--json")
    ((one,), shares) = json.loads(out), np.bincount(truth.ravel(), minlength=3) / truth.size
    assert (code, one["mask"], one["inverted"]) == (0, None, False)
    assert [(c["class"], c["value"]) for c in one["classes"]] == [("ground", 0), ("leaf", 1), ("sky", 2)]
    np.testing.assert_allclose([c["share"] for c in one["classes"]], shares)
    code, out, _ = run(capsys, "predict", model, tmp_path / "a.png")
    best = ("ground", "leaf", "sky")[int(shares.argmax())]
    assert out.startswith(f"{tmp_path / 'a.png'}  {best} {shares.max():.1%}, ")
    assert "colour" not in out


def test_no_mask_is_written_unless_every_picture_can_be_read(tmp_path, capsys):
    model = masker(tmp_path)
    drawn(tmp_path / "a.png", 0)
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    code, out, err = run(capsys, "predict", model, tmp_path / "a.png", tmp_path / "b.png", "--masks", tmp_path / "m")
    assert (code, out) == (2, "")
    assert "b.png" in err
    assert not (tmp_path / "m").exists()


def test_masks_never_take_the_place_of_pictures_or_of_one_another(tmp_path, capsys):
    model = masker(tmp_path)
    for name in ("in/a.png", "in/a.bmp", "other/A.png"):
        drawn(tmp_path / name, 0)
    before = (tmp_path / "in" / "a.png").read_bytes()
    for images, folder, said in (
        (["in/a.bmp"], "in/../in", "a mask has its picture's name: give another"),
        (["in/a.png", "in/a.bmp"], "m", "would have one mask"),
        (["in/a.png", "other/A.png"], "m", "would have one mask"),  # one file, where names differ in case alone
        (["in/a.png"], "in/a.png", "--masks must be a folder"),
    ):
        code, out, err = run(capsys, "predict", model, *(tmp_path / i for i in images), "--masks", tmp_path / folder)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert said in err
    assert (tmp_path / "in" / "a.png").read_bytes() == before
    assert not (tmp_path / "m").exists()


def test_a_mask_never_follows_a_link_to_a_picture(tmp_path):
    originals, shown = tmp_path / "originals", tmp_path / "shown"
    for folder in (originals, shown):
        folder.mkdir()
    (originals / "x.png").write_bytes(b"a picture")
    (shown / "x.png").symlink_to(originals / "x.png")
    for picture in (shown / "x.png", originals / "x.png"):
        with pytest.raises(ValueError, match="leads to a picture, which its mask would replace"):
            _check_folder(shown, [picture])


def test_a_network_that_can_give_no_mask_says_why(tmp_path, capsys):
    drawn(tmp_path / "a.png", 0)
    model = tc.Sequential([tc.Flatten(), tc.Dense(3)], input_shape=(1, 4, 6), preprocessing={"reader": "picture"})
    model.save(tmp_path / "one.safetensors")
    code, _, err = run(capsys, "predict", tmp_path / "one.safetensors", tmp_path / "a.png", "--masks", tmp_path / "m")
    assert (code, err) == (
        2, "tinycnn: this model gives one class for the picture, and none for each pixel: there is no mask\n"
    )  # fmt: skip
    code, _, err = run(capsys, "predict", masker(tmp_path, reader="digit"), tmp_path / "a.png", "--masks", tmp_path)
    assert code == 2
    code, _, err = run(capsys, "predict", masker(tmp_path, reader="digit"), tmp_path / "a.png")
    assert "its mask has no place in the picture" in err


def test_a_mask_of_more_classes_than_a_palette_has_places_is_refused():
    mask = np.arange(256).reshape(16, 16)
    with pytest.raises(ValueError, match="room for 256 classes, and there are 257"):
        encode_mask(mask, ["#000000"] * 257)
    np.testing.assert_array_equal(read_mask(encode_mask(mask, ["#000000"] * 256)), mask)


# --------------------------------------------------------------------------- bad files


@pytest.fixture
def pets(tmp_path):
    """A folder of two classes, with one file that is no picture; and a run that learned from the others."""
    for k, name in enumerate(("cat", "dog")):
        for n in range(6):
            write_image(tmp_path / "pets" / name / f"{n}.png", np.full((1, 8, 8), 0.2 + 0.5 * k + n / 50))
    (tmp_path / "pets" / "cat" / "bad.png").write_bytes(b"no picture")
    return tmp_path / "pets"


LAYERS = "[[layers]]\ntype = 'Flatten'\n[[layers]]\ntype = 'Dense'\nunits = 2\n"


@pytest.mark.filterwarnings("always")  # as the command line shows them
def test_bad_files_are_left_out_by_the_commands_own_option_and_the_error_names_it(pets, tmp_path, capsys):
    (tmp_path / "net.toml").write_text(LAYERS)
    train = ("train", pets, "--config", tmp_path / "net.toml", "--size", 8, "--grey", "--epochs", 1, "--val", 0.2)
    for command in (
        (*train, "--out", tmp_path / "run"),
        ("capacity", *train[1:], "--widths", 1, "--sizes", 4, "--out", tmp_path / "capacity"),
        ("data", "show", pets, "--out", tmp_path / "sheet.png"),
    ):
        code, _, err = run(capsys, *command)
        assert code == 2, command
        assert "Leave them out with --skip-bad.\n" in err, command
        assert "skip_bad" not in err, command
        warned = said_and_done(capsys, *command, "--skip-bad")
        assert "tinycnn: 1 of 13 files are left out:\n" in warned, command
        assert "bad.png" in warned
    code, _, err = run(capsys, "evaluate", tmp_path / "run", pets)
    assert (code, "--skip-bad" in err) == (2, True)
    assert "1 of 13 files are left out" in said_and_done(capsys, "evaluate", tmp_path / "run", pets, "--skip-bad")
    assert json.loads((tmp_path / "run" / "config.json").read_text())["skip_bad"] is True


def test_a_sweep_hands_the_option_to_every_trial(pets, tmp_path, capsys, monkeypatch):
    told = []
    monkeypatch.setattr("tinycnn.runs.sweep.sweep", lambda settings, *_: told.append(settings) or [])
    assert run(capsys, "sweep", pets, "--try", "lr=0.1", "--skip-bad")[0] == 0
    assert run(capsys, "sweep", pets, "--try", "lr=0.1")[0] == 0
    assert [one.skip_bad for one in told] == [True, None]


def said_and_done(capsys, *arguments):
    """Standard error of a command that ends well."""
    code, _, err = run(capsys, *arguments)
    assert code == 0, err
    return err


def test_a_size_that_is_missing_is_asked_for_by_the_commands_own_option(pets, tmp_path, capsys):
    (pets / "cat" / "bad.png").unlink()
    write_image(pets / "cat" / "wide.png", np.zeros((1, 8, 9)))
    (tmp_path / "net.toml").write_text(LAYERS)
    code, _, err = run(capsys, "train", pets, "--config", tmp_path / "net.toml", "--out", tmp_path / "run")
    assert code == 2
    assert "8×9 pixels, where the first has 8×8: give a --size for all" in err


def test_a_survey_names_the_bad_pictures_of_a_table_and_advises_nothing_that_it_cannot_do(pets, tmp_path, capsys):
    good = base64.b64encode((pets / "cat" / "0.png").read_bytes()).decode()
    bad = base64.b64encode(b"no picture").decode()
    (tmp_path / "table.csv").write_text(f"label,image_data\ncat,{good}\ndog,{bad}\n")
    code, _, err = run(capsys, "data", "info", tmp_path / "table.csv")
    assert code == 2
    assert "line 3" in err
    assert "skip" not in err
    with pytest.raises(ImageError, match=r"Leave them out with skip_bad=True\.$"):
        tc.data.load_table(tmp_path / "table.csv")


# --------------------------------------------------------------------------- parts


def test_folders_train_and_test_are_parts_to_info_and_show_as_they_are_to_train(tmp_path, capsys):
    for part, names in (("train", "ab"), ("test", "a")):
        for n, name in enumerate(names):
            drawn(tmp_path / "set" / part / "images" / f"{name}.png", n)
            write_image(tmp_path / "set" / part / "masks" / f"{name}.png", np.full((4, 6), 7 * n))
    whole = np.stack([tc.data.read_image(path) for path in sorted((tmp_path / "set").glob("*/images/*.png"))])
    code, out, _ = run(capsys, "data", "info", tmp_path / "set", "--json")
    found = json.loads(out)
    assert (code, found["kind"], found["pictures"], found["parts"]) == (0, "parts", 3, {"train": 2, "test": 1})
    assert found["classes"] == {"0": 2, "7": 1}
    np.testing.assert_allclose(found["mean"], whole.mean(axis=(0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(found["std"], whole.std(axis=(0, 2, 3)), rtol=1e-6)
    code, out, _ = run(capsys, "data", "show", tmp_path / "set", "--out", tmp_path / "sheet.png")
    assert (code, out) == (0, f"2 of {tmp_path / 'set'} → {tmp_path / 'sheet.png'}\n")
