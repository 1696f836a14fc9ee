"""The exponential and its kin, written so that the compiler does them on a whole vector of numbers at once.

A call to the C library does one number at a time. Here exp(x) is 2ᵏ·eʳ: k is the nearest whole number to x / log 2, so
that what is left over, r, is at most half of log 2 in size, where a few terms of eʳ = 1 + r + r²/2! + … are exact to
the last digit; and 2ᵏ costs nothing, since a floating-point number *is* such a power times a fraction: k is written
into its exponent bits. All of it is lost if the compiler may reorder sums: not for functions with `reassoc`.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, NamedTuple

from llvmlite import ir
from numba.extending import intrinsic


class Format(NamedTuple):
    """How a type of number is laid out in bits, and what that asks of the sums below."""

    bits: int
    fraction: int  # bits after the point
    bias: int  # is added to the exponent
    lowest: float  # exp of anything lower is 0: it would be smaller than the smallest normal number
    terms: int  # of eʳ: (log 2 / 2)ⁿ/n! is below half the last digit
    odd_terms: int  # of log(1 + x): (1/3)²ⁿ⁺¹/(2n + 1) is too


FLOAT, DOUBLE = Format(32, 23, 127, -87.0, 7, 8), Format(64, 52, 1023, -708.0, 13, 17)


@intrinsic
def exp(typingctx, x):
    """The exponential of an x ≤ 0; 0 where that is less than the smallest normal number."""

    def write(context, builder, signature, arguments):
        w = _Scalar(builder, arguments[0])
        power, rest = w.parts()
        value = w.multiply_add(power, rest, power)
        return builder.select(w.too_low, w.constant(0.0), value)

    return x(x), write


@intrinsic
def expm1(typingctx, x):
    """The exponential of an x ≤ 0, less 1, without the digits that the subtraction would lose next to 0."""

    def write(context, builder, signature, arguments):
        w = _Scalar(builder, arguments[0])
        power, rest = w.parts()
        return w.multiply_add(power, rest, builder.fsub(power, w.constant(1.0)))

    return x(x), write


@intrinsic
def log1p(typingctx, x):
    """The logarithm of 1 + x for 0 ≤ x ≤ 1, which is 2·(s + s³/3 + s⁵/5 + …) with s = x/(2 + x), at most a third."""

    def write(context, builder, signature, arguments):
        (x,) = arguments
        w = _Scalar(builder, x)
        s = builder.fdiv(x, builder.fadd(x, w.constant(2.0)))
        odd = [2 / (2 * n + 1) for n in range(w.format.odd_terms)]
        return builder.fmul(s, w.polynomial(odd, builder.fmul(s, s)))

    return x(x), write


@intrinsic
def log(typingctx, x):
    """The logarithm of an x ≥ 1, which is 2ᵏ·(1 + f) as its bits say: k·log 2, and the logarithm of 1 + f."""

    def write(context, builder, signature, arguments):
        (x,) = arguments
        w = _Scalar(builder, x)
        k, fraction = w.taken_apart()
        s = builder.fdiv(fraction, builder.fadd(fraction, w.constant(2.0)))
        odd = [2 / (2 * n + 1) for n in range(w.format.odd_terms)]
        rest = builder.fmul(s, w.polynomial(odd, builder.fmul(s, s)))
        value = w.multiply_add(k, w.constant(math.log(2)), rest)
        return builder.select(builder.fcmp_ordered("<", x, w.constant(math.inf)), value, x)  # a NaN stays one

    return x(x), write


@intrinsic
def log_near_1(typingctx, x):
    """The logarithm of a normal x > 0, to the last digits also where it is nearly 0: next to 1."""

    def write(context, builder, signature, arguments):
        (x,) = arguments
        w = _Scalar(builder, x)
        k, fraction = w.taken_apart()  # 2ᵏ·(1 + f) = 2ᵏ⁺¹·(1 + (f − 1)/2): the one whose logarithm is the smaller
        large = builder.fcmp_ordered(">", fraction, w.constant(math.sqrt(2) - 1))
        half = builder.fmul(builder.fsub(fraction, w.constant(1.0)), w.constant(0.5))
        fraction = builder.select(large, half, fraction)
        k = builder.select(large, builder.fadd(k, w.constant(1.0)), k)
        s = builder.fdiv(fraction, builder.fadd(fraction, w.constant(2.0)))
        odd = [2 / (2 * n + 1) for n in range(w.format.odd_terms)]
        rest = builder.fmul(s, w.polynomial(odd, builder.fmul(s, s)))
        value = w.multiply_add(k, w.constant(math.log(2)), rest)
        return builder.select(builder.fcmp_ordered("<", x, w.constant(math.inf)), value, x)  # a NaN stays one

    return x(x), write


class _Scalar:
    """Writes LLVM instructions on single numbers; the compiler makes vectors of them."""

    def __init__(self, builder: Any, x: Any):
        self.builder, self.type = builder, x.type
        self.format = FLOAT if isinstance(x.type, ir.FloatType) else DOUBLE
        self.too_low = builder.fcmp_ordered("<", x, self.constant(self.format.lowest))  # false for a NaN
        self.x = x

    def constant(self, value: float) -> Any:
        """A number of this type."""
        return ir.Constant(self.type, value)

    def parts(self) -> tuple[Any, Any]:
        """2ᵏ and eʳ − 1, so that exp(x) is 2ᵏ·(eʳ − 1) + 2ᵏ."""
        builder, (_, fraction, _, lowest, terms, _) = self.builder, self.format
        x = builder.select(self.too_low, self.constant(lowest), self.x)
        # so large a number has no digits after the point: adding it rounds, and leaves k in the last bits
        rounder = self.constant(1.5 * 2.0**fraction)
        lifted = self.multiply_add(x, self.constant(1 / math.log(2)), rounder)
        k = builder.fsub(lifted, rounder)
        # k·log 2 in two pieces, the first so short that its product with k is exact
        high = round(math.log(2) * 2.0 ** (fraction - 10)) / 2.0 ** (fraction - 10)
        r = self.multiply_add(k, self.constant(-high), x)
        r = self.multiply_add(k, self.constant(-float(Decimal(2).ln() - Decimal(high))), r)
        series = [1 / math.factorial(n) for n in range(1, terms + 1)]
        return self._power(lifted), builder.fmul(r, self.polynomial(series, r))

    def polynomial(self, coefficients: list[float], x: Any) -> Any:
        """c₀ + c₁·x + c₂·x² + …, by Horner's rule."""
        *rest, last = coefficients
        value = self.constant(last)
        for c in reversed(rest):
            value = self.multiply_add(value, x, self.constant(c))
        return value

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """a·b + c."""
        name = f"llvm.fmuladd.f{self.format.bits}"
        module = self.builder.module
        kind = ir.FunctionType(self.type, [self.type] * 3)
        return self.builder.call(module.globals.get(name) or ir.Function(module, kind, name), [a, b, c])

    def _power(self, lifted: Any) -> Any:
        """2ᵏ, from the bits of k."""
        bits, fraction, bias, *_ = self.format
        whole = ir.IntType(bits)
        k = self.builder.shl(self.builder.bitcast(lifted, whole), ir.Constant(whole, fraction))
        return self.builder.bitcast(self.builder.add(k, ir.Constant(whole, bias << fraction)), self.type)

    def taken_apart(self) -> tuple[Any, Any]:
        """k and f, for which x = 2ᵏ·(1 + f) and 0 ≤ f < 1."""
        builder, (bits, fraction, bias, *_) = self.builder, self.format
        whole = ir.IntType(bits)
        x = builder.bitcast(self.x, whole)
        k = builder.sub(builder.lshr(x, ir.Constant(whole, fraction)), ir.Constant(whole, bias))
        digits = builder.and_(x, ir.Constant(whole, (1 << fraction) - 1))
        with_one = builder.bitcast(builder.or_(digits, ir.Constant(whole, bias << fraction)), self.type)
        return builder.sitofp(k, self.type), builder.fsub(with_one, self.constant(1.0))
