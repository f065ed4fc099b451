"""Reward over KL of every method, compared with the exact frontier: claims and results."""

from __future__ import annotations

from typing import Any

from align_core.experiments.claims import Verdict, verdict
from align_core.experiments.frontier_panels import panels
from align_core.experiments.frontier_runs import (
    BETAS,
    FROM_PAIRS,
    PAIRS,
    SEEDS,
    WIDE_BETA,
    WIDE_PAIRS,
    measure,
    stages,
)
from align_core.experiments.frontier_summary import BUDGETS, WIDE_BUDGETS, summary
from align_core.experiments.presentation import Block, Row, Table, joined
from align_core.experiments.sentences import Finding
from align_core.experiments.statistics import Mean, difference, format_mean, sign

__all__ = ["SEEDS", "measure", "panels", "stages", "summary"]

TITLE = "Which method is nearest to the limit"
PAPER = "2305.18290, Figure 2"
CLAIM = (
    "DPO gets the highest reward at every KL, higher even than PPO on the true reward: its "
    "frontier strictly dominates PPO's. And DPO's win rate hardly suffers from the sampling "
    "temperature, while PPO's falls to that of the base model."
)
NAMES = {
    "ppo": "PPO (reward model)",
    "ppo-gold": "PPO (gold)",
    "rloo": "RLOO",
    "grpo": "GRPO",
    "online-dpo": "online DPO",
    "rejection": "rejection sampling",
    "best-of-n": "best-of-n (reward model)",
    "best-of-n-gold": "best-of-n (gold)",
    "dpo": "DPO",
    "ipo": "IPO",
    "chipo": "χPO",
    "kto": "KTO",
    "simpo": "SimPO",
    "orpo": "ORPO",
    "unlikelihood": "unlikelihood",
    "preferred-ft": "Preferred-FT",
    "reference": "the reference itself",
}
FROM_REWARD = tuple(name for name in NAMES if name not in (*FROM_PAIRS, "reference"))
LISTED = ("0.5", "2")  # nats of KL at which a sentence gives the shares; the table has all
SENTENCES = {
    **NAMES,
    "join": ", ",
    "certain": "certain raters",
    "graded": "raters by σ(Δr)",
    "dominates": "DPO earns more than PPO at every KL.",
    "dominates_why": (
        "Out of {budgets} KL budgets, it is clearly ahead of PPO on a reward model in {dpo} and "
        "behind in {ppo}, and ahead of PPO on the gold reward in {dpo_gold} and behind in "
        "{ppo_gold}."
    ),
    "wide": "With certain raters and up to {most} nats, too, DPO earns more than PPO at every KL.",
    "wide_why": (
        "Of {cases} comparisons ({sizes} pairs; {budgets} nats) with certain raters it is clearly "
        "ahead of PPO on a reward model in {dpo} and behind in {ppo}; with raters by σ(Δr), ahead "
        "in {dpo_graded} and behind in {ppo_graded}."
    ),
    "steadier": "DPO's win rate suffers less from a high sampling temperature than PPO's.",
    "steadier_why": (
        "From T = {cold} to T = {hot}, DPO's win rate changes by {dpo}, PPO's by {ppo}."
    ),
    "share": "{method} {share}",
    "within": (
        "Shares of the optimum's gain within {budget} nats of KL: of the methods that learn from a "
        "reward, {rewarded}; of those that learn from pairs, {paired}."
    ),
    "difference": "{share} within {budget}",
    "nats": "{budgets} nats",
    "none": "none of these",
    "dpo_over_ppo": (
        "DPO's share minus PPO's on the reward model, seed by seed: {listed} nats; DPO is clearly "
        "ahead within {dpo}, PPO within {ppo}."
    ),
    "from": (
        "From {pairs} pairs of {raters}, DPO's gold reward minus PPO's on the reward model, in "
        "nats: {listed} nats of KL."
    ),
    "wins": (
        "{method} (β = {beta}) wins {cold} of its comparisons at temperature 0 and {hot} at "
        "temperature 1."
    ),
    "base": "The reference itself wins {cold} at temperature 0.",
    "chosen": (
        "The claim is about high temperatures. Here DPO's win rate is low at T = 0, where it "
        "writes its most likely text; and β was chosen as the one that wins most at T = {hot}, "
        "which favours T = {hot}."
    ),
}
SETUP = (
    Row("task", "films, by gpt2-large; the temperature on TL;DR summaries", "reviews, for both"),
    Row("gold reward", "a classifier's probability, 0 to 1", "−8 to 3 nats"),
    Row(
        "labels",
        "certain: the higher gold reward",
        "by σ(Δr): 18% go against the gold reward; also certain ones",
    ),
    Row("pairs", "150,000", f"{PAIRS:,}; {joined(WIDE_PAIRS)} with certain raters"),
    Row(
        "sweep",
        "DPO's β 0.05, 0.1, 1, 5; PPO's target KL 3, 6, 9, 12",
        f"β {joined(BETAS)} for all that have one; {WIDE_BETA:g} with certain raters",
    ),
    Row(
        "KL compared",
        "to some 15 nats",
        f"to {BUDGETS[-1]:g} nats; to {WIDE_BUDGETS[-1]:g} with certain raters",
    ),
)


