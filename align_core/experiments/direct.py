"""Over-optimisation without a reward model: gold reward along training by DPO, IPO and SLiC."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from align_core.config.model_index import reference_samples
from align_core.config.run_config import resolve
from align_core.experiments import TASK
from align_core.experiments.claims import Verdict, majority, verdict
from align_core.experiments.kl_curves import EXPLAINED, mean_fit
from align_core.experiments.presentation import SHADES, Block, Panel, Row, Table, joined, points
from align_core.experiments.sentences import Finding
from align_core.experiments.statistics import Mean, format_mean, mean, sign
from align_core.optimum import MIN_EFFECTIVE_SAMPLES, Frontier, ReferenceSamples

TITLE = "Over-optimisation without a reward model"
PAPER = "2406.02900"
CLAIM = (
    "DPO, IPO and SLiC train no reward model and over-optimise nevertheless: with a wide KL budget "
    "(a small β) the gold reward rises and then falls, as with PPO on a reward model, often before "
    "the first epoch is over, and the law that was fitted to RL, R = d(α − β log d) with d = √KL, "
    "describes these methods, too."
)
SEEDS = 3

LOSSES = {"sigmoid": "DPO", "ipo": "IPO", "hinge": "SLiC"}  # by their names in `--loss`
BETAS = (0.03, 0.1, 0.3, 1.0)
FULL = {"pairs": 1024, "epochs": 3, "every": 8}
QUICK = {"pairs": 64, "epochs": 1, "every": 1}
FALL = 0.25  # a run falls if it loses more than this share of its peak
EPOCH = 1.0
SETUP = (
    Row("model", "Pythia, 1 B to 6.9 B parameters", "0.8 M parameters"),
    Row("task", "summaries of Reddit posts", "reviews"),
    Row("gold reward", "win rate, judged by GPT-4", "a formula, at most 3 nats"),
    Row("pairs", "human comparisons, one epoch", f"{FULL['pairs']:,}, {FULL['epochs']} epochs"),
    Row("β", "several values", joined(BETAS)),
)
SENTENCES = {
    "join": ", ",
    **LOSSES,
    "wide": "With a wide KL budget the gold reward peaks and then falls, with each of the losses.",
    "wide_why": (
        "At β = {beta} they lose {listed} of their peaks; a run falls if it loses clearly more "
        "than {share}."
    ),
    "lost": "{lost} ({loss})",
    "budgets": "For most values of β it falls.",
    "budgets_why": (
        "Of {cases} pairs of a loss and a β, {fall} clearly fall and {keep} clearly do not."
    ),
    "early": "Where it falls, the peak comes within the first epoch.",
    "early_why": (
        "Of {cases} pairs of a loss and a β that fall, the peak clearly comes within the first "
        "epoch in {early} and after it in {late}."
    ),
    "law": "R = d(α − β log d) describes gold over d = √KL.",
    "law_why": (
        "Of {cases} pairs of a loss and a β, the fit explains clearly more than {share} of the "
        "variance in {more}, and clearly less in {less}."
    ),
    "row": (
        "{loss}, β = {beta}: gold peaks at {peak} nats above the reference, at √KL = {peak_d} "
        "after {epoch} epochs ({share} of what the optimum gains there); it ends at {end}, at "
        "√KL = {end_d}."
    ),
}


def stages(quick: bool) -> list[dict[str, dict[str, Any]]]:
    """One run for each loss, β and seed; a quick run has only the smallest β of each loss."""
    size = QUICK if quick else FULL
    return [
        {
            f"{loss}-{beta:g}-{seed}": {"loss": loss, "beta": beta, "seed": seed, **size}
            for loss in LOSSES
            for beta in (BETAS[:1] if quick else BETAS)
            for seed in range(1 if quick else SEEDS)
        }
    ]


def measure(
    folder: Path, loss: str, beta: float, seed: int, pairs: int, epochs: int, every: int
) -> dict[str, Any]:
    """Points [KL, gold reward, epoch] along training, from the reference on; in nats."""
    from align_core.experiments import trained_models  # imports torch, which the page does not

    per_epoch = pairs / resolve("dpo", TASK).batch_size
    config = resolve(
        "dpo",
        TASK,
        loss=loss,
        beta=beta,
        preference_pairs=pairs,
        steps=round(epochs * per_epoch),
        eval_every=every,
        seed=seed,
    )
    with trained_models.trained(config) as run:
        curve = trained_models.curve(run.events()[0])
    return {"points": [[point["kl"], point["gold"], point["step"] / per_epoch] for point in curve]}


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """For each loss and β the curves of its seeds, their peak, end and fit; and the optimum."""
    rewards = ReferenceSamples.load(reference_samples(TASK, "probe")).rewards
    frontier = Frontier.of(rewards)
    start = float(rewards.mean())
    best, kls, samples = frontier.curve
    known = samples >= MIN_EFFECTIVE_SAMPLES

    def key(run: dict[str, Any]) -> tuple[int, float]:
        return [*LOSSES].index(run["settings"]["loss"]), run["settings"]["beta"]

    rows = []
    for (loss, beta), members in groupby(sorted(runs, key=key), key):
        curves = [_curve(run["measured"]["points"]) for run in members]
        peaks = [max(points, key=_gold) for points in curves]
        shares = [frontier.efficiency(start + gold, start, d**2) for d, gold, _ in peaks]
        rows.append(
            {
                "loss": [*LOSSES][loss],
                "beta": beta,
                "curves": curves,
                "fit": mean_fit(curves, np.log),
                "peak": mean([gold for _, gold, _ in peaks]),
                "peak_d": mean([d for d, _, _ in peaks]),
                "epoch": mean([epoch for _, _, epoch in peaks]),
                "share": mean(shares),
                "end": mean([points[-1][1] for points in curves]),
                "end_d": mean([points[-1][0] for points in curves]),
                "lost": mean(
                    [
                        (gold - points[-1][1]) / gold
                        for (_, gold, _), points in zip(peaks, curves, strict=True)
                        if gold > 0
                    ]
                ),
            }
        )
    optimum = np.stack([np.sqrt(kls[known]), best[known] - start], axis=1).tolist()
    seeds = len({run["settings"]["seed"] for run in runs})
    return {"seeds": seeds, "rows": rows, "optimum": optimum}


def _curve(measured: list[list[float]]) -> list[list[float]]:
    """Points [d = √KL, gold, epoch]; gold is in nats, minus that of the first point."""
    first = measured[0][1]
    return [[max(kl, 0.0) ** 0.5, gold - first, epoch] for kl, gold, epoch in measured]


def _gold(point: list[float]) -> float:
    return point[1]


def comparisons(result: dict[str, Any]) -> dict[str, list[int]]:
    """The signs of all comparisons behind the verdicts. "falls" is 1 for a row that falls, "early"
    for a falling row whose peak comes within the first epoch, "law" for one that the fit describes.
    """
    rows = result["rows"]
    falls = [_falls(row) for row in rows]
    return {
        "falls": falls,
        "early": [
            -sign(row["epoch"], EPOCH) for row, fall in zip(rows, falls, strict=True) if fall == 1
        ],
        "law": [sign(row["fit"]["r2"], EXPLAINED) for row in rows if row["fit"]],
    }


def _falls(row: dict[str, Any]) -> int:
    """1 if the row clearly loses more than FALL of its peak, −1 if clearly less, or if it has no
    peak above the reference."""
    lost: Mean | None = row["lost"]
    return -1 if lost is None else sign(lost, FALL)


def verdicts(result: dict[str, Any]) -> list[Verdict]:
    """Whether gold falls at the smallest β and at most values, how early, and by which law."""
    signs, rows = comparisons(result), result["rows"]
    falls, early, law = signs["falls"], signs["early"], signs["law"]
    beta = min(row["beta"] for row in rows)
    wide = [(row, fall) for row, fall in zip(rows, falls, strict=True) if row["beta"] == beta]
    listed: list[Finding] = [
        ("lost", {"lost": format_mean(row["lost"]), "loss": [(row["loss"], {})]}) for row, _ in wide
    ]
    return [
        verdict(
            min(fall for _, fall in wide),
            "wide",
            beta=f"{beta:g}",
            share=f"{FALL:.0%}",
            listed=listed,
        ),
        verdict(
            majority(falls), "budgets", cases=len(falls), fall=falls.count(1), keep=falls.count(-1)
        ),
        verdict(
            majority(early), "early", cases=len(early), early=early.count(1), late=early.count(-1)
        ),
        verdict(
            majority(law),
            "law",
            cases=len(law),
            share=f"{EXPLAINED:.0%}",
            more=law.count(1),
            less=law.count(-1),
        ),
    ]


def findings(result: dict[str, Any]) -> list[Finding]:
    """Peak and end of each loss and β."""
    names = ("peak", "peak_d", "epoch", "share", "end", "end_d")
    return [
        (
            "row",
            {"loss": [(row["loss"], {})], "beta": f"{row['beta']:g}"}
            | {name: format_mean(row[name]) for name in names},
        )
        for row in result["rows"]
    ]


def panels(result: dict[str, Any], words: dict[str, Any]) -> list[Panel]:
    """A panel for each loss: gold over √KL with a line per seed, and the optimum."""
    labels, figure = words["direct"], []
    for loss, name in LOSSES.items():
        rows = [row for row in result["rows"] if row["loss"] == loss]
        line = {"name": words["optimum"], "colour": "ink", "mode": "lines", "dash": "dot"}
        curves = [{**line, **points(result["optimum"])}]
        for shade, row in enumerate(rows):
            for seed, curve in enumerate(row["curves"]):
                style = {"colour": f"shade-{shade % SHADES}", "mode": "lines", "quiet": seed > 0}
                label = labels["beta"].format(beta=f"{row['beta']:g}")
                curves.append({"name": label, **style, **points([[*p[:2]] for p in curve])})
        title = labels["title"].format(loss=name)
        figure.append({"title": title, "x": "√KL", "y": words["above"], "curves": curves})
    return figure


def report(result: dict[str, Any]) -> list[Block]:
    """A row for each loss and β."""
    head = ["loss", "β", "gold at its peak", "√KL there", "epochs", "share of the optimum"]
    head += ["gold at the end", "√KL there", "share of the peak lost", "R² of the fit"]
    names = ("peak", "peak_d", "epoch", "share", "end", "end_d", "lost")
    rows = [
        [
            LOSSES[row["loss"]],
            f"{row['beta']:g}",
            *(format_mean(row[name]) for name in names),
            format_mean(row["fit"]["r2"]) if row["fit"] else "–",
        ]
        for row in result["rows"]
    ]
    note = (
        "Gold is in nats above the reference's, measured on 4 texts for each of 64 prompts every "
        f"{FULL['every']} steps. Its peak is the highest of these measurements, so by chance it is "
        "above the peak of the true curve, and a run falls only if it loses clearly more than "
        f"{FALL:.0%} of it. β has a different meaning in each loss (docs/methods.md): in IPO and "
        "in SLiC it sets a margin, in IPO one per token."
    )
    return [Table(head, rows), note]
