// The presets, in groups. A chosen preset fills the settings and plays its recorded run. While the stage
// shows a run with exactly these settings, the headline (readings.js) says what to watch, and at the end
// what the run shows. A race plays a preset while the trail of another, its ghost, follows the same clock;
// the address has its name (?race=hacking).
import { make, within } from "../core/dom.js";
import { fill } from "../core/format.js";
import { linkedTo, writeAddress } from "../core/place.js";
import { isLive, isRecorded, recordingOf } from "../core/run_log.js";
import { get, set, subscribe } from "../core/store.js";
import { raceOnStage, runOnStage } from "../core/view.js";
import { ghosts } from "./ghost.js";

export function mount({ element, props, server, events }) {
  const { words, cards, races } = props;
  const { find, put } = within(element);
  const chips = {}; // preset -> its button
  const starters = {}; // race -> its button
  const followGhost = ghosts(server);
  let chosen = null; // {name, pair} of the race that was chosen last, until another run is shown
  let config = null; // the object of the followed run; a run that is shown again has another object

  function addChip(group, id, said, choose) {
    const item = make("li", "", group);
    const chip = make("button", "", item, said.name);
    const card = make("dl", "card", item);
    card.id = id;
    for (const part of ["aim", "watch", "shows"].filter((part) => part in said)) {
      make("dt", "", card, words[part]);
      make("dd", "", card, said[part]);
    }
    chip.type = "button";
    chip.setAttribute("aria-describedby", card.id);
    chip.onclick = choose;
    return chip;
  }

  // Plays a preset, which may begin a race.
  function play(preset, race = null) {
    chosen = race;
    if (race === null) set({ race });
    props.value = preset;
    events.select();
  }

  const playRace = (name) => play(races[name][0], { name, pair: races[name] });

  // A race begins when its first run is shown, and ends when another run is.
  function followRace(run) {
    if (!run || run.config === config) return;
    config = run.config;
    const begins = chosen !== null && run.name === recordingOf(chosen.pair[0]);
    if (!begins && get().race) chosen = null;
    set({ race: begins ? chosen : null });
  }

  function nameRace({ race }) {
    const url = new URL(location);
    if (race) url.searchParams.set("race", race.name);
    else url.searchParams.delete("race");
    writeAddress(url);
  }

  // The preset with the run's settings and seed; undefined for a run whose settings were changed.
  function presetOf(run) {
    if (!run || run.changes.length) return undefined;
    const hasSettings = (settings) => Object.keys(settings).every((key) => settings[key] === run.config[key]);
    return Object.keys(chips).find((name) => hasSettings(cards[name].config));
  }

  function draw(state) {
    const { run, standing } = state;
    followRace(run);
    const { race } = get();
    followGhost(run, race ? race.pair[1] : props.counterparts[presetOf(run)], race !== null);
    const name = presetOf(runOnStage(state)) ?? null;
    const shown = raceOnStage(get()) ? race.name : null;
    const mark = (pressed) => ([other, chip]) => {
      chip.setAttribute("aria-pressed", String(other === pressed));
      chip.disabled = isLive(run) && run.name === standing.own;
    };
    Object.entries(chips).forEach(mark(shown ? null : name));
    Object.entries(starters).forEach(mark(shown));
    put(".origin", name && isRecorded(run) ? fill(words.recorded, cards[name]) : "");
    set({ preset: name });
  }

  // Adds a group of chips; `add(list, name)` adds each of them.
  function addGroup(title, names, add) {
    if (!names.length) return;
    const box = make("li", "group", find("ul"));
    make("span", "title", box, title);
    const list = make("ul", "", box);
    for (const name of names) add(list, name);
  }

  find("nav").ariaLabel = words.title;
  addGroup(words.race, Object.keys(races), (list, name) => {
    starters[name] = addChip(list, `race-${name}`, words.races[name], () => playRace(name));
  });
  for (const [group, names] of Object.entries(props.groups)) {
    addGroup(words.groups[group], names.filter((name) => name in cards), (list, name) => {
      chips[name] = addChip(list, `preset-${name}`, words.cards[name], () => play(name));
    });
  }
  subscribe(element, ["run", "task", "standing", "race", "ghost"], draw);
  subscribe(element, ["race"], nameRace);
  draw(get());
  writeAddress(new URL(location));
  const [linked, race] = [linkedTo("preset"), linkedTo("race")];
  // Only after the settings of the address were filled in: they would replace those of the preset.
  if (Object.hasOwn(races, race)) window.settings.complete().then(() => playRace(race));
  else if (Object.hasOwn(chips, linked)) window.settings.complete().then(() => play(linked));
}
