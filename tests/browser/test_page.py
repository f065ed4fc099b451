"""The page in a browser: what visitors do and see."""

from __future__ import annotations

import os
import signal
import threading

from playwright.sync_api import expect

from align_core.config.run_config import resolve
from playground import text
from tests.playground.scripted import HOSTILE, PROMPTS

WORDS = text.load("en")
LONG = 2000  # steps; such a run does not end during a test
POINTS = "(document.querySelector('#charts .plot')?.data?.[0]?.x.length ?? 0)"


def status(page, name):
    page.wait_for_selector(f"#train[data-run={name}]")


def choose(page, name):
    page.click(f"#controls label:has-text('{name}')")


def fill(page, **numbers):
    for field, value in numbers.items():
        page.fill(f"#field-{field} input[type=number]", str(value))


def run(page, method="dpo", **numbers):
    """Choose the method, wait for its defaults, apply changes, press Run."""
    choose(page, WORDS["methods"][method]["name"])
    expect(page.locator("#field-steps input")).to_have_value(str(resolve(method, "reviews").steps))
    page.evaluate("window.settings.complete()")
    fill(page, **numbers)
    page.click("#run")


def points(page, at_least):
    page.wait_for_function(f"{POINTS} >= {at_least}")
    return page.evaluate(POINTS)


def policy(page):
    return page.locator("#samples .side.policy .completion").all_text_contents()


def test_a_first_visit_explains_itself_and_offers_a_run(visit, address):
    page = visit(address)
    assert "film review" in page.inner_text("#controls")
    assert page.inner_text("#live .state") == "Ready"
    assert page.is_visible("#run")
    assert not page.is_visible("#stop")


MOVE = """beta => {
  const slider = document.querySelector('#field-beta [type=range]');
  slider.value = Math.log(beta / 0.05) / Math.log(20 / 0.05);
  slider.dispatchEvent(new Event('input'));
}"""


def move_beta(page, beta):
    """Drag the slider, and wait until the target has moved."""
    page.evaluate(MOVE, beta)
    page.wait_for_function(f"window.playground.target?.beta === {beta}")


def test_live_changes_of_beta_and_learning_rate_are_marked_in_the_curves(visit, address, client):
    page = visit(address)
    run(page, steps=LONG)
    points(page, 1)
    page.focus("#field-learning_rate input")
    page.keyboard.press("Tab")  # unchanged
    page.evaluate(MOVE, 0.1)
    page.dispatch_event("#field-beta [type=range]", "change")
    page.wait_for_function("window.playground.run.changes.length === 1")
    assert page.evaluate("window.playground.run.changes[0].settings") == {"beta": 0.1}
    assert "β 0.1" in page.inner_text("#charts")
    assert page.inner_text("#live .settings").startswith("β 0.1 ")
    fill(page, learning_rate=0.0001)
    page.keyboard.press("Tab")
    page.wait_for_selector("#live .settings:has-text('learning rate 0.0001')")
    changes = page.evaluate("window.playground.run.changes.map(one => one.settings)")
    assert changes == [{"beta": 0.1}, {"learning_rate": 0.0001}]
    page.reload()
    page.wait_for_function("window.playground?.target?.beta === 0.1")
    assert page.input_value("#field-beta [type=number]") == "0.1"
    page.wait_for_function("window.playground.run?.samples.length > 1")
    for _ in range(30):
        page.keyboard.press("ArrowLeft")
    page.wait_for_function("window.playground.viewedStep === 0")
    assert page.inner_text("#live .settings").startswith("β 0.5 "), "still the initial value"


def test_changes_made_while_a_request_is_pending_are_not_lost(visit, address, client, monkeypatch):
    page = visit(address)
    run(page, steps=LONG)
    points(page, 1)
    send, called, may_go = client.send, threading.Event(), threading.Event()

    def hesitate(*command, **settings):
        called.set()
        may_go.wait(30)
        send(*command, **settings)

    monkeypatch.setattr(client, "send", hesitate)
    for beta in (0.1, 0.2, 0.3):
        page.evaluate(MOVE, beta)
        page.dispatch_event("#field-beta [type=range]", "change")
        assert called.wait(30)
    may_go.set()
    page.wait_for_function("window.playground.run.changes.length === 2")
    betas = page.evaluate("window.playground.run.changes.map(one => one.settings.beta)")
    assert betas == [0.1, 0.3], "the first change, and the last of those made while it was pending"


