# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 9. The whole network
#
# From pixels to a trained classifier, with nothing left dark. You build a convolutional network, send *one* handwritten
# digit through it layer by layer, and see each formula, the line of code that is it, and the numbers in it. Then you go
# back the same way by hand, with the chain rule, and get every gradient that the library gets. Then you take one step
# downhill, prove the gradients, let it train, and see what it learned.
#
# Lesson 2 explains the convolution itself. Whatever this page claims, a cell asserts.

# %%
# %matplotlib inline
import inspect
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Math, display
from matplotlib.patches import Rectangle

import tinycnn as tc
from tinycnn import Conv2D, Dense, Flatten, MaxPool2D, ReLU, Sequential
from tinycnn.plot.style import BLUE, DIVERGING, MUTED, ORANGE, RULE, bare

plt.rcParams.update({"figure.dpi": 150, "figure.constrained_layout.use": True, "font.size": 9})
np.set_printoptions(precision=4, suppress=True, linewidth=110)


def show(name):
    """A formula, set as it was declared above the code that implements it."""
    display(Math(tc.formulas[name].latex))


# %% [markdown]
# ## The data
#
# 1,797 digits, written by 13 people and scanned to 8 by 8 pixels. They come with tinycnn, already in three parts.

# %%
train, val, test = tc.data.load_digits()
print(train, val, test, sep="\n")

fig, axes = plt.subplots(3, 10, figsize=(8, 2.7))
for k, column in enumerate(axes.T):
    for ax, picture in zip(column, train.x[train.y == k], strict=False):
        ax.imshow(picture[0], cmap="gray")
        bare(ax)
    column[0].set_title(train.classes[k], fontsize=9)

# %% [markdown]
# A picture is an array `(1, 8, 8)`: one channel, eight rows, eight columns, each number the ink from 0 to 1. A batch has
# one axis more in front: `(N, C, H, W)`.
#
# Why three parts? The *training* part teaches. While you choose among networks and settings, you compare them on the
# *validation* part, and so you come to prefer what happens to suit it. What a number on fresh pictures would be, only
# pictures can say that took part in nothing: the *test* part, looked at once, at the end. (An article that passes the
# test set as `validation_data` has no test set left.)

# %%
pictures = [picture.tobytes() for part in (train, val, test) for picture in part.x]
assert len(set(pictures)) == len(pictures) == 1797  # no picture is in two parts

shares = np.array([np.bincount(part.y) / len(part) for part in (train, val, test)])
assert np.ptp(shares, axis=0).max() < 0.015  # and each part has the same mix of digits

# %% [markdown]
# ## Build it, layer by layer
#
# Filters look for strokes, ReLU keeps what they found, a pool keeps the strongest answer of each 2 by 2 block. Then the
# same once more on what came out, so that the second filters look for *combinations* of strokes. Finally every number
# left votes for every digit.

# %%
model = Sequential(input_shape=(1, 8, 8), seed=0, classes=train.classes)
for layer in [Conv2D(16, 3, padding="same"), ReLU(), MaxPool2D(2),
              Conv2D(32, 3, padding="same"), ReLU(), MaxPool2D(2),
              Flatten(), Dense(10)]:  # fmt: skip
    model.add(layer)
    print(f"{type(layer).__name__:10} → {model.output_shape}")

# %% [markdown]
# The summary puts the numbers into every size formula. `sees` is the receptive field: how much of the picture one
# number of that layer depends on.

# %%
print(model.summary())

# %% [markdown]
# Check two entries of the table by hand. A filter of `conv2` has 3·3 weights for each of the 16 channels, and there are
# 32 filters, each with a bias. And mind what the pools do: they have no weights, and take none from the convolutions.
# What they shrink is the dense layer behind them.

# %%
assert model.layer("conv2").params["w"].size + 32 == 3 * 3 * 16 * 32 + 32 == 4640
assert model.layer("dense1").params["w"].shape == (10, 32 * 2 * 2)
without_pools = Sequential([Conv2D(16, 3, padding="same"), ReLU(), Conv2D(32, 3, padding="same"), ReLU(),
                            Flatten(), Dense(10)], input_shape=(1, 8, 8))  # fmt: skip
assert without_pools.layer("conv2").params["w"].size == model.layer("conv2").params["w"].size
print(f"{model.count_params():,} parameters; without the pools {without_pools.count_params():,}")
assert without_pools.count_params() - model.count_params() == 10 * (32 * 8 * 8 - 32 * 2 * 2)

# %% [markdown]
# ## Forward: one digit
#
# Take one digit, and a copy of the network in double precision, so that "equal" can mean equal to fifteen digits. The
# network has learned nothing yet: its weights are random, drawn by He's rule, and its biases are zero.

