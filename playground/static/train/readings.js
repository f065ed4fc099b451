// The sentences on a run below the picture: a headline, then the others.
import { make, within } from "../core/dom.js";
import { get, subscribe } from "../core/store.js";
import { phaseOnStage, runOnStage, sentencesOn } from "../core/view.js";
import { readingAt } from "./reading.js";

export function mount({ element, props }) {
  const { words } = props;
  const { find } = within(element);
  const [summary, list] = [find(".summary"), find(".readings")];

  function draw(state) {
    const { viewedStep, frontiers } = state;
    const run = runOnStage(state);
    const { first, others } = sentencesOn(run, viewedStep);
    const reading = () => (run ? readingAt(run, viewedStep, frontiers, words) : "");
    showSummary(words[phaseOnStage(state)] ?? first ?? reading());
    if (list.textContent === others.join("")) return;
    list.replaceChildren();
    for (const sentence of others) make("li", "", list, sentence);
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

  subscribe(element, ["phase", "run", "task", "viewedStep", "frontiers"], draw);
  new ResizeObserver(fit).observe(summary);
  draw(get());
}
