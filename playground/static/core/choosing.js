// The choice of a task and of its runs, as the views beside Train offer it. Follows histories.js.
const { words, methods, tasks } = props;
const form = find("form");
const chosenTask = () => form.elements.task.value;
const reference = () => page.tasks[chosenTask()].reference; // null: the task has none

// By its method and β; by its learning rate where that was turned.
function described(run) {
  const parts = [methods[run.method]];
  if (run.beta[0][1] !== null) parts.push(fillRun(words.run_beta, run));
  if (run.learning_rate.length > 1) parts.push(fillRun(words.run_learning_rate, run));
  return parts.join(" · ");
}

const runName = (run) => run.recorded ?? described(run);

function runTime(run) {
  const made = new Date(run.time);
  const today = made.toDateString() === new Date().toDateString();
  const day = today ? {} : { day: "numeric", month: "short" };
  return made.toLocaleString(document.documentElement.lang, { ...day, hour: "2-digit", minute: "2-digit" });
}

function runDetails(run) {
  return page.fill(words.run_details, { steps: run.steps, time: runTime(run) });
}

async function offeredRuns(asked = chosenTask()) {
  try {
    return await server.runs(asked);
  } catch {
    complain([words.lost]);
    return [];
  }
}

function complain(lines) {
  const list = find(".complaints");
  list.replaceChildren();
  for (const line of lines) make("li", "", list, line);
}

function boxes() {
  return [...element.querySelectorAll("[name=models]")];
}

const checked = () => boxes().filter((box) => box.checked).map((box) => box.value);

// Lists runs, at most `most` to be chosen: those chosen before stay so, else the first `few` are.
function offerBoxes(runs, most, few, details = runDetails) {
  const before = checked();
  const host = find(".models");
  for (const old of host.querySelectorAll("label, p")) old.remove();
  for (const run of runs) {
    option(host, "checkbox", "models", run.run, runName(run), details(run));
  }
  if (!runs.length) make("p", "", host, words.no_runs);
  const kept = before.filter((name) => runs.some((run) => run.run === name));
  const chosen = kept.length ? kept : runs.slice(0, few).map((run) => run.run);
  for (const box of boxes()) box.checked = chosen.includes(box.value);
  limit(most);
}

// Lists models, [value, label, details], one to be chosen: that which was, else the first.
function offerOne(name, models) {
  const before = form.elements[name]?.value;
  const host = find(".models");
  for (const old of host.querySelectorAll("label")) old.remove();
  const offered = models.map((model) => option(host, "radio", name, ...model));
  const chosen = offered.find(({ value }) => value === before) ?? offered[0];
  if (chosen) chosen.checked = true;
}

const offerOf = (run) => [run.run, runName(run), runDetails(run)];

function limit(most) {
  const full = checked().length >= most;
  for (const box of boxes()) box.disabled = full && !box.checked;
}

// Runs `opened` when the view is first shown, and `again` whenever it is shown later.
function whenShown(opened, again) {
  let before = false;
  new IntersectionObserver(([{ isIntersecting }]) => {
    if (isIntersecting) before ? again() : opened();
    before ||= isIntersecting;
  }).observe(form);
}

put(".tasks legend", words.task);
put(".models legend", words.models);
for (const [task, name] of Object.entries(tasks)) {
  option(find(".tasks"), "radio", "task", task, name).checked = task === props.first;
}
