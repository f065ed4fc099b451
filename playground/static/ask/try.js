// Try it: one prompt to the reference and to some runs; the texts side by side. Follows asking.js.
const MOST = 3;  // runs beside the reference
let runs = [];
let seed = 0;

async function offer() {
  runs = (await offeredRuns()).filter((run) => page.writes(run.method));
  offerBoxes(runs, MOST, 1);
}

async function ask() {
  const question = {
    task: chosenTask(),
    models: [reference(), ...checked()].filter(Boolean),
    prompt: form.elements.prompt.value,
    n: form.elements.n.valueAsNumber,
    temperature: form.elements.temperature.valueAsNumber,
    seed: seed++,
  };
  const known = new Map(runs.map((run) => [run.run, run]));
  const answers = await asked(server.generate, question);
  if (answers) draw(question.prompt, answers, known);
}

function draw(prompt, answers, known) {
  const host = shown();
  host.style.setProperty("--columns", answers.length);
  const names = answers.map(({ model }) => {
    const run = known.get(model);
    return run ? [runName(run), runDetails(run)] : [words.reference, ""];
  });
  const heads = make("div", "row heads", host);
  answers.forEach(({ samples }, i) => {
    const head = make("div", i ? "one policy" : "one", heads);
    make("h2", "", head, names[i][0]);
    make("small", "", head, names[i][1] || "\u00a0");
    const chips = make("div", "chips", head);
    addChip("gold", chips, mean(samples, "gold_reward"));
    addChip("proxy", chips, mean(samples, "proxy_reward"));
    make("small", "", chips, page.fill(words.mean, { n: samples.length }));
  });
  answers[0].samples.forEach((_, sample) => {
    const row = make("div", "row", host);
    answers.forEach(({ samples }, i) => {
      const box = make("div", i ? "one policy" : "one", row);
      make("small", "who", box, names[i].filter(Boolean).join(" · "));
      write(box, prompt, samples[sample]);
    });
  });
}

function write(box, prompt, sample) {
  const chips = writeText(box, prompt, { ...sample, text: sample.completion });
  if (!sample.ended) make("small", "", chips, words.unended);
}

function mean(samples, reward) {
  if (samples.some((sample) => sample[reward] === null)) return null;
  return samples.reduce((sum, sample) => sum + sample[reward], 0) / samples.length;
}

async function choose() {
  turn += 1;  // what is still under way is about another task
  busy(false);
  complain([]);
  form.elements.prompt.value = words.prompts[chosenTask()];
  delete find(".answers").dataset.full;
  put(".answers", words.none);
  await offer();
}

put(".numbers .n", words.n);
put(".numbers .temperature", words.temperature);
form.onsubmit = (event) => {
  event.preventDefault();
  ask();
};
form.onchange = ({ target }) => {
  if (target.name === "task") choose();
  if (target.name === "models") limit(MOST);
};
whenShown(choose, offer);
