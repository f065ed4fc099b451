"""learn/arithmetic.js: the results of the Learn view's equations at a β."""

from __future__ import annotations

import functools
import json
import math

import numpy as np
import pytest
import torch

from align_core import objectives
from align_core.config import model_index
from align_core.config.task_card import BUILT_IN
from align_core.optimum import weights


def worked_example(task):
    return json.loads(model_index.worked_example(task).read_text(encoding="utf-8"))


@pytest.fixture
def calculate(call):
    return functools.partial(call, "learn/arithmetic.js")


def ratio(text):
    return torch.tensor([text["logp"] - text["ref_logp"]], dtype=torch.float64)


@pytest.mark.parametrize("task", BUILT_IN)
@pytest.mark.parametrize("beta", [0.05, 0.7, 20.0])
def test_the_arithmetic_is_that_of_the_objectives(calculate, task, beta):
    known = worked_example(task)
    pair = known["pair"]
    zero = torch.zeros(1, dtype=torch.float64)
    dpo = calculate("dpo", pair, beta)
    up, down = ratio(pair["chosen"]).requires_grad_(), ratio(pair["rejected"])
    loss = objectives.dpo_loss(up, down, zero, zero, beta)
    loss.backward()
    assert dpo["loss"] == pytest.approx(loss.item(), rel=1e-9)
    assert dpo["weight"] == pytest.approx(-up.grad.item(), rel=1e-9)

    scores = torch.tensor(
        [pair[side]["proxy_reward"] for side in ("chosen", "rejected")], dtype=torch.float64
    )
    expected = objectives.bradley_terry_loss(*scores).item()
    assert calculate("pair", pair, "proxy_reward")["loss"] == pytest.approx(expected, rel=1e-9)

    token = known["token"]
    ppo = calculate("ppo", token, beta)
    here = token["tokens"][token["place"]]
    new, old, advantage = (
        torch.tensor([value], dtype=torch.float64)
        for value in (here["new_logp"], here["logp"], ppo["advantage"])
    )
    loss, clipped = objectives.ppo_policy_loss(new, old, advantage, token["clip"])
    assert ppo["objective"] == pytest.approx(-loss.item(), rel=1e-9)
    assert ppo["clipped"] == clipped.item()
    assert ppo["paid"] == pytest.approx(-beta * (here["logp"] - here["ref_logp"]), rel=1e-9)

    for group in known["groups"].values():
        rewards = [text["gold_reward"] for text in group["texts"]]
        result, tensor = calculate("group", rewards), torch.tensor(rewards, dtype=torch.float64)
        alone = objectives.leave_one_out(tensor, len(rewards)).tolist()
        assert result["rloo"] == pytest.approx(alone, rel=1e-9)
        scaled = objectives.group_advantages(tensor, len(rewards), "group").tolist()
        assert result["grpo"] == pytest.approx(scaled, rel=1e-9)

    limited = calculate("limited", pair, beta)
    for side, label in (("chosen", True), ("rejected", False)):
        kl = torch.tensor(pair["kl"], dtype=torch.float64)
        loss = objectives.kto_loss(ratio(pair[side]), torch.tensor([label]), kl, beta).item()
        assert limited[f"kto_{side}"] == pytest.approx(loss, rel=1e-6)

    optimum = known["optimum"]
    values, counts = zip(*optimum["rewards"], strict=True)
    rewards = np.repeat(values, counts)
    mean = np.exp((rewards - rewards.max()) / beta).mean()
    for text, result in zip(optimum["texts"], calculate("optimum", optimum, beta), strict=True):
        factor = math.exp((text["gold_reward"] - rewards.max()) / beta) / mean
        assert result["after"] == pytest.approx(math.exp(text["ref_logp"]) * factor, rel=1e-9)
        log_z = (text["gold_reward"] / beta) - math.log(factor)
        assert result["bar"] == pytest.approx(beta * log_z, rel=1e-9)
    # The weights of the samples equal the library's.
    everyone = [{"gold_reward": value, "ref_logp": -math.log(len(rewards))} for value in rewards]
    result = calculate("optimum", {**optimum, "texts": everyone}, beta)
    after = [row["after"] for row in result]
    assert after == pytest.approx(weights(rewards[None], beta)[0].tolist(), rel=1e-9)


