// The figures of the experiments, several panels each.
import { make } from "../core/dom.js";
import { fill } from "../core/format.js";
import { baseLayout, discard, drawInSight, fitToBox, lookOf, paint, whenRecoloured } from "../charts/plots.js";
import { offerSaving } from "../charts/saving.js";

const SYMBOLS = ["circle", "diamond", "square", "cross", "x", "triangle-up", "star", "triangle-down"];

// Functions that add figures to the cards of `element` and remove them.
export function figures(element, words, saving) {
  const panels = new Map(); // plot -> the panel that it shows

  const draw = (plot) => paint(plot, () => picture(panels.get(plot), lookOf(element)));

  function add(host, shown) {
    const figure = make("div", "panels", host);
    figure.dataset.count = shown.length;
    for (const panel of shown) {
      const box = make("figure", "", figure);
      const caption = make("figcaption", "", box, panel.title);
      const plot = make("div", "plot", box);
      plot.setAttribute("role", "img");
      plot.setAttribute("aria-label", fill(words.alternative, { ...panel, names: curveNames(panel).join(", ") }));
      offerSaving(caption, plot, panel.title, panel.y, saving);
      fitToBox(plot);
      drawInSight(plot);
      panels.set(plot, panel);
      draw(plot);
    }
  }

  function clear(host) {
    for (const plot of host.querySelectorAll(".plot")) {
      panels.delete(plot);
      discard(plot);
    }
    host.replaceChildren();
  }

  whenRecoloured(() => element.isConnected && [...panels.keys()].forEach(draw));
  return { add, clear };
}

const curveNames = ({ curves }) => [...new Set(curves.filter(({ quiet }) => !quiet).map(({ name }) => name))];

const scale = ({ ticks, falling }) => ({
  ...(ticks && { type: "log", tickvals: ticks, ticktext: ticks.map((tick) => tick.toLocaleString("en")) }),
  ...(falling && { autorange: "reversed" }),
});

function picture(panel, look) {
  const { colour } = look;
  const legend = curveNames(panel);
  const traces = panel.curves.map(({ name, colour: variable, mode, x, y, half, dash, quiet }) => ({
    name, x, y,
    type: mode === "bars" ? "bar" : "scatter",
    mode: mode === "bars" ? undefined : mode,
    legendgroup: name,
    showlegend: !quiet,
    line: { color: colour(`--${variable}`), width: 2, dash: dash || "solid" },
    marker: { color: colour(`--${variable}`), size: 7, symbol: SYMBOLS[legend.indexOf(name) % SYMBOLS.length] },
    error_y: half ? { type: "data", array: half, thickness: 1.2, width: 3, color: colour(`--${variable}`) } : undefined,
    hovertemplate: "%{x:.3~g}, %{y:.3f}",
  }));
  const base = baseLayout(look);
  const line = colour("--hairline");
  const axis = { gridcolor: line, linecolor: line, zerolinecolor: colour("--muted"), automargin: true };
  const layout = {
    ...base,
    showlegend: true,
    hoverlabel: { ...base.hoverlabel, namelength: -1 }, // the whole name of a fitted curve
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    margin: { l: 4.6 * look.size, r: 10, t: 6, b: 10 }, // fixed: a margin that grows would wrap the legend again
    xaxis: { ...axis, title: { text: panel.x, standoff: 6 }, ...scale(panel) },
    yaxis: { ...axis, automargin: false, title: { text: panel.y, standoff: 6 } },
  };
  if (panel.labels) nameCurves(layout, panel, look);
  return [traces, layout];
}

// About the width of a text in units of the font's size: Chinese characters are as wide as high.
const widthOf = (text) => [...text].reduce((width, character) => width + (character > "\u2e7f" ? 1 : 0.6), 0);

// Names at the ends of the curves in place of a legend.
function nameCurves(layout, { labels, ticks, curves }, { colour, size }) {
  layout.showlegend = false;
  // Plotly would make room for the names within the axes.
  if (!ticks) layout.xaxis.range = [0, 1.02 * Math.max(...curves.flatMap(({ x }) => x))];
  layout.margin.r = size * Math.max(...labels.map(({ name }) => widthOf(name))) + 12;
  layout.annotations = labels.map(({ name, colour: variable, x, y }) => ({
    x: ticks ? Math.log10(x) : x,
    y,
    text: name,
    font: { color: colour(`--${variable}`) },
    showarrow: false,
    xanchor: "left",
    xshift: 6,
  }));
}
