"""The sides of `benchmarks.real_model`, trainers of TRL and of this project, and their clock."""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MODEL, TASK = "smollm2", "manners"
RANK, LAYERS = 16, 8
EPISODES, EPOCHS, MINIBATCHES, TOKENS = 32, 2, 2, 32
PPO = {
    "per_device_train_batch_size": EPISODES,
    "num_ppo_epochs": EPOCHS,
    "num_mini_batches": MINIBATCHES,
    "response_length": TOKENS,
    "stop_token": "eos",
    "kl_coef": 0.5,
    "cliprange_value": 5.0,
    "learning_rate": 4e-4,
}
PAIRS_A_BATCH = 8
DPO = {
    "per_device_train_batch_size": PAIRS_A_BATCH,
    "num_train_epochs": 2,
    "beta": 0.5,
    "learning_rate": 4e-4,
    "max_length": None,
}
COMMON = {
    "bf16": False,
    "use_cpu": True,
    "report_to": "none",
    "disable_tqdm": True,
    "save_strategy": "no",
    "logging_steps": 1,
    "seed": 0,
}


class Clock:
    """Seconds of processor time of named stages; with `count`, their floating-point operations."""

    def __init__(self, count: bool) -> None:
        self._count = count
        self.seconds: dict[str, float] = defaultdict(float)
        self.operations: dict[str, float] = defaultdict(float)

    @contextlib.contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        counter = operation_counter() if self._count else contextlib.nullcontext()
        begin = time.process_time()
        with counter:
            yield
        self.seconds[stage] += time.process_time() - begin
        if self._count:
            self.operations[stage] += counter.total

    def timed(self, function: Callable, stage: str) -> Callable:
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self(stage):
                return function(*args, **kwargs)

        return timed


def operation_counter() -> Any:
    """A context that counts floating-point operations.

    torch's own counter also tracks modules, which fails here because two models call the same
    layers.
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    products = torch.ops.aten
    # TRL sums the gradients of an output layer with products in place, which torch leaves out.
    counts = {**flop_registry, products.addmm_: flop_registry[products.addmm]}

    class Counter(TorchDispatchMode):
        total = 0.0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            out = function(*args, **(kwargs or {}))
            if (count := counts.get(function._overloadpacket)) is not None:
                self.total += count(*args, **(kwargs or {}), out_val=out)
            return out

    return Counter()


def matrix_rate(dtype: Any) -> float:
    """Floating-point operations a second of matrix products in the sizes of the model's layers."""
    import torch

    x, weight = torch.randn(1024, 576).to(dtype), torch.randn(1536, 576).to(dtype)
    seconds = []
    for _ in range(20):
        begin = time.process_time()
        torch.nn.functional.linear(x, weight)
        seconds.append(time.process_time() - begin)
    return 2 * 1024 * 576 * 1536 / statistics.median(seconds)


def sample_pairs(path: Path, count: int) -> None:
    """Write token ids of labelled pairs of the model's own samples."""
    import torch

    from align_core.data.encoding import encode_pairs
    from align_core.models.loading import load_policy, load_tokenizer
    from align_core.models.prompts import rows_with_model_inputs
    from align_core.models.sampled_pairs import sampled_pairs
    from align_core.tasks import load_task

    torch.set_num_threads(1)
    task, tokenizer = load_task(TASK), load_tokenizer(MODEL)
    pairs = sampled_pairs(load_policy(MODEL), tokenizer, task, count, seed=0)
    encode_pairs(tokenizer, rows_with_model_inputs(tokenizer, task, pairs)).to_json(path)


def build(method: str, side: str, out: str, args: argparse.Namespace, clock: Clock) -> Any:
    """The trainer of this method and side, which writes to the folder `out`."""
    here = side == "here"
    if method == "ppo":
        return (ppo_here if here else ppo_trl)(side, out, args, clock)
    return (dpo_here if here else dpo_trl)(side, out, args, clock)


def loaded(side: str) -> tuple[Any, Any]:
    """The model and its tokenizer; a `side` with bfloat16 in its name has such weights."""
    import torch

    from align_core.models.loading import load_tokenizer, load_trainable

    tokenizer, model = load_tokenizer(MODEL), load_trainable(MODEL)
    # TRL's PPO finds the end of a text by its padding, which must not be the end token.
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(0)
    return (model.to(torch.bfloat16) if "bfloat16" in side else model), tokenizer


def ppo_here(side: str, out: str, args: argparse.Namespace, clock: Clock) -> Any:
    from datasets import Dataset

    from align_core.models.precision import default_precision, use_bfloat16
    from align_core.models.prompts import model_inputs
    from align_core.tasks import load_task
    from align_core.trainers.ppo import build
    from align_core.trainers.ppo import trainer as ppo

    model, tokenizer = loaded(side)
    task = load_task(TASK)
    ppo.respond = clock.timed(ppo.respond, "sampling")
    ppo.compare = clock.timed(ppo.compare, "reference and values")
    made = build.make_trainer(
        *(model, None, tokenizer),
        Dataset.from_dict({"prompt": model_inputs(tokenizer, task, task.prompts("train"))}),
        reward=task.reward,
        lora_r=RANK,
        lora_layers=LAYERS,
        **COMMON | PPO | {"output_dir": out},
        max_steps=args.rollouts * EPOCHS * MINIBATCHES,
    )
    if default_precision(model, made.args.device) == "bfloat16":
        use_bfloat16(made.model)
    return made


