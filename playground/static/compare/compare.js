// Compare: which runs, and what sets them apart. Follows shading.js, newest.js, following.js and
// overlay.js.
const MOST = 4;
const POLL_MS = 2000;
const SAMPLES = 8;  // of each model for each prompt, in a duel
// A run's letter, the CSS variable of its colour, its dash and its mark: told apart without colour.
const LOOKS = [
  { letter: "A", colour: "--run-a", dash: "solid", strokes: "", symbol: "circle" },
  { letter: "B", colour: "--run-b", dash: "dash", strokes: "7 4", symbol: "square" },
  { letter: "C", colour: "--run-c", dash: "dot", strokes: "2 4", symbol: "triangle-up" },
  { letter: "D", colour: "--run-d", dash: "dashdot", strokes: "8 3 2 3", symbol: "diamond" },
];
const MARKS = {
  circle: "M13 7a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
  square: "M13.5 3.5h7v7h-7z",
  "triangle-up": "M17 2.5l5 8.5h-10z",
  diamond: "M17 2l5 5l-5 5l-5 -5z",
};
const frontiers = {};  // task -> what the server said of it
const kept = new Map();  // name -> the run, as following.js keeps it, and how far its log was read
const seats = LOOKS.map(() => null);  // the name of the run that has each look
let offered = new Map();  // name -> what names the run
let offers = 0;
let offeredTask = null;
let latest = { names: [], settings: [], numbers: [] };
let drawn = "";  // the texts that stand there
let duelled = "";  // the runs whose win rates stand there
let timer = null;
let lost = false;
let seed = 0;

// The newest runs, or those that have what is sought; what is chosen stays. A newer question makes
// the answer to an older one void.
async function offer() {
  const question = ++offers;
  const [task, sought] = [chosenTask(), find(".sought").value];
  const found = await offeredRuns({ task, sought });
  if (question !== offers) return;
  const chosen = task === offeredTask ? checked().map((name) => offered.get(name)) : [];
  const names = new Set(found.map(({ run }) => run));
  const runs = [...chosen.filter(({ run }) => !names.has(run)), ...found];
  offered = new Map(runs.map((run) => [run.run, run]));
  offeredTask = task;
  offerBoxes(runs, MOST, sought ? 0 : 2, details);
  if (sought && !runs.length) put(".models p", words.none_found);
  choose();
}

function details(run) {
  if (run.recorded) return page.fill(words.run_recorded, { run: described(run) });
  if (run.status === "finished") return runDetails(run);
  const status = props.statuses[run.status];
  const told = ["failed", "stopped"].includes(run.status) ? words.run_ended : words.run_live;
  return page.fill(told, { status, steps: run.steps, time: runTime(run) });
}

// A run keeps its look as long as it is chosen.
function choose() {
  const names = checked();
  seats.forEach((name, i) => names.includes(name) || (seats[i] = null));
  for (const name of names) if (!seats.includes(name)) seats[seats.indexOf(null)] = name;
  limit(MOST);
  follow();
}

// What still goes on is asked for again, as long as it is looked at.
const follow = newestLast(async (newerWaits) => {
  clearTimeout(timer);
  if (!form.offsetParent || document.hidden) return;
  const task = chosenTask();
  const cursors = seats.filter(Boolean).map((run) => ({ run, offset: kept.get(run)?.offset ?? 0 }));
  try {
    frontiers[task] ??= await server.frontier(task);
    const reply = await server.follow(cursors);
    if (lost) complain([]);
    lost = false;
    take(reply, newerWaits());
  } catch {
    lost = true;
    complain([words.lost]);
  }
  if (lost || latest.names.some((name) => goesOn(kept.get(name)))) {
    timer = setTimeout(follow, POLL_MS);
  }
});

const goesOn = (run) => ["starting", "running", "paused"].includes(run.status.name);

function take({ runs, settings, numbers }, outdated) {
  for (const delta of runs) {
    if (!kept.has(delta.run)) kept.set(delta.run, begun(delta));
    const run = kept.get(delta.run);
    gain(run, delta);
    run.model = delta.model;
    // It may have been turned since it was offered.
    Object.assign(offered.get(delta.run) ?? {}, { beta: delta.beta, learning_rate: delta.learning_rate });
  }
  const names = runs.map(({ run }) => run);
  const same = names.join() === latest.names.join();
  latest = { names, settings, numbers };
  if (!outdated && !(same && runs.every(({ step }) => step === null))) draw();
}

// The chosen runs, each with its look and its name.
function shownRuns() {
  return latest.names.filter((name) => seats.includes(name)).map((name) => {
    const look = LOOKS[seats.indexOf(name)];
    return { ...look, run: kept.get(name), name: runName(offered.get(name)), offer: offered.get(name) };
  });
}

