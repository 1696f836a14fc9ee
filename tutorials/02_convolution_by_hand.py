# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 2. Convolution by hand
#
# A convolution slides a small window of weights over a picture and takes a weighted sum at every place. That is all. In
# this lesson you do it with a pencil first, then with four loops, then with a single matrix product, and each time you
# get the same numbers. At the end you run it backwards, which is how a network learns its weights.
#
# You need multiplication, addition, and a little NumPy. Whatever this page claims, a cell asserts.

# %%
# %matplotlib inline
import itertools
import time

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Math, display
from matplotlib.patches import ConnectionPatch, Rectangle

import tinycnn as tc
from tinycnn.plot.style import BLUE, DIVERGING, MUTED, ORANGE, RULE, bare

plt.rcParams.update({"figure.dpi": 150, "figure.constrained_layout.use": True, "font.size": 9})
np.set_printoptions(precision=4, suppress=True)


def show(name):
    """A formula, set as it was declared above the code that implements it."""
    display(Math(tc.formulas[name].latex))


def draw(ax, a, title="", boxes=(), rows=None, size=10.0):
    """A matrix with its numbers, positive orange and negative blue; a box is (row, column, height, width, colour)."""
    (H, W), limit = a.shape, 1.7 * (np.nanmax(abs(a)) or 1)
    ax.imshow(a, cmap=DIVERGING, vmin=-limit, vmax=limit)
    for (r, q), number in np.ndenumerate(a):
        text = "?" if np.isnan(number) else f"{number:.3g}".replace("-", "−")
        ax.text(q, r, text, ha="center", va="center", fontsize=size)
    for r, q, height, width, colour in [(0, 0, H, W, RULE), *boxes]:
        place = Rectangle((q - 0.5, r - 0.5), width, height, fill=False, ec=colour, lw=1 if colour == RULE else 2.5)
        ax.add_patch(place).set_clip_on(False)
    bare(ax)
    ax.set_title(title, fontsize=9)
    if rows:  # leave room for so many rows, so that matrices side by side have cells of one size
        ax.set_ylim((H + rows) / 2 - 0.5, (H - rows) / 2 - 0.5)


# %% [markdown]
# ## A picture is a matrix
#
# Here is a handwritten digit, 8 by 8 pixels, and beside it what the computer has: 64 numbers. A convolution never sees
# "a seven". It sees these.

# %%
train, val, test = tc.data.load_digits()
digit = train.x[train.y == 7][3]  # (1, 8, 8): one channel, eight rows, eight columns

fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4))
left.imshow(digit[0], cmap="gray")
bare(left)
left.set_title("as you see it", fontsize=9)
draw(right, digit[0] * 16, "as it is: ink from 0 to 16", size=8)

# %% [markdown]
# Sixty-four numbers are too many for a pencil. Take a smaller picture, 4 by 4, and a *kernel* of 2 by 2 weights.
#
# ## One window, one number
#
# Lay the kernel on the top left corner of the picture. Multiply each pixel by the weight that lies on it, and add up.
# The sum is the first number of the result.

# %%
picture = np.array([[1, 2, 0, 3],
                    [0, 1, 3, 1],
                    [2, 1, 0, 0],
                    [1, 0, 2, 1]], float)  # fmt: skip
kernel = np.array([[1, 2],
                   [0, -1]], float)  # fmt: skip

result = np.full((3, 3), np.nan)
result[0, 0] = 1 * 1 + 2 * 2 + 0 * 0 + 1 * -1

fig, axes = plt.subplots(1, 3, figsize=(8, 3), width_ratios=[4, 2, 3])
draw(axes[0], picture, "picture", [(0, 0, 2, 2, ORANGE)], rows=4, size=13)
draw(axes[1], kernel, "kernel", [(0, 0, 2, 2, ORANGE)], rows=4, size=13)
draw(axes[2], result, "result so far", [(0, 0, 1, 1, ORANGE)], rows=4, size=13)

# %% [markdown]
# As a formula, for one picture with one channel and one kernel (you will meet the bias $b$ again below; here it is 0):
#
# $$ y_{u,v} \;=\; b + \sum_{i,j} x_{u+i,\,v+j}\; w_{i,j} $$
#
# The pair $u, v$ says where the window lies, $i, j$ says which of its taps you are at. This is what tinycnn declares,
# for any number of pictures, channels and filters:

# %%
show("conv2d")
print("where", tc.formulas["conv2d"].where_text.replace("; ", "\n      "))

