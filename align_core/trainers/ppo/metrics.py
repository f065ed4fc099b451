"""The metrics of PPO's rollouts and steps, under TRL's names (docs/metrics.md)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from align_core.objectives import masked_mean
from align_core.trainers.mixins import TrainerMixin
from align_core.trainers.ppo.rollouts import Batch, Episodes


class PPOMetrics(TrainerMixin):
    """A mixin of PPOTrainer that logs the means of recorded metrics over steps and processes."""

    began: float  # when training began, by time.perf_counter
    step_facts: dict[str, Any]  # of the last update
    _globalstep_last_logged: int  # set by transformers.Trainer

    def _record(self, metrics: dict[str, Tensor]) -> None:
        for name, value in metrics.items():
            self._metrics[name].append(float(value))

    def _get_grad_norm(self, model: nn.Module, grad_norm: Any = None) -> Any:
        self.step_facts = {
            "grad_norm": super()._get_grad_norm(model, grad_norm=grad_norm),
            "learning_rate": self._get_learning_rate(),
        }
        return self.step_facts["grad_norm"]

    def log_step(self) -> None:
        """Log the steps since the last entry, if an entry is due: their loss and the means of all
        metrics recorded since. `log` gets the whole entry, as in TRL's PPO."""
        state = self.state
        steps = state.global_step - self._globalstep_last_logged
        if not self.control.should_log or not steps:
            return
        recorded = {name: sum(values) / len(values) for name, values in self._metrics.items()}
        recorded["loss"] = self._tr_loss.item()
        means = torch.tensor([*recorded.values()], device=self.args.device)
        means = dict(zip(recorded, self.accelerator.reduce(means, "mean").tolist(), strict=True))
        self._metrics.clear()
        self._tr_loss.zero_()
        self._total_loss_scalar += means["loss"]
        self._globalstep_last_logged = state.global_step
        self.store_flos()
        entry = {
            "loss": means.pop("loss") / steps,
            **{name: float(fact) for name, fact in self.step_facts.items() if fact is not None},
            **means,
            "lr": self.step_facts["learning_rate"],
            "eps": int(state.episode / (time.perf_counter() - self.began)),
            "episode": state.episode,
        }
        self.log(entry)

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        self.log_step()
        super()._maybe_log_save_evaluate(*args, **kwargs)

    def _finalize_training(self, *args: Any) -> Any:
        """As in Trainer, except that the summary of the run is not logged: TRL's PPO logs none, and
        scripts for it expect the metrics of a rollout in every entry."""

        def not_logged(summary: dict[str, float]) -> None:
            del self.__dict__["log"]  # the summary is the first entry that Trainer logs there

        self.__dict__["log"] = not_logged
        return super()._finalize_training(*args)


def rollout_metrics(
    episodes: Episodes, estimate: Tensor, beta: float, rewards: Sequence[str] = ()
) -> dict[str, Tensor]:
    """Metrics of a rollout; `estimate` [B, T] is the KL estimate within the reward, in nats.

    `rewards` are the names of several rewards, whose means are also metrics.
    """
    non_score = -beta * estimate.sum(1)
    return {
        **reward_means(episodes, rewards),
        "objective/kl": episodes.kl.mean(),
        "objective/kl_estimate": estimate.sum(1).mean(),
        "objective/kl_coef": torch.tensor(beta),
        "objective/entropy": episodes.entropy.mean(),
        "objective/scores": episodes.scores.mean(),
        "objective/non_score_reward": non_score.mean(),
        "objective/rlhf_reward": (episodes.scores + non_score).mean(),
        "val/num_eos_tokens": episodes.ended.float().sum(),
    }


def reward_means(episodes: Episodes, rewards: Sequence[str]) -> dict[str, Tensor]:
    """The mean of each of several rewards, by name; {} for a single reward."""
    if episodes.by_reward.shape[1] == 1:
        return {}
    means = zip(rewards, episodes.by_reward.mean(0), strict=True)
    return {f"rewards/{name}/mean": mean for name, mean in means}


def mismatch_metrics(differences: Sequence[Tensor]) -> dict[str, Tensor]:
    """Mean and maximum of the absolute differences between another generator's log-probabilities
    and ours, in nats, at the tokens that it sampled; {} if this process sampled them. The metrics
    are named as in TRL's GRPO."""
    if not differences:
        return {}
    values = torch.cat([*differences])
    name = "sampling/sampling_logp_difference"
    return {f"{name}/mean": values.mean(), f"{name}/max": values.max()}


@torch.no_grad()
def step_metrics(
    batch: Batch,
    entropies: Tensor,
    logp: Tensor,
    policy_losses: Tensor,
    policy_clipped: Tensor,
    **others: Tensor,
) -> dict[str, Tensor]:
    """Metrics of a step, means over its tokens; all arguments are [B, T], `others` by name."""
    log_ratio = (logp - batch.logp) * batch.mask
    ratio = log_ratio.exp()
    columns = {
        "policy/approxkl_avg": 0.5 * log_ratio**2,
        "policy/clipfrac_avg": policy_clipped.float(),
        "policy/entropy_avg": entropies,
        "loss/policy_avg": policy_losses,
        "val/ratio": ratio,
        "val/ratio_var": (ratio - 1) ** 2,
        **others,
    }
    return {name: masked_mean(column, batch.mask) for name, column in columns.items()}
