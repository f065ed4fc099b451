"""Shared parts of trainers: default arguments, sharding, checks for NaN, batches by length."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.utils import DistributedType
from datasets import Dataset
from torch import Tensor, nn
from torch.utils.data import Sampler
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback

from align_core.config.messages import Message
from align_core.config.run_config import RunConfig
from align_core.models import distributed
from align_core.models.rewards import Reward
from align_core.models.sharding import (
    apply_accelerate_config,
    full_state_dict,
    local_shard,
    unsharded,
)
from align_core.tasks import Task
from align_core.trainers.mixins import TrainerMixin

_GRADIENT = Message("gradient", {}, "a gradient is not finite")


class NonFinite(FloatingPointError):
    """The loss, a gradient or a reward is NaN or infinite; `message` says which. The weights are
    those of the last finite step."""

    def __init__(self, message: Message) -> None:
        super().__init__(message)
        self.message = message


# The learning rate warms up over 1/8 of the steps, because the KL that large first steps cause
# would remain.
WARMUP = 8

# TRL and transformers turn on bf16, gradient checkpointing, progress bars and reports by default,
# and leave NaN losses out of the log.
QUIET = {
    "bf16": False,
    # MPS has no float64, which the exact KL needs. Several processes without GPUs need the flag.
    "use_cpu": not torch.cuda.is_available(),
    "activation_checkpointing": False,
    "logging_nan_inf_filter": False,
    "report_to": "none",
    "disable_tqdm": True,
    "dataloader_pin_memory": False,
    "save_strategy": "no",
    "logging_steps": 1,
    "lr_scheduler_type": "linear",
    "remove_unused_columns": False,
}


@dataclass(frozen=True)
class Setup:
    """The argument of every method's `build`.

    Args:
        model: the policy or reward model to train, all weights trainable.
        reference: None with LoRA (it is the policy with its adapter disabled), and for a reward
            model.
        data: token ids of demonstrations, pairs or ratings, as from `encoding.encode_…`, or a
            column `prompt` for rollouts.
        gold: the task's own reward.
        proxy: the reward model, or the misspecified reward in its place; None if there is neither.
        arguments: fields of `TrainingArguments`: QUIET, and the settings of the run that a
            plain `Trainer` knows.
        interrupted: whether a stop is requested or the time limit is reached; a builder that
            samples texts then ends early.
    """

    config: RunConfig
    task: Task
    tokenizer: PreTrainedTokenizerBase
    model: PreTrainedModel
    reference: PreTrainedModel | None
    data: Dataset
    gold: Reward
    proxy: Reward | None
    arguments: dict[str, Any]
    interrupted: Callable[[], bool] = lambda: False


class ShardedTraining(TrainerMixin):
    """A mixin of Trainer that shards the model if accelerate is configured to."""

    def create_accelerator_and_postprocess(self) -> None:
        super().create_accelerator_and_postprocess()
        apply_accelerate_config(self.accelerator)
        if distributed.launched_alone():
            warnings.warn(distributed.LAUNCHED_ALONE, stacklevel=2)
        self.is_fsdp_enabled = self.accelerator.distributed_type == DistributedType.FSDP

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        if not self.is_fsdp_enabled:
            return super().save_model(output_dir, _internal_call)
        with unsharded(self.model):
            self._save(output_dir, full_state_dict(self.model))


class FiniteTraining(TrainerMixin):
    """A mixin of Trainer that raises NonFinite before the optimiser applies NaN or infinity.

    It also prints nothing: standard output belongs to the command line.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.remove_callback(PrinterCallback)

    def training_step(self, model: nn.Module, inputs: Any, *args: Any, **kwargs: Any) -> Tensor:
        loss = super().training_step(model, inputs, *args, **kwargs)
        gradients = [local_shard(p.grad) for p in model.parameters() if p.grad is not None]
        largest = [g.abs().max() for g in gradients if g.numel()]
        problem = None
        if not torch.isfinite(loss):
            value = str(loss.item())
            problem = Message("loss", {"value": value}, f"the loss is {value}")
        elif largest and not torch.stack(largest).isfinite().all():
            problem = _GRADIENT
        elif self.is_deepspeed_enabled and self.optimizer.step_was_skipped:
            problem = _GRADIENT  # DeepSpeed checks in its own step, which is already done
        if distributed.any_process(self.accelerator, problem is not None):
            other = Message("gradient", {}, "a gradient of another process is not finite")
            raise NonFinite(problem or other)
        return loss


class LengthSampler(Sampler[int]):
    """Row numbers in batches of similar lengths, shuffled anew for each epoch.

    There is little padding, and the order of the batches is random, not by length. The rows that
    are left over from full batches come last.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self._lengths, self._batch_size, self._seed = lengths, batch_size, seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        rng = random.Random(f"{self._seed}/{self._epoch}")
        rows = list(range(len(self)))
        rng.shuffle(rows)
        full = len(rows) - len(rows) % self._batch_size
        by_length = sorted(rows[:full], key=self._lengths.__getitem__)
        batches = [by_length[i : i + self._batch_size] for i in range(0, full, self._batch_size)]
        rng.shuffle(batches)
        for batch in batches:
            yield from batch
        yield from rows[full:]


class LengthBatches(TrainerMixin):
    """A mixin of Trainer on token ids that makes batches of similar lengths."""

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> LengthSampler:
        rows = self.train_dataset if train_dataset is None else train_dataset
        columns = [rows[name] for name in rows.column_names if name.endswith("_ids")]
        lengths = [max(map(len, row)) for row in zip(*columns, strict=True)]
        args = self.args
        return LengthSampler(
            lengths, args.train_batch_size * args.gradient_accumulation_steps, args.seed
        )
