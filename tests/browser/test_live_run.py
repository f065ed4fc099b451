"""A live run: changed, watched, viewed at earlier steps, reloaded, paused and stopped."""

from __future__ import annotations

import re
import threading

from playwright.sync_api import expect

from tests.browser.test_page import LONG, MOVE, WORDS, fill, points, policy, run, status
from tests.playground.scripted import HOSTILE, PROMPTS, WARM
from tests.waiting import until


def changes_are_marked_in_the_curves(page):
    page.focus("#field-learning_rate input")
    page.keyboard.press("Tab")  # unchanged
    page.evaluate(MOVE, 0.1)
    page.dispatch_event("#field-beta [type=range]", "change")
    page.wait_for_function("window.playground.run.changes.length === 1")
    assert page.evaluate("window.playground.run.changes[0].settings") == {"beta": 0.1}
    expect(page.locator("#charts")).to_contain_text("β 0.1")
    expect(page.locator("#live .settings")).to_have_text(re.compile("^β 0.1 "))
    fill(page, learning_rate=0.0001)
    page.keyboard.press("Tab")
    page.wait_for_selector("#live .settings:has-text('learning rate 0.0001')")
    changes = page.evaluate("window.playground.run.changes.map(one => one.settings)")
    assert changes == [{"beta": 0.1}, {"learning_rate": 0.0001}]


def changes_during_a_pending_request_are_not_lost(page, client, monkeypatch):
    send, called, may_go = client.send, threading.Event(), threading.Event()

    def hesitate(*command, **settings):
        called.set()
        may_go.wait(30)
        send(*command, **settings)

    monkeypatch.setattr(client, "send", hesitate)
    for beta in (0.2, 0.3, 0.4):
        page.evaluate(MOVE, beta)
        page.dispatch_event("#field-beta [type=range]", "change")
        assert called.wait(30)
    may_go.set()
    page.wait_for_function("window.playground.run.changes.length === 4")
    betas = page.evaluate("window.playground.run.changes.map(one => one.settings.beta)")[2:]
    assert betas == [0.2, 0.4], "the first change, and the last of the changes during its request"


def a_reload_finds_the_run_its_changes_and_the_initial_values(page, client):
    drawn = points(page, 3)
    page.reload()
    page.wait_for_function("window.playground?.target?.beta === 0.4")
    expect(page.locator("#field-beta [type=number]")).to_have_value("0.4")
    points(page, drawn)
    status(page, "running")
    assert page.evaluate("window.playground.run.name") == client.current()
    expect(page.locator("#field-seed input")).to_have_value("5")
    expect(page.locator("#live .settings")).to_contain_text("seed 5")
    page.press("#live .timeline input", "Home")
    page.wait_for_function("window.playground.viewedStep === 0")
    initial = page.locator("#live .settings")
    expect(initial).to_have_text(re.compile("^β 0.5 "))


def a_second_visitor_finds_it(second, client):
    second.click("#visit .watch")
    second.wait_for_function(f"window.playground.run?.name === '{client.current()}'")
    points(second, 1)
    expect(second.locator("#run")).to_be_hidden()
    second.close()


def every_step_can_be_shown_again(page):
    newest = policy(page)
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("window.playground.viewedStep !== null")
    page.press("#live .timeline input", "Home")
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


def curves_and_texts_move(page):
    points(page, 4)
    assert WARM in policy(page), "at step 0 there is none"
    tip = page.get_attribute("#samples .chip.proxy >> nth=0", "data-tip")
    assert tip == WORDS["samples"]["proxy_help"]
    expect(page.locator("#readings .summary")).to_contain_text("gold reward")


def the_clock_the_current_activity_and_a_text_are_shown(page):
    assert page.inner_text("#live .doing") == "scoring 8 reviews"
    written = f"{WORDS['status']['written']} {PROMPTS[0]}{HOSTILE}"
    assert page.inner_text("#readings .written") == written
    before = page.inner_text("#live .clock")
    assert re.fullmatch(r"\d+:\d\d", before)
    page.wait_for_function(f"document.querySelector('#live .clock').textContent > '{before}'")


