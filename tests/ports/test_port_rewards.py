"""Rewards of scripts: models of any kind and vocabulary, modules and functions."""

from __future__ import annotations

import math

import numpy as np
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
    TrainerCallback,
    TrainingArguments,
)
from transformers.modeling_outputs import BaseModelOutput

from align_core import PPOConfig, PPOTrainer, one_label
from tests import families, loops, toy
from tests.ports.ported import PROMPTS, Scorer, made, rows, scored, trained

ALONE = {"output_dir": "out", "use_cpu": True, "report_to": "none", "response_length": 4}
ALONE |= {"per_device_train_batch_size": 4, "max_steps": 4}
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
    with pytest.raises(TypeError, match="^reward_processing_classes: expected tokenizers, .* 'gpt"):
        made(tmp_path, reward=model, reward_processing_classes="gpt2")


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
        (["1.0", "2.0"], r"\['1.0', '2.0'\]"),
        (None, "nothing"),
        ("12", "'12'"),
        ([{}, {}], r"\[{}, {}\]"),
        ([1j, 2j], r"\[1j, 2j\]"),
        (torch.zeros(3), "3$"),
        (torch.zeros(()), "0.0"),
        (torch.zeros(2, 1), r"shape \[2, 1\]"),
        (torch.zeros(2, 2, 4), r"shape \[2, 2, 4\]"),
        (np.zeros((2, 1)), r"shape \[2, 1\]"),
        ((x for x in (1.0, 2.0)), "<generator"),
    ],
)
def test_a_function_returns_a_number_for_each_completion(tmp_path, returned, got):
    def judge(prompts, **_):
        return returned

    trainer = made(tmp_path, reward=judge)
    with pytest.raises(ValueError, match=f"function judge: expected 2 numbers, .* got {got}"):
        scored(trainer, TEXTS, IDS)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e39])
def test_a_reward_that_is_not_finite_is_refused_in_its_first_rollout(tmp_path, value):
    """1e39 is infinite in float32."""

    def judge(prompts, **_):
        return [0.0] * (len(prompts) - 1) + [value]

    got = "inf" if value == 1e39 else str(value)
    line = f"^judge: expected finite numbers, got {got} for completion 3$"
    weights = {"reward": [toy.reward, judge], "reward_weights": [1.0, 0.0]}
    for settings in ({"reward": judge}, weights):
        trainer = made(tmp_path, **settings, eval_dataset=rows())
        for first_call in (trainer.train, trainer.evaluate):
            with pytest.raises(ValueError, match=line):
                first_call()
        assert trainer.state.global_step == 0 and not list((tmp_path / "out").glob("check*"))
    loop = PPOTrainer(PPOConfig(**ALONE), toy.tokenizer(), toy.policy(), None)
    with pytest.raises(ValueError, match=line.replace("judge", "scores")):
        loop.learn(loop.rollout(PROMPTS), judge(PROMPTS))


def by_position(prompts, completions):
    return [0.0] * len(prompts)


@pytest.mark.parametrize("function", [by_position, lambda texts: texts, len])
def test_a_function_that_cannot_be_called_by_name_is_refused_at_construction(tmp_path, function):
    name = function.__name__
    with pytest.raises(TypeError, match=f"^reward_model {name}: expected a function that takes"):
        made(tmp_path, reward=[toy.reward, function])
    made(tmp_path, reward=lambda completions, **_: [0.0] * len(completions))


def test_no_reward_at_all_is_refused_before_an_evaluation_needs_one(tmp_path):
    with pytest.raises(ValueError, match="reward_model: expected one reward or more, got an empty"):
        made(tmp_path, reward=[])
    with pytest.raises(TypeError, match="reward_model: expected a model .*, got nothing"):
        PPOTrainer(PPOConfig(**ALONE), toy.tokenizer(), toy.policy(), None, eval_dataset=rows())


ARGUMENTS = {
    "args": ({"output_dir": "out"}, "a PPOConfig, got dict"),
    "data_collator": ("pad", r"a function of rows, or None, got str"),
    "optimizers": (None, "a pair: an optimiser and a schedule, each or None, got nothing"),
    "callbacks": (TrainerCallback(), "a list of callbacks, or None, got TrainerCallback"),
    "peft_config": (
        {"r": 2},
        r"a configuration of PEFT, such as LoraConfig\(…\), or None, got dict",
    ),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_an_argument_of_another_kind_is_refused(tmp_path, name):
    value, expected = ARGUMENTS[name]
    parts = {
        "args": PPOConfig(output_dir=str(tmp_path), use_cpu=True),
        "processing_class": toy.tokenizer(),
        "model": toy.policy(),
        "ref_model": None,
        "reward_model": toy.reward,
        "train_dataset": rows(),
    }
    with pytest.raises(TypeError, match=f"^{name}: expected {expected}"):
        PPOTrainer(**parts | {name: value})
    plain = TrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    with pytest.raises(TypeError, match="^args: expected a PPOConfig, got TrainingArguments"):
        PPOTrainer(**parts | {"args": plain})
    with pytest.raises(TypeError, match="^callbacks: .*, got list of int"):
        made(tmp_path, callbacks=[3])
    made(tmp_path, callbacks=[TrainerCallback])


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
    evaluated = trainer.evaluate(rows(), metric_key_prefix="test")
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
