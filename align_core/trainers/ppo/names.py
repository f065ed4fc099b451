"""TRL's names for attributes, and errors for the arguments and methods of older trainers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from torch import nn
from torch.utils.data import DataLoader
from transformers import PreTrainedModel

from align_core.trainers.ppo.arguments import COMING_FROM

if TYPE_CHECKING:  # the mixin uses members of Trainer
    from transformers import Trainer
else:
    Trainer = object


# Arguments of older trainers, and their names here.
_RENAMED = {
    "config": "args",
    "policy": "model",
    "ref_policy": "ref_model",
    "tokenizer": "processing_class",
    "dataset": "train_dataset",
    "optimizer": "optimizers",
    "lr_scheduler": "optimizers",
    "reward_funcs": "reward_model",
}


class TRLNames(Trainer):
    """A mixin of PPOTrainer with TRL's names for its attributes."""

    def __new__(cls, *_: Any, **arguments: Any) -> TRLNames:
        """Raises TypeError for arguments of older trainers, naming what replaces each."""
        if old := [f"{name}: use {_RENAMED[name]}" for name in arguments if name in _RENAMED]:
            line = "PPOTrainer has no argument " + "; no ".join(old)
            raise TypeError(f"{line}; {COMING_FROM}")
        return super().__new__(cls)

    @property
    def policy_model(self) -> PreTrainedModel:
        return self.policy

    @property
    def value_model(self) -> nn.Module | None:
        """The value model; None for a head on the policy's trunk."""
        return self.model.value_model

    @property
    def ref_model(self) -> PreTrainedModel | None:
        """The reference model; None if the reference is the policy with its initial weights, or
        with its adapter disabled."""
        return self.reference if isinstance(self.reference, nn.Module) else None

    @property
    def eval_dataloader(self) -> DataLoader:
        return self.get_eval_dataloader()

    @property
    def stop_token_id(self) -> int | None:
        """The first of the tokens that end a response."""
        return next(iter(self.ends), None)

    def step(self, *_: Any, **__: Any) -> NoReturn:
        """Raises TypeError, because `train` takes all steps."""
        line = "PPOTrainer.step belongs to TRL 0.11: expected a reward_model, and train()"
        raise TypeError(f"{line}; {COMING_FROM}")

    def generate(self, *_: Any, **__: Any) -> NoReturn:
        """Raises TypeError, because `rollout` samples the responses."""
        line = "PPOTrainer.generate belongs to TRL 0.11: expected rollout(prompts)"
        raise TypeError(f"{line}; {COMING_FROM}")

    @property
    def dataloader(self) -> NoReturn:
        """Raises AttributeError, because `train` reads the data set itself."""
        line = "PPOTrainer.dataloader belongs to TRL: expected train(), or rollout(prompts)"
        raise AttributeError(f"{line}; {COMING_FROM}")
