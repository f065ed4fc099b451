"""The runs of the frontier: each method on the same pairs, or on a reward model of these pairs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Literal

from align_core.config.model_size import FULL_SIZE
from align_core.config.run_config import resolve
from align_core.data import formats, preference_files
from align_core.experiments import QUICK_EVALUATION, QUICK_ROLLOUT, TASK
from align_core.runs.files import write_atomically

SEEDS = 3

PAIRS = 4000  # for each seed, the same pairs for the reward model and all methods on pairs
BETAS = (0.1, 0.3, 1.0)
TEMPERATURES = (0.0, 0.25, 0.5, 0.75, 1.0)
TEMPERED = ("ppo", "ppo-gold", "dpo")  # the methods whose win rates over temperature are measured
LAYERS = 3  # of the reference, and of its reward model
BEST_OF, STORED = 128, 256  # the largest n, and the stored texts of each prompt to choose from
REWARD_STEPS = 60  # of REWARD_BATCH pairs, or one epoch if that is longer
REWARD_BATCH = 64

# The comparison of the paper, arXiv 2305.18290, Figure 2. Its constants begin with WIDE: PPO on a
# reward model and DPO, from pairs of raters who always prefer the higher gold reward ("certain"),
# and from pairs of raters who prefer it with probability σ(Δr) ("graded").
RATERS = ("certain", "graded")
WIDE_PAIRS = (1000, 4000, 16_000)
WIDE_BETA = 0.05
WIDE_ROLLOUTS = 40
WIDE_STEPS, WIDE_BATCH = 300, 16  # of DPO; it takes one epoch if that has more steps
WIDE_EVALUATIONS = 10


@dataclass(frozen=True)
class Sweep:
    """A method of `align_core`, or training by likelihood, over the values of one option."""

    method: str
    learns_from: Literal["reward model", "gold", "pairs"]
    option: str
    values: tuple[float, ...]
    steps: int
    every: int  # steps between evaluations
    options: Mapping[str, Any] = field(default_factory=dict)


_ROLLOUTS: dict[str, Any] = {"steps": 25, "every": 5}
_EPOCH: dict[str, Any] = {"steps": 250, "every": 50}
SWEEPS = {
    "ppo": Sweep("ppo", "reward model", "beta", BETAS, **_ROLLOUTS),
    "ppo-gold": Sweep("ppo", "gold", "beta", BETAS, **_ROLLOUTS),
    "rloo": Sweep("rloo", "reward model", "beta", BETAS, **_ROLLOUTS),
    "grpo": Sweep("grpo", "reward model", "beta", BETAS, **_ROLLOUTS),
    "online-dpo": Sweep("online-dpo", "reward model", "beta", BETAS, **_ROLLOUTS),
    "rejection": Sweep("rejection", "reward model", "group_size", (2, 4, 8), **_ROLLOUTS),
    "dpo": Sweep("dpo", "pairs", "beta", BETAS, **_EPOCH),
    "ipo": Sweep("dpo", "pairs", "beta", BETAS, options={"loss": "ipo"}, **_EPOCH),
    "chipo": Sweep("dpo", "pairs", "beta", BETAS, options={"loss": "chipo"}, **_EPOCH),
    "kto": Sweep("kto", "pairs", "beta", BETAS, steps=125, every=25),
    "simpo": Sweep("simpo", "pairs", "scale", (0.5, 2.0, 8.0), options={"margin": 1.0}, **_EPOCH),
    "orpo": Sweep("orpo", "pairs", "odds_weight", (0.1, 0.3, 1.0), **_EPOCH),
    "unlikelihood": Sweep("likelihood", "pairs", "alpha", (0.1, 0.5, 1.0), **_EPOCH),
    "preferred-ft": Sweep("likelihood", "pairs", "alpha", (0.0,), **_EPOCH),
}
FROM_PAIRS = tuple(name for name, sweep in SWEEPS.items() if sweep.learns_from == "pairs")


def stages(quick: bool) -> list[dict[str, dict[str, Any]]]:
    """First the reward models, each with its best-of-n; then the policies, those of the paper's
    comparison last.

    A quick run only shows that everything works.
    """
    seeds = range(1 if quick else SEEDS)
    pairs = 64 if quick else PAIRS
    wide = (
        [("certain", 64)] if quick else [(raters, size) for raters in RATERS for size in WIDE_PAIRS]
    )
    reward_models = {
        f"reward-{raters}-{size}-{seed}": {
            "method": "best-of-n",
            "raters": raters,
            "pairs": size,
            "seed": seed,
            "steps": 1 if quick else max(REWARD_STEPS, size // REWARD_BATCH),
            "stored": 4 if quick else STORED,
            "best_of": 4 if quick else BEST_OF,
        }
        for raters, size in dict.fromkeys([("graded", pairs), *wide])
        for seed in seeds
    }
    policies = {
        f"{name}-{value:g}-{seed}": {
            "method": name,
            "raters": "graded",
            "pairs": pairs,
            "seed": seed,
            sweep.option: value,
            "steps": 1 if quick else sweep.steps,
            "every": 1 if quick else sweep.every,
            "temperatures": _temperatures(quick) if name in TEMPERED else [],
            **(QUICK_ROLLOUT if quick and sweep.learns_from != "pairs" else {}),
        }
        for name, sweep in SWEEPS.items()
        for value in sweep.values[: 1 if quick else None]
        for seed in seeds
    }
    references: dict[str, dict[str, Any]] = {
        f"reference-{seed}": {
            "method": "reference",
            "seed": seed,
            "temperatures": _temperatures(quick),
        }
        for seed in seeds
    }
    evaluated = policies | references | _wide(wide, seeds, quick)
    if quick:
        for settings in evaluated.values():
            settings.update(QUICK_EVALUATION)
    return [reward_models, evaluated]


def _temperatures(quick: bool) -> list[float]:
    return list(TEMPERATURES[:: 4 if quick else 1])


def _wide(sets: list[tuple[str, int]], seeds: range, quick: bool) -> dict[str, dict[str, Any]]:
    """The paper's comparison: PPO on a reward model of each set of pairs, and DPO on the pairs."""
    runs = {}
    for method, (raters, size), seed in product(("ppo", "dpo"), sets, seeds):
        steps = WIDE_ROLLOUTS if method == "ppo" else max(WIDE_STEPS, size // WIDE_BATCH)
        steps = 1 if quick else steps
        runs[f"wide-{method}-{raters}-{size}-{seed}"] = {
            "method": method,
            "wide": True,
            "raters": raters,
            "pairs": size,
            "seed": seed,
            "beta": WIDE_BETA,
            "steps": steps,
            "every": max(1, steps // WIDE_EVALUATIONS),
            **(QUICK_ROLLOUT if quick and method == "ppo" else {}),
        }
    return runs


def measure(folder: Path, method: str, wide: bool = False, **settings: Any) -> dict[str, Any]:
    """The curve of a run, and the win rate of its final policy at each of its temperatures.

    `wide` changes nothing; it marks the runs of the paper's comparison.
    """
    if method == "best-of-n":
        return _reward_model(folder, **settings)
    if method == "reference":
        return _reference(**settings)
    return _policy(folder, SWEEPS[method], **settings)


def _reward_model(
    folder: Path, raters: str, pairs: int, seed: int, **settings: int
) -> dict[str, Any]:
    from align_core.experiments import trained_models  # imports torch, which the page does not

    path, rated = _model(folder, raters, pairs, seed), rated_pairs(raters, pairs, seed)
    return trained_models.train_reward_model(path, rated, LAYERS, seed, **settings)


def _reference(seed: int, temperatures: list[float], **evaluation: int) -> dict[str, Any]:
    from align_core.experiments import trained_models
    from align_core.models.loading import load_policy

    policy = load_policy(trained_models.REFERENCE)
    return {"win_rates": trained_models.win_rates(policy, temperatures, seed, **evaluation)}


def _policy(
    folder: Path,
    sweep: Sweep,
    raters: str,
    pairs: int,
    seed: int,
    steps: int,
    every: int,
    temperatures: Sequence[float] = (),
    eval_prompts: int = FULL_SIZE.prompts,
    eval_samples: int = FULL_SIZE.samples,
    **options: Any,
) -> dict[str, Any]:
    from align_core.experiments import trained_models
    from align_core.models.loading import load_policy

    evaluation = {"eval_prompts": eval_prompts, "eval_samples": eval_samples}
    if sweep.method == "likelihood":
        rated = rated_pairs(raters, pairs, seed)
        _, curve = trained_models.train_on_likelihood(
            TASK, rated, **options, steps=steps, every=every, seed=seed, **evaluation
        )
        return {"curve": curve}
    source: dict[str, Any] = {"reward_model": "gold"}
    if sweep.learns_from == "reward model":
        source = {"reward_model": str(_model(folder, raters, pairs, seed))}
    if sweep.learns_from == "pairs":
        source = {"preference_pairs": pairs}
        if raters == "certain":
            source = {"preferences": str(_file(folder, raters, pairs, seed))}
    common = {"steps": steps, "eval_every": every, "seed": seed, **evaluation}
    config = resolve(sweep.method, TASK, **sweep.options, **options, **source, **common)
    with trained_models.trained(config) as run:
        measured: dict[str, Any] = {"curve": trained_models.curve(run.events()[0])}
        if temperatures:
            policy = load_policy(str(run.model_path))
            measured["win_rates"] = trained_models.win_rates(
                policy, temperatures, seed, **evaluation
            )
        return measured


def _model(folder: Path, raters: str, pairs: int, seed: int) -> Path:
    return folder / "models" / f"reward-{raters}-{pairs}-{seed}"


def _file(folder: Path, raters: str, pairs: int, seed: int) -> Path:
    """A new file of the pairs as these raters prefer them."""
    path = folder / "pairs" / f"{raters}-{pairs}-{seed}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = (*formats.PAIR, *preference_files.ENDED)
    rows = rated_pairs(raters, pairs, seed)
    lines = [json.dumps({name: row[name] for name in columns}) + "\n" for row in rows]
    write_atomically(path, "".join(lines))
    return path


def rated_pairs(raters: str, count: int, seed: int) -> list[dict[str, Any]]:
    """`count` of the stored pairs, drawn with `seed`, with the labels of one of RATERS."""
    pairs = preference_files.stored_pairs(TASK, count, seed)
    if raters == "graded":
        return pairs
    return [
        _swapped(pair) if pair["rejected_reward"] > pair["chosen_reward"] else pair
        for pair in pairs
    ]


def _swapped(pair: dict[str, Any]) -> dict[str, Any]:
    other = {"chosen": "rejected", "rejected": "chosen"}

    def name(column: str) -> str:
        return "_".join(other.get(part, part) for part in column.split("_"))

    return {name(column): value for column, value in pair.items()}
