// The page's own parts, by node's own test runner: `node --test tests/js/`.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import test from "node:test";
import { Cells, ravel, unravel } from "../../tinycnn/tracing/page/cells.js";
import { colour, contrast, ink } from "../../tinycnn/tracing/page/colours.js";
import { convolve } from "../../tinycnn/tracing/page/convolve.js";
import { stepAsSvg } from "../../tinycnn/tracing/page/export.js";
import { layout, shownPlaces } from "../../tinycnn/tracing/page/grid.js";
import { cellNumber, formulaNumber, fullNumber } from "../../tinycnn/tracing/page/numbers.js";
import { readers } from "../../tinycnn/tracing/page/readers.js";
import { cellStep } from "../../tinycnn/tracing/page/told.js";
import { Trace } from "../../tinycnn/tracing/page/trace.js";

const PAGE = new URL("../../tinycnn/tracing/page/", import.meta.url);
const MODULES = readdirSync(PAGE).filter((name) => name.endsWith(".js"));
const source = (name) => readFileSync(new URL(name, PAGE), "utf8");
const idx = (name) => ["idx", name],
  read = (symbol, ...places) => ["read", symbol, places];

// y[n,f] = b[f] + sum[c](x[n,c] * w[f,c])
const DENSE = [
  {
    target: "y",
    places: [idx("n"), idx("f")],
    scatter: false,
    indices: { n: 1, f: 2, c: 2 },
    let: [],
    shape: [1, 2],
    expr: [
      "+",
      read("b", idx("f")),
      ["sum", ["c"], ["*", read("x", idx("n"), idx("c")), read("w", idx("f"), idx("c"))]],
    ],
  },
];
const NUMBERS = {
  x: { shape: [1, 2], data: [2, 3] },
  w: { shape: [2, 2], data: [5, 7, -1, 0.5] },
  b: { shape: [2], data: [11, 0] },
};

test("a cell of a dense layer is worked out as by hand", () => {
  const told = cellStep(new Cells(DENSE, NUMBERS), { number: 0, op: "linear_forward" }, "y", [0, 0], 42);
  assert.equal(told.text, "y[0,0] = 11 + 2·5 + 3·7 = 42");
  assert.equal(told.places, "y[0,0] = b[0] + x[0,0]·w[0,0] + x[0,1]·w[0,1]");
  assert.deepEqual(
    told.terms.map((term) => term.value),
    [11, 10, 21],
  );
});

test("negative numbers stand in brackets inside a sum, and what rounding did is said", () => {
  const told = cellStep(new Cells(DENSE, NUMBERS), { number: 0, op: "linear_forward" }, "y", [0, 1], -0.51);
  assert.equal(told.text, "y[0,1] = 0 + 2·(−1) + 3·0.5 = −0.5 (the network's own rounding gave −0.51)");
});

test("where a channel is merely added, no pair of filter and channel is tried in vain", () => {
  const [filters, channels] = [40, 50],
    sum = [idx("f"), ["num", channels], idx("c")];
  const program = [
    {
      target: "d",
      places: [["+", ["*", sum[0], sum[1]], sum[2]]],
      scatter: true,
      indices: { f: filters, c: channels },
      let: [],
      shape: [filters * channels],
      expr: read("g", idx("f"), idx("c")),
    },
  ];
  const data = Array.from({ length: filters * channels }, (_, k) => k + 1),
    cells = new Cells(program, { g: { shape: [filters, channels], data } }),
    number = cells.number.bind(cells);
  let asked = 0;
  cells.number = (...what) => {
    asked++;
    return number(...what);
  };
  const cell = cells.cell([7 * channels + 3], "d");
  assert.deepEqual(
    cell.reads.map((one) => one.index),
    [[7, 3]],
  );
  assert.ok(asked < 10 * filters, `${asked} numbers were worked out`);
});

test("pointing at an input finds the outputs that read it", () => {
  const cells = new Cells(DENSE, NUMBERS);
  assert.deepEqual(readers(cells, "x", [0, 1], "y"), [
    [0, 0],
    [0, 1],
  ]);
  assert.deepEqual(readers(cells, "w", [1, 0], "y"), [[0, 1]]);
  assert.deepEqual(readers(cells, "b", [1], "y"), [[0, 1]]);
});

test("a place and its flat number are two names of one cell", () => {
  for (let flat = 0; flat < 60; flat++) assert.equal(ravel(unravel(flat, [3, 4, 5]), [3, 4, 5]), flat);
  assert.deepEqual(unravel(0, []), []);
});

test("zero is exactly white, and ink is readable on every colour of the scale", () => {
  assert.deepEqual(colour(0, 3), [0xf7, 0xf7, 0xf7]);
  assert.deepEqual(colour(5, 5), [0xb3, 0x58, 0x06]);
  assert.deepEqual(colour(-9, 5), [0x21, 0x66, 0xac]);
  for (let value = -100; value <= 100; value++) {
    const back = colour(value, 100);
    assert.ok(contrast(back, ink(back)) >= 4.5, `${value}`);
  }
});

test("12 places are shown whole, of more the first and last five", () => {
  assert.equal(shownPlaces(12).length, 12);
  assert.deepEqual(shownPlaces(100), [0, 1, 2, 3, 4, null, 95, 96, 97, 98, 99]);
  assert.deepEqual(layout([2, 3, 4, 5]), { rows: 4, columns: 5, lead: [2, 3], slices: 6 });
  assert.deepEqual(layout([]), { rows: 1, columns: 1, lead: [], slices: 1 });
});

test("numbers keep their sign, and tiny ones are never nothing", () => {
  assert.deepEqual(
    [-0.004, 1e-7, -0, NaN, -Infinity].map((value) => cellNumber(value)),
    ["−0.004", "1e−7", "0", "NaN", "−∞"],
  );
  assert.equal(formulaNumber(12345.678), "1.235e4");
  assert.equal(fullNumber(Math.fround(0.1)), "0.1");
  assert.equal(fullNumber(0.1 + 0.2), "0.30000000000000004");
});

test("a stride leaves places that no window reaches", () => {
  const image = Array.from({ length: 6 }, () => Array(8).fill(1)),
    kernel = [
      [1, 1, 1],
      [1, 1, 1],
      [1, 1, 1],
    ];
  const { OH, OW, vertical, horizontal, y } = convolve(image, kernel, { stride: [2, 4] });
  assert.deepEqual([OH, OW, vertical.unused, horizontal.unused], [2, 2, [5], [3, 7]]);
  assert.deepEqual(y, [
    [9, 9],
    [9, 9],
  ]);
});

test("a picture of a step escapes what it is given", () => {
  assert.ok(!stepAsSvg("</text><script>", [], ["<&>"]).includes("<script"));
});

test("another version of the format is refused", () => {
  assert.throws(() => new Trace({ format: "tinycnn.trace", version: 3, steps: [] }), /no trace/);
});

test("joined into one script, no two modules give one name to two things", () => {
  const names = MODULES.filter((name) => !/^(start_|unpack)/.test(name)).flatMap((name) =>
    [...source(name).matchAll(/^(?:export )?(?:async )?(?:const|function|class)\*? (\w+)/gm)].map((found) => found[1]),
  );
  assert.deepEqual(
    names.filter((name, k) => names.indexOf(name) !== k),
    [],
  );
});

test("no module writes markup, evaluates text, or reaches for the network", () => {
  for (const name of MODULES)
    assert.doesNotMatch(
      source(name),
      /innerHTML|outerHTML|document\.write|eval\(|fetch\(|XMLHttpRequest|https?:\/\/(?!www\.w3\.org)/,
      name,
    );
});
