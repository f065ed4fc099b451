// The state that parts of the page share. It is frozen; only `set` changes it, by a new state.
let state = Object.freeze({
  run: null, // the run that is followed (run_log.js)
  standing: null, // the visitor's rights to it and their place in the queue (handlers/live_view.py)
  phase: "idle", // "lost", "recorded", "idle", "starting", or the status of the run
  wantedRun: null, // the name of a requested run whose events have not arrived yet
  task: null, // task, method, loss (null without a choice) and β of the controls
  method: null,
  loss: null,
  beta: null,
  betaHeld: false, // whether a slider of β is being dragged; a live run takes β on release
  station: null, // the open station of Learn
  prompt: 1, // the number of the prompt on the first screen, from 1
  preset: null, // the preset whose settings the run on the stage has
  watchedBeta: null, // β of another visitor's run, which the target follows until the visitor moves β
  race: null, // {name, pair}: the race (views/presets.py) that was chosen, and its two presets
  ghost: null, // the run whose trail is drawn beside the shown run's (train/ghost.js)
  ghostShown: true, // whether the visitor wants to see ghosts
  viewedStep: null, // the step shown; null for the newest
  story: null, // the number of the shown scene of the story, from 1; null while the story is closed
  own: null, // the visitor's own task (own/routes.py)
  target: null, // {pair, task, beta, sought, …}: the optimum that is sought at a β, and its texts
  rivalTarget: null, // the same for the second runner of a race, if it seeks another optimum
  mixture: null, // {share, beta, point, path, samples}: the run mixed with its reference (train/mixture.js)
  frontiers: Object.freeze({}), // pair (view.js) -> the frontier of its optimum; null if the server has none
});
const subscriptions = new Set();

export const get = () => state;

export function set(changes) {
  for (const key in changes) {
    if (!(key in state)) throw new Error(`expected a key of the state, got ${key}`);
  }
  const changed = Object.keys(changes).filter((key) => !Object.is(changes[key], state[key]));
  if (!changed.length) return;
  state = Object.freeze({ ...state, ...changes });
  for (const subscription of subscriptions) {
    if (!subscription.keys.some((key) => changed.includes(key))) continue;
    try {
      subscription.draw(state);
    } catch (error) {
      reportError(error); // the other parts are still drawn
    }
  }
}

// Calls `draw` with the state at each change of any of `keys`, as long as `element` is on the page.
export function subscribe(element, keys, draw) {
  for (const key of keys) {
    if (!(key in state)) throw new Error(`expected a key of the state, got ${key}`);
  }
  const subscription = {
    keys,
    draw(newest) {
      if (element.isConnected) draw(newest);
      else subscriptions.delete(subscription);
    },
  };
  subscriptions.add(subscription);
}

// Gradio's own snippets (`js=`) are not modules and cannot import: they, and the tests in a browser,
// read the state here.
Object.defineProperty(window, "playground", { get });
