"""The page's optimum of a prepared pair, without torch."""

from __future__ import annotations

import json

import numpy as np
import pytest

from align_core.cli.main import main
from align_core.config import task_card
from align_core.evaluation import prepared
from align_core.models.loading import load_tokenizer
from align_core.optimum import Frontier
from align_core.tasks import loader
from align_core.tasks.folder import example
from playground import text
from playground.content import optimum
from playground.content.summaries import _frontier, _target


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A prepared pair: a folder's task and an embedded model."""
    there = tmp_path_factory.mktemp("prepared")
    folder = there / "mine"
    example.write_new(folder, "FOLDER")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALIGN_CACHE", str(there / "cache"))
        patch.setattr(task_card, "_registered", {})
        patch.setattr(loader, "_loaded", {})
        argv = ["prepare", "--task", str(folder), "--model", "sft-reviews", "--json"]
        assert main([*argv, "--samples", "300", "--prompts", "3"]) == 0
        task_card._registered.pop(str(folder))  # the page was not started with this task
        yield {"task": str(folder), "model": "sft-reviews"}


def test_a_prepared_pair_has_frontier_and_target(pair):
    samples = prepared.stored_samples(**pair, split="probe")
    frontier = optimum.frontier(pair)
    json.dumps(frontier, allow_nan=False)
    assert frontier["reference"] == "sft-reviews" and 0.05 < frontier["gain_kl"] < 2
    limit = Frontier.of(samples.rewards)
    assert frontier["gain_kl"] == pytest.approx(limit.gain_kl, abs=1e-4)
    full_gain = limit.at(limit.gain_kl)[0] - samples.rewards.mean()
    assert frontier["full_gain"] == pytest.approx(full_gain, abs=1e-4)
    target = optimum.target({**pair, "beta": 3.0})
    w = np.exp((samples.rewards - samples.rewards.max(-1, keepdims=True)) / 3.0)
    w /= w.sum(-1, keepdims=True)
    best = (w * samples.rewards).sum(-1).mean() - samples.rewards.mean()
    assert target["gain"] == pytest.approx(best, abs=1e-4) and target["known"]
    assert target["samples"] == round((1 / (w**2).sum(-1)).mean())
    assert [shown["prompt"] for shown in target["texts"]] == samples.prompts
    assert optimum.full_gain({**pair, "beta": 1.0}) == frontier["full_gain"]
    assert _frontier(pair).full_gain == frontier["full_gain"]
    ppo = {**pair, "method": "ppo"}
    assert _target({**ppo, "beta": 3.0}).gain == target["gain"]
    assert _target({**ppo, "beta": 0.05}) is None, "too few samples"
    hollow = optimum.target({**pair, "beta": 0.05})
    for language in ("en", "zh"):
        sentence = text.load(language)["frontier"]["unsure"]
        assert str(hollow["samples"]) in sentence.format(**hollow)


def test_the_texts_of_a_prepared_pair_are_the_scored_ones(pair):
    samples = prepared.stored_samples(**pair, split="probe")
    tokenizer = load_tokenizer("sft-reviews")
    for shown, prompt, rewards in zip(
        optimum.frontier(pair)["texts"], samples.prompts, samples.rewards, strict=True
    ):
        assert shown["prompt"] == prompt
        row = samples.prompts.index(prompt)
        same = np.flatnonzero(np.isclose(rewards, shown["gold_reward"], atol=1e-4))
        texts = tokenizer.batch_decode(
            [samples.tokens[row, n, : samples.lengths[row, n]].tolist() for n in same],
            skip_special_tokens=True,
        )
        assert shown["text"] in texts


def test_only_prepared_pairs_are_searched(pair, monkeypatch, tmp_path):
    def hashed(*_):
        raise AssertionError("a visitor's path was read")

    monkeypatch.setattr(prepared, "_pair", hashed)
    for query in (
        {**pair, "model": str(tmp_path)},
        {"task": str(tmp_path), "model": "sft-reviews"},
        {"task": pair["task"]},
        {"task": [], "model": {}},
    ):
        known = optimum.frontier(query)
        assert known is None or known["reference"] == "sft-reviews"
    assert optimum.frontier({"task": str(tmp_path), "model": "sft-reviews"}) is None


def test_an_unreadable_entry_is_skipped(pair, caplog, tmp_path, monkeypatch):
    (entry,) = prepared.entries()
    copy = prepared.folder() / entry.path.name.replace("-300-", "-400-")
    copy.mkdir()
    (copy / "facts.json").write_text((entry.path / "facts.json").read_text())
    try:
        assert optimum.frontier(pair)["reference"] == "sft-reviews"
        assert str(copy) in caplog.text
    finally:
        (copy / "facts.json").unlink()
        copy.rmdir()
