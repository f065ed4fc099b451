"""The whole story, on one page in each language."""

from __future__ import annotations

import math
import re
from functools import cache

import pytest
from playwright.sync_api import expect

from playground import text
from playground.content import story
from tests.browser.conftest import listen, wait_until_said

WORDS = text.load("en")["story"]
NAMES = list(WORDS["scenes"])
SCREENS = ((1280, 720), (390, 844))
# Presses Next; returns the scene that the next frame shows, and the length of its trail.
DRAWN = """() => new Promise((shown) => {
  document.querySelector(".story .onward").click();
  requestAnimationFrame(() => shown([
    document.querySelector(".story").dataset.scene,
    document.querySelector(".story .plot")?.data?.[1]?.x.length,
  ]));
})"""
# The elements that overflow the window, the dialog or their card.
OUTSIDE = """() => {
  const dialog = document.querySelector(".story");
  const within = (one, other) => {
    const [inner, outer] = [one, other].map((each) => each.getBoundingClientRect());
    return inner.left >= outer.left - 1 && inner.right <= outer.right + 1
      && inner.top >= outer.top - 1 && inner.bottom <= outer.bottom + 1;
  };
  return [...dialog.querySelectorAll("*")]
    .filter((one) => one.checkVisibility() && !one.closest(".plot *"))
    .filter((one) => ![dialog, one.closest(".samples, .chart") ?? dialog]
      .every((box) => within(one, box)))
    .map((one) => `${one.tagName} ${one.className}: ${one.textContent}`)
    .concat(dialog.scrollWidth > innerWidth || dialog.scrollHeight > innerHeight ? ["all"] : []);
}"""
LOADED = """performance.getEntriesByType("resource")
  .some(({ name }) => name.endsWith("/story/story.js"))"""
TRACES = "document.querySelector('.story .plot').data"


@pytest.fixture(scope="module", autouse=True)
def data_in_memory():
    """The scenes are read before a fixture replaces the assets."""
    story.scenes()


@pytest.fixture
def languages():
    return text.languages()


def data(name):
    return story.scenes()[name]


def shown(page, selector):
    return page.locator(f".story {selector}").all_inner_texts()


def has_address(page, end):
    expect(page).to_have_url(re.compile(re.escape(end) + "$"))


def nothing_of_it_is_loaded_before_it_is_opened(page):
    assert not page.evaluate(LOADED)
    page.click("#masthead .tell")
    page.wait_for_selector(".story[data-scene='1']")
    assert page.evaluate(LOADED)
    has_address(page, "?story=1")


@cache
def meter(page):
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    return session


def busy(page):
    """Seconds of processor time of the page's main thread: other tests do not count."""
    metrics = meter(page).send("Performance.getMetrics")["metrics"]
    return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")


def go_to(page, name):
    """Press Next; the next frame shows the scene, for less than a second of the browser's work.
    Returns the number of points of its trail."""
    place = NAMES.index(name) + 1
    before = busy(page)
    scene, drawn = page.evaluate(DRAWN)
    assert scene == str(place)
    assert busy(page) - before < 1
    has_address(page, f"?story={place}")
    beta = data("no_leash")["run"]["config"]["beta"]
    assert shown(page, "h2") == [WORDS["scenes"][name]["line"].format(beta=f"{beta:g}")]
    return drawn


def a_choice_is_compared_with_what_raters_choose(page):
    texts = [pair["text"] for pair in data("question")["texts"]]
    assert shown(page, ".completion") == texts
    first, second = (pair["gold_reward"] for pair in data("question")["texts"])
    for button, difference in ((0, first - second), (1, second - first)):
        page.locator(".story .pair button").nth(button).click()
        share = f"{100 / (1 + math.exp(-difference)):.1f}%"
        expect(page.locator(".story .verdict")).to_have_text(
            WORDS["scenes"]["question"]["agree"].format(share=share)
        )


def sft_writes_stored_samples(page):
    go_to(page, "sft")
    texts = [sample["text"] for sample in data("sft")["texts"]]
    assert shown(page, ".completion") == texts[:4]
    page.click(".story .act")
    assert shown(page, ".completion") == texts[4:8]


def every_vote_is_a_dot(page):
    go_to(page, "votes")
    for pair in data("votes"):
        boxes = page.locator(".story .pair .samples")
        assert [box.locator(".dots i").count() for box in boxes.all()] == [
            pair["votes"].count(side) for side in (0, 1)
        ]
        page.click(".story .act")


def the_reward_models_accuracy_is_drawn(page):
    go_to(page, "reward")
    measured = data("reward")["run"]["points"]["eval/accuracy"]
    assert page.evaluate(f"{TRACES}[0].y") == [value for _, value in measured]
    assert shown(page, ".value strong") == [f"{100 * measured[-1][1]:.0f}%"]
    scores = [data("reward")["pair"][side]["proxy_reward"] for side in ("chosen", "rejected")]
    assert shown(page, ".chip strong") == [f"{score:+.1f}" for score in scores]


