// The preparation of a visitor's own task: its place in the queue, its progress and its end.
const BUSY_MS = 700;

// `finished` is called at the end of a preparation that this page showed.
export function preparation({ find, put, server, words, finished }) {
  let live = false;
  let timer = null;
  let looks = 0;

  // Looks at the preparation; an answer that arrives after a newer look is dropped.
  async function look() {
    clearTimeout(timer);
    const number = ++looks;
    const state = await server.preparation().catch(() => null);
    if (number !== looks) return;
    if (state) draw(state);
    if (live) timer = setTimeout(look, BUSY_MS);
  }

  function draw({ status, sentence, done }) {
    const before = live;
    live = status === "running" || status === "waiting";
    find(".prepare").disabled = live;
    find(".stop").hidden = !live;
    find(".bar").hidden = status !== "running";
    find(".bar > div").style.transform = `scaleX(${done})`;
    put(".stands", live || before ? sentence : "");
    if (before && status === "finished") finished();
  }

  async function start() {
    const error = await server.prepare().catch(() => words.refused.lost);
    await look();
    if (error) put(".stands", error);
  }

  put(".prepare", words.prepare);
  put(".stop", words.stop);
  find(".prepare").dataset.tip = words.prepare_help;
  find(".prepare").onclick = start;
  find(".stop").onclick = () => server.stop_preparing().then(look, look);
  look();
}
