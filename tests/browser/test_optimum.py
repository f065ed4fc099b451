"""The optimum's point and texts on the page before any training."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from align_core.config.methods import DPO_LOSSES as SOUGHT
from playground import text
from playground.content import optimum
from tests.browser.test_page import choose, move_beta, wait_for_settings

WORDS = text.load("en")
OPTIMUM = "[...document.querySelectorAll('#samples .optimum .completion')].map(e => e.textContent)"


def it_answers_before_any_training(page, client):
    page.wait_for_function("window.playground.target?.beta === 0.7")
    page.wait_for_function(f"{OPTIMUM}.length > 0")
    point, texts = page.inner_text("#frontier .target strong"), page.evaluate(OPTIMUM)
    move_beta(page, 0.1)
    assert page.inner_text("#frontier .target strong") != point
    assert page.evaluate(OPTIMUM) != texts
    assert "β = 0.1" in page.inner_text("#samples .heads")
    assert page.input_value("#field-beta [type=number]") == "0.1"
    assert client.runs() == []


def here(beta, text):
    """The page's line on r/β − log Z for a text of the optimum."""
    reward, ratio = text["gold_reward"], text["log_ratio"]
    bar = reward - beta * ratio
    values = {"beta": beta, "reward": f"{reward:.2f}", "bar": f"{bar:.2f}"}
    values |= {"log_z": f"{bar / beta:.2f}", "log_ratio": f"{ratio:+.2f}"}
    return WORDS["samples"]["log_ratio_here"].format(**values).replace("-", "−")


TARGET = """() => {
  const { data, layout } = document.querySelector('#frontier .plot');
  const { x, y, marker } = data.findLast(({ text }) => text?.[0]?.startsWith?.('β'));
  const [left, right] = layout.xaxis.range, [bottom, top] = layout.yaxis.range;
  return { symbol: marker.symbol, right,
           inside: left < x[0] && x[0] < right && bottom < y[0] && y[0] < top };
}"""


def a_target_from_few_samples_is_drawn_hollow(page):
    move_beta(page, 0.7)
    narrow = page.evaluate(TARGET)
    assert (narrow["symbol"], narrow["inside"]) == ("diamond", True)
    move_beta(page, 0.05)
    far = page.evaluate(TARGET)
    assert (far["symbol"], far["inside"]) == ("diamond-open", True)
    assert far["right"] > narrow["right"]
    samples = optimum.of_task("reviews").at(0.05)["samples"]
    unsure = WORDS["frontier"]["unsure"].format(samples=samples)
    assert page.inner_text("#frontier .remarks") == unsure
    spoken = page.get_attribute("#frontier .plot", "aria-label")
    assert unsure in spoken
    move_beta(page, 0.7)
    assert page.evaluate(TARGET) == narrow


def its_texts_have_log_ratios(page):
    move_beta(page, 1)
    log_ratios = page.locator("#samples .optimum .log_ratio:visible")
    texts = {text["prompt"]: text for text in optimum.of_task("reviews").at(1.0)["texts"]}
    known = {prompt: text["log_ratio"] for prompt, text in texts.items()}
    prompts = page.locator("#samples .row:visible .optimum .prompt").all_text_contents()
    shown = [
        float(text.replace("−", "-")) for text in log_ratios.locator("strong").all_text_contents()
    ]
    assert shown == [pytest.approx(known[prompt], abs=0.0501) for prompt in prompts]
    tip = log_ratios.first.get_attribute("data-tip")
    assert tip.startswith(WORDS["samples"]["log_ratio_help"])
    ratio = known[prompts[0]]
    assert tip.endswith(here(1, texts[prompts[0]]))
    assert f"{ratio:+.2f}".replace("-", "−") in tip
    assert page.locator("#samples .optimum .token").count() == 0


def a_less_likely_text_of_positive_reward_is_explained(page):
    page.click("#samples .more")
    move_beta(page, 4)
    texts = {text["prompt"]: text for text in optimum.of_task("reviews").at(4.0)["texts"]}
    sides = page.locator("#samples .row:visible .side.optimum")
    lost = 0
    for side in sides.all():
        text = texts[side.locator(".prompt").text_content()]
        below = text["gold_reward"] > 0 > text["log_ratio"]
        lost += below
        assert side.locator(".below").count() == below
        if below:
            bar = text["gold_reward"] - 4 * text["log_ratio"]
            explanation = WORDS["samples"]["below_bar"].format(bar=f"{bar:.2f}")
            assert side.locator(".below").text_content() == explanation
    assert 0 < lost < sides.count()


def without_a_kl_penalty_there_is_no_target(page):
    move_beta(page, 0.7)
    page.wait_for_selector("#frontier .target strong")
    page.check("#field-beta [type=checkbox]")
    page.wait_for_selector("#frontier .target", state="hidden")
    page.wait_for_function("window.playground.target?.beta === 0")
    assert page.locator("#samples .optimum .log_ratio:visible").count() == 0
    page.uncheck("#field-beta [type=checkbox]")
    page.wait_for_selector("#frontier .target")
    assert page.input_value("#field-beta [type=number]") == "0.7"


def the_diamond_is_what_the_method_and_its_loss_seek(page):
    target, remarks = page.locator("#frontier .target"), page.locator("#frontier .remarks")
    loss, column = page.locator("#field-loss input"), page.locator("#samples h2 .optimum")
    page.click("#advanced button")
    choose(page, "DPO")
    wait_for_settings(page, "dpo", "reviews")
    expect(target).to_be_visible()
    expect(column).to_be_visible()
    expect(remarks).to_be_empty()
    for name, drawn in (("ipo", False), ("chipo", True), ("sigmoid", True)):
        loss.click()
        page.get_by_role("option", name=WORDS["choices"]["loss"][name], exact=True).click()
        said = WORDS["frontier"]["sought"][SOUGHT[name]] if name != "sigmoid" else ""
        expect(remarks).to_have_text(said)
        expect(target).to_be_visible(visible=drawn)
        expect(column).to_be_visible(visible=name == "sigmoid")
        if drawn:
            at = optimum.target({"task": "reviews", "beta": 0.5, "sought": SOUGHT[name]})
            stands = WORDS["frontier"]["stands"].format(
                gain=f"{at['gain']:+.2f}", kl=f"{at['kl']:.2f}"
            )
            expect(target.locator("strong")).to_have_text(stands)


def test_the_optimum_on_the_page(visit, address, client):
    page = visit(address)
    it_answers_before_any_training(page, client)
    a_target_from_few_samples_is_drawn_hollow(page)
    its_texts_have_log_ratios(page)
    a_less_likely_text_of_positive_reward_is_explained(page)
    without_a_kl_penalty_there_is_no_target(page)
    the_diamond_is_what_the_method_and_its_loss_seek(page)
