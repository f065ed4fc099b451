// Lab: a card for each experiment, with the paper's claim, the measurements here, and a way to see
// the experiment live.
import { make, within } from "../core/dom.js";
import { fill, number } from "../core/format.js";
import { figures } from "./figures.js";
import { liveGrid } from "./live_grid.js";
import { liveOptimum } from "./live_optimum.js";
import { quickRuns } from "./quick_run.js";

export function mount({ element, props, server }) {
  const { words, cards, fields } = props;
  const { find } = within(element);
  const pictures = figures(find(".lab"), words, props.saving);
  const addQuickRun = quickRuns({ element, props, server }, pictures);

  function addCard(name, { measured, live }) {
    const text = words.cards[name];
    const box = make("section", "card", find(".lab"));
    box.dataset.experiment = name;
    make("h2", "", box, text.title);
    make("p", "paper", box, text.paper);
    make("h3", "", box, words.claims);
    make("p", "", box, text.claim);
    addSetup(box, text.setup);
    if (name === "coverage") addCoverage(box);
    if (name === "collapse" && props.texts) addOptimum(box, text.alive);
    make("h3", "", box, words.measured);
    if (measured) addResult(box, measured);
    else make("p", "missing", box, words.missing);
    if (Object.keys(live).length) addLinks(box, live, text);
    if (props.quick_runs[name]) addQuickRun(box, name);
  }

  // The table of the differences between the paper's setting and this one.
  function addSetup(box, rows) {
    const table = make("table", "setup", make("div", "wide", box));
    make("caption", "", table, words.setup.title);
    const head = make("tr", "", make("thead", "", table));
    for (const title of ["", words.setup.paper, words.setup.here]) make(title ? "th" : "td", "", head, title);
    const body = make("tbody", "", table);
    for (const [part, ...sides] of rows) {
      const line = make("tr", "", body);
      make("th", "", line, part);
      for (const side of sides) make("td", "", line, side);
    }
  }

  function addResult(box, { verdicts, tested, findings, panels, ...made }) {
    const claims = make("div", "verdicts", box);
    for (const { verdict, claim, why } of verdicts) {
      const line = make("p", verdict, claims);
      make("strong", "", line, words.verdicts[verdict]);
      line.append(" ");
      make("span", "claim", line, claim);
      line.append(" ");
      make("span", "why", line, why);
    }
    make("p", "tested", box, tested);
    pictures.add(box, panels);
    const fold = make("details", "", box);
    make("summary", "", fold, words.in_numbers);
    const list = make("ul", "said", fold);
    for (const sentence of findings) make("li", "", list, sentence);
    make("p", "made", box, fill(words.made, made));
  }

  function addOptimum(box, text) {
    make("h3", "", box, text.title);
    make("p", "", box, text.what);
    liveOptimum(make("div", "live", box), props.texts, props.bounds.collapse, text);
  }

  function addCoverage(box) {
    make("h3", "", box, words.live.title);
    make("p", "", box, words.live.what);
    const train = liveGrid(make("div", "live", box), props, server);
    new IntersectionObserver(([{ isIntersecting }], observer) => {
      if (!isIntersecting) return;
      observer.disconnect();
      train();
    }).observe(box);
    make("h3", "", box, words.table.title);
    make("p", "", box, words.table.what);
    const table = make("table", "", make("div", "wide", box));
    const head = make("tr", "", make("thead", "", table));
    for (const title of ["", "y₁", "y₂", "y₃", words.table.loss, words.table.kl]) make(title ? "th" : "td", "", head, title);
    const body = make("tbody", "", table);
    for (const { name, policy, loss, kl } of props.table_1) {
      const row = make("tr", "", body);
      make("th", "", row, words.live.maps[name]);
      for (const share of policy) make("td", "", row, String(share));
      make("td", "", row, number(loss, 3));
      make("td", "", row, kl === null ? "∞" : number(kl, 3));
    }
  }

  // A link opens this page with the settings of the run filled in; Run starts it.
  function addLinks(box, live, text) {
    make("h3", "", box, words.smaller);
    make("p", "", box, text.smaller);
    const list = make("p", "links", box);
    for (const [name, settings] of Object.entries(live)) {
      const url = new URL(location.pathname, document.baseURI);
      url.search = location.search;
      for (const field of fields) url.searchParams.delete(field);
      for (const [field, value] of Object.entries(settings)) url.searchParams.set(field, value);
      make("a", "", list, text.runs[name]).href = url.href;
    }
  }

  for (const [name, card] of Object.entries(cards)) addCard(name, card);
}