def test_a_token_is_clipped_only_if_it_moved_in_the_direction_of_a(calculate):
    """For both signs of A, return minus value: ρ within 20% of 1, and beyond on both sides."""
    verdicts = {}
    for advantage in (1.0, -1.0):
        for moved in (0.5, 0.9, 1.1, 1.5):
            token = {
                "tokens": [{"logp": -2.0, "ref_logp": -2.0, "new_logp": -2.0 + math.log(moved)}],
                "place": 0,
                "score": advantage,
                "value": 0.0,
                "whitening": {
                    "mean_earned": 0,
                    "mean_kl": 0,
                    "var_earned": 1,
                    "cov": 0,
                    "var_kl": 0,
                },
                "clip": 0.2,
            }
            terms = calculate("ppo", token, 0.5)
            verdicts[advantage, moved] = (terms["clipped"], terms["against"])
    clipped, against, free = (True, False), (False, True), (False, False)
    assert verdicts == {
        (1.0, 0.5): against,
        (1.0, 0.9): against,
        (1.0, 1.1): free,
        (1.0, 1.5): clipped,
        (-1.0, 0.5): clipped,
        (-1.0, 0.9): free,
        (-1.0, 1.1): against,
        (-1.0, 1.5): against,
    }


def test_the_arithmetic_of_a_hand_made_lesson(calculate):
    """At β = 0.5, log-ratios of 2 and −2 have a margin of 2; PPO clips a ratio of 1.5 to 1.2."""
    pair = {"chosen": {"logp": -3, "ref_logp": -5}, "rejected": {"logp": -9, "ref_logp": -7}}
    assert calculate("dpo", pair, 0.5) == {
        "up": 2,
        "down": -2,
        "chosen": 1,
        "rejected": -1,
        "margin": 2,
        "loss": pytest.approx(0.126928, abs=1e-6),
        "weight": pytest.approx(0.5 * 0.119203, abs=1e-6),
    }
    # Per token 2/4 and −2/8: apart by 0.75, and 1/(2β) is 1. β(2 − z_0) = 0.75, β(z_0 + 2) = 1.25.
    lengths = {"chosen": 4, "rejected": 8}
    sides = {side: {**pair[side], "length": length} for side, length in lengths.items()}
    assert calculate("limited", {**sides, "kl": 0.5}, 0.5) == {
        "up": 2,
        "down": -2,
        "apart": 0.75,
        "aim": 1,
        "ipo": 0.0625,
        "kto_chosen": pytest.approx(1 - 1 / (1 + math.exp(-0.75)), abs=1e-12),
        "kto_rejected": pytest.approx(1 - 1 / (1 + math.exp(-1.25)), abs=1e-12),
    }
    # Mean 2; squares 4 + 1 + 0 + 9 = 14 over 3; the others of the first text earn 8/3.
    group = calculate("group", [0, 1, 2, 5])
    assert (group["mean"], group["spread"]) == (2, pytest.approx((14 / 3) ** 0.5))
    assert group["others"] == pytest.approx([8 / 3, 7 / 3, 2, 1])
    assert group["rloo"] == pytest.approx([-8 / 3, -4 / 3, 0, 4])
    assert group["grpo"][3] == pytest.approx(3 / ((14 / 3) ** 0.5 + 1e-4))
    assert calculate("group", [1, 1, 1, 1])["grpo"] == [0, 0, 0, 0]
    token = {
        "tokens": [
            {"logp": -1, "ref_logp": -9, "new_logp": -1},
            {"logp": -2, "ref_logp": -3, "new_logp": -2 + math.log(1.5)},
            {"logp": -1, "ref_logp": -2, "new_logp": -1},
        ],
        "place": 1,
        "score": 4,
        "value": 1,
        "whitening": {"mean_earned": 2, "mean_kl": 1, "var_earned": 2, "cov": 1, "var_kl": 4},
        "clip": 0.2,
    }
    # Remaining KL 2; return 4 − 0.5·2 = 3; mean 1.5; standard deviation √(2 − 1 + 1);
    # A = (3 − 1 − 1.5)/√2.
    terms = calculate("ppo", token, 0.5)
    expected = {"paid": -0.5, "ahead": 2, "earned": 3, "mean": 1.5, "ratio": 1.5, "held": 1.2}
    assert {name: terms[name] for name in expected} == pytest.approx(expected)
    assert terms["advantage"] == pytest.approx(0.5 / 2**0.5)
    assert terms["objective"] == pytest.approx(1.2 * 0.5 / 2**0.5)
    assert terms["clipped"]
    # e² and e⁰ with weights 1 and 3: Z = (e² + 3)/4.
    optimum = {
        "samples": 4,
        "texts": [
            {"gold_reward": 1, "ref_logp": math.log(0.25)},
            {"gold_reward": 0, "ref_logp": math.log(0.5)},
        ],
        "rewards": [[0, 3], [1, 1]],
    }
    first, second = calculate("optimum", optimum, 0.5)
    assert first["factor"] == pytest.approx(4 * math.e**2 / (math.e**2 + 3))
    assert second["after"] == pytest.approx(2 / (math.e**2 + 3))
    best, other = calculate("optimum", optimum, 0)
    assert (best["factor"], other["factor"]) == (4, 0)
    assert first["bar"] == pytest.approx(0.5 * math.log((math.e**2 + 3) / 4))
    assert best["bar"] == 1, "at β = 0 only the best text is above it"
