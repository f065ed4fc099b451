"""Rewards of scripts: models of any kind and vocabulary, modules and functions."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    LlamaForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)
from transformers.modeling_outputs import BaseModelOutput

from align_core import one_label
from tests import families, loops, toy
from tests.ports.ported import Scorer, made, rows, scored, trained

TEXTS, IDS = ["the film", "the plot was never"], [[8, 0], [9, 9, 12, 0]]
SMALL = {
    "vocab_size": 14,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_labels": 1,
    "pad_token_id": 1,
}
DISTIL = {"vocab_size": 14, "dim": 16, "hidden_dim": 16, "n_layers": 1, "n_heads": 2}
ENCODERS = [
    (BertForSequenceClassification, BertConfig(**SMALL)),
    (RobertaForSequenceClassification, RobertaConfig(**SMALL)),
    (DistilBertForSequenceClassification, DistilBertConfig(**DISTIL, num_labels=1)),
]


def alone(model, tokenizer, prompt: str, ids: list[int]) -> float:
    """The model's own output for one text."""
    text = tokenizer(prompt)["input_ids"] + ids
    with torch.no_grad():
        return model(input_ids=torch.tensor([text])).logits.item()


@pytest.mark.parametrize(("kind", "config"), ENCODERS)
def test_an_encoder_gives_its_own_output(tmp_path, kind, config):
    torch.manual_seed(0)
    model = kind(config).eval()
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.3)
    scores = scored(made(tmp_path, reward=model), TEXTS, IDS)
    expected = [alone(model, toy.tokenizer(), *row) for row in zip(TEXTS, IDS, strict=True)]
    assert scores == pytest.approx(expected, abs=1e-5) and abs(scores[0] - scores[1]) > 1e-3


def test_a_reward_model_of_other_tokens_needs_its_tokenizer(tmp_path):
    """The texts are decoded, and encoded with the reward model's own tokenizer."""
    own = families.gpt()
    torch.manual_seed(0)
    model = LlamaForSequenceClassification(toy.config(vocab_size=len(own), num_labels=1)).eval()
    with pytest.raises(ValueError, match="reads 3.. tokens, .* writes 14: .*reward_processing_cl"):
        made(tmp_path, reward=model)
    trainer = made(tmp_path, reward=model, reward_processing_classes=own)
    (score,) = scored(trainer, ["the film"], [[6, 8, 0]])
    ids = own("the film was good")["input_ids"]
    expected = alone(model, own, "", [*ids, own.eos_token_id])
    assert score == pytest.approx(expected, abs=1e-5)
    with pytest.raises(ValueError, match="expected 2 tokenizers, one for each reward, got 1"):
        made(tmp_path, reward=[model, toy.reward], reward_processing_classes=[own])


def test_a_module_with_a_trunk_and_a_head_is_reward_and_value_model(tmp_path):
    scorer = Scorer()
    trainer = trained(tmp_path, reward=scorer, value_model=Scorer())
    scores = scored(trainer, TEXTS, IDS)
    scorer.eval()
    for prompt, ids, score in zip(TEXTS, IDS, scores, strict=True):
        text = torch.tensor([toy.tokenizer()(prompt)["input_ids"] + ids])
        with torch.no_grad():
            expected = scorer.score(scorer.trunk(text).last_hidden_state)[0, -1].item()
        assert score == pytest.approx(expected, abs=1e-5)
    assert not torch.equal(trainer.value_model.head.weight, scorer.head.weight)


class Reader(torch.nn.Module):
    """A reward on texts within TRL's interface: its trunk passes the token ids on to `score`."""

    base_model_prefix = "trunk"

    def trunk(self, input_ids, attention_mask, position_ids, use_cache, return_dict, **_):
        assert return_dict and not use_cache
        return BaseModelOutput(hidden_states=(input_ids[..., None].float(),))

    def score(self, states):
        goods = (states[..., 0] == 8).sum(1, keepdim=True).float()
        return goods[..., None].expand(*states.shape)


def test_the_score_of_a_module_gets_the_states_of_whole_texts(tmp_path):
    texts, ids = ["the film was good", "the"], [[8, 9, 0], [8, 8, 9, 8, 0]]
    assert scored(made(tmp_path, reward=Reader()), texts, ids) == [2.0, 3.0]


def test_a_reward_model_that_gives_the_values_too_is_not_trained(tmp_path):
    model = toy.reward_model()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    trainer = trained(tmp_path, reward=[model, toy.reward], value_model=model)
    assert trainer.value_model is model and not torch.equal(
        model.score.weight, before["score.weight"]
    )
    for name, parameter in trainer.reward_model[0].named_parameters():
        assert torch.equal(parameter, before[name])


def test_a_reward_may_be_a_coroutine(tmp_path):
    async def reward(prompts, completions, **_):
        return [float(len(text)) for text in completions]

    trainer = made(tmp_path, reward=reward)

    async def within_a_loop():  # as in a notebook
        return scored(trainer, ["the"], [[8, 0]])

    assert scored(trainer, ["the"], [[8, 0]]) == [5.0]  # " good"
    assert loops.run(within_a_loop()) == [5.0]


