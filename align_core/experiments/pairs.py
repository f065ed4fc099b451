"""How near DPO and the exact optimum of a reward model come to the optimum, by number of pairs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from align_core.config.model_index import reference_samples
from align_core.config.run_config import resolve
from align_core.experiments import TASK
from align_core.experiments.claims import Verdict, majority, verdict
from align_core.experiments.presentation import Block, Panel, Row, Table, joined, labelled, means
from align_core.experiments.sentences import Finding
from align_core.experiments.statistics import format_mean, mean, sign
from align_core.optimum import FloatArray, ReferenceSamples, optimum, weights

TITLE = "How many pairs each way needs"
PAPER = "2505.19770"
CLAIM = (
    "With few pairs, a reward model and its optimum lose less than DPO, which learns reward and "
    "policy in one: in a construction whose reward is sparse, two stages need significantly fewer "
    "samples. With many pairs and exact optimisation, models that are large enough end at the same "
    "policy."
)
SEEDS = 3

BETA = 0.5
SIZES = (250, 1000, 4000, 16_000)
SEEN = 1000  # a run sees at least this many pairs, each several times if it has fewer
# With more pairs the batches grow, not the number of steps: in 1,000 steps at its learning rate DPO
# drifts to a KL of 4.1.
MAX_STEPS = 250
STORED = 128  # stored texts of a prompt, to which the reward model gives weights
TOLERANCE = 0.1  # the two ways meet if their shares differ by less than this
METHODS = ("reward", "dpo")
SETUP = (
    Row("evidence", "theorems", "trained models"),
    Row("reward", "implicitly sparse, in a construction", "a formula on the text"),
    Row(
        "reward model's policy", "optimised exactly", f"exact, on {STORED} stored texts per prompt"
    ),
    Row(
        "DPO",
        "its loss minimised exactly",
        f"trained, one pass; at least {SEEN:,} pairs seen, in at most {MAX_STEPS} steps",
    ),
    Row("pairs", "any number", joined(SIZES)),
)
SENTENCES = {
    "join": ", ",
    "fewer": "With the same pairs, a reward model's optimum is nearer to the optimum than DPO.",
    "fewer_why": (
        "Of {sizes} numbers of pairs, it is clearly nearer for {reward} and DPO for {dpo}; with "
        "{least} pairs the shares of what the optimum gains are {reward_least} and {dpo_least}."
    ),
    "meet": "With many pairs the two meet.",
    "meet_why": (
        "With {most} pairs the shares are {reward_most} and {dpo_most}, {most_more} apart; with "
        "{least} pairs they are {least_more} apart. They meet if they are clearly less than "
        "{tolerance} apart."
    ),
    "size": (
        "{pairs} pairs: the reward model (right on {accuracy} of held-out pairs) and its exact "
        "optimum reach {reward} of what the optimum gains, at a KL of {reward_kl}; DPO {dpo}, at "
        "{dpo_kl}."
    ),
    "steps": (
        "DPO takes {few} steps with {least} pairs and {many} with {most}: with few pairs, part of "
        "its distance from the optimum may be for lack of training, not of data."
    ),
    "optimum": "The optimum at β = {beta} gains {gain} nats of reward − β·KL, at a KL of {kl}.",
}


def stages(quick: bool) -> list[dict[str, dict[str, Any]]]:
    """One run for each method, number of pairs and seed."""
    sizes, seeds = ((64,), 1) if quick else (SIZES, SEEDS)
    seen, stored = (64, 4) if quick else (SEEN, STORED)
    return [
        {
            f"{method}-{pairs}-{seed}": {
                "method": method,
                "pairs": pairs,
                "seed": seed,
                "seen": max(seen, pairs),
                "stored": stored,
            }
            for pairs in sizes
            for method in METHODS
            for seed in range(seeds)
        }
    ]


def measure(
    folder: Path, method: str, pairs: int, seed: int, seen: int, stored: int
) -> dict[str, float | None]:
    """The gold reward of a policy minus that of the reference, its KL, and the accuracy of a reward
    model on held-out pairs, None for DPO."""
    from align_core.experiments import trained_models  # imports torch, which the page does not
    from align_core.models.loading import load_reward_model, load_tokenizer
    from align_core.models.rewards import ProxyReward
    from align_core.runs.events import series

    settings = {"beta": BETA} if method == "dpo" else {}
    count = steps(method, seen)
    config = resolve(
        method,
        TASK,
        preference_pairs=pairs,
        batch_size=batch_size(method, seen),
        steps=count,
        eval_every=count,
        seed=seed,
        **settings,
    )
    with trained_models.trained(config) as run:
        events = run.events()[0]
        if method == "dpo":
            end = trained_models.curve(events)[-1]
            return {"gain": end["gold"] - end["reference"], "kl": end["kl"], "accuracy": None}
        model, tokenizer = load_reward_model(str(run.path)), load_tokenizer(str(run.path))
        proxy = ProxyReward(model, tokenizer)
        scores, gold = trained_models.scores_of_stored(proxy, stored)
    gain, kl = reweighted(scores, gold)
    return {"gain": gain, "kl": kl, "accuracy": series(events)["eval/accuracy"][-1][1]}


def batch_size(method: str, seen: int) -> int:
    """The number of pairs in a step, so that a method sees `seen` pairs in at most MAX_STEPS."""
    return max(resolve(method, TASK).batch_size, math.ceil(seen / MAX_STEPS))


def steps(method: str, seen: int) -> int:
    """The number of steps in which a method sees this many pairs."""
    return math.ceil(seen / batch_size(method, seen))


def reweighted(scores: FloatArray, gold: FloatArray) -> tuple[float, float]:
    """The gold reward of π_ref·exp(r̂/β)/Z minus that of the reference, and its KL, over samples
    [P, N] with these scores r̂; means over the prompts, in nats."""
    gain = (weights(scores, BETA) * gold).sum(1).mean() - gold.mean()
    return float(gain), optimum(scores, BETA).kl


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """For each number of pairs, the mean share of the optimum's gain of J = gold − β·KL."""
    gold = ReferenceSamples.load(reference_samples(TASK, "probe")).rewards
    best = optimum(gold, BETA)
    limit = best.reward - float(gold.mean()) - BETA * best.kl
    rows = []
    for pairs in sorted({run["settings"]["pairs"] for run in runs}):
        measured = {
            method: [
                run["measured"]
                for run in runs
                if (run["settings"]["pairs"], run["settings"]["method"]) == (pairs, method)
            ]
            for method in METHODS
        }
        shares = {
            method: [(run["gain"] - BETA * run["kl"]) / limit for run in by_seed]
            for method, by_seed in measured.items()
        }
        rows.append(
            {
                "pairs": pairs,
                **{method: mean(by_seed) for method, by_seed in shares.items()},
                **{
                    f"{method}_kl": mean([run["kl"] for run in measured[method]])
                    for method in METHODS
                },
                **{
                    f"{method}_gain": mean([run["gain"] for run in measured[method]])
                    for method in METHODS
                },
                "accuracy": mean([run["accuracy"] for run in measured["reward"]]),
                "more": mean([a - b for a, b in zip(*shares.values(), strict=True)]),
            }
        )
    seeds = len({run["settings"]["seed"] for run in runs})
    return {"seeds": seeds, "limit": limit, "limit_kl": best.kl, "rows": rows}


