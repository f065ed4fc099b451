// Rate: the visitor's session as a room for an audience, with its link, its share of disputed pairs
// and its tally. Simulated raters, who err as people do, can vote instead of an audience.
import { make, within } from "../core/dom.js";
import { fill, percent } from "../core/format.js";
import { latestOnly } from "../core/latest_only.js";
import { drawVotes } from "./vote_training.js";

const TALLY_MS = 1000;

// `session` is as in vote_training.js; `counted(tally)` gets each tally.
export function votingRoom({ element, props }, session, counted) {
  const { words } = props;
  const { find, put } = within(element);
  let timer = null;
  let answered = Promise.resolve(); // the last request to the room

  // Asks the server for the state of the room, or to change it: one request after the other, as an
  // older state must not be drawn over a newer one.
  function act(action, more = {}) {
    const ballot = session.ballot();
    const next = () => ask(ballot, action, more);
    return (answered = answered.then(next, next));
  }

  async function ask(ballot, action, more) {
    const room = ballot === session.ballot() && (await session.request("room", { action, ...more }));
    if (!room || ballot !== session.ballot()) return;
    if (action !== "look") session.showErrors([]);
    draw(room);
  }

  const look = () => act("look").then(count);

  // Deletes the session; a rater who joins afterwards starts another.
  async function remove() {
    if (!confirm(words.sure)) return;
    const ballot = session.ballot();
    if (!(await session.request("delete")) || ballot !== session.ballot()) return;
    await ballot.join();
    look();
  }

  // Draws {open, share, hosts, link, code}, the server's state of the room.
  function draw({ open, share, hosts, link, code }) {
    element.closest("#rate").dataset.room = open ? "open" : "closed";
    find(".hall").hidden = !open;
    find(".open").hidden = open || !hosts;
    find(".close").hidden = !open || !hosts;
    const state = open ? words.room_open : words.room_closed;
    const reach = link ? state : `${state} ${words.only_here}`;
    put(".room .state", hosts ? reach : words.refused.presenter);
    find(".share input").value = 100 * share;
    drawShare();
    const image = find(".invitation img");
    image.hidden = !code;
    if (code && image.getAttribute("src") !== code) image.src = code;
    image.alt = fill(words.code, { link });
    put(".invitation .link", link ?? words.only_here);
  }

  const drawShare = () => put(".share output", `${find(".share input").value}%`);

  const count = latestOnly(async () => {
    clearTimeout(timer);
    const ballot = session.ballot();
    if (element.offsetParent && !document.hidden && ballot?.rater().token) {
      const tally = await ballot.send("tally", {}).catch(() => null);
      if (ballot === session.ballot() && tally?.status === 200) drawTally(tally);
    }
    if (element.isConnected) timer = setTimeout(count, TALLY_MS);
  });

  function drawTally(tally) {
    const { enough = Infinity } = props.enough[session.task()] ?? {};
    const share = Math.min(1, tally.to_train / enough);
    find(".enough .bar > div").style.transform = `scaleX(${share})`;
    put(".enough .count", fill(share < 1 ? words.count : words.count_enough, { n: tally.to_train, enough }));
    put(".share .asks", words.asks[tally.asks]);
    const agreement = tally.agreement === null ? "–" : percent(tally.agreement);
    drawCounts({ votes: tally.votes, raters: tally.raters, agreement });
    drawDisputed(tally.disputed);
    counted(tally);
  }

  function drawCounts(counts) {
    const host = find(".counts");
    for (const [name, value] of Object.entries(counts)) {
      if (!find(`.counts .${name}`)) {
        const box = make("p", name, host);
        make("strong", "", box);
        make("span", "", box, words.counts[name]);
      }
      put(`.counts .${name} strong`, String(value));
    }
  }

  function drawDisputed(pair) {
    find(".disputed").hidden = !pair;
    if (!pair) return;
    put(".disputed .prompt", pair.prompt);
    drawVotes(find(".disputed .texts"), pair);
  }

  async function simulate() {
    session.showErrors([]);
    find(".simulate").disabled = true;
    const answer = await session.request("simulate", { crowd: find(".crowd select").value });
    find(".simulate").disabled = false;
    if (answer) count();
  }

  put(".share .name", words.share);
  put(".share .about", words.share_help);
  put(".room legend", words.room);
  put(".disputed h2", words.disputed);
  for (const name of ["open", "close", "save", "delete"]) put(`.room .${name}`, words.actions[name]);
  for (const name of ["open", "close"]) find(`.room .${name}`).onclick = () => act(name);
  find(".room .save").onclick = session.save;
  find(".room .delete").onclick = remove;
  find(".share input").oninput = drawShare;
  find(".share input").onchange = ({ target }) => act("draw", { share: target.value / 100 });
  put(".crowd label span", words.crowd);
  put(".simulate", fill(words.simulate, { n: props.simulated }));
  for (const name of props.crowds) make("option", "", find(".crowd select"), words.crowds[name]).value = name;
  find(".simulate").onclick = simulate;
  return { look };
}
