"""Preferences that cover only some responses, and the effect of DPO and PPO on the others."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from align_core.experiments import tabular
from align_core.experiments.claims import Verdict, majority, verdict
from align_core.experiments.presentation import Block, Panel, Row, Table, means
from align_core.experiments.sentences import Finding
from align_core.experiments.statistics import difference, format_mean, mean, sign

TITLE = "Responses that no preference covers"
PAPER = "2404.10719, section 4.2 and Table 1"
CLAIM = (
    "DPO can raise the probability of responses that no preference pair covers, because its loss "
    "compares only covered responses. PPO's reward model may be wrong about them too, but the KL "
    "penalty keeps the policy close to the reference. In the paper's toy example, DPO raises the "
    "probability of an uncovered response from 0.11 to 0.23."
)
SEEDS = 32

RESPONSES = tuple(range(2, tabular.SIZE + 1))  # numbers of covered responses for each prompt
BETAS = (0.1, 0.5, 1.0)
METHODS = ("reference", "optimum", "learned_optimum", "ppo", "dpo")


class Example(NamedTuple):
    """The setting and the seed of the outcome that is shown in full, with graded raters."""

    responses: int
    beta: float
    seed: int


EXAMPLE = Example(responses=4, beta=0.5, seed=0)
RATERS = {"graded": False, "certain": True}  # whether they always prefer the better response
REPORTED = {"beta": 0.1, "responses": 4}  # the setting whose means are reported
COUNTED = (
    "Over all {{settings}} settings of coverage and β with {raters} raters, the most that an "
    "uncovered response gains is clearly larger under DPO in {{dpo}} and clearly larger under PPO "
    "in {{ppo}}."
)
SENTENCES = {
    "join": ", ",
    "gives": "DPO can give more probability to a response that no preference covers.",
    "gives_why": (
        "In {gains} of {settings} settings of coverage, β and raters, one such response clearly "
        "gains probability; in {losses}, all of them together clearly lose some."
    ),
    "spreads": (
        "DPO gives such a response more probability than PPO does, which the KL term holds back."
    ),
    "spreads_why": (
        "The largest gain of such a response is clearly larger under DPO in {dpo} of these "
        "settings, and under PPO in {ppo}."
    ),
    "certain": "raters who always prefer the better response, as in the paper",
    "graded": "raters who prefer it with probability σ(Δr)",
    "gained": (
        "With {raters} (β = {beta}, {responses} of {all} responses covered) an uncovered response "
        "gains at most {dpo_rise} under DPO and {ppo_rise} under PPO; all uncovered responses "
        "together fall from {reference} to {dpo} and {ppo}. The exact optimum gives them "
        "{optimum}, and raises one of them by up to {optimum_rise}: often the best response is "
        "among them, and it is right to raise that one."
    ),
    "best_covered": (
        "With {raters}, and the best response always covered (β = {beta}, {responses} of {all}), "
        "the optimum lowers every uncovered response; the one that it lowers least changes by "
        "{optimum_rise}. Under PPO one still gains {ppo_rise}, under DPO {dpo_rise}."
    ),
    "learned": (
        "With {raters} (β = {beta}, {responses} of {all}) PPO does what its reward model asks for: "
        "the exact optimum of the learned reward gives an uncovered response up to "
        "{learned_optimum_rise} more probability. PPO is {to_learned} nats of KL from that "
        "optimum, and {to_optimum} from the optimum of the gold reward."
    ),
    "counted_certain": COUNTED.format(raters="certain"),
    "counted_graded": COUNTED.format(raters="graded"),
    "ends": (
        "DPO's gold reward is above PPO's by {more} nats where {responses} responses are covered "
        "(graded raters, β = {beta}). Where all are, both arrive at the optimum (β = 0.5): gold "
        "rewards of {ppo} (PPO) and {dpo} (DPO) against {optimum}."
    ),
}

SETUP = (
    Row("prompts and responses", "8 and 8, MLPs on one-hot inputs", "the same"),
    Row("raters", "certain", "certain, and graded by σ(Δr)"),
    Row("pairs", "random, with limited coverage", "all pairs of covered responses"),
    Row("shown", "one example", f"means over {SEEDS} seeds, 42 settings"),
)


def stages(quick: bool) -> list[dict[str, dict[str, Any]]]:
    """One run for each seed, over all numbers of covered responses, β and kinds of raters."""
    return [{f"seed-{seed}": {"seed": seed} for seed in range(2 if quick else SEEDS)}]


def measure(folder: Path, seed: int) -> list[dict[str, Any]]:
    """A row for each setting: its values, and the `numbers` of each policy.

    The last rows are the reported setting with the best response covered, once per kind of raters.
    """
    grid: list[dict[str, Any]] = [
        {"responses": responses, "beta": beta, "raters": raters, "best_covered": False}
        for responses, beta, raters in product(RESPONSES, BETAS, RATERS)
    ]
    grid += [{**REPORTED, "raters": raters, "best_covered": True} for raters in RATERS]
    rows = []
    for setting in grid:
        covered = tabular.random_coverage(setting["responses"], seed, setting["best_covered"])
        outcome = tabular.train(covered, setting["beta"], seed, RATERS[setting["raters"]])
        policies = {name: numbers(outcome, getattr(outcome, name)) for name in METHODS}
        rows.append({**setting, **policies})
    return rows


def numbers(outcome: tabular.Outcome, policy: tabular.FloatArray) -> dict[str, float | None]:
    """Means over prompts: the gold reward, the KL to the reference and to the optima of the learned
    and the gold reward (all in nats), and the probability of all uncovered responses together.

    `rise` is the largest increase in the probability of an uncovered response, None if all are
    covered.
    """
    uncovered = ~outcome.covered
    rises = (policy - outcome.reference)[uncovered]
    return {
        "gold": float((policy * tabular.GOLD).sum(1).mean()),
        "kl": tabular.divergence(policy, outcome.reference),
        "to_learned": tabular.divergence(policy, outcome.learned_optimum),
        "to_optimum": tabular.divergence(policy, outcome.optimum),
        "uncovered": float((policy * uncovered).sum(1).mean()),
        "rise": float(rises.max()) if rises.size else None,
    }


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The means over seeds for each setting; one example in full; Table 1 of arXiv 2404.10719."""
    settings = []
    for seeds in zip(*(run["measured"] for run in runs), strict=True):
        means = {
            method: {name: mean([row[method][name] for row in seeds]) for name in seeds[0][method]}
            for method in METHODS
        }
        # Differences within a seed, so that the random coverage adds no variance.
        more = {name: mean([_difference(row, name) for row in seeds]) for name in ("gold", "rise")}
        setting = {name: seeds[0][name] for name in ("responses", "beta", "raters", "best_covered")}
        settings.append({**setting, **means, "dpo_over_ppo": more})
    covered = tabular.random_coverage(EXAMPLE.responses, EXAMPLE.seed)
    outcome = tabular.train(covered, EXAMPLE.beta, EXAMPLE.seed)
    arrays = {name: np.array(value).tolist() for name, value in vars(outcome).items()}
    return {
        "seeds": len(runs),
        "settings": settings,
        "example": EXAMPLE._asdict() | arrays,
        "table_1": table_1(),
    }


