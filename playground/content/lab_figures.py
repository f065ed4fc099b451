"""The data of the figures of the lab's recorded results: panels of curves or bars.

A panel is {"title", "x", "y", "curves"}, where "x" and "y" are the titles of the axes. A curve is
{"name", "colour", "mode", "x", "y"}: "colour" names a variable of lab.css, and "mode" is Plotly's
or "bars". Optional keys of a curve are "half", half the widths of the 95% intervals, "dash", and
"quiet", which leaves it out of the legend.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from align_core.experiments.overoptimisation_runs import fitted
from align_core.experiments.statistics import format_mean

Words = dict[str, Any]
SHADES = 4  # of one colour, in lab.css
MAX_KL = 4.0  # nats; how far the frontier is drawn


def panels(name: str, result: dict[str, Any], words: Words) -> list[dict[str, Any]]:
    """The panels of an experiment's result; `words` are the catalogue's for figures."""
    return FIGURES[name](result, words)


def coverage(result: dict[str, Any], words: Words) -> list[dict[str, Any]]:
    """The largest gain of an uncovered response against the number of covered responses; a panel
    for each kind of raters."""

    def curve(raters: str, method: str, beta: float, dash: str) -> dict[str, Any]:
        rows = [
            row
            for row in result["settings"]
            if (row["raters"], row["beta"], row["best_covered"]) == (raters, beta, False)
            and row[method]["rise"]
        ]
        return {
            "name": f"{words['names'][method]}, β = {beta:g}",
            "colour": method,
            "mode": "lines+markers",
            "dash": dash,
            "x": [row["responses"] for row in rows],
            **_means([row[method]["rise"] for row in rows]),
        }

    methods = ("ppo", "dpo", "optimum", "learned_optimum")
    lines = [(method, *line) for method in methods for line in ((0.1, ""), (1.0, "dash"))]
    axes = {"x": words["covered_responses"], "y": words["most_gained"]}
    return [
        {"title": words["raters"][kind], **axes, "curves": [curve(kind, *line) for line in lines]}
        for kind in ("certain", "graded")
    ]


def frontier(result: dict[str, Any], words: Words) -> list[dict[str, Any]]:
    """All evaluations of all runs under the exact frontier; the win rate over temperature."""
    optimum = [point for point in result["optimum"] if point[0] <= MAX_KL]
    curves = [
        {"name": words["optimum"], "colour": "ink", "mode": "lines", **_points(optimum)},
    ]
    for method, runs in result["curves"].items():
        points = [point for run in runs for point in run["points"] if point[0] <= MAX_KL]
        mode = "lines+markers" if method == "best-of-n-gold" else "markers"
        style = {"name": words["names"][method], "colour": method, "mode": mode}
        curves.append({**style, **_points(points)})
    win_rates = [
        {
            "name": words["names"][method],
            "colour": method,
            "mode": "lines+markers",
            "x": wins["temperatures"],
            **_means(wins["rates"]),
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


def overoptimisation(result: dict[str, Any], words: Words) -> list[dict[str, Any]]:
    """Gold reward (solid), its fit (dashed) and proxy reward (dotted) over √KL, a line per seed.
    The panels compare numbers of pairs, numbers of layers, and KL penalties."""
    rows = result["rows"]
    unpenalised = [row for row in rows if row["beta"] == 0]
    penalised = [row for row in rows if row["beta"] > 0]
    all_layers = max(row["layers"] for row in rows)
    penalised_pairs = {row["pairs"] for row in penalised}
    layered_pairs = {row["pairs"] for row in unpenalised if row["layers"] < all_layers}
    by_pairs = [row for row in unpenalised if row["layers"] == all_layers]
    by_layers = [row for row in unpenalised if row["pairs"] in layered_pairs]
    by_beta = penalised + [row for row in by_pairs if row["pairs"] in penalised_pairs]

    def panel(method: str, varied: str, candidates: list[dict[str, Any]]) -> dict[str, Any]:
        of_method = sorted(
            (row for row in candidates if row["method"] == method), key=lambda row: row[varied]
        )
        name = words["names"][method if varied != "beta" else "ppo"]
        return {
            "title": words["by"][varied].format(method=name, pairs=max(penalised_pairs, default=0)),
            "x": "√KL",
            "y": words["above"],
            "curves": [
                curve
                for shade, row in enumerate(of_method)
                for curve in _seeds(row, f"{row[varied]:,g}", f"shade-{shade % SHADES}", words)
            ],
        }

    panels = [
        panel("best-of-n", "pairs", by_pairs),
        panel("ppo", "pairs", by_pairs),
        panel("best-of-n", "layers", by_layers),
        panel("ppo", "layers", by_layers),
        panel("ppo", "beta", by_beta),
    ]
    return [panel for panel in panels if panel["curves"]]


def _seeds(row: dict[str, Any], label: str, colour: str, words: Words) -> list[dict[str, Any]]:
    """For each seed the curves of the gold and the proxy reward, then the fit over all seeds.

    Only the first gold curve is in the legend; the name of the fit has its parameters."""
    curves = []
    for seed, points in enumerate(row["curves"]):
        root_kl, gold, proxy = (list(column) for column in zip(*points, strict=True))
        common = {"colour": colour, "mode": "lines", "x": root_kl}
        curves.append({"name": label, "y": gold, "quiet": seed > 0, **common})
        proxy_label = words["proxy_of"].format(label=label)
        curves.append({"name": proxy_label, "y": proxy, "quiet": True, "dash": "dot", **common})
    if fit := fitted(row):
        numbers = ("alpha", "beta", "error", "r2")
        parameters = {name: format_mean(row["fit"][name]) for name in numbers}
        fit_label = words["fit_of"].format(label=label, **parameters)
        style = {"colour": colour, "mode": "lines", "quiet": True, "dash": "dash"}
        curves.append({"name": fit_label, **style, **_points(fit)})
    return curves


def shift(result: dict[str, Any], words: Words) -> list[dict[str, Any]]:
    """The gain of each method on each source of pairs."""
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


def _means(numbers: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Means and half the widths of their intervals; 0 for a single seed, which has none."""
    half = [number["ci95"] or 0.0 for number in numbers]
    return {"y": [number["mean"] for number in numbers], "half": half}


FIGURES: dict[str, Callable[[dict[str, Any], Words], list[dict[str, Any]]]] = {
    "coverage": coverage,
    "frontier": frontier,
    "overoptimisation": overoptimisation,
    "shift": shift,
}
