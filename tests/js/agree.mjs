// Reads programs with their values and asks (standard input), answers with the cells as the page makes them.
import { readFileSync } from "node:fs";
import { Cells, ravel, unravel } from "../../tinycnn/tracing/page/cells.js";
import { Columns } from "../../tinycnn/tracing/page/columns.js";
import { convolve } from "../../tinycnn/tracing/page/convolve.js";
import { cellNumber, formulaNumber } from "../../tinycnn/tracing/page/numbers.js";
import { readers } from "../../tinycnn/tracing/page/readers.js";
import { cellStep } from "../../tinycnn/tracing/page/told.js";
import { Trace } from "../../tinycnn/tracing/page/trace.js";

const number = (value) => ({ nan: NaN, inf: Infinity, "-inf": -Infinity })[value] ?? Number(value);
const array = (value) => (typeof value === "number" ? value : { shape: value.shape, data: value.data.map(number) });
const plain = (_, value) => (typeof value === "number" && !Number.isFinite(value) ? String(value) : value);

const grid = (rows, width, make) =>
  Array.from({ length: rows }, (_r, r) => Array.from({ length: width }, (_c, c) => make(r, c)));

// Where every entry of a convolution's matrices lies, the entries on every pixel, and whether each place leads back.
function columns({ names, output, weights, image, group }) {
  const one = new Columns(names, output, weights, group),
    same = (a, b) => String(a) === String(b);
  const found = {
    pixels: grid(one.rows, one.width, (p, k) => one.pixel(p, k)),
    weights: grid(one.filters, one.width, (f, k) => one.weight(f, k)),
    outputs: grid(one.rows, one.filters, (p, f) => one.output(p, f)),
  };
  const size = image.reduce((count, length) => count * length, 1),
    everywhere = Array.from({ length: size }, (_, flat) => unravel(flat, image));
  const entries = Object.fromEntries(everywhere.map((index) => [String(index), one.entries(one.padded(index))]));
  const back = {
    weights: found.weights.every((row, f) => row.every((index, k) => same(one.weightAt(index), [f, k]))),
    outputs: found.outputs.every((row, p) => row.every((index, f) => same(one.outputAt(index), [p, f]))),
    pixels: found.pixels.every((row, p) =>
      row.every((index, k) =>
        one.entries(index).some((entry) => ravel(entry, [1e6, 1e6]) === ravel([p, k], [1e6, 1e6])),
      ),
    ),
  };
  return { ...found, entries, back };
}

const sourcesOf = (cells, result, index) =>
  cells
    .cell(index, result)
    .sources.filter(({ symbol }) => symbol in cells.values)
    .map(({ symbol, index: at }) => [symbol, at]);

const ANSWERS = {
  sources: ({ trace, asks }) => {
    const read = new Trace(trace);
    return asks.map(({ step, result, index }) => sourcesOf(read.cells(read.steps[step]), result, index));
  },
  columns: ({ cases }) => cases.map(columns),
  numbers: ({ values }) => values.map(number).map((value) => [cellNumber(value), formulaNumber(value)]),
  convolutions: ({ cases }) =>
    cases.map(({ x, w, options }) => {
      const { y, OH, OW } = convolve(x, w, options);
      return { y, OH, OW };
    }),
  cells: ({ cases }) =>
    cases.map(({ op, program, names, asks }) => {
      const cells = new Cells(
        program,
        Object.fromEntries(Object.entries(names).map(([name, value]) => [name, array(value)])),
      );
      return asks.map(({ result, index, recorded }) => ({
        ...cellStep(cells, { number: 0, op }, result, index, number(recorded)),
        sources: sourcesOf(cells, result, index),
      }));
    }),
  tensors: ({ trace }) => {
    const read = new Trace(trace),
      bytes = ({ buffer }) => Buffer.from(buffer).toString("base64");
    return Object.fromEntries(Object.keys(trace.tensors).map((id) => [id, bytes(read.tensor(id).data)]));
  },
  readers: ({ cases }) =>
    cases.map(({ program, names, asks }) => {
      const cells = new Cells(
        program,
        Object.fromEntries(Object.entries(names).map(([name, value]) => [name, array(value)])),
      );
      return asks.map(({ symbol, index, result }) => readers(cells, symbol, index, result));
    }),
};

const asked = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(ANSWERS[asked.what](asked), plain));
