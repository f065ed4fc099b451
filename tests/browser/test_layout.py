"""Nothing in the right column overlaps, and no axis shows impossible values."""

from __future__ import annotations

import contextlib
import re

from playwright.sync_api import expect

from playground import text
from tests.browser.test_page import LONG, MOVE, points
from tests.waiting import until

WORDS = text.load("en")
LAPTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
# The topmost element at each point of a grid over the buttons.
OVER = """() => {
  const { left, top, width, height } = document.querySelector("#buttons").getBoundingClientRect();
  const at = (i, j) => document.elementFromPoint(left + width * i / 20, top + height * j / 20);
  return Array.from({ length: 19 * 19 }, (_, n) => at(1 + n % 19, 1 + Math.floor(n / 19)))
    .filter((one) => !one?.closest("#buttons")).map((one) => one?.textContent);
}"""
FIRST_SCREENS = {
    "": ((1440, 900), (1280, 720), (1024, 600), (390, 844)),
    "?present": ((1920, 1080),),
}
# The first screen: where the frontier chart begins, and where it and each text ends.
FIRST_SCREEN = """() => {
  const bottom = (one) => one.getBoundingClientRect().bottom;
  const sides = [...document.querySelectorAll("#example .side:not([hidden])")];
  return {
    above: document.querySelector("#frontier .chart").getBoundingClientRect().top,
    picture: bottom(document.querySelector("#frontier .plot")),
    texts: sides.map((side) => bottom(side.querySelector(".completion"))),
    cut: bottom(document.querySelector("#example .row")),
    said: sides.map((side) => side.querySelector(".completion").textContent.trim()),
    width: document.documentElement.scrollWidth,
  };
}"""
# Whether the picture has the width of its box, which it follows a moment later.
FITS = """() => {
  const plot = document.querySelector("#frontier .plot");
  return Math.abs(plot?._fullLayout?.width - plot?.clientWidth) <= 1;
}"""
# The values of a chart that stand out of its card.
OUTSIDE = """(card) => {
  const { left, right } = card.getBoundingClientRect();
  return [...card.querySelectorAll(".value:not([hidden])")].filter((value) => {
    const box = value.getBoundingClientRect();
    return box.left < left || box.right > right;
  }).map((value) => value.textContent);
}"""
# The texts in a chart, each with its box.
LABELS = """() => [...document.querySelectorAll(
    "#frontier .annotation-text, #frontier .textpoint text, #frontier .remarks")]
  .map((one) => [one.textContent, one.getBoundingClientRect()])
  .map(([text, { left, right, top, bottom }]) => ({ text, left, right, top, bottom }))
  .filter(({ text }) => text)"""

# The sizes of the boxes of all charts, and of the pictures in them.
BOXES = """() => [...document.querySelectorAll(".js-plotly-plot")]
  .filter((one) => one.offsetParent)
  .map(({ clientWidth, clientHeight }) => [clientWidth, clientHeight])"""
PICTURES = """() => [...document.querySelectorAll(".js-plotly-plot")]
  .filter((one) => one.offsetParent)
  .map(({ _fullLayout }) => [_fullLayout.width, _fullLayout.height])"""


def cover(one, other):
    return (
        min(one["right"], other["right"]) - max(one["left"], other["left"]) > 1
        and min(one["bottom"], other["bottom"]) - max(one["top"], other["top"]) > 1
    )


def the_buttons_stay_above_the_controls_that_pass_under_them(page):
    page.wait_for_selector("#field-coverage")
    under = page.locator("#field-coverage").bounding_box()["y"]
    usual, height = page.viewport_size, int(under) + 20
    page.set_viewport_size({"width": 1440, "height": height})
    page.wait_for_function(f"innerHeight === {height}")
    assert page.evaluate(OVER) == []
    page.set_viewport_size(usual)


