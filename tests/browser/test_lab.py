"""The Lab view: its coverage experiment trains as a slider moves and as cells are clicked."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from align_core import experiments
from playground import text

WORDS = text.load("en")["lab"]
CELLS = """name => [...document.querySelectorAll(`#lab .map.${name} .cells > *`)]
    .map((cell) => cell.style.getPropertyValue("--depth"))"""
PAIRS = "#lab .map.coverage .note"


@pytest.fixture
def lab(visit, address):
    page = visit(address)
    page.get_by_role("tab", name="Lab", exact=True).click()
    page.wait_for_selector("#lab .summary p")
    return page


def slide(page, name, value):
    page.eval_on_selector(
        f"#lab .{name} input",
        "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }",
        value,
    )


def the_maps_follow_sliders_and_cells(lab):
    assert lab.inner_text(PAIRS) == "48 pairs"
    before = {name: lab.evaluate(CELLS, name) for name in ("coverage", "dpo", "optimum")}
    assert len(before["dpo"]) == 64

    slide(lab, "beta", "-2.9")
    lab.wait_for_function(
        f"before => String(({CELLS})('dpo')) !== before", arg=",".join(before["dpo"])
    )
    assert lab.inner_text("#lab .dials .beta output") == "0.055"
    assert lab.evaluate(CELLS, "optimum") != before["optimum"]
    assert lab.evaluate(CELLS, "coverage") == before["coverage"]

    slide(lab, "responses", "8")
    lab.wait_for_selector(f"{PAIRS}:text('224 pairs')")  # 8 prompts · 8 · 7 / 2
    assert lab.inner_text("#lab .summary") == WORDS["live"]["summary"]["all"]

    cell = lab.locator("#lab .map.coverage button").first
    cell.click()
    lab.wait_for_selector(f"{PAIRS}:text('217 pairs')")  # 7 fewer: the pairs of one of 8 responses
    assert cell.get_attribute("aria-pressed") == "false"
    assert cell.get_attribute("aria-label") == "prompt 1, response 1: not covered"
    assert lab.inner_text("#lab .responses output") == "as clicked"
    assert "response 1 to prompt 1" in lab.inner_text("#lab .summary") or (
        "none of them gains" in lab.inner_text("#lab .summary")
    )

    lab.keyboard.press("ArrowRight")
    lab.keyboard.press("Enter")
    lab.wait_for_selector(f"{PAIRS}:text('211 pairs')")  # 6 fewer
    assert re.fullmatch(r"0\.\d\d", lab.inner_text("#lab .map.dpo output"))  # the focused cell's


def a_bad_seed_is_reported(lab):
    slide(lab, "seed", "")
    lab.wait_for_selector("#lab .errors li")
    error = lab.inner_text("#lab .errors")
    assert error == "Seed takes a whole number from 0 to 999; got None"
    slide(lab, "seed", "3")
    lab.wait_for_selector("#lab .errors:empty", state="attached")


def every_card_shows_its_results_or_that_there_are_none(lab):
    cards = lab.locator("#lab .card")
    expect(cards).to_have_count(len(experiments.NAMES))
    for card in cards.all():
        assert card.locator(".said li").count() or card.locator(".missing").count()
        verdicts = card.locator(".verdicts p")
        assert verdicts.count() >= 2 or card.locator(".missing").count()
        for line in verdicts.all_inner_texts():
            assert line.startswith(tuple(WORDS["verdicts"].values()))


def a_click_shows_the_numbers_of_a_figure(lab):
    card = lab.locator("[data-experiment=frontier]")
    findings = card.locator(".said")
    assert not findings.is_visible()
    card.get_by_text(WORDS["in_numbers"]).click()
    findings.wait_for()


def a_link_fills_in_the_settings_of_train(lab):
    lab.locator("[data-experiment=overoptimisation] .links a").first.click()
    lab.wait_for_selector("#charts .js-plotly-plot")
    assert "reward_model=few" in lab.evaluate("location.search")
    expect(lab.locator("#field-beta [type=number]")).to_have_value("0.1")


def test_the_lab(lab):
    the_maps_follow_sliders_and_cells(lab)
    a_bad_seed_is_reported(lab)
    every_card_shows_its_results_or_that_there_are_none(lab)
    a_click_shows_the_numbers_of_a_figure(lab)
    a_link_fills_in_the_settings_of_train(lab)
