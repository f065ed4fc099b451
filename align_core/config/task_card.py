"""What is known of a task without running its code.

A form, a link or a check of a configuration needs no more of a task than its card. The cards of the
built-in tasks stand here; `introduce` adds that of a task whose code a person named. A task's code
is code: what names it in a file, a run or an address never imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from align_core.config.errors import complaint
from align_core.config.messages import Message


@dataclass(frozen=True)
class TaskCard:
    """A task as a configuration and the page see it.

    Args:
        name: what its runs are called after.
        title, explanation: to an audience; the page says those of a built-in task in its languages.
        reference: the MODEL that policies start from and are measured against; None: it has none.
        reward_model: the MODEL that stands in for its gold reward; None: it has none.
        groups: the kinds of its prompts, of which a coverage names some.
        options: method -> the defaults that differ from the method's own on this task.
        demonstrations: whether it has some.
        code: "file.py:Class" or "package.module:Class", the file absolute; None: it is built in.
        prompt: one of its probe prompts, for the page to begin with; None: the page has its own.
    """

    name: str
    title: str
    explanation: str
    reference: str | None = None
    reward_model: str | None = None
    groups: tuple[str, ...] = ()
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    demonstrations: bool = True
    code: str | None = None
    prompt: str | None = None

    @property
    def full_name(self) -> str:
        """What `--task` takes and a configuration stores."""
        return self.code or self.name


_CARDS = {
    "reviews": TaskCard(
        "reviews",
        "Warm film reviews",
        "The model continues the beginning of a film review, and people prefer warm reviews.",
        reference="sft-reviews",
        reward_model="reward-reviews",
        groups=("film", "people", "story", "picture", "sound"),
    ),
    "capitals": TaskCard(
        "capitals",
        "Capitals of the world",
        "The model has heard right, wrong, rambling and evasive answers, and people prefer "
        "the right one, said directly.",
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
TAKES = f"one of {', '.join(BUILT_IN)}, or file.py[:Class], or package.module:Class"


def card(task: Any) -> TaskCard | None:
    """The card of a task; None for one that is not built in and was not introduced."""
    return _CARDS.get(task) if isinstance(task, str) else None


def introduce(introduced: TaskCard) -> None:
    """Let configurations of this process name one more task."""
    _CARDS[introduced.full_name] = introduced


def introduced() -> dict[str, TaskCard]:
    """The cards that are not built in, by their full names: a person named the code of each."""
    return {name: known for name, known in _CARDS.items() if name not in BUILT_IN}


def as_row(known: TaskCard) -> dict[str, Any]:
    """A card as `align-core tasks --json` prints it; there `name` is the full one."""
    return asdict(known) | {"name": known.full_name, "called": known.name}


def from_row(row: Mapping[str, Any]) -> TaskCard:
    """The card that `as_row` wrote."""
    kept = {key: value for key, value in row.items() if key != "called"}
    return TaskCard(**kept | {"name": row["called"], "groups": tuple(row["groups"])})


def is_code(task: Any) -> bool:
    """Whether this is the full name of a task of code, known here or not."""
    return isinstance(task, str) and task.rpartition(":")[2].isidentifier() and ":" in task


def unnamed(task: str) -> Message:
    """A line for a ConfigError: the code of this task was not named by who sits here."""
    takes = f"{task!r}: a task's code runs only where a person names it"
    return complaint("--task", None, takes, "unnamed_task", task=task)
