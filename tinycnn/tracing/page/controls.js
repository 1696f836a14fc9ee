// What the player is steered by: buttons, slider, keys, the address box, and the clock that plays.
import { askedFor } from "./address.js";
import { button, h } from "./dom.js";
import { formulaNumber } from "./numbers.js";
import { viewName } from "./views.js";

const SPEEDS = [0.5, 1, 2, 4, 8]; // cells a second
const SPANS = ["tensor", "layer", "trace"];
const KEYS = [
  ["← →", "the cell before, the next"],
  ["Shift + ← →", "the layer step before, the next"],
  ["Page Up, Page Down", "the phase before, the next"],
  ["Home, End", "the first step, the last"],
  ["Space", "play and pause"],
  ["[ ]", "slower, faster"],
  ["G", "go to a step or a cell"],
  ["M", "show or hide the mathematics"],
  ["I", "window by window, or as matrices"],
  ["P", "predict the result yourself"],
  ["L", "the lab"],
  ["?", "this help"],
  ["Esc", "out of a table or a box"],
];

export class Controls {
  constructor(player, json) {
    Object.assign(this, { player, trace: player.trace, speed: 1, timer: null, hovered: false });
    this.parts = [this.header(json), player.strip.element, this.movers(), this.goForm(), this.helpBox()];
    this.bar = this.viewBar();
    player.root.addEventListener("keydown", (event) => this.key(event));
    player.stage.element.addEventListener("pointerenter", () => {
      this.hovered = true;
    });
    player.stage.element.addEventListener("pointerleave", () => {
      this.hovered = false;
    });
  }

  // The controls after a move: where we are, and which view is pressed.
  show(step, views, shown) {
    const where = `${step.number} of ${this.trace.steps.length - 1}`;
    this.count.textContent = `step ${where} · ${step.phase} · ${step.layer ?? "loss"}`;
    this.slider.value = step.number;
    this.slider.setAttribute("aria-valuetext", `step ${where}, ${step.phase}, ${step.title}`);
    for (const [view, one] of this.viewButtons) {
      one.hidden = views.length === 1;
      one.textContent = viewName(view, step);
      one.setAttribute("aria-pressed", view === shown);
    }
    this.predictButton.setAttribute("aria-pressed", this.player.predicting);
    this.mathsButton.setAttribute("aria-pressed", !this.player.maths.element.hidden);
  }

  header(json) {
    const save = (kind) => () => this.player.save(kind);
    return h(
      "header",
      {},
      h("h1", {}, document.title),
      h("span", { class: "note" }, this.summary(json).join(" · ")),
      h(
        "span",
        { class: "buttons" },
        button("SVG", "Save this step as SVG", save("svg")),
        button("PNG", "Save this step as PNG", save("png")),
        button("JSON", "Save the trace as JSON", save("json")),
        button("Lab", "Change a convolution and watch (L)", () => this.player.toggleLab(), { "data-key": "lab" }),
        button("?", "Keys (?)", () => this.player.toggle(this.help), { "aria-label": "Help" }),
      ),
    );
  }

  // What ran, in a line: the class of the example, the loss before and after, the sizes.
  summary({ model, example }) {
    const label = example.y && example.examples === 1 ? this.trace.tensor(example.y).data : [];
    const place = label.length === 1 ? Number(label[0]) : label.indexOf(1);
    const change = example.loss_after === undefined ? "" : ` → ${formulaNumber(example.loss_after ?? NaN)}`;
    return [
      model.classes?.[place] !== undefined
        ? `class ${model.classes[place]}`
        : `${example.examples} example${example.examples === 1 ? "" : "s"}`,
      example.loss === undefined ? "" : `loss ${formulaNumber(example.loss ?? NaN)}${change}`,
      `${model.parameters.toLocaleString("en")} parameters`,
      model.optimizer ?? "",
    ].filter(Boolean);
  }

  movers() {
    this.count = h("output", { class: "count" });
    this.slider = h("input", {
      type: "range",
      min: 0,
      max: this.trace.steps.length - 1,
      "aria-label": "Step",
      "data-key": "slider",
      oninput: () => this.player.goTo({ number: Number(this.slider.value) }),
    });
    this.playButton = button("▶ Play", "Play (Space)", () => (this.timer ? this.stop() : this.play()), {
      class: "play",
    });
    this.rate = h("output", {}, `${this.speed} cells/s`);
    const move = (text, title, action) => button(text, title, action, { "aria-label": title });
    return h(
      "div",
      { class: "controls", role: "group", "aria-label": "Controls" },
      move("⇤", "Phase before (Page Up)", () => this.player.movePhase(-1)),
      move("«", "Layer step before (Shift+←)", () => this.player.goTo({ number: this.player.number - 1 })),
      move("‹", "Cell before (←)", () => this.player.moveCell(-1)),
      this.playButton,
      move("›", "Next cell (→)", () => this.player.moveCell(1)),
      move("»", "Next layer step (Shift+→)", () => this.player.goTo({ number: this.player.number + 1 })),
      move("⇥", "Next phase (Page Down)", () => this.player.movePhase(1)),
      this.slider,
      this.count,
      h(
        "span",
        { class: "speed" },
        move("−", "Slower ([)", () => this.faster(-1)),
        this.rate,
        move("+", "Faster (])", () => this.faster(1)),
      ),
    );
  }

