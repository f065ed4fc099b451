// Rate: training on the votes, and what came of it. Follows shading.js and rate.js.
const REPORT_MS = 3000;
let counted = { votes: 0, to_train: 0, held_out: 0 };
let reporting = null;

function voted(told) {
  counted = told;
  drawMix();
}

const simulated = () => find(".mixed input").value / 100;

// What a run would learn from.
function drawMix() {
  const { votes, to_train: own, held_out: held } = counted;
  const made = Math.round((own * simulated()) / (1 - simulated()));
  put(".mixed output", `${find(".mixed input").value}%`);
  put(".train .aside", page.fill(words.mix, { own, made, held, neither: votes - own - held }));
  find(".train button").disabled = !own;
}

async function train() {
  const asked = { way: form.elements.way.value, simulated: simulated() };
  complain([]);
  find(".train button").disabled = true;
  const answer = await ballot.send("train", asked).catch(() => null);
  find(".train button").disabled = false;
  if (answer?.status !== 200) return lost(answer?.why ?? "lost", answer?.line);
  document.querySelector("#views [role=tab]").click(); // Train shows the run, or its place in line, by itself
  scrollTo(0, 0);
}

async function report() {
  clearTimeout(reporting);
  const mine = ballot;
  if (ballot?.rater().token && element.offsetParent) {
    const answer = await mine.send("report", {}).catch(() => null);
    if (mine === ballot && answer) drawReport(answer);
  }
  if (element.isConnected) reporting = setTimeout(report, REPORT_MS);
}

function drawReport({ runs = [], gold_agreement, against = [] }) {
  const host = find(".report");
  const told = JSON.stringify([runs, gold_agreement, against]);
  host.hidden = !runs.length && !against.length;
  if (host.dataset.told === told) return;
  host.dataset.told = told;
  host.replaceChildren();
  make("h2", "", host, words.report);
  for (const run of runs) drawRun(host, run);
  if (gold_agreement !== null) {
    make("p", "", host, page.fill(words.gold_agreement, { share: page.percent(gold_agreement) }));
  }
  if (against.length) make("h3", "", host, words.against);
  for (const pair of against) {
    const box = make("div", "against", host);
    make("p", "prompt", box, pair.prompt);
    drawVotes(make("div", "texts", box), pair);
    const better = pair.gold_margin > 0 ? words.first : words.second;
    const margin = page.number(Math.abs(pair.gold_margin), 1);
    make("small", "", box, page.fill(words.gold_says, { better, margin }));
  }
}

function drawRun(host, run) {
  const box = make("div", "run", host);
  const name = make("p", "name", box);
  make("strong", "", name, methods[run.method]);
  const learnt = run.votes === null ? words.on_reward_model : page.fill(words.learnt, run);
  make("span", "", name, `${props.statuses[run.status]} · ${learnt}`);
  if (run.judged?.votes) {
    const told = { n: run.judged.votes, own: page.percent(run.judged.accuracy) };
    told.gold = page.percent(run.judged.gold_accuracy);
    make("p", "foretells", box, page.fill(words.judged, told));
  }
  if (run.texts.length) drawBeforeAndAfter(make("div", "texts", box), run.texts);
  if (run.verdict) make("p", "verdict", box, verdict(run));
}

// Each text with its gold reward, as Train shows its samples.
function drawBeforeAndAfter(table, texts) {
  for (const side of ["before", "after"]) make("h3", "", table, words[side]);
  for (const { prompt, ...sides } of texts) {
    for (const side of ["before", "after"]) {
      const { text, gold_reward } = sides[side];
      writeText(make("div", "said", table), prompt, { text, gold_reward });
    }
  }
}

function verdict({ verdict: { key, values }, texts, mixed }) {
  const { gain, kl, agreement, accuracy, low, high } = values;
  const written = { ...values, shown: texts.length, size: page.number(Math.abs(gain ?? 0), 1) };
  Object.assign(written, { change: page.signed(gain ?? 0, 1), kl: page.number(kl ?? 0) });
  for (const [name, share] of Object.entries({ agreement, accuracy, low, high })) {
    if (share !== undefined && share !== null) written[name] = page.percent(share);
  }
  const sentence = page.fill(words.verdicts[key], written);
  return mixed ? `${sentence} ${words.verdicts.mixed}` : sentence;
}

put(".train h2", words.train);
put(".mixed .name", words.simulated);
put(".train button", words.start);
props.ways.forEach((way, i) => {
  option(find(".ways"), "radio", "way", way, words.ways[way].name, words.ways[way].help).checked = !i;
});
find(".mixed input").oninput = drawMix;
form.onsubmit = (event) => {
  event.preventDefault();
  train();
};
form.onchange = ({ target }) => {
  if (target.name === "task") offer();
  if (target.name === "models") begin();
};
drawMix();
whenShown(
  () => (opened(), report()),
  () => (opened(), look(), report()),
);
