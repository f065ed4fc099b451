// Whether the controls show the last requested settings. Until then some of them may belong to
// another method, so Run and links wait. Gradio's own snippets (`js=`) report each request and its
// answer.
{
  const awaited = new Set(["restore"]); // the handlers (handlers/train.py) that have not answered yet
  window.settings = {
    ask(handler, values) {
      awaited.add(handler);
      return values;
    },
    // The handler's answer has arrived, or none will: a refused choice leaves the controls as they
    // are. The first answer is to the page's address; after it, the controls can be used (layout.css).
    have(handler) {
      awaited.delete(handler);
      document.body.dataset.settled = true;
      this.changed();
    },
    // Some settings may have changed.
    changed() {
      document.dispatchEvent(new Event("settings"));
    },
    // Resolves once no handler is awaited. Gradio sends a choice that was made during a request right
    // after its answer, before this timer can see that none is awaited.
    async complete() {
      while (awaited.size) await new Promise((resume) => setTimeout(resume, 20));
    },
  };
}
