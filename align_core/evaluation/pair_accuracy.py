"""How often a reward model prefers the text that the gold reward prefers."""

from __future__ import annotations

from itertools import islice

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from align_core.evaluation.reference_samples import stored_scores
from align_core.evaluation.win_rate import wins
from align_core.models.rewards import Reward
from align_core.optimum import ReferenceSamples


def agreement(
    proxy: Reward, tokenizer: PreTrainedTokenizerBase, stored: ReferenceSamples, pairs: int = 8
) -> tuple[Tensor, Tensor]:
    """How a reward model orders pairs of reference samples that it never saw: two [P, pairs].

    First 1 where it orders a pair as the gold reward does, ½ where it ties, else 0; second its
    margin, nats, of the text with the higher gold reward. Pairs of equal gold reward are passed
    over; P counts the prompts with enough others, each with its first `pairs`.
    """
    rows = []
    for prompt, rewards in enumerate(stored.rewards):
        unequal = (
            (i, i + 1) if rewards[i] > rewards[i + 1] else (i + 1, i)
            for i in range(0, len(rewards) - 1, 2)
            if rewards[i] != rewards[i + 1]
        )
        found = [(prompt, *pair) for pair in islice(unequal, pairs)]
        rows += found if len(found) == pairs else []
    better = stored_scores(proxy, tokenizer, stored, [(p, i) for p, i, _ in rows])
    worse = stored_scores(proxy, tokenizer, stored, [(p, j) for p, _, j in rows])
    margin = (better - worse).view(-1, pairs)
    return wins(better, worse).view(-1, pairs), margin
