"""The result of the frontier's runs: reward over KL, shares of the limit, and win rates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from align_core.config.model_index import reference_samples
from align_core.experiments import TASK
from align_core.experiments.frontier_runs import BEST_OF, RATERS, SWEEPS, TEMPERED
from align_core.experiments.kl_curves import reward_within
from align_core.experiments.statistics import Mean, mean
from align_core.optimum import MIN_EFFECTIVE_SAMPLES, Frontier, ReferenceSamples, best_of_n

BUDGETS = (0.25, 0.5, 1.0, 2.0)  # nats of KL at which the methods are compared
WIDE_BUDGETS = (1.0, 4.0, 15.0)

Run = dict[str, Any]  # {"settings", "measured", "seconds"}
Points = list[tuple[float, float]]  # (KL, gold reward) from the reference on


def summary(runs: list[Run]) -> dict[str, Any]:
    """The frontier of the optimum; the gain of each method as a share of the optimum's; DPO and PPO
    compared as in arXiv 2305.18290, Figure 2; and win rates over temperature."""
    rewards = ReferenceSamples.load(reference_samples(TASK, "probe")).rewards
    frontier = Frontier.of(rewards)
    curves = {method: _by_seed(_runs_of(runs, method)) for method in SWEEPS}
    pair_counts = {run["settings"]["pairs"] for run in _runs_of(runs, "dpo")}
    same_pairs = [
        run for run in _runs_of(runs, "best-of-n") if _data(run) == ("graded", *pair_counts)
    ]
    curves["best-of-n"] = _by_seed(same_pairs)
    powers = range(BEST_OF.bit_length())
    curves["best-of-n-gold"] = {0: [best_of_n(rewards, 2**power)[::-1] for power in powers]}
    reward, kl, samples = frontier.curve
    known = samples >= MIN_EFFECTIVE_SAMPLES
    shares = {
        method: {f"{kl:g}": _shares(by_seed, frontier, kl) for kl in BUDGETS}
        for method, by_seed in curves.items()
    }
    return {
        "seeds": len({run["settings"]["seed"] for run in runs}),
        "reference": float(rewards.mean()),
        "optimum": [[float(k), float(r)] for k, r in zip(kl[known], reward[known], strict=True)],
        "accuracy": mean([run["measured"]["accuracy"] for run in same_pairs]),
        "shares": {
            method: {kl: mean(by_seed) for kl, by_seed in by_budget.items()}
            for method, by_budget in shares.items()
        },
        "dpo_over_ppo": {
            kl: mean(np.subtract(shares["dpo"][kl], shares["ppo"][kl]).tolist())
            for kl in shares["dpo"]
        },
        "wide": _wide(runs),
        "win_rates": {
            method: _win_rates(_runs_of(runs, method)) for method in (*TEMPERED, "reference")
        },
    }


def _runs_of(runs: Iterable[Run], method: str, wide: bool = False) -> list[Run]:
    """The runs of a method: those of the sweep or, if `wide`, those that compare DPO and PPO as in
    arXiv 2305.18290, Figure 2."""
    return [
        run
        for run in runs
        if run["settings"]["method"] == method and run["settings"].get("wide", False) == wide
    ]


def _data(run: Run) -> tuple[str, int]:
    """The raters and the number of the pairs that a run learns from."""
    return run["settings"]["raters"], run["settings"]["pairs"]


def _by_data(runs: Iterable[Run]) -> dict[tuple[str, int], list[Run]]:
    by_data: dict[tuple[str, int], list[Run]] = {}
    for run in runs:
        by_data.setdefault(_data(run), []).append(run)
    return by_data


def _points(run: Run) -> Points:
    return [(point["kl"], point["gold"]) for point in run["measured"]["curve"]]


def _by_seed(runs: Iterable[Run]) -> dict[int, Points]:
    """For each seed, all points of all of a method's runs: choosing the setting and when to stop is
    part of the method."""
    by_seed: dict[int, Points] = {}
    for run in runs:
        by_seed.setdefault(run["settings"]["seed"], []).extend(_points(run))
    return by_seed


def _shares(by_seed: dict[int, Points], frontier: Frontier, budget: float) -> list[float]:
    """For each seed, the method's gain within this KL as a share of the optimum's gain."""
    limit = frontier.at(budget)[0]
    return [
        (reward_within(points, budget) - points[0][1]) / (limit - points[0][1])
        for points in by_seed.values()
    ]


def _wide(runs: list[Run]) -> list[dict[str, Any]]:
    """The comparison of arXiv 2305.18290, Figure 2: a row for each set of pairs.

    "raters", "pairs":  who labelled the pairs, and their number
    "accuracy":         the reward model's accuracy on held-out pairs
    "dpo", "ppo":       {"reached": the rewards above the reference's within each KL, "path": the
                        means over seeds of KL and gold reward along training}
    "dpo_over_ppo":     DPO's reward minus PPO's within each KL, paired by seed
    """
    methods = ("dpo", "ppo")
    trained = {method: _by_data(_runs_of(runs, method, wide=True)) for method in methods}
    models = _by_data(_runs_of(runs, "best-of-n"))
    rows = []
    for data in sorted(trained["dpo"], key=lambda data: (RATERS.index(data[0]), data[1])):
        group = {method: trained[method][data] for method in methods}
        within = {method: _within(_by_seed(group[method])) for method in methods}
        rows.append(
            {
                "raters": data[0],
                "pairs": data[1],
                "accuracy": mean([run["measured"]["accuracy"] for run in models[data]]),
                **{
                    method: {
                        "reached": {kl: mean(by_seed) for kl, by_seed in reached.items()},
                        "path": _path(group[method]),
                    }
                    for method, reached in within.items()
                },
                "dpo_over_ppo": {
                    kl: mean(np.subtract(within["dpo"][kl], within["ppo"][kl]).tolist())
                    for kl in within["dpo"]
                },
            }
        )
    return rows


def _within(by_seed: dict[int, Points]) -> dict[str, list[float]]:
    """KL -> for each seed, the highest reward within this KL minus that of the reference."""
    return {
        f"{kl:g}": [reward_within(points, kl) - points[0][1] for points in by_seed.values()]
        for kl in WIDE_BUDGETS
    }


def _path(runs: Sequence[Run]) -> list[list[float]]:
    paths = map(_points, runs)
    # A run that diverged ends early.
    return [np.mean(step, axis=0).tolist() for step in zip(*paths, strict=False)]


def _win_rates(runs: Sequence[Run]) -> dict[str, Any]:
    """Win rates over temperature for the β with the highest win rate at temperature 1."""
    # The reference has no β.
    betas = sorted({run["settings"].get("beta") for run in runs}, key=lambda beta: beta or 0.0)
    rates = {
        beta: [run["measured"]["win_rates"] for run in runs if run["settings"].get("beta") == beta]
        for beta in betas
    }
    best = max(betas, key=lambda beta: fmean(row[-1] for row in rates[beta]))
    means: list[Mean | None] = [mean(column) for column in zip(*rates[best], strict=True)]
    temperatures = runs[0]["settings"]["temperatures"]
    return {"setting": best, "temperatures": temperatures, "rates": means}
