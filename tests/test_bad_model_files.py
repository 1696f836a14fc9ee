"""Whatever is wrong with a model file, `load` answers with one ModelFormatError that names the file, and soon."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from model_files import forged, join, split, write
from networks import compiled

import tinycnn as tc
from tinycnn.errors import ModelFormatError


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> bytes:
    """The bytes of a model file that is right."""
    path = tmp_path_factory.mktemp("good") / "model.safetensors"
    compiled(seed=3, classes="0123456789", preprocessing={"size": [8, 8]}).save(path)
    return path.read_bytes()


def refusal(folder, data: bytes) -> str:
    """What `load` says of these bytes: always a ModelFormatError, and always with the file's name first."""
    path = write(folder / "bad.safetensors", data)
    with pytest.raises(ModelFormatError) as caught:
        tc.load(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert len(text) < 2000
    return text.removeprefix(f"{path}: ")


def test_the_forgers_tool_leaves_a_good_file_good(good, tmp_path):
    same, right = tc.load(write(tmp_path / "same", forged(good))), tc.load(write(tmp_path / "right", good))
    assert same.summary() == right.summary()


@pytest.mark.parametrize("place", ["no such file", "a folder"])
def test_a_file_that_is_not_there_is_a_file_not_found_error(place, tmp_path):
    path = tmp_path if place == "a folder" else tmp_path / "nothing"
    with pytest.raises(FileNotFoundError, match="no model file"):
        tc.load(path)


class Bomb:
    """Unpickling it would leave a trace."""

    def __reduce__(self):
        return os.mkdir, ("pickle-was-run",)


def test_a_pickle_is_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for data in (pickle.dumps(Bomb()), pickle.dumps({"w": np.ones(3)}), b"\x80\x04N."):
        refusal(tmp_path, data)
    assert not os.path.exists("pickle-was-run")


def test_other_files_are_refused(tmp_path):
    rng = np.random.default_rng(0)
    for data in (b"", b"\0", b"GIF89a", b"{}", b"PK\x03\x04" + bytes(100), b"\x89HDF\r\n\x1a\n" + bytes(2000)):
        assert "not a safetensors file" in refusal(tmp_path, data)
    for length in (7, 8, 9, 100, 5000):
        refusal(tmp_path, rng.bytes(length))
        refusal(tmp_path, (length).to_bytes(8, "little") + rng.bytes(length) + rng.bytes(50))


def test_another_programs_safetensors_file_is_refused(tmp_path):
    from safetensors.numpy import save

    for metadata in (None, {}, {"format": "pt"}, {"format": "tinycnn2"}):
        assert "not a tinycnn model" in refusal(tmp_path, save({"w": np.ones(3, np.float32)}, metadata=metadata))


def test_a_file_cut_short_anywhere_is_refused(good, tmp_path):
    places = {0, 1, 7, 8, 9, len(good) - 1, len(good) - 4, *np.linspace(0, len(good) - 1, 150).astype(int)}
    for end in sorted(places):
        refusal(tmp_path, good[:end])


def test_a_file_with_more_behind_it_is_refused(good, tmp_path):
    for more in (b"\0", b"x" * 1000):
        refusal(tmp_path, good + more)


def test_one_flipped_bit_anywhere_is_noticed(good, tmp_path):
    """Every bit of the first 8 bytes, and one drawn bit of each byte of the header and of many of the weights."""
    rng = np.random.default_rng(0)
    header_end = len(good) - len(split(good)[1])
    bits = [*range(64), *(8 * byte + int(rng.integers(8)) for byte in range(8, header_end)),
            *rng.integers(8 * header_end, 8 * len(good), 200).tolist()]  # fmt: skip
    for bit in bits:
        data = bytearray(good)
        data[bit // 8] ^= 1 << bit % 8
        refusal(tmp_path, bytes(data))


def test_changed_weights_are_noticed_by_their_digest(good, tmp_path):
    header, body = split(good)
    assert "do not match their SHA-256" in refusal(tmp_path, join(header, body[:-1] + bytes([body[-1] ^ 1])))


def test_a_changed_architecture_is_noticed_by_its_digest(good, tmp_path):
    header, body = split(good)
    entry = header["__metadata__"]
    entry["architecture"] = entry["architecture"].replace('"seed": 3', '"seed": 4')
    assert "do not match their SHA-256" in refusal(tmp_path, join(header, body))


@pytest.mark.parametrize(
    ("version", "said"),
    [("2", "format version 2 is newer than 1"), ("10" * 4, "newer than 1"), ("9" * 5000, "newer than 1"),
     ("0", "is no version"), ("-1", "is no version"), ("²", "is no version"), ("one", "is no version"),
     ("", "is no version"), ("1.0", "is no version"), ("01", "is no version")],
)  # fmt: skip
def test_a_newer_or_senseless_version_is_refused(version, said, good, tmp_path):
    assert said in refusal(tmp_path, forged(good, header=lambda h: h["__metadata__"].update(format_version=version)))


@pytest.mark.parametrize("key", ["format", "format_version", "architecture", "sha256"])
@pytest.mark.parametrize("value", [None, 1, [], {}])
def test_a_missing_or_mistyped_header_entry_is_refused(key, value, good, tmp_path):
    refusal(tmp_path, forged(good, header=lambda h: h["__metadata__"].update({key: value})))
    refusal(tmp_path, forged(good, header=lambda h: h["__metadata__"].pop(key)))


def test_a_key_that_comes_twice_is_refused(good, tmp_path):
    header, body = split(good)
    text = json.dumps(header)
    tensor = json.dumps(header["conv1.b"])
    assert "names 'conv1.b' twice" in refusal(tmp_path, join(f'{{"conv1.b": {tensor}, {text[1:]}', body))
    config = header["__metadata__"]["architecture"]
    assert "the architecture names 'seed' twice" in refusal(tmp_path, forged(good, f'{{"seed": 1, {config[1:]}'))


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_json_that_is_nested_deeply_is_refused(opening, good, tmp_path):
    deep = opening * 200_000
    assert "not the JSON" in refusal(tmp_path, join(deep, b""))
    assert "not the JSON" in refusal(tmp_path, forged(good, deep))


@pytest.mark.parametrize("text", ["", "null", "[]", "3", '"x"', "{", "{}", '{"layers": []}'])
def test_an_architecture_that_is_no_network_is_refused(text, good, tmp_path):
    refusal(tmp_path, forged(good, text))


def test_nan_in_the_architecture_is_refused(good, tmp_path):
    assert "not the JSON" in refusal(tmp_path, forged(good, lambda a: a.update(seed=float("nan"))))


def test_an_unknown_layer_is_refused_and_nothing_is_imported(good, tmp_path):
    for name in ("Magic", "os.system", "tinycnn.layers.Dense", "Layer", "__class__", "Sequential"):
        text = refusal(tmp_path, forged(good, lambda a, name=name: a["layers"][1].update({"class": name})))
        assert f"unknown layer {name!r}; known are " in text


def test_unknown_losses_optimizers_and_metrics(good, tmp_path):
    known = json.loads(split(good)[0]["__metadata__"]["architecture"])
    loss = "hinges" if isinstance(known["loss"], str) else known["loss"] | {"name": "hinges"}
    assert "no loss 'hinges'" in refusal(tmp_path, forged(good, lambda a: a.update(loss=loss)))
    assert "no optimizer 'sgdd'; did you mean 'sgd'" in refusal(
        tmp_path, forged(good, lambda a: a["optimizer"].update(name="sgdd"))
    )
    later = forged(good, lambda a: a.update(metrics=["accuracy", "of a later version"]))
    assert list(tc.load(write(tmp_path / "later", later)).metrics) == ["accuracy"]


WRONG = [None, True, -1, 0, 1.5, 10**30, "x", [], [1], {}, {"a": 1}, [[]], [None], "same", [-1, -1], [0] * 9]


@pytest.mark.parametrize("key", ["layers", "input_shape", "seed", "classes", "preprocessing", "loss", "optimizer",
                                 "metrics"])  # fmt: skip
def test_an_entry_of_the_wrong_type_is_refused_or_harmless(key, good, tmp_path):
    loaded_or_refused(tmp_path, (forged(good, lambda a, v=value: a.update({key: v})) for value in WRONG))
    assert refusal(tmp_path, forged(good, lambda a: a.pop(key)))


@pytest.mark.parametrize("key", ["class", "name", "options"])
def test_a_layers_entry_of_the_wrong_type_is_refused_or_harmless(key, good, tmp_path):
    loaded_or_refused(tmp_path, (forged(good, lambda a, v=value: a["layers"][0].update({key: v})) for value in WRONG))
    assert refusal(tmp_path, forged(good, lambda a: a["layers"][0].pop(key)))


@pytest.mark.parametrize("place", [0, 2, 4])
def test_an_option_of_the_wrong_type_is_refused_or_harmless(place, good, tmp_path):
    options = json.loads(split(good)[0]["__metadata__"]["architecture"])["layers"][place]["options"]
    for option in (*options, "no_such_option", "name", "input_shape", "activation"):
        bad = (forged(good, lambda a, v=v, o=option: a["layers"][place]["options"].update({o: v})) for v in WRONG)
        loaded_or_refused(tmp_path, bad)


def loaded_or_refused(folder, files) -> None:
    """Each file either gives a network that works, or one ModelFormatError; never another error."""
    for data in files:
        path = write(folder / "odd.safetensors", data)
        try:
            model = tc.load(path)
        except ModelFormatError:
            refusal(folder, data)
        else:
            assert model.input_shape is None or model.predict(np.zeros((1, *model.input_shape), np.float32)).ndim >= 2


def test_missing_extra_and_misshaped_weights_are_all_listed_at_once(good, tmp_path):
    def spoil(tensors):
        del tensors["conv1.b"], tensors["dense1.w"]
        tensors["conv1.w"] = np.zeros((6, 1, 3, 2), np.float32)
        tensors["dense2.w"] = np.zeros(3, np.float32)

    text = refusal(tmp_path, forged(good, tensors=spoil))
    assert text.startswith("the weights do not fit the architecture: ")
    for part in ("conv1.b is missing", "dense1.w is missing", "dense2.w belongs to no layer",
                 "conv1.w has shape (6, 1, 3, 2), the architecture calls for (6, 1, 3, 3)"):  # fmt: skip
        assert part in text


@pytest.mark.parametrize("kind", [np.int32, np.int64, np.float16, np.uint8, bool])
def test_weights_of_another_type_are_refused(kind, good, tmp_path):
    text = refusal(tmp_path, forged(good, tensors=lambda t: t.update({"conv1.b": t["conv1.b"].astype(kind)})))
    assert f"weights must be float32 or float64: conv1.b ({np.dtype(kind)})" in text


@pytest.mark.parametrize("entry", [None, 3, [], {}, {"dtype": "F32"},
                                   {"dtype": "F32", "shape": 6, "data_offsets": [0, 24]},
                                   {"dtype": "F32", "shape": [6], "data_offsets": [0, 10**15]},
                                   {"dtype": "F32", "shape": [6], "data_offsets": [-24, 0]},
                                   {"dtype": "F99", "shape": [6], "data_offsets": [0, 24]},
                                   {"dtype": "F32", "shape": ["6"], "data_offsets": [0, 24]},
                                   {"dtype": "F32", "shape": [6], "data_offsets": [8, 32]}])  # fmt: skip
def test_a_senseless_entry_for_a_weight_is_refused(entry, good, tmp_path):
    refusal(tmp_path, forged(good, header=lambda h: h.update({"conv1.b": entry})))


# --------------------------------------------------------------------------- bombs

HUGE = {
    "header": lambda good: (2**62).to_bytes(8, "little") + b"{}",
    "filters": lambda good: forged(good, lambda a: a["layers"][0]["options"].update(filters=10**12)),
    "kernel": lambda good: forged(good, lambda a: a["layers"][0]["options"].update(kernel_size=[10**9, 1])),
    "padding": lambda good: forged(good, lambda a: a["layers"][0]["options"].update(padding=10**11)),
    "image": lambda good: forged(good, lambda a: a.update(input_shape=[1, 10**12, 10**12])),
    "large image": lambda good: forged(good, lambda a: a.update(input_shape=[1, 2**24, 2**24])),
    "units": lambda good: forged(good, lambda a: a["layers"][-1]["options"].update(units=2**24)),
    "pool": lambda good: forged(good, lambda a: a["layers"][2]["options"].update(
        kernel_size=[2**24, 2**24], stride=[1, 1], padding=[2**23, 2**23], dilation=[2**24 - 1, 1])),
    "layers": lambda good: forged(good, lambda a: a.update(layers=[a["layers"][1]] * 100_000)),
    "layers inside": lambda good: forged(good, lambda a: a.update(layers=[
        {"class": "Residual", "name": None, "options": {"layers": [a["layers"][1] | {"name": None}] * 20_000}}])),
    "seed": lambda good: forged(good, lambda a: a.update(seed=-(10**4000))),
    "classes": lambda good: forged(good, lambda a: a.update(classes=10**9)),
}  # fmt: skip

LOADER = """
import resource, sys, time
import tinycnn as tc, tinycnn.train, tinycnn.model, safetensors.numpy
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 200 * 2**20, resource.RLIM_INFINITY))
for path in sys.argv[1:]:
    try:
        tc.load(path)
    except tc.ModelFormatError as error:
        print("refused", path)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads how much memory it has from /proc")
def test_a_file_that_calls_for_huge_arrays_is_refused_before_any_is_made(good, tmp_path):
    """In a process that may use 200 MB more than it starts with, in a minute for all."""
    paths = [write(tmp_path / name.replace(" ", "_"), make(good)) for name, make in HUGE.items()]
    sparse = write(tmp_path / "sparse", good)
    os.truncate(sparse, 50 * 2**30)
    run = subprocess.run([sys.executable, "-c", LOADER, *map(str, [*paths, sparse])], capture_output=True, text=True,
                         timeout=60, check=False)  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.splitlines() == [f"refused {path}" for path in [*paths, sparse]]
