// The picture of the trade in Train: the diamond is what β asks for, and the run a trail that grows
// towards it. Follows newest.js, plotting.js and trade.js.
const words = props.words;
const plot = find(".plot");
const { frontiers } = page;
const task = () => page.view()?.config.task ?? page.task;
// Another visitor's run takes the target along when it begins and when it is turned, until the
// visitor's own hand moves β.
let theirs = null;
const beta = () => (page.view() && theirs) ?? page.beta;
const missed = () => page.target?.task !== task() || page.target.beta !== beta();

const ask = newestLast(async () => {
  const asked = task();
  if (!(asked in frontiers)) frontiers[asked] = await server.frontier(asked); // null: there is none
  page.target = { task: asked, ...(await server.target({ task: asked, beta: beta() })) };
  page.reference = frontiers[asked]?.texts ?? null;
  draw();
  page.tell("target");
});

function draw() {
  if (!element.isConnected) return;
  const frontier = frontiers[task()];
  // Charts and texts take the room where no samples of the task's reference are stored.
  document.documentElement.classList.toggle("no-optimum", frontier === null);
  if (!frontier || typeof Plotly === "undefined") return;
  const style = getComputedStyle(element);
  const colour = (name) => style.getPropertyValue(name);
  const run = trail(page.view(), frontier);
  const target = page.target?.task === task() ? page.target : null;
  const newest = page.at === null ? run.steps.length - 1 : run.steps.findLastIndex((step) => step <= page.at);
  const here = run.steps.length ? { x: run.x[newest], y: run.y[newest] } : null;
  put(".values .target .name", page.fill(words.legend.target, { beta: target?.beta }));
  tell(".target", target?.kl == null ? null : { x: target.kl, y: target.gain });
  tell(".policy", here);
  const marks = target?.kl == null ? [] : [target];
  const aim = { x: marks.map(({ kl }) => kl), y: marks.map(({ gain }) => gain) };
  const name = (text) => ({ name: text, hovertemplate: `${text}<br>${words.hover}<extra></extra>` });
  const traces = [
    ...limits(frontier, words, colour),
    {
      text: run.steps.map((step) => page.fill(words.at_step, { step })),
      hovertemplate: `%{text}<br>${words.hover}<extra></extra>`,
      x: run.x,
      y: run.y,
      mode: "lines+markers",
      line: { color: colour("--policy"), width: 3 },
      marker: { size: 6 },
    },
    {
      ...name(page.fill(words.optimum, { beta: target?.beta })),
      ...aim,
      mode: "markers+text",
      text: marks.map(() => `β ${target.beta}`),
      textposition: target?.known ? "top left" : "bottom center",
      textfont: { size: fontSize(style) + 3, color: colour("--gold") },
      marker: target?.known
        ? { size: 17, symbol: "diamond", color: colour("--gold"), line: { width: 2, color: colour("--card") } }
        : { size: 15, symbol: "diamond-open", color: colour("--gold"), line: { width: 3 } },
    },
    {
      ...name(words.policy),
      x: here ? [here.x] : [],
      y: here ? [here.y] : [],
      mode: "markers",
      marker: { size: 14, color: colour("--policy"), line: { width: 2, color: colour("--card") } },
    },
  ];
  const remarks = [];
  if (here && here.x > WIDEST) remarks.push(page.fill(words.outside, told(here)));
  if (marks.some(({ known }) => !known)) remarks.push(words.unsure);
  put(".remarks", remarks.join("\n"));
  paint(plot, () => [traces, layout([run, aim], style)]);
  plot.setAttribute("aria-label", [alternative(target, here), ...remarks].join(" "));
}

function layout(drawn, style) {
  const { right, ...rest } = trade(frontiers[task()], drawn, words, style);
  return {
    ...rest,
    uirevision: `${page.view()?.name} ${task()} ${right > NARROWEST}`,
    datarevision: [page.run?.offset, page.target?.beta, page.at].join(),
  };
}

const told = ({ x, y }) => ({ kl: page.number(x), gain: page.signed(y) });

function tell(who, point) {
  find(`.values ${who}`).hidden = !point;
  if (point) put(`.values ${who} strong`, page.fill(words.stands, told(point)));
}

function alternative(target, here) {
  const parts = [words.title];
  if (target?.kl != null) parts.push(page.fill(words.alternative.target, { beta: target.beta, ...told({ x: target.kl, y: target.gain }) }));
  if (here) parts.push(page.fill(words.alternative.policy, told(here)));
  return parts.join(" ");
}

put(".values .policy .name", words.legend.policy);
put("h2", words.title);
explain(find(".help"), words.help);
sizes.observe(plot);
sights.observe(plot);
document.addEventListener("playground:hand", () => (theirs = null));
document.addEventListener("playground:beta", ask);
document.addEventListener("playground:view", () => (missed() ? ask() : draw()));
document.addEventListener("playground:run", ({ detail }) => {
  if (detail.config || detail.changes.length) {
    theirs = page.watching() ? page.settings(page.run, null).beta : null;
    ask();
  } else if (detail.void_after !== null || "eval/kl" in detail.points) draw();
});
whenRecoloured(draw);
function choose() {
  Object.assign(page, props.value);
  page.tell("view");
}
watch("value", choose);
choose();
