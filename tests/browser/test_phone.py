"""Train on a phone: the charts come before the controls, most of which are hidden at first."""

from __future__ import annotations

import pytest

from tests.browser.test_page import LONG, WORDS, choose, run, status

PHONE = {"width": 390, "height": 844}


@pytest.fixture
def page(visit, address):
    page = visit(address, viewport=PHONE)
    page.wait_for_selector("#frontier .js-plotly-plot")
    return page


def top(page, selector):
    """The distance from the top of the page, in pixels."""
    return page.locator(selector).bounding_box()["y"] + page.evaluate("scrollY")


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
    tops = [top(page, selector) for selector in order]
    assert tops == sorted(tops)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def the_other_controls_are_in_the_fold(page):
    folded = ("#field-task", "#field-method", "#field-steps", "#advanced", "#field-pace")
    assert not any(page.is_visible(control) for control in folded)
    page.click("#fold button")
    assert all(page.is_visible(control) for control in folded)
    choose(page, WORDS["methods"]["dpo"]["name"])
    page.wait_for_function("window.playground.method === 'dpo'")
    page.click("#fold button")
    assert not any(page.is_visible(control) for control in folded)


def a_run_is_started_watched_and_stopped_beside_its_picture(page):
    page.click("#fold button")
    run(page, steps=LONG)
    page.wait_for_function("window.playground.run?.series['eval/kl']?.x.length > 1")
    assert page.is_visible("#pause") and page.is_visible("#stop")
    assert top(page, "#frontier") < top(page, "#stop") < top(page, "#charts")
    page.click("#stop")
    status(page, "stopped")
    assert page.is_visible("#run")


def test_train_on_a_phone(page):
    the_picture_and_the_texts_come_first_then_beta_and_run_then_the_charts(page)
    the_other_controls_are_in_the_fold(page)
    a_run_is_started_watched_and_stopped_beside_its_picture(page)