def table_1(beta: float = 0.1) -> list[dict[str, Any]]:
    """Three policies over (y1, y2, y3); raters always prefer y1 to y2 and never see y3.

    With probabilities a of y1 and b of y2, both ½ under the reference, DPO's loss is
    log(1 + (b/a)^β): it has its minimum, 0, at b = 0 for every a. The KL may be infinite (None).
    """
    policies = {"reference": (0.5, 0.5, 0.0), "dpo": (0.1, 0.0, 0.9), "ppo": (1.0, 0.0, 0.0)}
    reference = policies["reference"]
    rows = []
    for name, policy in policies.items():
        outside = any(p > 0 and q == 0 for p, q in zip(policy, reference, strict=True))
        terms = (p * math.log(p / q) for p, q in zip(policy, reference, strict=True) if p and q)
        loss = math.log1p((policy[1] / policy[0]) ** beta)
        kl = None if outside else sum(terms)
        rows.append({"name": name, "policy": policy, "loss": loss, "kl": kl})
    return rows


def setting(result: dict[str, Any], **conditions: Any) -> dict[str, Any]:
    """The means of the first setting with these values of responses, β or raters. By default
    it is one in which the best response may be uncovered."""
    conditions = {"best_covered": False} | conditions
    return next(row for row in result["settings"] if conditions.items() <= row.items())


