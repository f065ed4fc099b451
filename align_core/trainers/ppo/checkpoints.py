"""The checkpoints and saved models of PPO."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import TrainerState
from transformers.trainer import TRAINER_STATE_NAME

from align_core.models.sharding import full_state_dict, local_shard, to_shard, unsharded
from align_core.trainers.mixins import TrainerMixin
from align_core.trainers.ppo.card import model_card

CHECKPOINT = "ppo.safetensors"


class PPOCheckpoints(TrainerMixin):
    """A mixin of PPOTrainer that saves its weights and β; Trainer saves the other states.

    Checkpoints are made at ends of rollouts, because `save_steps` counts rollouts. The prompts and
    samples of a rollout are functions of seed and step, so that no rollout needs to be saved.
    """

    _in_card: Mapping[str, Any] = {}  # names that a script has given

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the policy, its tokenizer and its card. A checkpoint also has all weights that
        training changes.

        If the adapter of the given policy was merged into its weights, the new adapter is merged,
        too, and the policy is written whole.
        """
        with unsharded(self.model):
            if self.args.should_save:
                folder = Path(output_dir or self.args.output_dir)
                self._write(folder)
                self._write_card(folder)
                if _internal_call and output_dir is not None:
                    weights = self._changing_weights()
                    facts = {"beta": repr(self.beta), "episode": str(self.state.episode)}
                    save_file(weights, folder / CHECKPOINT, facts)
        if self.args.push_to_hub and not _internal_call:
            self.push_to_hub(commit_message="Model save", revision=self.args.hub_revision)

    def _write(self, folder: Path) -> None:
        rows = self.policy.get_input_embeddings().num_embeddings
        generation = getattr(self.policy, "generation_config", None)
        for config in filter(None, (self.policy.config, generation)):
            # Trainer sets the tokenizer's padding token. Without an embedding for that token, the
            # saved model could not be loaded.
            if config.pad_token_id is not None and config.pad_token_id >= rows:
                config.pad_token_id = None
        if self.was_merged:
            copy.deepcopy(self.policy).merge_and_unload().save_pretrained(folder)
        else:
            self.policy.save_pretrained(folder, state_dict=full_state_dict(self.policy))
        self.processing_class.save_pretrained(folder)

    def create_model_card(
        self,
        model_name: str | None = None,
        dataset_name: str | None = None,
        tags: str | list[str] | None = None,
        **_: Any,
    ) -> None:
        """Write README.md into `output_dir`; the arguments are TRL's, and are also used for the
        cards of models that are saved later."""
        self._in_card = {"model_name": model_name, "dataset_name": dataset_name, "tags": tags}
        if self.is_world_process_zero():
            self._write_card(Path(self.args.output_dir))

    def _write_card(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "README.md").write_text(model_card(self, **self._in_card), encoding="utf-8")

    def _load_from_checkpoint(self, resume_from_checkpoint: str | Path, model: Any = None) -> None:
        folder = Path(resume_from_checkpoint)
        if not (folder / CHECKPOINT).is_file():
            raise ValueError(f"expected a checkpoint of PPO, with {CHECKPOINT}, got {folder}")
        step = TrainerState.load_from_json(str(folder / TRAINER_STATE_NAME)).global_step
        if step % self.args.updates_per_rollout:
            raise ValueError(
                f"expected a checkpoint from the end of a rollout of "
                f"{self.args.updates_per_rollout} steps, got {folder}, from step {step}"
            )
        with safe_open(folder / CHECKPOINT, "pt") as stored, torch.no_grad():
            self.beta = float(stored.metadata()["beta"])
            for name, weights in self._changing_weights().items():
                local_shard(weights).copy_(to_shard(stored.get_tensor(name), weights))

    def _load_best_model(self) -> None:
        self._load_from_checkpoint(self.state.best_model_checkpoint)

    def _init_training_state(
        self, max_steps: int, steps: int, epochs: int, checkpoint: str | None, trial: Any
    ) -> tuple[int, int]:
        trained = super()._init_training_state(max_steps, steps, epochs, checkpoint, trial)
        rollouts = self.state.global_step // self.args.updates_per_rollout
        self.state.episode = rollouts * self.args.batch_size
        if checkpoint is not None:
            with safe_open(Path(checkpoint) / CHECKPOINT, "pt") as stored:
                self.state.episode = int(stored.metadata().get("episode", self.state.episode))
        return trained

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None and self.is_deepspeed_enabled:
            # DeepSpeed has overwritten the weights, which Trainer does not restore.
            self._load_from_checkpoint(checkpoint)

    def _changing_weights(self) -> dict[str, Tensor]:
        """The trainable weights, and with `sync_ref_model` those of the reference."""
        reference = self.reference.named_parameters() if self.args.sync_ref_model else ()
        trained = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
        return trained | {f"reference.{name}": p for name, p in reference}
