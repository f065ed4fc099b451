// Score it: the rewards of each answer, and its probability under a model.
import { make, within } from "../core/dom.js";
import { fill, number, oneIn, signed } from "../core/format.js";
import { makesPolicy } from "../core/records.js";
import { shadedText } from "../core/shaded_text.js";
import { questionForm } from "./question_form.js";

const MOST = 8; // answers that are scored together
const BASE = ""; // the option of the embedded SFT model, compared with the pretrained one
const MANY = 1000; // the largest ratio of probabilities that is shown as a number

export function mount({ element, props, server }) {
  const { words } = props;
  const { find, put } = within(element);
  const { form, chosenTask, reference, firstPrompt, listRuns, offerOne, runOption, send, cancel, clearAnswers, whenOpened } =
    questionForm({ element, props, server });
  const { addRewards, writeTokens } = shadedText(props.shading);
  let runs = [];
  let texts = [];
  let opened = 0;

  async function offerModels() {
    const listed = await listRuns();
    if (!listed) return;
    runs = listed;
    const base = reference()?.startsWith("sft-") ? [[BASE, words.base, words.base_details]] : [];
    offerOne("model", [...runs.map(runOption), ...base]);
  }

  async function ask() {
    const own = form.elements.own.value.trim();
    if (own && !texts.includes(own)) texts = [own, ...texts].slice(0, MOST);
    const run = runs.find(({ run }) => run === form.elements.model?.value);
    const question = {
      task: chosenTask(),
      model: run ? run.run : reference(),
      reference: run ? null : "pretrained",
      prompt: form.elements.prompt.value,
      completions: texts,
    };
    const answers = await send(server.score, question);
    if (answers) draw(answers, run === undefined || makesPolicy(run.method));
  }

  // `writes`: whether the model is a policy; a reward model has no probabilities.
  function draw(answers, writes) {
    const host = clearAnswers();
    make("p", "summary", host, writes ? words.examples[chosenTask()].explanation : words.no_policy);
    const heads = make("div", "scored heads", host);
    make("span", "", heads, words.answer);
    const ratio = make("span", "ratio", heads, writes ? words.ratio : "");
    if (writes) ratio.dataset.tip = words.ratio_help;
    for (const answer of answers) drawAnswer(make("div", "scored", host), answer, writes);
  }

  function drawAnswer(row, { completion, tokens, logp, ref_logp, ...rewards }, writes) {
    const text = make("p", "completion", row, completion);
    addRewards(make("div", "chips", row), rewards);
    const ratio = make("div", "ratio", row);
    if (!writes) return;
    ratio.dataset.name = words.ratio; // shown on narrow screens, which have no head
    writeTokens(text, tokens);
    text.firstChild.remove(); // the space between prompt and completion
    make("strong", "", ratio, signed(logp - ref_logp));
    make("small", "", ratio, comparison(logp - ref_logp));
    const probability = (logp) => oneIn(Math.exp(logp), words.one_in);
    const probabilities = { reference: probability(ref_logp), policy: probability(logp) };
    make("small", "probabilities", ratio, fill(words.probabilities, probabilities));
  }

  // "3.5 times as likely", from a log-ratio in nats.
  function comparison(logRatio) {
    const times = Math.exp(Math.abs(logRatio));
    if (times < 1.1) return words.as_likely;
    const shown = times > MANY ? fill(words.many, { n: MANY }) : number(times, times < 10 ? 1 : 0);
    return fill(logRatio > 0 ? words.likelier : words.unlikelier, { times: shown });
  }

  // Asks about the example of the task, unless another task was chosen meanwhile.
  async function openTask() {
    const turn = ++opened;
    cancel();
    const example = words.examples[chosenTask()];
    form.elements.prompt.value = firstPrompt(example.prompt);
    form.elements.own.value = "";
    texts = example.answers;
    delete find(".answers").dataset.full;
    await offerModels();
    if (turn !== opened) return;
    if (texts.length) return ask();
    make("p", "summary", clearAnswers(), example.explanation);
  }

  put(".line .own", words.own);
  form.onsubmit = (event) => {
    event.preventDefault();
    ask();
  };
  form.onchange = ({ target }) => {
    if (target.name === "task") openTask();
    if (target.name === "model") ask();
  };
  whenOpened(openTask, offerModels);
}
