// Elements made in one line. Text goes in as text and never as markup, so a class name may hold anything.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true && !name.startsWith("aria-")) element.setAttribute(name, "");
    else if ((value !== false || name.startsWith("aria-")) && value !== null && value !== undefined)
      element.setAttribute(name, String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export const button = (text, title, onclick, more = {}) =>
  h("button", { type: "button", title, onclick, ...more }, text);

export const fill = (element, ...children) =>
  element.replaceChildren(...children.flat().filter((child) => child !== null));

const MATHML = "http://www.w3.org/1998/Math/MathML";
const ELEMENTS = new Set(
  (
    "math semantics annotation mrow mi mn mo mtext mspace msub msup msubsup mfrac msqrt mroot munder " +
    "mover munderover mtable mtr mtd mstyle mpadded mphantom"
  ).split(" "),
);
const ATTRIBUTES = new Set(
  (
    "display encoding mathvariant stretchy form fence separator lspace rspace width columnalign " +
    "linethickness accent accentunder movablelimits displaystyle largeop"
  ).split(" "),
);

const TAG = /<[^>]*>/g;
const FORBIDDEN = /\s(?:style|on\w+)\s*=\s*(?:"[^"]*"|'[^']*'|[^\s>]*)/gi;

// A formula's MathML, taken over element by element: what is not mathematics is left behind. How a table's columns are
// aligned is the style sheet's business; the policy forbids an element styles and handlers of its own, and a browser
// complains of them even while they are parsed.
const formulas = new Map(); // read once, since many steps have the same
export function mathml(source) {
  if (!formulas.has(source)) {
    const allowed = source.replace(TAG, (tag) => tag.replace(FORBIDDEN, ""));
    const parsed = new DOMParser().parseFromString(allowed, "text/html").body;
    formulas.set(source, [...parsed.childNodes].map(cleaned).filter(Boolean));
  }
  return formulas.get(source).map((node) => node.cloneNode(true));
}

function cleaned(node) {
  if (node.nodeType === Node.TEXT_NODE) return document.createTextNode(node.data);
  if (node.nodeType !== Node.ELEMENT_NODE || !ELEMENTS.has(node.localName)) return null;
  const element = document.createElementNS(MATHML, node.localName);
  for (const { name, value } of node.attributes) if (ATTRIBUTES.has(name)) element.setAttribute(name, value);
  element.append(...[...node.childNodes].map(cleaned).filter(Boolean));
  return element;
}
