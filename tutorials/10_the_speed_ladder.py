# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 10. The speed ladder
#
# One convolution, computed four times. The multiplications are the same each time, and so is the result. Only the way
# there changes, and with it the time: from the formula walked in Python to machine code that holds its sums in the
# processor's registers, by a factor of a thousand or more. On your own machine, in your own minutes.
#
# Lesson 2 explains the convolution and im2col. Whatever this page claims, a cell asserts; the times are yours.

# %%
# %matplotlib inline
import time

import matplotlib.pyplot as plt
import numpy as np

import tinycnn as tc
from tinycnn.bench import ladder
from tinycnn.plot.style import BLUE, MUTED, ORANGE, RULE

plt.rcParams.update({"figure.dpi": 150, "figure.constrained_layout.use": True, "font.size": 9})

rng = np.random.default_rng(0)
x = rng.random((2, 8, 16, 16), np.float32)  # two pictures of 8 channels
w = rng.standard_normal((8, 8, 3, 3), np.float32)  # 8 filters of 3 × 3
b = np.zeros(8, np.float32)


def timed(rung):
    """Seconds and result of one convolution on a rung; the first call is not counted: it may have to compile."""
    with tc.backend(rung) as serve:
        forward = serve("conv2d_forward")
        forward(x, w, b, padding=1)
        begun = time.perf_counter()
        y, _ = forward(x, w, b, padding=1)
        return time.perf_counter() - begun, y


# %% [markdown]
# ## Rung 1: the formula
#
# This is the sum as it is declared, and `loops` walks it: for every picture, filter, row and column, for every channel
# and tap, one multiplication. Count them before you run it.

# %%
print(tc.formulas["conv2d"].text)
N, C, H, W = x.shape
multiplications = N * 8 * H * W * C * 3 * 3
print(f"{multiplications:,} multiplications")

seconds, by_loops = timed("loops")
print(f"{seconds:.3f} s: {1e9 * seconds / multiplications:.0f} ns for each")
assert multiplications == 294_912

# %% [markdown]
# A processor multiplies in less than a nanosecond. Nearly all of this time Python spends *around* the multiplication:
# looking up names, making number objects, stepping counters.

# %% [markdown]
# ## Rung 2: one matrix product
#
# So call Python once, not once a multiplication. im2col copies each window into a row; all the sums together are then
# one matrix product, which NumPy hands to BLAS, a library that has been tuned for decades.

# %%
cols, (_, OH, OW) = tc.ops.im2col(x, kernel_size=3, padding=1)
print("x has", x.size, "numbers; its windows, side by side,", cols.size)

seconds_numpy, by_numpy = timed("numpy")
print(f"{1000 * seconds_numpy:.2f} ms, {seconds / seconds_numpy:.0f} times faster")
assert np.allclose(by_numpy, by_loops, rtol=1e-4, atol=1e-4)
assert cols.size == 9 * x.size  # every pixel is copied nine times, once for each tap
assert seconds_numpy < seconds

# %% [markdown]
# The price is memory: nine times the picture. For small pictures nobody minds. For large ones that copy goes out to
# main memory and back, and moving it takes longer than the arithmetic.

# %% [markdown]
# ## Rung 3: the loops again, as machine code
#
# Were loops the mistake, then? No: Python was. `njit` takes the very loops of rung 1, written from the same formula,
# and has Numba compile them. No copy is made, and no clever idea is needed.

# %%
seconds_njit, by_njit = timed("njit")
print(f"{1000 * seconds_njit:.2f} ms, {seconds / seconds_njit:.0f} times faster than in Python")
assert np.allclose(by_njit, by_loops, rtol=1e-4, atol=1e-4)
assert seconds_njit < seconds

# %% [markdown]
# Many times faster than rung 1, and yet the matrix product beats it. Compiled loops fetch both factors of each product
# from memory, and one number at a time. What BLAS knows and these loops do not is how to fetch a number once and use it
# often.

