// Matrices as maps of cells, whose lightness shows the values, on a light and on a dark page. A cell
// under the pointer or the focus is marked in all maps, and each map shows its value there.
import { make } from "../core/dom.js";
import { fill, number as format } from "../core/format.js";

// Lays out maps of `size` × `size` cells. `names` are their keys; the cells of the map called
// `pressed` are buttons, which call `press(row, column)`.
export function heatMaps(host, names, size, words, pressed, press) {
  const maps = Object.fromEntries(names.map((name) => [name, heatMap(host, name, size, words, name === pressed)]));
  const all = Object.values(maps);
  let here = null;

  function mark(cell) {
    if (here) for (const { cells } of all) cells[here[0]][here[1]].classList.remove("here");
    here = cell;
    if (here) for (const { cells } of all) cells[here[0]][here[1]].classList.add("here");
    for (const { number, values, kind } of all) {
      number.textContent = here && values ? valueOf(kind, values[here[0]][here[1]], words) : "";
    }
  }
  const cellOf = (target) => (target.dataset.cell ? target.dataset.cell.split(" ").map(Number) : null);
  host.onpointerover = host.onfocusin = ({ target }) => cellOf(target) && mark(cellOf(target));
  host.onpointerleave = () => mark(null);
  walk(maps[pressed], size);
  maps[pressed].grid.onclick = ({ target }) => cellOf(target) && press(...cellOf(target));

  return {
    draw(drawn, covered) {
      for (const [name, values] of Object.entries(drawn)) drawMap(maps[name], values, covered, words);
      mark(here);
    },
    note: (name, text) => (maps[name].note.textContent = text),
  };
}

function heatMap(host, name, size, words, pressed) {
  const box = make("figure", `map ${name}`, host);
  const caption = make("figcaption", "", box);
  make("strong", "", caption, words.maps[name]);
  const number = make("output", "", caption);
  const grid = make("div", "cells", box);
  grid.style.setProperty("--size", size);
  const cells = Array.from({ length: size }, (_, row) =>
    Array.from({ length: size }, (_, column) => {
      const cell = make(pressed ? "button" : "i", "", grid);
      cell.dataset.cell = `${row} ${column}`;
      if (pressed) Object.assign(cell, { type: "button", tabIndex: row + column ? -1 : 0 });
      return cell;
    }),
  );
  const kind = pressed ? "covered" : name === "learned" ? "reward" : "share";
  return { name, kind, grid, cells, number, note: make("p", "note", box), values: null };
}

function drawMap(map, values, covered, words) {
  map.values = values;
  const { kind, cells } = map;
  const all = values.flat();
  const [low, high] = kind === "reward" ? [Math.min(...all), Math.max(...all)] : [0, 1];
  values.forEach((row, i) =>
    row.forEach((value, j) => {
      const cell = cells[i][j];
      cell.style.setProperty("--depth", `${(100 * (value - low)) / (high - low)}%`);
      cell.classList.toggle("uncovered", !covered[i][j]);
      if (kind !== "covered") return;
      cell.setAttribute("aria-pressed", value);
      const described = { prompt: i + 1, response: j + 1, value: valueOf(kind, value, words) };
      cell.setAttribute("aria-label", fill(words.cell, described));
    }),
  );
  map.grid.setAttribute("role", kind === "covered" ? "group" : "img");
  map.grid.setAttribute("aria-label", kind === "covered" ? words.toggle : description(map, low, high, words));
  if (kind === "reward") {
    map.note.textContent = fill(words.range, { low: valueOf(kind, low, words), high: valueOf(kind, high, words) });
  }
}

// A map in words, for screen readers: its range, and the largest value of each row.
function description({ name, kind, values }, low, high, words) {
  const most = values.map((row, i) => {
    const j = row.indexOf(Math.max(...row));
    return fill(words.cell, { prompt: i + 1, response: j + 1, value: valueOf(kind, row[j], words) });
  });
  const range = fill(words.range, { low: valueOf(kind, low, words), high: valueOf(kind, high, words) });
  return `${words.maps[name]}. ${range} ${words.largest} ${most.join("; ")}`;
}

function valueOf(kind, value, words) {
  if (kind === "covered") return value ? words.covered : words.uncovered;
  return format(value, 2);
}

// One of the buttons is in the tab order; the arrow keys move the focus from it to the others.
function walk({ grid, cells }, size) {
  const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
  grid.onkeydown = (event) => {
    if (!(event.key in steps)) return;
    event.preventDefault();
    const [row, column] = event.target.dataset.cell.split(" ").map(Number);
    const to = (at, by) => Math.min(size - 1, Math.max(0, at + by));
    cells[to(row, steps[event.key][0])][to(column, steps[event.key][1])].focus();
  };
  grid.addEventListener("focusin", ({ target }) => {
    for (const cell of cells.flat()) cell.tabIndex = cell === target ? 0 : -1;
  });
}
