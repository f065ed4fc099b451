// What votes the run on the stage was trained on, and that Run would go without them. Such a run is
// begun in Rate, maybe later, from the line: when it comes, the controls take its settings.
const { words } = props;
let votes = null; // those of page.run, as provenance.py tells them
let opened = false; // the controls of a page that has just been opened are set already

function draw() {
  if (!element.isConnected) return;
  const told = page.view() ? votes : null;
  element.closest("#trained_on").hidden = !told;
  if (!told) return;
  const origin = { ...told, origin: words.origins[told.origin] };
  put(".learnt", [
    page.fill(told.through ? words.through : words.learnt, origin),
    told.cast && page.fill(words.cast, told),
    told.simulated && page.fill(words.simulated, told),
  ].filter(Boolean).join(" "));
  put(".again", [
    told.through ? words.again_through : words.again,
    told.elsewhere && words.elsewhere,
    words.rate,
  ].filter(Boolean).join(" "));
}

document.addEventListener("playground:run", ({ detail }) => {
  if (!detail.config) return;
  votes = detail.trained_on ?? null;
  draw();
  if (votes && opened && page.standing.shared !== null) {
    props.value = page.run.name;
    trigger("select");
  }
});
document.addEventListener("playground:standing", () => (opened = true));
document.addEventListener("playground:view", draw);
draw();
