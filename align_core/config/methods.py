"""The training methods, one record each. A run imports the builder that its method's record names.

No other module compares a method's name: all behaviour depends on the fields of its record. An
installed package adds a method by an entry point in the group `align_core.methods` that refers to a
`Method`.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from align_core.config.charts import (
    CORRECT,
    COVERED,
    ENTROPY,
    IMPLICIT,
    KL,
    LOGPS,
    LOSS,
    REWARD,
    ROLLOUT_CHARTS,
    Chart,
    Curve,
)
from align_core.config.errors import CODE_ERRORS, describe_error
from align_core.config.method_record import PAIRS, FromTask, Method, Optimum, checked

GROUP = "align_core.methods"
PPO_EPOCHS = 2
_LOG = logging.getLogger(__name__)

# The losses of TRL's DPOTrainer on pairs, and χPO's, with the optimum of each (docs/methods.md).
DPO_LOSSES: dict[str, Optimum] = {
    "sigmoid": "kl",
    "hinge": "margin",
    "ipo": "preference",
    "robust": "flipped",
    "exo_pair": "another",
    "nca_pair": "another",
    "bco_pair": "another",
    "sppo_hard": "another",
    "apo_zero": "another",
    "apo_down": "another",
    "aot": "another",
    "aot_unpaired": "another",
    "discopop": "another",
    "sigmoid_norm": "per_token",
    "chipo": "chi2",
}


def ppo_minibatches(batch_size: int) -> int:
    """The number of minibatches in a rollout: 2, or 1 if the batch size is odd."""
    return 1 if batch_size % 2 else 2


def updates_per_rollout(batch_size: int) -> int:
    """The number of optimiser updates on a rollout of PPO, RLOO, GRPO or online DPO."""
    return PPO_EPOCHS * ppo_minibatches(batch_size)


# The options of methods that learn from rollouts; rejection sampling has all but β.
ON_ROLLOUTS = {
    "model": FromTask("reference"),
    "reward_model": FromTask("reward_model", otherwise="gold"),
    "beta": 0.7,
    "steps": 60,
    "learning_rate": 4e-4,
    "batch_size": 128,
    "eval_every": 10,
}
# The options of policies that learn from pairs.
ON_PAIRS = {
    "model": FromTask("reference"),
    "steps": 250,
    "learning_rate": 4e-4,
    "batch_size": 16,
    "eval_every": 63,
    "preference_pairs": 4000,
    **PAIRS,
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
        basic=True,
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
            **PAIRS,
        },
        charts=(
            Chart(
                "accuracy",
                (Curve("eval/accuracy", "policy"), Curve("accuracy", "loss", "dot")),
                range="nonnegative",
            ),
            Chart("margin", (Curve("eval/margin", "policy"), Curve("margin", "loss", "dot"))),
            Chart(
                "covered_accuracy",
                (
                    Curve("eval/accuracy_covered", "policy"),
                    Curve("eval/accuracy_uncovered", "loss", "dash"),
                ),
                below=True,
                range="nonnegative",
                optional=True,
            ),
            LOSS,
        ),
        build="align_core.trainers.reward:build",
        basic=True,
        readings=("worse_than_a_coin", "ranking"),
    ),
    Method(
        "ppo",
        learns_from="rollouts",
        makes="policy",
        options={**ON_ROLLOUTS, "whiten_advantages": True},
        charts=(
            *ROLLOUT_CHARTS,
            Chart(
                "loss",
                (Curve("loss/value_avg", "gold", "dash"), Curve("loss/policy_avg", "policy")),
                below=True,
            ),
        ),
        build="align_core.trainers.ppo.build:build",
        basic=True,
        readings=("leapt", "clipped", "value_unstable"),
        free_beta=True,
        updates_per_step=updates_per_rollout,
        optimum="kl",
    ),
    Method(
        "dpo",
        learns_from="pairs",
        makes="policy",
        options={**ON_PAIRS, "beta": 0.5, "loss": "sigmoid"},
        choices={"loss": (*DPO_LOSSES,)},
        charts=(REWARD, KL, COVERED, IMPLICIT, CORRECT, LOSS),
        build="align_core.trainers.dpo:build",
        basic=True,
        readings=("worse_than_a_coin", "pairs"),
        optima=DPO_LOSSES,
    ),
    Method(
        "rloo",
        learns_from="rollouts",
        makes="policy",
        options={**ON_ROLLOUTS, "group_size": 4},
        charts=ROLLOUT_CHARTS,
        build="align_core.trainers.rloo:build",
        readings=("leapt", "clipped"),
        tuned_as="ppo",
        free_beta=True,
        updates_per_step=updates_per_rollout,
        optimum="kl",
    ),
    Method(
        "grpo",
        learns_from="rollouts",
        makes="policy",
        options={
            **ON_ROLLOUTS,
            "beta": 0.3,
            "group_size": 4,
            "loss": "dapo",
            "scale_rewards": "group",
            "importance": "token",
        },
        choices={
            "loss": ("dapo", "grpo", "dr_grpo"),
            "scale_rewards": ("group", "batch", "none"),
            "importance": ("token", "sequence"),
        },
        charts=ROLLOUT_CHARTS,
        build="align_core.trainers.grpo:build",
        readings=("leapt", "clipped"),
        tuned_as="ppo",
        free_beta=True,
        updates_per_step=updates_per_rollout,
        optimum="grouped",
    ),
    Method(
        "online-dpo",
        learns_from="rollouts",
        makes="policy",
        # A batch of 64 pairs has as many texts as the batches of the other methods on rollouts.
        options={**ON_ROLLOUTS, "beta": 0.5, "batch_size": 64},
        charts=(REWARD, KL, COVERED, IMPLICIT, CORRECT, ENTROPY, LOSS),
        build="align_core.trainers.online_dpo:build",
        readings=("leapt",),
        tuned_as="dpo",
        updates_per_step=updates_per_rollout,
        optimum="kl",
    ),
    Method(
        "rejection",
        learns_from="rollouts",
        makes="policy",
        options={
            **{name: ON_ROLLOUTS[name] for name in ON_ROLLOUTS if name != "beta"},
            "learning_rate": 1e-3,  # one pass over the best texts reaches the KL of best-of-4
            "group_size": 4,
        },
        charts=(REWARD, KL, COVERED, LOSS),
        build="align_core.trainers.rejection:build",
        tuned_as="ppo",
    ),
    Method(
        "kto",
        learns_from="ratings",
        makes="policy",
        # 64 texts in a batch, because single texts vary more than pairs, which share a prompt.
        options={**ON_PAIRS, "beta": 0.5, "steps": 125, "batch_size": 64, "eval_every": 25},
        charts=(REWARD, KL, COVERED, IMPLICIT, LOSS),
        build="align_core.trainers.kto:build",
        tuned_as="dpo",
        optimum="bounded",
    ),
    Method(
        "simpo",
        learns_from="pairs",
        makes="policy",
        # 96 steps, because nothing holds the policy: after 250 it is 5 to 40 nats of KL away.
        options={**ON_PAIRS, "steps": 96, "eval_every": 24, "scale": 5.0, "margin": 2.0},
        charts=(REWARD, KL, COVERED, LOGPS, CORRECT, LOSS),
        build="align_core.trainers.simpo:build",
        reference=False,
        tuned_as="dpo",
    ),
    Method(
        "orpo",
        learns_from="pairs",
        makes="policy",
        options={**ON_PAIRS, "odds_weight": 2.0},
        charts=(REWARD, KL, COVERED, LOGPS, CORRECT, LOSS),
        build="align_core.trainers.orpo:build",
        reference=False,
        tuned_as="dpo",
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
            with contextlib.redirect_stdout(sys.stderr):  # standard output belongs to the command
                method = checked(entry.load(), known)
        # A broken package must not disable the other methods.
        except (*CODE_ERRORS, KeyboardInterrupt) as error:
            why = describe_error(error, Path(entry.value))
            _LOG.warning("%s of %s is skipped: %s", entry.value, GROUP, why)
        else:
            known[method.name] = method
    return known


def method_named(name: Any) -> Method | None:
    """The method of this name, or None."""
    return methods().get(name) if isinstance(name, str) else None


def methods_with(option: str) -> tuple[str, ...]:
    """The names of the methods that have this option."""
    return tuple(name for name, method in methods().items() if option in method.options)


def sought_optimum(config: Mapping[str, Any]) -> Optimum:
    """The optimum that a run seeks. `config` has its `method`, and its `loss` if one was chosen."""
    method = methods()[config["method"]]
    loss = config.get("loss") or method.options.get("loss", "")
    return method.optima.get(loss, method.optimum)
