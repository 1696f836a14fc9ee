// The stage: operands → operation → result, every array as a table, the cell in question and all it was made from
// outlined, and links by hovering both ways.
import { h } from "./dom.js";
import { Grid } from "./grid.js";
import { Matrices } from "./matrices.js";
import { readers } from "./readers.js";
import { chosen } from "./told.js";
import { ravel, unravel } from "./cells.js";

const LETTERS = { activation: "A", gradient: "G", weight: "W", state: "S", index: "I", label: "L", number: "N" };
const MOST_WINDOWS = 32; // outlines that are drawn at once
const NARROW = 640; // pixels: below, slices do not stand side by side

export class Stage {
  // `player` knows the trace, the step, the cell and what to do when one is pointed at or picked.
  constructor(player) {
    Object.assign(this, { player, grids: new Map(), element: h("div", { class: "stage" }) });
    new ResizeObserver(() => this.element.clientWidth !== this.width && this.frames()).observe(this.element);
  }

  draw() {
    const { step, view, cell, index } = this.player;
    this.grids.clear();
    this.result = this.player.trace.result(step);
    this.reads = cell ? cell.sources : [];
    const parts =
      view === "window" || !cell ? this.windowView(step, index) : new Matrices(this, step, index).draw(view);
    this.element.replaceChildren(...parts);
  }

  // Where the current window, row or cell stands out; all are measured before the first is drawn.
  frames() {
    const framed = [...this.grids.values()].filter((grid) => grid.heat || (grid.frameMarks && !grid.apart));
    for (const grid of framed) grid.dim("window");
    const found = framed.map((grid) => {
      const flats = [...grid.marks.keys()];
      return [
        grid,
        grid.apart ? runs(flats, grid.plan.columns).flatMap((run) => grid.framed(run)) : grid.framed(flats),
      ];
    });
    this.width = this.element.clientWidth;
    for (const [grid, places] of found) places.forEach((place) => grid.box(place, "window"));
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
      { ...this.array(one, step), focus: flats[0] ?? this.beside(one), marks, hatched: this.border(one, step) },
      changed,
    );
    this.grids.get(one.symbol).frameMarks = one.shape.length > 2 && flats.length > 1;
    return figure;
  }

  // Of an array that this cell reads nothing of: its first number in the slice that stands beside the cell's own.
  beside({ shape }) {
    const index = shape.map((size, axis) => (axis < shape.length - 2 ? (this.player.index[axis] ?? 0) : 0));
    const alike = shape.length === this.result.shape.length && index.every((i, axis) => i < shape[axis]);
    return alike ? ravel(index, shape) : 0;
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

  // ---------------------------------------------------------------- links

  // What lights up when a cell is pointed at: {key, symbol, flat}, or nothing. Tells which terms read it.
  light(point) {
    for (const grid of this.grids.values()) ["lit", "windows"].forEach((name) => grid.dim(name));
    if (!point || !this.player.cell) return [];
    const { step, trace } = this.player,
      grid = this.grids.get(point.key);
    if (/^[=+]/.test(point.key)) {
      const index = grid.place ? grid.place(point.flat) : unravel(point.flat, grid.shape);
      this.lightReads(trace.cells(step).cell(index, point.symbol).sources, "lit", true);
      for (const other of this.matrices) other.light(other.parts(index), "lit");
      return [];
    }
    grid.light([point.flat], "lit");
    if (grid.links) return this.lightLinks(grid.links(point.flat));
    const index = unravel(point.flat, grid.shape);
    const found = readers(trace.cells(step), point.symbol, index, step.result);
    this.lightResults(found);
    if (grid.shape.length > 2) this.windows(grid, point, found);
    for (const other of this.matrices) other.light(other.finds(point.symbol, index), "lit");
    return [{ symbol: point.symbol, index }];
  }

  get matrices() {
    return [...this.grids.values()].filter((grid) => grid.links);
  }

  // What an entry of a matrix stands for, what it has a part in, and where else it stands.
  lightLinks({ reads, results, also = {} }) {
    const { trace, step } = this.player;
    this.lightArrays(reads);
    this.lightResults(
      results ?? reads.flatMap(({ symbol, index }) => readers(trace.cells(step), symbol, index, step.result)),
    );
    for (const [key, places] of Object.entries(also)) {
      const other = this.grids.get(key);
      other?.light(
        places.map((place) => ravel(place, other.shape)),
        "lit",
      );
    }
    return reads;
  }

  // Every window that a pixel belongs to, each in a frame of its own.
  windows(grid, { symbol }, lit) {
    const cells = this.player.trace.cells(this.player.step),
      drawn = new Set();
    // one filter is enough to show them
    const plane = lit.filter((one) => one.length < 3 || one[1] === lit[0][1]);
    for (const reader of plane.slice(0, MOST_WINDOWS)) {
      const reads = cells.cell(reader, this.player.step.result).reads.filter((read) => read.symbol === symbol);
      const flats = reads.map((read) => ravel(read.index, grid.shape));
      if (flats.length < 2 || drawn.has(String(flats))) continue;
      drawn.add(String(flats));
      grid.outline(flats, "windows");
    }
  }

  lightReads(reads, name = "lit", framed = false) {
    this.lightArrays(reads, name, framed);
    for (const grid of this.matrices) {
      const found = reads.flatMap(({ symbol, index }) => grid.finds(symbol, index));
      grid.light(
        found.filter((flat) => grid.marks.has(flat)),
        name,
      );
    }
  }

  lightArrays(reads, name = "lit", framed = false) {
    for (const [key, grid] of this.grids) {
      if (/^[=+]/.test(key) || grid.links) continue;
      const flats = reads.filter((read) => read.symbol === key).map((read) => ravel(read.index, grid.shape));
      grid.light(flats, name);
      if (framed && flats.length > 1 && grid.shape.length > 2) grid.outline(flats, "windows");
      else if (grid.heat) flats.forEach((flat) => grid.outline([flat], "windows"));
    }
  }

  lightResults(indices) {
    const grid = this.grids.get(`=${this.result.symbol}`);
    if (!grid) return;
    const flats = indices.map((index) => (grid.flatOf ? grid.flatOf(index) : ravel(index, this.result.shape)));
    grid.light(flats, "lit");
    if (grid.heat) flats.slice(0, MOST_WINDOWS).forEach((flat) => grid.outline([flat], "windows"));
  }
}

// Places of a matrix as runs of neighbours in a row.
function runs(flats, columns) {
  const found = [];
  for (const flat of flats.toSorted((a, b) => a - b))
    if (flat % columns && found.at(-1)?.at(-1) === flat - 1) found.at(-1).push(flat);
    else found.push([flat]);
  return found;
}
