"""train/frontier.js: a frontier that is forgotten while the server computes it, and the square."""

from __future__ import annotations

from playground import text
from playground.views.train_templates import FRONTIER

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
    argument = {"template": FRONTIER, "words": english["frontier"], "saving": english["saving"]}
    known = script("train/frontier.js", FORGOTTEN, argument)
    assert known == [[], ["reviews sft-reviews"]]


SQUARES = """({ learnedTrace }, [words, points]) =>
  points.map((point) => learnedTrace(point, words, { colour: (name) => name, size: 10 }))"""


def test_the_square_is_the_optimum_of_the_learned_reward_at_the_last_evaluation(call, script):
    numbers = {"kl": [0.8, 0.9], "above_reference": [2.1, 2.2]}
    series = {f"eval/learned_optimum_{name}": {"y": values} for name, values in numbers.items()}
    square = call("train/frontier.js", "learnedOptimum", {"series": series})
    assert square == {"x": 0.9, "y": 2.2}
    assert call("train/frontier.js", "learnedOptimum", {"series": {}}) is None
    assert call("train/frontier.js", "learnedOptimum", None) is None
    words = text.load("en")["frontier"]
    drawn, none = script("charts/trade_off.js", SQUARES, [words, [square, None]])
    assert (drawn["x"], drawn["y"], drawn["text"]) == ([0.9], [2.2], [words["learned"]])
    assert drawn["marker"]["symbol"] == "square"
    assert (none["x"], none["y"], none["text"]) == ([], [], [])
