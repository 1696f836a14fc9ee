// A convolution of one channel, worked out in the browser for the lab. A test holds it to tinycnn.ops.

// How far the output reaches along one axis, ⌊(size + pads − dilation·(kernel − 1) − 1)/stride⌋ + 1, and `unused`, the
// rows or columns that no window reaches.
export function outputSize(size, kernel, { stride, pads, dilation }) {
  const room = size + pads - dilation * (kernel - 1) - 1;
  const out = room < 0 ? 0 : Math.floor(room / stride) + 1;
  const reached = new Set(
    Array.from({ length: out * kernel }, (_, k) => Math.floor(k / kernel) * stride + (k % kernel) * dilation),
  );
  return { out, unused: [...Array(size + pads).keys()].filter((place) => !reached.has(place)) };
}

// x: H rows of W numbers; w: KH rows of KW. `padding` is [top, bottom, left, right], `stride` and `dilation` are
// [vertical, horizontal]. Returns {y, OH, OW, vertical, horizontal, padded}.
export function convolve(x, w, { stride = [1, 1], padding = [0, 0, 0, 0], dilation = [1, 1], bias = 0 } = {}) {
  const [top, bottom, left, right] = padding;
  const vertical = outputSize(x.length, w.length, { stride: stride[0], pads: top + bottom, dilation: dilation[0] });
  const horizontal = outputSize(x[0].length, w[0].length, {
    stride: stride[1],
    pads: left + right,
    dilation: dilation[1],
  });
  const padded = pad(x, padding);
  const y = [];
  for (let u = 0; u < vertical.out; u++) {
    y.push([]);
    for (let v = 0; v < horizontal.out; v++) {
      let sum = bias;
      for (const { weight, row, column } of windowOf(w, u, v, stride, dilation)) sum += weight * padded[row][column];
      y[u].push(sum);
    }
  }
  return { y, OH: vertical.out, OW: horizontal.out, vertical, horizontal, padded };
}

// The taps of the window of output (u, v): which weight meets which place of the padded image.
export function windowOf(w, u, v, stride, dilation) {
  const place = (i, j) => ({ row: u * stride[0] + i * dilation[0], column: v * stride[1] + j * dilation[1] });
  return w.flatMap((weights, i) => weights.map((weight, j) => ({ weight, i, j, ...place(i, j) })));
}

export function pad(x, [top, bottom, left, right]) {
  const width = x[0].length + left + right;
  const border = (rows) => Array.from({ length: rows }, () => Array(width).fill(0));
  const inner = x.map((row) => [...Array(left).fill(0), ...row, ...Array(right).fill(0)]);
  return [...border(top), ...inner, ...border(bottom)];
}