def test_the_run_button_shows_the_time_at_the_chosen_pace(visit, address, client, monkeypatch):
    monkeypatch.setattr(client, "estimate", lambda delay, **options: 50.0 + 9 * delay)
    page = visit(address)
    page.wait_for_selector("#run:has-text('about 50 s')")
    page.click(f"#field-pace label:has-text('{WORDS['controls']['paces'][2]}')")
    page.wait_for_selector("#run:has-text('about 68 s')")
    assert page.inner_text("#run") == WORDS["controls"]["run_needs"].format(time="68 s")


def test_every_step_can_be_shown_again(visit, address):
    page = visit(address)
    run(page, steps=LONG)
    points(page, 4)
    newest = policy(page)
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("window.playground.viewedStep !== null")
    for _ in range(20):
        page.keyboard.press("ArrowLeft")
    page.wait_for_function("window.playground.viewedStep === 0")
    assert "looking at step 0" in page.inner_text("#live .progress")
    assert "at step 0" in page.inner_text("#samples .heads")
    first = policy(page)
    assert first != newest
    drawn = points(page, 1)
    points(page, drawn + 1)
    assert policy(page) == first  # the run goes on; the page still shows the chosen step
    page.click("#live .newest")
    page.wait_for_function("window.playground.viewedStep === null")
    assert policy(page) != first


def test_run_moves_curves_and_texts_which_are_shown_as_texts_and_stop_ends_it(
    visit, address, client
):
    page = visit(address)
    run(page, steps=LONG)
    assert points(page, 1)
    before = policy(page)
    assert points(page, 4) >= 4
    assert policy(page) != before
    tip = page.get_attribute("#samples .chip.proxy >> nth=0", "data-tip")
    assert tip == WORDS["samples"]["proxy_help"]
    assert "gold reward" in page.inner_text("#live .summary")
    page.click("#samples .more")
    assert page.locator("#samples .side.policy .prompt").all_text_contents() == list(PROMPTS)
    assert policy(page)[PROMPTS.index("${1+1} {{value}} The camera")] == HOSTILE
    assert page.evaluate("window.hacked") is None
    assert page.locator("#samples img, #samples script, #samples b[onmouseover]").count() == 0
    page.click("#stop")
    status(page, "stopped")
    assert page.evaluate("window.playground.run.step") < LONG
    assert page.is_visible("#run")
    assert client.current() is None


def test_a_reload_and_a_second_visitor_find_the_run_and_all_of_it(visit, address, client):
    page, second = visit(address), visit(address)
    run(page, steps=LONG, seed=5)
    drawn = points(page, 3)
    live = client.current()
    page.reload()
    assert points(page, drawn) >= drawn
    status(page, "running")
    assert page.evaluate("window.playground.run.name") == live
    page.wait_for_function("document.querySelector('#field-seed input').value === '5'")
    assert "seed 5" in page.inner_text("#live .settings")
    points(second, 1)
    assert second.evaluate("window.playground.run.name") == live
    assert not second.is_visible("#run")


def test_pause_step_and_resume_by_keys_and_by_buttons(visit, address, client):
    page = visit(address)
    run(page, steps=LONG)
    points(page, 2)
    page.focus("#live .timeline input")  # as after looking at an earlier step
    for name in ("paused", "running"):
        page.keyboard.press("Space")
        status(page, name)
        assert client.status(client.current())["status"] == name
    page.click("#pause")
    status(page, "paused")
    page.wait_for_timeout(600)  # pending updates have arrived
    before = page.evaluate("window.playground.run.step")
    page.click("#step")
    page.wait_for_function(f"window.playground.run.step === {before + 1}")
    page.click("#resume")
    status(page, "running")
    page.wait_for_function(f"window.playground.run.step > {before + 2}")
    assert page.is_visible("#pause") and not page.is_visible("#resume")


DRAWN = """() => {
  const plot = document.querySelector('#charts .plot');
  const marks = plot.querySelectorAll('.scatterlayer .trace:first-child path.point').length;
  return { marks, points: plot.data[0].x.length };
}"""


