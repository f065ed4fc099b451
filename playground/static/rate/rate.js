// Rate: one's own session about a task and a model, and the room that it can be opened to. Follows
// ballot.js.
const TALLY_MS = 1000;

let runs = [];
let ballot = null;
let room = null; // {open, share, hosts, link, code}, once the server has said
let timer = null;

function chosenModel() {
  return form.elements.models?.value || reference();
}

async function offer() {
  runs = (await offeredRuns()).filter((run) => page.writes(run.method));
  const base = reference() ? [[reference(), words.reference]] : [];
  offerOne("models", [...base, ...runs.map(offerOf)]);
  begin();
}

function opened() {
  // The arrow keys of a tab that was clicked would not vote.
  document.activeElement?.matches("[role=tab]:not(:focus-visible)") && document.activeElement.blur();
  offer();
}

// The session about the task and the model that are chosen now.
function begin() {
  const asks = { task: chosenTask(), model: chosenModel() };
  const kept = `playground-rate-${asks.task}-${asks.model}`;
  if (ballot?.kept === kept) return;
  ballot?.leave();
  room = null;
  complain([]);
  const known = props.enough[asks.task];
  for (const part of [".enough .count", ".enough .bar", ".enough .reason", ".mixed"]) find(part).hidden = !known;
  if (known) put(".enough .reason", page.fill(words.reason, known));
  find(".pair").hidden = true;
  if (!asks.model) {
    ballot = null;
    return put(".message", words.no_runs);
  }
  put(".message", words.beginning);
  ballot = Object.assign(newBallot({ kept, asks, show, lost }), { kept });
  ballot.join().then(look);
}

function show({ open, undo, pair }) {
  complain([]);
  find(".pair").hidden = !pair;
  put(".message", pair ? "" : open ? words.all_rated : words.closed_here);
  find(".undo").disabled = !undo;
  for (const button of element.querySelectorAll("[data-choice]")) button.classList.remove("chosen");
  if (pair) {
    put(".ballot .prompt", pair.prompt);
    for (const side of ["left", "right"]) put(`[data-choice=${side}] span`, pair[side].trim());
  }
}

function lost(why, line = "") {
  complain([words.refused[why] ?? line]);
  for (const button of element.querySelectorAll("[data-choice]")) button.classList.remove("chosen");
}

// The room

async function act(action, more = {}) {
  const mine = ballot;
  const answer = await mine.send("room", { action, ...more }).catch(() => null);
  if (mine !== ballot || answer?.status === 401) return;
  if (answer?.status !== 200) return lost(answer?.why ?? "lost", answer?.line);
  room = answer;
  if (action !== "look") complain([]);
  drawRoom();
}

const look = () => act("look").then(tally);

// Takes the session off the disk; who then joins has begun another.
async function remove() {
  if (!confirm(words.sure)) return;
  const mine = ballot;
  const answer = await mine.send("delete", {}).catch(() => null);
  if (mine !== ballot) return;
  if (answer?.status !== 200) return lost(answer?.why ?? "lost", answer?.line);
  await mine.join();
  look();
}

function drawRoom() {
  element.closest("#rate").dataset.room = room.open ? "open" : "closed";
  find(".hall").hidden = !room.open;
  find(".open").hidden = room.open || !room.hosts;
  find(".close").hidden = !room.open || !room.hosts;
  const state = room.open ? words.room_open : words.room_closed;
  const told = room.link ? state : `${state} ${words.only_here}`;
  put(".room .state", room.hosts ? told : words.refused.presenter);
  find(".share input").value = 100 * room.share;
  drawShare();
  const image = find(".invitation img");
  image.hidden = !room.code;
  if (room.code && image.getAttribute("src") !== room.code) image.src = room.code;
  image.alt = page.fill(words.code, { link: room.link });
  put(".invitation .link", room.link ?? words.only_here);
}

function drawShare() {
  put(".share output", `${find(".share input").value}%`);
}

async function tally() {
  clearTimeout(timer);
  const mine = ballot;
  if (element.offsetParent && !document.hidden && ballot?.rater().token) {
    const answer = await mine.send("tally", {}).catch(() => null);
    if (mine === ballot && answer?.status === 200) drawTally(answer);
  }
  if (element.isConnected) timer = setTimeout(tally, TALLY_MS);
}

function drawTally(told) {
  const { enough = Infinity } = props.enough[chosenTask()] ?? {};
  const share = Math.min(1, told.to_train / enough);
  find(".enough .bar > div").style.transform = `scaleX(${share})`;
  put(".enough .count", page.fill(share < 1 ? words.count : words.count_enough, { n: told.to_train, enough }));
  const agreement = told.agreement === null ? "–" : page.percent(told.agreement);
  voted(told);
  put(".share .asks", words.asks[told.asks]);
  drawCounts({ votes: told.votes, raters: told.raters, agreement });
  drawDisputed(told.disputed);
}

function drawCounts(counts) {
  const host = find(".counts");
  host.replaceChildren();
  for (const [name, value] of Object.entries(counts)) {
    const one = make("p", name, host);
    make("strong", "", one, String(value));
    make("span", "", one, words.counts[name]);
  }
}

function drawDisputed(pair) {
  find(".disputed").hidden = !pair;
  if (!pair) return;
  put(".disputed .prompt", pair.prompt);
  drawVotes(find(".disputed .texts"), pair);
}

// Both texts of a pair, and how many chose each.
function drawVotes(host, pair) {
  host.replaceChildren();
  for (const side of ["first", "second"]) {
    const one = make("p", "", host);
    make("strong", "", one, String(pair[`for_${side}`]));
    make("span", "", one, pair[side].trim());
  }
}

put(".ballot .asked", words.asked);
put(".share .name", words.share);
put(".share .about", words.share_help);
put(".room legend", words.room);
put(".keys", words.keys);
put(".disputed h2", words.disputed);
put(".undo", words.undo);
put(".skip", words.skip);
for (const name of ["tie", "bad"]) put(`[data-choice=${name}]`, words[name]);
for (const name of ["left", "right"]) put(`[data-choice=${name}] small`, words[name]);
for (const name of ["open", "close", "delete"]) put(`.room .${name}`, words.actions[name]);
for (const name of ["open", "close"]) find(`.room .${name}`).onclick = () => act(name);
find(".room .delete").onclick = remove;
for (const button of element.querySelectorAll("[data-choice]")) {
  button.onclick = () => ballot.cast(button.dataset.choice) && button.classList.add("chosen");
}
find(".skip").onclick = () => ballot.skip();
find(".undo").onclick = () => ballot.undo();
find(".share input").oninput = drawShare;
find(".share input").onchange = ({ target }) => act("draw", { share: target.value / 100 });
listen(() => ballot, () => ballot && element.offsetParent);
