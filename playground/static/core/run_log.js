// A run as the page keeps it: its event log, folded into series. A run is never changed: each delta
// of the log (charts.py) makes a new run, which shares its unchanged parts with the old one.

export function startRun({ run, config, trained_on = null, repeat = null }) {
  const status = { name: "starting", message: "" };
  const empty = { series: {}, samples: [], changes: [], step: 0, seconds: 0, status, summary: null, phase: null, written: null, learnt: null, distance: null };
  return { name: run, config, trainedOn: trained_on, repeat, offset: 0, ...empty };
}

// The run with a delta added to it; events after `void_after` are dropped first.
export function fold(run, delta) {
  if (delta.step === null) return run; // the log has no new event
  const { series, samples, changes } = delta.void_after === null ? run : upTo(run, delta.void_after);
  return {
    ...run,
    offset: delta.offset, // the known part of the log ends here
    series: extend(series, delta.points),
    samples: joined(samples, delta.samples),
    changes: joined(changes, delta.changes),
    status: delta.status ?? run.status,
    step: delta.step ?? run.step,
    seconds: delta.seconds ?? run.seconds,
    summary: delta.summary ?? run.summary,
    phase: delta.phase ?? (delta.status ? null : run.phase), // what the run is doing, null if unknown
    written: delta.written ?? run.written, // the newest {prompt, text} of a rollout
    distance: delta.distance ?? (delta.void_after === null ? run.distance : null), // from the optimum, at the end
    learnt: delta.learnt ?? run.learnt, // the newest demonstration {prompt, text} or pair {prompt, chosen, rejected}
  };
}

function upTo({ series, samples, changes }, last) {
  const shortened = Object.entries(series).map(([metric, { x, y }]) => {
    const within = (_, i) => x[i] <= last;
    const unchanged = x.every((step) => step <= last);
    return [metric, unchanged ? series[metric] : { x: x.filter(within), y: y.filter(within) }];
  });
  const kept = (list) => (list.every(({ step }) => step <= last) ? list : list.filter(({ step }) => step <= last));
  return { series: Object.fromEntries(shortened), samples: kept(samples), changes: kept(changes) };
}

// `points` has the new [step, value] pairs of metrics.
function extend(series, points) {
  const extended = { ...series };
  for (const [metric, pairs] of Object.entries(points)) {
    const { x, y } = extended[metric] ?? { x: [], y: [] };
    const [steps, values] = [pairs.map(([step]) => step), pairs.map(([, value]) => value)];
    extended[metric] = { x: [...x, ...steps], y: [...y, ...values] };
  }
  return extended;
}

const joined = (list, more) => (more.length ? [...list, ...more] : list);

// A run at a step; null stands for the newest step.

export function valueAt(series, step) {
  if (step === null) return series?.y.at(-1);
  return series?.y[series.x.findLastIndex((measured) => measured <= step)];
}

export function samplesAt(run, step) {
  return run?.samples.findLast((samples) => step === null || samples.step <= step) ?? null;
}

// The settings in force at `step`: a change takes effect at the step after it.
export function settingsAt(run, step) {
  const made = run.changes.filter((change) => step === null || change.step < step);
  return Object.assign({}, run.config, ...made.map(({ settings }) => settings));
}

// Its status

// Whether the run still gets new events; a recorded run does while it is played.
export const isMoving = (run) => ["starting", "running", "paused"].includes(run?.status.name);

// The name of a preset's recorded run (content/recordings.py).
export const recordingOf = (preset) => `recorded/${preset}`;

export const isRecorded = (run) => run?.name.startsWith("recorded/") ?? false;

export const isLive = (run) => isMoving(run) && !isRecorded(run);
