"""The page in a talk: in Chinese, from a link, on a projector."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from align_core.config.run_config import defaults
from align_core.config.task_card import card
from playground import text

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
    """Waits until the controls have these numbers."""
    for field, number in numbers.items():
        number_input = f"document.querySelector('#field-{field} [type=number]')"
        page.wait_for_function(f"{number_input}?.value === '{number}'")


def it_speaks_chinese_and_changes_language_with_its_settings(page):
    assert page.get_attribute("html", "lang") == "zh-CN"
    assert page.title() == CHINESE["title"]
    page.click(f"#controls label:has-text('{CHINESE['methods']['dpo']['name']}')")
    steps = defaults("dpo", "reviews")["steps"]
    wait_for_numbers(page, steps=steps)
    page.fill("#field-beta [type=number]", "0.25")
    page.click("#masthead a")
    page.wait_for_selector("html[lang=en-GB]")
    wait_for_numbers(page, steps=steps, beta="0.25")
    assert page.locator("#field-method input:checked").input_value() == "dpo"
    assert urlsplit(page.url).path == "/"
    assert not page.is_visible("#field-pace")
    assert page.text_content("#masthead nav a") == CHINESE["language"]["name"]
    assert "lang=" not in page.url


def a_link_sets_the_controls_and_is_copied_whole(page, address):
    settings = {"task": "capitals", "method": "dpo", "beta": "0.3", "steps": "40", "seed": "7"}
    hostile = "<img src=x onerror=window.hacked=1>"
    query = "&".join(f"{name}={value}" for name, value in settings.items())
    page.goto(f"{address}?{query}&learning_rate={hostile}&lora_r=-3&hide={hostile}")
    usual = defaults("dpo", "capitals")
    wait_for_numbers(page, beta="0.3", steps=40, seed=7, learning_rate=usual["learning_rate"])
    assert "capital of France" in page.inner_text("#controls")
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src=x]").count() == 0

    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.fill("#field-beta [type=number]", "0.25")
    page.click("#masthead .copy")
    page.wait_for_selector(f"#masthead .copy:has-text('{text.load()['link']['copied']}')")
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    link = {name: values for name, (values,) in parse_qs(urlsplit(page.url).query).items()}
    unchanged = ("learning_rate", "batch_size", "eval_every", "preference_pairs")
    expected = {**settings, "beta": "0.25", "label_noise": "0", "lora_r": "0", "hide": hostile}
    expected |= {"loss": "sigmoid"}
    expected |= {"coverage": ",".join(card("capitals").groups), "pair_source": "reference"}
    assert link == expected | {name: str(usual[name]) for name in unchanged}


# The right edge of the last card.
REACH = """Math.max(...[...document.querySelectorAll('#train .chart, #samples')]
  .filter((one) => one.checkVisibility()).map((one) => one.getBoundingClientRect().right))"""


def a_projector_gets_large_type_and_few_controls(page, least):
    shown = [control for control in CONTROLS.split(", ") if page.is_visible(control)]
    assert shown == ["#field-method", "#field-beta", "#field-pace", "#run"]
    page.wait_for_selector("#frontier .xtick text")
    sizes = page.evaluate(SIZES)
    assert len(sizes) > 30
    assert [size for size in sizes if size[0] < least] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(REACH) <= page.evaluate(
        "document.querySelector('#stage').getBoundingClientRect().right"
    )


def test_a_talk(visit, address):
    page = visit(f"{address}zh?present&hide=pace")
    it_speaks_chinese_and_changes_language_with_its_settings(page)
    a_link_sets_the_controls_and_is_copied_whole(page, address)
    for width, height, least in ((1280, 720, 16), (1920, 1080, 24)):
        page.set_viewport_size({"width": width, "height": height})
        page.goto(f"{address}?present&hide=seed,task,nonsense")
        page.wait_for_selector("body[data-settled]")
        a_projector_gets_large_type_and_few_controls(page, least)