# %%
example = int(np.flatnonzero(train.y == 3)[4])
x, label = train.x[example][None].astype(np.float64), train.y[example]  # (1, 1, 8, 8), 3

hand = model.astype(np.float64)
w1, b1 = hand.layer("conv1").params["w"], hand.layer("conv1").params["b"]
w2, b2 = hand.layer("conv2").params["w"], hand.layer("conv2").params["b"]
w3, b3 = hand.layer("dense1").params["w"], hand.layer("dense1").params["b"]
for w in (w1, w2, w3):
    print(w.shape, f"spread {w.std():.3f}, He's rule says {tc.formulas['he_std'].evaluate(fan_in=w[0].size):.3f}")

# %% [markdown]
# Here is the whole way at a glance: what each layer makes of the digit. The rest of this part computes it.


# %%
def mosaic(maps, columns):
    """Feature maps (C, H, W) side by side in one picture, with a gap between them."""
    C, H, W = maps.shape
    canvas = np.full((C // columns * (H + 1) - 1, columns * (W + 1) - 1), np.nan)
    for c in range(C):
        row, column = divmod(c, columns)
        canvas[row * (H + 1) : row * (H + 1) + H, column * (W + 1) : column * (W + 1) + W] = maps[c]
    return canvas


def draw_way(model, x):
    """What each layer makes of one picture; negative blue, positive orange, on a scale of each layer's own."""
    fig, axes = plt.subplots(2, 3, figsize=(8, 4.6), height_ratios=[3, 2])
    fig.get_layout_engine().set(wspace=0.05, hspace=0.05)
    colours = DIVERGING.with_extremes(bad="#9A9A9A")
    for ax, layer in zip(axes.flat, model.layers, strict=False):
        x = layer.forward(x)
        C, limit = len(x[0]), abs(x).max()
        ax.imshow(mosaic(x[0], columns=4 if C == 16 else 8), cmap=colours, vmin=-limit, vmax=limit)
        ax.set_title(f"{layer.name}: {' × '.join(map(str, layer.output_shape))}", fontsize=9)
        bare(ax)


draw_way(hand, x)

# %% [markdown]
# ### conv1: a weighted sum of each window
#
# Every filter slides over the picture, which has a border of zeros so that the size stays 8 × 8. The result is a map
# for each filter. First the formula, then the line of code, then one number with all its terms:

# %%
show("conv2d")

# %%
cache = {}  # what each layer will need on the way back
conv1, cache["conv1"] = tc.ops.conv2d_forward(x, w1, b1, padding="same")

explained = tc.explain(hand, x, layer="conv1", index=(4, 3, 4))
assert np.isclose(conv1[0, 4, 3, 4], explained.value, rtol=1e-12)
assert np.isclose((x[0, 0, 2:5, 3:6] * w1[4, 0]).sum() + b1[4], conv1[0, 4, 3, 4], rtol=1e-12)

# %% [markdown]
# ### relu1: keep what is positive
#
# Without a bend somewhere, a stack of layers would be one linear map, however deep: sums of sums are sums. The simplest
# bend is this one.

# %%
show("relu")

# %%
relu1, cache["relu1"] = tc.ops.relu_forward(conv1)

print("before", conv1[0, 4, 3])
print("after ", relu1[0, 4, 3])
assert (relu1 == np.where(conv1 > 0, conv1, 0)).all()

# %% [markdown]
# ### pool1: the strongest answer of each block
#
# Windows of 2 × 2, side by side, and of each the largest number. A stroke that moves by a pixel often leaves the
# maximum as it was.

# %%
show("max_pool2d")

# %%
pool1, cache["pool1"] = tc.ops.max_pool2d_forward(relu1, kernel_size=2)

explained = tc.explain(hand, x, layer="pool1", index=(4, 1, 2))
assert pool1[0, 4, 1, 2] == relu1[0, 4, 2:4, 4:6].max()
assert np.isclose(pool1[0, 4, 1, 2], explained.value, rtol=1e-12)

# %% [markdown]
# ### conv2, relu2, pool2: once more
#
# The same three, except that the "picture" now has 16 channels. A filter has a kernel for each of them, and all 16
# answers are added: 144 products for one number.

# %%
conv2, cache["conv2"] = tc.ops.conv2d_forward(pool1, w2, b2, padding="same")
relu2, cache["relu2"] = tc.ops.relu_forward(conv2)
pool2, cache["pool2"] = tc.ops.max_pool2d_forward(relu2, kernel_size=2)

explained = tc.explain(hand, x, layer="conv2", index=(7, 1, 2))
assert np.isclose(conv2[0, 7, 1, 2], explained.value, rtol=1e-12)
assert len(explained.cell.terms) == 1 + 16 * 3 * 3

# %% [markdown]
# ### flatten1: no arithmetic, only addresses
#
# A dense layer wants a vector, so the 32 maps of 2 × 2 are laid end to end.

# %%
show("flatten")

# %%
flat, cache["flatten1"] = tc.ops.flatten_forward(pool2)
c, r, q = 7, 1, 0
assert flat.shape == (1, 128)
assert flat[0, (c * 2 + r) * 2 + q] == pool2[0, c, r, q]

# %% [markdown]
# ### dense1: every number votes for every digit
#
# Ten sums, one a digit. They are called *logits*, `z`: any numbers, large where the network leans that way.

# %%
show("linear")

# %%
z, cache["dense1"] = tc.ops.linear_forward(flat, w3, b3)

explained = tc.explain(hand, x, layer="dense1", index=(label,))
print("\nlogits", z[0])
assert np.isclose(z[0, label], explained.value, rtol=1e-12)
assert np.allclose(z, hand.forward(x), rtol=1e-12)  # by hand, and by the network

# %% [markdown]
# ### softmax: from logits to probabilities
#
# Make all numbers positive with exp, then divide by their sum, and they are shares of 1. Subtracting the largest logit
# first changes nothing in the quotient, but keeps exp from overflowing.

# %%
show("softmax")

# %%
p, _ = tc.ops.softmax_forward(z)

by_hand = np.exp(z[0] - z.max())
print(" k        z   exp(z − m)       p")
for k in range(10):
    print(f" {k} {z[0, k]:8.3f} {by_hand[k]:12.5f} {p[0, k]:7.4f}" + ("   ← the right one" if k == label else ""))
print(f"      sum     {by_hand.sum():8.5f} {p.sum():7.4f}")
assert np.allclose(by_hand / by_hand.sum(), p[0], rtol=1e-14)
assert np.isclose(p.sum(), 1)

# %% [markdown]
# ### Cross-entropy: one number to make small
#
# How good is that? Look only at the probability of the right digit and take −log of it: 0 if the network was sure and
# right, large if it thought the truth unlikely. `t` is 1 at the right class and 0 elsewhere, so the sum over classes
# picks that one term. A network that knows nothing and says so, 0.1 for each digit, pays log 10 ≈ 2.3.

# %%
show("cross_entropy")

# %%
t = tc.data.one_hot([label], 10).astype(np.float64)
loss, cache["loss"] = tc.ops.cross_entropy_forward(z, t)

print(f"loss = −log p[{label}] = −log {p[0, label]:.4f} = {loss:.4f};   log 10 = {np.log(10):.4f}")
assert np.isclose(loss, -np.log(p[0, label]), rtol=1e-14)
assert np.isclose(tc.ops.cross_entropy_forward(np.zeros((1, 10)), t)[0], np.log(10))

# %% [markdown]
# ## Backward: the same digit
#
# Now the question of training: for each of the network's weights, would the loss rise or fall if it were a little
# larger, and how steeply? That is the gradient. You find it from the end to the beginning, one layer at a time, because
# each layer needs only one thing from behind: the gradient of its own output.
#
# ### The beginning of the end: p − t
#
# From logits to loss there is $\mathcal{L} = -z_{k^*} + \log\sum_l e^{z_l}$, with $k^*$ the right class. The derivative
# of the logarithm of the sum by $z_k$ is $e^{z_k} / \sum_l e^{z_l}$, and that is $p_k$. The first term gives −1, at the
# right class only. Together:
#
# $$ \frac{\partial \mathcal{L}}{\partial z_k} \;=\; p_k - t_k $$
#
# What the network said, less what it should have said. Nothing in deep learning is prettier.

# %%
dz = p - t

fig, axes = plt.subplots(1, 3, figsize=(8, 2.1), sharey=True)
for ax, bars, title in zip(axes, [p[0], t[0], dz[0]], ["p: it said", "t: it should have said", "p − t"], strict=True):
    ax.bar(range(10), bars, color=[BLUE if bar < 0 else ORANGE for bar in bars])
    ax.axhline(0, color=MUTED, lw=0.8)
    ax.set_xticks(range(10))
    ax.set_title(title, fontsize=9)
    ax.spines[["top", "right", "bottom"]].set_visible(False)
    ax.tick_params(length=0)

assert np.allclose(dz, tc.ops.cross_entropy_backward(1.0, cache["loss"]), rtol=0, atol=1e-15)
assert np.isclose(dz.sum(), 0)  # what is pushed up at one class is taken from the others

# %% [markdown]
# Read it as instructions: below zero, *this logit should have been larger*; above zero, *smaller*.
#
# ### Back through dense1
#
# In a product the derivative by one factor is the other factor. So a weight's gradient is the number it was multiplied
# with, times the gradient of the sum it went into; an input's gradient gathers from all ten sums it voted in.

# %%
show("linear_backward")

# %%
dw3 = dz.T @ flat  # (10, 128)
db3 = dz.sum(axis=0)
dflat = dz @ w3  # (1, 128)

c = int(flat[0].argmax())
print(f"dw[{label},{c}] = dz[{label}]·x[{c}] = {dz[0, label]:.4f} · {flat[0, c]:.4f} = {dw3[label, c]:.4f}")
assert np.isclose(dw3[label, c], dz[0, label] * flat[0, c], rtol=1e-14)
for ours, theirs in zip((dflat, dw3, db3), tc.ops.linear_backward(dz, cache["dense1"]), strict=True):
    assert np.allclose(ours, theirs, rtol=1e-13, atol=1e-16)

# %% [markdown]
# ### Back through flatten1 and pool2
#
# Flatten only moved numbers, so their gradients move back. The pool handed on one number of each block, the largest;
# the other three took no part, and a little more of them would change nothing. So the whole gradient goes to the
# winner, and the losers get zero.

# %%
show("max_pool2d_backward")
print("where", tc.formulas["max_pool2d_backward"].where_text)


# %%
def pool_backward(dy, x):
    """Hand each block's gradient to its largest number; of equals, the first."""
    dx = np.zeros_like(x)
    for n, c, u, v in np.ndindex(dy.shape):
        block = x[n, c, 2 * u : 2 * u + 2, 2 * v : 2 * v + 2]
        a, b = np.unravel_index(block.argmax(), block.shape)
        dx[n, c, 2 * u + a, 2 * v + b] += dy[n, c, u, v]
    return dx


dpool2 = dflat.reshape(pool2.shape)
drelu2 = pool_backward(dpool2, relu2)
assert np.array_equal(drelu2, tc.ops.max_pool2d_backward(dpool2, cache["pool2"]))

# %% [markdown]
# One map of it as a picture: the boxed winners of the forward pass are where the gradient arrives. In the block below on
# the left all four are 0, so the first of them counts as the winner; the next step back, ReLU's, will stop its gradient.

# %%
shown = 9
fig, axes = plt.subplots(1, 3, figsize=(8, 2.9), width_ratios=[4, 2, 4])
panels = [(relu2, "relu2, winners boxed"), (dpool2, "gradient of pool2"), (drelu2, "gradient of relu2")]
for ax, (a, title) in zip(axes, panels, strict=True):
    a = a[0, shown]
    limit = 1.7 * abs(a).max()
    ax.imshow(a, cmap=DIVERGING, vmin=-limit, vmax=limit)
    for (r, q), number in np.ndenumerate(a):
        text = f"{number:.2f}".replace("-", "−") if number else "0"
        ax.text(q, r, text, ha="center", va="center", fontsize=9)
        if len(a) == 4 and drelu2[0, shown, r, q]:
            ax.add_patch(Rectangle((q - 0.46, r - 0.46), 0.92, 0.92, fill=False, ec=BLUE, lw=2))
    bare(ax)
    ax.add_patch(Rectangle((-0.5, -0.5), len(a), len(a), fill=False, ec=RULE)).set_clip_on(False)
    if len(a) == 4:
        ax.axhline(1.5, color=MUTED, lw=0.8)
        ax.axvline(1.5, color=MUTED, lw=0.8)
    ax.set_ylim(len(a) / 2 + 1.5, len(a) / 2 - 2.5)  # room for four rows: cells of one size
    ax.set_title(title, fontsize=9)

# %% [markdown]
# ### Back through relu2
#
# Where the number was positive, ReLU was the identity, slope 1. Where it was not, the output was 0 whatever happened,
# slope 0. The gradient passes or it does not.

# %%
show("relu_backward")

# %%
dconv2 = drelu2 * (conv2 > 0)
assert np.array_equal(dconv2, tc.ops.relu_backward(drelu2, cache["relu2"]))
assert drelu2[0, shown, 2, 0] != 0 == dconv2[0, shown, 2, 0]  # the block of zeros: stopped, as promised
print(f"{(dconv2 != 0).sum()} of {dconv2.size} numbers of conv2 get any gradient from this digit")

# %% [markdown]
# ### Back through conv2
#
# Lesson 2 does this with pictures. Laid out by im2col, the convolution was one matrix product, so its backward pass is
# two: `dyᵀ · cols` for the weights, `dy · w` for the windows. Then col2im carries every window's share back to its
# pixels and *adds*, since a pixel lies in several windows.

# %%
show("conv2d_backward")


# %%
def conv_backward(dy, x, w):
    """dx, dw, db of a 3 × 3 convolution with padding 1."""
    F = len(w)
    cols, _ = tc.ops.im2col(x, kernel_size=3, padding=1)  # (N·OH·OW, C·KH·KW): a row is a window
    rows = dy.transpose(0, 2, 3, 1).reshape(-1, F)  # (N·OH·OW, F): the rows of cols
    dw = (rows.T @ cols).reshape(w.shape)
    dx = tc.ops.col2im(rows @ w.reshape(F, -1), x.shape, kernel_size=3, padding=1)
    return dx, dw, rows.sum(axis=0)


dpool1, dw2, db2 = conv_backward(dconv2, pool1, w2)
for ours, theirs in zip((dpool1, dw2, db2), tc.ops.conv2d_backward(dconv2, cache["conv2"]), strict=True):
    assert np.allclose(ours, theirs, rtol=1e-12, atol=1e-15)

# %% [markdown]
# ### Back through pool1, relu1, conv1
#
# You have all the tools. The last line even gives the gradient of the *picture*: which pixels, made brighter, would
# have made the network more wrong.

# %%
drelu1 = pool_backward(dpool1, relu1)
dconv1 = drelu1 * (conv1 > 0)
dx, dw1, db1 = conv_backward(dconv1, x, w1)

fig, axes = plt.subplots(1, 2, figsize=(6, 2.7))
axes[0].imshow(x[0, 0], cmap="gray")
axes[0].set_title("the digit", fontsize=9)
axes[1].imshow(dx[0, 0], cmap=DIVERGING, vmin=-abs(dx).max(), vmax=abs(dx).max())
axes[1].set_title("gradient of its pixels", fontsize=9)
for ax in axes:
    bare(ax)

# %% [markdown]
# ### The chain rule is a loop, backwards
#
# Look at what you did: at each layer you took the gradient of its output and made that of its input. Writing $J_k$ for
# the matrix of derivatives of layer $k$, the chain rule says
#
# $$ \nabla_x \mathcal{L} \;=\; J_1^{\mathsf T} J_2^{\mathsf T} \cdots J_8^{\mathsf T}\, \nabla_z \mathcal{L} $$
#
# and you multiplied from the right, so that there was always only a vector to carry, never a matrix of all derivatives
# by all. In tinycnn that is this, in full:

# %%
print(inspect.getsource(Sequential.backward))

# %% [markdown]
# Now let the library do it, and compare. All seven gradients, of every weight and of the picture:

# %%
hand.forward(x, train=True)
dx_library = hand.backward(dz)
library = hand.named_grads() | {"x": dx_library}
ours = {"conv1.w": dw1, "conv1.b": db1, "conv2.w": dw2, "conv2.b": db2, "dense1.w": dw3, "dense1.b": db3, "x": dx}

assert ours.keys() == library.keys()
for name, gradient in ours.items():
    error = abs(gradient - library[name]).max() / abs(library[name]).max()
    print(f"{name:9} {gradient.shape!s:15} largest relative difference {error:.0e}")
    assert error < 1e-13

# %% [markdown]
# ## Is it really the gradient?
#
# That you and the library agree proves only that you did the same. Ask the loss itself. Move one weight by `h` and see
# how the loss changes: $(\mathcal{L}(w + h) - \mathcal{L}(w))/h$ should be the gradient for small `h`. But for *very*
# small `h` the two losses agree in nearly all their digits, the difference keeps only the last few, and the quotient is
# rubbish.
#
# There is a way round. Take an *imaginary* step: $\mathcal{L}(w + ih) = \mathcal{L}(w) + ih\,\mathcal{L}'(w) -
# \tfrac{1}{2}h^2\,\mathcal{L}''(w) - \dots$ The derivative stands alone in the imaginary part, nothing is subtracted,
# and `h` may be as small as you like.


# %%
def loss_with(weight):
    """The loss of our digit if the middle weight of conv1's filter 4 were this number, real or complex."""
    w = w1.astype(np.result_type(w1, weight))
    w[4, 0, 1, 1] = weight
    a = tc.ops.conv2d_forward(x, w, b1, padding="same")[0]
    a = tc.ops.max_pool2d_forward(tc.ops.relu_forward(a)[0], 2)[0]
    a = tc.ops.conv2d_forward(a, w2, b2, padding="same")[0]
    a = tc.ops.max_pool2d_forward(tc.ops.relu_forward(a)[0], 2)[0]
    a = tc.ops.linear_forward(tc.ops.flatten_forward(a)[0], w3, b3)[0]
    return tc.ops.cross_entropy_forward(a, t)[0]


here, slope = w1[4, 0, 1, 1], dw1[4, 0, 1, 1]
steps = 10.0 ** np.arange(-30, 0)
one_sided = [(loss_with(here + h) - loss_with(here)) / h for h in steps]
two_sided = [(loss_with(here + h) - loss_with(here - h)) / (2 * h) for h in steps]
imaginary = [loss_with(here + 1j * h).imag / h for h in steps]

fig, ax = plt.subplots(figsize=(8, 3))
ways = [("one-sided difference", ORANGE, one_sided, (3e-5, 1e-3)),
        ("two-sided difference", MUTED, two_sided, (3e-9, 1e-11)),
        ("complex step", BLUE, imaginary, (1e-22, 1e-14))]  # fmt: skip
for way, colour, found, place in ways:
    error = np.maximum(abs(np.array(found) - slope) / abs(slope), 1e-17)  # an error of 0 has no logarithm
    ax.loglog(steps, error, ".-", color=colour, lw=1.4)
    ax.text(*place, way, color=colour, ha="center")
ax.set(xlabel="step h", ylabel="relative error of the derivative", ylim=(2e-18, 30))
ax.spines[["top", "right"]].set_visible(False)

assert abs(imaginary[0] - slope) < 1e-12 * abs(slope)
assert min(abs(np.array(one_sided) - slope)) > 1e-10 * abs(slope)  # however you choose h
assert loss_with(here + 1e-17) == loss_with(here)

# %% [markdown]
# Read it from the right. At first smaller steps are better, for all three. Then the differences turn back up: the
# best they can do is half to two thirds of the digits, and from $10^{-16}$ on the loss does not even notice. The complex
# step goes down to the rounding of the loss itself, and stays there.
#
# So that is how tinycnn checks gradients: along random directions and at single entries, of every weight of the whole
# network, on several digits at once.

# %%
model.compile(optimizer="adam", loss="cross_entropy", metrics=["accuracy"])
report = tc.verify.check_model(model, train.x[:4], train.y[:4])
print(report)
assert report.passed
assert report.worst_error < 1e-12

# %% [markdown]
# ## One step downhill
#
# Backpropagation changes nothing. It only tells the slope. Using it is the *optimizer's* work, and the simplest one
# goes against the slope, in proportion to it:

# %%
show("sgd")
print("where", tc.formulas["sgd"].where_text)

# %%
lr = 1e-4
params = {name: w.copy() for name, w in hand.named_params().items()}
by_hand = {name: w - lr * ours[name] for name, w in params.items()}

print(f"dense1.b[{label}]: {params['dense1.b'][label]:.6f} − {lr} · {ours['dense1.b'][label]:.6f}"
      f" = {by_hand['dense1.b'][label]:.8f}")  # fmt: skip

tc.optim.SGD(lr).step(hand.named_params(), hand.named_grads())  # moves the weights of `hand` itself
for name, w in hand.named_params().items():
    assert np.allclose(w, by_hand[name], rtol=1e-13, atol=1e-18)

# %% [markdown]
# Did the loss fall, and by what the slope promised? Along the gradient $g$ a step of `lr` should win `lr`·$|g|^2$, as
# long as the step is small:

# %%
after = tc.ops.cross_entropy_forward(hand.forward(x), t)[0]
promised = lr * sum((ours[name] ** 2).sum() for name in params)
print(f"loss {loss:.6f} → {after:.6f}: fell by {loss - after:.6f}, promised {promised:.6f}")
assert after < loss
assert abs((loss - after) / promised - 1) < 0.05

# %% [markdown]
# ### Adam
#
# Adam keeps, for every weight, a running mean `m` of its gradients and `v` of their squares, and steps by the one over
# the root of the other. So a weight whose gradients always point the same way moves at full speed, and one whose
# gradients quarrel hardly moves.

# %%
show("adam")
print("where", tc.formulas["adam"].where_text.replace("; ", "\n      "))

# %% [markdown]
# Two steps by hand for the weights of the dense layer, with two different gradients, so that the memory has something
# to remember:

# %%
lr, beta1, beta2, eps = 1e-3, 0.9, 0.999, 1e-8
w, m, v = params["dense1.w"].copy(), 0.0, 0.0
optimizer, theirs = tc.optim.Adam(lr), {"w": params["dense1.w"].copy()}
begin = w.copy()

for step, dw in enumerate([dw3, dw3[:, ::-1]], start=1):
    m = beta1 * m + (1 - beta1) * dw
    v = beta2 * v + (1 - beta2) * dw**2
    w = w - lr * (m / (1 - beta1**step)) / (np.sqrt(v / (1 - beta2**step)) + eps)
    optimizer.step(theirs, {"w": dw})
    assert np.allclose(w, theirs["w"], rtol=1e-12, atol=1e-15)
    if step == 1:  # in the first step m/√v is ±1: every weight with a gradient moves by lr, however small that is
        assert np.allclose(abs(w - begin)[abs(dw) > 1e-4], lr, rtol=1e-3)
print("equal after both steps")

# %% [markdown]
# ## Train
#
# All of it is in place: forward, loss, backward, update. Training repeats that, on 32 digits at a time, shuffled anew
# each epoch. This is the whole step, as the library has it (the rest of the loop counts and prints):

# %%
from tinycnn.train.loop import train_step

print(inspect.getsource(train_step))

# %%
model.compile(optimizer=tc.optim.Adam(3e-3), loss="cross_entropy", metrics=["accuracy"])
untrained = model.predict_proba(train.x[example][None])[0]
history = model.fit(train.x, train.y, epochs=15, batch_size=32, validation_data=(val.x, val.y), verbose=0)
print(history)
tc.plot.learning_curves(history)

# %% [markdown]
# Read the curves from both sides. The training loss goes towards zero, for these digits the network has seen fifteen
# times. What counts is the validation curve: as long as it falls, what is learned also holds for digits it never saw.

# %%
assert history["loss"][-1] < 0.1 * history["loss"][0]
assert history["val_accuracy"][-1] > 0.94

# %% [markdown]
# And our one digit? Before, and after:

# %%
trained = model.predict_proba(train.x[example][None])[0]
fig, axes = plt.subplots(1, 2, figsize=(8, 2), sharey=True)
for ax, bars, title in zip(axes, [untrained, trained], ["before training", "after"], strict=True):
    ax.bar(range(10), bars, color=[BLUE if k == label else "#B8B8B8" for k in range(10)])
    ax.set_xticks(range(10))
    ax.set_title(f"{title}: p[{label}] = {bars[label]:.3f}", fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)

assert trained.argmax() == label
assert trained[label] > untrained[label]

# %% [markdown]
# ## Judge
#
# You have chosen your network; now comes the one look at the test part. In the confusion matrix a row is what a digit
# was, a column what it was taken for, so hits lie on the diagonal.

# %%
result = model.evaluate(test.x, test.y)
probabilities = model.predict_proba(test.x)
matrix = tc.metrics.confusion_matrix(test.y, probabilities)
print(result)
assert result["accuracy"] > 0.94
assert np.isclose(matrix.trace() / matrix.sum(), result["accuracy"])
tc.plot.confusion(matrix, test.classes)

# %% [markdown]
# From the matrix come the usual numbers. *Recall* of a digit: how many of those that were one were found (along the
# row). *Precision*: how many of those called one were one (down the column). F1 is their harmonic mean.

# %%
precision, recall, f1 = (getattr(tc.metrics, name)(test.y, probabilities) for name in ("precision", "recall", "f1"))
print("digit  precision  recall     F1")
for k in range(10):
    print(f"  {k}       {precision[k]:6.3f}  {recall[k]:6.3f}  {f1[k]:6.3f}")

assert np.allclose(recall, matrix.diagonal() / matrix.sum(axis=1))
assert np.allclose(precision, matrix.diagonal() / matrix.sum(axis=0))
assert np.allclose(f1, 2 * precision * recall / (precision + recall))

# %% [markdown]
# ### What it gets wrong
#
# Look at the mistakes before you judge them. At 8 by 8 pixels some are hard for you too. And mind the probabilities: the
# network is seldom sure when it is wrong, and the right digit is mostly among its first three.

# %%
guesses = probabilities.argmax(axis=1)
mistakes = np.flatnonzero(guesses != test.y)
print(f"{len(mistakes)} of {len(test)} wrong")
assert len(mistakes) == matrix.sum() - matrix.trace()
best_three = np.argsort(-probabilities[mistakes])[:, :3]
assert (best_three == test.y[mistakes, None]).any(axis=1).mean() > 0.5
shown = np.concatenate([mistakes, np.flatnonzero(guesses == test.y)])[:8]
tc.plot.predictions(test.x[shown], probabilities[shown], test.y[shown], test.classes)

# %% [markdown]
# ### What it looks for
#
# The filters of the first layer are small enough to look at. It is tempting to read edge detectors into them: here one is
# blue on the left and orange on the right. But look twice. How much of that did training make?

# %%
filters = model.layer("conv1").params["w"]
likeness = np.corrcoef(params["conv1.w"].ravel(), filters.ravel())[0, 1]
print(f"correlation of the filters with what they were at the start: {likeness:.2f}")
assert likeness > 0.8
tc.plot.filters(filters)

# %% [markdown]
# Most of it was there by chance, before the first digit. On pictures this small nearly any sixteen filters tell enough,
# and what is learned is above all how to *combine* their answers, in the layers behind. (On large photographs, with
# millions of pictures to learn from, first layers do become edge detectors.) So be careful with stories about filters.
#
# The way of our digit through the trained network, to compare with the first one:

# %%
draw_way(model, train.x[example][None])

# %% [markdown]
# ## Save, load, use
#
# One file holds the layers, the weights and the names of the classes. The weights come back to the last bit.

# %%
with tempfile.TemporaryDirectory() as folder:
    model.save(Path(folder) / "digits.safetensors")
    again = tc.load(Path(folder) / "digits.safetensors")

for name, w in model.named_params().items():
    assert np.array_equal(again.named_params()[name], w)
assert again.classes == model.classes
print(again)
print("says", again.predict_classes(test.x[:10]), "is", test.y[:10])

# %% [markdown]
# ## Exercises
#
# Each has an answer to unfold, and behind it a cell that checks. That cell runs on our answer; put yours in its place.
#
# **1.** Add 5 to every logit. What happens to the probabilities, the loss, and the gradient?
#
# <details><summary>Answer</summary>
#
# Nothing at all. $e^{z_k + 5} = e^5\,e^{z_k}$, and the factor $e^5$ is in numerator and denominator alike. Softmax sees
# only *differences* of logits.
#
# </details>

# %% jupyter={"source_hidden": true}
p_changes = loss_changes = gradient_changes = False

# %%
p5, (loss5, cache5) = tc.ops.softmax_forward(z + 5)[0], tc.ops.cross_entropy_forward(z + 5, t)
assert p_changes == (not np.allclose(p5, p))
assert loss_changes == (not np.isclose(loss5, loss))
assert gradient_changes == (not np.allclose(tc.ops.cross_entropy_backward(1.0, cache5), dz))

# %% [markdown]
# **2.** You start the weights of `dense1`, and only those, at zero instead of at random. What is the loss of the
# untrained network on any digit, and what gradient arrives at `conv2`?
#
# <details><summary>Answer</summary>
#
# All logits are 0, so all probabilities are 1/10 and the loss is log 10. And `dz · w` is zero, so no gradient passes
# the dense layer: in the first step only `dense1` itself learns. From the second step on, all do.
#
# </details>

# %% jupyter={"source_hidden": true}
first_loss, gradient_at_conv2 = np.log(10), 0.0

# %%
silent = model.astype(np.float64)
silent.layer("dense1").params["w"][...] = 0
silent.layer("dense1").params["b"][...] = 0
scores = silent.forward(x, train=True)
silent_loss, silent_cache = tc.ops.cross_entropy_forward(scores, t)
silent.backward(tc.ops.cross_entropy_backward(1.0, silent_cache))
assert np.isclose(silent_loss, first_loss)
assert abs(silent.named_grads()["conv2.w"]).max() == gradient_at_conv2

# %% [markdown]
# **3.** In a batch of two digits, how does the gradient of `dense1.w` follow from those of the two digits alone?
#
# <details><summary>Answer</summary>
#
# The loss is the *mean* over the batch, so its gradient is the mean of the two. That is why the learning rate need not
# change when the batch grows: the gradient does not grow with it, it only becomes less noisy.
#
# </details>


# %% jupyter={"source_hidden": true}
def of_the_batch(first, second):
    return (first + second) / 2


# %%
def gradient_of(rows):
    net = model.astype(np.float64)
    _, back = tc.ops.cross_entropy_forward(net.forward(train.x[rows].astype(np.float64), train=True), train.y[rows])
    net.backward(tc.ops.cross_entropy_backward(1.0, back))
    return net.named_grads()["dense1.w"]


assert np.allclose(gradient_of([0, 1]), of_the_batch(gradient_of([0]), gradient_of([1])), rtol=1e-10, atol=1e-14)

# %% [markdown]
# ## What to try next
#
# Change one thing at a time, and judge on `val`:
#
# - `epochs=40`: when does the validation loss begin to rise while the training loss still falls?
# - `tc.optim.SGD(0.05, momentum=0.9)` in place of Adam; then without momentum.
# - Fewer or more filters: 4 and 8, say, or `tc.zoo.digits()` with 32, 32 and 64. Watch the parameters in
#   the summary.
# - `AvgPool2D` or `MinPool2D` in place of `MaxPool2D`. One of them goes badly with ReLU; `help(tc.MinPool2D)` says why.
# - `with tc.backend("loops"): model.predict(test.x[:2])` runs the formulas themselves. The same numbers, and slow.
# - Draw a digit in any program and give the PNG to `tinycnn predict`, after `tinycnn demo` has trained a larger network.
