// Begins the page that holds the lab alone.
import { fill, h } from "./dom.js";
import { Lab } from "./lab.js";

document.documentElement.classList.add("live-page");
fill(document.getElementById("player"), h("h1", {}, document.title), new Lab().element);
