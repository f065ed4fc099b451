"""All methods on the toy language, each resumed from a checkpoint, in sharded processes.

PPO writes the files of ppo_process.py. For each other method, `end.json` has the difference between
the final weights of the resumed run and those of an uninterrupted one, and the shares of the
weights and of the optimiser's moments that this process holds.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from torch import Tensor
from transformers import Trainer

from align_core.data.encoding import encode_demonstrations, encode_pairs
from align_core.models import distributed
from align_core.models.sharding import local_shard, unsharded
from align_core.trainers import dpo, reward, sft
from tests import toy
from tests.fakes import ppo_process

ENDINGS = [" was good .", " was bad .", " fine", " was never dull .", " plot"]
DEMONSTRATIONS = [{"prompt": "the film", "completion": text} for text in ENDINGS]
PAIRS = [
    {"prompt": "the film", "chosen": chosen, "rejected": rejected}
    for chosen, rejected in zip(ENDINGS, ENDINGS[1:] + ENDINGS[:1], strict=True)
]


def made(method: str, folder: str) -> Trainer:
    tokenizer, pairs = toy.tokenizer(), encode_pairs(toy.tokenizer(), PAIRS * 8)
    arguments = {
        "output_dir": f"{folder}/{method}",
        "max_steps": 4,
        "save_strategy": "steps",
        "save_steps": 2,
        "per_device_train_batch_size": 4,
        "learning_rate": 1e-2,
        "seed": 0,
    }
    if method == "sft":
        rows = encode_demonstrations(tokenizer, DEMONSTRATIONS * 8)
        return sft.make_trainer(toy.policy(), tokenizer, rows, **arguments)
    if method == "reward":
        return reward.make_trainer(toy.reward_model(), tokenizer, pairs, **arguments)
    return dpo.make_trainer(toy.policy(), toy.policy(), tokenizer, pairs, beta=0.5, **arguments)


def weights(trainer: Trainer) -> list[Tensor]:
    with unsharded(trainer.model):
        return [p.detach().clone() for p in trainer.model.parameters()]


def end(method: str, folder: str) -> dict[str, float]:
    unbroken = made(method, folder)
    unbroken.train()
    resumed = made(method, folder)
    resumed.train(resume_from_checkpoint=f"{folder}/{method}/checkpoint-2")
    ours, theirs = weights(unbroken), weights(resumed)
    here = sum(local_shard(p).numel() for p in resumed.model.parameters())
    moments = sum(local_shard(s["exp_avg"]).numel() for s in resumed.optimizer.state.values())
    total = sum(p.numel() for p in ours)
    return {
        "difference": max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True)),
        "held": here / total,
        "moments": moments / total,
    }


if __name__ == "__main__":
    ppo_process.train(sys.argv[1], int(sys.argv[2]), resumed=True)
    ends = {method: end(method, sys.argv[1]) for method in ("sft", "reward", "dpo")}
    if distributed.RANK == 0:
        Path(sys.argv[1], "end.json").write_text(json.dumps(ends))
    distributed.leave_process_group()
