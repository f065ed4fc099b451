"""No text leaves its box, in any view, at any width, in both languages."""

from __future__ import annotations

import contextlib

import pytest
from playwright.sync_api import TimeoutError

from playground import text

SECONDS = 10

WIDTHS = (2560, 1920, 1280, 1024, 768, 640, 390, 320)  # 640: 1280 at 200%
# [text, box that cuts it, pixels] of every visible text that its window or a box cuts, unless that
# box can be scrolled. A pixel is for rounding, a space for those that hang over the end of a line.
CUT = """() => {
  const cut = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  next: while (texts.nextNode()) {
    const { data, parentElement: host } = texts.currentNode;
    const shown = host.checkVisibility({ visibilityProperty: true, opacityProperty: true });
    if (!data.trim() || !shown || host.closest("svg, option, script, style")) continue;
    const range = document.createRange();
    range.selectNodeContents(texts.currentNode);
    const { left, right, width } = range.getBoundingClientRect();
    if (!width) continue;
    const limit = { left: 0, right: innerWidth, name: "window" };
    for (let box = host; box; box = box.parentElement) {
      const { overflowX, display, position } = getComputedStyle(box);
      if (position === "fixed") continue next;
      if (overflowX === "visible" || display === "inline") continue;
      const edges = box.getBoundingClientRect();
      if (edges.width <= 2) continue next; // for screen readers alone
      const scrolls = ["auto", "scroll"].includes(overflowX);
      if (scrolls && box.scrollWidth > box.clientWidth + 1) continue next;
      limit.left = Math.max(limit.left, edges.left);
      if (edges.right >= limit.right) continue;
      Object.assign(limit, { right: edges.right, name: box.id || box.className });
    }
    const slack = getComputedStyle(host).whiteSpace.startsWith("pre") ? 6 : 1;
    const over = Math.max(right - limit.right, limit.left - left);
    if (over > slack) cut.push([data.trim().slice(0, 40), limit.name, Math.round(over)]);
  }
  const wide = document.documentElement.scrollWidth - innerWidth;
  return wide > 0 ? [...cut, ["the page", "window", wide]] : cut;
}"""


@pytest.fixture
def languages():
    return text.languages()


def nothing_is_cut(page, where):
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        with contextlib.suppress(TimeoutError):  # plots follow their boxes a moment later
            page.wait_for_function(f"({CUT})().length === 0", timeout=SECONDS * 1000)
        assert page.evaluate(CUT) == [], (width, *where)


def test_no_text_is_cut(visit, address):
    page = visit(address)
    for path in text.languages().values():
        words = text.load("zh" if path else "en")
        page.set_viewport_size({"width": WIDTHS[0], "height": 900})
        page.goto(address + path)
        page.wait_for_selector("body[data-settled]")
        page.wait_for_function("window.playground?.target?.texts")
        for view, name in words["views"].items():
            page.set_viewport_size({"width": WIDTHS[0], "height": 900})
            page.get_by_role("tab", name=name, exact=True).click()
            stations = page.locator(".learn .station:visible")
            for place in range(stations.count() if view == "learn" else 1):
                if view == "learn":
                    page.set_viewport_size({"width": WIDTHS[0], "height": 900})
                    stations.nth(place).click()
                nothing_is_cut(page, (path, view, place))
