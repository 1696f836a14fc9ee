// The mathematics of one cell: the formula, the places it reads, the numbers put in, the result; and how the sum grows.
import { fill, h, mathml } from "./dom.js";
import { bracketed, cellNumber, formulaNumber, fullNumber } from "./numbers.js";
import { cellStep } from "./told.js";

const MOST_MADE = 6;

export class Maths {
  constructor(player) {
    this.player = player;
    this.symbolic = h("div", { class: "symbolic" });
    this.tokens = new Map(); // the span of a term → the cells it reads
    const point = ({ target }) => this.player.pointReads(this.tokens.get(target) ?? []);
    this.lines = h("div", { class: "lines mono", onpointerover: point, onpointerleave: point });
    this.sum = h("div", { class: "accumulator" });
    this.predict = h("form", {
      class: "predict",
      hidden: true,
      onsubmit: (event) => {
        event.preventDefault();
        this.answer();
      },
    });
    this.element = h(
      "section",
      { class: "maths", "aria-label": "Mathematics" },
      this.symbolic,
      this.lines,
      this.predict,
      this.sum,
    );
  }

  // What Python's tr.cell says of this cell, made here, once.
  get told() {
    const { step, cell, index, trace } = this.player;
    if (this.toldOf !== cell) {
      this.toldOf = cell;
      this.known = cell && cellStep(trace.cells(step), step, step.result, index, this.player.recorded);
    }
    return this.known;
  }

  // What the network computed; where that is not kept, what the formula gives.
  get truth() {
    return this.player.recorded ?? this.player.cell?.value;
  }

  draw() {
    const { step, cell, hides } = this.player;
    if (this.shown !== step.number) {
      this.shown = step.number;
      const { mathml: source, where, text } = step.formula;
      fill(
        this.symbolic,
        source ? h("div", { class: "formula", title: text }, mathml(source)) : null,
        where ? h("p", { class: "where" }, `where ${where}`) : null,
      );
    }
    this.tokens.clear();
    if (!cell) return this.wordless();
    const told = this.told,
      place = told.places.slice(0, told.places.indexOf(" = "));
    const result = hides ? "?" : formulaNumber(told.total);
    fill(
      this.lines,
      h("p", { class: "line index-line" }, h("span", { class: "now" }, place), " = ", this.spans(cell, false)),
      h("p", { class: "line numbers-line" }, "= ", this.spans(cell, true)),
      h(
        "p",
        { class: "line result-line" },
        "= ",
        h("output", { class: "now", title: hides ? null : fullNumber(told.total) }, result),
      ),
      told.why && !hides ? h("p", {}, told.why) : null,
      told.made.length && !hides ? this.madeLines(told) : null,
    );
    this.drawSum(told.terms);
    this.drawPredict(told);
  }

  wordless() {
    fill(
      this.lines,
      h(
        "p",
        {},
        this.player.step.program.length
          ? "Its arrays are kept in part, so no cell can be worked out; the trace itself may be smaller, or be asked for more."
          : "No formula is declared for this step; its numbers are as they were recorded.",
      ),
    );
    fill(this.sum);
    this.predict.hidden = true;
  }

  spans(cell, numbers) {
    return cell.tokens(numbers).map(({ text, cells }) => {
      if (!cells.length) return text;
      const span = h("span", { class: "term" }, text);
      this.tokens.set(span, cells);
      return span;
    });
  }

  // Of many the ones that the sum itself reads, and the last.
  madeLines({ made, terms }) {
    const read = new Set(terms.flatMap((term) => term.reads.map((one) => `${one.symbol}|${one.index}`))),
      apart = ({ symbol, index }) => !read.has(`${symbol}|${index}`);
    const first = new Set(
        made
          .toReversed()
          .toSorted((a, b) => apart(a) - apart(b))
          .slice(0, MOST_MADE),
      ),
      lines = made.filter((one) => first.has(one));
    const shown = lines.map(({ symbol, index, places, numbers, value }) => {
      const place = index.length ? `${symbol}[${index.join(",")}]` : symbol,
        text = formulaNumber(value);
      return h(
        "p",
        { class: "line" },
        `${place} = ${places}${numbers === text || numbers === places ? "" : ` = ${numbers}`} = ${text}`,
      );
    });
    const more = made.length > MOST_MADE ? h("p", {}, `and ${made.length - MOST_MADE} more behind these`) : null;
    return h("details", { class: "made", open: made.length <= 3 }, h("summary", {}, "where"), more, shown);
  }

  // Terms whose cell is pointed at elsewhere.
  light(reads) {
    const wanted = new Set(reads.map((read) => `${read.symbol}|${read.index}`)),
      meant = (cell) => wanted.has(`${cell.symbol}|${cell.index}`);
    for (const [span, cells] of this.tokens) span.classList.toggle("lit", wanted.size > 0 && cells.some(meant));
  }

