"""Over-optimisation of a learned reward: what the paper claims, and what holds here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from align_core.experiments.claims import Verdict, majority, verdict
from align_core.experiments.kl_curves import Curve, furthest, gold_at, lost_from
from align_core.experiments.overoptimisation_figures import panels, report
from align_core.experiments.overoptimisation_runs import (
    BEST_OF,
    LAYERS,
    PAIRS,
    PENALTY_PAIRS,
    SEEDS,
    SIZED_BY,
    measure,
    row,
    stages,
    summary,
)
from align_core.experiments.presentation import Row
from align_core.experiments.sentences import Finding
from align_core.experiments.statistics import Mean, format_mean, mean, sign

__all__ = ["SEEDS", "measure", "panels", "report", "stages", "summary"]

TITLE = "A reward model is not the reward"
PAPER = "2210.10760"
CLAIM = (
    "As a policy is optimised against a reward model, the proxy rises and the gold reward rises "
    "and then falls, as d(α − βd) for best-of-n and d(α − β log d) for RL, with d = √KL. Reward "
    "models that are larger, or have seen more pairs, peak higher; with fewer than about 2,000 "
    "pairs they are little better than chance. A KL penalty acts as stopping early does: it does "
    "not move the frontier of gold reward over KL."
)
# Thresholds of the verdicts.
FALL = 0.25  # a falling run loses more than this share of its peak
LITTLE = 0.6  # a reward model up to this accuracy is little better than chance
FEW = 2000  # pairs; the claim is that a reward model on fewer is little better than chance
TOLERANCE = 0.1  # a penalty without effect changes the reward by at most this share of the peak
METHODS = {"ppo": "ppo", "best-of-n": "best_of_n"}  # method -> the name of its values in SENTENCES
SENTENCES = {
    "join": ", ",
    "fall": "With {cases}, the gold reward peaks and then falls while the proxy rises.",
    "fall_why": "Gold falls by more than {share} of its peak in {listed} runs.",
    "ppo": "PPO on {pairs} pairs",
    "best-of-n": "best-of-n up to √KL = {d}",
    "fell": "{fell} of {runs}",
    "short": "With {cases}, the gold reward peaks and then falls while the proxy rises.",
    "short_why": (
        "They were not optimised far enough to tell: no run fell, but they end at a √KL of "
        "{listed}, and the runs that fall have lost {share} of their peak only at {needed}, on "
        "average."
    ),
    "reach": "{d}",
    "fed": "A reward model of more pairs peaks higher.",
    "fed_why": (
        "From {least} to {most} pairs the peak rises by {ppo} nats under PPO, {best_of_n} under "
        "best-of-n."
    ),
    "further": "At equal √KL, a reward model of more pairs leaves more gold reward.",
    "further_why": (
        "From {least} to {most} pairs gold rises by {ppo} nats under PPO at √KL = {ppo_d}, the "
        "furthest that all of these runs reach, and by {best_of_n} under best-of-n at "
        "{best_of_n_d}."
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
        "In {cases} comparisons of a β above 0 with β = 0, the change is clearly below {tolerance} "
        "nats, {share} of the peak, in {small}, and clearly above in {large}."
    ),
    "curve": (
        "{pairs} pairs, {layers} of {all} layers (right on {accuracy} of held-out pairs): PPO "
        "without a penalty lifts the gold reward by {peak} nats at √KL = {peak_d} and ends at "
        "{end}, where the proxy is up by {end_proxy}; best-of-n ends at {best_of_n_end}, its peak "
        "being {best_of_n_peak}."
    ),
    "equal": (
        "At equal √KL, the furthest that all of these runs reach: under PPO without a penalty at "
        "{ppo_d}, gold is up by {ppo}; under best-of-n at {best_of_n_d}, by {best_of_n}."
    ),
    "on_pairs": "{gold} on {pairs} pairs",
    "more": "{more} within {kl} nats",
    "penalty": "Compared with β = 0, β = {beta} changes the highest gold reward by {listed}.",
}
SETUP = (
    Row("gold reward", "a reward model of 6 B parameters", "a formula, at most 3 nats"),
    Row("reward models", "3 M to 3 B parameters", "0.34 M to 0.77 M parameters"),
    Row("pairs", "up to 90,000", f"{PAIRS[0]:,} to {PAIRS[-1]:,}"),
    Row("best-of-n", "n to 60,000", f"n to {BEST_OF}"),
)


def verdicts(result: dict[str, Any]) -> list[Verdict]:
    """Whether gold falls, what raises its peak and its value at equal √KL, whether a reward model
    of few pairs is inaccurate, and whether a penalty has an effect."""
    full_size, same_pairs = _full_size(result), _same_pairs(result)
    return [
        *_falls(_unpenalised(result)),
        *_peaks(full_size, "pairs", "fed"),
        *_further(full_size),
        *_peaks(same_pairs, "layers", "grown"),
        *_accuracies(full_size),
        *_penalties(result),
    ]


def comparisons(result: dict[str, Any]) -> dict[str, list[int]]:
    """The signs of all comparisons behind the verdicts."""
    full_size, same_pairs = _full_size(result), _same_pairs(result)
    further = [row["more"] for row in _at_equal_distance(full_size).values()]
    return {
        "fed": list(map(sign, _rises(full_size, "pairs").values())),
        "further": list(map(sign, further)),
        "grown": list(map(sign, _rises(same_pairs, "layers").values())),
        "few_pairs": [sign(row["accuracy"], LITTLE) for row in _few(full_size)],
        "penalised": _penalty_signs(result),
    }


def _unpenalised(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in result["rows"] if row["beta"] == 0]


def _full_size(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in _unpenalised(result) if row["layers"] == LAYERS]


def _same_pairs(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in _unpenalised(result) if row["pairs"] == SIZED_BY]


def _falls(rows: Sequence[dict[str, Any]]) -> list[Verdict]:
    """The verdicts on the claim that gold falls, each with its cases.

    It holds for cases in which more than half of the runs fall. It fails for cases in which no run
    falls, although each reaches the √KL at which other runs have fallen on average.
    """
    groups: dict[tuple[int, str], dict[str, list[Finding]]] = {}
    cases = _cases(rows)
    fallen = [curve for _, curves in cases for curve in curves if _falls_off(curve)]
    known = [d for curve in fallen if (d := lost_from(curve, FALL)) is not None]
    needed = sum(known) / len(known) if known else 0.0
    for case, curves in cases:
        fell = sum(map(_falls_off, curves))
        ends = [furthest(points) for points in curves]
        part = "fall" if fell or min(ends) >= needed else "short"
        value = int(2 * fell > len(curves)) if fell else -int(part == "fall")
        group = groups.setdefault((value, part), {"cases": [], "listed": []})
        group["cases"].append(case)
        reach: Finding = ("reach", {"d": f"{max(ends):.2f}"})
        count: Finding = ("fell", {"fell": str(fell), "runs": str(len(curves))})
        group["listed"].append(count if part == "fall" else reach)
    texts = {"share": f"{FALL:.0%}", "needed": f"{needed:.2f}"}
    order = [(1, "fall"), (-1, "fall"), (0, "fall"), (0, "short")]
    return [verdict(key[0], key[1], **texts, **groups[key]) for key in order if key in groups]


def _cases(rows: Sequence[dict[str, Any]]) -> list[tuple[Finding, list[Curve]]]:
    """PPO on each number of pairs, and best-of-n, with the curves of all seeds and sizes."""
    by_pairs: dict[int, list[Curve]] = {}
    for run in sorted(rows, key=lambda run: run["pairs"]):
        if run["method"] == "ppo":
            by_pairs.setdefault(run["pairs"], []).extend(run["curves"])
    best_of_n = [curve for row in rows if row["method"] == "best-of-n" for curve in row["curves"]]
    end = max(map(furthest, best_of_n))
    return [
        *((("ppo", {"pairs": f"{pairs:,}"}), curves) for pairs, curves in by_pairs.items()),
        (("best-of-n", {"d": f"{end:.2f}"}), best_of_n),
    ]


def _falls_off(points: Curve) -> bool:
    """Whether gold ends well below its peak, and the proxy above its value at that peak."""
    _, peak, proxy = max(points, key=lambda point: point[1])
    _, end, end_proxy = points[-1]
    return peak - end > FALL * peak and end_proxy > proxy


def _extremes(rows: Sequence[dict[str, Any]], by: str) -> tuple[int, int]:
    """The smallest and the largest value of `by`, "pairs" or "layers"; two zeros if there are no
    rows."""
    sizes = [row[by] for row in rows] or [0]
    return min(sizes), max(sizes)


def _rises(rows: Sequence[dict[str, Any]], by: str) -> dict[str, Mean]:
    """For each method, how much higher the peak is at the largest value of `by` than at the
    smallest, paired by seed; empty if there is only one value."""
    least, most = _extremes(rows, by)
    if least == most:
        return {}
    rises = {}
    for method in METHODS:
        by_size = {row[by]: row for row in rows if row["method"] == method}
        low, high = (
            [max(gold for _, gold, _ in points) for points in by_size[size]["curves"]]
            for size in (least, most)
        )
        rises[method] = mean(np.subtract(high, low).tolist())
    return {method: rise for method, rise in rises.items() if rise is not None}


def _peaks(rows: Sequence[dict[str, Any]], by: str, part: str) -> list[Verdict]:
    """Whether the peak is higher at the largest value of `by` than at the smallest."""
    rises = _rises(rows, by)
    if not rises:
        return []
    least, most = _extremes(rows, by)
    texts = {METHODS[method]: format_mean(rise) for method, rise in rises.items()}
    higher = majority(list(map(sign, rises.values())))
    return [verdict(higher, part, least=f"{least:,}", most=f"{most:,}", **texts)]


def _at_equal_distance(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """For each method the largest √KL, `d`, that its runs on all numbers of pairs reach; gold there
    `by_pairs`; and how much `more` it is for the most pairs than for the fewest, paired by seed.
    Empty for one number of pairs."""
    least, most = _extremes(rows, "pairs")
    if least == most:
        return {}
    compared = {}
    for method in METHODS:
        curves = {row["pairs"]: row["curves"] for row in rows if row["method"] == method}
        d = min(furthest(points) for group in curves.values() for points in group)
        gold = {pairs: [gold_at(points, d) for points in group] for pairs, group in curves.items()}
        more = mean(np.subtract(gold[most], gold[least]).tolist())
        by_pairs = {pairs: mean(values) for pairs, values in sorted(gold.items())}
        compared[method] = {"d": d, "by_pairs": by_pairs, "more": more}
    return compared


def _further(rows: Sequence[dict[str, Any]]) -> list[Verdict]:
    """Whether gold is higher for the most pairs than for the fewest, at equal √KL."""
    compared = _at_equal_distance(rows)
    if not compared:
        return []
    least, most = _extremes(rows, "pairs")
    texts = {"least": f"{least:,}", "most": f"{most:,}"}
    for method, name in METHODS.items():
        texts |= {name: format_mean(compared[method]["more"])}
        texts |= {f"{name}_d": f"{compared[method]['d']:.2f}"}
    higher = majority([sign(row["more"]) for row in compared.values()])
    return [verdict(higher, "further", **texts)]


def _few(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The reward models of fewer than FEW pairs, in ascending number of pairs."""
    few = [row for row in rows if row["method"] == "best-of-n" and row["pairs"] < FEW]
    return sorted(few, key=lambda row: row["pairs"])


