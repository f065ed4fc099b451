"""The configuration of one run: what may be asked for, what is filled in, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from align_core.config import model_index
from align_core.config.errors import ConfigError, complaint, flag
from align_core.config.fields import SETTINGS, Float, Int, Seed, declared
from align_core.config.messages import Message
from align_core.config.methods import OfTask, method_named, methods, owners
from align_core.config.task_card import BUILT_IN, TAKES, TaskCard, card, is_code, unnamed


def _known(task: str) -> str:
    if card(task) is None:
        raise ValueError("unknown task")
    return task


def _is_method(method: str) -> str:
    if method_named(method) is None:
        raise ValueError("unknown method")
    return method


TaskName = Annotated[str, AfterValidator(_known), Field(description=TAKES)]


def _known_or_code(task: str) -> str:
    return task if is_code(task) else _known(task)


def _in_order(coverage: str, info: ValidationInfo) -> str:
    """The groups in the order of the task's card, each once; "all" where they are all there are."""
    task = card(info.data.get("task"))
    if task is None or coverage == "all":
        return coverage
    asked = {name.strip() for name in coverage.split(",")}
    if not asked <= set(task.groups):
        raise ValueError("unknown group")
    if len(asked) == len(task.groups):
        return "all"
    return ",".join(name for name in task.groups if name in asked)


Coverage = Annotated[str, AfterValidator(_in_order)]
COVERS = f"{SETTINGS['coverage'].takes}: " + "; ".join(
    f"{', '.join(card(task).groups)} ({task})" for task in BUILT_IN
)


