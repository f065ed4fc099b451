// The picture of the trade-off, in Train and in Compare: gold reward over KL, both measured from the
// reference, and the limit that no policy passes.
import { fill } from "../core/format.js";
import { tradeOffAxes } from "./geometry.js";
import { FIXED_MARGINS, axisTitle, baseLayout } from "./plots.js";

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
      x: frontier.best_of.map(([, kl]) => kl),
      y: frontier.best_of.map(([, , gain]) => gain),
      text: frontier.best_of.map(([n]) => fill(words.best_of, { n })),
      hovertemplate: `%{text}<br>${words.hover}<extra></extra>`,
      mode: "markers",
      marker: { size: 7, symbol: "x-thin", line: { width: 2, color: colour("--muted") } },
    },
  ];
}

// Plotly's layout around these trails. The reader's zoom lasts until `subject` changes. The limit is
// named above the curves and the target, and the crosses are named beside the third of them.
export function tradeOffLayout(frontier, trails, subject, words, look) {
  const { colour, size } = look;
  const lines = { gridcolor: colour("--hairline"), zerolinecolor: colour("--muted"), zerolinewidth: 1 };
  const axis = { ...FIXED_MARGINS, ...lines };
  const axes = tradeOffAxes(frontier, trails);
  const [, kl, gain] = frontier.best_of[2];
  const beside = { x: kl, y: gain, xanchor: "left", xshift: 6, yanchor: "top", showarrow: false };
  const above = { xref: "paper", yref: "paper", y: 1, yanchor: "bottom", showarrow: false };
  return {
    ...baseLayout(look),
    uirevision: `${subject} ${axes.wide}`,
    margin: { l: 3.3 * size, r: 14, t: 2.9 * size, b: 3.1 * size },
    hovermode: "closest",
    xaxis: { ...axis, title: axisTitle(look, words.x, 6), range: axes.x },
    yaxis: { ...axis, range: axes.y },
    annotations: [
      { ...above, x: 1, xanchor: "right", xshift: 8, yshift: 1.2 * size, text: words.limit },
      { ...beside, text: words.crosses },
      { x: 0, y: 0, xanchor: "left", yanchor: "top", yshift: -6, showarrow: false, text: words.reference },
    ],
  };
}
