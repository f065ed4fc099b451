"""Several visitors: who waits, who watches, and who may stop which run."""

from __future__ import annotations

import time

import httpx
import pytest
from playwright.sync_api import expect

from align_core.config.run_config import resolve
from playground.people.visitors import Visitors
from playground.voting.pairs import Pairs
from tests.browser.test_page import LONG, MOVE, WORDS, choose, move_beta, points, run, status

KEY = "correct horse battery"
VISIT = WORDS["visitors"]


@pytest.fixture(autouse=True)
def presenter_key(monkeypatch):
    monkeypatch.setenv("PLAYGROUND_PRESENTER_KEY", KEY)


def queue(page):
    choose(page, WORDS["methods"]["dpo"]["name"])
    expect(page.locator("#field-steps input")).to_have_value(str(resolve("dpo", "reviews").steps))
    page.click("#queue")
    page.wait_for_selector("#leave")


def shown(page, n):
    page.wait_for_function(f"window.playground?.standing?.place === {n}")
    assert page.inner_text("#visit .line").startswith(f"You are number {n} in the queue")


def test_the_second_visitor_waits_watches_and_gets_their_turn(visit, address, client):
    first, second, third = visit(address), visit(address), visit(address)
    run(first, steps=LONG)
    points(first, 1)
    points(second, 1)
    assert second.inner_text("#live .whose") == VISIT["whose"]
    assert first.inner_text("#live .whose") == ""
    assert not any(second.is_visible(f"#{name}") for name in ("run", "pause", "stop"))
    second.evaluate("document.querySelector('#stop').click()")  # hidden, but present
    queue(second)
    queue(third)
    shown(second, 1)
    shown(third, 2)
    live = client.current()
    second.reload()
    shown(second, 1)
    assert client.live() == [live]
    third.click("#leave")
    third.wait_for_selector("#queue")
    second.close()
    first.click("#stop")
    third.wait_for_function(f"![null, '{live}'].includes(window.playground.run.name)")
    points(third, 1)
    assert client.live() != [live]
    assert first.evaluate("window.playground.run.name") == live, "the visitor's own run stays shown"
    first.click("#visit .watch")
    first.wait_for_function("document.querySelector('#live .whose').textContent")


def watchers_see_its_target_until_they_move_their_own(first, second):
    def aims(page, beta):
        page.wait_for_function(f"window.playground.target?.beta === {beta}")
        page.wait_for_function(
            f"document.querySelector('#samples .heads').textContent.includes('β = {beta}')"
        )
        return page.inner_text("#frontier .target .name")

    named = WORDS["frontier"]["legend"]["target"]
    move_beta(second, 5)
    run(first, steps=LONG, beta=0.2)
    points(second, 1)
    assert aims(second, 0.2) == named.format(beta=0.2)
    assert second.input_value("#field-beta [type=number]") == "5", "it keeps its state"
    move_beta(second, 2)
    assert aims(second, 2) == named.format(beta=2)
    first.evaluate(MOVE, 0.1)
    first.dispatch_event("#field-beta [type=range]", "change")
    assert aims(second, 0.1) == named.format(beta=0.1)
    assert aims(first, 0.1) == named.format(beta=0.1)
    assert "β 0.1" in second.inner_text("#live .settings")


def watchers_may_stop_it_once_it_is_shared(first, second):
    assert not second.is_visible("#stop")
    first.check("#visit .share input")
    step = first.evaluate("window.playground.run.step")
    first.wait_for_function(f"window.playground.run.step > {step} + 5")
    assert first.is_checked("#visit .share input")
    second.click("#stop")
    status(first, "stopped")


def test_watchers_of_a_run(visit, address, monkeypatch):
    share = Visitors.share

    def late(*arguments):
        """A handler that answers late: news of the run comes first and must not undo the choice."""
        time.sleep(1)
        share(*arguments)

    monkeypatch.setattr(Visitors, "share", late)
    first, second = visit(address), visit(address)
    watchers_see_its_target_until_they_move_their_own(first, second)
    watchers_may_stop_it_once_it_is_shared(first, second)


