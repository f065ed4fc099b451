"""The example token of PPO: its numbers agree with the trainer's."""

from __future__ import annotations

import copy

import pytest
import torch
from datasets import Dataset
from transformers import TrainerCallback

from align_core.data.encoding import encode_prompts
from align_core.models.logprobs import response_outputs
from align_core.objectives import token_logprobs
from align_core.trainers.ppo import build as ppo
from align_core.training.example_token import example_token
from tests import toy


def trained(tmp_path, *callbacks, **changes):
    """A PPO trainer after two rollouts, and the example token of the second."""
    model = toy.policy()
    torch.manual_seed(0)
    trainer = ppo.make_trainer(
        model,
        copy.deepcopy(model),
        toy.tokenizer(),
        Dataset.from_dict({"prompt": ["the film", "a plot", "the plot was never"]}),
        reward=toy.reward,
        **{
            "output_dir": str(tmp_path),
            "max_steps": 8,
            "per_device_train_batch_size": 32,
            "num_mini_batches": 2,
            "num_ppo_epochs": 2,
            "learning_rate": 3e-3,
            "lr_scheduler_type": "constant",
            "kl_coef": 0.3,
            "response_length": 8,
            "seed": 0,
            **changes,
        },
    )
    assert example_token(trainer) is None
    for callback in callbacks:
        callback.trainer = trainer
        trainer.add_callback(callback)
    trainer.train()
    return trainer


@pytest.mark.parametrize("lam", [1.0, 0.95])
@pytest.mark.parametrize("whiten", [True, False])
def test_the_advantage_follows_from_the_other_numbers(tmp_path, lam, whiten):
    trainer = trained(tmp_path, lam=lam, whiten_advantages=whiten)
    token = example_token(trainer)
    parts, beta = token["whitening"], token["beta"]
    mean = parts["mean_earned"] - beta * parts["mean_kl"]
    variance = parts["var_earned"] - 2 * beta * parts["cov"] + beta**2 * parts["var_kl"]
    raw = token["score"] - beta * token["ahead"] - token["value"] - mean
    assert token["advantage"] == pytest.approx(raw / variance**0.5, abs=1e-4)
    assert (beta, token["lam"], token["clip"]) == (0.3, lam, trainer.args.cliprange)
    assert (token["rollout"], token["updates"]) == (2, 4)
    if lam == 1.0:
        later = token["tokens"][token["place"] :]
        kl = sum(token["logp"] - token["ref_logp"] for token in later)
        assert token["ahead"] == pytest.approx(kl, abs=1e-5)
        text = "".join(entry["text"] for entry in token["tokens"])
        ids = [[0]]  # the end token
        assert token["score"] == pytest.approx(toy.reward([""], [text], ids)[0], abs=1e-5)


def test_the_log_probabilities_are_from_the_three_models(tmp_path):
    trainer = trained(tmp_path)
    token = example_token(trainer)
    tokenizer = toy.tokenizer()
    episodes = trainer.latest.episodes
    row = episodes.ended.nonzero()[0].item()
    length = int(episodes.mask[row].sum())
    assert len(token["tokens"]) == length
    prompts = encode_prompts(tokenizer, [token["prompt"]])
    tokens = episodes.tokens[row : row + 1, :length]
    with torch.no_grad():
        for model, name in ((trainer.policy, "new_logp"), (trainer.reference, "ref_logp")):
            logits, _ = response_outputs(model, prompts, tokens, torch.ones_like(tokens).bool())
            logprobs = token_logprobs(logits, tokens)[0].tolist()
            assert [entry[name] for entry in token["tokens"]] == pytest.approx(logprobs, abs=1e-4)
    assert [entry["logp"] for entry in token["tokens"]] == episodes.logp[row, :length].tolist()
    words = token["tokens"][:-1]
    moved = [abs(word["new_logp"] - word["logp"]) for word in words]
    assert moved[token["place"]] == max(moved) > 0


class Recorder(TrainerCallback):
    """Records the example token of its trainer after every update."""

    def on_step_end(self, args, state, control, **_):
        assert example_token(self.trainer)["updates"] == (state.global_step - 1) % 4 + 1


def test_recording_the_example_token_changes_nothing(tmp_path):
    def end(*callbacks):
        trainer = trained(tmp_path, *callbacks)
        return [p.detach() for p in trainer.policy.parameters()], torch.get_rng_state()

    (seen, state), (unseen, other_state) = end(Recorder()), end()
    assert torch.equal(state, other_state)
    assert all(torch.equal(a, b) for a, b in zip(seen, unseen, strict=True))
