// A formula taken apart cell by cell, in the browser: the walk of tinycnn/formula/expand.py over the program that the
// trace carries. Nothing is computed but the cells that are asked for, and those that these read.
import { Cell, total } from "./cell.js";
import { MINUS } from "./numbers.js";

const SIGNS = { "+": " + ", "-": " \u2212 ", "*": "\u00b7", "/": " / ", "//": "//", "%": " mod ", "**": "^" };
const ORDERS = { "==": " = ", "!=": " \u2260 ", "<": " < ", "<=": " \u2264 ", ">": " > ", ">=": " \u2265 " };

const REST = "_rest"; // the axes that `...` stands for, counted as one
const floorMod = (a, b) => a - b * Math.floor(a / b);
const larger = (a, b) => b > a || (Number.isNaN(b) && !Number.isNaN(a));
const APPLY = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
  "//": (a, b) => Math.floor(a / b),
  "%": floorMod,
  "**": (a, b) => a ** b,
};
const COMPARE = {
  "==": (a, b) => a === b,
  "!=": (a, b) => a !== b,
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
};
const FUNCTIONS = {
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  floor: Math.floor,
  tanh: Math.tanh,
  sin: Math.sin,
  cos: Math.cos,
  max: (a, b) => (larger(a, b) ? b : a),
  min: (a, b) => (larger(-a, -b) ? b : a),
};
const CONSTANTS = { inf: Infinity, pi: Math.PI };
const REDUCTIONS = ["sum", "mean", "max", "min", "prod", "argmax"];

function reduce(kind, parts) {
  if (kind === "sum") return total(parts);
  if (kind === "mean") {
    const sum = total(parts);
    return new Cell(" / ", sum.value / parts.length, [sum, new Cell("number", parts.length)]);
  }
  if (kind === "prod")
    return new Cell(
      "prod",
      parts.reduce((product, part) => product * part.value, 1),
      parts,
    );
  const sign = kind === "min" ? -1 : 1;
  let best = parts[0].value;
  for (const part of parts.slice(1)) if (larger(sign * best, sign * part.value)) best = part.value;
  return new Cell(kind, best, parts);
}

export function ravel(index, shape) {
  let flat = 0;
  for (let axis = 0; axis < index.length; axis++) flat = flat * shape[axis] + index[axis];
  return flat;
}

export function unravel(flat, shape) {
  const index = Array(shape.length);
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index[axis] = flat % shape[axis];
    flat = Math.floor(flat / shape[axis]);
  }
  return index;
}

// The open indices of an expression, in the order they appear; a word that `let` defines opens those it depends on.
function openIndices(node, words, found = new Set(), bound = []) {
  const [kind, ...rest] = node;
  if (kind === "idx" && !bound.includes(rest[0])) found.add(rest[0]);
  if (kind === "name") for (const index of words[rest[0]] ?? []) found.add(index);
  if (REDUCTIONS.includes(kind)) return openIndices(rest[1], words, found, [...bound, ...rest[0]]);
  for (const child of rest) {
    if (!Array.isArray(child)) continue;
    for (const one of Array.isArray(child[0]) ? child : [child]) openIndices(one, words, found, bound);
  }
  return found;
}

// The arrays that an index expression looks up, as the expressions that read them. A sum asks for each of its terms.
const tablesOf = new WeakMap();
function tables(node) {
  if (!Array.isArray(node)) return [];
  if (!tablesOf.has(node)) tablesOf.set(node, [...(node[0] === "read" ? [node] : []), ...node.flatMap(tables)]);
  return tablesOf.get(node);
}

// What `value` says a name is: {shape, data}; a plain number is an array without axes.
const asArray = (value) => (typeof value === "number" ? { shape: [], data: [value] } : value);

