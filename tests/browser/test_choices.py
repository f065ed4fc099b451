"""Settings that are on their way from the server: Run, links and further choices wait for them."""

from __future__ import annotations

import threading
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from align_core.config.run_config import resolve
from playground import text
from playground.handlers.train import TrainHandlers
from tests.browser.test_page import choose
from tests.playground.recordings import record

WORDS = text.load("en")
NAMES = {"dpo": WORDS["methods"]["dpo"]["name"], "capitals": WORDS["tasks"]["capitals"]["name"]}
PRESET = {"method": "dpo", "task": "capitals", "label_noise": 0.3, "steps": 400}


@pytest.fixture(autouse=True)
def preset(fake_assets):
    record(fake_assets, "noisy-raters", PRESET)


@pytest.fixture
def answers(monkeypatch):
    """While it is clear, the server answers neither a choice nor a preset nor a new page."""
    may_answer = threading.Event()

    def held(handler):
        def wait(*arguments, **named):
            may_answer.wait(30)
            return handler(*arguments, **named)

        return wait

    for name in ("choose", "restore"):  # `play` calls `restore`
        monkeypatch.setattr(TrainHandlers, name, held(getattr(TrainHandlers, name)))
    may_answer.set()
    yield may_answer
    may_answer.set()


@pytest.fixture
def page(answers, visit, address):
    """A page whose next choices are not answered yet."""
    page = visit(address)
    page.wait_for_selector("body[data-settled]")
    answers.clear()
    return page


def run(page, client, answers):
    """Press Run, let the server answer, and return the configuration of the run."""
    page.click("#run")
    page.wait_for_selector("#train[data-run=starting]")
    page.wait_for_timeout(200)  # a press that does not wait has reached the server by then
    assert client.runs() == []
    answers.set()
    page.wait_for_selector("#train[data-run=running]")
    return client.config(client.current())


@pytest.mark.parametrize("names", [["dpo"], ["capitals"], ["capitals", "dpo"]])
def test_run_waits_for_the_defaults_of_a_choice(names, page, client, answers):
    for name in names:
        choose(page, NAMES[name])
    method, task = names[-1].replace("capitals", "ppo"), names[0].replace("dpo", "reviews")
    assert run(page, client, answers) == resolve(method, task).model_dump()


def test_run_waits_for_the_settings_of_a_preset(page, client, answers):
    page.click("#presets button")
    assert run(page, client, answers) == resolve(**PRESET).model_dump()


def test_a_link_waits_for_the_defaults_of_a_choice(page, answers):
    choose(page, NAMES["dpo"])
    page.click("#masthead button")
    page.wait_for_timeout(200)
    answers.set()
    page.wait_for_function("location.search.includes('steps=')")  # "Copied" stands for two seconds
    link = parse_qs(urlsplit(page.url).query)
    assert link["steps"] == [str(resolve("dpo", "reviews").steps)]


def test_the_answer_to_an_earlier_choice_does_not_come_last(visit, serve, client, monkeypatch):
    answer, second = TrainHandlers.choose, threading.Event()

    def late(self, values, **named):
        """Answers the change of the task after that of the method, if both are asked at once."""
        if values == {"task": "capitals", "method": "ppo"}:
            second.wait(1)
        controls = answer(self, values, **named)
        if values == {"task": "capitals", "method": "dpo"}:
            second.set()
        return controls

    monkeypatch.setattr(TrainHandlers, "choose", late)
    page = visit(serve(client))
    page.wait_for_selector("body[data-settled]")
    for name in ("capitals", "dpo"):
        choose(page, NAMES[name])
    assert second.wait(30)
    steps = page.locator("#field-steps input")
    expect(steps).to_have_value(str(resolve("dpo", "capitals").steps))
    page.wait_for_timeout(200)  # an answer that comes last has arrived by then
    assert steps.input_value() == str(resolve("dpo", "capitals").steps)


def test_a_page_takes_no_choice_until_it_has_its_settings(visit, address, answers):
    answers.clear()
    page = visit(address)
    takes = "getComputedStyle(document.querySelector('#field-method label')).pointerEvents"
    assert page.evaluate(takes) == "none"
    answers.set()
    page.wait_for_selector("body[data-settled]")
    assert page.evaluate(takes) == "auto"
