// An array as a table one can read and walk through: numbers up to 12×12, a heat map with a loupe up to 64×64, and of
// what is larger the first and last five, with an ellipsis.
import { colour } from "./colours.js";
import { h } from "./dom.js";
import { cellNumber } from "./numbers.js";
import { painted } from "./palette.js";

export const MOST_NUMBERS = 12,
  MOST_HEAT = 64,
  ENDS = 5;
const LEFT_OUT = "·"; // a number that the trace does not keep
const LOUPE = 7,
  SMALL_LOUPE = 5,
  SIDE_BY_SIDE = 4,
  MOST_BESIDE = 128,
  HEAT_PIXELS = 320;

// Rows and columns of the last two axes; what stands before them is one slice each.
export function layout(shape) {
  const [rows, columns] = shape.length > 1 ? shape.slice(-2) : [1, shape[0] ?? 1];
  const lead = shape.slice(0, -2);
  return { rows, columns, lead, slices: lead.reduce((count, size) => count * size, 1) };
}

// Which of `size` places are shown: all, or the first and last five with null for what lies between.
export function shownPlaces(size, most = MOST_NUMBERS) {
  const all = [...Array(size).keys()];
  return size <= most ? all : [...all.slice(0, ENDS), null, ...all.slice(-ENDS)];
}

function around(centre, size, wide) {
  if (size <= MOST_NUMBERS && wide > SMALL_LOUPE) return shownPlaces(size);
  const first = Math.max(0, Math.min(centre - (wide >> 1), size - wide));
  return [...Array(Math.min(wide, size)).keys()].map((k) => first + k);
}

// One array. `options`: {key (its own among all), symbol, shape, at(flat place) → number, most, whole, focus (a flat
// place), marks (flat place → classes), lone (one slice at a time), names (of the columns), hatched(flat), hidden (a
// flat place), follows (walking picks), onpoint(flat or null), onpick(flat)}.
export class Grid {
  constructor(options) {
    Object.assign(this, { marks: new Map(), focus: 0, slice: null, whole: false, ...options });
    this.plan = layout(this.shape);
    Object.assign(this, { cells: new Map(), boxes: [], shining: new Map() });
    this.element = h("div", { class: "grid-body" });
    this.draw();
  }

  get inSlice() {
    return this.plan.rows * this.plan.columns;
  }

  get big() {
    return this.plan.rows > MOST_NUMBERS || this.plan.columns > MOST_NUMBERS;
  }

  get heat() {
    const { rows, columns } = this.plan;
    return this.big && rows > 1 && columns > 1 && rows <= MOST_HEAT && columns <= MOST_HEAT;
  }

  // Few small slices stand side by side; else one is shown and a slider picks it.
  get shownSlices() {
    if (!this.lone && this.plan.slices <= SIDE_BY_SIDE && this.plan.slices * this.inSlice <= MOST_BESIDE)
      return [...Array(this.plan.slices).keys()];
    return [this.slice ?? Math.floor(this.focus / this.inSlice)];
  }

  sliceName(slice) {
    if (this.plan.slices === 1) return "";
    const index = [];
    for (const size of [...this.plan.lead].reverse()) {
      index.unshift(slice % size);
      slice = Math.floor(slice / size);
    }
    return `${this.symbol}[${index.join(",")}]`;
  }

  draw() {
    this.cells.clear();
    const parts = this.shownSlices.map((slice) => this.drawSlice(slice));
    const panes = h("div", { class: "panes" }, parts);
    this.element.replaceChildren(...(this.plan.slices > this.shownSlices.length ? [this.slider()] : []), panes);
  }

  slider() {
    const now = this.shownSlices[0];
    const text = h("output", {}, this.sliceName(now));
    const input = h("input", {
      type: "range",
      min: 0,
      max: this.plan.slices - 1,
      value: now,
      "aria-label": `Slice of ${this.symbol}`,
      "aria-valuetext": this.sliceName(now),
      "data-key": `${this.key}|slice`,
      oninput: () => {
        this.slice = Number(input.value);
        text.textContent = this.sliceName(this.slice);
        input.setAttribute("aria-valuetext", this.sliceName(this.slice));
        this.cells.clear();
        this.element.querySelector(".panes").replaceChildren(this.drawSlice(this.slice));
        this.onslice?.();
      },
    });
    return h("label", { class: "slice" }, input, text);
  }

