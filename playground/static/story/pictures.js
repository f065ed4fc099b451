// The pictures of the scenes, drawn as the page's charts are, and the playing of a recorded run.
import { make } from "../core/dom.js";
import { fill, number, percent, signed } from "../core/format.js";
import { fold, startRun, valueAt } from "../core/run_log.js";
import { drawLoop } from "../learn/loop.js";
import {
  baseLayout, curveMargin, discard, lookOf, newCard, paint, stepAxis, valueAxis,
} from "../charts/plots.js";
import { limitTraces, tradeOffLayout } from "../charts/trade_off.js";

const PACE_MS = 400; // between two evaluations of a recording

// A recorded run in the form of the page's runs.
export const runOf = ({ run }) => fold(startRun(run), run);

// Draws the steps one after the other, the first immediately, until the last.
export function play(steps, draw) {
  const last = steps.length - 1;
  let timer = null;
  let index = 0;
  function start() {
    clearInterval(timer);
    index = matchMedia("(prefers-reduced-motion: reduce)").matches ? last : 0;
    draw(steps[index]);
    timer = setInterval(() => (index < last ? draw(steps[++index]) : clearInterval(timer)), PACE_MS);
  }
  start();
  return { start, redraw: () => draw(steps[index]), stop: () => clearInterval(timer) };
}

// The chart of reward and KL. `show` draws `traces(look)` over the frontier, in axes around `trails`.
export function tradeOff(host, { frontier, words: { frontier: words } }) {
  const { plot } = newCard(host, words.title, "", words.help);
  const chartWords = { ...words, crosses: "" }; // only the frontier, without best-of-n
  return {
    show(trails, traces, alternative) {
      plot.setAttribute("aria-label", `${words.title} ${alternative}`);
      paint(plot, () => {
        const look = lookOf(plot);
        const drawn = [limitTraces(frontier, chartWords, look)[0], ...traces(look)];
        return [drawn, tradeOffLayout(frontier, trails, "story", chartWords, look, plot)];
      });
    },
    stop: () => discard(plot),
  };
}

// Curves of a run over its steps: `lines` are {metric, name, colour, dash}; `level`, if there is one, is
// a line {y, name} to compare with.
export function curves(host, title, run, lines, { axis, share = false, level = null }) {
  const { plot, values } = newCard(host, title, "", title);
  const text = share ? (value) => percent(value) : (value) => signed(value, 1);
  const numbers = lines.map(({ name, colour, dash }) => {
    const box = make("span", "value", values);
    box.style.setProperty("--line", `var(${colour})`);
    if (name) make("span", `swatch ${dash}`, box);
    make("span", "name", box, name);
    return make("strong", "", box);
  });
  const heights = lines.flatMap(({ metric }) => run.series[metric].y).concat(level?.y ?? []);
  const [low, high] = [Math.min(...heights), Math.max(...heights)];
  const room = 0.1 * (high - low);
  return {
    show(step) {
      const shown = lines.map(({ metric }) => text(valueAt(run.series[metric], step)));
      numbers.forEach((box, i) => (box.textContent = shown[i]));
      plot.setAttribute("aria-label", `${title}: ${lines.map(({ name }, i) => `${name} ${shown[i]}`).join(", ")}`);
      paint(plot, () => drawn(lookOf(plot)));

      function drawn(look) {
        const traces = lines.map(({ metric, name, colour, dash }) => {
          const { x, y } = run.series[metric];
          const count = x.filter((one) => one <= step).length;
          return {
            name, x: x.slice(0, count), y: y.slice(0, count), mode: "lines+markers",
            line: { color: look.colour(colour), width: 4, dash }, marker: { size: 9 },
            hovertemplate: share ? "%{y:.0%}" : "%{y:+.2f}",
          };
        });
        const line = { color: look.colour("--muted"), width: 1.5, dash: "dot" };
        const across = { type: "line", xref: "paper", x0: 0, x1: 1, y0: level?.y, y1: level?.y, line };
        const named = { xref: "paper", x: 1, xanchor: "right", y: level?.y, yanchor: "bottom", text: level?.name, showarrow: false };
        return [traces, {
          ...baseLayout(look),
          margin: curveMargin(look),
          hovermode: "x unified",
          xaxis: stepAxis(look, run.config.steps, axis),
          yaxis: { ...valueAxis(look), range: [low - room, high + room], tickformat: share ? "~%" : "" },
          ...(level && { shapes: [across], annotations: [named] }),
        }];
      }
    },
    stop: () => discard(plot),
  };
}

// A run's last reward and KL as a sentence, for screen readers.
export const standing = ({ x, y }, { alternative }) =>
  fill(alternative.policy, { gain: signed(y.at(-1)), kl: number(x.at(-1)) });

// The loop of a method, with the numbers of its lesson at the β of the recorded training.
export function loopOf(method, host, { lesson }, words) {
  const { beta } = lesson.token ?? lesson.pair;
  drawLoop(make("section", "samples loop", host), method, words)(lesson, beta);
}
