"""Executes the lab's experiments at full size, records the results and writes docs/results.md.

    python -m benchmarks.lab NAME…      execute these, or all; record them and write the page
    python -m benchmarks.lab --render   write page and figures from the recorded results

An experiment resumes from the runs in runs/lab/NAME.
"""

from __future__ import annotations

import argparse
import json
import os
import textwrap
import time
from pathlib import Path
from typing import Any

from align_core import experiments
from align_core.experiments import claims, frontier, runner, shift
from align_core.experiments.kl_curves import EXPLAINED
from align_core.experiments.sentences import render_findings
from align_core.experiments.setups import SETUPS
from align_core.experiments.statistics import Mean, format_mean
from benchmarks import lab_figures
from benchmarks.common import DOCS, ROOT, machine, table, write_section

PAGE = DOCS / "results.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(experiments.NAMES))
    parser.add_argument("--lanes", type=int, default=os.cpu_count(), help="runs at a time")
    parser.add_argument("--render", action="store_true", help="only write page and figures")
    args = parser.parse_args()
    if not args.render:
        for name in args.names or experiments.NAMES:
            record(name, args.lanes)
    for name in experiments.NAMES:
        write_section(PAGE, name, render(name))
        if experiments.recorded(name).exists():
            lab_figures.draw(name, experiments.result(name), figure(name))


def record(name: str, lanes: int) -> None:
    """Execute the missing runs of an experiment, and store the result in the assets.

    The wall time is stored if no run was there before.
    """
    folder = ROOT / "runs" / "lab" / name
    progress: list[int] = []

    def on_part(done: int, count: int) -> None:
        progress.append(done)
        print(f"{name}: {done} of {count}", flush=True)

    began = time.monotonic()
    result = runner.run(name, folder, quick=False, lanes=lanes, on_part=on_part)
    if progress[0] == 0:
        result |= {"lanes": lanes, "wall_seconds": round(time.monotonic() - began, 1)}
    path = experiments.recorded(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine(threads=1), **result}) + "\n")


def figure(name: str) -> Path:
    """The file of an experiment's figure."""
    return DOCS / f"lab-{name}.svg"


def render(name: str) -> str:
    """The section of an experiment in docs/results.md."""
    command = f"python -m benchmarks.lab {name}"
    if not experiments.recorded(name).exists():
        return f"Not recorded yet: `{command}` does so.\n"
    experiment, result = experiments.load(name), experiments.result(name)
    intro = (
        f"Written by `{command}` from `assets/lab/{name}.json`: {result['runs']} runs, "
        f"{result['seeds']} seeds, {duration(result)}. ± is half the width of the 95% interval "
        f"(Student's t over seeds). Machine: {result['machine']}."
    )
    verdicts = [
        _filled(f"**{claims.WORDS[row['verdict']]} {row['claim']}** {row['why']}")
        for row in claims.render_verdicts(experiment.verdicts(result), experiment.SENTENCES)
    ]
    tested = claims.TESTED.format(**claims.comparison_counts(experiment, result))
    findings = render_findings(experiment.findings(result), experiment.SENTENCES)
    setup = table(["", "in the paper", "here"], [list(row) for row in SETUPS[name]])
    return "\n\n".join(
        [
            _filled(intro),
            _filled(f"**The paper** (arXiv {experiment.PAPER}): {experiment.CLAIM}"),
            setup.rstrip(),
            "**Here:**",
            *verdicts,
            _filled(tested),
            "\n".join(_filled(f"- {sentence}", indent="  ") for sentence in findings),
            f"![{experiment.TITLE}]({figure(name).name})",
            TABLES[name](result),
        ]
    )


def duration(result: dict[str, Any]) -> str:
    """The total time of the runs and, if known, the wall time, in words."""
    core = result["core_seconds"] / 60
    if "wall_seconds" not in result:
        return f"{core:.1f} minutes of one core, so on two at least {core / 2:.1f}"
    clock, lanes = result["wall_seconds"] / 60, result["lanes"]
    return f"{core:.1f} minutes of one core, {clock:.1f} on the clock with {lanes} runs at a time"


def _filled(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 118, subsequent_indent=indent, break_on_hyphens=False)


