"""The agreement of a reward model with the gold reward on pairs, and the scale of its scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from align_core.data.formats import Text
from align_core.evaluation.reference_samples import stored_scores
from align_core.evaluation.win_rate import wins
from align_core.models.rewards import Reward
from align_core.optimum import ReferenceSamples

_STEEPEST = 100.0  # the largest scale that `rater_scale` returns


def pair_accuracy(
    proxy: Reward,
    writer: PreTrainedTokenizerBase,
    stored: ReferenceSamples,
    pairs: int = 8,
    inputs: Sequence[Text] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Accuracy and margin of a reward model on held-out pairs of reference samples.

    Returns three tensors [P, pairs]: accuracy, margin and gold difference. Accuracy is 1 if the
    model prefers the text with the higher gold reward, ½ for a tie, and 0 otherwise. Margin is the
    score of this text minus that of the other; the gold difference is the same difference of gold
    rewards, in nats. The pairs are the first ones of a prompt with unequal gold rewards; P counts
    the prompts with enough of them. `inputs` are the inputs of the models for the prompts, by
    default the prompts themselves.
    """
    rows = []
    for prompt, rewards in enumerate(stored.rewards):
        unequal = (
            (i, i + 1) if rewards[i] > rewards[i + 1] else (i + 1, i)
            for i in range(0, len(rewards) - 1, 2)
            if rewards[i] != rewards[i + 1]
        )
        first = [(prompt, *pair) for pair in islice(unequal, pairs)]
        rows += first if len(first) == pairs else []
    if not rows:
        return torch.zeros(0, pairs), torch.zeros(0, pairs), torch.zeros(0, pairs)
    better = stored_scores(proxy, writer, stored, [(p, i) for p, i, _ in rows], inputs)
    worse = stored_scores(proxy, writer, stored, [(p, j) for p, _, j in rows], inputs)
    margin = (better - worse).view(-1, pairs)
    gold = torch.tensor([stored.rewards[p, i] - stored.rewards[p, j] for p, i, j in rows])
    return wins(better, worse).view(-1, pairs), margin, gold.view(-1, pairs)


def rater_scale(margins: NDArray[np.float64], gold: NDArray[np.float64]) -> float | None:
    """The factor a for which σ(a·margin) best predicts the raters' preferences, σ(gold).

    It minimises the cross-entropy; both arrays have an entry for each pair, in nats. With a = 1 the
    scores have the raters' scale; below 1 they are 1/a times too large. None if all margins are 0.
    """
    if not margins.any():
        return None
    shares = 1 / (1 + np.exp(-gold))
    a, low, high = 0.0, -_STEEPEST, _STEEPEST
    while high - low > 1e-6:  # the loss is convex in a: Newton steps, or else bisection
        tanh = np.tanh(a * margins / 2)
        slope = margins @ ((1 + tanh) / 2 - shares)
        curvature = margins**2 @ (1 - tanh**2) / 4
        low, high = (a, high) if slope < 0 else (low, a)
        newton = a - slope / curvature if curvature else math.inf
        before, a = a, newton if low < newton < high else (low + high) / 2
        if abs(a - before) < 1e-9:
            break
    return float(a)
