// Learn: a station of the path, its equation, and the equation with real numbers put in. Moving β
// changes the numbers at once; nothing is asked of a server, except about a visitor's own run.
// Follows shading.js, equations.js, arithmetic.js and path.js.
const { words, lessons, tasks } = props;
const narrow = window.matchMedia("(max-width: 820px)");
const slider = find(".beta input");
let task = props.first;
let open = "sft";
const CHOICES = {
  sft: ["recorded", "own"], reward: ["recorded", "own"], ppo: ["recorded", "own"],
  dpo: ["reference", "recorded", "own"],
};
const picked = {}; // station -> whose numbers it shows, one of its CHOICES
const own = {}; // station -> the newest run of the task: {lesson, told}, its numbers and a sentence
let turn = 0; // of that choice: a model’s answer may come when another is made already

const policy = () => picked[open] ?? "recorded";
const lesson = () => (policy() === "own" ? { ...lessons[task], ...own[open].lesson } : lessons[task]);
const ratio = (answer) =>
  fraction(`π_θ ( y_${answer} | x )`, `π_ref ( y_${answer} | x )`);

// The pair as DPO is to see it: under a policy, or under the reference alone.
function seen() {
  const { chosen, rejected } = lesson().pair;
  if (policy() !== "reference") return { chosen, rejected };
  const still = (text) => ({ ...text, logp: text.ref_logp });
  return { chosen: still(chosen), rejected: still(rejected) };
}

// Each station: equations, the lines that put numbers in, what is shown of the example, the numbers
// at a β, and what there is to say about them.
const stations = {
  sft: {
    equations: () => [row("L = − Σ_t log π_θ ( y_t | x , y_<t )")],
    lines: ["− log π_pretrained = {*before}", "− log π_SFT = {*after}", "{after} / {count} ≈ {*mean}"],
    example(host) {
      prompt(host, lesson().demonstration.prompt);
      costs(host, lesson().demonstration);
    },
    numbers: () => ({ ...arithmetic.sft(lesson().demonstration), count: String(lesson().demonstration.tokens.length) }),
  },
  preferences: {
    equations: () => [row("P ( y_w ≻ y_l | x ) = σ ( r ( x , y_w ) − r ( x , y_l ) )")],
    lines: ["{chosen} − {(rejected)} ≈ {*difference}", "P = σ ( {difference} ) ≈ {*share}"],
    example: (host) => pair(host, "gold"),
    numbers: () => scores("gold_reward"),
  },
  reward: {
    equations: () => [row("L = − log σ ( r_φ ( x , y_w ) − r_φ ( x , y_l ) )")],
    lines: ["{chosen} − {(rejected)} ≈ {*difference}", "σ ( {difference} ) ≈ {*share}", "L = − log {share} ≈ {*loss}"],
    example: (host) => pair(host, "proxy"),
    numbers: () => scores("proxy_reward"),
  },
  ppo: {
    equations: () => [
      row("max_π E [ r ( x , y ) ] − β KL ( π ‖ π_ref )"),
      row("r_t = − β ( log π_old ( y_t ) − log π_ref ( y_t ) )"),
      row("ρ =", fraction("π_θ ( y_t )", "π_old ( y_t )")),
      row("min ( ρ A , clip ( ρ , 1 − ε , 1 + ε ) A )"),
    ],
    lines: [
      "− {beta} · ( {logp} − {(ref_logp)} ) ≈ {*paid}",
      "{score} − {beta} · {(ahead)} ≈ {*earned}",
      "A = ( {earned} − {(value)} − {(mean)} ) / {spread} ≈ {*advantage}",
      "ρ = exp ( {new_logp} − {(logp)} ) ≈ {*ratio}",
      "min ( {ratio} · {(advantage)} , {held} · {(advantage)} ) ≈ {*objective}",
    ],
    example: rollout,
    numbers(beta) {
      const { tokens, place, score, value } = lesson().token;
      return { ...tokens[place], score, value, beta: shown(beta), ...arithmetic.ppo(lesson().token, beta) };
    },
    verdict: ({ clipped, advantage }) => (clipped ? "clipped" : advantage < 0 ? "against" : "free"),
    note: () => lesson().token,
  },
  dpo: {
    equations: () => [
      row("L = − log σ ( margin )"),
      row("margin = β log", ratio("w"), "− β log", ratio("l")),
    ],
    lines: [
      "margin = {beta} · ( {up} − {(down)} ) ≈ {*margin}",
      "L = − log σ ( {margin} ) ≈ {*loss}",
      "β σ ( − margin ) ≈ {*weight}",
    ],
    example(host) {
      pair(host);
      likelihoods(host);
    },
    numbers: (beta) => ({ beta: shown(beta), ...arithmetic.dpo(seen(), beta) }),
    verdict: ({ up, down }) => (up === 0 && down === 0 ? "same" : up < 0 && up > down ? "both" : null),
    note: () => (policy() === "recorded" ? lesson().pair : null),
  },
  optimum: {
    equations: () => [row("π* ( y | x ) =", fraction("1", "Z ( x )"), "π_ref ( y | x ) exp ( r ( x , y ) / β )")],
    lines: [
      "exp ( {reward} / {beta} ) / Z ≈ {*factor}",
      "β log Z ≈ {*bar}",
      "( {reward} − {(bar)} ) / {beta} ≈ {*ratio}",
    ],
    example(host) {
      prompt(host, lesson().optimum.prompt);
      said(host);
    },
    numbers(beta) {
      const weighed = arithmetic.optimum(lesson().optimum, beta);
      const most = Math.max(...weighed.flatMap(({ before, after }) => [before, after]));
      const { texts } = lesson().optimum;
      const [{ factor, bar }] = weighed;
      const ratio = beta === 0 ? "–" : Math.log(factor);
      const values = { beta: shown(beta), reward: texts[0].gold_reward, factor: page.number(factor), bar, ratio };
      const lost = texts.find(({ gold_reward }, i) => gold_reward > 0 && weighed[i].factor < 1);
      if (lost) values.lost = { text: lost.text.trim(), r: page.number(lost.gold_reward), bar: page.number(bar) };
      weighed.forEach(({ before, after }, i) => {
        Object.assign(values, { [`before${i}`]: percent(before), [`after${i}`]: percent(after) });
        const box = find(`[data-text="${i}"]`);
        box.style.setProperty("--before", before / most);
        box.style.setProperty("--after", after / most);
      });
      return values;
    },
    verdict: ({ lost }) => (lost ? "below_bar" : null),
    note: () => lesson().optimum,
  },
};

