"""Queries of models without a run: the arithmetic of scores, and the limits on texts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from align_core.config.errors import ConfigError
from align_core.evaluation import prepared
from align_core.inference import queries
from align_core.models import loading
from align_core.models.libraries import silence_libraries
from align_core.models.rewards import ProxyReward
from align_core.tasks import load_task
from tests import toy

PROMPT = "the film was"
TEXTS = [" superb.", " dull."]


@pytest.fixture
def named(tmp_path):
    """The folders of a policy, a reference and a reward model of the toy language."""
    made = {"policy": toy.policy(0), "reference": toy.policy(5), "reward": toy.reward_model()}
    for name, model in made.items():
        loading.save_model(model, toy.tokenizer(), tmp_path / name)
    return {name: str(tmp_path / name) for name in made}


def plain_logp(seed: int, text: str) -> list[float]:
    """log π of each token of `text` and of its end token after PROMPT, from one pass per token."""
    ids = toy.tokenizer()(f"{PROMPT}{text}")["input_ids"] + [0]
    model = toy.policy(seed)
    with torch.no_grad():
        return [
            model(torch.tensor([ids[:i]])).logits[0, -1].log_softmax(-1)[ids[i]].item()
            for i in range(3, len(ids))
        ]


def test_score_gives_each_token_under_policy_and_reference(named):
    long, short = queries.score(
        named["policy"], "reviews", PROMPT, ["good . never bad", "dull"], named["reference"]
    )
    for scored, text in ((long, " good . never bad"), (short, " dull")):
        ours, theirs = plain_logp(0, text), plain_logp(5, text)
        assert [token["logp"] for token in scored["tokens"]] == pytest.approx(ours, abs=1e-5)
        assert [token["ref_logp"] for token in scored["tokens"]] == pytest.approx(theirs, abs=1e-5)
        assert (scored["logp"], scored["ref_logp"]) == pytest.approx((sum(ours), sum(theirs)), 1e-5)
    name = "reward-reviews"
    embedded = ProxyReward(loading.load_reward_model(name), loading.load_tokenizer(name))
    (proxy,) = embedded.score_texts([PROMPT], [" good . never bad"], [True])
    assert long["proxy_reward"] == pytest.approx(proxy, abs=1e-5), (
        "the reward model has another tokenizer than the policy"
    )
    assert short["gold_reward"] < 0


def test_samples_against_a_reference_have_the_same_tokens_as_their_score(named):
    model, reference = named["policy"], named["reference"]
    samples = queries.generate(model, "reviews", [PROMPT], 40, 0.7, 3, reference)
    # Padding tokens may be sampled but are not in the text; an empty text is scored as a space.
    ended = [
        s
        for s in samples
        if s["ended"] and s["completion"] and len(s["tokens"]) == len(s["completion"].split()) + 1
    ]
    assert len(ended) > 3
    texts = [sample["completion"] for sample in ended]
    for sample, scored in zip(
        ended, queries.score(model, "reviews", PROMPT, texts, reference), strict=True
    ):
        for name in ("logp", "ref_logp"):
            expected = [token[name] for token in scored["tokens"]]
            assert [token[name] for token in sample["tokens"]] == pytest.approx(expected, abs=1e-5)
    assert "tokens" not in queries.generate(model, "reviews", [PROMPT], 1, 0.7, 3)[0]


def test_realigned_texts_range_from_the_references_to_the_policys(named, monkeypatch):
    model, reference = named["policy"], named["reference"]
    monkeypatch.setattr(queries, "reference_of", lambda *_: reference)

    def texts(of, realign=None):
        rows = queries.generate(of, "reviews", [PROMPT], 8, 1.0, 3, None, realign)
        return [row["completion"] for row in rows]

    assert texts(model, 0.0) == texts(reference) != texts(model, 0.5)
    assert texts(model, 1.0) == texts(model) != texts(model, 3.0)
    for share in (0.0, 0.5):  # the log-probabilities are the mixture's: at 0 those of the reference
        (row,) = queries.generate(model, "reviews", [PROMPT], 1, 1.0, 3, reference, share)
        away = [abs(token["logp"] - token["ref_logp"]) for token in row["tokens"]]
        assert (max(away) < 1e-5) is (share == 0)
    monkeypatch.setattr(queries, "reference_of", lambda *_: None)
    with pytest.raises(ConfigError, match="--realign got 0.5, expected a model with a reference"):
        texts(model, 0.5)


def test_evaluations_say_how_the_policy_is_changed():
    model, *options = "pretrained", "capitals", "sft-capitals", 2, 0, None
    assert "realign" not in queries.evaluate(model, *options)
    report = queries.evaluate(model, *options, 0.0)
    assert (report["realign"], report["kl"], report["win_rate"]) == (0.0, 0.0, 0.5)
    assert report["gold_reward"] == report["gold_reward_reference"]
    best = queries.evaluate(*("sft-capitals", *options[:1], None, *options[2:]), None, 2)
    assert (best["best_of"], best["kl"], best["frontier_efficiency"]) == (2, None, None)
    assert best["kl_bound"] == pytest.approx(math.log(2) - 1 / 2), "the reference writes the texts"
    assert best["gold_reward"] > best["gold_reward_reference"]
    assert (best["optimum_gap"], best["optimum_kl"]) == (None, None), "of no run, so without a β"


def test_the_distance_from_the_optimum_is_measured_at_a_beta():
    """The reference itself lacks β log Z − E[r], and its KL to the optimum is log Z − E[r]/β."""
    report = queries.evaluate("sft-reviews", "reviews", None, 3, 0, beta=2.0, samples=2)
    rewards = prepared.stored_samples("reviews", "sft-reviews", "heldout").rewards[:3]
    halves = (rewards[:, half::2] for half in (0, 1))
    gap, kl = (np.log(np.exp(r / 2.0).mean(-1)).mean() - r.mean() / 2.0 for r in halves)
    assert report["optimum_gap"] == pytest.approx(2.0 * gap, abs=1e-9)
    assert report["optimum_kl"] == pytest.approx(kl, abs=1e-9)
    assert (report["optimum_beta"], report["optimum_prompts"], report["samples"]) == (2.0, 3, 2)
    with pytest.raises(ConfigError, match="--beta got 2.0, .* pretrained on reviews is unknown"):
        queries.evaluate("sft-reviews", "reviews", "pretrained", 3, 0, beta=2.0)


def test_best_of_n_is_the_best_by_the_reward_that_is_named(named):
    def best(n, *by):
        options = ("reviews", [PROMPT], 8, 1.0, 3, None, None, n)
        rows = queries.generate(named["policy"], *options, *by)
        return {name: [row[name] for row in rows] for name in ("gold_reward", "proxy_reward")}

    by_gold = best(2)["gold_reward"], best(4)["gold_reward"]
    by_model = (best(n, named["reward"])["proxy_reward"] for n in (2, 4))
    for few, many in (by_gold, by_model):
        assert few != many, "the first two are among the four"
        assert all(more >= less for less, more in zip(few, many, strict=True))


def test_a_text_too_long_for_the_model_is_refused(named):
    # Of 64 positions, 36 are reserved for a review, and one for the end of a given completion.
    model, reference = named["policy"], named["reference"]
    queries.generate(model, "reviews", ["good " * 27 + "good"], 1, 1.0, 0)
    with pytest.raises(ConfigError, match="--prompt got .* 1 to 28 tokens.* has 29"):
        queries.generate(model, "reviews", ["good " * 28 + "good"], 1, 1.0, 0)
    queries.score(model, "reviews", PROMPT, ["good " * 59 + "good"], reference)
    with pytest.raises(ConfigError, match="--completion got .* 1 to 61 tokens.* has 62"):
        queries.score(model, "reviews", PROMPT, ["good " * 60 + "good"], reference)
    with pytest.raises(ConfigError, match="--prompt got ''.* has 0"):
        queries.generate(model, "reviews", [""], 1, 1.0, 0)


def test_a_model_that_was_saved_again_is_loaded_again(named, tmp_path):
    ask = (named["policy"], "reviews", PROMPT, ["good"], named["reference"])
    before = queries.score(*ask)[0]["logp"]
    assert queries.score(*ask)[0]["logp"] == before
    loading.save_model(toy.policy(9), toy.tokenizer(), tmp_path / "policy")
    assert queries.score(*ask)[0]["logp"] == pytest.approx(sum(plain_logp(9, " good")), abs=1e-5)


@pytest.fixture
def silence(capfd):
    """Fails if a library has written to the error output."""
    silence_libraries()
    yield
    assert capfd.readouterr().err == ""


def test_a_policy_scores_texts_and_gives_their_likelihood(silence):
    rows = queries.score("sft-reviews", "reviews", "The plot was", TEXTS)
    assert [row["completion"] for row in rows] == TEXTS
    assert rows[0]["gold_reward"] > rows[1]["gold_reward"]
    for row in rows:
        assert row["proxy_reward"] is not None
        assert row["logp"] == row["ref_logp"] < 0, "the SFT model is the reference"
        assert "".join(piece["text"] for piece in row["tokens"]) == row["completion"]
        assert sum(piece["logp"] for piece in row["tokens"]) == pytest.approx(row["logp"])


def test_a_reward_model_scores_texts_but_has_no_log_probabilities(silence):
    rows = queries.score("reward-reviews", "reviews", "The plot was", TEXTS)
    assert all(
        row.keys() == {"prompt", "completion", "gold_reward", "proxy_reward"} for row in rows
    )
    assert rows[0]["proxy_reward"] > rows[1]["proxy_reward"]
    of_policy = queries.score("sft-reviews", "reviews", "The plot was", TEXTS)
    assert [row["gold_reward"] for row in rows] == [row["gold_reward"] for row in of_policy]


def test_equal_models_win_equally_often_and_a_trained_model_wins():
    models = ["sft-capitals", "sft-capitals", "pretrained"]
    answer = queries.head_to_head("capitals", models, 1, 0)
    assert answer["prompts"] == 64
    rates = np.array(answer["win_rates"])
    assert rates[0, 1] == 0.5 and answer["ci95"][0][1] == 0
    assert rates + rates.T == pytest.approx(np.ones((3, 3)), abs=1e-12)
    prompts = load_task("capitals").prompts("probe")
    ours, theirs = (
        [text["gold_reward"] for text in queries.generate(model, "capitals", prompts, 1, 1.0, 0)]
        for model in ("sft-capitals", "pretrained")
    )
    wins = [(a > b) + 0.5 * (a == b) for a, b in zip(ours, theirs, strict=True)]
    assert rates[0, 2] == sum(wins) / 64


def test_covered_and_uncovered_prompts_are_evaluated_separately():
    policy = "sft-capitals", "capitals", "sft-capitals"
    report = queries.evaluate(*policy, 40, 0, "Africa", samples=1)
    # The held-out prompts are ordered by continent: 35 of Africa, 5 of Asia.
    for name in ("gold_reward", "kl"):
        sides = report[f"{name}_covered"], report[f"{name}_uncovered"]
        assert (35 * sides[0] + 5 * sides[1]) / 40 == pytest.approx(report[name], abs=1e-9)
    assert report["gold_reward_covered_ci95"] > 0 < report["gold_reward_uncovered_ci95"]
    few = queries.evaluate(*policy, 8, 0, "Africa", samples=1)
    assert few["gold_reward_uncovered"] is few["gold_reward_uncovered_ci95"] is None
    whole = queries.evaluate(*policy, 8, 0, samples=1)
    assert "gold_reward_covered" not in whole


def test_a_reward_model_is_measured_on_covered_and_uncovered_prompts():
    report = queries.evaluate("reward-capitals", "capitals", None, 40, 0, "Africa")
    assert 0.5 < report["accuracy_covered"] < 1 and report["accuracy_uncovered_ci95"] > 0


def test_a_reward_model_scores_without_a_policy(named, monkeypatch):
    def load_policy(name):
        raise AssertionError(f"{name} was loaded")

    monkeypatch.setattr("align_core.inference.loaded.load_policy", load_policy)
    (row,) = queries.score(named["reward"], "reviews", PROMPT, ["good"])
    reward = loading.load_reward_model(named["reward"])
    ids = toy.tokenizer()(f"{PROMPT} good")["input_ids"] + [0]
    with torch.no_grad():
        expected = reward(input_ids=torch.tensor([ids])).logits.item()
    assert row["proxy_reward"] == pytest.approx(expected, abs=1e-5)
