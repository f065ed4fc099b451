// A row of presets. The one that is chosen fills the settings and plays its recorded run. As long
// as the stage shows a run of these very settings, what to watch stands below, and at the end what
// it shows.
const { words, cards } = props;
const chips = {};

function build() {
  put(".title", words.title);
  for (const name of Object.keys(words.cards).filter((name) => name in cards)) {
    const item = make("li", "", find("ul"));
    const chip = make("button", "", item, words.cards[name].name);
    const card = make("dl", "card", item);
    card.id = `preset-${name}`;
    for (const part of ["aim", "watch", "shows"]) {
      make("dt", "", card, words[part]);
      make("dd", "", card, words.cards[name][part]);
    }
    chip.type = "button";
    chip.setAttribute("aria-describedby", card.id);
    chip.onclick = () => {
      props.value = name;
      trigger("select");
    };
    chips[name] = chip;
  }
}

// The preset whose settings are those of the run on the stage, seed and all. A run whose settings
// were turned is no preset's any more.
function shown() {
  const run = page.view();
  if (!run || run.changes.length) return undefined;
  const alike = (other) => Object.keys(other).every((key) => other[key] === run.config[key]);
  return Object.keys(chips).find((name) => alike(cards[name].config));
}

function draw() {
  if (!element.isConnected) return;
  const name = shown();
  for (const [other, chip] of Object.entries(chips)) {
    chip.setAttribute("aria-pressed", String(other === name));
    chip.disabled = page.live() && page.run.name === page.standing.own;
  }
  const part = page.run?.status.name === "finished" ? "shows" : "watch"; // a run that was cut off shows nothing
  put(".part", name ? words[part] : "");
  put(".told", name ? words.cards[name][part] : "");
  const origin = name && page.recorded() ? page.fill(words.recorded, { ...cards[name], speed: props.speed }) : "";
  put(".origin", origin);
  find(".origin").title = origin; // where the line has no room for all of it
}

build();
for (const news of ["run", "view", "standing"]) document.addEventListener(`playground:${news}`, draw);
draw();