# %% [markdown]
# It looks fuller, but with one picture ($n = 0$), one channel ($c = 0$), one filter ($f = 0$), stride 1 and dilation 1
# it is the sum you just did. Ask the formula for one cell, and it writes out which cells it reads, puts the numbers in,
# and adds them up:

# %%
x, w, b = picture[None, None], kernel[None, None], np.zeros(1)  # (N,C,H,W), (F,C,KH,KW), (F)

cell = tc.formulas["conv2d"].terms((0, 0, 0, 0), x=x, w=w, b=b)
print("y[0,0,0,0] =", cell.text(numbers=False))
print("           =", cell.text())
print("           =", cell.value)
assert cell.value == 1 * 1 + 2 * 2 + 0 * 0 + 1 * -1 == 4

# %% [markdown]
# ## Slide the window
#
# Move the window one pixel to the right and do the same. At the end of the row, go down by one. A window of 2 has three
# places along a side of 4, so there are nine places, and nine numbers.

# %%
y, _ = tc.ops.conv2d_forward(x, w, b)

fig, axes = plt.subplots(3, 3, figsize=(6, 6))
for (u, v), ax in np.ndenumerate(axes):
    draw(ax, picture, f"y[{u},{v}] = {y[0, 0, u, v]:g}".replace("-", "−"), [(u, v, 2, 2, ORANGE)])

# %% [markdown]
# In plain Python that is four nested loops: two say where the window lies, two go through its taps.


# %%
def slide(picture, kernel):
    """One channel, one kernel, stride 1, no padding: what your pencil does."""
    (H, W), (KH, KW) = picture.shape, kernel.shape
    y = np.zeros((H - KH + 1, W - KW + 1))
    for u, v in np.ndindex(y.shape):
        for i, j in np.ndindex(KH, KW):
            y[u, v] += picture[u + i, v + j] * kernel[i, j]
    return y


print(slide(picture, kernel))
assert (slide(picture, kernel) == [[4, -1, 5], [1, 7, 5], [4, -1, -1]]).all()
assert (slide(picture, kernel) == y[0, 0]).all()

# %% [markdown]
# You never need to trust that your loops are the formula: tinycnn writes the loops *from* the formula. Below you see
# them, with the batch, the channels, the filters and all options in. They are slow, and they are the judge: the fast
# code is right because it agrees with them.

# %%
print(tc.formulas["conv2d"].loops)
assert (tc.formulas["conv2d"].evaluate(x=x, w=w, b=b) == y).all()

# %% [markdown]
# ## What it is good for
#
# Give the kernel a meaning. This one is Sobel's: it is negative on the left and positive on the right, so it answers
# strongly where the picture is dark on the left and bright on the right, and not at all where nothing changes.

# %%
sobel = np.array([[-1, 0, 1],
                  [-2, 0, 2],
                  [-1, 0, 1]], np.float32)  # fmt: skip

model = tc.Sequential([tc.Conv2D(1, 3, name="edges")], input_shape=(1, 8, 8))
model.layer("edges").params["w"][...] = sobel
edges = model.predict(digit[None])[0, 0]

fig, axes = plt.subplots(1, 3, figsize=(8, 2.9), width_ratios=[8, 3, 6])
axes[0].imshow(digit[0], cmap="gray")
bare(axes[0])
axes[0].add_patch(Rectangle((1.5, 0.5), 3, 3, fill=False, ec=ORANGE, lw=2.5))
axes[0].set_title("picture", fontsize=9)
draw(axes[1], sobel, "Sobel's kernel", [(0, 0, 3, 3, ORANGE)], rows=8)
draw(axes[2], edges * 16, "feature map, times 16", [(1, 2, 1, 1, ORANGE)], rows=8, size=8)

# %% [markdown]
# The result is called a *feature map*: a picture of where the feature is. Orange marks left edges of strokes, blue
# their right edges. `tc.explain` takes any number of any layer apart in the same way as you did:

# %%
explained = tc.explain(model, digit, layer="edges", index=(0, 1, 2))
assert np.isclose(explained.cell.value, edges[1, 2], atol=1e-6)
assert np.isclose((digit[0, 1:4, 2:5] * sobel).sum(), edges[1, 2], atol=1e-6)

# %% [markdown]
# ## How large is the result?
#
# Look at one side of a picture, of `H` pixels, and count the places of a window of `KH`. A *stride* `s` moves it by more
# than one pixel at a time. *Padding* puts a border of zeros around the picture, so that the window can hang over the
# edge.


