"""Gold rewards and reward models under one signature, that of TRL's reward functions.

reward(prompts, completions, completion_ids=…) returns one float, in nats, for each text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Protocol

import torch
from peft import PeftModel
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from align_core.config.errors import ConfigError
from align_core.config.messages import plain
from align_core.data.chat import turn_end
from align_core.data.encoding import (
    Inputs,
    Prompts,
    are_token_ids,
    encode_all,
    encode_prompts,
    pad_responses,
)
from align_core.data.formats import Text
from align_core.models.checks import check_vocabulary
from align_core.models.loading import (
    device_of,
    eval_mode,
    is_decoder,
    load_reward_model,
    load_tokenizer,
    name_of,
    positions,
    scalar_head,
    trunk,
)
from align_core.models.logprobs import length_batches, text_states
from align_core.tasks import Task
from align_core.tasks.folder.task import as_plain_text


class Reward(Protocol):
    """Rewards in nats of texts. `completion_ids` contain the end token of a text that ended."""

    def __call__(
        self,
        prompts: Sequence[Text],
        completions: Sequence[str],
        *,
        completion_ids: Sequence[Sequence[int]],
    ) -> list[float]: ...


def for_samples(reward: Callable, ends: Sequence[int]) -> Callable:
    """A task's reward, or its parts, for sampled texts, which ended if their last token is one of
    `ends`."""
    return partial(reward, eos_token_id=ends[0] if len(ends) == 1 else ends)


class ProxyReward:
    """The raw output of a reward model.

    By Bradley-Terry (arXiv 2305.18290, Eq. 2) it is in nats, up to an offset for each prompt, like
    the gold reward by which the rater labelled the pairs.

    Args:
        tokenizer: the tokenizer of the reward model.
        writer: the tokenizer of the policy that writes the texts, if it is another one. If its
            vocabulary also differs, the texts are encoded again.
        ends: the policy's end tokens; by default those of its tokenizer.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        writer: PreTrainedTokenizerBase | None = None,
        ends: Collection[int] = (),
    ) -> None:
        if hasattr(model, "get_input_embeddings"):
            check_vocabulary(model, tokenizer, with_padding=False)
        self.model = model
        self._tokenizer = tokenizer
        writer = writer or tokenizer
        self._ends = ends or (writer.eos_token_id, turn_end(writer))
        self.reads_ids = writer is tokenizer or _tokens(writer) == _tokens(tokenizer)
        """Whether it takes the policy's token ids, so that texts need not be encoded again."""
        self._writer = writer

    @property
    def gives_values(self) -> bool:
        """Whether it scores every prefix of the policy's texts, from their token ids."""
        return self.reads_ids and is_decoder(self.model)

    def __call__(
        self,
        prompts: Inputs,
        completions: Sequence[str],
        *,
        completion_ids: Sequence[Sequence[int]],
        **_columns: list,
    ) -> list[float]:
        if self.reads_ids:
            return self._scores(encode_prompts(self._writer, prompts), completion_ids)
        texts: Sequence[Text]
        if are_token_ids(prompts):
            texts = self._writer.batch_decode(prompts, skip_special_tokens=True)
        else:
            texts = prompts
        ended = [len(ids) > 0 and ids[-1] in self._ends for ids in completion_ids]
        before, after = self._encoded(texts, completions, ended)
        # In this tokenizer's tokens, a sample may be longer than the model's positions; the rest is
        # cut off.
        max_positions = positions(self.model)
        if max_positions < math.inf:
            after = [
                ids[: max(1, int(max_positions) - len(prompt_ids))]
                for prompt_ids, ids in zip(before, after, strict=True)
            ]
        return self._checked(before, after)

    def score_texts(
        self, prompts: Sequence[Text], completions: Sequence[str], ended: Sequence[bool]
    ) -> list[float]:
        """The outputs for texts, which are encoded with the reward model's own tokenizer.

        Raises:
            ConfigError: a text is longer than the model's positions.
        """
        return self._checked(*self._encoded(prompts, completions, ended))

    def _encoded(
        self, prompts: Sequence[Text], completions: Sequence[str], ended: Sequence[bool]
    ) -> tuple[list[list[int]], list[list[int]]]:
        """Token ids of prompts and completions by the reward model's own tokenizer."""
        pairs = [
            self._model_text(prompt, text)
            for prompt, text in zip(prompts, completions, strict=True)
        ]
        # An empty text needs its end token, as there is no other token to score.
        has_end = [end or not text for end, text in zip(ended, completions, strict=True)]
        model_prompts, texts = zip(*pairs, strict=True)
        return encode_all(self._tokenizer, model_prompts, texts, has_end)

    def _checked(self, before: list[list[int]], after: list[list[int]]) -> list[float]:
        longest = max(len(ids) + len(more) for ids, more in zip(before, after, strict=True))
        if longest > (max_tokens := positions(self.model)):
            line = f"expected at most {max_tokens} tokens, got {longest}"
            raise ConfigError(plain(f"reward model {name_of(self.model)}: {line}"))
        return self._scores(encode_prompts(self._tokenizer, before), after)

    def _model_text(self, prompt: Text, completion: str) -> tuple[Text, str]:
        """The prompt and its completion in the form that the reward model reads.

        With a chat template, a prompt of messages is unchanged, and the completion has no leading
        space. Without one, the messages become plain text, and the completion has a leading space.
        """
        if isinstance(prompt, str):
            return prompt, completion
        if self._tokenizer.chat_template is not None:
            return prompt, completion.lstrip()
        space = " " * (completion[:1] > " ")
        return as_plain_text(prompt), space + completion

    @torch.no_grad()
    def _scores(self, prompts: Prompts, completion_ids: Sequence[Sequence[int]]) -> list[float]:
        device = device_of(self.model)
        encoded = prompts.to(device)
        tokens, mask = pad_responses(completion_ids, self._tokenizer.pad_token_id)
        tokens, mask = tokens.to(device), mask.to(device)
        scores = torch.zeros(len(completion_ids))
        with eval_mode(self.model):
            for rows in length_batches(encoded, mask):
                length = int(mask[rows].sum(1).max())
                part = encoded[rows], tokens[rows, :length], mask[rows, :length]
                scores[rows.cpu()] = score(self.model, *part).cpu()
        return scores.tolist()


