"""The runs of the frontier, and their summary: reward over KL and win rates of every method."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from align_core.config.model_index import reference_samples
from align_core.config.run_config import resolve
from align_core.experiments import TASK
from align_core.experiments.kl_curves import reward_within
from align_core.experiments.statistics import mean
from align_core.optimum import MIN_EFFECTIVE_SAMPLES, Frontier, ReferenceSamples, best_of_n

SEEDS = 3

PAIRS = 4000  # for each seed, the same pairs for the reward model and all methods on pairs
BETAS = (0.1, 0.3, 1.0, 3.0)
ALPHAS = (0.05, 0.1, 0.5, 1.0)
TEMPERATURES = (0.0, 0.25, 0.5, 0.75, 1.0)
BUDGETS = (0.25, 0.5, 1.0, 2.0)  # nats of KL at which the methods are compared
# Method -> steps, and steps between evaluations. The sweep is over β or α of the method.
LENGTHS = {"ppo": (25, 5), "ppo-gold": (25, 5), "dpo": (250, 50), "unlikelihood": (250, 50)} | {
    "preferred-ft": (250, 50)
}
SWEEPS: dict[str, list[dict[str, float]]] = {
    "ppo": [{"beta": beta} for beta in BETAS],
    "ppo-gold": [{"beta": beta} for beta in BETAS],
    "dpo": [{"beta": beta} for beta in BETAS],
    "unlikelihood": [{"alpha": alpha} for alpha in ALPHAS],
    "preferred-ft": [{"alpha": 0.0}],
}
CURVE_SETTINGS = ("beta", "alpha", "seed")  # the settings that are stored with a curve
LAYERS = 3  # of the reference, and of its reward model
BEST_OF, STORED = 128, 256  # the largest n, and the stored texts of each prompt to choose from
# A quick run only shows that everything works.
QUICK_LENGTHS = {method: (1, 1) for method in LENGTHS}


def stages(quick: bool) -> list[dict[str, dict[str, Any]]]:
    """First the reward models and best-of-n of each seed, then the policies."""
    seeds = range(1 if quick else SEEDS)
    lengths = QUICK_LENGTHS if quick else LENGTHS
    pairs, stored, best_of = (64, 4, 4) if quick else (PAIRS, STORED, BEST_OF)
    temperatures = list(TEMPERATURES[:: 4 if quick else 1])
    reward_models = {
        f"reward-{seed}": {
            "method": "best-of-n",
            "seed": seed,
            "pairs": pairs,
            "steps": 1 if quick else 60,
            "stored": stored,
            "best_of": best_of,
        }
        for seed in seeds
    }
    policies = {
        "-".join([method, *(f"{value:g}" for value in strength.values()), str(seed)]): {
            "method": method,
            **strength,
            "seed": seed,
            "pairs": pairs,
            "steps": lengths[method][0],
            "every": lengths[method][1],
            "temperatures": temperatures,
        }
        for method, sweep in SWEEPS.items()
        for strength in (sweep[:1] if quick else sweep)
        for seed in seeds
    }
    policies |= {
        f"reference-{seed}": {
            "method": "reference",
            "seed": seed,
            "pairs": 0,
            "temperatures": temperatures,
        }
        for seed in seeds
    }
    return [reward_models, policies]


def measure(folder: Path, method: str, seed: int, pairs: int, **settings: Any) -> dict[str, Any]:
    """The curve of a run, and the win rate of its final policy at each temperature."""
    from align_core.data.preference_files import stored_pairs
    from align_core.experiments import trained_models  # imports torch, which the page does not
    from align_core.models.loading import load_policy

    if method == "best-of-n":
        return trained_models.train_reward_model(
            _model(folder, seed), pairs, LAYERS, seed, **settings
        )
    if method == "reference":
        policy = load_policy(trained_models.REFERENCE)
        return {"win_rates": trained_models.win_rates(policy, settings["temperatures"], seed)}
    steps, every = settings["steps"], settings["every"]
    common = {"steps": steps, "eval_every": every, "seed": seed}
    if "alpha" in settings:
        policy, curve = trained_models.train_on_likelihood(
            TASK,
            stored_pairs(TASK, pairs, seed),
            settings["alpha"],
            steps=steps,
            every=every,
            seed=seed,
        )
        return {
            "curve": curve,
            "win_rates": trained_models.win_rates(policy, settings["temperatures"], seed),
        }
    own: dict[str, Any] = {"reward_model": "gold"}
    if method == "ppo":
        own = {"reward_model": str(_model(folder, seed))}
    if method == "dpo":
        own = {"preference_pairs": pairs}
    config = resolve(method.split("-")[0], TASK, beta=settings["beta"], **common, **own)
    with trained_models.trained(config) as run:
        policy = load_policy(str(run.model_path))
        rates = trained_models.win_rates(policy, settings["temperatures"], seed)
        return {"curve": trained_models.curve(run.events()[0]), "win_rates": rates}


def _model(folder: Path, seed: int) -> Path:
    return folder / "models" / f"reward-{seed}"


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The frontier; each method's curves, its shares of the optimum's gain and its win rates."""
    rewards = ReferenceSamples.load(reference_samples(TASK, "probe")).rewards
    frontier = Frontier.of(rewards)
    curves = {method: _curves(runs, method) for method in (*SWEEPS, "best-of-n")}
    exact = [best_of_n(rewards, 2**power)[::-1] for power in range(BEST_OF.bit_length())]
    curves["best-of-n-gold"] = [{"seed": 0, "points": exact}]
    reward, kl, samples = frontier.curve
    known = samples >= MIN_EFFECTIVE_SAMPLES
    shares = {
        method: {f"{kl:g}": _shares(method_curves, frontier, kl) for kl in BUDGETS}
        for method, method_curves in curves.items()
    }
    return {
        "seeds": len({run["settings"]["seed"] for run in runs}),
        "reference": float(rewards.mean()),
        "optimum": [[float(k), float(r)] for k, r in zip(kl[known], reward[known], strict=True)],
        "accuracy": mean([run["found"].get("accuracy") for run in runs]),
        "curves": curves,
        "shares": {
            method: {kl: mean(by_seed) for kl, by_seed in by_budget.items()}
            for method, by_budget in shares.items()
        },
        "dpo_over_ppo": {
            kl: mean(np.subtract(shares["dpo"][kl], shares["ppo"][kl]).tolist())
            for kl in shares["dpo"]
        },
        "win_rates": {
            method: _win_rates([run for run in runs if run["settings"]["method"] == method])
            for method in (*SWEEPS, "reference")
        },
    }


