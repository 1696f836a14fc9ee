// The stage: operands → operation → result, every array as a table, the cell in question and all it was made from
// outlined, and links by hovering both ways. A convolution is also shown as im2col and as one matrix product.
import { largest } from "./colours.js";
import { h } from "./dom.js";
import { Grid } from "./grid.js";
import { chosen } from "./told.js";
import { ravel, unravel } from "./cells.js";

const LETTERS = { activation: "A", gradient: "G", weight: "W", state: "S", index: "I", label: "L", number: "N" };
const MOST_WINDOWS = 32; // outlines that are drawn at once
const NARROW = 640; // pixels: below, slices do not stand side by side

// The ways a step can be looked at.
export function viewsOf(step) {
  return /^conv\dd_forward$/.test(step.op) && step.result === "y" ? ["window", "im2col", "matmul"] : ["window"];
}

export class Stage {
  // `player` knows the trace, the step, the cell and what to do when one is pointed at or picked.
  constructor(player) {
    Object.assign(this, { player, grids: new Map(), element: h("div", { class: "stage" }) });
    new ResizeObserver(() => this.frames()).observe(this.element);
  }

  draw() {
    const { step, view, cell, index } = this.player;
    this.grids.clear();
    this.result = this.player.trace.result(step);
    this.reads = cell ? cell.deepReads : [];
    const parts = view === "window" || !cell ? this.windowView(step, index) : this.matrixView(step, index, view);
    this.element.replaceChildren(...parts);
    this.frames();
  }

  // Where the current window, row or cell stands out.
  frames() {
    for (const grid of this.grids.values()) {
      grid.dim("window");
      if (grid.frameMarks || grid.heat) grid.outline([...grid.marks.keys()], "window");
    }
  }

  windowView(step, index) {
    const operands = step.reads.map((one) => this.operand(one, step));
    const name = step.formula.name || step.op;
    const numbers = this.scalars(step);
    const middle = h(
      "div",
      { class: "operation" },
      h("span", { class: "operator" }, "→"),
      h("span", { class: "mono" }, name),
      numbers ? h("span", { class: "chips" }, numbers) : null,
    );
    const others = step.writes.filter((one) => one.symbol !== step.result).map((one) => this.other(one, step));
    return [...operands, middle, this.resultGrid(step, index), ...others];
  }

  // The plain numbers that the formula reads: s = 2, top = 1.
  scalars(step) {
    const used = new Set(),
      walk = (node) => {
        if (!Array.isArray(node)) return;
        if (node[0] === "name" && typeof node[1] === "string") used.add(node[1]);
        node.forEach(walk);
      };
    for (const statement of step.program) walk([statement.places, statement.expr, statement.let.map((one) => one[1])]);
    const found = [...used].filter((name) => typeof step.names[name] === "number" && /^[a-z]/.test(name));
    return found.length
      ? found.map((name) => h("span", { class: "chip" }, `${name} = ${this.player.say(step.names[name])}`))
      : null;
  }

  figure(key, symbol, one, options, title = "") {
    const grid = new Grid({
      key,
      symbol,
      shape: one.shape,
      ...options,
      onpoint: (flat) => this.player.point(flat === null ? null : { key, symbol, flat }),
      onslice: () => this.frames(),
    });
    this.grids.set(key, grid);
    const letter = LETTERS[one.role] ?? "N";
    return h(
      "figure",
      { class: `tensor role-${one.role}`, "data-tensor": key },
      h(
        "figcaption",
        {},
        h("abbr", { class: "role", title: one.role }, letter),
        " ",
        h("strong", { class: "mono" }, symbol),
        ` (${one.shape.join(", ")})`,
        title ? h("span", { class: "note" }, ` ${title}`) : null,
      ),
      h("div", { class: "scroll" }, grid.element),
    );
  }

  array(one, step) {
    const tensor = this.player.trace.tensor(one.tensor),
      { classes } = this.player.trace.json.model;
    const most = this.player.trace.scale(one, step, this.player.span);
    const names = step.layer === null && one.shape.length === 2 && one.shape[1] === classes?.length ? classes : null;
    return {
      at: (flat) => (flat < tensor.data.length ? Number(tensor.data[flat]) : undefined),
      most,
      whole: tensor.whole,
      names,
      lone: step.phase === "update" || innerWidth < NARROW,
    };
  }

  // What else the step writes: an optimizer's state.
  other(one, step) {
    const flat = this.result.shape.length === one.shape.length ? ravel(this.player.index, one.shape) : 0;
    return this.figure(
      `+${one.symbol}`,
      one.symbol,
      one,
      { ...this.array(one, step), focus: flat, marks: new Map([[flat, "in"]]) },
      "after",
    );
  }

