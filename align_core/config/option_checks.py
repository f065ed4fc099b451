"""The checks of a run's options against its method and task: each returns the errors it finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from align_core.config import model_index
from align_core.config.errors import flag, listed, option_error, shown
from align_core.config.messages import Message, is_text
from align_core.config.methods import Method, methods, methods_with
from align_core.config.paths import user_path
from align_core.config.task_card import TaskCard

if TYPE_CHECKING:
    from align_core.config.run_config import RunConfig

# Option that names a model -> whether it must be a reward model.
MODEL_OPTIONS = {"model": False, "reward_model": True, "pair_source": False}


def has(method: str, option: str) -> bool:
    """Whether the method has this option. All methods have those that no record lists, such as
    `seed`."""
    return method in (methods_with(option) or methods())


def foreign(method: Method | None, explicit: dict[str, Any]) -> list[Message]:
    """The errors of options that only other methods have."""
    if method is None:
        return []
    return [
        Message(
            "foreign",
            {
                "option": flag(option),
                "got": shown(value),
                "method": method.name,
                "methods": ", ".join(methods_with(option)),
            },
            f"{flag(option)} got {shown(value)}; {method.name} has no such option, "
            f"only {listed(methods_with(option))}",
        )
        for option, value in explicit.items()
        if not has(method.name, option)
    ]


def without_demonstrations(method: Method | None, task: TaskCard | None) -> list[Message]:
    """The error of a method that needs demonstrations on a task without any."""
    if method is None or method.learns_from != "demonstrations":
        return []
    if task is None or task.demonstrations:
        return []
    expected = f"a method that needs no demonstrations: {task.title} has none"
    return [option_error("METHOD", method.name, expected, "no_demonstrations", task=task.title)]


def without_gold(fields: dict[str, Any], task: TaskCard | None) -> list[Message]:
    """The errors of options that need a gold reward, on a task without one."""
    if task is None or task.has_gold:
        return []
    lines = []
    if fields.get("reward_model") == "gold":
        expected = f"a reward model: {task.title} has no reward of its own"
        lines.append(option_error("--reward-model", "gold", expected))
    if fields.get("pair_source") is not None:
        expected = f"no value: {task.title} has no reward to label new pairs with"
        lines.append(option_error("--pair-source", fields["pair_source"], expected))
    return lines


def names_reward(option: str, name: Any, task: TaskCard | None) -> bool:
    """Whether an option names a reward of the task, its gold reward or a misspecified one, rather
    than a model."""
    return option == "reward_model" and name in ("gold", *(task.proxies if task else ()))


def wrong_models(fields: dict[str, Any], task: TaskCard | None) -> list[Message]:
    """The errors of options that name a model."""
    lines = []
    for option, is_reward_model in MODEL_OPTIONS.items():
        name = fields.get(option)
        if is_text(name) and not names_reward(option, name, task):
            lines += model_index.model_errors(flag(option), name, is_reward_model)
    return lines


def wrong_preferences(explicit: dict[str, Any]) -> list[Message]:
    """The errors of a missing preference file, and of options that do not apply to a file."""
    if "preferences" not in explicit:
        return []
    file, lines = explicit["preferences"], []
    try:
        exists = not isinstance(file, str) or user_path(file).is_file()
    except ValueError:
        exists = False
    if not exists:
        expected = "a JSONL or Parquet file; there is no such file"
        lines.append(option_error("--preferences", file, expected, "file"))
    for option in ("coverage", "pair_source"):
        if (got := shown(explicit.get(option, "all"))) != "'all'":
            values = {"option": flag(option), "got": got}
            line = f"{flag(option)} got {got}; a file of --preferences is used as it is"
            lines.append(Message("as_it_is", values, line))
    return lines


def uneven_groups(config: RunConfig | None) -> list[Message]:
    """The error of a batch that does not consist of whole groups."""
    if config is None or config.group_size is None or config.batch_size % config.group_size == 0:
        return []
    expected = f"a divisor of --batch-size, {config.batch_size}"
    values = {"batch_size": config.batch_size}
    return [option_error("--group-size", config.group_size, expected, "uneven", **values)]


def lone_text(method: Method | None, config: RunConfig | None) -> list[Message]:
    """The error of a batch of one text, for a method that compares the texts of a batch."""
    if method is None or config is None or method.learns_from != "ratings":
        return []
    if config.batch_size > 1:
        return []
    expected = "2 or more: the texts of a batch are compared with each other"
    return [option_error("--batch-size", config.batch_size, expected, "lone_text")]