  drawSlice(slice) {
    const { rows, columns } = this.plan;
    const name = this.sliceName(slice);
    const caption = name && this.shownSlices.length > 1 ? h("div", { class: "slice-name" }, name) : null;
    const focus = Math.floor(this.focus / this.inSlice) === slice ? this.focus % this.inSlice : 0;
    const [row, column] = [Math.floor(focus / columns), focus % columns];
    if (!this.big)
      return h("div", { class: "pane" }, caption, this.table(slice, shownPlaces(rows), shownPlaces(columns)));
    const loupe = () => this.loupe(slice, row, column);
    if (this.heat)
      return h("div", { class: "pane" }, caption, h("div", { class: "heat" }, this.canvas(slice), loupe()));
    const ends = this.table(slice, shownPlaces(rows), shownPlaces(columns));
    const hidden = (place, size) => size > MOST_NUMBERS && place >= ENDS && place < size - ENDS;
    const near = hidden(row, rows) || hidden(column, columns) ? loupe() : null;
    return h("div", { class: "pane" }, caption, ends, near);
  }

  loupe(slice, row, column) {
    const { rows, columns } = this.plan;
    const holder = h("div", { class: "loupe" }),
      wide = this.lone ? SMALL_LOUPE : LOUPE;
    this.recentre = (r, c) => {
      const table = this.table(slice, around(r, rows, wide), around(c, columns, wide), true);
      holder.replaceChildren(
        h("div", { class: "slice-name" }, `around ${this.placeName(slice * this.inSlice + r * columns + c)}`),
        table,
      );
    };
    this.recentre(row, column);
    return holder;
  }

