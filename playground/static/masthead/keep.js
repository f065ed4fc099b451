// The menu of what a visitor can keep: the shown run as a page, as files, as a command, as Python.
import { copyText } from "../core/copy.js";
import { download } from "../core/download.js";
import { within } from "../core/dom.js";
import { fill } from "../core/format.js";
import "../core/menu.js";
import { methods } from "../core/records.js";
import { get, subscribe } from "../core/store.js";

const SAYS_MS = 3000; // for which a button says what it did

// `withLink(next)` calls `next` with the URL of the present settings.
export function keepMenu(menu, words, withLink) {
  const { find, put } = within(menu);
  const { keep } = words;
  const language = words.language.tag.split("-")[0];

  function draw({ run, standing }) {
    const ended = Boolean(run && standing?.files);
    put(".kept", run ? title(run.config) : keep.no_run);
    put(".note", run ? notes(run, ended).join(" ") : "");
    for (const name of ["page", "files"]) find(`.${name}`).disabled = !ended;
    for (const name of ["command", "python"]) find(`.${name}`).disabled = !run;
  }

  function title({ method, task, beta }) {
    const names = { method: words.methods[method]?.name ?? method, task: words.tasks[task]?.name ?? task, beta };
    return fill(methods[method]?.beta ? keep.run : keep.run_without_beta, names);
  }

  const notes = ({ changes, repeat }, ended) => [
    !ended && keep.live,
    changes.length && keep.changed,
    repeat.needs_task && keep.needs_task,
  ].filter(Boolean);

  // `act(run)` returns what the button `name` says next, for a while or until it is pressed again.
  function offer(name, act) {
    const button = find(`.${name}`);
    let saying = null;
    button.onclick = async () => {
      clearTimeout(saying);
      button.textContent = await act(get().run);
      saying = setTimeout(() => (button.textContent = keep[name]), SAYS_MS);
    };
    button.textContent = keep[name];
  }

  function save(name, address, ending) {
    offer(name, async (run) => {
      find(`.${name}`).textContent = keep.saving;
      const file = run.name.split("/").pop() + ending;
      const refused = await download(`${address}run=${encodeURIComponent(run.name)}`, file);
      return refused ? keep.failed : keep[name];
    });
  }

  save("page", `run.html?lang=${language}&`, ".html");
  save("files", "run.zip?", ".zip");
  for (const name of ["command", "python"]) {
    offer(name, async ({ repeat }) => (await copyText(repeat[name], find("textarea"))) ? keep.copied : keep.shown);
  }
  find("textarea").ariaLabel = keep.shown;
  put("summary", keep.title);
  // In a talk, a QR code takes the settings to phones.
  if ("present" in document.documentElement.dataset) {
    const image = find(".code img");
    find(".code").hidden = false;
    image.onload = () => put("figcaption", keep.code);
    image.onerror = () => {
      image.hidden = true;
      put("figcaption", keep.no_code);
    };
    image.alt = keep.code;
    menu.ontoggle = () => menu.open && withLink(({ search }) => (image.src = `link.svg${search}&lang=${language}`));
  }
  subscribe(menu, ["run", "standing"], draw);
  draw(get());
}
