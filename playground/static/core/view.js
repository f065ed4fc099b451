// Selectors of the state (store.js): the run, task, optimum and β that the page shows.
import { methods, tasks } from "./records.js";
import { isLive, recordingOf, samplesAt, valueAt } from "./run_log.js";

// The shown run: a live run always; an ended one if its task is chosen or is not offered here.
export function runOnStage({ run, task }) {
  const shown = isLive(run) || run?.config.task === task || !(run?.config.task in tasks);
  return shown ? run : null;
}

export const taskOnStage = (state) => runOnStage(state)?.config.task ?? state.task;

// {task, model} of the shown optimum: the run's; if no run is shown, the chosen task and its reference.
export function pairOnStage(state) {
  const reference = tasks[state.task]?.reference ?? (state.task === "own" ? state.own?.model : undefined);
  const { task, model } = runOnStage(state)?.config ?? { task: state.task, model: reference };
  return { task, model };
}

// The optimum (`Method.optimum`) that the shown run seeks; if no run is shown, that the chosen method seeks.
export const soughtOnStage = (state) => soughtBy(runOnStage(state)?.config ?? state);

function soughtBy({ method, loss }) {
  const { optimum, optima } = methods[method] ?? {};
  return optima?.[loss] ?? optimum;
}

// The key of a task and a model in the state's `frontiers`.
export const pairKey = ({ task, model }) => `${task} ${model}`;

// Whether the run is another visitor's, and live.
export const isWatching = ({ run, standing }) => isLive(run) && run.name !== standing.own;

// The β of the target.
export const betaOnStage = (state) => state.mixture?.beta ?? (runOnStage(state) && state.watchedBeta) ?? state.beta;

// The ghost beside the shown run; null if their tasks or initial models differ, and so their frontiers.
export function ghostOnStage(state) {
  const { ghost } = state;
  const shown = runOnStage(state);
  const fits = ghost && shown && ghost.name !== shown.name && pairKey(ghost.config) === pairKey(shown.config);
  return fits ? ghost : null;
}

// The two runs of the chosen race, once they are the shown run and the ghost; otherwise null.
export function raceOnStage(state) {
  const runs = [runOnStage(state), ghostOnStage(state)];
  return state.race?.pair.every((preset, i) => runs[i]?.name === recordingOf(preset)) ? runs : null;
}

// {beta, sought}: the optimum that the second runner of a race seeks; null if it is the first one's.
export function rivalAim(state) {
  const [one, other] = (raceOnStage(state) ?? []).map(({ config }) => ({ beta: config.beta, sought: soughtBy(config) }));
  return !other || (one.beta === other.beta && one.sought === other.sought) ? null : other;
}

// The optimum for `rivalAim`, once the server has answered; otherwise null.
export function rivalTargetOnStage(state) {
  const { rivalTarget } = state;
  const aim = rivalAim(state);
  const isFor = (key) => rivalTarget[key] === aim[key];
  const fits = aim && rivalTarget?.pair === pairKey(pairOnStage(state)) && isFor("beta") && isFor("sought");
  return fits ? rivalTarget : null;
}

// The texts of the shown step or mixture; null if no run is shown.
export const samplesOnStage = (state) => state.mixture?.samples ?? samplesAt(runOnStage(state), state.viewedStep);

// The run's gain in gold reward over its reference at a step, in nats. If the frontier chart shows
// the run, the gain is the one drawn there.
export function gainAt({ config, series }, step, frontiers) {
  const share = valueAt(series["eval/gain"], step);
  const { reference, full_gain } = frontiers[pairKey(config)] ?? {};
  if (share !== undefined && full_gain && config.model === reference) return share * full_gain;
  return valueAt(series["eval/gold_reward"], step) - valueAt(series["eval/gold_reward_reference"], step);
}

// The phase that is shown: "idle" while the followed run is not on the stage.
export function phaseOnStage(state) {
  const { phase } = state;
  return runOnStage(state) || phase === "starting" || phase === "lost" ? phase : "idle";
}

// The message of the run's status, or ""; a live run's message is shown until its first phase.
export const messageOf = (run) => (isLive(run) && run.phase ? "" : (run?.status.message ?? ""));

// The sentences on a run: the first is its headline. Those on its curves are about the newest step.
export function sentencesOn(run, step) {
  const others = step === null ? (run?.summary?.sentences ?? []).map(([, sentence]) => sentence) : [];
  const first = messageOf(run) || others.shift();
  return { first, others };
}
