// The same prompts answered by the reference, the policy and the optimum, side by side.
import { changeDetector } from "../core/changes.js";
import { make, within } from "../core/dom.js";
import { fill, number, signed } from "../core/format.js";
import { makesPolicy } from "../core/records.js";
import { samplesAt } from "../core/run_log.js";
import { shadedText } from "../core/shaded_text.js";
import { get, subscribe } from "../core/store.js";
import { pairKey, pairOnStage, runOnStage } from "../core/view.js";

const FIRST = 6;
const SIDES = ["reference", "policy", "optimum"];

export function mount({ element, props }) {
  const { words } = props;
  const { find, put } = within(element);
  const { addRewards, writeTokens } = shadedText(props.shading);
  const list = find(".rows");
  const more = find(".more");
  const isChanged = changeDetector();
  let rows = [];
  let all = false;

  function buildRows(count) {
    list.replaceChildren();
    rows = Array.from({ length: count }, () => {
      const row = make("li", "row", list);
      return { row, ...Object.fromEntries(SIDES.map((side) => [side, buildSide(side, row)])) };
    });
  }

  function buildSide(side, row) {
    const box = make("div", `side ${side}`, row);
    make("span", "who", box, words[side]);
    const text = make("p", "", box);
    const prompt = make("span", "prompt", text);
    const completion = make("span", "completion", text);
    return { box, prompt, completion, chips: make("div", "chips", box) };
  }

  function fillSide({ box, prompt, completion, chips }, promptText, answer, beta) {
    box.dataset.silent = !answer;
    prompt.textContent = promptText;
    const { text, tokens, kl, log_ratio, ...rewards } = answer ?? { text: words.silent };
    if (completion.textContent !== text) {
      const changed = completion.textContent !== "";
      completion.textContent = text;
      if (changed) box.animate({ backgroundColor: ["var(--flash)", "transparent"] }, 900);
    }
    if (tokens) writeTokens(completion, tokens);
    chips.replaceChildren();
    addRewards(chips, rewards);
    if (kl !== undefined) addDivergence("kl", chips, number(kl, 1));
    if (log_ratio !== undefined) addRatio(chips, rewards.gold_reward, log_ratio, beta);
  }

  // Adds log(π*/π_ref) = r/β − log Z with the numbers of this text, and, for a text of positive
  // reward that becomes less likely, the reason.
  function addRatio(host, reward, ratio, beta) {
    const bar = reward - beta * ratio;
    const [log_z, log_ratio] = [number(bar / beta), signed(ratio)];
    const values = { beta, reward: number(reward), bar: number(bar), log_z, log_ratio };
    const chip = addDivergence("log_ratio", host, signed(ratio, 1));
    chip.dataset.tip += ` ${fill(words.log_ratio_here, values)}`;
    if (reward > 0 && ratio < 0) make("span", "below", host, fill(words.below_bar, values));
  }

  // Adds a text's divergence from the reference, in nats: the policy's KL or the optimum's log-ratio.
  function addDivergence(kind, host, value) {
    const chip = make("span", `chip ${kind}`, host);
    chip.dataset.tip = words[`${kind}_help`];
    make("span", "name", chip, words[kind]);
    make("strong", "", chip, value);
    return chip;
  }

  function draw(state) {
    const run = runOnStage(state);
    const samples = samplesAt(run, state.viewedStep);
    const stored = state.frontiers[pairKey(pairOnStage(state))]?.texts;
    if (!isChanged(run?.name, samples, stored, state.target, all)) return;
    const silent = run !== null && !makesPolicy(run.config.method);
    const answers = silent ? [] : answersOf(samples, stored, state.target);
    find(".samples").dataset.empty = answers.length === 0;
    find(".heads").hidden = silent;
    put(".none", silent ? words.none_reward : "");
    if (rows.length !== answers.length) buildRows(answers.length);
    answers.forEach((answer, i) => {
      rows[i].row.hidden = !all && i >= FIRST;
      if (rows[i].row.hidden) return;
      for (const side of SIDES) fillSide(rows[i][side], answer.prompt, answer[side], state.target?.beta);
    });
    put(".step", samples ? fill(words.at_step, samples) : "");
    put(".beta", state.target ? fill(words.at_beta, state.target) : "");
    more.hidden = answers.length <= FIRST;
    put(".more", all ? words.fewer : fill(words.all, { n: answers.length }));
  }

  for (const side of SIDES) {
    const head = find(`.heads .${side}`);
    head.textContent = words[side];
    head.closest("h2").dataset.tip = words[`${side}_help`];
  }
  put(".scale .rewards", words.scale);
  put(".scale .tokens", words.shades);
  more.onclick = () => {
    all = !all;
    draw(get());
  };
  subscribe(element, ["run", "task", "viewedStep", "target", "frontiers"], draw);
  draw(get());
}

// A row for each prompt. Before any run the reference's texts are from its `stored` samples; the
// optimum's always are.
function answersOf(samples, stored, target) {
  const optima = new Map(target?.texts?.map((text) => [text.prompt, text]));
  if (samples) return samples.rows.map((row) => ({ ...row, optimum: optima.get(row.prompt) }));
  return (stored ?? [])
    .toSorted((a, b) => a.gold_reward - b.gold_reward)
    .slice(0, 2 * FIRST)
    .map((text) => ({ prompt: text.prompt, reference: text, optimum: optima.get(text.prompt) }));
}
