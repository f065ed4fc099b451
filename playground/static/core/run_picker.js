// The choice of a task and of its runs, in Try it, Score it and Compare.
import { listErrors, make, option, whenShown, within } from "./dom.js";
import { fill, fillRun } from "./format.js";
import { tasks } from "./records.js";
import { get } from "./store.js";

export function runPicker({ element, props, server }) {
  const { words, method_names, task_names } = props;
  const { find, put } = within(element);
  const form = find("form");
  const chosenTask = () => form.elements.task.value;
  // The task's reference model; null if it has none.
  const reference = () => tasks[chosenTask()].reference ?? (isOwn() ? get().own.reference : null);
  const isOwn = () => chosenTask() === "own" && get().own !== null;
  // The first prompt: for the visitor's own task its prompt, for others the page's.
  const firstPrompt = (otherwise) => (isOwn() ? get().own.prompt : otherwise);

  // A run's name: the name of its recording, or its method and settings.
  const runName = (run) => run.recorded ?? settingsName(run);

  // The method and β of a run, and its learning rate if it was changed.
  function settingsName(run) {
    const parts = [method_names[run.method]];
    if (run.beta[0][1] !== null) parts.push(fillRun(words.run_beta, run));
    if (run.learning_rate.length > 1) parts.push(fillRun(words.run_learning_rate, run));
    return parts.join(" · ");
  }

  function runTime(run) {
    const made = new Date(run.time);
    const today = made.toDateString() === new Date().toDateString();
    const day = today ? {} : { day: "numeric", month: "short" };
    return made.toLocaleString(document.documentElement.lang, { ...day, hour: "2-digit", minute: "2-digit" });
  }

  function runDetails(run) {
    if (run.recorded) return fill(words.run_recorded, { run: settingsName(run) });
    return fill(words.run_details, { steps: run.steps, time: runTime(run) });
  }

  let queries = 0;

  // The runs that the server lists for a query: a task, or a search in Compare. Null if a later query
  // was sent meanwhile: answers may come in another order.
  async function listRuns(query = chosenTask()) {
    const number = ++queries;
    const runs = await server.runs(query).catch(() => null);
    if (number !== queries) return null;
    if (!runs) showErrors([words.lost]);
    return runs ?? [];
  }

  const showErrors = (errors) => listErrors(find(".errors"), errors);

  const boxes = () => [...element.querySelectorAll("[name=models]")];
  const checkedRuns = () => boxes().filter((box) => box.checked).map((box) => box.value);

  // Checkboxes of runs, of which at most `most` can be checked. Checked ones stay checked; if none
  // were, the first `few` are.
  function offerSeveral(runs, most, few, details = runDetails) {
    const before = checkedRuns();
    const host = find(".models");
    for (const old of host.querySelectorAll("label, p")) old.remove();
    for (const run of runs) option(host, "checkbox", "models", run.run, runName(run), details(run));
    if (!runs.length) make("p", "", host, words.no_runs);
    const kept = before.filter((name) => runs.some((run) => run.run === name));
    const chosen = kept.length ? kept : runs.slice(0, few).map((run) => run.run);
    for (const box of boxes()) box.checked = chosen.includes(box.value);
    limit(most);
  }

  function limit(most) {
    const full = checkedRuns().length >= most;
    for (const box of boxes()) box.disabled = full && !box.checked;
  }

  // Radio buttons of models, [value, label, details] each. The chosen model stays chosen; if it is
  // gone, the first one is.
  function offerOne(name, models) {
    const before = form.elements[name]?.value;
    const host = find(".models");
    for (const old of host.querySelectorAll("label")) old.remove();
    const inputs = models.map((model) => option(host, "radio", name, ...model));
    const chosen = inputs.find(({ value }) => value === before) ?? inputs[0];
    if (chosen) chosen.checked = true;
  }

  const runOption = (run) => [run.run, runName(run), runDetails(run)];

  // Takes Train's task and calls `openTask` when the view first comes on the screen, and when it comes
  // back after Train's task has changed. Calls `again` when it comes back with the same task.
  function whenOpened(openTask, again) {
    let trainTask = props.first_task; // Train's task when it was last taken
    const open = (otherwise) => {
      const { task } = get();
      const taken = task !== trainTask && task in task_names;
      if (taken) trainTask = form.elements.task.value = task;
      (taken ? openTask : otherwise)();
    };
    whenShown(form, () => open(openTask), () => open(again));
  }

  put(".tasks legend", words.task);
  put(".models legend", words.models);
  for (const [task, name] of Object.entries(task_names)) {
    option(find(".tasks"), "radio", "task", task, name).checked = task === props.first_task;
  }
  return {
    form, chosenTask, reference, firstPrompt, runName, settingsName, runTime, runDetails, listRuns, showErrors,
    checkedRuns, offerSeveral, limit, offerOne, runOption, whenOpened,
  };
}
