"""The checkpoints and saved models of PPO."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from align_core.models.sharding import full_state_dict, local_shard, to_shard, unsharded

if TYPE_CHECKING:  # a mixin calls what a Trainer has
    from transformers import Trainer
else:
    Trainer = object

CHECKPOINT = "ppo.safetensors"


class PPOCheckpoints(Trainer):
    """A mixin of PPOTrainer. Trainer itself saves optimiser, scheduler and random states.

    Checkpoints are made at ends of rollouts, as `save_steps` counts rollouts. The prompts and
    samples of a rollout are functions of seed and step, so that no rollout needs to be saved.
    """

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the policy and its tokenizer; into a checkpoint, also all weights that change."""
        with unsharded(self.model):
            if not self.args.should_save:
                return
            folder = Path(output_dir or self.args.output_dir)
            self.policy.save_pretrained(folder, state_dict=full_state_dict(self.policy))
            self.processing_class.save_pretrained(folder)
            if _internal_call:
                save_file(self._changing_weights(), folder / CHECKPOINT, {"beta": repr(self.beta)})

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if int(resume_from_checkpoint.rsplit("-", 1)[1]) % self.args.updates_per_rollout:
            raise ValueError(
                f"expected a checkpoint from the end of a rollout, got {resume_from_checkpoint}"
            )
        with safe_open(Path(resume_from_checkpoint) / CHECKPOINT, "pt") as stored, torch.no_grad():
            self.beta = float(stored.metadata()["beta"])
            for name, weights in self._changing_weights().items():
                local_shard(weights).copy_(to_shard(stored.get_tensor(name), weights))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None and self.is_deepspeed_enabled:
            self._load_from_checkpoint(
                checkpoint
            )  # DeepSpeed has overwritten the weights, which Trainer does not restore

    def _changing_weights(self) -> dict[str, Tensor]:
        """The trainable weights, and with `sync_ref_model` those of the reference."""
        reference = self.reference.named_parameters() if self.args.sync_ref_model else ()
        trained = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        return trained | {f"reference.{name}": p for name, p in reference}
