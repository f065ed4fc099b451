"""Several visitors: waiting, watching, and the rights to stop runs."""

from __future__ import annotations

import time

import httpx
import pytest
from playwright.sync_api import expect

from playground.people.visitors import Visitors
from playground.voting.pairs import Pairs
from tests.browser.test_page import (
    LONG,
    MOVE,
    WORDS,
    fill,
    move_beta,
    points,
    run,
    status,
)
from tests.waiting import until

KEY = "correct horse battery"
VISIT = WORDS["visitors"]


@pytest.fixture(autouse=True)
def presenter_key(monkeypatch):
    monkeypatch.setenv("PLAYGROUND_PRESENTER_KEY", KEY)


@pytest.fixture(autouse=True)
def pairs(monkeypatch):
    """The pairs to rate, without a model."""
    pairs = [{"prompt": "A film", "first": " is good.", "second": " is bad."}]
    monkeypatch.setattr(Pairs, "_load", lambda self, task, model: pairs)
    monkeypatch.setattr(Pairs, "score", lambda self, session, reward_model: None)


@pytest.fixture(autouse=True)
def shares(monkeypatch):
    """The choices to share a run that the server has taken, of which the first takes it long: news
    of the run comes before and must not undo the choice."""
    share, taken = Visitors.share, []

    def late(*arguments):
        time.sleep(0 if taken else 1)
        share(*arguments)
        taken.append(arguments)

    monkeypatch.setattr(Visitors, "share", late)
    return taken


def open_view(page, name):
    page.get_by_role("tab", name=WORDS["views"][name], exact=True).click()


def run_again(page, **numbers):
    """Press Run with the chosen method, once its settings have come."""
    page.evaluate("window.settings.complete()")
    fill(page, **numbers)
    page.click("#run")


def a_single_visitor_sees_nothing_of_others(page):
    points(page, 1)
    expect(page.locator("#stop")).to_be_visible()
    others = page.locator("#visit :is(.line, .watch, .share, .presents, .terms)")
    assert not any(part.is_visible() for part in others.all())
    assert page.inner_text("#live .whose") == ""


def queue(page):
    """Wait for a turn with a run that does not end during the test."""
    page.evaluate("window.settings.complete()")
    fill(page, steps=LONG)
    page.click("#queue")
    page.wait_for_selector("#leave")


def standing(page, n):
    page.wait_for_function(f"window.playground?.standing?.place === {n}")
    expect(page.locator("#visit .line")).to_contain_text(f"You are number {n} in the queue")


def a_newcomer_is_told_of_a_run_and_sees_it_on_request(page):
    expect(page.locator("#visit .watch")).to_be_visible()
    names = {"method": WORDS["methods"]["dpo"]["name"], "task": WORDS["tasks"]["reviews"]["name"]}
    expect(page.locator("#visit .line")).to_have_text(VISIT["others"].format(**names))
    assert page.evaluate("window.playground.run") is None
    expect(page.locator("#field-method input:checked")).to_have_value("ppo")
    page.click("#visit .watch")
    points(page, 1)
    expect(page.locator("#live .whose")).to_have_text(VISIT["whose"])


def others_wait_watch_and_get_their_turn(first, second, third, client):
    for newcomer in (second, third):
        a_newcomer_is_told_of_a_run_and_sees_it_on_request(newcomer)
    assert first.inner_text("#live .whose") == ""
    for name in ("run", "pause", "stop"):
        expect(second.locator(f"#{name}")).to_be_hidden()
    second.evaluate("document.querySelector('#stop').click()")  # hidden, but present
    queue(second)
    queue(third)
    standing(second, 1)
    standing(third, 2)
    live = client.current()
    second.reload()
    standing(second, 1)
    assert client.live() == [live]
    third.click("#leave")
    third.wait_for_selector("#queue")
    second.goto("data:text/html,")  # which closes the page
    first.click("#stop")
    until(lambda: client.live() not in ([], [live]))
    third.wait_for_selector("#visit .watch")
    assert third.evaluate("window.playground.run.name") == live, "it stays where it was"
    third.click("#visit .watch")
    third.wait_for_function(f"window.playground.run.name === '{client.current()}'")
    points(third, 1)
    assert first.evaluate("window.playground.run.name") == live, "the visitor's own run stays shown"
    first.click("#visit .watch")
    first.wait_for_function("document.querySelector('#live .whose').textContent")
    client.send(client.current(), "stop")
    status(third, "stopped")


def watchers_see_its_target_until_they_move_their_own(first, second):
    def aims(page, beta):
        page.wait_for_function(f"window.playground.target?.beta === {beta}")
        page.wait_for_function(
            f"document.querySelector('#samples .heads').textContent.includes('β = {beta}')"
        )
        name = WORDS["frontier"]["legend"]["target"].format(beta=beta)
        expect(page.locator("#frontier .target .name")).to_have_text(name)

    move_beta(second, 5)
    run_again(first, steps=LONG, beta=0.2)
    second.click("#visit .watch")
    points(second, 1)
    aims(second, 0.2)
    assert second.input_value("#field-beta [type=number]") == "5", "it keeps its state"
    move_beta(second, 2)
    aims(second, 2)
    first.evaluate(MOVE, 0.1)
    first.dispatch_event("#field-beta [type=range]", "change")
    aims(second, 0.1)
    aims(first, 0.1)
    expect(second.locator("#live .settings")).to_contain_text("β 0.1")