function scores(reward) {
  const { chosen, rejected } = lesson().pair;
  return { chosen: chosen[reward], rejected: rejected[reward], ...arithmetic.pair(lesson().pair, reward) };
}

const shown = (beta) => String(Number(beta.toPrecision(3)));

function prompt(host, text, className = "prompt") {
  return make("span", className, make("p", "text", host), text).parentNode;
}

// A pair's two texts, with one of their rewards where it counts.
function pair(host, reward) {
  for (const side of ["chosen", "rejected"]) {
    const box = make("div", `side ${side}`, host);
    make("small", "", box, words[side]);
    make("span", "", prompt(box, lesson().pair.prompt), lesson().pair[side].text);
    if (reward) addChip(reward, box, lesson().pair[side][`${reward}_reward`]);
  }
}

// What each token costs, before SFT and after.
function costs(host, { tokens }) {
  const table = make("div", "costs", host);
  const most = Math.max(...tokens.map(({ before, logp }) => -Math.min(before, logp)));
  for (const { text, before, logp } of tokens) {
    const one = make("div", "cost", table);
    for (const [name, value] of [["before", -before], ["after", -logp]]) {
      const bar = make("i", name, one);
      bar.style.setProperty("--height", value / most);
      make("b", "", bar, page.number(value, 1));
    }
    make("span", "", one, text.trim() || words.end);
  }
  const legend = make("p", "legend", host);
  for (const name of ["before", "after"]) make("span", name, legend, words.costs[name]);
}

function rollout(host) {
  const { prompt: given, tokens, place } = lesson().token;
  const text = prompt(host, given);
  tokens.forEach((token, i) => {
    if (i !== place) return text.append(token.text);
    text.append(" ");
    make("mark", "", text, token.text.trim() || words.end);
  });
  const table = make("dl", "chances", host);
  for (const name of ["ref_logp", "logp", "new_logp"]) {
    make("dt", "", table, words.chances[name]);
    make("dd", "", table, percent(Math.exp(tokens[place][name])));
  }
}

// Log-probabilities of both texts: under the policy, under the reference, and their difference.
function likelihoods(host) {
  const table = make("table", "", host);
  const head = make("tr", "", make("thead", "", table));
  make("td", "", head);
  for (const symbols of ["log π_θ", "log π_ref", "log π_θ / π_ref"]) {
    equation(make("th", "", head), row(symbols), "inline");
  }
  const body = make("tbody", "", table);
  for (const side of ["chosen", "rejected"]) {
    const { logp, ref_logp } = seen()[side];
    const line = make("tr", side, body);
    make("th", "", line, words[side]);
    for (const value of [logp, ref_logp]) make("td", "", line, page.number(value));
    make("td", "ratio", line, page.signed(logp - ref_logp));
  }
}

// The choice of whose numbers are put in.
function whose(host) {
  const box = make("div", "whose", host);
  box.setAttribute("role", "group");
  for (const name of CHOICES[open]) {
    const button = make("button", "", box, words.whose[name]);
    button.type = "button";
    button.dataset.whose = name;
    button.setAttribute("aria-pressed", name === policy());
    button.onclick = () => choose(name);
  }
}

