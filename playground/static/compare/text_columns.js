// The texts of the compared runs: the same prompts, a column for each run.
import { make, within } from "../core/dom.js";
import { fill } from "../core/format.js";
import { shadedText } from "../core/shaded_text.js";
import { label } from "./labels.js";

// Returns a function that draws the columns of the shown runs. `mixedRows` has the rows of a run's
// mixture with its reference; undefined if the run is shown as trained.
export function textColumns({ element, props }, mixedRows) {
  const { words } = props;
  const { find, put } = within(element);
  const { writeText } = shadedText(props.shading);
  let drawn = []; // {name, rows} of each column

  // Drawn again only if they changed, so that a token's tooltip stays open.
  function draw(runs) {
    const writers = runs.filter(({ run }) => run.samples.length);
    const newest = writers.map((shown) => {
      const { step, rows } = shown.run.samples.at(-1);
      return { step, rows: mixedRows(shown) ?? rows };
    });
    const columns = writers.map(({ letter, run }, i) => ({ name: `${letter} ${run.name}`, rows: newest[i].rows }));
    const same = drawn.length === columns.length
      && columns.every(({ name, rows }, i) => drawn[i].name === name && drawn[i].rows === rows);
    if (same) return;
    drawn = columns;
    const host = find(".texts");
    host.replaceChildren();
    host.hidden = find(".scale").hidden = !writers.length;
    host.style.setProperty("--columns", writers.length);
    make("h2", "", host, words.texts);
    make("p", "aside", host, words.texts_note);
    const heads = make("div", "row heads", host);
    writers.forEach((writer, i) => {
      const head = make("div", "one", heads);
      label(writer, make("h2", "", head), writer.name);
      make("small", "", head, fill(words.at_step, newest[i]));
    });
    const rows = newest.map((samples) => new Map(samples.rows.map((row) => [row.prompt, row])));
    for (const prompt of new Set(rows.flatMap((ofRun) => [...ofRun.keys()]))) {
      const row = make("div", "row", host);
      writers.forEach((writer, i) => drawText(writer, rows[i].get(prompt), make("div", "one", row)));
    }
  }

  function drawText(writer, row, host) {
    label(writer, make("small", "who", host), writer.name);
    if (row) writeText(host, row.prompt, row.policy);
  }

  put(".scale span", words.scale);
  return draw;
}
