// Lab: a card for each experiment: what the paper claims, what was measured here, and how to see it
// live. Follows plotting.js and grid.js.
const { words, cards, fields } = props;
const plots = []; // [element, panel]
const SYMBOLS = ["circle", "diamond", "square", "cross", "x", "triangle-up", "star", "triangle-down"];

function build(name, { measured, live }) {
  const told = words.cards[name];
  const box = make("section", "card", find(".lab"));
  box.dataset.experiment = name;
  make("h2", "", box, told.title);
  make("p", "paper", box, told.paper);
  make("h3", "", box, words.claims);
  make("p", "", box, told.claim);
  if (name === "coverage") coverage(box);
  make("h3", "", box, words.measured);
  measured ? show(box, measured) : make("p", "missing", box, words.missing);
  if (Object.keys(live).length) links(box, live, told);
  if (props.trials[name]) trial(box, name);
}

function show(box, { judged, said, panels, ...made }) {
  const verdicts = make("div", "verdicts", box);
  for (const { verdict, claim, why } of judged) {
    const line = make("p", verdict, verdicts);
    make("strong", "", line, words.verdicts[verdict]);
    line.append(" ");
    make("span", "claim", line, claim);
    line.append(" ");
    make("span", "why", line, why);
  }
  pictures(box, panels);
  const fold = make("details", "", box);
  make("summary", "", fold, words.in_numbers);
  const list = make("ul", "said", fold);
  for (const sentence of said) make("li", "", list, sentence);
  make("p", "made", box, page.fill(words.made, made));
}

// A figure of several panels, drawn by `draw`.
function pictures(box, panels) {
  const figure = make("div", "panels", box);
  figure.dataset.count = panels.length;
  for (const panel of panels) {
    const host = make("figure", "", figure);
    make("figcaption", "", host, panel.title);
    const plot = make("div", "plot", host);
    plot.setAttribute("role", "img");
    plot.setAttribute("aria-label", page.fill(words.alternative, { ...panel, names: names(panel).join(", ") }));
    sizes.observe(plot);
    sights.observe(plot);
    plots.push([plot, panel]);
  }
}

const names = ({ curves }) => [...new Set(curves.filter(({ quiet }) => !quiet).map(({ name }) => name))];

function coverage(box) {
  make("h3", "", box, words.live.title);
  make("p", "", box, words.live.what);
  const ask = liveGrid(make("div", "live", box), words.live);
  new IntersectionObserver(([{ isIntersecting }], observer) => {
    if (!isIntersecting) return;
    observer.disconnect();
    ask();
  }).observe(box);
  make("h3", "", box, words.table.title);
  make("p", "", box, words.table.what);
  const table = make("table", "", make("div", "wide", box));
  const head = make("tr", "", make("thead", "", table));
  for (const title of ["", "y₁", "y₂", "y₃", words.table.loss, words.table.kl]) make("th", "", head, title);
  const body = make("tbody", "", table);
  for (const { name, policy, loss, kl } of props.table_1) {
    const row = make("tr", "", body);
    make("th", "", row, words.live.maps[name]);
    for (const share of policy) make("td", "", row, String(share));
    make("td", "", row, page.number(loss, 3));
    make("td", "", row, kl === null ? "∞" : page.number(kl, 3));
  }
}

// A link opens this very page with the settings of the run filled in; Run starts it.
function links(box, live, told) {
  make("h3", "", box, words.smaller);
  make("p", "", box, told.smaller);
  const list = make("p", "links", box);
  for (const [name, settings] of Object.entries(live)) {
    const link = make("a", "", list, told.runs[name]);
    const url = new URL(location.pathname, document.baseURI);
    url.search = location.search;
    for (const field of fields) url.searchParams.delete(field);
    for (const [field, value] of Object.entries(settings)) url.searchParams.set(field, value);
    link.href = url.href;
  }
}

function draw() {
  if (!element.isConnected || typeof Plotly === "undefined") return;
  for (const [plot, panel] of plots) paint(plot, () => picture(panel, getComputedStyle(find(".lab"))));
}

function picture(panel, style) {
  const colour = (name) => style.getPropertyValue(name);
  const legend = names(panel);
  const traces = panel.curves.map(({ name, colour: of, mode, x, y, half, dash, quiet }) => ({
    name, x, y,
    type: mode === "bars" ? "bar" : "scatter",
    mode: mode === "bars" ? undefined : mode,
    legendgroup: name,
    showlegend: !quiet,
    line: { color: colour(`--${of}`), width: 2, dash: dash || "solid" },
    marker: { color: colour(`--${of}`), size: 7, symbol: SYMBOLS[legend.indexOf(name) % SYMBOLS.length] },
    error_y: half ? { type: "data", array: half, thickness: 1.2, width: 3, color: colour(`--${of}`) } : undefined,
    hovertemplate: "%{x:.3~g}, %{y:.3f}",
  }));
  const axis = { gridcolor: colour("--hairline"), linecolor: colour("--hairline"), zerolinecolor: colour("--muted"), automargin: true };
  const layout = {
    ...plain(style),
    showlegend: true,
    hoverlabel: { ...plain(style).hoverlabel, namelength: -1 }, // what was fitted, whole
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    margin: { l: 10, r: 10, t: 6, b: 10 },
    xaxis: { ...axis, title: { text: panel.x, standoff: 6 } },
    yaxis: { ...axis, title: { text: panel.y, standoff: 6 } },
  };
  return [traces, layout];
}

for (const [name, card] of Object.entries(cards)) build(name, card);
whenRecoloured(draw);
draw();
