// The tabular example, which trains PPO and DPO while a slider moves or covered responses change.
import { listErrors, make } from "../core/dom.js";
import { fill, number } from "../core/format.js";
import { latestOnly } from "../core/latest_only.js";
import { heatMaps } from "../charts/heatmaps.js";

const MAPS = ["coverage", "reference", "learned", "ppo", "dpo", "optimum"];

// Draws the example into `host`; returns a function that trains both methods on it.
export function liveGrid(host, { size, bounds, first, words: { live: words } }, server) {
  const settings = { ...first };
  const dials = make("div", "dials", host);
  const list = make("ul", "errors", host);
  list.setAttribute("role", "alert");
  const maps = heatMaps(make("div", "maps", host), MAPS, size, words, "coverage", toggle);
  make("p", "legend", host, words.legend);
  const summary = make("div", "summary", host);
  summary.setAttribute("role", "status");
  let covered = null;

  const train = latestOnly(async (newerIsWaiting) => {
    try {
      const { outcome, errors } = await server.train(settings);
      if (!newerIsWaiting()) show(outcome, errors);
    } catch {
      listErrors(list, [words.lost]);
    }
  });

  function show(outcome, errors) {
    listErrors(list, errors);
    if (!outcome) return;
    covered = outcome.covered;
    maps.draw({ coverage: covered, ...outcome.maps }, covered);
    maps.note("coverage", fill(words.pairs, outcome));
    for (const [name, { gold, kl }] of Object.entries(outcome.numbers)) {
      maps.note(name, fill(words.earns, { gold: number(gold), kl: number(kl) }));
    }
    summary.replaceChildren();
    for (const sentence of sentences(outcome)) make("p", "", summary, sentence);
  }

  // Sentences on the uncovered responses of this outcome.
  function sentences({ pairs, numbers, rises, covered }) {
    if (covered.flat().every(Boolean)) return [words.summary.all];
    const shares = Object.entries(numbers).map(([name, { uncovered }]) => [name, number(uncovered)]);
    const gains = Object.entries(rises).map(([method, most]) => {
      const named = { method: words.maps[method] };
      if (!most) return fill(words.summary.none, named);
      return fill(words.summary.gains, { ...most, ...named, before: number(most.before), after: number(most.after) });
    });
    const together = fill(words.summary.together, Object.fromEntries(shares));
    return [...(pairs ? [] : [words.summary.no_pairs]), together, gains.join(" ")];
  }

  function toggle(row, column) {
    if (!covered) return;
    covered = covered.map((cells, i) => cells.map((cell, j) => (i === row && j === column ? !cell : cell)));
    maps.draw({ coverage: covered }, covered);
    change({ covered });
  }

  function change(changed) {
    Object.assign(settings, changed);
    showSettings();
    train();
  }

  function dial(name, attributes, changed) {
    const box = make("label", name, dials);
    make("span", "name", box, words.controls[name]);
    const input = box.appendChild(document.createElement("input"));
    Object.assign(input, attributes);
    input.oninput = () => change(changed(input));
    return make("output", "", box);
  }

  function showSettings() {
    beta.textContent = String(settings.beta);
    const count = fill(words.count, { count: settings.responses, size });
    responses.textContent = settings.covered ? words.own : count;
  }

  const range = ([min, max]) => ({ type: "range", min, max });
  const logs = bounds.beta.map(Math.log);
  const beta = dial("beta", { ...range(logs), step: "any", value: Math.log(settings.beta) }, ({ value }) => (
    { beta: Number(Math.exp(value).toPrecision(2)) }
  ));
  const responses = dial("responses", { ...range(bounds.responses), value: settings.responses }, ({ value }) => (
    { responses: Number(value), covered: null }
  ));
  const [min, max] = bounds.seed;
  dial("seed", { type: "number", min, max, value: settings.seed }, ({ value }) => (
    { seed: value === "" ? null : Number(value) }
  ));
  dial("certain", { type: "checkbox", checked: settings.certain }, ({ checked }) => ({ certain: checked }));
  showSettings();
  return train;
}
