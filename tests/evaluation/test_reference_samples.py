"""Samples of a reference: prompt by prompt, in batches that fit into memory."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from align_core.data.encoding import encode_prompts
from align_core.evaluation import reference_samples as module
from align_core.evaluation.reference_samples import sample_prompt, sample_reference, stored_scores
from align_core.models.sampling import RandomDraw, sample
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
