"""Samples of a reference: prompt by prompt, in batches that fit into memory."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from align_core.data.encoding import encode_prompts
from align_core.evaluation import reference_samples as module
from align_core.evaluation.reference_samples import sample_prompt, sample_reference, stored_scores
from align_core.models.sampling import RandomDraw, Responses, sample
from align_core.optimum import ReferenceSamples
from tests import toy
from tests.training.films import Films


def test_each_prompt_has_its_own_seed():
    models = Films(), toy.policy(), toy.tokenizer()
    both = sample_reference(*models, ["the film", "a plot"], 6, 2)
    assert both.prompts == ["the film", "a plot"]
    for row, prompt in enumerate(both.prompts):
        (alone, _) = sample_prompt(*models, prompt, 6, 2 * 1_000_003 + row)
        assert np.array_equal(both.tokens[row], alone.tokens[0])
        assert np.array_equal(both.rewards[row], alone.rewards[0])


def test_a_batch_has_fewer_texts_of_a_larger_model(monkeypatch):
    """2·10¹⁰ parameters times texts: 148 of 135 million, and 8 at least."""
    monkeypatch.setattr(module, "end_ids", lambda *_: [0])
    monkeypatch.setattr(module, "sample", lambda policy, prompts, *_, **__: prompts)
    prompt = SimpleNamespace(repeat=lambda count: count)
    for parameters, sizes in ((135e6, [148, 148, 4]), (2e9, [10] * 30), (1e11, [8] * 37 + [4])):
        policy = SimpleNamespace(num_parameters=lambda parameters=parameters: parameters)
        batches = module._batches(Films(), policy, toy.tokenizer(), prompt, 300, 0)
        assert [count for _, count in batches] == sizes


def test_the_texts_of_a_prompt_are_those_of_its_seed_in_batches_of_any_size(monkeypatch):
    policy, tokenizer, most = toy.policy(), toy.tokenizer(), Films().max_new_tokens
    drawn = sample(
        policy,
        encode_prompts(tokenizer, ["the film"]).repeat(20),
        RandomDraw(7, 20),
        max_new_tokens=most,
        end_ids=[0],
        pad_id=1,
    )
    for at_once in (2e10, 0.0):  # all, or eight
        monkeypatch.setattr(module, "AT_ONCE", at_once)
        batches = []
        samples, _ = sample_prompt(Films(), policy, tokenizer, "the film", 20, 7, batches.append)
        assert batches == ([20] if at_once else [8, 8, 4])
        texts = zip(samples.tokens[0], samples.lengths[0], strict=True)
        assert [row[:length].tolist() for row, length in texts] == drawn.ids()
        assert samples.ended[0].tolist() == drawn.ended.tolist()
        assert {*samples.tokens[0][np.arange(most) >= samples.lengths[0][:, None]]} <= {1}
    assert {*drawn.ended.tolist()} == {True, False}


def test_stored_texts_are_scored_without_their_end_tokens():
    """Prompt and sample numbers; the second text of the first prompt was cut."""
    tokens = np.array([[[8, 0], [8, 9]], [[9, 0], [4, 0]]], np.uint16)
    lengths, ended = np.full((2, 2), 2, np.uint8), np.array([[True, False], [True, True]])
    stored = ReferenceSamples(["the film", "a plot"], tokens, lengths, ended, np.zeros((2, 2)))
    asked = []

    def proxy(prompts, texts, completion_ids):
        asked.extend(zip(prompts, texts, completion_ids, strict=True))
        return [0.5, 1.5, 2.5]

    rows = [(0, 1), (1, 0), (0, 0)]
    scores = stored_scores(proxy, toy.tokenizer(), stored, rows)
    assert scores.tolist() == pytest.approx([0.5, 1.5, 2.5])
    assert asked == [
        ("the film", " good bad", [8, 9]),
        ("a plot", " bad", [9, 0]),
        ("the film", " good", [8, 0]),
    ]
    asked.clear()
    stored_scores(proxy, toy.tokenizer(), stored, rows, inputs=["never", "dull"])
    assert [prompt for prompt, *_ in asked] == ["never", "dull", "never"]


def test_the_parts_of_a_reward_are_summed_for_each_text_and_averaged_over_them(monkeypatch):
    """Three texts in two batches of up to two: parts 1, 2, 3 and 0.5 of each."""
    task = SimpleNamespace(
        max_new_tokens=2,
        parts=lambda prompts, texts, ended: {
            "words": [float(len(text.split())) for text in texts],
            "manner": [0.5] * len(texts),
        },
    )
    batches = [
        (0, written([[8, 0], [8, 9]])),
        (2, written([[0]])),
    ]
    monkeypatch.setattr(module, "_batches", lambda *_: batches)
    monkeypatch.setattr(module, "model_inputs", lambda tokenizer, task, prompts: prompts)
    samples, means = sample_prompt(task, toy.policy(), toy.tokenizer(), "the film", 3, 0)
    assert samples.rewards.tolist() == [[1.5, 2.5, 0.5]]
    assert means == {"words": 1.0, "manner": 0.5}
    assert samples.tokens.tolist() == [[[8, 0], [8, 9], [0, 1]]]


def written(texts: list[list[int]]) -> Responses:
    """Responses of these tokens; 0 ends a text, and 1 is padding."""
    width = max(map(len, texts))
    tokens = torch.tensor([row + [1] * (width - len(row)) for row in texts])
    mask = torch.tensor([[t < len(row) for t in range(width)] for row in texts])
    ended = torch.tensor([row[-1] == 0 for row in texts])
    return Responses(tokens, mask, ended, torch.zeros(tokens.shape))


def test_tokens_are_stored_in_the_bytes_that_the_vocabulary_needs(monkeypatch):
    """Two bytes at least, and four from 65,536 tokens on, of which the padding is one."""
    monkeypatch.setattr(module, "_batches", lambda *_: [])
    for name in ("model_inputs", "encode_prompts"):
        monkeypatch.setattr(module, name, lambda *_: None)
    for rows, pad, kind in (
        (14, 1, np.uint16), (65_535, 1, np.uint16), (65_536, 1, np.uint32),
        (14, 65_534, np.uint16), (14, 65_535, np.uint32),
    ):  # fmt: skip
        policy = SimpleNamespace(config=SimpleNamespace(vocab_size=rows))
        samples, _ = sample_prompt(Films(), policy, SimpleNamespace(pad_token_id=pad), "a", 2, 0)
        assert samples.tokens.dtype == kind and (samples.tokens == pad).all()
