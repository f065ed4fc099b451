"""Verdicts on runs that were trained on votes."""

from __future__ import annotations

import inspect

import pytest

from align_core.evaluation.evaluator import Evaluator
from align_core.tasks import load_task
from playground import text
from playground.content.readings.evaluations import BELOW, HOLDING_BETA, NEAR, RISE
from playground.voting import verdicts
from playground.voting.verdicts import policy_verdict, reward_model_verdict

EVERY = {"rose", "fell", "fell_though", "fell_against", "elsewhere", "unmoved", "held"}
EVERY |= {"foretells", "contrary", "coin"}


def measured(gain, kl):
    return {"eval/gold_reward": 0.5 + gain, "eval/gold_reward_reference": 0.5, "eval/kl": kl}


@pytest.mark.parametrize(
    ("gain", "kl", "beta", "key"),
    [
        (RISE + 0.01, NEAR + 1, 0.5, "rose"),
        (RISE + 0.01, NEAR - 0.01, HOLDING_BETA, "rose"),
        (RISE - 0.01, NEAR, 0.5, "elsewhere"),
        (0.01 - BELOW, NEAR, 0.5, "elsewhere"),
        (RISE - 0.01, NEAR - 0.01, 0.5, "unmoved"),
        (RISE - 0.01, NEAR - 0.01, HOLDING_BETA, "held"),
        (-BELOW - 0.01, 1.0, 0.5, "fell"),
    ],
)
def test_the_verdict_on_a_policy_depends_on_its_reward_kl_and_beta(gain, kl, beta, key):
    verdict = policy_verdict(measured(gain, kl), beta, None, 0)
    assert verdict["key"] == key
    assert (verdict["values"]["gain"], verdict["values"]["kl"]) == pytest.approx((gain, kl))
    assert (verdict["values"]["prompts"], verdict["values"]["texts"]) == (64, 4)


def test_a_reported_gain_equals_that_in_the_frontier_chart():
    verdict = policy_verdict(measured(0.69, 1.0) | {"eval/gain": 0.3}, 0.5, None, 0, full_gain=2.0)
    assert verdict["values"]["gain"] == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("agreement", "votes", "key"),
    [
        (0.7, 100, "fell_though"),  # the 95% interval of a coin is 40% to 60% for 100 votes
        (0.59, 100, "fell"),
        (0.41, 100, "fell"),
        (0.3, 100, "fell_against"),
        (0.7, 10, "fell"),  # and 19% to 81% for 10
        (None, 0, "fell"),
    ],
)
def test_a_fallen_reward_is_explained_by_the_votes_if_possible(agreement, votes, key):
    assert policy_verdict(measured(-1.0, 1.0), 0.5, agreement, votes)["key"] == key


def test_unevaluated_runs_have_no_verdict():
    assert policy_verdict({}, 0.5, 0.7, 10) is None
    assert policy_verdict(measured(1.0, 1.0) | {"eval/kl": None}, 0.5, 0.7, 10) is None
    assert reward_model_verdict(None) is None
    assert reward_model_verdict({"votes": 0, "accuracy": None}) is None


@pytest.mark.parametrize(
    ("accuracy", "key"), [(0.65, "coin"), (0.75, "foretells"), (0.4, "coin"), (0.25, "contrary")]
)
def test_a_reward_model_is_compared_with_as_many_coin_tosses(accuracy, key):
    """The 95% interval of a coin for 25 votes is 0.5 ± 1.96 · 0.5 / 5."""
    verdict = reward_model_verdict({"votes": 25, "accuracy": accuracy})
    assert verdict["key"] == key
    assert (verdict["values"]["low"], verdict["values"]["high"]) == pytest.approx((0.304, 0.696))
    assert reward_model_verdict({"votes": 2, "accuracy": 1.0})["key"] == "coin"
    assert reward_model_verdict({"votes": 2, "accuracy": 1.0})["values"]["high"] == 1.0


def test_every_verdict_has_its_words():
    for language in text.languages():
        assert text.load(language)["rate"]["verdicts"].keys() == EVERY | {"mixed"}


def test_the_stated_numbers_of_prompts_and_texts_are_those_of_an_evaluation():
    assert {len(load_task(task).prompts("probe")) for task in ("reviews", "capitals")} == {
        verdicts.PROMPTS
    }
    default = inspect.signature(Evaluator).parameters["samples"].default
    assert default == verdicts.TEXTS