export class Cells {
  // `program` as the trace has it; `values` gives every name that it reads: numbers, and {shape, data}.
  constructor(program, values) {
    Object.assign(this, { program, values, known: new Map() });
    this.arrays = new Map(Object.entries(values).map(([name, value]) => [name, asArray(value)]));
    const made = new Set(program.map((statement) => statement.target));
    this.plain = new Map(
      Object.entries(values).filter(([name, value]) => typeof value === "number" && !made.has(name)),
    );
    this.words = program.map((statement) =>
      Object.fromEntries(statement.let.flatMap(([names, expr]) => names.map((name) => [name, openIndices(expr, {})]))),
    );
    this.outer = program.map((statement, k) => {
      const found = new Set();
      for (const node of [...statement.places, ...(statement.scatter ? [statement.expr] : [])])
        this.open(node, k, found);
      return Object.keys(statement.indices).filter((name) => found.has(name));
    });
    // How far indices run, and the words that `let` defines: each as far as the index it is the place of.
    this.sizes = program.map(({ indices, let: defined }) => {
      const words = defined.flatMap(([names, expr]) => names.map((name, axis) => [name, indices[expr[1][axis]]]));
      return { ...indices, ...Object.fromEntries(words) };
    });
  }

  open(node, k, found = new Set()) {
    return openIndices(node, this.words[k], found);
  }

  shape(symbol) {
    return this.program.find((one) => one.target === symbol)?.shape ?? asArray(this.values[symbol]).shape;
  }

  cell(index, result = this.program.at(-1).target) {
    return this.made(result, index, this.program.length);
  }

  // A cell as the statements before this one have left it: the last that fills it, and all that add to it.
  made(symbol, index, before) {
    const key = `${symbol}|${index}|${before}`;
    if (!this.known.has(key)) this.known.set(key, this.make(symbol, index, before));
    return this.known.get(key);
  }

  make(symbol, index, before) {
    let added = [];
    const because = [];
    for (let k = before - 1; k >= 0; k--) {
      const statement = this.program[k];
      if (statement.target !== symbol) continue;
      const turns = this.landings(index, k);
      because.push(...this.deciding(index, k, statement.scatter ? turns : turns.slice(-1)));
      if (statement.scatter) {
        added = [...turns.map((turn) => this.expand(statement.expr, turn, k)), ...added];
      } else if (turns.length) {
        const first = this.expand(statement.expr, turns.at(-1), k);
        return (added.length ? total([first, ...added]) : first).found(because);
      }
    }
    const start = this.given(symbol, index);
    const scattered = this.program.slice(0, before).some((one) => one.target === symbol && one.scatter);
    if (start !== 0 || !scattered) {
      added = [new Cell("read", start, [], symbol, index), ...added];
      if (added.length === 1) return added[0].found(because);
    }
    return total(added).found(because);
  }

  // What was looked at to find where statement k writes: tables of places, and what an argmax was taken of.
  deciding(index, k, turns) {
    const { places, let: defined } = this.program[k],
      found = turns.flatMap((turn) => this.lookedUp(places, turn, k));
    for (const [, [, names, body]] of defined)
      for (const turn of this.rivals(index, k))
        for (const at of this.turns(names, k)) found.push(this.expand(body, { ...turn, ...at }, k));
    return found;
  }

  // The numbers that stand inside index expressions.
  lookedUp(places, at, k) {
    return places.flatMap(tables).map((node) => this.expand(node, at, k));
  }

  // Every turn that would write to this cell if the words of `let` came out for it: the windows that hold a pixel.
  rivals(index, k) {
    const { target, places } = this.program[k],
      themselves = Object.fromEntries(Object.keys(this.words[k]).map((name) => [name, [name]]));
    const open = (place) => openIndices(place, themselves);
    return this.solve(this.flat(target, places, index), k, places, open, (row) => row).map((row) =>
      Object.fromEntries(Object.entries(row).filter(([name]) => !(name in themselves))),
    );
  }

  given(symbol, index) {
    const array = this.arrays.get(symbol);
    return array ? Number(array.data[ravel(index, array.shape)]) : (CONSTANTS[symbol] ?? 0);
  }

