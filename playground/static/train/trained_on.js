// A line on the votes that the shown run was trained on, and a note that Run would not use them. Such
// a run is started in Rate, and may wait in the queue; when it starts, the controls take its
// settings.
import { changeDetector } from "../core/changes.js";
import { within } from "../core/dom.js";
import { fill } from "../core/format.js";
import { get, subscribe } from "../core/store.js";
import { runOnStage } from "../core/view.js";

export function mount({ element, props, events }) {
  const { words } = props;
  const { put } = within(element);
  const isAnotherRun = changeDetector();

  function draw(state) {
    const votes = runOnStage(state)?.trainedOn ?? null;
    element.closest("#trained_on").hidden = !votes;
    if (!votes) return;
    const origin = { ...votes, origin: words.origins[votes.origin] };
    put(".learnt", [
      fill(votes.through ? words.through : words.learnt, origin),
      votes.cast && fill(words.cast, votes),
      votes.simulated && fill(words.simulated, votes),
    ].filter(Boolean).join(" "));
    put(".again", [
      votes.through ? words.again_through : words.again,
      votes.elsewhere && words.elsewhere,
      words.rate,
    ].filter(Boolean).join(" "));
  }

  let opened = get().standing !== null; // on a page just opened, the controls are set already
  isAnotherRun(get().run?.name);
  subscribe(element, ["run", "task"], draw);
  subscribe(element, ["standing"], ({ run, standing }) => {
    if (isAnotherRun(run?.name) && run?.trainedOn && opened && standing.shared !== null) {
      props.value = run.name;
      events.select();
    }
    opened = true;
  });
  draw(get());
}
