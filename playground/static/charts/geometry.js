// The geometry of the charts: axes and trails, from the numbers of runs and frontiers.

export const WIDEST = 8; // nats of KL; a note names runs that leave the picture
export const NARROWEST = 2.6; // nats of KL that every picture of the trade-off shows
const FLAT = 0.02; // half the least height of an axis, so that rounding noise looks flat

// The trail of a run that started from this frontier's reference: {steps, x: KL, y: gain} of every
// measured step; that of any other run is empty. `full_gain` is the optimum's gain at `gain_kl` nats, in
// nats; a run's gain is `full_gain` times its share of it, `eval/gain`. The plain difference of mean rewards
// would depend on the few samples of the reference: it would have three times the noise, and the limit
// is drawn without that noise.
export function trail(run, { full_gain, reference }) {
  if (!run || !full_gain || run.config.model !== reference) return { steps: [], x: [], y: [] };
  const { x: steps = [], y: kl = [] } = run.series["eval/kl"] ?? {};
  const shares = run.series["eval/gain"]?.y ?? [];
  const count = Math.min(kl.length, shares.length);
  return {
    steps: steps.slice(0, count),
    x: kl.slice(0, count),
    y: shares.slice(0, count).map((share) => share * full_gain),
  };
}

// A trail up to a step.
export function trailUpTo({ steps, x, y }, step) {
  const count = steps.filter((one) => one <= step).length;
  return { steps: steps.slice(0, count), x: x.slice(0, count), y: y.slice(0, count) };
}

// The axes of the trade-off, [least, most] each, around a frontier and the trails below WIDEST;
// `wide` says whether they are wider than for the frontier alone. At least the share `below` of the
// height is below the reference.
export function tradeOffAxes(frontier, trails, below) {
  const inside = trails.flatMap(({ x, y }) => x.map((kl, i) => [kl, y[i]])).filter(([kl]) => kl <= WIDEST);
  const right = Math.max(NARROWEST, ...inside.map(([kl]) => 1.1 * kl));
  const top = 1.2 * Math.max(...frontier.curve.map(([, gain]) => gain));
  const bottom = Math.min((-below / (1 - below)) * top, ...inside.map(([, gain]) => gain - 0.3));
  return { x: [-0.02 * right, right], y: [bottom, top], wide: right > NARROWEST };
}

// The axis of a run's steps, with room for the marks at its ends.
export const stepRange = (steps) => [-0.02 * steps, 1.02 * steps];

// An axis that extends by FLAT to both sides of almost constant curves; null for other curves. It
// goes below 0 only if the values may.
export function flatRange(values, mayBeNegative) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  if (!values.length || high - low >= FLAT) return null;
  const least = (low + high) / 2 - FLAT;
  const bottom = mayBeNegative ? least : Math.max(0, least);
  return [bottom, bottom + 2 * FLAT];
}
