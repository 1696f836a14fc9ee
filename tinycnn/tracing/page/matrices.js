// A convolution and its gradients as products of matrices: y = cols·wᵀ + b, dw = dyᵀ·cols, and dx, which lays every row of
// dcols = dy·w back on its window and adds (col2im). What makes the cell in question shares one outline in each of them.
import { ravel } from "./cells.js";
import { largest } from "./colours.js";
import { Columns } from "./columns.js";
import { h } from "./dom.js";

const sign = (text) => h("span", { class: "operator" }, text);
const upTo = (count, make) => Array.from({ length: count }, (_, k) => make(k));

export class Matrices {
  // `stage` draws the figures; `index` is the cell in question.
  constructor(stage, step, index) {
    Object.assign(this, { stage, step, index, trace: stage.player.trace });
    const { result } = step,
      output = this.one(result === "y" ? "y" : "dy").shape,
      weights = this.one(result === "dw" ? "dw" : "w").shape;
    const inGroup = result === "dx" ? weights[1] : weights[0] / (step.names.groups ?? 1);
    this.groupOf = (cell) => Math.floor(cell[result === "dw" ? 0 : 1] / inGroup);
    this.columns = new Columns(step.names, output, weights, this.groupOf(index));
  }

  one(symbol) {
    const { result } = this.stage;
    return symbol === result.symbol ? result : this.step.reads.find((one) => one.symbol === symbol);
  }

  draw(view) {
    const { columns, step, stage, index } = this,
      result = () => stage.resultGrid(step, index);
    const ways = {
      "y im2col": () => [this.image(), sign("→"), this.cols(), sign("→"), result()],
      "y matmul": () => [this.cols(), sign("@"), this.weights(true), sign("+ b ="), this.product(columns.rows, false)],
      "dw im2col": () => [this.image(), sign("→"), this.cols(), sign("→"), result()],
      "dw matmul": () => [this.outputs(true), sign("@"), this.cols(), sign("="), this.product(columns.width, true)],
      "dx matmul": () => [
        this.outputs(false),
        sign("@"),
        this.weights(false),
        sign("="),
        this.scattered(),
        sign("col2im →"),
        result(),
      ],
      "dx im2col": () => [this.scattered(), sign("→"), result()],
    };
    return ways[`${step.result} ${view}`]();
  }

  image() {
    return this.stage.operand(this.one("xp"), this.step);
  }

  // Which [p, k] of the columns make one cell of the result, and which filters.
  made(index) {
    const { columns } = this,
      every = (p) => upTo(columns.width, (k) => [p, k]);
    if (this.step.result === "dx") return columns.entries(columns.padded(index));
    if (this.step.result === "y") return every(columns.outputAt(index)[0]);
    const [, k] = columns.weightAt(index);
    return upTo(columns.rows, (p) => [p, k]);
  }

  madeByFilters(index) {
    if (this.step.result === "dx") return upTo(this.columns.filters, (f) => f);
    return [this.step.result === "y" ? this.columns.outputAt(index)[1] : this.columns.weightAt(index)[0]];
  }

  // A matrix: `entry(row, column)` is the place of `one` that it copies, `part(index)` what makes a cell of the result.
  copy(key, symbol, shape, one, { entry, finds, part, links, title }) {
    const { data } = this.trace.tensor(one.tensor),
      split = (flat) => [Math.floor(flat / shape[1]), flat % shape[1]];
    const at = (flat) => Number(data[ravel(entry(...split(flat)), one.shape)]);
    const most = this.stage.array(one, this.step).most;
    return this.matrix(key, symbol, { shape, role: one.role }, { at, most, title }, part, {
      finds: (other, index) => (other === one.symbol ? finds(index) : []).map((place) => ravel(place, shape)),
      links: (flat) => ({ reads: [{ symbol: one.symbol, index: entry(...split(flat)) }], ...links(...split(flat)) }),
    });
  }

  matrix(key, symbol, one, { at, most, title }, part, links) {
    const alike = (index) => this.groupOf(index) === this.groupOf(this.index);
    const parts = (index) => (alike(index) ? part(index).map((place) => ravel(place, one.shape)) : []),
      own = parts(this.index);
    const marks = new Map(own.map((flat) => [flat, "in"]));
    const figure = this.stage.figure(key, symbol, one, { marks, focus: own[0] ?? 0, at, most }, title);
    const apart = this.step.result === "dx"; // what makes a pixel lies scattered
    Object.assign(this.stage.grids.get(key), { frameMarks: true, apart, parts, ...links });
    return figure;
  }

  cols() {
    const { columns, step } = this,
      filters = [...Array(columns.filters).keys()];
    const fed = (p, k) => filters.map((f) => (step.result === "y" ? columns.output(p, f) : columns.weight(f, k)));
    return this.copy("cols", "cols", [columns.rows, columns.width], this.one("xp"), {
      entry: (p, k) => columns.pixel(p, k),
      finds: (pixel) => columns.entries(pixel),
      part: (index) => this.made(index),
      links: (p, k) => ({ results: fed(p, k) }),
      title: step.result === "y" ? "a row is a window" : "a column is what one weight met",
    });
  }

