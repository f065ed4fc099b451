"""The Learn view: its lessons in the browser, and the agreement of its arithmetic with Python."""

from __future__ import annotations

import json
import math
import statistics

import pytest
from playwright.sync_api import expect

from align_core.config import model_index
from align_core.config.methods import methods
from align_core.config.run_config import resolve
from align_core.data.encoding import encode
from align_core.models.loading import load_reward_model, load_tokenizer
from align_core.models.rewards import ProxyReward
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from playground import text

WORDS = text.load("en")["learn"]
HOSTILE = " <img src=x onerror=window.hacked=1>${1+1}{{value}}"
RUN = "2026-01-02-030405-dpo-reviews"


def worked_example(task):
    return json.loads(model_index.worked_example(task).read_text(encoding="utf-8"))


TURNED = 0.2
MODELS = {"dpo": "pretrained", "sft": "sft-reviews", "reward": "reward-reviews-off"}


def token():
    """A token of the visitor's own run with λ = 0.95, from another place in the lesson's text."""
    known = worked_example("reviews")["token"]
    known["tokens"][0]["text"] = HOSTILE
    return {
        **known,
        "place": 1,
        "score": 0.75,
        "ahead": 0.625,
        "beta": 0.3,
        "lam": 0.95,
        "rollout": 6,
        "updates": 4,
    }


@pytest.fixture
def client(tmp_path):
    """One run of each method; their models are copies of embedded ones."""
    client = Client(tmp_path / "runs", training="tests.playground.scripted")
    client.preload()
    for method in methods():
        run = RunDirectory.create(
            client.root / RUN.replace("dpo", method), resolve(method, "reviews")
        )
        if method == "dpo":
            change = {"settings": {"beta": TURNED}}
            run.append({"kind": "change", "step": 3, "seconds": 1, **change})
        if method == "ppo":
            run.append({"kind": "token", "step": 6, "seconds": 1, "token": token()})
        run.append({"kind": "status", "step": 7, "seconds": 1, "status": "finished", "message": ""})
        run.close()
        if model := MODELS.get(method):
            run.model_path.symlink_to(model_index.ASSETS / "models" / model)
    yield client
    client.close()


@pytest.fixture
def page(visit, address):
    page = visit(address)
    page.get_by_role("tab", name="Learn").click()
    page.wait_for_function("window.playground.beta !== null")
    return page


def shown(page, name):
    text = page.locator(f"#learn [data-number={name}]").first.text_content()
    return float(text.replace("−", "-").strip("()"))


def move(page, place):
    """Move the slider of this view and return the β that the page shows."""
    page.locator("#learn .beta input").evaluate(
        "(slider, place) => { slider.value = place; slider.dispatchEvent(new Event('input')); }",
        place,
    )
    return page.evaluate("window.playground.beta")


def every_station_opens_with_its_numbers(page):
    for name, words in WORDS["stations"].items():
        page.click(f"#learn [data-station={name}]")
        assert page.locator("#learn h2").text_content() == words["title"]
        assert page.locator("#learn .equations math").count() >= 1
        numbers = page.locator("#learn [data-number]").all_text_contents()
        assert numbers and not [number for number in numbers if number in ("", "NaN", "undefined")]
    page.focus("#learn [data-station=sft]")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert page.locator("#learn [aria-pressed=true]").get_attribute("data-station") == "preferences"
    pair = worked_example("reviews")["pair"]
    difference = pair["chosen"]["gold_reward"] - pair["rejected"]["gold_reward"]
    assert shown(page, "share") == pytest.approx(1 / (1 + math.exp(-difference)), abs=0.006)
    page.click("#learn .tasks label:has-text('Capitals')")
    assert "Paris" in page.locator("#learn .chosen").text_content()


def beta_moves_the_numbers_and_the_slider_of_train(page):
    page.click("#learn [data-station=dpo]")
    pair = worked_example("reviews")["pair"]
    up, down = (pair[side]["logp"] - pair[side]["ref_logp"] for side in ("chosen", "rejected"))
    for place in (0.2, 0.8):
        beta = move(page, place)
        assert page.locator("#field-beta [type=number]").input_value() == f"{beta:g}"
        assert shown(page, "chosen") == pytest.approx(beta * up, abs=0.006)
        assert shown(page, "rejected") == pytest.approx(beta * down, abs=0.006)
        assert shown(page, "margin") == pytest.approx(beta * (up - down), abs=0.006)
        loss = math.log1p(math.exp(-beta * (up - down)))
        assert shown(page, "loss") == pytest.approx(loss, abs=0.006)
    page.click("#learn [data-station=ppo]")
    token = worked_example("reviews")["token"]
    here = token["tokens"][token["place"]]
    beta = move(page, 0.5)
    paid = -beta * (here["logp"] - here["ref_logp"])
    assert shown(page, "paid") == pytest.approx(paid, abs=0.006)


