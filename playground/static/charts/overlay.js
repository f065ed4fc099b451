// Runs drawn over each other: the frontier with their trails, and their curves. A run here is {run,
// letter, colour, dash, symbol}, the first as following.js keeps it. Follows choosing.js,
// plotting.js and trade.js.
let cards = [];

const letters = (runs) => runs.map(({ letter }) => letter).join(", ");
const named = (runs) => runs.map(({ run }) => run.name).join();
const grown = (runs) => runs.map(({ run }) => run.offset).join(); // their arrays grow in place

function number(name, value) {
  if (value === null || value === undefined) return "–";
  if (words.shares.includes(name)) return page.percent(value);
  return name === "eval/kl" ? page.number(value) : page.signed(value);
}

// The frontier with every run's trail

function drawTrade(runs, frontier) {
  const style = getComputedStyle(element);
  const colour = (name) => style.getPropertyValue(name);
  const trails = runs.map((one) => ({ ...one, ...trail(one.run, frontier) }));
  const traces = trails.flatMap((one) => [
    {
      name: one.letter,
      x: one.x,
      y: one.y,
      text: one.steps.map((step) => `${one.letter}, ${page.fill(props.frontier.at_step, { step })}`),
      hovertemplate: `%{text}<br>${props.frontier.hover}<extra></extra>`,
      mode: "lines+markers",
      line: { color: colour(one.colour), width: 3, dash: one.dash },
      marker: { size: 7, symbol: one.symbol },
    },
    {
      x: one.x.slice(-1),
      y: one.y.slice(-1),
      text: [one.letter],
      hoverinfo: "skip",
      mode: "markers+text",
      textposition: "top center",
      textfont: { size: fontSize(style) + 5, color: colour(one.colour) },
      marker: { size: 15, symbol: one.symbol, color: colour(one.colour), line: { width: 2, color: colour("--card") } },
    },
  ]);
  const { right, ...layout } = trade(frontier, trails, props.frontier, style);
  const uirevision = `${named(runs)} ${right > NARROWEST}`;
  const plot = find(".trade .plot");
  const drawing = [...limits(frontier, props.frontier, colour), ...traces];
  Plotly.react(plot, drawing, { ...layout, uirevision, datarevision: grown(runs) }, OPTIONS);
  plot.setAttribute("aria-label", [props.frontier.title, ...trails.filter(({ x }) => x.length).map(stands)].join(" "));
  const absent = letters(trails.filter(({ x }) => !x.length));
  const outside = letters(trails.filter(({ x }) => x.at(-1) > WIDEST));
  put(".trade .aside", [
    absent && page.fill(words.no_trail, { runs: absent }),
    outside && page.fill(words.outside, { runs: outside, kl: WIDEST }),
  ].filter(Boolean).join(" "));
}

function stands({ letter, x, y }) {
  return page.fill(words.stands, { run: letter, gain: page.signed(y.at(-1)), kl: page.number(x.at(-1)) });
}

// A chart for each curve that a run has

function buildCurves() {
  cards = props.curves.map((metric) => {
    const { unit, help } = props.metrics[metric];
    return { metric, ...newCard(find(".curves"), words.curves[metric], unit, help) };
  });
}

function drawCurves(runs) {
  if (!cards.length) buildCurves();
  const style = getComputedStyle(element);
  const colour = (name) => style.getPropertyValue(name);
  const steps = Math.max(...runs.map(({ run }) => run.config.steps));
  for (const { metric, box, values, plot } of cards) {
    const having = runs.filter(({ run }) => run.series[metric]);
    box.hidden = !having.length;
    if (box.hidden) continue;
    const percent = props.metrics[metric].unit === "%";
    values.replaceChildren();
    const told = having.map((one) => {
      const value = number(metric, one.run.series[metric].y.at(-1));
      const box = make("span", "value", values);
      box.style.setProperty("--line", `var(${one.colour})`);
      make("span", "name", box, one.letter);
      make("strong", "", box, value);
      return `${one.letter} ${value}`;
    });
    plot.setAttribute("aria-label", page.fill(words.alternative, { title: words.curves[metric], values: told.join(", ") }));
    const traces = having.map((one) => ({
      name: one.letter,
      x: one.run.series[metric].x,
      y: one.run.series[metric].y,
      mode: "lines+markers",
      line: { color: colour(one.colour), width: 3, dash: one.dash },
      marker: { size: 7, symbol: one.symbol },
      hovertemplate: percent ? "%{y:.0%}" : "%{y:.2f}",
    }));
    const layout = {
      ...plain(style),
      uirevision: named(runs),
      datarevision: grown(having),
      margin: curveMargin(style),
      hovermode: "x unified",
      xaxis: stepAxis(style, steps, words.step),
      yaxis: { ...valueAxis(style), rangemode: metric === "eval/kl" ? "tozero" : "normal", tickformat: percent ? "~%" : "" },
    };
    Plotly.react(plot, traces, layout, OPTIONS);
  }
}
