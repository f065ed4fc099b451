"""How often a reward model prefers the text that the gold reward prefers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from align_core.data.formats import Text
from align_core.evaluation.reference_samples import stored_scores
from align_core.evaluation.win_rate import wins
from align_core.models.rewards import Reward
from align_core.optimum import ReferenceSamples


def pair_accuracy(
    proxy: Reward,
    writer: PreTrainedTokenizerBase,
    stored: ReferenceSamples,
    pairs: int = 8,
    inputs: Sequence[Text] | None = None,
) -> tuple[Tensor, Tensor]:
    """Accuracy and margin of a reward model on held-out pairs of reference samples.

    Returns two tensors [P, pairs]. Accuracy is 1 where the model orders a pair as the gold reward
    does, ½ for a tie, else 0. Margin is the score of the text with the higher gold reward minus
    that of the other, in nats. The pairs are the first ones of a prompt with unequal gold rewards;
    P counts the prompts that have enough of them. `inputs` are the inputs of the models for the
    prompts, by default the prompts themselves.
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
        return torch.zeros(0, pairs), torch.zeros(0, pairs)
    better = stored_scores(proxy, writer, stored, [(p, i) for p, i, _ in rows], inputs)
    worse = stored_scores(proxy, writer, stored, [(p, j) for p, _, j in rows], inputs)
    margin = (better - worse).view(-1, pairs)
    return wins(better, worse).view(-1, pairs), margin
