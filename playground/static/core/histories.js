// What a setting was and what it was turned to ([step, value] pairs, histories.py), as a name has
// room for it: "0.7 → 0.2". Compare has room for every step.
function turnedValues(history) {
  const values = history.map(([, value]) => value);
  return (values.length > 3 ? [values[0], "…", values.at(-1)] : values).join(" → ");
}

// A sentence on a run by its settings: {beta} and {learning_rate} stand for all that they were.
const fillRun = (template, run) =>
  page.fill(template, { ...run, beta: turnedValues(run.beta), learning_rate: turnedValues(run.learning_rate) });
