"""How often one text has a higher reward than another; a tie counts half."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from align_core.evaluation.intervals import resampled


def wins(ours: Tensor, theirs: Tensor) -> Tensor:
    """1 where our reward is above theirs, ½ where they tie, else 0; shapes broadcast."""
    return ((ours - theirs).sign() + 1) / 2


def win_rates(rewards: Tensor) -> dict[str, list[list[float]]]:
    """From gold rewards [M models, P prompts, n texts], two matrices [M, M], row against column.

    `win_rates` is the share of texts whose reward is above that of the other's text for the same
    prompt and chance, a tie counting half, as `eval/win_rate` is against the reference; `ci95` is
    the half-width of its 95% interval, bootstrap over prompts.
    """
    by_prompt = wins(rewards[:, None], rewards[None]).mean(-1).numpy()
    redrawn = by_prompt[..., resampled(rewards.shape[1])].mean(-1)
    low, high = np.percentile(redrawn, [2.5, 97.5], axis=-1)
    return {"win_rates": by_prompt.mean(-1).tolist(), "ci95": ((high - low) / 2).tolist()}