def texts_are_shown_as_texts(page):
    page.click("#samples .more")
    assert page.locator("#samples .side.policy .prompt").all_text_contents() == list(PROMPTS)
    assert policy(page)[PROMPTS.index("${1+1} {{value}} The camera")] == HOSTILE
    assert page.evaluate("window.hacked") is None
    assert page.locator("#samples img, #samples script, #samples b[onmouseover]").count() == 0


def it_is_stopped(page, client):
    page.click("#stop")
    status(page, "stopped")
    assert page.evaluate("window.playground.run.step") < LONG
    expect(page.locator("#run")).to_be_visible()
    until(lambda: client.current() is None)


def each_press_of_step_is_a_step(page, client, monkeypatch):
    """The second press comes before the answer to the first."""
    send, called, may_go = client.send, threading.Semaphore(0), threading.Semaphore(0)

    def hesitate(*command):
        called.release()
        may_go.acquire(timeout=30)
        return send(*command)

    before = page.evaluate("window.playground.run.step")
    with monkeypatch.context() as patch:
        patch.setattr(client, "send", hesitate)
        for _ in range(2):
            page.click("#step")
            assert called.acquire(timeout=30)
        for step in (before + 1, before + 2):
            may_go.release()
            page.wait_for_function(f"window.playground.run.step === {step}")


def pause_step_and_resume_by_keys_and_by_buttons(page, client, monkeypatch):
    page.focus("#live .timeline input")  # as after viewing an earlier step
    for name in ("paused", "running"):
        page.keyboard.press("Space")
        status(page, name)
        assert client.status(client.current())["status"] == name
    page.click("#pause")
    status(page, "paused")  # the last event before the step
    before = page.evaluate("window.playground.run.step")
    each_press_of_step_is_a_step(page, client, monkeypatch)
    page.click("#resume")
    status(page, "running")
    page.wait_for_function(f"window.playground.run.step > {before + 3}")
    expect(page.locator("#pause")).to_be_visible()
    expect(page.locator("#resume")).to_be_hidden()


MARKS = "#charts .plot >> nth=0 >> .scatterlayer .trace:first-child path.point"


def the_evaluation_after_stopping_a_paused_run_is_drawn(page, client):
    every = client.config(client.current())["eval_every"]
    page.click("#pause")
    status(page, "paused")
    while (step := page.evaluate("window.playground.run.step")) % every == 0:
        page.click("#step")
        page.wait_for_function(f"window.playground.run.step > {step}")
    page.reload()  # everything is drawn again, at this step
    page.wait_for_function(f"window.playground?.run?.step === {step}")
    before = points(page, 1)
    page.click("#stop")
    status(page, "stopped")
    assert page.evaluate("window.playground.run.step") == step
    assert points(page, before + 1) == before + 1
    expect(page.locator(MARKS)).to_have_count(before + 1)


def another_run_begins(page):
    """It has few evaluations, because a curve of more than sixty points has no markers."""
    before = page.evaluate("window.playground.run.name")
    page.click("#advanced button")
    fill(page, eval_every=100)
    page.click("#run")
    page.wait_for_function("before => window.playground.run.name !== before", arg=before)
    points(page, 1)


def test_a_run_is_watched_changed_found_again_paused_and_stopped(
    visit, address, client, monkeypatch
):
    page = visit(address)
    page.click("#advanced button")
    run(page, steps=LONG, seed=5, eval_every=10)
    curves_and_texts_move(page)
    the_clock_the_current_activity_and_a_text_are_shown(page)
    every_step_can_be_shown_again(page)
    texts_are_shown_as_texts(page)
    changes_are_marked_in_the_curves(page)
    changes_during_a_pending_request_are_not_lost(page, client, monkeypatch)
    a_reload_finds_the_run_its_changes_and_the_initial_values(page, client)
    a_second_visitor_finds_it(visit(address), client)
    it_is_stopped(page, client)
    another_run_begins(page)
    pause_step_and_resume_by_keys_and_by_buttons(page, client, monkeypatch)
    the_evaluation_after_stopping_a_paused_run_is_drawn(page, client)
