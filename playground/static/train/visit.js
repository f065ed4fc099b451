// Many visitors on one page: whose run is on the stage, who may steer it, and the line for the next.
const { words } = props;
const train = element.closest("#train");
let present = null; // whether the presenter's key was right, once the server has said so
let wish = null; // who else may see which run, as it was just chosen, until the server says the same

function draw() {
  if (!element.isConnected || !page.standing) return;
  const { own, steers, shared, other, free, place, wait, refused, presents, several, trial } = page.standing;
  const others = page.live() && page.run.name !== own;
  // visit.css shows the buttons that fit.
  train.dataset.turn = place ? "wait" : own ? "" : !free ? "join" : others ? "run" : "";
  train.dataset.steers = steers || !others;
  const waiting = place && page.fill(words.place, { n: place, wait });
  const theirs = !own && (others || other) && (free ? words.others_free : words.others);
  const failed = refused.length ? page.fill(words.refused, { why: refused.join("; ") }) : "";
  say(".line", waiting || failed || theirs || (trial ? words.trials[trial] : ""));
  find(".watch").hidden = !other || Boolean(own);
  find(".share").hidden = shared === null || !several;
  if (wish?.on === shared || wish?.run !== page.run?.name) wish = null;
  find(".share input").checked = wish?.on ?? shared;
  say(".presents", presents ? words.presents : present === false ? words.wrong_key : "");
}

function say(selector, text) {
  find(selector).hidden = !text;
  put(selector, text);
}

say(".limit", props.limit === null ? "" : page.fill(words.limit, { seconds: props.limit }));
put(".share span", words.share);
put(".watch", words.watch);
find(".watch").onclick = () => page.tell("watch", page.standing.other);
find(".share input").onchange = ({ target }) => {
  wish = { run: page.run.name, on: target.checked };
  server.share(wish).catch(() => (wish = null));
};
document.addEventListener("playground:standing", draw);
if (page.key) {
  server.enter(page.key).then((right) => {
    present = right;
    draw();
  });
  page.key = null;
}
