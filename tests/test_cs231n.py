"""Numbers that Stanford's course CS231n publishes for its students to compare with, in its assignments 1 and 2.

They are printed with eight decimals: ours must round to them.
"""

from __future__ import annotations

import numpy as np
import pytest

from tinycnn import optim
from tinycnn.backends import RUNGS, backend, current

ROUNDING = 5.001e-9  # half a unit of the eighth decimal


def _spread(start: float, stop: float, *shape: int) -> np.ndarray:
    """Evenly spaced numbers, row by row."""
    return np.linspace(start, stop, int(np.prod(shape))).reshape(shape)


def _rounds_to(ours: np.ndarray, published: object) -> None:
    np.testing.assert_allclose(ours, published, rtol=0, atol=ROUNDING)


@pytest.fixture(params=sorted(RUNGS))
def forward(request):
    """The forward ops of every rung."""
    with backend(request.param):
        yield lambda op, *args, **options: current()(f"{op}_forward")(*args, **options)[0]


def test_a_convolution_with_stride_and_padding(forward):
    x, w, b = _spread(-0.1, 0.5, 2, 3, 4, 4), _spread(-0.2, 0.3, 3, 3, 4, 4), _spread(-0.1, 0.2, 3)
    _rounds_to(forward("conv2d", x, w, b, stride=2, padding=1), [
        [[[-0.08759809, -0.10987781], [-0.18387192, -0.2109216]],
         [[0.21027089, 0.21661097], [0.22847626, 0.23004637]],
         [[0.50813986, 0.54309974], [0.64082444, 0.67101435]]],
        [[[-0.98053589, -1.03143541], [-1.19128892, -1.24695841]],
         [[0.69108355, 0.66880383], [0.59480972, 0.56776003]],
         [[2.36270298, 2.36904306], [2.38090835, 2.38247847]]],
    ])  # fmt: skip


def test_a_max_pool(forward):
    _rounds_to(forward("max_pool2d", _spread(-0.3, 0.4, 2, 3, 4, 4), 2, stride=2), [
        [[[-0.26315789, -0.24842105], [-0.20421053, -0.18947368]],
         [[-0.14526316, -0.13052632], [-0.08631579, -0.07157895]],
         [[-0.02736842, -0.01263158], [0.03157895, 0.04631579]]],
        [[[0.09052632, 0.10526316], [0.14947368, 0.16421053]],
         [[0.20842105, 0.22315789], [0.26736842, 0.28210526]],
         [[0.32631579, 0.34105263], [0.38526316, 0.4]]],
    ])  # fmt: skip


def test_a_dense_layer_of_flattened_images(forward):
    x, w, b = _spread(-0.1, 0.5, 2, 4, 5, 6), _spread(-0.2, 0.3, 120, 3), _spread(-0.3, 0.1, 3)
    y = forward("linear", forward("flatten", x), w.T, b)
    _rounds_to(y, [[1.49834967, 1.70660132, 1.91485297], [3.25553199, 3.5141327, 3.77273342]])


def test_a_relu(forward):
    published = [[0, 0, 0, 0], [0, 0, 0.04545455, 0.13636364], [0.22727273, 0.31818182, 0.40909091, 0.5]]
    _rounds_to(forward("relu", _spread(-0.5, 0.5, 3, 4)), published)


def test_the_losses_of_a_classifier_that_knows_nothing(forward):
    rng = np.random.RandomState(231)  # NumPy's old generator, as the course has it
    z, t = 0.001 * rng.randn(50, 10), rng.randint(10, size=50)
    assert forward("cross_entropy", z, t) == pytest.approx(2.302545844500738, rel=1e-14)
    assert 10 * forward("multi_margin", z, t) == pytest.approx(8.999602749096233, rel=1e-14)  # theirs is not over K


def test_a_network_of_two_layers(forward):
    w1, b1, w2, b2 = _spread(-0.7, 0.3, 5, 50), _spread(-0.1, 0.9, 50), _spread(-0.3, 0.4, 50, 7), _spread(-0.9, 0.1, 7)
    hidden = forward("relu", forward("linear", _spread(-5.5, 4.5, 5, 3).T, w1.T, b1))
    scores = forward("linear", hidden, w2.T, b2)
    _rounds_to(scores, [
        [11.53165108, 12.2917344, 13.05181771, 13.81190102, 14.57198434, 15.33206765, 16.09215096],
        [12.05769098, 12.74614105, 13.43459113, 14.1230412, 14.81149128, 15.49994135, 16.18839143],
        [12.58373087, 13.20054771, 13.81736455, 14.43418138, 15.05099822, 15.66781506, 16.2846319],
    ])  # fmt: skip
    loss = forward("cross_entropy", scores, np.array([0, 5, 1]))
    assert loss == pytest.approx(3.4702243556, abs=5.1e-11)
    penalty = sum(optim.l2_penalty(w, 0.5)[0] for w in (w1, w2))  # their strength 1 has a half before the sum
    assert loss + penalty == pytest.approx(26.5948426952, abs=5.1e-11)


