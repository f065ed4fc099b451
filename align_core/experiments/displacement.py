"""Likelihood displacement: DPO takes probability from the chosen text, and other texts get it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

from align_core.experiments.claims import Verdict, majority, verdict
from align_core.experiments.presentation import Block, Panel, Row, Table, labelled, means
from align_core.experiments.sentences import Finding
from align_core.experiments.statistics import Mean, format_mean, mean, sign

TITLE = "Where the chosen text's probability goes"
PAPER = "2410.08847"
CLAIM = (
    "While DPO widens the margin between the chosen and the rejected text, the chosen one often "
    "loses probability, too (likelihood displacement), and other texts get it, some of them of the "
    "opposite meaning. It is driven by pairs of texts with similar embeddings, which the CHES "
    "score identifies."
)
SEEDS = 3

TASK = "capitals"
BETA = 0.1
KINDS = ("similar", "different")  # pairs with the highest, and with the lowest CHES scores
FULL = {"pairs": 128, "epochs": 10, "every": 16, "samples": 16, "prompts": 64}
QUICK = {"pairs": 8, "epochs": 1, "every": 1, "samples": 2, "prompts": 4}
HARM = 1.0  # nats of gold reward that a text must be below the chosen text to be a worse answer
POSSIBLE = 0.1  # what occurs in more than this share of the cases is more than an exception
SHOWN = 6  # examples that are quoted
SETUP = (
    Row("model", "1 B to 8 B parameters", "0.8 M parameters"),
    Row(
        "pairs",
        "one; and refusals of unsafe prompts",
        f"{FULL['pairs']} on capitals, one for each prompt",
    ),
    Row("similar texts", "by the CHES score", "the highest and the lowest CHES scores of some 990"),
    Row("training", "DPO and its kin", f"DPO, β = {BETA}, {FULL['epochs']} epochs"),
    Row("what gains", "the likeliest tokens and answers", "every stored or sampled text, exactly"),
)
SENTENCES = {
    "join": ", ",
    "similar": "similar pairs",
    "different": "different pairs",
    "often": "A chosen text often loses probability, although the margin grows.",
    "often_why": "{listed} do.",
    "fell": "{share} of them with {kind}",
    "falls": "On average the chosen texts lose probability.",
    "falls_why": "Their log-probability changes by {listed}.",
    "changed": "{change} nats with {kind}",
    "further": "DPO lowers the chosen texts further where the two texts of a pair are similar.",
    "further_why": "By {more} nats more than with different pairs, seed by seed.",
    "third": "What gains most is a third text.",
    "third_why": "In {listed}, the text that gains most is neither text of the pair.",
    "share": "{share} of the prompts of {kind}",
    "opposite": "Where a right chosen text loses, a wrong answer can gain most.",
    "opposite_why": (
        "The text that gains most has a gold reward at least {harm} nat below the chosen text's in "
        "{listed} whose right chosen text lost. For example, {named}"
    ),
    "sides": (
        "With {kind} the chosen text changes by {chosen} nats and the rejected one by {rejected}; "
        "the margin grows by {margin}."
    ),
    "mass": (
        "With {kind}, the chosen texts go from {chosen_before} to {chosen} of the probability, the "
        "rejected ones from {rejected_before} to {rejected}, other right answers from "
        "{right_before} to {right}, other wrong ones from {wrong_before} to {wrong}."
    ),
    "named": (
        "“{prompt}”: chosen “{chosen}” {chosen_before} → {chosen_after}, rejected “{rejected}” "
        "{rejected_before} → {rejected_after}; “{gained}” gains most, {before} → {after}."
    ),
}


def stages(quick: bool) -> list[dict[str, dict[str, Any]]]:
    """One run for each kind of pairs and seed."""
    size = QUICK if quick else FULL
    return [
        {
            f"{kind}-{seed}": {"kind": kind, "seed": seed, "beta": BETA, **size}
            for kind in KINDS
            for seed in range(1 if quick else SEEDS)
        }
    ]


def measure(folder: Path, **settings: Any) -> dict[str, Any]:
    """The result of `displacement_runs.measure` on TASK."""
    from align_core.experiments import displacement_runs  # imports torch, which the page does not

    return displacement_runs.measure(TASK, **settings)


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds for each kind of pairs, and examples of the first seed."""
    kinds, falls = {}, {}
    for kind in KINDS:
        measured = [run["measured"] for run in runs if run["settings"]["kind"] == kind]
        falls[kind] = [run["curve"][-1][1] for run in measured]
        kinds[kind] = {
            "steps": [point[0] for point in measured[0]["curve"]],
            "chosen": _over_seeds(measured, lambda point: point[1]),
            "rejected": _over_seeds(measured, lambda point: point[2]),
            "margin": mean([run["curve"][-1][1] - run["curve"][-1][2] for run in measured]),
            "fell": mean([run["fell"] for run in measured]),
            "third": mean([_third(run["prompts"]) for run in measured]),
            "opposite": mean([_opposite(run["prompts"]) for run in measured]),
            "mass": {
                name: [mean([run["mass"][name][index] for run in measured]) for index in (0, 1)]
                for name in measured[0]["mass"]
            },
            "examples": _examples(measured[0]["prompts"]),
        }
    more = [a - b for a, b in zip(*(falls[kind] for kind in KINDS), strict=True)]
    seeds = len({run["settings"]["seed"] for run in runs})
    return {"seeds": seeds, "kinds": kinds, "further": mean(more)}


