// The picture of the trade-off, in Train and in Compare: gold reward over KL, both measured from the
// reference, and the limit that no policy passes.
import { fill } from "../core/format.js";
import { tradeOffAxes } from "./geometry.js";
import { FIXED_MARGINS, axisTitle, baseLayout } from "./plots.js";

export const WIDE = 420; // pixels of a picture that has room for large or long names
const BELOW = 6; // pixels between the reference and its name

// The traces of the limit, and of best-of-n among the reference's samples.
export function limitTraces(frontier, words, { colour }) {
  return [
    {
      name: words.limit,
      hovertemplate: `${words.limit}<br>${words.hover}<extra></extra>`,
      x: frontier.curve.map(([kl]) => kl),
      y: frontier.curve.map(([, gain]) => gain),
      mode: "lines",
      fill: "tozeroy",
      fillcolor: colour("--reach"),
      line: { color: colour("--muted"), width: 3 },
    },
    {
      name: words.crosses,
      x: frontier.best_of.map(([, kl]) => kl),
      y: frontier.best_of.map(([, , gain]) => gain),
      text: frontier.best_of.map(([n]) => fill(words.best_of, { n })),
      hovertemplate: `%{text}<br>${words.hover}<extra></extra>`,
      mode: "markers",
      marker: { size: 7, symbol: "x-thin", line: { width: 2, color: colour("--muted") } },
    },
  ];
}

// The diamond of `target`, the optimum at a β: {beta, kl, gain, known}. A target that is null or
// has no KL gets no diamond.
export function targetTrace(target, words, { colour, size }) {
  const name = fill(words.optimum, { beta: target?.beta });
  const gold = colour("--gold");
  const [x, y, text] = target?.kl == null ? [[], [], []] : [[target.kl], [target.gain], [`β ${target.beta}`]];
  return {
    name,
    hovertemplate: `${name}<br>${words.hover}<extra></extra>`,
    x,
    y,
    mode: "markers+text",
    text,
    cliponaxis: false, // on a phone its name reaches above the axes
    textposition: target?.known ? "top left" : "bottom center",
    textfont: { size: size + 3, color: gold },
    marker: target?.known
      ? { size: 17, symbol: "diamond", color: gold, line: { width: 2, color: colour("--card") } }
      : { size: 15, symbol: "diamond-open", color: gold, line: { width: 3 } },
  };
}

// The diamonds of a target and of a `rival`, which may be null. Their names are on their outer sides.
export function targetTraces(target, rival, words, look) {
  const one = targetTrace(target, words, look);
  if (!rival) return [one];
  const other = targetTrace(rival, words, look);
  const right = target?.kl > rival.kl ? one : other;
  if (right.textposition === "top left") right.textposition = "top right";
  return [one, other];
}

// The optimum of the reward that a run learned from, {x, y}, as a square with its name. Trail and target end
// beside it, so the name is below the limit, at the end of a line.
export function learnedTraces({ x, y }, { xaxis, yaxis }, words, { colour, size }, plot) {
  const [width, height] = [xaxis, yaxis].map(({ range: [least, most] }) => most - least);
  const isLeft = x < width / 2;
  const purple = colour("--proxy");
  const isWide = plot.clientWidth > WIDE;
  const beside = isLeft ? [x + 0.1 * width, "middle right"] : [x - 0.1 * width, "middle left"];
  const [nameX, textposition] = isWide ? beside : [(isLeft ? 0.6 : 0.4) * width, "bottom center"];
  const mark = {
    name: words.learned,
    hovertemplate: `${words.learned}<br>${words.hover}<extra></extra>`,
    x: [x],
    y: [y],
    mode: "markers",
    marker: { size: 13, symbol: "square", color: purple, line: { width: 2, color: colour("--card") } },
  };
  const name = {
    x: [nameX, x],
    y: [y - 0.25 * height, y],
    text: [words.learned],
    hoverinfo: "skip",
    mode: "lines+text",
    textposition,
    textfont: { size, color: purple },
    line: { width: 1, color: purple },
    marker: { size: 0 },
  };
  return { mark, name };
}

// A run's trail. Its name, which may be `large`, is on the side `at` of its end; `colour` is the name of a CSS
// variable.
export function namedTrail(name, { colour: variable, dash, symbol, at = "top center", large = true, steps, x, y }, words, { colour, size }) {
  return [
    {
      name,
      x,
      y,
      text: steps.map((step) => `${name}, ${fill(words.at_step, { step })}`),
      hovertemplate: `%{text}<br>${words.hover}<extra></extra>`,
      mode: "lines+markers",
      line: { color: colour(variable), width: Math.max(3, size / 5), dash },
      marker: { size: Math.max(7, size / 2.5), symbol },
    },
    {
      x: x.slice(-1),
      y: y.slice(-1),
      text: [name],
      hoverinfo: "skip",
      mode: "markers+text",
      textposition: at,
      textfont: { size: large ? size + 5 : size, color: colour(variable) },
      marker: { size: 15, symbol, color: colour(variable), line: { width: 2, color: colour("--card") } },
    },
  ];
}

// The trail of a ghost, thin and pale, with its name beside `end`, its last point in sight.
export function ghostTraces({ name, steps, x, y }, end, words, { colour, size }) {
  const pale = colour("--muted");
  return [
    {
      name: name.replace("<br>", ", "),
      x,
      y,
      text: steps.map((step) => fill(words.at_step, { step })),
      hovertemplate: `%{text}<br>${words.hover}<extra></extra>`,
      mode: "lines",
      opacity: 0.7,
      line: { color: pale, width: Math.max(1.5, size / 10), dash: "dot" },
    },
    {
      x: [end.x],
      y: [end.y],
      text: [name],
      hoverinfo: "skip",
      mode: "markers+text",
      textfont: { size, color: pale },
      marker: { size: 7, symbol: "circle-open", color: pale, line: { width: 1.5 } },
    },
  ];
}

// Plotly's layout around these trails on `plot`. The reader's zoom lasts until `subject` changes. The limit
// is named above the curves and the target, the crosses beside the third one, the reference below its point.
export function tradeOffLayout(frontier, trails, subject, words, look, plot) {
  const { colour, size } = look;
  const lines = { gridcolor: colour("--hairline"), zerolinecolor: colour("--muted"), zerolinewidth: 1 };
  const axis = { ...FIXED_MARGINS, ...lines };
  const margin = { l: 3.3 * size, r: 14, t: 2.9 * size, b: 3.1 * size };
  const room = Math.max(1, plot.clientHeight - margin.t - margin.b);
  const axes = tradeOffAxes(frontier, trails, Math.min(0.4, (BELOW + 1.3 * size) / room));
  const [, kl, gain] = frontier.best_of[2];
  const beside = { x: kl, y: gain, xanchor: "left", xshift: 6, yanchor: "top", showarrow: false };
  const above = { xref: "paper", yref: "paper", y: 1, yanchor: "bottom", showarrow: false };
  return {
    ...baseLayout(look),
    uirevision: `${subject} ${axes.wide}`,
    margin,
    hovermode: "closest",
    xaxis: { ...axis, title: axisTitle(look, words.x, 6), range: axes.x },
    yaxis: { ...axis, range: axes.y },
    annotations: [
      { ...above, x: 1, xanchor: "right", xshift: 8, yshift: 1.2 * size, text: words.limit },
      { ...beside, text: words.crosses },
      { x: 0, y: 0, xanchor: "left", yanchor: "top", yshift: -BELOW, showarrow: false, text: words.reference },
    ],
  };
}
