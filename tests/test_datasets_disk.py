"""Pictures on disk: folders, pairs with masks, tables; nothing outside the folder is read, nothing broken slips in."""

import base64
import os
import threading
import warnings

import numpy as np
import pytest
from PIL import Image

import tinycnn as tc
from tinycnn.data import (
    Stream,
    batches,
    channel_statistics,
    list_folder,
    list_pairs,
    list_table,
    load_folder,
    load_pairs,
    load_table,
)
from tinycnn.errors import ImageError, ShapeError


def picture(path, seed, size=(7, 5), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (*size, 3) if mode == "RGB" else size
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels.astype(np.float32).transpose(2, 0, 1) / np.float32(255) if mode == "RGB" else pixels


@pytest.fixture
def pets(tmp_path):
    """Seven pictures in two classes."""
    root = tmp_path / "pets"
    places = [(k, root / name / f"{i}.png") for k, name in enumerate(("cat", "dog")) for i in range(3 + k)]
    made = [(k, picture(path, seed)) for seed, (k, path) in enumerate(places)]
    (root / "cat" / "notes.txt").write_text("not a picture")
    return root, made


def masked(root, n=4, size=(6, 5), values=(0, 7, 255)):
    made = []
    for i in range(n):
        x = picture(root / "images" / f"{i}.png", i, size)
        mask = np.random.default_rng(50 + i).choice(np.array(values, np.uint8), size)
        (root / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(root / "masks" / f"{i}.png")
        made.append((x, np.searchsorted(values, mask)))
    return made


def test_a_folder_of_class_folders_is_read_in_order(pets):
    root, made = pets
    found = load_folder(root)
    assert found.classes == ("cat", "dog")
    assert found.y.tolist() == [k for k, _ in made]
    assert np.array_equal(found.x, np.stack([x for _, x in made]))
    assert load_folder(root, size=(4, 9), channels=1).x.shape == (7, 1, 4, 9)


def test_a_folder_of_pictures_and_masks_is_read_pair_by_pair(tmp_path):
    made = masked(tmp_path)
    found = load_pairs(tmp_path)
    assert found.classes == ("0", "7", "255")
    for (x, mask), got_x, got_mask in zip(made, found.x, found.y, strict=True):
        assert np.array_equal(got_x, x)
        assert np.array_equal(got_mask, mask)
    named = load_pairs(tmp_path, size=(12, 10), classes=("ground", "cell", "edge"), values=(0, 7, 255))
    assert named.y.shape == (4, 12, 10)
    twice = np.stack([mask.repeat(2, axis=0).repeat(2, axis=1) for _, mask in made])
    assert np.array_equal(named.y, twice)  # the nearest pixel, and no class between two classes
    with pytest.raises(ImageError, match=r"masks/0\.png: a pixel of 255 is no class; the values are 0, 7"):
        load_pairs(tmp_path, classes=("a", "b"), values=(0, 7))


def test_what_is_without_a_partner_or_of_another_size_is_named(tmp_path):
    masked(tmp_path)
    picture(tmp_path / "masks" / "3.png", 1, (6, 4), "L")
    with pytest.raises(ImageError, match=r"masks/3\.png: the mask is \(6, 4\), its picture \(6, 5\)"):
        load_pairs(tmp_path, classes=[str(k) for k in range(256)])
    with pytest.raises(ImageError, match=r"masks/3\.png: the mask is \(6, 4\)"):
        load_pairs(tmp_path, size=(8, 8), classes=[str(k) for k in range(256)])
    (tmp_path / "masks" / "2.png").unlink()
    with pytest.raises(ValueError, match="1 without a partner; the first is '2', which masks/ lacks"):
        list_pairs(tmp_path)


def test_all_broken_files_are_named_before_training_or_skipped_and_counted_when_asked(pets):
    root, made = pets
    (root / "cat" / "1.png").write_bytes((root / "cat" / "1.png").read_bytes()[:60])
    (root / "dog" / "2.png").write_bytes(b"no picture")
    for load in (load_folder, lambda *a, **k: Stream(list_folder(a[0]), **k)):
        with pytest.raises(ImageError, match=r"(?s)2 of 7 files cannot be used:.*cat/1\.png: .*dog/2\.png: "):
            load(root)
        with pytest.warns(UserWarning, match=r"(?s)2 of 7 files are left out.*cat/1\.png.*dog/2\.png"):
            found = load(root, skip_bad=True)
        left = [made[i] for i in (0, 2, 3, 4, 6)]
        assert found.y.tolist() == [k for k, _ in left]
    assert [path.name for path, _ in found.skipped] == ["1.png", "2.png"]


def test_pictures_of_several_sizes_need_a_size(pets):
    root, _ = pets
    picture(root / "dog" / "9.png", 3, (9, 9))
    with pytest.raises(ImageError, match=r"dog/9\.png: 9×9 pixels, where the first has 7×5: give a size"):
        load_folder(root)
    assert load_folder(root, size=(7, 5)).x.shape == (8, 3, 7, 5)


@pytest.mark.parametrize("where", ["file", "folder"])
def test_a_link_out_of_the_folder_is_refused(pets, where):
    root, _ = pets
    picture(root.parent / "secret" / "a.png", 1)
    if where == "file":
        os.symlink(root.parent / "secret" / "a.png", root / "cat" / "z.png")
        with pytest.raises(ValueError, match=r"z\.png is a link that leaves the folder"):
            load_folder(root)
        return
    os.symlink(root.parent / "secret", root / "zebra")
    with pytest.raises(ValueError, match="zebra is a link to a folder"):
        load_folder(root)


def test_a_folder_that_is_no_data_set_says_why(pets, tmp_path):
    root, _ = pets
    picture(root / "stray.png", 1)
    with pytest.raises(ValueError, match=r"stray\.png belongs to no class"):
        load_folder(root)
    (root / "stray.png").unlink()
    (root / "empty").mkdir()
    with pytest.raises(ValueError, match="empty: the class has no pictures"):
        load_folder(root)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        load_folder(tmp_path / "nowhere")


# Tables


def table(root, header, rows):
    (root / "data.csv").write_text("\n".join([header, *rows]) + "\n")
    return root / "data.csv"


def test_a_table_of_paths_is_read_and_streamed(pets):
    root, made = pets
    rows = [f"{'cat' if k == 0 else 'dog'}/{i - 3 * k}.png,{'b' if k == 0 else 'a'}" for i, (k, _) in enumerate(made)]
    path = table(root, "path,label", rows)
    found = load_table(path)
    assert found.classes == ("a", "b")
    assert np.array_equal(found.x, np.stack([x for _, x in made]))
    assert found.y.tolist() == [1 - k for k, _ in made]
    assert Stream(list_table(path)).load().y.tolist() == found.y.tolist()


@pytest.mark.parametrize("bad", ["../secret.png", "/etc/passwd", "cat/../../secret.png", "C:\\secret.png",
                                 "..\\secret.png", "\\\\host\\secret.png", " ", "cat/link.png"])  # fmt: skip
def test_a_path_that_leaves_the_folder_of_its_table_is_refused_with_its_line(pets, bad):
    root, _ = pets
    picture(root.parent / "secret.png", 1)
    os.symlink(root.parent / "secret.png", root / "cat" / "link.png")
    path = table(root, "path,label", ["cat/0.png,a", f"{bad},b"])
    with pytest.raises(ValueError, match=r"data\.csv, line 3: .*leaves the folder"):
        load_table(path)


def test_pixels_in_columns_in_one_column_and_in_base64_are_the_same_pictures(tmp_path):
    x = np.random.default_rng(1).integers(0, 256, (5, 4, 4), np.uint8)
    labels = [3, 12, 3, 12, 3]
    wanted = x[:, None].astype(np.float32) / np.float32(255)
    columns = "label," + ",".join(f"pixel{i}" for i in range(16))
    pairs = list(zip(labels, x, strict=True))
    wide = table(tmp_path, columns, [f"{k}," + ",".join(map(str, one.ravel())) for k, one in pairs])
    cases = [load_table(wide), load_table(wide, shape=(1, 4, 4))]
    long = [f"{' '.join(map(str, one.ravel()))},{k}" for k, one in zip(labels, x, strict=True)]
    cases.append(load_table(table(tmp_path, "image_data,label", long)))
    rows = []
    for k, one in zip(labels, x, strict=True):
        Image.fromarray(one).save(tmp_path / "one.png")
        rows.append(f"{base64.b64encode((tmp_path / 'one.png').read_bytes()).decode()},{k}")
    packed = table(tmp_path, "image_data,label", rows)
    cases.append(load_table(packed, channels=1))
    for found in cases:
        assert np.array_equal(found.x, wanted)
        assert found.classes == ("3", "12")
        assert found.y.tolist() == [0, 1, 0, 1, 0]
    packed.write_text(packed.read_text() + "QUJD,3\nnot/base64!,12\n")
    with pytest.raises(ImageError, match=r"(?s)2 of 7 files.*line 7: .*line 8: neither numbers"):
        load_table(packed, channels=1)
    with pytest.warns(UserWarning, match="2 of 7 files are left out"):
        assert len(load_table(packed, channels=1, skip_bad=True)) == 5


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "'label' among them"), ("a,b\n1,2\n", "'label' among them"), ("label,label\n1,2\n", "every column once"),
     ("label,p\n", "no rows"), ("label,p0,p1,p2,p3\na,1,2,3\n", "line 2: 4 cells, the header has 5"),
     ("label,p0,p1\na,1,2\n", "make no grey square"), ("label,p0\na,x\n", "line 2: .*could not convert"),
     ("label,p0\na,7\nb,256\n", "line 3: pixels must lie from 0 to scale=255"),
     ("label,p0\na,nan\n", "line 2: pixels must lie"), ("label,image_data\na,1 2 3 4\nb,1 2\n", "line 3: 2 pixels"),
     ('label,p0\na,"1\n', "not a CSV file"), ("label,path,image_data\na,b,c\n", "several columns of pictures")],
)  # fmt: skip
def test_a_table_that_is_wrong_says_where(tmp_path, text, said):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=said):
        load_table(tmp_path / "t.csv")


