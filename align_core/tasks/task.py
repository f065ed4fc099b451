"""What a task is: prompts, a gold reward in nats, words about both, and what else it may have."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from align_core.tasks.rater import preference

Message = str | Sequence[dict[str, str]]
Rows = Callable[[int, int], list[dict[str, Any]]]


class Task(ABC):
    """A task, with a default for all that it need not have.

    A text is prompt + completion; the completion brings its leading space. A class of somebody's
    own may be any that has REQUIRED: where it does not inherit, the loader adds what stands here.
    """

    name: str  # lower-case letters, digits and _; runs are called after it
    title: str
    explanation: str  # one sentence, to an audience
    max_new_tokens: int
    reference: str | None = None  # MODEL that policies start from and are measured against
    reward_model: str | None = None  # MODEL that stands in for the gold reward
    groups: tuple[str, ...] = ()  # the kinds of its prompts, that `group` names
    code: str | None = (
        None  # where its class is: set by the loader for every task that is not built in
    )
    # f(n, seed) -> `n` rows {"prompt", "completion"}, none with a probe or held-out prompt; None:
    # it has none, and SFT cannot be run.
    demonstrations: Rows | None = None
    # f(n, seed) -> `n` rows {"prompt", "chosen", "rejected"}; None: pairs are sampled from the
    # reference and labelled by `prefers`.
    preferences: Rows | None = None

    @property
    def full_name(self) -> str:
        """What `--task` takes and a configuration stores."""
        return self.code or self.name

    @abstractmethod
    def prompts(self, split: str) -> list[str]:
        """The prompts of "train", "probe" or "heldout"; the three share none."""

    @abstractmethod
    def reward(
        self, prompts: Sequence[Message], completions: Sequence[Message], **columns: Any
    ) -> list[float]:
        """Gold rewards in nats, one for each completion; TRL's signature of a reward function.

        `columns` hold `ended`, or `completion_ids` and `eos_token_id`: `have_ended`.
        """

    def group(self, prompt: str) -> str:
        """What a preference data set's coverage selects prompts by: one of `groups`."""
        return ""

    def covers(self, coverage: str, prompt: str) -> bool:
        """Whether `coverage`, "all" or groups with commas between, takes the prompt in."""
        return coverage == "all" or self.group(prompt) in coverage.split(",")

    def split_by_coverage(self, coverage: str, prompts: Sequence[str]) -> dict[str, list[str]]:
        """The prompts "covered" and those "uncovered"; {} where all are covered."""
        subsets: dict[str, list[str]] = (
            {} if coverage == "all" else {"covered": [], "uncovered": []}
        )
        for prompt in prompts if subsets else ():
            subsets["covered" if self.covers(coverage, prompt) else "uncovered"].append(prompt)
        return subsets

    def prefers(self, reward_a: float, reward_b: float, rng: random.Random) -> bool:
        """The rater: a is preferred to b with probability sigmoid(reward_a - reward_b)."""
        return rng.random() < preference(reward_a - reward_b)


REQUIRED = ("name", "title", "explanation", "max_new_tokens", "prompts", "reward")


def have_ended(
    completions: Sequence[Message],
    completion_ids: Sequence[Sequence[int]] | None = None,
    ended: Sequence[bool] | None = None,
    eos_token_id: int = 0,
) -> list[bool]:
    """Whether each text ended by itself: if its ids end with `eos_token_id`; without ids as `ended`
    says; without either all did."""
    if completion_ids is not None:
        return [len(ids) > 0 and ids[-1] == eos_token_id for ids in completion_ids]
    return [True] * len(completions) if ended is None else [bool(one) for one in ended]
