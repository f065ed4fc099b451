"""Entries of the cache of prepared samples: their names, their size and their facts."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from align_core.config.errors import ConfigError
from align_core.evaluation import preparation, prepared
from align_core.evaluation.prepared import Entry, stored_scale
from align_core.optimum import ReferenceSamples
from tests import toy


def test_the_numbers_of_an_entry_are_in_its_name():
    numbers = {
        "reviews-1a2b-120-2-7": (120, 2, 7),
        "2-3-4": (2, 3, 4),
        "3-4": (0, 0, 0),
        "a-foreign-folder": (0, 0, 0),
        "reviews-1a2b-x-2-7": (0, 0, 0),
    }
    assert {name: Entry(Path("optimum", name)).samples for name in numbers} == numbers


def test_facts_are_an_object(tmp_path):
    (tmp_path / "facts.json").write_text('{"seed": 3}')
    assert Entry(tmp_path).complete and Entry(tmp_path).facts() == {"seed": 3}
    (tmp_path / "facts.json").write_text("[]")
    with pytest.raises(ValueError, match="facts.json: expected an object, got list"):
        Entry(tmp_path).facts()


def test_a_preparation_needs_space_for_all_its_texts(tmp_path, monkeypatch):
    """Two probe prompts and one held-out one, 3 texts each, of 5 tokens: 9 · (5 · 4 + 16) bytes."""
    made = object.__new__(preparation.Preparation)
    made._samples, made._prompts = 3, {"probe": ["a", "b"], "heldout": ["c"]}
    made._task, made._entry = SimpleNamespace(max_new_tokens=5), Entry(tmp_path / "new" / "entry")
    assert (made.texts, made.max_bytes) == (9, 324)
    for free in (324, 323):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, n=free: SimpleNamespace(free=n))
        if free == 324:
            made._check_space()
        else:
            with pytest.raises(ConfigError, match="MB of free space for 9 texts"):
                made._check_space()


def test_a_scale_is_a_positive_number(monkeypatch):
    """The first one is taken; entries with anything else are passed over."""

    def scale(*stored):
        entries = [SimpleNamespace(facts=lambda one=one: {"reward_scale": one}) for one in stored]
        monkeypatch.setattr(prepared, "_entries_of", lambda *_: entries)
        return stored_scale("task", "model")

    assert scale(None, 0.0, -1.5, "2", 0.75, 3.0) == 0.75
    assert scale(None, 0.0, -1.5, "2") is None


def test_stored_texts_of_a_prompt_count_as_old_ones(tmp_path):
    made = object.__new__(preparation.Preparation)
    made._samples, made._entry = 3, Entry(tmp_path)
    (tmp_path / "parts").mkdir()
    stored = ReferenceSamples(
        prompts=["a"],
        tokens=np.ones((1, 3, 2), np.uint16),
        lengths=np.full((1, 3), 2, np.uint8),
        ended=np.ones((1, 3), bool),
        rewards=np.array([[0.5, 1.0, 2.0]]),
    )
    stored.save(tmp_path / "parts" / "probe-0.npz")
    (tmp_path / "parts" / "probe-0.json").write_text('{"reward/length": 0.25}')
    reported = []
    samples, means = made._sample_prompt(None, "probe", 0, "a", lambda *news: reported.append(news))
    assert reported == [(3, False)] and means == {"reward/length": 0.25}
    assert samples.rewards.tolist() == [[0.5, 1.0, 2.0]]


def test_stored_texts_of_another_prompt_or_number_are_sampled_again(tmp_path, monkeypatch):
    """With a seed for each split and prompt; new texts are reported as they come."""
    made = object.__new__(preparation.Preparation)
    made._samples, made._seed, made._entry = 3, 5, Entry(tmp_path)
    made._policy = made._tokenizer = None
    stored = ReferenceSamples(
        prompts=["b"],
        tokens=np.ones((1, 2, 2), np.uint16),
        lengths=np.full((1, 2), 2, np.uint8),
        ended=np.ones((1, 2), bool),
        rewards=np.array([[0.5, 1.0]]),
    )
    three = replace(stored, **{
        name: np.repeat(getattr(stored, name), 2, 1)[:, :3]
        for name in ("tokens", "lengths", "ended", "rewards")
    })  # fmt: skip
    calls, reported = [], []

    def sampled(task, policy, tokenizer, prompt, samples, seed, progress):
        calls.append((prompt, samples, seed))
        progress(samples)
        return replace(three, prompts=[prompt]), {}

    monkeypatch.setattr(preparation, "sample_prompt", sampled)
    (tmp_path / "parts").mkdir()
    for before in (three, replace(stored, prompts=["a"])):
        before.save(tmp_path / "parts" / "heldout-3.npz")
        (tmp_path / "parts" / "heldout-3.json").write_text("{}")
        made._sample_prompt(None, "heldout", 3, "a", lambda *news: reported.append(news))
    assert calls == [("a", 3, (5 + 1) * 1_000_003 + 3)] * 2
    assert reported == [(3, True)] * 2


def test_a_shown_text_ends_before_its_end_token():
    """ " good" is 8; other words stand after the texts, of which the second one was cut."""
    made = object.__new__(preparation.Preparation)
    made._tokenizer = toy.tokenizer()
    made._task = SimpleNamespace(model_input=lambda prompt, chat: prompt)
    samples = ReferenceSamples(
        prompts=["the film"],
        tokens=np.array([[[8, 0, 9, 9], [8, 8, 9, 9]]], np.uint16),
        lengths=np.array([[2, 2]], np.uint8),
        ended=np.array([[True, False]]),
        rewards=np.array([[0.5, 1.5]]),
    )
    assert [made._text(samples, n, 0) for n in (0, 1)] == [
        {"prompt": "the film", "completion": " good", "gold_reward": 0.5},
        {"prompt": "the film", "completion": " good good", "gold_reward": 1.5},
    ]


def test_completions_are_decoded_after_the_last_token_of_their_prompt():
    made = object.__new__(preparation.Preparation)
    made._tokenizer = toy.tokenizer()
    made._task = SimpleNamespace(model_input=lambda prompt, chat: prompt)
    assert toy.WORDS.index("good") == 8 and toy.WORDS.index("film") == 4
    assert made._last_tokens(["the plot was good", "film", "the film"]) == [8, 4, 4]


def test_a_pair_is_named_by_twenty_letters_of_its_hash(monkeypatch):
    monkeypatch.setattr(prepared, "task_digest", lambda task: f"of {task}")
    monkeypatch.setattr(prepared, "model_digest", lambda model: f"of {model}")
    monkeypatch.setattr(prepared, "combined", lambda parts: "-".join(parts) + "." * 64)
    assert prepared._pair("a", "b") == "1-of a-of b" + "." * 9
