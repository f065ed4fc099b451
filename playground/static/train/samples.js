// The same prompts answered by the reference, the policy and the optimum, side by side. Follows
// shading.js.
const words = props.words;
const FIRST = 6;
const SIDES = ["reference", "policy", "optimum"];
const list = find(".rows");
const more = find(".more");
let rows = [];
let all = false;

function build(count) {
  list.replaceChildren();
  rows = Array.from({ length: count }, () => {
    const row = make("li", "row", list);
    return { row, ...Object.fromEntries(SIDES.map((who) => [who, side(who, row)])) };
  });
}

function side(who, row) {
  const box = make("div", `side ${who}`, row);
  make("span", "who", box, words[who]);
  const text = make("p", "", box);
  const prompt = make("span", "prompt", text);
  const completion = make("span", "completion", text);
  return { box, prompt, completion, chips: make("div", "chips", box) };
}

function fill({ box, prompt, completion, chips }, asked, answer) {
  box.dataset.silent = !answer;
  prompt.textContent = asked;
  const { text, tokens, gold_reward, proxy_reward, kl, log_ratio } = answer ?? { text: words.silent };
  if (completion.textContent !== text) {
    const changed = completion.textContent !== "";
    completion.textContent = text;
    if (changed) box.animate({ backgroundColor: ["var(--flash)", "transparent"] }, 900);
  }
  if (tokens) writeTokens(completion, tokens);
  chips.replaceChildren();
  addChip("gold", chips, gold_reward);
  addChip("proxy", chips, proxy_reward);
  if (kl !== undefined) addDivergence("kl", chips, page.number(kl, 1));
  if (log_ratio !== undefined) addRatio(chips, gold_reward, log_ratio);
}

// How much likelier the optimum makes a text, r/β − log Z, with the numbers of this text; and why
// one of positive reward loses.
function addRatio(host, reward, ratio) {
  const { beta } = page.target;
  const bar = reward - beta * ratio;
  const told = { beta, reward: page.number(reward), bar: page.number(bar), log_z: page.number(bar / beta) };
  told.log_ratio = page.signed(ratio);
  const chip = addDivergence("log_ratio", host, page.signed(ratio, 1));
  chip.dataset.tip += ` ${page.fill(words.log_ratio_here, told)}`;
  if (reward > 0 && ratio < 0) make("span", "below", host, page.fill(words.below_bar, told));
}

// How far a text has gone from the reference, in nats: the policy's KL, or the optimum's log-ratio.
function addDivergence(kind, host, value) {
  const chip = make("span", `chip ${kind}`, host);
  chip.dataset.tip = words[`${kind}_help`];
  make("span", "name", chip, words[kind]);
  make("strong", "", chip, value);
  return chip;
}

// Before any run the reference speaks from its stored samples, as the optimum always does.
function answers(run) {
  const { target, reference } = page;
  const wanted = new Map(target?.texts?.map((text) => [text.prompt, text]));
  const samples = page.samples(run);
  if (samples) return samples.rows.map((row) => ({ ...row, optimum: wanted.get(row.prompt) }));
  return (reference ?? [])
    .toSorted((a, b) => a.gold_reward - b.gold_reward)
    .slice(0, 2 * FIRST)
    .map((text) => ({ prompt: text.prompt, reference: text, optimum: wanted.get(text.prompt) }));
}

function draw() {
  if (!element.isConnected) return;
  const run = page.view();
  const silent = run !== null && !page.writes(run.config.method);
  const samples = silent ? [] : answers(run);
  find(".samples").dataset.empty = samples.length === 0;
  find(".heads").hidden = silent;
  put(".none", silent ? words.none_reward : "");
  if (rows.length !== samples.length) build(samples.length);
  samples.forEach((sample, i) => {
    rows[i].row.hidden = !all && i >= FIRST;
    if (rows[i].row.hidden) return;
    for (const who of SIDES) fill(rows[i][who], sample.prompt, sample[who]);
  });
  const shown = page.samples(run);
  put(".step", shown ? page.fill(words.at_step, shown) : "");
  const beta = page.target?.beta;
  put(".beta", beta === undefined ? "" : page.fill(words.at_beta, { beta }));
  more.hidden = samples.length <= FIRST;
  put(".more", all ? words.fewer : page.fill(words.all, { n: samples.length }));
}

for (const who of SIDES) {
  const head = find(`.heads .${who}`);
  head.textContent = words[who];
  head.closest("h2").dataset.tip = words[`${who}_help`];
}
put(".scale .rewards", words.scale);
put(".scale .tokens", words.shades);
more.onclick = () => {
  all = !all;
  draw();
};
document.addEventListener("playground:run", ({ detail }) => {
  if (detail.config || detail.void_after !== null || detail.samples.length) draw();
});
document.addEventListener("playground:view", draw);
document.addEventListener("playground:target", draw);
draw();
