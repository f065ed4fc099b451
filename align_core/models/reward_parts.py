"""A reward model as a part of a task's reward.

Texts are encoded with the reward model's own tokenizer, and with its chat template if it has one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from align_core.models.loading import load_reward_model, load_tokenizer
from align_core.models.rewards import ProxyReward
from align_core.tasks.folder.parts import Completion


def scorer(name: str) -> Callable[[Sequence[Completion]], list[float]]:
    """A function that returns the outputs of the reward model `name` for some completions."""
    score = ProxyReward(load_reward_model(name).requires_grad_(False), load_tokenizer(name))

    def scores(completions: Sequence[Completion]) -> list[float]:
        prompts = [completion.messages for completion in completions]
        texts = [completion.text for completion in completions]
        return score.score_texts(prompts, texts, [completion.ended for completion in completions])

    return scores