def comparisons(result: dict[str, Any]) -> dict[str, list[int]]:
    """The signs of all comparisons behind the verdicts: of the reward model's share minus DPO's for
    each number of pairs; and whether, with the most pairs, this difference is above TOLERANCE or
    below −TOLERANCE."""
    rows, last = result["rows"], result["rows"][-1]["more"]
    apart = [sign(last, TOLERANCE), -sign(last, -TOLERANCE)]
    return {"fewer": [sign(row["more"]) for row in rows], "apart": apart}


def verdicts(result: dict[str, Any]) -> list[Verdict]:
    """Whether a reward model's optimum is nearer than DPO with the same pairs, and whether the two
    meet with many pairs."""
    (signs, apart), rows = comparisons(result).values(), result["rows"]
    values = {"least": f"{rows[0]['pairs']:,}", "most": f"{rows[-1]['pairs']:,}"}
    for end, row in (("least", rows[0]), ("most", rows[-1])):
        values |= {f"{method}_{end}": format_mean(row[method]) for method in METHODS}
        values[f"{end}_more"] = format_mean(row["more"])
    counts = {"sizes": len(signs), "reward": signs.count(1), "dpo": signs.count(-1)}
    return [
        verdict(majority(signs), "fewer", **counts, **values),
        verdict(-max(apart), "meet", tolerance=f"{TOLERANCE:g}", **values),
    ]


