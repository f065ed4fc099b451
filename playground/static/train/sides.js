// The texts of reference, policy and optimum, and in a race also of the second runner: their data, and the
// box of each text.
import { make } from "../core/dom.js";
import { beforeText, fill, number, signed } from "../core/format.js";
import { methods } from "../core/records.js";
import { samplesAt } from "../core/run_log.js";
import { shadedText } from "../core/shaded_text.js";
import { pairKey, pairOnStage, raceOnStage, rivalAim, rivalTargetOnStage, runOnStage, samplesOnStage } from "../core/view.js";
import { LOOKS } from "../compare/labels.js";
import { raceAt, runnerNames } from "./race.js";

// Each side with the name of its explanation.
const HELP = { reference: "reference", policy: "policy", rival: "policy", optimum: "optimum", rival_optimum: "optimum" };
export const SIDES = Object.keys(HELP);
export const helpOf = (side, words) => words[`${HELP[side]}_help`];
const STORED = 12; // prompts of the stored samples that are shown before any run

// The sides that are shown. In a race they are both runners, and two optima if the runners seek different
// ones. The reference is left out, because both start from it.
export function sidesOn(state) {
  if (!raceOnStage(state)) return ["reference", "policy", "optimum"];
  return SIDES.filter((side) => side !== "reference" && (side !== "rival_optimum" || rivalAim(state)));
}

// What the sides of a race are called, {policy, rival, optimum, rival_optimum}, and the `colours` of both
// trails; null if there is no race.
export function raceNames(state, words, races) {
  const runs = raceOnStage(state);
  if (!runs) return null;
  const [policy, rival] = runnerNames(runs, state.race.name, races).map((name) => name.replace("<br>", ", "));
  const targets = [state.target, rivalTargetOnStage(state)];
  const [optimum, rival_optimum] = targets.map((target) => (target ? fill(words.optimum_at, target) : ""));
  const colours = { policy: `var(${LOOKS[0].colour})`, rival: `var(${LOOKS[1].colour})` };
  return { policy, rival, optimum, rival_optimum, colours };
}

// The answers {reference, policy, optimum} to each prompt, with the prompt, in ascending order of the
// reference's reward; in a race also {rival, rival_optimum}. Before any run the reference's texts are from
// its stored samples; the optimum's always are.
export function answersOn(state) {
  const run = runOnStage(state);
  const samples = samplesOnStage(state);
  const target = run === null || methods[run.config.method].beta ? state.target : null;
  const optima = byPrompt(target?.texts);
  if (samples) {
    const [rivals, others] = [byPrompt(rivalSamples(state)?.rows), byPrompt(rivalTargetOnStage(state)?.texts)];
    return samples.rows.map((row) => ({
      ...row,
      optimum: optima.get(row.prompt),
      rival: rivals.get(row.prompt)?.policy,
      rival_optimum: others.get(row.prompt),
    }));
  }
  const stored = state.frontiers[pairKey(pairOnStage(state))]?.texts ?? [];
  return stored
    .toSorted((a, b) => a.gold_reward - b.gold_reward)
    .slice(0, STORED)
    .map((text) => ({ prompt: text.prompt, reference: text, optimum: optima.get(text.prompt) }));
}

const byPrompt = (rows = []) => new Map(rows.map((row) => [row.prompt, row]));

// The texts of the second runner of a race at the time to which the first one is shown; or undefined.
export function rivalSamples(state) {
  const runs = raceOnStage(state);
  const race = runs && raceAt(runs, state.viewedStep, state.frontiers[pairKey(runs[0].config)]);
  return race ? samplesAt(runs[1], race.runners[1].step) : undefined;
}

// Functions that build a side of a row and fill it with an answer, with the page's words.
export function sidesWith(words, shading) {
  const { addRewards, writeTokens } = shadedText(shading);

  function buildSide(side, row) {
    const box = make("div", `side ${side}`, row);
    const who = make("span", "who", box, words[side]);
    const text = make("p", "", box);
    const prompt = make("span", "prompt", text);
    const completion = make("span", "completion", text);
    return { box, who, prompt, completion, chips: make("div", "chips", box) };
  }

  function fillSide({ box, prompt, completion, chips }, promptText, answer, beta) {
    const { text, tokens, kl, log_ratio, ...rewards } = answer ?? { text: words.silent };
    prompt.textContent = answer ? beforeText(promptText, text) : promptText;
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

  return { buildSide, fillSide };
}

// Writes the name of a side into the element `who`; `names` as `raceNames`, or words without colours.
export function nameSide(who, side, names) {
  who.textContent = names[side] ?? "";
  who.style.color = names.colours?.[side] ?? "";
}
