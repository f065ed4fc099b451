// One question at a time, the newest last: a hand on a slider asks faster than a server answers.
// `ask` is told how to find out whether a newer question waits already.
function newestLast(ask) {
  let asking = false;
  let waits = false;
  return async function next() {
    waits = asking;
    if (asking) return;
    asking = true;
    try {
      await ask(() => waits);
    } finally {
      asking = false;
      if (waits) next();
    }
  };
}
