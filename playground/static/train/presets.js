// A row of presets. The one that is chosen fills the settings and plays its recorded run. As long
// as the stage shows a run of these very settings, what to watch stands below, and at the end what
// it shows.
import { make, within } from "../core/dom.js";
import { fill } from "../core/format.js";
import { isLive, isRecorded } from "../core/run_log.js";
import { get, subscribe } from "../core/store.js";
import { runOnStage } from "../core/view.js";

export function mount({ element, props, events }) {
  const { words, cards } = props;
  const { find, put } = within(element);
  const chips = {}; // preset -> its button

  function addChip(name) {
    const item = make("li", "", find("ul"));
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

  // The preset whose settings are those of a run, seed and all. A run whose settings were changed
  // is no preset's any more.
  function presetOf(run) {
    if (!run || run.changes.length) return undefined;
    const hasSettings = (settings) => Object.keys(settings).every((key) => settings[key] === run.config[key]);
    return Object.keys(chips).find((name) => hasSettings(cards[name].config));
  }

  function draw(state) {
    const { run, standing } = state;
    const name = presetOf(runOnStage(state));
    for (const [other, chip] of Object.entries(chips)) {
      chip.setAttribute("aria-pressed", String(other === name));
      chip.disabled = isLive(run) && run.name === standing.own;
    }
    const part = run?.status.name === "finished" ? "shows" : "watch"; // a run that was cut off shows nothing
    put(".part", name ? words[part] : "");
    put(".summary", name ? words.cards[name][part] : "");
    const recorded = name && isRecorded(run);
    const origin = recorded ? fill(words.recorded, { ...cards[name], speed: props.speed }) : "";
    put(".origin", origin);
    find(".origin").title = origin; // where the line has no room for all of it
  }

  put(".title", words.title);
  for (const name of Object.keys(words.cards)) if (name in cards) addChip(name);
  subscribe(element, ["run", "task", "standing"], draw);
  draw(get());
}
