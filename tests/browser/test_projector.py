"""Every view on a projector has texts that can be read from the last row."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from playground import text
from tests.browser.test_compare import OLD, recorded

VIEWS = text.load()["views"]
PROJECTOR = {"viewport": {"width": 1920, "height": 1080}}
LEAST = 20  # pixels on the screen
# [pixels, text] of every visible text of the view. A text in a drawing counts as large as it is
# drawn, rotated or not; a formula counts with its own size, although its indices are smaller.
SIZES = """(view, scale = ({ a, b }) => Math.hypot(a, b)) =>
[...document.querySelectorAll(`#${view} *`)]
  .filter((one) => one.checkVisibility() && one.getBoundingClientRect().width > 1)
  .filter((one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
  .map((one) => [parseFloat(getComputedStyle(one.closest("math") ?? one).fontSize)
    * (one.closest("svg") ? scale(one.getScreenCTM()) : 1), one.textContent])"""
FILLED = {
    "compare": "#compare .curves .js-plotly-plot .xtick text >> nth=0",
    "try": "#try .answers .one p >> nth=0",
    "score": "#score .answers .scored .completion >> nth=0",
    "rate": "#rate .card:visible >> nth=0",
    "lab": "#lab .summary p >> nth=0",
    "learn": "#learn .steps math >> nth=0",
}


@pytest.fixture
def shown(visit, address, client):
    """shown("lab") returns the page on a projector with this view open and filled."""
    for name, beta in zip(OLD, (0.5, 0.7), strict=True):
        recorded(client, name, "finished", beta)
    page = visit(f"{address}?present", **PROJECTOR)

    def show(view):
        page.get_by_role("tab", name=VIEWS[view], exact=True).click()
        if view == "try":
            page.click("#try button[type=submit]")
        page.wait_for_selector(FILLED[view])
        return page

    return show


def assert_readable(page, view):
    page.wait_for_function(f"view => ({SIZES})(view).length > 8", arg=view)
    page.wait_for_function("document.documentElement.scrollWidth <= innerWidth")
    sizes = page.evaluate(SIZES, view)
    assert [size for size in sizes if size[0] < LEAST] == [], view


def test_every_view_and_every_lesson_can_be_read_from_the_last_row(shown):
    for view in FILLED:
        assert_readable(shown(view), view)
    page = shown("learn")
    for station in page.locator("#learn .station").all():
        station.click()
        expect(station).to_have_attribute("aria-pressed", "true")
        assert_readable(page, "learn")
