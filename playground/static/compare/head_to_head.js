// Win rates of runs against each other, measured on request.
import { make, within } from "../core/dom.js";
import { fill, number, percent } from "../core/format.js";
import { makesPolicy } from "../core/records.js";
import { shade } from "../core/shaded_text.js";
import { label, letters } from "./labels.js";

const SAMPLES = 8; // of each model for each prompt

const canWrite = ({ run }) => run.model && makesPolicy(run.config.method);
const names = (runs) => runs.map(({ run }) => run.name).join();

// `shownRuns()` are the runs that are compared now.
export function headToHead({ element, props, server }, { form, chosenTask, showErrors }, shownRuns) {
  const { words } = props;
  const { find, put } = within(element);
  let drawn = ""; // the runs whose win rates are shown
  let seed = 0;

  function offer(runs) {
    const writers = runs.filter(canWrite);
    find(".head-to-head button").disabled = writers.length < 2;
    const others = letters(runs.filter((shown) => !canWrite(shown)));
    put(".head-to-head .rules", [
      writers.length < 2 ? words.head_to_head_few : fill(words.head_to_head_help, { n: SAMPLES }),
      others && fill(words.head_to_head_without, { runs: others }),
    ].filter(Boolean).join(" "));
    if (names(writers) !== drawn) clear("");
  }

  async function play() {
    const players = shownRuns().filter(canWrite);
    if (form.dataset.busy === "true" || players.length < 2) return;
    setBusy(true);
    clear(words.head_to_head_first);
    const models = players.map(({ run }) => run.name);
    const question = { task: chosenTask(), models, n: SAMPLES, seed: seed++ };
    const reply = await server.head_to_head(question).catch(() => ({ errors: [words.lost] }));
    setBusy(false);
    put(".head-to-head .counted", "");
    showErrors(reply.errors);
    const current = names(shownRuns().filter(canWrite)) === names(players);
    if (!reply.errors.length && current) draw(players, reply.answers);
  }

  function setBusy(busy) {
    form.dataset.busy = busy;
    put(".head-to-head button", busy ? words.head_to_head_running : words.head_to_head);
  }

  function clear(note) {
    find(".head-to-head table").replaceChildren();
    put(".head-to-head .counted", note);
  }

  function draw(players, { prompts, win_rates, ci95 }) {
    drawn = names(players);
    clear(fill(words.head_to_head_counted, { texts: prompts * SAMPLES, prompts }));
    const table = find(".head-to-head table");
    const head = make("tr", "", make("thead", "", table));
    make("th", "", head, words.against);
    for (const player of players) label(player, make("th", "", head), "");
    const body = make("tbody", "", table);
    players.forEach((player, i) => {
      const row = make("tr", "", body);
      label(player, make("th", "", row), "");
      players.forEach((_, j) => {
        const cell = make("td", "rate", row, i === j ? "–" : "");
        if (i !== j) drawRate(cell, win_rates[i][j], ci95[i][j]);
      });
    });
  }

  function drawRate(cell, rate, halfWidth) {
    make("strong", "", cell, percent(rate));
    make("small", "", cell, `± ${number(100 * halfWidth, 0)}`);
    if (Math.abs(rate - 0.5) <= halfWidth) return make("small", "", cell, words.even);
    cell.classList.add("sure");
    shade(cell, rate - 0.5, 0.5, 12);
  }

  put(".head-to-head h2", words.head_to_head_title);
  put(".head-to-head button", words.head_to_head);
  form.onsubmit = (event) => {
    event.preventDefault();
    play();
  };
  return offer;
}
