"""Checks of any model before it is used: its tokens, its positions, whether it can be sampled.

Each error message is one line with the numbers that disagree.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from align_core.config.errors import ConfigError, one_line, raise_collected
from align_core.config.messages import plain
from align_core.data.encoding import Prompts, encode_prompts
from align_core.data.formats import Text
from align_core.models.generation_settings import contradiction
from align_core.models.loading import (
    ModelError,
    device_of,
    eval_mode,
    name_of,
    positions,
    scalar_head,
    trunk,
)
from align_core.models.logprobs import response_states
from align_core.models.prompts import room_for
from align_core.models.sampling import RandomDraw, end_ids, sample

MAX_ERRORS = 20  # reported at once
# Largest differences in nats that are taken for rounding errors.
READS_ALIKE = 1e-4  # reading later tokens changes the outputs of small random encoders by 1e-3
SAMPLED_ALIKE = 1e-2  # rounding in float32 is below 1e-4, a lost state above 5e-2


def check_policy(policy: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Check that the policy has the tokenizer's tokens and an end token, and can be sampled.

    Raises:
        ModelError: one of these checks fails; the message is about the first that does.
    """
    check_vocabulary(policy, tokenizer)
    end_ids(policy, tokenizer)
    check_sampling(policy)


def check_vocabulary(
    model: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    with_padding: bool = True,
) -> None:
    """Check that the model has an embedding for every token, including added tokens.

    Without `with_padding`, a token that is used only for padding needs no embedding; the caller
    must mask it.

    Raises:
        ModelError: the model has too few embeddings.
    """
    ends_texts = tokenizer.pad_token_id == tokenizer.eos_token_id
    unread = None if with_padding or ends_texts else tokenizer.pad_token_id
    rows = model.get_input_embeddings().num_embeddings
    needed = max(number for number in tokenizer.get_vocab().values() if number != unread) + 1
    if rows < needed:
        line = (
            f"model {name_of(model)}: expected a vocabulary of at least {needed} rows, as its "
            f"tokenizer has a token {needed - 1}, "
            f"{tokenizer.convert_ids_to_tokens(needed - 1)!r}, got {rows}"
        )
        raise ModelError(plain(line))


def check_lengths(
    texts: Sequence[int], model: PreTrainedModel | PeftModel, source: str | None
) -> None:
    """Check that texts of these lengths, in tokens, fit into the model's positions.

    Raises:
        ConfigError: one message for each text that does not, with its row number in `source`.
    """
    max_tokens, origin = positions(model), source or "the training data"
    lines = [
        plain(
            f"{origin}, row {number}: expected at most {max_tokens} tokens, the positions of "
            f"{name_of(model)}, got {length}"
        )
        for number, length in enumerate(texts, start=1)
        if length > max_tokens
    ]
    raise_collected(lines[:MAX_ERRORS])


def check_room(
    prompts: Sequence[Text],
    max_new_tokens: int,
    source: str,
    tokenizer: PreTrainedTokenizerBase,
    *models: PreTrainedModel | PeftModel,
) -> None:
    """Check that completions of these prompts of `source` fit into the positions of the models.

    Raises:
        ConfigError: one message, with the length of the longest prompt.
    """
    room = room_for(max_new_tokens, *models)
    longest = encode_prompts(tokenizer, prompts).ids.shape[1]
    if longest > room:
        line = (
            f"{source}: expected prompts of at most {room} tokens (the model's "
            f"{room + max_new_tokens} positions minus max_new_tokens, {max_new_tokens}), "
            f"got {longest}"
        )
        raise ConfigError(plain(line))


