"""The parts of `benchmarks.gpu`: sampling, PPO and DPO of a model with random weights."""

from __future__ import annotations

import contextlib
import copy
import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from datasets import Dataset
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, TrainerCallback

from align_core.data.encoding import Prompts
from align_core.models.loading import load_tokenizer
from align_core.models.precision import use_bfloat16
from align_core.models.sampling import RandomDraw, sample
from align_core.trainers import dpo as dpo_trainer
from align_core.trainers.ppo import build as ppo_trainer
from benchmarks.ppo_memory import resident
from benchmarks.real_model_sides import operation_counter

TOKENIZER = "sft-reviews"  # of an embedded model; tokens beyond its vocabulary have no text
# Learning rates of all weights and of an adapter, with which a few rollouts move the policy.
LEARNING_RATES = {"weights": 5e-5, "adapter": 4e-4}


@dataclass(frozen=True)
class Sizes:
    """Texts of a rollout, pairs of a DPO step, the tokens of a prompt and of a response, epochs and
    minibatches of a rollout, rank and layers of the adapter, and measurements after the warm-up."""

    texts: int = 128
    pairs: int = 32
    prompt: int = 32
    response: int = 32
    epochs: int = 2
    minibatches: int = 2
    rank: int = 16
    layers: int = 8
    repeats: int = 3


@dataclass(frozen=True)
class Case:
    """What a part is measured on. `shape` is a model's configuration."""

    shape: dict[str, Any]
    precision: str
    sizes: Sizes
    device: torch.device

    def model(self) -> PreTrainedModel:
        """The model with random weights, in float32."""
        torch.manual_seed(0)
        ends = {"eos_token_id": 0, "pad_token_id": 1}
        config = AutoConfig.for_model(**self.shape, **ends, tie_word_embeddings=True)
        with self.device:
            return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()

    def ids(self, rows: int, length: int, seed: int = 0) -> list[list[int]]:
        """Random token ids, `rows` lists of `length`."""
        seeded = torch.Generator().manual_seed(seed)
        return torch.randint(2, self.shape["vocab_size"], (rows, length), generator=seeded).tolist()

    def convert(self, model: nn.Module) -> None:
        """Compute the model in the case's precision, as a run does."""
        if self.precision == "bfloat16":
            use_bfloat16(model)


def measured(part: str, case: Case, rate: float) -> dict[str, Any]:
    """The row of a part, or its error if it fails, so that the other parts are still measured.

    The row's `share` is a share of `rate`, the device's matrix rate.
    """
    gc.collect()
    if case.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    try:
        row = PARTS[part](case)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    seconds = statistics.median(row["seconds"])
    return row | {
        "tokens_per_second": row["tokens"] / seconds,
        "share": row["operations"] / seconds / rate,
    }


def matrix_rate(device: torch.device) -> float:
    """Floating-point operations a second of a product of two square bfloat16 matrices."""
    side = 8192 if device.type == "cuda" else 512
    x, weight = (torch.randn(side, side, device=device).bfloat16() for _ in range(2))
    seconds = repeated(lambda: nn.functional.linear(x, weight), device, 10)
    return 2 * side**3 / statistics.median(seconds)


def repeated(function: Callable[[], Any], device: torch.device, times: int) -> list[float]:
    """The seconds of each of these calls, after one that is not timed."""
    marks = []
    for _ in range(times + 1):
        function()
        marks.append(now(device))
    return differences(marks)


