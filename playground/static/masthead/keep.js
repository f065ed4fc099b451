// The menu of what a visitor can keep: the shown run, as a page and as files.
import { download } from "../core/download.js";
import { within } from "../core/dom.js";
import { fill } from "../core/format.js";
import { methods } from "../core/records.js";
import { get, subscribe } from "../core/store.js";

const SAYS_MS = 4000; // for which a button says that it failed

export function keepMenu(menu, words) {
  const { find, put } = within(menu);
  const { keep } = words;

  function draw({ run, standing }) {
    const known = run && standing;
    put(".kept", known && standing.files ? title(run.config) : keep.none);
    for (const name of ["page", "files"]) find(`.${name}`).disabled = !(known && standing.files);
  }

  function title({ method, task, beta }) {
    const names = { method: words.methods[method]?.name ?? method, task: words.tasks[task]?.name ?? task, beta };
    return fill(methods[method]?.beta ? keep.run : keep.run_without_beta, names);
  }

  // Saves the shown run when the button `name` is pressed.
  function offer(name, address, ending) {
    const button = find(`.${name}`);
    button.onclick = async () => {
      const { run } = get();
      button.textContent = keep.saving;
      const refused = await download(`${address}run=${encodeURIComponent(run.name)}`, run.name.split("/").pop() + ending);
      button.textContent = refused ? keep.failed : keep[name];
      if (refused) setTimeout(() => (button.textContent = keep[name]), SAYS_MS);
    };
    button.textContent = keep[name];
  }

  function close({ target }) {
    if (!menu.contains(target)) menu.open = false;
  }

  offer("page", `run.html?lang=${words.language.tag.split("-")[0]}&`, ".html");
  offer("files", "run.zip?", ".zip");
  put("summary", keep.title);
  document.addEventListener("click", close);
  document.addEventListener("focusin", close);
  menu.onkeydown = ({ key }) => {
    if (key !== "Escape") return;
    menu.open = false;
    find("summary").focus();
  };
  subscribe(menu, ["run", "standing"], draw);
  draw(get());
}