# %% [markdown]
# ## Rung 4: the register tile
#
# A processor core has a few dozen *vector registers*, each with 4, 8 or 16 numbers, and in one instruction it
# multiplies and adds all numbers of a register. The last rung computes a small tile of the result at once, so many
# pixels × so many filters, whose sums stay in registers until they are complete: a filter in each lane. Each pixel that
# is fetched serves all the filters of the tile, each weight all its pixels. And it never writes down the windows: the
# number in row p and column k of the im2col matrix is found in the picture itself, at `pixels[p] + taps[k]`.

# %%
padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))[0]  # a picture with its border
plane, pitch = padded[0].size, W + 2  # from one channel to the next, and from one row to the next
pixels = np.array([u * pitch + v for u in range(OH) for v in range(OW)])  # where each window begins
taps = np.array([c * plane + i * pitch + j for c in range(C) for i in range(3) for j in range(3)])
assert (padded.ravel()[pixels[:, None] + taps] == cols[: OH * OW]).all()
print(f"two tables of {len(pixels)} and {len(taps)} offsets in place of a matrix of {len(pixels) * len(taps):,} numbers")

seconds_tile, by_tile = timed("numba")
print(f"{1000 * seconds_tile:.3f} ms, {seconds / seconds_tile:,.0f} times faster than the formula in Python")
assert np.allclose(by_tile, by_loops, rtol=1e-4, atol=1e-4)
assert seconds_tile < seconds_njit

# %% [markdown]
# It is the same im2col, by arithmetic with addresses instead of a copy. `tinycnn/kernels/tile.py` is the tile, and
# opens with the reason for it.

# %% [markdown]
# ## Beyond the ladder: fewer multiplications
#
# All four rungs make the same multiplications. Near the speed at which a processor can multiply at all, only one thing
# is left to do: to leave some of them out. Two neighbours in a row of results,
#
# $$y_0 = d_0g_0 + d_1g_1 + d_2g_2 \qquad y_1 = d_1g_0 + d_2g_1 + d_3g_2,$$
#
# take six. Shmuel Winograd found that four will do:
#
# $$\begin{aligned} m_0 &= (d_0 - d_2)\,g_0 & m_1 &= (d_1 + d_2)\,\tfrac{g_0 + g_1 + g_2}{2} \\
# m_3 &= (d_1 - d_3)\,g_2 & m_2 &= (d_2 - d_1)\,\tfrac{g_0 - g_1 + g_2}{2} \end{aligned}
# \qquad\qquad y_0 = m_0 + m_1 + m_2 \qquad y_1 = m_1 - m_2 - m_3$$

# %%
d, g = np.array([3.0, 1.0, 4.0, 2.0]), np.array([2.0, -1.0, 5.0])
m = [(d[0] - d[2]) * g[0], (d[1] + d[2]) * (g[0] + g[1] + g[2]) / 2,
     (d[2] - d[1]) * (g[0] - g[1] + g[2]) / 2, (d[1] - d[3]) * g[2]]  # fmt: skip
four = [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]
print(f"with six multiplications {np.correlate(d, g)}, with four {np.array(four)}")
assert np.array_equal(four, np.correlate(d, g))

# %% [markdown]
# The sums of the $g$ are made once for a filter and all pictures, those of the $d$ once for a picture and all filters;
# so with many channels and filters they cost next to nothing. In both directions together, a square of 2 × 2 results
# takes 4 · 4 = 16 multiplications in place of 4 · 9 = 36. The kernels do so from 16 channels and 16 filters on, and
# each of the 16 products is a matrix product on the register tile. What it costs is some rounding: $y_0$ is made of the
# same window as ever, but as a difference of larger numbers. `tinycnn/kernels/winograd.py` says how much at most.