def proxy_reward(
    name: str | None,
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    ends: Sequence[int] = (),
) -> Reward | None:
    """The reward model, or the task's misspecified reward, of this `name`.

    If `name` is None or "gold", this is the task's own reward model, or None if it has none.
    `tokenizer` is the tokenizer of the policy, and `ends` are the policy's end tokens.
    """
    name = task.reward_model if name in (None, "gold") else name
    if name is None:
        return None
    if name in task.proxies:
        return for_samples(task.proxies[name], ends)
    return ProxyReward(load_reward_model(name), load_tokenizer(name), tokenizer, ends)


def _tokens(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """The vocabulary without the padding token, which no model reads."""
    pad = tokenizer.pad_token_id
    return {token: number for token, number in tokenizer.get_vocab().items() if number != pad}


def score(model: PreTrainedModel, prompts: Prompts, tokens: Tensor, mask: Tensor) -> Tensor:
    """The reward model's output [B] for each text; for a decoder, its output at the last token.

    The last token is found by the mask, not as the last that is not padding: if the padding token
    is also the end token, that would miss the end token of a text. The head of a custom module gets
    the states of whole texts, as in TRL's PPO, because it may read all of them.
    """
    if not is_decoder(model):
        return _score_of_encoder(model, prompts, tokens, mask)
    states = text_states(trunk(model), prompts, tokens, mask)
    if isinstance(model, PreTrainedModel | PeftModel):  # its head reads each state by itself
        states = states[:, -1:]
    return scalar_head(model)(states)[:, -1].view(len(states)).float()


def _score_of_encoder(
    model: PreTrainedModel, prompts: Prompts, tokens: Tensor, mask: Tensor
) -> Tensor:
    """The model's own output [B]; an encoder reads whole texts, padded on the right."""
    texts = [
        torch.cat([prompt_ids[prompt_mask.bool()], text_ids[text_mask]])
        for prompt_ids, prompt_mask, text_ids, text_mask in zip(
            prompts.ids, prompts.mask, tokens, mask, strict=True
        )
    ]
    attention = pad_sequence([torch.ones_like(ids) for ids in texts], batch_first=True)
    pad, rows = model.config.pad_token_id or 0, model.get_input_embeddings().num_embeddings
    ids = pad_sequence(texts, batch_first=True, padding_value=pad)
    ids = ids.masked_fill(ids >= rows, pad)  # a policy may sample ids without a token
    return model(input_ids=ids, attention_mask=attention).logits.squeeze(-1).float()