def rewards_of_a_group_are_edited(page):
    """Rewards 3, 0, 0, 1 of the hard prompt: mean 1, the first text's others earn 1/3."""
    page.click("#learn [data-station=groups]")
    rewards = page.locator("#learn .group >> nth=0").locator("input")
    for place, reward in enumerate((3, 0, 0, 1)):
        rewards.nth(place).fill(str(reward))
    assert (shown(page, "mean"), shown(page, "others")) == (1, 0.33)
    spread = math.sqrt((4 + 1 + 1 + 0) / 3)
    assert shown(page, "rloo") == shown(page, "hard_rloo0") == 2.67
    assert shown(page, "grpo") == pytest.approx(2 / spread, abs=0.006)
    easy = [text["gold_reward"] for text in worked_example("reviews")["groups"]["easy"]["texts"]]
    counts = {"hard": f"{1 / spread:.2f}", "easy": f"{1 / statistics.stdev(easy):.2f}"}
    verdict = page.locator("#learn .verdict")
    assert verdict.text_content() == WORDS["verdicts"]["divided"].format(**counts)
    rewards.nth(0).fill("")
    assert shown(page, "mean") == 1, "an empty field changes nothing"
    for place in range(4):
        rewards.nth(place).fill("1")
    assert verdict.text_content() == WORDS["verdicts"]["equal"]


def ipo_pulls_back_what_dpo_pushes_on(page):
    page.click("#learn [data-station=limited]")
    apart, verdict = shown(page, "apart"), page.locator("#learn .verdict")
    for place, said in ((0.1, "apart"), (0.9, "together")):
        aim = 1 / (2 * move(page, place))
        assert (apart > aim) == (said == "together")
        assert verdict.text_content() == WORDS["verdicts"][said]


def a_less_likely_text_of_positive_reward_is_explained(page):
    page.click("#learn [data-station=optimum]")
    optimum = worked_example("reviews")["optimum"]
    first = optimum["texts"][0]
    verdict = page.locator("#learn .verdict")
    for place in (0.35, 0.9):
        beta = move(page, place)
        log_z = math.log(
            sum(count * math.exp(reward / beta) for reward, count in optimum["rewards"])
            / optimum["samples"]
        )
        bar = beta * log_z
        assert shown(page, "bar") == pytest.approx(bar, abs=0.006)
        assert shown(page, "ratio") == pytest.approx(first["gold_reward"] / beta - log_z, abs=0.006)
        lost = next((text for text in optimum["texts"] if 0 < text["gold_reward"] < bar), None)
        assert (lost is not None) == (place == 0.35)
        if lost:
            values = {"text": lost["text"].strip(), "r": f"{lost['gold_reward']:.2f}"}
            expected = WORDS["verdicts"]["below_bar"].format(**values, bar=f"{bar:.2f}")
            assert verdict.text_content() == expected
    assert verdict.text_content() == "", "at this β both texts are above the bar"
    page.click("#learn [data-station=sft]")
    assert verdict.text_content() == ""


def dpo_before_training_and_in_an_own_run(page):
    page.click("#learn [data-station=dpo]")
    page.click("#learn [data-whose=reference]")
    assert (shown(page, "margin"), shown(page, "loss")) == (0, 0.69)
    assert page.locator("#learn .verdict").text_content() == WORDS["verdicts"]["same"]
    page.click("#learn [data-whose=own]")
    beta = f"{resolve('dpo', 'reviews').beta:g} → {TURNED}"
    expect_note(page, WORDS["own"]["dpo"].format(run=RUN, beta=beta))
    assert abs(shown(page, "margin")) > 0.01


def expect_note(page, note):
    expect(page.locator("#learn .note")).to_have_text(note)


def without_an_own_run_the_lesson_stays(page):
    page.click("#learn .tasks label:has-text('Capitals')")
    for station, method in {"sft": "SFT", "reward": "Reward model", "ppo": "PPO"}.items():
        page.click(f"#learn [data-station={station}]")
        before = page.locator("#learn [data-number]").all_text_contents()
        page.click("#learn [data-whose=own]")
        expect_note(page, WORDS["no_run"].format(method=method))
        assert page.locator("#learn [data-number]").all_text_contents() == before
        pressed = page.locator("#learn .whose [aria-pressed=true]").text_content()
        assert pressed == WORDS["whose"]["recorded"]
    for station in ("preferences", "optimum"):
        page.click(f"#learn [data-station={station}]")
        assert page.locator("#learn .whose").count() == 0


def own(page, station):
    page.click(f"#learn [data-station={station}]")
    page.click("#learn [data-whose=own]")
    page.wait_for_selector("#learn .whose [data-whose=own][aria-pressed=true]")


