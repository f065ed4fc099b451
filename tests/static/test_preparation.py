"""own/preparation.js: states whose answers come in another order."""

from __future__ import annotations

STATES = """async ({ preparation }) => {
  const element = document.createElement("div");
  element.innerHTML =
    `<button class="prepare"></button><button class="stop"></button>
     <div class="bar"><div></div></div><p class="stands"></p>`;
  const find = (selector) => element.querySelector(selector);
  const put = (selector, text) => (find(selector).textContent = text);
  const answers = [];
  const server = {
    preparation: () => new Promise((answer) => answers.push(answer)),
    prepare: async () => "",
  };
  preparation({ find, put, server, words: {}, finished() {} });
  find(".prepare").click();
  while (answers.length < 2) await new Promise((resume) => setTimeout(resume));
  answers[1]({ status: "running", sentence: "a half", done: 0.5 });
  answers[0]({ status: "none", sentence: "nothing yet", done: 0 });
  await new Promise((resume) => setTimeout(resume));
  return [find(".stands").textContent, find(".prepare").disabled, find(".stop").hidden];
}"""


def test_only_the_answer_to_the_last_look_counts(script):
    assert script("own/preparation.js", STATES) == ["a half", True, False]
