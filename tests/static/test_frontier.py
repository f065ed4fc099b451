"""train/frontier.js: a frontier that is forgotten while the server computes it, and the square."""

from __future__ import annotations

import pytest

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


# The square at each of the points, and its name, on a picture of this width.
SQUARES = """({ learnedTraces }, { words, points, clientWidth }) => {
  const axes = { xaxis: { range: [0, 2] }, yaxis: { range: [-1, 3] } };
  const look = { colour: (name) => name, size: 10 };
  return points.map((point) => learnedTraces(point, axes, words, look, { clientWidth }));
}"""


def test_the_square_is_the_optimum_of_the_learned_reward_at_the_last_evaluation(call):
    numbers = {"kl": [0.8, 0.9], "above_reference": [2.1, 2.2]}
    series = {f"eval/learned_optimum_{name}": {"y": values} for name, values in numbers.items()}
    square = call("train/frontier.js", "learnedOptimum", {"series": series})
    assert square == {"x": 0.9, "y": 2.2}
    assert call("train/frontier.js", "learnedOptimum", {"series": {}}) is None
    assert call("train/frontier.js", "learnedOptimum", None) is None


def test_a_line_leads_from_the_square_to_its_name_on_the_side_that_has_room(script):
    """A tenth of the width, 2, beside it and a quarter of the height, 4, below it; in a narrow
    picture at 60% or 40% of the width."""
    words = text.load("en")["frontier"]
    points = [{"x": 0.9, "y": 2.2}, {"x": 1.5, "y": 2}]
    argument = {"words": words, "points": points, "clientWidth": 421}
    left, right = script("charts/trade_off.js", SQUARES, argument)
    assert left["mark"] | {"x": [0.9], "y": [2.2]} == left["mark"]
    assert left["name"]["x"] == pytest.approx([0.9 + 0.2, 0.9])
    assert left["name"]["y"] == pytest.approx([2.2 - 1, 2.2])
    assert left["name"]["text"] == [words["learned"]]
    assert left["name"]["textposition"] == "middle right"
    assert right["name"]["x"] == pytest.approx([1.5 - 0.2, 1.5])
    assert right["name"]["textposition"] == "middle left"
    narrow = script("charts/trade_off.js", SQUARES, argument | {"clientWidth": 420})
    assert [one["name"]["x"][0] for one in narrow] == pytest.approx([1.2, 0.8])
    assert {one["name"]["textposition"] for one in narrow} == {"bottom center"}
