"""The sentences on a run change; the charts keep their place."""

from __future__ import annotations

from itertools import count

import pytest

from playground import text
from playground.content.summaries import Summaries
from tests.browser.test_page import LONG

SCREENS = {
    "laptop": ("?", 1440, 900),
    "hall": ("?", 1920, 1080),
    "projector": ("?present&", 1920, 1080),
    "chinese": ("zh?", 1440, 900),
}
# Records each sentence, the position of the charts at that moment, and whether it is cut off.
WATCH = """() => {
  const told = document.querySelector("#live .told");
  window.seen = [];
  new MutationObserver(() => window.seen.push({
    told: told.textContent,
    top: document.querySelector("#pictures").getBoundingClientRect().top + scrollY,
    cut: told.scrollHeight > told.clientHeight,
  })).observe(told, { childList: true, characterData: true, subtree: true });
}"""


@pytest.fixture
def sayings(monkeypatch):
    """The sentences that each run gets in turn: short, long and many."""
    sentences = sorted(text.load("en")["readings"].values(), key=len)
    chinese = sorted(text.load("zh")["readings"].values(), key=len)
    stories = [sentences[:1], sentences[-3:], sentences[-1:], chinese[-3:], chinese[:1]]
    turn = count()

    def tell(self, config, events):
        shown = stories[next(turn) % len(stories)]
        return {"sentences": [("good", sentence) for sentence in shown], "time_left": None}

    monkeypatch.setattr(Summaries, "summarise", tell)
    return {story[0] for story in stories}


@pytest.mark.parametrize("screen", SCREENS)
def test_no_sentence_moves_the_pictures(visit, address, sayings, screen):
    path, width, height = SCREENS[screen]
    page = visit(
        f"{address}{path}method=dpo&steps={LONG}", viewport={"width": width, "height": height}
    )
    page.click("#run")
    page.wait_for_function("window.playground.run?.summary?.sentences.length > 0")
    page.evaluate(WATCH)
    page.wait_for_function(
        "all => all.every((one) => window.seen.some(({ told }) => told === one))",
        arg=sorted(sayings),
    )
    page.wait_for_selector("#story li >> nth=1", state="attached")  # the next sentences
    seen = [entry for entry in page.evaluate("window.seen") if entry["told"] in sayings]
    assert len({entry["top"] for entry in seen}) == 1
    assert not any(entry["cut"] for entry in seen)


def test_the_bar_is_full_as_soon_as_the_run_has_ended(visit, address):
    page = visit(f"{address}?method=dpo&steps=60")
    page.click("#run")
    page.wait_for_selector("#train[data-run=finished]")
    bar = page.locator("#live .bar").bounding_box()
    assert page.locator("#live .bar > div").bounding_box() == bar
