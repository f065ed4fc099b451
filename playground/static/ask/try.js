// Try it: one prompt to the reference and to some runs; their texts side by side.
import { make, within } from "../core/dom.js";
import { fill } from "../core/format.js";
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
  let runs = [];
  let seed = 0;

  async function offerRuns() {
    const listed = await question.listRuns();
    if (!listed) return;
    runs = listed.filter((run) => makesPolicy(run.method));
    question.offerSeveral(runs, MOST, 1);
  }

  async function ask() {
    const query = {
      task: chosenTask(),
      models: [reference(), ...checkedRuns()].filter(Boolean),
      prompt: form.elements.prompt.value,
      n: form.elements.n.valueAsNumber,
      temperature: form.elements.temperature.valueAsNumber,
      seed: seed++,
    };
    const offered = new Map(runs.map((run) => [run.run, run]));
    const answers = await question.send(server.generate, query);
    if (answers) draw(query.prompt, answers, offered);
  }

  function draw(prompt, answers, offered) {
    const host = question.clearAnswers();
    host.style.setProperty("--columns", answers.length);
    const names = answers.map(({ model }) => {
      const run = offered.get(model);
      return run ? [runName(run), runDetails(run)] : [words.reference, ""];
    });
    const heads = make("div", "row heads", host);
    answers.forEach(({ samples }, i) => {
      const head = make("div", i ? "one policy" : "one", heads);
      make("h2", "", head, names[i][0]);
      make("small", "", head, names[i][1] || "\u00a0");
      const chips = make("div", "chips", head);
      const [gold_reward, proxy_reward] = ["gold_reward", "proxy_reward"].map((name) => mean(samples, name));
      addRewards(chips, { gold_reward, proxy_reward, judged: samples[0].judged });
      make("small", "", chips, fill(words.mean, { n: samples.length }));
    });
    answers[0].samples.forEach((_, place) => {
      const row = make("div", "row", host);
      answers.forEach(({ samples }, i) => {
        const box = make("div", i ? "one policy" : "one", row);
        make("small", "who", box, names[i].filter(Boolean).join(" · "));
        const sample = samples[place];
        const chips = writeText(box, prompt, { ...sample, text: sample.completion });
        if (!sample.ended) make("small", "", chips, words.unended);
      });
    });
  }

  async function openTask() {
    question.cancel();
    form.elements.prompt.value = question.firstPrompt(words.prompts[chosenTask()]);
    delete find(".answers").dataset.full;
    put(".answers", words.none);
    await offerRuns();
  }

  put(".numbers .n", words.n);
  put(".numbers .temperature", words.temperature);
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
