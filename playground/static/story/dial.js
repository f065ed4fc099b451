// The scene of β: the exact optimum at each β of a slider, and the text that it writes.
import { make } from "../core/dom.js";
import { fill, number, signed } from "../core/format.js";
import { shadedText } from "../core/shaded_text.js";
import { targetTrace } from "../charts/trade_off.js";
import { tradeOff } from "./pictures.js";

const FIRST = 1; // the β shown first

export function beta(host, optima, words, all) {
  const { frontier: chartWords, shading } = all.words;
  const { writeText } = shadedText(shading);
  const chart = tradeOff(host, all);
  const box = make("section", "samples", host);
  const label = make("label", "beta", host);
  make("span", "", label, words.act);
  const slider = make("input", "", label);
  const output = make("output", "", label);
  Object.assign(slider, { type: "range", min: 0, max: optima.length - 1, step: 1 });
  slider.value = optima.findIndex((optimum) => optimum.beta === FIRST);

  function show() {
    const optimum = optima[slider.value];
    const values = { beta: optimum.beta, gain: signed(optimum.gain), kl: number(optimum.kl) };
    const traces = (look) => [targetTrace(optimum, chartWords, look)];
    const reach = { x: optima.map(({ kl }) => kl), y: optima.map(({ gain }) => gain) };
    chart.show([reach], traces, fill(chartWords.alternative.target, values));
    output.textContent = optimum.beta;
    slider.setAttribute("aria-valuetext", optimum.beta);
    box.replaceChildren();
    make("h3", "", box, fill(words.text, optimum));
    const { prompt, text, gold_reward } = optimum.text;
    writeText(box, prompt, { text, gold_reward });
    make("p", "stands", box, fill(words.stands, values));
  }

  slider.oninput = show;
  show();
  return { redraw: show, stop: chart.stop };
}
