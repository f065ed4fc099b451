"""Gold rewards and reward models under one signature, that of TRL's reward functions.

reward(prompts, completions, completion_ids=…) returns one float, in nats, for each text.
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
    eval_mode,
    load_reward_model,
    load_tokenizer,
    scalar_head,
    trunk,
)
from align_core.models.logprobs import final_states, length_batches


class Reward(Protocol):
    """Rewards in nats of texts. `completion_ids` contain the end token of a text that ended."""

    def __call__(
        self,
        prompts: Sequence[str],
        completions: Sequence[str],
        *,
        completion_ids: Sequence[Sequence[int]],
    ) -> list[float]: ...


def score_function(
    rewards: PreTrainedModel | Reward | Sequence[PreTrainedModel | Reward],
    tokenizer: PreTrainedTokenizerBase,
    device: torch.device,
) -> Callable[[Sequence[Prompt], list[list[int]], dict[str, list]], list[float]]:
    """A reward, or the sum of several, as a function of prompts, completion ids and data columns.

    A model with one label scores the token ids, on `device`. A function is called as TRL's GRPO
    calls its reward functions: with prompts and completions (texts, or messages if the prompts are
    messages), completion_ids, trainer_state and every other column by its name. A None in its
    result counts as 0. Coroutines are not supported.
    """
    parts = [
        ProxyReward(reward.to(device), tokenizer) if isinstance(reward, nn.Module) else reward
        for reward in (rewards if isinstance(rewards, Sequence) else [rewards])
    ]

    def summed(
        prompts: Sequence[Prompt], ids: list[list[int]], columns: dict[str, list]
    ) -> list[float]:
        completions = tokenizer.batch_decode(ids, skip_special_tokens=True)
        texts = prompts
        if is_token_ids(prompts[0]):
            texts = tokenizer.batch_decode(prompts, skip_special_tokens=True)
        elif not isinstance(prompts[0], str):
            completions = [[{"role": "assistant", "content": text}] for text in completions]
        total = [0.0] * len(ids)
        for part in parts:
            own_prompts = prompts if isinstance(part, ProxyReward) else texts
            values = part(
                prompts=own_prompts, completions=completions, completion_ids=ids, **columns
            )
            total = [so_far + (value or 0.0) for so_far, value in zip(total, values, strict=True)]
        return total

    return summed


class ProxyReward:
    """The raw output of a reward model.

    By Bradley-Terry (arXiv 2305.18290, Eq. 2) it is in nats, the unit of the gold reward that the
    rater prefers by, up to an offset for each prompt.
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
        with eval_mode(self.model):
            for rows in length_batches(encoded, mask):
                length = int(mask[rows].sum(1).max())
                part = encoded[rows], tokens[rows, :length], mask[rows, :length]
                scores[rows.cpu()] = score(self.model, *part).cpu()
        return scores.tolist()


def proxy_reward(
    name: str | None, task_default: str | None, tokenizer: PreTrainedTokenizerBase
) -> ProxyReward | None:
    """The reward model `name` or, if that is None or "gold", the `task_default`.

    None if the task has none, or one of another vocabulary than the policy's `tokenizer`.

    Raises:
        ModelError: the model `name` has another vocabulary.
    """
    is_default = name in (None, "gold")
    name = task_default if is_default else name
    if name is None:
        return None
    if load_tokenizer(name).get_vocab() == tokenizer.get_vocab():
        return ProxyReward(load_reward_model(name), tokenizer)
    if is_default:
        return None
    raise ModelError(plain(f"the reward model {name} and the policy do not share a vocabulary"))


def score(model: PreTrainedModel, prompts: Prompts, tokens: Tensor, mask: Tensor) -> Tensor:
    """The reward model's output [B] at the last token of each text.

    The last token is found by the mask, not by its id: if the padding token is also the end token,
    the id would miss the end of a text that ended.
    """
    states = final_states(trunk(model), prompts, tokens, mask)
    return scalar_head(model)(states).squeeze(-1).float()
