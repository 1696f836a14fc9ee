// A cell in words, as Python's tr.cell tells it (tinycnn/tracing/cells.py and sentences.py), to the letter.
import { added } from "./cell.js";
import { formulaNumber } from "./numbers.js";

// One cell: its sum in words and numbers, its terms, what was made on the way.
export function cellStep(cells, step, result, index, recorded) {
  const cell = cells.cell(index, result);
  const place = index.length ? `${result}[${index.join(",")}]` : result;
  const terms = cell.terms.map(told);
  const sum = added(cell.terms),
    numbers = cell.text();
  const [total_, own] = [formulaNumber(sum), formulaNumber(recorded ?? cell.value)];
  const middle = numbers === total_ || numbers === `(${total_})` ? "" : ` = ${numbers}`;
  const differs = total_ === own ? "" : ` (the network's own rounding gave ${own})`;
  const found = {
    step: step.number,
    result,
    index,
    places: `${place} = ${cell.text(false)}`,
    numbers,
    value: cell.value,
    total: sum,
    recorded,
    terms,
    made: madeOnTheWay(cell),
    chosen: chosen(cell),
    text: `${place}${middle} = ${total_}${differs}`,
  };
  return { ...found, why: why(found, step.op, onBorder(found, cells)) };
}

// A term; its words are made when somebody reads them, since a sum may have thousands.
const told = (term) => ({
  get text() {
    return term.text(false);
  },
  get numbers() {
    return term.text();
  },
  value: term.value,
  reads: term.reads.map((one) => ({ symbol: one.symbol, index: one.index, value: one.value })),
});

const each = (reads, symbol) => [
  ...new Map(reads.filter((one) => one.symbol === symbol).map((one) => [String(one.index), one.index])).values(),
];
const everyRead = (found) => found.terms.flatMap((term) => term.reads);

// How many of the numbers read lie on the border of the padded image.
function onBorder(found, { values }) {
  if (!values.xp || !values.x || values.left === undefined) return 0;
  const image = values.x.shape,
    before = [...Array(image.length - 2).fill(0), values.top ?? 0, values.left].slice(-image.length);
  const inside = (at) => at.every((i, axis) => i >= before[axis] && i - before[axis] < image[axis]);
  return each(everyRead(found), "xp").filter((at) => !inside(at)).length;
}

// What a cell's sum means in words, where there is something to say.
function why(found, op, border) {
  const reads = everyRead(found),
    said = [],
    best = reads[found.chosen];
  if (best && reads.length > 1 && best.symbol === reads[0].symbol && best.index.length > 1) {
    const [row, column] = [-2, -1].map((axis) => {
      const alike = reads.filter((one) => one.symbol === best.symbol);
      const lines = [...new Set(alike.map((one) => one.index.at(axis)))].sort((a, b) => a - b);
      return lines.indexOf(best.index.at(axis)); // windows may have gaps
    });
    said.push(`Row ${row}, column ${column} of the window won.`);
  }
  if (border) said.push(`${border} of the ${each(reads, "xp").length} numbers lie on the border.`);
  const gradients = each(reads, "dy").length;
  if (!found.made.length && op.endsWith("_backward") && found.result === "dx" && gradients) {
    said.push(gradients > 1 ? `${gradients} gradients come back to it, and add.` : "One gradient comes back to it.");
  } else if (op.endsWith("pool2d_backward") && found.result === "dx" && !found.terms.length) {
    said.push(`It ${op.startsWith("avg") ? "lay in" : "won"} no window, so nothing comes back to it.`);
  }
  return said.join(" ");
}

// What is read and was itself made by the formula (a mean, a maximum), once each, what others need first.
function madeOnTheWay(cell, found = new Map()) {
  for (const part of allReads(cell)) {
    if (!part.made || found.has(part.place)) continue;
    madeOnTheWay(part.made, found);
    found.set(part.place, {
      symbol: part.symbol,
      index: part.index,
      value: part.value,
      places: part.made.text(false),
      numbers: part.made.text(),
    });
  }
  return [...found.values()];
}

const allReads = (cell) => (cell.kind === "read" ? [cell] : cell.parts.flatMap(allReads));

// Of a largest or a smallest: which of its parts it is, the first of equals.
export function chosen(cell) {
  if (cell.kind !== "max" && cell.kind !== "min") return null;
  const found = cell.parts.findIndex((part) => Object.is(part.value, cell.value) || part.value === cell.value);
  return found < 0 ? null : found;
}
