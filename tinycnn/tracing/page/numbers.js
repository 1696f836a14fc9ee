// Numbers in words: two decimals in a table, four significant digits in a formula, everything on focus. These are the
// strings of tinycnn/formula/numbers.py; half of the last digit goes away from zero here as there, since toFixed and
// its kin look at a number's exact value and take the larger of two that are equally near.

export const MINUS = "\u2212";
const SMALLEST = 0.001,
  LARGEST = 10000; // outside, powers of ten are written

const trimmed = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);

function special(value) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "\u221e" : MINUS + "\u221e";
  return value === 0 ? "0" : null;
}

function significant(size, digits) {
  const [mantissa, exponent] = size.toExponential(digits - 1).split("e");
  const rounded = Number(`${mantissa}e${exponent}`);
  if (rounded >= SMALLEST && rounded < LARGEST)
    return trimmed(rounded.toFixed(Math.max(0, digits - 1 - Number(exponent))));
  return `${trimmed(mantissa)}e${exponent}`.replace("+", "").replace("-", MINUS);
}

function twoDecimals(size) {
  if (size < SMALLEST && Number(size.toExponential(1)) < SMALLEST) return significant(size, 2);
  const text = size.toFixed(size < 0.005 ? 3 : 2);
  return Number(text) < LARGEST ? text : significant(size, 2);
}

const signed = (value, text) => (value < 0 ? MINUS : "") + text;

// What stands in a table; `whole` says that the array holds integers.
export function cellNumber(value, whole = false) {
  if (whole) return signed(value, String(Math.abs(value)));
  return special(value) ?? signed(value, twoDecimals(Math.abs(value)));
}

// What stands in a formula.
export function formulaNumber(value) {
  return special(value) ?? signed(value, significant(Math.abs(value), 4));
}

// Every digit that tells this number from its neighbours: those of float32, if it is one.
export function fullNumber(value) {
  if (value === undefined) return "not kept in the trace";
  const size = Math.abs(value),
    digits = [6, 7, 8, 9].find((count) => Math.fround(Number(size.toPrecision(count))) === size);
  const shortest = digits ? String(Number(size.toPrecision(digits))) : String(size);
  return special(value) ?? signed(value, shortest.replace("e+", "e").replace("e-", `e${MINUS}`));
}

// A negative number as it stands inside a sum or a product.
export function bracketed(value) {
  const text = formulaNumber(value);
  return text.startsWith(MINUS) ? `(${text})` : text;
}