# %% [markdown]
# ## All of it, measured with care
#
# One call is no measurement: the machine may have been busy just then. `ladder` calls each rung again and again, takes
# the median, and holds every result to the one below. It also tries a larger convolution, without Python's loops, which
# would take minutes.

# %%
steps = ladder(seconds=0.3)
assert all(step.worst < 1e-4 for step in steps)

names = {(2, 8, 16, 16): "2 pictures, 8 channels, 16 × 16", (16, 32, 32, 32): "16 pictures, 32 channels, 32 × 32"}
fig, axes = plt.subplots(1, 2, figsize=(8, 2.6))
for ax, (shape, title) in zip(axes, names.items(), strict=True):
    mine = [step for step in steps if step.shape == shape]
    speeds = [2 * step.macs / step.ms / 1e6 for step in mine]
    ax.barh([step.rung for step in mine], speeds, color=[*[BLUE] * (len(mine) - 1), ORANGE], height=0.6)
    for place, (step, speed) in enumerate(zip(mine, speeds, strict=True)):
        text = f"{step.ms:.0f} ms" if step.ms >= 100 else f"{step.ms:.3g} ms"
        ax.annotate(text, (speed, place), (4, 0), textcoords="offset points", va="center", color=MUTED)
    ax.set(xscale="log", title=title, xlabel="billion operations a second")
    ax.set_xlim(right=max(speeds) * 30)
    ax.invert_yaxis()
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="x", color=RULE, lw=0.6)
    ax.set_axisbelow(True)

# %% [markdown]
# The axis is logarithmic: each line is ten times the one before. On the larger convolution more of the machine is used,
# and the distance between the rungs says more; there the last rung leaves out five of nine multiplications, which are
# counted as if it made them. `tinycnn bench --ladder` prints the same as a table; `tinycnn bench` compares whole networks
# with PyTorch.
#
# ## Exercises
#
# **1. Where does the time go?** How many multiplications does the larger convolution need (16 pictures of 32 channels,
# 32 × 32; 32 filters of 3 × 3; padding 1), and how long would rung 1 take for it on your machine?
#
# <details><summary>Answer</summary>
#
# Each of 16·32·32·32 results is a sum of 32·3·3 products: 150,994,944, which is 512 times as many as above. So 512
# times as long.
#
# </details>

# %% jupyter={"source_hidden": true}
larger, times_as_long = 16 * 32 * 32 * 32 * 32 * 9, 512

# %%
assert larger == steps[-1].macs == times_as_long * multiplications
print(f"about {times_as_long * seconds / 60:.1f} minutes")

# %% [markdown]
# **2. Left out.** How many multiplications does the larger convolution make with Winograd's forms?
#
# <details><summary>Answer</summary>
#
# 16 for each square of 2 × 2 results, where the sum over the taps makes 36: 150,994,944 · 16/36 = 67,108,864.
#
# </details>

# %% jupyter={"source_hidden": true}
fewer = larger * 16 // 36

# %%
assert fewer == 16 * 32 * 16 * 16 * 32 * 16  # pictures, filters, squares, channels, products
print(f"{fewer:,} multiplications")

# %% [markdown]
# **3. Fetched once, used often.** A tile of 6 pixels × 16 filters takes, for each tap, 6 pixels and 16 weights from the
# cache. How many multiplications does it do with them, and how many would it do with those 22 numbers if each product
# fetched both its factors?
#
# <details><summary>Answer</summary>
#
# 6·16 = 96 multiplications from 22 numbers, against 22/2 = 11: nearly nine times as much work for each number fetched.
#
# </details>

# %% jupyter={"source_hidden": true}
in_a_tile, without = 6 * 16, 22 / 2

# %%
assert (in_a_tile, without) == (96, 11)

# %% [markdown]
# ## What you have now
#
# Four ways to one result: slow where an interpreter stands between the multiplications, faster where memory does,
# fastest where what is fetched is used often. You can trust the last rung because the first, which is nothing but the
# formula, gives the same numbers.
