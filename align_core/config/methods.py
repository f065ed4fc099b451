"""The methods: one light record each, whose builder is named by a string and imported in a run.

Nothing else compares a method's name: what the program does depends on what its record says. A
package of somebody's own adds a method as an entry point of the group `align_core.methods` that
names a `Method`.
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
_NAME = re.compile(r"[a-z][a-z0-9-]*", re.ASCII)  # it is part of the names of runs and of links
PPO_EPOCHS = 2
_OF_EVERY = {"model", "steps", "learning_rate", "batch_size", "eval_every"}
_LOG = logging.getLogger(__name__)
_GOLD, _PROXY, _KL, _LOSS, _POLICY = "gold", "proxy", "kl", "loss", "policy"  # colours of the page


@dataclass(frozen=True)
class OfTask:
    """A default that a task fills in: this attribute of its `TaskCard`, else `otherwise`."""

    attribute: str
    otherwise: str | None = None


@dataclass(frozen=True)
class Curve:
    """One metric of a chart, told apart by colour (a name of the page's palette) and by dash."""

    metric: str
    colour: str
    dash: Literal["solid", "dash", "dot"] = "solid"


@dataclass(frozen=True)
class Chart:
    """A chart that the page draws of a run: those of its curves that the run has.

    Args:
        below: below the texts, not beside the picture of the trade.
        range: Plotly's rangemode of the axis: what cannot be negative shows nothing below zero,
            and begins there ("tozero") where zero means untouched.
        optional: not shown of a run that has none of its curves.
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
        name: what METHOD takes.
        learns_from: what it is given: demonstrations, pairs of a chosen and a rejected text, or
            rollouts of its own that a reward scores.
        makes: what comes of it.
        options: the options that it has, of `fields.SETTINGS`, and their defaults. One that learns
            from pairs has those of the pairs; every method has model, steps, learning_rate,
            batch_size and eval_every.
        charts: what the page draws of a run.
        build: "package.module:function", which takes a `trainers.common.Setup` and returns a
            `transformers.Trainer`.
        readings: the rules of `playground.content.readings.curves` that hold of its curves; what
            the evaluations say is read of every policy.
        free_beta: whether β may be 0: nothing then holds the policy near its reference.
        updates_per_step: from the batch size, the optimiser updates in what `--steps` counts.
        words: language -> {"name", "explanation"} and, where its charts need them, "charts" as
            `playground/text/en.json` has them. Those of the project's own methods stand there.
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
        """The function that `build` names, its module imported."""
        module, _, function = self.build.partition(":")
        return getattr(importlib.import_module(module), function)


def ppo_minibatches(batch_size: int) -> int:
    """Two equal halves of a rollout, or one piece where its episodes are odd in number."""
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

_OWN = (
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
            "model": OfTask("reference"),
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
            "model": OfTask("reference"),
            "reward_model": OfTask("reward_model", otherwise="gold"),
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
            "model": OfTask("reference"),
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
    """Every method by its name: the project's own, then those of installed packages.

    An entry point that cannot be used is passed over, and the log has a line that says why.
    """
    known = {own.name: own for own in _OWN}
    for entry in entry_points(group=GROUP):
        try:
            found = entry.load()
            _check(found, known)
        except Exception as error:  # whatever somebody's package raises, the others are there
            what = " ".join(f"{type(error).__name__}: {error}".split())
            _LOG.warning("%s of %s is passed over: %s", entry.value, GROUP, what)
        else:
            known[found.name] = found
    return known


def _check(found: Any, known: Mapping[str, Method]) -> None:
    """Raise ValueError where this is no record of a further method."""
    if not isinstance(found, Method):
        raise ValueError(f"expected a Method, got {found!r}")
    if not _NAME.fullmatch(found.name) or found.name in known:
        taken = ", ".join(known)
        raise ValueError(f"expected a name of a-z, 0-9 and - beside {taken}, got {found.name!r}")
    needed = _OF_EVERY | (
        _PAIRS.keys() | {"preference_pairs"} if found.learns_from == "pairs" else set()
    )
    if lacking := sorted(needed - found.options.keys()):
        raise ValueError(f"expected options with {', '.join(lacking)}, got {sorted(found.options)}")


def method_named(name: Any) -> Method | None:
    """The method of this name; None where there is none."""
    return methods().get(name) if isinstance(name, str) else None


def owners(option: str) -> tuple[str, ...]:
    """The names of the methods that have an option."""
    return tuple(known.name for known in methods().values() if option in known.options)