async function choose(name) {
  const mine = ++turn;
  const [asked, station] = [task, open];
  if (name === "own") {
    put(".note", words.asking);
    const answer = await ownRun(asked, station);
    if (mine !== turn || open !== station || task !== asked) return;
    if (typeof answer === "string") return put(".note", answer);
    own[station] = answer;
  }
  picked[station] = name;
  show();
  find(`[data-whose=${name}]`).focus();
}

// What the newest run of a station's method makes of its example, or the sentence that says why not.
async function ownRun(task, station) {
  try {
    const found = await server.newest({ task, method: station });
    if (!found) return page.fill(words.no_run, { method: props.methods[station] });
    const { run, token } = found;
    if (token) {
      const told = page.fill(words.own.ppo, { ...token, run: run.run });
      const lambda = token.lam < 1 ? ` ${page.fill(words.own.lambda, token)}` : "";
      return { lesson: { token }, told: told + lambda };
    }
    const { demonstration, pair } = lessons[task];
    const [{ prompt }, completions] = station === "sft"
      ? [demonstration, [demonstration.tokens.map(({ text }) => text).join("")]]
      : [pair, [pair.chosen.text, pair.rejected.text]];
    const reply = await server.score({ task, model: run.run, reference: null, prompt, completions });
    if (reply.complaints.length) return reply.complaints.join(" ");
    const [first, second] = reply.answers;
    const tokens = first.tokens?.map((one) => ({ ...one, before: one.ref_logp }));
    const sides = { chosen: { ...pair.chosen, ...first }, rejected: { ...pair.rejected, ...second } };
    return {
      lesson: station === "sft" ? { demonstration: { prompt, tokens } } : { pair: { ...pair, ...sides } },
      told: fillRun(words.own[station], run),
    };
  } catch {
    return words.lost;
  }
}

function said(host) {
  lesson().optimum.texts.forEach(({ text, gold_reward }, i) => {
    const box = make("div", "said", host);
    box.dataset.text = i;
    make("p", "text", box, text.trim());
    addChip("gold", box, gold_reward);
    for (const name of ["before", "after"]) {
      make("i", name, box);
      equation(make("span", "share", box), row(`{${name}${i}}`), "inline");
    }
  });
}

// Lays the open station out; `calculate` puts the numbers in.
function show() {
  const told = words.stations[open];
  const station = stations[open];
  mark(find(".path"), open);
  put("h2", told.title);
  put(".what", told.what);
  put(".source", told.source);
  find(".equations").replaceChildren();
  for (const content of station.equations()) equation(find(".equations"), content);
  find(".example").replaceChildren();
  if (CHOICES[open]) whose(find(".example"));
  station.example(find(".example"));
  find(".steps").replaceChildren();
  station.lines.forEach((line, i) => {
    const step = make("li", "", find(".steps"));
    make("span", "", step, told.lines[i]);
    equation(step, row(line), "inline");
  });
  const recorded = station.note?.();
  put(".note", policy() === "own" ? own[open].told : recorded ? page.fill(told.note, recorded) : "");
  put(".role", told.beta);
  find(".learn").dataset.open = open;
  calculate();
}

function calculate() {
  if (page.beta === null) return;
  const values = stations[open].numbers(page.beta);
  fillIn(find("article"), values);
  const verdict = stations[open].verdict?.(values);
  put(".verdict", verdict ? page.fill(words.verdicts[verdict], values.lost) : "");
}

// β is Train's own: its slider is moved from here, and tells what came of it.
function followBeta() {
  const theirs = document.querySelector("#field-beta [type=range]");
  if (document.activeElement !== slider) slider.value = theirs.value;
  slider.setAttribute("aria-valuetext", shown(page.beta));
  put(".beta output", shown(page.beta));
  calculate();
}

for (const kind of ["input", "change"]) {
  slider.addEventListener(kind, () => {
    const theirs = document.querySelector("#field-beta [type=range]");
    if (kind === "input") theirs.value = slider.value;
    theirs.dispatchEvent(new Event(kind));
  });
}

function lay() {
  drawPath(find(".path"), words.stations, words.path, narrow.matches, (station) => {
    open = station;
    show();
  });
  mark(find(".path"), open);
}

for (const [name, label] of Object.entries(tasks)) {
  const input = option(find(".tasks"), "radio", "learn-task", name, label);
  input.checked = name === task;
  input.onchange = () => {
    task = name;
    for (const station in picked) if (picked[station] === "own") delete picked[station];
    show();
  };
}
put(".tasks legend", words.task);
put(".beta .name", words.beta);
narrow.addEventListener("change", lay);
document.addEventListener("playground:beta", followBeta);
lay();
show();
if (page.beta !== null) followBeta();
