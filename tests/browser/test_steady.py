"""The charts keep their places while the sentences on a run change."""

from __future__ import annotations

from itertools import count

import pytest
from playwright.sync_api import expect

from playground import text
from playground.content.summaries import Summaries
from tests.browser.test_page import LONG

PRESENT = "on => document.documentElement.toggleAttribute('data-present', on)"
LAPTOP, HALL = {"width": 1440, "height": 900}, {"width": 1920, "height": 1080}
# For each language: the screens, and whether they are a projector's (talk/present.js).
PAGES = {"": [(LAPTOP, False), (HALL, False), (HALL, True)], "zh": [(LAPTOP, False)]}
# Records each sentence, the position of the charts at that moment, and whether it is cut off.
WATCH = """() => {
  const summary = document.querySelector("#readings .summary");
  window.seen = [];
  new MutationObserver(() => window.seen.push({
    summary: summary.textContent,
    top: document.querySelector("#pictures").getBoundingClientRect().top + scrollY,
    cut: summary.scrollHeight > summary.clientHeight,
  })).observe(summary, { childList: true, characterData: true, subtree: true });
}"""


@pytest.fixture
def languages():
    return text.languages()


@pytest.fixture
def sayings(monkeypatch):
    """Successive sentences for each run: short, long and many."""
    sentences = sorted(text.load("en")["readings"].values(), key=len)
    chinese = sorted(text.load("zh")["readings"].values(), key=len)
    states = [sentences[:1], sentences[-3:], sentences[-1:], chinese[-3:], chinese[:1]]
    turn = count()

    def tell(self, config, events):
        shown = states[next(turn) % len(states)]
        return {"sentences": [("good", sentence) for sentence in shown], "time_left": None}

    monkeypatch.setattr(Summaries, "summarise", tell)
    return {state[0] for state in states}


def is_laid_out(page):
    """Waits for what stands above the sentences, and for the fonts."""
    page.wait_for_selector("body[data-settled]")
    expect(page.locator("#masthead h1")).not_to_be_empty()
    page.evaluate("document.fonts.ready.then(() => true)")


def test_no_sentence_moves_the_pictures(visit, address, sayings):
    page = visit(f"{address}?method=dpo&steps={LONG}")
    page.click("#run")
    for path, screens in PAGES.items():
        if path:
            page.goto(address + path)
        page.wait_for_function("window.playground?.run?.summary?.sentences.length > 0")
        is_laid_out(page)
        for screen, presents in screens:
            page.set_viewport_size(screen)
            page.evaluate(PRESENT, presents)
            page.evaluate(WATCH)
            page.wait_for_function(
                "all => all.every((one) => window.seen.some(({ summary }) => summary === one))",
                arg=sorted(sayings),
            )
            page.wait_for_selector("#readings li >> nth=1", state="attached")  # the next sentences
            seen = [entry for entry in page.evaluate("window.seen") if entry["summary"] in sayings]
            assert len({entry["top"] for entry in seen}) == 1, (path, screen, presents)
            assert not any(entry["cut"] for entry in seen), (path, screen, presents)
