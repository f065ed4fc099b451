"""The clipped losses of policy and value, and their mean over a minibatch."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from align_core.models.logprobs import length_batches
from align_core.models.value_model import PolicyOutputs, PolicyWithValue
from align_core.objectives import masked_mean, ppo_policy_loss, ppo_value_loss
from align_core.trainers.ppo.metrics import PPOMetrics, step_metrics
from align_core.trainers.ppo.rollouts import Batch

if TYPE_CHECKING:  # a mixin calls methods of the trainer
    Trainer = PPOMetrics
else:
    Trainer = object


class PPOLosses(Trainer):
    """A mixin of PPOTrainer. Other methods on rollouts override `_losses` and `_mean`."""

    def training_step(self, model: nn.Module, *args: Any, **kwargs: Any) -> Tensor:
        loss = super().training_step(model, *args, **kwargs)
        # In training mode, gradient checkpointing turns off the cache of keys and values, without
        # which callbacks would sample slowly.
        model.eval()
        return loss

    def compute_loss(
        self,
        model: PolicyWithValue,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: int | None = None,
    ) -> Tensor:
        """The loss of a micro-batch: a scalar."""
        loss, means = 0.0, defaultdict[str, float](float)
        for rows in length_batches(inputs.prompts, inputs.mask):
            batch = inputs[rows]
            outputs = model(
                batch.prompts, batch.tokens, batch.mask, self.args.temperature, batch.trunk_states
            )
            losses, metrics = self._losses(batch, outputs)
            loss += self._mean(losses, batch, inputs)
            for name, mean in metrics.items():
                means[name] += _share(batch, inputs) * mean
        self._record(means)
        return loss

    def _losses(self, batch: Batch, outputs: PolicyOutputs) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of each token [B, T], and metrics."""
        args = self.args
        policy_losses, policy_clipped = ppo_policy_loss(
            outputs.logp, batch.logp, batch.advantages, args.cliprange
        )
        value_losses, value_clipped = ppo_value_loss(
            outputs.values, batch.values, batch.returns, args.cliprange_value
        )
        metrics = step_metrics(
            batch,
            outputs.entropy,
            outputs.logp,
            policy_losses,
            policy_clipped,
            **{"loss/value_avg": value_losses, "val/clipfrac_avg": value_clipped.float()},
        )
        return policy_losses + args.vf_coef * value_losses, metrics

    def _mean(self, losses: Tensor, batch: Batch, inputs: Batch) -> Tensor:
        """The part of the loss of `inputs` that is due to its episodes `batch`: a scalar.

        The sum of all parts is the mean over the tokens of `inputs`, times its weight.
        """
        return _share(batch, inputs) * masked_mean(losses, batch.mask)


def _share(batch: Batch, inputs: Batch) -> Tensor:
    """The weight of the mean over the tokens of `batch` in the loss of `inputs`."""
    return inputs.weight * batch.mask.sum() / inputs.mask.sum()
