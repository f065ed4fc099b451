// The frontier chart in Train. The diamond is the target: the optimum, at β, that the method seeks, if it is
// known. The run is a trail that grows towards it. A ghost is a second, pale trail; in a race both trails
// have names and colours.
import { changeDetector } from "../core/changes.js";
import { explain, within } from "../core/dom.js";
import { fill, number, signed } from "../core/format.js";
import { latestOnly } from "../core/latest_only.js";
import { methods } from "../core/records.js";
import { settingsAt } from "../core/run_log.js";
import { get, set, subscribe } from "../core/store.js";
import { betaOnStage, isWatching, pairKey, pairOnStage, rivalAim, rivalTargetOnStage, runOnStage, soughtOnStage } from "../core/view.js";
import { WIDEST, trail } from "../charts/geometry.js";
import { drawInSight, fitToBox, lookOf, paint, whenRecoloured } from "../charts/plots.js";
import { offerSaving } from "../charts/saving.js";
import { learnedTraces, limitTraces, targetTraces, tradeOffLayout } from "../charts/trade_off.js";
import { secondTraces, secondTrail } from "./second_trail.js";

export function mount({ element, props, server, watch }) {
  const { words } = props;
  const { find, put } = within(element);
  const plot = find(".plot");
  const ghost = find(".values .ghost");
  let second = null; // what is beside the run's trail (second_trail.js)
  const isTurned = changeDetector();
  const isChanged = changeDetector();

  function lacksTarget(state) {
    const { pair, beta, sought } = state.target ?? {};
    const isKnown = pair === pairKey(pairOnStage(state)) && beta === betaOnStage(state) && sought === soughtOnStage(state);
    return state.beta !== null && !isKnown;
  }

  const lacksRivalTarget = (state) => rivalAim(state) !== null && rivalTargetOnStage(state) === null;

  const ask = latestOnly(async () => {
    if (lacksTarget(get())) await askForTarget();
    if (lacksRivalTarget(get())) await askForRival();
  });

  async function askForTarget() {
    const [{ task, model }, beta, sought] = [pairOnStage(get()), betaOnStage(get()), soughtOnStage(get())];
    const { frontiers } = get();
    const pair = pairKey({ task, model });
    const frontier = pair in frontiers ? frontiers[pair] : await server.frontier({ task, model }); // null: there is no frontier
    const target = { ...(await server.target({ task, model, beta, sought })), pair, task, beta, sought };
    if (get().frontiers !== frontiers) return; // own_task.js has reset them; they are requested again
    set({ target, frontiers: { ...frontiers, [pair]: frontier } });
  }

  async function askForRival() {
    const [{ task, model }, aim] = [pairOnStage(get()), rivalAim(get())];
    set({ rivalTarget: { ...(await server.target({ task, model, ...aim })), pair: pairKey({ task, model }), ...aim } });
  }

  function update(state) {
    const { run } = state;
    // The target takes the β of another visitor's run when the run begins, and at each change.
    if (isTurned(run?.name, run?.changes)) {
      set({ watchedBeta: isWatching(state) ? settingsAt(run, null).beta : null });
    }
    if (lacksTarget(get()) || lacksRivalTarget(get())) ask();
    draw(get());
  }

  function draw(state, anyway = false) {
    const pair = pairKey(pairOnStage(state));
    const frontier = state.frontiers[pair];
    const { viewedStep, mixture } = state;
    const shown = runOnStage(state);
    // Without β, or without stored samples of the reference, there is no picture; charts and texts
    // use its room.
    const method = shown?.config.method ?? state.method;
    const isWithoutBeta = method !== null && !methods[method].beta;
    const sought = soughtOnStage(state);
    document.documentElement.classList.toggle("other-optimum", sought !== undefined && sought !== "kl");
    document.documentElement.classList.toggle("no-optimum", frontier === null || isWithoutBeta);
    second = frontier && !isWithoutBeta ? secondTrail(state, frontier, props) : null;
    const isRace = Boolean(second?.isRace);
    document.documentElement.classList.toggle("race", isRace); // phone.css
    if (!frontier || isWithoutBeta) return;
    const target = state.target?.pair === pair && state.target.sought === sought ? state.target : null;
    const learned = learnedOptimum(shown);
    const measured = [shown?.series["eval/kl"], shown?.series["eval/gain"], learned?.x];
    const rivalTarget = rivalTargetOnStage(state);
    const beside = [state.ghost, state.ghostShown, rivalTarget, isRace, second?.trails.at(-1).x.length];
    if (!isChanged(frontier, target, sought, viewedStep, mixture, shown?.name, ...measured, ...beside) && !anyway) return;
    const run = trail(shown, frontier);
    const newest = viewedStep === null ? run.steps.length - 1 : run.steps.findLastIndex((step) => step <= viewedStep);
    const trainedTo = run.steps.length ? { x: run.x[newest], y: run.y[newest] } : null;
    const here = mixture?.point ?? trainedTo;
    const aim = aimOf(target);
    put(".values .target .name", fill(words.legend.target, { beta: target?.beta }));
    showPoint(".target", aim);
    if (!isRace) put(".values .policy .name", mixture ? fill(words.legend.mixture, mixture) : words.legend.policy);
    showPoint(".policy", here);
    showSecond(isRace, state.ghostShown);
    const remarks = remarksOn(state, frontier, target, here);
    put(".remarks", remarks.join("\n"));
    const subject = `${shown?.name} ${pair}`;
    const drawn = isRace || state.ghostShown ? second : null;
    paint(plot, () => {
      const look = lookOf(element);
      const trails = [run, points(aim), points(aimOf(rivalTarget)), points(learned), columns(mixture?.path ?? []), ...(isRace ? drawn.trails : [])];
      const chartWords = isRace ? { ...words, crosses: "" } : words; // a race is drawn without best-of-n
      const layout = tradeOffLayout(frontier, trails, subject, chartWords, look, plot);
      const limits = limitTraces(frontier, words, look).slice(0, isRace ? 1 : 2);
      const best = learned && learnedTraces(learned, layout, words, look, plot);
      const traces = [
        ...(isRace ? [] : [trailTrace(run, look), mixturesTrace(mixture?.path ?? [], look)]),
        ...(best ? [best.mark] : []),
        ...targetTraces(target, rivalTarget, words, look),
        ...(isRace ? [] : [policyTrace(here, look)]),
        ...(best ? [best.name] : []),
      ];
      const others = [...limits, ...traces];
      const added = drawn ? secondTraces(drawn, others, layout, plot, find(".remarks"), words, look) : [];
      return [[...limits, ...added, ...traces], layout];
    });
    plot.setAttribute("aria-label", [alternative(target, aim, isRace ? null : here, learned, drawn), ...remarks].join(" "));
  }

  // Notes on the `target` and on the policy, whose point is `here`.
  function remarksOn({ viewedStep, mixture, ...state }, frontier, target, here) {
    const sought = soughtOnStage(state);
    const remarks = sought in words.sought ? [words.sought[sought]] : [];
    const trained = here && settingsAt(runOnStage(state), viewedStep).beta;
    if (here && target && !mixture && trained !== target.beta) remarks.push(fill(words.other_beta, { trained, beta: target.beta }));
    if (here && here.x > WIDEST) remarks.push(fill(words.outside, pointTexts(here)));
    if (target?.kl != null && !target.known) remarks.push(fill(words.unsure, target));
    if (here && frontier.gain_kl < 2) remarks.push(fill(words.gain_kl, { kl: number(frontier.gain_kl) }));
    return remarks;
  }

  // The legend's entry of a ghost is a button that hides it. In a race, the entries of the policy and of the
  // ghost have the names of their runs.
  function showSecond(isRace, isShown) {
    ghost.hidden = !second;
    ghost.disabled = isRace;
    ghost.setAttribute("aria-pressed", String(isRace || isShown));
    const runners = isRace ? second.trails : [];
    for (const [i, entry] of [find(".values .policy"), ghost].entries()) {
      entry.style.setProperty("--line", isRace ? `var(${runners[i].colour})` : "");
    }
    if (isRace) put(".policy .name", runners[0].name);
    put(".ghost .name", isRace ? runners[1].name : words.legend.ghost);
    put(".ghost strong", isRace ? fill(words.stands, pointTexts(endOf(runners[1]))) : "");
  }

  const hover = (name) => `${name}<br>${words.hover}<extra></extra>`;

  function trailTrace({ steps, x, y }, { colour }) {
    return {
      name: words.trail,
      text: steps.map((step) => fill(words.at_step, { step })),
      hovertemplate: hover("%{text}"),
      x,
      y,
      mode: "lines+markers",
      line: { color: colour("--policy"), width: 3 },
      marker: { size: 6 },
    };
  }

  // The measured mixtures, from the reference through the policy and beyond.
  function mixturesTrace(path, { colour }) {
    return {
      ...columns(path),
      text: path.map(({ share }) => fill(words.legend.mixture, { share })),
      hovertemplate: hover("%{text}"),
      mode: "lines+markers",
      line: { color: colour("--policy"), width: 2, dash: "dot" },
      marker: { size: 6, symbol: "circle-open" },
    };
  }

  function policyTrace(here, { colour }) {
    return {
      name: words.policy,
      hovertemplate: hover(words.policy),
      ...points(here),
      mode: "markers",
      marker: { size: 14, color: colour("--policy"), line: { width: 2, color: colour("--card") } },
    };
  }

  function showPoint(selector, point) {
    find(`.values ${selector}`).hidden = !point;
    if (point) put(`.values ${selector} strong`, fill(words.stands, pointTexts(point)));
  }

  // The picture in words, for screen readers.
  function alternative(target, aim, here, learned, drawn) {
    const parts = [words.title];
    if (aim) parts.push(fill(words.alternative.target, { beta: target.beta, ...pointTexts(aim) }));
    if (here) parts.push(fill(words.alternative.policy, pointTexts(here)));
    if (learned) parts.push(fill(words.alternative.learned, pointTexts(learned)));
    for (const { name, ...trail } of drawn?.trails ?? []) {
      parts.push(fill(words.alternative.named, { name: name.replace("<br>", ", "), ...pointTexts(endOf(trail)) }));
    }
    return parts.join(" ");
  }

  put("h2", words.title);
  explain(find(".help"), words.title, words.help);
  offerSaving(find("header"), plot, words.title, words.y, props.saving);
  ghost.dataset.tip = words.ghost_help;
  ghost.onclick = () => set({ ghostShown: !get().ghostShown });
  new ResizeObserver(() => second && draw(get(), true)).observe(plot); // the places of names depend on its size
  fitToBox(plot);
  drawInSight(plot);
  subscribe(element, ["run", "task", "method", "loss", "beta", "watchedBeta", "viewedStep", "target", "frontiers", "mixture", "ghost", "ghostShown", "race", "rivalTarget"], update);
  whenRecoloured(() => element.isConnected && draw(get(), true));
  const choose = () => set(props.value); // {task, method, loss}, as the controls say
  watch("value", choose);
  choose();
  update(get());
}

// The optimum of the reward that a run learned from, as its last evaluation measured it; or null.
export function learnedOptimum(run) {
  const [x, y] = ["kl", "above_reference"].map((name) => run?.series[`eval/learned_optimum_${name}`]?.y.at(-1));
  return x === undefined ? null : { x, y };
}

const aimOf = (target) => (target?.kl == null ? null : { x: target.kl, y: target.gain });

const points = (point) => (point ? { x: [point.x], y: [point.y] } : { x: [], y: [] });

const endOf = ({ x, y }) => ({ x: x.at(-1), y: y.at(-1) });

const columns = (path) => ({ x: path.map(({ x }) => x), y: path.map(({ y }) => y) });

const pointTexts = ({ x, y }) => ({ kl: number(x), gain: signed(y) });
