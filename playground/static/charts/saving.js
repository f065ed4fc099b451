// A quiet control in the head of a picture, which saves it as PNG or SVG, and its curves as CSV.
import { make } from "../core/dom.js";
import { saveAs } from "../core/download.js";
import { fill } from "../core/format.js";
import "../core/menu.js";
import { csvOf } from "./csv.js";

const LEAST = { width: 720, height: 440 }; // pixels of a saved picture
const PNG_SCALE = 2;

// `unit` is the unit of the values; "" if they have none.
export function offerSaving(head, plot, title, unit, words) {
  const menu = make("details", "menu save", head);
  const summary = make("summary", "", menu, "↓");
  summary.ariaLabel = fill(words.label, { title });
  const choices = make("div", "", menu);
  const file = title.replace(/[^\p{L}\p{N}]+/gu, "-");
  const heading = unit ? `${title} (${unit})` : title;

  function offer(name, save) {
    const button = make("button", name, choices, words[name]);
    button.type = "button";
    button.onclick = () => {
      if (plot.data) save();
      menu.open = false;
      summary.focus();
    };
  }

  for (const format of ["png", "svg"]) {
    offer(format, () => Plotly.downloadImage(whole(plot, heading), {
      format,
      filename: file,
      width: Math.max(LEAST.width, plot.clientWidth),
      height: Math.max(LEAST.height, plot.clientHeight),
      scale: format === "png" ? PNG_SCALE : 1,
    }));
  }
  offer("csv", () => {
    const heads = [words.curve, words.point, plot.layout.xaxis.title?.text ?? "x", heading];
    saveAs(`${file}.csv`, new Blob(["\ufeff", csvOf(plot.data, heads)], { type: "text/csv" }));
  });
}

// The picture with what the page shows around it: its title, the names of its curves, its paper. Images
// cannot load the page's font, so the picture has a font that is drawn as wide as it was measured.
function whole({ data, layout }, title) {
  const card = getComputedStyle(document.body).getPropertyValue("--card");
  return {
    data: data.map((trace) => ({ ...trace, showlegend: Boolean(trace.name) && trace.visible !== false })),
    layout: {
      ...layout,
      font: { ...layout.font, family: "sans-serif" },
      title: { text: title, x: 0.02, xanchor: "left", font: { size: 1.4 * layout.font.size } },
      showlegend: true,
      legend: { orientation: "h", x: 0, y: -0.16, yanchor: "top" },
      margin: { ...layout.margin, t: 80, b: 100 },
      paper_bgcolor: card,
      plot_bgcolor: card,
    },
  };
}
