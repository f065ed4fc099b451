// An experiment at its quick size, run live from its card, which shows its place in the queue, its
// progress and its figure.
import { make } from "../core/dom.js";
import { latestOnly } from "../core/latest_only.js";

const BUSY_MS = 700;
const IDLE_MS = 4000; // another visitor may start a run

// Returns a function that adds a quick run to the card of an experiment; `pictures` draw its result.
export function quickRuns({ element, props, server }, pictures) {
  const { words } = props;
  const hosts = {}; // experiment -> its part of the card
  const stamps = {}; // experiment -> the stamp of the run whose result is drawn
  let timer = null;

  function add(card, name) {
    make("h3", "", card, words.quick_run.title);
    make("p", "", card, words.quick_run.what);
    const host = (hosts[name] = make("div", "quick-run", card));
    const buttons = make("p", "buttons", host);
    button("attempt", props.quick_runs[name], buttons, () => act(host, server.start(name)));
    button("stop", words.quick_run.stop, buttons, () => act(host, server.stop(name))).hidden = true;
    make("p", "stands", host).setAttribute("role", "status");
    make("div", "", make("div", "bar", host)).parentElement.hidden = true;
    make("p", "error", host).setAttribute("role", "alert");
    make("div", "outcome", host);
  }

  function button(className, label, host, press) {
    const made = make("button", className, host, label);
    made.type = "button";
    made.onclick = press;
    return made;
  }

  // `reply` is the promise of an error message, empty if there is no error.
  async function act(host, reply) {
    const error = host.querySelector(".error");
    error.textContent = "";
    error.textContent = (await reply.catch(() => words.live.lost)) || "";
    poll();
  }

  const poll = latestOnly(async () => {
    clearTimeout(timer);
    if (!element.isConnected) return;
    let live = false;
    if (element.offsetParent && !document.hidden) {
      const states = await server.states(stamps).catch(() => ({}));
      for (const [name, state] of Object.entries(states)) live = draw(name, state) || live;
    }
    timer = setTimeout(poll, live ? BUSY_MS : IDLE_MS);
  });

  // Draws the state of an experiment's run; returns whether the run is waiting or running.
  function draw(name, { status, steers, sentence, done, stamp, result }) {
    const host = hosts[name];
    const find = (selector) => host.querySelector(selector);
    const live = status === "running" || status === "waiting";
    host.dataset.status = status ?? "";
    find(".attempt").hidden = live;
    find(".stop").hidden = !live || !steers;
    if (find(".stands").textContent !== sentence) find(".stands").textContent = sentence;
    find(".bar").hidden = status !== "running";
    find(".bar > div").style.transform = `scaleX(${done ?? 0})`;
    const outcome = find(".outcome");
    if (stamp !== stamps[name]) {
      pictures.clear(outcome);
      delete stamps[name];
    }
    if (result) {
      stamps[name] = stamp;
      make("p", "size", outcome, result.size);
      pictures.add(outcome, result.panels);
    }
    return live;
  }

  new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && poll()).observe(element);
  return add;
}
