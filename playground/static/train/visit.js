// Many visitors on one page: the owner of the shown run, the rights to steer it, and the queue for
// the next.
import { within } from "../core/dom.js";
import { fill } from "../core/format.js";
import { get, set, subscribe } from "../core/store.js";
import { isWatching } from "../core/view.js";

export function mount({ element, props, server }) {
  const { words } = props;
  const { find, put } = within(element);
  const train = element.closest("#train");
  let presenting = null; // whether the presenter's key is right; null until the server has answered
  let wish = null; // {run, on}: the choice to share a run, until the server confirms it

  function draw(state) {
    if (!state.standing) return;
    const { own, steers, shared, other, free, place, wait, refused, presents, several, quick_run } = state.standing;
    const watching = isWatching(state);
    // controls.css shows the buttons that fit.
    train.dataset.turn = place ? "wait" : own ? "" : !free ? "join" : watching ? "run" : "";
    train.dataset.steers = steers || !watching;
    const waiting = place && fill(words.place, { n: place, wait });
    const { method, task } = (watching ? state.run.config : other) ?? {};
    const names = method && { method: words.methods[method].name, task: words.tasks[task]?.name ?? task };
    const busy = !own && names && fill(free ? words.others_free : words.others, names);
    const failed = refused.length ? fill(words.refused, { why: refused.join("; ") }) : "";
    show(".line", waiting || failed || busy || (quick_run ? words.quick_runs[quick_run] : ""));
    find(".watch").hidden = !other || Boolean(own);
    find(".share").hidden = shared === null || !several;
    if (wish?.on === shared || wish?.run !== state.run?.name) wish = null;
    find(".share input").checked = wish?.on ?? shared;
    show(".presents", presents ? words.presents : presenting === false ? words.wrong_key : "");
    find(".sign_in").hidden = presents || !props.has_key;
  }

  function show(selector, text) {
    find(selector).hidden = !text;
    put(selector, text);
  }

  show(".terms", props.terms.join(" "));
  put(".share span", words.share);
  put(".watch", words.watch);
  find(".watch").onclick = () => set({ wantedRun: get().standing.other.run });
  find(".share input").onchange = ({ target }) => {
    wish = { run: get().run.name, on: target.checked };
    server.share(wish).catch(() => (wish = null));
  };
  subscribe(element, ["standing"], draw);
  draw(get());
  function signIn(key) {
    return server.sign_in(key).then((right) => {
      presenting = right;
      draw(get());
    });
  }

  const { presenterKey } = window; // visitor.js took it out of the address
  window.presenterKey = null;
  if (presenterKey) signIn(presenterKey);
  put(".sign_in summary", words.sign_in.title);
  put(".sign_in button", words.sign_in.enter);
  const field = find(".sign_in input");
  field.ariaLabel = field.placeholder = words.sign_in.key;
  find(".sign_in form").onsubmit = (event) => {
    event.preventDefault();
    if (field.value) signIn(field.value);
    field.value = "";
  };
}
