"""Settings under Advanced: each reaches the run and the link, which restore it."""

from __future__ import annotations

from urllib.parse import parse_qs

from playwright.sync_api import expect

from align_core.config.task_card import card
from playground import text
from tests.browser.test_page import LONG, choose, fill, status, wait_for_settings

WORDS = text.load("en")
CONTROLS = WORDS["controls"]


def ran(page, client):
    """Press Run and return the configuration of the run."""
    page.click("#run")
    status(page, "running")
    return client.config(client.current())


def stop(page):
    page.click("#stop")
    status(page, "stopped")


def click_groups(page, groups):
    for group in groups:
        page.click(f"#field-coverage label:has-text('{WORDS['groups']['reviews'][group]}')")


def a_run_on_all_prompts_has_no_chart_of_two_sides(page, client):
    assert ran(page, client)["coverage"] == "all"
    page.wait_for_function("window.playground.run?.series['eval/kl']?.x.length > 0")
    expect(page.locator("#own .chart:visible")).to_have_count(3)
    stop(page)


def no_group_is_reported_at_the_control(page, client):
    before = client.runs()
    click_groups(page, card("reviews").groups)
    page.click("#run")
    page.wait_for_selector(f"#errors li:has-text('{CONTROLS['coverage']}')")
    assert client.runs() == before


def pairs_are_chosen_by_their_prompts_and_their_writer(page, client):
    click_groups(page, card("reviews").groups[:2])
    page.click(f"#field-pair_source label:has-text('{CONTROLS['source_pretrained']}')")
    config = ran(page, client)
    assert (config["coverage"], config["pair_source"]) == ("film,people", "pretrained")

    page.wait_for_selector("#own h3:has-text('Covered')")
    page.locator("#own").scroll_into_view_if_needed()  # charts out of sight are not drawn
    page.wait_for_function("(document.querySelector('#own .plot').data?.length ?? 0) === 2")
    expect(page.locator("#own .chart:visible")).to_have_count(4)

    page.click("#masthead .copy")
    page.wait_for_function("location.search.includes('coverage=')")
    link = parse_qs(page.evaluate("location.search").removeprefix("?"))
    assert (link["coverage"], link["pair_source"]) == (["film,people"], ["pretrained"])
    stop(page)
    page.reload()
    page.wait_for_selector("#charts .js-plotly-plot")
    page.click("#advanced button")
    expect(page.locator("#field-coverage .selected")).to_have_count(2)


def test_the_groups_of_prompts_reach_the_run_its_charts_and_the_link(visit, address, client):
    page = visit(address)
    page.click("#advanced button")
    choose(page, WORDS["methods"]["dpo"]["name"])
    wait_for_settings(page, "dpo", "reviews")
    fill(page, steps=LONG)
    a_run_on_all_prompts_has_no_chart_of_two_sides(page, client)
    no_group_is_reported_at_the_control(page, client)
    pairs_are_chosen_by_their_prompts_and_their_writer(page, client)
