"""The configuration of one run: its fields, its defaults and its validation."""

from __future__ import annotations

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
from pydantic.fields import FieldInfo

from align_core.config import model_index
from align_core.config.errors import ConfigError, flag, listed, option_error, shown
from align_core.config.fields import (
    SETTINGS,
    Device,
    Float,
    Int,
    LoraLayers,
    Precision,
    Seed,
    declared,
)
from align_core.config.messages import Message
from align_core.config.methods import FromTask, Method, method_named, methods
from align_core.config.model_size import FULL_SIZE, evaluation_size
from align_core.config.option_checks import (
    MODEL_OPTIONS,
    foreign,
    has,
    lone_text,
    names_reward,
    uneven_groups,
    without_demonstrations,
    without_gold,
    wrong_models,
    wrong_preferences,
)
from align_core.config.task_card import (
    BUILT_IN,
    EXPECTED,
    NAMES,
    TaskCard,
    card,
    is_code,
    is_external,
    is_folder,
    known_card,
    no_model,
    unregistered_task,
)


def _check_task(task: str) -> str:
    if card(task) is None:
        raise ValueError("unknown task")
    return task


def _check_method(method: str) -> str:
    if method_named(method) is None:
        raise ValueError("unknown method")
    return method


TaskName = Annotated[str, AfterValidator(_check_task), Field(description=EXPECTED)]


def _check_task_or_code(task: str) -> str:
    return task if is_external(task) else _check_task(task)


def _ordered_groups(coverage: str, info: ValidationInfo) -> str:
    """The groups, each once and in the order of the task's card; "all" if none is missing."""
    task = card(info.data.get("task"))
    if task is None or coverage == "all":
        return coverage
    groups = {name.strip() for name in coverage.split(",")}
    if not groups <= set(task.groups):
        raise ValueError("unknown group")
    if len(groups) == len(task.groups):
        return "all"
    return ",".join(name for name in task.groups if name in groups)


Coverage = Annotated[str, AfterValidator(_ordered_groups)]
EXPECTED_COVERAGE = f"{SETTINGS['coverage'].expected}: " + "; ".join(
    f"{', '.join(known_card(task).groups)} ({task})" for task in NAMES
)


class RunConfig(BaseModel):
    """Everything that determines a run. Options that its method does not have are None.

    The description of each field is the "expected …" of its error message.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Annotated[str, AfterValidator(_check_method)] = Field(description="one of {methods}")
    # A run on disk may be of a task whose code is not loaded in this process.
    task: Annotated[str, AfterValidator(_check_task_or_code), Field(description=EXPECTED)]
    model: str = declared("model")
    reward_model: str | None = declared("reward_model", None)
    freeze_trunk: bool = declared("freeze_trunk", False)
    preferences: str | None = declared("preferences", None)
    preference_pairs: Int | None = declared("preference_pairs", None)
    label_noise: Float | None = declared("label_noise", None)
    coverage: Coverage | None = Field(None, validate_default=True, description=EXPECTED_COVERAGE)
    pair_source: str | None = declared("pair_source", None)
    beta: Float | None = declared("beta", None)
    steps: Int = declared("steps")
    learning_rate: Float = declared("learning_rate")
    batch_size: Int = declared("batch_size")
    seed: Seed = 0
    eval_every: Int = declared("eval_every")
    # The defaults are those of older versions, for their runs; `resolve` sets both by the model's
    # size.
    eval_prompts: Int = declared("eval_prompts", FULL_SIZE.prompts)
    eval_samples: Int = declared("eval_samples", FULL_SIZE.samples)
    lora_r: Int = declared("lora_r", 0)
    lora_layers: LoraLayers = declared("lora_layers", None)
    whiten_advantages: bool | None = declared("whiten_advantages", None)
    loss: str | None = declared("loss", None)
    scale_rewards: str | None = declared("scale_rewards", None)
    importance: str | None = declared("importance", None)
    group_size: Int | None = declared("group_size", None)
    scale: Float | None = declared("scale", None)
    margin: Float | None = declared("margin", None)
    odds_weight: Float | None = declared("odds_weight", None)
    precision: Precision | None = declared("precision", None)
    device: Device | None = declared("device", None)
    time_limit: Float | None = declared("time_limit", None)

    @field_validator("coverage", "whiten_advantages", "loss", mode="before")
    @classmethod
    def _default_of_older_runs(cls, value: Any, info: ValidationInfo) -> Any:
        """The value; the method's default where the config.json of an older run has none."""
        known = method_named(info.data.get("method"))
        return known.options.get(str(info.field_name)) if value is None and known else value

    @field_validator("loss", "scale_rewards", "importance")
    @classmethod
    def _check_choice(cls, value: str | None, info: ValidationInfo) -> str | None:
        known = method_named(info.data.get("method"))
        if value is not None and known and value not in known.choices.get(str(info.field_name), ()):
            raise ValueError("unknown choice")
        return value

    @field_validator("beta")
    @classmethod
    def _check_zero_beta(cls, beta: float | None, info: ValidationInfo) -> float | None:
        known = method_named(info.data.get("method"))
        if beta == 0 and not (known and known.free_beta):
            raise ValueError("zero")
        return beta


def expected(name: str, field: FieldInfo, method: Method | None = None) -> str:
    """The description of the field's valid values, with the names of methods filled in, and the
    choices of the method, or of every method."""
    return (field.description or "").format(
        methods=", ".join(methods()),
        free_beta=listed([name for name, method in methods().items() if method.free_beta]),
        choices=_choices(name, method),
    )