def test_a_network_of_two_layers_with_weights_drawn_by_chance(forward):
    rng = np.random.RandomState(0)
    w1, w2 = 0.1 * rng.randn(4, 10), 0.1 * rng.randn(10, 3)
    x = 10 * np.random.RandomState(1).randn(5, 4)
    scores = forward("linear", forward("relu", forward("linear", x, w1.T, None)), w2.T, None)
    _rounds_to(scores, [
        [-0.81233741, -1.27654624, -0.70335995], [-0.17129677, -1.18803311, -0.47310444],
        [-0.51590475, -1.01354314, -0.8504215], [-0.15419291, -0.48629638, -0.52901952],
        [-0.00618733, -0.12435261, -0.15226949],
    ])  # fmt: skip
    loss = forward("cross_entropy", scores, np.array([0, 1, 2, 2, 1]))
    assert loss + sum(optim.l2_penalty(w, 0.05)[0] for w in (w1, w2)) == pytest.approx(1.30378789133, abs=5.1e-12)


WEIGHTS, GRADIENT, STATE = _spread(-0.4, 0.6, 4, 5), _spread(-0.6, 0.4, 4, 5), _spread(0.6, 0.9, 4, 5)


def test_a_step_of_momentum():
    """Their velocity has the rate in it, and points the other way: −lr·v."""
    w, v = optim.momentum_step(WEIGHTS, GRADIENT, -STATE / 1e-3, lr=1e-3, momentum=0.9)
    _rounds_to(w, [
        [0.1406, 0.20738947, 0.27417895, 0.34096842, 0.40775789],
        [0.47454737, 0.54133684, 0.60812632, 0.67491579, 0.74170526],
        [0.80849474, 0.87528421, 0.94207368, 1.00886316, 1.07565263],
        [1.14244211, 1.20923158, 1.27602105, 1.34281053, 1.4096],
    ])  # fmt: skip
    _rounds_to(-1e-3 * v, [
        [0.5406, 0.55475789, 0.56891579, 0.58307368, 0.59723158],
        [0.61138947, 0.62554737, 0.63970526, 0.65386316, 0.66802105],
        [0.68217895, 0.69633684, 0.71049474, 0.72465263, 0.73881053],
        [0.75296842, 0.76712632, 0.78128421, 0.79544211, 0.8096],
    ])  # fmt: skip


def test_a_step_of_rmsprop():
    w, v = optim.rmsprop_step(WEIGHTS, GRADIENT, STATE, lr=1e-2, alpha=0.99, eps=1e-8)
    _rounds_to(w, [
        [-0.39223849, -0.34037513, -0.28849239, -0.23659121, -0.18467247],
        [-0.132737, -0.08078555, -0.02881884, 0.02316247, 0.07515774],
        [0.12716641, 0.17918792, 0.23122175, 0.28326742, 0.33532447],
        [0.38739248, 0.43947102, 0.49155973, 0.54365823, 0.59576619],
    ])  # fmt: skip
    _rounds_to(v, [
        [0.5976, 0.6126277, 0.6277108, 0.64284931, 0.65804321],
        [0.67329252, 0.68859723, 0.70395734, 0.71937285, 0.73484377],
        [0.75037008, 0.7659518, 0.78158892, 0.79728144, 0.81302936],
        [0.82883269, 0.84469141, 0.86060554, 0.87657507, 0.8926],
    ])  # fmt: skip


def test_a_step_of_adam():
    """The sixth: they count five steps done, and one more before they correct the bias."""
    w, m, v = optim.adam_step(WEIGHTS, GRADIENT, STATE, _spread(0.7, 0.5, 4, 5), t=6, lr=1e-2)
    _rounds_to(w, [
        [-0.40094747, -0.34836187, -0.29577703, -0.24319299, -0.19060977],
        [-0.1380274, -0.08544591, -0.03286534, 0.01971428, 0.0722929],
        [0.1248705, 0.17744702, 0.23002243, 0.28259667, 0.33516969],
        [0.38774145, 0.44031188, 0.49288093, 0.54544852, 0.59801459],
    ])  # fmt: skip
    _rounds_to(m, [
        [0.48, 0.49947368, 0.51894737, 0.53842105, 0.55789474],
        [0.57736842, 0.59684211, 0.61631579, 0.63578947, 0.65526316],
        [0.67473684, 0.69421053, 0.71368421, 0.73315789, 0.75263158],
        [0.77210526, 0.79157895, 0.81105263, 0.83052632, 0.85],
    ])  # fmt: skip
    _rounds_to(v, [
        [0.69966, 0.68908382, 0.67851319, 0.66794809, 0.65738853],
        [0.64683452, 0.63628604, 0.6257431, 0.61520571, 0.60467385],
        [0.59414753, 0.58362676, 0.57311152, 0.56260183, 0.55209767],
        [0.54159906, 0.53110598, 0.52061845, 0.51013645, 0.49966],
    ])  # fmt: skip
