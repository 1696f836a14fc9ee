// A convolution as a product of matrices: which place of the image, of the filters and of the output an entry stands for.
// Row p of the columns' matrix is window p and its column k is tap k, which meets one weight of each filter. Of several
// groups one is looked at: its channels and its filters.
import { ravel, unravel } from "./cells.js";

const product = (sizes) => sizes.reduce((count, size) => count * size, 1);

export class Columns {
  // `names` as the step has them, the shapes of y (and dy) and of w (and dw), and which group.
  constructor(names, output, weights, group = 0) {
    const axes = output.length - 2,
      groups = names.groups ?? 1;
    this.places = [output[0], ...output.slice(2)];
    this.taps = weights.slice(1);
    this.rows = product(this.places);
    this.width = product(this.taps);
    this.filters = weights[0] / groups;
    this.first = { channel: group * this.taps[0], filter: group * this.filters };
    this.flip = Boolean(names.flip);
    const either = (line, plane) => (axes === 1 ? [names[line]] : plane.map((name) => names[name]));
    this.stride = either("s", ["sv", "sh"]);
    this.dilation = either("d", ["dv", "dh"]);
    this.before = either("left", ["top", "left"]);
  }

  // Where tap k of window p lies in the padded image.
  pixel(p, k) {
    const [n, ...at] = unravel(p, this.places),
      [c, ...tap] = unravel(k, this.taps);
    const place = (u, axis) => u * this.stride[axis] + tap[axis] * this.dilation[axis];
    return [n, this.first.channel + c, ...at.map(place)];
  }

  // Every [p, k] that lies on a pixel of the padded image: one for each window that holds it.
  entries([n, channel, ...at]) {
    const c = channel - this.first.channel,
      found = [];
    if (c < 0 || c >= this.taps[0]) return found;
    for (let k = c * product(this.taps.slice(1)); k < (c + 1) * product(this.taps.slice(1)); k++) {
      const tap = unravel(k, this.taps).slice(1);
      const window = at.map((place, axis) => (place - tap[axis] * this.dilation[axis]) / this.stride[axis]);
      if (window.every((u, axis) => Number.isInteger(u) && u >= 0 && u < this.places[axis + 1]))
        found.push([ravel([n, ...window], this.places), k]);
    }
    return found.sort((a, b) => a[0] - b[0]);
  }

  // A pixel of the image, as the padded image counts it; and back, outside of the image on its border.
  padded([n, c, ...at]) {
    return [n, c, ...at.map((place, axis) => place + this.before[axis])];
  }

  image([n, c, ...at]) {
    return [n, c, ...at.map((place, axis) => place - this.before[axis])];
  }

  // The weight of filter f that tap k meets; and back: [f, k].
  weight(f, k) {
    return [this.first.filter + f, ...this.turned(unravel(k, this.taps))];
  }

  weightAt([f, ...tap]) {
    return [f - this.first.filter, ravel(this.turned(tap), this.taps)];
  }

  turned([c, ...tap]) {
    return [c, ...(this.flip ? tap.map((i, axis) => this.taps[axis + 1] - 1 - i) : tap)];
  }

  // The number of the output that window p and filter f make; and back: [p, f].
  output(p, f) {
    const [n, ...at] = unravel(p, this.places);
    return [n, this.first.filter + f, ...at];
  }

  outputAt([n, f, ...at]) {
    return [ravel([n, ...at], this.places), f - this.first.filter];
  }
}
