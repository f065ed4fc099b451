// Compare: the choice of runs, and their differences.
import { make, within } from "../core/dom.js";
import { fill } from "../core/format.js";
import { latestOnly } from "../core/latest_only.js";
import { fold, isMoving, startRun } from "../core/run_log.js";
import { runPicker } from "../core/run_picker.js";
import { pairKey } from "../core/view.js";
import { whenRecoloured } from "../charts/plots.js";
import { differences } from "./differences.js";
import { headToHead } from "./head_to_head.js";
import { LOOKS, label } from "./labels.js";
import { mixing } from "./mixing.js";
import { overlay } from "./overlay.js";
import { textColumns } from "./text_columns.js";

const MOST = 4;
const POLL_MS = 2000;

export function mount({ element, props, server }) {
  const { words } = props;
  const { find, put } = within(element);
  const picker = runPicker({ element, props, server });
  const { form, chosenTask, checkedRuns, showErrors } = picker;
  const { drawTradeOff, drawCurves } = overlay({ element, props });
  const drawDifferences = differences({ element, props });
  const mixtures = mixing({ element, props, server }, () => frontiers[pair], drawMixed);
  const drawTexts = textColumns({ element, props }, mixtures.rowsOf);
  const offerHeadToHead = headToHead({ element, props, server }, picker, shownRuns);

  const frontiers = {}; // pair (view.js) -> its frontier, null if the server has none
  let pair = null; // the pair of the first run
  const logs = new Map(); // name -> the run (run_log.js), and whether it has a `model`
  const seats = LOOKS.map(() => null); // the name of the run that has each look
  let offered = new Map(); // name -> the run as the server lists it
  let offeredTask = null;
  let compared = { names: [], settings: [], numbers: [] }; // the server's latest answer
  let timer = null;
  let lost = false;

  // Lists the chosen runs, and the newest ones or those that match the search.
  async function offerRuns() {
    const [task, sought] = [chosenTask(), find(".sought").value];
    const listed = await picker.listRuns({ task, sought });
    if (!listed) return;
    const chosen = task === offeredTask ? checkedRuns().map((name) => offered.get(name)) : [];
    const names = new Set(listed.map(({ run }) => run));
    const runs = [...chosen.filter(({ run }) => !names.has(run)), ...listed];
    offered = new Map(runs.map((run) => [run.run, run]));
    offeredTask = task;
    picker.offerSeveral(runs, MOST, sought ? 0 : 2, details);
    if (sought && !runs.length) put(".models p", words.none_found);
    choose();
  }

  function details(run) {
    if (run.recorded || run.status === "finished") return picker.runDetails(run);
    const template = ["failed", "stopped"].includes(run.status) ? words.run_ended : words.run_live;
    return fill(template, { status: props.statuses[run.status], steps: run.steps, time: picker.runTime(run) });
  }

  // A run keeps its look as long as it is chosen.
  function choose() {
    const names = checkedRuns();
    seats.forEach((name, i) => names.includes(name) || (seats[i] = null));
    for (const name of names) if (!seats.includes(name)) seats[seats.indexOf(null)] = name;
    picker.limit(MOST);
    follow();
  }

  // Asks for the new events of the runs, repeatedly while the view is visible and a run is live.
  const follow = latestOnly(async (newerIsWaiting) => {
    clearTimeout(timer);
    if (!form.offsetParent || document.hidden) return;
    const task = chosenTask();
    const cursors = seats.filter(Boolean).map((run) => ({ run, offset: logs.get(run)?.offset ?? 0 }));
    try {
      const reply = await server.compare(cursors);
      const { model } = reply.runs[0]?.config ?? {};
      pair = pairKey({ task, model });
      frontiers[pair] ??= await server.frontier({ task, model });
      if (lost) showErrors([]);
      lost = false;
      update(reply, newerIsWaiting());
    } catch {
      lost = true;
      showErrors([words.lost]);
    }
    if (lost || compared.names.some((name) => isMoving(logs.get(name)))) {
      timer = setTimeout(follow, POLL_MS);
    }
  });

  function update({ runs, settings, numbers }, outdated) {
    for (const delta of runs) {
      const run = fold(logs.get(delta.run) ?? startRun(delta), delta);
      logs.set(delta.run, { ...run, model: delta.model });
      // A setting may have been changed since the run was listed.
      Object.assign(offered.get(delta.run) ?? {}, { beta: delta.beta, learning_rate: delta.learning_rate });
    }
    const names = runs.map(({ run }) => run);
    const same = names.join() === compared.names.join();
    compared = { names, settings, numbers };
    if (!outdated && !(same && runs.every(({ step }) => step === null))) draw();
  }

  // The chosen runs, each with its look and its name.
  function shownRuns() {
    return compared.names.filter((name) => seats.includes(name)).map((name) => {
      const look = LOOKS[seats.indexOf(name)];
      const offer = offered.get(name);
      return { ...look, run: logs.get(name), name: picker.runName(offer), offer };
    });
  }

  function draw() {
    const runs = shownRuns();
    if (runs.length < compared.names.length) return; // the answer is about an older choice
    const few = runs.length < 2;
    find(".few").hidden = !few;
    find(".found").hidden = few;
    put(".few", offered.size < 2 ? words.none : words.few);
    find(".legend").replaceChildren();
    for (const shown of runs) drawName(shown, find(".legend"));
    if (few || typeof Plotly === "undefined") return;
    const frontier = frontiers[pair];
    find(".trade").hidden = !frontier;
    if (frontier) drawTradeOff(withMixtures(runs), frontier);
    drawCurves(runs);
    mixtures.offer(runs);
    drawDifferences(runs, compared.settings, compared.numbers);
    drawTexts(runs);
    offerHeadToHead(runs);
  }

  const withMixtures = (runs) => runs.map((shown) => ({ ...shown, mixed: mixtures.pointOf(shown) }));

  function drawMixed() {
    const [runs, frontier] = [shownRuns(), frontiers[pair]];
    if (frontier) drawTradeOff(withMixtures(runs), frontier);
    drawTexts(runs);
  }

  function drawName(shown, host) {
    const { run, offer } = shown;
    const item = make("li", "", host);
    label(shown, item, shown.name);
    const values = { status: props.statuses[run.status.name], step: run.step, steps: run.config.steps };
    make("small", "", item, offer.recorded
      ? fill(words.legend_recorded, { ...values, ...offer })
      : fill(words.legend, { ...values, time: picker.runTime(offer) }));
  }

  const search = find(".sought");
  search.placeholder = words.sought;
  search.setAttribute("aria-label", words.sought);
  search.oninput = offerRuns;
  search.onkeydown = (event) => {
    if (event.key === "Enter") event.preventDefault(); // Enter would start a head-to-head
  };
  form.onchange = ({ target }) => {
    if (target.name === "task") offerRuns();
    if (target.name === "models") choose();
  };
  document.addEventListener("visibilitychange", () => document.hidden || follow());
  whenRecoloured(() => form.offsetParent && draw());
  picker.whenOpened(offerRuns, offerRuns);
}