def _accuracies(rows: Sequence[dict[str, Any]]) -> list[Verdict]:
    """Whether the accuracies of reward models on few pairs are little better than chance."""
    listed = [
        ("right", {"accuracy": format_mean(row["accuracy"]), "pairs": f"{row['pairs']:,}"})
        for row in _few(rows)
    ]
    below = majority([-sign(row["accuracy"], LITTLE) for row in _few(rows)])
    return [verdict(below, "few_pairs", pairs=f"{FEW:,}", listed=listed)]


def _bound(result: dict[str, Any]) -> float:
    """The change of gold, in nats, up to which a penalty counts as without effect."""
    unpenalised = row(result, method="ppo", pairs=PENALTY_PAIRS, layers=LAYERS, beta=0.0)
    return TOLERANCE * unpenalised["peak"]["mean"]


def _penalty_signs(result: dict[str, Any]) -> list[int]:
    """For each change by a penalty 1 if it is clearly within ± the bound, −1 if clearly beyond."""
    changes = [more for row in result["penalty"] for more in row["more"].values() if more]
    if not changes:
        return []
    bound = _bound(result)
    return [min(-sign(change, bound), sign(change, -bound)) for change in changes]


def _penalties(result: dict[str, Any]) -> list[Verdict]:
    """Whether the changes by a penalty are clearly within the bound, or clearly beyond it."""
    signs = _penalty_signs(result)
    if not signs:
        return []
    counts = {"cases": len(signs), "small": signs.count(1), "large": signs.count(-1)}
    texts = {"tolerance": f"{_bound(result):.2f}", "share": f"{TOLERANCE:.0%}"}
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
    compared = _at_equal_distance(_full_size(result))
    if compared:
        equal: dict[str, Any] = {}
        for method, name in METHODS.items():
            equal[f"{name}_d"] = f"{compared[method]['d']:.2f}"
            equal[name] = [
                ("on_pairs", {"gold": format_mean(gold), "pairs": f"{pairs:,}"})
                for pairs, gold in compared[method]["by_pairs"].items()
            ]
        rows.append(("equal", equal))
    for penalty in result["penalty"]:
        changes = {kl: more for kl, more in penalty["more"].items() if more}
        listed = [("more", {"more": format_mean(more), "kl": kl}) for kl, more in changes.items()]
        if listed:
            rows.append(("penalty", {"beta": f"{penalty['beta']:g}", "listed": listed}))
    return rows
