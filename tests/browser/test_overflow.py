"""No text leaves its box, in any view, at any width, in both languages."""

from __future__ import annotations

import pytest
from playwright.sync_api import TimeoutError, expect

from playground import text

WIDTHS = (2560, 1920, 1280, 1024, 768, 640, 390, 320)  # 640: 1280 at 200%
# [text, box that cuts it, pixels] of every visible text below `root` that its window or a box cuts,
# unless that box can be scrolled. A pixel is for rounding, six for a space at the end of a line.
CUT = """(root) => {
  const all = { left: 0, right: innerWidth, name: "window" };
  const known = new Map([[document.documentElement, all]]);
  function limit(box) { // null: anything goes
    if (known.has(box)) return known.get(box);
    let found = limit(box.parentElement);
    const { overflowX, display, position } = getComputedStyle(box);
    const scrolls = ["auto", "scroll"].includes(overflowX) && box.scrollWidth > box.clientWidth + 1;
    if (position === "fixed" || scrolls) found = null;
    if (found && overflowX !== "visible" && display !== "inline") {
      const { left, right, width } = box.getBoundingClientRect();
      if (width <= 2) found = null; // for screen readers alone
      else if (right < found.right) {
        found = { left: Math.max(left, found.left), right, name: box.id || box.className };
      }
    }
    known.set(box, found);
    return found;
  }
  const cut = [];
  const range = document.createRange(); // one: each removal of an element updates all of them
  const texts = document.createTreeWalker(document.querySelector(root), NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const { data, parentElement: host } = texts.currentNode;
    if (!data.trim() || host.closest("svg, option, script, style")) continue;
    if (!host.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    const within = limit(host);
    range.selectNodeContents(texts.currentNode);
    const { left, right, width } = range.getBoundingClientRect();
    const slack = getComputedStyle(host).whiteSpace.startsWith("pre") ? 6 : 1;
    const over = within && Math.max(right - within.right, within.left - left);
    if (width && over > slack) cut.push([data.trim().slice(0, 40), within.name, Math.round(over)]);
  }
  return cut;
}"""


# The texts that are cut in any view. If there are none, those that are cut at a station of Learn.
CUT_ANYWHERE = f"""() => {{
  const cut = {CUT};
  const found = cut("body");
  const wide = document.documentElement.scrollWidth - innerWidth;
  if (wide > 0) found.push(["", "window", wide]);
  if (found.length) return found;
  return [...document.querySelectorAll(".learn .station")].flatMap((station) => {{
    station.dispatchEvent(new Event("click"));
    return cut(".learn");
  }});
}}"""


@pytest.fixture
def languages():
    return text.languages()


def nothing_is_cut(page, where):
    try:  # plots follow their boxes a moment later; asked at every frame, this would delay them
        page.wait_for_function(f"({CUT_ANYWHERE})().length === 0", polling=500)
    except TimeoutError:
        assert page.evaluate(CUT_ANYWHERE) == [], where


def all_views_are_shown_at_once(page, words):
    page.wait_for_selector("body[data-settled]")
    page.wait_for_function("window.playground?.target?.texts")
    for name in words["views"].values():
        page.get_by_role("tab", name=name, exact=True).click()
    page.add_style_tag(content="#views [role=tabpanel] { display: block !important; }")
    expect(page.locator(".learn .station")).to_have_count(len(words["learn"]["stations"]))


def test_no_text_is_cut(visit, address):
    page = visit(address, viewport={"width": WIDTHS[0], "height": 900})
    for path in text.languages().values():
        if path:
            page.set_viewport_size({"width": WIDTHS[0], "height": 900})  # all tabs are in sight
            page.goto(address + path)
        all_views_are_shown_at_once(page, text.load("zh" if path else "en"))
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            nothing_is_cut(page, (path, width))
