"""The figures of the lab's recorded results, as the page draws them: panels of curves or bars.

A panel is {"title", "x", "y", "curves"} with the titles of its axes. A curve is {"name", "colour",
"mode", "x", "y"}, and "half", half the widths of 95% intervals, "dash" and "quiet", which leaves it
out of the legend, where it has such; `mode` is Plotly's, or "bars". `colour` names a variable of
lab.css.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from align_core.experiments.overoptimisation import fitted
from align_core.experiments.statistics import shown

Words = dict[str, Any]
SHADES = 4  # of one colour, in lab.css
BUDGET = 4.0  # nats of KL; the limit is drawn as far


def panels(name: str, result: dict[str, Any], words: Words) -> list[dict[str, Any]]:
    """The figure of an experiment's result."""
    return FIGURES[name](result, words)


def coverage(result: dict[str, Any], words: Words) -> list[dict[str, Any]]:
    """What an uncovered response gains at most, over how many are covered; a panel for each kind
    of raters."""

    def curve(raters: str, method: str, beta: float, dash: str) -> dict[str, Any]:
        rows = [
            one
            for one in result["settings"]
            if (one["raters"], one["beta"]) == (raters, beta) and one[method]["rise"]
        ]
        return {
            "name": f"{words['names'][method]}, β = {beta:g}",
            "colour": method,
            "mode": "lines+markers",
            "dash": dash,
            "x": [one["responses"] for one in rows],
            **_means([one[method]["rise"] for one in rows]),
        }

    lines = [(method, *line) for method in ("ppo", "dpo") for line in ((0.1, ""), (1.0, "dash"))]
    axes = {"x": words["covered_responses"], "y": words["most_gained"]}
    return [
        {"title": words["raters"][kind], **axes, "curves": [curve(kind, *line) for line in lines]}
        for kind in ("certain", "graded")
    ]


def frontier(result: dict[str, Any], words: Words) -> list[dict[str, Any]]:
    """Every evaluation of every run under the exact limit; the win rate over temperature."""
    limit = [point for point in result["optimum"] if point[0] <= BUDGET]
    curves = [
        {"name": words["optimum"], "colour": "ink", "mode": "lines", **_points(limit)},
    ]
    for method, runs in result["curves"].items():
        points = [p for run in runs for p in run["points"] if p[0] <= BUDGET]
        mode = "lines+markers" if method == "best-of-n-gold" else "markers"
        named = {"name": words["names"][method], "colour": method, "mode": mode}
        curves.append({**named, **_points(points)})
    wins = [
        {
            "name": words["names"][method],
            "colour": method,
            "mode": "lines+markers",
            "x": found["temperatures"],
            **_means(found["rates"]),
        }
        for method, found in result["win_rates"].items()
    ]
    return [
        {"title": words["trade"], "x": words["kl"], "y": words["gold"], "curves": curves},
        {"title": words["wins"], "x": words["temperature"], "y": words["win_rate"], "curves": wins},
    ]


def overoptimisation(result: dict[str, Any], words: Words) -> list[dict[str, Any]]:
    """Gold (lines), its fit (dashes) and proxy (dots) over √KL, a line a seed: by pairs, by layers,
    by penalty."""
    rows = result["rows"]
    plain = [row for row in rows if row["beta"] == 0]
    most = max(row["layers"] for row in rows)
    penalised = [row for row in rows if row["beta"] > 0]
    leashed = {row["pairs"] for row in penalised}
    sized = {row["pairs"] for row in plain if row["layers"] < most}
    by_pairs = [row for row in plain if row["layers"] == most]
    by_layers = [row for row in plain if row["pairs"] in sized]
    by_beta = penalised + [row for row in by_pairs if row["pairs"] in leashed]

    def panel(method: str, varied: str, chosen: list[dict[str, Any]]) -> dict[str, Any]:
        of_method = sorted(
            (row for row in chosen if row["method"] == method), key=lambda row: row[varied]
        )
        name = words["names"][method if varied != "beta" else "ppo"]
        return {
            "title": words["by"][varied].format(method=name, pairs=max(leashed, default=0)),
            "x": "√KL",
            "y": words["above"],
            "curves": [
                curve
                for shade, row in enumerate(of_method)
                for curve in _seeds(row, f"{row[varied]:,g}", f"shade-{shade % SHADES}", words)
            ],
        }

    found = [
        panel("best-of-n", "pairs", by_pairs),
        panel("ppo", "pairs", by_pairs),
        panel("best-of-n", "layers", by_layers),
        panel("ppo", "layers", by_layers),
        panel("ppo", "beta", by_beta),
    ]
    return [one for one in found if one["curves"]]


def _seeds(row: dict[str, Any], label: str, colour: str, words: Words) -> list[dict[str, Any]]:
    """Of each seed two curves, gold and proxy; the first gold one stands in the legend. And the
    fit of all, called by what was fitted."""
    curves = []
    for seed, points in enumerate(row["curves"]):
        d, gold, proxy = (list(column) for column in zip(*points, strict=True))
        common = {"colour": colour, "mode": "lines", "x": d}
        curves.append({"name": label, "y": gold, "quiet": seed > 0, **common})
        proxied = words["proxy_of"].format(label=label)
        curves.append({"name": proxied, "y": proxy, "quiet": True, "dash": "dot", **common})
    if fit := fitted(row):
        found = {name: shown(number) for name, number in row["fit"].items()}
        named = {"name": words["fit_of"].format(label=label, **found), "colour": colour}
        curves.append({**named, "mode": "lines", "quiet": True, "dash": "dash", **_points(fit)})
    return curves


def shift(result: dict[str, Any], words: Words) -> list[dict[str, Any]]:
    """What each method gains on each source of pairs."""
    policies = (row["method"] for row in result["rows"] if row["method"] in words["names"])
    curves = []
    for method in dict.fromkeys(policies):
        rows = [row for row in result["rows"] if row["method"] == method]
        curves.append(
            {
                "name": words["names"][method],
                "colour": method,
                "mode": "bars",
                "x": [words["sources"][row["source"]] for row in rows],
                **_means([row["gain"] for row in rows]),
            }
        )
    return [{"title": words["gains"], "x": "", "y": words["gain"], "curves": curves}]


def _points(points: list[list[float]]) -> dict[str, list[float]]:
    return {"x": [x for x, _ in points], "y": [y for _, y in points]}


def _means(found: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Means with half the widths of their intervals; 0 where a single seed has none."""
    return {"y": [one["mean"] for one in found], "half": [one["ci95"] or 0.0 for one in found]}


FIGURES: dict[str, Callable[[dict[str, Any], Words], list[dict[str, Any]]]] = {
    "coverage": coverage,
    "frontier": frontier,
    "overoptimisation": overoptimisation,
    "shift": shift,
}
