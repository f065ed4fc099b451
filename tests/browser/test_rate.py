"""The Rate view for one visitor and for a room, with the presenter's page and the phones' page."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from playwright.sync_api import expect

from align_core.votes.sessions import Sessions
from playground import app, text
from playground.views.rate import ENOUGH
from playground.voting.pairs import Pairs
from playground.voting.tally import vote_counts
from tests.browser.conftest import PATIENCE
from tests.browser.test_page import LONG
from tests.waiting import until

WORDS = text.load("en")
NEEDED = ENOUGH["reviews"].enough
CHINESE = text.load("zh")["ballot"]
HOSTILE = "<img src=x onerror=window.hacked=1> ${1+1} {{value}} <script>window.hacked=1</script>"
PAIRS = [
    {"prompt": f"{i} {HOSTILE}", "first": f" {i} warm {HOSTILE}", "second": f" {i} cold"}
    for i in range(8)
]
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture
def languages():
    return text.languages()


@pytest.fixture
def sessions(client, monkeypatch):
    """The page's sessions, with pairs whose texts contain HTML."""
    monkeypatch.setattr(Pairs, "_load", lambda self, task, model: PAIRS)
    monkeypatch.setattr(Pairs, "score", lambda self, session, reward_model: None)
    sessions = Sessions(client.root.with_name("sessions"))
    monkeypatch.setattr(app, "Sessions", lambda root: sessions)
    yield sessions
    sessions.close()


@pytest.fixture
def rate(sessions, visit, address):
    page = visit(address)
    page.get_by_role("tab", name=WORDS["views"]["rate"], exact=True).click()
    page.wait_for_selector("#rate .pair:not([hidden])")
    return page


@contextlib.contextmanager
def phone_in_the_room(rate, chromium, address):
    """A phone, once the room is open."""
    rate.click("#rate .room .open")
    rate.wait_for_selector("#rate .hall:not([hidden])")
    with contextlib.closing(chromium.new_context(**PHONE)) as context:
        phone = context.new_page()
        phone.set_default_timeout(PATIENCE)
        broken = []
        phone.on("pageerror", lambda error: broken.append(str(error)))
        phone.goto(f"{address}vote")
        phone.wait_for_selector("main:not([hidden])")
        yield phone
    assert not broken


def wait_for_text(page, selector, words):
    page.wait_for_function(
        "([selector, words]) => document.querySelector(selector)?.textContent.includes(words)",
        arg=[selector, words],
    )


def counts(page, session):
    """Expects the page to show these numbers of votes to train on and of held-out votes."""
    votes = session.votes()
    part = vote_counts(votes)
    wait_for_text(page, "#rate .count", f"Votes to train on: {part['to_train']} of {NEEDED}")
    held, neither = part["held_out"], len(votes) - sum(part.values())
    wait_for_text(
        page, "#rate .train .aside", f"To train on: {part['to_train']} votes of this session and 0"
    )
    wait_for_text(page, "#rate .train .aside", f"of the prompts: {held}. Not used")
    wait_for_text(page, "#rate .train .aside", f"Not used, except by KTO: {neither}, ties")


def choose(page, act, prompt):
    """Press a button, and wait until the page shows another pair than that of `prompt`."""
    before = page.text_content(prompt)
    changed = "([selector, before]) => document.querySelector(selector).textContent !== before"
    page.wait_for_timeout(400)  # input that comes too early is ignored (SETTLE_MS of ballot.js)
    act()  # once: a second press could be a vote on the next pair
    page.wait_for_function(changed, arg=[prompt, before])
    return before


def on_a_narrow_screen_nothing_leaves_its_card(rate):
    usual = rate.viewport_size
    rate.set_viewport_size(PHONE["viewport"])
    rate.wait_for_function("document.documentElement.scrollWidth <= innerWidth")
    rate.wait_for_function(
        """[...document.querySelectorAll('#rate .card *')]
        .filter((one) => one.offsetParent && !one.closest('[hidden]'))
        .every((one) => one.getBoundingClientRect().right
            <= one.closest('.card').getBoundingClientRect().right - 10)"""
    )
    rate.set_viewport_size(usual)


