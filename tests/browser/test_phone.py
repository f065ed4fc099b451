"""Train on a phone: the charts come before the controls, most of which are hidden at first."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.test_page import LONG, WORDS, choose, run, status

PHONE = {"width": 390, "height": 844}


@pytest.fixture
def page(visit, address):
    page = visit(address, viewport=PHONE)
    page.wait_for_selector("#frontier .js-plotly-plot")
    return page


def tops(page, *selectors):
    """The distances of elements from the top of the page, in pixels."""
    top = "(one) => document.querySelector(one).getBoundingClientRect().top + scrollY"
    return page.evaluate(f"selectors => selectors.map({top})", selectors)


def the_picture_and_the_texts_come_first_then_beta_and_run_then_the_charts(page):
    order = (
        "#frontier",
        "#example",
        "#field-beta",
        "#run",
        "#fold",
        "#live",
        "#charts",
        "#samples",
    )
    for selector in order:
        expect(page.locator(selector)).to_be_visible()
    places = tops(page, *order)
    assert places == sorted(places)
    page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")


def the_name_of_the_reference_covers_no_number_of_the_axis(page):
    """The boxes of the name and of the axis's numbers, from top to bottom."""
    box = (
        "(one) => { const { top, bottom } = one.getBoundingClientRect(); return { top, bottom }; }"
    )
    name = page.locator("#frontier .annotation-text", has_text=WORDS["frontier"]["reference"])
    number = page.locator("#frontier .xtick text >> nth=0")
    assert name.evaluate(box)["bottom"] <= number.evaluate(box)["top"] + 2


def the_other_controls_are_in_the_fold(page):
    folded = ("#field-task", "#field-method", "#field-steps", "#advanced", "#field-pace")
    assert not any(page.is_visible(control) for control in folded)
    page.click("#fold button")
    for control in folded:
        expect(page.locator(control)).to_be_visible()
    choose(page, WORDS["methods"]["dpo"]["name"])
    page.wait_for_function("window.playground.method === 'dpo'")
    page.click("#fold button")
    for control in folded:
        expect(page.locator(control)).to_be_hidden()


def a_run_is_started_watched_and_stopped_beside_its_picture(page):
    page.click("#fold button")
    run(page, steps=LONG)
    page.wait_for_function("window.playground.run?.series['eval/kl']?.x.length > 0")
    for button in ("#pause", "#stop"):
        expect(page.locator(button)).to_be_visible()
    places = tops(page, "#frontier", "#stop", "#charts")
    assert places == sorted(places)
    page.click("#stop")
    status(page, "stopped")
    expect(page.locator("#run")).to_be_visible()


def a_link_leads_to_a_view_whose_tab_is_in_the_menu(page, address):
    label = WORDS["views"]["lab"]
    expect(page.get_by_role("tab", name=label)).to_have_count(0)
    page.goto(f"{address}?view=lab")
    expect(page.locator("#lab .card >> nth=0")).to_be_visible()
    page.wait_for_selector("body[data-settled]", state="attached")
    page.evaluate("history.replaceState(null, '', location.pathname)")
    page.click("#masthead .copy")
    page.wait_for_function("location.search.includes('view=lab')")


def test_train_on_a_phone(page, address):
    the_picture_and_the_texts_come_first_then_beta_and_run_then_the_charts(page)
    the_name_of_the_reference_covers_no_number_of_the_axis(page)
    the_other_controls_are_in_the_fold(page)
    a_run_is_started_watched_and_stopped_beside_its_picture(page)
    a_link_leads_to_a_view_whose_tab_is_in_the_menu(page, address)
