"""The training methods: a record each, naming the builder of its trainer, which a run imports.

No other module compares a method's name: all behaviour depends on the fields of its record. An
installed package adds a method by an entry point of the group `align_core.methods` that refers to a
`Method`.
"""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal

GROUP = "align_core.methods"
_NAME = re.compile(r"[a-z][a-z0-9-]*", re.ASCII)  # it is part of run names and links
PPO_EPOCHS = 2
_COMMON_OPTIONS = {"model", "steps", "learning_rate", "batch_size", "eval_every"}
_LOG = logging.getLogger(__name__)
_GOLD, _PROXY, _KL, _LOSS, _POLICY = "gold", "proxy", "kl", "loss", "policy"  # colours of the page


@dataclass(frozen=True)
class FromTask:
    """A default taken from the task: this attribute of its `TaskCard`, or `otherwise` if None."""

    attribute: str
    otherwise: str | None = None


@dataclass(frozen=True)
class Curve:
    """One metric of a chart, drawn in a colour (a name in the page's palette) and a dash."""

    metric: str
    colour: str
    dash: Literal["solid", "dash", "dot"] = "solid"


@dataclass(frozen=True)
class Chart:
    """A chart of a run. The page draws those curves whose metric the run logged.

    Args:
        below: drawn below the sampled texts instead of beside the reward–KL chart.
        range: Plotly's rangemode of the y axis: "nonnegative" for a metric that cannot be negative,
            "tozero" where zero also means "as the reference".
        optional: hidden for a run that logged none of its metrics.
    """

    id: str
    curves: tuple[Curve, ...]
    below: bool = False
    range: Literal["normal", "tozero", "nonnegative"] = "normal"
    optional: bool = False


@dataclass(frozen=True)
class Method:
    """How a model can be trained.

    Args:
        name: the METHOD on the command line.
        learns_from: its training data: demonstrations, pairs of a chosen and a rejected text, or
            its own rollouts, scored by a reward.
        makes: the kind of model that it trains.
        options: its options, out of `fields.SETTINGS`, with their defaults. Every method has model,
            steps, learning_rate, batch_size and eval_every; one that learns from pairs has the
            options of the pairs too.
        charts: the charts of a run on the page.
        build: "package.module:function", which takes a `trainers.common.Setup` and returns a
            `transformers.Trainer`.
        readings: the rules of `playground.content.readings.curves` that apply to its curves. The
            rules on evaluations apply to every policy.
        free_beta: whether β = 0, no KL penalty at all, is allowed.
        updates_per_step: batch size -> optimiser updates in one of the steps of `--steps`.
        words: language -> {"name", "explanation"} and, if its charts need them, "charts" as in
            `playground/text/en.json`, which holds the words of the built-in methods.
    """

    name: str
    learns_from: Literal["demonstrations", "pairs", "rollouts"]
    makes: Literal["policy", "reward model"]
    options: Mapping[str, Any]
    charts: tuple[Chart, ...]
    build: str
    readings: tuple[str, ...] = ()
    free_beta: bool = False
    updates_per_step: Callable[[int], int] = lambda batch_size: 1
    words: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def builder(self) -> Callable[[Any], Any]:
        """Import and return the function that `build` names."""
        module, _, function = self.build.partition(":")
        return getattr(importlib.import_module(module), function)


def ppo_minibatches(batch_size: int) -> int:
    """Minibatches in a PPO rollout: two halves, or one minibatch if the batch size is odd."""
    return 1 if batch_size % 2 else 2


REWARD = Chart(
    "reward", (Curve("eval/gold_reward", _GOLD), Curve("eval/proxy_reward", _PROXY, "dash"))
)
KL = Chart("kl", (Curve("eval/kl", _KL),), range="tozero")
LOSS = Chart("loss", (Curve("loss", _LOSS),), below=True, range="nonnegative")
COVERED = Chart(
    "covered",
    (Curve("eval/gold_reward_covered", _GOLD), Curve("eval/gold_reward_uncovered", _LOSS, "dash")),
    below=True,
    optional=True,
)
_PAIRS = {
    "preferences": None,
    "label_noise": 0.0,
    "coverage": "all",
    "pair_source": None,
}

