// Whether the controls show the settings that were asked for last. Until they do, some of them may
// belong to another method: Run and links wait. Gradio's own snippets (`js=`) say what they ask for
// and when it has come.
{
  const awaited = new Set(["restore"]); // the handlers (handlers/train.py) whose answer is due
  window.settings = {
    ask(handler, values) {
      awaited.add(handler);
      return values;
    },
    have(handler) {
      awaited.delete(handler);
    },
    // A choice made while an answer was due is sent right after it, before any timer.
    async complete() {
      while (awaited.size) await new Promise((resume) => setTimeout(resume, 20));
    },
  };
}