  table(slice, rows, columns, walks = false) {
    const head = h(
      "tr",
      {},
      h("td", { class: "corner" }),
      columns.map((c) => h("th", { scope: "col" }, c === null ? "…" : (this.names?.[c] ?? c))),
    );
    const shown = [],
      cell = (r, c) => shown[shown.push(this.cell(slice, r, c)) - 1];
    const body = rows.map((r) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, r === null ? "⋮" : r),
        columns.map((c) => (r === null || c === null ? h("td", { class: "gap" }, "…") : cell(r, c))),
      ),
    );
    const table = h(
      "table",
      { class: "cells", role: "grid", "aria-label": `${this.symbol} ${this.sliceName(slice)}`.trim() },
      h("thead", {}, head),
      h("tbody", {}, body),
    );
    const home = this.cells.get(this.focus)?.find((td) => shown.includes(td)) ?? shown[0];
    if (home) home.tabIndex = 0;
    const at = (event) => {
      const td = event.target.closest("td[data-flat]");
      return td ? Number(td.dataset.flat) : null;
    };
    for (const name of ["pointerover", "focusin"]) table.addEventListener(name, (event) => this.onpoint?.(at(event)));
    for (const name of ["pointerleave", "focusout"]) table.addEventListener(name, () => this.onpoint?.(null));
    table.addEventListener("click", (event) => at(event) !== null && this.onpick?.(at(event)));
    table.addEventListener("keydown", (event) => this.walk(event, table, walks));
    return table;
  }

  placeName(flat) {
    const index = [];
    for (const size of [...this.shape].reverse()) {
      index.unshift(flat % size);
      flat = Math.floor(flat / size);
    }
    return index.length ? `${this.symbol}[${index.join(",")}]` : this.symbol;
  }

  cell(slice, row, column) {
    const flat = slice * this.inSlice + row * this.plan.columns + column;
    const value = this.at(flat);
    const blank = this.hidden === flat;
    const td = document.createElement("td");
    td.textContent = blank ? "?" : value === undefined ? LEFT_OUT : cellNumber(value, this.whole);
    td.setAttribute("tabindex", -1);
    td.setAttribute("data-flat", flat);
    td.setAttribute("data-key", `${this.key}|${flat}`);
    const classes = [
      this.marks.get(flat),
      this.hatched?.(flat) ? "hatched" : "",
      blank || value === undefined ? "" : painted(value, this.most),
    ];
    td.className = classes.filter(Boolean).join(" ");
    const known = this.cells.get(flat);
    this.cells.set(flat, known ? [...known, td] : [td]);
    return td;
  }

  // Arrow keys move from cell to cell; a loupe moves along when its edge is reached.
  walk(event, table, walks) {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    const here = event.target.closest("td[data-flat]");
    if (!step || !here || event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    const { rows, columns } = this.plan;
    const flat = Number(here.dataset.flat);
    const slice = Math.floor(flat / this.inSlice);
    const row = Math.floor((flat % this.inSlice) / columns) + step[0],
      column = (flat % columns) + step[1];
    if (row < 0 || row >= rows || column < 0 || column >= columns) return;
    const wanted = slice * this.inSlice + row * columns + column;
    const find = (place) => place.querySelector(`td[data-flat="${wanted}"]`);
    let target = find(table);
    if (!target && walks) {
      this.recentre(row, column);
      target = find(this.element.querySelector(".loupe"));
    }
    if (!target) {
      const [dr, dc] = step; // over the ellipsis
      const cells = [...table.querySelectorAll("td[data-flat]")].filter((td) => {
        const other = Number(td.dataset.flat) % this.inSlice;
        const [r, c] = [Math.floor(other / columns), other % columns];
        return dr ? c === column && Math.sign(r - row) === dr : r === row && Math.sign(c - column) === dc;
      });
      target = dr + dc > 0 ? cells[0] : cells.at(-1);
    }
    target?.focus();
    if (target && this.follows) this.onpick(Number(target.dataset.flat));
  }

  canvas(slice) {
    const { rows, columns } = this.plan;
    const side = Math.max(4, Math.floor(HEAT_PIXELS / Math.max(rows, columns)));
    const canvas = h("canvas", {
      width: columns,
      height: rows,
      role: "img",
      "aria-label": `Heat map of ${this.symbol} ${this.sliceName(slice)}; the table beside it holds the numbers`,
    });
    canvas.style.setProperty("width", `${columns * side}px`);
    const pen = canvas.getContext("2d", { willReadFrequently: true }),
      picture = pen.createImageData(columns, rows);
    for (let k = 0; k < this.inSlice; k++) {
      colour(this.at(slice * this.inSlice + k) ?? NaN, this.most, picture.data, 4 * k);
      picture.data[4 * k + 3] = 255;
    }
    pen.putImageData(picture, 0, 0);
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      const column = Math.min(columns - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * columns)));
      const row = Math.min(rows - 1, Math.max(0, Math.floor(((event.clientY - box.top) / box.height) * rows)));
      return [row, column, slice * this.inSlice + row * columns + column];
    };
    let last = null;
    canvas.addEventListener("pointermove", (event) => {
      const [row, column, flat] = at(event);
      if (flat === last) return;
      last = flat;
      this.recentre(row, column);
      this.onpoint?.(flat);
    });
    canvas.addEventListener("pointerleave", () => {
      last = null;
      this.onpoint?.(null);
    });
    canvas.addEventListener("click", (event) => this.onpick?.(at(event)[2]));
    return canvas;
  }

  // Light cells up for as long as something is pointed at.
  light(flats, name) {
    const cells = flats.flatMap((flat) => this.cells.get(flat) ?? []);
    for (const td of cells) td.classList.add(name);
    this.shining.set(name, [...(this.shining.get(name) ?? []), ...cells]);
  }

  dim(name) {
    for (const td of this.shining.get(name) ?? []) td.classList.remove(name);
    this.shining.delete(name);
    for (const box of this.boxes.filter((one) => one.classList.contains(name))) box.remove();
    this.boxes = this.boxes.filter((box) => box.isConnected);
  }

  // One outline in each slice around all these cells that are on show, laid over the table or the heat map.
  outline(flats, name) {
    this.framed(flats).forEach((place) => this.box(place, name));
  }

  // Where these outlines belong. Nothing is changed while it is measured: that would lay the page out once for each.
  framed(flats) {
    const home = this.element.getBoundingClientRect(),
      canvas = this.element.querySelector("canvas");
    return this.shownSlices
      .map((slice) => flats.filter((flat) => Math.floor(flat / this.inSlice) === slice))
      .map((own) => own.map((flat) => this.frame(flat, canvas)))
      .map((frames) => frames.filter(Boolean))
      .filter((frames) => frames.length)
      .map((frames) => {
        const edge = (pick, which) => pick(...frames.map((frame) => frame[which]));
        const [left, top] = [edge(Math.min, "left"), edge(Math.min, "top")];
        const [width, height] = [edge(Math.max, "right") - left, edge(Math.max, "bottom") - top];
        return { left: left - home.left, top: top - home.top, width, height };
      });
  }

  box(place, name) {
    const box = h("div", { class: `box ${name}` });
    for (const [property, pixels] of Object.entries(place)) box.style.setProperty(property, `${pixels}px`);
    this.boxes.push(box);
    this.element.append(box);
  }

  frame(flat, canvas) {
    if (!canvas) return this.cells.get(flat)?.[0].getBoundingClientRect();
    const place = flat - this.shownSlices[0] * this.inSlice;
    if (place < 0 || place >= this.inSlice) return null;
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const [across, down] = [width / this.plan.columns, height / this.plan.rows];
    const [row, column] = [Math.floor(place / this.plan.columns), place % this.plan.columns];
    return {
      left: left + column * across,
      top: top + row * down,
      right: left + (column + 1) * across,
      bottom: top + (row + 1) * down,
    };
  }
}
