// What all pictures have in common: their look, their size, light and dark.
const OPTIONS = { displayModeBar: false, displaylogo: false, responsive: false };

// The size of letters in a picture, in pixels; ?present makes them larger.
const fontSize = (style) => parseFloat(style.getPropertyValue("--chart-font"));

// The part of Plotly's layout that is everywhere the same.
function plain(style) {
  const colour = (name) => style.getPropertyValue(name);
  const size = fontSize(style);
  return {
    autosize: true,
    showlegend: false,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: style.fontFamily, size, color: colour("--muted") },
    hoverlabel: {
      bgcolor: colour("--card"),
      bordercolor: colour("--hairline"),
      font: { color: colour("--ink"), size },
    },
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
  };
}

// Plotly need not look whether numbers beside an axis leave the picture, which would take a sixth of
// the time of drawing it: its margins have room for them.
const ROOMY = { ticklabeloverflow: "allow" };

// The axes of a curve: of what was measured, and of the `steps` of a run.
function valueAxis(style) {
  const colour = style.getPropertyValue("--hairline");
  return { ...ROOMY, gridcolor: colour, linecolor: colour, zeroline: false, nticks: Math.round(84 / fontSize(style)) };
}

function stepAxis(style, steps, name) {
  const range = [-0.02 * steps, 1.02 * steps];
  return { ...valueAxis(style), title: axisTitle(style, name, 4), range, nticks: 5, hoverformat: "d" };
}

// As large as the figures beside it: Plotly would make it larger, and it would lie over them.
const axisTitle = (style, text, standoff) => ({ text, standoff, font: { size: fontSize(style) } });

// Room for the figures of both axes and the name of the lower.
const curveMargin = (style) => ({ l: 3.1 * fontSize(style), r: 14, t: 8, b: 2.7 * fontSize(style) });

const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.classList.contains("js-plotly-plot")) Plotly.Plots.resize(target);
  }
});

// A picture that is out of sight is drawn when it comes into it, as it is then.
const sights = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    target.outOfSight = !isIntersecting;
    if (isIntersecting) target.owed?.();
  }
});

// Draws `picture()`, [traces, layout], into `plot`, now or then.
function paint(plot, picture) {
  plot.owed = () => {
    plot.owed = null;
    Plotly.react(plot, ...picture(), OPTIONS);
  };
  if (!plot.outOfSight) plot.owed();
}

// What stands behind a question mark, for the eye and for the ear.
function explain(help, text) {
  help.dataset.tip = text;
  help.setAttribute("aria-label", text);
}

// A card for a picture: its title and unit, what it means, and room for the values it holds.
function newCard(host, title, unit, help) {
  const box = make("section", "chart", host);
  const head = make("header", "", box);
  make("h3", "", head, title);
  make("span", "unit", head, unit);
  const mark = make("button", "help", head, "?");
  mark.type = "button";
  explain(mark, help);
  const values = make("div", "values", box);
  const plot = make("div", "plot", box);
  plot.setAttribute("role", "img");
  sizes.observe(plot);
  return { box, values, plot };
}

// Light and dark differ only in CSS variables, which Plotly cannot read by itself.
function whenRecoloured(draw) {
  new MutationObserver(() => draw()).observe(document.body, { attributeFilter: ["class"] });
}
