"""The effects of PPO's switches and β on `reviews`: gold reward on held-out prompts.

    python -m benchmarks.ppo_switches            run all, write results and docs/ppo.md
    python -m benchmarks.ppo_switches --render   write docs/ppo.md from the stored results

The ladder is from arXiv 2404.10719 (Table 3): each variant adds one change to the previous one. The
other variants are the built-in run of `reviews` with one change, which is their name. All have the
same number of episodes. Nothing is timed, so each core executes a run.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from align_core.config import run_config
from align_core.config.methods import PPO_EPOCHS
from align_core.trainers.common import WARMUP
from align_core.trainers.ppo.build import VALUE_CLIP
from benchmarks.common import DOCS, child, spread, table, write_section

RESULTS = Path(__file__).with_name("ppo_switches.json")
PAGE = DOCS / "ppo.md"

SEEDS = (0, 1, 2)
BUILT_IN = run_config.resolve("ppo", "reviews", reward_model="gold")
EPISODES = BUILT_IN.steps * BUILT_IN.batch_size
DEFAULT: dict[str, Any] = {
    "num_ppo_epochs": PPO_EPOCHS,
    "cliprange_value": VALUE_CLIP,
    "kl_coef": BUILT_IN.beta,
    "learning_rate": BUILT_IN.learning_rate,
    "per_device_train_batch_size": BUILT_IN.batch_size,
    "num_mini_batches": 2,
    "lam": 1.0,
    "value": "reward model",
}
SMALL = {"per_device_train_batch_size": BUILT_IN.batch_size // 4}
EMA = {"sync_ref_model": True}
HEAD = {"value": "head", "lam": 0.95}

NAME = f"the built-in run (β = {BUILT_IN.beta:g})"
LADDER = {
    "rollouts of 32, advantages as they are": {**SMALL, "whiten_advantages": False},
    "+ advantages whitened": SMALL,
    f"+ rollouts of 128: {NAME}": {},
    "+ EMA of the reference, 5% a rollout": EMA,
}
SWITCHES = {
    "values clipped at 0.2 nats, not 5": {"cliprange_value": 0.2},
    "values not clipped": {"cliprange_value": 1e9},
    "value model from the SFT model": {"value": "SFT model"},
    "value head on the trunk, λ = 0.95": HEAD,
    "1 nat off where the end is missing": {"missing_eos_penalty": 1.0},
    "β adaptive, to a KL of 0.5": {"kl_target": 0.5, "kl_horizon": 1000},
    "k3 in the reward, not k1": {"kl_estimator": "k3"},
    "LoRA, r = 16, value head, λ = 0.95": {**HEAD, "lora_r": 16},
}
SWEEP = {f"β = {beta:g}": {"kl_coef": beta} for beta in (0.1, 0.35, 1.4, 2.8)}
VARIANTS = {**LADDER, **SWITCHES, **SWEEP}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--render", action="store_true", help="only write the page")
    parser.add_argument("--lanes", type=int, default=os.cpu_count(), help="runs at a time")
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.variant:
        print(json.dumps(one_run(VARIANTS[args.variant], args.seed)))
        return
    if not args.render:
        measure(args.lanes)
    text = render(json.loads(RESULTS.read_text()))
    write_section(PAGE, "switches", text)
    print(text)


def measure(lanes: int) -> None:
    """Execute the runs that are missing in the results, which are stored after each run."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    missing = [
        (seed, name)
        for seed in SEEDS
        for name in VARIANTS
        if str(seed) not in results.get(name, {})
    ]

    def run(job: tuple[int, str]) -> tuple[int, str, dict]:
        seed, name = job
        options = ["--variant", name, "--seed", str(seed)]
        return seed, name, child("benchmarks.ppo_switches", *options, OMP_NUM_THREADS="1")

    with ThreadPoolExecutor(lanes) as pool:
        for seed, name, metrics in pool.map(run, missing):
            results.setdefault(name, {})[str(seed)] = metrics
            RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
            print(seed, name, metrics, flush=True)


def one_run(changes: dict[str, Any], seed: int) -> dict[str, float | None]:
    """Train in this process, and evaluate the policy against the embedded reference."""
    from functools import partial

    import torch
    from datasets import Dataset

    from align_core.config.environment import set_library_environment
    from align_core.inference import queries
    from align_core.models.loading import (
        load_policy,
        load_reward_model,
        load_tokenizer,
        load_trainable,
        new_reward_model,
        save_model,
    )
    from align_core.models.value_model import value_model_of
    from align_core.tasks import load_task
    from align_core.trainers.ppo import build as ppo

    set_library_environment()
    settings = {**DEFAULT, **changes}
    value = settings.pop("value")
    rollouts = EPISODES // settings["per_device_train_batch_size"]
    torch.manual_seed(seed)
    task, tokenizer = load_task("reviews"), load_tokenizer("sft-reviews")
    values = {
        "reward model": lambda: value_model_of(load_reward_model("reward-reviews")),
        "SFT model": lambda: new_reward_model("sft-reviews", seed),
        "head": lambda: None,
    }
    reference = None if settings.get("lora_r") else load_policy("sft-reviews")
    with tempfile.TemporaryDirectory() as folder:
        trainer = ppo.make_trainer(
            load_trainable("sft-reviews"),
            reference,
            tokenizer,
            Dataset.from_dict({"prompt": task.prompts("train")}),
            reward=partial(task.reward, eos_token_id=tokenizer.eos_token_id),
            value_model=values[value](),
            output_dir=folder,
            seed=seed,
            response_length=task.max_new_tokens,
            total_episodes=EPISODES,
            warmup_steps=rollouts // WARMUP,
            **settings,
        )
        trainer.train()
        model = Path(folder) / "model"
        save_model(trainer.policy, tokenizer, model)
        metrics = queries.evaluate(str(model), "reviews", "sft-reviews", prompts=128, seed=0)
    names = ("gold_reward", "gold_reward_reference", "kl", "gain", "frontier_efficiency")
    return {name: metrics[name] for name in names}


def render(results: dict) -> str:
    """Three tables: the ladder, single switches, the sweep of β."""
    reference = next(iter(results[next(iter(LADDER))].values()))["gold_reward_reference"]
    seeds = len(results[next(iter(LADDER))])
    text = "\n".join(
        [
            "Written by `python -m benchmarks.ppo_switches` from `benchmarks/ppo_switches.json`:",
            f"the gold reward of `reviews`, {EPISODES:,} episodes, medians of {seeds} seeds on",
            "held-out prompts, lowest to highest in brackets. The reference's gold reward there is",
            f"{reference:.2f}. Efficiency is left out where KL is above 3 (`docs/metrics.md`).\n\n",
        ]
    )
    for title, names in (
        ("the ladder of arXiv 2404.10719, Table 3", LADDER),
        ("the built-in run, but", SWITCHES),
        ("the built-in run, but", SWEEP),
    ):
        rows = []
        for name in names:
            runs = list(results[name].values())
            cells = [spread([run[key] for run in runs], 2) for key in _COLUMNS.values()]
            rows.append([name, *cells])
        text += table([title, *_COLUMNS], rows) + "\n"
    return text


_COLUMNS = {
    "gold reward": "gold_reward",
    "KL": "kl",
    "gain": "gain",
    "efficiency": "frontier_efficiency",
}


if __name__ == "__main__":
    main()
