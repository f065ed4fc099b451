"""Rejection sampling: imitate the best of several texts of the reference for each prompt.

The texts are sampled and scored once, before the first step, so the policy approaches best-of-n
sampling from the reference (arXiv 2112.09332), whose KL depends on n alone. There is no β.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch
from datasets import Dataset

from align_core.config.run_config import RunConfig
from align_core.data.encoding import encode_prompts
from align_core.models.loading import eval_mode
from align_core.models.sampling import RandomDraw, end_ids, sample
from align_core.trainers import sft
from align_core.trainers.common import WARMUP, Setup
from align_core.trainers.ppo.build import reward_of
from align_core.trainers.ppo.scores import score_function

AT_ONCE = 128  # texts sampled at a time


def build(setup: Setup) -> sft.SupervisedTrainer:
    """A trainer on the best text of each group of samples; a step learns from the best texts of
    groups that have `batch_size` samples in total."""
    config = setup.config
    assert config.group_size is not None  # an option of rejection sampling
    arguments = {
        **setup.arguments,
        "per_device_train_batch_size": setup.arguments["per_device_train_batch_size"]
        // config.group_size,
        "warmup_steps": config.steps // WARMUP,
    }
    return sft.make_trainer(
        setup.model,
        setup.tokenizer,
        best_texts(setup, prompts_of(setup.data["prompt"], config), config.group_size),
        lora_r=config.lora_r,
        lora_layers=config.lora_layers,
        **arguments,
    )


def prompts_of(prompts: Sequence, config: RunConfig) -> list:
    """The prompts of a run, drawn with its seed, each once before any is repeated."""
    assert config.group_size is not None  # an option of rejection sampling
    count = config.steps * config.batch_size // config.group_size
    rng, drawn = random.Random(config.seed), list[Any]()
    while len(drawn) < count:
        drawn += rng.sample(list(prompts), min(len(prompts), count - len(drawn)))
    return drawn


@torch.no_grad()
def best_texts(setup: Setup, prompts: Sequence, size: int) -> Dataset:
    """For each prompt, the one of `size` texts with the highest reward, encoded as a demonstration.

    If the run is interrupted, only for the prompts whose texts have been sampled by then.
    """
    policy, tokenizer = setup.model, setup.tokenizer
    ends = end_ids(policy, tokenizer)
    rows = policy.get_input_embeddings().num_embeddings
    score = score_function(reward_of(setup), tokenizer, policy.device, ends, rows=rows)
    best, at_once = [], AT_ONCE // size
    for start in range(0, len(prompts), at_once):
        part = [prompt for prompt in prompts[start : start + at_once] for _ in range(size)]
        encoded = encode_prompts(tokenizer, part)
        draw = RandomDraw(setup.config.seed * 1_000_003 + start, len(part))
        with eval_mode(policy):
            written = sample(
                policy,
                encoded,
                draw,
                max_new_tokens=setup.task.max_new_tokens,
                end_ids=ends,
                pad_id=tokenizer.pad_token_id,
            ).ids()
        scores = score(part, written, {}, encoded.real()).tokens.sum(1).view(-1, size)
        for group, index in enumerate(scores.argmax(1).tolist()):
            prompt = encoded.real()[group * size]
            text = written[group * size + index]
            best.append({"input_ids": prompt + text, "labels": [-100] * len(prompt) + text})
        if setup.interrupted():
            break
    return Dataset.from_list(best)
