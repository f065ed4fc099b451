"""The page in a talk: in Chinese, from a link, on a projector."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from align_core.config.run_config import defaults
from align_core.config.task_card import card
from playground import text
from tests.browser.conftest import listen, wait_until_said

CHINESE = text.load("zh")
CONTROLS = "#field-task, #field-method, #field-beta, #field-steps, #field-seed, #field-pace, #run"
# [pixels, text] of every visible text.
SIZES = """[...document.querySelectorAll('#train *, #masthead *')]
  .filter((one) => one.checkVisibility())
  .filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
  .map((one) => [parseFloat(getComputedStyle(one).fontSize), one.textContent])"""


@pytest.fixture
def languages():
    return text.languages()


def wait_for_numbers(page, **numbers):
    """Waits until the controls have these numbers, which the server has sent."""
    page.wait_for_selector("body[data-settled]")
    page.evaluate("window.settings.complete()")
    for field, number in numbers.items():
        number_input = f"document.querySelector('#field-{field} [type=number]')"
        page.wait_for_function(f"{number_input}?.value === '{number}'")


def it_speaks_chinese_and_changes_language_with_its_settings(page):
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page).to_have_title(CHINESE["title"])
    page.click(f"#controls label:has-text('{CHINESE['methods']['dpo']['name']}')")
    steps = defaults("dpo", "reviews")["steps"]
    wait_for_numbers(page, steps=steps)
    page.fill("#field-beta [type=number]", "0.25")
    page.click("#masthead a")
    page.wait_for_selector("html[lang=en-GB]")
    wait_for_numbers(page, steps=steps, beta="0.25")
    expect(page.locator("#field-method input:checked")).to_have_value("dpo")
    expect(page).to_have_url(re.compile(r"^[^/]+//[^/]+/(?!.*lang=)\?[^/]*$"))
    expect(page.locator("#field-pace")).to_be_hidden()
    expect(page.locator("#masthead nav a")).to_have_text(CHINESE["language"]["name"])


def a_link_sets_the_controls_and_is_copied_whole(page, address):
    settings = {"task": "capitals", "method": "dpo", "beta": "0.3", "steps": "40", "seed": "7"}
    hostile = "<img src=x onerror=window.hacked=1>"
    query = "&".join(f"{name}={value}" for name, value in settings.items())
    page.goto(f"{address}?{query}&learning_rate={hostile}&lora_r=-3&hide={hostile}")
    usual = defaults("dpo", "capitals")
    wait_for_numbers(page, beta="0.3", steps=40, seed=7, learning_rate=usual["learning_rate"])
    expect(page.locator("#controls")).to_contain_text("capital of France")
    changed = text.load()["link"]["out_of_range"].format(settings="LoRA rank 0")
    expect(page.locator("#errors li")).to_have_text([changed])
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src=x]").count() == 0

    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.fill("#field-beta [type=number]", "0.25")
    listen(page, "#masthead .copy")
    page.click("#masthead .copy")
    wait_until_said(page, text.load()["link"]["copied"])
    url = page.evaluate("location.href")
    assert page.evaluate("navigator.clipboard.readText()") == url
    link = {name: values for name, (values,) in parse_qs(urlsplit(url).query).items()}
    unchanged = ("learning_rate", "batch_size", "eval_every", "preference_pairs")
    expected = {**settings, "beta": "0.25", "label_noise": "0", "lora_r": "0", "hide": hostile}
    expected |= {"loss": "sigmoid"}
    expected |= {"coverage": ",".join(card("capitals").groups), "pair_source": "reference"}
    assert link == expected | {name: str(usual[name]) for name in unchanged}


def a_link_leads_to_the_same_place(page):
    page.get_by_role("tab", name=text.load()["views"]["learn"]).click()
    page.click("#learn .path [data-station=dpo]")
    page.click("#masthead .copy")
    page.wait_for_function("location.search.includes('station=dpo')")
    page.reload()
    page.wait_for_selector("#learn .learn[data-open=dpo]")
    page.get_by_role("tab", name=text.load()["views"]["train"]).click()
    page.click("#masthead .copy")
    page.wait_for_function("!/view|station/.test(location.search)")


# The right edge of the last card.
REACH = """Math.max(...[...document.querySelectorAll('#train .chart, #samples')]
  .filter((one) => one.checkVisibility()).map((one) => one.getBoundingClientRect().right))"""


def a_projector_gets_large_type_and_few_controls(page, least):
    for control in CONTROLS.split(", "):
        shown = control in ("#field-method", "#field-beta", "#field-pace", "#run")
        expect(page.locator(control)).to_be_visible(visible=shown)
    page.wait_for_selector("#frontier .xtick text")
    page.evaluate("document.querySelector('#mixture section').hidden = false")
    page.wait_for_function(f"{SIZES}.length > 30")
    page.wait_for_function(f"least => {SIZES}.every(([size]) => size >= least)", arg=least)
    page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")
    stage = "document.querySelector('#stage').getBoundingClientRect()"
    page.wait_for_function(f"{REACH} <= {stage}.right")


def test_a_talk(visit, address):
    page = visit(f"{address}zh?present&hide=pace")
    it_speaks_chinese_and_changes_language_with_its_settings(page)
    a_link_sets_the_controls_and_is_copied_whole(page, address)
    a_link_leads_to_the_same_place(page)
    for width, height, least in ((1280, 720, 16), (1920, 1080, 24)):
        page.set_viewport_size({"width": width, "height": height})
        page.goto(f"{address}?present&hide=seed,task,nonsense")
        page.wait_for_selector("body[data-settled]")
        a_projector_gets_large_type_and_few_controls(page, least)
