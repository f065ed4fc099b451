// The optimum over the texts that the reference wrote to one prompt, as β moves.
import { make, option } from "../core/dom.js";
import { fill, number, probability } from "../core/format.js";

const SHOWN = 8; // texts
const ERRORS = ["none", "normal", "student"];

// π_ref·exp(r/β)/Z over texts with these shares, gold rewards and errors, r = gold + error (arXiv
// 2305.18290, Eq. 4): the policy, the rewards r, the effective number of `texts`, exp of the policy's
// entropy, and gold reward and KL in nats. `error` is the kind of errors; "none" has none.
export function optimum({ shares, gold, errors }, beta, error) {
  const rewards = gold.map((value, i) => value + (errors[error]?.[i] ?? 0));
  const best = Math.max(...rewards);
  const weights = shares.map((share, i) => share * Math.exp((rewards[i] - best) / beta));
  const total = sum(weights);
  const policy = weights.map((weight) => weight / total);
  const entropy = -sum(policy.map((p) => (p > 0 ? p * Math.log(p) : 0)));
  const kl = sum(policy.map((p, i) => (p > 0 ? p * Math.log(p / shares[i]) : 0)));
  return { policy, rewards, texts: Math.exp(entropy), gold: dot(policy, gold), kl: Math.max(0, kl) };
}

const sum = (values) => values.reduce((all, value) => all + value, 0);
const dot = (first, second) => sum(first.map((value, i) => value * second[i]));

// Draws the optimum into `host`. `example` has the prompt and its texts, `bounds` are those of β.
export function liveOptimum(host, example, bounds, words) {
  const settings = { beta: 1, error: "none" };
  make("p", "prompt", host, fill(words.prompt, example));
  const dials = make("div", "dials", host);
  const dial = make("label", "beta", dials);
  make("span", "name", dial, "β");
  const input = dial.appendChild(document.createElement("input"));
  const [min, max] = bounds.map(Math.log);
  Object.assign(input, { type: "range", min, max, step: "any", value: Math.log(settings.beta) });
  const output = make("output", "", dial);
  const kinds = make("fieldset", "kinds choice", dials);
  make("legend", "", kinds, words.error);
  for (const kind of ERRORS) {
    const radio = option(kinds, "radio", "collapse-error", kind, words[kind]);
    radio.checked = kind === settings.error;
    radio.onchange = () => change({ error: kind });
  }
  const numbers = make("p", "numbers", host);
  numbers.setAttribute("role", "status");
  const table = make("table", "texts", make("div", "wide", host));
  const head = make("tr", "", make("thead", "", table));
  for (const name of ["text", "share", "gold", "added"]) make("th", name, head, words[name]);
  const body = make("tbody", "", table);
  input.oninput = () => change({ beta: Number(Math.exp(input.value).toPrecision(2)) });

  function change(changed) {
    Object.assign(settings, changed);
    draw();
  }

  function draw() {
    const { policy, rewards, texts, gold, kl } = optimum(example, settings.beta, settings.error);
    output.textContent = String(settings.beta);
    const order = [...policy.keys()].sort((a, b) => policy[b] - policy[a]).slice(0, SHOWN);
    numbers.textContent = fill(words.numbers, {
      texts: number(texts, 1),
      of: policy.length,
      top: probability(policy[order[0]]),
      gold: number(gold),
      start: number(dot(example.shares, example.gold)),
      kl: number(kl),
    });
    body.replaceChildren();
    for (const i of order) {
      const row = make("tr", "", body);
      make("th", "text", row, example.texts[i].trim());
      const cell = make("td", "share", row, probability(policy[i]));
      cell.style.setProperty("--share", policy[i]);
      make("td", "gold", row, number(example.gold[i]));
      make("td", "added", row, number(rewards[i]));
    }
  }

  draw();
}
