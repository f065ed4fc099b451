"""The protocol of a task: prompts, a gold reward in nats, a description, and optional data."""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from align_core.data.formats import Text
from align_core.tasks.rater import preference

Rows = Callable[[int, int], list[dict[str, Any]]]


class Task(ABC):
    """A task, with defaults for its optional members.

    A text is prompt + completion; the completion has the leading space. Any class with the members
    in REQUIRED is a task: if it does not inherit from this one, the loader adds the defaults.
    """

    name: str  # lower-case letters, digits and _; a part of the names of runs
    title: str
    explanation: str  # one sentence, for users
    max_new_tokens: int
    reference: str | None = None  # the model that policies start from and are compared with
    reward_model: str | None = None  # the model whose output is the proxy reward
    groups: tuple[str, ...] = ()  # the kinds of its prompts, returned by `group`
    # Misspecified rewards with the signature of `reward`, by the name under which `--reward-model`
    # chooses one: a run on it shows reward hacking.
    proxies: Mapping[str, Callable[..., list[float]]] = MappingProxyType({})
    # "file.py:Class" or "package.module:Class"; the loader sets it for tasks outside this package.
    code: str | None = None
    # f(n, seed) -> `n` rows {"prompt", "completion"}, none with a probe or held-out prompt. Without
    # demonstrations SFT is not available.
    demonstrations: Rows | None = None
    # f(n, seed) -> `n` rows {"prompt", "chosen", "rejected"}. By default pairs are sampled from the
    # reference and labelled by `prefers`.
    preferences: Rows | None = None

    folder: str | None = None  # the absolute path of a task without code
    has_gold: bool = True  # False if the reward is unknown, NaN
    # For a reward that is not in nats: the standard deviation, in nats, of the rewards of reference
    # samples after `scaled`.
    reward_std: float | None = None

    @property
    def full_name(self) -> str:
        """The task as `--task` and configurations name it."""
        return self.code or self.folder or self.name

    @abstractmethod
    def prompts(self, split: str) -> list[str]:
        """The prompts of "train", "probe" or "heldout"; no prompt is in two of them."""

    @abstractmethod
    def reward(
        self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any
    ) -> list[float]:
        """Gold rewards in nats, one for each completion, with TRL's signature of a reward function.

        `columns` hold `ended`, or `completion_ids` and `eos_token_id`: see `have_ended`.
        """

    def parts(
        self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any
    ) -> dict[str, list[float]]:
        """The terms of the gold reward by name, in nats; {} if it is not a sum."""
        return {}

    def scores(
        self, prompts: Sequence[Text], completions: Sequence[Text], **columns: Any
    ) -> dict[str, list[float]]:
        """The scores of the `parts` before their weights."""
        return {}

    def can_judge(self, prompt: str, completion: str | None = None) -> bool:
        """Whether the gold reward is meaningful for a visitor's prompt and, if given, completion.
        For example, it is not for a language that the reward cannot read."""
        return True

    def model_input(self, prompt: str, chat: bool) -> Text:
        """The input of a model for a prompt; `chat` says whether it has a chat template."""
        return prompt

    def origin(self, prompt: str) -> str:
        """The origin of a prompt, for messages."""
        return f"the prompt {prompt!r} of {self.full_name}"

    def group(self, prompt: str) -> str:
        """The group of a prompt, one of `groups`, by which a coverage selects prompts."""
        return ""

    def covers(self, coverage: str, prompt: str) -> bool:
        """Whether `coverage`, "all" or groups separated by commas, includes the prompt."""
        return coverage == "all" or self.group(prompt) in coverage.split(",")

    def split_by_coverage(self, coverage: str, prompts: Sequence[str]) -> dict[str, list[str]]:
        """The "covered" and the "uncovered" prompts; {} if the coverage is "all"."""
        subsets: dict[str, list[str]] = (
            {} if coverage == "all" else {"covered": [], "uncovered": []}
        )
        for prompt in prompts if subsets else ():
            subsets["covered" if self.covers(coverage, prompt) else "uncovered"].append(prompt)
        return subsets

    def prefers(self, reward_a: float, reward_b: float, rng: random.Random) -> bool:
        """The rater's choice: a over b with probability sigmoid(reward_a - reward_b)."""
        return rng.random() < preference(reward_a - reward_b)


REQUIRED = ("name", "title", "explanation", "max_new_tokens", "prompts", "reward")


def part_columns(parts: Mapping[str, Sequence[float]]) -> list[dict[str, float | None]]:
    """The parts of a reward for each text, {"reward/NAME": …}, with None for NaN."""
    return [
        {
            f"reward/{name}": None if math.isnan(value) else value
            for name, value in zip(parts, values, strict=True)
        }
        for values in zip(*parts.values(), strict=True)
    ]


def have_ended(
    completions: Sequence[Text],
    completion_ids: Sequence[Sequence[int]] | None = None,
    ended: Sequence[bool] | None = None,
    eos_token_id: int | Sequence[int] = 0,
) -> list[bool]:
    """Whether each text ended by itself.

    If `completion_ids` are given: whether they end with `eos_token_id`, an id or several. Otherwise
    `ended`, or True for all texts if that is None.
    """
    if completion_ids is not None:
        ends = [eos_token_id] if isinstance(eos_token_id, int) else eos_token_id
        return [len(ids) > 0 and ids[-1] in ends for ids in completion_ids]
    return [True] * len(completions) if ended is None else [bool(value) for value in ended]
