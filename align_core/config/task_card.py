"""What is known of a task without running its code.

A form, a link or a check of a configuration needs no more of a task than its card. The cards of the
built-in tasks stand here; `introduce` adds that of a task whose code a person named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class TaskCard:
    """A task as a configuration sees it.

    Args:
        name: what `--task` takes.
        reference: the MODEL that policies start from and are measured against; None: it has none.
        reward_model: the MODEL that stands in for its gold reward; None: it has none.
        groups: the kinds of its prompts, of which a coverage names some.
        options: method -> the defaults that differ from the method's own on this task.
    """

    name: str
    reference: str | None = None
    reward_model: str | None = None
    groups: tuple[str, ...] = ()
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


_CARDS = {
    "reviews": TaskCard(
        "reviews",
        reference="sft-reviews",
        reward_model="reward-reviews",
        groups=("film", "people", "story", "picture", "sound"),
    ),
    "capitals": TaskCard(
        "capitals",
        reference="sft-capitals",
        reward_model="reward-capitals",
        groups=("Africa", "Asia", "Europe", "North America", "Oceania", "South America"),
        options={
            "reward": {"steps": 66, "eval_every": 22, "preference_pairs": 4000},
            "ppo": {"steps": 64, "eval_every": 16, "beta": 0.5},
            "dpo": {"steps": 96, "batch_size": 32, "eval_every": 16, "preference_pairs": 3200},
        },
    ),
}
BUILT_IN = tuple(_CARDS)


def card(task: Any) -> TaskCard | None:
    """The card of a task; None for one that is not built in and was not introduced."""
    return _CARDS.get(task) if isinstance(task, str) else None


def introduce(introduced: TaskCard) -> None:
    """Let configurations of this process name one more task."""
    _CARDS[introduced.name] = introduced
