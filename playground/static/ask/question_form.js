// What Try it and Score it share: a question, and the answers to the latest one alone.
import { within } from "../core/dom.js";
import { runPicker } from "../core/run_picker.js";

export function questionForm({ element, props, server }) {
  const { words } = props;
  const { find, put } = within(element);
  const picker = runPicker({ element, props, server });
  let latest = 0;

  // Sends a question; the answers, or null where there were errors or a later question.
  async function send(request, question) {
    const turn = ++latest;
    setBusy(true);
    const lost = { answers: [], errors: [words.lost] };
    const reply = await request(question).catch(() => lost);
    if (turn !== latest) return null;
    setBusy(false);
    picker.showErrors(reply.errors);
    return reply.errors.length ? null : reply.answers;
  }

  // Whatever is still asked is about another task.
  function cancel() {
    latest += 1;
    setBusy(false);
    picker.showErrors([]);
  }

  function setBusy(busy) {
    picker.form.dataset.busy = busy;
    put("button", busy ? words.asking : words.ask);
    if (busy && !find(".answers").dataset.full) put(".answers", words.asking_help);
  }

  // The empty place for new answers.
  function clearAnswers() {
    const answers = find(".answers");
    answers.replaceChildren();
    answers.dataset.full = "yes";
    return answers;
  }

  put(".line .prompt", words.prompt);
  put(".scale span", words.scale);
  put("button", words.ask);
  return { ...picker, send, cancel, clearAnswers };
}
