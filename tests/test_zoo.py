"""The zoo: sizes and weights of each network, against the figures that other frameworks give for it."""

from __future__ import annotations

import numpy as np
import pytest

import tinycnn as tc
from tinycnn import zoo
from tinycnn.verify import check_model

# weights as PyTorch and Keras count them for the same layers, and the sizes on the way
KNOWN = {
    # 32·(3·9+1) + 64·(32·9+1) + 128·(64·8·8+1) + 10·129
    "article002": (896 + 18_496 + 524_416 + 1_290, (3, 32, 32), (10,)),
    # 32·28 + 64·289 + 128·577 + 512·(128·26·26+1) + 10·513
    "article003": (896 + 18_496 + 73_856 + 44_302_848 + 5_130, (3, 224, 224), (10,)),
    # Keras's summary of the text's model: 896, 18,496, 295,040 and 1,290
    "article004": (896 + 18_496 + 295_040 + 1_290, (3, 32, 32), (10,)),
    # the paper's layers with plain connections, as in PyTorch's and Keras's tutorials
    "lenet5": (61_706, (1, 28, 28), (10,)),
    "digits": (320 + 9_248 + 18_496 + 2_570, (1, 8, 8), (10,)),
    "resnet8": (432 + 32 + 2 * (2_304 + 32) + 4_608 + 64 + 2 * (9_216 + 64) + 18_432 + 128 + 650, (3, 32, 32), (10,)),
    # per level twice two 3×3 convolutions, the up-convolution between, and the last 1×1
    "unet": (
        (160 + 2_320) + (4_640 + 9_248) + (18_496 + 36_928) + (8_224 + 18_464 + 9_248) + (2_064 + 4_624 + 2_320) + 34,
        (1, 64, 64),
        (2, 64, 64),
    ),
}


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_a_network_has_the_weights_and_sizes_that_others_count(name):
    weights, input_shape, output_shape = KNOWN[name]
    model = getattr(zoo, name)()
    assert (model.count_params(), model.input_shape, model.output_shape) == (weights, input_shape, output_shape)


@pytest.mark.parametrize("name", [n for n in zoo.NETWORKS if n != "article003"])
def test_a_network_begins_to_learn_a_few_examples(name):
    model = getattr(zoo, name)(seed=1)
    rng = np.random.default_rng(0)
    x = rng.random((4, *model.input_shape), dtype=np.float32)
    y = rng.integers(0, 10, 4) if model.output_shape == (10,) else (x[:, 0] > 0.5).astype(int)
    model.compile(optimizer=tc.optim.Adam(3e-3), loss="cross_entropy")
    loss = model.fit(x, y, epochs=12, verbose=0)["loss"]
    assert loss[-1] < 0.9 * loss[0]


@pytest.mark.parametrize("make", [zoo.lenet5, zoo.resnet8, lambda: zoo.unet(base=4, input_shape=(1, 16, 12))])
def test_the_gradients_of_a_classic_are_right(make):
    model, rng = make(), np.random.default_rng(2)
    model.compile(loss="cross_entropy")
    x = rng.normal(size=(2, *model.input_shape))
    y = rng.integers(0, model.output_shape[0], (2, *model.output_shape[1:]))
    report = check_model(model, x, y, entries=2)
    assert report.passed, f"\n{report}"


def test_a_u_net_is_as_deep_and_wide_as_told_and_refuses_sizes_that_do_not_halve():
    model = zoo.unet(classes=3, input_shape=(2, 24, 32), base=4, depth=3)
    assert model.output_shape == (3, 24, 32)
    with pytest.raises(tc.ShapeError, match="differ in size"):
        zoo.unet(input_shape=(1, 30, 30))


def test_the_text_of_article_002_would_mix_images():
    """`view(-1, 64*6*6)` of nine images' 64·8·8 features makes sixteen rows; the right size is Flatten's to find."""
    features = np.zeros((9, 64, 8, 8))
    assert features.reshape(-1, 64 * 6 * 6).shape[0] == 16
    model = zoo.article002()
    assert model.layer("flatten1").output_shape == (64 * 8 * 8,)
    assert model.predict(np.zeros((9, 3, 32, 32), np.float32)).shape == (9, 10)


def test_a_zoo_network_survives_saving(tmp_path):
    model = zoo.resnet8(seed=3)
    x = np.random.default_rng(0).random((2, 3, 32, 32), dtype=np.float32)
    model.forward(x, train=True)  # moves the running statistics
    model.save(tmp_path / "resnet8.safetensors")
    np.testing.assert_array_equal(tc.load(tmp_path / "resnet8.safetensors").predict(x), model.predict(x))


def in_torch(model: tc.Sequential):
    """The same layers in PyTorch, made from their options."""
    torch = pytest.importorskip("torch")
    nn = torch.nn
    made, C = [], model.input_shape[0]
    for layer in model.layers:
        kind, o = type(layer).__name__, layer.config()
        if kind == "Conv2D":
            padding = o["padding"] if o["padding"] != "valid" else 0
            made.append(nn.Conv2d(C, o["filters"], o["kernel_size"], o["stride"], padding))
            C = o["filters"]
        elif kind == "Dense":
            made.append(nn.LazyLinear(o["units"]))
        else:
            plain = {"ReLU": nn.ReLU, "Tanh": nn.Tanh, "Flatten": nn.Flatten}
            pools = {"MaxPool2D": nn.MaxPool2d, "AvgPool2D": nn.AvgPool2d}
            made.append(plain[kind]() if kind in plain else pools[kind](o["kernel_size"]))
    return torch, nn.Sequential(*made)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Lazy modules")
@pytest.mark.parametrize("name", ["article002", "article003", "article004", "lenet5", "digits"])
def test_pytorch_counts_the_same_weights_and_sizes(name):
    model = getattr(zoo, name)()
    torch, twin = in_torch(model)
    x = torch.zeros((2, *model.input_shape))
    for layer, other in zip(model.layers, twin, strict=True):
        x = other(x)
        assert tuple(x.shape[1:]) == layer.output_shape
    assert sum(p.numel() for p in twin.parameters()) == model.count_params()
