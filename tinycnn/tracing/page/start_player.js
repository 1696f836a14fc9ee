// Begins the page with the trace that it carries.
import { Player } from "./player.js";

const source = document.getElementById("trace").textContent;
const root = document.getElementById("player");
document.documentElement.classList.add("live-page");
globalThis.tinycnn = new Player(JSON.parse(source), root, source);
