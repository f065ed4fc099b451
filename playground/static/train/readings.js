// The sentences about a run below the frontier chart: a headline, then the others.
import { make, within } from "../core/dom.js";
import { isLive } from "../core/run_log.js";
import { get, subscribe } from "../core/store.js";
import { messageOf, pairKey, phaseOnStage, raceOnStage, runOnStage, sentencesOn } from "../core/view.js";
import { raceAt, raceText, runnerNames } from "./race.js";
import { openingText, readingAt, workLines } from "./reading.js";
import { theoremText } from "./theorem.js";

export function mount({ element, props }) {
  const { words } = props;
  const { find, put } = within(element);
  const [summary, list] = [find(".summary"), find(".readings")];

  function draw(state) {
    const { viewedStep, frontiers } = state;
    const run = runOnStage(state);
    const race = raceSentence(state);
    const { first, others } = race ? { first: race, others: [] } : sentencesOn(run, viewedStep);
    const live = isLive(run) && viewedStep === null;
    const reading = () => (run ? readingAt(run, viewedStep, frontiers, words) : "");
    const opening = live ? openingText(run, words) : null;
    const status = words[phaseOnStage(state)] ?? opening ?? messageOf(run);
    const card = viewedStep === null && !status && !race && props.presets.cards[state.preset];
    showSummary(status || (card ? presetText(card, run) : (first ?? reading())));
    if (card && first) others.unshift(first);
    showWork(live ? workLines(run, words) : []);
    put(".theorem", run?.distance && viewedStep === null && !race ? theoremText(run.distance, words.theorem) : "");
    if (list.textContent === others.join("")) return;
    list.replaceChildren();
    for (const sentence of others) make("li", "", list, sentence);
  }

  function raceSentence(state) {
    const runs = raceOnStage(state);
    const race = runs && raceAt(runs, state.viewedStep, state.frontiers[pairKey(runs[0].config)]);
    return race && raceText(race, runnerNames(runs, state.race.name, props.presets.races), props.race);
  }

  // Only a whole run shows the effect of its preset.
  const presetText = (card, run) => (run.status.name === "finished" ? card.shows : card.watch);

  function showWork([first = {}, second = {}]) {
    for (const [slot, line] of Object.entries({ first, second })) {
      put(`.${slot} .label`, line.label ?? "");
      put(`.${slot} .prompt`, line.prompt ?? "");
      put(`.${slot} .completion`, line.text ?? "");
      find(`.${slot} .label`).dataset.tip = line.tip ?? "";
    }
  }

  // The headline has a fixed height, so that no sentence moves the charts below; a long sentence is
  // smaller (stage.css).
  function showSummary(sentence) {
    if (sentence === summary.textContent) return;
    summary.textContent = sentence;
    fit();
  }

  function fit() {
    summary.classList.remove("long");
    summary.classList.toggle("long", summary.scrollHeight > summary.clientHeight);
  }

  find(".theorem").dataset.tip = words.theorem.help;
  subscribe(element, ["phase", "run", "task", "viewedStep", "frontiers", "preset", "race", "ghost"], draw);
  new ResizeObserver(fit).observe(summary);
  document.fonts.ready.then(fit);
  draw(get());
}
