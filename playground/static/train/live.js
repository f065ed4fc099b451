// Follows one run: asks the server what its event log has gained, keeps all of it, and tells the
// other parts.
const words = props.words;
const BUSY_MS = 400;
const IDLE_MS = 1500;
const timeline = find(".timeline input");
const sentences = find(".told");

let began = 0; // when the run was new to this page; a recorded one is played from then on
let wanted = null; // the run that was asked for and has not come yet
let chosen = null; // the run that was asked for last: the page stays with it
let state = "idle";
let pressed = false;
let timer = null;
let questions = 0;

// The server answers when there is news, or after a while (long_polling.py). A newer question makes the
// answer to an older one void.
async function poll() {
  clearTimeout(timer);
  if (!element.isConnected) return;
  const question = ++questions;
  const elapsed = (performance.now() - began) / 1000;
  const shown = page.run?.name ?? null;
  const asked = wanted ? { run: wanted, chosen: true } : { run: shown, offset: page.run?.offset ?? 0, elapsed, chosen: shown === chosen };
  try {
    const answer = await server.delta(asked);
    if (question !== questions) return;
    chosen = wanted ?? chosen;
    wanted = null;
    page.standing = answer.standing;
    take(answer);
    page.tell("standing");
  } catch {
    if (question !== questions) return;
    show("lost");
  }
  const soon = page.moving() || pressed || page.standing?.place;
  if (!document.hidden) timer = setTimeout(poll, soon ? BUSY_MS : IDLE_MS);
}

function take(delta) {
  if (delta.run === null) return show(pressed ? "starting" : "idle");
  if (delta.config) {
    page.at = null;
    began = performance.now();
    page.run = begun(delta);
  }
  const run = page.run;
  gain(run, delta);
  run.story = delta.story ?? run.story;
  show(pressed ? "starting" : present());
  if (delta.config || delta.step !== null) page.tell("run", delta);
}

const present = () => (page.recorded() ? "recorded" : (page.run?.status.name ?? "idle"));

function show(name) {
  state = name;
  element.closest("#train").dataset.run = name;  // controls.css shows the buttons that fit
  const run = page.view();
  const seen = run || name === "starting" || name === "lost" ? name : "idle";
  put(".state", seen === "recorded" ? words.presets.state : words.status.names[seen]);
  const told = run && page.at === null ? (run.story?.told ?? []).map(([, sentence]) => sentence) : [];
  const first = run?.status.message || (told.length ? told.shift() : run && reading(run));
  say((seen in words.status ? words.status[seen] : first) ?? "");
  page.tell("story", told);
  put(".whose", run && page.watching() ? words.visitors.whose : "");
  put(".progress", run ? progress(run) : "");
  put(".settings", run ? settings(page.settings(run)) : "");
  const share = run ? Math.min(1, run.step / run.config.steps) : 0;
  find(".bar > div").style.transform = `scaleX(${share})`;
  timeline.disabled = !(run?.samples.length > 1);
  timeline.max = run?.config.steps ?? 1;
  timeline.value = run ? (page.at ?? run.step) : 0;
  timeline.setAttribute("aria-valuetext", page.fill(words.status.at_step, { step: timeline.value }));
  element.dataset.past = page.at !== null;
}

// Its room is the same for every sentence, so that none moves the pictures: one that is too long for
// it is written smaller (live.css).
function say(sentence) {
  if (sentence === sentences.textContent) return;
  sentences.textContent = sentence;
  fit();
}

function fit() {
  sentences.classList.remove("long");
  sentences.classList.toggle("long", sentences.scrollHeight > sentences.clientHeight);
}

function progress(run) {
  const task = words.tasks[run.config.task]?.name ?? run.config.task;
  const told = { method: words.methods[run.config.method].name, task, step: run.step };
  Object.assign(told, { steps: run.config.steps, seconds: page.number(run.seconds, 1) });
  if (page.at === null && page.live() && run.story?.left) {
    return page.fill(words.status.progress, told) + page.fill(words.status.left, { time: run.story.left });
  }
  const looking = page.at === null ? "" : page.fill(words.status.looking, { step: page.at });
  return page.fill(words.status.progress, told) + looking;
}

function settings(config) {
  const weighsKL = page.methods[config.method].beta;
  return page.fill(words.status[weighsKL ? "settings" : "settings_without_beta"], config);
}

// What the points at the step that is looked at say, in a sentence.
function reading(run) {
  const value = (metric) => page.value(run.series[metric]);
  if (value("eval/gold_reward") !== undefined && value("eval/kl") !== undefined) {
    const gain = page.gain(run);
    const size = Math.abs(gain) < 0.05 ? "even" : gain > 0 ? "more" : "less";
    const told = { gain: page.number(Math.abs(gain)), kl: page.number(value("eval/kl")) };
    const efficiency = value("eval/frontier_efficiency");
    const share = { efficiency: page.number(100 * efficiency, 0) };
    const limit = efficiency > 0 ? " " + page.fill(words.status.efficiency, share) : "";
    return page.fill(words.status[size], told) + limit;
  }
  const accuracy = value("eval/accuracy") ?? value("accuracy");
  if (accuracy === undefined) return words.status.starting;
  return page.fill(words.status.scores, { accuracy: page.percent(accuracy) });
}

// Looks at the measured step that lies `by` places from the present one, or nearest to `step`.
function scrub({ by = 0, step = page.at ?? page.run.step }) {
  const measured = page.view()?.samples.map((one) => one.step) ?? [];
  if (!measured.length) return;
  const near = measured.map((one) => Math.abs(one - step));
  const place = near.lastIndexOf(Math.min(...near)) + by;
  page.at = place >= measured.length - 1 ? null : measured[Math.max(0, place)];
  page.tell("view");
}

timeline.oninput = () => scrub({ step: Number(timeline.value) });
put(".newest", words.status.newest);
find(".newest").onclick = () => scrub({ step: Infinity });
timeline.setAttribute("aria-label", words.status.timeline);
document.addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const busy = event.target !== timeline && event.target.closest("input, textarea, button, [role=tab]");
  if (!element.offsetParent || event.ctrlKey || event.metaKey || event.altKey) return;
  if (by && !busy) scrub({ by });
  else if (event.key === " " && !busy && ["running", "paused"].includes(state)) {
    document.querySelector(state === "running" ? "#pause" : "#resume").click();
  } else return;
  event.preventDefault();
});

// The answer to Run arrives as this component's value; until then the press itself is shown.
document.addEventListener("click", (event) => {
  if (element.isConnected && event.target.closest("#run")) {
    pressed = true;
    show("starting");
  }
});
watch("value", () => {
  pressed = false;
  if (!props.value.run) show(present());
  if (props.value.run?.startsWith("recorded/")) wanted = props.value.run;
  poll();
});
document.addEventListener("playground:view", () => show(state));
document.addEventListener("playground:watch", ({ detail }) => {
  wanted = detail;
  poll();
});
new ResizeObserver(fit).observe(sentences);
document.addEventListener("visibilitychange", () => document.hidden || poll());
show("idle");
poll();
