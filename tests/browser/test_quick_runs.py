"""Quick runs of a Lab experiment from its card."""

from __future__ import annotations

from functools import partial

import pytest
from playwright.sync_api import expect

from align_core.experiments.quick_runs import QuickRuns
from playground import text
from playground.people import run_queue
from tests.playground.scripted_quick_run import GO

WORDS = text.load("en")
QUICK_RUN = WORDS["lab"]["quick_run"]
CARD = "#lab [data-experiment=overoptimisation] .quick-run"


@pytest.fixture(autouse=True)
def scripted(monkeypatch):
    monkeypatch.setenv("SCRIPTED_QUICK_RUN", "awaits")
    monkeypatch.setattr(
        run_queue, "QuickRuns", partial(QuickRuns, module="tests.playground.scripted_quick_run")
    )


def lab(page):
    page.get_by_role("tab", name=WORDS["views"]["lab"], exact=True).click()
    page.wait_for_selector(f"{CARD}[data-status]")


def a_quick_run_is_followed_found_again_and_drawn(page, other, go):
    lab(page)
    page.click(f"{CARD} .attempt")
    one_of_three = QUICK_RUN["running"].format(done=1, count=3)
    state = page.locator(f"{CARD} .stands")
    expect(state).to_have_text(f"{QUICK_RUN['own']} {one_of_three}")
    assert not page.is_visible(f"{CARD} .attempt")
    page.reload()
    lab(page)
    expect(state).to_have_text(f"{QUICK_RUN['own']} {one_of_three}")

    lab(other)
    expect(other.locator(f"{CARD} .stands")).to_have_text(f"{QUICK_RUN['other']} {one_of_three}")
    assert not other.is_visible(f"{CARD} .stop")
    assert not other.is_visible(f"{CARD} .attempt")
    page.get_by_role("tab", name=WORDS["views"]["train"], exact=True).click()
    expect(page.locator("#visit .line")).to_have_text(WORDS["visitors"]["quick_runs"]["own"])

    go.touch()
    for visitor in (page, other):
        lab(visitor)
        size = visitor.locator(f"{CARD} .size")
        expect(size).to_have_text(QUICK_RUN["size"].format(runs=3, seeds=1))
        size.scroll_into_view_if_needed()
        visitor.wait_for_selector(f"{CARD} .outcome .js-plotly-plot")
    go.unlink()  # otherwise the second quick run ends before the end of the first is seen
    page.click(f"{CARD} .attempt")
    expect(page.locator(f"{CARD} .outcome")).to_be_empty()
    go.touch()
    expect(state).to_contain_text(QUICK_RUN["finished"].split("{")[0])
    page.wait_for_selector(f"{CARD} .outcome .js-plotly-plot")
    go.unlink()


def a_second_experiment_is_refused_until_the_first_is_stopped(page):
    page.click(f"{CARD} .attempt")
    page.wait_for_selector(f"{CARD}[data-status=running]")
    page.click("#lab [data-experiment=shift] .quick-run .attempt")
    error = page.locator("#lab [data-experiment=shift] .quick-run .error")
    expect(error).to_have_text(WORDS["visitors"]["one_each"])
    page.click(f"{CARD} .stop")
    page.wait_for_selector(f"{CARD}[data-status=stopped]")
    expect(page.locator(f"{CARD} .stands")).to_have_text(
        f"{QUICK_RUN['own']} {QUICK_RUN['stopped']}"
    )
    page.wait_for_selector(f"{CARD} .attempt")


def test_quick_runs(visit, address, tmp_path):
    page, other = visit(address), visit(address)
    a_quick_run_is_followed_found_again_and_drawn(
        page, other, tmp_path / "runs" / "quick_runs" / GO
    )
    a_second_experiment_is_refused_until_the_first_is_stopped(page)
