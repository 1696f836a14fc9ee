// The player: where we are in the trace, the keys and controls that move us, and the parts that show it.
import { addressOf, askedFor } from "./address.js";
import { Controls } from "./controls.js";
import { fill, h } from "./dom.js";
import { download, stepAsSvg, svgAsPng } from "./export.js";
import { Lab } from "./lab.js";
import { Maths } from "./maths.js";
import { formulaNumber, fullNumber } from "./numbers.js";
import { Stage } from "./stage.js";
import { Strip } from "./strip.js";
import { ravel, unravel } from "./cells.js";
import { Trace } from "./trace.js";
import { viewsOf } from "./views.js";

const ADDRESS_WAITS = 150; // milliseconds
export class Player {
  constructor(json, root, source) {
    Object.assign(this, {
      trace: new Trace(json),
      root,
      source,
      places: new Map(),
      number: 0,
      view: "window",
      span: "tensor",
    });
    Object.assign(this, { predicting: false, revealed: null, term: null });
    this.live = h("p", { class: "live", "aria-live": "polite" });
    this.strip = new Strip(this.trace, (number) => this.goTo({ number }));
    this.stage = new Stage(this);
    this.maths = new Maths(this);
    this.title = h("h2", { class: "title" });
    this.why = h("p", { class: "why" });
    this.complaint = h("p", { class: "warning complaint", hidden: true });
    this.facts = h("div", { class: "facts" });
    this.readout = h("p", { class: "readout mono" });
    this.code = h(
      "details",
      { class: "code" },
      h("summary", {}, "The code that ran"),
      h("p", { class: "mono" }),
      h("pre", { tabindex: 0, "aria-label": "Source" }),
    );
    this.lab = h("section", { class: "lab-place", hidden: true, "aria-label": "Lab" });
    this.controls = new Controls(this, json);
    fill(
      root,
      this.controls.parts,
      this.complaint,
      this.title,
      this.why,
      this.controls.bar,
      this.stage.element,
      this.readout,
      this.facts,
      this.maths.element,
      this.code,
      this.lab,
      this.live,
    );
    addEventListener("hashchange", () => this.follow(location.hash));
    this.follow(location.hash);
  }

  // ---------------------------------------------------------------- where we are

  get step() {
    return this.trace.steps[this.number];
  }
  get result() {
    return this.trace.result(this.step);
  }
  get index() {
    return this.places.get(this.number) ?? this.result.shape.map(() => 0);
  }
  get recorded() {
    const value = this.result.data[ravel(this.index, this.result.shape)];
    return value === undefined ? undefined : Number(value);
  }
  get addressOfCell() {
    return `${this.number}|${this.index}`;
  }
  get hides() {
    return this.predicting && this.revealed !== this.addressOfCell;
  }
  get size() {
    return this.result.shape.reduce((count, size) => count * size, 1);
  }

  goTo({ number = this.number, index, view = this.view }) {
    this.number = Math.max(0, Math.min(this.trace.steps.length - 1, number));
    this.term = null;
    const { shape } = this.result;
    if (index?.length === shape.length && index.every((i, axis) => i >= 0 && i < shape[axis]))
      this.places.set(this.number, index);
    this.view = view;
    this.complaint.hidden = true;
    this.draw();
  }

  // Goes where an address asks, #s=12&c=0,3,4&v=im2col, or as near as can be, and says what it asked for in vain.
  follow(hash) {
    clearTimeout(this.writing);
    this.followed = hash;
    const { number, index, view, faults } = askedFor(hash, this.trace, this.number);
    this.goTo({ number: number ?? this.number, index, view: view ?? this.view });
    this.complain(faults);
  }

  // A line that stays until the next move.
  complain(faults) {
    this.complaint.textContent = faults.join(" ");
    this.complaint.hidden = !faults.length;
    if (faults.length) this.announce(`${this.complaint.textContent} ${this.live.textContent}`);
  }

  moveCell(by) {
    const flat = ravel(this.index, this.result.shape) + by;
    if (flat >= 0 && flat < this.size) return this.goTo({ index: unravel(flat, this.result.shape) });
    const number = this.number + by;
    if (!this.trace.steps[number]) return this.controls.stop();
    const { shape } = this.trace.result(this.trace.steps[number]);
    return this.goTo({ number, index: by > 0 ? shape.map(() => 0) : shape.map((size) => size - 1) });
  }

  movePhase(by) {
    const { steps } = this.trace,
      { phase } = this.step;
    if (by > 0) {
      const next = steps.find((step) => step.number > this.number && step.phase !== phase);
      return next && this.goTo({ number: next.number });
    }
    const first = (from) =>
      steps.findIndex(
        (step, k) =>
          step.phase === steps[from].phase &&
          k <= from &&
          steps.slice(k, from).every((one) => one.phase === step.phase),
      );
    const start = first(this.number);
    return this.goTo({ number: start < this.number || start === 0 ? start : first(start - 1) });
  }

  // ---------------------------------------------------------------- what is shown

  draw() {
    const { step } = this,
      held = document.activeElement?.dataset?.key;
    const views = viewsOf(step),
      shown = views.includes(this.view) ? this.view : "window";
    this.cell =
      step.program.length && this.trace.whole(step) ? this.trace.cells(step).cell(this.index, step.result) : null;
    const wanted = this.view;
    this.view = shown;
    this.stage.draw();
    this.view = wanted;
    this.maths.draw();
    this.write(step, views, shown);
    this.strip.mark(this.number);
    this.stage.frames();
    if (held) this.root.querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
    this.address(shown);
  }

