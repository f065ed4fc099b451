// A slider for each ended run, which mixes the policy with its reference by the share λ; the texts and the
// picture show the mixture.
import { listErrors, make, within } from "../core/dom.js";
import { fill, number, signed } from "../core/format.js";
import { latestOnly } from "../core/latest_only.js";
import { makesPolicy, methods } from "../core/records.js";
import { isMoving } from "../core/run_log.js";
import { label } from "./labels.js";

function canMix({ run }) {
  const { method } = run.config;
  return run.model && !isMoving(run) && run.status.name !== "failed" && makesPolicy(method) && methods[method].beta;
}

// `shownFrontier()` returns the frontier in the picture, null if there is none; `changed()` is called when
// the texts or the point of a run have changed.
export function mixing({ element, props, server }, shownFrontier, changed) {
  const { words, shares } = props;
  const { find, put } = within(element);
  const mixed = new Map(); // name of a run -> {share, answers: share -> the server's answer}
  let offered = "";

  // A slider for each run that can be mixed. It keeps its value as long as its run is chosen.
  function offer(runs) {
    const able = runs.filter(canMix);
    const names = able.map(({ run, letter }) => `${letter} ${run.name}`).join();
    if (names === offered) return;
    offered = names;
    for (const name of mixed.keys()) if (!able.some(({ run }) => run.name === name)) mixed.delete(name);
    find(".mixing").hidden = !able.length;
    find(".mixing div").replaceChildren();
    able.forEach(control);
  }

  function control(shown) {
    const { run } = shown;
    const mixture = mixed.get(run.name) ?? { share: 1, answers: new Map() };
    mixed.set(run.name, mixture);
    const row = make("label", "mix", find(".mixing div"));
    label(shown, row, "");
    const slider = Object.assign(make("input", "", row), { type: "range", min: 0, max: shares.at(-1), step: 0.25 });
    const output = make("output", "", row);
    const note = make("span", "aside", row);
    slider.value = mixture.share;

    const measure = latestOnly(async () => {
      const { share } = mixture;
      if (share === 0 || share === 1 || mixture.answers.has(share)) return;
      const reply = await server.mixture({ run: run.name, share }).catch(() => ({ errors: [words.lost] }));
      if (mixed.get(run.name) !== mixture) return;
      listErrors(find(".mixing .errors"), reply.errors);
      if (reply.errors.length) return;
      mixture.answers.set(share, reply.answers);
      show();
    });

    function write() {
      const { share } = mixture;
      output.textContent = number(share);
      slider.setAttribute("aria-valuetext", `${shown.letter}, ${fill(words.mix_value, { share })}`);
      note.textContent = sentence(mixture, run.config.beta);
    }

    function show() {
      write();
      changed();
    }

    slider.oninput = () => {
      mixture.share = slider.valueAsNumber;
      show();
      measure();
    };
    write();
  }

  function sentence({ share, answers }, trained) {
    if (share === 1) return words.as_trained;
    if (share === 0) return words.mix_reference;
    const answer = answers.get(share);
    if (!answer) return fill(words.measuring, { share });
    const { beta, trained: other } = answer;
    if (!beta) return fill(words.mix_without_beta, { share });
    const fullGain = shownFrontier()?.full_gain;
    const ends = other && fullGain && { gain: signed(other.gain * fullGain), kl: number(other.kl) };
    return [words.mix_at, ends ? words.trained_there : words.not_trained_there]
      .map((sentence) => fill(sentence, { share, beta, trained, ...ends }))
      .join(" ");
  }

  // The rows of texts of a run at its share, as charts.delta has them; undefined for the policy as trained.
  function rowsOf({ run }) {
    const { share = 1, answers } = mixed.get(run.name) ?? {};
    if (share === 0) return run.samples.at(-1)?.rows.map((row) => ({ ...row, policy: row.reference }));
    return answers?.get(share)?.rows;
  }

  // The measured point of a run at its share, {share, x: KL, y: gain}; null for the policy as trained.
  function pointOf({ run }) {
    const { share = 1, answers } = mixed.get(run.name) ?? {};
    if (share === 0) return { share, x: 0, y: 0 };
    const answer = answers?.get(share);
    return answer?.gain == null ? null : { share, x: answer.kl, y: answer.gain * shownFrontier().full_gain };
  }

  put(".mixing h2", words.mix);
  find(".mixing h2").dataset.tip = words.mix_help;
  return { offer, rowsOf, pointOf };
}
