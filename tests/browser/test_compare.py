"""The Compare view: old runs, the live one, and win rates of embedded models."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from align_core.config import model_index
from align_core.config.run_config import resolve
from align_core.runs.directory import RunDirectory
from playground import text
from tests.browser.test_page import LONG
from tests.playground.recordings import MACHINE, record
from tests.playground.scripted import HOSTILE, PROMPTS, _evaluation, samples

WORDS = text.load("en")
PRETRAINED = model_index.ASSETS / "models" / "pretrained"  # with its weights
OLD = ("2026-01-02-030405-ppo-reviews", "2026-01-02-030406-ppo-reviews")
TURNED = 0.3
TRAILS = """[...document.querySelector('#compare .trade .plot').data]
  .filter((trace) => trace.name?.length === 1).map((trace) => trace.x.length)"""


def recorded(client, name, status, beta):
    """An old run with two evaluations, whose model is the embedded pretrained one."""
    config = resolve("ppo", "reviews", beta=beta, steps=40)
    run = RunDirectory.create(client.root / name, config)
    for step in (0, 30):
        run.append({"kind": "metrics", "step": step, "seconds": step, "metrics": {
            **_evaluation(config, step), "eval/frontier_efficiency": beta}})  # fmt: skip
        texts = samples(step / 40)
        run.append({"kind": "samples", "step": step, "seconds": step, "samples": texts})
    run.append({"kind": "change", "step": 30, "seconds": 30, "settings": {"beta": TURNED}})
    run.append({"kind": "status", "step": 30, "seconds": 31, "status": status, "message": "<b>"})
    run.close()
    run.model_path.symlink_to(PRETRAINED)


@pytest.fixture(autouse=True)
def recordings(fake_assets):
    """Recorded runs, created before the page is built."""
    record(fake_assets, "healthy-ppo", {"method": "ppo", "task": "reviews", "beta": 0.4})


@pytest.fixture
def page(visit, address, client):
    recorded(client, "<img src=x onerror=window.hacked=1>", "finished", 0.5)
    recorded(client, OLD[0], "finished", 0.5)
    recorded(client, OLD[1], "failed", 0.7)
    page = visit(address)
    page.get_by_role("tab", name=WORDS["views"]["compare"]).click()
    page.wait_for_selector("#compare .trade .js-plotly-plot")
    page.wait_for_function("window.playground.run !== null")
    return page


def texts(page, selector):
    return page.locator(f"#compare {selector}").all_text_contents()


def runs_are_drawn_over_each_other_with_their_differences(page):
    assert texts(page, ".legend .run b") == ["A", "B"]
    assert texts(page, ".legend .run span") == ["PPO · β 0.7 → 0.3", "PPO · β 0.5 → 0.3"]
    assert "Failed" in texts(page, ".legend small")[0]
    assert page.evaluate(TRAILS) == [2, 2]
    assert texts(page, ".chart:not([hidden]) h3") == ["Gold reward", "Proxy reward", "KL"]
    rows = texts(page, ".apart tbody:first-of-type tr:not(.group)")
    assert rows == ["β0.7 → 0.3 from step 300.5 → 0.3 from step 30"]
    assert texts(page, ".apart .best") == ["70%best"]

    prompts = texts(page, ".texts .one:first-child .prompt")
    assert sorted(prompts) == sorted(PROMPTS)
    assert HOSTILE in texts(page, ".texts .completion")
    assert page.locator("#compare :is(img, script, b[onmouseover])").count() == 0
    assert page.evaluate("window.hacked") is None


def a_folder_with_a_hostile_name_is_listed_in_no_view(page):
    for view in ("try", "compare"):
        page.get_by_role("tab", name=WORDS["views"][view]).click()
        page.wait_for_selector(f"#{view} [value='{OLD[0]}']", state="attached")
        assert page.locator(f"#{view} .models [value*='<']").count() == 0
    assert page.evaluate("window.playground.run.name") == OLD[1]
    assert page.locator("img[src=x]").count() == 0
    assert page.evaluate("window.hacked") is None


def wait_for_chosen(page, count):
    page.wait_for_function(f"document.querySelectorAll('#compare .legend li').length === {count}")


def a_recorded_run_is_drawn_over_an_own_run_and_marked(page):
    page.check("#compare [value='recorded/healthy-ppo']", force=True)
    wait_for_chosen(page, 3)
    name = WORDS["presets"]["cards"]["healthy-ppo"]["name"]
    assert texts(page, ".legend .run span")[2] == name
    assert texts(page, ".legend small")[2].startswith(f"recorded on {MACHINE}")
    assert "recorded · PPO · β 0.4" in texts(page, ".models small")
    page.wait_for_function(f"({TRAILS})[2] === 3")
    left_out = WORDS["compare"]["head_to_head_without"].format(runs="C")
    assert left_out in page.inner_text("#compare .head-to-head .rules")
    page.uncheck("#compare [value='recorded/healthy-ppo']", force=True)
    wait_for_chosen(page, 2)


def an_old_run_is_found_by_typing_and_choices_stay(page, client):
    for second in range(12):
        recorded(client, f"2026-02-03-0405{second:02d}-ppo-reviews", "finished", 0.25)
    recorded(client, "2025-12-31-235900-ppo-reviews", "finished", 0.9)
    old = "#compare [value='2025-12-31-235900-ppo-reviews']"
    assert page.locator(old).count() == 0
    # One search, whose answer draws the choices once.
    page.fill("#compare .sought", "2025-12-31 0.9")
    page.wait_for_selector(old, state="attached")
    assert page.locator("#compare [name=models]").count() == 3
    page.check(old, force=True)
    wait_for_chosen(page, 3)
    page.press("#compare .sought", "Enter")
    assert texts(page, ".head-to-head td") == []
    page.fill("#compare .sought", "")
    page.wait_for_function("document.querySelectorAll('#compare [name=models]').length === 16")
    assert page.locator("#compare [name=models]:checked").count() == 3
    page.uncheck(old, force=True)
    wait_for_chosen(page, 2)


def win_rates_are_computed_on_request(page):
    assert texts(page, ".head-to-head td") == []
    page.click("#compare .head-to-head button")
    page.wait_for_selector("#compare .rate")
    assert texts(page, ".head-to-head .rate strong") == ["50%", "50%"], "one model under two names"
    assert "64 prompts" in page.inner_text("#compare .head-to-head .counted")


def one_run_alone_is_too_few(page):
    page.uncheck(f"#compare [value='{OLD[0]}']", force=True)
    page.wait_for_selector("#compare .few:not([hidden])")
    expect(page.locator("#compare .found")).to_be_hidden()
    page.check(f"#compare [value='{OLD[0]}']", force=True)
    wait_for_chosen(page, 2)


def the_live_run_is_followed_beside_old_ones(page, client):
    live = client.start(method="dpo", task="reviews", steps=LONG, eval_every=10)
    page.get_by_role("tab", name=WORDS["views"]["train"]).click()
    expect(page.locator("#charts")).to_be_visible()
    page.get_by_role("tab", name=WORDS["views"]["compare"]).click()
    page.wait_for_selector(f"#compare [value='{live}']", state="attached")
    page.check(f"#compare [value='{live}']", force=True)
    wait_for_chosen(page, 3)
    expect(page.locator("#compare .legend .run b")).to_have_text(["A", "B", "C"])
    page.wait_for_function(f"({TRAILS})[2] >= 2")
    drawn = page.evaluate(TRAILS)[2]
    page.wait_for_function(f"({TRAILS})[2] > {drawn}")
    expect(page.locator("#compare .legend small").nth(2)).to_contain_text("Running")
    client.send(live, "set", beta=TURNED)
    first = client.config(live)["beta"]
    page.wait_for_selector(f"#compare .legend .run:has-text('β {first} → {TURNED}')")
    left_out = WORDS["compare"]["head_to_head_without"].format(runs="C")
    expect(page.locator("#compare .head-to-head .rules")).to_contain_text(left_out)


def a_run_is_mixed_with_its_reference(page, helper, monkeypatch):
    """A failed, so that only B has a slider. The texts of B and a hollow mark follow it."""

    def mixture(model, share):
        assert model == OLD[0]
        return {"kl": share, "gain": share / 4, "samples": samples(0)}

    monkeypatch.setattr(helper, "mixture", mixture)
    slider = page.locator("#compare .mixing input")
    expect(page.locator("#compare .mixing .run b")).to_have_text(["B"])
    second = "#compare .texts .row:not(.heads) .one:nth-child(2) .completion"
    trained = page.locator(second).all_text_contents()
    slider.fill("0.5")
    expect(page.locator(second)).not_to_have_text(trained)
    words = WORDS["try"]["mix_without_beta"].format(share=0.5)  # its β was changed
    expect(page.locator("#compare .mixing .aside")).to_have_text(words)
    mark = "[...document.querySelector('#compare .trade .plot').data].at(-1)"
    page.wait_for_function(f"{mark}.marker.symbol === 'square-open' && {mark}.x[0] === 0.5")
    slider.fill("1")
    expect(page.locator(second)).to_have_text(trained)
    page.wait_for_function(f"{mark}.marker.symbol !== 'square-open'")


def test_compare(page, client, serve, monkeypatch):
    a_folder_with_a_hostile_name_is_listed_in_no_view(page)
    runs_are_drawn_over_each_other_with_their_differences(page)
    a_run_is_mixed_with_its_reference(page, serve.helpers[0], monkeypatch)
    a_recorded_run_is_drawn_over_an_own_run_and_marked(page)
    an_old_run_is_found_by_typing_and_choices_stay(page, client)
    win_rates_are_computed_on_request(page)
    one_run_alone_is_too_few(page)
    the_live_run_is_followed_beside_old_ones(page, client)