REWARDS = {
    "none": (None, TypeError, "a model with one label or a function, got nothing"),
    "a name": ("hub/reward", TypeError, r"from_pretrained\('hub/reward', num_labels=1\) loads it"),
    "a policy": (toy.policy, TypeError, "got LlamaForCausalLM, which has no label"),
    "two labels": (
        lambda: LlamaForSequenceClassification(toy.config(num_labels=2)),
        ValueError,
        "one label, .*num_labels=1.*got 2 labels",
    ),
    "a layer": (lambda: torch.nn.Linear(2, 1), TypeError, "base_model_prefix, .*got Linear"),
}


@pytest.mark.parametrize("kind", REWARDS)
def test_an_invalid_reward_is_refused_at_construction(tmp_path, kind):
    reward, error, message = REWARDS[kind]
    with pytest.raises(error, match=message) as refused:
        made(tmp_path, reward=reward() if callable(reward) else reward)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("returned", "got"),
    [
        ([0.0], "1$"),
        ({"a": 1}, "{'a': 1}"),
        (1.0, "1.0"),
        (["a", "b"], r"\['a'"),
    ],
)
def test_a_function_returns_a_number_for_each_completion(tmp_path, returned, got):
    def judge(prompts, **_):
        return returned

    trainer = made(tmp_path, reward=judge)
    with pytest.raises(ValueError, match=f"function judge: expected 2 numbers, .* got {got}"):
        scored(trainer, TEXTS, IDS)


def test_rewards_per_token_have_one_number_for_each_token(tmp_path):
    def judge(prompts, completion_ids, **_):
        return [[1.0, 2.0], [1.0] * 5]

    line = "function judge: expected 4 numbers for completion 1, one for each of its comp.*, got 5"
    with pytest.raises(ValueError, match=line):
        scored(made(tmp_path, reward=judge), TEXTS, IDS)


def test_rewards_are_weighted_and_each_is_a_metric(tmp_path):
    """A number is given at the last token; a list has a number for each token."""

    def end(prompts, **_):
        return [3.0, None]

    def each(completion_ids, **_):
        return [[0.5] * len(ids) for ids in completion_ids]

    parts = {"reward": [end, each], "reward_weights": [2.0, -1.0]}
    scores = made(tmp_path, **parts).score(TEXTS, IDS, {})
    assert scores.tokens.tolist() == [[-0.5, 5.5, 0.0, 0.0], [-0.5] * 4]
    assert scores.by_reward.tolist() == [[3.0, 1.0], [0.0, 2.0]]
    with pytest.raises(ValueError, match="reward_weights: expected 2 numbers, .* got 1"):
        made(tmp_path, reward=[end, each], reward_weights=[1.0])
    trainer = trained(tmp_path, reward=[toy.reward, each, each], total_episodes=4)
    (entry,) = [entry for entry in trainer.state.log_history if "objective/scores" in entry]
    means = [entry[f"rewards/{name}/mean"] for name in ("reward", "each", "each 2")]
    assert sum(means) == pytest.approx(entry["objective/scores"], abs=1e-6)
    assert means[1] == means[2] == 0.5 * trainer.latest.episodes.mask.sum().item() / 4
    evaluated = trainer.evaluate(rows(), "test")
    of_each = [evaluated[f"test_rewards/{name}/mean"] for name in ("reward", "each", "each 2")]
    assert sum(of_each) == pytest.approx(evaluated["test_objective/scores"], abs=1e-6)


@pytest.mark.parametrize("kind", [BertForSequenceClassification, RobertaForSequenceClassification])
def test_one_of_several_labels_is_a_reward(tmp_path, kind):
    torch.manual_seed(0)
    labels = {"id2label": {0: "bad", 1: "good"}, "label2id": {"bad": 0, "good": 1}}
    own = {name: value for name, value in SMALL.items() if name != "num_labels"}
    config = BertConfig if kind is BertForSequenceClassification else RobertaConfig
    model = kind(config(**own, **labels)).eval()
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.3)
    ids = toy.tokenizer()(TEXTS[0])["input_ids"] + IDS[0]
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids])).logits[0]
    for label, number in (("good", 1), (0, 0)):
        (score,) = scored(made(tmp_path, reward=one_label(model, label)), TEXTS[:1], IDS[:1])
        assert score == pytest.approx(logits[number].item(), abs=1e-5)
    assert model.config.num_labels == 2, "a copy"
    with pytest.raises(ValueError, match="expected one of bad, good, or their numbers, got 'fine'"):
        one_label(model, "fine")


def test_a_value_model_gives_a_value_at_every_token(tmp_path):
    torch.manual_seed(0)
    encoder = BertForSequenceClassification(BertConfig(**SMALL))
    with pytest.raises(ValueError, match="a decoder, with a value at every token, got Bert"):
        made(tmp_path, value_model=encoder)
    with pytest.raises(TypeError, match="value_model: expected a model with one label"):
        made(tmp_path, value_model=toy.policy())
