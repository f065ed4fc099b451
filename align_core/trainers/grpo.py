"""GRPO: rewards compared within a group of texts, and β in the loss (arXiv 2402.03300).

Its usual parts move it away from the optimum of E[r(x, y)] − β KL(π ‖ π_ref): dividing advantages
by the standard deviation of each group weighs prompts by how much their rewards agree; a mean over
each text's tokens favours short good texts and long bad ones; and the gradient of the KL at each
token ignores how this token changes the later ones. The options turn these parts off one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from align_core.models.value_model import PolicyOutputs
from align_core.objectives import group_advantages, kl_estimate
from align_core.trainers.common import Setup
from align_core.trainers.groups import GroupConfig, GroupTrainer, make_trainer
from align_core.trainers.ppo.losses import PPOLosses
from align_core.trainers.ppo.rollouts import Batch


@dataclass
class GRPOConfig(GroupConfig):
    """The settings of GRPO, named as in TRL.

    Args:
        scale_rewards: the rewards whose standard deviation divides the advantages: those of the
            "group", those of the "batch", or "none".
        loss_type: "dapo" averages over the tokens of all texts (arXiv 2503.14476). "grpo" averages
            over each text's tokens, then over texts. "dr_grpo" sums over each text's tokens,
            divides by the token limit, and averages over texts (arXiv 2503.20783).
        importance_sampling_level: whether each "token" or each "sequence" has a clipped ratio. The
            ratio of a sequence is the geometric mean of the ratios of its tokens (GSPO, arXiv
            2507.18071).
    """

    choices = GroupConfig.choices | {
        "scale_rewards": ("group", "batch", "none"),
        "loss_type": ("dapo", "grpo", "dr_grpo"),
        "importance_sampling_level": ("token", "sequence"),
    }

    scale_rewards: str = "group"
    loss_type: str = "dapo"
    importance_sampling_level: str = "token"


class GRPOTrainer(GroupTrainer):
    """Compares each text's reward with the mean of its group; the loss contains β times the k3
    estimate of the KL."""

    args: GRPOConfig
    config = GRPOConfig

    def _text_advantages(self, scores: Tensor, kl: Tensor) -> Tensor:
        return group_advantages(scores, self.args.num_generations, self.args.scale_rewards)

    def _log_ratio(self, log_ratio: Tensor, mask: Tensor) -> Tensor:
        if self.args.importance_sampling_level == "token":
            return log_ratio
        return (log_ratio.sum(1, keepdim=True) / mask.sum(1, keepdim=True)).expand_as(log_ratio)

    def _losses(self, batch: Batch, outputs: PolicyOutputs) -> tuple[Tensor, dict[str, Tensor]]:
        losses, metrics = super()._losses(batch, outputs)
        # The old policy sampled the texts; the ratio makes this an estimate of the new policy's KL.
        logp = outputs.logp * batch.mask
        ratio = self._log_ratio(logp - batch.logp, batch.mask).exp()
        return losses + self.beta * ratio * kl_estimate(logp, batch.ref_logp, "k3"), metrics

    def _mean(self, losses: Tensor, batch: Batch, inputs: Batch) -> Tensor:
        if self.args.loss_type == "dapo":
            return PPOLosses._mean(self, losses, batch, inputs)
        if self.args.loss_type == "dr_grpo":
            max_tokens = len(inputs.tokens) * self.args.response_length
            return (losses * batch.mask).sum() / max_tokens
        return super()._mean(losses, batch, inputs)


def build(setup: Setup) -> GroupTrainer:
    """The GRPO trainer of a run."""
    config = setup.config
    return make_trainer(
        GRPOTrainer,
        setup,
        scale_rewards=config.scale_rewards,
        loss_type=config.loss,
        importance_sampling_level=config.importance,
    )
