// Score it: what the rewards and a model make of each answer. Follows asking.js.
const MOST = 8;  // answers at once
const BASE = "";  // the embedded SFT model against the pretrained one, for want of runs
const MANY = 1000;
let runs = [];
let texts = [];

async function offer() {
  runs = await offeredRuns();
  const base = reference() ? [[BASE, words.base, words.base_details]] : [];
  offerOne("model", [...runs.map(offerOf), ...base]);
}

async function ask() {
  const own = form.elements.own.value.trim();
  if (own && !texts.includes(own)) texts = [own, ...texts].slice(0, MOST);
  const run = runs.find(({ run }) => run === form.elements.model?.value);
  const question = {
    task: chosenTask(),
    model: run ? run.run : reference(),
    reference: run ? null : "pretrained",
    prompt: form.elements.prompt.value,
    completions: texts,
  };
  const answers = await asked(server.score, question);
  if (answers) draw(answers, run !== undefined && !page.writes(run.method));
}

function draw(answers, silent) {
  const host = shown();
  const story = words.stories[chosenTask()];
  make("p", "told", host, silent ? words.no_policy : story.told);
  const heads = make("div", "judged heads", host);
  make("span", "", heads, words.answer);
  const ratio = make("span", "ratio", heads, silent ? "" : words.ratio);
  if (!silent) ratio.dataset.tip = words.ratio_help;
  for (const answer of answers) judge(make("div", "judged", host), answer, silent);
}

function judge(row, { completion, tokens, gold_reward, proxy_reward, logp, ref_logp }, silent) {
  const text = make("p", "completion", row, completion);
  const chips = make("div", "chips", row);
  addChip("gold", chips, gold_reward);
  addChip("proxy", chips, proxy_reward);
  const sum = make("div", "ratio", row);
  if (silent) return;
  sum.dataset.name = words.ratio;  // shown where there is no room for a head
  writeTokens(text, tokens);
  text.firstChild.remove();  // the space that parts it from the prompt
  make("strong", "", sum, page.signed(logp - ref_logp));
  make("small", "", sum, likelihood(logp - ref_logp));
  make("small", "chances", sum, page.fill(words.chances, { reference: chance(ref_logp), policy: chance(logp) }));
}

// How often this very answer is written: a share, or one in so many, both to two digits.
function chance(logp) {
  const share = Math.exp(logp);
  if (share >= 0.01) return page.percent(share, share < 0.1 ? 1 : 0);
  const notation = share > 1e-6 ? "standard" : "compact"; // 3,400 and 14B
  return page.fill(words.one_in, { n: (1 / share).toLocaleString("en", { notation, maximumSignificantDigits: 2 }) });
}

function likelihood(ratio) {
  const times = Math.exp(Math.abs(ratio));
  if (times < 1.1) return words.as_likely;
  const shown = times > MANY ? page.fill(words.many, { n: MANY }) : page.number(times, times < 10 ? 1 : 0);
  return page.fill(ratio > 0 ? words.likelier : words.unlikelier, { times: shown });
}

async function choose() {
  const story = words.stories[chosenTask()];
  form.elements.prompt.value = story.prompt;
  form.elements.own.value = "";
  texts = story.answers;
  delete find(".answers").dataset.full;
  await offer();
  if (texts.length) ask();
}

put(".line .own", words.own);
form.onsubmit = (event) => {
  event.preventDefault();
  ask();
};
form.onchange = ({ target }) => {
  if (target.name === "task") choose();
  if (target.name === "model") ask();
};
whenShown(choose, offer);
