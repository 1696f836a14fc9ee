// Arrays that the trace does not carry: what an update's formula gives to the last bit (tinycnn/tracing/worked.py). Every
// operation is one on whole arrays, and is rounded to float32, as the array that it is put into does by itself. Each has
// a loop of its own: at the first look at an update many thousand numbers are worked out at once.
const ROUNDED = {
  "+": (made, a, b) => {
    for (let k = 0; k < made.length; k++) made[k] = a[k] + b[k];
  },
  "-": (made, a, b) => {
    for (let k = 0; k < made.length; k++) made[k] = a[k] - b[k];
  },
  "*": (made, a, b) => {
    for (let k = 0; k < made.length; k++) made[k] = a[k] * b[k];
  },
  "/": (made, a, b) => {
    for (let k = 0; k < made.length; k++) made[k] = a[k] / b[k];
  },
  sqrt: (made, a) => {
    for (let k = 0; k < made.length; k++) made[k] = Math.sqrt(a[k]);
  },
  neg: (made, a) => {
    for (let k = 0; k < made.length; k++) made[k] = -a[k];
  },
};

// `expr` over arrays of so many numbers; `array` gives one by its id.
export function worked(expr, size, array) {
  const [kind, ...parts] = expr;
  if (kind === "t") return array(parts[0]);
  if (kind === "num") return new Float32Array(size).fill(parts[0]);
  const made = new Float32Array(size);
  ROUNDED[kind](made, ...parts.map((part) => worked(part, size, array)));
  return made;
}
