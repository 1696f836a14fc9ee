// Reads programs with their values and asks (standard input), answers with the cells as the page makes them.
import { readFileSync } from "node:fs";
import { Cells } from "../../tinycnn/tracing/page/cells.js";
import { convolve } from "../../tinycnn/tracing/page/convolve.js";
import { cellNumber, formulaNumber } from "../../tinycnn/tracing/page/numbers.js";
import { cellStep } from "../../tinycnn/tracing/page/told.js";

const number = (value) => ({ nan: NaN, inf: Infinity, "-inf": -Infinity })[value] ?? Number(value);
const array = (value) => (typeof value === "number" ? value : { shape: value.shape, data: value.data.map(number) });
const plain = (_, value) => (typeof value === "number" && !Number.isFinite(value) ? String(value) : value);

const ANSWERS = {
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
      return asks.map(({ result, index, recorded }) =>
        cellStep(cells, { number: 0, op }, result, index, number(recorded)),
      );
    }),
  readers: ({ cases }) =>
    cases.map(({ program, names, asks }) => {
      const cells = new Cells(
        program,
        Object.fromEntries(Object.entries(names).map(([name, value]) => [name, array(value)])),
      );
      return asks.map(({ symbol, index, result }) => cells.readers(symbol, index, result));
    }),
};

const asked = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(ANSWERS[asked.what](asked), plain));
