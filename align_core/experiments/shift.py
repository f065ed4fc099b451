"""Preference pairs that the reference did not write: what they cost DPO and PPO, and remedies."""

from __future__ import annotations

from itertools import groupby, product
from pathlib import Path
from typing import Any

from align_core.experiments import QUICK_EVALUATION, QUICK_ROLLOUT
from align_core.experiments.claims import Verdict, majority, verdict
from align_core.experiments.presentation import Block, Panel, Row, Table, means
from align_core.experiments.sentences import Finding
from align_core.experiments.statistics import Mean, difference, format_mean, mean, sign

TITLE = "Preferences about texts other than one's own"
PAPER = "2404.10719, Table 2"
CLAIM = (
    "DPO suffers where the preference data is not from the reference's distribution, PPO much "
    "less; fine-tuning on the preferred answers first, or iterating DPO on the policy's own "
    "samples, labelled by a reward model, recovers much of the loss."
)
SEEDS = 3

BETA = 0.5
COVERED = ("Africa", "Europe", "Oceania")  # three of six continents
# Source of the pairs -> task. BASES: shifted source -> the source that it is compared with.
SOURCES = {
    "own": "reviews",
    "pretrained": "reviews",
    "shouted": "reviews",
    "own-capitals": "capitals",
    "half": "capitals",
}
BASES = {"pretrained": "own", "shouted": "own", "half": "own-capitals"}
NAMES = {
    "own": "reviews, the reference's own texts",
    "pretrained": "reviews, texts of the pretrained model",
    "shouted": "reviews, every full stop an exclamation mark",
    "own-capitals": "capitals, the reference's own texts",
    "half": f"capitals, those of {', '.join(COVERED)} alone",
}
METHODS = {
    "ppo": "PPO",
    "dpo": "DPO",
    "sft-dpo": "DPO after SFT on the chosen texts",
    "iterated": "iterated DPO",
}
SENTENCES = {
    **NAMES,
    **METHODS,
    "join": ", ",
    "lose": "DPO loses with pairs of texts other than the reference's, and PPO loses less.",
    "lose_why": (
        "DPO clearly loses in {dpo} of {shifts} shifts, PPO in {ppo}; PPO clearly loses less than "
        "DPO in {less}."
    ),
    "mends": "{method} recovers what DPO loses.",
    "mends_why": (
        "DPO clearly loses in {lost} of the shifts; there this method clearly loses less in "
        "{less}, more in {more}."
    ),
    "risen": "{method} {more} nats{cost}",
    "cost": " ({lost} less than on the reference's own texts)",
    "source": "Rise of the gold reward on {source}: {listed}.",
    "suffers": "With this shift, DPO {dpo}, PPO {ppo}.",
    "loses": "clearly loses",
    "gains": "clearly gains",
    "neither": "neither clearly loses nor gains",
}
# Pairs, batch of a DPO step, PPO rollouts, rounds of iterated DPO.
FULL = {"pairs": 2400, "batch": 16, "rollouts": 20, "rounds": 3}
QUICK: dict[str, Any] = {"pairs": 32, "batch": 16, "rollouts": 1, "rounds": 1}
QUICK |= {"evaluation": QUICK_EVALUATION, "rollout": QUICK_ROLLOUT}

SETUP = (
    Row("task", "SafeRLHF: helpfulness and harm of answers", "reviews and capitals"),
    Row("pairs", "SafeRLHF's, not of the reference's answers", "three shifts of one's own texts"),
    Row("judged by", "reward models of help and of harm", "the gold reward"),
    Row("iterated DPO", "4 rounds", f"{FULL['rounds']} rounds"),
    Row("β", "0.1 in PPO", f"{BETA:g} in all methods"),
)


def stages(quick: bool) -> list[dict[str, dict[str, Any]]]:
    """First the pairs and reward model of every source, then every method on them."""
    size = QUICK if quick else FULL
    sources = list(SOURCES)[1:2] if quick else SOURCES
    parts = [(source, seed) for source in sources for seed in range(1 if quick else SEEDS)]
    common = {
        f"{source}-{seed}": {"source": source, "task": SOURCES[source], "seed": seed, **size}
        for source, seed in parts
    }
    return [
        {f"reward-{name}": {"method": "reward", **settings} for name, settings in common.items()},
        {
            f"{method}-{name}": {"method": method, **settings}
            for method in METHODS
            for name, settings in common.items()
        },
    ]


def measure(folder: Path, method: str, **settings: Any) -> dict[str, Any]:
    """The accuracy of the reward model, or the numbers of the final policy (`shift_methods`)."""
    from align_core.experiments import shift_methods  # imports torch, which the page does not

    setting = shift_methods.Setting(folder / "shared", **settings, beta=BETA, covered=COVERED)
    return shift_methods.METHODS[method](setting)


