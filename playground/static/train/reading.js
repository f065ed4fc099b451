// The texts of the status line, from the page's words.
import { fill, number, percent, signed } from "../core/format.js";
import { makesPolicy } from "../core/records.js";
import { valueAt } from "../core/run_log.js";
import { gainAt } from "../core/view.js";

// The measurements at a step, as a sentence.
export function readingAt(run, step, frontiers, words) {
  const value = (metric) => valueAt(run.series[metric], step);
  if (value("eval/gold_reward") !== undefined && value("eval/kl") !== undefined) {
    const gain = gainAt(run, step, frontiers);
    const size = Math.abs(gain) < 0.05 ? "even" : gain > 0 ? "more" : "less";
    const sentence = fill(words[size], { gain: number(Math.abs(gain)), kl: number(value("eval/kl")) });
    const efficiency = value("eval/frontier_efficiency");
    if (!(efficiency > 0)) return sentence;
    return `${sentence} ${fill(words.efficiency, { efficiency: number(100 * efficiency, 0) })}`;
  }
  const accuracy = value("eval/accuracy") ?? value("accuracy");
  return accuracy === undefined ? words.starting : fill(words.scores, { accuracy: percent(accuracy) });
}

// The progress of a run, with the step shown or the time left; `timeLeft` is null if it is unknown.
export function progressText(run, step, timeLeft, names, words) {
  const progress = fill(words.progress, {
    ...names, step: run.step, steps: run.config.steps,
  });
  if (step !== null) return progress + fill(words.looking, { step });
  return timeLeft ? progress + fill(words.left, { time: timeLeft }) : progress;
}

// What a live run is doing, such as "scoring 128 reviews"; "" if it is unknown.
export function doingText({ phase, config, status }, words) {
  if (!phase || status.name !== "running") return "";
  const texts = words.texts[config.task] ?? words.texts.other;
  if (phase.phase === "measuring") {
    if (!makesPolicy(config.method)) return words.doing.measuring_pairs;
    return fill(words.doing.measuring, { n: phase.count ?? config.eval_prompts * config.eval_samples, texts });
  }
  const known = phase.count === undefined && phase.phase === "updating" ? "learning" : phase.phase;
  return fill(words.doing[known], { n: phase.count, texts });
}

// Lines {label, tip, prompt, text} on what a live run works on: a text of the newest rollout, as it was
// written a moment ago, or the demonstration or the pair that an update learns from.
export function workLines({ written, learnt, config }, words) {
  if (written) return [{ label: words.written, ...written }];
  if (!learnt) return [];
  if (learnt.text !== undefined) return [{ label: words.learnt.text, ...learnt }];
  const says = words.learnt[makesPolicy(config.method) ? "policy" : "reward"];
  return ["chosen", "rejected"].map((side) => {
    const { text, score } = learnt[side];
    if (score === undefined) return { label: fill(words.learnt.label, { label: says[side] }), prompt: learnt.prompt, text };
    const label = fill(words.learnt.scored, { label: says[side], score: signed(score) });
    return { label, tip: says.help, prompt: learnt.prompt, text };
  });
}

// The headline of a live run before its first measurement; null if the page has another one.
export function openingText(run, words) {
  if (Object.keys(run.series).some((metric) => metric.startsWith("eval/"))) return null;
  if (!run.phase) return run.status.message ? null : words.starting;
  if (!makesPolicy(run.config.method)) return null;
  const { task, eval_prompts, eval_samples } = run.config;
  return fill(words.opening, { n: eval_prompts * eval_samples, texts: words.texts[task] ?? words.texts.other });
}

// The measured step nearest to `step`, or the one `by` steps from it; null if it is the newest.
export function nearestStep(measured, step, by = 0) {
  const distances = measured.map((other) => Math.abs(other - step));
  const index = distances.lastIndexOf(Math.min(...distances)) + by;
  return index >= measured.length - 1 ? null : measured[Math.max(0, index)];
}
