"""What a visitor does and sees."""

from __future__ import annotations

import os
import signal
import time

from align_core.configs import resolve
from playground import text
from tests.playground.scripted import HOSTILE, PROMPTS

WORDS = text.load("en")
POINTS = "(document.querySelector('#charts .plot')?.data?.[0]?.x.length ?? 0)"


def status(page, name):
    page.wait_for_selector(f"#train[data-run={name}]")


def choose(page, name):
    page.click(f"#controls label:has-text('{name}')")


def fill(page, **numbers):
    for field, value in numbers.items():
        page.fill(f"#field-{field} input", str(value))


def run(page, method="dpo", **numbers):
    """Choose the method, wait for its defaults, change those that are given, press Run."""
    choose(page, WORDS["methods"][method]["name"])
    steps = resolve(method, "reviews").steps
    page.wait_for_function(f"document.querySelector('#field-steps input').value === '{steps}'")
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


def test_run_moves_curves_and_texts_and_stop_ends_it(visit, address, client):
    page = visit(address)
    run(page, steps=400)
    assert points(page, 1)
    before = policy(page)
    assert points(page, 4) >= 4
    assert policy(page) != before
    assert "nats more gold reward" in page.inner_text("#live .told")
    began = time.monotonic()
    page.click("#stop")
    status(page, "stopped")
    assert time.monotonic() - began < 2
    assert page.is_visible("#run")
    assert client.current() is None


def test_a_reload_finds_the_run_and_all_of_it(visit, address, client):
    page = visit(address)
    run(page, steps=400, seed=5)
    drawn = points(page, 3)
    live = client.current()
    page.reload()
    assert points(page, drawn) >= drawn
    status(page, "running")
    assert page.evaluate("window.playground.run.name") == live
    page.wait_for_function("document.querySelector('#field-seed input').value === '5'")
    assert "seed 5" in page.inner_text("#live .settings")


def test_a_second_visitor_watches_the_same_run(visit, address, client):
    first, second = visit(address), visit(address)
    run(first, steps=400)
    points(second, 1)
    assert second.evaluate("window.playground.run.name") == client.current()
    assert not second.is_visible("#run")


def test_pause_step_and_resume(visit, address):
    page = visit(address)
    run(page, steps=400)
    points(page, 1)
    page.click("#pause")
    status(page, "paused")
    page.wait_for_timeout(600)  # what was under way has arrived
    before = page.evaluate("window.playground.run.step")
    page.click("#step")
    page.wait_for_function(f"window.playground.run.step === {before + 1}")
    page.click("#resume")
    status(page, "running")
    page.wait_for_function(f"window.playground.run.step > {before + 2}")
    assert page.is_visible("#pause") and not page.is_visible("#resume")


def test_a_killed_process_is_told_in_plain_words_and_the_page_lives_on(visit, address, client):
    page = visit(address)
    run(page, steps=400)
    points(page, 1)
    os.kill(client.pid(), signal.SIGKILL)
    status(page, "failed")
    assert "killed from outside" in page.inner_text("#live .told")
    page.click("#run")
    status(page, "running")


def test_bad_input_is_told_beside_the_controls_and_starts_nothing(visit, address, client):
    page = visit(address)
    run(page, beta=-1, steps="", learning_rate="1e9")
    page.wait_for_selector("#complaints li")
    lines = page.locator("#complaints li").all_text_contents()
    assert [line.split(" ")[0] for line in lines] == ["β", "Steps", "Learning"]
    assert page.locator("#numbers .wrong").count() == 3
    assert page.is_visible("#run")
    assert client.runs() == []
    fill(page, beta=0.1, steps=400, learning_rate=0.001)
    page.click("#run")
    status(page, "running")
    assert page.locator("#complaints li").count() == 0


def test_settings_follow_task_and_method(visit, address):
    page = visit(address)
    choose(page, "SFT")
    page.wait_for_selector("#field-beta", state="hidden")
    choose(page, "DPO")
    page.wait_for_selector("#field-beta")
    choose(page, "Capitals")
    page.wait_for_selector("#controls >> text=capital of France")
    beta, steps = (page.input_value(f"#field-{field} input") for field in ("beta", "steps"))
    expected = resolve("dpo", "capitals")
    assert (float(beta), int(steps)) == (expected.beta, expected.steps)


def test_a_reward_model_has_curves_of_its_own(visit, address):
    page = visit(address)
    run(page, "reward", steps=30)
    points(page, 2)
    titles = page.locator("#charts h3").all_text_contents()
    assert titles == ["Accuracy", "Margin", "Loss"]


def test_hostile_texts_are_shown_as_texts(visit, address):
    page = visit(address)
    run(page, steps=400)
    page.wait_for_selector("#samples .row")
    page.click("#samples .more")
    prompts = page.locator("#samples .side.policy .prompt").all_text_contents()
    assert prompts == list(PROMPTS)
    assert policy(page)[PROMPTS.index("${1+1} {{value}} The camera")] == HOSTILE
    assert page.evaluate("window.hacked") is None
    assert page.locator("#samples img, #samples script, #samples b[onmouseover]").count() == 0


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
    run(page, steps=600)
    drawn = points(page, 2)
    texts = policy(page)
    assert len(texts) == len(page.locator("#samples .side.reference").all())
    page.reload()
    assert points(page, drawn) >= drawn
    page.click("#stop")
    page.wait_for_selector("#train[data-run=stopped], #train[data-run=finished]")
    (run_directory,) = runs.iterdir()
    assert (run_directory / "model" / "config.json").is_file()
