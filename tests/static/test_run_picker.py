"""core/run_picker.js: lists of runs whose answers arrive out of order."""

from __future__ import annotations

LISTS = """async ({ runPicker }) => {
  const element = document.createElement("div");
  element.innerHTML =
    `<form><fieldset class="tasks"><legend></legend></fieldset></form>
     <fieldset class="models"><legend></legend></fieldset><ul class="errors"></ul>`;
  const answers = {};
  const runs = (task) => new Promise((answer, fail) => (answers[task] = { answer, fail }));
  const props = {
    words: { task: "Task", models: "Models", lost: "No answer" },
    method_names: {},
    task_names: { reviews: "Reviews", capitals: "Capitals" },
    first_task: "reviews",
  };
  const picker = runPicker({ element, props, server: { runs } });
  const older = picker.listRuns();
  picker.form.elements.task.value = "capitals";
  const newer = picker.listRuns();
  answers.capitals.answer(["of capitals"]);
  const lists = [await newer];
  answers.reviews.fail();
  lists.push(await older);
  const errors = () => element.querySelector(".errors").textContent;
  const before = errors();
  const last = picker.listRuns();
  answers.capitals.fail();
  return [...lists, before, await last, errors()];
}"""


def test_only_the_answer_to_the_last_query_counts(script):
    assert script("core/run_picker.js", LISTS) == [["of capitals"], None, "", [], "No answer"]
