// The live curves: one card a chart, each with its values at the step that is looked at, which are
// the legend too. Follows plotting.js.
const words = props.words;
// Metric -> the CSS variable of its colour and its dash: told apart without colour as well.
const LINES = Object.fromEntries(
  Object.values(props.charts).flat().flatMap(({ curves }) => curves)
    .map(({ metric, colour, dash }) => [metric, [`--${colour}`, dash]]),
);
const SPAN = 0.02; // the least height of an axis: rounding noise is no curve
const hidden = new Set();
let method = null;
let cards = [];

function build(charts) {
  for (const card of cards) {
    sizes.unobserve(card.plot);
    sights.unobserve(card.plot);
    Plotly.purge(card.plot);
  }
  const host = find(".charts");
  host.replaceChildren();
  cards = charts.map(({ id, curves, optional, range }) => {
    const metrics = curves.map(({ metric }) => metric);
    const card = newCard(host, words.titles[id], words.metrics[metrics[0]].unit, words.help[id]);
    sights.observe(card.plot);
    const empty = make("p", "empty", card.box, words.empty);
    const readouts = metrics.map((metric) => readout(metric, card.values));
    return { ...card, id, metrics, optional, range, empty, readouts };
  });
}

function readout(metric, host) {
  const button = make("button", "value", host);
  button.type = "button";
  button.dataset.tip = words.metrics[metric].help;
  button.style.setProperty("--line", `var(${LINES[metric][0]})`);
  const swatch = make("span", `swatch ${LINES[metric][1]}`, button);
  swatch.setAttribute("aria-hidden", "true");
  make("span", "name", button, words.metrics[metric].name);
  const number = make("strong", "", button);
  button.onclick = () => {
    hidden.has(metric) ? hidden.delete(metric) : hidden.add(metric);
    draw();
  };
  return { metric, button, number };
}

const isShare = (metric) => words.metrics[metric].unit === "%";

function shown(metric, value) {
  if (value === undefined) return "–"; // not measured so early
  if (isShare(metric)) return page.percent(value, value < 0.1 ? 1 : 0);
  const digits = Math.abs(value) >= 100 ? 0 : 2;
  return /reward(_(un)?covered)?$/.test(metric)
    ? page.signed(value, digits)
    : page.number(value, digits);
}

function draw(changed = null) {
  const run = page.view();
  if (!element.isConnected || typeof Plotly === "undefined") return;
  const wanted = run?.config.method ?? page.method;
  if (!wanted) return; // nothing is chosen yet
  if (wanted !== method) build(props.charts[(method = wanted)]);
  const style = getComputedStyle(element);
  for (const card of cards) {
    if (changed && !card.metrics.some((metric) => metric in changed)) continue;
    const drawn = card.metrics.filter((metric) => run?.series[metric]?.x.length);
    card.empty.hidden = drawn.length > 0;
    card.box.hidden = card.optional && !drawn.length;
    for (const { metric, button, number } of card.readouts) {
      button.hidden = !drawn.includes(metric);
      button.setAttribute("aria-pressed", String(!hidden.has(metric)));
      if (!button.hidden) number.textContent = shown(metric, page.value(run.series[metric]));
    }
    card.plot.setAttribute("aria-label", alternative(card, drawn, run));
    paint(card.plot, () => [
      drawn.map((metric) => trace(metric, run.series[metric], style)),
      layout(card, run, style, drawn.length > 0),
    ]);
  }
}

function trace(metric, series, style) {
  const [colour, dash] = LINES[metric];
  const { name, unit } = words.metrics[metric];
  const percent = isShare(metric);
  return {
    name,
    x: series.x,
    y: series.y,
    mode: series.x.length > 60 ? "lines" : "lines+markers",
    visible: !hidden.has(metric),
    line: { color: style.getPropertyValue(colour), width: 3, dash },
    marker: { size: 6 },
    hovertemplate: `%{y:${percent ? ".0%" : ".3f"}}${percent ? "" : " " + unit}`,
  };
}

function layout(card, run, style, filled) {
  const ink = style.getPropertyValue("--muted");
  const start = run?.series["eval/gold_reward_reference"]?.y[0];
  const steps = run?.config.steps ?? 100;
  const reference = card.id === "reward" && start !== undefined;
  const line = { type: "line", xref: "x", yref: "paper", y0: 0, y1: 1 };
  const { at } = page;
  const turned = run?.changes ?? [];
  return {
    ...plain(style),
    uirevision: run?.name ?? "none",
    datarevision: [run?.offset, at].join(), // the arrays grow in place
    margin: curveMargin(style),
    hovermode: "x unified",
    xaxis: stepAxis(style, steps, words.step),
    yaxis: {
      ...valueAxis(style),
      autorange: true,
      rangemode: card.range,
      tickformat: isShare(card.metrics[0]) ? "~%" : "",
      showticklabels: filled,
      ...flat(card, run),
    },
    shapes: [
      ...(reference
        ? [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: start, y1: start,
             line: { color: ink, width: 1.5, dash: "dot" } }]
        : []),
      ...turned.map(({ step }) => ({ ...line, x0: step, x1: step, line: { color: ink, width: 1.5, dash: "dash" } })),
      ...(at === null
        ? []
        : [{ ...line, x0: at, x1: at, line: { color: style.getPropertyValue("--accent"), width: 2 } }]),
    ],
    annotations: [
      ...(reference
        ? [{ xref: "paper", x: 1, y: start, xanchor: "right", yanchor: "top", showarrow: false,
             text: words.reference }]
        : []),
      ...turned.map(({ step, settings }) => ({
        x: step, yref: "paper", y: 1, xanchor: "left", yanchor: "top", showarrow: false,
        text: Object.entries(settings).map(([name, value]) => `${words.settings[name]} ${value}`).join(" "),
      })),
    ],
  };
}

// Curves that hardly differ from a line get an axis of their own, around them.
function flat(card, run) {
  const values = card.metrics.flatMap((metric) => run?.series[metric]?.y ?? []);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (!values.length || high - low >= SPAN) return {};
  const middle = (low + high) / 2;
  const least = card.range === "normal" ? middle - SPAN : Math.max(0, middle - SPAN);
  return { autorange: false, range: [least, least + 2 * SPAN] };
}

function alternative(card, drawn, run) {
  const title = words.titles[card.id];
  const values = drawn.map((metric) => {
    const { name, unit } = words.metrics[metric];
    return `${name} ${shown(metric, page.value(run.series[metric]))} ${unit === "%" ? "" : unit}`;
  });
  if (!values.length) return title;
  return page.fill(words.alternative, { title, values: values.join(", ") });
}

document.addEventListener("playground:run", ({ detail }) => {
  const anew = detail.config || detail.void_after !== null || detail.changes.length;
  draw(anew ? null : detail.points);
});
document.addEventListener("playground:view", () => draw());
whenRecoloured(draw);
draw();
