// The lab: change the image, the kernel, padding, stride and dilation, and see at once what a convolution makes of it.
// Nothing here comes from the trace; every number is recomputed in the browser.
import { largest } from "./colours.js";
import { convolve, windowOf } from "./convolve.js";
import { button, fill, h } from "./dom.js";
import { bracketed, cellNumber, formulaNumber, fullNumber } from "./numbers.js";
import { painted } from "./palette.js";

const MOST = 8; // rows and columns of the image
const KERNELS = {
  identity: [
    [0, 0, 0],
    [0, 1, 0],
    [0, 0, 0],
  ],
  "edges, left to right": [
    [-1, 0, 1],
    [-2, 0, 2],
    [-1, 0, 1],
  ],
  "edges, top to bottom": [
    [-1, -2, -1],
    [0, 0, 0],
    [1, 2, 1],
  ],
  blur: Array.from({ length: 3 }, () => Array(3).fill(1 / 9)),
  sharpen: [
    [0, -1, 0],
    [-1, 5, -1],
    [0, -1, 0],
  ],
};
const square = (size, value) =>
  Array.from({ length: size }, (_, r) => Array.from({ length: size }, (_unused, c) => value(r, c)));
const IMAGES = {
  "a corner": square(MOST, (r, c) => (r > 2 && c > 2 ? 1 : 0)),
  "a slope": square(MOST, (r, c) => (r + c) / 14),
  "a chessboard": square(MOST, (r, c) => (r + c) % 2),
  "one pixel": square(MOST, (r, c) => (r === 3 && c === 4 ? 1 : 0)),
};
const KNOBS = [
  ["size", "Image size", 1, MOST, 8],
  ["kernel", "Kernel size", 1, 5, 3],
  ["padding", "Padding", 0, 3, 0],
  ["stride", "Stride", 1, 4, 1],
  ["dilation", "Dilation", 1, 3, 1],
];

// `start`: {image, kernel} to begin with, numbers in rows, or nothing.
export class Lab {
  constructor(start = {}) {
    this.settings = Object.fromEntries(KNOBS.map(([name, , , , value]) => [name, value]));
    this.useImage(start.image ?? IMAGES["a corner"]);
    this.weights = square(5, () => 0);
    this.at = [0, 0];
    this.formula = h("p", { class: "mono lab-size" });
    this.sum = h("p", { class: "mono lab-sum" });
    this.note = h("p", { class: "lab-note", "aria-live": "polite" });
    this.stage = h("div", { class: "stage" });
    this.inputs = {};
    this.element = h(
      "div",
      { class: "lab" },
      h(
        "p",
        {},
        h("strong", { class: "badge" }, "recomputed in the browser"),
        " Nothing here is taken from the trace.",
      ),
      h(
        "div",
        { class: "knobs" },
        KNOBS.map((knob) => this.knob(...knob)),
        this.choices(start),
      ),
      this.stage,
      this.formula,
      this.sum,
      this.note,
    );
    this.useKernel(start.kernel ?? KERNELS["edges, left to right"]);
    if (start.image) this.turn("size", Math.min(MOST, start.image.length, start.image[0].length));
    this.draw();
  }

  knob(name, label, least, most, value) {
    const shown = h("output", {}, value);
    const input = h("input", {
      type: "range",
      min: least,
      max: most,
      value,
      "data-knob": name,
      oninput: () => {
        this.turn(name, Number(input.value));
        this.draw();
      },
    });
    this.inputs[name] = [input, shown];
    return h("label", {}, `${label} `, input, shown);
  }

  turn(name, value) {
    this.settings[name] = value;
    const [input, shown] = this.inputs[name];
    input.value = value;
    shown.textContent = value;
  }

  choices(start) {
    const choice = (label, table, use) => {
      const select = h(
        "select",
        {
          onchange: () => {
            use(table[select.value]);
            this.draw();
          },
        },
        Object.keys(table).map((name) => h("option", { value: name }, name)),
      );
      return h("label", {}, `${label} `, select);
    };
    const own = (table, one) => (one ? { "the step's own": one, ...table } : table);
    const kernels = choice("Kernel", own(KERNELS, start.kernel), (kernel) => this.useKernel(kernel));
    if (!start.kernel) kernels.querySelector("select").value = "edges, left to right";
    return [choice("Image", own(IMAGES, start.image), (image) => this.useImage(image)), kernels];
  }

  useImage(image) {
    this.image = square(MOST, (r, c) => image[r]?.[c] ?? 0);
  }

  useKernel(kernel) {
    this.turn("kernel", Math.min(5, kernel.length));
    for (let i = 0; i < 5; i++) for (let j = 0; j < 5; j++) this.weights[i][j] = kernel[i]?.[j] ?? 0;
  }

