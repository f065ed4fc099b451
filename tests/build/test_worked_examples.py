"""The recorded examples agree with the embedded models and the trainers."""

from __future__ import annotations

import json
import math
import statistics

import pytest
import torch

from align_core.build import sharpness, worked_examples
from align_core.build.sharpness import unsharpened
from align_core.config import model_index
from align_core.config.task_card import BUILT_IN
from align_core.models.loading import load_policy, load_reward_model, load_tokenizer
from align_core.models.rewards import ProxyReward
from align_core.objectives import masked_whiten
from align_core.tasks import load_task
from align_core.tasks.loader import grammar_task
from align_core.training import example_token

SLACK = 1e-3  # differences between machines


@pytest.fixture(scope="module", params=BUILT_IN)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def lesson(name):
    return json.loads(model_index.worked_example(name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tokenizer(name):
    return load_tokenizer(f"sft-{name}")


def logps(model, tokenizer, prompt, texts):
    ids = [[*tokenizer(text)["input_ids"], tokenizer.eos_token_id] for text in texts]
    return worked_examples._logps(load_policy(model), tokenizer, prompt, ids)


@pytest.mark.parametrize("beta", [0.0, 0.5, 20.0])
def test_whitening_at_any_beta(beta):
    """A = e − βk of three tokens: e = 1, 2, 6 (mean 3) and k = 0.5, 0, 1 (mean 0.5)."""
    earned, kl = torch.tensor([[1.0, 2.0], [6.0, 9.0]]), torch.tensor([[0.5, 0.0], [1.0, 9.0]])
    mask = torch.tensor([[True, True], [True, False]])
    result = example_token.whitening(earned, kl, mask)
    assert result == {
        "mean_earned": 3.0,
        "mean_kl": 0.5,
        "var_earned": pytest.approx((4 + 1 + 9) / 3),
        "cov": pytest.approx((0.0 + 0.5 + 1.5) / 3),
        "var_kl": pytest.approx((0.0 + 0.25 + 0.25) / 3),
    }
    mean = result["mean_earned"] - beta * result["mean_kl"]
    variance = result["var_earned"] - 2 * beta * result["cov"] + beta**2 * result["var_kl"]
    whitened = ((earned - beta * kl) - mean) / variance**0.5
    expected = masked_whiten(earned - beta * kl, mask)
    torch.testing.assert_close(whitened[mask], expected[mask])


def test_the_demonstration(name, lesson, tokenizer):
    shown = lesson["demonstration"]
    text = "".join(token["text"] for token in shown["tokens"])
    for model, column in (("pretrained", "before"), (f"sft-{name}", "sharpened")):
        (logprob,) = logps(model, tokenizer, shown["prompt"], [text])
        assert [token[column] for token in shown["tokens"]] == pytest.approx(logprob, abs=SLACK)
    ids = [[*tokenizer(text)["input_ids"], tokenizer.eos_token_id]]
    learnt = unsharpened(grammar_task(name))
    (logprob,) = worked_examples._logps(learnt, tokenizer, shown["prompt"], ids)
    assert [token["logp"] for token in shown["tokens"]] == pytest.approx(logprob, abs=SLACK)


@torch.no_grad()
def test_the_reference_is_what_sft_learnt_with_larger_logits(name, tokenizer):
    ids = torch.tensor([tokenizer("The plot was far from boring.")["input_ids"]])
    reference, learnt = load_policy(f"sft-{name}"), unsharpened(grammar_task(name))
    torch.testing.assert_close(
        reference(ids).logits, 1.25 * learnt(ids).logits, atol=1e-3, rtol=1e-4
    )


def test_sharpening_costs_what_sft_saved(lesson):
    """SFT lowers the cost of a new demonstration; the reference takes back a third, or all."""
    effect = lesson["demonstration"]["effect"]
    before, learnt, sharp = (effect[model]["cost"] for model in ("pretrained", "sft", "reference"))
    assert learnt < before - 0.1 and sharp > learnt + (before - learnt) / 3
    assert effect["reference"]["entropy"] < effect["sft"]["entropy"] - 0.5
    assert effect["reference"]["whole"] > effect["sft"]["whole"] + 0.02


def test_the_effect_of_sharpening_is_that_of_the_command():
    task = grammar_task("capitals")
    stored = json.loads(model_index.worked_example("capitals").read_text(encoding="utf-8"))
    again = sharpness.effect(task, load_tokenizer(task.reference))
    recorded = stored["demonstration"]["effect"]
    assert again["kl"] == pytest.approx(recorded["kl"], abs=0.01)
    for model in ("sft", "reference"):
        assert again[model] == pytest.approx(recorded[model], abs=0.05)
    # Most of the reference's gold reward is sharpening's.
    assert recorded["reference"]["gold"] > 2 * recorded["sft"]["gold"]


def test_the_pair(name, lesson, tokenizer):
    pair = lesson["pair"]
    sides = [pair["chosen"], pair["rejected"]]
    prompts, texts = [pair["prompt"]] * 2, [side["text"] for side in sides]
    ids = [[*tokenizer(text)["input_ids"], tokenizer.eos_token_id] for text in texts]
    proxy = ProxyReward(load_reward_model(f"reward-{name}"), tokenizer)
    reference = map(sum, logps(f"sft-{name}", tokenizer, pair["prompt"], texts))
    for column, logprob in {
        "gold_reward": load_task(name).reward(prompts, texts),
        "proxy_reward": proxy(prompts, texts, completion_ids=ids),
        "ref_logp": list(reference),
    }.items():
        assert [side[column] for side in sides] == pytest.approx(logprob, abs=SLACK)
    assert [side["length"] for side in sides] == list(map(len, ids))
    assert pair["kl"] >= 0
    up, down = (side["logp"] - side["ref_logp"] for side in sides)
    assert up > down + 0.5  # DPO has started to work


def test_the_example_token_of_ppo(name, lesson, tokenizer):
    token = lesson["token"]
    text = "".join(entry["text"] for entry in token["tokens"])
    (reference,) = logps(f"sft-{name}", tokenizer, token["prompt"], [text])
    assert [entry["ref_logp"] for entry in token["tokens"]] == pytest.approx(reference, abs=SLACK)
    ids = [[*tokenizer(text)["input_ids"], tokenizer.eos_token_id]]
    proxy = ProxyReward(load_reward_model(f"reward-{name}"), tokenizer)
    (score,) = proxy([token["prompt"]], [text], completion_ids=ids)
    assert token["score"] == pytest.approx(score, abs=SLACK)

    here = token["tokens"][token["place"]]
    assert math.exp(here["new_logp"] - here["logp"]) > 1 + token["clip"]
    # The trainer's whitened advantage, computed from its stored parts.
    beta, parts = token["beta"], token["whitening"]
    kl = sum(entry["logp"] - entry["ref_logp"] for entry in token["tokens"][token["place"] :])
    mean = parts["mean_earned"] - beta * parts["mean_kl"]
    variance = parts["var_earned"] - 2 * beta * parts["cov"] + beta**2 * parts["var_kl"]
    advantage = (token["score"] - beta * kl - token["value"] - mean) / variance**0.5
    assert token["advantage"] == pytest.approx(advantage, abs=1e-4)


def test_the_groups_are_stored_samples_with_their_gold_rewards(name, lesson, tokenizer):
    assert lesson["groups"] == worked_examples.groups(grammar_task(name), tokenizer)
    for group in lesson["groups"].values():
        texts = [text["text"] for text in group["texts"]]
        golds = load_task(name).reward([group["prompt"]] * len(texts), texts)
        assert [text["gold_reward"] for text in group["texts"]] == pytest.approx(golds, abs=0.0051)
    hard, easy = (
        statistics.stdev(text["gold_reward"] for text in lesson["groups"][kind]["texts"])
        for kind in ("hard", "easy")
    )
    assert hard > 2 * easy > 0


def test_the_texts_of_the_optimum(name, lesson, tokenizer):
    optimum = lesson["optimum"]
    assert sum(count for _, count in optimum["rewards"]) == optimum["samples"]
    texts = [text["text"] for text in optimum["texts"]]
    golds = load_task(name).reward([optimum["prompt"]] * len(texts), texts)
    assert [text["gold_reward"] for text in optimum["texts"]] == pytest.approx(golds, abs=1e-4)
    logprobs = map(sum, logps(f"sft-{name}", tokenizer, optimum["prompt"], texts))
    shown = [text["ref_logp"] for text in optimum["texts"]]
    assert shown == pytest.approx(list(logprobs), abs=SLACK)
