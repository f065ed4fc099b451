"""The Try it and Score it views with the embedded models and a real helper process."""

from __future__ import annotations

import math
import os
import signal

import pytest
from playwright.sync_api import expect

from align_core.config import model_index
from align_core.config.run_config import resolve
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from playground import text
from tests.browser.test_page import LONG
from tests.waiting import until

WORDS = text.load("en")
HOSTILE = "<img src=x onerror=window.hacked=1> ${1+1} {{value}} <script>window.hacked=1</script>"
RUN = "2026-01-02-030405-sft-capitals"


@pytest.fixture
def client(tmp_path):
    """One run whose model is a copy of the embedded pretrained one."""
    client = Client(tmp_path / "runs", training="tests.playground.scripted")
    client.preload()
    run = RunDirectory.create(client.root / RUN, resolve("sft", "capitals", model="sft-capitals"))
    run.append({"kind": "status", "step": 7, "seconds": 1, "status": "finished", "message": ""})
    run.close()
    run.model_path.symlink_to(model_index.ASSETS / "models" / "pretrained")
    yield client
    client.close()


@pytest.fixture
def page(visit, address):
    page = visit(address)
    # A view takes Train's task when that changes, as it may until the settings have arrived.
    page.wait_for_selector("body[data-settled]", state="attached")
    return page


def open_view(page, name, task="Capitals"):
    page.get_by_role("tab", name=WORDS["views"][name]).click()
    page.click(f"#{name} .tasks label:has-text('{task}')")


def share(text):
    """The number in "14%", "1 in 3,400" or "1 in 14B"."""
    if text.endswith("%"):
        return float(text[:-1]) / 100
    number = text.removeprefix("1 in ").replace(",", "")
    exponent = {"M": 6, "B": 9, "T": 12}.get(number[-1], 0)
    return 10**-exponent / float(number.rstrip("MBT"))


def score_it_shows_the_example_and_takes_an_answer(page, helper):
    open_view(page, "score")
    example = WORDS["score"]["examples"]["capitals"]
    page.wait_for_selector(f"#score .scored:has-text('{example['answers'][0]}')")
    texts = page.locator("#score .scored .completion").all_text_contents()
    assert texts == example["answers"]
    assert page.locator("#score .scored .gold strong").all_text_contents()[-1] == "+2.5"
    # The tokens' log-ratios add up to the shown sum (two decimals each).
    for row in page.locator("#score .scored:not(.heads)").all():
        tips = row.locator(".token").evaluate_all("all => all.map((one) => one.dataset.tip)")
        ratios = [float(tip.split(" nats")[0].replace("−", "-")) for tip in tips]
        shown = float(row.locator(".ratio strong").inner_text().replace("−", "-"))
        assert sum(ratios) == pytest.approx(shown, abs=0.005 * (len(ratios) + 1))
        # e to that power is the ratio of the two probabilities, which have two digits each.
        before, after = map(share, row.locator(".probabilities").inner_text().split(" → "))
        assert math.log(after / before) == pytest.approx(shown, abs=0.11)
    page.locator("#score .token").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.matches('.token:nth-of-type(2)')")

    page.fill("#score [name=own]", HOSTILE)
    page.click("#score button")
    page.wait_for_selector("#score .scored:has-text('onerror')")
    own = page.locator("#score .scored .completion").first
    expect(own).to_have_text(HOSTILE)
    assert page.locator("#score .answers :is(img, script)").count() == 0
    assert page.evaluate("window.hacked") is None

    os.kill(helper.pid(), signal.SIGSTOP)
    page.click("#score button")
    until(helper._lock.locked)  # the question has arrived; another helper would answer a later one
    os.kill(helper.pid(), signal.SIGKILL)
    page.wait_for_selector("#score .errors:has-text('was killed')")
    page.click("#score button")
    page.wait_for_selector("#score .errors:empty", state="attached")
    expect(own).to_have_text(HOSTILE)


def a_changed_run_is_listed_with_all_values_of_its_settings(page, root):
    """Dragging leaves many values; the first and the last are shown. Unchanged settings are not."""
    name = "2026-01-02-030406-dpo-capitals"
    run = RunDirectory.create(root / name, resolve("dpo", "capitals", beta=0.7, learning_rate=0.01))
    rates = [(step, {"learning_rate": 0.01 * step}) for step in (2, 3, 4)]
    for step, settings in [(1, {"beta": 0.2}), *rates]:
        run.append({"kind": "change", "step": step, "seconds": 1, "settings": settings})
    run.append({"kind": "status", "step": 7, "seconds": 1, "status": "finished", "message": ""})
    run.close()
    run.model_path.symlink_to(root / RUN / "model")
    rate = WORDS["try"]["run_learning_rate"].format(learning_rate="0.01 → … → 0.04")
    for view in ("score", "try", "rate"):  # a view lists runs when it is opened
        open_view(page, view)
        page.wait_for_selector(f"#{view} .models [value='{name}']", state="attached")
        offered = page.locator(f"#{view} .models label:has([value='{name}']) > span")
        expect(offered).to_have_text(f"DPO · β 0.7 → 0.2 · {rate}")
        plain = page.locator(f"#{view} .models label:has([value='{RUN}']) > span")
        expect(plain).to_have_text("SFT")


