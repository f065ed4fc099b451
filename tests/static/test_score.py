"""ask/score.js: the example of the task that was chosen last."""

from __future__ import annotations

from playground import text
from playground.views.ask import _ANSWER, _ASK, _BUTTON, _PROMPT

# Opens the view, chooses another task before the runs are listed, and then gets both lists.
CHOICE = """async ({ mount }, { template, props }) => {
  const element = document.body.appendChild(document.createElement("div"));
  element.innerHTML = template;
  const [lists, asked] = [[], []];
  const server = {
    runs: () => new Promise((list) => lists.push(list)),
    score: async ({ task }) => (asked.push(task), { answers: [], errors: [] }),
  };
  const pause = () => new Promise((later) => setTimeout(later));
  mount({ element, props, server });
  while (lists.length < 1) await pause();
  element.querySelector("[value=capitals]").click();
  const after = [];
  for (const list of [...lists]) {
    list([]);
    await pause();
    after.push([...asked]);
  }
  element.remove();
  return after;
}"""


def test_only_the_task_that_was_chosen_last_is_asked_about(script):
    words = text.load("en")
    props = {
        "words": {**words["try"], **words["score"]},
        "shading": words["samples"] | words["shading"],
        "method_names": {},
        "task_names": {task: words["tasks"][task]["name"] for task in ("reviews", "capitals")},
        "first_task": "reviews",
    }
    template = _ASK.format(numbers="", lines=_PROMPT + _ANSWER + _BUTTON)
    outcome = script("ask/score.js", CHOICE, {"template": template, "props": props})
    assert outcome == [[], ["capitals"]]