function draw() {
  const runs = shownRuns();
  if (runs.length < latest.names.length) return; // others are chosen, and their answer is on its way
  const few = runs.length < 2;
  find(".few").hidden = !few;
  find(".found").hidden = few;
  put(".few", offered.size < 2 ? words.none : words.few);
  find(".legend").replaceChildren();
  for (const one of runs) drawName(one, find(".legend"));
  if (few || typeof Plotly === "undefined") return;
  const frontier = frontiers[chosenTask()];
  find(".trade").hidden = !frontier;
  if (frontier) drawTrade(runs, frontier);
  drawCurves(runs);
  drawApart(runs);
  drawTexts(runs);
  offerDuel(runs);
}

function drawName(one, host) {
  const item = make("li", "", host);
  label(one, item);
  const { run, offer } = one;
  const status = { status: props.statuses[run.status.name], step: run.step, steps: run.config.steps };
  const told = offer.recorded ? [words.legend_recorded, offer] : [words.legend, { time: runTime(offer) }];
  make("small", "", item, page.fill(told[0], { ...status, ...told[1] }));
}

// The line, the letter and the name of a run, as they stand wherever it is spoken of.
function label(one, host, name = one.name) {
  const box = make("span", "run", host);
  box.style.setProperty("--line", `var(${one.colour})`);
  const svg = box.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "svg"));
  svg.setAttribute("viewBox", "0 0 34 14");
  svg.setAttribute("aria-hidden", "true");
  const line = svg.appendChild(document.createElementNS(svg.namespaceURI, "path"));
  line.setAttribute("d", "M1 7h32");
  line.setAttribute("stroke-dasharray", one.strokes);
  svg.appendChild(document.createElementNS(svg.namespaceURI, "path")).setAttribute("d", MARKS[one.symbol]);
  make("b", "", box, one.letter);
  if (name) make("span", "", box, name);
  return box;
}

// What sets the runs apart: settings that differ, and the numbers that came of it

function drawApart(runs) {
  const table = find(".apart table");
  table.replaceChildren();
  const head = make("tr", "", make("thead", "", table));
  make("td", "", head);
  for (const one of runs) label(one, make("th", "", head), "").title = one.name;
  const settings = group(table, words.settings_differ, runs.length);
  for (const { setting, values } of latest.settings) {
    const row = make("tr", "", settings);
    make("th", "", row, words.settings[setting]);
    for (const value of values) make("td", "", row, everyStep(setting, value));
  }
  if (!latest.settings.length) wide(make("tr", "", settings), words.settings_same, runs.length);
  const numbers = group(table, words.numbers_last, runs.length);
  for (const { number: name, values, best } of latest.numbers) {
    const row = make("tr", "", numbers);
    const head = make("span", "", make("th", "", row), words.numbers[name].name);
    head.dataset.tip = words.numbers[name].help;
    head.tabIndex = 0;
    values.forEach((value, i) => {
      const cell = make("td", best.includes(i) ? "best" : "", row, number(name, value));
      if (best.includes(i)) make("span", "mark", cell, words.best);
    });
  }
  if (!latest.numbers.length) wide(make("tr", "", numbers), words.numbers_none, runs.length);
  const started = new Set(runs.map(({ run }) => run.config.model));
  put(".apart .aside", started.size > 1 ? `${words.note} ${words.references}` : words.note);
}

function group(table, title, columns) {
  const body = make("tbody", "", table);
  const row = make("tr", "group", body);
  const head = wide(row, title, columns);
  head.scope = "rowgroup";
  return body;
}

function wide(row, text, columns) {
  const cell = make("th", "", row, text);
  cell.colSpan = columns + 1;
  return cell;
}

function everyStep(setting, history) {
  const written = history.map(([step, value]) => {
    const text = written_as(setting, value);
    return step === 0 ? text : page.fill(words.turned, { value: text, step });
  });
  return written.join(" ");
}

function written_as(setting, value) {
  if (value === null) return "–";
  if (typeof value === "boolean") return value ? words.yes : words.no;
  if (setting === "method") return methods[value];
  return String(value).startsWith("/") ? value.split("/").at(-1) : String(value); // a file by its name
}

// The same prompts, a column for each run

