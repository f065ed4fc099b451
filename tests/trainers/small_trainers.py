"""Data of the toy language for TRL's trainers, and what their training changed."""

from __future__ import annotations

import copy
import random

import torch
from datasets import Dataset

from align_core.data.encoding import encode_pairs
from align_core.trainers import dpo
from tests import toy

END = 0


def arguments(tmp_path, **changes) -> dict:
    return {
        "output_dir": str(tmp_path / "out"),
        "max_steps": 20,
        "per_device_train_batch_size": 16,
        "learning_rate": 3e-3,
        "seed": 0,
        **changes,
    }


def rated_pairs(count: int) -> list[dict]:
    """Pairs of texts of random words; the chosen one contains "good"."""
    rng = random.Random(0)
    words = "was the plot film dull fine never".split()

    def text(word: str) -> str:
        some = [*rng.choices(words, k=3), word]
        rng.shuffle(some)
        return " " + " ".join(some)

    return [
        {"prompt": "the film", "chosen": text("good"), "rejected": text("bad")}
        for _ in range(count)
    ]


def pairs(count: int = 64) -> Dataset:
    return encode_pairs(toy.tokenizer(), rated_pairs(count))


def weights(model) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def changed(before: dict[str, torch.Tensor], model) -> set[str]:
    return {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}


def history(trainer, name: str) -> list[float]:
    return [entry[name] for entry in trainer.state.log_history if name in entry]


def dpo_trainer(tmp_path, rows: Dataset, reference=None, **changes):
    model = toy.policy()
    if reference is None and not changes.get("lora_r"):
        reference = copy.deepcopy(model)
    return dpo.make_trainer(
        model,
        reference,
        toy.tokenizer(),
        rows,
        **{"beta": 0.5, **arguments(tmp_path, **changes)},
    )
