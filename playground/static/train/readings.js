// The sentences on a run's curves after the first, below the charts, so that they never move a chart.
import { make, within } from "../core/dom.js";
import { subscribe } from "../core/store.js";
import { runOnStage, sentencesOn } from "../core/view.js";

export function mount({ element }) {
  const list = within(element).find(".readings");
  subscribe(element, ["run", "task", "viewedStep"], (state) => {
    const { others } = sentencesOn(runOnStage(state), state.viewedStep);
    if (list.textContent === others.join("")) return;
    list.replaceChildren();
    for (const sentence of others) make("li", "", list, sentence);
  });
}
