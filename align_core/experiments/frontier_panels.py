"""The figure of the frontier: methods that learn from a reward, methods that learn from pairs, the
comparison of the paper (arXiv 2305.18290, Figure 2), and win rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from align_core.experiments.frontier_runs import FROM_PAIRS, RATERS, WIDE_BETA
from align_core.experiments.frontier_summary import BUDGETS
from align_core.experiments.presentation import Panel, labelled, means, points

FURTHEST = 20.0  # nats of KL up to which the paths of DPO and PPO are drawn
# Methods without a colour of their own -> the method, not in their panel, whose colour they share.
COLOURS = {
    **{"rloo": "preferred-ft", "grpo": "dpo", "online-dpo": "unlikelihood"},
    **{"rejection": "reference", "ipo": "ppo", "chipo": "best-of-n-gold", "kto": "best-of-n"},
    **{"simpo": "ppo-gold", "orpo": "reference"},
}
DASHES = ("dot", "dash", "solid")  # from the fewest pairs to the most


def panels(result: dict[str, Any], words: dict[str, Any]) -> list[Panel]:
    """The share of the optimum's gain that each method reaches, from a reward and from pairs; DPO
    and PPO along training, up to the KL of FURTHEST; and win rates over temperature."""
    from_reward = [name for name in result["shares"] if name not in FROM_PAIRS]
    return [
        _shares(result, words, words["from_reward"], from_reward),
        _shares(result, words, words["from_pairs"], FROM_PAIRS),
        *(
            _paths(result, words, raters)
            for raters in RATERS
            if any(row["raters"] == raters for row in result["wide"])
        ),
        _wins(result, words),
    ]


def _shares(
    result: dict[str, Any], words: dict[str, Any], title: str, methods: Sequence[str]
) -> Panel:
    curves = [
        {
            "name": words["names"][method],
            "colour": COLOURS.get(method, method),
            "mode": "lines+markers",
            "x": list(BUDGETS),
            "y": [result["shares"][method][f"{kl:g}"]["mean"] for kl in BUDGETS],
        }
        for method in methods
    ]
    axes = {"x": words["within"], "y": words["share"], "ticks": list(BUDGETS)}
    return labelled({"title": title, **axes, "curves": curves})


def _paths(result: dict[str, Any], words: dict[str, Any], raters: str) -> Panel:
    """The limit, and DPO and PPO along training, from each number of pairs."""
    curves = [
        {
            "name": words["from"].format(method=words["names"][method], pairs=f"{row['pairs']:,}"),
            "colour": method,
            "mode": "lines+markers",
            "dash": dash,
            **points(_to_the_edge(row[method]["path"])),
        }
        for method in ("ppo", "dpo")
        for row, dash in zip(
            [row for row in result["wide"] if row["raters"] == raters], DASHES, strict=False
        )
    ]
    limit = {
        "name": words["optimum"],
        "colour": "ink",
        "mode": "lines",
        **points(result["optimum"]),
    }
    title = words["training"].format(raters=words["raters"][raters], beta=f"{WIDE_BETA:g}")
    axes = {"x": words["kl"], "y": words["gold"]}
    return labelled({"title": title, **axes, "curves": [limit, *curves]})


def _to_the_edge(path: list[list[float]]) -> list[list[float]]:
    """A path until it first leaves the picture, with the point where it does."""
    shown: list[list[float]] = []
    for kl, gold in path:
        if kl > FURTHEST:
            before, start = shown[-1]
            share = (FURTHEST - before) / (kl - before)
            return [*shown, [FURTHEST, start + share * (gold - start)]]
        shown.append([kl, gold])
    return shown


def _wins(result: dict[str, Any], words: dict[str, Any]) -> Panel:
    curves = [
        {
            "name": words["names"][method],
            "colour": method,
            "mode": "lines+markers",
            "x": wins["temperatures"],
            **means(wins["rates"]),
        }
        for method, wins in result["win_rates"].items()
    ]
    axes = {"x": words["temperature"], "y": words["win_rate"]}
    return labelled({"title": words["wins"], **axes, "curves": curves})
