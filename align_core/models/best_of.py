"""Best-of-n: a policy writes n texts for a prompt, and the text with the highest reward is kept.

This is a policy too, and needs no training. Its KL to the policy that writes the texts is at most
log n − (n − 1)/n nats, for any reward (arXiv 2401.01879).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from align_core.models.sampling import RandomDraw, Responses


@dataclass(frozen=True)
class BestOf:
    """The best of `n` texts, by the reward model or by the gold reward.

    The random numbers that sample a text depend on `seed` and on the text's number among the n.
    """

    n: int
    by_reward_model: bool
    seed: int

    @property
    def kl_bound(self) -> float:
        """The largest possible KL to the policy that writes the texts, in nats."""
        return math.log(self.n) - (self.n - 1) / self.n

    def __call__(
        self,
        count: int,
        write: Callable[[RandomDraw], Responses],
        score: Callable[[Responses], Sequence[float | None] | Tensor],
    ) -> Responses:
        """The best text of each row; if rewards are equal or unknown, the first text is kept.

        `write` samples `count` texts, one for each row, and `score` returns their rewards.
        """
        best = write(RandomDraw(self.seed, count))
        highest = torch.as_tensor(score(best), dtype=torch.float64)
        for number in range(1, self.n):
            texts = write(RandomDraw(self.seed + 1_000_003 * number, count))
            rewards = torch.as_tensor(score(texts), dtype=torch.float64)
            best = _replaced(best, rewards > highest, texts)
            highest = torch.maximum(rewards, highest)
        return best


def _replaced(responses: Responses, rows: Tensor, new: Responses) -> Responses:
    """The responses, with the `new` ones in their place in the rows where `rows` [B] is true."""
    length = max(responses.tokens.shape[1], new.tokens.shape[1])
    rows = rows.to(new.tokens.device)

    def replaced(old_values: Tensor, new_values: Tensor) -> Tensor:
        old_values, new_values = (
            pad(values, (0, length - values.shape[1])) for values in (old_values, new_values)
        )
        return torch.where(rows[:, None], new_values, old_values)

    return Responses(
        replaced(responses.tokens, new.tokens),
        replaced(responses.mask, new.mask),
        torch.where(rows, new.ended, responses.ended),
        replaced(responses.logp, new.logp),
    )
