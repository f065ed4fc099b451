// The scene of DPO: its trail beside PPO's, and a table that compares the two.
import { make } from "../core/dom.js";
import { fill, number, percent, signed } from "../core/format.js";
import { valueAt } from "../core/run_log.js";
import { trail } from "../charts/geometry.js";
import { namedTrail } from "../charts/trade_off.js";
import { loopOf, runOf, standing, tradeOff } from "./pictures.js";

const LOOKS = { PPO: { colour: "--policy", at: "top left" }, DPO: { colour: "--run-b", at: "middle right" } };

export function dpo(host, data, words, all) {
  const { frontier, words: { frontier: chartWords } } = all;
  const runs = { PPO: runOf(all.ppo), DPO: runOf(data) };
  const trails = Object.entries(runs).map(([name, run]) => ({ name, ...trail(run, frontier), ...LOOKS[name] }));
  const chart = tradeOff(host, all);
  function show() {
    const traces = (look) => trails.flatMap((drawn) => namedTrail(drawn.name, drawn, chartWords, look));
    chart.show(trails, traces, trails.map((drawn) => `${drawn.name}: ${standing(drawn, chartWords)}`).join(" "));
  }
  show();
  drawCard(make("section", "samples", host), runs, trails, data.lab, words);
  loopOf("dpo", host, data, all.words.learn);
  return { redraw: show, stop: chart.stop };
}

function drawCard(box, runs, trails, lab, words) {
  make("h3", "", box, words.card);
  const table = make("table", "", box);
  const row = (name, cells, tag = "td") => {
    const line = make("tr", "", table);
    make(name ? "th" : "td", "", line, name);
    for (const cell of cells) make(tag, "", line, cell);
  };
  const end = (metric) => Object.values(runs).map(({ series }) => valueAt(series[metric], null));
  const interval = ({ mean, ci95 }) => fill(words.interval, { mean: number(100 * mean, 0), half: percent(ci95) });
  row("", Object.keys(runs), "th");
  row(words.needs, [words.needs_ppo, words.needs_dpo]);
  row(words.seconds, Object.values(runs).map(({ seconds }) => fill(words.duration, { seconds: number(seconds, 0) })));
  row(words.gain, trails.map(({ y }) => signed(y.at(-1))));
  row(words.kl, end("eval/kl").map((kl) => number(kl)));
  row(words.efficiency, end("eval/frontier_efficiency").map((share) => percent(share)));
  row(fill(words.shares, lab.ppo), [lab.ppo, lab.dpo].map(interval));
  make("p", "verdict", box, `${fasterSentence(runs, words)} ${aheadSentence(lab, words)}`);
}

function fasterSentence(runs, words) {
  const [[fast, { seconds: least }], [, { seconds: most }]] =
    Object.entries(runs).toSorted(([, one], [, other]) => one.seconds - other.seconds);
  return fill(words.faster, { fast, times: number(most / least, 1) });
}

// Which method is ahead: neither if the 95% interval of their difference over seeds contains 0.
function aheadSentence({ difference: { mean, ci95 }, kl }, words) {
  if (Math.abs(mean) <= ci95) return fill(words.even, { kl });
  return fill(words.ahead, { ahead: mean > 0 ? "DPO" : "PPO", kl });
}