  viewBar() {
    this.viewButtons = new Map(
      ["window", "im2col", "matmul"].map((view) => [
        view,
        button(view, `Show as ${view} (I)`, () => this.player.goTo({ view })),
      ]),
    );
    this.predictButton = button("Predict", "Work the result out yourself (P)", () => this.player.togglePredict(), {
      "aria-pressed": false,
    });
    this.mathsButton = button("Mathematics", "Show or hide the mathematics (M)", () => this.player.toggleMaths(), {
      "aria-pressed": true,
    });
    const scale = h(
      "select",
      {
        "data-key": "scale",
        onchange: () => {
          this.player.span = scale.value;
          this.player.draw();
        },
      },
      SPANS.map((span) => h("option", {}, span)),
    );
    return h(
      "div",
      { class: "views" },
      [...this.viewButtons.values()],
      this.predictButton,
      this.mathsButton,
      h("label", {}, "Colours by ", scale),
    );
  }

  goForm() {
    this.goInput = h("input", {
      type: "text",
      size: 14,
      placeholder: "12 or 12: 0,3,4",
      "aria-label": "Step number, or step: cell",
    });
    this.go = h(
      "form",
      {
        class: "go",
        hidden: true,
        onsubmit: (event) => {
          event.preventDefault();
          this.goWhereAsked();
        },
      },
      h("label", {}, "Go to step ", this.goInput),
      h("button", {}, "Go"),
    );
    return this.go;
  }

  // "12" or "12: 0,3,4", read as the address is; the box stays open until it names what is there.
  goWhereAsked() {
    const [step, cell] = this.goInput.value.split(":").map((text) => text.replaceAll(" ", ""));
    const { number, index, faults } = askedFor(`s=${step}${cell ? `&c=${cell}` : ""}`, this.trace, this.player.number);
    if (faults.length) return this.player.complain(faults.map((fault) => fault.replace(/ This is step .*/, "")));
    this.go.hidden = true;
    this.player.goTo({ number, index });
    return this.player.root.focus();
  }

  helpBox() {
    const rows = KEYS.map(([keys, what]) =>
      h("tr", {}, h("th", { scope: "row" }, h("kbd", {}, keys)), h("td", {}, what)),
    );
    this.help = h(
      "section",
      { class: "help", hidden: true, "aria-label": "Keys" },
      h("table", {}, h("tbody", {}, rows)),
      h(
        "p",
        {},
        "Point at a cell, a term or a pixel to see what belongs together. Arrow keys walk through a table once one of " +
          "its cells has the focus.",
      ),
    );
    return this.help;
  }

  play() {
    this.playButton.textContent = "❚❚ Pause";
    clearInterval(this.timer);
    this.timer = setInterval(() => {
      if (!this.hovered) this.player.moveCell(1);
    }, 1000 / this.speed);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.playButton.textContent = "▶ Play";
  }

  faster(by) {
    this.speed = SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, SPEEDS.indexOf(this.speed) + by))];
    this.rate.textContent = `${this.speed} cells/s`;
    if (this.timer) this.play();
  }

  ask() {
    this.player.toggle(this.go);
    this.goInput.value = "";
    if (!this.go.hidden) this.goInput.focus();
  }

  escape() {
    this.go.hidden = this.help.hidden = true;
    this.player.root.focus();
  }

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
    const { target, key } = event,
      type = target.matches("input") ? target.type : target.localName;
    if (key === "Escape") return this.escape();
    if (
      type === "text" ||
      (["range", "select"].includes(type) && key.length > 1) ||
      (key === " " && ["button", "summary"].includes(type))
    )
      return;
    const letters = {
      g: () => this.ask(),
      m: () => this.player.toggleMaths(),
      i: () => this.player.cycleView(),
      p: () => this.player.togglePredict(),
      l: () => this.player.toggleLab(),
      "?": () => this.player.toggle(this.help),
      "[": () => this.faster(-1),
      "]": () => this.faster(1),
      " ": () => (this.timer ? this.stop() : this.play()),
    };
    const places = {
      PageUp: () => this.player.movePhase(-1),
      PageDown: () => this.player.movePhase(1),
      Home: () => this.player.goTo({ number: 0 }),
      End: () => this.player.goTo({ number: this.trace.steps.length - 1 }),
      ArrowLeft: () =>
        event.shiftKey ? this.player.goTo({ number: this.player.number - 1 }) : this.player.moveCell(-1),
      ArrowRight: () =>
        event.shiftKey ? this.player.goTo({ number: this.player.number + 1 }) : this.player.moveCell(1),
    };
    const action = letters[key.toLowerCase()] ?? places[key];
    if (!action) return;
    event.preventDefault();
    action();
  }
}
