// The live curves: a card for each chart. Its legend also shows the values at the viewed step.
import { changeDetector } from "../core/changes.js";
import { make, within } from "../core/dom.js";
import { fill, number, percent, signed } from "../core/format.js";
import { valueAt } from "../core/run_log.js";
import { get, subscribe } from "../core/store.js";
import { runOnStage } from "../core/view.js";
import { flatRange } from "./geometry.js";
import {
  baseLayout, curveMargin, discard, drawInSight, lookOf, newCard, paint, stepAxis, valueAxis, whenRecoloured,
} from "./plots.js";

const COLOURS = ["policy", "gold", "proxy", "kl", "loss"];
const DASHES = ["solid", "dash", "dot"];

const linesOf = (charts) => Object.fromEntries(
  charts.flatMap(({ curves }) => curves).map(({ metric, colour, dash }) => [metric, [`--${colour}`, dash]]),
);

export function mount({ element, props }) {
  const { words, charts, part = null } = props; // `part`: the prefix of the metrics of a reward's parts
  const host = within(element).find(".charts");
  const hidden = new Set(); // the metrics whose curves the reader has hidden
  const isOther = changeDetector(); // of the method and the parts
  let cards = [];

  // Metric -> the CSS variable of its colour, and its dash, for readers who see no colours.
  const lines = linesOf(Object.values(charts).flat());
  const isPart = (metric) => part !== null && metric.startsWith(part);
  // The name, unit and definition of a metric; a part of a reward has its own name.
  const wordsOf = (metric) => (isPart(metric) ? { ...words.part, name: metric.slice(part.length) } : words.metrics[metric]);

  // The charts of a method; the first is of the parts of the run's reward, if it has any.
  function chartsOf(method, parts) {
    if (!parts.length) return charts[method];
    const curves = parts.map((metric, i) => (
      { metric, colour: COLOURS[i % COLOURS.length], dash: DASHES[i % DASHES.length] }
    ));
    const chart = { id: "parts", curves, optional: false, range: "normal" };
    Object.assign(lines, linesOf([chart]));
    return [chart, ...charts[method]];
  }

  function build(charts) {
    for (const { plot } of cards) discard(plot);
    host.replaceChildren();
    cards = charts.map(({ id, curves, optional, range }) => {
      const metrics = curves.map(({ metric }) => metric);
      const card = newCard(host, words.titles[id], wordsOf(metrics[0]).unit, words.help[id], props.saving);
      drawInSight(card.plot);
      const empty = make("p", "empty", card.box, words.empty);
      const readouts = metrics.map((metric) => newReadout(metric, card.values));
      return { ...card, id, metrics, optional, range, empty, readouts, isChanged: changeDetector() };
    });
  }

  function newReadout(metric, host) {
    const button = make("button", "value", host);
    button.type = "button";
    button.dataset.tip = wordsOf(metric).help;
    button.style.setProperty("--line", `var(${lines[metric][0]})`);
    make("span", `swatch ${lines[metric][1]}`, button).setAttribute("aria-hidden", "true");
    make("span", "name", button, wordsOf(metric).name);
    const value = make("strong", "", button);
    button.onclick = () => {
      if (!hidden.delete(metric)) hidden.add(metric);
      draw(get(), true);
    };
    return { metric, button, value };
  }

  const isShare = (metric) => wordsOf(metric).unit === "%";

  function valueText(metric, value) {
    if (value === undefined) return "–"; // not measured up to this step
    if (isShare(metric)) return percent(value, value < 0.1 ? 1 : 0);
    const digits = Math.abs(value) >= 100 ? 0 : 2;
    const isReward = /reward(_(un)?covered)?$/.test(metric);
    return isReward || isPart(metric) ? signed(value, digits) : number(value, digits);
  }

  // Draws the cards whose numbers have changed; with `all`, the others too: after a change of colours,
  // or of the hidden curves.
  function draw(state, all = false) {
    const run = runOnStage(state);
    const wanted = run?.config.method ?? state.method;
    if (!wanted) return; // nothing is chosen yet
    const parts = Object.keys(run?.series ?? {}).filter(isPart).sort();
    if (isOther(wanted, parts.join())) build(chartsOf(wanted, parts));
    for (const card of cards) {
      const series = card.metrics.map((metric) => run?.series[metric]);
      const marked = [state.viewedStep, run?.changes, referenceReward(card, run)];
      if (card.isChanged(run?.name, ...marked, ...series) || all) drawCard(card, run, state.viewedStep);
    }
  }

  function drawCard(card, run, step) {
    const drawn = card.metrics.filter((metric) => run?.series[metric]?.x.length);
    card.empty.hidden = drawn.length > 0;
    card.box.hidden = card.optional && !drawn.length;
    for (const { metric, button, value } of card.readouts) {
      button.hidden = !drawn.includes(metric);
      button.setAttribute("aria-pressed", String(!hidden.has(metric)));
      if (!button.hidden) value.textContent = valueText(metric, valueAt(run.series[metric], step));
    }
    card.plot.setAttribute("aria-label", alternative(card, drawn, run, step));
    paint(card.plot, () => {
      const look = lookOf(element);
      const traces = drawn.map((metric) => trace(metric, run.series[metric], look));
      return [traces, layout(card, run, step, look, drawn.length > 0)];
    });
  }

  function trace(metric, { x, y }, { colour }) {
    const [variable, dash] = lines[metric];
    const { name, unit } = wordsOf(metric);
    return {
      name,
      x,
      y,
      mode: x.length > 60 ? "lines" : "lines+markers",
      visible: !hidden.has(metric),
      line: { color: colour(variable), width: 3, dash },
      marker: { size: 6 },
      hovertemplate: isShare(metric) ? "%{y:.0%}" : `%{y:.3f} ${unit}`,
    };
  }

  function layout(card, run, step, look, filled) {
    const values = card.metrics.flatMap((metric) => run?.series[metric]?.y ?? []);
    const flat = flatRange(values, card.range === "normal");
    return {
      ...baseLayout(look),
      uirevision: run?.name ?? "none",
      margin: curveMargin(look),
      hovermode: "x unified",
      xaxis: stepAxis(look, run?.config.steps ?? 100, words.step),
      yaxis: {
        ...valueAxis(look),
        autorange: true,
        rangemode: card.range,
        tickformat: isShare(card.metrics[0]) ? "~%" : "",
        showticklabels: filled,
        ...(flat && { autorange: false, range: flat }),
      },
      ...marks(referenceReward(card, run), run?.changes ?? [], step, look),
    };
  }

  // The reference's reward, which the chart of rewards shows as a line.
  function referenceReward(card, run) {
    return card.id === "reward" ? run?.series["eval/gold_reward_reference"]?.y[0] : undefined;
  }

  // Lines at the reference's reward, at changes of settings, and at the viewed step.
  function marks(reference, changes, step, { colour }) {
    const ink = colour("--muted");
    const upright = { type: "line", xref: "x", yref: "paper", y0: 0, y1: 1 };
    const shapes = changes.map(({ step: at }) => (
      { ...upright, x0: at, x1: at, line: { color: ink, width: 1.5, dash: "dash" } }
    ));
    const annotations = changes.map(({ step: at, settings }) => ({
      x: at, yref: "paper", y: 1, xanchor: "left", yanchor: "top", showarrow: false,
      text: Object.entries(settings).map(([name, value]) => `${words.settings[name]} ${value}`).join(" "),
    }));
    if (reference !== undefined) {
      const line = { color: ink, width: 1.5, dash: "dot" };
      shapes.unshift({ type: "line", xref: "paper", x0: 0, x1: 1, y0: reference, y1: reference, line });
      const end = { xref: "paper", x: 1, y: reference, xanchor: "right", yanchor: "top", showarrow: false };
      annotations.unshift({ ...end, text: words.reference });
    }
    if (step !== null) {
      shapes.push({ ...upright, x0: step, x1: step, line: { color: colour("--accent"), width: 2 } });
    }
    return { shapes, annotations };
  }

  // A chart in words, for screen readers.
  function alternative(card, drawn, run, step) {
    const title = words.titles[card.id];
    const values = drawn.map((metric) => {
      const { name, unit } = wordsOf(metric);
      return `${name} ${valueText(metric, valueAt(run.series[metric], step))} ${unit === "%" ? "" : unit}`;
    });
    return values.length ? fill(words.alternative, { title, values: values.join(", ") }) : title;
  }

  subscribe(element, ["run", "task", "method", "viewedStep"], (state) => draw(state));
  whenRecoloured(() => element.isConnected && draw(get(), true));
  draw(get());
}
