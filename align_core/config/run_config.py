"""The configuration of one run: what may be asked for, what is filled in, what is refused.

Every error of a configuration is told at once, in lines that name the option, what it got and
what it takes, so that a person mends a command in one go.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from align_core.config import model_index
from align_core.config.messages import Told

Method = Literal["sft", "reward", "ppo", "dpo"]
Task = Literal["reviews", "capitals"]
METHODS = get_args(Method)
TASK_NAMES = get_args(Task)
# What the prompts of a task fall into (`Task.group`): a coverage names some of them.
GROUPS = {
    "reviews": ("film", "people", "story", "picture", "sound"),
    "capitals": ("Africa", "Asia", "Europe", "North America", "Oceania", "South America"),
}

# The run that the page shows first. Batch: texts (sft), pairs (reward, dpo), episodes (ppo).
_COLUMNS = ("steps", "learning_rate", "batch_size", "eval_every", "beta", "preference_pairs")
_DEFAULTS = {
    ("sft", "reviews"): (240, 5e-4, 32, 20, None, None),
    ("sft", "capitals"): (240, 5e-4, 32, 20, None, None),
    ("reward", "reviews"): (60, 1e-3, 64, 10, None, 2000),
    ("reward", "capitals"): (66, 1e-3, 64, 22, None, 4000),
    ("ppo", "reviews"): (60, 4e-4, 128, 10, 0.7, None),
    ("ppo", "capitals"): (64, 4e-4, 128, 16, 0.5, None),
    ("dpo", "reviews"): (250, 4e-4, 16, 63, 0.5, 4000),
    ("dpo", "capitals"): (96, 4e-4, 32, 16, 0.5, 3200),
}

# Options that only some methods have; all the others belong to every method.
ONLY_FOR = {
    "reward_model": ("ppo",),
    "freeze_trunk": ("reward",),
    "preferences": ("reward", "dpo"),
    "preference_pairs": ("reward", "dpo"),
    "label_noise": ("reward", "dpo"),
    "coverage": ("reward", "dpo"),
    "pair_source": ("reward", "dpo"),
    "beta": ("ppo", "dpo"),
    "whiten_advantages": ("ppo",),
}
# What the methods that have it do unless told otherwise, the same on every task.
_USUAL = {"label_noise": 0.0, "coverage": "all", "whiten_advantages": True}


class ConfigError(ValueError):
    """Bad input. `lines` holds one line for each error; those of `complaint` say what they tell."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = list(lines)


class Collected:
    """Adds the lines of a ConfigError raised inside to `lines`, so that the next check follows."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if isinstance(error, ConfigError):
            self._lines += error.lines
        return isinstance(error, ConfigError)


def raise_collected(lines: list[str]) -> None:
    """Raise a ConfigError with all of `lines`, where there are any."""
    if lines:
        raise ConfigError(*lines)


def complaint(option: str, got: Any, takes: str, kind: str = "", **values: Any) -> Told:
    """One line of a `ConfigError`: the option, what it got, what it takes.

    Its `kind` names what it takes; `values` are the numbers in that.
    """
    shown = "nothing" if got is None else repr(got) if isinstance(got, str) else str(got)
    shown = " ".join(shown.split())
    if len(shown) > 80:
        shown = shown[:77] + "..."
    line = f"{option} got {shown}; it takes {takes}"
    return Told(line, kind, option=option, got=shown, **values)


def flag(field: str) -> str:
    """The name of a field as the command line spells it: learning_rate -> --learning-rate."""
    if field == "method":
        return "METHOD"
    return "-" + field if len(field) == 1 else "--" + field.replace("_", "-")


def _refuse_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a boolean is not a number")
    return value


Int = Annotated[int, BeforeValidator(_refuse_boolean)]
Float = Annotated[float, BeforeValidator(_refuse_boolean), Field(allow_inf_nan=False)]
Seed = Annotated[Int, Field(ge=0, lt=2**32, description="a whole number from 0 to 4294967295")]
Temperature = Annotated[Float, Field(gt=0, le=10, description="a number above 0, at most 10")]
TaskName = Annotated[Task, Field(description="one of " + ", ".join(TASK_NAMES))]


def _in_order(coverage: str, info: ValidationInfo) -> str:
    """The groups in the order of GROUPS, each once; "all" where they are all there are."""
    groups = GROUPS.get(info.data.get("task"))
    if groups is None or coverage == "all":
        return coverage
    asked = {name.strip() for name in coverage.split(",")}
    if not asked <= set(groups):
        raise ValueError("unknown group")
    return ",".join(name for name in groups if name in asked) if len(asked) < len(groups) else "all"


Coverage = Annotated[str, AfterValidator(_in_order)]
COVERS = "'all', or groups of prompts with commas between: " + "; ".join(
    f"{', '.join(groups)} ({task})" for task, groups in GROUPS.items()
)


class RunConfig(BaseModel):
    """Everything that decides what a run does. Options its method does not have are None.

    The description of each field is what its error line says that it takes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Method = Field(description="one of " + ", ".join(METHODS))
    task: TaskName
    model: str = Field(min_length=1, description=model_index.TAKES)
    reward_model: str | None = Field(
        None, min_length=1, description=f"'gold' (the task's own reward), or {model_index.TAKES}"
    )
    freeze_trunk: bool = Field(False, description="true or false")
    preferences: str | None = Field(None, description="a JSONL or Parquet file")
    preference_pairs: Int | None = Field(
        None, ge=1, le=1_000_000, description="a whole number of pairs from 1 to 1000000"
    )
    label_noise: Float | None = Field(
        None, ge=0, le=0.5, description="a share of labels from 0 to 0.5"
    )
    coverage: Coverage | None = Field(None, validate_default=True, description=COVERS)
    pair_source: str | None = Field(
        None, min_length=1, description=f"the model that writes the pairs: {model_index.TAKES}"
    )
    beta: Float | None = Field(
        None, ge=0, le=1000, description="a number above 0, at most 1000 (0 itself only with ppo)"
    )
    steps: Int = Field(ge=1, le=1_000_000, description="a whole number from 1 to 1000000")
    learning_rate: Float = Field(gt=0, le=1, description="a number above 0, at most 1")
    batch_size: Int = Field(ge=1, le=65_536, description="a whole number from 1 to 65536")
    seed: Seed = 0
    eval_every: Int = Field(ge=1, description="a whole number of steps, 1 or more")
    lora_r: Int = Field(0, ge=0, le=1024, description="a whole number from 0 (no LoRA) to 1024")
    whiten_advantages: bool | None = Field(None, validate_default=True, description="true or false")
    time_limit: Float | None = Field(None, gt=0, description="a number of seconds above 0")

    @field_validator("coverage", "whiten_advantages", mode="before")
    @classmethod
    def _as_it_always_was(cls, value: Any, info: ValidationInfo) -> Any:
        """The config.json of a run from before there was a choice does not name it."""
        has_it = info.data.get("method") in ONLY_FOR[info.field_name]
        return _USUAL[info.field_name] if value is None and has_it else value

    @field_validator("beta")
    @classmethod
    def _zero_is_for_ppo(cls, beta: float | None, info: ValidationInfo) -> float | None:
        if beta == 0 and info.data.get("method") != "ppo":
            raise ValueError("zero")
        return beta


