// The card that trains while a slider moves: which responses are covered by preferences, and what
// PPO and DPO make of it. Follows newest.js and heatmaps.js.
const MAPS = ["coverage", "reference", "learned", "ppo", "dpo", "optimum"];

function liveGrid(host, words) {
  const asked = { ...props.first };
  const dials = make("div", "dials", host);
  const complaints = make("ul", "complaints", host);
  complaints.setAttribute("role", "alert");
  const maps = heatMaps(make("div", "maps", host), MAPS, props.size, words, "coverage", toggle);
  make("p", "legend", host, words.legend);
  const told = make("div", "told", host);
  told.setAttribute("role", "status");
  let covered = null;
  const ask = newestLast(async (newerWaits) => {
    try {
      const { outcome, complaints: lines } = await server.train(asked);
      if (!newerWaits()) show(outcome, lines);
    } catch {
      complain([words.lost]);
    }
  });

  function show(outcome, lines) {
    complain(lines);
    if (!outcome) return;
    covered = outcome.covered;
    maps.draw({ coverage: covered, ...outcome.maps }, covered);
    maps.note("coverage", page.fill(words.pairs, outcome));
    for (const [name, { gold, kl }] of Object.entries(outcome.numbers)) {
      maps.note(name, page.fill(words.earns, { gold: page.number(gold), kl: page.number(kl) }));
    }
    told.replaceChildren();
    for (const sentence of sentences(outcome)) make("p", "", told, sentence);
  }

  function complain(lines) {
    complaints.replaceChildren();
    for (const line of lines) make("li", "", complaints, line);
  }

  // What happened to the uncovered responses, in this very outcome.
  function sentences({ pairs, numbers, rises, covered }) {
    if (covered.flat().every(Boolean)) return [words.told.all];
    const share = (name) => page.number(numbers[name].uncovered);
    const shares = Object.fromEntries(Object.keys(numbers).map((name) => [name, share(name)]));
    const gained = Object.entries(rises).map(([method, most]) => {
      const named = { method: words.maps[method] };
      if (!most) return page.fill(words.told.none, named);
      const [before, after] = [page.number(most.before), page.number(most.after)];
      return page.fill(words.told.gains, { ...most, ...named, before, after });
    });
    return [...(pairs ? [] : [words.told.no_pairs]), page.fill(words.told.together, shares), gained.join(" ")];
  }

  function toggle(row, column) {
    if (!covered) return;
    covered = covered.map((cells, i) => cells.map((cell, j) => (i === row && j === column ? !cell : cell)));
    maps.draw({ coverage: covered }, covered);
    set({ covered });
  }

  function set(changed) {
    Object.assign(asked, changed);
    tellDials();
    ask();
  }

  function dial(name, attributes, change) {
    const box = make("label", name, dials);
    make("span", "name", box, words.controls[name]);
    const input = box.appendChild(document.createElement("input"));
    Object.assign(input, attributes);
    input.oninput = () => change(input);
    return { input, output: make("output", "", box) };
  }

  function tellDials() {
    beta.output.textContent = String(asked.beta);
    const count = page.fill(words.count, { count: asked.responses, size: props.size });
    responses.output.textContent = asked.covered ? words.own : count;
  }

  const range = ([min, max]) => ({ type: "range", min, max });
  const logs = props.bounds.beta.map(Math.log);
  const beta = dial("beta", { ...range(logs), step: "any", value: Math.log(asked.beta) }, ({ value }) =>
    set({ beta: Number(Math.exp(value).toPrecision(2)) }),
  );
  const responses = dial("responses", { ...range(props.bounds.responses), value: asked.responses }, ({ value }) =>
    set({ responses: Number(value), covered: null }),
  );
  const [least, most] = props.bounds.seed;
  dial("seed", { type: "number", min: least, max: most, value: asked.seed }, (input) =>
    set({ seed: input.value === "" ? null : Number(input.value) }),
  );
  dial("certain", { type: "checkbox", checked: asked.certain }, ({ checked }) => set({ certain: checked }));
  tellDials();
  return ask;
}
