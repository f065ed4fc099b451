"""The factor that converts points of a task's reward into nats, for one reference."""

from __future__ import annotations

from itertools import cycle, islice

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from align_core.config.errors import ConfigError
from align_core.config.messages import plain
from align_core.data.encoding import encode_prompts
from align_core.models.prompts import model_inputs
from align_core.models.sampling import RandomDraw, end_ids, sample
from align_core.tasks import Task

TEXTS, BATCH = 256, 64
MIN_STD = 1e-6  # points; less is rounding noise


def reward_scale(task: Task, policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> float:
    """Nats per point: `task.reward_std` divided by the standard deviation, in points, of the reward
    over 256 samples. These are samples of the reference `policy` for the task's train prompts.

    Raises:
        ConfigError: the rewards of these samples do not vary; the message names constant parts.
    """
    prompts = [*islice(cycle(task.prompts("train")), TEXTS)]
    parts: dict[str, list[float]] = {}
    for batch, start in enumerate(range(0, TEXTS, BATCH)):
        batch_prompts = prompts[start : start + BATCH]
        encoded = encode_prompts(tokenizer, model_inputs(tokenizer, task, batch_prompts))
        responses = sample(
            policy,
            encoded,
            RandomDraw(batch, len(batch_prompts)),
            max_new_tokens=task.max_new_tokens,
            end_ids=end_ids(policy, tokenizer),
            pad_id=tokenizer.pad_token_id,
        )
        texts = responses.texts(tokenizer, encoded)
        for name, values in task.parts(
            batch_prompts, texts, ended=responses.ended.tolist()
        ).items():
            parts.setdefault(name, []).extend(values)
    points = np.array([*parts.values()])  # [parts, TEXTS]
    std = points.sum(0).std()
    if not std >= MIN_STD:
        constant = [name for name, row in zip(parts, points, strict=True) if row.std() < MIN_STD]
        names = ", ".join(f"reward/{name}" for name in constant or parts)
        line = (
            f"{task.full_name}: expected a reward that varies, got a standard deviation of "
            f"{std:.1g} over {TEXTS} texts of the reference: {names}"
        )
        raise ConfigError(plain(line))
    return float(task.reward_std / std)
