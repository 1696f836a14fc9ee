// Arrays that the trace does not carry: what an update's formula gives to the last bit (tinycnn/tracing/worked.py). Every
// operation is one on whole arrays, and is rounded to float32, as the array that it is put into does by itself.
const ROUNDED = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
  sqrt: (a) => Math.sqrt(a),
  neg: (a) => -a,
};

// `expr` over arrays of so many numbers; `array` gives one by its id.
export function worked(expr, size, array) {
  const [kind, ...parts] = expr;
  if (kind === "t") return array(parts[0]);
  if (kind === "num") return new Float32Array(size).fill(parts[0]);
  const apply = ROUNDED[kind],
    [left, right] = parts.map((part) => worked(part, size, array)),
    made = new Float32Array(size);
  for (let k = 0; k < size; k++) made[k] = apply(left[k], right?.[k]);
  return made;
}
