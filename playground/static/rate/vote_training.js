// Rate: training on the votes, and the results of these runs.
import { make, option, within } from "../core/dom.js";
import { fill, number, percent, signed } from "../core/format.js";
import { latestOnly } from "../core/latest_only.js";
import { shadedText } from "../core/shaded_text.js";

const REPORT_MS = 3000;

// `session` is {ballot(), request(action, content), showErrors(errors)}, from rate.js.
export function voteTraining({ element, props, events }, session) {
  const { words, method_names } = props;
  const { find, put } = within(element);
  const { writeText } = shadedText(props.shading);
  const form = find("form");
  let counts = { votes: 0, to_train: 0, held_out: 0 };
  let timer = null;

  function setCounts(tally) {
    counts = tally;
    drawMix();
  }

  const simulatedShare = () => find(".mixed input").value / 100;

  // The numbers of votes that a run would train on, by people and simulated, and of those left out.
  function drawMix() {
    const { votes, to_train: own, held_out: held } = counts;
    const made = Math.round((own * simulatedShare()) / (1 - simulatedShare()));
    put(".mixed output", `${find(".mixed input").value}%`);
    put(".train .aside", fill(words.mix, { own, made, held, neither: votes - own - held }));
    find(".train button").disabled = !own;
  }

  async function train() {
    session.showErrors([]);
    find(".train button").disabled = true;
    const answer = await session.request("train", { way: form.elements.way.value, simulated: simulatedShare() });
    find(".train button").disabled = false;
    if (!answer) return;
    events.trained();
    scrollTo(0, 0);
  }

  const report = latestOnly(async () => {
    clearTimeout(timer);
    const ballot = session.ballot();
    if (ballot?.rater().token && element.offsetParent) {
      const answer = await ballot.send("report", {}).catch(() => null);
      if (ballot === session.ballot() && answer) drawReport(answer);
    }
    if (element.isConnected) timer = setTimeout(report, REPORT_MS);
  });

  function drawReport({ runs = [], gold_agreement, against = [] }) {
    const host = find(".report");
    const content = JSON.stringify([runs, gold_agreement, against]);
    host.hidden = !runs.length && !against.length;
    if (host.dataset.content === content) return;
    host.dataset.content = content;
    host.replaceChildren();
    make("h2", "", host, words.report);
    for (const run of runs) drawRun(host, run);
    if (gold_agreement !== null) {
      make("p", "", host, fill(words.gold_agreement, { share: percent(gold_agreement) }));
    }
    if (against.length) make("h3", "", host, words.against);
    for (const pair of against) {
      const box = make("div", "against", host);
      make("p", "prompt", box, pair.prompt);
      drawVotes(make("div", "texts", box), pair);
      const better = pair.gold_margin > 0 ? words.first : words.second;
      make("small", "", box, fill(words.gold_says, { better, margin: number(Math.abs(pair.gold_margin), 1) }));
    }
  }

  function drawRun(host, run) {
    const box = make("div", "run", host);
    const name = make("p", "name", box);
    make("strong", "", name, method_names[run.method]);
    const learnt = run.votes === null ? words.on_reward_model : fill(words.learnt, run);
    make("span", "", name, `${props.statuses[run.status]} · ${learnt}`);
    if (run.held_out?.votes) {
      const { votes, accuracy, gold_accuracy } = run.held_out;
      const accuracies = { n: votes, own: percent(accuracy), gold: percent(gold_accuracy) };
      make("p", "foretells", box, fill(words.held_out, accuracies));
    }
    if (run.texts.length) drawBeforeAndAfter(make("div", "texts", box), run.texts);
    if (run.verdict) make("p", "verdict", box, verdictText(run));
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

  function verdictText({ verdict: { key, values }, texts, mixed }) {
    const { gain, kl, agreement, accuracy, low, high } = values;
    const written = { ...values, shown: texts.length, size: number(Math.abs(gain ?? 0), 1) };
    Object.assign(written, { change: signed(gain ?? 0, 1), kl: number(kl ?? 0) });
    for (const [name, share] of Object.entries({ agreement, accuracy, low, high })) {
      if (share !== undefined && share !== null) written[name] = percent(share);
    }
    const sentence = fill(words.verdicts[key], written);
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
  drawMix();
  return { setCounts, report };
}

// Both texts of a pair, and how many chose each.
export function drawVotes(host, pair) {
  host.replaceChildren();
  for (const side of ["first", "second"]) {
    const box = make("p", "", host);
    make("strong", "", box, String(pair[`for_${side}`]));
    make("span", "", box, pair[side].trim());
  }
}
