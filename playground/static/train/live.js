// Follows one run: asks the server for the new events of its log, folds them into the state, and
// shows the run's progress.
import { within } from "../core/dom.js";
import { clock, fill } from "../core/format.js";
import { methods } from "../core/records.js";
import { fold, isLive, isMoving, isRecorded, settingsAt, startRun } from "../core/run_log.js";
import { get, set, subscribe } from "../core/store.js";
import { isWatching, phaseOnStage, runOnStage } from "../core/view.js";
import { runClock } from "./clock.js";
import { doingText, nearestStep, progressText } from "./reading.js";

const BUSY_MS = 400;
const IDLE_MS = 1500;
const TICK_MS = 250;

export function mount({ element, props, server, watch, events }) {
  const { words } = props;
  const { find, put } = within(element);
  const timeline = find(".timeline input");
  let pressed = false; // whether Run was pressed and the server has not answered yet
  let chosen = null; // the last requested run, which the page keeps showing
  let began = 0; // the time at which the run came to this page; a recorded run plays from then on
  let timer = null;
  let polls = 0;
  const time = runClock();
  let ticking = null;
  let requested = null; // the run of the last press

  // The server answers when there are new events, or after a while (long_polling.py). Answers to older
  // polls are dropped.
  async function poll() {
    clearTimeout(timer);
    if (!element.isConnected) return;
    const number = ++polls;
    const { run, wantedRun } = get();
    const elapsed = (performance.now() - began) / 1000;
    const shown = run?.name ?? null;
    const page = {
      hidden: document.hidden,
      presents: "present" in document.documentElement.dataset,
      waits: Boolean(get().standing?.place),
    };
    const cursor = wantedRun
      ? { run: wantedRun, chosen: true, ...page }
      : { run: shown, offset: run?.offset ?? 0, elapsed, chosen: shown === chosen, ...page };
    try {
      const answer = await server.new_events(cursor);
      if (number !== polls) return;
      chosen = wantedRun ?? chosen;
      take(answer);
    } catch {
      if (number !== polls) return;
      set({ phase: "lost" });
    }
    const soon = isMoving(get().run) || pressed || get().standing?.place;
    if (!document.hidden) timer = setTimeout(poll, soon ? BUSY_MS : IDLE_MS);
  }

  function take({ standing, ...delta }) {
    const changes = { standing, wantedRun: null };
    if (standing.timed && get().standing?.timed === false) events.changed();
    if (delta.run !== null) {
      changes.run = fold(delta.config ? startRun(delta) : get().run, delta);
      if (delta.config) changes.viewedStep = null;
    }
    if (delta.config) began = performance.now();
    changes.phase = pressed ? "starting" : delta.run === null ? "idle" : phaseOf(changes.run);
    set(changes);
  }

  const phaseOf = (run) => (isRecorded(run) ? "recorded" : (run?.status.name ?? "idle"));

  function draw(state) {
    element.closest("#train").dataset.run = state.phase; // controls.css shows the buttons that fit
    const run = runOnStage(state);
    const step = state.viewedStep;
    const shown = phaseOnStage(state);
    put(".state", shown === "recorded" ? words.presets.state : words.status.names[shown]);
    put(".whose", run && isWatching(state) ? words.visitors.whose : "");
    put(".progress", run ? progress(run, step) : "");
    put(".settings", run ? settings(settingsAt(run, step)) : "");
    put(".doing", run && step === null ? doingText(run, words.status) : "");
    if (state.run) time.follow(state.run, isLive(state.run), state.run.name === requested);
    tick();
    const share = run ? Math.min(1, run.step / run.config.steps) : 0;
    find(".bar > div").style.transform = `scaleX(${share})`;
    timeline.disabled = !(run?.samples.length > 1);
    timeline.max = run?.config.steps ?? 1;
    timeline.value = run ? (step ?? run.step) : 0;
    timeline.setAttribute("aria-valuetext", fill(words.status.at_step, { step: timeline.value }));
    element.dataset.past = step !== null;
  }

  // The clock of a recorded run shows the time in its log.
  function tick() {
    clearTimeout(ticking);
    const run = runOnStage(get());
    const seconds = isRecorded(run) && !pressed ? run.seconds : time.seconds();
    put(".clock", seconds === null || (!run && !pressed) ? "" : clock(seconds));
    if (element.isConnected && (pressed || isLive(run))) ticking = setTimeout(tick, TICK_MS);
  }

  function progress(run, step) {
    const { task, method } = run.config;
    const names = { method: words.methods[method].name, task: words.tasks[task]?.name ?? task };
    return progressText(run, step, isLive(run) ? run.summary?.time_left : null, names, words.status);
  }

  function settings(config) {
    return fill(words.status[methods[config.method].beta ? "settings" : "settings_without_beta"], config);
  }

  // Shows the measured step nearest to `step`, or the one `by` steps from it.
  function scrub({ by = 0, step = get().viewedStep ?? get().run?.step }) {
    const measured = runOnStage(get())?.samples.map((samples) => samples.step) ?? [];
    if (measured.length) set({ viewedStep: nearestStep(measured, step, by) });
  }

  function onKey(event) {
    if (!element.offsetParent || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target !== timeline && event.target.closest("input, textarea, button, [role=tab]")) return;
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) scrub({ by });
    else if (event.key === " " && get().phase === "running") events.pause();
    else if (event.key === " " && get().phase === "paused") events.resume();
    else return;
    event.preventDefault();
  }

  timeline.oninput = () => scrub({ step: Number(timeline.value) });
  timeline.setAttribute("aria-label", words.status.timeline);
  put(".newest", words.status.newest);
  find(".newest").onclick = () => scrub({ step: Infinity });
  document.addEventListener("keydown", onKey);
  // The answer to a press of Run arrives as this part's value; until then the page says that the run is
  // starting. The button is Gradio's own.
  document.addEventListener("click", (event) => {
    if (!element.isConnected || !event.target.closest("#run")) return;
    pressed = true;
    time.press();
    set({ phase: "starting" });
  });
  watch("value", () => {
    pressed = false;
    const { run } = props.value;
    if (run) requested = run;
    else time.release();
    if (!run) set({ phase: phaseOf(get().run) });
    if (run) set({ wantedRun: run }); // by name, as a short run may have ended already
    else poll();
  });
  document.addEventListener("settings", () => element.isConnected && events.changed());
  if (document.body.dataset.settled) events.changed(); // the settings came before this part was mounted
  subscribe(element, ["phase", "run", "standing", "task", "viewedStep"], draw);
  subscribe(element, ["wantedRun"], ({ wantedRun }) => wantedRun && poll());
  // A hidden tab reports it once, and counts as watching for a few more minutes (attendance.py). A tab that is
  // closed is hidden, too, but it does not report it, because it runs no more timers.
  document.addEventListener("visibilitychange", () => setTimeout(poll));
  draw(get());
  poll();
}