def coverage_table(result: dict[str, Any]) -> str:
    """A row for each setting: uncovered probability, its largest gain, and gold rewards."""
    head = ["raters", "β", "covered", *(f"uncovered: {name}" for name in ("reference", "PPO"))]
    head += [
        "DPO",
        "optimum",
        "most gained: PPO",
        "DPO",
        "optimum",
        "optimum of the learned reward",
    ]
    head += ["gold: PPO", "DPO", "optimum"]
    rows = []
    settings = [
        row for row in result["settings"] if row["responses"] % 2 == 0 and not row["best_covered"]
    ]
    for row in sorted(settings, key=lambda row: (row["raters"], row["beta"])):
        columns = [(method, "uncovered") for method in ("reference", "ppo", "dpo", "optimum")]
        columns += [(method, "rise") for method in ("ppo", "dpo", "optimum", "learned_optimum")]
        columns += [(method, "gold") for method in ("ppo", "dpo", "optimum")]
        cells = [format_mean(row[method][number]) for method, number in columns]
        rows.append([row["raters"], f"{row['beta']:g}", str(row["responses"]), *cells])
    first = table(head, rows)
    rows = [
        [
            row["name"].upper() if row["name"] != "reference" else "reference",
            ", ".join(f"{p:g}" for p in row["policy"]),
            f"{row['loss']:.3f}",
            "∞" if row["kl"] is None else f"{row['kl']:.3f}",
        ]
        for row in result["table_1"]
    ]
    intro = (
        "The optimum raises an uncovered response where that is the best one, and then more than "
        "PPO does; PPO is near the optimum of the reward that it was given. Other numbers of "
        "responses are in the file. Table 1 of the paper, computed (β = 0.1): y1 "
        "is always preferred to y2, and y3 is in no pair. DPO's loss is as small for a policy that "
        "nearly leaves the preferred y1 for y3, and has an infinite KL, as for PPO's policy."
    )
    return "\n".join(
        [first, _filled(intro) + "\n", table(["", "y1, y2, y3", "DPO's loss", "KL"], rows)]
    )


def frontier_table(result: dict[str, Any]) -> str:
    """Shares of the optimum's gain, and win rates over temperature."""
    budgets = [f"{kl:g}" for kl in frontier.BUDGETS]
    head = ["share of the optimum's gain", *(f"within {kl} nats" for kl in budgets)]
    rows = [
        [frontier.NAMES[method], *(format_mean(shares[kl]) for kl in budgets)]
        for method, shares in result["shares"].items()
    ]
    win_rates = result["win_rates"]
    temperatures = [f"T = {t:g}" for t in win_rates["dpo"]["temperatures"]]
    wins = [
        [frontier.NAMES[method], _setting(row["setting"]), *map(format_mean, row["rates"])]
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
    first = table(head, rows)
    return "\n".join([first, _filled(note) + "\n", table(["", "setting", *temperatures], wins)])


def _setting(strength: float | None) -> str:
    return "–" if strength is None else f"{strength:g}"


def overoptimisation_table(result: dict[str, Any]) -> str:
    """A row for each curve: its reward model, fit, peak and end."""
    head = ["", "pairs", "layers", "parameters", "β", "accuracy", "fitted α", "fitted β"]
    head += ["error, nats", "R²", "gold at its peak", "√KL there", "gold at the end", "proxy there"]
    models = [row for row in result["rows"] if row["method"] == "best-of-n"]
    parameters = {(row["pairs"], row["layers"]): row["parameters"] for row in models}

    def fitted(row: dict[str, Any]) -> list[Mean | None]:
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
            *map(format_mean, fitted(row)),
            *(format_mean(row[name]) for name in ("peak", "peak_d", "end", "end_proxy")),
        ]
        for row in result["rows"]
    ]
    note = (
        "Gold and proxy are nats above the reference's. Fitted for each seed by least squares: "
        "R = d(α − βd) for best-of-n, R = d(α − β log d) for PPO, d = √KL; the error is the root "
        "of the mean squared residual, R² the share of the variance that the fit explains. No fit "
        "is shown where the form fails: where it explains less than "
        f"{EXPLAINED:.0%}, or turns where the curves still rise, as all of best-of-n do, because "
        "this gold reward saturates. The figure has the curve of the mean α and β, with the error "
        "as a band."
    )
    return "\n".join([table(head, rows), _filled(note) + "\n"])


def shift_table(result: dict[str, Any]) -> str:
    """A row for each source and method; the first of a source has the reward model's accuracy."""
    head = ["pairs", "method", "gold above the reference", "lost by the shift", "KL", "gain"]
    head += ["covered continents", "others"]
    rows = []
    for source in dict.fromkeys(row["source"] for row in result["rows"]):
        accuracy = shift.row(result, source, "reward")["accuracy"]
        label = f"{shift.NAMES[source]} (reward model right on {format_mean(accuracy)})"
        for method, name in shift.METHODS.items():
            row = shift.row(result, source, method)
            numbers = ("more", "lost", "kl", "gain", "covered", "others")
            rows.append([label, name, *(format_mean(row.get(number)) for number in numbers)])
            label = ""
    note = (
        f"β = {shift.BETA:g} throughout; lost: against pairs of the reference's own texts, seed by "
        "seed. The reward model's accuracy is that on pairs of the reference's own texts. KL and "
        "gain are against the reference that all began from, on the probe prompts."
    )
    return "\n".join([table(head, rows), _filled(note) + "\n"])


TABLES = {
    "coverage": coverage_table,
    "frontier": frontier_table,
    "overoptimisation": overoptimisation_table,
    "shift": shift_table,
}

if __name__ == "__main__":
    main()
