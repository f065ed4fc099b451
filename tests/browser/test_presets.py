"""Presets: recorded runs replayed in the live view."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from align_core.config.run_config import resolve
from playground import text
from tests.browser.test_page import LONG, MOVE
from tests.playground.recordings import MACHINE, record

WORDS = text.load("en")["presets"]
SETTINGS = {
    "healthy-ppo": {"method": "ppo", "task": "reviews", "steps": LONG},
    "noisy-raters": {"method": "dpo", "task": "capitals", "label_noise": 0.3, "steps": LONG},
}


@pytest.fixture(autouse=True)
def recordings(fake_assets):
    """Recorded runs, created before the page is built."""
    for name, settings in SETTINGS.items():
        record(fake_assets, name, settings)


def chip(page, name):
    return page.locator("#presets button", has_text=WORDS["cards"][name]["name"])


def end(page):
    page.wait_for_function("window.playground.run?.status.name === 'finished'")


def the_page_opens_on_a_recorded_run_that_is_marked(page, client):
    page.wait_for_selector("#train[data-run=recorded]")
    expect(page.locator("#live .state")).to_have_text(WORDS["state"])
    assert MACHINE in page.inner_text("#presets .origin")
    origin = page.locator("#presets .origin").bounding_box()
    assert origin["height"] < 1.5 * 24, "in one line"
    assert page.is_visible("#run") and not page.is_visible("#stop")
    end(page)
    assert page.evaluate("window.playground.run.series['eval/kl'].y") == [0, 0.5, 1]
    expect(page.locator("#readings .summary")).to_have_text(WORDS["cards"]["healthy-ppo"]["shows"])
    assert page.inner_text("#live .state") == WORDS["state"]
    assert client.runs() == []


def a_preset_plays_from_its_beginning_and_fills_the_settings(page):
    for _ in range(2):  # a second click replays it
        chip(page, "noisy-raters").click()
        page.wait_for_function("window.playground.run.name === 'recorded/noisy-raters'")
        page.wait_for_function("window.playground.run.step < 2")
        end(page)
    assert chip(page, "noisy-raters").get_attribute("aria-pressed") == "true"
    assert chip(page, "healthy-ppo").get_attribute("aria-pressed") == "false"
    for field in ("label_noise", "steps"):
        expected = str(SETTINGS["noisy-raters"][field])
        assert page.input_value(f"#field-{field} input") == expected


def run_live(page):
    """Choose a preset, wait for its recording and its settings, press Run."""
    chip(page, "noisy-raters").click()
    page.wait_for_function("window.playground.run?.name === 'recorded/noisy-raters'")
    steps = str(SETTINGS["noisy-raters"]["steps"])
    expect(page.locator("#field-steps input")).to_have_value(steps)
    page.wait_for_function("window.playground.method === 'dpo'")
    page.click("#run")
    page.wait_for_function("!window.playground.run.name.startsWith('recorded/')")
    page.wait_for_function("['starting', 'running'].includes(window.playground.run.status.name)")


def run_replaces_the_recording_by_a_live_run_of_its_settings(page, client):
    run_live(page)
    page.wait_for_selector("#train[data-run=running]")
    config = resolve(**SETTINGS["noisy-raters"]).model_dump()
    assert client.config(client.current()) == config
    assert page.is_visible("#stop")
    assert page.inner_text("#presets .origin") == ""
    expect(page.locator("#readings .summary")).to_have_text(WORDS["cards"]["noisy-raters"]["watch"])
    assert chip(page, "healthy-ppo").is_disabled()
    page.click("#stop")
    page.wait_for_selector("#train[data-run=stopped]")
    assert chip(page, "healthy-ppo").is_enabled()
    said = page.inner_text("#readings")
    assert WORDS["cards"]["noisy-raters"]["shows"] not in said, "the run was cut off"


def a_changed_run_is_no_preset_any_more(page):
    run_live(page)
    page.wait_for_selector("#presets [aria-pressed=true]")
    page.evaluate(MOVE, 0.1)
    page.dispatch_event("#field-beta [type=range]", "change")
    page.wait_for_function("window.playground.run.changes.length === 1")
    assert page.locator("#presets [aria-pressed=true]").count() == 0
    watch = WORDS["cards"]["noisy-raters"]["watch"]
    expect(page.locator("#readings .summary")).not_to_have_text(watch)


def a_card_describes_its_preset_on_hover_and_focus(page):
    card = page.locator("#preset-noisy-raters")
    assert not card.is_visible()
    chip(page, "noisy-raters").hover()
    card.wait_for(state="visible")
    assert card.locator("dt").all_text_contents() == [WORDS[p] for p in ("aim", "watch", "shows")]
    page.mouse.move(0, 0)
    card.wait_for(state="hidden")
    chip(page, "healthy-ppo").focus()
    page.keyboard.press("Tab")
    card.wait_for(state="visible")


def a_link_can_hide_the_presets_and_names_the_recording(page):
    page.wait_for_selector("#presets li", state="attached")
    assert not page.is_visible("#presets nav")
    assert MACHINE in page.inner_text("#presets .origin")


def test_presets(visit, address, client):
    page = visit(f"{address}?hide=presets")
    a_link_can_hide_the_presets_and_names_the_recording(page)
    page.goto(address)
    the_page_opens_on_a_recorded_run_that_is_marked(page, client)
    a_card_describes_its_preset_on_hover_and_focus(page)
    a_preset_plays_from_its_beginning_and_fills_the_settings(page)
    run_replaces_the_recording_by_a_live_run_of_its_settings(page, client)
    a_changed_run_is_no_preset_any_more(page)
