"""Over-optimisation of a learned reward: gold and proxy reward over √KL."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from align_core.config.run_config import resolve
from align_core.experiments import TASK
from align_core.experiments.claims import Verdict, majority, verdict
from align_core.experiments.kl_curves import identity, mean_fit, points_of, reward_within
from align_core.experiments.sentences import Finding
from align_core.experiments.statistics import format_mean, mean, sign

TITLE = "A reward model is not the reward"
PAPER = "2210.10760"
CLAIM = (
    "As a policy is optimised against a reward model, the proxy rises and the gold reward rises "
    "and then falls, as d(α − βd) for best-of-n and d(α − β log d) for RL, with d = √KL. Reward "
    "models that are larger, or have seen more pairs, peak higher; under some 2,000 pairs they are "
    "little better than chance. A KL penalty acts as stopping early does: it does not move the "
    "frontier of gold reward over KL."
)
SEEDS = 3

LAYERS = 3  # of the reference, and of a reward model by default
PAIRS = (100, 300, 1000, 5000)
SIZES = (1, 2, 3)  # the number of layers of the reference in a reward model
SIZED_BY = 1000  # pairs of the reward models whose sizes are compared
PENALTY_PAIRS = 300  # pairs of the reward model with which different β are compared
BETAS = (0.1, 0.3, 1.0)
REWARD_STEPS = 80  # of 64 pairs: one pass over 5,000 pairs, 51 passes over 100
ROLLOUTS, EVERY = 40, 2
BEST_OF, STORED = 128, 256
BUDGETS = (0.5, 1.0, 2.0, 4.0)  # nats of KL at which a penalty is compared with none
# Thresholds of the verdicts.
FALL = 0.25  # a falling run loses more than this share of its peak
LITTLE = 0.6  # a reward model up to this accuracy is little better than chance
FEW = 2000  # which, according to the paper, holds below this number of pairs
TOLERANCE = 0.1  # a penalty without effect changes the reward by at most this share of the peak
SENTENCES = {
    "join": ", ",
    "fall": "With {cases}, the gold reward peaks and then falls while the proxy rises.",
    "fall_why": "Gold falls by more than {share} of its peak in {listed} runs.",
    "ppo": "PPO on {pairs} pairs",
    "best-of-n": "best-of-n up to √KL = {d}",
    "fell": "{fell} of {runs}",
    "fed": "A reward model of more pairs peaks higher.",
    "fed_why": (
        "From {least} to {most} pairs the peak rises by {ppo} nats under PPO, {best_of_n} under "
        "best-of-n."
    ),
    "grown": "A larger reward model peaks higher.",
    "grown_why": (
        "From {least} to {most} layers the peak rises by {ppo} nats under PPO, {best_of_n} under "
        "best-of-n."
    ),
    "few_pairs": "On fewer than {pairs} pairs a reward model is little better than chance.",
    "few_pairs_why": "It is right on {listed} of held-out pairs.",
    "right": "{accuracy} ({pairs} pairs)",
    "penalised": "A KL penalty does not move the frontier of gold reward over KL.",
    "penalised_why": (
        "Of {cases} comparisons with no penalty, the change is clearly below {tolerance} nats, "
        "{share} of the peak, in {small}, and clearly above in {large}."
    ),
    "curve": (
        "{pairs} pairs, {layers} of {all} layers (right on {accuracy} of held-out pairs): PPO "
        "without a penalty lifts the gold reward by {peak} nats at √KL = {peak_d} and ends at "
        "{end}, where the proxy is up by {end_proxy}; best-of-n ends at {best_of_n_end}, its peak "
        "being {best_of_n_peak}."
    ),
    "more": "{more} within {kl} nats",
    "penalty": "Against no penalty, β = {beta} changes the most gold reward by {listed}.",
}


def stages(quick: bool) -> list[dict[str, dict[str, Any]]]:
    """First the reward models and best-of-n by them, then PPO on them."""
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
        config = resolve(
            "ppo",
            TASK,
            reward_model=str(path),
            beta=settings["beta"],
            steps=settings["steps"],
            eval_every=settings["every"],
            seed=seed,
        )
        with trained_models.trained(config) as run:
            return {"curve": trained_models.curve(run.events()[0])}
    return trained_models.train_reward_model(path, pairs, layers, seed, **settings)


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Accuracy, curves, fits and peaks of each reward model, and the effects of the penalty."""

    def key(run: dict[str, Any]) -> tuple:
        settings = run["settings"]
        return settings["method"], settings["pairs"], settings["layers"], settings.get("beta", 0.0)

    groups = {group: list(members) for group, members in groupby(sorted(runs, key=key), key)}
    rows = []
    for (method, pairs, layers, beta), members in groups.items():
        curves = [_curve(run["found"]["curve"]) for run in members]
        peaks = [max(points, key=lambda point: point[1]) for points in curves]
        rows.append(
            {
                "method": method,
                "pairs": pairs,
                "layers": layers,
                "beta": beta,
                "parameters": members[0]["found"].get("parameters"),
                "accuracy": mean([run["found"].get("accuracy") for run in members]),
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


Curve = Sequence[Sequence[float]]  # points (d, gold, proxy) of a run


def fitted(row: dict[str, Any]) -> list[list[float]]:
    """Points [d, R] of a row's fit, up to the largest d of its seeds; empty without a fit."""
    if row["fit"] is None:
        return []
    furthest = max(point[0] for points in row["curves"] for point in points)
    return points_of(row["fit"], np.log if row["method"] == "ppo" else identity, furthest)


def _penalty(groups: dict[tuple, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """How much a penalty changes the highest gold reward within each KL, paired by seed."""
    unpenalised = groups["ppo", PENALTY_PAIRS, LAYERS, 0.0]
    rows = []
    for (method, pairs, layers, beta), runs in groups.items():
        if (method, pairs, layers) != ("ppo", PENALTY_PAIRS, LAYERS) or beta == 0:
            continue
        furthest = [max(point["kl"] for point in run["found"]["curve"]) for run in runs]
        more = {}
        for budget in BUDGETS:
            known = [
                _reached(run, budget) - _reached(without, budget)
                for run, without, far in zip(runs, unpenalised, furthest, strict=True)
                if far >= budget
            ]
            more[f"{budget:g}"] = mean(known)
        rows.append({"beta": beta, "kl": mean(furthest), "more": more})
    return rows


def _reached(run: dict[str, Any], budget: float) -> float:
    curve = run["found"]["curve"]
    return reward_within([(0.0, curve[0]["gold"]), *((p["kl"], p["gold"]) for p in curve)], budget)


def row(result: dict[str, Any], **wanted: Any) -> dict[str, Any]:
    """The row with this method, pairs, layers and β."""
    return next(row for row in result["rows"] if wanted.items() <= row.items())


def verdicts(result: dict[str, Any]) -> list[Verdict]:
    """Whether gold falls, what raises its peak, the accuracy on few pairs, and the penalty."""
    unpenalised = [row for row in result["rows"] if row["beta"] == 0]
    full_size = [row for row in unpenalised if row["layers"] == LAYERS]
    same_pairs = [row for row in unpenalised if row["pairs"] == SIZED_BY]
    return [
        *_falls(unpenalised),
        *_peaks(full_size, "pairs", "fed"),
        *_peaks(same_pairs, "layers", "grown"),
        *_accuracies(full_size),
        *_penalties(result),
    ]


def _falls(rows: Sequence[dict[str, Any]]) -> list[Verdict]:
    """The verdict holds for the cases in which more than half of the runs fall, and fails for those
    in which no run does."""
    by_sign: dict[int, dict[str, list[Finding]]] = {}
    for case, curves in _cases(rows):
        fell = sum(map(_falls_off, curves))
        value = int(2 * fell > len(curves)) if fell else -1
        cases = by_sign.setdefault(value, {"cases": [], "listed": []})
        cases["cases"].append(case)
        cases["listed"].append(("fell", {"fell": str(fell), "runs": str(len(curves))}))
    share = f"{FALL:.0%}"
    return [verdict(v, "fall", share=share, **by_sign[v]) for v in (1, -1, 0) if v in by_sign]


def _cases(rows: Sequence[dict[str, Any]]) -> list[tuple[Finding, list[Curve]]]:
    """PPO on each number of pairs, and best-of-n, with the curves of all seeds and sizes."""
    by_pairs: dict[int, list[Curve]] = {}
    for row in sorted(rows, key=lambda row: row["pairs"]):
        if row["method"] == "ppo":
            by_pairs.setdefault(row["pairs"], []).extend(row["curves"])
    best_of_n = [curve for row in rows if row["method"] == "best-of-n" for curve in row["curves"]]
    furthest = max(d for curve in best_of_n for d, _, _ in curve)
    return [
        *((("ppo", {"pairs": f"{pairs:,}"}), curves) for pairs, curves in by_pairs.items()),
        (("best-of-n", {"d": f"{furthest:.2f}"}), best_of_n),
    ]


def _falls_off(points: Curve) -> bool:
    """Whether gold ends well below its peak, and the proxy above its value at that peak."""
    _, peak, proxy = max(points, key=lambda point: point[1])
    _, end, end_proxy = points[-1]
    return peak - end > FALL * peak and end_proxy > proxy


def _peaks(rows: Sequence[dict[str, Any]], by: str, part: str) -> list[Verdict]:
    """Whether the peak is higher for the largest than for the smallest `by`, paired by seed."""
    sizes = sorted({row[by] for row in rows})
    if len(sizes) < 2:
        return []
    least, most = sizes[0], sizes[-1]
    rises = {}
    for method in ("ppo", "best-of-n"):
        by_size = {row[by]: row for row in rows if row["method"] == method}
        low, high = (
            [max(gold for _, gold, _ in points) for points in by_size[size]["curves"]]
            for size in (least, most)
        )
        rises[method.replace("-", "_")] = mean(np.subtract(high, low).tolist())
    texts = {name: format_mean(rise) for name, rise in rises.items()}
    higher = majority([sign(rise) for rise in rises.values() if rise is not None])
    return [verdict(higher, part, least=f"{least:,}", most=f"{most:,}", **texts)]


def _accuracies(rows: Sequence[dict[str, Any]]) -> list[Verdict]:
    """Whether the accuracies of reward models on few pairs are little better than chance."""
    few = [row for row in rows if row["method"] == "best-of-n" and row["pairs"] < FEW]
    listed = [
        ("right", {"accuracy": format_mean(row["accuracy"]), "pairs": f"{row['pairs']:,}"})
        for row in sorted(few, key=lambda row: row["pairs"])
    ]
    below = majority([-sign(row["accuracy"], LITTLE) for row in few])
    return [verdict(below, "few_pairs", pairs=f"{FEW:,}", listed=listed)]


def _penalties(result: dict[str, Any]) -> list[Verdict]:
    """Whether a penalty's changes are clearly within ± the tolerance, or clearly beyond it."""
    changes = [more for row in result["penalty"] for more in row["more"].values() if more]
    if not changes:
        return []
    unpenalised = row(result, method="ppo", pairs=PENALTY_PAIRS, layers=LAYERS, beta=0.0)
    bound = TOLERANCE * unpenalised["peak"]["mean"]
    signs = [min(-sign(change, bound), sign(change, -bound)) for change in changes]
    counts = {"cases": len(signs), "small": signs.count(1), "large": signs.count(-1)}
    texts = {"tolerance": f"{bound:.2f}", "share": f"{TOLERANCE:.0%}"}
    return [verdict(majority(signs), "penalised", **texts, **counts)]


def findings(result: dict[str, Any]) -> list[Finding]:
    """The curves for each number of pairs and size, and the effects of the penalty."""
    ppo = [run for run in result["rows"] if run["method"] == "ppo" and run["beta"] == 0]
    rows: list[Finding] = []
    for run in sorted(ppo, key=lambda run: (run["layers"] != LAYERS, run["pairs"], run["layers"])):
        model = row(result, method="best-of-n", pairs=run["pairs"], layers=run["layers"])
        curve = {
            "pairs": f"{run['pairs']:,}",
            "layers": str(run["layers"]),
            "all": str(LAYERS),
            "accuracy": format_mean(model["accuracy"]),
            **{name: format_mean(run[name]) for name in ("peak", "peak_d", "end", "end_proxy")},
            **{f"best_of_n_{name}": format_mean(model[name]) for name in ("end", "peak")},
        }
        rows.append(("curve", curve))
    for penalty in result["penalty"]:
        changes = {kl: more for kl, more in penalty["more"].items() if more}
        listed = [("more", {"more": format_mean(more), "kl": kl}) for kl, more in changes.items()]
        if listed:
            rows.append(("penalty", {"beta": f"{penalty['beta']:g}", "listed": listed}))
    return rows