  operand(one, step) {
    const flats = this.flatsOf(one.symbol, one.shape);
    const marks = new Map(flats.map((flat) => [flat, "in"]));
    const winner = this.player.cell && chosen(this.player.cell);
    if (winner !== null && winner !== undefined) {
      const read = this.player.cell.parts[winner].reads[0];
      if (read?.symbol === one.symbol) marks.set(ravel(read.index, one.shape), "in win");
    }
    const changed = one.symbol in step.before ? "before" : one.note;
    const figure = this.figure(
      one.symbol,
      one.symbol,
      one,
      { ...this.array(one, step), focus: flats[0] ?? 0, marks, hatched: this.border(one, step) },
      changed,
    );
    this.grids.get(one.symbol).frameMarks = one.shape.length > 2 && flats.length > 1;
    return figure;
  }

  flatsOf(symbol, shape) {
    return [...new Set(this.reads.filter((read) => read.symbol === symbol).map((read) => ravel(read.index, shape)))];
  }

  // Of a padded image, which places are its border.
  border(one, step) {
    if (!/p$/.test(one.symbol) || one.shape.length < 3) return null;
    const { top, left, H, W } = step.names,
      width = one.shape.at(-1),
      height = one.shape.at(-2);
    return (flat) => {
      const column = flat % width,
        row = Math.floor(flat / width) % height;
      const beside = typeof left === "number" && typeof W === "number" && (column < left || column >= left + W);
      return beside || (typeof top === "number" && typeof H === "number" && (row < top || row >= top + H));
    };
  }

  resultGrid(step, index) {
    const one = this.result;
    const flat = ravel(index, one.shape);
    const key = `=${one.symbol}`;
    const changed = one.symbol in step.after ? "after" : "result";
    const marks = new Map([[flat, "now"]]);
    const figure = this.figure(
      key,
      one.symbol,
      one,
      {
        ...this.array(one, step),
        focus: flat,
        marks,
        hidden: this.player.hides ? flat : null,
        follows: true,
        onpick: (picked) => this.player.goTo({ index: unravel(picked, one.shape) }),
      },
      changed,
    );
    figure.classList.add("result");
    return figure;
  }

  // ---------------------------------------------------------------- a convolution as a matrix product

  // Row p of the columns' matrix is the window of output place p; its products with a filter make one cell of y.
  products(step, position) {
    const { shape } = this.result,
      at = unravel(position, [shape[0], ...shape.slice(2)]);
    const index = [at[0], this.player.index[1], ...at.slice(1)];
    return this.player.trace
      .cells(step)
      .cell(index, step.result)
      .terms.filter((term) => term.kind === "\u00b7");
  }

  matrixView(step, index, view) {
    const { shape } = this.result,
      places = [shape[0], ...shape.slice(2)];
    const rows = places.reduce((count, size) => count * size, 1);
    const here = ravel([index[0], ...index.slice(2)], places);
    const terms = this.products(step, here),
      width = terms.length;
    const known = new Map();
    this.row = (position) => {
      if (!known.has(position))
        known.set(
          position,
          this.products(step, position).map((term) => term.reads[0]),
        );
      return known.get(position);
    };
    const [image, weights] = ["xp", "w"].map((symbol) => step.reads.find((one) => one.symbol === symbol));
    const marks = new Map(Array.from({ length: width }, (_, k) => [here * width + k, "in"]));
    const cols = this.figure(
      "cols",
      "cols",
      { shape: [rows, width], role: "activation" },
      {
        marks,
        focus: here * width,
        at: (flat) => this.row(Math.floor(flat / width))[flat % width].value,
        most: this.array(image, step).most,
        onpick: (flat) => this.player.goTo({ index: this.cellAt(Math.floor(flat / width)) }),
      },
      "a row is a window",
    );
    this.grids.get("cols").frameMarks = true;
    if (view === "im2col")
      return [
        this.operand(image, step),
        h("span", { class: "operator" }, "→"),
        cols,
        h("span", { class: "operator" }, "→"),
        this.resultGrid(step, index),
      ];
    return [
      cols,
      h("span", { class: "operator" }, "@"),
      this.filters(step, weights, terms),
      h("span", { class: "operator" }, "+ b ="),
      this.product(step, here, rows),
    ];
  }

  cellAt(position) {
    const { shape } = this.result,
      at = unravel(position, [shape[0], ...shape.slice(2)]);
    return [at[0], this.player.index[1], ...at.slice(1)];
  }