def comparisons(result: dict[str, Any]) -> dict[str, list[int]]:
    """The signs of all comparisons behind the verdicts and findings, over the settings."""
    rows = _partial(result)
    return {
        "rises": [sign(row["dpo"]["rise"]) for row in rows],
        "together": [
            sign(difference(row["dpo"]["uncovered"], row["reference"]["uncovered"])) for row in rows
        ],
        "more": [sign(row["dpo_over_ppo"]["rise"]) for row in rows],
    }


def verdicts(result: dict[str, Any]) -> list[Verdict]:
    """Whether DPO raises uncovered responses, and whether more than PPO."""
    rises, together, more = comparisons(result).values()
    counts = {"settings": len(rises), "gains": rises.count(1), "losses": together.count(-1)}
    return [
        verdict(max(rises), "gives", **counts),
        verdict(majority(more), "spreads", dpo=more.count(1), ppo=more.count(-1)),
    ]


def _partial(result: dict[str, Any], **conditions: Any) -> list[dict[str, Any]]:
    """The settings with uncovered responses, the best one possibly among them."""
    return [
        row
        for row in result["settings"]
        if row["responses"] < tabular.SIZE
        and not row["best_covered"]
        and conditions.items() <= row.items()
    ]


def findings(result: dict[str, Any]) -> list[Finding]:
    """The reported setting, counts over all settings, and the gold rewards."""
    rows: list[Finding] = []
    for raters in ("certain", "graded"):
        means = setting(result, raters=raters, **REPORTED)
        rows += [("gained", _texts(means)), ("learned", _texts(means))]
        best = setting(result, raters=raters, **REPORTED, best_covered=True)
        rows.append(("best_covered", _texts(best)))
    for raters in ("certain", "graded"):
        more = [sign(row["dpo_over_ppo"]["rise"]) for row in _partial(result, raters=raters)]
        counts = {"settings": len(more), "dpo": more.count(1), "ppo": more.count(-1)}
        rows.append((f"counted_{raters}", {name: str(count) for name, count in counts.items()}))
    fewest = setting(result, raters="graded", responses=RESPONSES[0], beta=REPORTED["beta"])
    full = setting(result, raters="graded", responses=tabular.SIZE, beta=0.5)
    ends = {
        "more": format_mean(fewest["dpo_over_ppo"]["gold"]),
        "responses": str(RESPONSES[0]),
        "beta": f"{REPORTED['beta']:g}",
        **{name: format_mean(full[name]["gold"]) for name in ("ppo", "dpo", "optimum")},
    }
    return [*rows, ("ends", ends)]


def _texts(means: dict[str, Any]) -> dict[str, Any]:
    """The values of a setting for the sentences about it."""
    return {
        "raters": [(means["raters"], {})],
        "beta": f"{means['beta']:g}",
        "responses": str(means["responses"]),
        "all": str(tabular.SIZE),
        **{f"{name}_rise": format_mean(means[name]["rise"]) for name in METHODS},
        **{name: format_mean(means[name]["uncovered"]) for name in METHODS},
        **{name: format_mean(means["ppo"][name]) for name in ("to_learned", "to_optimum")},
    }


def panels(result: dict[str, Any], words: dict[str, Any]) -> list[Panel]:
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
            **means([row[method]["rise"] for row in rows]),
        }

    methods = ("ppo", "dpo", "optimum", "learned_optimum")
    lines = [(method, *line) for method in methods for line in ((0.1, ""), (1.0, "dash"))]
    axes = {"x": words["covered_responses"], "y": words["most_gained"]}
    return [
        {"title": words["raters"][kind], **axes, "curves": [curve(kind, *line) for line in lines]}
        for kind in ("certain", "graded")
    ]


def report(result: dict[str, Any]) -> list[Block]:
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
    settings_table = Table(head, rows)
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
        "PPO does; PPO is near the optimum of the reward that it was given. The recorded result "
        "also has the odd numbers of covered responses. Table 1 of the paper, computed (β = 0.1): "
        "y1 is always preferred to y2, and y3 is in no pair. DPO's loss is the same for PPO's "
        "policy and for one that gives most probability to y3, although the KL of the latter is "
        "infinite."
    )
    return [settings_table, intro, Table(["", "y1, y2, y3", "DPO's loss", "KL"], rows)]


def _difference(row: dict[str, Any], name: str) -> float | None:
    """A number of DPO minus that of PPO; None if it is unknown."""
    if row["dpo"][name] is None:
        return None
    return row["dpo"][name] - row["ppo"][name]
