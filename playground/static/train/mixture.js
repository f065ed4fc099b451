// A slider for an ended run, which mixes the policy with its reference by the share λ. Each mixture is
// measured once, on the run's probe prompts; the picture and the texts show it.
import { listErrors, within } from "../core/dom.js";
import { fill, number, signed } from "../core/format.js";
import { latestOnly } from "../core/latest_only.js";
import { makesPolicy, methods } from "../core/records.js";
import { isMoving, isRecorded, samplesAt } from "../core/run_log.js";
import { get, set, subscribe } from "../core/store.js";
import { pairKey, runOnStage } from "../core/view.js";
import { trail } from "../charts/geometry.js";

export function mount({ element, props, server }) {
  const { words, shares, models } = props; // models: the recorded runs whose model is here
  const { find, put } = within(element);
  const slider = find("[type=range]");
  let mixed = null; // {run, frontier} whose mixtures are shown
  let answers = new Map(); // share -> the server's answer
  let beta = null; // of the controls

  // The ended run that may be mixed, as its picture shows it; null if there is none.
  function mixable({ frontiers, standing, viewedStep, ...state }) {
    const run = runOnStage(state);
    const frontier = run && frontiers[pairKey(run.config)];
    const known = frontier && methods[run.config.method].beta && trail(run, frontier).x.length > 0;
    const hasModel = run && (!isRecorded(run) || models.includes(run.name));
    const ended = hasModel && !isMoving(run) && run.status.name !== "failed" && standing?.files;
    return known && ended && viewedStep === null && makesPolicy(run.config.method) ? { run, frontier } : null;
  }

  // Another run, another step or another β of the controls ends the mixing.
  function follow(state) {
    const now = mixable(state);
    const same = now?.run.name === mixed?.run.name && state.beta === beta;
    if (now?.run.name !== mixed?.run.name) answers = new Map();
    [mixed, beta] = [now, state.beta];
    find("section").hidden = !now;
    if (same) return;
    slider.value = 1;
    listErrors(find(".errors"), []);
    put(".mixed", "");
    showShare();
    set({ mixture: null });
  }

  // Measures the mixture at the slider's share, then the others.
  const measure = latestOnly(async () => {
    const share = [slider.valueAsNumber, ...shares].find((share) => share !== 0 && share !== 1 && !answers.has(share));
    if (!mixed || share === undefined) return;
    const run = mixed.run.name;
    const reply = await server.mixture({ run, share }).catch(() => ({ errors: [words.lost] }));
    if (mixed?.run.name !== run) return;
    listErrors(find(".errors"), reply.errors);
    if (reply.errors.length) return;
    answers.set(share, reply.answers);
    show();
    measure();
  });

  function show() {
    const share = slider.valueAsNumber;
    const path = shares.filter((share) => pointAt(share)).map((share) => ({ share, ...pointAt(share) }));
    const point = pointAt(share);
    if (point) set({ mixture: { share, point, path, beta: answers.get(share)?.beta, samples: samplesOf(share) } });
    put(".mixed", point ? sentences(share) : fill(words.measuring, { share }));
  }

  // The point of a share, {x: KL, y: gain}, null if it is not measured yet.
  function pointAt(share) {
    const { run, frontier } = mixed;
    const { x, y } = trail(run, frontier);
    if (share === 0) return { x: 0, y: 0 };
    if (share === 1) return { x: x.at(-1), y: y.at(-1) };
    const answer = answers.get(share);
    return answer ? { x: answer.kl, y: answer.gain * frontier.full_gain } : null;
  }

  // The texts of the mixture; at share 1 they are the run's last ones.
  function samplesOf(share) {
    const { step, rows } = samplesAt(mixed.run, null);
    if (share === 1) return { step, share, rows };
    if (share === 0) return { step, share, rows: rows.map((row) => ({ ...row, policy: row.reference })) };
    return { step, share, rows: answers.get(share).rows };
  }

  function sentences(share) {
    if (share === 0) return words.mix_reference;
    const { beta, trained } = answers.get(share) ?? {};
    if (share === 1) return words.as_trained;
    if (!beta) return fill(words.mix_without_beta, { share });
    const ends = trained && { gain: signed(trained.gain * mixed.frontier.full_gain), kl: number(trained.kl) };
    const values = { share, beta, trained: mixed.run.config.beta, ...ends };
    return [words.mix_at, words.diamond, ends ? words.trained_there : words.not_trained_there]
      .map((sentence) => fill(sentence, values))
      .join(" ");
  }

  function showShare() {
    put("output", number(slider.valueAsNumber));
    slider.setAttribute("aria-valuetext", fill(words.mix_value, { share: slider.value }));
  }

  put("small", words.mix);
  find("small").dataset.tip = words.mix_help;
  slider.max = shares.at(-1);
  slider.oninput = () => {
    showShare();
    show();
    measure();
  };
  subscribe(element, ["run", "task", "viewedStep", "beta", "standing", "frontiers"], follow);
  follow(get());
}
