"""The metrics of PPO's rollouts and steps, under TRL's names (docs/metrics.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from align_core.objectives import masked_mean
from align_core.trainers.ppo.rollouts import Batch, Episodes

if TYPE_CHECKING:  # a mixin calls what a Trainer has
    from transformers import Trainer
else:
    Trainer = object


class PPOMetrics(Trainer):
    """A mixin of PPOTrainer that logs the means of recorded metrics over steps and processes."""

    def _record(self, metrics: dict[str, Tensor]) -> None:
        for name, value in metrics.items():
            self._metrics[name].append(float(value))

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        means = torch.tensor([sum(values) / len(values) for values in self._metrics.values()])
        if len(means):
            means = self.accelerator.reduce(means.to(self.args.device), "mean").tolist()
            rollouts = -(-self.state.global_step // self.args.updates_per_rollout)
            episodes = rollouts * self.args.local_episodes * self.accelerator.num_processes
            logs = {**logs, **dict(zip(self._metrics, means, strict=True)), "episode": episodes}
        self._metrics.clear()
        super().log(logs, start_time)


def rollout_metrics(episodes: Episodes, estimate: Tensor, beta: float) -> dict[str, Tensor]:
    """Metrics of a rollout; `estimate` [B, T] is the KL estimate within the reward, in nats."""
    non_score = -beta * estimate.sum(1)
    return {
        "objective/kl": episodes.kl.mean(),
        "objective/kl_estimate": estimate.sum(1).mean(),
        "objective/kl_coef": torch.tensor(beta),
        "objective/entropy": episodes.entropy.mean(),
        "objective/scores": episodes.scores.mean(),
        "objective/non_score_reward": non_score.mean(),
        "objective/rlhf_reward": (episodes.scores + non_score).mean(),
        "val/num_eos_tokens": episodes.ended.float().sum(),
    }


@torch.no_grad()
def step_metrics(
    batch: Batch,
    entropies: Tensor,
    logp: Tensor,
    policy_losses: Tensor,
    policy_clipped: Tensor,
    value_losses: Tensor,
    value_clipped: Tensor,
) -> dict[str, Tensor]:
    """Metrics of a step, means over its tokens; all arguments are [B, T]."""
    log_ratio = (logp - batch.logp) * batch.mask
    ratio = log_ratio.exp()
    columns = {
        "policy/approxkl_avg": 0.5 * log_ratio**2,
        "policy/clipfrac_avg": policy_clipped.float(),
        "policy/entropy_avg": entropies,
        "loss/policy_avg": policy_losses,
        "loss/value_avg": value_losses,
        "val/clipfrac_avg": value_clipped.float(),
        "val/ratio": ratio,
        "val/ratio_var": (ratio - 1) ** 2,
    }
    return {name: masked_mean(column, batch.mask) for name, column in columns.items()}
