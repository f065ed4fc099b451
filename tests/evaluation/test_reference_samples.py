"""Samples of a reference: prompt by prompt, in batches that fit into memory."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from align_core.evaluation import reference_samples as module
from align_core.evaluation.reference_samples import sample_prompt, sample_reference
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