# %%
def draw_places(ax, H, KH, s, pad):
    """One side of a picture with its border, and below it every place of the window."""
    for r in range(-pad, H + pad):
        inside = 0 <= r < H
        ax.add_patch(Rectangle((r, 0), 1, 1, fc="#DDDDDD" if inside else "white", ec=MUTED, ls="-" if inside else ":"))
    starts = range(-pad, H + pad - KH + 1, s)
    for row, start in enumerate(starts):
        ax.plot([start + 0.1, start + KH - 0.1], [-0.5 - 0.45 * row] * 2, color=BLUE, lw=4, solid_capstyle="butt")
    ax.set(xlim=(-1.2, 8.2), ylim=(-3.5, 1.1))
    ax.set_title(f"H = {H}, KH = {KH}, s = {s}, pads = {2 * pad}: OH = {len(starts)}", fontsize=9)
    bare(ax)


fig, axes = plt.subplots(2, 2, figsize=(8, 3.6))
for ax, case in zip(axes.flat, [(7, 3, 1, 0), (7, 3, 2, 0), (6, 3, 2, 0), (7, 3, 1, 1)], strict=True):
    draw_places(ax, *case)

# %% [markdown]
# The first window takes `KH` of the `H + pads` pixels. What remains is gone through in steps of `s`, and a step that
# would lead over the end is not taken: that is the floor. At the lower left, with H = 6, one pixel at the end stays unused.

# %%
show("output_size")
print("where", tc.formulas["output_size"].where_text)

# %% [markdown]
# A formula about counting can be checked by counting. `range(0, last + 1, s)` lists where the windows begin:

# %%
from tinycnn.ops.window import output_size

for H, KH, s, pads in itertools.product(range(1, 12), range(1, 6), range(1, 4), range(5)):
    begins = range(0, H + pads - KH + 1, s)
    assert max(output_size(H, KH, s, pads), 0) == len(begins)

for stride, padding in [(1, 0), (1, 1), (2, 0), (2, 1), (1, "same")]:
    response, _ = tc.ops.conv2d_forward(digit[None], sobel[None, None], None, stride=stride, padding=padding)
    print(f"stride {stride}, padding {padding!s:4} → {response.shape[2]} × {response.shape[3]}")

assert response.shape[2:] == digit.shape[1:]  # with stride 1, "same" keeps the size

# %% [markdown]
# And if the window does not fit at all, the size would be zero or less. Then there is nothing to compute, and you are
# told so with the sum that went wrong:

# %%
try:
    tc.ops.conv2d_forward(x, np.ones((1, 1, 5, 5)), None)
except tc.ShapeError as error:
    print(error)
else:
    raise AssertionError("a kernel of 5 does not fit into a picture of 4")

# %% [markdown]
# ## All windows at once: im2col
#
# Loops in Python are slow, but matrix products are fast. So lay every window out flat, as one *row* of a matrix. This
# rearrangement is called im2col. Nothing is computed, pixels are only copied.

# %%
cols, (N, OH, OW) = tc.ops.im2col(x, kernel_size=2)

fig, (left, right) = plt.subplots(1, 2, figsize=(8, 4), width_ratios=[4, 4.5])
draw(left, picture, "picture, window u = 1, v = 1", [(1, 1, 2, 2, ORANGE)], size=13)
draw(right, cols, "cols: a row is a window", [(4, 0, 1, 4, ORANGE)])
right.set_yticks(range(9), [f"u={u}, v={v}" for u, v in np.ndindex(3, 3)], fontsize=8)
right.set_xticks(range(4), [f"{i},{j}" for i, j in np.ndindex(2, 2)], fontsize=8)
right.set_xlabel("tap i,j", fontsize=8)
right.tick_params(length=0)
fig.add_artist(ConnectionPatch((2.5, 1.5), (-0.5, 4), "data", "data", axesA=left, axesB=right, color=ORANGE, lw=1.5,
                               arrowstyle="->", shrinkB=44))  # fmt: skip

assert (cols[4] == picture[1:3, 1:3].ravel()).all()
assert cols.shape == (N * OH * OW, 1 * 2 * 2)

# %% [markdown]
# The formula only says which pixel goes where. Read the address on the left as a number with digits: the row counts
# pictures, then rows of windows, then windows; the column counts channels, then rows of the kernel, then its taps.

# %%
show("im2col")
assert (tc.formulas["im2col"].evaluate(x=x, kernel_size=2) == cols).all()

# %% [markdown]
# ## And one matrix product
#
# Now flatten the kernel the same way. Each row of `cols` times the kernel is one dot product, and that is one number of
# the result: nine windows, nine dot products, one matrix product.

# %%
column = w.reshape(1, -1).T  # (C·KH·KW, F)
product = cols @ column  # (N·OH·OW, F)