def now(device: torch.device) -> float:
    """The time in seconds, after the device has done its work."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def differences(marks: list[float]) -> list[float]:
    return [end - begin for begin, end in pairwise(marks)]


def peak_memory(device: torch.device) -> float:
    """Megabytes: the most that were allocated on a GPU; on a CPU, what is resident now."""
    return torch.cuda.max_memory_allocated() / 1e6 if device.type == "cuda" else resident()


def sampling(case: Case) -> dict[str, Any]:
    """A response to each prompt."""
    sizes, model = case.sizes, case.model().requires_grad_(False)
    case.convert(model)
    ids = torch.tensor(case.ids(sizes.texts, sizes.prompt))
    prompts = Prompts(ids, torch.ones_like(ids))

    def respond() -> None:
        draw = RandomDraw(0, sizes.texts)
        sample(model, prompts, draw, max_new_tokens=sizes.response, end_ids=(), pad_id=1)

    seconds = repeated(respond, case.device, sizes.repeats)
    with operation_counter() as counter:
        respond()
    return {
        "seconds": seconds,
        "tokens": sizes.texts * sizes.response,
        "operations": counter.total,
        "memory": peak_memory(case.device),
    }


def ppo(trains: str, case: Case) -> dict[str, Any]:
    """A rollout and its updates, with values by a head; KL and gold reward of each rollout."""
    sizes, model = case.sizes, case.model()
    is_good = (model.get_input_embeddings().weight[:, 0] > 0).tolist()

    def reward(completion_ids: list[list[int]], **_: Any) -> list[float]:
        return [float(sum(is_good[token] for token in ids)) for ids in completion_ids]

    data = Dataset.from_dict({"input_ids": case.ids(sizes.texts, sizes.prompt)})
    arguments = {
        "reward": reward,
        "kl_coef": 0.5,
        "num_ppo_epochs": sizes.epochs,
        "num_mini_batches": sizes.minibatches,
        "response_length": sizes.response,
        "stop_token": None,
        "per_device_train_batch_size": sizes.texts,
    }
    updates = sizes.epochs * sizes.minibatches
    row, logs = trained(ppo_trainer.make_trainer, trains, case, model, data, updates, arguments)
    rollouts = [log for log in logs if "objective/kl" in log]
    return row | {
        "tokens": sizes.texts * sizes.response,
        "kl": [log["objective/kl"] for log in rollouts],
        "gold": [log["objective/scores"] for log in rollouts],
    }


def dpo(trains: str, case: Case) -> dict[str, Any]:
    """A step on pairs that were not seen before, with the passes of the reference."""
    sizes = case.sizes
    count = sizes.pairs * (sizes.repeats + 2)
    lengths = {"prompt": sizes.prompt, "chosen": sizes.response, "rejected": sizes.response}
    columns = {
        f"{name}_ids": case.ids(count, length, seed)
        for seed, (name, length) in enumerate(lengths.items())
    }
    arguments = {"beta": 0.5, "per_device_train_batch_size": sizes.pairs}
    data = Dataset.from_dict(columns)
    row, _ = trained(dpo_trainer.make_trainer, trains, case, case.model(), data, 1, arguments)
    return row | {"tokens": 2 * sizes.pairs * (sizes.prompt + sizes.response)}


def trained(
    make_trainer: Callable,
    trains: str,
    case: Case,
    model: PreTrainedModel,
    data: Dataset,
    updates: int,
    arguments: dict[str, Any],
) -> tuple[dict[str, Any], list[dict[str, float]]]:
    """Train the weights or an adapter: a warm-up, the repeats, and one more repeat, whose
    operations are counted; each has `updates` optimiser steps. Returns the row and the trainer's
    logs."""
    sizes, reference = case.sizes, None
    if trains == "adapter":
        arguments = arguments | {"lora_r": sizes.rank, "lora_layers": sizes.layers}
    else:
        reference = copy.deepcopy(model).requires_grad_(False)
    clock = _Clock(case, updates)
    with tempfile.TemporaryDirectory() as folder, clock.counting:
        trainer = make_trainer(
            *(model, reference, load_tokenizer(TOKENIZER), data),
            learning_rate=LEARNING_RATES[trains],
            max_steps=updates * (sizes.repeats + 2),
            output_dir=folder,
            seed=0,
            **arguments,
        )
        trainer.add_callback(clock)
        case.convert(trainer.model)
        if reference is not None:
            case.convert(reference)
        trainer.train()
    row = {
        "seconds": differences(clock.marks[:-1]),
        "operations": clock.counter.total,
        "memory": peak_memory(case.device),
    }
    return row, trainer.state.log_history


class _Clock(TrainerCallback):
    """Marks the time after every `updates` steps; counts the operations after the last repeat."""

    def __init__(self, case: Case, updates: int) -> None:
        self._case, self._updates = case, updates
        self.marks: list[float] = []
        self.counter, self.counting = operation_counter(), contextlib.ExitStack()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % self._updates:
            return
        self.marks.append(now(self._case.device))
        if len(self.marks) == self._case.sizes.repeats + 1:
            self.counting.enter_context(self.counter)


PARTS: dict[str, Callable[[Case], dict[str, Any]]] = {
    "sampling": sampling,
    "PPO, all weights": partial(ppo, "weights"),
    "PPO, LoRA": partial(ppo, "adapter"),
    "DPO, all weights": partial(dpo, "weights"),
    "DPO, LoRA": partial(dpo, "adapter"),
}