  // The address follows once the page has settled: browsers allow only so many changes a minute. One that somebody
  // else has changed meanwhile is left: the browser is about to ask us to follow it.
  address(shown) {
    const hash = addressOf(this.number, this.index, shown);
    clearTimeout(this.writing);
    this.writing = setTimeout(() => {
      if (location.hash !== this.followed) return;
      try {
        history.replaceState(null, "", hash);
        this.followed = location.hash;
      } catch {
        /* inside a notebook's frame there is no address */
      }
    }, ADDRESS_WAITS);
  }

  write(step, views, shown) {
    this.title.textContent = step.title;
    this.why.textContent = step.text;
    const marks = [...(step.marks ?? []), step.left_out]
      .filter(Boolean)
      .map((text) => h("p", { class: "warning" }, text));
    fill(this.facts, h("p", { class: "mono" }, step.shape_note), marks);
    this.controls.show(step, views, shown);
    this.point(null);
    this.code.hidden = !step.code.source;
    this.code.children[1].textContent = step.code.file ? `${step.code.file}, line ${step.code.line}` : "";
    this.code.children[2].textContent = step.code.source;
    this.announce(
      this.hides
        ? `${step.title}. What is ${step.result} at ${this.index.join(", ")}?`
        : [step.title, this.maths.told?.text, this.maths.told?.why].filter(Boolean).join(". "),
    );
  }

  announce(text) {
    this.live.textContent = text;
  }

  say(value) {
    return formulaNumber(value);
  }

  // A cell is pointed at, by mouse or by focus: its links light up, its full value is read out.
  point(point) {
    const reads = this.stage.light(point);
    this.maths.light(reads);
    const grid = point && this.stage.grids.get(point.key);
    const hidden = grid && grid.hidden === point.flat;
    this.readout.textContent =
      grid && !hidden ? `${grid.placeName(point.flat)} = ${fullNumber(grid.at(point.flat))}` : this.restingText;
  }

  get restingText() {
    const place = this.index.length ? `${this.step.result}[${this.index.join(",")}]` : this.step.result;
    return this.hides ? `${place} = ?` : `${place} = ${fullNumber(this.recorded)}`;
  }

  // Terms are pointed at: the cells they read light up.
  pointReads(reads) {
    this.stage.light(null);
    this.stage.lightReads(reads);
    this.maths.light(reads);
    if (reads.length === 1) {
      const [{ symbol, index, value }] = reads;
      this.readout.textContent = `${index.length ? `${symbol}[${index}]` : symbol} = ${fullNumber(value)}`;
    }
  }

  // ---------------------------------------------------------------- boxes, the lab, files

  toggle(box) {
    box.hidden = !box.hidden;
  }

  togglePredict() {
    this.predicting = !this.predicting;
    this.revealed = null;
    this.maths.asked = null;
    if (this.predicting && this.maths.element.hidden) this.toggleMaths();
    this.draw();
    if (this.predicting) this.maths.input?.focus();
  }

  toggleMaths() {
    this.toggle(this.maths.element);
    this.draw();
  }

  toggleLab() {
    this.toggle(this.lab);
    if (this.lab.hidden) return;
    fill(this.lab, h("h2", {}, "Lab"), new Lab(this.labStart()).element);
    this.lab.scrollIntoView({ block: "nearest" });
  }

  // The first channel of what this convolution read, and its first kernel, if they are small enough.
  labStart() {
    const rows = (one, most) => {
      if (!one || one.shape.length !== 4 || one.shape[2] > most || one.shape[3] > most) return undefined;
      const { data } = this.trace.tensor(one.tensor),
        [, , height, width] = one.shape;
      return Array.from({ length: height }, (_, r) => [...data.slice(r * width, (r + 1) * width)].map(Number));
    };
    if (!/^conv2d/.test(this.step.op)) return {};
    const { names } = this.step,
      find = (symbol) => this.step.reads.find((one) => one.symbol === symbol);
    const own = typeof names.x === "string" ? { tensor: names.x, shape: this.trace.tensor(names.x).shape } : find("xp");
    const kernel = rows(find("w"), 5);
    return { image: rows(own, 8), kernel: kernel && kernel.length === kernel[0].length ? kernel : undefined };
  }

  cycleView() {
    const views = viewsOf(this.step),
      now = views.indexOf(this.view);
    if (views.length === 1) return this.announce("This step has one view.");
    return this.goTo({ view: views[(Math.max(0, now) + 1) % views.length] });
  }

  async save(kind) {
    const name = `tinycnn-step-${this.number}`;
    if (kind === "json") return download("trace.json", new Blob([this.source], { type: "application/json" }));
    const told = this.maths.told;
    const lines = [
      this.step.text,
      ...this.step.formula.text.split("\n"),
      ...(told && !this.hides ? [told.places, `= ${told.numbers}`, `= ${formulaNumber(told.total)}`] : []),
    ];
    const svg = stepAsSvg(this.step.title, [...this.stage.grids.values()], lines);
    if (kind === "svg") return download(`${name}.svg`, new Blob([svg], { type: "image/svg+xml" }));
    return download(`${name}.png`, await svgAsPng(svg));
  }
}