fig, axes = plt.subplots(1, 7, figsize=(8, 4), width_ratios=[4, 1, 1, 1, 1, 2.6, 3])
draw(axes[0], cols, "cols (9 × 4)", [(4, 0, 1, 4, ORANGE)], rows=9)
draw(axes[2], column, "w (4 × 1)", [(0, 0, 4, 1, ORANGE)], rows=9)
draw(axes[4], product, "y (9 × 1)", [(4, 0, 1, 1, ORANGE)], rows=9)
draw(axes[6], product.reshape(OH, OW), "y (3 × 3)", [(1, 1, 1, 1, ORANGE)], rows=9)
for ax, sign in zip(axes[1::2], ["·", "=", "fold\nback"], strict=True):
    ax.text(0.5, 0.5, sign, ha="center", va="center", fontsize=10)
    bare(ax)

assert (product.reshape(OH, OW) == slide(picture, kernel)).all()

# %% [markdown]
# That is the line in `tinycnn/ops/conv.py` that does the work: `y = cols @ filters.transpose(...)`. What do you pay?
# Memory: a pixel is copied into every window it lies in, here up to four times. What do you gain? Time.

# %%
batch, filters = train.x[:64].astype(float), np.random.default_rng(0).normal(size=(8, 1, 3, 3))

started = time.perf_counter()
by_loops = tc.formulas["conv2d"].evaluate(x=batch, w=filters, b=np.zeros(8))
loops_took = time.perf_counter() - started

started = time.perf_counter()
by_product, _ = tc.ops.conv2d_forward(batch, filters, np.zeros(8))
product_took = time.perf_counter() - started

print(f"loops {1000 * loops_took:.0f} ms, one matrix product {1000 * product_took:.1f} ms: the same numbers")
assert np.allclose(by_loops, by_product, rtol=1e-12, atol=1e-12)
assert loops_took > 3 * product_took

# %% [markdown]
# ## Several channels, several filters
#
# A colour picture has three channels, and deep in a network there are dozens. A filter then has one kernel *for each
# channel*. Each kernel slides over its own channel, the results are added up, and the bias comes on top: still one
# number for each place.

# %%
rng = np.random.default_rng(2)
x2 = rng.integers(0, 4, size=(1, 2, 4, 4)).astype(float)  # one picture of two channels
w2 = rng.integers(-2, 3, size=(3, 2, 2, 2)).astype(float)  # three filters, each with a kernel for each channel
b2 = np.array([0.0, 10.0, -10.0])
y2, _ = tc.ops.conv2d_forward(x2, w2, b2)

fig, axes = plt.subplots(2, 5, figsize=(8, 3.9), width_ratios=[4, 2, 3, 1.5, 3])
for c, sign in enumerate(["+", "+ 10 ="]):
    draw(axes[c, 0], x2[0, c], f"x[0,{c}]: channel {c}", [(0, 0, 2, 2, ORANGE)], rows=4)
    draw(axes[c, 1], w2[1, c], f"w[1,{c}]", [(0, 0, 2, 2, ORANGE)], rows=4)
    draw(axes[c, 2], slide(x2[0, c], w2[1, c]), "its share", [(0, 0, 1, 1, ORANGE)], rows=4)
    axes[c, 3].text(0.5, 0.5, sign, fontsize=11, ha="center", va="center")
    bare(axes[c, 3])
bare(axes[0, 4])
draw(axes[1, 4], y2[0, 1], "y[0,1]: map of filter 1", [(0, 0, 1, 1, ORANGE)], rows=4)

for f in range(3):
    assert (y2[0, f] == slide(x2[0, 0], w2[f, 0]) + slide(x2[0, 1], w2[f, 1]) + b2[f]).all()

# %% [markdown]
# One cell is now a sum over $c$, $i$ and $j$, of eight products:

# %%
cell = tc.formulas["conv2d"].terms((0, 1, 0, 0), x=x2, w=w2, b=b2)
print("y[0,1,0,0] =", cell.text(numbers=False))
print("           =", cell.text())
print("           =", cell.value)
assert cell.value == y2[0, 1, 0, 0]
assert len(cell.terms) == 1 + 2 * 2 * 2  # the bias, and C·KH·KW products

# %% [markdown]
# im2col needs no new idea: a row holds the window of *all* channels, one after the other, and each filter is one column
# of the second matrix. Three filters, one product.

# %%
cols2, _ = tc.ops.im2col(x2, kernel_size=2)
product = cols2 @ w2.reshape(3, -1).T + b2
print("cols", cols2.shape, "·  w", w2.reshape(3, -1).T.shape, " =  y", product.shape)
assert (product.reshape(1, 3, 3, 3).transpose(0, 3, 1, 2) == y2).all()  # (N,OH,OW,F) → (N,F,OH,OW)

