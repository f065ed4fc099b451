// Try it: one prompt to the reference and to some runs; their texts side by side. A slider mixes the
// runs with their reference.
import { make, within } from "../core/dom.js";
import { fill, number, signed } from "../core/format.js";
import { latestOnly } from "../core/latest_only.js";
import { makesPolicy } from "../core/records.js";
import { shadedText } from "../core/shaded_text.js";
import { questionForm } from "./question_form.js";

const MOST = 3; // runs beside the reference

export function mount({ element, props, server }) {
  const { words } = props;
  const { find, put } = within(element);
  const question = questionForm({ element, props, server });
  const { form, chosenTask, reference, runName, runDetails, checkedRuns } = question;
  const { addRewards, writeText } = shadedText(props.shading);
  const share = form.elements.share;
  let runs = [];
  let seed = 0;
  let shownQuery = null; // the query whose answers are shown
  let ofReference = []; // the reference's answer to it, which no share changes

  async function offerRuns() {
    const listed = await question.listRuns();
    if (!listed) return;
    runs = listed.filter((run) => makesPolicy(run.method));
    question.offerSeveral(runs, MOST, 1);
  }

  function ask() {
    shownQuery = {
      task: chosenTask(),
      models: [reference(), ...checkedRuns()].filter(Boolean),
      prompt: form.elements.prompt.value,
      n: form.elements.n.valueAsNumber,
      temperature: form.elements.temperature.valueAsNumber,
      seed: seed++,
    };
    ofReference = [];
    write();
  }

  // Requests the texts at the slider's share, with the same seed. If the slider moves while a request is
  // pending, only its newest share is requested afterwards.
  const write = latestOnly(async () => {
    if (!shownQuery) return;
    const [query, realign] = [shownQuery, share.valueAsNumber];
    const offered = new Map(runs.map((run) => [run.run, run]));
    const models = query.models.slice(ofReference.length);
    const answers = await question.send(server.generate, { ...query, models, realign });
    if (!answers || query !== shownQuery) return;
    const all = [...ofReference, ...answers];
    ofReference = all.slice(0, 1);
    find(".mix").hidden = all.length === 1;
    draw(query.prompt, all, offered, realign);
  });

  function draw(prompt, answers, offered, realign) {
    const host = question.clearAnswers();
    host.style.setProperty("--columns", answers.length);
    const names = answers.map(({ model }) => {
      const run = offered.get(model);
      return run ? [runName(run), runDetails(run)] : [words.reference, ""];
    });
    const heads = make("div", "row heads", host);
    answers.forEach(({ samples, optimum }, i) => {
      const head = make("div", i ? "one policy" : "one", heads);
      make("h2", "", head, names[i][0]);
      make("small", "", head, names[i][1] || "\u00a0");
      const chips = make("div", "chips", head);
      const [gold_reward, proxy_reward] = ["gold_reward", "proxy_reward"].map((name) => mean(samples, name));
      addRewards(chips, { gold_reward, proxy_reward, judged: samples[0].judged });
      make("small", "", chips, fill(words.mean, { n: samples.length }));
      if (i) make("small", "aside", head, mixtureText(realign, optimum));
    });
    answers[0].samples.forEach((_, index) => {
      const row = make("div", "row", host);
      answers.forEach(({ samples }, i) => {
        const box = make("div", i ? "one policy" : "one", row);
        make("small", "who", box, names[i].filter(Boolean).join(" · "));
        const sample = samples[index];
        const chips = writeText(box, prompt, { ...sample, text: sample.completion });
        if (!sample.ended) make("small", "", chips, words.unended);
      });
    });
  }

  // Sentences on the β that corresponds to a share, and on the optimum at that β.
  function mixtureText(share, optimum) {
    if (share === 0) return words.mix_reference;
    if (!optimum) return share === 1 ? "" : fill(words.mix_without_beta, { share });
    const { gain, kl, known } = optimum;
    const values = { ...optimum, share, gain: signed(gain), kl: number(kl) };
    const sentences = [share === 1 ? words.mix_trained : words.mix_at, known ? words.mix_optimum : words.mix_unsure];
    return sentences.map((sentence) => fill(sentence, values)).join(" ");
  }

  function showShare() {
    put(".mix output", number(share.valueAsNumber));
    share.setAttribute("aria-valuetext", fill(words.mix_value, { share: number(share.valueAsNumber) }));
  }

  async function openTask() {
    shownQuery = null;
    find(".mix").hidden = true;
    question.cancel();
    form.elements.prompt.value = question.firstPrompt(words.prompts[chosenTask()]);
    delete find(".answers").dataset.full;
    put(".answers", words.none);
    await offerRuns();
  }

  put(".numbers .n", words.n);
  put(".numbers .temperature", words.temperature);
  put(".mix small", words.mix);
  find(".mix small").dataset.tip = words.mix_help;
  share.oninput = () => {
    showShare();
    write();
  };
  showShare();
  form.onsubmit = (event) => {
    event.preventDefault();
    ask();
  };
  form.onchange = ({ target }) => {
    if (target.name === "task") openTask();
    if (target.name === "models") question.limit(MOST);
  };
  question.whenOpened(openTask, offerRuns);
}

// The mean of a reward over samples; null if a sample lacks it.
function mean(samples, reward) {
  if (samples.some((sample) => sample[reward] === null)) return null;
  return samples.reduce((sum, sample) => sum + sample[reward], 0) / samples.length;
}