# Streams


def streams():
    return [t for t in threading.enumerate() if t.name.startswith("tinycnn-stream")]


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("cache", [False, True])
def test_a_stream_gives_the_batches_that_arrays_give_with_any_number_of_threads(pets, workers, cache):
    root, _ = pets
    whole = load_folder(root)
    stream = Stream(list_folder(root), workers=workers, ahead=2, cache=cache)
    for seed in (None, 0, 1):
        for size in (1, 2, 3, 9):
            wanted = batches(whole.x, whole.y, size, seed)
            for (x, y), (sx, sy) in zip(wanted, stream.batches(size, seed), strict=True):
                assert np.array_equal(x, sx)
                assert np.array_equal(y, sy)
                assert sx.dtype == np.float32
    assert streams() == []
    if cache:
        assert stream.decoded == 7


def test_a_stream_that_is_left_early_leaves_no_thread_and_no_warning_filter_behind(pets):
    before = list(warnings.filters)
    taken = Stream(list_folder(pets[0]), workers=4).batches(1)
    next(taken)
    assert streams()
    taken.close()
    assert streams() == []
    assert list(warnings.filters) == before


def test_an_error_in_a_thread_comes_out_in_the_main_one_with_the_name_of_the_file(pets):
    root, _ = pets
    stream = Stream(list_folder(root), workers=3)
    (root / "dog" / "1.png").write_bytes(b"broken since")
    with pytest.raises(ImageError, match=r"dog/1\.png"):
        list(stream.batches(2))
    assert streams() == []
    picture(root / "dog" / "1.png", 0, (3, 3))
    with pytest.raises(ImageError, match=r"dog/1\.png: a picture \(3, 3, 3\), where \(3, 7, 5\) is expected"):
        list(stream.batches(2))