def try_it_shows_texts_side_by_side_and_train_continues(page):
    page.get_by_role("tab", name=WORDS["views"]["train"], exact=True).click()
    page.click("#controls label:has-text('DPO')")
    steps = resolve("dpo", "capitals").steps
    page.wait_for_function(f"document.querySelector('#field-steps input').value === '{steps}'")
    page.evaluate("window.settings.complete()")
    page.fill("#field-steps input", str(LONG))
    page.click("#run")
    page.wait_for_selector("#train[data-run=running]")
    open_view(page, "try")
    expect(page.locator("#try .models input:checked")).to_have_value(RUN)
    page.fill("#try [name=prompt]", HOSTILE)
    page.fill("#try [name=n]", "2")
    page.click("#try button")
    page.wait_for_selector("#try .answers .row")
    assert page.locator("#try .heads h2").all_text_contents() == ["Reference", "SFT"]
    # The fake's answers have no space of their own, so one stands after the prompt.
    assert page.locator("#try .answers .one .prompt").all_text_contents() == [f"{HOSTILE} "] * 4
    assert page.locator("#try .answers .one:not(.policy) .token").count() == 0
    assert page.locator("#try .answers .policy .token").count() > 0
    assert page.locator("#try .answers :is(img, script)").count() == 0
    assert page.evaluate("window.hacked") is None
    step = page.evaluate("window.playground.run.step")
    page.wait_for_function(f"window.playground.run.step > {step}")

    the_slider_mixes_a_run_with_its_reference(page)
    a_recorded_model_answers_beside_the_run(page)

    page.fill("#try [name=prompt]", " ")
    page.click("#try button")
    page.wait_for_selector("#try .errors:has-text('Your prompt must be a text')")


def the_slider_mixes_a_run_with_its_reference(page):
    """The seed stays: at λ = 0 the run writes the reference's texts, and at 1 its own again."""
    written = page.locator("#try .answers .policy .completion")
    own = written.all_text_contents()
    reference = page.locator("#try .answers .one:not(.policy) .completion").all_text_contents()
    assert own != reference
    page.fill("#try [name=share]", "0")
    expect(page.locator("#try .policy .aside")).to_have_text(WORDS["try"]["mix_reference"])
    assert written.all_text_contents() == reference
    page.fill("#try [name=share]", "1")
    expect(page.locator("#try .policy .aside")).to_have_text("")
    assert written.all_text_contents() == own


def a_recorded_model_answers_beside_the_run(page):
    name = WORDS["presets"]["cards"]["reward-hacking"]["name"]
    page.check("#try [value='recorded/reward-hacking']", force=True)
    page.click("#try button")
    expect(page.locator("#try .heads h2")).to_have_text(["Reference", "SFT", name])
    trained = page.locator("#try .heads .aside").last
    expect(trained).to_contain_text(WORDS["try"]["mix_trained"].format(trained=0.1))


def a_view_takes_the_task_of_train_when_that_changes_and_else_keeps_its_own(page):
    def choose(view, task):
        tasks = "#field-task" if view == "train" else f"#{view} .tasks"
        page.click(f"{tasks} label:has(input[value={task}])")

    def open_view(name):
        page.get_by_role("tab", name=WORDS["views"][name], exact=True).click()

    checked = page.locator("#score .tasks input:checked")
    open_view("score")
    expect(checked).to_have_value("capitals")  # the task of the run in Train
    choose("score", "reviews")
    open_view("train")
    open_view("score")
    expect(checked).to_have_value("reviews")
    open_view("train")
    choose("train", "reviews")
    page.wait_for_function("window.playground.task === 'reviews'")
    open_view("score")
    expect(checked).to_have_value("reviews")
    open_view("train")
    choose("train", "capitals")
    page.wait_for_function("window.playground.task === 'capitals'")
    open_view("score")
    expect(checked).to_have_value("capitals")
    example = WORDS["score"]["examples"]["capitals"]
    expect(page.locator("#score [name=prompt]")).to_have_value(example["prompt"])


def test_models_are_asked(page, serve, client):
    score_it_shows_the_example_and_takes_an_answer(page, serve.helpers[0])
    a_view_takes_the_task_of_train_when_that_changes_and_else_keeps_its_own(page)
    try_it_shows_texts_side_by_side_and_train_continues(page)
    a_changed_run_is_listed_with_all_values_of_its_settings(page, client.root)
