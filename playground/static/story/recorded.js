// Scenes that play a recorded run: the reward model learns, PPO climbs, and PPO without β runs away.
import { make } from "../core/dom.js";
import { fill } from "../core/format.js";
import { samplesAt } from "../core/run_log.js";
import { shadedText } from "../core/shaded_text.js";
import { trail, trailUpTo } from "../charts/geometry.js";
import { namedTrail } from "../charts/trade_off.js";
import { sidesWith } from "../train/sides.js";
import { curves, loopOf, play, runOf, standing, tradeOff } from "./pictures.js";
import { addAct } from "./texts.js";

const CHANCE = 0.5; // the accuracy of guessing

// The accuracy of a reward model on held-out pairs, and its scores for one pair.
export function reward(host, data, words, { words: { shading, story, axis } }) {
  const run = runOf(data);
  const line = { metric: "eval/accuracy", name: "", colour: "--proxy", dash: "solid" };
  const level = { y: CHANCE, name: words.chance };
  const chart = curves(host, words.chart, run, [line], { axis, share: true, level });
  const box = make("section", "samples", host);
  make("h3", "", box, words.scores);
  const { writeText } = shadedText(shading);
  for (const side of ["chosen", "rejected"]) {
    const { text, proxy_reward } = data.pair[side];
    writeText(make("div", "side", box), data.pair.prompt, { text, proxy_reward });
  }
  return playing(host, run.series["eval/accuracy"].x, story, chart.show, chart.stop);
}

// PPO's trail below the frontier, and its text for one prompt before training and at each step.
export function ppo(host, data, words, { frontier, words: { samples, shading, story, learn, frontier: chartWords }, ...rest }) {
  const run = runOf(data);
  const full = trail(run, frontier);
  const chart = tradeOff(host, { frontier, words: { frontier: chartWords }, ...rest });
  const texts = twoTexts(host, run, ["gold_reward"], samples, shading, story);
  loopOf("ppo", host, data, learn);
  function show(step) {
    const drawn = trailUpTo(full, step);
    const traces = (look) => namedTrail("PPO", { ...drawn, colour: "--policy" }, chartWords, look);
    chart.show([full], traces, standing(drawn, chartWords));
    texts(step);
  }
  return playing(host, full.steps, story, show, chart.stop);
}

// Gold and proxy reward without the KL term, and the text that results.
export function noLeash(host, data, words, { words: { samples, shading, story, axis } }) {
  const run = runOf(data);
  const lines = [
    { metric: "eval/proxy_reward", name: samples.proxy, colour: "--proxy", dash: "dash" },
    { metric: "eval/gold_reward", name: samples.gold, colour: "--gold", dash: "solid" },
  ];
  const chart = curves(host, words.chart, run, lines, { axis });
  const texts = twoTexts(host, run, ["gold_reward", "proxy_reward"], samples, shading, story);
  function show(step) {
    chart.show(step);
    texts(step);
  }
  return { ...playing(host, run.series["eval/kl"].x, story, show, chart.stop), values: run.config };
}

function playing(host, steps, story, show, stop) {
  const { start, redraw, stop: pause } = play(steps, show);
  addAct(host, story.replay, start);
  return {
    redraw,
    stop() {
      pause();
      stop();
    },
  };
}

// Shows a prompt's text before training; returns a function that shows its text at a step beside it.
// Both texts are shown with these `rewards`.
function twoTexts(host, run, rewards, words, shading, story) {
  const { buildSide, fillSide } = sidesWith(words, shading);
  const box = make("section", "samples", host);
  const [before, now] = [buildSide("reference", box), buildSide("policy", box)];
  before.who.textContent = story.before;
  const shown = (text) => Object.fromEntries(["text", ...rewards].map((name) => [name, text[name]]));
  const [first] = samplesAt(run, 0).rows;
  fillSide(before, first.prompt, shown(first.policy));
  return (step) => {
    const [{ prompt, policy }] = samplesAt(run, step).rows;
    now.who.textContent = fill(story.now, { step });
    fillSide(now, prompt, { ...shown(policy), tokens: policy.tokens });
  };
}
