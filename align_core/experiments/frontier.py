"""Reward over KL for every method, against the best that any policy could reach."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
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

PAIRS = 4000  # the same for the reward model, DPO, Preferred-FT and unlikelihood of a seed
BETAS = (0.1, 0.3, 1.0, 3.0)
ALPHAS = (0.05, 0.1, 0.5, 1.0)
TEMPERATURES = (0.0, 0.25, 0.5, 0.75, 1.0)
BUDGETS = (0.25, 0.5, 1.0, 2.0)  # nats of KL at which the methods are compared
# Method -> steps, evaluated every; the sweep is over β or α, whichever the method has.
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
SHOWN = ("beta", "alpha", "seed")  # of a run's settings, beside its curve
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
    "steadier": "DPO's win rate suffers less from the sampling temperature than PPO's.",
    "steadier_why": "From the best to the worst temperature DPO loses {dpo}, PPO {ppo}.",
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
}
LAYERS = 3  # of the reference, and so of its reward model
BEST_OF, STORED = 128, 256  # the largest n, and how many texts of each prompt a reward model reads
# What is done to see it work.
QUICK_LENGTHS = {method: (1, 1) for method in LENGTHS}


def stages(quick: bool) -> list[dict[str, dict[str, Any]]]:
    """The reward model of each seed, which also picks best-of-n; then all that is trained."""
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
    """The curve of one run, and its final policy's win rate at each temperature."""
    from align_core.data.preference_files import stored_pairs
    from align_core.experiments import trained_models  # torch; the page reads results without it
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


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The limit; each method's curves; how near it comes; its win rates."""
    rewards = ReferenceSamples.load(reference_samples(TASK, "probe")).rewards
    frontier = Frontier.of(rewards)
    curves = {method: _curves(found, method) for method in (*SWEEPS, "best-of-n")}
    exact = [best_of_n(rewards, 2**power)[::-1] for power in range(BEST_OF.bit_length())]
    curves["best-of-n-gold"] = [{"seed": 0, "points": exact}]
    reward, kl, samples = frontier.curve
    known = samples >= MIN_EFFECTIVE_SAMPLES
    shares = {
        method: {f"{kl:g}": _shares(of_method, frontier, kl) for kl in BUDGETS}
        for method, of_method in curves.items()
    }
    return {
        "seeds": len({run["settings"]["seed"] for run in found}),
        "reference": float(rewards.mean()),
        "optimum": [[float(k), float(r)] for k, r in zip(kl[known], reward[known], strict=True)],
        "accuracy": mean([run["found"].get("accuracy") for run in found]),
        "curves": curves,
        "shares": {
            method: {kl: mean(by_seed) for kl, by_seed in of_method.items()}
            for method, of_method in shares.items()
        },
        "dpo_over_ppo": {
            kl: mean(np.subtract(shares["dpo"][kl], shares["ppo"][kl]).tolist())
            for kl in shares["dpo"]
        },
        "win_rates": {
            method: _win_rates([run for run in found if run["settings"]["method"] == method])
            for method in (*SWEEPS, "reference")
        },
    }


def _curves(found: list[dict[str, Any]], method: str) -> list[dict[str, Any]]:
    """The runs of a method: their setting, seed, and (KL, gold reward) from the reference on."""
    return [
        {
            **{name: one for name, one in run["settings"].items() if name in SHOWN},
            "points": [[point["kl"], point["gold"]] for point in run["found"]["curve"]],
        }
        for run in found
        if run["settings"]["method"] == method
    ]


def _shares(curves: Iterable[dict[str, Any]], frontier: Frontier, budget: float) -> list[float]:
    """For each seed, what the method gains within this KL, as a share of what the optimum gains.

    Of all points of its runs: the sweep is the method's, and so is the moment to stop.
    """
    by_seed = groupby(sorted(curves, key=lambda one: one["seed"]), lambda one: one["seed"])
    shares = []
    for runs in (list(runs) for _, runs in by_seed):
        start = runs[0]["points"][0][1]
        points = (tuple(point) for run in runs for point in run["points"])
        reached, limit = reward_within(points, budget), frontier.at(budget)[0]
        shares.append((reached - start) / (limit - start))
    return shares