def summary(all_runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds for each source and method, and what each method loses under the shift."""

    def key(run: dict[str, Any]) -> tuple[str, str]:
        return run["settings"]["source"], run["settings"]["method"]

    groups = {group: list(runs) for group, runs in groupby(sorted(all_runs, key=key), key)}
    rows = []
    for source, method in product(SOURCES, ("reward", *METHODS)):
        if (source, method) not in groups:
            continue
        runs = groups[source, method]
        row: dict[str, Any] = {"source": source, "method": method}
        for number in runs[0]["measured"]:
            row[number] = mean([run["measured"][number] for run in runs])
        base = groups.get((BASES.get(source, ""), method))
        if base and method in METHODS:
            pairs = zip(runs, base, strict=True)  # paired by seed
            row["lost"] = mean(
                [base_run["measured"]["more"] - run["measured"]["more"] for run, base_run in pairs]
            )
        rows.append(row)
    return {"seeds": len({run["settings"]["seed"] for run in all_runs}), "rows": rows}


def row(result: dict[str, Any], source: str, method: str) -> dict[str, Any]:
    """The row of a source and a method."""
    return next(r for r in result["rows"] if (r["source"], r["method"]) == (source, method))


def verdicts(result: dict[str, Any]) -> list[Verdict]:
    """Whether the shifts cost DPO reward, and more than PPO; and what recovers it."""
    signs = comparisons(result)
    if not signs:
        return []
    dpo, ppo, less = signs["dpo"], signs["ppo"], signs["ppo_less"]
    counts = {"shifts": len(dpo), "dpo": dpo.count(1), "ppo": ppo.count(1), "less": less.count(1)}
    rows = [verdict(min(majority(dpo), majority(less)), "lose", **counts)]
    for method in ("sft-dpo", "iterated"):
        compared = signs[method]
        counts = {"lost": len(compared), "less": compared.count(1), "more": compared.count(-1)}
        rows.append(verdict(majority(compared), "mends", method=[(method, {})], **counts))
    return rows


def comparisons(result: dict[str, Any]) -> dict[str, list[int]]:
    """The signs of all comparisons behind the verdicts and findings; empty without a shift.

    These are the gold reward that DPO and PPO lose by each shift, and the difference, DPO minus
    PPO; then, for the shifts by which DPO clearly loses, the reward that it loses minus the reward
    that each of the remedies loses.
    """
    lost = {(row["source"], row["method"]): row["lost"] for row in result["rows"] if "lost" in row}
    shifts = list(dict.fromkeys(source for source, _ in lost))
    if not shifts:
        return {}

    def less(method: str, sources: list[str]) -> list[int]:
        return [sign(difference(lost[s, "dpo"], lost[s, method])) for s in sources]

    dpo = [sign(lost[source, "dpo"]) for source in shifts]
    to_mend = [source for source, loss in zip(shifts, dpo, strict=True) if loss > 0]
    return {
        "dpo": dpo,
        "ppo": [sign(lost[source, "ppo"]) for source in shifts],
        "ppo_less": less("ppo", shifts),
        **{method: less(method, to_mend) for method in ("sft-dpo", "iterated")},
    }


def findings(result: dict[str, Any]) -> list[Finding]:
    """How much gold reward each method gains on each source, and how much less that is than on the
    reference's own texts."""
    sentences: list[Finding] = []
    for source in dict.fromkeys(row["source"] for row in result["rows"]):
        rows = {method: row(result, source, method) for method in METHODS}
        listed = [
            ("risen", {"method": [(method, {})], "more": format_mean(r["more"]), "cost": _cost(r)})
            for method, r in rows.items()
        ]
        sentences.append(("source", {"source": [(source, {})], "listed": listed}))
        if "lost" in rows["dpo"]:
            suffers: dict[str, list[Finding]] = {
                name: [(_suffers(rows[name]["lost"]), {})] for name in ("dpo", "ppo")
            }
            sentences.append(("suffers", suffers))
    return sentences


def _cost(row: dict[str, Any]) -> list[Finding]:
    return [("cost", {"lost": format_mean(row["lost"])})] if "lost" in row else []


def _suffers(lost: Mean) -> str:
    """The template key for lost reward that is clearly positive, clearly negative, or neither."""
    return {1: "loses", -1: "gains", 0: "neither"}[sign(lost)]


def panels(result: dict[str, Any], words: dict[str, Any]) -> list[Panel]:
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
                **means([row["gain"] for row in rows]),
            }
        )
    return [{"title": words["gains"], "x": "", "y": words["gain"], "curves": curves}]


def report(result: dict[str, Any]) -> list[Block]:
    """A row for each source and method; the first of a source has the reward model's accuracy."""
    head = ["pairs", "method", "gold above the reference", "lost to the shift", "KL", "gain"]
    head += ["covered continents", "others"]
    rows = []
    for source in dict.fromkeys(row["source"] for row in result["rows"]):
        accuracy = row(result, source, "reward")["accuracy"]
        label = f"{NAMES[source]} (reward model right on {format_mean(accuracy)})"
        for method, name in METHODS.items():
            cells = row(result, source, method)
            numbers = ("more", "lost", "kl", "gain", "covered", "others")
            rows.append([label, name, *(format_mean(cells.get(number)) for number in numbers)])
            label = ""
    note = (
        f"β = {BETA:g} throughout. What is lost to the shift is relative to pairs of the "
        "reference's own texts, paired by seed; on such pairs, the reward model's accuracy is "
        "measured, too. KL and gain are against the reference that all began from, on the probe "
        "prompts."
    )
    return [Table(head, rows), note]
