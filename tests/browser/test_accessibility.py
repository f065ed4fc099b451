"""axe-core finds nothing, in our own parts or Gradio's: in every view, in the story and on the
phones' page, in both languages, in light and dark colours.

What Plotly draws is the content of an image with a text of its own, and the rows of a list are
alike. Colours, whose rule takes most of the time, are the same in both languages.
"""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import expect

from playground import text
from playground.content import story
from playground.voting.pairs import Pairs
from tests.browser.test_compare import OLD, recorded
from tests.browser.test_overflow import all_views_are_shown_at_once
from tests.browser.test_rate import PAIRS

SCREEN = {"width": 1440, "height": 900}
# What axe finds, as [rule, element, HTML, explanation].
FOUND = """async ([root, options]) => {
  const context = { include: [root], exclude: [".plot > *", ".rows > :nth-child(n + 3)"] };
  const { violations } = await axe.run(context, { resultTypes: ["violations"], ...options });
  return violations.flatMap(({ id, nodes }) => nodes.map(({ target, html, failureSummary }) =>
    [id, target.join(" "), html.slice(0, 200), failureSummary.split("\\n")[1]]));
}"""
# So that axe does not read them again; a picture that is gone has no size.
WITHOUT_VIEWS = """() => {
  for (const plot of document.querySelectorAll("#views .plot")) plot.className = "";
  document.querySelector("#views").remove();
}"""
DARK = "dark => document.body.classList.toggle('dark', dark)"
COLOURS = "color-contrast"
ALL_RULES: dict[str, Any] = {}
OTHER_RULES = {"rules": {COLOURS: {"enabled": False}}}
DARK_RULES = {"runOnly": {"type": "rule", "values": [COLOURS]}}
STILL = "* { transition: none !important; animation: none !important; }"  # each colour is its last


@pytest.fixture
def languages():
    return text.languages()


@pytest.fixture(scope="module", autouse=True)
def story_in_memory():
    """The scenes are read before a fixture replaces the assets."""
    story.scenes()


@pytest.fixture(autouse=True)
def pairs_without_a_model(monkeypatch):
    monkeypatch.setattr(Pairs, "_load", lambda self, task, model: PAIRS)
    monkeypatch.setattr(Pairs, "score", lambda self, session, reward_model: None)


def found(page, root, options):
    """What axe finds below `root` with these options."""
    return page.evaluate(FOUND, [root, options])


def nothing_is_found(page, root, where, language):
    """In English in light and dark colours, in other languages by the rules without colours."""
    if language != text.ENGLISH:
        assert found(page, root, OTHER_RULES) == [], where
        return
    for look, options in (("light", ALL_RULES), ("dark", DARK_RULES)):
        page.evaluate(DARK, look == "dark")
        assert found(page, root, options) == [], (where, look)
    page.evaluate(DARK, False)


def is_filled(page, part, content):
    """A part is filled only once it is in sight."""
    page.locator(part).first.scroll_into_view_if_needed()
    page.wait_for_selector(f"{part} {content}")


def the_views_are_filled(page):
    """Runs to compare, answers, pairs, a room and the maps of the grid."""
    page.click("#try [type=submit]")
    is_filled(page, "#try", ".answers .one p")
    is_filled(page, "#score", ".answers .scored .completion")
    is_filled(page, "#compare", ".curves .js-plotly-plot")
    is_filled(page, "#rate", ".pair:not([hidden])")
    if page.is_visible("#rate .room .open"):
        page.click("#rate .room .open")
    page.wait_for_selector("#rate .hall:not([hidden])")
    is_filled(page, ".lab .maps", ".cells[aria-label]")
    page.evaluate("window.scrollTo(0, 0)")


def test_axe_finds_nothing(visit, address, client):
    for name, beta in zip(OLD, (0.5, 0.7), strict=True):
        recorded(client, name, "finished", beta)
    page = visit(address, viewport=SCREEN)
    page.emulate_media(reduced_motion="reduce")
    for language, path in text.languages().items():
        if path:
            page.goto(address + path)
        page.evaluate(AXE_SCRIPT)
        page.add_style_tag(content=STILL)
        words = text.load(language)
        all_views_are_shown_at_once(page, words)
        the_views_are_filled(page)
        nothing_is_found(page, "body", "views", language)
        nothing_is_found_in_the_story(page, len(words["story"]["scenes"]), language)
        nothing_is_found_on_the_phones_page(page, address, language)


def nothing_is_found_in_the_story(page, scenes, language):
    page.click("#masthead .tell")
    page.wait_for_selector(".story[data-scene='1']")
    page.evaluate(WITHOUT_VIEWS)
    for place in range(1, scenes + 1):
        expect(page.locator(".story")).to_have_attribute("data-scene", str(place))
        nothing_is_found(page, ".story", f"scene {place}", language)
        page.keyboard.press("PageDown")


def nothing_is_found_on_the_phones_page(page, address, language):
    """With all of its parts shown, which a phone sees one after the other."""
    page.goto(f"{address}vote?lang={language}")
    page.evaluate(AXE_SCRIPT)
    page.evaluate("for (const one of document.querySelectorAll('[hidden]')) one.hidden = false")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert found(page, "body", ALL_RULES) == [], scheme
    page.emulate_media(color_scheme="light")
