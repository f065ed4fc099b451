// The place that a link leads to: a view, a station of Learn, a prompt of the first screen, or a preset. It
// is part of the address, like the settings, which links.py reads.
import { get } from "./store.js";

const PARTS = ["view", "station", "prompt", "preset"];
const linked = new URL(location).searchParams;

// One part of the place in the address with which the page was opened; null if it is missing there.
export const linkedTo = (part) => linked.get(part);

// Writes the present place into `url`; `view` is the open view. The address does not name Train.
export function writePlace(url, view) {
  const { station, prompt, preset } = get();
  const inTrain = view === "train";
  const place = {
    view: inTrain ? null : view,
    station: view === "learn" ? station : null,
    prompt: inTrain && prompt > 1 ? prompt : null,
    preset: inTrain ? preset : null,
  };
  for (const part of PARTS) {
    if (place[part] === null) url.searchParams.delete(part);
    else url.searchParams.set(part, place[part]);
  }
}

// Makes `url` the page's address, without a preset: the page would play it again whenever it is reloaded.
export function writeAddress(url) {
  const address = new URL(url);
  address.searchParams.delete("preset");
  history.replaceState(history.state, "", address);
}

// The names of the views and their tabs, by their `labels`. On a narrow screen some are in a menu.
const tabs = (labels) => {
  const all = [...document.querySelectorAll("#views :is([role=tab], .overflow-dropdown button)")];
  return Object.entries(labels).map(([name, label]) => [name, all.find((tab) => tab.textContent.trim() === label)]);
};

export const openView = (labels, name) => tabs(labels).find(([other]) => other === name)?.[1]?.click();

export const viewOf = (labels) => tabs(labels).find(([, tab]) => tab?.classList.contains("selected"))?.[0] ?? "train";