def test_the_evaluation_after_stopping_a_paused_run_is_drawn(visit, address, client):
    page = visit(address)
    run(page, steps=LONG)
    points(page, 1)
    every = client.config(client.current())["eval_every"]
    page.click("#pause")
    status(page, "paused")
    page.wait_for_timeout(600)  # pending updates have arrived
    while (step := page.evaluate("window.playground.run.step")) % every == 0:
        page.click("#step")
        page.wait_for_function(f"window.playground.run.step > {step}")
    page.reload()  # everything is drawn again, at this step
    page.wait_for_function(f"window.playground?.run?.step === {step}")
    before = points(page, 1)
    page.click("#stop")
    status(page, "stopped")
    assert page.evaluate("window.playground.run.step") == step
    points(page, before + 1)
    drawn = page.evaluate(DRAWN)
    assert drawn == {"marks": before + 1, "points": before + 1}


def test_a_killed_process_is_reported_in_plain_words_and_the_page_continues(visit, address, client):
    page = visit(address)
    run(page, steps=LONG)
    points(page, 1)
    os.kill(client.pid(), signal.SIGKILL)
    status(page, "failed")
    assert "killed from outside" in page.inner_text("#live .summary")
    page.click("#run")
    status(page, "running")


def test_bad_input_is_reported_beside_the_controls_and_starts_nothing(visit, address, client):
    page = visit(address)
    run(page, beta=-1, steps="", learning_rate="1e9")
    page.wait_for_selector("#errors li")
    for line in page.locator("#errors li").all():
        expect(line).to_be_in_viewport(ratio=1)
    lines = page.locator("#errors li").all_text_contents()
    assert [line.split(" ")[0] for line in lines] == ["β", "Steps", "Learning"]
    assert page.locator("#controls .wrong").count() == 3
    assert page.is_visible("#run")
    assert client.runs() == []
    fill(page, beta=0.1, steps=400, learning_rate=0.001)
    page.click("#run")
    status(page, "running")
    assert page.locator("#errors li").count() == 0


def test_settings_follow_task_and_method(visit, address):
    page = visit(address)
    choose(page, "SFT")
    page.wait_for_selector("#field-beta", state="hidden")
    choose(page, "DPO")
    page.wait_for_selector("#field-beta")
    choose(page, "Capitals")
    page.wait_for_selector("#controls >> text=capital of France")
    beta, steps = (
        page.input_value(f"#field-{field} input[type=number]") for field in ("beta", "steps")
    )
    expected = resolve("dpo", "capitals")
    assert (float(beta), int(steps)) == (expected.beta, expected.steps)


def test_a_short_run_is_evaluated_five_times(visit, address, client):
    page = visit(address)
    default = resolve("dpo", "reviews").eval_every
    run(page, steps=37)
    points(page, 2)
    (name,) = client.runs()
    assert default > 37 / 5
    assert client.config(name)["eval_every"] == 7
    page.click("#advanced button")
    expect(page.locator("#field-eval_every input")).to_have_value("7")


def test_a_reward_model_has_curves_of_its_own(visit, address):
    page = visit(address)
    run(page, "reward", steps=30)
    points(page, 2)
    assert page.locator("#charts h3").all_text_contents() == ["Accuracy", "Margin"]
    assert page.locator("#own h3:visible").all_text_contents() == ["Loss"]


def test_a_hidden_curve_and_a_zoom_survive_updates(visit, address):
    page = visit(address)
    run(page, steps=400)
    drawn = points(page, 2)
    page.locator("#charts .value").first.click()
    area = page.locator("#charts .nsewdrag").first.bounding_box()
    middle = area["y"] + area["height"] / 2
    page.mouse.move(area["x"] + 0.1 * area["width"], middle)
    page.mouse.down()
    page.mouse.move(area["x"] + 0.5 * area["width"], middle, steps=5)
    page.mouse.up()
    figure = "document.querySelector('#charts .plot')"
    page.wait_for_function(f"{figure}.layout.xaxis.range[1] < 250")
    zoomed = page.evaluate(f"{figure}.layout.xaxis.range")
    points(page, drawn + 1)
    assert page.evaluate(f"{figure}.layout.xaxis.range") == zoomed
    assert page.evaluate(f"{figure}.data.map((curve) => curve.visible)") == [False, True]


def test_the_real_page_trains_a_real_model(visit, real_app):
    address, runs = real_app
    page = visit(address)
    run(page, steps=600, batch_size=8, preference_pairs=128)
    drawn = points(page, 2)
    texts = policy(page)
    assert len(texts) == len(page.locator("#samples .side.reference").all())
    page.reload()
    assert points(page, drawn) >= drawn
    page.click("#stop")
    page.wait_for_selector("#train[data-run=stopped], #train[data-run=finished]")
    (run_directory,) = runs.iterdir()
    assert (run_directory / "model" / "config.json").is_file()