function drawTexts(runs) {
  const writers = runs.filter(({ run }) => run.samples.length);
  const newest = writers.map(({ run }) => run.samples.at(-1));
  const state = writers.map(({ letter, run }, i) => `${letter} ${run.name} ${newest[i].step}`).join();
  if (state === drawn) return; // whoever is reading a token is left in peace
  drawn = state;
  const host = find(".texts");
  host.replaceChildren();
  host.hidden = find(".scale").hidden = !writers.length;
  host.style.setProperty("--columns", writers.length);
  make("h2", "", host, words.texts);
  make("p", "aside", host, words.texts_note);
  const heads = make("div", "row heads", host);
  writers.forEach((one, i) => {
    const head = make("div", "one", heads);
    label(one, make("h2", "", head));
    make("small", "", head, page.fill(words.at_step, newest[i]));
  });
  const rows = newest.map((sample) => new Map(sample.rows.map((row) => [row.prompt, row])));
  for (const prompt of new Set(rows.flatMap((of) => [...of.keys()]))) {
    const row = make("div", "row", host);
    writers.forEach((one, i) => drawText(one, prompt, rows[i].get(prompt), make("div", "one", row)));
  }
}

function drawText(one, prompt, row, host) {
  label(one, make("small", "who", host));
  if (row) writeText(host, prompt, row.policy);
}

// Win rates against each other, when they are asked for

const writes = ({ run }) => run.model && page.writes(run.config.method);

function offerDuel(runs) {
  const names = runs.filter(writes).map(({ run }) => run.name);
  find(".duel button").disabled = names.length < 2;
  const without = letters(runs.filter((one) => !writes(one)));
  put(".duel .rules", [
    names.length < 2 ? words.duel_few : page.fill(words.duel_help, { n: SAMPLES }),
    without && page.fill(words.duel_without, { runs: without }),
  ].filter(Boolean).join(" "));
  if (names.join() === duelled) return;
  find(".duel table").replaceChildren();
  put(".duel .counted", "");
}

async function duel() {
  const fighters = shownRuns().filter(writes);
  const models = fighters.map(({ run }) => run.name);
  if (form.dataset.busy === "true" || models.length < 2) return;
  busy(true);
  find(".duel table").replaceChildren();
  put(".duel .counted", words.duel_first);
  let reply = { complaints: [words.lost] };
  try {
    reply = await server.duel({ task: chosenTask(), models, n: SAMPLES, seed: seed++ });
  } catch {
    // The server is gone: the complaint stands already.
  }
  busy(false);
  put(".duel .counted", "");
  complain(reply.complaints);
  const chosen = shownRuns().filter(writes).map(({ run }) => run.name);
  if (!reply.complaints.length && chosen.join() === models.join()) drawDuel(fighters, reply.answers);
}

function busy(on) {
  form.dataset.busy = on;
  put(".duel button", on ? words.duelling : words.duel);
}

function drawDuel(fighters, { prompts, win_rates, ci95 }) {
  duelled = fighters.map(({ run }) => run.name).join();
  const table = find(".duel table");
  table.replaceChildren();
  put(".duel .counted", page.fill(words.duel_counted, { texts: prompts * SAMPLES, prompts }));
  const head = make("tr", "", make("thead", "", table));
  make("th", "", head, words.against);
  for (const one of fighters) label(one, make("th", "", head), "");
  const body = make("tbody", "", table);
  fighters.forEach((one, i) => {
    const row = make("tr", "", body);
    label(one, make("th", "", row), "");
    fighters.forEach((_, j) => {
      const cell = make("td", "rate", row, i === j ? "–" : "");
      if (i === j) return;
      const [rate, width] = [win_rates[i][j], ci95[i][j]];
      make("strong", "", cell, page.percent(rate));
      make("small", "", cell, `± ${page.number(100 * width, 0)}`);
      if (Math.abs(rate - 0.5) <= width) return make("small", "", cell, words.even);
      cell.classList.add("sure");
      shade(cell, rate - 0.5, 0.5, 12);
    });
  });
}

put(".trade h2", props.frontier.title);
put(".duel h2", words.duel_title);
put(".duel button", words.duel);
put(".scale span", words.scale);
explain(find(".trade .help"), words.trade_help);
sizes.observe(find(".trade .plot"));
find(".sought").placeholder = words.sought;
find(".sought").setAttribute("aria-label", words.sought);
find(".sought").oninput = offer;
find(".sought").onkeydown = (event) => {
  if (event.key === "Enter") event.preventDefault(); // no duel
};
form.onsubmit = (event) => {
  event.preventDefault();
  duel();
};
form.onchange = ({ target }) => {
  if (target.name === "task") offer();
  if (target.name === "models") choose();
};
document.addEventListener("visibilitychange", () => document.hidden || follow());
whenRecoloured(() => form.offsetParent && draw());
whenShown(offer, offer);
