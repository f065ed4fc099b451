// One prompt beside the picture, with the texts of reference, policy and optimum. The policy's text
// changes during the run.
import { changeDetector } from "../core/changes.js";
import { within } from "../core/dom.js";
import { fill } from "../core/format.js";
import { makesPolicy } from "../core/records.js";
import { linkedTo } from "../core/place.js";
import { get, set, subscribe } from "../core/store.js";
import { runOnStage, samplesOnStage } from "../core/view.js";
import { SIDES, answersOn, helpOf, nameSide, raceNames, rivalSamples, sidesOn, sidesWith } from "./sides.js";

export function mount({ element, props }) {
  const { words } = props;
  const { find, put } = within(element);
  const { buildSide, fillSide } = sidesWith(words, props.shading);
  const sides = Object.fromEntries(SIDES.map((side) => [side, buildSide(side, find(".row"))]));
  const isChanged = changeDetector();

  function draw(state) {
    const chosen = state.prompt - 1; // its index among the answers
    const run = runOnStage(state);
    const samples = samplesOnStage(state);
    const rival = rivalSamples(state);
    const shown = sidesOn(state);
    if (!isChanged(run?.name, samples, rival, shown.length, state.frontiers, state.target, state.rivalTarget, chosen)) return;
    const silent = run !== null && !makesPolicy(run.config.method);
    const answers = silent ? [] : answersOn(state);
    const place = Math.min(chosen, answers.length - 1);
    const answer = answers[place];
    element.dataset.empty = !answer;
    put(".none", silent ? words.none_reward : "");
    put(".prompt", answer?.prompt ?? "");
    if (!answer) return;
    put(".place output", fill(words.place, { place: place + 1, n: answers.length }));
    const trained = samples ? fill(state.mixture ? words.policy_mixed : words.policy_at, samples) : words.sides.policy;
    const race = raceNames(state, words, props.races);
    const names = race ?? { ...words.sides, policy: trained };
    put("h2", race ? words.example_race : words.example);
    for (const side of SIDES) {
      const has = shown.includes(side) && (!side.endsWith("optimum") || answer[side]);
      sides[side].box.hidden = !has;
      if (!has) continue;
      nameSide(sides[side].who, side, names);
      fillSide(sides[side], "…", answer[side], (side === "rival_optimum" ? state.rivalTarget : state.target)?.beta);
    }
    const go = (by) => () => set({ prompt: ((place + by + answers.length) % answers.length) + 1 });
    [find(".previous").onclick, find(".next").onclick] = [go(-1), go(1)];
  }

  for (const way of ["previous", "next"]) find(`.${way}`).ariaLabel = words[way];
  for (const side of SIDES) sides[side].who.dataset.tip = helpOf(side, words);
  set({ prompt: Math.max(1, Math.trunc(linkedTo("prompt")) || 1) });
  subscribe(element, ["run", "task", "prompt", "viewedStep", "target", "frontiers", "mixture", "race", "ghost", "rivalTarget"], draw);
  draw(get());
}
