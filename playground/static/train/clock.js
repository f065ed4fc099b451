// The time of a run, from the press of Run on. A run that this page did not start, or finds again, is
// timed by its log.

export function runClock(now = () => performance.now()) {
  let name = null; // the run that is timed
  let zero = null; // the time of its start in ms; null if nothing is timed
  let pressed = false; // whether Run was pressed, and its run has not come yet
  let ended = null; // the whole time in s, once the run has ended

  return {
    press() {
      [zero, pressed, ended] = [now(), true, null];
    },
    // No run followed the press.
    release() {
      if (pressed) [name, zero, pressed] = [null, null, false];
    },
    // The page shows this run; `live` and `isOfPress` say whether it is live, and whether the press of Run
    // started it.
    follow(run, live, isOfPress) {
      if (run.name !== name && pressed && !isOfPress) return;
      if (run.name !== name) {
        if (!pressed) zero = now() - 1000 * run.seconds;
        [name, pressed, ended] = [run.name, false, live ? null : run.seconds];
      }
      if (!live) ended ??= (now() - zero) / 1000;
    },
    // The run's time in s; null if nothing is timed.
    seconds: () => ended ?? (zero === null ? null : (now() - zero) / 1000),
  };
}