def a_token_of_an_own_ppo_run_goes_into_its_equations(page):
    own(page, "ppo")
    mine = token()
    name = RUN.replace("dpo", "ppo")
    note = WORDS["own"]["ppo"].format(run=name, **mine)
    expect_note(page, f"{note} {WORDS['own']['lambda'].format(**mine)}")
    assert page.locator("#learn .example mark").text_content() == mine["tokens"][1]["text"].strip()
    beta = move(page, 0.5)
    here = mine["tokens"][1]
    assert shown(page, "paid") == pytest.approx(
        -beta * (here["logp"] - here["ref_logp"]), abs=0.006
    )
    assert shown(page, "earned") == pytest.approx(0.75 - beta * 0.625, abs=0.006)
    assert shown(page, "ratio") == pytest.approx(
        math.exp(here["new_logp"] - here["logp"]), abs=0.006
    )
    assert HOSTILE in page.locator("#learn .example").text_content()
    assert page.locator("#learn .example :is(img, script)").count() == 0
    assert page.evaluate("window.hacked") is None
    page.click("#learn [data-whose=recorded]")
    assert shown(page, "score") == pytest.approx(
        worked_example("reviews")["token"]["score"], abs=0.006
    )


def what_sft_learnt_stands_beside_the_sharpened_reference(page):
    page.click("#learn [data-station=sft]")
    demonstration = worked_example("reviews")["demonstration"]
    learnt, sharp = (
        -sum(token[column] for token in demonstration["tokens"]) for column in ("logp", "sharpened")
    )
    assert shown(page, "after") == pytest.approx(learnt, abs=0.006)
    note = page.locator("#learn .note").text_content()
    assert f"costs {sharp:.2f}, and a new one " in note and "{" not in note


def own_sft_and_reward_models_score_the_lessons_texts(page):
    """The SFT run has the reference's model, which is sharpened; the reward model differs."""
    known = worked_example("reviews")
    own(page, "sft")
    expect_note(page, WORDS["own"]["sft"].format(run=RUN.replace("dpo", "sft")))
    tokens = known["demonstration"]["tokens"]
    for name, column in (("before", "before"), ("after", "sharpened")):
        cost = -sum(token[column] for token in tokens)
        assert shown(page, name) == pytest.approx(cost, abs=0.006)
    own(page, "reward")
    expect_note(page, WORDS["own"]["reward"].format(run=RUN.replace("dpo", "reward")))
    sides = [known["pair"][side] for side in ("chosen", "rejected")]
    tokenizer = load_tokenizer("sft-reviews")
    proxy = ProxyReward(load_reward_model("reward-reviews-off"), tokenizer)
    prompt, texts = known["pair"]["prompt"], [side["text"] for side in sides]
    ids = [encode(tokenizer, prompt, text)[1] for text in texts]
    scores = proxy([prompt] * 2, texts, completion_ids=ids)
    assert shown(page, "chosen") == pytest.approx(scores[0], abs=0.006)
    assert shown(page, "difference") == pytest.approx(scores[0] - scores[1], abs=0.006)


def results_of_rounded_numbers_are_marked_as_approximate(page):
    """A line with rounded operands has a ≈, and its result nearly follows from them."""
    for station in WORDS["stations"]:
        page.click(f"#learn [data-station={station}]")
        move(page, 0.7)
        for line in page.locator("#learn .steps math").all():
            numbers = line.locator("[data-number]").all_text_contents()
            assert ("≈" in line.text_content()) == (len(numbers) > 1 or "β" in line.text_content())
    page.click("#learn [data-station=ppo]")
    for place in (0.1, 0.5, 0.9):
        move(page, place)
        raw = shown(page, "earned") - shown(page, "value") - shown(page, "mean")
        slack = (3 * 0.005 + 0.005 * abs(shown(page, "advantage"))) / shown(page, "spread") + 0.005
        assert raw / shown(page, "spread") == pytest.approx(shown(page, "advantage"), abs=slack)


def test_the_lessons(page):
    """All lessons, on one page; the last two are on capitals, which has no run."""
    results_of_rounded_numbers_are_marked_as_approximate(page)
    beta_moves_the_numbers_and_the_slider_of_train(page)
    a_less_likely_text_of_positive_reward_is_explained(page)
    rewards_of_a_group_are_edited(page)
    ipo_pulls_back_what_dpo_pushes_on(page)
    dpo_before_training_and_in_an_own_run(page)
    what_sft_learnt_stands_beside_the_sharpened_reference(page)
    own_sft_and_reward_models_score_the_lessons_texts(page)
    a_token_of_an_own_ppo_run_goes_into_its_equations(page)
    every_station_opens_with_its_numbers(page)
    without_an_own_run_the_lesson_stays(page)
