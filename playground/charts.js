// The live curves: one card a chart, each with its latest values, which are the legend too.
const words = props.words;
const OPTIONS = { displayModeBar: false, displaylogo: false, responsive: false };
// Metric -> the CSS variable of its colour and its dash: told apart without colour as well.
const LINES = {
  "eval/gold_reward": ["--gold", "solid"],
  "eval/proxy_reward": ["--proxy", "dash"],
  "eval/kl": ["--kl", "solid"],
  loss: ["--loss", "solid"],
  "loss/policy_avg": ["--policy", "solid"],
  "loss/value_avg": ["--gold", "dash"],
  accuracy: ["--loss", "dot"],
  "eval/accuracy": ["--policy", "solid"],
  margin: ["--loss", "dot"],
  "eval/margin": ["--policy", "solid"],
};
const hidden = new Set();
let method = null;
let cards = [];

function build(charts) {
  for (const card of cards) {
    sizes.unobserve(card.plot);
    Plotly.purge(card.plot);
  }
  const host = element.querySelector(".charts");
  host.replaceChildren();
  cards = charts.map(({ id, metrics }) => {
    const box = make("section", "chart", host);
    const head = make("header", "", box);
    make("h3", "", head).textContent = words.titles[id];
    make("span", "unit", head).textContent = words.metrics[metrics[0]].unit;
    const help = make("button", "help", head);
    help.type = "button";
    help.textContent = "?";
    help.dataset.tip = words.help[id];
    help.setAttribute("aria-label", words.help[id]);
    const values = make("div", "values", box);
    const plot = make("div", "plot", box);
    plot.setAttribute("role", "img");
    const empty = make("p", "empty", box);
    empty.textContent = words.empty;
    sizes.observe(plot);
    return { id, metrics, plot, empty, readouts: metrics.map((metric) => readout(metric, values)) };
  });
}

function readout(metric, host) {
  const button = make("button", "value", host);
  button.type = "button";
  button.dataset.tip = words.metrics[metric].help;
  button.style.setProperty("--line", `var(${LINES[metric][0]})`);
  const swatch = make("span", `swatch ${LINES[metric][1]}`, button);
  swatch.setAttribute("aria-hidden", "true");
  make("span", "name", button).textContent = words.metrics[metric].name;
  const number = make("strong", "", button);
  button.onclick = () => {
    hidden.has(metric) ? hidden.delete(metric) : hidden.add(metric);
    draw();
  };
  return { metric, button, number };
}

function make(tag, className, host) {
  const made = host.appendChild(document.createElement(tag));
  made.className = className;
  return made;
}

function shown(metric, value) {
  if (words.metrics[metric].unit === "%") return window.playground.number(100 * value, 0) + "%";
  const digits = Math.abs(value) >= 100 ? 0 : 2;
  return metric.endsWith("reward")
    ? window.playground.signed(value, digits)
    : window.playground.number(value, digits);
}

function draw(changed = null) {
  const run = window.playground?.run;
  if (!element.isConnected || typeof Plotly === "undefined") return;
  const wanted = run?.config.method ?? props.method;
  if (wanted !== method) build(props.charts[(method = wanted)]);
  const style = getComputedStyle(element);
  for (const card of cards) {
    if (changed && !card.metrics.some((metric) => metric in changed)) continue;
    const drawn = card.metrics.filter((metric) => run?.series[metric]?.x.length);
    card.empty.hidden = drawn.length > 0;
    for (const { metric, button, number } of card.readouts) {
      button.hidden = !drawn.includes(metric);
      button.setAttribute("aria-pressed", String(!hidden.has(metric)));
      if (!button.hidden) number.textContent = shown(metric, run.series[metric].y.at(-1));
    }
    card.plot.setAttribute("aria-label", alternative(card, drawn, run));
    Plotly.react(
      card.plot,
      drawn.map((metric) => trace(metric, run.series[metric], style)),
      layout(card, run, style, drawn.length > 0),
      OPTIONS,
    );
  }
}

function trace(metric, series, style) {
  const [colour, dash] = LINES[metric];
  const { name, unit } = words.metrics[metric];
  const percent = unit === "%";
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
  const grid = style.getPropertyValue("--hairline");
  const axis = { gridcolor: grid, linecolor: grid, zeroline: false, fixedrange: false };
  const start = run?.series["eval/gold_reward_reference"]?.y[0];
  const steps = run?.config.steps ?? 100;
  const reference = card.id === "reward" && start !== undefined;
  return {
    uirevision: run?.name ?? "none",
    datarevision: run?.step, // the arrays grow in place
    autosize: true,
    margin: { l: 44, r: 14, t: 8, b: 36 },
    showlegend: false,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: style.fontFamily, size: 14, color: ink },
    hovermode: "x unified",
    hoverlabel: {
      bgcolor: style.getPropertyValue("--card"),
      bordercolor: grid,
      font: { color: style.getPropertyValue("--ink"), size: 15 },
    },
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    xaxis: {
      ...axis,
      title: { text: words.step, standoff: 4 },
      range: [-0.02 * steps, 1.02 * steps],
      nticks: 5,
      hoverformat: "d",
    },
    yaxis: {
      ...axis,
      rangemode: card.id === "kl" ? "tozero" : "normal",
      tickformat: card.id === "accuracy" ? ".0%" : "",
      nticks: 6,
      showticklabels: filled,
    },
    shapes: reference
      ? [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: start, y1: start,
           line: { color: ink, width: 1.5, dash: "dot" } }]
      : [],
    annotations: reference
      ? [{ xref: "paper", x: 1, y: start, xanchor: "right", yanchor: "top", showarrow: false,
           text: words.reference, font: { size: 13, color: ink } }]
      : [],
  };
}

function alternative(card, drawn, run) {
  const title = words.titles[card.id];
  const values = drawn.map((metric) => {
    const { name, unit } = words.metrics[metric];
    return `${name} ${shown(metric, run.series[metric].y.at(-1))} ${unit === "%" ? "" : unit}`;
  });
  if (!values.length) return title;
  return window.playground.fill(words.alternative, { title, values: values.join(", ") });
}

const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.classList.contains("js-plotly-plot")) Plotly.Plots.resize(target);
  }
});
document.addEventListener("playground:run", ({ detail }) =>
  draw(detail.config || detail.void_after !== null ? null : detail.points),
);
// Light and dark differ only in CSS variables, which Plotly cannot read by itself.
new MutationObserver(() => draw()).observe(document.body, { attributeFilter: ["class"] });
draw();