  // before + contribution = after, one term at a time.
  drawSum(terms) {
    const { step, hides } = this.player;
    if (terms.length < 2 || hides) return fill(this.sum);
    const shares = step.program.some((statement) => statement.scatter) && SHARES.find(([ops]) => ops.test(step.op));
    const line = h("p", { class: "mono sum-line" });
    const soFar = (k) =>
      shares && terms.every((term) => term.reads.length)
        ? sharesSoFar(terms, k, shares)
        : `${k} of ${terms.length} terms so far`;
    const sums = [0]; // of a channel's gradient there are thousands of terms
    for (const term of terms) sums.push(sums.at(-1) + term.value);
    const input = h("input", {
      type: "range",
      min: 0,
      max: terms.length,
      "data-key": "term",
      value: Math.min(this.player.term ?? terms.length, terms.length),
      "aria-label": "How much of the sum has been added",
      oninput: () => show(Number(input.value), true),
    });
    const show = (k, lights) => {
      this.player.term = k === terms.length ? null : k;
      const told = soFar(k);
      input.setAttribute("aria-valuetext", told);
      const term = terms[k - 1];
      const share = term && (term.numbers === formulaNumber(term.value) ? bracketed(term.value) : term.numbers);
      const sum = term && `${bracketed(sums[k - 1])} + ${share} = ${formulaNumber(sums[k])}`;
      fill(line, told, h("br"), sum ?? "0: nothing has been added yet");
      if (lights) this.player.pointReads(term ? term.reads : []);
    };
    fill(
      this.sum,
      h("h3", {}, shares ? `${shares[1][0].toUpperCase()}${shares[1].slice(1)} by ${shares[1]}` : "Term by term"),
      h("p", { class: "note" }, `before + ${shares ? `what this ${shares[1]} adds` : "contribution"} = after`),
      h("label", {}, input),
      line,
    );
    show(Number(input.value), false);
  }

  // The result is blank until the learner has said what it is.
  drawPredict(told) {
    this.predict.hidden = !this.player.predicting;
    if (!this.player.predicting) return;
    if (this.asked === told.text) return;
    this.asked = told.text;
    this.input = h("input", {
      type: "text",
      inputmode: "decimal",
      size: 10,
      "data-key": "predict",
      "aria-label": "Your answer",
    });
    this.verdict = h("output", { class: "verdict" });
    const show = h("button", { type: "button", onclick: () => this.reveal("It is") }, "Show it");
    fill(this.predict, h("label", {}, "What is it? ", this.input), h("button", {}, "Check"), show, this.verdict);
  }

  // Right is what rounds to the number that a table would show.
  answer() {
    const text = cellNumber(this.truth),
      typed = this.input.value.trim().replace("\u2212", "-").replace(",", ".");
    const guess = Number(typed.replace("\u221e", "Infinity"));
    const [mantissa, power] = text.replace("\u2212", "-").split("e");
    const decimals = mantissa.includes(".") ? mantissa.split(".")[1].length : 0;
    const half = 0.5 * 10 ** (Number((power ?? "0").replace("\u2212", "-")) - decimals);
    const right = typed !== "" && (guess === this.truth || Math.abs(guess - this.truth) <= half * (1 + 1e-9));
    if (right) return this.reveal("Right:");
    const hint =
      typed === "" || Number.isNaN(guess)
        ? "Write a number, such as \u22120.25."
        : "Not yet. Look at the terms above and try again.";
    this.verdict.textContent = hint;
    this.player.announce(hint);
  }

  reveal(word) {
    this.player.revealed = this.player.addressOfCell;
    this.player.draw();
    this.verdict.textContent = `${word} ${formulaNumber(this.truth)}`;
    this.player.announce(`${this.verdict.textContent}. ${this.told.text}`);
  }
}

// Where shares are scattered: what gives one, and what its second index counts, if a cell gets shares of several.
const SHARES = [
  [/^conv\dd_backward/, "window", "filter"],
  [/^conv_transpose/, "stamp", "channel"],
  [/^upsample/, "output", "channel"],
  [/pool/, "window", "channel"],
];

// How many have given their share after the first k of these terms, of one filter (or channel) after the other.
function sharesSoFar(terms, k, [, giver, second]) {
  const last = terms[Math.max(0, k - 1)],
    scattered = new Set(terms.filter((term) => term.reads[0].symbol === terms.at(-1).reads[0].symbol));
  if (!scattered.has(last)) return `${k} of ${terms.length} terms so far`; // the bias comes first
  const place = (term) => term.reads[0].index[1],
    places = [...new Set([...scattered].map(place))];
  const own = (some) => some.filter((term) => scattered.has(term) && place(term) === place(last)).length;
  const which = `${second} ${place(last)} (${places.indexOf(place(last)) + 1} of ${places.length}): `;
  return `${places.length > 1 ? which : ""}${own(terms.slice(0, k))} of ${own(terms)} ${giver}s so far`;
}
