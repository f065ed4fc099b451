"""The figures of docs/results.md, which are identical for identical results."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from align_core import experiments
from align_core.experiments import overoptimisation_runs, shift
from playground import text

# The colours of Okabe and Ito, which are distinguishable with any colour vision.
COLOURS = {
    "ink": "#000000",
    "ppo": "#0072b2",
    "ppo-gold": "#56b4e9",
    "dpo": "#d55e00",
    "unlikelihood": "#cc79a7",
    "preferred-ft": "#009e73",
    "optimum": "#000000",
    "learned_optimum": "#009e73",
    "reference": "#777777",
    "sft-dpo": "#009e73",
    "iterated": "#cc79a7",
    "best-of-n": "#e69f00",
    "best-of-n-gold": "#b8860b",
}
# Gold and proxy have a line for each seed, the fit one for all seeds.
GOLD, PROXY = {"linewidth": 0.6}, {"linewidth": 0.7, "linestyle": ":"}
FIT, ERROR = {"linewidth": 2, "linestyle": "--"}, {"alpha": 0.2, "linewidth": 0}
SHADES = ("#9ecae1", "#6baed6", "#2171b5", "#08306b")
COLOURS |= {f"shade-{number}": shade for number, shade in enumerate(SHADES)}


def draw(name: str, result: dict[str, Any], path: Path) -> None:
    """Write the figure of an experiment's result as SVG."""
    style = {"svg.hashsalt": name, "svg.fonttype": "none", "font.size": 9}
    plt.switch_backend("svg")  # layouts depend on the backend's measures of text
    with plt.rc_context(style):
        drawing = FIGURES.get(name)
        figure = drawing(result) if drawing else of_panels(name, result)
        figure.savefig(path, metadata={"Date": None, "Creator": None})
        plt.close(figure)


def of_panels(name: str, result: dict[str, Any]) -> plt.Figure:
    """The panels of the page in English, with names at the ends of curves."""
    panels = experiments.load(name).panels(result, text.load("en")["lab"]["figures"])
    rows = math.ceil(len(panels) / 2)
    figure, places = plt.subplots(rows, 2, figsize=(10, 3.6 * rows), squeeze=False)
    for place, panel in itertools.zip_longest(places.flat, panels):
        if panel is None:
            place.axis("off")
            continue
        for number, curve in enumerate(panel["curves"]):
            _draw_curve(place, curve, number, len(panel["curves"]))
        if ticks := panel.get("ticks"):
            place.set_xscale("log")
            place.set_xticks(ticks, [f"{tick:,g}" for tick in ticks])
            place.minorticks_off()
        if panel.get("falling"):
            place.invert_xaxis()
        for label in panel.get("labels", ()):
            place.annotate(
                label["name"],
                (label["x"], label["y"]),
                (5, 0),
                textcoords="offset points",
                color=COLOURS[label["colour"]],
                verticalalignment="center",
                annotation_clip=False,
            )
        if "labels" not in panel:
            place.legend(frameon=False, fontsize=8)
        place.set_title(panel["title"], fontsize=9)
        place.set_xlabel(panel["x"])
        place.set_ylabel(panel["y"])
    figure.tight_layout()
    return figure


def _draw_curve(place: plt.Axes, curve: dict[str, Any], number: int, count: int) -> None:
    """A curve, or a group of bars: the one with index `number` of `count` side by side."""
    colour, half = COLOURS[curve["colour"]], curve.get("half")
    if curve["mode"] == "bars":
        width = 0.8 / count
        at = [middle + width * (number - (count - 1) / 2) for middle in range(len(curve["x"]))]
        place.bar(at, curve["y"], width, yerr=half, color=colour, label=curve["name"])
        place.set_xticks(range(len(curve["x"])), curve["x"], fontsize=7)
        return
    line = {"dash": "--", "dot": ":"}.get(curve.get("dash", ""), "-")
    mark = "o" if "markers" in curve["mode"] else ""
    style = {"linewidth": 1.2, "elinewidth": 0.6, "markersize": 3}
    style["label"] = None if curve.get("quiet") else curve["name"]
    place.errorbar(curve["x"], curve["y"], half, fmt=mark + line, color=colour, **style)