def ppo_trl(side: str, out: str, args: argparse.Namespace, clock: Clock) -> Any:
    import torch
    from datasets import Dataset
    from peft import get_peft_model
    from transformers import AutoModelForSequenceClassification
    from trl.experimental.ppo import PPOConfig, PPOTrainer, ppo_trainer

    from align_core.config.model_index import locate
    from align_core.data.encoding import encode_prompts
    from align_core.models.lora import lora_config
    from align_core.models.prompts import model_inputs
    from align_core.tasks import load_task

    model, tokenizer = loaded(side)
    task = load_task(TASK)
    prompts = task.prompts("train")
    encoded = encode_prompts(tokenizer, model_inputs(tokenizer, task, prompts))
    rows = [ids[real.bool()].tolist() for ids, real in zip(encoded.ids, encoded.mask, strict=True)]
    prompt_of = dict(zip(map(tuple, rows), prompts, strict=True))
    reward_model = torch.nn.Linear(1, 1)
    original = ppo_trainer.get_reward

    def get_reward(scored: Any, texts: Any, pad: int, context: int) -> tuple:
        if scored is not reward_model:
            return clock.timed(original, "reference and values")(scored, texts, pad, context)
        ids = [[token for token in row if token != pad] for row in texts[:, context:].tolist()]
        before = [
            tuple(token for token in row if token != pad) for row in texts[:, :context].tolist()
        ]
        completions = tokenizer.batch_decode(ids, skip_special_tokens=True)
        ended = [row[-1:] == [tokenizer.eos_token_id] for row in ids]
        scores = task.reward([prompt_of[row] for row in before], completions, ended=ended)
        return None, torch.tensor(scores), None

    ppo_trainer.get_reward = get_reward
    ppo_trainer.batch_generation = clock.timed(ppo_trainer.batch_generation, "sampling")
    value_model = AutoModelForSequenceClassification.from_pretrained(
        locate(MODEL), num_labels=1, dtype=model.dtype
    )
    value_model = get_peft_model(value_model, lora_config(value_model, RANK, "SEQ_CLS", LAYERS))
    settings = {
        **COMMON,
        **PPO,
        "output_dir": out,
        "total_episodes": args.rollouts * EPISODES,
        "local_rollout_forward_batch_size": EPISODES,
        "gradient_checkpointing": False,
        "num_sample_generations": 0,
    }
    return PPOTrainer(
        args=PPOConfig(**settings),
        processing_class=tokenizer,
        model=model,
        ref_model=None,
        reward_model=reward_model,
        train_dataset=Dataset.from_dict({"input_ids": rows}),
        value_model=value_model.get_base_model(),
        peft_config=lora_config(model, RANK, "CAUSAL_LM", LAYERS),
    )


def _pairs() -> Any:
    from datasets import Dataset

    return Dataset.from_json(os.environ["PAIRS"])


def _by_epoch(trainer: Any, batches: int, clock: Clock) -> Any:
    """Time the trainer's steps by epoch."""
    step, count = trainer.training_step, [0]

    def timed(*args: Any, **kwargs: Any) -> Any:
        count[0] += 1
        return clock.timed(step, "epoch 1" if count[0] <= batches else "epoch 2")(*args, **kwargs)

    trainer.training_step = timed
    return trainer


def dpo_here(side: str, out: str, args: argparse.Namespace, clock: Clock) -> Any:
    from align_core.models.precision import default_precision, use_bfloat16
    from align_core.trainers import dpo

    model, tokenizer = loaded(side)
    settings = {**COMMON, **DPO, "output_dir": out, "lora_r": RANK, "lora_layers": LAYERS}
    made = dpo.make_trainer(model, None, tokenizer, _pairs(), **settings)
    if default_precision(model, made.args.device) == "bfloat16":
        use_bfloat16(made.model)
    return _by_epoch(made, args.batches, clock)


def dpo_trl(side: str, out: str, args: argparse.Namespace, clock: Clock) -> Any:
    from trl import DPOConfig, DPOTrainer

    from align_core.models.lora import lora_config
    from align_core.trainers.common import LengthBatches

    class Peer(LengthBatches, DPOTrainer):
        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset  # token ids already

        def _precompute_ref_logps(self, *args: Any) -> Any:
            with clock("reference"):
                return super()._precompute_ref_logps(*args)

    model, tokenizer = loaded(side)
    settings = {**COMMON, **DPO, "output_dir": out, "activation_checkpointing": False}
    made = Peer(
        model,
        args=DPOConfig(**settings, precompute_ref_log_probs=True),
        train_dataset=_pairs(),
        processing_class=tokenizer,
        peft_config=lora_config(model, RANK, "CAUSAL_LM", LAYERS),
    )
    return _by_epoch(made, args.batches, clock)
