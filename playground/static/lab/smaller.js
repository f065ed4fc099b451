// The quick size of an experiment, tried live from its card: in its turn, as it goes, and its figure.
// Follows newest.js; lab.js, which comes after it, draws the figures.
const BUSY_MS = 700;
const IDLE_MS = 4000; // another visitor may try one
const trials = {}; // experiment -> its part of the card
const stamps = {}; // experiment -> the trial whose result is drawn
let looking = null;

function trial(box, name) {
  const told = words.trial;
  make("h3", "", box, told.title);
  make("p", "", box, told.what);
  const host = (trials[name] = make("div", "trial", box));
  const buttons = make("p", "buttons", host);
  for (const [action, label] of [["attempt", props.trials[name]], ["stop", told.stop]]) {
    const button = make("button", action, buttons, label);
    button.type = "button";
    button.onclick = () => act(host, action, name);
  }
  host.querySelector(".stop").hidden = true;
  make("p", "stands", host).setAttribute("role", "status");
  make("div", "", make("div", "bar", host)).parentElement.hidden = true;
  make("p", "complaint", host).setAttribute("role", "alert");
  make("div", "outcome", host);
}

async function act(host, action, name) {
  const complaint = host.querySelector(".complaint");
  complaint.textContent = "";
  try {
    complaint.textContent = (await server[action](name)) || "";
  } catch {
    complaint.textContent = words.live.lost;
  }
  look();
}

const look = newestLast(async () => {
  clearTimeout(looking);
  if (!element.isConnected) return;
  let busy = false;
  if (element.offsetParent && !document.hidden) {
    const found = await server.look(stamps).catch(() => ({}));
    for (const [name, stands] of Object.entries(found)) busy = drawTrial(name, stands) || busy;
  }
  looking = setTimeout(look, busy ? BUSY_MS : IDLE_MS);
});

// Whether it goes on.
function drawTrial(name, { status, steers, told, done, stamp, result }) {
  const host = trials[name];
  const part = (selector) => host.querySelector(selector);
  const live = status === "running" || status === "waiting";
  host.dataset.status = status ?? "";
  part(".attempt").hidden = live;
  part(".stop").hidden = !live || !steers;
  if (part(".stands").textContent !== told) part(".stands").textContent = told;
  part(".bar").hidden = status !== "running";
  part(".bar > div").style.transform = `scaleX(${done ?? 0})`;
  const outcome = part(".outcome");
  if (stamp !== stamps[name]) {
    forget(outcome);
    delete stamps[name];
  }
  if (result) {
    stamps[name] = stamp;
    make("p", "size", outcome, result.size);
    pictures(outcome, result.panels);
    draw();
  }
  return live;
}

function forget(outcome) {
  for (const plot of outcome.querySelectorAll(".plot")) {
    plots.splice(plots.findIndex(([one]) => one === plot), 1);
    sizes.unobserve(plot);
    sights.unobserve(plot);
    Plotly.purge(plot);
  }
  outcome.replaceChildren();
}

new IntersectionObserver(([{ isIntersecting }]) => isIntersecting && look()).observe(element);
