"""The record of a training method, and the check of records from other packages."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    create_model,
)

from align_core.config.charts import CHECKED, Chart, Text
from align_core.config.errors import ConfigError, raise_collected
from align_core.config.fields import SETTINGS, declared
from align_core.config.messages import plain

_REQUIRED = {"model", "steps", "learning_rate", "batch_size", "eval_every"}
# Options that every run has, so that no record lists them.
_COMMON_OPTIONS = {"seed", "lora_r", "lora_layers", "precision", "device", "time_limit", "delay"}
PAIRS = {
    "preferences": None,
    "label_noise": 0.0,
    "coverage": "all",
    "pair_source": None,
}
# The name of a method, which is a part of the names of its runs and of links.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
# The optimum of a method's objective: the policy that it approaches with enough data and steps. Two
# of these are computed from samples of the reference (`align_core.optimum`): "kl", π_ref·exp(r/β),
# which maximises reward − β·KL, and "chi2", whose penalty adds the χ² divergence to the KL. The
# others are not computed; `frontier.sought` in the page's texts has a sentence on each:
#   grouped     of GRPO, which normalises rewards within a group of texts
#   bounded     of a bounded loss
#   margin      of a loss that pushes the texts of every pair the same margin apart
#   preference  of a loss that depends on how often a text is preferred, not on its reward
#   per_token   of a loss that compares means over tokens
#   flipped     of a loss that assumes that a share of the labels is flipped
#   another     any other, or one that is not known
Optimum = Literal[
    "kl", "chi2", "grouped", "bounded", "margin", "preference", "per_token", "flipped", "another"
]


@dataclass(frozen=True)
class FromTask:
    """A default from the task: an attribute of its `TaskCard`, or `otherwise` if that is None."""

    __pydantic_config__ = CHECKED

    attribute: Literal["reference", "reward_model"]
    otherwise: str | None = None


@dataclass(frozen=True)
class Method:
    """A training method.

    Args:
        name: METHOD on the command line.
        learns_from: its training data: demonstrations; pairs of a chosen and a rejected text;
            ratings, which are single texts labelled desirable or undesirable (the two texts of a
            pair are two ratings); or its own rollouts, scored by a reward.
        makes: the kind of model that it trains.
        options: its options, out of `fields.SETTINGS`, with their defaults. Every method has model,
            steps, learning_rate, batch_size and eval_every; one that learns from pairs or
            ratings has the options of the pairs too.
        charts: the charts of a run on the page.
        build: "package.module:function", which takes a `trainers.common.Setup` and returns a
            `transformers.Trainer`.
        readings: the rules of `playground.content.readings.curves` that apply to its curves. The
            rules on evaluations apply to every method that makes a policy.
        reference: whether it uses the reference; if not, nothing bounds the KL.
        basic: whether the page lists it before "More methods" is opened.
        tuned_as: another method. If a task has defaults for that method and none for this one,
            they also apply to this one.
        choices: the valid values of its options of the kind "choice".
        free_beta: whether β = 0, that is no KL penalty, is allowed.
        updates_per_step: batch size -> optimiser updates in a step, as `--steps` counts them.
        optimum: the optimum of its objective. Only "kl" and "chi2" are drawn as a run's target.
        optima: value of the option `loss` -> the optimum with this loss, if it is another one.
        words: language -> {"name", "explanation"} and, if its charts need them, "charts" as in
            `playground/text/en.json`, which holds the words of the built-in methods.
    """

    __pydantic_config__ = CHECKED

    name: Name
    learns_from: Literal["demonstrations", "pairs", "ratings", "rollouts"]
    makes: Literal["policy", "reward model"]
    options: Mapping[str, Any]
    charts: tuple[Chart, ...]
    build: Annotated[str, StringConstraints(pattern=r"^[\w.]+:\w+$")]
    readings: tuple[str, ...] = ()
    reference: bool = True
    basic: bool = False
    tuned_as: str | None = None
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    free_beta: bool = False
    updates_per_step: Callable[[int], int] = lambda batch_size: 1
    optimum: Optimum = "another"
    optima: Mapping[str, Optimum] = field(default_factory=dict)
    words: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def builder(self) -> Callable[[Any], Any]:
        """Import and return the function that `build` names."""
        module, _, function = self.build.partition(":")
        return getattr(importlib.import_module(module), function)


class _MetricWords(BaseModel, extra="forbid", strict=True):
    name: str = ""
    unit: str = ""
    help: str = ""


class _ChartWords(BaseModel, extra="forbid", strict=True):
    titles: dict[str, str] = {}
    help: dict[str, str] = {}
    metrics: dict[str, _MetricWords] = {}


class _Words(BaseModel, extra="forbid", strict=True):
    name: str = ""
    explanation: str = ""
    charts: _ChartWords = _ChartWords()


_MODEL = FromTask | Text
_TYPES = {
    "integer": int,
    "number": float,
    "switch": bool,
    "choice": str,
    "groups": Literal["all"],  # valid on every task
    "model": _MODEL,
    "file": str,
}


def checked(record: Any, taken: Container[str]) -> Method:
    """A validated copy of the record.

    Raises:
        ConfigError: not a valid `Method`, or its name is one of `taken`; a line for each error.
    """
    method = _validated(TypeAdapter(Method), record, "the method")
    lines = []
    if method.name in taken:
        lines.append(plain(f"name got {method.name!r}, expected a name that no other method has"))
    for language, texts in method.words.items():
        _validated(TypeAdapter(_Words), texts, f"words.{language}")
    options = _options(method.learns_from in ("pairs", "ratings"), method.free_beta)
    _validated(TypeAdapter(options), dict(method.options), "options")
    if type(updates := method.updates_per_step(32)) is not int or updates < 1:
        lines.append(
            plain(f"updates_per_step(32) got {updates!r}, expected a whole number, 1 or more")
        )
    for name, default in method.options.items():
        if SETTINGS[name].kind == "choice" and default not in method.choices.get(name, ()):
            lines.append(plain(f"options.{name} got {default!r}, expected one of its choices"))
    if importlib.util.find_spec(module := method.build.partition(":")[0]) is None:
        lines.append(
            plain(f"build got {method.build!r}, expected an installed module; there is no {module}")
        )
    ids = [chart.id for chart in method.charts]
    if len(ids) > len({*ids}):
        lines.append(plain(f"charts got {ids}, expected a different id for each"))
    for chart in method.charts:
        for attribute in ("colour", "dash"):
            if len({getattr(curve, attribute) for curve in chart.curves}) < len(chart.curves):
                lines.append(plain(f"chart {chart.id} has two curves with the same {attribute}"))
    raise_collected(lines)
    return method


def _options(pairs: bool, free_beta: bool) -> type[BaseModel]:
    """A pydantic model of a record's options, with the types and ranges of their defaults."""
    required = _REQUIRED | ({*PAIRS, "preference_pairs"} if pairs else set())
    fields: dict[str, Any] = {}  # name -> (type, default), as create_model takes them
    for name in SETTINGS.keys() - _COMMON_OPTIONS:
        kind: Any = _TYPES[SETTINGS[name].kind]
        default = ... if name in required else None
        fields[name] = (
            (kind if name in _REQUIRED else kind | None),
            default if kind is _MODEL else declared(name, default),
        )
    if not free_beta:
        fields["beta"] = (float | None, Field(None, gt=0, le=SETTINGS["beta"].most))
    return create_model("options", __config__=ConfigDict(extra="forbid", strict=True), **fields)


def _validated(kind: TypeAdapter, value: Any, name: str) -> Any:
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        raise ConfigError(
            *(
                plain(f"{'.'.join(map(str, (name, *detail['loc'])))}: {detail['msg']}")
                for detail in error.errors(include_url=False)
            )
        ) from None
