"""Requested settings: Run, links and further choices wait until the server has sent them."""

from __future__ import annotations

import threading
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import expect

from align_core.config.run_config import resolve
from playground import text
from playground.handlers.train import TrainHandlers
from tests.browser.conftest import PATIENCE
from tests.browser.test_page import LONG, choose, status
from tests.playground.recordings import record
from tests.waiting import until

WORDS = text.load("en")
PRESET = {"method": "dpo", "task": "capitals", "label_noise": 0.3, "steps": LONG}


@pytest.fixture(autouse=True)
def preset(fake_assets):
    record(fake_assets, "noisy-raters", PRESET)


@pytest.fixture
def second(monkeypatch):
    """An event, set by the second of two choices, capitals and DPO, for which the answer to the
    first waits."""
    answer, second = TrainHandlers.choose, threading.Event()

    def late(self, values, **named):
        if values == {"task": "capitals", "method": "ppo"}:
            second.wait(0.5)
        controls = answer(self, values, **named)
        if values == {"task": "capitals", "method": "dpo"}:
            second.set()
        return controls

    monkeypatch.setattr(TrainHandlers, "choose", late)
    return second


@pytest.fixture
def answers(second, monkeypatch):
    """While it is clear, the server answers neither a choice nor a preset nor a new page."""
    may_answer = threading.Event()

    def held(handler):
        def wait(*arguments, **named):
            may_answer.wait(PATIENCE / 1000)
            return handler(*arguments, **named)

        return wait

    for name in ("choose", "restore"):  # `play` calls `restore`
        monkeypatch.setattr(TrainHandlers, name, held(getattr(TrainHandlers, name)))
    may_answer.set()
    yield may_answer
    may_answer.set()


def pick(page, kind, name):
    choose(page, WORDS[kind][name]["name"])


def it_takes_no_choice_until_it_has_its_settings(page, answers):
    choice = page.locator("#field-method label").first
    expect(choice).to_have_css("pointer-events", "none")
    answers.set()
    expect(choice).to_have_css("pointer-events", "auto")


def the_answer_to_an_earlier_choice_does_not_come_last(page, second):
    pick(page, "tasks", "capitals")
    pick(page, "methods", "dpo")
    assert second.wait(30)
    steps = page.locator("#field-steps input")
    expect(steps).to_have_value(str(resolve("dpo", "capitals").steps))
    page.evaluate("window.settings.complete()")
    assert steps.input_value() == str(resolve("dpo", "capitals").steps)


def run_waits(page, client, answers):
    """Press Run, let the server answer, and return the configuration of the run. A press that does
    not wait takes the settings from before the answer."""
    before = client.runs()
    page.click("#run")
    status(page, "starting")
    assert client.runs() == before
    answers.set()
    config = config_of_new_run(page, client, before)
    answers.clear()
    return config


def config_of_new_run(page, client, before):
    """The configuration of the run that is not in `before`, which is stopped."""
    (name,) = until(lambda: {*client.runs()} - {*before})
    page.wait_for_function("name => window.playground.run?.name === name", arg=name)
    client.send(name, "stop")
    page.wait_for_selector("#train[data-run=stopped], #train[data-run=finished]")
    return client.config(name)


def run_waits_for_the_defaults_of_choices(page, client, answers):
    pick(page, "methods", "ppo")
    assert run_waits(page, client, answers) == resolve("ppo", "capitals").model_dump()
    pick(page, "tasks", "reviews")
    assert run_waits(page, client, answers) == resolve("ppo", "reviews").model_dump()
    pick(page, "tasks", "capitals")
    pick(page, "methods", "dpo")
    assert run_waits(page, client, answers) == resolve("dpo", "capitals").model_dump()


def run_waits_for_the_settings_of_a_preset(page, client, answers):
    page.click("#presets button")
    assert run_waits(page, client, answers) == resolve(**PRESET).model_dump()


def a_link_waits_for_the_defaults_of_a_choice(page, answers):
    pick(page, "methods", "sft")
    page.click("#masthead .copy")
    assert page.evaluate("location.search") == ""
    answers.set()
    page.wait_for_function("location.search.includes('steps=')")  # "Copied" stands for two seconds
    link = parse_qs(page.evaluate("location.search").removeprefix("?"))
    assert (link["method"], link["steps"]) == (["sft"], [str(resolve("sft", "capitals").steps)])


def run_works_after_a_choice_that_the_server_refused(page, client):
    refused = []

    def refuse(route):
        # The label of Run is also requested.
        if refused or "reviews" not in route.request.post_data:
            return route.fallback()
        refused.append(route)
        return route.fulfill(status=429, json={})

    page.route("**/gradio_api/run/*", refuse)
    with page.expect_response(lambda response: response.status == 429):
        pick(page, "tasks", "reviews")
    page.unroute("**/gradio_api/run/*")  # Playwright lets no request pass while `until` waits
    before = client.runs()
    page.click("#run")
    expected = resolve("sft", "capitals").model_dump() | {"task": "reviews"}
    assert config_of_new_run(page, client, before) == expected


def test_choices_that_are_not_answered_yet(second, answers, visit, address, client):
    answers.clear()
    page = visit(address, settled=False)
    it_takes_no_choice_until_it_has_its_settings(page, answers)
    the_answer_to_an_earlier_choice_does_not_come_last(page, second)
    answers.clear()
    run_waits_for_the_defaults_of_choices(page, client, answers)
    run_waits_for_the_settings_of_a_preset(page, client, answers)
    a_link_waits_for_the_defaults_of_a_choice(page, answers)
    run_works_after_a_choice_that_the_server_refused(page, client)
