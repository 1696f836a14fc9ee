"""What a number costs beside its target, added up over a part of an array; and the slopes, number by number.

Each loop loads before it chooses, so that the compiler does a vector of numbers at once.
"""

from __future__ import annotations

from tinycnn.kernels.compiling import kernel
from tinycnn.kernels.exponential import exp, log1p, log_near_1
from tinycnn.kernels.rows import plus


@kernel
def squares(x, t):
    """(x − t)²."""
    total = x.dtype.type(0)
    for k in range(len(x)):
        d = x[k] - t[k]
        total = plus(total, d * d)
    return total


@kernel
def squares_backward(dx, x, t, factor):
    """2·(x − t)."""
    for k in range(len(x)):
        d = x[k] - t[k]
        dx[k] = (d + d) * factor


@kernel
def sizes(x, t):
    """|x − t|."""
    total, nothing = x.dtype.type(0), x.dtype.type(0)
    for k in range(len(x)):
        d = x[k] - t[k]
        total = plus(total, -d if d < nothing else d)
    return total


@kernel
def sizes_backward(dx, x, t, factor):
    """The sign of x − t: 0 where they are equal, and a NaN of a NaN."""
    nothing, one = x.dtype.type(0), x.dtype.type(1)
    for k in range(len(x)):
        d = x[k] - t[k]
        upward = one if d > nothing else d
        dx[k] = (-one if d < nothing else upward) * factor


@kernel
def margins(x, t):
    """What t·x lacks to 1."""
    total, nothing, one = x.dtype.type(0), x.dtype.type(0), x.dtype.type(1)
    for k in range(len(x)):
        reached = t[k] * x[k]
        total = plus(total, nothing if reached >= one else one - reached)  # a NaN is neither, and comes through
    return total


@kernel
def margins_backward(dx, x, t, factor):
    """−t, where t·x is below 1."""
    nothing, one = x.dtype.type(0), x.dtype.type(1)
    for k in range(len(x)):
        slope = -t[k] * factor
        dx[k] = slope if t[k] * x[k] < one else nothing


@kernel
def answers(z, t):
    """max(z, 0) − z·t + log(1 + exp(−|z|))."""
    total, nothing = z.dtype.type(0), z.dtype.type(0)
    for k in range(len(z)):
        value = z[k]
        e = exp(-value if value > nothing else value)  # exp(−|z|)
        total = plus(total, (value if value > nothing else nothing) - value * t[k] + log1p(e))
    return total


@kernel
def answers_backward(dz, z, t, factor):
    """σ(z) − t."""
    nothing, one = z.dtype.type(0), z.dtype.type(1)
    for k in range(len(z)):
        value = z[k]
        e = exp(-value if value > nothing else value)
        share = one / (one + e)
        dz[k] = ((share if value > nothing else e * share) - t[k]) * factor


@kernel
def probabilities(p, t, tiny):
    """−t·log p − (1 − t)·log(1 − p), where neither logarithm is of less than `tiny`."""
    total, one = p.dtype.type(0), p.dtype.type(1)
    for k in range(len(p)):
        yes, no = p[k], one - p[k]
        yes, no = tiny if yes < tiny else yes, tiny if no < tiny else no
        total = plus(total, -(t[k] * log_near_1(yes) + (one - t[k]) * log_near_1(no)))
    return total


@kernel
def probabilities_backward(dp, p, t, factor, tiny):
    """−t/p + (1 − t)/(1 − p), each 0 where its probability is less than `tiny`."""
    nothing, one = p.dtype.type(0), p.dtype.type(1)
    for k in range(len(p)):
        yes, no = p[k], one - p[k]
        for_yes, for_no = t[k] / (tiny if yes < tiny else yes), (one - t[k]) / (tiny if no < tiny else no)
        dp[k] = ((nothing if no < tiny else for_no) - (nothing if yes < tiny else for_yes)) * factor


@kernel
def surprises(p, t, tiny):
    """−t·log p, with `tiny` for less than that."""
    total = p.dtype.type(0)
    for k in range(len(p)):
        yes = p[k]
        total = plus(total, -(t[k] * log_near_1(tiny if yes < tiny else yes)))
    return total


@kernel
def surprises_backward(dp, p, t, factor, tiny):
    """−t/p, and 0 where p is less than `tiny`."""
    nothing = p.dtype.type(0)
    for k in range(len(p)):
        yes = p[k]
        slope = -t[k] / (tiny if yes < tiny else yes) * factor
        dp[k] = nothing if yes < tiny else slope
