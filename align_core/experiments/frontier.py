"""Reward over KL of every method, compared with the exact frontier: claims and results."""

from __future__ import annotations

from typing import Any

from align_core.experiments.claims import Verdict, verdict
from align_core.experiments.frontier_runs import (
    BETAS,
    BUDGETS,
    LENGTHS,
    PAIRS,
    SEEDS,
    SWEEPS,
    measure,
    stages,
    summary,
)
from align_core.experiments.presentation import Block, Panel, Row, Table, joined, means, points
from align_core.experiments.sentences import Finding
from align_core.experiments.statistics import Mean, difference, format_mean, sign

__all__ = ["LENGTHS", "SEEDS", "measure", "stages", "summary"]

TITLE = "Which method is nearest to the limit"
PAPER = "2305.18290, Figure 2"
CLAIM = (
    "DPO gets the highest reward at every KL, PPO on the true reward included: its frontier "
    "strictly dominates PPO's. And DPO's win rate hardly suffers from the sampling temperature, "
    "while PPO's falls to that of the base model."
)
MAX_KL = 4.0  # nats; how far the frontier is drawn
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
SETUP = (
    Row("task", "films, by gpt2-large; the temperature on TL;DR summaries", "reviews, for both"),
    Row("gold reward", "a classifier's probability, 0 to 1", "−8 to 3 nats"),
    Row("labels", "certain: the higher gold reward", "by σ(Δr): 18% go against the gold reward"),
    Row("pairs", "150,000", f"{PAIRS:,}"),
    Row(
        "sweep",
        "DPO's β 0.05, 0.1, 1, 5; PPO's target KL 3, 6, 9, 12",
        f"β {joined(BETAS)} for both",
    ),
    Row("KL compared", "to some 15 nats", f"to {BUDGETS[-1]:g} nats"),
)


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


def panels(result: dict[str, Any], words: dict[str, Any]) -> list[Panel]:
    """All evaluations of all runs under the exact frontier; the win rate over temperature."""
    optimum = [point for point in result["optimum"] if point[0] <= MAX_KL]
    curves = [
        {"name": words["optimum"], "colour": "ink", "mode": "lines", **points(optimum)},
    ]
    for method, runs in result["curves"].items():
        reached = [point for run in runs for point in run["points"] if point[0] <= MAX_KL]
        mode = "lines+markers" if method == "best-of-n-gold" else "markers"
        style = {"name": words["names"][method], "colour": method, "mode": mode}
        curves.append({**style, **points(reached)})
    win_rates = [
        {
            "name": words["names"][method],
            "colour": method,
            "mode": "lines+markers",
            "x": wins["temperatures"],
            **means(wins["rates"]),
        }
        for method, wins in result["win_rates"].items()
    ]
    return [
        {"title": words["trade"], "x": words["kl"], "y": words["gold"], "curves": curves},
        {
            "title": words["wins"],
            "x": words["temperature"],
            "y": words["win_rate"],
            "curves": win_rates,
        },
    ]


def report(result: dict[str, Any]) -> list[Block]:
    """Shares of the optimum's gain, and win rates over temperature."""
    budgets = [f"{kl:g}" for kl in BUDGETS]
    head = ["share of the optimum's gain", *(f"within {kl} nats" for kl in budgets)]
    rows = [
        [NAMES[method], *(format_mean(shares[kl]) for kl in budgets)]
        for method, shares in result["shares"].items()
    ]
    win_rates = result["win_rates"]
    temperatures = [f"T = {t:g}" for t in win_rates["dpo"]["temperatures"]]
    wins = [
        [NAMES[method], _setting(row["setting"]), *map(format_mean, row["rates"])]
        for method, row in win_rates.items()
    ]
    note = (
        "The share is that of the upper hull of all points of a seed, along training and over the "
        "sweep: two policies may be mixed, and the KL of the mixture is not beyond the line "
        "between theirs. The reward model is right on "
        f"{format_mean(result['accuracy'])} of held-out pairs. Below: the win rate against the "
        "reference's texts of temperature 1, by the sampling temperature T, for the setting "
        "(β or α) that wins most at T = 1."
    )
    return [Table(head, rows), note, Table(["", "setting", *temperatures], wins)]


def _setting(strength: float | None) -> str:
    return "–" if strength is None else f"{strength:g}"
