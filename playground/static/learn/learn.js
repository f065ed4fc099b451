// Learn: a station of the path, its equation, and the equation with real numbers. The numbers follow
// β without the server, which is asked only for a visitor's own run.
import { betaAt, positionOf } from "../core/beta.js";
import { make, option, within } from "../core/dom.js";
import { fill } from "../core/format.js";
import { linkedTo } from "../core/place.js";
import { shadedText } from "../core/shaded_text.js";
import { get, set, subscribe } from "../core/store.js";
import { equation, fillIn, row } from "./equations.js";
import { drawLoop, hasLoop } from "./loop.js";
import { ownLesson } from "./own_run.js";
import { drawPath, markStation } from "./path.js";
import { betaText, stationsOf } from "./stations.js";

// The sources of numbers that a station offers.
const SOURCES = {
  sft: ["recorded", "own"],
  reward: ["recorded", "own"],
  ppo: ["recorded", "own"],
  dpo: ["reference", "recorded", "own"],
  limited: ["reference", "recorded"],
};

export function mount({ element, props, server }) {
  const { words, lessons, range } = props;
  const { find, put } = within(element);
  const stations = stationsOf(words, shadedText(props.shading).addChip, () => calculate());
  const narrow = matchMedia("screen and (max-width: 820px)");
  const slider = find(".beta input");
  const sources = {}; // station -> its chosen source
  const own = {}; // station -> the ownLesson of the task
  let task = props.first_task;
  let open = Object.hasOwn(stations, linkedTo("station") ?? "") ? linkedTo("station") : "sft";
  let fillLoop = null; // of the open station
  let choices = 0; // counted, to drop a run's numbers that arrive after a later choice

  const source = () => sources[open] ?? "recorded";

  // The numbers that the open station shows.
  function lesson() {
    const recorded = lessons[task];
    if (source() === "own") return { ...recorded, ...own[open].lesson };
    return source() === "reference" ? { ...recorded, pair: underReference(recorded.pair) } : recorded;
  }

  function drawSources(host) {
    const box = make("div", "whose", host);
    box.setAttribute("role", "group");
    for (const name of SOURCES[open]) {
      const button = make("button", "", box, words.whose[name]);
      button.type = "button";
      button.dataset.whose = name;
      button.setAttribute("aria-pressed", name === source());
      button.onclick = () => choose(name);
    }
  }

  async function choose(name) {
    const choice = ++choices;
    const station = open;
    if (name === "own") {
      put(".note", words.asking);
      const lessonTask = task;
      const numbers = await ownLesson(task, station, lessons[task], props, server);
      if (choice !== choices || open !== station || task !== lessonTask) return;
      if (typeof numbers === "string") return put(".note", numbers);
      own[station] = numbers;
    }
    sources[station] = name;
    show();
    find(`[data-whose=${name}]`).focus();
  }

  // Lays out the open station; `calculate` fills in the numbers.
  function show() {
    const text = words.stations[open];
    const station = stations[open];
    set({ station: open });
    markStation(find(".path"), open);
    put("h2", text.title);
    put(".what", text.what);
    put(".source", text.source);
    find(".equations").replaceChildren();
    for (const content of station.equations()) equation(find(".equations"), content);
    find(".example").replaceChildren();
    if (SOURCES[open]) drawSources(find(".example"));
    station.example(find(".example"), lesson());
    find(".steps").replaceChildren();
    station.lines.forEach((line, i) => {
      const step = make("li", "", find(".steps"));
      make("span", "", step, text.lines[i]);
      equation(step, row(line), "inline");
    });
    find(".loop").replaceChildren();
    find(".loop").hidden = !hasLoop(open);
    fillLoop = hasLoop(open) ? drawLoop(find(".loop"), open, words) : null;
    put(".note", noteText(station, text));
    put(".role", text.beta);
    find(".learn").dataset.open = open;
    calculate();
  }

  function noteText(station, text) {
    if (source() === "own") return own[open].note;
    const isRecorded = source() === "recorded" && station.note;
    return isRecorded ? fill(text.note, station.note(lesson())) : "";
  }

  function calculate() {
    const { beta } = get();
    if (beta === null) return;
    const values = stations[open].numbers(lesson(), beta);
    fillIn(find("article"), values);
    if (values.shares) drawShares(values.shares);
    fillLoop?.(lesson(), beta);
    const verdict = stations[open].verdict?.(values);
    put(".verdict", verdict ? fill(words.verdicts[verdict], values.below) : "");
  }

  function drawShares(shares) {
    const most = Math.max(...shares.flatMap(({ before, after }) => [before, after]));
    shares.forEach((share, i) => {
      for (const name of ["before", "after"]) {
        find(`[data-text="${i}"] .${name}`).style.setProperty("--part", share[name] / most);
      }
    });
  }

  function followBeta({ beta, betaHeld }) {
    if (beta === null) return;
    if (beta > 0 && !(betaHeld && document.activeElement === slider)) slider.value = positionOf(beta, range);
    slider.setAttribute("aria-valuetext", betaText(beta));
    put(".beta output", betaText(beta));
    calculate();
  }

  function layOutPath() {
    drawPath(find(".path"), words.stations, words.path, narrow.matches, (station) => {
      open = station;
      show();
    });
    markStation(find(".path"), open);
  }

  for (const [name, label] of Object.entries(props.task_names)) {
    const input = option(find(".tasks"), "radio", "learn-task", name, label);
    input.checked = name === task;
    input.onchange = () => {
      task = name;
      for (const station in sources) if (sources[station] === "own") delete sources[station];
      show();
    };
  }
  put(".tasks legend", words.task);
  put(".beta .name", words.beta);
  slider.oninput = () => set({ beta: betaAt(Number(slider.value), range), betaHeld: true, watchedBeta: null });
  slider.onchange = () => set({ betaHeld: false });
  narrow.addEventListener("change", layOutPath);
  subscribe(element, ["beta"], followBeta);
  layOutPath();
  show();
  followBeta(get());
}

// A pair before any training: the policy is the reference.
function underReference({ chosen, rejected, ...pair }) {
  const untrained = (text) => ({ ...text, logp: text.ref_logp });
  return { ...pair, kl: 0, chosen: untrained(chosen), rejected: untrained(rejected) };
}
