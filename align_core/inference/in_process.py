"""Queries of the command line and of scripts, executed in this process once options are valid.

`arguments` holds the options of a command, None if an option was not given. Each function raises
a ConfigError with the errors in `lines` and all further errors, before anything heavy is imported.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from align_core.config import model_index
from align_core.config.errors import ConfigError, option_error, raise_collected
from align_core.config.fields import Float, Int, Seed, Share, Temperature
from align_core.config.messages import Message, is_text
from align_core.config.model_size import evaluation_size
from align_core.config.run_config import (
    EXPECTED_COVERAGE,
    Coverage,
    TaskName,
    validated,
)
from align_core.config.task_card import BUILT_IN
from align_core.tasks import get_task
from align_core.tasks.loader import read_if_folder
from align_core.tasks.task import part_columns

_DEFAULT_PROMPTS = 8
_TEXT = "a text of one character or more"


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid")

    task: TaskName


EXPECTED_REWARD = f"'gold' (the task's own reward), or {model_index.EXPECTED}"
EXPECTED_BETA = "a number above 0, at most 1000"
EXPECTED_SAMPLES = "a whole number of texts per prompt from 1 to 1024"
EXPECTED_COUNT = "a whole number of texts from 2 to 256"
Count = Annotated[Int | None, Field(ge=2, le=256, description=EXPECTED_COUNT)]


class _Evaluate(_Options):
    reference: str | None = Field(None, description=model_index.EXPECTED)
    prompts: Int | None = Field(
        None, ge=1, le=128, description="a whole number of prompts from 1 to 128"
    )
    coverage: Coverage | None = Field(None, description=EXPECTED_COVERAGE)
    seed: Seed = 0
    realign: Share = None
    best_of: Count = None
    reward_model: str | None = Field(None, description=EXPECTED_REWARD)
    beta: Float | None = Field(None, gt=0, le=1000, description=EXPECTED_BETA)
    samples: Int | None = Field(None, ge=1, le=1024, description=EXPECTED_SAMPLES)


class _Generate(_Options):
    n: Int = Field(4, ge=1, le=1024, description="a whole number of samples from 1 to 1024")
    temperature: Temperature = 1.0
    seed: Seed = 0
    realign: Share = None
    best_of: Count = None
    reward_model: str | None = Field(None, description=EXPECTED_REWARD)


def queries() -> ModuleType:
    """The module `queries`, imported only when needed because torch takes seconds."""
    from align_core.inference import queries
    from align_core.models.libraries import silence_libraries

    silence_libraries()
    return queries


def evaluate(model: str, lines: list[Message], **arguments: Any) -> dict[str, Any]:
    """`queries.evaluate` with the options of the command in `arguments`.

    By default 128 prompts, and fewer for a large model.
    """
    is_sampled = any(arguments.get(name) is not None for name in ("realign", "best_of", "beta"))
    options = _checked(_Evaluate, model, arguments, lines, False if is_sampled else None)
    _check_best_of(arguments, options, lines)
    _check_beta(options, lines)
    if isinstance(arguments.get("reference"), str):
        lines += model_index.model_errors("--reference", arguments["reference"], reward_model=False)
    raise_collected(lines)
    default = 2 * evaluation_size(model, get_task(options.task).max_new_tokens).prompts
    settings = {
        "prompts": options.prompts or default,
        "reward_model": _model_name(options.reward_model),
    }
    return queries().evaluate(model, **options.model_dump() | settings)


def generate(
    model: str, prompts: str | Iterable[str] | None, lines: list[Message], **arguments: Any
) -> list[dict[str, Any]]:
    """`queries.generate` with the options of the command in `arguments`.

    `prompts` is one text or several; if None, the first of the task's probe prompts are used.
    """
    options = _checked(_Generate, model, arguments, lines, reward_model=False)
    _check_best_of(arguments, options, lines)
    texts = None if prompts is None else _texts("--prompt", prompts, lines)
    raise_collected(lines)
    texts = texts or get_task(options.task).prompts("probe")[:_DEFAULT_PROMPTS]
    settings = {"prompts": texts, "reward_model": _model_name(options.reward_model)}
    return queries().generate(model, **options.model_dump() | settings)


def score(
    model: str | None,
    prompt: str | None,
    completions: str | Iterable[str] | None,
    lines: list[Message],
    **arguments: Any,
) -> list[dict[str, Any]]:
    """`queries.score` with the task in `arguments`, for one or several `completions`.

    Without a model: the scores of each part of the task's reward, before its weight and the scale.
    """
    if model is None:
        options, errors = validated(_Options, {k: v for k, v in arguments.items() if v is not None})
        lines += errors
    else:
        options = _checked(_Options, model, arguments, lines)
    if not is_text(prompt):
        lines.append(option_error("--prompt", prompt, _TEXT))
    texts = _texts("--completion", completions, lines)
    if options is None or prompt is None or lines:
        raise ConfigError(*lines)
    if model is None:
        return _raw_scores(options.task, prompt, texts)
    return queries().score(model, options.task, prompt, texts)


def _check_best_of(
    arguments: dict[str, Any], options: _Evaluate | _Generate | None, lines: list[Message]
) -> None:
    """Append the errors of --best-of and --reward-model, alone and together with other options."""
    count, reward_model = arguments.get("best_of"), arguments.get("reward_model")
    if count is not None and arguments.get("realign") is not None:
        expected = "none with --realign: give one of the two"
        lines.append(option_error("--best-of", count, expected))
    if reward_model is not None and count is None:
        expected = "none without --best-of, whose texts it chooses"
        lines.append(option_error("--reward-model", reward_model, expected))
    if isinstance(reward_model, str) and _model_name(reward_model):
        lines += model_index.model_errors("--reward-model", reward_model, reward_model=True)
    elif count is not None and options and not get_task(options.task).has_gold:
        expected = "a reward model: the task has no reward of its own"
        lines.append(option_error("--reward-model", reward_model, expected))


def _check_beta(options: _Evaluate | None, lines: list[Message]) -> None:
    """Append the error of a --beta whose optimum the model cannot be compared with."""
    if options is None or options.beta is None:
        return
    if options.best_of is not None:
        lines.append(
            option_error("--beta", options.beta, "none with --best-of: its KL is not known")
        )
    elif not get_task(options.task).has_gold:
        expected = "none: the task has no reward of its own, so its optimum is not known"
        lines.append(option_error("--beta", options.beta, expected))


def _model_name(reward_model: str | None) -> str | None:
    """The model that --reward-model names; None for the gold reward, which is the default."""
    return None if reward_model == "gold" else reward_model


def _texts(option: str, value: Any, lines: list[Message]) -> list[str]:
    """The value as a list of texts: one text, or several. Appends an error to `lines` for each
    item that is not a text."""
    several = isinstance(value, Iterable) and not isinstance(value, str)
    texts = list(value) if several else [value]
    lines += [option_error(option, text, _TEXT) for text in texts or [None] if not is_text(text)]
    return texts


def _raw_scores(task: str, prompt: str, completions: list[str]) -> list[dict[str, Any]]:
    parts = get_task(task).scores([prompt] * len(completions), completions)
    if not parts:
        expected = "a model, or a task whose reward has parts"
        raise ConfigError(option_error("MODEL", None, expected))
    texts = [{"prompt": prompt, "completion": text} for text in completions]
    return [text | part for text, part in zip(texts, part_columns(parts), strict=True)]


def _checked(
    kind: type[_Options],
    model: str,
    arguments: dict[str, Any],
    lines: list[Message],
    reward_model: bool | None = None,
) -> Any:
    """The validated options, None if invalid; the task defaults to that of the model."""
    fields = {name: value for name, value in arguments.items() if value is not None}
    if "task" not in fields and (task := model_index.task_of(model)):
        fields["task"] = read_if_folder(task, lines)
    invalid_model = model_index.model_errors("MODEL", model, reward_model)
    if invalid_model:  # the task may be missing only because the model is unknown
        fields.setdefault("task", BUILT_IN[0])
    options, errors = validated(kind, fields)
    lines += invalid_model + errors
    return options
