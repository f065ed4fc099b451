// Resets all settings to those of a newly opened page, and says so until one of them changes.
import { within } from "../core/dom.js";

export function mount({ element, props, events }) {
  const { words } = props;
  const { find, put } = within(element);
  put("button", words.press);
  find("button").onclick = async () => {
    window.settings.ask("reset", []);
    events.press();
    await window.settings.complete();
    put("span", words.done);
  };
  document.addEventListener("settings", () => element.isConnected && put("span", ""));
}