def the_values_of_a_chart_are_in_its_card_and_no_axis_goes_below_zero(page):
    """The KL cannot be below zero, and its first value is 0."""
    page.click("#run")
    points(page, 1)
    page.wait_for_function("window.playground.run.series['eval/kl'].y.join() === '0'")
    lowest = "document.querySelectorAll('#charts .plot')[1]._fullLayout?.yaxis.range[0]"
    page.wait_for_function(f"{lowest} === 0")
    name = WORDS["charts"]["metrics"]["rewards/margins"]["name"]
    for screen in (LAPTOP, PHONE):
        page.set_viewport_size(screen)
        page.reload()
        chart = page.locator("#own .chart", has=page.locator(".value", has_text=name))
        chart.locator(".value", has_text=name).wait_for()
        until(lambda chart=chart: chart.evaluate(OUTSIDE) == [])


def the_picture_and_three_texts_need_no_scrolling(page, width, height):
    """Below at most a fifth of the height."""
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_function(FITS)
    seen = {}

    def is_whole():
        seen.update(page.evaluate(FIRST_SCREEN))
        return (
            seen["above"] <= height / 5
            and seen["picture"] <= height
            and len(seen["texts"]) == 3
            and max(seen["texts"]) <= min(height, seen["cut"])
            and all(seen["said"])
            and seen["width"] <= width
        )

    with contextlib.suppress(AssertionError):
        until(is_whole)
    assert is_whole(), (width, height, seen)


def the_policys_text_comes_with_the_run(page):
    says = "document.querySelector('#example .policy .completion').textContent"
    silent = page.evaluate(says)
    page.click("#run")
    page.wait_for_function(f"silent => {says} !== silent", arg=silent)
    page.click("#example .next")
    expect(page.locator("#example .place output")).to_have_text(re.compile("^2 "))


def test_the_first_screen_shows_the_picture_and_one_prompts_three_texts(visit, address):
    page = visit(address)
    for query, screens in FIRST_SCREENS.items():
        if query:
            page.goto(f"{address}{query}")
        page.wait_for_function("window.playground?.target?.texts")
        for width, height in screens:
            the_picture_and_three_texts_need_no_scrolling(page, width, height)
    the_policys_text_comes_with_the_run(page)


def the_labels_in_the_frontier_chart_do_not_overlap(page):
    page.wait_for_function("window.playground.target")
    page.wait_for_function(FITS)
    page.evaluate("document.fonts.ready.then(() => {})")
    picture = page.locator("#frontier .chart").bounding_box()
    unsure, note = False, WORDS["frontier"]["unsure"].split("{")[0]
    for beta in (5, 1, 0.5, 0.3, 0.2, 0.15, 0.1, 0.05):
        page.evaluate(MOVE, beta)
        page.wait_for_function(f"window.playground.target?.beta === {beta}")
        page.wait_for_selector(f"#frontier .textpoint :text-is('β {beta}')")
        labels = page.evaluate(LABELS)
        texts = [label["text"] for label in labels]
        assert WORDS["frontier"]["limit"] in texts and WORDS["frontier"]["crosses"] in texts
        unsure = unsure or any(text.startswith(note) for text in texts)
        assert not [
            (label["text"], other["text"])
            for i, label in enumerate(labels)
            for other in labels[:i]
            if cover(label, other)
        ]
        for label in labels:
            assert (
                picture["x"] <= label["left"] and label["right"] <= picture["x"] + picture["width"]
            )
    assert unsure, "the note was shown, too"


def every_chart_fits_its_box_on_paper(page):
    """Paper is narrower than the screen, and of another medium."""
    usual = page.viewport_size
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    drawn = page.evaluate(PICTURES)
    assert len(drawn) >= 3 and drawn == page.evaluate(BOXES)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 794, "height": 1123})
    assert page.evaluate(BOXES) == drawn
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.set_viewport_size(usual)
    page.wait_for_function(FITS)


def test_nothing_overlaps(visit, address):
    """First on a phone, where a chart that did not follow the size of its card would show it."""
    page = visit(f"{address}?method=dpo&steps={LONG}&eval_every={LONG // 2}", viewport=PHONE)
    the_labels_in_the_frontier_chart_do_not_overlap(page)
    page.set_viewport_size(LAPTOP)
    the_labels_in_the_frontier_chart_do_not_overlap(page)
    the_buttons_stay_above_the_controls_that_pass_under_them(page)
    every_chart_fits_its_box_on_paper(page)
    the_values_of_a_chart_are_in_its_card_and_no_axis_goes_below_zero(page)
