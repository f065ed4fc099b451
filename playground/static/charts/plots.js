// Shared by all charts: colours, fonts, sizes, and drawing what is in sight, or what is printed.
import { explain, make } from "../core/dom.js";
import { stepRange } from "./geometry.js";
import { offerSaving } from "./saving.js";

const QUIET_MS = 2000; // after which pictures out of sight are drawn, too
const OPTIONS = { displayModeBar: false, displaylogo: false, responsive: false };

// The colours and the font of an element's pictures, from CSS variables, which Plotly cannot read.
export function lookOf(element) {
  const style = getComputedStyle(element);
  const colour = (name) => style.getPropertyValue(name);
  return { colour, font: style.fontFamily, size: parseFloat(colour("--chart-font")) }; // larger in ?present
}

// The part of Plotly's layout that all charts share.
export function baseLayout({ colour, font, size }) {
  return {
    autosize: true,
    showlegend: false,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: font, size, color: colour("--muted") },
    hoverlabel: {
      bgcolor: colour("--card"),
      bordercolor: colour("--hairline"),
      font: { color: colour("--ink"), size },
    },
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
  };
}

// The margins have room for the tick labels, so Plotly need not measure them, which would take a sixth
// of the drawing time.
export const FIXED_MARGINS = { ticklabeloverflow: "allow" };

// The axes of a curve: the measured values, and the `steps` of a run.
export function valueAxis({ colour, size }) {
  const line = colour("--hairline");
  return { ...FIXED_MARGINS, gridcolor: line, linecolor: line, zeroline: false, nticks: Math.round(84 / size) };
}

export function stepAxis(look, steps, name) {
  const title = axisTitle(look, name, 4);
  return { ...valueAxis(look), title, range: stepRange(steps), nticks: 5, hoverformat: "d" };
}

// A title in the size of the tick labels. Plotly's default is larger, and would cover them.
export const axisTitle = ({ size }, text, standoff) => ({ text, standoff, font: { size } });

// Room for the tick labels of both axes and the title of the x-axis.
export const curveMargin = ({ size }) => ({ l: 3.1 * size, r: 14, t: 8, b: 2.7 * size });

const redraws = new WeakMap(); // plot -> a function that draws it in the present size, with room for its font
const redraw = (plot) => redraws.get(plot)();
const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.classList.contains("js-plotly-plot")) redraw(target);
  }
});

const hidden = new WeakSet(); // plots that are out of sight
const pending = new WeakMap(); // plot -> a function that draws it once it is in sight
const sights = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) hidden.add(target);
    else {
      hidden.delete(target);
      pending.get(target)?.();
    }
  }
}, { rootMargin: "600px" }); // drawn a little before it comes in sight

export const fitToBox = (plot) => sizes.observe(plot);

export const drawInSight = (plot) => sights.observe(plot);

// Draws `picture()`, [traces, layout], into `plot`, now or when it comes into sight.
export function paint(plot, picture) {
  redraws.set(plot, () => {
    pending.delete(plot);
    Plotly.react(plot, ...picture(), OPTIONS);
  });
  pending.set(plot, redraws.get(plot));
  if (hidden.has(plot)) drawAllLater();
  else pending.get(plot)();
}

// Draws the pictures of the open view that wait to come into sight.
function drawAll() {
  for (const plot of document.querySelectorAll(".plot")) if (plot.offsetParent) pending.get(plot)?.();
}

// Once no more news comes, charts out of sight are drawn, too: a screenshot of the whole page then has all.
let quiet = null;
function drawAllLater() {
  clearTimeout(quiet);
  quiet = setTimeout(drawAll, QUIET_MS);
}

// On paper, every picture is as wide as its box there (print.css).
window.addEventListener("beforeprint", () => {
  document.documentElement.dataset.printed = "";
  drawAll();
  onPage().forEach(redraw);
});
window.addEventListener("afterprint", () => {
  delete document.documentElement.dataset.printed;
  onPage().forEach(redraw);
});
const onPage = () => [...document.querySelectorAll(".js-plotly-plot")].filter((plot) => plot.offsetParent);

export function discard(plot) {
  sizes.unobserve(plot);
  sights.unobserve(plot);
  pending.delete(plot);
  Plotly.purge(plot);
}

// A card for a picture: its title, unit and explanation, and room for its values; with the words of
// `saving`, a control that saves it.
export function newCard(host, title, unit, help, saving = null) {
  const box = make("section", "chart", host);
  const head = make("header", "", box);
  make("h3", "", head, title);
  make("span", "unit", head, unit);
  const mark = make("button", "help", head, "?");
  mark.type = "button";
  explain(mark, title, help);
  const values = make("div", "values", box);
  const plot = make("div", "plot", box);
  plot.setAttribute("role", "img");
  if (saving) offerSaving(head, plot, title, unit, saving);
  fitToBox(plot);
  return { box, values, plot };
}

export function whenRecoloured(draw) {
  new MutationObserver(() => draw()).observe(document.body, { attributeFilter: ["class"] });
}