def watchers_may_stop_it_once_it_is_shared(first, second, shares):
    assert not second.is_visible("#stop")
    first.check("#visit .share input")
    step = first.evaluate("window.playground.run.step")
    first.wait_for_function(f"window.playground.run.step > {step} + 5")
    assert first.is_checked("#visit .share input")
    until(lambda: len(shares) == 1)
    second.click("#stop")
    status(first, "stopped")


def a_returning_visitor_finds_their_run_and_others_only_a_shared_one(first, second, client, shares):
    run_again(first, steps=30)
    status(first, "finished")
    name = client.runs()[0]
    first.reload()
    first.wait_for_function(f"window.playground?.run?.name === '{name}'")
    boxes = f"#compare input[value='{name}']"
    for page, there in ((first, 1), (second, 0)):
        open_view(page, "compare")
        page.wait_for_selector("#compare .models :is(label, p)")
        expect(page.locator(boxes)).to_have_count(there)
    open_view(first, "train")
    first.check("#visit .share input")
    until(lambda: len(shares) == 2)
    open_view(second, "train")
    open_view(second, "compare")
    second.wait_for_selector(boxes)
    open_view(second, "train")


def come_as_another(page, url):
    """The page as a new visitor opens it, in a browser that has its files already."""
    page.context.clear_cookies()
    page.goto(url)
    page.wait_for_selector("#charts .js-plotly-plot")
    return page


def a_new_page_does_not_open_with_the_run_of_another(guesser):
    guesser.wait_for_function("window.playground.standing !== null")
    assert guesser.evaluate("window.playground.run") is None


def only_a_presenter_can_open_the_room(page, may):
    open_view(page, "rate")
    state = page.locator("#rate .room .state")
    expect(state).not_to_be_empty()
    expect(page.locator("#rate .room .open")).to_be_visible(visible=may)
    only_presenter = WORDS["rate"]["only_presenter"]
    (expect(state).not_to_have_text if may else expect(state).to_have_text)(only_presenter)


def a_presenter_stops_anothers_run_and_the_key_leaves_the_address(first, presenter, address):
    presenter.goto(f"{address}?key={KEY.replace(' ', '+')}&seed=7")
    expect(presenter).to_have_url(f"{address}?seed=7")
    presenter.wait_for_selector("#visit .presents")
    expect(presenter.locator("#visit .presents")).to_have_text(VISIT["presents"])
    only_a_presenter_can_open_the_room(first, False)
    open_view(first, "train")
    run_again(first, steps=LONG)
    presenter.click("#visit .watch")
    presenter.click("#stop")
    status(first, "stopped")
    only_a_presenter_can_open_the_room(presenter, True)


def the_key_can_be_entered_after_a_wrong_one(guesser):
    guesser.wait_for_selector("#visit .presents")
    expect(guesser.locator("#visit .presents")).to_have_text(VISIT["wrong_key"])
    guesser.click("#visit .sign_in summary")
    guesser.fill("#visit .sign_in input", KEY)
    guesser.click("#visit .sign_in button")
    expect(guesser.locator("#visit .presents")).to_have_text(VISIT["presents"])
    expect(guesser.locator("#visit .sign_in")).to_be_hidden()
    assert KEY not in guesser.content()


def a_page_of_another_site_cannot_ask_this_server(address):
    answer = httpx.post(
        f"{address}gradio_api/queue/join", json={}, headers={"Origin": "https://evil.example"}
    )
    assert (answer.status_code, answer.json()["why"]) == (403, "site")
    answer = httpx.get(address, headers={"Host": "evil.example"})
    assert (answer.status_code, answer.json()["why"]) == (403, "site")
    assert httpx.get(address).headers["Content-Security-Policy"] == "frame-ancestors 'self'"


def test_visitors_of_one_page(visit, address, client, shares):
    a_page_of_another_site_cannot_ask_this_server(address)
    first = visit(address)
    run(first, steps=LONG)
    a_single_visitor_sees_nothing_of_others(first)
    second, third = visit(address), visit(address)
    others_wait_watch_and_get_their_turn(first, second, third, client)
    watchers_see_its_target_until_they_move_their_own(first, third)
    watchers_may_stop_it_once_it_is_shared(first, third, shares)
    a_returning_visitor_finds_their_run_and_others_only_a_shared_one(first, third, client, shares)
    guesser = come_as_another(second, f"{address}?key=nonsense")
    a_new_page_does_not_open_with_the_run_of_another(guesser)
    the_key_can_be_entered_after_a_wrong_one(guesser)
    a_presenter_stops_anothers_run_and_the_key_leaves_the_address(first, third, address)
