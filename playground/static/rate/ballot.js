// A rater's ballot, on the page for phones and in the Rate view: the pair to rate, and the votes.
// Every answer of the server is the whole ballot: {open, rated, undo, pair} (voting/routes.py).
const AGAIN_MS = 3000; // between two requests to a closed room or a lost server
const SETTLE_MS = 350; // a second tap within this time was meant for the former pair

// The browser stores its token for the server under `storageKey`. `about` has the requested task and
// model. `show` gets each ballot, `lost` a reason why there is none.
export function newBallot({ storageKey, about = {}, show, lost }) {
  let rater = { session: "", token: "" };
  let ballot = null;
  let asking = false;
  let left = false;
  let shown = 0;
  let timer = null;
  try {
    rater = JSON.parse(localStorage.getItem(storageKey)) ?? rater;
  } catch {
    // Storage is blocked, so a reload makes another rater.
  }

  function request(content) {
    const identity = { "X-Session": rater.session, "X-Rater": rater.token };
    const headers = { "Content-Type": "application/json", ...identity };
    return { method: "POST", headers, body: JSON.stringify(content) };
  }

  async function send(path, content) {
    const answer = await fetch(`vote/${path}`, request(content));
    return { status: answer.status, ...(await answer.json()) };
  }

  async function join() {
    const answer = await send("join", about);
    if (answer.status === 200) identify(answer);
    return answer;
  }

  function identify({ session, token }) {
    rater = { session, token };
    try {
      localStorage.setItem(storageKey, JSON.stringify(rater));
    } catch {
      // Storage is blocked, as above.
    }
  }

  // Sends one request at a time. An unknown rater (401) joins again; after a vote on another pair than the
  // ballot's (409), the ballot is requested again.
  async function ask(path, content = {}) {
    if (asking || left) return;
    asking = true;
    clearTimeout(timer);
    try {
      let answer = path === "join" ? await join() : await send(path, content);
      if (answer.status === 401) answer = await join();
      else if (answer.status === 409) answer = await send("pair", {});
      take(answer);
    } catch {
      lost("lost");
      timer = setTimeout(() => ask("join"), AGAIN_MS);
    }
    asking = false;
  }

  function take(answer) {
    if (left) return;
    if (answer.status !== 200) {
      lost(answer.why ?? "lost", answer.line);
      timer = setTimeout(() => ask("join"), AGAIN_MS);
      return;
    }
    if (answer.pair?.id !== ballot?.pair?.id) shown = performance.now();
    ballot = answer;
    show(ballot);
    // Jitter, so that the phones of a hall do not all ask at the same time.
    if (!ballot.pair) timer = setTimeout(() => ask("join"), AGAIN_MS * (1 + Math.random()));
  }

  const settled = () => performance.now() - shown > SETTLE_MS;
  return {
    join: () => ask("join"),
    cast: (choice) => ballot?.pair && settled() && ask("cast", { pair: ballot.pair.id, choice }),
    skip: () => ballot?.pair && settled() && ask("skip", { pair: ballot.pair.id }),
    undo: () => ballot?.undo && ask("undo"),
    leave: () => ((left = true), clearTimeout(timer)),
    rater: () => rater,
    request,
    send,
  };
}

const CHOICES = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "tie", ArrowDown: "bad" };
Object.assign(CHOICES, { 1: "left", 2: "right", 3: "tie", 4: "bad" });

// Votes on `ballot()` by keys, while `isShown()`.
export function listenForKeys(ballot, isShown) {
  document.addEventListener("keydown", (event) => {
    const elsewhere = event.target.closest("input, select, textarea, [role=tab]");
    if (!isShown() || elsewhere || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    if (CHOICES[event.key]) ballot().cast(CHOICES[event.key]);
    else if (event.key === "s") ballot().skip();
    else if (event.key === "u" || event.key === "Backspace") ballot().undo();
    else return;
    event.preventDefault();
  });
}
