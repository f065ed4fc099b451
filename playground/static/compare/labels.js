// How Compare names runs and writes their numbers.
import { make } from "../core/dom.js";
import { number, percent, signed } from "../core/format.js";

// A run's letter, the CSS variable of its colour, and its dash and mark, for readers who see no colours.
export const LOOKS = [
  { letter: "A", colour: "--run-a", dash: "solid", strokes: "", symbol: "circle" },
  { letter: "B", colour: "--run-b", dash: "dash", strokes: "7 4", symbol: "square" },
  { letter: "C", colour: "--run-c", dash: "dot", strokes: "2 4", symbol: "triangle-up" },
  { letter: "D", colour: "--run-d", dash: "dashdot", strokes: "8 3 2 3", symbol: "diamond" },
];
const MARKS = {
  circle: "M13 7a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
  square: "M13.5 3.5h7v7h-7z",
  "triangle-up": "M17 2.5l5 8.5h-10z",
  diamond: "M17 2l5 5l-5 5l-5 -5z",
};
const SVG = "http://www.w3.org/2000/svg";

// The line, the letter and the name of a run.
export function label({ colour, letter, strokes, symbol }, host, name) {
  const box = make("span", "run", host);
  box.style.setProperty("--line", `var(${colour})`);
  const picture = box.appendChild(document.createElementNS(SVG, "svg"));
  picture.setAttribute("viewBox", "0 0 34 14");
  picture.setAttribute("aria-hidden", "true");
  const line = picture.appendChild(document.createElementNS(SVG, "path"));
  line.setAttribute("d", "M1 7h32");
  line.setAttribute("stroke-dasharray", strokes);
  picture.appendChild(document.createElementNS(SVG, "path")).setAttribute("d", MARKS[symbol]);
  make("b", "", box, letter);
  if (name) make("span", "", box, name);
  return box;
}

export const letters = (runs) => runs.map(({ letter }) => letter).join(", ");

// A metric as the page writes it; `shares` are the metrics that are percentages.
export function metricText(metric, value, shares) {
  if (value === null || value === undefined) return "–";
  if (shares.includes(metric)) return percent(value);
  return metric === "eval/kl" ? number(value) : signed(value);
}
