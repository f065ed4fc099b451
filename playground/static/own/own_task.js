// A visitor's own task: its prompts and pairs, the parts of its reward, its model; and its files.
import { listErrors, make, within } from "../core/dom.js";
import { download } from "../core/download.js";
import { fill } from "../core/format.js";
import { get, set, subscribe } from "../core/store.js";
import { pairKey } from "../core/view.js";
import { partsEditor } from "./parts.js";
import { preparation } from "./preparation.js";
import { ask, encoded } from "./requests.js";

const OWN = "own";
const MB = 1024 ** 2;

export function mount({ element, props, server, events }) {
  const { words, examples, answers } = props;
  const { find, put } = within(element);
  const form = find("form");
  const field = (name) => form.elements[name];
  let known = null; // the server's state: {task, limits, models, reward_models, hub, fetched}
  let open = false;
  const parts = partsEditor({
    host: find(".parts"),
    words,
    models: () => known?.reward_models ?? [],
    texts: answers,
    prompt: () => field("prompts").value.split("\n")[0].slice(0, 2000),
    changed: () => (form.dataset.changed = true),
  });

  function draw(state) {
    const host = element.closest("#own_task");
    host.hidden = state.task !== OWN;
    if (!known) return;
    const { task } = known;
    form.hidden = !open && task !== null;
    // Isolated, so that a title cannot change the direction of the text after it.
    put(".summary", task ? fill(words.summary, { title: `\u2068${task.title}\u2069`, model: nameOf(task.model) }) : words.intro);
    for (const name of [".change", ".delete", ".zip"]) find(name).hidden = !task;
    const pair = task && pairKey({ task: OWN, model: task.model });
    find(".prepare").hidden = !task?.prepares || Boolean(state.frontiers[pair]);
    put(".change", open ? words.close : words.change);
  }

  const nameOf = (model) => known.models.find((choice) => choice.model === model)?.name ?? model;

  // Shows the task, the limits and the models that the server sent.
  function take(state) {
    known = state;
    set({ own: state.task });
    const { limits, models, hub, fetched } = state;
    const values = { ...limits, mb: limits.bytes / MB };
    put(".drop span", fill(words.drop, values));
    // On a public machine, where tasks expire, visitors have no command line to fetch a model with.
    put(".limits", limits.days === null ? (fetched ? "" : words.fetch) : fill(words.limits, values));
    field("model").replaceChildren();
    for (const { model, name } of models) make("option", "", field("model"), name).value = model;
    form.querySelector(".hub").hidden = !hub;
    field("max_new_tokens").max = limits.tokens;
    if (state.task) show(state.task);
    draw(get());
  }

  function show({ title, prompts, pairs, reward, model, max_new_tokens, files = [] }) {
    const names = files.map(([name]) => name).filter((name) => name !== "task.toml");
    for (const [name, text] of Object.entries({ prompts, pairs })) {
      field(name).value = text ?? "";
      field(name).placeholder = text === null ? fill(words.kept, { files: names.join(", ") }) : "";
      field(name).dataset.kept = text === null;
    }
    field("title").value = title;
    const offered = known.models.some((choice) => choice.model === model);
    field("model").value = offered ? model : known.models[0].model;
    field("hub").value = offered ? "" : model;
    field("max_new_tokens").value = max_new_tokens;
    parts.show(reward);
    form.dataset.changed = false;
  }

  function draft() {
    const { task } = known;
    const text = (name) => (field(name).dataset.kept === "true" && !field(name).value.trim() ? null : field(name).value);
    return {
      title: field("title").value,
      explanation: task?.title === field("title").value ? task.explanation : "",
      system_prompt: task?.system_prompt ?? "",
      max_new_tokens: field("max_new_tokens").valueAsNumber || 0,
      prompts: text("prompts"),
      pairs: text("pairs"),
      reward: parts.reward(),
      model: field("hub").value.trim() || field("model").value,
    };
  }

  async function save(files = []) {
    if (form.dataset.busy === "true") return;
    form.dataset.busy = true;
    put("[type=submit]", words.checking);
    const answer = await ask("save", { draft: draft(), files, language: words.language }, words);
    form.dataset.busy = false;
    put("[type=submit]", words.use);
    showErrors(answer.errors);
    if (answer.errors.length) return;
    open = false;
    take(answer);
    renewed();
  }

  // Announces that the task changed, so that the controls take its defaults.
  function renewed() {
    forgetOptimum();
    events.renewed();
  }

  function forgetOptimum() {
    const others = Object.entries(get().frontiers).filter(([pair]) => !pair.startsWith(`${OWN} `));
    set({ frontiers: Object.fromEntries(others), target: null });
  }

  // Shows each error beside its field, and those without a field at the end.
  function showErrors(errors) {
    parts.clearErrors();
    for (const slot of form.querySelectorAll("[data-of]")) listErrors(slot, []);
    const others = [];
    for (const { field: name, line } of errors) {
      const [head, index] = name.split(".");
      const slot = form.querySelector(`[data-of="${head}"]`);
      if (head === "reward" && index && parts.showError(Number(index), line)) continue;
      if (slot) make("li", "", slot, line);
      else others.push(line);
    }
    listErrors(find(".errors.all"), others);
  }

  async function drop(list) {
    const files = [...list];
    const size = files.reduce((sum, file) => sum + file.size, 0);
    if (!files.length) return;
    if (size > known.limits.bytes) {
      return showErrors([{ field: "files", line: fill(words.too_large, { mb: known.limits.bytes / MB }) }]);
    }
    try {
      await save(await Promise.all(files.map(encoded)));
    } catch {
      showErrors([{ field: "files", line: words.refused.unreadable }]); // a folder, or a file that is gone
    }
  }

  async function remove() {
    if (!confirm(words.sure)) return;
    await server.stop_preparing().catch(() => null);
    const answer = await ask("delete", {}, words);
    if (answer.errors) return showErrors(answer.errors);
    take(answer);
    begin(examples.shorter, "shorter");
    renewed();
  }

  function begin(example, name) {
    show({ ...example, title: words.examples[name], pairs: "" });
  }

  async function load() {
    const state = await ask("state", {}, words);
    if (state.errors) return showErrors(state.errors);
    take(state);
    if (!state.task && form.dataset.changed !== "true") begin(examples.shorter, "shorter");
  }

  put("h2", words.title);
  for (const [name, label] of Object.entries(words.labels)) put(`.${name} > .label`, label);
  put(".hub span", words.hub);
  put(".prompts small", words.prompts_help);
  put(".pairs small", words.pairs_help);
  put("[type=submit]", words.use);
  put(".zip", words.zip);
  find(".zip").onclick = (event) => {
    event.preventDefault();
    download("own/task.zip", "task.zip");
  };
  put(".delete", words.delete);
  put(".drop button", words.choose);
  for (const [name, example] of Object.entries(examples)) {
    const button = make("button", "", find(".examples"), words.examples[name]);
    button.type = "button";
    button.onclick = () => begin(example, name);
  }
  form.onsubmit = (event) => {
    event.preventDefault();
    save();
  };
  form.oninput = () => (form.dataset.changed = true);
  find(".change").onclick = () => {
    open = !open;
    draw(get());
  };
  find(".delete").onclick = remove;
  const picked = find(".drop input");
  find(".drop button").onclick = () => picked.click();
  picked.onchange = () => drop(picked.files).finally(() => (picked.value = ""));
  element.ondragover = (event) => event.preventDefault();
  element.ondrop = (event) => {
    event.preventDefault();
    drop(event.dataTransfer.files);
  };
  preparation({ find, put, server, words, finished: forgetOptimum });
  subscribe(element, ["task", "frontiers"], draw);
  draw(get());
  load();
}