def verdicts(result: dict[str, Any]) -> list[Verdict]:
    """Whether DPO gains more at every KL, and whether temperature costs it fewer wins."""
    signs = comparisons(result)
    ahead, ahead_of_gold, certain, graded, (dpo, ppo, more) = signs.values()
    counts = {"budgets": len(ahead), "dpo": ahead.count(1), "ppo": ahead.count(-1)}
    counts |= {"dpo_gold": ahead_of_gold.count(1), "ppo_gold": ahead_of_gold.count(-1)}
    wide: dict[str, Any] = {"cases": len(certain), "dpo": certain.count(1)}
    wide |= {"ppo": certain.count(-1), "dpo_graded": graded.count(1)}
    wide |= {"ppo_graded": graded.count(-1), "most": f"{WIDE_BUDGETS[-1]:g}"}
    sizes = sorted({row["pairs"] for row in result["wide"]})
    wide |= {"sizes": joined(sizes), "budgets": joined(WIDE_BUDGETS)}
    # The method with the lower change suffers only if its win rate falls, not if it rises less.
    suffers = (ppo if more > 0 else dpo) < 0
    texts = {method: format_mean(_gained(result, method)) for method in ("dpo", "ppo")}
    cold, hot = (f"{result['win_rates']['dpo']['temperatures'][end]:g}" for end in (0, -1))
    return [
        verdict(min(ahead + ahead_of_gold), "dominates", **counts),
        verdict(min(certain), "wide", **wide),
        verdict(more * suffers, "steadier", cold=cold, hot=hot, **texts),
    ]


def comparisons(result: dict[str, Any]) -> dict[str, list[int]]:
    """The signs of all comparisons behind the verdicts. For the temperature these are the changes
    of DPO's and of PPO's win rate, and the difference of the two."""
    dpo, gold = (result["shares"][method] for method in ("dpo", "ppo-gold"))
    changes = [_gained(result, method) for method in ("dpo", "ppo")]
    wide = {
        raters: [
            sign(more)
            for row in result["wide"]
            if row["raters"] == raters
            for more in row["dpo_over_ppo"].values()
        ]
        for raters in ("certain", "graded")
    }
    return {
        "ahead": [sign(more) for more in result["dpo_over_ppo"].values()],
        "ahead_of_gold": [sign(difference(dpo[budget], gold[budget])) for budget in dpo],
        **wide,
        "temperature": [*map(sign, changes), sign(difference(*changes))],
    }


def _gained(result: dict[str, Any], method: str) -> Mean:
    """The change of the win rate from the lowest temperature to the highest."""
    rates = result["win_rates"][method]["rates"]
    return difference(rates[-1], rates[0])


def findings(result: dict[str, Any]) -> list[Finding]:
    """Shares of the optimum's gain within two KL budgets, DPO against PPO, and the win rates."""
    shares, more = result["shares"], result["dpo_over_ppo"]
    rows: list[Finding] = [
        (
            "within",
            {
                "budget": budget,
                "rewarded": _listed(shares, FROM_REWARD, budget),
                "paired": _listed(shares, FROM_PAIRS, budget),
            },
        )
        for budget in LISTED
    ]
    rows.append(("dpo_over_ppo", {"listed": _differences(more), **_ahead(more)}))
    for row in result["wide"]:
        values = {"pairs": f"{row['pairs']:,}", "listed": _differences(row["dpo_over_ppo"])}
        rows.append(("from", {"raters": [(row["raters"], {})], **values}))
    for method in ("dpo", "ppo"):
        wins = result["win_rates"][method]
        rates = {"cold": format_mean(wins["rates"][0]), "hot": format_mean(wins["rates"][-1])}
        beta = f"{wins['setting']:g}"
        rows.append(("wins", {"method": [(method, {})], "beta": beta, **rates}))
    base = result["win_rates"]["reference"]["rates"][0]
    hot = f"{result['win_rates']['reference']['temperatures'][-1]:g}"
    return [*rows, ("base", {"cold": format_mean(base)}), ("chosen", {"hot": hot})]


