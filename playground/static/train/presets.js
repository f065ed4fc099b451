// A row of presets. A chosen preset fills the settings and plays its recorded run. While the stage
// shows a run with exactly these settings, a line below says what to watch, and at the end what the
// run shows.
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

  // The preset with the run's settings and seed; undefined for a run whose settings were changed.
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
    const part = run?.status.name === "finished" ? "shows" : "watch"; // only a whole run shows the effect
    put(".part", name ? words[part] : "");
    put(".summary", name ? words.cards[name][part] : "");
    const recorded = name && isRecorded(run);
    const origin = recorded ? fill(words.recorded, { ...cards[name], speed: props.speed }) : "";
    put(".origin", origin);
    find(".origin").title = origin; // in full, because the line may cut it
  }

  put(".title", words.title);
  for (const name of Object.keys(words.cards)) if (name in cards) addChip(name);
  subscribe(element, ["run", "task", "standing"], draw);
  draw(get());
}