def test_a_returning_visitor_finds_their_run_and_others_only_a_shared_one(visit, address, client):
    first, second = visit(address), visit(address)
    run(first, steps=30)
    status(first, "finished")
    (name,) = client.runs()
    first.reload()
    first.wait_for_function(f"window.playground?.run?.name === '{name}'")
    boxes = f"#compare input[value='{name}']"
    for page, there in ((first, 1), (second, 0)):
        page.get_by_role("tab", name=WORDS["views"]["compare"]).click()
        page.wait_for_selector("#compare .models :is(label, p)")
        assert page.locator(boxes).count() == there
    first.get_by_role("tab", name=WORDS["views"]["train"]).click()
    first.check("#visit .share input")
    second.get_by_role("tab", name=WORDS["views"]["train"]).click()
    second.get_by_role("tab", name=WORDS["views"]["compare"]).click()
    second.wait_for_selector(boxes)
    third = visit(address)
    third.wait_for_function("window.playground.standing !== null")
    assert third.evaluate("window.playground.run") is None, (
        "a new page does not open with another visitor's run"
    )


@pytest.fixture
def pairs(monkeypatch):
    """The pairs to rate, without a model."""
    pairs = [{"prompt": "A film", "first": " is good.", "second": " is bad."}]
    monkeypatch.setattr(Pairs, "_of", lambda self, task, model: pairs)
    monkeypatch.setattr(Pairs, "score", lambda self, session, reward_model: None)


def only_a_presenter_can_open_the_room(page, may):
    page.get_by_role("tab", name=WORDS["views"]["rate"], exact=True).click()
    page.wait_for_function("document.querySelector('#rate .room .state').textContent")
    assert page.is_visible("#rate .room .open") is may
    state = page.inner_text("#rate .room .state")
    assert (state == WORDS["rate"]["only_presenter"]) is not may


def test_a_presenter_stops_anothers_run_and_the_key_leaves_the_address(pairs, visit, address):
    first = visit(address)
    presenter = visit(f"{address}?key={KEY.replace(' ', '+')}&seed=7")
    assert presenter.url.endswith("?seed=7")
    presenter.wait_for_selector("#visit .presents")
    assert presenter.inner_text("#visit .presents") == VISIT["presents"]
    only_a_presenter_can_open_the_room(first, False)
    first.get_by_role("tab", name=WORDS["views"]["train"], exact=True).click()
    run(first, steps=LONG)
    presenter.click("#stop")
    status(first, "stopped")
    guesser = visit(f"{address}?key=nonsense")
    guesser.wait_for_selector("#visit .presents")
    assert guesser.inner_text("#visit .presents") == VISIT["wrong_key"]
    guesser.click("#visit .sign_in summary")
    guesser.fill("#visit .sign_in input", KEY)
    guesser.click("#visit .sign_in button")
    expect(guesser.locator("#visit .presents")).to_have_text(VISIT["presents"])
    assert not guesser.is_visible("#visit .sign_in")
    assert KEY not in guesser.content()
    only_a_presenter_can_open_the_room(presenter, True)


def test_a_page_of_another_site_cannot_ask_this_server(address):
    answer = httpx.post(
        f"{address}gradio_api/queue/join", json={}, headers={"Origin": "https://evil.example"}
    )
    assert (answer.status_code, answer.json()["why"]) == (403, "site")
    answer = httpx.get(address, headers={"Host": "evil.example"})
    assert (answer.status_code, answer.json()["why"]) == (403, "site")
    assert httpx.get(address).headers["Content-Security-Policy"] == "frame-ancestors 'self'"


def test_a_single_visitor_sees_none_of_this(visit, address):
    page = visit(address)
    run(page, steps=LONG)
    points(page, 1)
    assert page.is_visible("#stop")
    others = page.locator("#visit :is(.line, .watch, .share, .presents, .terms)")
    assert not any(part.is_visible() for part in others.all())
    assert page.inner_text("#live .whose") == ""


def test_a_public_server_shows_its_time_limit_before_the_run(visit, serve, client, monkeypatch):
    monkeypatch.setenv("PLAYGROUND_PUBLIC", "1")
    monkeypatch.setenv("PLAYGROUND_TIME_LIMIT", "90")
    visitor = visit(serve(client))
    assert "a run ends after 90 s" in visitor.inner_text("#visit .terms")
    run(visitor, steps=LONG)
    points(visitor, 1)
    assert client.config(client.current())["time_limit"] == 90
