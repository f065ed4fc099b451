// One prompt beside the picture, with the texts of reference, policy and optimum. The policy's text
// changes during the run.
import { changeDetector } from "../core/changes.js";
import { within } from "../core/dom.js";
import { fill } from "../core/format.js";
import { makesPolicy } from "../core/records.js";
import { get, subscribe } from "../core/store.js";
import { runOnStage, samplesOnStage } from "../core/view.js";
import { SIDES, answersOn, sidesWith } from "./sides.js";

export function mount({ element, props }) {
  const { words } = props;
  const { find, put } = within(element);
  const { buildSide, fillSide } = sidesWith(words, props.shading);
  const sides = Object.fromEntries(SIDES.map((side) => [side, buildSide(side, find(".row"))]));
  const isChanged = changeDetector();
  let chosen = 0; // the index of the prompt among the answers

  function draw(state) {
    const run = runOnStage(state);
    const samples = samplesOnStage(state);
    if (!isChanged(run?.name, samples, state.frontiers, state.target, chosen)) return;
    const silent = run !== null && !makesPolicy(run.config.method);
    const answers = silent ? [] : answersOn(state);
    const place = Math.min(chosen, answers.length - 1);
    const answer = answers[place];
    element.dataset.empty = !answer;
    put(".none", silent ? words.none_reward : "");
    put(".prompt", answer?.prompt ?? "");
    if (!answer) return;
    put(".place output", fill(words.place, { place: place + 1, n: answers.length }));
    sides.policy.who.textContent = samples ? fill(state.mixture ? words.policy_mixed : words.policy_at, samples) : words.sides.policy;
    for (const side of SIDES) {
      const has = side !== "optimum" || answer.optimum;
      sides[side].box.hidden = !has;
      if (has) fillSide(sides[side], "…", answer[side], state.target?.beta);
    }
    const go = (by) => () => {
      chosen = (place + by + answers.length) % answers.length;
      draw(get());
    };
    [find(".previous").onclick, find(".next").onclick] = [go(-1), go(1)];
  }

  put("h2", words.example);
  for (const way of ["previous", "next"]) find(`.${way}`).ariaLabel = words[way];
  for (const side of SIDES) {
    const { who } = sides[side];
    who.textContent = words.sides[side];
    who.dataset.tip = words[`${side}_help`];
  }
  subscribe(element, ["run", "task", "viewedStep", "target", "frontiers", "mixture"], draw);
  draw(get());
}
