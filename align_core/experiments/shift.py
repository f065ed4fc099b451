"""Preferences about texts that are not the reference's own: who suffers, and what mends it."""

from __future__ import annotations

from itertools import groupby, product
from pathlib import Path
from typing import Any

from align_core.experiments.claims import Verdict, majority, verdict
from align_core.experiments.sentences import Finding
from align_core.experiments.statistics import Mean, difference, format_mean, mean, sign

TITLE = "Preferences about other texts than one's own"
PAPER = "2404.10719, Table 2"
CLAIM = (
    "DPO suffers where the preference data is not from the reference's distribution, PPO much "
    "less; fine-tuning on the preferred answers first, or iterating DPO on the policy's own "
    "samples, labelled by a reward model, mends much of it."
)
SEEDS = 3

BETA = 0.5
COVERED = ("Africa", "Europe", "Oceania")  # three of six continents
# Source of the pairs -> the task, and what it is compared with: pairs of the reference's own.
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
    "lose": "DPO loses by pairs of other texts than the reference's, and PPO loses less.",
    "lose_why": (
        "DPO clearly loses in {dpo} of {shifts} shifts, PPO in {ppo}; PPO clearly loses less than "
        "DPO in {less}."
    ),
    "mends": "{method} mends what DPO loses.",
    "mends_why": (
        "DPO clearly loses in {lost} of the shifts; there this method clearly loses less in "
        "{less}, more in {more}."
    ),
    "risen": "{method} {more} nats{cost}",
    "cost": " ({lost} less than with its own)",
    "source": "On {source}, the gold reward rises by {listed}.",
    "suffers": "There DPO {dpo} by the shift, PPO {ppo}.",
    "loses": "clearly loses",
    "gains": "clearly gains",
    "neither": "neither clearly loses nor gains",
}
# Pairs, batch of a DPO step, PPO rollouts, rounds of iterated DPO.
FULL = {"pairs": 2400, "batch": 16, "rollouts": 20, "rounds": 3}
QUICK = {"pairs": 32, "batch": 16, "rollouts": 1, "rounds": 1}


def stages(quick: bool) -> list[dict[str, dict[str, Any]]]:
    """The pairs of every source and their reward model; then every method on them."""
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
    """The reward model's accuracy, or what the final policy earns against the reference."""
    from align_core.experiments import shift_methods  # torch; the page reads results without it

    setting = shift_methods.Setting(folder / "shared", **settings, beta=BETA, covered=COVERED)
    return shift_methods.METHODS[method](setting)


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds for each source and method, and what the shift costs each method."""

    def key(run: dict[str, Any]) -> tuple[str, str]:
        return run["settings"]["source"], run["settings"]["method"]

    groups = {of: list(runs) for of, runs in groupby(sorted(found, key=key), key)}
    rows = []
    for source, method in product(SOURCES, ("reward", *METHODS)):
        if (source, method) not in groups:
            continue
        runs = groups[source, method]
        row: dict[str, Any] = {"source": source, "method": method}
        for number in runs[0]["found"]:
            row[number] = mean([run["found"][number] for run in runs])
        base = groups.get((BASES.get(source, ""), method))
        if base and method in METHODS:
            pairs = zip(runs, base, strict=True)  # of the same seed
            row["lost"] = mean([own["found"]["more"] - run["found"]["more"] for run, own in pairs])
        rows.append(row)
    return {"seeds": len({run["settings"]["seed"] for run in found}), "rows": rows}


def row(result: dict[str, Any], source: str, method: str) -> dict[str, Any]:
    """One row."""
    return next(r for r in result["rows"] if (r["source"], r["method"]) == (source, method))


def verdicts(result: dict[str, Any]) -> list[Verdict]:
    """On who loses by the shifts, and on what mends it where DPO does."""
    lost = {(one["source"], one["method"]): one["lost"] for one in result["rows"] if "lost" in one}
    shifts = list(dict.fromkeys(source for source, _ in lost))
    if not shifts:
        return []

    def loses(method: str) -> list[int]:
        return [sign(lost[source, method]) for source in shifts]

    def less(method: str, sources: list[str]) -> list[int]:
        """Where a method loses less than DPO."""
        return [sign(difference(lost[one, "dpo"], lost[one, method])) for one in sources]

    dpo, of_ppo = loses("dpo"), less("ppo", shifts)
    counts = {"shifts": len(shifts), "dpo": dpo.count(1), "ppo": loses("ppo").count(1)}
    suffers = min(majority(dpo), majority(of_ppo))
    found = [verdict(suffers, "lose", **counts, less=of_ppo.count(1))]
    to_mend = [source for source, loss in zip(shifts, dpo, strict=True) if loss > 0]
    for method in ("sft-dpo", "iterated"):
        mended = less(method, to_mend)
        counts = {"lost": len(to_mend), "less": mended.count(1), "more": mended.count(-1)}
        found.append(verdict(majority(mended), "mends", method=[(method, {})], **counts))
    return found


def findings(result: dict[str, Any]) -> list[Finding]:
    """What each source gives, and costs against pairs of the reference's own texts."""
    found: list[Finding] = []
    for source in dict.fromkeys(one["source"] for one in result["rows"]):
        rows = {method: row(result, source, method) for method in METHODS}
        listed = [
            (
                "risen",
                {"method": [(method, {})], "more": format_mean(one["more"]), "cost": _cost(one)},
            )
            for method, one in rows.items()
        ]
        found.append(("source", {"source": [(source, {})], "listed": listed}))
        if "lost" in rows["dpo"]:
            suffers = {name: [(_suffers(rows[name]["lost"]), {})] for name in ("dpo", "ppo")}
            found.append(("suffers", suffers))
    return found


def _cost(one: dict[str, Any]) -> list[Finding]:
    return [("cost", {"lost": format_mean(one["lost"])})] if "lost" in one else []


def _suffers(lost: Mean) -> str:
    """What an interval says of a loss."""
    return {1: "loses", -1: "gains", 0: "neither"}[sign(lost)]
