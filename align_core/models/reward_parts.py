"""A reward model as a part of a task's reward.

Texts are encoded with the reward model's own tokenizer, and with its chat template if it has one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from align_core.config.errors import ConfigError
from align_core.config.messages import plain
from align_core.data.encoding import encode
from align_core.models.loading import load_reward_model, load_tokenizer
from align_core.models.rewards import ProxyReward
from align_core.tasks.folder.parts import Completion
from align_core.tasks.folder.task import as_plain_text


def scorer(name: str) -> Callable[[Sequence[Completion]], list[float]]:
    """A function that returns the outputs of the reward model MODEL for some completions."""
    tokenizer, model = load_tokenizer(name), load_reward_model(name).requires_grad_(False)
    score, chat = ProxyReward(model, tokenizer), tokenizer.chat_template is not None
    positions = getattr(model.config, "max_position_embeddings", None) or math.inf

    def scores(completions: Sequence[Completion]) -> list[float]:
        prompts = [[*j.messages] if chat else as_plain_text(j.messages) for j in completions]
        texts = [j.text.lstrip() if chat else j.text for j in completions]
        ids = []
        for prompt, text, completion in zip(prompts, texts, completions, strict=True):
            # An empty text needs its end token, as there is no other token to score.
            before, after = encode(tokenizer, prompt, text, completion.ended or not text)
            if (length := len(before) + len(after)) > positions:
                line = f"reward model {name}: expected at most {positions} tokens, got {length}"
                raise ConfigError(plain(line))
            ids.append(after)
        return score(prompts, texts, completion_ids=ids)

    return scores
