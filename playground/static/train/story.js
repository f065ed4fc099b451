// What else a run's curves say, below the pictures: there, it moves none of them.
const list = find(".story");

document.addEventListener("playground:story", ({ detail: sentences }) => {
  if (!element.isConnected || list.textContent === sentences.join("")) return;
  list.replaceChildren();
  for (const sentence of sentences) make("li", "", list, sentence);
});
