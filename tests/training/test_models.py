"""The models that runs start from and save: whole models, adapters, any batch size."""

from __future__ import annotations

import shutil

import pytest
import torch

from align_core.config.methods import methods
from align_core.data.encoding import encode_prompts
from align_core.models.loading import load_policy, load_reward_model
from align_core.models.logprobs import response_outputs
from align_core.objectives import token_logprobs
from tests import toy
from tests.training.films import finished


def test_a_frozen_trunk_stays_unchanged(tmp_path):
    run = finished(tmp_path / "run", "reward", freeze_trunk=True, steps=2)
    trained, base = load_reward_model(str(run.path)), load_policy("sft-reviews")
    for name, weight in base.model.state_dict().items():
        assert torch.equal(trained.model.state_dict()[name], weight)


@pytest.mark.parametrize(
    "method", [name for name, method in methods().items() if method.makes == "policy"]
)
def test_lora_runs_keep_an_adapter_over_the_named_base(tmp_path, method):
    run = finished(tmp_path / "run", method, lora_r=4, steps=2)
    assert (run.directory.model_path / "adapter_config.json").is_file()
    assert run.metric("eval/kl")[0] < 1e-5 < run.metric("eval/kl")[2]
    moved = tmp_path / "elsewhere"
    shutil.move(run.path, moved)
    assert load_policy(str(moved)).get_base_model() is not None


def test_a_lora_reward_model_is_saved_and_loaded(tmp_path):
    run = finished(tmp_path / "run", "reward", lora_r=4, steps=2)
    assert load_reward_model(str(run.path)).num_parameters() > 0


def logp(model) -> float:
    """The log-probability of one text."""
    tokens, mask = torch.tensor([[6, 7, 0]]), torch.ones(1, 3, dtype=torch.bool)
    encoded = encode_prompts(toy.tokenizer(), ["the film"])
    with torch.no_grad():
        logits, _ = response_outputs(model, encoded, tokens, mask)
    return token_logprobs(logits, tokens).sum().item()


@pytest.mark.parametrize(("method", "lora_r"), [("ppo", 0), ("ppo", 4), ("dpo", 0)])
def test_a_run_can_start_from_a_lora_run(tmp_path, method, lora_r):
    first = finished(tmp_path / "first", "dpo", lora_r=4, steps=3, learning_rate=0.03)
    second = finished(tmp_path / "second", method, model=str(first.path), lora_r=lora_r, steps=2)
    start, end = load_policy(str(first.path)), load_policy(str(second.path))
    assert second.metric("eval/kl")[0] < 1e-5 < second.metric("eval/kl")[2]
    ours, base, after = map(logp, (start, load_policy("sft-reviews"), end))
    distance = abs(after - ours)
    assert 0 < distance < abs(after - base), "it is near its initial model, not near the base"


@pytest.mark.parametrize("batch_size", [1, 3, 4])
def test_ppo_takes_any_number_of_episodes(tmp_path, batch_size):
    run = finished(tmp_path / "run", "ppo", batch_size=batch_size, steps=2)
    assert run.metric("episode") == {1: batch_size, 2: 2 * batch_size}


def test_ppo_can_train_without_whitened_advantages(tmp_path):
    usual, plain = (
        finished(tmp_path / str(whiten), "ppo", whiten_advantages=whiten, steps=1)
        for whiten in (True, False)
    )
    scores = [run.metric("objective/scores")[1] for run in (usual, plain)]
    assert scores[0] == scores[1], "the first rollout is the same"
    losses = [abs(run.metric("loss/policy_avg")[1]) for run in (usual, plain)]
    assert losses[0] < 1e-2 < losses[1], "only normalised advantages have the mean 0"