def keys_and_clicks_vote_skip_and_undo(rate, sessions):
    prompt = "#rate .ballot .prompt"
    keys = {"ArrowLeft": "left", "ArrowUp": "tie", "ArrowDown": "bad"}
    for key in keys:
        choose(rate, lambda key=key: rate.keyboard.press(key), prompt)
    choose(rate, lambda: rate.click("#rate [data-choice=right]"), prompt)
    session = sessions.open(sessions.names()[0])
    cast = [
        vote["choice"]
        if vote["choice"] in ("tie", "bad")
        else "left"
        if vote["choice"] == vote["left"]
        else "right"
        for vote in session.votes()
    ]
    assert cast == [*keys.values(), "right"]
    wait_for_text(rate, "#rate .counts .votes strong", "4")
    counts(rate, session)
    wait_for_text(rate, "#rate .share .asks", WORDS["rate"]["asks"]["none"])
    session.set_scores([], "a-run")
    wait_for_text(rate, "#rate .share .asks", WORDS["rate"]["asks"]["votes"])
    assert sum(vote_counts(session.votes()).values()) == 2  # neither the tie nor "both bad"

    choose(rate, lambda: rate.keyboard.press("s"), prompt)
    choose(rate, lambda: rate.keyboard.press("u"), prompt)
    assert session.tally()["votes"] == 3
    wait_for_text(rate, "#rate .counts .votes strong", "3")
    assert rate.locator("#rate .ballot :is(img, script)").count() == 0
    assert HOSTILE in rate.text_content(prompt)
    assert rate.evaluate("window.hacked") is None

    rate.reload()
    rate.get_by_role("tab", name=WORDS["views"]["rate"], exact=True).click()
    wait_for_text(rate, "#rate .counts .votes strong", "3")
    counts(rate, session)


def a_deleted_session_makes_room_for_a_fresh_one(rate, sessions):
    before = sessions.names()
    rate.click("#rate .room .delete")
    wait_for_text(rate, "#rate .counts .votes strong", "0")
    (fresh,) = sessions.names()
    assert fresh not in before
    expect(rate.locator("#rate .pair")).to_be_visible()


def a_room_without_a_code_shows_its_counts_side_by_side(rate):
    expect(rate.locator("#rate .invitation img")).to_be_hidden()  # no phone can reach this page
    expect(rate.locator("#rate .counts p")).to_have_count(3)
    hall, *boxes = rate.evaluate(
        """[...document.querySelectorAll('#rate .hall, #rate .counts p')]
        .map((one) => one.getBoundingClientRect().toJSON())"""
    )
    for left, right in zip(boxes, boxes[1:], strict=False):
        assert left["right"] <= right["left"]
    assert boxes[-1]["right"] <= hall["right"]
    assert min(box["width"] for box in boxes) > 100


def a_phone_votes_by_thumb_and_the_presenter_sees_it(phone, rate):
    a_room_without_a_code_shows_its_counts_side_by_side(rate)
    phone.wait_for_function("document.documentElement.scrollWidth <= innerWidth")
    phone.wait_for_function("document.documentElement.scrollHeight <= innerHeight")
    for button in phone.locator("main button").all():
        box = button.bounding_box()
        assert min(box["width"], box["height"]) >= 44  # pixels, for a thumb
    for choice in ("left", "right", "tie"):
        choose(phone, lambda choice=choice: phone.tap(f"[data-choice={choice}]"), "#prompt")
    wait_for_text(phone, "#rated", "3")
    wait_for_text(rate, "#rate .counts .votes strong", "3")
    wait_for_text(rate, "#rate .counts .raters strong", "1")
    assert HOSTILE in phone.text_content("#prompt")
    assert phone.locator(":is(img, main script)").count() == 0
    assert phone.evaluate("window.hacked") is None

    # No phone can reach 127.0.0.1: the page says so, and how to change that.
    assert "GRADIO_SERVER_NAME=0.0.0.0" in rate.text_content("#rate .invitation")
    rate.click("#rate .room .close")
    rate.wait_for_selector("#rate .room .open")
    phone.wait_for_timeout(400)
    phone.tap("[data-choice=left]")
    wait_for_text(phone, "#message", WORDS["ballot"]["closed"])
    wait_for_text(phone, "#agreed", WORDS["ballot"]["alone"])
    expect(phone.locator(".taught")).to_be_hidden()  # nothing was trained yet
    rate.click("#rate .room .open")
    phone.wait_for_selector("main:not([hidden])")  # without a reload
    expect(phone.locator("section")).to_be_hidden()
    wait_for_text(phone, "#rated", "3")

    phone.click("header a")
    wait_for_text(phone, "h1", CHINESE["title"])
    expect(phone.locator("html")).to_have_attribute("lang", "zh-CN")
    wait_for_text(phone, "#rated", "3")


