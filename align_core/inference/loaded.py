"""The models of a query: a policy with its tokenizer, reference and reward model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from align_core.config import model_index
from align_core.data.encoding import Prompts, decode
from align_core.data.formats import Text
from align_core.evaluation.provenance import reward_model_of
from align_core.evaluation.text_pieces import text_pieces
from align_core.models.checks import check_policy
from align_core.models.loading import load_policy, load_tokenizer, positions
from align_core.models.logprobs import logprobs
from align_core.models.realigned import Realigned
from align_core.models.reference import OtherTokens, load_reference
from align_core.models.rewards import ProxyReward, Reward, proxy_reward
from align_core.models.sampling import end_ids
from align_core.tasks import get_task

CACHE_SIZE = 4  # models that stay loaded, each with its reference and reward model


@dataclass(frozen=True)
class LoadedModels:
    """A policy with its tokenizer, reference and reward model; or only a reward model with its
    tokenizer. The policy may be a mixture with its reference (`Realigned`)."""

    tokenizer: PreTrainedTokenizerBase
    policy: PreTrainedModel | Realigned | None
    reference: PreTrainedModel | None
    proxy: Reward | None

    @property
    def positions(self) -> float:
        """The maximum number of tokens of a text."""
        if self.policy is not None:
            return positions(self.policy)
        assert isinstance(self.proxy, ProxyReward)  # a reward model alone
        return positions(self.proxy.model)

    def proxy_rewards(
        self, prompts: Sequence[Text], completions: list[str], ids: list[list[int]]
    ) -> Sequence[float | None]:
        """The reward model's output for each text; None for each if there is no reward model."""
        if self.proxy is None:
            return [None] * len(prompts)
        return self.proxy(prompts, completions, completion_ids=ids)

    @torch.no_grad()
    def tokens(
        self, prompts: Prompts, ids: list[list[int]], logps: list[list[float]] | None = None
    ) -> list[list[dict]]:
        """`text_pieces` of each text; "ref_logp" is None if there is no reference.

        `logps` are the policy's log-probabilities, if they are known.
        """
        logps = logps or [logp.tolist() for logp in logprobs(self.policy, prompts, ids)]
        ref_logps = logps
        if self.reference is not None:
            ref_logps = [logp.tolist() for logp in logprobs(self.reference, prompts, ids)]
        ends, before = end_ids(self.policy, self.tokenizer), prompts.ids.tolist()
        without_end = [row[:-1] if row[-1] in ends else row for row in ids]
        texts = [
            text_pieces(self.tokenizer, row, logp, ref_logp, prompt=prompt, text=text)
            for row, logp, ref_logp, prompt, text in zip(
                ids,
                logps,
                ref_logps,
                before,
                decode(self.tokenizer, before, without_end),
                strict=True,
            )
        ]
        if self.reference is None:
            texts = [[piece | {"ref_logp": None} for piece in text] for text in texts]
        return texts


def loaded_models(
    model: str, task: str, reference: str | None, same_tokens_only: bool = False
) -> LoadedModels:
    """The models of a query. With `same_tokens_only`, a reference whose tokens differ from the
    policy's is left out; otherwise it raises OtherTokens."""
    location = Path(model_index.locate(model))
    saved = location.stat().st_mtime_ns if location.is_dir() else None
    try:
        return _load(model, task, reference, str(location), saved)
    except OtherTokens:
        if not same_tokens_only:
            raise
    return _load(model, task, None, str(location), saved)


@lru_cache(maxsize=CACHE_SIZE)
def _load(
    model: str, task: str, reference: str | None, location: str, saved: int | None
) -> LoadedModels:
    """Load the models. `saved`, the modification time, belongs to the key of the cache."""
    tokenizer, the_task = load_tokenizer(model), get_task(task)
    if model_index.is_reward_model(location):
        return LoadedModels(tokenizer, None, None, proxy_reward(model, the_task, tokenizer))
    policy = load_policy(model)
    check_policy(policy, tokenizer)
    return LoadedModels(
        tokenizer,
        policy,
        None if reference is None else load_reference(reference, policy, tokenizer),
        proxy_reward(reward_model_of(model, task), the_task, tokenizer, end_ids(policy, tokenizer)),
    )