def ppo_climbs_while_its_text_changes(page):
    """Only this run is played step by step; with reduced motion a recording shows its end."""
    page.emulate_media(reduced_motion="no-preference")
    rows = [samples["rows"][0]["policy"] for samples in data("ppo")["run"]["samples"]]
    assert go_to(page, "ppo") < len(rows)
    page.wait_for_function(f"{TRACES}[1].x.length > 2")
    page.emulate_media(reduced_motion="reduce")
    page.click(".story .act")
    assert page.evaluate(f"{TRACES}[1].x") == [
        kl for _, kl in data("ppo")["run"]["points"]["eval/kl"]
    ]
    written = page.locator(".story .policy .completion").text_content()
    assert written == rows[-1]["text"]


def beta_moves_the_optimum(page):
    go_to(page, "beta")
    page.focus(".story input")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    point = data("beta")[1]
    assert shown(page, "output") == [f"{point['beta']}"], "the keys are the slider's"
    assert page.evaluate(f"[{TRACES}[1].x[0], {TRACES}[1].y[0]]") == [point["kl"], point["gain"]]
    assert shown(page, ".completion") == [point["text"]["text"]]


def without_beta_the_text_collapses(page):
    go_to(page, "no_leash")
    written = page.locator(".story .policy .completion").text_content()
    assert written == data("no_leash")["run"]["samples"][-1]["rows"][0]["policy"]["text"]
    assert "Buy after after after" in written
    points = data("no_leash")["run"]["points"]
    ends = [points[f"eval/{name}_reward"][-1][1] for name in ("proxy", "gold")]
    assert shown(page, ".value strong") == [f"{end:+.1f}".replace("-", "−") for end in ends]


def ppo_and_dpo_are_compared_by_their_measurements(page):
    go_to(page, "dpo")
    runs = [data(name)["run"] for name in ("ppo", "dpo")]
    cells = [row.locator("td").all_inner_texts() for row in page.locator(".story tr").all()]
    assert cells[2] == [f"{run['seconds']:.0f} s" for run in runs]
    gains = [run["points"]["eval/gain"][-1][1] * data("frontier")["full_gain"] for run in runs]
    assert cells[3] == [f"{gain:+.2f}" for gain in gains]
    assert cells[4] == [f"{run['points']['eval/kl'][-1][1]:.2f}" for run in runs]
    assert page.evaluate(f"{TRACES}.length") == 5, "the limit, and for each run a trail and its end"
    faster = runs[0]["seconds"] / runs[1]["seconds"]
    assert f"DPO is {faster:.1f} times as fast." in shown(page, ".verdict")[0]


def keys_and_a_remote_control_lead_through_it(page):
    for key, place in (
        *(("Home", 1), ("PageDown", 2), ("ArrowRight", 3), (" ", 4), ("PageUp", 3)),
        *(("ArrowLeft", 2), ("PageDown", 3)),
    ):
        page.keyboard.press(key)
        has_address(page, f"?story={place}")
    page.go_back()
    expect(page.locator(".story")).to_have_attribute("data-scene", "2")
    page.click(".story .note")
    expect(page.locator(".story .notes")).to_have_text(WORDS["scenes"]["sft"]["notes"])
    has_address(page, "?story=2&notes=")
    expect(page.locator(".story time")).not_to_have_text("0:00")
    listen(page, ".story time")
    page.click(".story .again")
    has_address(page, "?story=1&notes=")
    wait_until_said(page, "0:00")
    page.keyboard.press("Escape")
    expect(page.locator(".story")).to_be_hidden()
    expect(page).not_to_have_url(re.compile("story"))
    page.wait_for_function("window.playground.story === null")


def nothing_is_cut_on_any_screen(page):
    for width, height in SCREENS:
        page.set_viewport_size({"width": width, "height": height})
        page.keyboard.press("Home")
        for place in range(1, len(NAMES) + 1):
            expect(page.locator(".story")).to_have_attribute("data-scene", str(place))
            page.wait_for_function(f"!({OUTSIDE})().length")
            page.keyboard.press("PageDown")


def test_the_story(visit, address):
    page = visit(address)
    page.emulate_media(reduced_motion="reduce")
    nothing_of_it_is_loaded_before_it_is_opened(page)
    a_choice_is_compared_with_what_raters_choose(page)
    sft_writes_stored_samples(page)
    every_vote_is_a_dot(page)
    the_reward_models_accuracy_is_drawn(page)
    ppo_climbs_while_its_text_changes(page)
    beta_moves_the_optimum(page)
    without_beta_the_text_collapses(page)
    ppo_and_dpo_are_compared_by_their_measurements(page)
    nothing_is_cut_on_any_screen(page)
    keys_and_a_remote_control_lead_through_it(page)
    page.goto(f"{address}zh?story=3")
    expect(page.locator(".story h2")).to_have_text(
        text.load("zh")["story"]["scenes"]["votes"]["line"]
    )
    nothing_is_cut_on_any_screen(page)
