"""Rewards with one signature, TRL's reward function: the task's gold reward and reward models.

A reward is called as reward(prompts, completions, completion_ids=…) and gives one float a text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from align_core.config.messages import plain
from align_core.data.encoding import Prompt, Prompts, encode_prompts, is_token_ids, pad_responses
from align_core.models.loading import (
    ModelError,
    evaluating,
    load_reward_model,
    load_tokenizer,
    scalar_head,
    trunk,
)
from align_core.models.logprobs import by_length, final_states


class Reward(Protocol):
    """Texts in, rewards in nats out. `completion_ids` keep the end token of a text that ended."""

    def __call__(
        self,
        prompts: Sequence[str],
        completions: Sequence[str],
        *,
        completion_ids: Sequence[Sequence[int]],
    ) -> list[float]: ...


def as_score(
    rewards: PreTrainedModel | Reward | Sequence[PreTrainedModel | Reward],
    tokenizer: PreTrainedTokenizerBase,
    device: torch.device,
) -> Callable[[Sequence[Prompt], list[list[int]], dict[str, list]], list[float]]:
    """A reward or the sum of several, as a function of prompts, completion ids and data columns.

    A model with one label reads the token ids, on `device`. A function is called as TRL's GRPO
    calls its reward functions: with prompts and completions (texts, or messages where the prompts
    are messages), completion_ids, trainer_state and every other column by its name. A None among
    its values counts 0. Coroutines are not awaited.
    """
    parts = [
        ProxyReward(reward.to(device), tokenizer) if isinstance(reward, nn.Module) else reward
        for reward in (rewards if isinstance(rewards, Sequence) else [rewards])
    ]

    def summed(
        prompts: Sequence[Prompt], ids: list[list[int]], columns: dict[str, list]
    ) -> list[float]:
        completions = tokenizer.batch_decode(ids, skip_special_tokens=True)
        shown = prompts
        if is_token_ids(prompts[0]):
            shown = tokenizer.batch_decode(prompts, skip_special_tokens=True)
        elif not isinstance(prompts[0], str):
            completions = [[{"role": "assistant", "content": text}] for text in completions]
        total = [0.0] * len(ids)
        for part in parts:
            given = prompts if isinstance(part, ProxyReward) else shown
            values = part(prompts=given, completions=completions, completion_ids=ids, **columns)
            total = [so_far + (value or 0.0) for so_far, value in zip(total, values, strict=True)]
        return total

    return summed


class ProxyReward:
    """The raw output of a reward model.

    By Bradley-Terry (arXiv 2305.18290, Eq. 2) it is in nats like the gold reward that the rater
    prefers by, up to an offset for each prompt.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        if model.get_input_embeddings().num_embeddings < len(tokenizer):
            raise ModelError(plain("the reward model and the policy do not share a vocabulary"))
        self.model = model
        self._tokenizer = tokenizer

    @torch.no_grad()
    def __call__(
        self,
        prompts: Sequence[str],
        completions: Sequence[str],
        *,
        completion_ids: Sequence[Sequence[int]],
        **_columns: list,
    ) -> list[float]:
        device = self.model.device
        encoded = encode_prompts(self._tokenizer, prompts).to(device)
        tokens, mask = pad_responses(completion_ids, self._tokenizer.pad_token_id)
        tokens, mask = tokens.to(device), mask.to(device)
        scores = torch.zeros(len(prompts))
        with evaluating(self.model):
            for rows in by_length(encoded, mask):
                length = int(mask[rows].sum(1).max())
                part = encoded[rows], tokens[rows, :length], mask[rows, :length]
                scores[rows.cpu()] = score(self.model, *part).cpu()
        return scores.tolist()


def proxy_reward(
    named: str | None, of_task: str | None, tokenizer: PreTrainedTokenizerBase
) -> ProxyReward | None:
    """The reward model `named`; where none is, or it is "gold", that of the task, or None where the
    task has none or its own reads another vocabulary. Raises ModelError where a named one does.
    """
    embedded = named in (None, "gold")
    name = of_task if embedded else named
    if name is None:
        return None
    if load_tokenizer(name).get_vocab() == tokenizer.get_vocab():
        return ProxyReward(load_reward_model(name), tokenizer)
    if embedded:
        return None
    raise ModelError(plain(f"the reward model {name} and the policy do not share a vocabulary"))


def score(model: PreTrainedModel, prompts: Prompts, tokens: Tensor, mask: Tensor) -> Tensor:
    """The reward model's output [B] at the last real token of each text.

    That token is found by the mask and not by its id: where the padding token is also the end
    token, an ended text would otherwise be read without its end.
    """
    states = final_states(trunk(model), prompts, tokens, mask)
    return scalar_head(model)(states).squeeze(-1).float()
