"""The figure and the table of over-optimisation."""

from __future__ import annotations

from typing import Any

from align_core.experiments.kl_curves import EXPLAINED
from align_core.experiments.overoptimisation_runs import fitted
from align_core.experiments.presentation import SHADES, Block, Panel, Table, points
from align_core.experiments.statistics import Mean, format_mean


def panels(result: dict[str, Any], words: dict[str, Any]) -> list[Panel]:
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
        rows = sorted(
            (row for row in candidates if row["method"] == method), key=lambda row: row[varied]
        )
        name = words["names"][method if varied != "beta" else "ppo"]
        return {
            "title": words["by"][varied].format(method=name, pairs=max(penalised_pairs, default=0)),
            "x": "√KL",
            "y": words["above"],
            "curves": [
                curve
                for shade, row in enumerate(rows)
                for curve in _seeds(row, f"{row[varied]:,g}", f"shade-{shade % SHADES}", words)
            ],
        }

    figure = [
        panel("best-of-n", "pairs", by_pairs),
        panel("ppo", "pairs", by_pairs),
        panel("best-of-n", "layers", by_layers),
        panel("ppo", "layers", by_layers),
        panel("ppo", "beta", by_beta),
    ]
    return [panel for panel in figure if panel["curves"]]


def _seeds(row: dict[str, Any], label: str, colour: str, words: dict[str, Any]) -> list[Panel]:
    """For each seed the curves of the gold and the proxy reward, then the fit over all seeds.

    Only the first gold curve is in the legend; the name of the fit has its parameters."""
    curves = []
    for seed, measured in enumerate(row["curves"]):
        root_kl, gold, proxy = (list(column) for column in zip(*measured, strict=True))
        common = {"colour": colour, "mode": "lines", "x": root_kl}
        curves.append({"name": label, "y": gold, "quiet": seed > 0, **common})
        proxy_label = words["proxy_of"].format(label=label)
        curves.append({"name": proxy_label, "y": proxy, "quiet": True, "dash": "dot", **common})
    if fit := fitted(row):
        numbers = ("alpha", "beta", "error", "r2")
        parameters = {name: format_mean(row["fit"][name]) for name in numbers}
        fit_label = words["fit_of"].format(label=label, **parameters)
        style = {"colour": colour, "mode": "lines", "quiet": True, "dash": "dash"}
        curves.append({"name": fit_label, **style, **points(fit)})
    return curves


def report(result: dict[str, Any]) -> list[Block]:
    """A row for each curve: its reward model, fit, peak and end."""
    head = ["", "pairs", "layers", "parameters", "β", "accuracy", "fitted α", "fitted β"]
    head += ["error, nats", "R²", "gold at its peak", "√KL there", "gold at the end", "proxy there"]
    models = [row for row in result["rows"] if row["method"] == "best-of-n"]
    parameters = {(row["pairs"], row["layers"]): row["parameters"] for row in models}

    def fit_of(row: dict[str, Any]) -> list[Mean | None]:
        fit = row["fit"] or {"holds": False}
        shown = [fit[name] if fit["holds"] else None for name in ("alpha", "beta")]
        return [*shown, fit.get("error"), fit.get("r2")]

    rows = [
        [
            "PPO" if row["method"] == "ppo" else "best-of-n",
            f"{row['pairs']:,}",
            str(row["layers"]),
            f"{parameters[row['pairs'], row['layers']] / 1e6:.2f} M",
            f"{row['beta']:g}" if row["method"] == "ppo" else "–",
            format_mean(row["accuracy"]),
            *map(format_mean, fit_of(row)),
            *(format_mean(row[name]) for name in ("peak", "peak_d", "end", "end_proxy")),
        ]
        for row in result["rows"]
    ]
    note = (
        "Gold and proxy are in nats above the reference's. The fits, by least squares for each "
        "seed, are R = d(α − βd) for best-of-n and R = d(α − β log d) for PPO, with d = √KL; the "
        "error is the root of the mean squared residual, R² the share of the variance that the fit "
        "explains. No fit is shown where the form fails: where it explains less than "
        f"{EXPLAINED:.0%}, or where it turns although the curves still rise, as all of best-of-n "
        "do, because this gold reward saturates. The figure has the curve of the mean α and β, "
        "with the error as a band."
    )
    return [Table(head, rows), note]
