// One request at a time, and of those made meanwhile only the last: a slider asks faster than a
// server answers. `request` gets a function that says whether a newer one is waiting.
export function latestOnly(request) {
  let pending = false;
  let waiting = false;
  return async function next() {
    waiting = pending;
    if (pending) return;
    pending = true;
    try {
      await request(() => waiting);
    } finally {
      pending = false;
      if (waiting) next();
    }
  };
}
