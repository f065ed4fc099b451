"""The page shows the texts of a task of code, and trains on the task."""

import pytest
from playwright.sync_api import expect

POEMS = """
class Poems:
    name, title = "poems", "Short words"
    explanation = "The model goes on with a line; people prefer a<b <i>c</i> ${1+1} {{d}}"
    max_new_tokens = 8
    reference = "sft-reviews"

    def prompts(self, split):
        return [f"The {word} of {split}" for word in ("film", "plot")]

    def reward(self, prompts, completions, **columns):
        return [4.0 - sum(map(len, text.split())) for text in completions]
"""


@pytest.fixture
def arguments(tmp_path):
    (tmp_path / "poems.py").write_text(POEMS)
    return ["--task", str(tmp_path / "poems.py")]


def test_a_named_task_is_offered_and_trained(real_app, visit):
    address, runs = real_app
    page = visit(address)
    page.wait_for_selector("body[data-settled]")
    expect(page.get_by_role("radio", name="Short words").first).to_be_checked()
    expect(page.locator("#field-method label:has-text('SFT')")).to_have_count(0)
    explanation = page.locator("#controls .explanation").first
    expect(explanation).to_contain_text("people prefer a<b <i>c</i> ${1+1} {{d}}")
    expect(page.locator("#frontier .chart")).to_be_hidden()
    for field, number in (("steps", 2), ("batch_size", 8)):
        page.fill(f"#field-{field} input[type=number]", str(number))
    page.click("#run")
    expect(page.locator("#live .state")).to_have_text("Finished")
    assert [run.name.split("-")[-1] for run in runs.iterdir()] == ["poems"]
    expect(page.locator("#live .progress")).to_contain_text("PPO on Short words, step 2 of 2")
    expect(page.locator("#samples .row").first).to_contain_text("of probe")
    expect(page.locator("#frontier .chart")).to_be_hidden()
    for view, name in (("compare", "Compare"), ("try", "Try it"), ("score", "Score it")):
        page.get_by_role("tab", name=name, exact=True).click()
        expect(page.locator(f"#{view} .tasks").get_by_label("Short words")).to_be_checked()
        expect(page.locator(f"#{view} .models label").first).to_contain_text("PPO")
        expect(page.locator(f"#{view} .errors li")).to_have_count(0)
    page.get_by_role("tab", name="Rate", exact=True).click()
    page.click("#rate .tasks label:has-text('Short words')")
    expect(page.locator("#rate .pair .prompt")).to_contain_text("of train")
    expect(page.locator("#rate .enough .bar")).to_be_hidden()
