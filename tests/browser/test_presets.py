"""Presets: recorded runs replayed in the live view."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from align_core.config.run_config import resolve
from playground import text
from playground.content import optimum
from tests.browser.test_page import LONG, MOVE
from tests.playground.recordings import MACHINE, record
from tests.runs.test_commands import of_command, of_python

ENGLISH = text.load("en")
WORDS = ENGLISH["presets"]
RACE = WORDS["races"]["ppo-dpo"]
RUNNERS = [name.format(beta=beta) for name, beta in zip(RACE["runners"], (0.7, 0.5), strict=True)]
SETTINGS = {
    "healthy-ppo": {"method": "ppo", "task": "reviews", "steps": LONG},
    "healthy-dpo": {"method": "dpo", "task": "reviews", "steps": LONG},
    "noisy-raters": {"method": "dpo", "task": "capitals", "label_noise": 0.3, "steps": LONG},
}
BEGINS = {"command": "align-core", "python": "from align_core"}
# Whether the text that was copied begins so.
COPIED = "begin => document.querySelector('#masthead .keep textarea').value.startsWith(begin)"


@pytest.fixture(autouse=True)
def recordings(fake_assets):
    """Recorded runs, created before the page is built."""
    for name, settings in SETTINGS.items():
        record(fake_assets, name, settings)


def chip(page, name):
    return page.locator("#presets button", has_text=WORDS["cards"][name]["name"])


# Records the steps at which the bar of progress was drawn.
WATCH = """() => {
  window.drawn = [];
  const drawn = new MutationObserver(() => window.drawn.push(window.playground.run?.step));
  drawn.observe(document.querySelector("#live"), { attributes: true, subtree: true });
}"""


def end(page):
    page.wait_for_function("window.playground.run?.status.name === 'finished'")


def the_page_opens_on_a_recorded_run_that_is_marked(page, client):
    page.wait_for_selector("#train[data-run=recorded]")
    expect(page.locator("#live .state")).to_have_text(WORDS["state"])
    expect(page.locator("#presets .origin")).to_contain_text(MACHINE)
    page.wait_for_function(  # in one line, once the fonts are there
        "document.querySelector('#presets .origin').getBoundingClientRect().height < 1.5 * 24"
    )
    expect(page.locator("#run")).to_be_visible()
    expect(page.locator("#stop")).to_be_hidden()
    end(page)
    assert page.evaluate("window.playground.run.series['eval/kl'].y") == [0, 0.5, 1]
    expect(page.locator("#readings .summary")).to_have_text(WORDS["cards"]["healthy-ppo"]["shows"])
    expect(page.locator("#live .state")).to_have_text(WORDS["state"])
    assert client.runs() == []


def the_recorded_run_is_copied_as_a_command_and_as_python(page):
    given = {}
    page.click("#masthead .keep summary")
    for name in ("command", "python"):
        page.click(f"#masthead .keep .{name}")
        page.wait_for_function(COPIED, arg=BEGINS[name])
        given[name] = page.input_value("#masthead .keep textarea")
    config = resolve(**SETTINGS["healthy-ppo"])
    assert resolve(**of_command(given["command"])) == config
    assert resolve(**of_python(given["python"])) == config
    page.click("#live .state")
    expect(page.locator("#masthead .keep .command")).to_be_hidden()


def a_preset_plays_from_its_beginning_and_fills_the_settings(page):
    for _ in range(2):  # a second click replays it
        page.evaluate(WATCH)
        chip(page, "noisy-raters").click()
        page.wait_for_function("window.drawn.some((step) => step < 2)")
        page.wait_for_function("window.playground.run.name === 'recorded/noisy-raters'")
        end(page)
    expect(chip(page, "noisy-raters")).to_have_attribute("aria-pressed", "true")
    expect(chip(page, "healthy-ppo")).to_have_attribute("aria-pressed", "false")
    for field in ("label_noise", "steps"):
        expected = str(SETTINGS["noisy-raters"][field])
        expect(page.locator(f"#field-{field} input")).to_have_value(expected)


def names(page):
    """The names of trails in the picture."""
    drawn = page.locator("#frontier .textpoint text")
    return drawn.filter(has_not_text=re.compile("^β"))


def a_link_starts_a_race_on_one_clock(page):
    """Both recordings are the same, and take 8 s after the evaluation of their reference."""
    expect(names(page)).to_have_text(RUNNERS)
    expect(page.locator("#frontier .policy .name")).to_have_text(RUNNERS[0])
    expect(page.locator("#frontier .ghost .name")).to_have_text(RUNNERS[1])
    gain = f"+{0.8 * optimum.of_task('reviews').frontier['full_gain']:.2f}"
    says = ENGLISH["race"]["result"]
    parts = {
        "gain": says["gain_even"].format(who=RUNNERS[0], other=RUNNERS[1], mine=gain, others=gain),
        "kl": says["kl_even"].format(mine="1.00", others="1.00"),
        "time": says["time_even"].format(others="0:08"),
    }
    expect(page.locator("#readings .summary")).to_have_text(says["sentence"].format(**parts))
    sides = page.locator("#example .side:visible")
    expect(sides.locator(".who")).to_have_text(RUNNERS)  # no optimum is known for these prompts
    targets = page.locator("#frontier .textpoint text", has_text=re.compile("^β"))
    expect(targets).to_have_text(["β 0.7", "β 0.5"])
    text = page.evaluate("window.playground.run.samples.at(-1).rows[0].policy.text")
    expect(sides.locator(".completion").nth(0)).to_have_text(text)
    expect(sides.locator(".completion").nth(1)).to_have_text(text)


def a_race_is_in_the_address_until_another_run_is_shown(page):
    race = page.locator("#presets button", has_text=RACE["name"])
    race.click()
    page.wait_for_function("new URL(location).searchParams.get('race') === 'ppo-dpo'")
    expect(race).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#frontier .ghost")).to_be_disabled()
    chip(page, "healthy-dpo").click()
    page.wait_for_function("!new URL(location).searchParams.has('race')")
    expect(race).to_have_attribute("aria-pressed", "false")


def a_preset_has_a_ghost_which_can_be_hidden(page):
    """It is the recording to which the preset's card compares it."""
    ghost = page.locator("#frontier .ghost")
    expect(names(page)).to_have_text(["PPO · β 0.7"])
    expect(ghost.locator(".name")).to_have_text(ENGLISH["frontier"]["legend"]["ghost"])
    ghost.click()
    expect(names(page)).to_have_count(0)
    expect(ghost).to_have_attribute("aria-pressed", "false")
    ghost.click()
    expect(names(page)).to_have_text(["PPO · β 0.7"])


