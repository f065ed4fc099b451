"""What a checkpoint of PPO holds, and what is kept of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from align_core.models.sharding import held, share, weights_of, whole

CHECKPOINT = "ppo.safetensors"


class PPOCheckpoints:
    """Mixed into PPOTrainer. Trainer writes optimiser, scheduler and random states beside it.

    Checkpoints fall on the ends of rollouts, for `save_steps` counts rollouts; prompts and sampling
    of a rollout depend on seed and step alone, so that nothing of a rollout needs keeping.
    """

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the policy and its tokenizer; into a checkpoint, also all that training moves."""
        with whole(self.model):
            if not self.args.should_save:
                return
            folder = Path(output_dir or self.args.output_dir)
            self.policy.save_pretrained(folder, state_dict=weights_of(self.policy))
            self.processing_class.save_pretrained(folder)
            if _internal_call:
                save_file(self._moving(), folder / CHECKPOINT, {"beta": repr(self.beta)})

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if int(resume_from_checkpoint.rsplit("-", 1)[1]) % self.args.updates_per_rollout:
            raise ValueError(f"{resume_from_checkpoint} is not from the end of a rollout")
        with safe_open(Path(resume_from_checkpoint) / CHECKPOINT, "pt") as stored, torch.no_grad():
            self.beta = float(stored.metadata()["beta"])
            for name, weights in self._moving().items():
                held(weights).copy_(share(stored.get_tensor(name), weights))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None and self.is_deepspeed_enabled:
            self._load_from_checkpoint(checkpoint)  # as Trainer does not, once DeepSpeed has read

    def _moving(self) -> dict[str, Tensor]:
        """The weights that change: trained ones, and those of a reference that follows."""
        followed = self.reference.named_parameters() if self.args.sync_ref_model else ()
        moving = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        return moving | {f"reference.{name}": p for name, p in followed}