# %% [markdown]
# ## "Convolution", strictly speaking, is something else
#
# Open a book on mathematics, or many an article on neural networks, and you read
#
# $$ y(i,j) \;=\; \sum_{p}\sum_{q} x(i-p,\; j-q)\; w(p,q) $$
#
# Mind the *minus*. As the kernel is read forwards, the picture is read backwards. What every framework computes, and
# what you computed above, has a plus there; its name is *cross-correlation*. Type the article's formula just as it
# stands:


# %%
def as_written(x, w):
    """y(i,j) = Σ x(i−p, j−q)·w(p,q), every index taken literally."""
    y = np.zeros_like(x)
    for i, j in np.ndindex(x.shape):
        for p, q in np.ndindex(w.shape):
            y[i, j] += x[i - p, j - q] * w[p, q]
    return y


print(as_written(picture, kernel))

# %% [markdown]
# It runs, and part of it is wrong. The result is as large as the picture, so near the top and left edges the sum asks
# for pixels that do not exist: at $i = 0$, $p = 1$ it wants row −1. NumPy does not complain. It takes −1 to mean *the
# last row*, and the picture wraps round. Look at what the number at (0, 0) reads, beside one that is in order:

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(6.4, 3))
corners = [(r % 4, q % 4, 1, 1, BLUE) for r in (0, -1) for q in (0, -1)]
draw(left, picture, "y(0,0) reads all four corners", corners, size=13)
draw(right, picture, "y(2,2) reads one window", [(1, 1, 2, 2, ORANGE)], size=13)

# %% [markdown]
# The honest answer is to say what lies beyond the border: zeros. Then pad at the top and at the left, and turn the
# kernel by 180°, since reading the picture backwards is reading the kernel backwards. In tinycnn that is `flip=True`.

# %%
literal = as_written(picture, kernel)
with_zeros = tc.ops.conv2d_forward(x, w, None, padding=(1, 0, 1, 0), flip=True)[0][0, 0]
wrong = literal != with_zeros

fig, axes = plt.subplots(1, 2, figsize=(6.4, 3))
draw(axes[0], literal, "as written: boxed is wrong", [(r, q, 1, 1, BLUE) for r, q in np.argwhere(wrong)], size=12)
draw(axes[1], with_zeros, "with zeros beyond the border", size=12)

assert wrong.any()
assert not wrong[1:, 1:].any()  # only the first KH − 1 rows and KW − 1 columns can be wrong

# %% [markdown]
# Where the window lies inside the picture, nothing is asked of a border, and the two agree. Without padding,
# `flip=True` gives exactly these numbers; they begin at $(P-1,\, Q-1)$, for a kernel of $P \times Q$:

# %%
inside = tc.ops.conv2d_forward(x, w, None, padding=0, flip=True)[0][0, 0]
P, Q = kernel.shape
assert (inside == literal[P - 1 :, Q - 1 :]).all()
assert (inside == slide(picture, kernel[::-1, ::-1])).all()  # true convolution = correlation with the turned kernel

# %% [markdown]
# NumPy itself knows both words, in one dimension. And the wrapped version is not nonsense either, it has a name:
# *circular* convolution, the one that the Fourier transform turns into a plain product. It is only not what you wanted.

# %%
signal, taps = picture.ravel(), np.array([1.0, 2.0, -1.0])
as_picture, as_filter = signal.reshape(1, 1, 1, -1), taps.reshape(1, 1, 1, -1)
assert (tc.ops.conv2d_forward(as_picture, as_filter, None)[0].ravel() == np.correlate(signal, taps, "valid")).all()
turned = tc.ops.conv2d_forward(as_picture, as_filter, None, flip=True)[0].ravel()
assert (turned == np.convolve(signal, taps, "valid")).all()

by_fourier = np.fft.ifft2(np.fft.fft2(picture) * np.fft.fft2(kernel, picture.shape)).real
assert np.allclose(by_fourier, literal)

# %% [markdown]
# Two things more are missing from the article's formula: the sum over the channels, and the bias. You have seen both.
#
# ### A learned filter does not care
#
# Does it matter which of the two a network uses? Train twins: one correlates; the other convolves, and starts from the
# same filters turned by 180°. Every sum is then the same sum, every gradient the same gradient, turned. So the second
# twin learns the first one's filters, upside down, and answers exactly alike.