  // The filters of this group, one a column or one a row.
  weights(turned) {
    const { columns } = this,
      way = ([f, k]) => (turned ? [k, f] : [f, k]);
    const rows = ([, k]) => (turned ? {} : { dcols: upTo(columns.rows, (p) => [p, k]) });
    return this.copy("w|", turned ? "wᵀ" : "w", way([columns.filters, columns.width]), this.one("w"), {
      entry: (r, c) => columns.weight(...way([r, c])),
      finds: (index) => [way(columns.weightAt(index))],
      part: (index) =>
        this.madeByFilters(index).flatMap((f) =>
          [...new Set(this.made(index).map(([, k]) => k))].map((k) => way([f, k])),
        ),
      links: (r, c) => ({ also: rows(way([r, c])) }),
      title: turned ? "a column is a filter" : "a row is a filter",
    });
  }

  // dy with one row a window, or one a filter.
  outputs(turned) {
    const { columns } = this,
      way = ([p, f]) => (turned ? [f, p] : [p, f]);
    const rows = ([p]) => (turned ? {} : { dcols: upTo(columns.width, (k) => [p, k]) });
    return this.copy("dy|", turned ? "dyᵀ" : "dy", way([columns.rows, columns.filters]), this.one("dy"), {
      entry: (r, c) => columns.output(...way([r, c])),
      finds: (index) => [way(columns.outputAt(index))],
      part: (index) =>
        this.madeByFilters(index).flatMap((f) =>
          [...new Set(this.made(index).map(([p]) => p))].map((p) => way([p, f])),
        ),
      links: (r, c) => ({ also: rows(way([r, c])) }),
      title: turned ? "a row is a filter" : "a row is a window",
    });
  }

  // dcols = dy·w, before col2im adds it up.
  scattered() {
    const { columns } = this,
      shape = [columns.rows, columns.width],
      values = this.dcols();
    const links = (flat) => {
      const [p, k] = [Math.floor(flat / columns.width), flat % columns.width];
      const pixel = columns.image(columns.pixel(p, k)),
        inside = pixel.every((place, axis) => place >= 0 && place < this.stage.result.shape[axis]);
      const filters = upTo(columns.filters, (f) => f);
      const also = { "dy|": filters.map((f) => [p, f]), "w|": filters.map((f) => [f, k]) };
      return { reads: [], results: inside ? [pixel] : [], also };
    };
    const options = {
      at: (flat) => values[flat],
      most: largest(values),
      title: "a row is what goes back to one window",
    };
    return this.matrix("dcols", "dcols", { shape, role: "gradient" }, options, (index) => this.made(index), {
      finds: () => [],
      links,
    });
  }

  // Worked out here, once a step: the trace does not hold it.
  dcols() {
    const { columns, stage, step } = this,
      key = `${step.number}|${columns.first.channel}`;
    if (stage.scattered?.key === key) return stage.scattered.values;
    const [dy, w] = ["dy", "w"].map((symbol) => this.trace.tensor(this.one(symbol).tensor)),
      values = new Float64Array(columns.rows * columns.width);
    for (let f = 0; f < columns.filters; f++) {
      const weights = upTo(columns.width, (k) => w.data[ravel(columns.weight(f, k), w.shape)]);
      for (let p = 0; p < columns.rows; p++) {
        const gradient = dy.data[ravel(columns.output(p, f), dy.shape)];
        for (let k = 0; k < columns.width; k++) values[p * columns.width + k] += gradient * weights[k];
      }
    }
    stage.scattered = { key, values };
    return values;
  }

  // The result as the product gives it: of y a row is a window, of dw a row is a filter.
  product(size, ofWeights) {
    const { columns, stage, step } = this,
      one = stage.result,
      { data } = this.trace.tensor(one.tensor);
    const shape = ofWeights ? [columns.filters, size] : [size, columns.filters];
    const place = (flat) => {
      const [r, c] = [Math.floor(flat / shape[1]), flat % shape[1]];
      return ofWeights ? columns.weight(r, c) : columns.output(r, c);
    };
    const flatOf = (index) => ravel(ofWeights ? columns.weightAt(index) : columns.outputAt(index), shape);
    const now = flatOf(this.index),
      key = `=${one.symbol}`;
    const options = {
      focus: now,
      marks: new Map([[now, "now"]]),
      at: (flat) => Number(data[ravel(place(flat), one.shape)]),
      most: stage.array(one, step).most,
      hidden: stage.player.hides ? now : null,
      follows: true,
      onpick: (flat) => stage.player.goTo({ index: place(flat) }),
    };
    const title = ofWeights ? "a row is a filter" : "a row is a window, a column a filter";
    const figure = stage.figure(key, one.symbol, { shape, role: one.role }, options, title);
    Object.assign(stage.grids.get(key), { place, flatOf });
    figure.classList.add("result");
    return figure;
  }
}
