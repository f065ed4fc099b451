// Sends one request at a time, and then only the newest of those that came meanwhile, because a slider moves
// faster than a server answers. `request` gets a function that returns whether a newer one is waiting.
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
