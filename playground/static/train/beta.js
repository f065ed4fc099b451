// β on a logarithmic slider, as a number, and as a switch for none at all. Whoever moves it moves
// the target at once; a live run of the chosen task and method takes the value when the hand rests.
const words = props.words;
const [LOWEST, HIGHEST] = props.range;
const slider = find("[type=range]");
const number = find("[type=number]");
const none = find("[type=checkbox]");
let before = null;

// Two digits that count, as a hand can set them.
const rounded = (value) => Number(value.toPrecision(2));
const place = (beta) => Math.log(beta / LOWEST) / Math.log(HIGHEST / LOWEST);

function show() {
  const beta = props.value;
  none.closest("label").hidden = !props.zero;
  none.checked = beta === 0;
  slider.disabled = number.disabled = none.checked;
  if (beta > 0) slider.value = Math.min(1, Math.max(0, place(beta)));
  if (number.value === "" || Number(number.value) !== beta) number.value = beta ?? "";
  slider.setAttribute("aria-valuetext", String(beta));
  if (beta === null || !(beta >= 0)) return;
  page.beta = beta;
  page.tell("beta");
}

function set(beta) {
  props.value = beta;
  page.tell("hand");
  show();
}

slider.oninput = () => set(rounded(LOWEST * (HIGHEST / LOWEST) ** Number(slider.value)));
number.oninput = () => set(number.value === "" ? null : Number(number.value));
none.onchange = () => {
  if (none.checked) before = props.value || before;
  set(none.checked ? 0 : (before ?? 1));
};
for (const input of [slider, number, none]) input.addEventListener("change", () => trigger("release"));
put(".label", words.beta);
put(".info", words.beta_info);
put(".zero span", words.beta_zero);
slider.setAttribute("aria-label", words.beta);
number.setAttribute("aria-label", words.beta);
watch(["value", "zero"], show);
show();