def findings(result: dict[str, Any]) -> list[Finding]:
    """The shares with each number of pairs."""
    limit = {"gain": f"{result['limit']:.2f}", "kl": f"{result['limit_kl']:.2f}"}
    rows: list[Finding] = [("optimum", {"beta": f"{BETA:g}", **limit})]
    names = ("accuracy", "reward", "reward_kl", "dpo", "dpo_kl")
    for row in result["rows"]:
        texts = {name: format_mean(row[name]) for name in names}
        rows.append(("size", {"pairs": f"{row['pairs']:,}", **texts}))
    least, most = (result["rows"][end]["pairs"] for end in (0, -1))
    few, many = (str(steps("dpo", max(SEEN, pairs))) for pairs in (least, most))
    ends = {"few": few, "many": many, "least": f"{least:,}", "most": f"{most:,}"}
    return [*rows, ("steps", ends)]


def panels(result: dict[str, Any], words: dict[str, Any]) -> list[Panel]:
    """The share of what the optimum gains, and the KL, over the number of pairs."""
    labels, rows = words["pairs"], result["rows"]
    sizes = [row["pairs"] for row in rows]

    def curves(number: str) -> list[dict[str, Any]]:
        return [
            {
                "name": labels[method],
                "colour": colour,
                "mode": "lines+markers",
                "x": sizes,
                **means([row[f"{method}{number}"] for row in rows]),
            }
            for method, colour in (("reward", "ppo"), ("dpo", "dpo"))
        ]

    limit = {"name": words["optimum"], "colour": "ink", "mode": "lines", "dash": "dot", "x": sizes}
    axis = {"x": labels["count"], "ticks": sizes}
    figure = (
        {"title": labels["shares"], "y": labels["share"], **axis}
        | {"curves": [{**limit, "y": [1.0] * len(sizes)}, *curves("")]},
        {"title": labels["kls"], "y": words["kl"], **axis}
        | {"curves": [{**limit, "y": [result["limit_kl"]] * len(sizes)}, *curves("_kl")]},
    )
    return [labelled(panel) for panel in figure]


def report(result: dict[str, Any]) -> list[Block]:
    """A row for each number of pairs."""
    head = ["pairs", "accuracy", "reward model: share", "gold", "KL", "DPO: share", "gold", "KL"]
    columns = ["accuracy", "reward", "reward_gain", "reward_kl", "dpo", "dpo_gain", "dpo_kl"]
    rows = [
        [f"{row['pairs']:,}", *(format_mean(row[name]) for name in columns)]
        for row in result["rows"]
    ]
    note = (
        "The share of what the optimum gains in J = gold − β·KL over the reference; gold is above "
        f"the reference's. DPO's policy is sampled, 4 texts per prompt; the optimum of the reward "
        f"model is exact on {STORED} stored texts per prompt."
    )
    return [Table(head, rows), note]