  // Where a statement reads or writes: its index expressions as numbers, and `_rest` as the axes it counts through.
  place(symbol, nodes, at, k) {
    const last = nodes.at(-1);
    if (last?.[0] !== "idx" || last[1] !== REST) return nodes.map((node) => this.number(node, at, k));
    const index = nodes.slice(0, -1).map((node) => this.number(node, at, k));
    return [...index, ...unravel(at[REST], this.shape(symbol).slice(index.length))];
  }

  // What statement `before` reads there: given, or made by those before it.
  read(symbol, index, before) {
    let last = before - 1;
    while (last >= 0 && this.program[last].target !== symbol) last--;
    if (last < 0) return new Cell("read", this.given(symbol, index), [], symbol, index);
    const made = this.made(symbol, index, before);
    if (this.program[last].scatter || (made.kind === "read" && made.symbol === symbol)) return made;
    return new Cell("read", made.value, [], symbol, index, made);
  }

  // Nothing keeps `at`: the terms of a sum take turns in one and the same.
  expand(expr, at, k) {
    const kind = expr[0];
    if (kind === "read")
      return this.read(expr[1], this.place(expr[1], expr[2], at, k), k).found(this.lookedUp(expr[2], at, k));
    if (kind in SIGNS) {
      const parts = [this.expand(expr[1], at, k), this.expand(expr[2], at, k)];
      return new Cell(SIGNS[kind], APPLY[kind](parts[0].value, parts[1].value), parts);
    }
    if (REDUCTIONS.includes(kind)) {
      const parts = [],
        inner = { ...at };
      for (const turn of this.turns(expr[1], k)) parts.push(this.expand(expr[2], Object.assign(inner, turn), k));
      return reduce(kind, parts);
    }
    const go = (node) => this.expand(node, at, k),
      rest = expr.slice(1);
    if (kind === "num") return new Cell("number", rest[0]);
    if (kind === "idx") return new Cell("number", at[rest[0]]);
    if (kind === "name") return rest[0] in at ? new Cell("number", at[rest[0]]) : this.read(rest[0], [], k);
    if (kind === "neg") {
      const part = go(rest[0]);
      return new Cell(MINUS, -part.value, [part]);
    }
    if (kind === "if") {
      const test = go(rest[0]);
      return go(test.value ? rest[1] : rest[2]).found([test]);
    }
    if (kind === "cmp") {
      const parts = rest[1].map((part) => go(part));
      const holds = rest[0].every((order, i) => COMPARE[order](parts[i].value, parts[i + 1].value));
      return new Cell(
        "[]",
        holds ? 1 : 0,
        parts,
        rest[0].map((order) => ORDERS[order]),
      );
    }
    const parts = rest[1].map((part) => go(part));
    return new Cell(rest[0], FUNCTIONS[rest[0]](...parts.map((part) => part.value)), parts);
  }

  // Every setting of some indices, the last of them running fastest.
  *turns(names, k) {
    const sizes = names.map((name) => this.sizes[k][name]);
    const count = sizes.reduce((product, size) => product * size, 1);
    for (let flat = 0; flat < count; flat++) {
      const place = unravel(flat, sizes),
        turn = {};
      for (let axis = 0; axis < names.length; axis++) turn[names[axis]] = place[axis];
      yield turn;
    }
  }

  number(node, at, k) {
    const [kind, first] = node;
    if (kind === "idx" || (kind === "name" && first in at)) return at[first];
    if (kind === "num") return first;
    if (kind === "name" && this.plain.has(first)) return this.plain.get(first);
    if (kind in APPLY) return APPLY[kind](this.number(first, at, k), this.number(node[2], at, k));
    if (kind === "if") return this.number(this.number(first, at, k) ? node[2] : node[3], at, k);
    return this.expand(node, at, k).value;
  }

  // Which turns of a statement's loops write to this cell, in the order of the loops.
  landings(index, k) {
    const { target, places } = this.program[k];
    return this.sorted(this.solve(this.flat(target, places, index), k, places), k);
  }