def run_live(page):
    """Choose a preset, wait for its recording and its settings, press Run."""
    chip(page, "noisy-raters").click()
    page.evaluate("window.settings.complete()")
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
    expect(page.locator("#stop")).to_be_visible()
    expect(page.locator("#presets .origin")).to_have_text("")
    expect(page.locator("#readings .summary")).to_have_text(WORDS["cards"]["noisy-raters"]["watch"])
    expect(chip(page, "healthy-ppo")).to_be_disabled()
    page.click("#stop")
    page.wait_for_selector("#train[data-run=stopped]")
    expect(chip(page, "healthy-ppo")).to_be_enabled()
    # The run was cut off, so the sentence is not the one about its end.
    expect(page.locator("#readings .summary")).to_have_text(WORDS["cards"]["noisy-raters"]["watch"])


def a_changed_run_is_no_preset_any_more(page):
    run_live(page)
    expect(chip(page, "noisy-raters")).to_have_attribute("aria-pressed", "true")
    page.evaluate(MOVE, 0.1)
    page.dispatch_event("#field-beta [type=range]", "change")
    page.wait_for_function("window.playground.run.changes.length === 1")
    expect(page.locator("#presets [aria-pressed=true]")).to_have_count(0)
    watch = WORDS["cards"]["noisy-raters"]["watch"]
    expect(page.locator("#readings .summary")).not_to_have_text(watch)


def a_card_describes_its_preset_on_hover_and_focus(page):
    card = page.locator("#preset-noisy-raters")
    expect(card).to_be_hidden()
    chip(page, "noisy-raters").hover()
    card.wait_for(state="visible")
    assert card.locator("dt").all_text_contents() == [WORDS[p] for p in ("aim", "watch", "shows")]
    page.mouse.move(0, 0)
    card.wait_for(state="hidden")
    chip(page, "healthy-dpo").focus()
    page.keyboard.press("Tab")
    card.wait_for(state="visible")


def a_link_can_hide_the_presets_and_names_the_recording(page):
    page.wait_for_selector("#presets li", state="attached")
    expect(page.locator("#presets nav")).to_be_hidden()
    expect(page.locator("#presets .origin")).to_contain_text(MACHINE)


def test_presets(visit, address, client):
    page = visit(f"{address}?hide=presets&race=ppo-dpo")
    a_link_can_hide_the_presets_and_names_the_recording(page)
    a_link_starts_a_race_on_one_clock(page)
    page.goto(address)
    the_page_opens_on_a_recorded_run_that_is_marked(page, client)
    the_recorded_run_is_copied_as_a_command_and_as_python(page)
    a_card_describes_its_preset_on_hover_and_focus(page)
    a_preset_plays_from_its_beginning_and_fills_the_settings(page)
    a_race_is_in_the_address_until_another_run_is_shown(page)
    a_preset_has_a_ghost_which_can_be_hidden(page)
    run_replaces_the_recording_by_a_live_run_of_its_settings(page, client)
    a_changed_run_is_no_preset_any_more(page)
