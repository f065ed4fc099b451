"""The optimum itself: how few texts it has at a small β, and what an error of the reward does."""

from __future__ import annotations

from typing import Any

from align_core.experiments.claims import Verdict, verdict
from align_core.experiments.collapse_runs import (
    BETAS,
    ERRORS,
    LOWEST,
    NARROW,
    QUARTILE,
    SEEDS,
    SMALL,
    TASKS,
    measure,
    stages,
    summary,
)
from align_core.experiments.presentation import Block, Panel, Row, Table, labelled, means
from align_core.experiments.sentences import Finding
from align_core.experiments.statistics import format_mean, sign

__all__ = ["SEEDS", "measure", "stages", "summary"]

TITLE = "What the optimum itself does at a small β"
PAPER = "2510.20817, and 2407.14503"
CLAIM = (
    "With a small β, the objective itself asks for little diversity: its optimum collapses by "
    "construction, in both directions of the KL, so that no optimiser is to blame. And where the "
    "error of a reward has a heavy tail, a KL penalty does not protect: some policies have an "
    "arbitrarily high proxy reward at a small KL and no more gold reward than the reference. With "
    "a light-tailed error the optimum's gold reward rises as β falls."
)
SETUP = (
    Row("policies", "trained language models and chemistry models", "the optimum, computed"),
    Row(
        "reference", "language models", "1,536 stored samples per prompt, as if there were no more"
    ),
    Row("gold reward", "right or wrong", "graded, at most 3 nats"),
    Row(
        "error of the reward",
        "in theorems; that of open reward models has a light tail",
        "drawn for each text: normal, Laplace, or Student's t with 2 degrees of freedom",
    ),
    Row("β", "fixed in each run", f"{BETAS[0]:g} to {LOWEST:g}"),
)
SENTENCES = {
    "join": "; ",
    "capitals": "capitals",
    "reviews": "reviews",
    "none": "no error",
    "normal": "a normal error",
    "laplace": "a Laplace error",
    "student": "a Student's t₂ error",
    "narrows": "The smaller β is, the fewer texts the optimum itself has.",
    "narrows_why": (
        "On capitals, the effective number of texts falls from {reference} under the reference to "
        "{one} at β = 1 and {small} at β = 0.1 (± over prompts)."
    ),
    "single": "At a small β, one text has more than half of the probability.",
    "single_why": (
        "At β = 0.1 the likeliest text has {small} of it, and {least} at the limit β → 0, where "
        "the {best} best texts of a prompt keep the proportions that the reference gives them."
    ),
    "forward": "With the KL the other way round, the optimum collapses too.",
    "forward_why": (
        "At the same gold reward, that of β = 0.1, the effective number of texts is {forward} for "
        "the optimum under KL(π_ref ‖ π) and {reverse} for the one under KL(π ‖ π_ref); it is "
        "{reference} for the reference."
    ),
    "heavy": "With a heavy-tailed error, the gold reward falls back towards the reference's.",
    "light": "With a light-tailed error it does not.",
    "heavy_why": "At β = 0.05, {listed}.",
    "light_why": "At β = 0.05, {listed}.",
    "fell": (
        "gold on {task} is {end} nats above the reference's ({samples} effective samples), {peak} "
        "at its peak over β; without an error it is {whole}"
    ),
    "equal": (
        "At the same KL, a heavy-tailed error leaves less gold reward than a light-tailed one."
    ),
    "equal_why": "At a KL of 1 nat {listed}.",
    "at_kl": (
        "gold on {task} is up by {student} nats with Student's t₂ error, {normal} with a normal one"
    ),
    "covered": (
        "By the Good–Turing estimate, the stored samples on capitals lack texts with {missing} of "
        "the reference's probability, and those on reviews {missing_reviews}; so texts are counted "
        "only on capitals."
    ),
    "row": (
        "On {task} with {error}, at β = {beta} the gold reward is up by {gold} nats and the "
        "optimised reward by {proxy}, at a KL of {kl}; effective samples: {samples} of 1,536."
    ),
    "few": (
        "A reference of 1,536 texts has no tail beyond them: the KL cannot exceed log 1,536 = 7.3 "
        "nats, and where few effective samples are left the numbers are those of these samples, "
        "not of the reference."
    ),
}


def row(result: dict[str, Any], task: str, error: str) -> dict[str, Any]:
    """The row of a task and an error."""
    return next(r for r in result["rows"] if (r["task"], r["error"]) == (task, error))


def comparisons(result: dict[str, Any]) -> dict[str, list[int]]:
    """The signs of all comparisons behind the verdicts. The first three are over prompts, the
    others over draws of the errors, on each task."""
    lost, small = result["lost"], result["reverse"][BETAS.index(SMALL)]
    return {
        "narrows": [-sign(lost["reverse"])],
        "single": [sign(small["top"], 0.5)],
        "forward": [-sign(lost["forward"])],
        "heavy": [-sign(row(result, task, "student")["fallen"]) for task in TASKS],
        "light": [sign(row(result, task, "normal")["fallen"]) for task in TASKS],
        "equal": [-sign(result["equal"][task]) for task in TASKS],
    }


