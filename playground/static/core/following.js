// A run as a part of the page keeps it: all that its event log has told so far, delta by delta
// (charts.py). Only what is appended travels.
function begun({ run, config }) {
  const status = { name: "starting", message: "" };
  return { name: run, offset: 0, config, series: {}, samples: [], changes: [], step: 0, seconds: 0, status };
}

function gain(run, delta) {
  if (delta.void_after !== null) {
    const kept = ({ step }) => step <= delta.void_after;
    for (const series of Object.values(run.series)) {
      while (series.x.length && series.x.at(-1) > delta.void_after) series.x.pop(), series.y.pop();
    }
    run.samples = run.samples.filter(kept);
    run.changes = run.changes.filter(kept);
  }
  for (const [metric, points] of Object.entries(delta.points)) {
    const series = (run.series[metric] ??= { x: [], y: [] });
    for (const [step, value] of points) series.x.push(step), series.y.push(value);
  }
  run.offset = delta.offset; // how far the log is known
  run.samples.push(...delta.samples);
  run.changes.push(...delta.changes);
  run.status = delta.status ?? run.status;
  run.step = delta.step ?? run.step;
  run.seconds = delta.seconds ?? run.seconds;
}
