"""train/frontier.js: a frontier that is forgotten while the server computes it."""

from __future__ import annotations

from playground import text
from playground.views.train import _FRONTIER

# The state after each of the server's answers, which have no frontier.
FORGOTTEN = """async ({ mount }, { template, words, saving }) => {
  const { get, set } = await import("/core/store.js");
  const element = document.body.appendChild(document.createElement("div"));
  element.innerHTML = template;
  const answers = [];
  const server = {
    frontier: () => new Promise((answer) => answers.push(answer)),
    target: async () => ({ kl: null, gain: null, known: true }),
  };
  const value = { task: "reviews", method: "ppo" };
  set({ beta: 1 });
  mount({ element, props: { words, saving, value }, server, watch: () => {} });
  set({ frontiers: {}, target: null });
  const known = [];
  while (answers.length) {
    answers.shift()(null);
    await new Promise((later) => setTimeout(later));
    known.push(Object.keys(get().frontiers));
  }
  element.remove();
  return known;
}"""


def test_a_frontier_that_is_forgotten_during_its_request_is_requested_again(script, blank):
    blank.reload()
    english = text.load("en")
    argument = {"template": _FRONTIER, "words": english["frontier"], "saving": english["saving"]}
    known = script("train/frontier.js", FORGOTTEN, argument)
    assert known == [[], ["reviews sft-reviews"]]
