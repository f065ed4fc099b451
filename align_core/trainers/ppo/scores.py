"""The scores of responses: reward models and functions, checked before a run and summed.

A reward is a number for each text, which is given at its last token, or a list with a number for
each of its tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from align_core.config.errors import shown
from align_core.config.messages import Message
from align_core.data.encoding import Inputs, are_token_ids, decode, encode_prompts
from align_core.data.formats import Text
from align_core.models.loading import add_padding_token, load_tokenizer, name_of
from align_core.models.rewards import ProxyReward
from align_core.objectives import at_last_token
from align_core.runs.commands import last_part
from align_core.tasks.checked_reward import awaited
from align_core.trainers.common import NonFinite
from align_core.trainers.ppo.reward_functions import (
    LOADED,
    RewardFunction,
    check_columns,
    check_function,
)

RewardModel: TypeAlias = nn.Module | RewardFunction
PADDED_TO = 256  # models pad their embeddings to multiples of at most this, with unused rows


class NonFiniteReward(NonFinite, ValueError):
    """A reward of a text is NaN or infinite."""


class Scores(NamedTuple):
    """The rewards of B texts of at most T tokens, in nats.

    `tokens` [B, T] is the weighted sum of all rewards at each token, 0 after the end. `by_reward`
    [B, R] has each of R rewards, without its weight, summed over the tokens.
    """

    tokens: Tensor
    by_reward: Tensor


Score: TypeAlias = Callable[..., Scores]


def unscored(
    prompts: Inputs, ids: list[list[int]], columns: dict[str, list], prompt_ids: list[list[int]]
) -> Scores:
    """Scores of 0 at every token, until `learn` gets the true ones."""
    return Scores(torch.zeros(len(ids), max(map(len, ids))), torch.zeros(len(ids), 1))


def completion_texts(
    writer: PreTrainedTokenizerBase,
    prompt_ids: list[list[int]],
    ids: list[list[int]],
    ends: Collection[int],
) -> list[str]:
    """The texts of completions, without their end tokens."""
    without_end = [row[:-1] if row and row[-1] in ends else row for row in ids]
    return decode(writer, prompt_ids, without_end)


def penalised(scores: Tensor, mask: Tensor, ended: Tensor, penalty: float | None) -> Tensor:
    """The scores [B, T], less the penalty at the last tokens of texts that have not `ended`."""
    if penalty is None:
        return scores
    return scores - at_last_token(penalty * (~ended).float(), mask)


def score_function(
    rewards: RewardModel | Sequence[RewardModel],
    writer: PreTrainedTokenizerBase,
    device: torch.device,
    ends: Collection[int] = (),
    tokenizers: PreTrainedTokenizerBase | Sequence[PreTrainedTokenizerBase | None] | None = None,
    rows: int | None = None,
    weights: Sequence[float] | None = None,
) -> SummedRewards:
    """A reward, or the sum of several, as a function of prompts, completion ids and data columns.

    A model with one label scores the texts, on `device`, with its own tokenizer: the one in
    `tokenizers` (GRPO's `reward_processing_classes`) or in its folder, otherwise `writer`, the
    policy's. A function is called as TRL's GRPO calls its reward functions: with prompts and
    completions (texts without the end tokens `ends`, or messages if the prompts are messages),
    completion_ids, trainer_state and every other column by its name. It may be a coroutine. It
    returns a number for each text, or a list with a number for each of its `completion_ids`. A None
    in its result counts as 0.

    `rows` is the number of the policy's embeddings; `weights` has a weight for each reward, by
    default 1.

    Raises:
        TypeError, ValueError: a reward that cannot score, or whose vocabulary is not known.
    """
    several: list[Any] = [*rewards] if isinstance(rewards, list | tuple) else [rewards]
    if not several:
        raise ValueError("reward_model: expected one reward or more, got an empty list")
    reward_tokenizers = (
        [*tokenizers] if isinstance(tokenizers, list | tuple) else [tokenizers] * len(several)
    )
    if len(reward_tokenizers) != len(several):
        line = (
            f"expected {len(several)} tokenizers, one for each reward, got {len(reward_tokenizers)}"
        )
        raise ValueError(f"reward_processing_classes: {line}")
    for tokenizer in reward_tokenizers:
        if tokenizer is not None and not hasattr(tokenizer, "pad_token_id"):
            line = f"expected tokenizers, or None, got {shown(tokenizer)}"
            raise TypeError(f"reward_processing_classes: {line}")
    if weights is not None and len(weights) != len(several):
        line = f"expected {len(several)} numbers, one for each reward, got {len(weights)}"
        raise ValueError(f"reward_weights: {line}")
    parts: list[ProxyReward | RewardFunction] = []
    for reward, tokenizer in zip(several, reward_tokenizers, strict=True):
        if isinstance(reward, nn.Module):
            parts.append(_proxy(reward.to(device), tokenizer, writer, ends, rows))
        else:
            check_function(reward, name_of_reward(reward))
            parts.append(reward)
    return SummedRewards(parts, torch.tensor(weights or [1.0] * len(several)), writer, ends)


class SummedRewards:
    """The function that `score_function` returns."""

    def __init__(
        self,
        parts: Sequence[ProxyReward | RewardFunction],
        weights: Tensor,
        writer: PreTrainedTokenizerBase,
        ends: Collection[int],
    ) -> None:
        self._parts, self._weights = parts, weights
        self._writer, self._ends = writer, ends

    @property
    def readers(self) -> list[nn.Module]:
        """The models that read the policy's own token ids."""
        proxies = [part for part in self._parts if isinstance(part, ProxyReward)]
        return [proxy.model for proxy in proxies if proxy.reads_ids]

    def check_columns(self, data: str, columns: Collection[str]) -> None:
        """Check that the functions can be called with these columns of the set `data`.

        Raises:
            TypeError: one of them cannot.
        """
        for part in self._parts:
            if not isinstance(part, ProxyReward):
                check_columns(part, name_of_reward(part), data, columns)

    def __call__(
        self,
        prompts: Inputs,
        ids: list[list[int]],
        columns: dict[str, list],
        prompt_ids: list[list[int]] | None = None,
    ) -> Scores:
        """The scores of completions; `prompt_ids` has the token ids that the policy read, if they
        differ from the tokenizer's encoding of the prompts alone."""
        before = prompt_ids or encode_prompts(self._writer, prompts).real()
        texts = completion_texts(self._writer, before, ids, self._ends)
        prompt_texts: Sequence[Text]
        if are_token_ids(prompts):
            prompt_texts = self._writer.batch_decode(prompts, skip_special_tokens=True)
        else:
            prompt_texts = prompts
        completions: Sequence[Text] = texts
        if not isinstance(prompt_texts[0], str):
            completions = [[{"role": "assistant", "content": text}] for text in texts]
        arguments = {"prompts": prompt_texts, "completions": completions, "completion_ids": ids}
        token_rewards = []
        for part in self._parts:
            values: Any
            if isinstance(part, ProxyReward):
                read = before if part.reads_ids else prompts
                values = part(read, texts, completion_ids=ids)
            else:
                values = awaited(part(**arguments, **columns))
            source = f"reward function {name_of_reward(part)}"
            token_rewards.append(token_scores(values, ids, source))
        by_reward = torch.stack(token_rewards, -1)  # [B, T, R]
        return Scores(by_reward @ self._weights, by_reward.sum(1))


def token_scores(returned: Any, ids: Sequence[Sequence[int]], source: str) -> Tensor:
    """Rewards [B, T] at the tokens `ids` of B texts.

    `returned` has a number for each text, which is the reward of its last token, or a list for each
    text, with a number for each token.

    Raises:
        ValueError: for any other value; the message names its `source`.
    """
    values = returned.tolist() if hasattr(returned, "tolist") else returned
    expected = f"{source}: expected {len(ids)} numbers, one for each completion, or as many lists"
    expected += " with a number for each token"
    shape = [*getattr(returned, "shape", ())]
    if len(shape) > 2 or (shape[1:] == [1] and any(len(row) > 1 for row in ids)):
        raise ValueError(f"{expected}, got shape {shape}")
    if not isinstance(values, list | tuple) or len(values) != len(ids):
        got = f"{len(values)}" if isinstance(values, list | tuple) else shown(values)
        raise ValueError(f"{expected}, got {got}")
    rows = []
    for number, (value, row) in enumerate(zip(values, ids, strict=True)):
        value = value.tolist() if hasattr(value, "tolist") else value
        numbers = value if isinstance(value, list | tuple) else [0.0] * (len(row) - 1) + [value]
        if len(numbers) != len(row):
            line = f"{source}: expected {len(row)} numbers for completion {number}, one for each "
            raise ValueError(f"{line}of its completion_ids, got {len(numbers)}")
        try:
            rows.append(torch.tensor([*map(_number, numbers)]))
        except (TypeError, ValueError):
            raise ValueError(f"{expected}, got {shown(values)}") from None
    return pad_sequence(rows, batch_first=True)


def _number(value: Any) -> float:
    """The value as a number, 0 for None. Raises TypeError or ValueError for any other value."""
    if isinstance(value, str | bytes):
        raise TypeError
    return 0.0 if value is None else float(value)


def check_finite(by_reward: Tensor, names: Sequence[str]) -> None:
    """Check the rewards [B, R], whose names are `names`.

    They are checked when the rewards of all processes are known, so that all processes end
    together.

    Raises:
        NonFiniteReward: one is NaN or infinite.
    """
    non_finite = (~by_reward.isfinite()).nonzero().tolist()
    if not non_finite:
        return
    row, reward = non_finite[0]
    value, name = str(by_reward[row, reward].item()), names[reward]
    line = f"{name}: expected finite numbers, got {value} for completion {row}"
    raise NonFiniteReward(Message("reward", {"name": name, "value": value}, line))


def name_of_reward(reward: Any) -> str:
    """The name of a function, or of a model's folder."""
    if isinstance(reward, ProxyReward):
        reward = reward.model
    return getattr(reward, "__name__", None) or name_of(reward)


def reward_names(rewards: RewardModel | Sequence[RewardModel]) -> list[str]:
    """The names of the rewards; a second reward of the same name is "NAME 2"."""
    names: list[str] = []
    for reward in rewards if isinstance(rewards, list | tuple) else [rewards]:
        name = last_part(name_of_reward(reward))
        same = sum(other.partition(" ")[0] == name for other in names)
        names.append(f"{name} {same + 1}" if same else name)
    return names


def _proxy(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase | None,
    writer: PreTrainedTokenizerBase,
    ends: Collection[int],
    rows: int | None,
) -> ProxyReward:
    check_scalar(model, "reward_model")
    folder: str = getattr(model, "name_or_path", "")
    if tokenizer is None and folder:
        try:
            tokenizer = load_tokenizer(folder)
        except ValueError:  # a folder without a tokenizer
            tokenizer = None
    if tokenizer is not None:
        add_padding_token(tokenizer)
    elif rows is not None and isinstance(model, PreTrainedModel):
        read = model.get_input_embeddings().num_embeddings
        if abs(read - rows) >= PADDED_TO:
            raise ValueError(
                f"reward_model {name_of(model)} reads {read} tokens, and the policy writes {rows}: "
                "expected the reward model's tokenizer as reward_processing_classes"
            )
    return ProxyReward(model, tokenizer or writer, writer, ends)


def check_scalar(model: nn.Module, argument: str) -> None:
    """Check that a model has one output for a text, as reward models and value models have.

    Raises:
        TypeError, ValueError: for any other model; `argument` is its name in the message.
    """
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    expected = f"{argument}: expected a model with one label, which {LOADED} loads"
    if not isinstance(base, PreTrainedModel):
        prefix = getattr(base, "base_model_prefix", None)
        if prefix is None or not hasattr(base, prefix) or not hasattr(base, "score"):
            line = "or a module with base_model_prefix, the name of its trunk, and score, its head"
            raise TypeError(f"{expected}, {line}, got {type(base).__name__}")
    elif base.get_output_embeddings() is not None or base.base_model is base:
        raise TypeError(f"{expected}, got {type(base).__name__}, which has no label")
    elif base.config.num_labels != 1:
        line = f"{expected}, got {base.config.num_labels} labels"
        raise ValueError(f"{line}; align_core.one_label(model, 1) makes a model of one of them")
