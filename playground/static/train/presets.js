// The presets, in groups. A chosen preset fills the settings and plays its recorded run. While the stage
// shows a run with exactly these settings, the headline (readings.js) says what to watch, and at the end
// what the run shows.
import { make, within } from "../core/dom.js";
import { fill } from "../core/format.js";
import { isLive, isRecorded } from "../core/run_log.js";
import { get, set, subscribe } from "../core/store.js";
import { runOnStage } from "../core/view.js";

export function mount({ element, props, events }) {
  const { words, cards } = props;
  const { find, put } = within(element);
  const chips = {}; // preset -> its button

  function addChip(name, group) {
    const item = make("li", "", group);
    const chip = (chips[name] = make("button", "", item, words.cards[name].name));
    const card = make("dl", "card", item);
    card.id = `preset-${name}`;
    for (const part of ["aim", "watch", "shows"]) {
      make("dt", "", card, words[part]);
      make("dd", "", card, words.cards[name][part]);
    }
    chip.type = "button";
    chip.setAttribute("aria-describedby", card.id);
    chip.onclick = () => {
      props.value = name;
      events.select();
    };
  }

  // The preset with the run's settings and seed; undefined for a run whose settings were changed.
  function presetOf(run) {
    if (!run || run.changes.length) return undefined;
    const hasSettings = (settings) => Object.keys(settings).every((key) => settings[key] === run.config[key]);
    return Object.keys(chips).find((name) => hasSettings(cards[name].config));
  }

  function draw(state) {
    const { run, standing } = state;
    const name = presetOf(runOnStage(state)) ?? null;
    for (const [other, chip] of Object.entries(chips)) {
      chip.setAttribute("aria-pressed", String(other === name));
      chip.disabled = isLive(run) && run.name === standing.own;
    }
    put(".origin", name && isRecorded(run) ? fill(words.recorded, cards[name]) : "");
    set({ preset: name });
  }

  find("nav").ariaLabel = words.title;
  for (const [group, names] of Object.entries(props.groups)) {
    const present = names.filter((name) => name in cards);
    if (!present.length) continue;
    const box = make("li", "group", find("ul"));
    make("span", "title", box, words.groups[group]);
    const list = make("ul", "", box);
    for (const name of present) addChip(name, list);
  }
  subscribe(element, ["run", "task", "standing"], draw);
  draw(get());
}
