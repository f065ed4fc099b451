// The prompts answered by the reference, the policy and the optimum, side by side.
import { changeDetector } from "../core/changes.js";
import { make, within } from "../core/dom.js";
import { fill } from "../core/format.js";
import { makesPolicy } from "../core/records.js";
import { get, subscribe } from "../core/store.js";
import { pairKey, pairOnStage, runOnStage, samplesOnStage } from "../core/view.js";
import { SIDES, answersOn, helpOf, nameSide, raceNames, rivalSamples, sidesOn, sidesWith } from "./sides.js";

const FIRST = 6;

export function mount({ element, props }) {
  const { words } = props;
  const { find, put } = within(element);
  const { buildSide, fillSide } = sidesWith(words, props.shading);
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

  function draw(state) {
    const run = runOnStage(state);
    const samples = samplesOnStage(state);
    const stored = state.frontiers[pairKey(pairOnStage(state))]?.texts;
    const rival = rivalSamples(state);
    const shown = sidesOn(state);
    if (!isChanged(run?.name, samples, rival, shown.length, stored, state.target, state.rivalTarget, all)) return;
    const silent = run !== null && !makesPolicy(run.config.method);
    const answers = silent ? [] : answersOn(state);
    Object.assign(find(".samples").dataset, { empty: answers.length === 0, sides: shown.length });
    find(".heads").hidden = silent;
    put(".none", silent ? words.none_reward : "");
    if (rows.length !== answers.length) buildRows(answers.length);
    const race = raceNames(state, words, props.races);
    for (const side of SIDES) {
      const head = find(`.heads .${side}`);
      head.closest("h2").hidden = !shown.includes(side);
      nameSide(head, side, race ?? words);
    }
    answers.forEach((answer, i) => {
      rows[i].row.hidden = !all && i >= FIRST;
      if (rows[i].row.hidden) return;
      for (const side of SIDES) {
        const { box, who } = rows[i][side];
        box.hidden = !shown.includes(side);
        if (box.hidden) continue;
        nameSide(who, side, race ?? words);
        fillSide(rows[i][side], answer.prompt, answer[side], (side === "rival_optimum" ? state.rivalTarget : state.target)?.beta);
      }
    });
    put(".step", samples && !race ? fill(state.mixture ? words.at_share : words.at_step, samples) : "");
    put(".beta", state.target && !race ? fill(words.at_beta, state.target) : "");
    more.hidden = answers.length <= FIRST;
    put(".more", all ? words.fewer : fill(words.all, { n: answers.length }));
  }

  for (const side of SIDES) {
    find(`.heads .${side}`).closest("h2").dataset.tip = helpOf(side, words);
  }
  put(".scale .rewards", words.scale);
  put(".scale .tokens", words.shades);
  more.onclick = () => {
    all = !all;
    draw(get());
  };
  subscribe(element, ["run", "task", "viewedStep", "target", "frontiers", "mixture", "race", "ghost", "rivalTarget"], draw);
  draw(get());
}
