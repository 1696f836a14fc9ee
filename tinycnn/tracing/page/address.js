// The page's address names a place in the trace: #s=12&c=0,3,4&v=im2col is step 12, its cell 0,3,4, shown as im2col.
import { viewsOf } from "./views.js";

const LOOK = "#s=12&c=0,3,4&v=im2col";

export const addressOf = (number, index, view) =>
  `#s=${number}${index.length ? `&c=${index.join(",")}` : ""}${view === "window" ? "" : `&v=${view}`}`;

const whole = (text) => /^-?\d+$/.test(text);
const inside = (place, size) => Math.max(0, Math.min(size - 1, place));

// What an address asks for, or what the trace has that is nearest to it: {number, index, view}, undefined where it says
// nothing that can be followed. `faults` says in sentences what was asked for in vain.
export function askedFor(address, trace, here) {
  const words = new URLSearchParams(address.replace(/^#/, "")),
    found = { faults: [] };
  if (!address.replace(/^#/, "")) return found;
  if (!words.has("s")) {
    found.faults.push(`The address ends in ${address}, which names no step; one that does looks like ${LOOK}.`);
    return found;
  }
  found.number = stepOf(words.get("s"), trace, here, found.faults);
  const step = trace.steps[found.number];
  if (words.has("c")) found.index = cellOf(words.get("c"), trace.result(step).shape, found.faults);
  if (words.has("v")) found.view = viewOf(words.get("v"), step, found.faults);
  return found;
}

function stepOf(text, trace, here, faults) {
  const last = trace.steps.length - 1,
    number = whole(text) ? inside(Number(text), last + 1) : here;
  if (!whole(text) || number !== Number(text))
    faults.push(
      `There is no step ${text || "without a number"}: steps count from 0 to ${last}. This is step ${number}.`,
    );
  return number;
}

function cellOf(text, shape, faults) {
  const asked = text === "" ? [] : text.split(",");
  const fits = asked.length === shape.length && asked.every(whole);
  const index = fits ? asked.map((place, axis) => inside(Number(place), shape[axis])) : undefined;
  if (!fits || index.some((place, axis) => place !== Number(asked[axis])))
    faults.push(`There is no cell ${text || "without a place"} in a result of shape (${shape.join(", ")}).`);
  return index;
}

function viewOf(text, step, faults) {
  const views = viewsOf(step);
  if (views.includes(text)) return text;
  faults.push(`This step has no view ${text || "without a name"}, only ${views.join(", ")}.`);
  return undefined;
}
