// The form of Try it and Score it; it shows the answers to the latest question only.
import { within } from "../core/dom.js";
import { runPicker } from "../core/run_picker.js";

const SLOW_MS = 400;

export function questionForm({ element, props, server }) {
  const { words } = props;
  const { find, put } = within(element);
  const picker = runPicker({ element, props, server });
  let latest = 0;
  let slow = null; // the timer of the pending question

  // Sends a question; resolves to its answers, or to null after errors or a later question.
  async function send(request, question) {
    const turn = ++latest;
    clearTimeout(slow);
    slow = setTimeout(setBusy, SLOW_MS, true); // answers to a slider come sooner, so nothing flickers
    const lost = { answers: [], errors: [words.lost] };
    const reply = await request(question).catch(() => lost);
    if (turn !== latest) return null;
    setBusy(false);
    picker.showErrors(reply.errors);
    return reply.errors.length ? null : reply.answers;
  }

  // Drops the pending question, which is about another task.
  function cancel() {
    latest += 1;
    setBusy(false);
    picker.showErrors([]);
  }

  function setBusy(busy) {
    clearTimeout(slow);
    picker.form.dataset.busy = busy;
    put("button", busy ? words.asking : words.ask);
    if (busy && !find(".answers").dataset.full) put(".answers", words.asking_help);
  }

  // Removes the old answers and returns their element.
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
