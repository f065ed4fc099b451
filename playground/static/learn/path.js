// The path from SFT to the optimum as a picture: its stations open by a click or the arrow keys.
const SVG = "http://www.w3.org/2000/svg";
// The centres of the stations' boxes, and the arrows to and from the methods on rollouts: for a row, and
// for a column on a phone, where these methods stand below each other.
const LYING = {
  size: [1340, 222],
  box: [208, 64],
  at: {
    sft: [106, 72], preferences: [376, 72], reward: [646, 72], ppo: [910, 34], groups: [910, 110],
    dpo: [646, 188], limited: [376, 188], optimum: [1234, 136],
  },
  rollouts: [["reward", "ppo"], ["ppo", "optimum"], ["reward", "groups"], ["groups", "optimum"]],
};
const UPRIGHT = {
  size: [360, 604],
  box: [164, 68],
  at: {
    sft: [90, 42], preferences: [90, 146], reward: [90, 250], ppo: [90, 354], groups: [90, 458],
    dpo: [270, 250], limited: [270, 146], optimum: [180, 562],
  },
  rollouts: [["reward", "ppo"], ["ppo", "groups"], ["groups", "optimum"]],
};
const EDGES = [
  ["sft", "preferences"], ["preferences", "reward"], ["preferences", "dpo"], ["dpo", "optimum"],
  ["preferences", "limited"],
];

function draw(tag, host, attributes, text = "") {
  const made = host.appendChild(document.createElementNS(SVG, tag));
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

// A curve that leaves one box and enters the next along the direction of the whole path, or across it
// if they stand side by side.
function curve({ box, at }, from, to, upright) {
  const [a, b] = [[...at[from]], [...at[to]]];
  const forward = upright ? 1 : 0;
  const along = a[forward] === b[forward] ? 1 - forward : forward;
  a[along] += box[along] / 2 + 4;
  b[along] -= box[along] / 2 + 9;
  const [p, q] = [[...a], [...b]];
  p[along] = q[along] = (a[along] + b[along]) / 2;
  return `M${a} C${p} ${q} ${b}`;
}

// Draws the path into `host`; `names` has {name, short} of each station. A choice calls
// `open(station)`.
export function drawPath(host, names, label, upright, open) {
  const plan = upright ? UPRIGHT : LYING;
  const [width, height] = plan.size;
  host.replaceChildren();
  const picture = draw("svg", host, { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": label });
  const marker = draw("marker", draw("defs", picture, {}), {
    id: "learn-arrow", viewBox: "0 0 8 8", refX: 2, refY: 4, markerWidth: 5, markerHeight: 5, orient: "auto",
  });
  draw("path", marker, { d: "M0 0 L8 4 L0 8 Z", class: "head" });
  for (const [from, to] of [...EDGES, ...plan.rollouts]) {
    const shortcut = from === "dpo" || to === "dpo";
    const d = curve(plan, from, to, upright);
    draw("path", picture, { d, class: shortcut ? "way shortcut" : "way", "marker-end": "url(#learn-arrow)" });
  }
  const stations = Object.entries(plan.at).map(([station, [x, y]]) => {
    const [w, h] = plan.box;
    const group = draw("g", picture, { class: "station", role: "button", tabindex: 0 });
    group.dataset.station = station;
    draw("rect", group, { x: x - w / 2, y: y - h / 2, width: w, height: h, rx: 14 });
    draw("text", group, { x, y: y - 5, class: "name" }, names[station].name);
    draw("text", group, { x, y: y + 18, class: "short" }, names[station].short);
    group.setAttribute("aria-label", `${names[station].name}: ${names[station].short}`);
    group.onclick = () => open(station);
    return group;
  });
  picture.onkeydown = (event) => {
    const index = stations.indexOf(event.target);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) stations[index + step]?.focus();
    else if (event.key === "Enter" || event.key === " ") open(event.target.dataset.station);
    else return;
    event.preventDefault();
  };
}

export function markStation(host, open) {
  for (const group of host.querySelectorAll(".station")) {
    group.setAttribute("aria-pressed", group.dataset.station === open);
  }
}