def _curves(runs: list[dict[str, Any]], method: str) -> list[dict[str, Any]]:
    """The settings and points (KL, gold reward) of each run of a method, from the reference on."""
    return [
        {
            **{name: value for name, value in run["settings"].items() if name in CURVE_SETTINGS},
            "points": [[point["kl"], point["gold"]] for point in run["found"]["curve"]],
        }
        for run in runs
        if run["settings"]["method"] == method
    ]


def _shares(curves: Iterable[dict[str, Any]], frontier: Frontier, budget: float) -> list[float]:
    """For each seed, the method's gain within this KL as a share of the optimum's gain.

    It may use all points of all runs: choosing the setting and when to stop is part of the method.
    """
    by_seed = groupby(sorted(curves, key=lambda curve: curve["seed"]), lambda curve: curve["seed"])
    shares = []
    for group in (list(group) for _, group in by_seed):
        start = group[0]["points"][0][1]
        points = (tuple(point) for curve in group for point in curve["points"])
        reached, limit = reward_within(points, budget), frontier.at(budget)[0]
        shares.append((reached - start) / (limit - start))
    return shares


def _win_rates(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Win rates over temperature for the β or α with the highest win rate at temperature 1."""

    def strength(run: dict[str, Any]) -> float | None:
        return run["settings"].get("beta", run["settings"].get("alpha"))

    # The reference has neither β nor α.
    settings = sorted({strength(run) for run in runs}, key=lambda setting: setting or 0.0)
    rates = {
        setting: [run["found"]["win_rates"] for run in runs if strength(run) == setting]
        for setting in settings
    }
    best = max(settings, key=lambda setting: fmean(row[-1] for row in rates[setting]))
    means = [mean(at_temperature) for at_temperature in zip(*rates[best], strict=True)]
    temperatures = runs[0]["settings"]["temperatures"]
    return {"setting": best, "temperatures": temperatures, "rates": means}