def _win_rates(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Over temperature, for the setting that wins most at temperature 1."""

    def strength(run: dict[str, Any]) -> float | None:
        return run["settings"].get("beta", run["settings"].get("alpha"))

    settings = sorted({strength(run) for run in runs})
    of = {
        one: [run["found"]["win_rates"] for run in runs if strength(run) == one] for one in settings
    }
    best = max(settings, key=lambda one: mean([rates[-1] for rates in of[one]])["mean"])
    rates = [mean(at_temperature) for at_temperature in zip(*of[best], strict=True)]
    temperatures = runs[0]["settings"]["temperatures"]
    return {"setting": best, "temperatures": temperatures, "rates": rates}


def verdicts(result: dict[str, Any]) -> list[Verdict]:
    """On who earns more at every KL, and on who suffers from the temperature."""
    dpo, gold = (result["shares"][method] for method in ("dpo", "ppo-gold"))
    ahead = [sign(more) for more in result["dpo_over_ppo"].values()]
    of_gold = [sign(difference(dpo[budget], gold[budget])) for budget in dpo]
    counts = {"budgets": len(dpo), "dpo": ahead.count(1), "ppo": ahead.count(-1)}
    counts |= {"dpo_gold": of_gold.count(1), "ppo_gold": of_gold.count(-1)}
    lost = {method: _lost_by_temperature(result, method) for method in ("dpo", "ppo")}
    steadier = sign(difference(lost["ppo"], lost["dpo"]))
    return [
        verdict(min(ahead + of_gold), "dominates", **counts),
        verdict(steadier, "steadier", **{method: format_mean(one) for method, one in lost.items()}),
    ]


def _lost_by_temperature(result: dict[str, Any], method: str) -> Mean:
    """Of the win rate, from the best temperature to the worst."""
    worst, *_, best = sorted(result["win_rates"][method]["rates"], key=lambda rate: rate["mean"])
    return difference(best, worst)


def findings(result: dict[str, Any]) -> list[Finding]:
    """Who is nearest at which KL, DPO against PPO, and the win rates."""
    shares = result["shares"]
    found: list[Finding] = []
    trained = [method for method in SWEEPS if method != "ppo-gold"]
    others = {name: name.replace("-", "_") for name in ("ppo-gold", "best-of-n", "best-of-n-gold")}
    budgets = list(map("{:g}".format, BUDGETS))
    for budget in budgets:
        order = sorted(trained, key=lambda method: -shares[method][budget]["mean"])
        of = {method: format_mean(shares[method][budget]) for method in shares}
        listed = [("share", {"method": [(method, {})], "share": of[method]}) for method in order]
        rest = {name: of[method] for method, name in others.items()}
        found.append(("within", {"budget": budget, "listed": listed, **rest}))
    more = result["dpo_over_ppo"]
    listed = [("difference", {"share": format_mean(more[one]), "budget": one}) for one in budgets]
    found.append(("dpo_over_ppo", {"listed": listed, **_ahead(more)}))
    for method in ("dpo", "ppo"):
        of_method = result["win_rates"][method]
        rates = {
            "cold": format_mean(of_method["rates"][0]),
            "hot": format_mean(of_method["rates"][-1]),
        }
        beta = f"{of_method['setting']:g}"
        found.append(("wins", {"method": [(method, {})], "beta": beta, **rates}))
    base = result["win_rates"]["reference"]["rates"][0]
    return [*found, ("base", {"cold": format_mean(base)})]


def _ahead(more: dict[str, Mean]) -> dict[str, list[Finding]]:
    """Where the interval of a difference leaves 0 out, for DPO and for PPO."""
    above = [budget for budget, one in more.items() if sign(one) > 0]
    below = [budget for budget, one in more.items() if sign(one) < 0]
    return {"dpo": [_nats(above)], "ppo": [_nats(below)]}


def _nats(budgets: list[str]) -> Finding:
    return ("nats", {"budgets": ", ".join(budgets)}) if budgets else ("none", {})