def network(shape, **options):
    layers = [tc.Conv2D(4, 3, padding="same"), tc.ReLU(), tc.GlobalAvgPool2D(), tc.Flatten(), tc.Dense(2)]
    model = tc.Sequential(layers, input_shape=shape, seed=3, **options)
    model.compile(optimizer=tc.optim.Adam(0.01), loss="cross_entropy", metrics=["accuracy"])
    return model


def test_training_from_a_stream_is_training_from_arrays_to_the_last_bit(pets):
    root, _ = pets
    whole, stream = load_folder(root), Stream(list_folder(root), workers=3)
    statistics = {"normalise": channel_statistics(whole.x)}
    one, two = (network((3, 7, 5), preprocessing=statistics) for _ in range(2))
    flip = tc.data.RandomFlip()
    options = {"epochs": 3, "batch_size": 3, "verbose": 0, "augment": flip}
    first = one.fit(whole.x, whole.y, validation_data=(whole.x, whole.y), **options)
    second = two.fit(stream, validation_data=stream, **options)
    assert dict(first) == dict(second)
    for key, w in one.named_params().items():
        assert np.array_equal(w, two.named_params()[key])
    assert one.evaluate(whole.x, whole.y).as_dict() == two.evaluate(stream).as_dict()
    assert np.array_equal(one.predict(whole.x), two.predict(stream))
    assert np.array_equal(one.predict_classes(whole.x), two.predict_classes(stream))
    assert streams() == []


def test_masks_are_learned_from_a_stream_as_from_arrays(tmp_path):
    masked(tmp_path, n=5)
    whole, stream = load_pairs(tmp_path), Stream(list_pairs(tmp_path), workers=2)
    found = []
    for data in ((whole.x, whole.y), (stream, None)):
        model = tc.Sequential([tc.Conv2D(3, 3, padding="same")], input_shape=(3, 6, 5), seed=1)
        model.compile(optimizer="adam", loss="cross_entropy")
        found.append(dict(model.fit(*data, epochs=2, batch_size=2, verbose=0)))
    assert found[0] == found[1]
    assert stream.y is None


def test_a_stream_that_does_not_fit_is_refused_before_training(pets):
    stream = Stream(list_folder(pets[0]))
    with pytest.raises(ShapeError, match=r"the stream's pictures are \(3, 7, 5\), the network takes \(3, 8, 8\)"):
        network((3, 8, 8)).fit(stream, verbose=0)
    with pytest.raises(TypeError, match="a stream brings its own targets"):
        network((3, 7, 5)).fit(stream, stream.y, verbose=0)
    with pytest.raises(ValueError, match="workers, ahead and pictures must be at least 1"):
        Stream(list_folder(pets[0]), workers=0)


def test_training_that_stops_with_an_error_leaves_no_thread_behind(pets):
    model = network((3, 7, 5))
    model.named_params()["dense1.w"][:] = np.nan
    with pytest.raises(FloatingPointError) as caught:
        model.fit(Stream(list_folder(pets[0]), workers=3), batch_size=1, verbose=0)
    assert caught.value
    assert streams() == []
