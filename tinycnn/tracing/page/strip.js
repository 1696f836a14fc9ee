// The strip: the forward pass from left to right, the backward pass mirrored under it, then checks and updates; a press
// jumps there.
import { h } from "./dom.js";

const PHASES = ["forward", "backward", "check", "update"];

export class Strip {
  constructor(trace, go) {
    this.buttons = new Map();
    const layers = [],
      known = new Map();
    for (const step of trace.steps) {
      const name = step.layer ?? "";
      if (step.phase === "forward" && !known.has(name)) {
        known.set(name, layers.length);
        layers.push(name);
      }
    }
    for (const { layer } of trace.steps)
      if (!known.has(layer ?? "")) known.set(layer ?? "", layers.push(layer ?? "") - 1);
    const facts = new Map((trace.json.model?.layers ?? []).map((layer) => [layer.path, layer]));
    const cells = PHASES.filter((phase) => trace.steps.some((step) => step.phase === phase)).flatMap((phase, row) =>
      this.row(trace, phase, row + 2, known, go),
    );
    const heads = layers.map((name, column) => this.head(name, facts.get(name), column));
    this.element = h("nav", { class: "strip", "aria-label": "Steps" }, h("div", { class: "strip-grid" }, heads, cells));
  }

  head(name, facts, column) {
    const shape = facts?.output_shape,
      count = facts?.parameters;
    const lines = [
      facts?.kind,
      shape ? `(${shape.join(", ")})` : null,
      count ? `${count.toLocaleString("en")} parameters` : null,
    ];
    return placed(
      h(
        "div",
        { class: "strip-head" },
        h("strong", {}, name || "loss"),
        lines.map((line) => line && h("span", {}, line)),
      ),
      1,
      column + 2,
    );
  }

  row(trace, phase, row, known, go) {
    const label = placed(
      h(
        "div",
        { class: "strip-phase" },
        phase,
        h("span", { "aria-hidden": "true" }, phase === "backward" ? " ←" : " →"),
      ),
      row,
      1,
    );
    const columns = new Map();
    for (const step of trace.steps.filter((one) => one.phase === phase)) {
      const column = known.get(step.layer ?? "") + 2;
      if (!columns.has(column))
        columns.set(column, placed(h("div", { class: `strip-cell phase-${phase}` }), row, column));
      const changed = step.reads.find((one) => one.symbol === step.result);
      const { statistic, weight } = step.options; // which of a batch norm's two it is that follows; what is checked
      const own = phase === "update" && step.op.endsWith("_step") ? changed?.note : weight;
      const short = statistic ? `running ${statistic}` : own?.split(".").at(-1) || step.result;
      const button = h(
        "button",
        { type: "button", title: `${step.number}: ${step.title}`, onclick: () => go(step.number) },
        short,
      );
      this.buttons.set(step.number, button);
      columns.get(column).append(button);
    }
    return [label, ...columns.values()];
  }

  // Marks where we are, and brings it into sight without moving the page.
  mark(number) {
    this.now?.removeAttribute("aria-current");
    this.now = this.buttons.get(number);
    this.now?.setAttribute("aria-current", "step");
    if (!this.now) return;
    const box = this.now.getBoundingClientRect(),
      frame = this.element.getBoundingClientRect();
    if (box.left < frame.left + 90 || box.right > frame.right)
      this.element.scrollLeft += box.left - frame.left - frame.width / 2;
    if (box.top < frame.top || box.bottom > frame.bottom)
      this.element.scrollTop += box.top - frame.top - frame.height / 2;
  }
}

function placed(element, row, column) {
  element.style.setProperty("grid-row", row);
  element.style.setProperty("grid-column", column);
  return element;
}
