"""PPO here against TRL 1.12, the last release with one: episodes a second, and where time goes.

    python -m benchmarks.ppo_throughput            install TRL 1.12, run both, write and print
    python -m benchmarks.ppo_throughput --render   write docs/ppo_throughput.md from the results

Same embedded policy, reward model, prompts and settings, the same number of optimiser steps, each
run in a process of its own, in turn. TRL 1.12 goes into a folder beside the project, without its
dependencies: it runs on the transformers that is here.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).with_name("ppo_throughput.json")
PAGE = ROOT / "docs" / "ppo_throughput.md"
PEER = ROOT / ".peers" / "trl-1.12.0"
SIDES = {
    "TRL 1.12": "value model of its own",
    "here, value model": "value model of its own",
    "here, value head": "head on the policy's trunk",
}
PAIRS = 5
EPISODES, TOKENS, EPOCHS, MINIBATCHES = 128, 28, 2, 2
SETTINGS: dict[str, Any] = {
    "per_device_train_batch_size": EPISODES,
    "gradient_accumulation_steps": 1,
    "num_ppo_epochs": EPOCHS,
    "num_mini_batches": MINIBATCHES,
    "response_length": TOKENS,
    "stop_token": "eos",
    "temperature": 1.0,
    "kl_coef": 0.7,
    "cliprange_value": 5.0,
    "lam": 1.0,
    "learning_rate": 4e-4,
    "missing_eos_penalty": None,
    "bf16": False,
    "report_to": "none",
    "disable_tqdm": True,
    "save_strategy": "no",
    "logging_steps": 1,
    "use_cpu": True,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--render", action="store_true", help="only write the page")
    parser.add_argument("--rollouts", type=int, default=20, help="of each run (default: 20)")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        print(json.dumps(one_run(given.side, given.rollouts, given.seed, given.out)))
        return
    if not given.render:
        install_peer()
        RESULTS.write_text(json.dumps(measure(given.rollouts), indent=1) + "\n")
    page = render(json.loads(RESULTS.read_text()))
    PAGE.write_text(page)
    print(page)


def install_peer() -> None:
    if not (PEER / "trl").is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*command, "--target", str(PEER), "trl==1.12.0"], check=True)


def measure(rollouts: int) -> dict:
    runs: dict[str, list[dict]] = {side: [] for side in SIDES}
    for seed in range(PAIRS):
        for side in SIDES:
            with tempfile.TemporaryDirectory() as folder:
                module = [sys.executable, "-m", "benchmarks.ppo_throughput", "--side", side]
                size = ["--rollouts", str(rollouts), "--seed", str(seed), "--out", folder]
                run = json.loads(_output([*module, *size]).splitlines()[-1])
                evaluate = ["evaluate", folder, "--task", "reviews", "--json"]
                run |= json.loads(_output([sys.executable, "-m", "align_core", *evaluate]))
            kept = ("seconds", "steps", "split", "gold_reward", "kl", "frontier_efficiency")
            runs[side].append({name: run[name] for name in kept})
            print(side, seed, runs[side][-1], flush=True)
    assert len({run["steps"] for side in runs.values() for run in side}) == 1, "unequal steps"
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    return {"machine": machine, "rollouts": rollouts, "runs": runs}


def _output(command: list[str]) -> str:
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def one_run(side: str, rollouts: int, seed: int, out: str) -> dict:
    """Train in this process; seconds, optimiser steps, the split; the policy is kept in `out`."""
    if side == "TRL 1.12":
        sys.path.insert(0, str(PEER))
    import torch
    from datasets import Dataset

    from align_core import catalogue
    from align_core.models import load_policy, load_reward_model, load_to_train, load_tokenizer
    from align_core.tasks import load_task

    catalogue.stay_local()
    torch.set_num_threads(min(2, os.cpu_count() or 1))
    torch.manual_seed(seed)
    tokenizer = load_tokenizer("sft-reviews")
    ids = tokenizer(load_task("reviews").prompts("train"))["input_ids"]
    parts = {
        "processing_class": tokenizer,
        "model": load_to_train("sft-reviews"),
        "ref_model": load_policy("sft-reviews"),
        "reward_model": load_reward_model("reward-reviews"),
        "value_model": load_reward_model("reward-reviews"),
        "train_dataset": Dataset.from_dict({"input_ids": ids}),
    }
    parts["value_model"].requires_grad_(True)
    settings = {
        **SETTINGS,
        "output_dir": out,
        "seed": seed,
        "total_episodes": rollouts * EPISODES,
    }
    clock: dict[str, float] = defaultdict(float)
    if side == "TRL 1.12":
        trainer = _of_trl(settings, parts, clock)
    else:
        if side == "here, value head":
            parts["value_model"] = None
        trainer = _of_this(settings, parts, clock)
    steps = _count_steps()
    begin = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - begin
    trainer.save_model(out)
    tokenizer.save_pretrained(out)
    clock["update"] = seconds - sum(clock.values())
    return {"seconds": seconds, "steps": steps(), "split": dict(clock)}


def _of_trl(settings: dict, parts: dict, clock: dict[str, float]) -> Any:
    from trl.experimental.ppo import PPOConfig, PPOTrainer, ppo_trainer

    reward_model, scored = parts["reward_model"], ppo_trainer.get_reward

    def get_reward(model, *args):
        name = "reward" if model is reward_model else "value"
        return _timed(scored, clock, name)(model, *args)

    ppo_trainer.get_reward = get_reward
    reference, read = parts["ref_model"], ppo_trainer.forward

    def forward(model, *args):
        return (_timed(read, clock, "reference") if model is reference else read)(model, *args)

    ppo_trainer.forward = forward
    ppo_trainer.batch_generation = _timed(ppo_trainer.batch_generation, clock, "rollout")
    settings = {**settings, "gradient_checkpointing": False, "num_sample_generations": 0}
    return PPOTrainer(args=PPOConfig(**settings), **parts)


def _of_this(settings: dict, parts: dict, clock: dict[str, float]) -> Any:
    from align_core.trainers import ppo

    ppo.sample = _timed(ppo.sample, clock, "rollout")
    trainer = ppo.PPOTrainer(args=ppo.PPOConfig(**settings), **parts)
    trainer.score = _timed(trainer.score, clock, "reward")
    trainer._reread = _timed(trainer._reread, clock, "reference and value")
    return trainer


def _timed(function: Callable, clock: dict[str, float], name: str) -> Callable:
    def timed(*args, **kwargs):
        begin = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            clock[name] += time.perf_counter() - begin

    return timed


def _count_steps() -> Callable[[], int]:
    """How many optimiser steps were really taken."""
    from torch.optim import Optimizer
    from torch.optim.optimizer import register_optimizer_step_post_hook

    count = [0]

    def note(optimizer: Optimizer, *_: Any) -> None:
        count[0] += 1

    register_optimizer_step_post_hook(note)
    return lambda: count[0]


def render(results: dict) -> str:
    """The page: medians over the pairs, the ratio of each pair's times."""
    runs, rollouts = results["runs"], results["rollouts"]
    episodes = rollouts * EPISODES
    steps = rollouts * EPOCHS * MINIBATCHES
    peer = [run["seconds"] for run in runs["TRL 1.12"]]
    lines = [
        "# PPO against TRL 1.12",
        "",
        "Written by `python -m benchmarks.ppo_throughput` from `benchmarks/ppo_throughput.json`.",
        f"{episodes:,} episodes of at most {TOKENS} tokens, {EPISODES} a rollout, {steps}",
        f"optimiser steps on each side; medians of {len(peer)} runs in turn, lowest to highest",
        "in brackets. Gold reward, KL and efficiency on held-out prompts, after all episodes.",
        f"Machine: {results['machine']}.",
        "",
        "| | value | episodes a second | times TRL | gold reward | KL | efficiency |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for side, value in SIDES.items():
        own = [run["seconds"] for run in runs[side]]
        rates = [episodes / seconds for seconds in own]
        ratios = [theirs / ours for theirs, ours in zip(peer, own, strict=True)]
        cells = [side, value, _spread(rates, 0), _spread(ratios, 2)]
        for name in ("gold_reward", "kl", "frontier_efficiency"):
            cells.append(_spread([run[name] for run in runs[side]], 2))
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "Seconds a rollout, medians:", ""]
    names = list(dict.fromkeys(name for side in runs.values() for name in side[0]["split"]))
    lines += [f"| | {' | '.join(names)} |", "| --- " * (len(names) + 1) + "|"]
    for side in SIDES:
        cells = [side]
        for name in names:
            seen = [run["split"].get(name) for run in runs[side]]
            known = None not in seen
            cells.append(f"{statistics.median(seen) / rollouts:.3f}" if known else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _spread(values: list[float | None], digits: int) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "none"
    middle, low, high = statistics.median(known), min(known), max(known)
    return f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


if __name__ == "__main__":
    main()
