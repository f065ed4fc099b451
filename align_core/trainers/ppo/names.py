"""TRL's names for attributes, and errors for the arguments and methods of older trainers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any, NoReturn

from peft import PeftModel
from torch import nn
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, TrainerCallback

from align_core.models.reference import as_reference
from align_core.trainers.mixins import TrainerMixin
from align_core.trainers.ppo.arguments import COMING_FROM
from align_core.trainers.ppo.replaced import uses

# Arguments of older trainers, and of Trainer, and their names here.
_RENAMED = {
    "config": "args",
    "policy": "model",
    "ref_policy": "ref_model",
    "tokenizer": "processing_class",
    "dataset": "train_dataset",
    "optimizer": "optimizers",
    "lr_scheduler": "optimizers",
    "optimizer_cls_and_kwargs": "optimizers, or optim and optim_args of PPOConfig",
    "reward_funcs": "reward_model",
    "judge": "reward_model, a function of prompts and completions",
    "model_init": "model",
    "compute_metrics": "reward_model, a list of functions: evaluations have the mean of each",
    "preprocess_logits_for_metrics": "reward_model, a list of functions",
    "compute_loss_func": "a subclass with its own compute_loss",
}


def _replaced(name: str, origin: str, expected: str) -> Callable[..., NoReturn]:
    """A method that raises TypeError, naming what replaces it."""

    def method(*_: Any, **__: Any) -> NoReturn:
        raise TypeError(f"PPOTrainer.{name} belongs to {origin}: expected {expected}")

    return method


class TRLNames(TrainerMixin):
    """A mixin of PPOTrainer with TRL's names for its attributes."""

    def __new__(cls, *_: Any, **arguments: Any) -> TRLNames:
        """Raises TypeError for arguments of older trainers, naming what replaces each."""
        if old := [name for name in arguments if name in _RENAMED]:
            line = uses("PPOTrainer", "argument", old, _RENAMED)
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
    def is_peft_model(self) -> bool:
        return isinstance(self.policy, PeftModel)

    def null_ref_context(self) -> AbstractContextManager:
        """A context in which the policy is the reference, if there is no `ref_model`."""
        return as_reference(self.policy, self.reference)[1]

    @property
    def train_dataset_len(self) -> int:
        return len(self.train_dataset)

    # These can also be assigned, as subclasses for TRL do.
    @cached_property
    def local_seed(self) -> int:
        """TRL's seed of this process; rollouts use `_rollout_seed`."""
        return self.args.seed + 100_003 * self.args.process_index

    @cached_property
    def local_dataloader_batch_size(self) -> int:
        return self.args.local_batch_size

    @cached_property
    def model_adapter_name(self) -> str | None:
        return self.args.model_adapter_name

    @cached_property
    def ref_adapter_name(self) -> str | None:
        return self.args.ref_adapter_name

    @cached_property
    def sample_generations_freq(self) -> int:
        """Rollouts between two tables of samples."""
        return max(1, self.args.num_total_batches // max(1, self.args.num_sample_generations))

    @property
    def callbacks(self) -> list[TrainerCallback]:
        return self.callback_handler.callbacks

    @property
    def eval_dataloader(self) -> DataLoader:
        return self.get_eval_dataloader()

    @property
    def stop_token_id(self) -> int | None:
        """The first of the tokens that end a response."""
        return next(iter(self.ends), None)

    @property
    def tokenizer(self) -> Any:
        return self.processing_class

    step = _replaced("step", "TRL 0.11", f"a reward_model, and train(); {COMING_FROM}")
    generate = _replaced("generate", "TRL 0.11", f"rollout(prompts); {COMING_FROM}")
    predict = _replaced(
        "predict",
        "Trainer",
        "evaluate(dataset, metric_key_prefix='test') for metrics, or rollout(prompts) for texts",
    )
    evaluation_loop = _replaced("evaluation_loop", "Trainer", "evaluate(dataset)")
    prediction_step = _replaced("prediction_step", "Trainer", "rollout(prompts)")
    hyperparameter_search = _replaced(
        "hyperparameter_search", "Trainer", "a loop that makes a trainer for each PPOConfig"
    )

    @property
    def dataloader(self) -> NoReturn:
        """Raises AttributeError, because `train` reads the data set itself."""
        line = "PPOTrainer.dataloader belongs to TRL: expected train(), or rollout(prompts)"
        raise AttributeError(f"{line}; {COMING_FROM}")

    @dataloader.setter
    def dataloader(self, loader: Any) -> NoReturn:
        line = "PPOTrainer.dataloader belongs to TRL: expected the rows as train_dataset"
        raise AttributeError(f"{line}; {COMING_FROM}")