def it_has_the_settings_of_the_run_and_explains_run(rate, config):
    words = WORDS["trained_on"]
    wait_for_text(rate, "#trained_on .again", words["again"])
    rate.wait_for_selector("#trained_on", state="visible")
    for field in ("steps", "batch_size", "learning_rate"):
        expect(rate.locator(f"#field-{field} input")).to_have_value(f"{config[field]:g}")
    expect(rate.locator("#field-method input:checked")).to_have_value("dpo")
    votes = len(Path(config["preferences"]).read_text().splitlines())
    learnt = words["learnt"].format(votes=votes, origin=words["origins"]["alone"])
    expect(rate.locator("#trained_on .learnt")).to_have_text(learnt)


def the_report_shows_its_texts_before_and_after(rate, events):
    wait_for_text(rate, "#rate .report", "DPO")
    # Four texts, before and after, in a report that was there already while the run was running.
    expect(rate.locator("#rate .report .run .texts p")).to_have_count(8)
    expect(rate.locator("#rate .report .run .said .chip.gold")).to_have_count(8)
    first = [event for event in events if event["kind"] == "samples"][-1]["samples"][0]
    chips = rate.locator("#rate .report .run .said .chip strong").all_text_contents()[:2]
    golds = [first[side]["gold_reward"] for side in ("reference", "policy")]
    assert [float(chip.replace("−", "-")) for chip in chips] == pytest.approx(golds, abs=0.051)
    rose = WORDS["rate"]["verdicts"]["rose"]
    verdict = rate.text_content("#rate .report .run > :last-child")
    size = verdict.split("rose by ")[1].split(" ")[0]
    assert verdict == rose.format(prompts=64, texts=4, size=size)
    assert rate.locator("#rate .report :is(img, script)").count() == 0


def a_run_on_votes_is_shown_in_train_reported_and_not_repeated_by_run(rate, client):
    for _ in range(6):
        choose(rate, lambda: rate.keyboard.press("ArrowLeft"), "#rate .ballot .prompt")
    wait_for_text(rate, "#rate .counts .votes strong", "6")
    assert rate.is_hidden("#trained_on")
    rate.click("#rate .ways label:has-text('DPO')")
    rate.click("#rate .train button")
    rate.wait_for_selector("#trained_on", state="visible")
    (name,) = client.runs()
    config = client.config(name)
    assert config["method"] == "dpo" and "trained-on" in config["preferences"]
    it_has_the_settings_of_the_run_and_explains_run(rate, config)
    rate.wait_for_selector("#train[data-run=finished]")
    rate.get_by_role("tab", name=WORDS["views"]["rate"], exact=True).click()
    the_report_shows_its_texts_before_and_after(rate, client.events(name)[0])

    rate.get_by_role("tab", name=WORDS["views"]["train"], exact=True).click()
    rate.fill("#field-steps input", "1")
    rate.click("#run")
    rate.wait_for_selector("#trained_on", state="hidden")
    again = client.config(client.runs()[0])
    assert again["method"] == "dpo" and again["preferences"] is None


def a_run_on_votes_waits_behind_anothers(rate, client):
    until(lambda: client.current() is None)
    live = client.start(method="dpo", task="reviews", steps=LONG)
    rate.get_by_role("tab", name=WORDS["views"]["rate"], exact=True).click()
    before = client.runs()
    rate.click("#rate .train button")
    rate.wait_for_function("window.playground?.standing?.place === 1")
    expect(rate.locator("#visit .line")).to_be_visible()  # in Train, which is shown now
    expect(rate.locator("#leave")).to_be_visible()
    assert client.runs() == before
    rate.get_by_role("tab", name=WORDS["views"]["rate"], exact=True).click()
    rate.click("#rate .train button")
    wait_for_text(rate, "#rate .errors", WORDS["visitors"]["one_each"])
    client.send(live, "stop")
    rate.wait_for_function("window.playground.standing.place === null")  # the run has begun
    assert "trained-on" in client.config(client.runs()[0])["preferences"]


def test_rating(rate, sessions, chromium, address, client):
    rate.on("dialog", lambda dialog: dialog.accept())
    on_a_narrow_screen_nothing_leaves_its_card(rate)
    keys_and_clicks_vote_skip_and_undo(rate, sessions)
    a_deleted_session_makes_room_for_a_fresh_one(rate, sessions)
    with phone_in_the_room(rate, chromium, address) as phone:
        a_phone_votes_by_thumb_and_the_presenter_sees_it(phone, rate)
    a_deleted_session_makes_room_for_a_fresh_one(rate, sessions)
    a_run_on_votes_is_shown_in_train_reported_and_not_repeated_by_run(rate, client)
    a_run_on_votes_waits_behind_anothers(rate, client)
