// The same prompts answered twice. What a model wrote is only ever set as textContent.
const words = props.words;
const FIRST = 6;
const list = element.querySelector(".rows");
const more = element.querySelector(".more");
let rows = [];
let all = false;

function build(count) {
  list.replaceChildren();
  rows = Array.from({ length: count }, () => {
    const row = make("li", "row", list);
    return { row, reference: side("reference", row), policy: side("policy", row) };
  });
}

function side(who, row) {
  const box = make("div", `side ${who}`, row);
  const label = make("span", "who", box);
  label.textContent = words[who];
  const text = make("p", "", box);
  const prompt = make("span", "prompt", text);
  const completion = make("span", "completion", text);
  const chips = make("div", "chips", box);
  return { box, prompt, completion, gold: chip("gold", chips), proxy: chip("proxy", chips) };
}

function chip(kind, host) {
  const box = make("span", `chip ${kind}`, host);
  box.dataset.tip = words[`${kind}_help`];
  make("span", "name", box).textContent = words[kind];
  return { box, number: make("strong", "", box) };
}

function make(tag, className, host) {
  const made = host.appendChild(document.createElement(tag));
  made.className = className;
  return made;
}

function fill(target, prompt, answer) {
  target.prompt.textContent = prompt;
  if (target.completion.textContent !== answer.text) {
    const changed = target.completion.textContent !== "";
    target.completion.textContent = answer.text;
    if (changed) target.box.animate({ backgroundColor: ["var(--flash)", "transparent"] }, 900);
  }
  colour(target.gold, answer.gold_reward);
  colour(target.proxy, answer.proxy_reward);
}

// Blue for a reward above zero, orange below, deeper the larger; full at 4 nats.
function colour({ box, number }, reward) {
  box.hidden = reward === null || reward === undefined;
  if (box.hidden) return;
  number.textContent = window.playground.signed(reward, 1);
  box.style.setProperty("--tone", reward < 0 ? "var(--negative)" : "var(--positive)");
  box.style.setProperty("--depth", `${12 + 63 * Math.min(1, Math.abs(reward) / 4)}%`);
}

function draw() {
  const run = window.playground?.run;
  if (!element.isConnected) return;
  const samples = run?.samples?.rows ?? [];
  element.querySelector(".samples").dataset.empty = samples.length === 0;
  const silent = run?.config.method === "reward";
  element.querySelector(".heads").hidden = silent;
  element.querySelector(".none").textContent = silent ? words.none_reward : words.none;
  if (rows.length !== samples.length) build(samples.length);
  samples.forEach((sample, i) => {
    rows[i].row.hidden = !all && i >= FIRST;
    fill(rows[i].reference, sample.prompt, sample.reference);
    fill(rows[i].policy, sample.prompt, sample.policy);
  });
  element.querySelector(".step").textContent = run?.samples
    ? window.playground.fill(words.at_step, run.samples)
    : "";
  more.hidden = samples.length <= FIRST;
  more.textContent = all ? words.fewer : words.all.replace("{n}", samples.length);
}

for (const who of ["reference", "policy"]) {
  element.querySelector(`.heads .${who}`).textContent = words[who];
}
element.querySelector(".scale span").textContent = words.scale;
more.onclick = () => {
  all = !all;
  draw();
};
document.addEventListener("playground:run", ({ detail }) => {
  if (detail.config || detail.samples) draw();
});
draw();
