"""Scores of responses: their names, their texts, and the vocabulary of a reward model."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import LlamaForSequenceClassification

from align_core.config.messages import Message
from align_core.data.encoding import encode_prompts
from align_core.trainers.ppo import scores as scores_module
from align_core.trainers.ppo.arguments import valid_padding
from align_core.trainers.ppo.prompts import Room
from align_core.trainers.ppo.scores import (
    PADDED_TO,
    NonFiniteReward,
    check_finite,
    completion_texts,
    penalised,
    reward_names,
    score_function,
    token_scores,
    unscored,
)
from tests import toy


def test_texts_without_scores_have_those_of_one_reward():
    scores = unscored(["the", "a"], [[8], [8, 9, 0]], {}, [[2], [3]])
    assert scores.tokens.tolist() == [[0.0] * 3] * 2
    assert scores.by_reward.tolist() == [[0.0]] * 2


def test_rewards_of_the_same_name_are_numbered():
    rewards = [toy.reward, toy.reward_model, toy.reward, toy.reward]
    assert reward_names(rewards) == ["reward", "reward_model", "reward 2", "reward 3"]
    assert reward_names(toy.reward) == ["reward"]


def test_only_an_end_token_at_the_end_is_left_out():
    prompts = [[2]] * 4
    texts = completion_texts(toy.tokenizer(), prompts, [[8, 0], [8], [0, 8], []], {0})
    assert [text.split() for text in texts] == [["good"], ["good"], ["good"], []]
    kept = completion_texts(toy.tokenizer(), prompts[:1], [[8, 9]], {9})
    assert kept[0].split() == ["good"]


def test_a_penalty_is_subtracted_at_the_last_token_of_a_text_without_an_end():
    scores, mask = torch.ones(3, 3), torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 0]]).bool()
    ended = torch.tensor([False, False, True])
    less = penalised(scores, mask, ended, 0.25)
    assert less.tolist() == [[1, 1, 0.75], [1, 0.75, 1], [1, 1, 1]]
    assert penalised(scores, mask, ended, None) is scores


def test_a_reward_model_may_have_embeddings_without_a_token():
    """Fewer than PADDED_TO rows more or less are padding; more are another vocabulary."""
    assert PADDED_TO == 256
    model = LlamaForSequenceClassification(toy.config(num_labels=1)).eval()  # 14 rows
    for rows, known in ((14, True), (269, True), (270, False), (None, True)):
        if known:
            score_function(model, toy.tokenizer(), torch.device("cpu"), rows=rows)
        else:
            with pytest.raises(ValueError, match=f"reads 14 tokens, and the policy writes {rows}"):
                score_function(model, toy.tokenizer(), torch.device("cpu"), rows=rows)


def test_a_prompt_may_fill_its_room():
    tokenizer, prompts = toy.tokenizer(), ["the film was"]
    ids = encode_prompts(tokenizer, prompts)
    Room(3, 4, 14).check(prompts, ids)
    with pytest.raises(ValueError, match=r"at most 2 tokens \(the positions .*_length, 4\), got 3"):
        Room(2, 4, 14).check(prompts, ids)
    most = ids.ids.max().item()
    Room(3, 4, most + 1).check(prompts, ids)
    with pytest.raises(ValueError, match=f"tokens below {most}, the .* vocabulary, got {most}: "):
        Room(3, 4, most).check(prompts, ids)


def test_padding_without_an_embedding_is_written_as_the_first_token():
    policy = SimpleNamespace(get_input_embeddings=lambda: nn.Embedding(14, 2))
    pads = [valid_padding(policy, SimpleNamespace(pad_token_id=pad)) for pad in (0, 13, 14, 20)]
    assert pads == [0, 13, 0, 0]


def test_the_first_reward_that_is_not_finite_is_named():
    names = ["length", "tone"]
    check_finite(torch.zeros(3, 2), names)
    rewards = torch.tensor([[0.0, 1.0], [2.0, float("inf")], [float("nan"), 3.0]])
    with pytest.raises(NonFiniteReward) as error:
        check_finite(rewards, names)
    line = "tone: expected finite numbers, got inf for completion 1"
    assert error.value.message == Message("reward", {"name": "tone", "value": "inf"}, line)


def test_a_tensor_has_a_number_for_each_text_or_each_token():
    """A column of numbers is neither, unless each text has one token."""
    ids = [[8, 9, 0], [9, 9, 0]]
    assert token_scores(torch.ones(2, 3), ids, "source").tolist() == [[1.0] * 3] * 2
    assert token_scores(torch.ones(2), ids, "source").tolist() == [[0.0, 0.0, 1.0]] * 2
    column = torch.tensor([[0.5], [1.5]])
    assert token_scores(column, [[8], [9]], "source").tolist() == [[0.5], [1.5]]
    with pytest.raises(ValueError, match=r"^source: expected 2 numbers, .*, got shape \[2, 1\]"):
        token_scores(column, [[8, 0], [9, 0]], "source")


def test_a_given_tokenizer_comes_before_that_of_the_models_folder(monkeypatch):
    model, given, stored = toy.reward_model(), toy.tokenizer(), toy.tokenizer()
    model.name_or_path = "folder"
    monkeypatch.setattr(scores_module, "load_tokenizer", lambda folder: stored)
    for tokenizer, used in ((given, given), (None, stored)):
        proxy = scores_module._proxy(model, tokenizer, toy.tokenizer(), (), None)
        assert proxy._tokenizer is used


def test_a_trunk_alone_has_no_label():
    with pytest.raises(TypeError, match="got LlamaModel, which has no label"):
        scores_module.check_scalar(toy.policy().model, "reward_model")