  // The filters of this group, one a column.
  filters(step, weights, terms) {
    const filters = weights.shape[0],
      { data } = this.player.trace.tensor(weights.tensor);
    const tap = terms.map((term) => term.reads[1].index.slice(1));
    const flat = (k, f) => ravel([f, ...tap[k]], weights.shape);
    const f = this.player.index[1];
    const marks = new Map(tap.map((_, k) => [k * filters + f, "in"]));
    const figure = this.figure(
      "wT",
      "wᵀ",
      { shape: [terms.length, filters], role: "weight" },
      {
        marks,
        focus: f,
        most: this.array(weights, step).most,
        at: (place) => Number(data[flat(Math.floor(place / filters), place % filters)]),
      },
      "a column is a filter",
    );
    this.grids.get("wT").frameMarks = true;
    return figure;
  }

  product(step, here, rows) {
    const { shape, data } = this.result,
      filters = shape[1],
      inside = shape.slice(2).reduce((count, size) => count * size, 1);
    const from = (place) => {
      const position = Math.floor(place / filters),
        f = place % filters;
      return (Math.floor(position / inside) * filters + f) * inside + (position % inside);
    };
    const now = here * filters + this.player.index[1];
    const figure = this.figure(
      "=y",
      "y",
      { shape: [rows, filters], role: "activation" },
      {
        focus: now,
        marks: new Map([[now, "now"]]),
        at: (place) => Number(data[from(place)]),
        most: largest(data),
        hidden: this.player.hides ? now : null,
        follows: true,
        onpick: (place) => this.player.goTo({ index: unravel(from(place), shape) }),
      },
      "a row is a place, a column a filter",
    );
    this.grids.get("=y").from = from;
    figure.classList.add("result");
    return figure;
  }

  // ---------------------------------------------------------------- links

  // What lights up when a cell is pointed at: {key, symbol, flat}, or nothing.
  light(point) {
    for (const grid of this.grids.values()) ["lit", "windows"].forEach((name) => grid.dim(name));
    if (!point || !this.player.cell) return [];
    const { step, trace } = this.player,
      grid = this.grids.get(point.key);
    if (/^[=+]/.test(point.key)) {
      const flat = grid.from ? grid.from(point.flat) : point.flat;
      const cell = trace.cells(step).cell(unravel(flat, grid.from ? this.result.shape : grid.shape), point.symbol);
      this.lightReads(cell.deepReads, "lit", true);
      return [];
    }
    if (point.key === "cols") {
      const width = grid.shape[1],
        read = this.row(Math.floor(point.flat / width))[point.flat % width];
      this.lightReads([read]);
      this.lightResults([this.cellAt(Math.floor(point.flat / width))]);
      return [read];
    }
    if (point.key === "wT") return [];
    const index = unravel(point.flat, grid.shape);
    const readers = trace.cells(step).readers(point.symbol, index, step.result);
    this.lightResults(readers);
    grid.light([point.flat], "lit");
    if (grid.shape.length > 2) this.windows(grid, point, readers);
    this.lightColumns(point, index);
    return [{ symbol: point.symbol, index }];
  }

  // Every window that a pixel belongs to, each in a frame of its own.
  windows(grid, { symbol }, readers) {
    const cells = this.player.trace.cells(this.player.step),
      drawn = new Set();
    // one filter is enough to show them
    const plane = readers.filter((one) => one.length < 3 || one[1] === readers[0][1]);
    for (const reader of plane.slice(0, MOST_WINDOWS)) {
      const reads = cells.cell(reader, this.player.step.result).reads.filter((read) => read.symbol === symbol);
      const flats = reads.map((read) => ravel(read.index, grid.shape));
      if (flats.length < 2 || drawn.has(String(flats))) continue;
      drawn.add(String(flats));
      grid.outline(flats, "windows");
    }
  }

  lightReads(reads, name = "lit", framed = false) {
    for (const [key, grid] of this.grids) {
      if (/^[=+]/.test(key) || key === "cols" || key === "wT") continue;
      const flats = reads.filter((read) => read.symbol === key).map((read) => ravel(read.index, grid.shape));
      grid.light(flats, name);
      if (framed && flats.length > 1 && grid.shape.length > 2) grid.outline(flats, "windows");
      else if (grid.heat) flats.forEach((flat) => grid.outline([flat], "windows"));
    }
  }

  lightResults(indices) {
    const grid = this.grids.get(`=${this.result.symbol}`);
    if (!grid || grid.from) return;
    const flats = indices.map((index) => ravel(index, this.result.shape));
    grid.light(flats, "lit");
    if (grid.heat) flats.slice(0, MOST_WINDOWS).forEach((flat) => grid.outline([flat], "windows"));
  }

  lightColumns({ symbol }, index) {
    const grid = this.grids.get("cols");
    if (!grid) return;
    const shown = [...grid.cells.keys()],
      width = grid.shape[1];
    const same = (read) => read.symbol === symbol && String(read.index) === String(index);
    grid.light(
      shown.filter((flat) => same(this.row(Math.floor(flat / width))[flat % width])),
      "lit",
    );
  }
}
