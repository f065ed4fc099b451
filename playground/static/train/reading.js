// The texts of the status line, from the page's words.
import { fill, number, percent } from "../core/format.js";
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
    ...names, step: run.step, steps: run.config.steps, seconds: number(run.seconds, 1),
  });
  if (step !== null) return progress + fill(words.looking, { step });
  return timeLeft ? progress + fill(words.left, { time: timeLeft }) : progress;
}

// The measured step nearest to `step`, or the one `by` places from it; null if it is the newest.
export function nearestStep(measured, step, by = 0) {
  const distances = measured.map((other) => Math.abs(other - step));
  const place = distances.lastIndexOf(Math.min(...distances)) + by;
  return place >= measured.length - 1 ? null : measured[Math.max(0, place)];
}
