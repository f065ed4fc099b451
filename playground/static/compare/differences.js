// The table of the settings in which runs differ, and of their last numbers.
import { make, within } from "../core/dom.js";
import { fill } from "../core/format.js";
import { label, metricText } from "./labels.js";

export function differences({ element, props }) {
  const { words, method_names, choices } = props;
  const { find, put } = within(element);

  function draw(runs, settings, numbers) {
    const table = find(".apart table");
    table.replaceChildren();
    const head = make("tr", "", make("thead", "", table));
    make("td", "", head);
    for (const shown of runs) label(shown, make("th", "", head), "").title = shown.name;
    const rows = group(table, words.settings_differ, runs.length);
    for (const { setting, values } of settings) {
      const row = make("tr", "", rows);
      make("th", "", row, words.settings[setting]);
      for (const history of values) make("td", "", row, historyText(setting, history));
    }
    if (!settings.length) wideCell(make("tr", "", rows), words.settings_same, runs.length);
    drawNumbers(group(table, words.numbers_last, runs.length), numbers, runs.length);
    const references = new Set(runs.map(({ run }) => run.config.model));
    put(".apart .aside", references.size > 1 ? `${words.note} ${words.references}` : words.note);
  }

  function drawNumbers(rows, numbers, columns) {
    for (const { number, values, best } of numbers) {
      const row = make("tr", "", rows);
      const name = make("span", "", make("th", "", row), words.numbers[number].name);
      name.dataset.tip = words.numbers[number].help;
      name.tabIndex = 0;
      values.forEach((value, i) => {
        const isBest = best.includes(i);
        const cell = make("td", isBest ? "best" : "", row, metricText(number, value, words.shares));
        if (isBest) make("span", "mark", cell, words.best);
      });
    }
    if (!numbers.length) wideCell(make("tr", "", rows), words.numbers_none, columns);
  }

  // Every value that a setting had, [[step, value], …], with the step of each change.
  function historyText(setting, history) {
    const texts = history.map(([step, value]) => {
      const text = settingText(setting, value);
      return step === 0 ? text : fill(words.turned, { value: text, step });
    });
    return texts.join(" ");
  }

  function settingText(setting, value) {
    if (value === null) return "–";
    if (typeof value === "boolean") return value ? words.yes : words.no;
    if (setting === "method") return method_names[value];
    if (setting === "coverage" && value === "all") return words.all_groups;
    if (value in (choices[setting] ?? {})) return choices[setting][value];
    return String(value).startsWith("/") ? value.split("/").at(-1) : String(value); // a path, shown as the name of its file
  }

  return draw;
}

function group(table, title, columns) {
  const body = make("tbody", "", table);
  wideCell(make("tr", "group", body), title, columns).scope = "rowgroup";
  return body;
}

function wideCell(row, text, columns) {
  const cell = make("th", "", row, text);
  cell.colSpan = columns + 1;
  return cell;
}