def _listed(
    shares: dict[str, dict[str, Mean]], methods: tuple[str, ...], budget: str
) -> list[Finding]:
    """The shares of these methods within a budget, the highest first."""
    order = sorted(methods, key=lambda method: -shares[method][budget]["mean"])
    return [
        ("share", {"method": [(method, {})], "share": format_mean(shares[method][budget])})
        for method in order
    ]


def _differences(more: dict[str, Mean]) -> list[Finding]:
    return [
        ("difference", {"share": format_mean(value), "budget": budget})
        for budget, value in more.items()
    ]


def _ahead(more: dict[str, Mean]) -> dict[str, list[Finding]]:
    """The budgets at which DPO, and those at which PPO, is clearly ahead."""
    above = [budget for budget, value in more.items() if sign(value) > 0]
    below = [budget for budget, value in more.items() if sign(value) < 0]
    return {"dpo": [_nats(above)], "ppo": [_nats(below)]}


def _nats(budgets: list[str]) -> Finding:
    return ("nats", {"budgets": ", ".join(budgets)}) if budgets else ("none", {})


def report(result: dict[str, Any]) -> list[Block]:
    """Shares of the optimum's gain, the paper's comparison, and win rates over temperature."""
    budgets = [f"{kl:g}" for kl in BUDGETS]
    head = ["share of the optimum's gain", *(f"within {kl} nats" for kl in budgets)]
    rows = [
        [NAMES[method], *(format_mean(result["shares"][method][kl]) for kl in budgets)]
        for method in (*FROM_REWARD, *FROM_PAIRS)
    ]
    note = (
        "The share is that of the upper hull of all points of a seed, along training and over the "
        "sweep: two policies may be mixed, and the KL of the mixture is at most on the line "
        "between theirs. Methods on rollouts take 25 rollouts of 128 texts and learn from the "
        f"reward model of the same pairs, which is right on {format_mean(result['accuracy'])} of "
        "held-out pairs; methods on pairs take one epoch. Within 0.25 nats most shares are of "
        "mixtures with the reference, because few runs end so near to it. Methods without a β "
        "sweep another option: rejection sampling the number of texts in a group, SimPO its scale, "
        "ORPO the weight of the odds, unlikelihood its α."
    )
    wide = (
        "DPO and PPO on a reward model, as the paper compared them: the highest gold reward above "
        f"the reference's within a KL, in nats, over all of training at β = {WIDE_BETA:g}."
    )
    note_on_wins = (
        "The win rate against the reference's texts of temperature 1, by the sampling temperature "
        "T, for the β that wins most at T = 1."
    )
    return [Table(head, rows), note, wide, _wide_table(result), note_on_wins, _wins_table(result)]


def _wide_table(result: dict[str, Any]) -> Table:
    budgets = [f"{kl:g}" for kl in WIDE_BUDGETS]
    head = ["raters", "pairs", "reward model right"]
    head += [f"{NAMES[method]}, {kl}" for kl in budgets for method in ("ppo", "dpo")]
    rows = [
        [row["raters"], f"{row['pairs']:,}", format_mean(row["accuracy"])]
        + [format_mean(row[method]["reached"][kl]) for kl in budgets for method in ("ppo", "dpo")]
        for row in result["wide"]
    ]
    return Table(head, rows)


def _wins_table(result: dict[str, Any]) -> Table:
    win_rates = result["win_rates"]
    temperatures = [f"T = {t:g}" for t in win_rates["dpo"]["temperatures"]]
    rows = [
        [
            NAMES[method],
            "–" if row["setting"] is None else f"{row['setting']:g}",
            *map(format_mean, row["rates"]),
        ]
        for method, row in win_rates.items()
    ]
    return Table(["", "β", *temperatures], rows)
