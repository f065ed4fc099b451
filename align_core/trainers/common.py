"""What trainers share: quiet arguments, models in shards, finite steps, batches by length."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator, Sequence
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
from align_core.models.rewards import ProxyReward, Reward
from align_core.models.sharding import heed_file, held, weights_of, whole
from align_core.tasks import Task

_GRADIENT = Message("gradient", {}, "a gradient is not finite")


class NonFinite(FloatingPointError):
    """The loss or a gradient is NaN or infinite; the weights are those of the last good step.

    `line` says which.
    """

    def __init__(self, line: Message) -> None:
        super().__init__(line)
        self.line = line


WARMUP = 8  # an eighth of the steps: what large first ones disturb is paid for in KL to the end

# Defaults of TRL and transformers that bite here: bf16 and gradient checkpointing are on, NaN
# losses are hidden from the log, and progress and reports go to places nobody asked for.
QUIET = {
    "bf16": False,
    # MPS has no float64, which the exact KL needs; and several processes on CPUs must be told so.
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
    """What a run is built of: the one argument of every method's `build`.

    Args:
        model: what is trained, a policy or a reward model, every weight free to move.
        reference: None under LoRA (the policy with its adapter switched off), and for a reward
            model.
        data: token ids of demonstrations (`encoding.encode_demonstrations`) or of pairs
            (`encoding.encode_pairs`), or a column `prompt` for rollouts.
        gold, proxy: the task's own reward, and a reward model in its place; None: there is none.
        arguments: fields of `TrainingArguments`.
    """

    config: RunConfig
    task: Task
    tokenizer: PreTrainedTokenizerBase
    model: PreTrainedModel
    reference: PreTrainedModel | None
    data: Dataset
    gold: Reward
    proxy: ProxyReward | None
    arguments: dict[str, Any]


class ShardedTraining:
    """Mixed into a Trainer: a model in shards, where accelerate's file asks for it."""

    def create_accelerator_and_postprocess(self) -> None:
        super().create_accelerator_and_postprocess()
        heed_file(self.accelerator)
        if distributed.left_alone():
            warnings.warn(distributed.LEFT_ALONE, stacklevel=2)
        self.is_fsdp_enabled = self.accelerator.distributed_type == DistributedType.FSDP

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        if not self.is_fsdp_enabled:
            return super().save_model(output_dir, _internal_call)
        with whole(self.model):
            self._save(output_dir, weights_of(self.model))


class FiniteTraining:
    """Mixed into a Trainer: NaN or infinity ends the run before the optimiser touches a weight.

    Nothing is printed either: standard output belongs to the command line.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.remove_callback(PrinterCallback)

    def training_step(self, model: nn.Module, inputs: Any, *args: Any, **kwargs: Any) -> Tensor:
        loss = super().training_step(model, inputs, *args, **kwargs)
        gradients = [held(p.grad) for p in model.parameters() if p.grad is not None]
        largest = [g.abs().max() for g in gradients if g.numel()]
        what = None
        if not torch.isfinite(loss):
            value = str(loss.item())
            what = Message("loss", {"value": value}, f"the loss is {value}")
        elif largest and not torch.stack(largest).isfinite().all():
            what = _GRADIENT
        elif self.is_deepspeed_enabled and self.optimizer.step_was_skipped:
            what = _GRADIENT  # seen by the step itself, which is behind us
        if distributed.any_says(self.accelerator, what is not None):
            other = Message("gradient", {}, "a gradient of another process is not finite")
            raise NonFinite(what or other)
        return loss


class LengthSampler(Sampler[int]):
    """Rows in batches of similar lengths, the batches in random order, anew for each epoch.

    Little of a batch is padding, and, unlike in blocks sorted by length, no batch tells the length
    of the next. The rows that fill no batch come last.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self._lengths, self._batch_size, self._seed = lengths, batch_size, seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        chance = random.Random(f"{self._seed}/{self._epoch}")
        rows = list(range(len(self)))
        chance.shuffle(rows)
        full = len(rows) - len(rows) % self._batch_size
        inside = sorted(rows[:full], key=self._lengths.__getitem__)
        batches = [inside[i : i + self._batch_size] for i in range(0, full, self._batch_size)]
        chance.shuffle(batches)
        for batch in batches:
            yield from batch
        yield from rows[full:]


class LengthBatches:
    """Mixed into a Trainer on token ids: batches of similar lengths."""

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> LengthSampler:
        rows = self.train_dataset if train_dataset is None else train_dataset
        columns = [rows[name] for name in rows.column_names if name.endswith("_ids")]
        lengths = [max(map(len, row)) for row in zip(*columns, strict=True)]
        args = self.args
        return LengthSampler(
            lengths, args.train_batch_size * args.gradient_accumulation_steps, args.seed
        )
