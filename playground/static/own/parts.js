// The parts of a reward (tasks/folder/parts.py): an editor of each part and its weight, with the
// part's scores of three example answers.
import { make } from "../core/dom.js";
import { fill, signed } from "../core/format.js";
import { latestOnly } from "../core/latest_only.js";
import { ask } from "./requests.js";

// Kind -> the keys that the form has, and how they are entered.
const KINDS = {
  length: { aim: "number", most: "number" },
  words: { wanted: "list", unwanted: "list", lexicon: "switch" },
  pattern: { pattern: "text" },
  ends: {},
  repetition: { n: "number" },
  answer: { column: "text", match: "switch" },
  json: {},
  reward_model: { model: "model" },
};
const ON = { lexicon: "vader", match: "contains" }; // the values of switches that are on
const NEW = { length: { aim: 12 }, words: { wanted: ["warm"] }, pattern: { pattern: "(?i)\\bfilm\\b" } };
const DEFAULTS = { column: "answer", n: "3" }; // the placeholders of empty fields
const HEAVIEST = 5;

// `changed` is called after each change by the visitor.
export function partsEditor({ host, words, models, texts, prompt, changed }) {
  let parts = [];
  let scored = []; // the server's answer for each part
  let rows = [];
  const heads = make("div", "part heads", host);
  make("span", "", heads, words.parts);
  const examples = texts.map((text, i) => {
    const box = make("textarea", "", heads);
    Object.assign(box, { value: text, maxLength: 2000, rows: 4 });
    box.setAttribute("aria-label", words.answer.replace("{n}", i + 1));
    box.oninput = () => score();
    return box;
  });
  const list = make("div", "", host);
  const sum = make("div", "part sum", host);
  const adder = make("select", "", sum);
  adder.setAttribute("aria-label", words.add);
  const sums = examples.map(() => make("strong", "", sum));
  const missing = make("p", "missing", host); // names the parts that the sums lack

  // The browser applies the weights itself, so that a slider shows its effect without a request.
  const score = latestOnly(async () => {
    const reward = parts.map((part) => ({ ...part, weight: 1 }));
    const body = { reward, prompt: prompt(), texts: examples.map(({ value }) => value), language: words.language };
    const answer = await ask("scores", body, words);
    if (answer.parts?.length !== parts.length) return;
    scored = answer.parts;
    drawScores();
  });

  function drawScores() {
    const totals = examples.map(() => 0);
    rows.forEach(({ numbers, error }, at) => {
      const { scores = [], errors = [] } = scored[at] ?? {};
      numbers.forEach((number, i) => {
        const value = scores[i] ?? null;
        number.textContent = value === null ? "–" : signed(parts[at].weight * value);
        totals[i] += value === null ? 0 : parts[at].weight * value;
      });
      error.textContent = errors.join("; ");
    });
    sums.forEach((sum, i) => (sum.textContent = signed(totals[i])));
    const unknown = parts.filter(({ kind }) => words.kinds[kind]?.later).map((part) => words.kinds[part.kind].name);
    missing.textContent = unknown.length ? fill(words.missing_parts, { parts: [...new Set(unknown)].join(", ") }) : "";
  }

  function draw() {
    list.replaceChildren();
    rows = parts.map(drawPart);
    drawScores();
  }

  function drawPart(part, at) {
    const row = make("div", "part", list);
    const editor = make("div", "editor", row);
    const head = make("p", "", editor);
    make("strong", "", head, words.kinds[part.kind]?.name ?? part.kind).dataset.tip = words.kinds[part.kind]?.help ?? "";
    const remove = make("button", "remove", head, words.remove);
    remove.type = "button";
    remove.onclick = () => change(parts.toSpliced(at, 1));
    for (const [key, kind] of Object.entries(KINDS[part.kind] ?? {})) drawField(editor, part, key, kind);
    const weight = make("label", "weight", editor);
    make("span", "", weight, words.weight);
    const slider = make("input", "", weight);
    Object.assign(slider, { type: "range", min: -HEAVIEST, max: HEAVIEST, step: 0.25, value: part.weight });
    const shown = make("output", "", weight, signed(part.weight));
    slider.oninput = () => {
      part.weight = Number(slider.value);
      shown.textContent = part.weight ? signed(part.weight) : words.off;
      drawScores();
      changed();
    };
    make("small", "", editor, words.kinds[part.kind]?.later ?? "");
    const numbers = examples.map(() => make("span", "number", row));
    const error = make("p", "error", editor);
    return { numbers, error };
  }

  function drawField(host, part, key, kind) {
    const label = make("label", "", host);
    make("span", "", label, words.keys[key]);
    const input = make(kind === "model" ? "select" : "input", "", label);
    if (kind === "model") {
      for (const model of models()) make("option", "", input, model).value = model;
      part[key] ??= models()[0];
    }
    if (kind === "switch") {
      input.type = "checkbox";
      input.checked = part[key] === ON[key];
    } else {
      input.placeholder = DEFAULTS[key] ?? "";
      if (kind === "number") Object.assign(input, { type: "number", min: 1 });
      input.value = kind === "list" ? (part[key] ?? []).join(", ") : (part[key] ?? "");
    }
    input.oninput = () => {
      const value = valueOf(input, key, kind);
      if (value === undefined) delete part[key];
      else part[key] = value;
      score();
      changed();
    };
  }

  function change(next) {
    parts = next;
    scored = [];
    draw();
    score();
    changed();
  }

  make("option", "", adder, words.add).value = "";
  for (const kind of Object.keys(KINDS)) make("option", "", adder, words.kinds[kind].name).value = kind;
  adder.onchange = () => {
    const kind = adder.value;
    adder.value = "";
    if (kind) change([...parts, { kind, ...NEW[kind], weight: 1, ...freeName(kind) }]);
  };

  // The name of a second part of a kind, since names must differ.
  function freeName(kind) {
    const called = new Set(parts.map((part) => part.name ?? part.kind));
    if (!called.has(kind)) return {};
    let n = 2;
    while (called.has(`${kind}_${n}`)) n += 1;
    return { name: `${kind}_${n}` };
  }

  return {
    // Shows these parts, as they are in task.toml.
    show(reward) {
      parts = reward.map((part) => ({ weight: 1, ...structuredClone(part) }));
      scored = [];
      draw();
      score();
    },
    // The parts that count.
    reward: () => parts.filter(({ weight }) => weight !== 0),
    // Shows an error of the part with this index in `reward()`; returns whether there is such a part.
    showError(index, line) {
      const at = parts.indexOf(parts.filter(({ weight }) => weight !== 0)[index]);
      if (!rows[at]) return false;
      const lines = new Set([...rows[at].error.textContent.split("; ").filter(Boolean), line]);
      rows[at].error.textContent = [...lines].join("; ");
      return true;
    },
    clearErrors: drawScores,
    isEmpty: () => parts.length === 0,
  };
}

function valueOf(input, key, kind) {
  if (kind === "switch") return input.checked ? ON[key] : undefined;
  if (input.value.trim() === "") return undefined;
  if (kind === "number") return Number(input.value);
  if (kind === "list") return input.value.split(/[,，、]/).map((word) => word.trim()).filter(Boolean);
  return input.value;
}
