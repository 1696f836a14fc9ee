// The colours of a table's cells as classes of one style sheet: cells of one class share one style, where a style of its
// own for every cell has to be read and worked out anew. Two neighbours on the scale differ by no more than one of the
// 256 shades that a screen has.
import { colour, css, ink } from "./colours.js";

const LEVELS = 255; // on either side of 0
let sheet = null;

const rule = (name, back) => `.${name}{background-color:${css(back)};color:${css(ink(back))}}`;

function adopt() {
  const rules = [rule("vn", colour(NaN, 1))];
  for (let level = -LEVELS; level <= LEVELS; level++) rules.push(rule(`v${level}`, colour(level, LEVELS)));
  sheet = new CSSStyleSheet();
  sheet.replaceSync(rules.join(""));
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
}

// The class of a value on a scale that ends at ±most.
export function painted(value, most) {
  if (!sheet) adopt();
  if (Number.isNaN(value)) return "vn";
  const share = most > 0 ? Math.min(1, Math.abs(value) / most) : 0;
  return `v${Math.ceil(share * LEVELS) * Math.sign(value)}`;
}
