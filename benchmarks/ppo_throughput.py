"""This PPO compared with that of TRL 1.12, the last release with PPO: speed, time of each part.

    python -m benchmarks.ppo_throughput            install TRL 1.12, run all, write and print
    python -m benchmarks.ppo_throughput --render   write docs/benchmarks.md from the results

Models, prompts, settings and the number of optimiser steps are the same. Runs alternate, each in
its own process, with the embedded models and with random ones of 25 M parameters in all four roles,
whose texts nearly all run to the token limit. Each kind of machine has its own results, and a new
run replaces those of its kind. Processor time of one thread counts: other processes hardly change
it.
TRL 1.12 is installed in the folder `.peers`, without its dependencies, and uses the installed
transformers.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import (
    DOCS,
    ROOT,
    child,
    machine,
    spread,
    table,
    write_section,
)

RESULTS = Path(__file__).with_name("ppo_throughput.json")
CLOCK = "processor seconds of one thread"
PAGE = DOCS / "benchmarks.md"
PEER = ROOT / ".peers" / "trl-1.12.0"
SIDES = {
    "TRL 1.12": "value model of its own",
    "here, value model": "value model of its own",
    "here, value head": "head on the policy's trunk",
}
# models: (rollouts of each run, runs of each side)
MODELS = {"embedded": (20, 5), "25M": (2, 3)}
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
    parser.add_argument("--pairs", type=int, help="runs of each side, by default as in MODELS")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--models", choices=MODELS, help="these models alone")
    parser.add_argument("--rollouts", type=int, help="rollouts of each run, fewer than in MODELS")
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        print(json.dumps(one_run(args.side, args.models, args.rollouts, args.seed, args.out)))
        return
    if not args.render:
        install_peer()
        new = measure([args.models] if args.models else [*MODELS], args.pairs, args.rollouts)
        kept = [old for old in json.loads(RESULTS.read_text()) if old["machine"] != new["machine"]]
        RESULTS.write_text(json.dumps([*kept, new], indent=1) + "\n")
    text = render(json.loads(RESULTS.read_text()))
    write_section(PAGE, "throughput", text)
    print(text)


def install_peer() -> None:
    if not (PEER / "trl").is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*command, "--target", str(PEER), "trl==1.12.0"], check=True)


def measure(chosen: list[str], pairs: int | None, rollouts: int | None) -> dict:
    runs = {models: _measure(models, pairs or MODELS[models][1], rollouts) for models in chosen}
    return {"machine": machine(threads=1), "clock": CLOCK, "runs": runs}


def _measure(models: str, pairs: int, fewer: int | None) -> dict[str, list[dict]]:
    rollouts = fewer or MODELS[models][0]
    runs: dict[str, list[dict]] = {side: [] for side in SIDES}
    for seed in range(pairs):
        for side in SIDES:
            with tempfile.TemporaryDirectory() as folder:
                options = ["--side", side, "--models", models, "--rollouts", str(rollouts)]
                options += ["--seed", str(seed), "--out", folder]
                run = child("benchmarks.ppo_throughput", *options, OMP_NUM_THREADS="1")
                if models == "embedded" and fewer is None:  # trained on all episodes
                    run |= child("align_core", "evaluate", folder, "--task", "reviews", "--json")
            names = ("seconds", "steps", "split", "gold_reward", "kl", "frontier_efficiency")
            runs[side].append({name: run.get(name) for name in names} | {"rollouts": rollouts})
            print(models, side, seed, runs[side][-1], flush=True)
    assert len({run["steps"] for side in runs.values() for run in side}) == 1, "unequal steps"
    return runs


def one_run(side: str, models: str, rollouts: int, seed: int, out: str) -> dict:
    """Train in this process; returns processor seconds, optimiser steps and times of the parts.

    The policy is saved in `out`.
    """
    if side == "TRL 1.12":
        sys.path.insert(0, str(PEER))
    import torch
    from datasets import Dataset

    from align_core.config.environment import set_library_environment
    from align_core.models.loading import load_tokenizer
    from align_core.tasks import load_task

    set_library_environment()
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    tokenizer = load_tokenizer("sft-reviews")
    ids = tokenizer(load_task("reviews").prompts("train"))["input_ids"]
    parts = {
        "processing_class": tokenizer,
        "train_dataset": Dataset.from_dict({"input_ids": ids}),
        **(embedded() if models == "embedded" else _random(len(tokenizer))),
    }
    settings = {
        **SETTINGS,
        "output_dir": out,
        "seed": seed,
        "total_episodes": rollouts * EPISODES,
    }
    clock: dict[str, float] = defaultdict(float)
    if side == "TRL 1.12":
        trainer = _trl_trainer(settings, parts, clock)
    else:
        if side == "here, value head":
            parts["value_model"] = None
        trainer = _our_trainer(settings, parts, clock)
    steps = _count_steps()
    begin = time.process_time()
    trainer.train()
    seconds = time.process_time() - begin
    trainer.save_model(out)
    tokenizer.save_pretrained(out)
    clock["update"] = seconds - sum(clock.values())
    return {"seconds": seconds, "steps": steps(), "split": dict(clock)}


def embedded() -> dict:
    from align_core.models.loading import load_policy, load_reward_model, load_trainable
    from align_core.models.value_model import value_model_of

    reward_model = load_reward_model("reward-reviews")
    return {
        "model": load_trainable("sft-reviews"),
        "ref_model": load_policy("sft-reviews"),
        "reward_model": reward_model,
        "value_model": value_model_of(reward_model),
    }


def _random(vocabulary: int) -> dict:
    """Llamas of 25 M parameters; the reference is a copy of the policy."""
    import copy

    from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification

    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=512,
        intermediate_size=1344,
        num_hidden_layers=8,
        num_attention_heads=8,
        max_position_embeddings=128,
        tie_word_embeddings=True,
        num_labels=1,
        pad_token_id=1,
    )
    policy = LlamaForCausalLM(config)
    return {
        "model": policy,
        "ref_model": copy.deepcopy(policy),
        "reward_model": LlamaForSequenceClassification(config),
        "value_model": LlamaForSequenceClassification(config),
    }


def _trl_trainer(settings: dict, parts: dict, clock: dict[str, float]) -> Any:
    from trl.experimental.ppo import PPOConfig, PPOTrainer, ppo_trainer

    reward_model, original_reward = parts["reward_model"], ppo_trainer.get_reward

    def get_reward(model, *args):
        name = "reward" if model is reward_model else "reference and value"
        return _timed(original_reward, clock, name)(model, *args)

    ppo_trainer.get_reward = get_reward
    reference, original_forward = parts["ref_model"], ppo_trainer.forward

    def forward(model, *args):
        if model is not reference:
            return original_forward(model, *args)
        return _timed(original_forward, clock, "reference and value")(model, *args)

    ppo_trainer.forward = forward
    ppo_trainer.batch_generation = _timed(ppo_trainer.batch_generation, clock, "rollout")
    settings = {
        **settings,
        "local_rollout_forward_batch_size": EPISODES,
        "gradient_checkpointing": False,
        "num_sample_generations": 0,
    }
    return PPOTrainer(args=PPOConfig(**settings), **parts)


def _our_trainer(settings: dict, parts: dict, clock: dict[str, float]) -> Any:
    from align_core.trainers.ppo import trainer as ppo
    from align_core.trainers.ppo.config import PPOConfig

    ppo.respond = _timed(ppo.respond, clock, "rollout")
    trainer = ppo.PPOTrainer(args=PPOConfig(**settings), **parts)
    trainer.score = _timed(trainer.score, clock, "reward")
    ppo.compare = _timed(ppo.compare, clock, "reference and value")
    return trainer


def _timed(function: Callable, clock: dict[str, float], name: str) -> Callable:
    def timed(*args, **kwargs):
        begin = time.process_time()
        try:
            return function(*args, **kwargs)
        finally:
            clock[name] += time.process_time() - begin

    return timed


def _count_steps() -> Callable[[], int]:
    """Start to count optimiser steps; returns a function that returns the count."""
    from torch.optim import Optimizer
    from torch.optim.optimizer import register_optimizer_step_post_hook

    count = [0]

    def note(optimizer: Optimizer, *_: Any) -> None:
        count[0] += 1

    register_optimizer_step_post_hook(note)
    return lambda: count[0]


def render(results: list[dict]) -> str:
    """For each machine, medians over the runs, and the ratios of times of paired runs."""
    text = "\n".join(
        [
            "Written by `python -m benchmarks.ppo_throughput` from",
            f"`benchmarks/ppo_throughput.json`: {EPISODES} episodes of at most {TOKENS} tokens a",
            f"rollout, {EPOCHS} epochs of {MINIBATCHES} minibatches, the same number of optimiser",
            "steps on each side, runs in turn; medians, lowest to highest in brackets. Gold",
            "reward, KL and efficiency are on held-out prompts of `reviews` after all episodes,",
            "sampled to the task's own limit of 36 tokens. TRL 1.12 runs on this project's",
            "transformers, with the same batch size wherever it has such an argument. The texts of",
            "the random models of 25 M parameters run to the limit, where operations count alone:",
            "TRL makes about 17 forward passes' worth a rollout, this package 16 with a value",
            "model and 9 with the head, so that passes alone allow 1.1 and 1.9 times TRL.\n\n",
        ]
    )
    return text + "\n".join(map(_of_machine, results))


def _of_machine(results: dict) -> str:
    """The tables of a machine."""
    head = ["", "models", "value", "episodes a second", "times TRL", "gold reward", "KL"]
    rows, split = [], []
    sides = [side for runs in results["runs"].values() for side in runs.values()]
    names = list(dict.fromkeys(name for side in sides for name in side[0]["split"]))
    for models, runs in results["runs"].items():
        rollouts = runs["TRL 1.12"][0].get("rollouts", MODELS[models][0])
        peer = [run["seconds"] for run in runs["TRL 1.12"]]
        for side, value in SIDES.items():
            own = [run["seconds"] for run in runs[side]]
            each = [rollouts * EPISODES / seconds for seconds in own]
            ratios = [theirs / ours for theirs, ours in zip(peer, own, strict=True)]
            cells = [f"{side}, {len(own)} runs of {rollouts}", models, value]
            cells += [spread(each, 0), spread(ratios, 2)]
            for name in ("gold_reward", "kl", "frontier_efficiency"):
                cells.append(spread([run[name] for run in runs[side]], 2))
            rows.append(cells)
            parts = [[run["split"][name] / rollouts for run in runs[side]] for name in names]
            split.append([side, models, *(f"{statistics.median(part):.3f}" for part in parts)])
    text = f"In {results['clock']}. Machine: {results['machine']}.\n\n"
    text += table([*head, "efficiency"], rows)
    return f"{text}\nA rollout, medians:\n\n" + table(["", "models", *names], split)


if __name__ == "__main__":
    main()