  // A cell's index as the places count it: where they end in `_rest`, its last axes are one.
  flat(symbol, places, index) {
    const last = places.at(-1);
    if (last?.[0] !== "idx" || last[1] !== REST) return index;
    const lead = places.length - 1;
    return [...index.slice(0, lead), ravel(index.slice(lead), this.shape(symbol).slice(lead))];
  }

  sorted(rows, k) {
    const outer = this.outer[k];
    const missing = rows.length ? outer.filter((name) => !(name in rows[0])) : [];
    const all = this.cross(rows, missing, k).map((row) => this.withWords(row, k));
    return all.sort((a, b) => {
      const first = outer.find((name) => a[name] !== b[name]);
      return first === undefined ? 0 : a[first] - b[first];
    });
  }

  // The settings of the indices that give these expressions these values. The table of candidates grows by one place's
  // indices at a time and shrinks at once to those that fit; a place that shares none with the table is solved alone.
  // `openOf` says which indices a place has, `known` what follows from a row.
  solve(wanted, k, places, openOf = (place) => this.open(place, k), known = (row) => this.withWords(row, k)) {
    if (places.length !== wanted.length) return [];
    let table = [{}];
    const waiting = places.map((place, axis) => ({ place, wanted: wanted[axis], open: [...openOf(place)] }));
    while (waiting.length) {
      const missing = ({ open }) => open.filter((name) => !(name in table[0]));
      waiting.sort((a, b) => missing(a).length - missing(b).length);
      const { place, wanted: value, open: own } = waiting.shift();
      const names = missing({ open: own }),
        fits = (row) => this.number(place, known(row), k) === value;
      table =
        names.length < own.length
          ? this.cross(table, names, k).filter(fits)
          : joined(table, this.summand(place, value, names, known, k) ?? this.cross([{}], names, k).filter(fits));
      if (!table.length) return [];
    }
    return table;
  }

  // The settings of a place's indices that give it this value where one is merely added, as c is in f·C + c: the others
  // say what is left for it.
  summand(place, value, names, known, k) {
    const [before, last] = place[0] === "+" ? place.slice(1) : [["num", 0], place];
    if (last[0] !== "idx" || this.open(before, k).has(last[1])) return null;
    return this.cross(
      [{}],
      names.filter((name) => name !== last[1]),
      k,
    ).flatMap((row) => this.fixed([row], last[1], value - this.number(before, known(row), k), k));
  }

  // A row together with the words that `let` defines, as soon as all that they depend on is known.
  withWords(row, k) {
    const { let: defined } = this.program[k];
    if (!defined.length) return row;
    const words = defined.filter(([names]) => [...this.words[k][names[0]]].every((name) => name in row));
    return words.reduce((known, [names, expr]) => {
      const place = this.argmax(expr, row, k);
      return { ...known, ...Object.fromEntries(names.map((name, axis) => [name, place[axis]])) };
    }, row);
  }

  // Where the largest is, the first of equals and of NaN.
  argmax([, names, body], row, k) {
    const key = `${k}|${names}|${[...openIndices(["argmax", names, body], {})].map((name) => row[name])}`;
    if (!this.known.has(key)) {
      let best = null,
        largest = -Infinity;
      for (const turn of this.turns(names, k)) {
        const value = this.number(body, { ...row, ...turn }, k);
        if (best === null || larger(largest, value)) [best, largest] = [names.map((name) => turn[name]), value];
      }
      this.known.set(key, best);
    }
    return this.known.get(key);
  }

  fixed(table, name, wanted, k) {
    const inside = Number.isInteger(wanted) && wanted >= 0 && wanted < this.program[k].indices[name];
    return inside ? table.map((row) => ({ ...row, [name]: wanted })) : [];
  }

  cross(table, names, k) {
    return names.length ? joined(table, [...this.turns(names, k)]) : table;
  }
}

// Every row of one table with every row of another.
const joined = (table, others) => table.flatMap((row) => others.map((other) => ({ ...row, ...other })));
