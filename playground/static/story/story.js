// The story of alignment: scenes in a dialog over the page, with a link for each, keys, notes and a
// timer. A scene is a function of (host, its data, its words, all data of the server); it draws into
// `host` and returns {values, redraw, stop}, all optional: the numbers in its sentence, and functions
// to call when the colours change and when the scene ends.
import { make, within } from "../core/dom.js";
import { fill } from "../core/format.js";
import { set } from "../core/store.js";
import { whenRecoloured } from "../charts/plots.js";
import { dpo } from "./card.js";
import { beta } from "./dial.js";
import { noLeash, ppo, reward } from "./recorded.js";
import { question, sft, votes } from "./texts.js";

const SCENES = { question, sft, votes, reward, ppo, beta, no_leash: noLeash, dpo };
const NAMES = Object.keys(SCENES);
const FRAME = /^(present|hide|__.*)$/; // URL parameters of the page's appearance

export function tell(dialog, data) {
  const words = data.words.story;
  const { find, put } = within(dialog);
  let place = null; // the number of the scene, from 1
  let scene = {};
  let began = 0;
  let withNotes = new URL(location).searchParams.has("notes");

  function addressOf(newPlace) {
    const url = new URL(location);
    if (newPlace === null) for (const name of ["story", "notes"]) url.searchParams.delete(name);
    else url.searchParams.set("story", newPlace);
    if (newPlace !== null && withNotes) url.searchParams.set("notes", "");
    else url.searchParams.delete("notes");
    return url;
  }

  // The address of the page with these settings in its controls, where the presenter can press Run.
  function liveAddress(settings) {
    const url = new URL(location);
    const kept = [...url.searchParams].filter(([name]) => FRAME.test(name));
    url.search = new URLSearchParams([...kept, ...Object.entries(settings)]);
    return url.href;
  }

  function visit(url) {
    if (url.href !== location.href) history.pushState(history.state, "", url);
  }

  const go = (newPlace) => set({ story: Math.min(NAMES.length, Math.max(1, newPlace)) });

  // Shows the scene with this number; null closes the story.
  function show(wanted) {
    if (wanted === null) return dialog.close();
    const next = Math.min(NAMES.length, wanted);
    if (!dialog.open) {
      dialog.showModal();
      restart();
    }
    if (next !== place) draw(next);
    visit(addressOf(place));
  }

  function draw(next) {
    scene.stop?.();
    place = next;
    const name = NAMES[place - 1];
    const own = words.scenes[name];
    const host = find(".scene");
    host.replaceChildren();
    host.dataset.name = name;
    scene = SCENES[name](host, data[name], own, data) ?? {};
    put("h2", fill(own.line, scene.values ?? {}));
    put(".title", own.title);
    put(".place", fill(words.place, { place, n: NAMES.length }));
    put(".notes", own.notes);
    find("nav [aria-current]")?.removeAttribute("aria-current");
    find(`nav :nth-child(${place})`).setAttribute("aria-current", "step");
    [find(".back").disabled, find(".onward").disabled] = [place === 1, place === NAMES.length];
    const settings = data[name].settings;
    find(".live").hidden = !settings;
    if (settings) find(".live").href = liveAddress(settings);
    dialog.dataset.scene = place;
  }

  function restart() {
    began = performance.now();
    tick();
  }

  function tick() {
    const seconds = Math.floor((performance.now() - began) / 1000);
    put("time", `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`);
  }

  function showNotes() {
    find(".notes").hidden = !withNotes;
    find(".note").setAttribute("aria-pressed", withNotes);
  }

  // Presenter remotes send PageUp and PageDown. Sliders, buttons and links keep the keys that they use.
  function onKey(event) {
    if (!dialog.open || event.ctrlKey || event.metaKey || event.altKey) return;
    const by = (kinds) => event.target.closest?.(kinds);
    const to = { PageDown: place + 1, PageUp: place - 1 };
    if (!by("input, .token")) Object.assign(to, { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 1 });
    if (!by("input, button, a")) to[" "] = place + 1;
    if (!(event.key in to)) return;
    event.preventDefault();
    event.stopPropagation();
    go(to[event.key]);
  }

  function button(className, host, text, press) {
    const made = make("button", className, host, text);
    made.type = "button";
    made.onclick = press;
    return made;
  }

  function layOut() {
    const head = make("header", "", dialog);
    make("span", "place", head);
    make("span", "title", head);
    make("time", "", head).ariaLabel = words.time;
    button("again", head, words.again, () => {
      restart();
      go(1);
    });
    button("note", head, words.notes, () => {
      withNotes = !withNotes;
      showNotes();
      visit(addressOf(place));
    });
    button("leave", head, "×", () => set({ story: null })).ariaLabel = words.leave;
    const line = make("h2", "", dialog);
    Object.assign(line, { tabIndex: -1, autofocus: true, ariaLive: "polite" });
    make("div", "scene", dialog);
    make("p", "notes", dialog);
    const foot = make("footer", "", dialog);
    button("back", foot, words.back, () => go(place - 1));
    const steps = make("nav", "", foot);
    NAMES.forEach((name, i) => {
      const link = make("a", "", steps, "●");
      link.href = addressOf(i + 1).href;
      link.ariaLabel = fill(words.scene, { place: i + 1, title: words.scenes[name].title });
      link.onclick = (event) => {
        event.preventDefault();
        go(i + 1);
      };
    });
    make("a", "live", foot, words.live);
    button("onward", foot, words.next, () => go(place + 1));
    dialog.ariaLabel = words.label;
  }

  layOut();
  showNotes();
  setInterval(() => dialog.open && tick(), 1000);
  window.addEventListener("keydown", onKey, true);
  dialog.addEventListener("keydown", (event) => event.stopPropagation()); // keys act on the story only
  whenRecoloured(() => dialog.open && scene.redraw?.());
  // The browser closes a dialog at Escape.
  dialog.addEventListener("close", () => {
    scene.stop?.();
    [scene, place] = [{}, null];
    set({ story: null });
    visit(addressOf(null));
  });
  return { show };
}