def _choices(name: str, method: Method | None) -> str:
    if method is not None:
        return ", ".join(method.choices.get(name, ()))
    known = [
        (record, record.choices[name]) for record in methods().values() if name in record.choices
    ]
    return "; ".join(f"{', '.join(choices)} ({record.name})" for record, choices in known)


Options = TypeVar("Options", bound=BaseModel)


def validated(kind: type[Options], fields: dict[str, Any]) -> tuple[Options | None, list[Message]]:
    """`kind(**fields)` and no messages, or None and a message for every error in `fields`.

    The code of a message is the name of its field, or no_such_option.
    """
    try:
        return kind(**fields), []
    except ValidationError as error:
        lines = []
        for details in error.errors():
            field, value = str(details["loc"][0]), details["input"]
            if field == "task" and is_code(value):
                lines.append(unregistered_task(value))
            elif details["type"] == "extra_forbidden":
                got = shown(value)
                line = f"{flag(field)} got {got}; there is no such option"
                values = {"option": flag(field), "got": got}
                lines.append(Message("no_such_option", values, line))
            else:
                value = None if details["type"] == "missing" else value
                field_info = kind.model_fields[field]
                method = method_named(fields.get("method"))
                has_choices = "{choices}" in (field_info.description or "")
                values = {"choices": _choices(field, method)} if has_choices else {}
                expected_values = expected(field, field_info, method)
                lines.append(option_error(flag(field), value, expected_values, field, **values))
        return None, lines


def resolve(method: str | None, task: str | None, **options: Any) -> RunConfig:
    """The full configuration: the defaults of method and task, replaced by `options` that are not
    None.

    Raises:
        ConfigError: one message for every error.
    """
    explicit = {
        option: value
        for option, value in options.items()
        if value is not None and not (option == "freeze_trunk" and value is False)
    }
    known_method, known_task = method_named(method), card(task)
    lines = foreign(known_method, explicit)
    method_options = {
        name: value
        for name, value in explicit.items()
        if known_method is None or has(known_method.name, name)
    }
    fallback = _defaults_for_checks(method, task, explicit)
    fields = {"method": method, "task": task, **fallback, **method_options}
    fields = _evaluation_options(fields, known_task) | fields
    config, errors = validated(RunConfig, fields)
    if fields["model"] is None and known_task:
        errors = [line for line in errors if line.code != "model"] + [no_model(known_task)]
    lines += errors
    if known_task is None and is_code(task):
        lines.append(unregistered_task(task))
    if known_task is None and is_folder(task):
        lines.append(option_error("--task", task, EXPECTED, "task"))
    lines += without_demonstrations(known_method, known_task)
    lines += without_gold(fields, known_task)
    lines += uneven_groups(config)
    lines += lone_text(known_method, config)
    # An unknown task is one error; the models of the task in its place must not add others.
    lines += wrong_models(fields if known_method and known_task else explicit, known_task)
    lines += wrong_preferences(explicit)
    if config is None or lines:
        raise ConfigError(*lines)
    model_options = {name: getattr(config, name) for name in (*MODEL_OPTIONS, "preferences")}
    paths = {
        name: model_index.absolute(value)
        for name, value in model_options.items()
        if value and not names_reward(name, value, known_task)
    }
    return config.model_copy(update=paths)


def _evaluation_options(fields: dict[str, Any], task: TaskCard | None) -> dict[str, Any]:
    """eval_prompts and eval_samples, by the size of the model and the token limit."""
    if task is None:
        return {}
    size = evaluation_size(fields["model"], task.max_new_tokens)
    return {"eval_prompts": size.prompts, "eval_samples": size.samples}


def defaults(method: str, task: str) -> dict[str, Any]:
    """Option -> default for a run of this method on this task; only options of the method."""
    task_card, record = card(task), methods()[method]
    tuned = task_card.options if task_card else {}
    overrides = tuned.get(method) or tuned.get(record.tuned_as or "", {})
    applicable = {name: value for name, value in overrides.items() if has(method, name)}
    options = {**record.options, **applicable}
    return {
        option: (getattr(task_card, value.attribute, None) or value.otherwise)
        if isinstance(value, FromTask)
        else value
        for option, value in options.items()
    }


def _defaults_for_checks(
    method: str | None, task: str | None, explicit: dict[str, Any]
) -> dict[str, Any]:
    """The defaults of method and task. If either is invalid, those of a valid method and task, so
    that the other options can still be checked."""
    if method is None or task is None or not method_named(method) or not card(task):
        method, task = next(iter(methods())), BUILT_IN[0]
    all_pairs = {"preference_pairs": None} if "preferences" in explicit else {}  # the whole file
    return {**defaults(method, task), **all_pairs}


class LiveConfig(RunConfig):
    """A configuration of a live run, which can also have a delay between its steps."""

    delay: Float = declared("delay", 0.0)


def revise(config: RunConfig, **settings: Any) -> LiveConfig:
    """`config` with new values of `beta`, `learning_rate` or `delay`, which may change in a run.

    Raises:
        ConfigError: one message for each error.
    """
    lines = foreign(method_named(config.method), settings)
    revised, errors = validated(LiveConfig, {**config.model_dump(), **settings})
    if revised is None or lines:
        raise ConfigError(*lines, *errors)
    return revised
