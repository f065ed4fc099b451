"""Rollouts of groups: several texts for each prompt, whose rewards are compared with each other.

RLOO and GRPO have this in common. Their rollouts are those of PPO (`ppo/trainer.py`), without a
value model: the baseline of a text is computed from the rewards of its group. TRL has trainers of
both methods; the ones here share PPO's sampler, exact KL and frozen trunk, and its rewards in nats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from align_core.data.encoding import Prompts
from align_core.models import distributed
from align_core.models.lora import lora_config
from align_core.models.value_model import PolicyOutputs, PolicyWithValue
from align_core.objectives import ppo_policy_loss
from align_core.trainers.common import Setup
from align_core.trainers.ppo.build import reward_of, rollout_settings
from align_core.trainers.ppo.config import ELSEWHERE, RolloutConfig
from align_core.trainers.ppo.metrics import step_metrics
from align_core.trainers.ppo.ranges import Range
from align_core.trainers.ppo.rollouts import Batch, Episodes
from align_core.trainers.ppo.trainer import PPOTrainer

_VALUE_SETTINGS = (
    "gamma",
    "lam",
    "whiten_rewards",
    "whiten_advantages",
    "cliprange_value",
    "vf_coef",
)


@dataclass
class GroupConfig(RolloutConfig):
    """The settings of rollouts, and the size of a group; PPO's settings of values are refused."""

    elsewhere = ELSEWHERE | dict.fromkeys(_VALUE_SETTINGS, "PPO, which has a value model")

    num_generations: int = 4

    def check(self) -> None:
        """Raises ValueError for invalid values."""
        super().check()
        episodes = self.local_episodes * distributed.WORLD_SIZE
        expected = f"2 or more, and a divisor of the {episodes} episodes of a rollout"
        sizes = Range(expected, lambda size: size >= 2 and episodes % size == 0, is_whole=True)
        if self.num_generations not in sizes:
            raise ValueError(f"num_generations got {self.num_generations!r}, expected {expected}")
        self.num_generations = int(self.num_generations)

    @property
    def texts_per_prompt(self) -> int:
        return self.num_generations


class PolicyWithoutValue(PolicyWithValue):
    """A policy whose values are all 0."""

    has_values = False

    def __init__(self, policy: Any, value_model: None = None) -> None:
        if value_model is not None:
            line = f"expected None, got {type(value_model).__name__}; PPO has a value model"
            raise ValueError(f"value_model: {line}")
        super().__init__(policy)
        self.value_head = None

    def values(
        self, prompts: Prompts, tokens: Tensor, mask: Tensor, states: Tensor | None
    ) -> Tensor:
        return torch.zeros(tokens.shape, device=tokens.device)


class GroupTrainer(PPOTrainer):
    """A trainer on groups of texts; every token of a text has the text's advantage."""

    args: GroupConfig
    config = GroupConfig
    model_class = PolicyWithoutValue

    def _advantages(self, episodes: Episodes, estimate: Tensor) -> tuple[Tensor, Tensor]:
        advantages = (
            self._text_advantages(episodes.scores, estimate.sum(1))[:, None] * episodes.mask
        )
        return advantages, advantages

    def _text_advantages(self, scores: Tensor, kl: Tensor) -> Tensor:
        """The advantages [B] of texts with these scores and KL estimates [B], in nats."""
        raise NotImplementedError

    def _losses(self, batch: Batch, outputs: PolicyOutputs) -> tuple[Tensor, dict[str, Tensor]]:
        log_ratio = self._log_ratio((outputs.logp - batch.logp) * batch.mask, batch.mask)
        losses, clipped = ppo_policy_loss(
            log_ratio, torch.zeros_like(log_ratio), batch.advantages, self.args.cliprange
        )
        return losses, step_metrics(batch, outputs.entropy, outputs.logp, losses, clipped)

    def _log_ratio(self, log_ratio: Tensor, mask: Tensor) -> Tensor:
        """The log-ratio [B, T] of new to old policy to be clipped, from the tokens' log-ratios."""
        raise NotImplementedError

    def _mean(self, losses: Tensor, batch: Batch, inputs: Batch) -> Tensor:
        """The mean over texts of the means over their tokens."""
        means = (losses * batch.mask).sum(1) / batch.mask.sum(1)
        return means.sum() / len(inputs.tokens)


def make_trainer(trainer_class: type[GroupTrainer], setup: Setup, **settings: Any) -> GroupTrainer:
    """A trainer of this class for a run; `settings` override those that all methods on rollouts
    share."""
    config = setup.config
    return trainer_class(
        args=trainer_class.config(
            **rollout_settings(setup) | {"num_generations": config.group_size} | settings
        ),
        processing_class=setup.tokenizer,
        model=setup.model,
        ref_model=setup.reference,
        reward_model=reward_of(setup),
        train_dataset=setup.data,
        peft_config=lora_config(setup.model, config.lora_r, "CAUSAL_LM", config.lora_layers),
    )
