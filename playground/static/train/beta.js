// β on a logarithmic slider, as a number, and as a switch for β = 0. The target follows each move; a
// live run of the chosen task and method takes the value on release.
import { within } from "../core/dom.js";
import { betaAt, positionOf } from "../core/beta.js";
import { set, subscribe } from "../core/store.js";

export function mount({ element, props, watch, events }) {
  const { words, range } = props;
  const { find, put } = within(element);
  const slider = find("[type=range]");
  const number = find("[type=number]");
  const none = find("[type=checkbox]");
  let before = null; // β before the switch was turned

  function draw() {
    const beta = props.value;
    none.closest("label").hidden = !props.zero;
    none.checked = beta === 0;
    slider.disabled = number.disabled = none.checked;
    if (beta > 0) slider.value = positionOf(beta, range);
    if (number.value === "" || Number(number.value) !== beta) number.value = beta ?? "";
    slider.setAttribute("aria-valuetext", String(beta));
  }

  const isUsable = (beta) => beta !== null && beta >= 0;

  // The visitor moved β here.
  function move(beta) {
    props.value = beta;
    draw();
    set({ betaHeld: true, watchedBeta: null, ...(isUsable(beta) && { beta }) });
  }

  // Shows the server's β, and whether it may be 0.
  function adopt() {
    draw();
    if (isUsable(props.value)) set({ beta: props.value });
  }

  slider.oninput = () => move(betaAt(Number(slider.value), range));
  number.oninput = () => move(number.value === "" ? null : Number(number.value));
  none.onchange = () => {
    if (none.checked) before = props.value || before;
    move(none.checked ? 0 : (before ?? 1));
  };
  for (const input of [slider, number, none]) input.addEventListener("change", () => set({ betaHeld: false }));
  put(".label", words.beta);
  put(".info", words.beta_info);
  put(".zero span", words.beta_zero);
  slider.setAttribute("aria-label", words.beta);
  number.setAttribute("aria-label", words.beta);
  watch(["value", "zero"], adopt);
  adopt();
  subscribe(element, ["beta"], ({ beta }) => {
    if (beta === props.value) return;
    props.value = beta; // β was moved in another view
    draw();
  });
  subscribe(element, ["betaHeld"], ({ betaHeld }) => betaHeld || events.release());
}
