"""Online DPO: DPO on pairs that the policy itself has just written (arXiv 2402.04792).

Each step samples two texts for each prompt and labels them by the reward. The first is chosen with
probability σ(r(y1) − r(y2)), so that the loss has DPO's optimum π_ref·exp(r/β). If the text with
the higher reward were always chosen, as in TRL's experimental trainer, the loss would have no
finite optimum. TRL's trainer also tokenises texts itself; this one uses PPO's rollouts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from align_core.models.logprobs import length_batches
from align_core.models.value_model import PolicyWithValue
from align_core.objectives import dpo_loss
from align_core.trainers.common import Setup
from align_core.trainers.groups import GroupTrainer, make_trainer
from align_core.trainers.ppo.rollouts import Batch, Episodes

# Added to a seed, so that labels do not depend on the noise of the texts. torch's generator reads
# the last 32 bits of a seed.
LABEL_SEED_OFFSET = 2**31


class PairBatch(Batch):
    """A rollout whose rows 2i and 2i + 1 are a pair, which no minibatch separates."""

    def micro_batches(
        self,
        minibatches: int,
        accumulation_steps: int,
        process: int,
        processes: int,
        generator: torch.Generator,
    ) -> Iterator[Batch]:
        """One epoch, as for single episodes; the weight of a micro-batch is its share of pairs."""
        order = torch.randperm(len(self.tokens) // 2, generator=generator)
        for pairs in order.tensor_split(minibatches):
            for part in pairs.tensor_split(processes)[process].tensor_split(accumulation_steps):
                rows = torch.stack([2 * part, 2 * part + 1], 1).flatten()
                weight = len(part) * accumulation_steps * processes / len(pairs)
                yield replace(self[rows], weight=weight)


class OnlineDPOTrainer(GroupTrainer):
    """DPO's loss of the two texts of each group; `batch.advantages` has their labels, ±1."""

    def _advantages(self, episodes: Episodes, estimate: Tensor) -> tuple[Tensor, Tensor]:
        seed = self._rollout_seed() + LABEL_SEED_OFFSET
        labels = drawn_labels(episodes.scores, seed)[:, None] * episodes.mask
        return labels, labels

    def _rollout(self, rows: list) -> Batch:
        return PairBatch(**vars(super()._rollout(rows)))

    def compute_loss(self, model: PolicyWithValue, inputs: Batch, *_: Any, **__: Any) -> Tensor:
        """The mean loss of the pairs of a micro-batch: a scalar."""
        logps: list[Tensor] = []
        order = [*length_batches(inputs.prompts, inputs.mask)]
        for rows in order:
            part = inputs[rows]
            texts = part.prompts, part.tokens, part.mask
            outputs = model(*texts, self.args.temperature, part.trunk_states)
            logps.append((outputs.logp * part.mask).sum(1))
        logp = torch.cat(logps)[torch.cat(order).argsort()]
        ref_logp = inputs.ref_logp.sum(1)
        chosen = inputs.advantages[:, 0] > 0
        pairs = logp[chosen], logp[~chosen], ref_logp[chosen], ref_logp[~chosen]
        losses = dpo_loss(*pairs, self.beta)
        self._record_pairs(*(pair.detach() for pair in pairs))
        return inputs.weight * losses.mean()

    def _record_pairs(
        self, chosen: Tensor, rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor
    ) -> None:
        """DPO's metrics of log-probabilities [B / 2] of whole texts."""
        chosen_rewards = self.beta * (chosen - ref_chosen)
        rejected_rewards = self.beta * (rejected - ref_rejected)
        self._record(
            {
                "rewards/chosen": chosen_rewards.mean(),
                "rewards/rejected": rejected_rewards.mean(),
                "rewards/margins": (chosen_rewards - rejected_rewards).mean(),
                "rewards/accuracies": (chosen_rewards > rejected_rewards).float().mean(),
            }
        )


def drawn_labels(scores: Tensor, seed: int) -> Tensor:
    """1 for the chosen and −1 for the rejected text [B] of each pair, from scores [B] in nats."""
    first, second = scores.view(-1, 2).unbind(1)
    noise = torch.rand(len(first), generator=torch.Generator().manual_seed(seed))
    label = torch.where(noise.to(scores.device) < torch.sigmoid(first - second), 1.0, -1.0)
    return torch.stack([label, -label], 1).flatten()


def build(setup: Setup) -> GroupTrainer:
    """The online DPO trainer of a run; its batch size counts pairs."""
    texts = 2 * setup.arguments["per_device_train_batch_size"]
    return make_trainer(
        OnlineDPOTrainer, setup, num_generations=2, per_device_train_batch_size=texts
    )