def coverage(result: dict[str, Any]) -> plt.Figure:
    """One example as six heat maps; below, the largest gain of an uncovered response."""
    example = result["example"]
    figure = plt.figure(figsize=(10, 5.4))
    grids = figure.add_gridspec(2, 6, left=0.08, right=0.98, bottom=0.09, top=0.93, hspace=0.2)
    maps = {"covered": "coverage", "reference": "reference", "learned": "learned reward"}
    maps |= {"ppo": "PPO", "dpo": "DPO", "optimum": "optimum"}
    for place, (key, label) in enumerate(maps.items()):
        panel = figure.add_subplot(grids[0, place])
        matrix = np.array(example[key], dtype=float)
        low, high = (matrix.min(), matrix.max()) if key == "learned" else (0, 1)
        panel.pcolormesh(matrix, cmap="Blues", vmin=low, vmax=high)
        panel.invert_yaxis()
        panel.set_aspect("equal")
        panel.set_title(label, fontsize=9)
        panel.set_xticks([])
        panel.set_yticks([])
    raters = ("certain", "graded")
    labels = {"ppo": "PPO", "dpo": "DPO", "optimum": "optimum"}
    labels |= {"learned_optimum": "optimum of the learned reward"}
    panel = None
    for place, kind in enumerate(raters):
        panel = figure.add_subplot(grids[1, 3 * place : 3 * place + 3], sharey=panel)
        for method in ("ppo", "dpo", "optimum", "learned_optimum"):
            for beta, line in ((0.1, "-"), (1.0, "--")):
                rows = [
                    row
                    for row in result["settings"]
                    if (row["raters"], row["beta"], row["best_covered"]) == (kind, beta, False)
                    and row[method]["rise"]
                ]
                panel.errorbar(
                    [row["responses"] for row in rows],
                    [row[method]["rise"]["mean"] for row in rows],
                    [row[method]["rise"]["ci95"] for row in rows],
                    fmt=f"o{line}",
                    markersize=3,
                    color=COLOURS[method],
                    label=f"{labels[method]}, β = {beta:g}",
                )
        panel.axhline(0, color="black", linewidth=0.5)
        panel.set_xlabel(f"covered responses of a prompt ({kind} raters)")
        if place == 1:
            panel.tick_params(labelleft=False)
        else:
            panel.set_ylabel("most that an uncovered\nresponse gains")
            panel.legend(frameon=False, fontsize=8)
    return figure


def overoptimised(result: dict[str, Any]) -> plt.Figure:
    """Gold with its fit, and proxy, over √KL, for different pairs, sizes and penalties."""
    full, rows = overoptimisation_runs.LAYERS, result["rows"]
    unpenalised = [row for row in rows if row["beta"] == 0]
    by_pairs = [row for row in unpenalised if row["layers"] == full]
    by_size = [row for row in unpenalised if row["pairs"] == overoptimisation_runs.SIZED_BY]
    penalised = [
        row
        for row in rows
        if (row["method"], row["pairs"], row["layers"])
        == ("ppo", overoptimisation_runs.PENALTY_PAIRS, full)
    ]

    def curves_of(method: str, chosen: list[dict[str, Any]], key: str) -> list[tuple[str, Any]]:
        return [(f"{row[key]:,}", row) for row in chosen if row["method"] == method]

    panels = {
        "best-of-n, by pairs": curves_of("best-of-n", by_pairs, "pairs"),
        "PPO, β = 0, by pairs": curves_of("ppo", by_pairs, "pairs"),
        "best-of-n, by layers": curves_of("best-of-n", by_size, "layers"),
        "PPO, β = 0, by layers": curves_of("ppo", by_size, "layers"),
        f"PPO, {overoptimisation_runs.PENALTY_PAIRS} pairs, by β": curves_of(
            "ppo", penalised, "beta"
        ),
    }
    figure, places = plt.subplots(2, 3, figsize=(10, 6.4))
    key = places[1, 2]
    key.axis("off")
    for name, style in (("gold", GOLD), ("fit of the gold", FIT), ("proxy", PROXY)):
        key.plot([], [], color="black", **style, label=name)
    key.fill_between([], [], color="black", **ERROR, label="error of the fit")
    key.legend(frameon=False, loc="center left")
    for panel, (title, curves) in zip(places.T.flat, panels.items(), strict=False):
        for shade, (label, row) in zip(SHADES, curves, strict=False):
            for seed, points in enumerate(row["curves"]):
                d, gold, proxy = zip(*points, strict=True)
                name = label if seed == 0 else None
                panel.plot(d, gold, color=shade, **GOLD, label=name)
                panel.plot(d, proxy, color=shade, **PROXY)
            if fit := overoptimisation_runs.fitted(row):
                d, gold = np.array(fit).T
                error = row["fit"]["error"]["mean"]
                panel.plot(d, gold, color=shade, **FIT)
                panel.fill_between(d, gold - error, gold + error, color=shade, **ERROR)
        panel.set_title(title, fontsize=9)
        panel.set_xlabel("√KL")
        if curves:
            panel.legend(frameon=False, fontsize=8)
    for panel in places[:, 0]:
        panel.set_ylabel("nats above the reference")
    figure.tight_layout()
    return figure


def shifted(result: dict[str, Any]) -> plt.Figure:
    """The gain of each method on each source of pairs."""
    sources = list(dict.fromkeys(row["source"] for row in result["rows"]))
    figure, panel = plt.subplots(figsize=(10, 3.8))
    for place, (method, name) in enumerate(shift.METHODS.items()):
        gains = [shift.row(result, source, method)["gain"] for source in sources]
        panel.bar(
            [column + 0.2 * (place - 1.5) for column in range(len(sources))],
            [gain["mean"] for gain in gains],
            0.18,
            yerr=[gain["ci95"] or 0 for gain in gains],
            color=COLOURS[method],
            label=name,
        )
    labels = [shift.NAMES[source].replace(", ", ",\n", 1) for source in sources]
    panel.set_xticks(range(len(sources)), labels, fontsize=7)
    panel.axhline(0, color="black", linewidth=0.5)
    panel.set_ylabel("gain (1 is the optimum’s at 2 nats)")
    panel.legend(frameon=False, fontsize=8, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1))
    figure.tight_layout()
    return figure


# Experiment -> the function that draws its figure, where this is not the figure of its card.
FIGURES = {
    "coverage": coverage,
    "overoptimisation": overoptimised,
    "shift": shifted,
}
