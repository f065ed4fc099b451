// The further trails in the frontier chart: a ghost's, or in a race those of both runners.
import { ghostOnStage, raceOnStage, runOnStage } from "../core/view.js";
import { trail } from "../charts/geometry.js";
import { WIDE, ghostTraces, namedTrail } from "../charts/trade_off.js";
import { placeNames } from "../charts/trail_names.js";
import { LOOKS } from "../compare/labels.js";
import { ghostName } from "./ghost_name.js";
import { raceAt, runnerNames } from "./race.js";

// {isRace, trails}: in a race the trails of both runners so far, otherwise the ghost's, each with its `name`;
// null if there is neither.
export function secondTrail(state, frontier, props) {
  const runs = raceOnStage(state);
  const race = runs && raceAt(runs, state.viewedStep, frontier);
  if (race) {
    const names = runnerNames(runs, state.race.name, props.races);
    return { isRace: true, trails: race.runners.map((runner, i) => ({ name: names[i], ...LOOKS[i], ...runner.trail })) };
  }
  const ghost = ghostOnStage(state);
  const drawn = ghost && trail(ghost, frontier);
  if (!drawn?.x.length) return null;
  return { isRace: false, trails: [{ name: ghostName(ghost, runOnStage(state), props.ghost), ...drawn }] };
}

// The traces of these trails among the `others` in the picture, with names where they cover little.
export function secondTraces({ isRace, trails }, others, layout, plot, remarks, words, look) {
  const drawn = isRace
    ? trails.map((runner) => namedTrail(runner.name, { ...runner, large: plot.clientWidth > WIDE }, words, look))
    : trails.map((ghost) => ghostTraces(ghost, lastInSight(ghost, layout), words, look));
  const lines = drawn.map(([line]) => line);
  placeNames(drawn.map(([, name]) => name), [...others, ...lines], layout, plot, remarks);
  return drawn.flat();
}

// The last point of a trail within the axes; a ghost does not widen them.
export function lastInSight({ x, y }, { xaxis, yaxis }) {
  const isIn = (value, [least, most]) => least <= value && value <= most;
  const last = x.findLastIndex((kl, i) => isIn(kl, xaxis.range) && isIn(y[i], yaxis.range));
  return { x: x[last], y: y[last] };
}
