// Numbers and sentences as the page writes them.

// A number with a true minus sign; a rounded zero has none.
export function number(value, digits = 2) {
  return value.toFixed(digits).replace(/^-(?=.*[1-9])/, "−").replace("-", "");
}

export function signed(value, digits = 2) {
  const text = number(value, digits);
  return text.startsWith("−") || Number(text) === 0 ? text : "+" + text;
}

export const percent = (share, digits = 0) => number(100 * share, digits) + "%";

// A duration as on a clock, "1:07".
export function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

// A percentage with enough digits to tell small probabilities apart.
export function probability(share) {
  if (share < 1e-4) return "<" + percent(1e-4, 2);
  return percent(share, share < 0.1 ? 2 : 0);
}

const MAX_NAMED = 1e15; // 1000T, the end of the compact notation's letters
const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";

// A share as a percentage; below 1% from the words "1 in {n}": "1 in 3,400", or "1 in 10²⁶" if it is tiny.
export function oneIn(share, words) {
  if (share >= 0.01) return percent(share, share < 0.1 ? 1 : 0);
  if (share > 0 && share < 1 / MAX_NAMED) {
    const exponent = String(Math.round(-Math.log10(share)));
    return fill(words, { n: `10${exponent.replace(/\d/g, (digit) => RAISED[digit])}` });
  }
  const notation = share > 1e-6 ? "standard" : "compact"; // 3,400 and 14B
  return fill(words, { n: (1 / share).toLocaleString("en", { notation, maximumSignificantDigits: 2 }) });
}

export function fill(template, values) {
  return template.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// A prompt as it is shown before its text: with a space if neither has one, as before an answer to a question.
export function beforeText(prompt, text) {
  return /^\S/.test(text) && /\S$/.test(prompt) ? `${prompt} ` : prompt;
}

// The values of a setting, [[step, value], …] (histories.py), as in a run's name: "0.7 → 0.2".
export function settingValues(history) {
  const values = history.map(([, value]) => value);
  return (values.length > 3 ? [values[0], "…", values.at(-1)] : values).join(" → ");
}

// A sentence on a run, whose {beta} and {learning_rate} become all values of these settings.
export function fillRun(template, run) {
  const [beta, learning_rate] = [run.beta, run.learning_rate].map(settingValues);
  return fill(template, { ...run, beta, learning_rate });
}
