// The choice of a task and of its runs, as the views beside Train offer it.
import { listErrors, make, option, whenShown, within } from "./dom.js";
import { fill, fillRun } from "./format.js";
import { tasks } from "./records.js";
import { get } from "./store.js";

export function runPicker({ element, props, server }) {
  const { words, method_names, task_names } = props;
  const { find, put } = within(element);
  const form = find("form");
  const chosenTask = () => form.elements.task.value;
  // null: the task has none
  const reference = () => tasks[chosenTask()].reference ?? (isOwn() ? get().own.reference : null);
  const isOwn = () => chosenTask() === "own" && get().own !== null;
  // The prompt to begin with: one of the visitor's own task, else the page's.
  const firstPrompt = (otherwise) => (isOwn() ? get().own.prompt : otherwise);

  // A run's name: what it was recorded as, or its method and settings.
  const runName = (run) => run.recorded ?? settingsName(run);

  // By its method and β; by its learning rate where that was changed.
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

  const runDetails = (run) => fill(words.run_details, { steps: run.steps, time: runTime(run) });

  // The runs that the server lists for a query: a task, or what Compare looks for.
  async function listRuns(query = chosenTask()) {
    try {
      return await server.runs(query);
    } catch {
      showErrors([words.lost]);
      return [];
    }
  }

  const showErrors = (errors) => listErrors(find(".errors"), errors);

  const boxes = () => [...element.querySelectorAll("[name=models]")];
  const checkedRuns = () => boxes().filter((box) => box.checked).map((box) => box.value);

  // Checkboxes of runs, at most `most` to be chosen: those chosen before stay so, else the first
  // `few`.
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

  // Radio buttons of models, [value, label, details] each: the one chosen before stays so, else the
  // first.
  function offerOne(name, models) {
    const before = form.elements[name]?.value;
    const host = find(".models");
    for (const old of host.querySelectorAll("label")) old.remove();
    const inputs = models.map((model) => option(host, "radio", name, ...model));
    const chosen = inputs.find(({ value }) => value === before) ?? inputs[0];
    if (chosen) chosen.checked = true;
  }

  const runOption = (run) => [run.run, runName(run), runDetails(run)];

  // Calls `openTask` when the view is first on the screen, or when Train has another task since it was
  // last there, which it then takes; `again` whenever it is there otherwise.
  function whenOpened(openTask, again) {
    let trained = props.first_task;
    const open = (otherwise) => {
      const { task } = get();
      const taken = task !== trained && task in task_names;
      if (taken) trained = form.elements.task.value = task;
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