_BUILT_IN = (
    Method(
        "sft",
        learns_from="demonstrations",
        makes="policy",
        options={
            "model": "pretrained",
            "steps": 240,
            "learning_rate": 5e-4,
            "batch_size": 32,
            "eval_every": 20,
        },
        charts=(REWARD, KL, LOSS),
        build="align_core.trainers.sft:build",
        readings=("imitation",),
    ),
    Method(
        "reward",
        learns_from="pairs",
        makes="reward model",
        options={
            "model": FromTask("reference"),
            "steps": 60,
            "learning_rate": 1e-3,
            "batch_size": 64,
            "eval_every": 10,
            "freeze_trunk": False,
            "preference_pairs": 2000,
            **_PAIRS,
        },
        charts=(
            Chart(
                "accuracy",
                (Curve("eval/accuracy", _POLICY), Curve("accuracy", _LOSS, "dot")),
                range="nonnegative",
            ),
            Chart("margin", (Curve("eval/margin", _POLICY), Curve("margin", _LOSS, "dot"))),
            Chart(
                "covered_accuracy",
                (
                    Curve("eval/accuracy_covered", _POLICY),
                    Curve("eval/accuracy_uncovered", _LOSS, "dash"),
                ),
                below=True,
                range="nonnegative",
                optional=True,
            ),
            LOSS,
        ),
        build="align_core.trainers.reward:build",
        readings=("worse_than_a_coin", "ranking"),
    ),
    Method(
        "ppo",
        learns_from="rollouts",
        makes="policy",
        options={
            "model": FromTask("reference"),
            "reward_model": FromTask("reward_model", otherwise="gold"),
            "beta": 0.7,
            "steps": 60,
            "learning_rate": 4e-4,
            "batch_size": 128,
            "eval_every": 10,
            "whiten_advantages": True,
        },
        charts=(
            REWARD,
            KL,
            COVERED,
            Chart("clip", (Curve("policy/clipfrac_avg", _POLICY),), below=True, range="tozero"),
            Chart("entropy", (Curve("objective/entropy", _KL),), below=True, range="nonnegative"),
            Chart(
                "loss",
                (Curve("loss/value_avg", _GOLD, "dash"), Curve("loss/policy_avg", _POLICY)),
                below=True,
            ),
        ),
        build="align_core.trainers.ppo.build:build",
        readings=("leapt", "clipped", "value_unstable"),
        free_beta=True,
        updates_per_step=lambda batch_size: PPO_EPOCHS * ppo_minibatches(batch_size),
    ),
    Method(
        "dpo",
        learns_from="pairs",
        makes="policy",
        options={
            "model": FromTask("reference"),
            "beta": 0.5,
            "steps": 250,
            "learning_rate": 4e-4,
            "batch_size": 16,
            "eval_every": 63,
            "preference_pairs": 4000,
            **_PAIRS,
        },
        charts=(
            REWARD,
            KL,
            COVERED,
            Chart(
                "implicit",
                (
                    Curve("rewards/chosen", _GOLD),
                    Curve("rewards/rejected", _PROXY, "dash"),
                    Curve("rewards/margins", _POLICY, "dot"),
                ),
                below=True,
            ),
            Chart(
                "accuracy",
                (Curve("rewards/accuracies", _POLICY),),
                below=True,
                range="nonnegative",
            ),
            LOSS,
        ),
        build="align_core.trainers.dpo:build",
        readings=("worse_than_a_coin", "pairs"),
    ),
)


@cache
def methods() -> dict[str, Method]:
    """Every method by name: the built-in ones, then those of installed packages.

    An invalid entry point is skipped with a warning in the log.
    """
    known = {method.name: method for method in _BUILT_IN}
    for entry in entry_points(group=GROUP):
        try:
            method = entry.load()
            _check(method, known)
        except Exception as error:  # a broken package must not take the other methods with it
            what = " ".join(f"{type(error).__name__}: {error}".split())
            _LOG.warning("%s of %s is skipped: %s", entry.value, GROUP, what)
        else:
            known[method.name] = method
    return known


def _check(method: Any, known: Mapping[str, Method]) -> None:
    """Raises ValueError for an object that is no valid `Method` with a new name."""
    if not isinstance(method, Method):
        raise ValueError(f"expected a Method, got {method!r}")
    if not _NAME.fullmatch(method.name) or method.name in known:
        taken = ", ".join(known)
        raise ValueError(f"expected a name of a-z, 0-9 and -, not {taken}, got {method.name!r}")
    required = set(_COMMON_OPTIONS)
    if method.learns_from == "pairs":
        required |= {*_PAIRS, "preference_pairs"}
    if missing := sorted(required - method.options.keys()):
        options = sorted(method.options)
        raise ValueError(f"expected options with {', '.join(missing)}, got {options}")


def method_named(name: Any) -> Method | None:
    """The method of this name, or None."""
    return methods().get(name) if isinstance(name, str) else None


def methods_with(option: str) -> tuple[str, ...]:
    """The names of the methods that have this option."""
    return tuple(name for name, method in methods().items() if option in method.options)