@torch.no_grad()
def check_sampling(policy: PreTrainedModel | PeftModel) -> None:
    """Check that padding and a cache do not change the logits of sampling.

    Two tokens are sampled after each of two prompts of different lengths, and the logits of the
    second token are compared with those of a pass over the whole text. They differ if the model
    keeps its state elsewhere than in the cache, reads padding, or reads later tokens.

    Raises:
        ModelError: the logits differ, or the model cannot be called in this way.
    """
    name, rows = name_of(policy), policy.get_input_embeddings().num_embeddings
    long = [token % rows for token in range(1, 8)]
    short = long[:3]
    padding = len(long) - len(short)
    prompts = Prompts(
        torch.tensor([[0] * padding + short, long]),
        torch.tensor([[0] * padding + [1] * len(short), [1] * len(long)]),
    )
    try:
        with eval_mode(policy):
            if _log_probabilities(policy, long).isnan().any():
                line = f"model {name}: expected log-probabilities, got NaN: its weights are damaged"
                raise ModelError(plain(line))
            settings = {"max_new_tokens": 2, "end_ids": (), "pad_id": 0}
            responses = sample(policy, prompts, RandomDraw(0, 2), keep_logits=True, **settings)
            is_causal = not _reads_later_tokens(policy, long)
            first = responses.tokens[:, 0].tolist()
            alone = [
                _log_probabilities(policy, ids)[0, -1]
                for ids in ([*short, first[0]], [*long, first[1]])
            ]
    except ModelError:
        raise
    except (TypeError, ValueError, RuntimeError, LookupError, AttributeError) as error:
        line = f"model {name}: expected a model that can be sampled, got {one_line(error)}"
        raise ModelError(plain(line)) from error
    if not is_causal:
        line = f"model {name}: expected a causal language model, got one that reads later tokens"
        raise ModelError(plain(line))
    difference = (torch.stack(alone) - responses.logits[:, 1].log_softmax(-1)).abs().max().item()
    if not difference < SAMPLED_ALIKE:
        line = (
            f"model {name}: expected a model that can be sampled, got log-probabilities of the "
            f"second token that are {difference:.2g} nats from those of a pass over the whole "
            f"text: {type(policy.config).__name__} keeps no state in the cache, or reads padding"
        )
        raise ModelError(plain(line))


def check_generation_config(policy: PreTrainedModel | PeftModel) -> None:
    """Check that the policy can be saved.

    Raises:
        ModelError: its generation config contradicts itself.
    """
    if got := contradiction(getattr(policy, "generation_config", None)):
        line = f"model {name_of(policy)}: expected a generation_config that can be saved, got {got}"
        raise ModelError(plain(line))


@torch.no_grad()
def check_values(model: nn.Module) -> None:
    """Check that a value model of a custom class gives a number at every token of two short texts.

    Raises:
        ModelError: it does not give such numbers, or cannot be called.
    """
    device = device_of(model)
    prompts = Prompts(torch.tensor([[0, 1], [1, 2]]), torch.tensor([[0, 1], [1, 1]]))
    tokens = torch.tensor([[1, 2], [2, 1]], device=device)
    expected = f"value_model {type(model).__name__}: expected a number at every token"
    try:
        with eval_mode(model):
            states = response_states(trunk(model), prompts.to(device), tokens, tokens > 0)
            shape = [*scalar_head(model)(states).shape]
    except (TypeError, ValueError, RuntimeError, LookupError, AttributeError) as error:
        raise ModelError(plain(f"{expected}, got {one_line(error)}")) from error
    if shape not in ([2, 2, 1], [2, 2]):
        raise ModelError(plain(f"{expected}, got shape {shape} for 2 texts of 2 tokens"))


def _reads_later_tokens(policy: PreTrainedModel | PeftModel, ids: list[int]) -> bool:
    """Whether replacing the last token changes the log-probabilities at the earlier tokens."""
    first, second = _log_probabilities(policy, ids, [*ids[:-1], ids[0]])[:, :-1]
    return (first - second).abs().max().item() > READS_ALIKE


def _log_probabilities(policy: PreTrainedModel | PeftModel, *texts: list[int]) -> torch.Tensor:
    """The log-probabilities [B, T, V] of a pass over whole texts of the same length."""
    ids = torch.tensor(texts, device=policy.device)
    return policy(input_ids=ids, use_cache=False).logits.float().log_softmax(-1)
