// What is on the page as a file: the step as SVG or PNG, the trace as JSON.
import { colour, css, ink } from "./colours.js";
import { cellNumber } from "./numbers.js";

const WIDE = 52,
  HIGH = 24,
  GAP = 28,
  MARGIN = 20,
  LINE = 18,
  MOST_LETTERS = 110;
const escaped = (text) => String(text).replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
const written = (x, y, text, more = "") => `<text x="${x}" y="${y}" ${more}>${escaped(text)}</text>`;

// The step as the stage shows it: every table side by side, the formula's lines under them.
export function stepAsSvg(title, grids, lines) {
  let x = MARGIN,
    bottom = 0;
  const parts = [];
  for (const grid of grids) {
    const drawn = drawGrid(grid, x, MARGIN + 2 * LINE);
    parts.push(drawn.svg);
    x = drawn.right + GAP;
    bottom = Math.max(bottom, drawn.bottom);
  }
  const wrapped = lines.flatMap(wrap);
  const text = wrapped.map((line, k) => written(MARGIN, bottom + GAP + k * LINE, line));
  const width = Math.max(x, MARGIN * 2 + 7.3 * Math.max(title.length * 1.15, ...wrapped.map((line) => line.length)));
  const height = bottom + GAP + wrapped.length * LINE + MARGIN;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${Math.ceil(width)}" height="${Math.ceil(height)}" ` +
    `viewBox="0 0 ${Math.ceil(width)} ${Math.ceil(height)}" font-size="12" ` +
    'font-family="ui-monospace, DejaVu Sans Mono, monospace"><rect width="100%" height="100%" fill="#fff"/>' +
    written(MARGIN, MARGIN + 4, title, 'font-size="14" font-weight="bold"') +
    `${parts.join("")}${text.join("")}</svg>`
  );
}

function wrap(line) {
  const found = [""];
  for (const word of line.split(/(?<= )/)) {
    if ((found.at(-1) + word).length > MOST_LETTERS) found.push("    ");
    found[found.length - 1] += word;
  }
  return found;
}

function drawGrid(grid, left, top) {
  const { rows, columns } = grid.plan;
  const numbers = !grid.heat,
    side = numbers ? [WIDE, HIGH] : [8, 8];
  const shown = (size) =>
    numbers && size > 12
      ? [...Array(5).keys(), null, ...Array.from({ length: 5 }, (_, k) => size - 5 + k)]
      : [...Array(size).keys()];
  const [down, across] = [shown(rows), shown(columns)];
  const svg = [written(left, top - 6, `${grid.symbol} (${grid.shape.join(", ")})`, 'font-weight="bold"')];
  let y = top;
  for (const slice of grid.shownSlices) {
    const name = grid.sliceName(slice);
    if (name) svg.push(written(left, (y += LINE) - 5, name));
    down.forEach((row, r) =>
      across.forEach((column, c) => {
        svg.push(drawCell(grid, slice, row, column, left + c * side[0], y + r * side[1], side, numbers));
      }),
    );
    y += down.length * side[1] + 8;
  }
  return { svg: svg.join(""), right: left + Math.max(across.length * side[0], 90), bottom: y };
}

function drawCell(grid, slice, row, column, x, y, [width, height], numbers) {
  if (row === null || column === null) return written(x + width / 2, y + 16, "…", 'text-anchor="middle"');
  const flat = slice * grid.inSlice + row * grid.plan.columns + column,
    value = grid.at(flat);
  const back = colour(value ?? NaN, grid.most),
    marks = grid.marks.get(flat) ?? "";
  const line = marks.includes("now") || marks.includes("in") ? 'stroke="#000" stroke-width="2"' : 'stroke="#bbb"';
  const size = `x="${x}" y="${y}" width="${width}" height="${height}"`;
  const box = `<rect ${size} fill="${css(back)}" ${numbers || marks ? line : ""}/>`;
  const known = value === undefined ? "·" : cellNumber(value, grid.whole);
  const said = grid.hidden === flat ? "?" : known;
  return numbers ? box + written(x + width / 2, y + 16, said, `text-anchor="middle" fill="${css(ink(back))}"`) : box;
}

export function download(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// The same picture in pixels, two to a unit.
export async function svgAsPng(svg) {
  const picture = new Image();
  picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await picture.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.width * 2, picture.height * 2];
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => {
    canvas.toBlob(done, "image/png");
  });
}
