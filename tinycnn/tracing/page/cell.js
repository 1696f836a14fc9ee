// One cell of a result, taken apart: which cells were read, each product, and the sum that they make. What Python's
// tinycnn/tracing/cells.py writes of a cell is written here to the letter.
import { MINUS, bracketed, formulaNumber } from "./numbers.js";

const LEVEL = { " + ": 1, " \u2212 ": 1, "\u00b7": 2, " / ": 2, "//": 2, " mod ": 2, "^": 3 };
const SHOWN_FIRST = 6,
  SHOWN_LAST = 2,
  MOST_SHOWN = 27; // of a long sum

// One value, and the parts it was made from; a "read" that the formula itself made has its own parts in `made`, and
// `because` holds what was looked at to find them: the test of an `if`, a place that is looked up, a window's argmax.
export class Cell {
  constructor(kind, value, parts = [], symbol = "", index = [], made = null, because = []) {
    Object.assign(this, { kind, value, parts, symbol, index, made, because });
  }

  // The same cell, with more that was looked at to find it.
  found(because) {
    const { kind, value, parts, symbol, index, made } = this;
    return because.length ? new Cell(kind, value, parts, symbol, index, made, [...this.because, ...because]) : this;
  }

  get reads() {
    const found = [],
      gather = (cell) => (cell.kind === "read" ? found.push(cell) : cell.parts.forEach(gather));
    gather(this);
    return found;
  }

  // Every given cell that this one depends on, once each: what was read, through all that was made of it.
  get sources() {
    const found = new Map(),
      done = new Set(), // the mean of a channel has parts by the thousand, and every cell may read it
      waiting = [this];
    while (waiting.length) {
      const cell = waiting.pop();
      if (done.has(cell)) continue;
      done.add(cell);
      if (cell.kind === "read" && !cell.made) found.set(cell.place, cell);
      const more = [...cell.parts, ...(cell.made ? [cell.made] : []), ...cell.because];
      for (const one of more.reverse()) waiting.push(one);
    }
    return [...found.values()];
  }

  get terms() {
    return this.kind === "sum" || this.kind === " + " ? this.parts.flatMap((part) => part.terms) : [this];
  }

  get place() {
    return this.index.length ? `${this.symbol}[${this.index.join(",")}]` : this.symbol;
  }

  // Written out with the numbers in, or with the places they were read from.
  text(numbers = true, level = 0) {
    return this.tokens(numbers, level)
      .map((token) => token.text)
      .join("");
  }

  // The same as pieces: {text, cells}, where `cells` are the places read that the piece stands for.
  tokens(numbers = true, level = 0) {
    const plain = (text) => ({ text, cells: [] });
    const number = () => (level > 0 ? bracketed : formulaNumber)(this.value);
    const inBrackets = (tokens, need) => (need ? [plain("("), ...tokens, plain(")")] : tokens);
    if (this.kind === "read") return [{ text: numbers ? number() : this.place, cells: [this] }];
    if (this.kind === "number") return [plain(number())];
    if (this.kind === "[]") {
      const sides = this.parts.map((part, k) => [plain(k ? this.symbol[k - 1] : "["), ...part.tokens(numbers, 1)]);
      return [...sides.flat(), plain("]")];
    }
    if (this.kind === "sum") {
      return inBrackets(this.parts.length ? listed(this.parts, numbers, 1, " + ") : [plain("0")], level > 1);
    }
    if (this.kind === MINUS) return inBrackets([plain(MINUS), ...this.parts[0].tokens(numbers, 2)], level > 0);
    const own = LEVEL[this.kind];
    if (!own) return [plain(`${this.kind}(`), ...listed(this.parts, numbers, 0, ", "), plain(")")];
    const [left, right] = this.parts;
    const tighter = own + (own > 1 || this.kind === " \u2212 ");
    const before = left.tokens(numbers, own + (this.kind === "^"));
    return inBrackets([...before, plain(this.kind), ...right.tokens(numbers, tighter)], own < level);
  }
}

export const added = (parts) =>
  parts.length ? parts.slice(1).reduce((sum, part) => sum + part.value, parts[0].value) : 0;

// Every part in words; of more than 27 the first six and the last two, and what lies between summed up.
function listed(parts, numbers, level, between) {
  const long = parts.length > MOST_SHOWN,
    middle = long ? parts.slice(SHOWN_FIRST, -SHOWN_LAST) : [];
  const pieces = (long ? parts.toSpliced(SHOWN_FIRST, middle.length) : parts).map((part) =>
    part.tokens(numbers, level),
  );
  if (long) {
    const text = `\u2026 ${middle.length} more${numbers && level ? ` (sum = ${formulaNumber(added(middle))})` : ""}`;
    pieces.splice(SHOWN_FIRST, 0, [{ text, cells: middle.flatMap((part) => part.reads) }]);
  }
  return pieces.flatMap((piece, k) => (k ? [{ text: between, cells: [] }, ...piece] : piece));
}

export const total = (parts) => new Cell("sum", added(parts), parts);
