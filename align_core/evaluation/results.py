"""The result of an evaluation, whole or in the parts that several processes have computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Texts:
    """B sampled texts with gold and proxy rewards [B] in nats.

    `gold` is NaN where it is unknown; `proxy` is None without a reward model; `parts` has the terms
    of the gold reward by name, if it is a sum.
    """

    prompts: list[str]
    completions: list[str]
    completion_ids: list[list[int]]
    gold: Tensor
    proxy: Tensor | None
    parts: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation: texts of policy and reference, and numbers for the policy's.

    `kl` and `entropy` [B] are sums over tokens in nats, `length` [B] counts tokens; `logp` and
    `ref_logp` hold each token's log-probability under policy and reference. For the best of several
    texts, `kl` and `entropy` are NaN, and the mean of `kl_bound` [B] is an upper bound of the KL.
    """

    policy: Texts
    reference: Texts
    kl: Tensor
    entropy: Tensor
    length: Tensor
    logp: list[list[float]]
    ref_logp: list[list[float]]
    kl_bound: Tensor | None = None


def joined(parts: Sequence[Any]) -> Any:
    """The parts of an evaluation as one: lists and tensors are concatenated, None stays None."""
    first: Any = parts[0]
    if len(parts) == 1:
        return first
    if isinstance(first, list):
        return [row for part in parts for row in part]
    if isinstance(first, Tensor):
        return torch.cat([*parts])
    if isinstance(first, dict):
        return {name: joined([part[name] for part in parts]) for name in first}
    if first is None:
        return None
    names = [column.name for column in fields(first)]
    return replace(first, **{name: joined([getattr(p, name) for p in parts]) for name in names})