# %%
def twin(flip):
    layers = [tc.Conv2D(8, 3, flip=flip), tc.ReLU(), tc.MaxPool2D(2), tc.Flatten(), tc.Dense(10)]
    model = tc.Sequential(layers, input_shape=(1, 8, 8), seed=0)
    model.compile(optimizer=tc.optim.Adam(3e-3), loss="cross_entropy", metrics=["accuracy"])
    return model


correlates, convolves = twin(flip=False), twin(flip=True)
convolves.layer("conv1").params["w"] = correlates.layer("conv1").params["w"][:, :, ::-1, ::-1].copy()
for model in (correlates, convolves):
    model.fit(train.x, train.y, epochs=4, verbose=0)

learned, turned = (model.layer("conv1").params["w"] for model in (correlates, convolves))
fig = plt.figure(figsize=(8, 2.5))
titles = ["learned by the one that correlates", "learned by the one that convolves: the same, turned by 180°"]
for part, kernels, title in zip(fig.subfigures(2, 1), (learned, turned), titles, strict=True):
    part.suptitle(title, fontsize=9)
    for ax, tile in zip(part.subplots(1, 8), kernels[:, 0], strict=True):
        ax.imshow(tile, cmap=DIVERGING, vmin=-abs(learned).max(), vmax=abs(learned).max())
        bare(ax)

assert np.allclose(turned[:, :, ::-1, ::-1], learned, atol=1e-4)
assert np.allclose(convolves.predict(val.x), correlates.predict(val.x), atol=1e-3)
print(f"both: {correlates.evaluate(val.x, val.y)['accuracy']:.1%} of the validation digits right")

# %% [markdown]
# ### A fixed filter does
#
# A kernel that you chose yourself means something, and turning it changes the meaning. Sobel's, turned, is its own
# negative: what was a left edge is now a right edge. Behind a ReLU, which drops what is negative, you would see the
# other half of the strokes.

# %%
one_way = tc.ops.conv2d_forward(digit[None], sobel[None, None], None)[0]
other_way = tc.ops.conv2d_forward(digit[None], sobel[None, None], None, flip=True)[0]

fig, axes = plt.subplots(1, 3, figsize=(8, 2.8), width_ratios=[8, 6, 6])
titles = ["picture", "ReLU(correlation): left edges", "ReLU(convolution): right edges"]
maps = [digit[0], *(tc.ops.relu_forward(response)[0][0, 0] for response in (one_way, other_way))]
for ax, a, title in zip(axes, maps, titles, strict=True):
    ax.imshow(a, cmap="gray")
    ax.set_title(title, fontsize=9)
    bare(ax)

assert (sobel[::-1, ::-1] == -sobel).all()
assert (other_way == -one_way).all()

# %% [markdown]
# Only a kernel that looks the same upside down, such as a blur, is safe from the choice.

# %%
blur = np.outer([1, 2, 1], [1, 2, 1])[None, None].astype(np.float32) / 16
blurred = [tc.ops.conv2d_forward(digit[None], blur, None, flip=flip)[0] for flip in (False, True)]
assert (blurred[0] == blurred[1]).all()

# %% [markdown]
# ## Backwards
#
# Training asks: if this weight, or this pixel, were a little larger, how much larger would the loss be? Suppose you
# already know the answer for every number of the *result*: the upstream gradient `dy`, of the shape of `y`. (In a
# network the next layer hands it down.)
#
# The rule is one sentence: *whoever took part in a product gets the other factor, times the gradient of the sum it went
# into; and whoever took part several times adds it all up.* So how often does a pixel take part? Hand a one back from
# every place of every window, and count:

# %%
seen = [tc.ops.col2im(np.ones((9, 4)), (1, 1, 4, 4), kernel_size=2),
        tc.ops.col2im(np.ones((36, 9)), (1, 1, 8, 8), kernel_size=3),
        tc.ops.col2im(np.ones((16, 9)), (1, 1, 8, 8), kernel_size=3, stride=2, padding=1)]  # fmt: skip

fig, axes = plt.subplots(1, 3, figsize=(8, 3))
titles = ["4 × 4, kernel 2", "8 × 8, kernel 3", "8 × 8, kernel 3, stride 2, padding 1"]
for ax, counts, title in zip(axes, seen, titles, strict=True):
    draw(ax, counts[0, 0], title, size=9)
fig.suptitle("how many windows see each pixel", fontsize=10)

assert seen[0].sum() == cols.size  # every entry of cols was handed back to some pixel
assert seen[1][0, 0, 3, 3] == 9

# %% [markdown]
# A pixel in the middle lies in all KH·KW windows, a corner in one. With a stride it becomes uneven. Here is the whole
# backward pass, as it is declared:

# %%
show("conv2d_backward")

# %% [markdown]
# **The weights.** Weight $w_{i,j}$ is in every window, and in window $(u,v)$ it meets pixel $x_{u+i,\,v+j}$. Its
# gradient is the sum of all those pixels, each times its window's `dy`. Do one by hand:

# %%
dy = np.array([[1, 0, 2],
               [0, -1, 0],
               [0, 0, 1]], float)[None, None]  # fmt: skip

i, j = 0, 1
met = picture[i : i + 3, j : j + 3]  # the pixels that w[0,1] meets as the window slides

fig, axes = plt.subplots(1, 3, figsize=(8, 2.6), width_ratios=[4, 3, 3])
draw(axes[0], picture, "pixels that w[0,1] meets", [(i, j, 3, 3, ORANGE)], rows=4, size=12)
draw(axes[1], dy[0, 0], "dy", rows=4, size=12)
draw(axes[2], met * dy[0, 0], f"their products: together {(met * dy[0, 0]).sum():g}", rows=4, size=12)

by_hand = 2 * 1 + 3 * 2 + 3 * -1 + 0 * 1
assert (met * dy[0, 0]).sum() == by_hand == 5

# %% [markdown]
# In the flat picture it is simply the transpose: forward was `cols · w`, so `dw` is `dyᵀ · cols`.

# %%
rows = dy.transpose(0, 2, 3, 1).reshape(-1, 1)  # (N·OH·OW, F): the rows of cols
dw = (rows.T @ cols).reshape(w.shape)
print(dw[0, 0])
assert dw[0, 0, 0, 1] == by_hand
assert (dw[0, 0] == slide(picture, dy[0, 0])).all()  # the gradient of the weights is itself a correlation

# %% [markdown]
# **The pixels.** Pixel (1, 1) lies in four windows. In each it is met by another weight:

# %%
fig, axes = plt.subplots(1, 4, figsize=(8, 2.4))
total = 0
for ax, (u, v) in zip(axes, np.ndindex(2, 2), strict=True):
    weight = kernel[1 - u, 1 - v]
    total += dy[0, 0, u, v] * weight
    title = f"dy[{u},{v}]·w[{1 - u},{1 - v}] = {dy[0, 0, u, v] * weight:g}".replace("= -0", "= 0")
    draw(ax, picture, title.replace("-", "−"), [(u, v, 2, 2, ORANGE), (1, 1, 1, 1, BLUE)])
print("dx[1,1] =", total)

# %% [markdown]
# For all pixels at once: `dcols = dy · w` says what every entry of `cols` gets, and `col2im` carries each entry back to
# the pixel it was copied from, *adding* where several arrive. That addition is the chain rule in several variables,
# $\partial z/\partial x = \sum_i \partial z/\partial u_i \cdot \partial u_i/\partial x$, with one $u_i$ a window.

# %%
dcols = rows @ w.reshape(1, -1)  # (N·OH·OW, C·KH·KW)
dx = tc.ops.col2im(dcols, x.shape, kernel_size=2)
db = rows.sum(axis=0)
print(dx[0, 0])
assert dx[0, 0, 1, 1] == total

y, cache = tc.ops.conv2d_forward(x, w, b)
for ours, theirs in zip((dx, dw, db), tc.ops.conv2d_backward(dy, cache), strict=True):
    assert (ours == theirs).all()
for ours, literal in zip((dx, dw, db), tc.formulas["conv2d_backward"].evaluate(x=x, w=w, b=b, dy=dy), strict=True):
    assert (ours == literal).all()

# %% [markdown]
# And here the true convolution comes home. Backwards, every window hands its `dy` to the pixels below it: the kernel is
# read the other way round. So `dx` is the *convolution*, kernel turned, of `dy` with a border of KH − 1 zeros.

# %%
full = tc.ops.conv2d_forward(dy, w, None, padding=1, flip=True)[0]  # padding KH − 1 = 1
assert (full == dx).all()

# %% [markdown]
# ## Do not believe it, check it
#
# A gradient is a claim about a function, so ask the function: change the input a little in some direction, and see
# whether the output changes as the gradient said. `check_gradient` does this with the *complex step*, which loses no
# digits (lesson 9 shows why). You give it a function that returns a number and the gradients it claims.

# %%
rng = np.random.default_rng(0)
arrays = rng.normal(size=(2, 3, 6, 5)), rng.normal(size=(4, 3, 3, 2)), rng.normal(size=4)
upstream = rng.normal(size=tc.ops.conv2d_forward(*arrays, stride=2, padding=1)[0].shape)


