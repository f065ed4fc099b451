// The button on an ended run that measures both sides of J(π*) − J(π) = β·KL(π ‖ π*), each with texts
// of its own.
import { listErrors } from "../core/dom.js";
import { fill, number } from "../core/format.js";
import { settingsAt } from "../core/run_log.js";

// Returns a function to call with the ended run that is shown, undefined for none, and with the
// optimum that it seeks.
export function offerDistance({ find, put }, words, server) {
  const button = find(".measure");
  let shown;

  button.textContent = words.measure;
  button.dataset.tip = words.measure_help;
  button.onclick = async () => {
    const run = shown;
    button.disabled = true;
    put(".sides", words.measuring_sides);
    const reply = await server.distance({ model: run.name }).catch(() => ({ errors: [words.lost] }));
    if (shown !== run) return;
    button.disabled = false;
    button.hidden = !reply.errors.length;
    listErrors(find(".errors"), reply.errors);
    put(".sides", reply.errors.length ? "" : sidesText(reply.answers, words));
  };

  return (run, sought) => {
    shown = run;
    button.disabled = false;
    button.hidden = !run || sought !== "kl" || !settingsAt(run, null).beta;
    put(".sides", "");
  };
}

// The two sides, whether they agree, and the prompts that make up most of them.
export function sidesText({ gap, gap_ci95, kl, kl_ci95, prompts, count, share, named }, words) {
  const sides = { gap: number(gap), gap_width: number(gap_ci95), kl: number(kl), kl_width: number(kl_ci95) };
  const agree = Math.abs(gap - kl) <= Math.hypot(gap_ci95, kl_ci95);
  const most = { count, prompts, share: number(100 * share, 0), named: named.map((prompt) => `“${prompt}”`).join(", ") };
  const sentences = [words.sides, agree ? words.sides_agree : words.sides_differ];
  if (gap > gap_ci95) sentences.push(words.heaviest);
  return sentences.map((sentence) => fill(sentence, { ...sides, ...most })).join(" ");
}
