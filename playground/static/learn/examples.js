// The examples of Learn's stations; align_core/build/worked_examples.py records the lessons.
import { make } from "../core/dom.js";
import { fill, number, probability, signed } from "../core/format.js";
import { equation, row } from "./equations.js";

export function drawPrompt(host, prompt) {
  return make("span", "prompt", make("p", "text", host), prompt).parentNode;
}

// A pair's two texts; `addChip(host, text)` may add a reward to each.
export function drawPair(host, { prompt, ...texts }, words, addChip = () => {}) {
  for (const side of ["chosen", "rejected"]) {
    const box = make("div", `side ${side}`, host);
    make("small", "", box, words[side]);
    make("span", "", drawPrompt(box, prompt), texts[side].text);
    addChip(box, texts[side]);
  }
}

// The cost of each token, −log p, before and after SFT.
export function drawCosts(host, { tokens }, words) {
  const table = make("div", "costs", host);
  const most = Math.max(...tokens.map(({ before, logp }) => -Math.min(before, logp)));
  for (const { text, before, logp } of tokens) {
    const box = make("div", "cost", table);
    for (const [name, value] of [["before", -before], ["after", -logp]]) {
      const bar = make("i", name, box);
      bar.style.setProperty("--height", value / most);
      make("b", "", bar, value < 0.05 ? "0" : number(value, 1)); // two numbers stand side by side
    }
    make("span", "", box, text.trim() || words.end);
  }
  const legend = make("p", "legend", host);
  for (const name of ["before", "after"]) make("span", name, legend, words.costs[name]);
}

// A completion with one token marked, and its probability under each policy.
export function drawRollout(host, { prompt, tokens, place }, words) {
  const text = drawPrompt(host, prompt);
  tokens.forEach((token, i) => {
    if (i !== place) return text.append(token.text);
    text.append(" ");
    make("mark", "", text, token.text.trim() || words.end);
  });
  const table = make("dl", "probabilities", host);
  for (const name of ["ref_logp", "logp", "new_logp"]) {
    make("dt", "", table, words.probabilities[name]);
    make("dd", "", table, probability(Math.exp(tokens[place][name])));
  }
}

// Two groups of texts, {hard, easy}, with rewards that can be changed and places for their advantages.
// `changed()` is called after each change, which is written into the group.
export function drawGroups(host, groups, words, changed) {
  for (const [name, { prompt, texts }] of Object.entries(groups)) {
    const table = make("table", "group", host);
    const head = make("tr", "", make("thead", "", table));
    make("td", "", head, fill(words.groups[name], { prompt }));
    for (const symbols of ["r", "A_RLOO", "A_GRPO"]) equation(make("th", "", head), row(symbols), "inline");
    const body = make("tbody", "", table);
    texts.forEach((text, i) => {
      const line = make("tr", "", body);
      make("td", "", line, text.text.trim());
      const input = make("input", "", make("td", "", line));
      Object.assign(input, { type: "number", step: 0.1, value: text.gold_reward.toFixed(2) });
      input.setAttribute("aria-label", fill(words.groups.reward, { text: text.text.trim() }));
      input.oninput = () => {
        if (Number.isNaN(input.valueAsNumber)) return;
        text.gold_reward = input.valueAsNumber;
        changed();
      };
      for (const kind of ["rloo", "grpo"]) equation(make("td", "", line), row(`{${name}_${kind}${i}}`), "inline");
    });
  }
}

// Log-probabilities of both texts: under the policy, under the reference, and their difference.
export function drawLikelihoods(host, pair, words) {
  const table = make("table", "", host);
  const head = make("tr", "", make("thead", "", table));
  make("td", "", head);
  for (const symbols of ["log π_θ", "log π_ref", "log π_θ / π_ref"]) {
    equation(make("th", "", head), row(symbols), "inline");
  }
  const body = make("tbody", "", table);
  for (const side of ["chosen", "rejected"]) {
    const { logp, ref_logp } = pair[side];
    const line = make("tr", side, body);
    make("th", "", line, words[side]);
    for (const value of [logp, ref_logp]) make("td", "", line, number(value));
    make("td", "ratio", line, signed(logp - ref_logp));
  }
}

// Texts of the optimum, with places for their probabilities before and after.
export function drawOptimum(host, { prompt, texts }, addChip) {
  drawPrompt(host, prompt);
  texts.forEach((text, i) => {
    const box = make("div", "said", host);
    box.dataset.text = i;
    make("p", "text", box, text.text.trim());
    addChip(box, text);
    for (const name of ["before", "after"]) {
      make("i", name, box);
      equation(make("span", "share", box), row(`{${name}${i}}`), "inline");
    }
  });
}
