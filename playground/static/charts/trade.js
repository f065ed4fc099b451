// The picture of the trade, whoever is drawn into it: gold reward over KL, both counted from the
// reference, and the limit that no policy passes. Follows plotting.js.
const WIDEST = 8; // nats of KL; a run that goes further leaves the picture, and is told of
const NARROWEST = 2.6;

// [KL, gain] at every measured step of a run that started at the reference of this frontier. The gain
// is the run's share of what the optimum gains for 2 nats (`eval/gain`), of the `whole` that this is
// known to be: chance in the reference's few samples would move the plain difference three times as
// much, and the limit not at all.
function trail(run, { whole, reference }) {
  if (!run || run.config.model !== reference) return { steps: [], x: [], y: [] };
  const { x: steps = [], y: kl = [] } = run.series["eval/kl"] ?? {};
  const shares = run.series["eval/gain"]?.y ?? [];
  const count = Math.min(kl.length, shares.length);
  return {
    steps: steps.slice(0, count),
    x: kl.slice(0, count),
    y: shares.slice(0, count).map((share) => share * whole),
  };
}

// The limit, and the best of some reference samples.
function limits(frontier, words, colour) {
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
      text: frontier.best_of.map(([n]) => page.fill(words.best_of, { n })),
      hovertemplate: `%{text}<br>${words.hover}<extra></extra>`,
      mode: "markers",
      marker: { size: 7, symbol: "x-thin", line: { width: 2, color: colour("--muted") } },
    },
  ];
}

// Plotly's layout around these trails, and `right`, the KL at which it ends. The limit and the crosses
// are named above, where no curve and no target is.
function trade(frontier, trails, words, style) {
  const colour = (name) => style.getPropertyValue(name);
  const axis = { ...ROOMY, gridcolor: colour("--hairline"), zerolinecolor: colour("--muted"), zerolinewidth: 1 };
  const points = trails.flatMap(({ x, y }) => x.map((kl, i) => [kl, y[i]]));
  const inside = points.filter(([kl]) => kl <= WIDEST);
  const right = Math.max(NARROWEST, ...inside.map(([kl]) => 1.1 * kl));
  const top = Math.max(...frontier.curve.map(([, gain]) => gain));
  const bottom = Math.min(-0.08 * top, ...inside.map(([, gain]) => gain - 0.3));
  const above = { xref: "paper", yref: "paper", y: 1, yanchor: "bottom", showarrow: false };
  return {
    ...plain(style),
    right,
    margin: { l: 3.3 * fontSize(style), r: 14, t: 1.7 * fontSize(style), b: 3.1 * fontSize(style) },
    hovermode: "closest",
    xaxis: { ...axis, title: axisTitle(style, words.x, 6), range: [-0.02 * right, right] },
    yaxis: { ...axis, range: [bottom, 1.2 * top] },
    annotations: [
      { ...above, x: 1, xanchor: "right", xshift: 8, text: words.limit },
      { ...above, x: 0, xanchor: "left", xshift: -fontSize(style), text: words.crosses },
      { x: 0, y: 0, xanchor: "left", yanchor: "top", showarrow: false, text: words.reference },
    ],
  };
}