class RunConfig(BaseModel):
    """Everything that decides what a run does. Options its method does not have are None.

    The description of each field is what its error line says that it takes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Annotated[str, AfterValidator(_is_method)] = Field(
        description="one of " + ", ".join(methods())
    )
    # Of a run on disk it may be of code that nobody named in this process.
    task: Annotated[str, AfterValidator(_known_or_code), Field(description=TAKES)]
    model: str = declared("model")
    reward_model: str | None = declared("reward_model", None)
    freeze_trunk: bool = declared("freeze_trunk", False)
    preferences: str | None = declared("preferences", None)
    preference_pairs: Int | None = declared("preference_pairs", None)
    label_noise: Float | None = declared("label_noise", None)
    coverage: Coverage | None = Field(None, validate_default=True, description=COVERS)
    pair_source: str | None = declared("pair_source", None)
    beta: Float | None = declared("beta", None)
    steps: Int = declared("steps")
    learning_rate: Float = declared("learning_rate")
    batch_size: Int = declared("batch_size")
    seed: Seed = 0
    eval_every: Int = declared("eval_every")
    lora_r: Int = declared("lora_r", 0)
    whiten_advantages: bool | None = declared("whiten_advantages", None)
    time_limit: Float | None = declared("time_limit", None)

    @field_validator("coverage", "whiten_advantages", mode="before")
    @classmethod
    def _as_it_always_was(cls, value: Any, info: ValidationInfo) -> Any:
        """The config.json of a run from before there was a choice does not name it."""
        known = method_named(info.data.get("method"))
        return known.options.get(info.field_name) if value is None and known else value

    @field_validator("beta")
    @classmethod
    def _zero_holds_nothing(cls, beta: float | None, info: ValidationInfo) -> float | None:
        known = method_named(info.data.get("method"))
        if beta == 0 and not (known and known.free_beta):
            raise ValueError("zero")
        return beta


Options = TypeVar("Options", bound=BaseModel)


def validated(kind: type[Options], fields: dict[str, Any]) -> tuple[Options | None, list[Message]]:
    """`kind(**fields)` and no lines, or None and the line of every error in `fields`.

    The code of a line is the name of its field, or no_such_option.
    """
    try:
        return kind(**fields), []
    except ValidationError as error:
        lines = []
        for one in error.errors():
            field = str(one["loc"][0])
            if field == "task" and is_code(one["input"]):
                lines.append(unnamed(one["input"]))
            elif one["type"] == "extra_forbidden":
                got = repr(one["input"])
                line = f"{flag(field)} got {got}; there is no such option"
                values = {"option": flag(field), "got": got}
                lines.append(Message("no_such_option", values, line))
            else:
                got = None if one["type"] == "missing" else one["input"]
                takes = kind.model_fields[field].description
                lines.append(complaint(flag(field), got, takes, field))
        return None, lines


def resolve(method: str | None, task: str | None, **given: Any) -> RunConfig:
    """The full configuration: `given` (None means not given) over the defaults of method and task.

    Raises:
        ConfigError: with one line for each error, wherever it is.
    """
    given = {
        option: value
        for option, value in given.items()
        if value is not None and (option, value) != ("freeze_trunk", False)
    }
    lines = _foreign(method, given)
    fields = {"method": method, "task": task, **_filled_in(method, task, given), **given}
    config, errors = validated(RunConfig, fields)
    lines += errors
    if is_code(task) and card(task) is None:
        lines.append(unnamed(task))
    lines += _without_demonstrations(method, card(task))
    # The default models of an unknown task are not errors of their own.
    checked = fields if method_named(method) and card(task) else given
    kinds = {"model": False, "reward_model": True, "pair_source": False}
    for option, is_reward_model in kinds.items():
        name = checked.get(option)
        if isinstance(name, str) and name and (option, name) != ("reward_model", "gold"):
            lines += model_errors(flag(option), name, is_reward_model)
    if isinstance(file := given.get("preferences"), str) and not Path(file).is_file():
        takes = "a JSONL or Parquet file; this is none"
        lines.append(complaint("--preferences", file, takes, "file"))
    if "preferences" in given:
        lines += [
            Message(
                "as_it_is",
                {"option": flag(option), "got": repr(given[option])},
                f"{flag(option)} got {given[option]!r}; a file of --preferences is taken as it is",
            )
            for option in ("coverage", "pair_source")
            if given.get(option, "all") != "all"
        ]
    if config is None or lines:
        raise ConfigError(*lines)
    paths = ("model", "reward_model", "preferences", "pair_source")
    return config.model_copy(update={name: _absolute(getattr(config, name)) for name in paths})


def _without_demonstrations(method: str | None, task: TaskCard | None) -> list[Message]:
    """The line of a method that learns from what the task does not have."""
    known = method_named(method)
    if not known or known.learns_from != "demonstrations" or task is None or task.demonstrations:
        return []
    takes = f"a method that needs no demonstrations: {task.title} has none"
    return [complaint("METHOD", method, takes, "no_demonstrations", task=task.title)]


def has(method: str, option: str) -> bool:
    """Whether a method has an option: one of its own, or one that every method has."""
    return method in (owners(option) or methods())


def _foreign(method: str | None, given: dict[str, Any]) -> list[Message]:
    """The lines of options that only other methods have."""
    return [
        Message(
            "foreign",
            {
                "option": flag(option),
                "got": repr(value),
                "method": method,
                "methods": ", ".join(owners(option)),
            },
            f"{flag(option)} got {value!r}; {method} has no such option, "
            f"only {' and '.join(owners(option))}",
        )
        for option, value in given.items()
        if method_named(method) and not has(method, option)
    ]


def defaults(method: str, task: str) -> dict[str, Any]:
    """What a run of this method and task takes where nothing is given; an option that the method
    does not have is not in it."""
    on_task = card(task)
    own = on_task.options.get(method, {}) if on_task else {}
    found = {**methods()[method].options, **own}
    return {
        option: (getattr(on_task, value.attribute, None) or value.otherwise)
        if isinstance(value, OfTask)
        else value
        for option, value in found.items()
    }


def _filled_in(method: str | None, task: str | None, given: dict[str, Any]) -> dict[str, Any]:
    if not method_named(method) or card(task) is None:  # any will do to find the other errors
        method, task = next(iter(methods())), BUILT_IN[0]
    all_pairs = {"preference_pairs": None} if "preferences" in given else {}  # of the file
    return {**defaults(method, task), **all_pairs}


def _absolute(name: str | None) -> str | None:
    """Paths are stored absolute, so that a run can be resumed from another folder."""
    if name is None or name in ("gold", *model_index.embedded()):
        return name
    path = Path(name).expanduser()
    return str(path.resolve()) if path.exists() else name


class LiveConfig(RunConfig):
    """What may change while a run is live: settings of its configuration, and its pace."""

    delay: Float = declared("delay", 0.0)


def revise(config: RunConfig, **settings: Any) -> LiveConfig:
    """`config` with `beta`, `learning_rate` or `delay` as they change while it runs.

    Raises:
        ConfigError: with one line for each error.
    """
    lines = _foreign(config.method, settings)
    revised, errors = validated(LiveConfig, {**config.model_dump(), **settings})
    if revised is None or lines:
        raise ConfigError(*lines, *errors)
    return revised


def model_errors(option: str, name: str, reward_model: bool | None = None) -> list[Message]:
    """Why `name` is no model, or not of the wanted sort (None: either): lines for a ConfigError."""
    try:
        location = model_index.locate(name)
    except (ValueError, OSError) as error:
        return [complaint(option, name, f"{model_index.TAKES}: {error}", "model")]
    unlike = reward_model is not None and model_index.is_reward_model(location) != reward_model
    if unlike and Path(location).is_dir():
        takes = (
            "a reward model; this is a language model, which writes texts and scores none"
            if reward_model
            else "a language model; this is a reward model, which scores texts and writes none"
        )
        code = "model_that_scores" if reward_model else "model_that_writes"
        return [complaint(option, name, takes, code)]
    return []
