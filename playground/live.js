// Follows one run: asks the server what its event log has gained, keeps all of it, and tells the
// page. Charts and samples listen for "playground:run" on the document and read window.playground.
const words = props.words;
const BUSY_MS = 400;
const IDLE_MS = 1500;
const LIVE = ["starting", "running", "paused"];

const page = (window.playground = {
  run: null,
  // A real minus sign, and none before a rounded zero.
  number: (value, digits = 2) => value.toFixed(digits).replace(/^-(?=.*[1-9])/, "−").replace("-", ""),
  signed(value, digits = 2) {
    const text = page.number(value, digits);
    return text.startsWith("−") || Number(text) === 0 ? text : "+" + text;
  },
  fill: (template, values) => template.replace(/\{(\w+)\}/g, (_, name) => values[name]),
});

let offset = 0;
let state = "idle";
let pressed = false;
let timer = null;
let asking = false;
let askAgain = false;

async function poll() {
  clearTimeout(timer);
  if (!element.isConnected) return;
  if (asking) {
    askAgain = true;
    return;
  }
  asking = true;
  try {
    take(await server.delta({ run: page.run?.name ?? null, offset }));
  } catch {
    show("lost");
  }
  asking = false;
  if (askAgain) {
    askAgain = false;
    poll();
  } else if (!document.hidden) {
    timer = setTimeout(poll, LIVE.includes(state) ? BUSY_MS : IDLE_MS);
  }
}

function take(delta) {
  if (delta.run === null) return show(pressed ? "starting" : "idle");
  if (delta.config) {
    page.run = { name: delta.run, config: delta.config, series: {}, samples: null, step: 0, seconds: 0 };
    page.run.status = { name: "starting", message: "" };
  }
  const run = page.run;
  offset = delta.offset;
  if (delta.void_after !== null) {
    for (const series of Object.values(run.series)) {
      while (series.x.length && series.x.at(-1) > delta.void_after) series.x.pop(), series.y.pop();
    }
  }
  for (const [metric, points] of Object.entries(delta.points)) {
    const series = (run.series[metric] ??= { x: [], y: [] });
    for (const [step, value] of points) series.x.push(step), series.y.push(value);
  }
  run.samples = delta.samples ?? run.samples;
  run.status = delta.status ?? run.status;
  run.step = delta.step ?? run.step;
  run.seconds = delta.seconds ?? run.seconds;
  show(pressed ? "starting" : run.status.name);
  if (delta.config || delta.step !== null) {
    document.dispatchEvent(new CustomEvent("playground:run", { detail: delta }));
  }
}

function show(name) {
  state = name;
  element.closest("#train").dataset.run = name;  // style.css shows the buttons that fit
  put(".state", words.status.names[name]);
  const run = page.run;
  const told = name in words.status ? words.status[name] : run.status.message || reading(run);
  put(".told", told);
  put(".progress", run && name !== "idle" ? progress(run) : "");
  put(".settings", run && name !== "idle" ? settings(run.config) : "");
  const share = run && name !== "idle" ? Math.min(1, run.step / run.config.steps) : 0;
  element.querySelector(".bar > div").style.transform = `scaleX(${share})`;
}

function put(selector, text) {
  const target = element.querySelector(selector);
  if (target.textContent !== text) target.textContent = text;
}

function progress(run) {
  return page.fill(words.status.progress, {
    method: words.methods[run.config.method].name,
    task: words.tasks[run.config.task]?.name ?? run.config.task,
    step: run.step,
    steps: run.config.steps,
    seconds: page.number(run.seconds, 1),
  });
}

function settings(config) {
  const weighsKL = config.method === "ppo" || config.method === "dpo";
  return page.fill(words.status[weighsKL ? "settings" : "settings_without_beta"], config);
}

// What the newest points say, in a sentence.
function reading(run) {
  const latest = (metric) => run.series[metric]?.y.at(-1);
  if (latest("eval/gold_reward") !== undefined && latest("eval/kl") !== undefined) {
    const reference = latest("eval/gold_reward_reference") ?? run.series["eval/gold_reward"].y[0];
    const gain = latest("eval/gold_reward") - reference;
    const size = Math.abs(gain) < 0.05 ? "even" : gain > 0 ? "more" : "less";
    return page.fill(words.status[size], {
      gain: page.number(Math.abs(gain)),
      kl: page.number(latest("eval/kl")),
    });
  }
  const accuracy = latest("eval/accuracy") ?? latest("accuracy");
  if (accuracy === undefined) return "";
  return page.fill(words.status.scores, { accuracy: page.number(100 * accuracy, 0) + "%" });
}

// The answer to Run arrives as this component's value; until then the press itself is shown.
document.addEventListener("click", (event) => {
  if (element.isConnected && event.target.closest("#run")) {
    pressed = true;
    show("starting");
  }
});
watch("value", () => {
  pressed = false;
  if (!props.value.run) show(page.run?.status.name ?? "idle");
  poll();
});
document.addEventListener("visibilitychange", () => document.hidden || poll());
show("idle");
poll();
