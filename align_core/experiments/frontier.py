"""Reward over KL of every method, compared with the exact frontier."""

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
from align_core.experiments.claims import Verdict, verdict
from align_core.experiments.kl_curves import reward_within
from align_core.experiments.sentences import Finding
from align_core.experiments.statistics import Mean, difference, format_mean, mean, sign
from align_core.optimum import MIN_EFFECTIVE_SAMPLES, Frontier, ReferenceSamples, best_of_n

TITLE = "Which method is nearest to the limit"
PAPER = "2305.18290, Figure 2"
CLAIM = (
    "DPO gets the highest reward at every KL, PPO on the true reward included: its frontier "
    "strictly dominates PPO's. And DPO's win rate hardly suffers from the sampling temperature, "
    "while PPO's falls to that of the base model."
)
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
NAMES = {
    "ppo": "PPO (reward model)",
    "ppo-gold": "PPO (gold)",
    "dpo": "DPO",
    "unlikelihood": "unlikelihood",
    "preferred-ft": "Preferred-FT",
    "reference": "the reference itself",
    "best-of-n": "best-of-n (reward model)",
    "best-of-n-gold": "best-of-n (gold)",
}
SENTENCES = {
    **NAMES,
    "join": ", ",
    "dominates": "DPO earns more than PPO at every KL.",
    "dominates_why": (
        "Of {budgets} budgets of KL it is clearly ahead of PPO on a reward model in {dpo} and "
        "behind in {ppo}; of PPO on the gold reward, ahead in {dpo_gold} and behind in {ppo_gold}."
    ),
    "steadier": "DPO's win rate suffers less from a high sampling temperature than PPO's.",
    "steadier_why": (
        "From T = {cold} to T = {hot}, DPO's win rate changes by {dpo}, PPO's by {ppo}."
    ),
    "share": "{method} {share}",
    "within": (
        "Within {budget} nats of KL, of what the optimum gains there: {listed}; PPO on the gold "
        "reward {ppo_gold}, best-of-n by the reward model {best_of_n}, by the gold reward "
        "{best_of_n_gold}."
    ),
    "difference": "{share} within {budget}",
    "nats": "{budgets} nats",
    "none": "none of these",
    "dpo_over_ppo": (
        "DPO's share less PPO's on the reward model, seed by seed: {listed} nats; DPO is clearly "
        "ahead within {dpo}, PPO within {ppo}."
    ),
    "wins": (
        "{method} (β = {beta}) wins {cold} of its comparisons at temperature 0 and {hot} at "
        "temperature 1."
    ),
    "base": "The reference itself wins {cold} at temperature 0.",
    "chosen": (
        "The claim is about high temperatures. What is low for DPO here is T = 0, its most likely "
        "text; and β was chosen as the one that wins most at T = {hot}, which favours T = {hot}."
    ),
}
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


def verdicts(result: dict[str, Any]) -> list[Verdict]:
    """Whether DPO gains more at every KL, and whether temperature costs it fewer wins."""
    ahead, ahead_of_gold, (dpo, ppo, more) = comparisons(result).values()
    counts = {"budgets": len(ahead), "dpo": ahead.count(1), "ppo": ahead.count(-1)}
    counts |= {"dpo_gold": ahead_of_gold.count(1), "ppo_gold": ahead_of_gold.count(-1)}
    suffers = (ppo if more > 0 else dpo) < 0  # to gain less is not to suffer
    texts = {method: format_mean(_gained(result, method)) for method in ("dpo", "ppo")}
    cold, hot = (f"{result['win_rates']['dpo']['temperatures'][end]:g}" for end in (0, -1))
    return [
        verdict(min(ahead + ahead_of_gold), "dominates", **counts),
        verdict(more * suffers, "steadier", cold=cold, hot=hot, **texts),
    ]


def comparisons(result: dict[str, Any]) -> dict[str, list[int]]:
    """The signs of all comparisons behind the verdicts and findings. For the temperature
    these are the changes of DPO's and of PPO's win rate, and the difference of the two."""
    dpo, gold = (result["shares"][method] for method in ("dpo", "ppo-gold"))
    changes = [_gained(result, method) for method in ("dpo", "ppo")]
    return {
        "ahead": [sign(more) for more in result["dpo_over_ppo"].values()],
        "ahead_of_gold": [sign(difference(dpo[budget], gold[budget])) for budget in dpo],
        "temperature": [*map(sign, changes), sign(difference(*changes))],
    }


def _gained(result: dict[str, Any], method: str) -> Mean:
    """The change of the win rate from the lowest temperature to the highest."""
    rates = result["win_rates"][method]["rates"]
    return difference(rates[-1], rates[0])


def findings(result: dict[str, Any]) -> list[Finding]:
    """Shares of the optimum at each KL, DPO against PPO, and the win rates."""
    shares = result["shares"]
    rows: list[Finding] = []
    trained = [method for method in SWEEPS if method != "ppo-gold"]
    others = {name: name.replace("-", "_") for name in ("ppo-gold", "best-of-n", "best-of-n-gold")}
    budgets = list(map("{:g}".format, BUDGETS))
    for budget in budgets:
        order = sorted(trained, key=lambda method: -shares[method][budget]["mean"])
        texts = {method: format_mean(shares[method][budget]) for method in shares}
        listed: list[Finding] = [
            ("share", {"method": [(method, {})], "share": texts[method]}) for method in order
        ]
        rest = {name: texts[method] for method, name in others.items()}
        rows.append(("within", {"budget": budget, "listed": listed, **rest}))
    more = result["dpo_over_ppo"]
    listed = [
        ("difference", {"share": format_mean(more[budget]), "budget": budget}) for budget in budgets
    ]
    rows.append(("dpo_over_ppo", {"listed": listed, **_ahead(more)}))
    for method in ("dpo", "ppo"):
        wins = result["win_rates"][method]
        rates = {
            "cold": format_mean(wins["rates"][0]),
            "hot": format_mean(wins["rates"][-1]),
        }
        beta = f"{wins['setting']:g}"
        rows.append(("wins", {"method": [(method, {})], "beta": beta, **rates}))
    base = result["win_rates"]["reference"]["rates"][0]
    hot = f"{result['win_rates']['reference']['temperatures'][-1]:g}"
    return [*rows, ("base", {"cold": format_mean(base)}), ("chosen", {"hot": hot})]


def _ahead(more: dict[str, Mean]) -> dict[str, list[Finding]]:
    """The budgets at which DPO, and those at which PPO, is clearly ahead."""
    above = [budget for budget, value in more.items() if sign(value) > 0]
    below = [budget for budget, value in more.items() if sign(value) < 0]
    return {"dpo": [_nats(above)], "ppo": [_nats(below)]}


def _nats(budgets: list[str]) -> Finding:
    return ("nats", {"budgets": ", ".join(budgets)}) if budgets else ("none", {})
