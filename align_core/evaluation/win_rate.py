"""Win rates: how often one text has a higher reward than another; a tie counts half."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from align_core.evaluation.intervals import bootstrap_rows


def wins(first: Tensor, second: Tensor) -> Tensor:
    """1 where `first` is above `second`, ½ where they are equal, else 0; NaN where either is NaN.

    Shapes broadcast.
    """
    margin = first - second
    return ((margin.sign() + 1) / 2).masked_fill(margin.isnan(), math.nan)


def win_rates(rewards: Tensor) -> dict[str, list[list[float]]]:
    """Two matrices [M, M] from gold rewards [M models, P prompts, n texts], row against column.

    `win_rates` is the share of texts whose reward is above that of the other model's text for the
    same prompt and noise, a tie counting half; `eval/win_rate` is the same against the reference.
    `ci95` is the half-width of its 95% interval, bootstrap over prompts.
    """
    by_prompt = wins(rewards[:, None], rewards[None]).mean(-1).numpy()
    redrawn = by_prompt[..., bootstrap_rows(rewards.shape[1])].mean(-1)
    low, high = np.percentile(redrawn, [2.5, 97.5], axis=-1)
    return {"win_rates": by_prompt.mean(-1).tolist(), "ci95": ((high - low) / 2).tolist()}
