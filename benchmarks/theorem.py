"""J(π*) − J(π) = β KL(π ‖ π*) on trained policies: both sides measured, and how far they are apart.

    python -m benchmarks.theorem              train and measure what is missing, write the page
    python -m benchmarks.theorem RUN …        measure these run directories, too
    python -m benchmarks.theorem --render     write docs/benchmarks.md from the stored results

The equation holds for every policy, so the runs are short and of methods that seek other optima,
too. Both sides (`optimum_gap`, `optimum_kl` of docs/metrics.md) are measured on held-out prompts,
and have no text and no stored sample in common.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from dataclasses import replace
from math import ceil, hypot
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from align_core.config.task_card import known_card
from align_core.evaluation import prepared
from align_core.optimum import ReferenceSamples
from align_core.runs.directory import RunDirectory
from align_core.tasks import get_task
from benchmarks.common import DOCS, table, write_section

if TYPE_CHECKING:
    from align_core.evaluation.evaluator import Evaluator

RESULTS = Path(__file__).with_name("theorem.json")
PAGE = DOCS / "benchmarks.md"
TASKS = ("reviews", "capitals")
# Method -> its options; SFT starts from the task's reference, whose optimum is known.
METHODS: dict[str, dict[str, Any]] = {
    "ppo": {"steps": 12},
    "rloo": {"steps": 12},
    "grpo": {"steps": 12},
    "dpo": {"steps": 60},
    "kto": {"steps": 40},
    "sft": {"steps": 20},
}
SEEDS = range(5)
BETAS = (0.3, 0.5, 0.7, 1.0, 2.0)  # one for each seed
PROMPTS = 128  # held-out
SAMPLES = 64  # texts per prompt, for each side
WIDEST = 0.05  # nats of reward: the median half-width that is asked for


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="measured as well")
    parser.add_argument("--render", action="store_true", help="only write the page")
    parser.add_argument(
        "--samples", type=int, default=SAMPLES, help="texts per prompt for each side"
    )
    parser.add_argument("--most", type=int, help="stop after so many new measurements")
    args = parser.parse_args()
    if not args.render:
        measure(args.runs, args.samples, args.most)
    text = render(json.loads(RESULTS.read_text()))
    write_section(PAGE, "theorem", text)
    print(text)


def measure(directories: list[Path], samples: int, most: int | None) -> None:
    """Measure the runs that are missing in the results, which are stored after each one."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    short = [(method, task, seed) for seed in SEEDS for task in TASKS for method in METHODS]
    missing = [
        (noise, one)
        for noise, one in enumerate([*short, *directories])
        if _name(one) not in results
    ]
    for noise, one in missing[:most]:
        with tempfile.TemporaryDirectory() as folder:
            path = one if isinstance(one, Path) else _trained(*one, Path(folder) / "run")
            results[_name(one)] = _measured(path, samples, noise)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        print(_name(one), results[_name(one)], flush=True)


def _name(one: Path | tuple[str, str, int]) -> str:
    return one.name if isinstance(one, Path) else " ".join(map(str, one))


def _trained(method: str, task: str, seed: int, path: Path) -> Path:
    """A short run, measured only before its first step and after its last one."""
    from align_core import train

    options = {**METHODS[method], "eval_every": METHODS[method]["steps"]}
    start = {"model": known_card(task).reference} if method == "sft" else {"beta": BETAS[seed]}
    train(method, task=task, seed=seed, run_dir=str(path), **options, **start)
    return path


def _measured(path: Path, samples: int, noise: int) -> dict[str, Any]:
    """Both sides for a run at its β, or at the β of its seed if it has none.

    The `noise`, which no other run has, seeds the texts and how the stored samples are divided
    between the sides, so that the sides differ independently from run to run.
    """
    from align_core.evaluation.optimum_distance import optimum_distance
    from align_core.models.loading import load_policy

    config = RunDirectory.open(path).config
    beta = config.beta or BETAS[config.seed % len(BETAS)]
    facts = {"method": config.method, "task": config.task, "steps": config.steps, "beta": beta}
    prompts, stored, evaluators = _against_reference(config.task, samples, noise)
    policy = load_policy(str(path))
    evaluations = [evaluate(policy) for evaluate in evaluators]
    facts |= {"texts": samples * len(prompts), "kl": evaluations[0].kl.mean().item()}
    return facts | optimum_distance(prompts, stored, beta, *evaluations)


