// A race of the shown recording and the ghost. Its clock is the time in their logs since each has measured
// its reference.
import { clock, fill, number, signed } from "../core/format.js";
import { isMoving, valueAt } from "../core/run_log.js";
import { trail, trailUpTo } from "../charts/geometry.js";

const CLOCK = "timing/seconds"; // content/recordings.py
const EVEN = { gain: 0.05, kl: 0.05, seconds: 3 }; // smaller differences say nothing

// The state of a race when the first run is at `step`, null for its newest: {seconds, over, runners}. Each runner
// has its `step`, its `trail` so far, its newest `gain` and `kl`, and the `seconds` of its whole run. Null until both
// have measured their reference.
export function raceAt([first, second], step, frontier) {
  if (!frontier || !first.series[CLOCK] || !second.series[CLOCK]) return null;
  const over = step === null && !isMoving(first);
  const seconds = (step === null ? first.seconds : valueAt(first.series[CLOCK], step)) - startOf(first);
  const steps = [step ?? Infinity, over ? Infinity : stepAt(second.series[CLOCK], seconds)];
  const runners = [first, second].map((run, i) => {
    const shown = trailUpTo(trail(run, frontier), steps[i]);
    return { step: steps[i], trail: shown, gain: shown.y.at(-1), kl: shown.x.at(-1), seconds: run.series[CLOCK].y.at(-1) - startOf(run) };
  });
  return runners.every(({ gain }) => gain !== undefined) ? { seconds, over, runners } : null;
}

const startOf = (run) => run.series[CLOCK].y[0];

// The last step that a run had measured within `seconds` after its first measurement.
export function stepAt({ x, y }, seconds) {
  return x[y.findLastIndex((at) => at - y[0] <= seconds)];
}

// The names of both runners in a race.
export const runnerNames = (runs, race, words) => (
  runs.map(({ config }, i) => fill(words[race].runners[i], config))
);

// Who leads in gain and who has moved less, as one sentence; when the race is over, its result.
export function raceText({ seconds, over, runners }, names, words) {
  if (!over && runners.every(({ trail }) => trail.x.length < 2)) return words.start;
  const say = over ? words.result : words.now;
  const part = (what, key, text, less) => {
    const [one, other] = [runners[0][key], runners[1][key]];
    const isEven = Math.abs(one - other) < EVEN[key];
    const leader = Number(!isEven && (less ? one > other : one < other));
    const [mine, others] = (leader ? [other, one] : [one, other]).map(text);
    return fill(say[isEven ? `${what}_even` : what], { who: names[leader], other: names[1 - leader], mine, others });
  };
  const parts = {
    gain: part("gain", "gain", (value) => signed(value), false),
    kl: part("kl", "kl", (value) => number(value), true),
    time: over ? part("time", "seconds", clock, true) : clock(seconds),
    done: !over && runners[1].seconds <= seconds ? fill(say.done, { who: names[1] }) : "",
  };
  return fill(say.sentence, parts);
}
