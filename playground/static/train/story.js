// What else a run's curves say, below the pictures: there, it moves none of them.
import { make, within } from "../core/dom.js";
import { subscribe } from "../core/store.js";
import { runOnStage, sentencesOn } from "../core/view.js";

export function mount({ element }) {
  const list = within(element).find(".story");
  subscribe(element, ["run", "task", "viewedStep"], (state) => {
    const { others } = sentencesOn(runOnStage(state), state.viewedStep);
    if (list.textContent === others.join("")) return;
    list.replaceChildren();
    for (const sentence of others) make("li", "", list, sentence);
  });
}