def _over_seeds(
    measured: list[dict[str, Any]], number: Callable[[list[float]], float]
) -> list[Mean | None]:
    curves = ([number(point) for point in run["curve"]] for run in measured)
    return [mean(at_step) for at_step in zip(*curves, strict=True)]


def _third(prompts: list[dict[str, Any]]) -> float:
    """The share of prompts for which neither text of the pair gained most."""
    sides = ("chosen", "rejected")
    return fmean(all(p["gained"]["text"] != p[side]["text"] for side in sides) for p in prompts)


def _opposite(prompts: list[dict[str, Any]]) -> float | None:
    """Of the prompts whose chosen text is right and lost probability, the share for which the text
    that gained most is at least HARM nats worse than it; None if there is none."""
    lost = [p for p in prompts if p["chosen"]["after"] < p["chosen"]["before"]]
    right = [p for p in lost if p["chosen"]["gold"] > 0]
    if not right:
        return None
    return fmean(p["gained"]["gold"] <= p["chosen"]["gold"] - HARM for p in right)


def _examples(prompts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The prompts whose chosen text lost most, with the text that gained most."""
    return sorted(prompts, key=lambda p: p["chosen"]["after"] - p["chosen"]["before"])[:SHOWN]


def comparisons(result: dict[str, Any]) -> dict[str, list[int]]:
    """The signs of all comparisons behind the verdicts, on each kind of pairs."""
    kinds = result["kinds"].values()
    known = [kind["opposite"] for kind in kinds if kind["opposite"] is not None]
    return {
        "often": [sign(kind["fell"], POSSIBLE) for kind in kinds],
        "falls": [-sign(kind["chosen"][-1]) for kind in kinds],
        "further": [-sign(result["further"])],
        "third": [sign(kind["third"], 0.5) for kind in kinds],
        "opposite": [sign(share, POSSIBLE) for share in known],
    }


def verdicts(result: dict[str, Any]) -> list[Verdict]:
    """Whether the chosen text loses, by which pairs, and what gains in its place."""
    signs, kinds = comparisons(result), result["kinds"]

    def listed(number: str, key: str = "share") -> list[Finding]:
        return [
            (key, {"share": format_mean(kind[number]), "kind": [(name, {})]})
            for name, kind in kinds.items()
        ]

    changes: list[Finding] = [
        ("changed", {"change": format_mean(kind["chosen"][-1]), "kind": [(name, {})]})
        for name, kind in kinds.items()
    ]
    possible = max(signs["opposite"], default=0)
    worst = min((e for kind in kinds.values() for e in kind["examples"]), key=_harm)
    return [
        verdict(majority(signs["often"]), "often", listed=listed("fell", "fell")),
        verdict(majority(signs["falls"]), "falls", listed=changes),
        verdict(signs["further"][0], "further", more=format_mean(_negated(result["further"]))),
        verdict(majority(signs["third"]), "third", listed=listed("third")),
        verdict(
            possible,
            "opposite",
            harm=f"{HARM:g}",
            listed=listed("opposite"),
            named=[("named", _named(worst))],
        ),
    ]


def _harm(example: dict[str, Any]) -> float:
    """The gold reward of the text that gained most minus that of the chosen text, in nats."""
    return example["gained"]["gold"] - example["chosen"]["gold"]


def _negated(value: Mean) -> Mean:
    return {**value, "mean": -value["mean"]}


def findings(result: dict[str, Any]) -> list[Finding]:
    """The changes of both texts of a pair, the probability of each class of texts, and examples."""
    rows: list[Finding] = []
    for name, kind in result["kinds"].items():
        ends = {side: format_mean(kind[side][-1]) for side in ("chosen", "rejected")}
        margin = {"margin": format_mean(kind["margin"])}
        rows.append(("sides", {"kind": [(name, {})], **ends, **margin}))
        before = {f"{group}_before": format_mean(both[0]) for group, both in kind["mass"].items()}
        after = {group: format_mean(both[1]) for group, both in kind["mass"].items()}
        rows.append(("mass", {"kind": [(name, {})], **before, **after}))
    for kind in result["kinds"].values():
        rows += [("named", _named(example)) for example in kind["examples"]]
    return rows


def _named(example: dict[str, Any]) -> dict[str, str]:
    """The values of an example's sentence."""
    values = {"prompt": example["prompt"], "gained": example["gained"]["text"].strip()}
    for side in ("chosen", "rejected"):
        values[side] = example[side]["text"].strip()
        for when in ("before", "after"):
            values[f"{side}_{when}"] = f"{example[side][when]:.1%}"
    return values | {when: f"{example['gained'][when]:.1%}" for when in ("before", "after")}


def panels(result: dict[str, Any], words: dict[str, Any]) -> list[Panel]:
    """The change of both log-probabilities along training; the probability of each class."""
    labels, kinds = words["displacement"], result["kinds"]
    colours = {"chosen": "ppo", "rejected": "dpo"}
    dashes = {"similar": "", "different": "dash"}
    lines = [
        {
            "name": labels[side].format(kind=labels[name]),
            "colour": colour,
            "mode": "lines",
            "dash": dashes[name],
            "x": kind["steps"],
            **means(kind[side]),
        }
        for name, kind in kinds.items()
        for side, colour in colours.items()
    ]
    classes = {name: labels["classes"][name] for name in next(iter(kinds.values()))["mass"]}
    first = next(iter(kinds.values()))["mass"]
    bars = [
        {
            "name": labels["before"],
            "colour": "reference",
            "mode": "bars",
            "x": list(classes.values()),
            **means([both[0] for both in first.values()]),
        }
    ]
    changed = {
        "title": labels["changed"],
        "x": labels["step"],
        "y": labels["nats"],
        "curves": lines,
    }
    shades = {"similar": "ppo", "different": "best-of-n"}
    figure = [labelled(changed)]
    for name, kind in kinds.items():
        after = {"name": labels["after"], "colour": shades[name], "mode": "bars"}
        after |= {"x": [*classes.values()], **means([both[1] for both in kind["mass"].values()])}
        before = {**bars[0], **means([both[0] for both in kind["mass"].values()])}
        title = labels["mass"].format(kind=labels[name])
        figure.append({"title": title, "x": "", "y": labels["share"], "curves": [before, after]})
    return figure


def report(result: dict[str, Any]) -> list[Block]:
    """A row for each example: the pair, and the text that gained most."""
    head = ["pairs", "prompt", "chosen", "rejected", "gained most", "gold: gained most, chosen"]

    def cell(text: dict[str, Any]) -> str:
        shown = text["text"].strip().replace("|", "\\|")
        return f"{shown} ({text['before']:.1%} → {text['after']:.1%})"

    rows = [
        [
            name,
            example["prompt"],
            *(cell(example[part]) for part in ("chosen", "rejected", "gained")),
            f"{example['gained']['gold']:.1f}, {example['chosen']['gold']:.1f}".replace("-", "−"),
        ]
        for name, kind in result["kinds"].items()
        for example in kind["examples"]
    ]
    note = (
        "The prompts whose chosen text lost most, of one seed. Probabilities are exact, "
        "under the reference and after training."
    )
    return [Table(head, rows), note]
