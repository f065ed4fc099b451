"""The samples of a fetched reference that come with the package."""

from __future__ import annotations

import numpy as np
import pytest
from tokenizers import Tokenizer

from align_core.config import model_index
from align_core.config.digests import file_digest
from align_core.evaluation import prepared
from align_core.evaluation.stored_texts import stored_texts
from align_core.tasks import get_task
from playground.content import optimum

PAIR = {"task": "manners", "model": model_index.SMOLLM2}


@pytest.fixture
def fetched(tmp_path, monkeypatch):
    """The file of the weights of a fetched model, which is not there yet."""
    monkeypatch.setenv("ALIGN_CACHE", str(tmp_path))
    return model_index.fetched_folder(model_index.SMOLLM2) / prepared.WEIGHTS


@pytest.mark.parametrize("split", prepared.SPLITS)
def test_shipped_samples_have_the_present_rewards_of_their_texts(fetched, split):
    task, stored = get_task("manners"), prepared.stored(**PAIR, split=split)
    samples, tokenizer = stored.samples, Tokenizer.from_file(str(stored.tokenizer))
    assert samples.prompts == task.prompts(split)[: len(samples.prompts)]
    rows = np.arange(len(samples.prompts))
    for number in range(0, samples.rewards.shape[1], 32):
        texts = stored_texts(samples, tokenizer, stored.last_tokens, rows * 0 + number)
        ended = samples.ended[:, number].tolist()
        rewards = task.reward(samples.prompts, texts, ended=ended)
        # They are stored as float32.
        assert rewards == pytest.approx(samples.rewards[:, number].tolist(), abs=1e-6)


def test_shipped_samples_belong_to_the_fetched_weights(fetched, monkeypatch):
    shipped = prepared.shipped_folder("manners")
    assert optimum.of_pair(**PAIR).frontier["full_gain"] > 0, "recorded runs need no model"
    (entry,) = prepared.named(**PAIR)
    assert entry.path == shipped
    assert prepared.entries() == [], "they are no part of the cache"
    fetched.parent.mkdir(parents=True)
    fetched.write_bytes(b"other weights")
    assert [*prepared.named(**PAIR)] == [] and optimum.of_pair(**PAIR) is None
    facts = entry.facts() | {"weights": file_digest(fetched)}
    monkeypatch.setattr(prepared.Entry, "facts", lambda _: facts)
    assert [one.path for one in prepared.named(**PAIR)] == [shipped]
    assert [*prepared.named("manners", "pretrained")] == []
    assert [*prepared.named("reviews", model_index.SMOLLM2)] == []