Options = TypeVar("Options", bound=BaseModel)


def validated(kind: type[Options], fields: dict[str, Any]) -> tuple[Options | None, list[str]]:
    """`kind(**fields)` and no lines, or None and the line of every error in `fields`.

    The kind of a line is the name of its field.
    """
    try:
        return kind(**fields), []
    except ValidationError as error:
        lines = []
        for one in error.errors():
            field = str(one["loc"][0])
            if one["type"] == "extra_forbidden":
                got = repr(one["input"])
                line = f"{flag(field)} got {got}; there is no such option"
                lines.append(Told(line, "no_such_option", option=flag(field), got=got))
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
    # The default models of an unknown task are not errors of their own.
    checked = fields if method in METHODS and task in TASK_NAMES else given
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
            Told(
                f"{flag(option)} got {given[option]!r}; a file of --preferences is taken as it is",
                "as_it_is",
                option=flag(option),
                got=repr(given[option]),
            )
            for option in ("coverage", "pair_source")
            if given.get(option, "all") != "all"
        ]
    if config is None or lines:
        raise ConfigError(*lines)
    paths = ("model", "reward_model", "preferences", "pair_source")
    return config.model_copy(update={name: _absolute(getattr(config, name)) for name in paths})


def _foreign(method: str | None, given: dict[str, Any]) -> list[str]:
    """The lines of options that only other methods have."""
    return [
        Told(
            f"{flag(option)} got {value!r}; {method} has no such option, "
            f"only {' and '.join(ONLY_FOR[option])}",
            "foreign",
            option=flag(option),
            got=repr(value),
            method=method,
            methods=", ".join(ONLY_FOR[option]),
        )
        for option, value in given.items()
        if method in METHODS and method not in ONLY_FOR.get(option, METHODS)
    ]


def defaults(method: str, task: str) -> dict[str, Any]:
    """What a run of this method and task takes where nothing is given; None: it has no such."""
    found: dict[str, Any] = dict(zip(_COLUMNS, _DEFAULTS[method, task], strict=True))
    found["model"] = "pretrained" if method == "sft" else f"sft-{task}"
    found["reward_model"] = f"reward-{task}" if method in ONLY_FOR["reward_model"] else None
    usual = {name: usual if method in ONLY_FOR[name] else None for name, usual in _USUAL.items()}
    return found | usual


def _filled_in(method: str | None, task: str | None, given: dict[str, Any]) -> dict[str, Any]:
    if method not in METHODS or task not in TASK_NAMES:  # any row serves to find the other errors
        method, task = "dpo", TASK_NAMES[0]
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

    delay: Float = Field(0.0, ge=0, le=10, description="a number of seconds from 0 to 10")


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


def model_errors(option: str, name: str, reward_model: bool | None = None) -> list[str]:
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
        kind = "model_that_scores" if reward_model else "model_that_writes"
        return [complaint(option, name, takes, kind)]
    return []