def claim(x, w, b):
    y, cache = tc.ops.conv2d_forward(x, w, b, stride=2, padding=1)
    return (upstream * y).sum(), tc.ops.conv2d_backward(upstream, cache)


report = tc.verify.check_gradient(claim, *arrays, names=["x", "w", "b"])
print(report)
assert report.passed

# %% [markdown]
# The classic mistake is to *write* where you should *add*: then only the last window that saw a pixel counts. The
# shapes are right, nothing crashes, the network may even learn a little. The check is not fooled:


# %%
def forgetful(x):
    """Our 4 × 4 convolution, with a backward pass that overwrites."""
    value = (dy * tc.ops.conv2d_forward(x, w, b)[0]).sum()
    gradient = np.zeros_like(x)
    for row, (u, v) in zip(dcols, np.ndindex(3, 3), strict=True):
        gradient[0, 0, u : u + 2, v : v + 2] = row.reshape(2, 2)  # should be +=
    return value, [gradient]


report = tc.verify.check_gradient(forgetful, x, names=["x"])
print(report)
assert not report.passed

# %% [markdown]
# ## Exercises
#
# Each has an answer to unfold, and behind it a cell that checks. That cell runs on our answer; put yours in its place.
#
# **1. Sizes.** A picture of 28 × 28, a kernel of 5 × 5, stride 2, padding 2 on every side. How large is the result? And
# what padding keeps 28 × 28 at stride 1?
#
# <details><summary>Answer</summary>
#
# ⌊(28 + 4 − 5)/2⌋ + 1 = ⌊13.5⌋ + 1 = 14, so 14 × 14. At stride 1 you need 28 + pads − 5 + 1 = 28, so pads = 4: padding
# 2 on every side, half the kernel rounded down.
#
# </details>

# %% jupyter={"source_hidden": true}
size, same_padding = 14, 2

# %%
blank, five = np.zeros((1, 1, 28, 28)), np.zeros((1, 1, 5, 5))
assert tc.ops.conv2d_forward(blank, five, None, stride=2, padding=2)[0].shape == (1, 1, size, size)
assert tc.ops.conv2d_forward(blank, five, None, padding=same_padding)[0].shape == (1, 1, 28, 28)

# %% [markdown]
# **2. A pool is a convolution.** Average pooling replaces each 2 × 2 block by its mean. Which kernel `w`, and which
# stride, make `conv2d_forward` do the same to a picture of one channel?
#
# <details><summary>Answer</summary>
#
# A mean is a weighted sum whose weights are all 1/4, and blocks that lie side by side are windows that move by 2:
# `np.full((1, 1, 2, 2), 1 / 4)` and stride 2. (*Max* pooling cannot be had this way: a maximum is no weighted sum.)
#
# </details>

# %% jupyter={"source_hidden": true}
mean_kernel, mean_stride = np.full((1, 1, 2, 2), 1 / 4), 2

# %%
pooled = tc.ops.avg_pool2d_forward(x, kernel_size=2)[0]
assert np.allclose(tc.ops.conv2d_forward(x, mean_kernel, None, stride=mean_stride)[0], pooled)

# %% [markdown]
# **3. Two thin kernels for one thick one.** Sobel's kernel is a column times a row. Which column `thin` (3 × 1) and row
# `flat` (1 × 3), one applied after the other, give the same feature map? How many multiplications does each pixel of
# the result cost then, instead of nine?
#
# <details><summary>Answer</summary>
#
# `[[1], [2], [1]]`, which smooths downwards, and `[[-1, 0, 1]]`, which takes the difference across: their product,
# every entry of the one times every entry of the other, is the kernel. The cost is 3 + 3 = 6. For a kernel of 11 × 11
# it would be 22 instead of 121.
#
# </details>

# %% jupyter={"source_hidden": true}
thin, flat, cost = np.array([[1], [2], [1]]), np.array([[-1, 0, 1]]), 6

# %%
smoothed = tc.ops.conv2d_forward(digit[None].astype(float), thin[None, None].astype(float), None)[0]
in_two = tc.ops.conv2d_forward(smoothed, flat[None, None].astype(float), None)[0]
assert np.allclose(in_two, one_way)
assert cost == thin.size + flat.size

# %% [markdown]
# ## What you have now
#
# A convolution is a sliding dot product; im2col makes it one matrix product; its transpose, with col2im's addition, is
# the whole backward pass; and what frameworks call convolution is correlation, which a learned filter does not mind.
# Open `tinycnn/ops/conv.py`: you can now read every line of it. In lesson 9 this layer takes its place in a network.
