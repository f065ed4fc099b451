// Runs drawn over each other: the frontier with their trails, and a chart for each curve. A run here
// is {run, letter, colour, dash, symbol}, and its `run` is as in run_log.js.
import { explain, make, within } from "../core/dom.js";
import { fill, number, signed } from "../core/format.js";
import { WIDEST, trail } from "../charts/geometry.js";
import { baseLayout, curveMargin, fitToBox, lookOf, newCard, paint, stepAxis, valueAxis } from "../charts/plots.js";
import { offerSaving } from "../charts/saving.js";
import { limitTraces, namedTrail, tradeOffLayout } from "../charts/trade_off.js";
import { letters, metricText } from "./labels.js";

const names = (runs) => runs.map(({ run }) => run.name).join();

export function overlay({ element, props }) {
  const { words, frontier: chartWords, metrics } = props;
  const { find, put } = within(element);
  const charts = props.curves.map((metric) => {
    const { unit, help } = metrics[metric];
    return { metric, ...newCard(find(".curves"), words.curves[metric], unit, help, props.saving) };
  });

  function drawTradeOff(runs, frontier) {
    const trails = runs.map((shown) => ({ ...shown, ...trail(shown.run, frontier) }));
    const plot = find(".trade .plot");
    paint(plot, () => {
      const look = lookOf(element);
      const traces = [
        ...limitTraces(frontier, chartWords, look),
        ...trails.flatMap((drawn) => namedTrail(drawn.letter, drawn, chartWords, look)),
        ...trails.filter(({ mixed }) => mixed).map((drawn) => mixedTrace(drawn, look)),
      ];
      return [traces, tradeOffLayout(frontier, trails, names(runs), chartWords, look, plot)];
    });
    const ends = trails.filter(({ x }) => x.length).map(endSentence);
    plot.setAttribute("aria-label", [chartWords.title, ...ends].join(" "));
    const absent = letters(trails.filter(({ x }) => !x.length));
    const outside = letters(trails.filter(({ x }) => x.at(-1) > WIDEST));
    put(".trade .aside", [
      absent && fill(words.no_trail, { runs: absent }),
      outside && fill(words.outside, { runs: outside, kl: WIDEST }),
    ].filter(Boolean).join(" "));
  }

  // The hollow mark of a run's policy mixed with its reference.
  function mixedTrace({ letter, symbol, colour, mixed }, look) {
    return {
      x: [mixed.x],
      y: [mixed.y],
      name: `${letter}, ${fill(chartWords.legend.mixture, mixed)}`,
      text: [`${letter}, ${fill(words.mix_value, mixed)}`],
      hovertemplate: `%{text}<br>${chartWords.hover}<extra></extra>`,
      mode: "markers+text",
      textposition: "bottom right",
      textfont: { size: look.size, color: look.colour(colour) },
      marker: { size: 15, symbol: `${symbol}-open`, color: look.colour(colour), line: { width: 3 } },
    };
  }

  function endSentence({ letter, x, y }) {
    return fill(words.stands, { run: letter, gain: signed(y.at(-1)), kl: number(x.at(-1)) });
  }

  function drawCurves(runs) {
    const steps = Math.max(...runs.map(({ run }) => run.config.steps));
    for (const chart of charts) {
      const measured = runs.filter(({ run }) => run.series[chart.metric]);
      chart.box.hidden = !measured.length;
      if (measured.length) drawCurve(chart, measured, names(runs), steps);
    }
  }

  function drawCurve({ metric, values, plot }, runs, subject, steps) {
    const percentage = metrics[metric].unit === "%";
    values.replaceChildren();
    const readings = runs.map(({ run, letter, colour }) => {
      const value = metricText(metric, run.series[metric].y.at(-1), words.shares);
      const box = make("span", "value", values);
      box.style.setProperty("--line", `var(${colour})`);
      make("span", "name", box, letter);
      make("strong", "", box, value);
      return `${letter} ${value}`;
    });
    const alternative = { title: words.curves[metric], values: readings.join(", ") };
    plot.setAttribute("aria-label", fill(words.alternative, alternative));
    paint(plot, () => {
      const look = lookOf(element);
      const traces = runs.map(({ run, letter, colour, dash, symbol }) => ({
        name: letter,
        ...run.series[metric],
        mode: "lines+markers",
        line: { color: look.colour(colour), width: 3, dash },
        marker: { size: 7, symbol },
        hovertemplate: percentage ? "%{y:.0%}" : "%{y:.2f}",
      }));
      const layout = {
        ...baseLayout(look),
        uirevision: subject,
        margin: curveMargin(look),
        hovermode: "x unified",
        xaxis: stepAxis(look, steps, words.step),
        yaxis: {
          ...valueAxis(look),
          rangemode: metric === "eval/kl" ? "tozero" : "normal",
          tickformat: percentage ? "~%" : "",
        },
      };
      return [traces, layout];
    });
  }

  put(".trade h2", chartWords.title);
  explain(find(".trade .help"), chartWords.title, words.trade_help);
  offerSaving(find(".trade header"), find(".trade .plot"), chartWords.title, chartWords.y, props.saving);
  fitToBox(find(".trade .plot"));
  return { drawTradeOff, drawCurves };
}