def _against_reference(
    task: str, samples: int, noise: int
) -> tuple[list[str], ReferenceSamples, list[Evaluator]]:
    """Held-out prompts, their stored samples, and the evaluators of both sides."""
    from align_core.evaluation.evaluator import Evaluator
    from align_core.evaluation.optimum_distance import SECOND_SEED_OFFSET
    from align_core.models.loading import load_policy, load_tokenizer
    from align_core.models.rewards import for_samples
    from align_core.models.sampling import end_ids

    the_task, reference = get_task(task), known_card(task).reference
    stored = _shuffled(prepared.stored_samples(task, reference, "heldout"), noise)
    model, tokenizer = load_policy(reference), load_tokenizer(reference)
    prompts = the_task.prompts("heldout")[:PROMPTS]
    settings = {"stored": stored, "max_new_tokens": the_task.max_new_tokens, "samples": samples}
    gold = for_samples(the_task.reward, end_ids(model, tokenizer))
    return (
        prompts,
        stored,
        [
            Evaluator(prompts, tokenizer, model, gold=gold, proxy=None, seed=seed, **settings)
            for seed in (noise, noise + SECOND_SEED_OFFSET)
        ],
    )


def _shuffled(stored: ReferenceSamples, seed: int) -> ReferenceSamples:
    """The samples of each prompt in another order: each side has those at every second place."""
    order = np.random.default_rng(seed).permutation(stored.rewards.shape[1])
    names = ("tokens", "lengths", "ended", "rewards")
    return replace(stored, **{name: getattr(stored, name)[:, order] for name in names})


def apart(result: dict[str, Any]) -> float:
    """J(π*) − J(π) less β KL(π ‖ π*), in nats of reward."""
    return result["optimum_gap"] - result["beta"] * result["optimum_kl"]


def half_width(result: dict[str, Any]) -> float:
    """Half the width of the 95% interval of `apart`."""
    return hypot(result["optimum_gap_ci95"], result["beta"] * result["optimum_kl_ci95"])


def within(result: dict[str, Any]) -> bool:
    """Whether the interval of `apart` contains 0."""
    return abs(apart(result)) <= half_width(result)


def render(results: dict[str, dict[str, Any]]) -> str:
    """A row for each method, and one for all."""
    known = [result for result in results.values() if result["optimum_gap"] is not None]
    groups = {method: [r for r in known if r["method"] == method] for method in METHODS}
    rows = [_row(method, runs) for method, runs in groups.items() if runs]
    width = statistics.median(map(half_width, known))
    texts = statistics.median(result["texts"] for result in known)
    betas = [result["beta"] for result in known]
    reached = (
        f"at most {WIDEST:g}, as asked for"
        if width <= WIDEST
        else f"above the {WIDEST:g} asked for, for which about "
        f"{round(ceil(texts * (width / WIDEST) ** 2), -2):,} texts a side would be needed"
    )
    intro = [
        "Written by `python -m benchmarks.theorem` from `benchmarks/theorem.json`. Runs at",
        f"β from {min(betas):g} to {max(betas):g}; {texts:,.0f} texts a side on held-out prompts.",
        "Each side is a mean (lowest–highest) over the runs, in nats of reward. Apart: the",
        "difference of the sides in standard errors, mean and standard deviation; within: the",
        "runs whose 95% interval of the difference contains 0. The median half-width of these",
        f"intervals is {width:.3f} nats, {reached}.",
        f"{len(results) - len(known)} of {len(results)} runs have too few effective samples.\n\n",
    ]
    head = ["method", "runs", "J(π\\*) − J(π)", "β KL(π ‖ π\\*)", "apart", "within"]
    return "\n".join(intro) + table(head, [*rows, _row("**all**", known)])


def _row(name: str, runs: list[dict[str, Any]]) -> list[str]:
    errors = [1.96 * apart(run) / half_width(run) for run in runs]
    sides = [
        [run["optimum_gap"] for run in runs],
        [run["beta"] * run["optimum_kl"] for run in runs],
    ]
    spread = statistics.stdev(errors) if len(errors) > 1 else 0.0
    return [
        name,
        str(len(runs)),
        *(f"{statistics.mean(s):.3f} ({min(s):.2f}–{max(s):.2f})" for s in sides),
        f"{statistics.mean(errors):+.2f} ± {spread:.2f}",
        f"{sum(map(within, runs))} of {len(runs)}",
    ]


if __name__ == "__main__":
    main()