  draw() {
    const { size, kernel, padding, stride, dilation } = this.settings;
    const x = this.image.slice(0, size).map((row) => row.slice(0, size));
    const w = this.weights.slice(0, kernel).map((row) => row.slice(0, kernel));
    const options = { stride: [stride, stride], padding: Array(4).fill(padding), dilation: [dilation, dilation] };
    const made = convolve(x, w, options);
    this.at = [Math.min(this.at[0], Math.max(0, made.OH - 1)), Math.min(this.at[1], Math.max(0, made.OW - 1))];
    const taps = made.OH && made.OW ? windowOf(w, ...this.at, options.stride, options.dilation) : [];
    const held = document.activeElement?.dataset.key;
    fill(
      this.stage,
      this.drawImage(made, taps),
      h("span", { class: "operator" }, "∗"),
      this.drawKernel(w),
      h("span", { class: "operator" }, "="),
      this.drawResult(made, taps),
    );
    this.write(made, taps);
    if (held) this.stage.querySelector(`[data-key="${held}"]`)?.focus();
  }

  table(name, title, rows, cell) {
    const columns = rows[0]?.length ?? 0;
    const head = h(
      "tr",
      {},
      h("td", { class: "corner" }),
      Array.from({ length: columns }, (_, c) => h("th", { scope: "col" }, c)),
    );
    const body = rows.map((row, r) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, r),
        row.map((value, c) => cell(value, r, c)),
      ),
    );
    return h(
      "figure",
      { class: "tensor" },
      h("figcaption", {}, title),
      h(
        "div",
        { class: "scroll" },
        h("table", { class: "cells", "aria-label": name }, h("thead", {}, head), h("tbody", {}, body)),
      ),
    );
  }

  editable(key, value, most, name, change) {
    const input = h("input", {
      class: "number",
      type: "text",
      inputmode: "decimal",
      value: cellNumber(value),
      "data-key": key,
      "aria-label": name,
      title: fullNumber(value),
      onchange: () => {
        const typed = Number(input.value.replace("\u2212", "-").replace(",", "."));
        if (input.value.trim() !== "" && Number.isFinite(typed)) change(typed);
        this.draw();
      },
    });
    const td = h("td", {}, input);
    td.classList.add(painted(value, most));
    return td;
  }

  drawImage({ padded, vertical, horizontal }, taps) {
    const { padding, size } = this.settings;
    const inside = new Set(taps.map(({ row, column }) => `${row},${column}`));
    const most = largest(padded.flat());
    const lost = (r, c) => vertical.unused.includes(r) || horizontal.unused.includes(c);
    const cell = (value, r, c) => {
      const [row, column] = [r - padding, c - padding];
      const border = row < 0 || column < 0 || row >= size || column >= size;
      const td = border
        ? h("td", { class: "hatched", title: "padding" }, "0")
        : this.editable(`x|${row}|${column}`, value, most, `pixel, row ${row}, column ${column}`, (typed) => {
            this.image[row][column] = typed;
          });
      if (border) td.classList.add(painted(0, most));
      if (inside.has(`${r},${c}`)) td.classList.add("in");
      if (lost(r, c)) td.classList.add("unused");
      return td;
    };
    return this.table(
      "image with its padding",
      `x with its border (${padded.length}, ${padded[0].length})`,
      padded,
      cell,
    );
  }

  drawKernel(w) {
    const most = largest(w.flat());
    return this.table("kernel", `w (${w.length}, ${w.length})`, w, (value, i, j) =>
      this.editable(`w|${i}|${j}`, value, most, `weight, row ${i}, column ${j}`, (typed) => {
        this.weights[i][j] = typed;
      }),
    );
  }

  drawResult({ y, OH, OW }) {
    if (!OH || !OW)
      return h("p", { class: "lab-none" }, "The kernel is larger than the padded image: there is no place to put it.");
    const most = largest(y.flat());
    return this.table("result", `y (${OH}, ${OW})`, y, (value, u, v) => {
      const choose = () => {
        this.at = [u, v];
        this.draw();
      };
      const here = u === this.at[0] && v === this.at[1];
      const td = h(
        "td",
        { class: here ? "now" : null },
        button(cellNumber(value), `y[${u},${v}] = ${fullNumber(value)}`, choose, {
          "data-key": `y|${u}|${v}`,
          "aria-pressed": here,
          onpointerenter: () => {
            if (!here) choose();
          },
          onfocus: () => {
            if (!here) choose();
          },
        }),
      );
      td.classList.add(painted(value, most));
      return td;
    });
  }

  write({ OH, OW, vertical, horizontal, y, padded }, taps) {
    const { size, kernel, padding, stride, dilation } = this.settings;
    this.formula.textContent =
      `OH = ⌊(H + pads − dilation·(KH − 1) − 1)/s⌋ + 1 = ⌊(${size} + ${2 * padding} − ` +
      `${dilation}·(${kernel} − 1) − 1)/${stride}⌋ + 1 = ${OH}`;
    const [u, v] = this.at;
    const products = taps.map(({ weight, row, column }) => `${bracketed(padded[row][column])}·${bracketed(weight)}`);
    this.sum.textContent = taps.length ? `y[${u},${v}] = ${products.join(" + ")} = ${formulaNumber(y[u][v])}` : "";
    const count = ({ unused }, word) => `${unused.length} ${word}${unused.length === 1 ? "" : "s"}`;
    const lost = vertical.unused.length || horizontal.unused.length;
    const said = lost
      ? `No window reaches ${count(vertical, "row")} and ${count(horizontal, "column")}; they are greyed.`
      : "Every row and column is reached by a window.";
    this.note.textContent = !OH || !OW ? "No window fits." : said;
  }
}
