// The ghost: a second trail beside that of the shown run. It belongs to the run that was shown before, or to
// the recording with which the shown run is compared.
import { fold, isRecorded, recordingOf, startRun } from "../core/run_log.js";
import { set } from "../core/store.js";

const hasTrail = (run) => run?.series["eval/gain"] !== undefined;

// Keeps the ghost in the state. `server.trail(name)` has the whole trail of a recording.
export function ghosts(server) {
  let shown = null; // the newest state of the followed run
  let before = null; // the run before it that has a trail
  let compared = null; // the preset to which the followed run was compared last
  let wanted = null; // the promise of the newest recording
  const recordings = new Map(); // name -> the promise of its run

  const load = (name) => server.trail(name).then((sent) => sent && fold(startRun(sent), sent), () => null);

  // `rival` is the preset with which `run` is compared. The first run of a page has a ghost only in a race.
  return function follow(run, rival, races) {
    const isFirst = shown === null;
    const isSame = run?.name === shown?.name;
    if (!isSame && hasTrail(shown)) before = shown;
    shown = run;
    if (!run || (isSame && (!races || rival === compared)) || (isFirst && !races)) return;
    compared = rival;
    const next = ghostOf(run, before, rival);
    if (next === null || typeof next === "object") {
      wanted = null;
      set({ ghost: next });
    } else show(next);
  };

  async function show(name) {
    if (!recordings.has(name)) recordings.set(name, load(name));
    const recording = (wanted = recordings.get(name));
    const ghost = await recording;
    if (ghost === null) recordings.delete(name); // so that it is requested again
    if (wanted === recording) set({ ghost });
  }
}

// The ghost of `run`: the name of a recording, whose whole trail is then drawn; the run that was shown
// `before`; or null.
export function ghostOf(run, before, rival) {
  if (rival) return recordingOf(rival);
  if (!before || before.name === run.name) return null;
  return isRecorded(before) ? before.name : before;
}
