"""Responses by vLLM, against a stand-in of TRL's class for it."""

from __future__ import annotations

import importlib.machinery
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from align_core.data.encoding import encode_prompts
from align_core.models import distributed
from align_core.models.loading import load_policy, save_model
from align_core.models.sampling import RandomDraw, sample
from align_core.trainers.ppo.generation import check_generator
from tests import toy
from tests.ports.ported import history, made, trained

OFF = 0.25  # nats, of the stand-in's log-probabilities


class StandIn:
    """Samples from weights that it was handed over, and not from those of the policy."""

    made: list[StandIn] = []

    def __init__(self, model, accelerator, processing_class, **settings):
        self.policy, self.own, self.settings = model, toy.policy(seed=5), settings
        self.tokenizer, self.synced, self.calls = processing_class, 0, 0
        self.made.append(self)

    def sync_weights(self):
        self.own.load_state_dict(self.policy.state_dict())
        self.synced += 1

    def generate(self, prompts, images, num_generations):
        assert images is None and num_generations == 1
        self.calls += 1
        ends, most = self.settings["generation_kwargs"], self.settings["max_completion_length"]
        drawn = sample(
            self.own,
            encode_prompts(self.tokenizer, prompts),
            RandomDraw(self.calls, len(prompts)),
            max_new_tokens=most,
            end_ids=ends["stop_token_ids"],
            pad_id=1,
            temperature=self.settings["temperature"],
        )
        logps = [
            [[value + OFF] for value in row[mask].tolist()]
            for row, mask in zip(drawn.logp, drawn.mask, strict=True)
        ]
        return prompts, drawn.ids(), logps, None


@pytest.fixture
def vllm(monkeypatch):
    """vLLM is installed, and TRL's class for it is the stand-in."""
    library = ModuleType("vllm")
    library.__spec__ = importlib.machinery.ModuleSpec("vllm", None)
    monkeypatch.setitem(sys.modules, "vllm", library)
    of_trl = ModuleType("trl.generation.vllm_generation")
    of_trl.VLLMGeneration = StandIn
    monkeypatch.setitem(sys.modules, "trl.generation.vllm_generation", of_trl)
    monkeypatch.setattr(StandIn, "made", [])
    return StandIn.made


@pytest.fixture
def folder(tmp_path):
    save_model(toy.policy(), toy.tokenizer(), tmp_path / "policy")
    return str(tmp_path / "policy")


SETTINGS = {"generator": "vllm", "temperature": 0.7, "top_k": 5, "learning_rate": 1e-2}


@pytest.mark.parametrize("value_model", [None, toy.reward_model])
def test_responses_of_vllm_are_recomputed_and_learned_from(tmp_path, folder, vllm, value_model):
    parts = {"model": load_policy(folder), "value_model": value_model and value_model()}
    trainer = trained(tmp_path, stop_token_id=[0, 8], **parts, **SETTINGS)
    (generator,) = vllm
    assert generator.synced == generator.calls == 2, "once for each rollout"
    for name, ours in trainer.policy.state_dict().items():
        assert not torch.equal(ours, toy.policy().state_dict()[name]) or ours.numel() <= 32
    settings = generator.settings
    assert settings["generation_kwargs"] == {"ignore_eos": True, "stop_token_ids": [0, 8]}
    assert (settings["temperature"], settings["top_k"], settings["top_p"]) == (0.7, 5, 1.0)
    assert settings["max_completion_length"] == 4
    for end in ("mean", "max"):
        differences = history(trainer, f"sampling/sampling_logp_difference/{end}")
        assert differences == pytest.approx([OFF, OFF], abs=1e-5)
    first, second = history(trainer, "objective/kl")
    assert first < 1e-6 < second
    assert history(trainer, "policy/approxkl_avg")[0] < 1e-10
    read = trainer.latest.episodes
    for ids, mask, ended in zip(read.tokens, read.mask, read.ended, strict=True):
        assert (ids[mask][-1].item() in (0, 8)) == bool(ended)


def test_a_rollout_by_vllm_is_the_one_that_is_sampled_here(tmp_path, folder, vllm, monkeypatch):
    """With the same tokens, the same log-probabilities, values, KL and scores."""
    parts = {"ref_model": toy.policy(1), "stop_strings": ["bad"], "response_length": 6}
    here = made(tmp_path, model=load_policy(folder), **parts)
    there = made(tmp_path, model=load_policy(folder), generator="vllm", **parts)
    for trainer in (here, there):
        torch.nn.init.constant_(trainer.model.value_head.linear.weight, 0.01)
    rows = [{"prompt": prompt} for prompt in ("the film", "the plot was never", "a plot")] * 8
    here._rollout(rows)
    ours = here.latest.episodes
    ids = [row[mask].tolist() for row, mask in zip(ours.tokens, ours.mask, strict=True)]
    logps = [[[0.0] for _ in row] for row in ids]
    monkeypatch.setattr(
        there.generator, "generate", lambda prompts, *_: (prompts, ids[: len(prompts)],
                                                          logps[: len(prompts)], None)
    )  # fmt: skip
    there.args.sampling_batch_size = len(rows)
    there._rollout(rows)
    theirs = there.latest.episodes
    assert there.generator.settings["generation_kwargs"]["stop"] == ["bad"]
    assert (there.generator.settings["top_k"], there.generator.settings["top_p"]) == (0, 1.0)
    for name in ("tokens", "mask", "ended", "logp", "ref_logp", "values", "kl", "token_scores"):
        torch.testing.assert_close(
            getattr(theirs, name), getattr(ours, name), atol=1e-5, rtol=0, msg=name
        )


def test_vllm_is_asked_for_where_it_can_be(tmp_path, vllm, monkeypatch):
    with pytest.raises(ValueError, match="a policy from a folder or the hub for generator='vllm'"):
        made(tmp_path, generator="vllm")
    with monkeypatch.context() as sharded:
        sharded.setattr(distributed, "SHARDED_BY", "FSDP")
        with pytest.raises(ValueError, match="for generator='vllm', got one sharded by FSDP"):
            check_generator(SimpleNamespace(generator="vllm"), "folder")
    with pytest.raises(ValueError, match="generator got 'tgi', expected 'transformers' or 'vllm'"):
        made(tmp_path, generator="tgi")
    monkeypatch.delitem(sys.modules, "vllm")
    with pytest.raises(ImportError, match="generator got 'vllm', expected .*: pip install vllm"):
        made(tmp_path, generator="vllm")
