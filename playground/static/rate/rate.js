// Rate: the visitor's own session about a task and a model, with its ballot, its room, and training
// on its votes.
import { whenShown, within } from "../core/dom.js";
import { download } from "../core/download.js";
import { fill } from "../core/format.js";
import { makesPolicy } from "../core/records.js";
import { runPicker } from "../core/run_picker.js";
import { listenForKeys, newBallot } from "./ballot.js";
import { votingRoom } from "./room.js";
import { voteTraining } from "./vote_training.js";

export function mount({ element, props, server, events }) {
  const { words } = props;
  const { find, put } = within(element);
  const picker = runPicker({ element, props, server });
  const { form, chosenTask, reference, showErrors } = picker;
  const session = { ballot: () => ballot, task: chosenTask, request, save, showErrors };
  const training = voteTraining({ element, props, events }, session);
  const room = votingRoom({ element, props }, session, training.setCounts);
  let ballot = null;
  let storageKey = null;

  async function offerModels() {
    const listed = await picker.listRuns();
    if (!listed) return;
    const runs = listed.filter((run) => makesPolicy(run.method) && !run.recorded);
    const base = reference() ? [[reference(), words.reference]] : [];
    picker.offerOne("models", [...base, ...runs.map(picker.runOption)]);
    begin();
  }

  // Starts or continues the session about the chosen task and model.
  function begin() {
    const about = { task: chosenTask(), model: form.elements.models?.value || reference() };
    const key = `playground-rate-${about.task}-${about.model}`;
    if (ballot && key === storageKey) return;
    storageKey = key;
    ballot?.leave();
    showErrors([]);
    const known = props.enough[about.task];
    for (const part of [".enough .count", ".enough .bar", ".enough .reason", ".mixed"]) find(part).hidden = !known;
    if (known) put(".enough .reason", fill(words.reason, known));
    find(".pair").hidden = true;
    if (!about.model) {
      ballot = null;
      return put(".message", words.no_runs);
    }
    put(".message", words.beginning);
    ballot = newBallot({ storageKey, about, show, lost });
    ballot.join().then(room.look);
  }

  // The server's answer for this session. Null if it refused, which is shown as an error, or if
  // another session was started meanwhile. A room without a session (401) is no error, because the
  // ballot joins again.
  async function request(action, content = {}) {
    const asking = ballot;
    const answer = await asking?.send(action, content).catch(() => null);
    if (asking !== ballot || (action === "room" && answer?.status === 401)) return null;
    if (answer?.status === 200) return answer;
    lost(answer?.why ?? "lost", answer?.line);
    return null;
  }

  async function save() {
    const { session: name } = ballot.rater();
    const refused = await download("vote/export", `${name}.jsonl`, ballot.request({}));
    if (refused) lost(refused);
    else showErrors([]);
  }

  const choices = element.querySelectorAll("[data-choice]");

  function show({ open, undo, pair }) {
    showErrors([]);
    find(".pair").hidden = !pair;
    put(".message", pair ? "" : open ? words.all_rated : words.closed_here);
    find(".undo").disabled = !undo;
    for (const button of choices) button.classList.remove("chosen");
    if (!pair) return;
    put(".ballot .prompt", pair.prompt);
    for (const side of ["left", "right"]) put(`[data-choice=${side}] span`, pair[side].trim());
  }

  function lost(why, line = "") {
    showErrors([words.refused[why] ?? line]);
    for (const button of choices) button.classList.remove("chosen");
  }

  function open() {
    // The arrow keys vote only if the clicked tab loses the focus.
    const focused = document.activeElement;
    if (focused?.matches("[role=tab]:not(:focus-visible)")) focused.blur();
    offerModels();
    training.report();
  }

  put(".ballot .asked", words.asked);
  put(".keys", words.keys);
  put(".undo", words.undo);
  put(".skip", words.skip);
  for (const name of ["tie", "bad"]) put(`[data-choice=${name}]`, words[name]);
  for (const name of ["left", "right"]) put(`[data-choice=${name}] small`, words[name]);
  for (const button of choices) {
    button.onclick = () => ballot.cast(button.dataset.choice) && button.classList.add("chosen");
  }
  find(".skip").onclick = () => ballot.skip();
  find(".undo").onclick = () => ballot.undo();
  listenForKeys(() => ballot, () => ballot && element.offsetParent);
  form.onchange = ({ target }) => {
    // With the focus here, the arrow keys would select the next choice instead of voting.
    if (!target.matches(":focus-visible")) target.blur();
    if (target.name === "task") offerModels();
    if (target.name === "models") begin();
  };
  whenShown(form, open, () => {
    open();
    room.look();
  });
}
