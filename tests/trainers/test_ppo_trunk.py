"""PPO on a frozen trunk has the metrics and weights of full forward passes."""

from __future__ import annotations

import pytest
import torch

from align_core.models import value_model
from align_core.models.precision import use_bfloat16
from tests.trainers.test_ppo import as_rows, history, trainer

CLOCK = {"train_runtime", "train_samples_per_second", "train_steps_per_second", "total_flos", "eps"}


def trained(tmp_path, **changes):
    made = trainer(tmp_path, lora_r=4, lora_layers=1, **{"max_steps": 8, **changes})
    made.train()
    return made


@pytest.mark.parametrize("changes", [{}, {"temperature": 0.7, "per_device_train_batch_size": 8,
                                          "gradient_accumulation_steps": 4}])  # fmt: skip
def test_metrics_and_weights_are_those_of_full_passes(tmp_path, monkeypatch, changes):
    upper = trained(tmp_path / "upper", **changes)
    monkeypatch.setattr(value_model, "frozen_trunk", lambda policy: None)
    whole = trained(tmp_path / "whole", **changes)
    assert upper.model.frozen.depth == 1 and whole.model.frozen is None
    assert upper.latest.episodes.trunk.abs().sum() > 0 and whole.latest.episodes.trunk is None
    for ours, theirs in zip(upper.state.log_history, whole.state.log_history, strict=True):
        assert ours.keys() == theirs.keys()
        for name in ours.keys() - CLOCK:
            assert ours[name] == pytest.approx(theirs[name], rel=1e-3, abs=2e-4), name
    assert history(upper, "objective/kl")[-1] > 1e-3
    for (name, ours), theirs in zip(
        upper.model.named_parameters(), whole.model.parameters(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3, msg=name)


def test_in_bfloat16_there_is_no_kl_before_the_first_update(tmp_path):
    made = trainer(tmp_path, lora_r=4, lora_layers=1)
    use_bfloat16(made.model)
    rollout = made._rollout(as_rows(["the film", "a plot", "the plot was never"] * 20))
    assert made._metrics["objective/kl"][0] < 1e-12
    assert made._metrics["objective/kl_estimate"] == [0.0]
    outputs = made.model(rollout.prompts, rollout.tokens, rollout.mask, 1.0, rollout.trunk_states)
    # The ratio of each token is 1, up to the rounding of batches of another size.
    near = {"atol": 0.02, "rtol": 0}
    torch.testing.assert_close(outputs.logp[rollout.mask], rollout.logp[rollout.mask], **near)