def verdicts(result: dict[str, Any]) -> list[Verdict]:
    """Whether the optimum narrows, down to one text, and what errors do to its gold reward."""
    signs = {part: min(part_signs) for part, part_signs in comparisons(result).items()}
    reference = format_mean(result["reference"]["texts"], 1)
    at_one, at_small = (result["reverse"][BETAS.index(beta)] for beta in (1.0, SMALL))
    return [
        verdict(
            signs["narrows"],
            "narrows",
            reference=reference,
            one=format_mean(at_one["texts"], 1),
            small=format_mean(at_small["texts"], 1),
        ),
        verdict(
            signs["single"],
            "single",
            small=format_mean(at_small["top"]),
            least=format_mean(result["limit"]["top"]),
            best=format_mean(result["limit"]["best"], 1),
        ),
        verdict(
            signs["forward"],
            "forward",
            forward=format_mean(result["forward"]["texts"], 1),
            reverse=format_mean(at_small["texts"], 1),
            reference=reference,
        ),
        verdict(signs["heavy"], "heavy", listed=_listed_falls(result, "student")),
        verdict(signs["light"], "light", listed=_listed_falls(result, "normal")),
        verdict(
            signs["equal"],
            "equal",
            listed=[
                (
                    "at_kl",
                    {
                        "task": [(task, {})],
                        **{
                            error: format_mean(row(result, task, error)["at_kl"])
                            for error in ("student", "normal")
                        },
                    },
                )
                for task in TASKS
            ],
        ),
    ]


def _listed_falls(result: dict[str, Any], error: str) -> list[Finding]:
    """The gold reward at its peak and at the smallest β, on each task."""
    rows = [row(result, task, error) for task in TASKS]
    without_error = {task: format_mean(row(result, task, "none")["gold"][-1]) for task in TASKS}
    return [
        (
            "fell",
            {
                "task": [(r["task"], {})],
                "end": format_mean(r["gold"][-1]),
                "peak": format_mean(r["peak"]),
                "whole": without_error[r["task"]],
                "samples": format_mean(r["samples"][-1], 0),
            },
        )
        for r in rows
    ]


def findings(result: dict[str, Any]) -> list[Finding]:
    """The probability that the stored samples lack, and what each error does at the smallest β."""
    missing = {task: f"{share:.1%}" for task, share in result["missing"].items()}
    rows: list[Finding] = [
        ("covered", {"missing": missing[NARROW], "missing_reviews": missing["reviews"]})
    ]
    for r in result["rows"]:
        numbers = {name: format_mean(r[name][-1]) for name in ("gold", "proxy", "kl")}
        numbers["samples"] = format_mean(r["samples"][-1], 0)
        condition: dict[str, Any] = {
            "task": [(r["task"], {})],
            "error": [(r["error"], {})],
            "beta": f"{LOWEST:g}",
        }
        rows.append(("row", {**condition, **numbers}))
    return [*rows, ("few", {})]


def panels(result: dict[str, Any], words: dict[str, Any]) -> list[Panel]:
    """The effective number of texts over β; gold reward for each error, over β on each task, and
    over KL."""
    labels, betas = words["collapse"], list(result["betas"])
    directions = (("reverse", "ink"), ("forward_by_beta", "preferred-ft"))
    texts = [
        {
            "name": labels[name],
            "colour": colour,
            "mode": "lines",
            "x": betas,
            **means([point["texts"] for point in result[name]]),
        }
        for name, colour in directions
    ]
    colours = {"none": "ink", "normal": "ppo", "laplace": "preferred-ft", "student": "dpo"}

    def curves(task: str, over: str) -> list[dict[str, Any]]:
        rows = [row(result, task, error) for error in ERRORS]
        return [
            {
                "name": labels[r["error"]],
                "colour": colours[r["error"]],
                "mode": "lines",
                "x": betas if over == "beta" else [number["mean"] for number in r["kl"]],
                **means(r["gold"]),
            }
            for r in rows
        ]

    falling = {"x": "β", "ticks": [10, 3, 1, 0.3, 0.1], "falling": True}
    above = {"y": words["above"]}
    by_beta = [
        {"title": labels["gold_over_beta"].format(task=labels[task]), **above, **falling}
        | {"curves": curves(task, "beta")}
        for task in TASKS
    ]
    by_kl = {
        "title": labels["gold_over_kl"].format(task=labels["reviews"]),
        "x": words["kl"],
        **above,
        "curves": curves("reviews", "kl"),
    }
    counted = {"title": labels["texts"], "y": labels["count"], **falling, "curves": texts}
    return [labelled(panel) for panel in (counted, *by_beta, by_kl)]


def report(result: dict[str, Any]) -> list[Block]:
    """A row for each task and error and for some values of β."""
    head = ["task", "error", "β", "gold", "optimised reward", "KL", "effective samples"]
    rows = []
    for r in result["rows"]:
        for beta in (10.0, 1.0, 0.32, SMALL, LOWEST):
            index = BETAS.index(beta)
            cells = [format_mean(r[name][index]) for name in ("gold", "proxy", "kl")]
            samples = format_mean(r["samples"][index], 0)
            rows.append([r["task"], r["error"], f"{beta:g}", *cells, samples])
    note = (
        "The gold reward and the optimised reward, which is gold plus error, are in nats above the "
        f"reference's. Half of the errors of each kind are within ±{QUARTILE:.2f} nats. Effective "
        "samples are 1/Σw² of 1,536."
    )
    return [Table(head, rows), note]
