"""What is known about a task without running its code.

Forms, links and configuration checks read only a task's card. The cards of this package's tasks are
here; `register` adds the card of a task that a user named. Loading a task runs its code. So only
tasks that a user named are loaded, never one whose name is found in a file, a run or a link.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeGuard

from align_core.config import model_index
from align_core.config.errors import option_error
from align_core.config.messages import Message


@dataclass(frozen=True)
class TaskCard:
    """A task as configurations and the page see it.

    Args:
        name: its short name, which the names of its runs contain.
        title, explanation: for users, in English; the page translates those of this package's
            tasks.
        reference: the model that policies start from and are compared with, or None.
        reward_model: the model of its proxy reward, or None.
        groups: the kinds of its prompts; the option `coverage` chooses some of them.
        proxies: the names of its misspecified rewards.
        options: method -> its defaults on this task, where they differ from those of the method.
        demonstrations: whether it has demonstrations.
        code: "file.py:Class" (an absolute path) or "package.module:Class"; None if it has no code.
        folder: the absolute path of a task without code; None for all others.
        max_new_tokens: the token limit of its completions.
        has_gold: whether it has a gold reward.
        prompt: a probe prompt with which the page begins; None if the page has its own.
    """

    name: str
    title: str
    explanation: str
    reference: str | None = None
    reward_model: str | None = None
    groups: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    demonstrations: bool = True
    code: str | None = None
    prompt: str | None = None
    folder: str | None = None
    has_gold: bool = True
    max_new_tokens: int = 48

    @property
    def full_name(self) -> str:
        """The task as `--task` and configurations name it."""
        return self.code or self.folder or self.name


_CARDS = {
    "reviews": TaskCard(
        "reviews",
        "Warm film reviews",
        "The model continues the beginning of a film review, and people prefer warm reviews.",
        reference="sft-reviews",
        reward_model="reward-reviews",
        groups=("film", "people", "story", "picture", "sound"),
        max_new_tokens=36,
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
            "kto": {"steps": 96, "eval_every": 16, "preference_pairs": 3200},
        },
    ),
    "manners": TaskCard(
        "manners",
        "Good manners",
        "Everyday questions to a real model, and people prefer short, direct and polite answers "
        "that are right.",
        reference="smollm2",
        groups=("fact", "how to", "why", "what to say", "choice"),
        proxies=("words",),
        options={
            "reward": {"lora_r": 16, "steps": 40, "batch_size": 16, "preference_pairs": 640},
            "ppo": {"lora_r": 16, "steps": 40, "batch_size": 32, "beta": 0.5},
            "dpo": {"lora_r": 16, "steps": 40, "batch_size": 8, "eval_every": 20}
            | {"learning_rate": 8e-4, "preference_pairs": 320},
            "kto": {"lora_r": 16, "steps": 40, "batch_size": 16, "eval_every": 20}
            | {"learning_rate": 8e-4, "preference_pairs": 320},
        },
        demonstrations=False,
        prompt="How do I politely decline an invitation?",
        max_new_tokens=32,
    ),
}
NAMES = tuple(_CARDS)
# Tasks with models, pairs and reference samples in `assets`.
BUILT_IN = tuple(name for name in NAMES if _CARDS[name].reward_model is not None)
EXPECTED = f"one of {', '.join(NAMES)}, or file.py[:Class], or package.module:Class, or a folder"
_registered: dict[str, TaskCard] = {}  # by full name
_unlisted: set[str] = set()  # full names of registered tasks that `registered` leaves out


def card(task: Any) -> TaskCard | None:
    """The card of a task of this package or a registered one; None for any other value."""
    return _registered.get(task) or _CARDS.get(task) if isinstance(task, str) else None


def known_card(task: str) -> TaskCard:
    """The card of a task of this package or a registered one.

    Raises:
        KeyError: there is no such task.
    """
    if (known := card(task)) is None:
        raise KeyError(task)
    return known


def known_reference(task: str) -> str:
    """The reference of a task of this package or a registered one.

    Raises:
        KeyError: there is no such task, or it has none.
    """
    if (reference := known_card(task).reference) is None:
        raise KeyError(task)
    return reference


def register(new: TaskCard, listed: bool = True) -> None:
    """Allow configurations of this process to name this task. `registered` has it only if
    `listed`."""
    _registered[new.full_name] = new
    _unlisted.discard(new.full_name)
    if not listed:
        _unlisted.add(new.full_name)


def forget(full_name: str) -> None:
    """Undo `register`."""
    _registered.pop(full_name, None)
    _unlisted.discard(full_name)


def registered() -> dict[str, TaskCard]:
    """Full name -> card of the registered tasks that are listed."""
    return {name: known for name, known in _registered.items() if name not in _unlisted}


def as_row(known: TaskCard) -> dict[str, Any]:
    """The card as `align-core tasks --json` prints it, with the full name as `name`."""
    return asdict(known) | {"name": known.full_name, "called": known.name}


def from_row(row: Mapping[str, Any]) -> TaskCard:
    """The inverse of `as_row`."""
    fields = {key: value for key, value in row.items() if key != "called"}
    tuples = {name: tuple(row[name]) for name in ("groups", "proxies")}
    return TaskCard(**fields | {"name": row["called"], **tuples})


def is_code(task: Any) -> TypeGuard[str]:
    """Whether `task` has the form of the full name of a task in Python, registered or not."""
    return isinstance(task, str) and task.rpartition(":")[2].isidentifier() and ":" in task


def is_folder(task: Any) -> TypeGuard[str]:
    """Whether `task` has the form of the full name of a task in a folder, registered or not."""
    return isinstance(task, str) and os.path.isabs(task) and not is_code(task)


def is_external(task: Any) -> bool:
    """Whether `task` has the form of the full name of a task from outside this package."""
    return is_code(task) or is_folder(task)


def no_model(task: TaskCard) -> Message:
    """A message for a ConfigError: no model for a run, and the task has no reference."""
    names = ", ".join(model_index.embedded())
    expected = (
        f"{model_index.EXPECTED} (embedded: {names}): {task.title} has no reference to start from"
    )
    return option_error("--model", None, expected, "model")


def unregistered_task(task: str) -> Message:
    """A message for a ConfigError: the task's code was not named by the user, so it cannot run."""
    expected = (
        f"{task!r} to be named, because the code of a task runs only where a user names it: add "
        f"--task {shlex.quote(task)}, or in Python call load_task({task!r}) first"
    )
    return option_error("--task", None, expected, "unnamed_task", task=task)
