"""The runs of over-optimisation, and their summary: gold and proxy reward over √KL."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from align_core.config.run_config import resolve
from align_core.data.preference_files import stored_pairs
from align_core.experiments import QUICK_EVALUATION, QUICK_ROLLOUT, TASK
from align_core.experiments.kl_curves import (
    furthest,
    identity,
    mean_fit,
    points_of,
    reward_within,
)
from align_core.experiments.statistics import mean

SEEDS = 3

LAYERS = 3  # of the reference, and of a reward model by default
PAIRS = (100, 300, 1000, 5000)
SIZES = (1, 2, 3)  # numbers of layers of a reward model: the first layers of the reference
SIZED_BY = 1000  # pairs of the reward models whose sizes are compared
PENALTY_PAIRS = 300  # pairs of the reward model with which different β are compared
BETAS = (0.1, 0.3, 1.0)
REWARD_STEPS = 80  # of 64 pairs: one pass over 5,000 pairs, 51 passes over 100
ROLLOUTS, EVERY = 40, 2  # rollouts of a run of PPO, and rollouts between two evaluations
BEST_OF, STORED = 128, 256  # the largest n, and the stored texts of each prompt to choose from
BUDGETS = (0.5, 1.0, 2.0, 4.0)  # nats of KL at which a penalty is compared with no penalty


def stages(quick: bool) -> list[dict[str, dict[str, Any]]]:
    """First the reward models, each with its best-of-n, then PPO on them."""
    models = list(dict.fromkeys([(p, LAYERS) for p in PAIRS] + [(SIZED_BY, n) for n in SIZES]))
    runs = [(*model, 0.0) for model in models] + [(PENALTY_PAIRS, LAYERS, beta) for beta in BETAS]
    steps, rollouts, every, best_of, stored = REWARD_STEPS, ROLLOUTS, EVERY, BEST_OF, STORED
    seeds = range(SEEDS)
    if quick:
        models, runs = (
            [(PENALTY_PAIRS, LAYERS)],
            [(PENALTY_PAIRS, LAYERS, 0.0), (PENALTY_PAIRS, LAYERS, BETAS[0])],
        )
        steps, rollouts, every, best_of, stored = 1, 2, 1, 4, 4
        seeds = range(1)
    reward_models = {
        f"{_reward_model_name(pairs, layers, seed)}": {
            "method": "best-of-n",
            "pairs": pairs,
            "layers": layers,
            "seed": seed,
            "steps": steps,
            "stored": stored,
            "best_of": best_of,
        }
        for pairs, layers in models
        for seed in seeds
    }
    policies = {
        f"ppo-{beta:g}-{_reward_model_name(pairs, layers, seed)}": {
            "method": "ppo",
            "pairs": pairs,
            "layers": layers,
            "seed": seed,
            "beta": beta,
            "steps": rollouts,
            "every": every,
            **(QUICK_EVALUATION | QUICK_ROLLOUT if quick else {}),
        }
        for pairs, layers, beta in runs
        for seed in seeds
    }
    return [reward_models, policies]


def _reward_model_name(pairs: int, layers: int, seed: int) -> str:
    return f"reward-{pairs}-{layers}-{seed}"


def measure(
    folder: Path, method: str, pairs: int, layers: int, seed: int, **settings: Any
) -> dict[str, Any]:
    """The curve of best-of-n over n, or of PPO over training."""
    from align_core.experiments import trained_models  # imports torch, which the page does not

    path = folder / "models" / _reward_model_name(pairs, layers, seed)
    if method == "ppo":
        every = settings.pop("every")
        config = resolve(
            "ppo", TASK, reward_model=str(path), eval_every=every, seed=seed, **settings
        )
        with trained_models.trained(config) as run:
            return {"curve": trained_models.curve(run.events()[0])}
    rated = stored_pairs(TASK, pairs, seed)
    return trained_models.train_reward_model(path, rated, layers, seed, **settings)


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Accuracy, curves, fits and peaks of each reward model, and the effects of the penalty."""

    def key(run: dict[str, Any]) -> tuple:
        settings = run["settings"]
        return settings["method"], settings["pairs"], settings["layers"], settings.get("beta", 0.0)

    groups = {group: list(members) for group, members in groupby(sorted(runs, key=key), key)}
    rows = []
    for (method, pairs, layers, beta), members in groups.items():
        curves = [_curve(run["measured"]["curve"]) for run in members]
        peaks = [max(points, key=lambda point: point[1]) for points in curves]
        rows.append(
            {
                "method": method,
                "pairs": pairs,
                "layers": layers,
                "beta": beta,
                "parameters": members[0]["measured"].get("parameters"),
                "accuracy": mean([run["measured"].get("accuracy") for run in members]),
                "curves": curves,
                "fit": mean_fit(curves, np.log if method == "ppo" else identity),
                "peak": mean([gold for _, gold, _ in peaks]),
                "peak_d": mean([d for d, _, _ in peaks]),
                "end": mean([points[-1][1] for points in curves]),
                "end_proxy": mean([points[-1][2] for points in curves]),
            }
        )
    return {
        "seeds": len({run["settings"]["seed"] for run in runs}),
        "rows": rows,
        "penalty": _penalty(groups),
    }


def _curve(points: Sequence[dict[str, Any]]) -> list[list[float]]:
    """Points [d = √KL, gold, proxy], rewards in nats above those of the reference."""
    first = points[0]
    return [
        [p["kl"] ** 0.5, p["gold"] - first["gold"], p["proxy"] - first["proxy"]] for p in points
    ]


def fitted(row: dict[str, Any]) -> list[list[float]]:
    """Points [d, R] of a row's fit, up to the largest d of its seeds; empty if it has no fit, or if
    the form does not fit the curves (`kl_curves.mean_fit`)."""
    if row["fit"] is None or not row["fit"]["holds"]:
        return []
    end = max(map(furthest, row["curves"]))
    return points_of(row["fit"], np.log if row["method"] == "ppo" else identity, end)


def _penalty(groups: dict[tuple, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """How much a penalty changes the highest gold reward within each KL, paired by seed."""
    unpenalised = groups["ppo", PENALTY_PAIRS, LAYERS, 0.0]
    rows = []
    for (method, pairs, layers, beta), runs in groups.items():
        if (method, pairs, layers) != ("ppo", PENALTY_PAIRS, LAYERS) or beta == 0:
            continue
        largest_kls = [max(point["kl"] for point in run["measured"]["curve"]) for run in runs]
        more = {}
        for budget in BUDGETS:
            known = [
                _reached(run, budget) - _reached(without, budget)
                for run, without, furthest_kl in zip(runs, unpenalised, largest_kls, strict=True)
                if furthest_kl >= budget
            ]
            more[f"{budget:g}"] = mean(known)
        rows.append({"beta": beta, "kl": mean(largest_kls), "more": more})
    return rows


def _reached(run: dict[str, Any], budget: float) -> float:
    curve = run["measured"]["curve"]
    return reward_within([(0.0, curve[0]["gold"]), *((p["kl"], p["gold"]) for p in curve)], budget)


def row(result: dict[str, Any], **conditions: Any) -> dict[str, Any]:
    """The row with this method, pairs, layers and β."""
    return next(row for row in result["rows"] if conditions.items() <= row.items())
