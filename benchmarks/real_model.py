"""A real model on CPUs: this PPO against TRL 1.12's, this DPO against TRL 1.16's.

    python -m benchmarks.real_model            run all, in turn, and write docs/benchmarks.md
    python -m benchmarks.real_model --render   write docs/benchmarks.md from the stored results

Model, adapter (rank and layers), prompts, pairs, batches and optimiser steps are the same. TRL's
PPO needs a value model, which gets an adapter on the same layers; the reward costs nothing. TRL's
DPO has the same batches of similar lengths, and precomputes the reference's log-probabilities. TRL
runs in float32 and with the model's weights in bfloat16; the faster counts.

The runs have one thread and are measured in processor time, so that other programs on the machine
change little. Before each run the machine's rate of matrix products is measured. The share
of that rate which a stage reaches is computed from the stage's floating-point operations (torch's
counter, in a separate run) and its seconds.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
from pathlib import Path

from benchmarks.common import DOCS, child, machine, spread, table, write_section
from benchmarks.ppo_throughput import PEER, install_peer
from benchmarks.real_model_sides import (
    EPISODES,
    EPOCHS,
    LAYERS,
    MINIBATCHES,
    MODEL,
    PAIRS_A_BATCH,
    RANK,
    TASK,
    TOKENS,
    Clock,
    build,
    matrix_rate,
    sample_pairs,
)

RESULTS = Path(__file__).with_name("real_model.json")
PAGE = DOCS / "benchmarks.md"
SIDES = {
    "ppo": ("TRL 1.12, float32", "TRL 1.12, bfloat16", "here"),
    "dpo": ("TRL 1.16, float32", "TRL 1.16, bfloat16", "here"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--render", action="store_true", help="only write the page")
    parser.add_argument("--pairs", type=int, default=5, help="runs of each side")
    parser.add_argument("--rollouts", type=int, default=2, help="rollouts of a PPO run")
    parser.add_argument("--batches", type=int, default=8, help="batches of an epoch of DPO")
    parser.add_argument("--run", nargs=2, metavar=("METHOD", "SIDE"), help=argparse.SUPPRESS)
    parser.add_argument("--count", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        print(json.dumps(one_run(*args.run, args)))
        return
    if args.data:
        sample_pairs(Path(args.data), args.batches * PAIRS_A_BATCH)
        print("{}")
        return
    if not args.render:
        install_peer()
        RESULTS.write_text(json.dumps(measure(args), indent=1) + "\n")
    text = render(json.loads(RESULTS.read_text()))
    write_section(PAGE, "real model", text)
    print(text)


def measure(args: argparse.Namespace) -> dict:
    sizes = ["--rollouts", str(args.rollouts), "--batches", str(args.batches)]
    module, one_thread = "benchmarks.real_model", {"OMP_NUM_THREADS": "1"}
    runs: dict[str, dict[str, list]] = {m: {s: [] for s in sides} for m, sides in SIDES.items()}
    operations = {}
    with tempfile.TemporaryDirectory() as folder:
        data = str(Path(folder, "pairs.jsonl"))
        child(module, "--data", data, *sizes, **one_thread)
        environment = {**one_thread, "PAIRS": data}
        for method in SIDES:
            run = child(module, "--run", method, "here", "--count", *sizes, **environment)
            operations[method] = run["operations"]
        for pair in range(args.pairs):
            for method, sides in SIDES.items():
                for side in sides:
                    # TRL keeps log-probabilities of the reference there.
                    environment["HF_DATASETS_CACHE"] = f"{folder}/{pair}-{method}-{side}"
                    run = child(module, "--run", method, side, *sizes, **environment)
                    runs[method][side].append(run)
                    print(method, side, run, flush=True)
    sizes = {"rollouts": args.rollouts, "batches": args.batches}
    return {"machine": machine(threads=1), **sizes, "operations": operations, "runs": runs}


def one_run(method: str, side: str, args: argparse.Namespace) -> dict:
    """One training run in this process: seconds of its stages, matrix rates, memory, metrics."""
    if method == "ppo" and side.startswith("TRL"):
        sys.path.insert(0, str(PEER))
    import torch

    from align_core.config.environment import set_library_environment
    from align_core.models.libraries import silence_libraries

    set_library_environment()
    silence_libraries()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rates = {
        str(dtype).split(".")[1]: matrix_rate(dtype) for dtype in (torch.float32, torch.bfloat16)
    }
    clock = Clock(args.count)
    with tempfile.TemporaryDirectory() as out:
        trainer = build(method, side, out, args, clock)
        with clock("all"):
            trainer.train()
    logs = [log for log in trainer.state.log_history if "loss" in log or "objective/kl" in log]
    names = ("objective/kl", "objective/scores", "rewards/margins", "rewards/accuracies")
    return {
        "seconds": dict(clock.seconds),
        "operations": dict(clock.operations),
        "rates": rates,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "first": {name: logs[0][name] for name in names if name in logs[0]},
        "last": {name: logs[-1][name] for name in names if name in logs[-1]},
    }


def total(run: dict, epochs: int = 2) -> float:
    """Seconds of a run of PPO, or of DPO's reference and first one or two epochs."""
    seconds = run["seconds"]
    if "epoch 1" not in seconds:
        return seconds["all"]
    names = ("reference", "epoch 1", "epoch 2")[: epochs + 1]
    return sum(seconds.get(name, 0.0) for name in names)


def render(results: dict) -> str:
    """Medians, ratios of paired runs, and the share of the matrix rate that each stage reaches."""
    runs = results["runs"]
    rollouts = results["rollouts"]
    text = "\n".join(
        [
            "Written by `python -m benchmarks.real_model` from `benchmarks/real_model.json`:",
            f"{MODEL} (135 M parameters, 30 layers) on `{TASK}`, LoRA of rank {RANK} on the last",
            f"{LAYERS} layers. PPO: rollouts ({rollouts} a run) of {EPISODES} episodes of at most",
            f"{TOKENS} tokens, {EPOCHS} epochs of {MINIBATCHES} minibatches. DPO: two epochs of",
            f"{results['batches']} batches of {PAIRS_A_BATCH} pairs, with the time for the",
            "reference. Seconds of processor time of one thread; medians of paired runs, lowest to",
            "highest in brackets; ratios are to the faster of TRL's two precisions.",
            f"Machine: {results['machine']}.\n\n",
        ]
    )
    head = ["", "seconds", "times TRL", "memory, GB", "last score or margin"]
    rows = []
    measured = (("ppo", "a rollout", 2, rollouts), ("dpo", "one epoch", 1, 1))
    for method, what, epochs, divisor in (*measured, ("dpo", "two epochs", 2, 1)):
        peers = [runs[method][side] for side in SIDES[method][:2] if runs[method][side]]
        best = [min(total(run, epochs) for run in pair) for pair in zip(*peers, strict=True)]
        for side in SIDES[method]:
            own = runs[method][side]
            if not own:
                continue
            seconds = [total(run, epochs) for run in own]
            ratios = [theirs / ours for theirs, ours in zip(best, seconds, strict=True)]
            last = "objective/scores" if method == "ppo" else "rewards/margins"
            rows.append(
                [
                    f"{method.upper()}, {side}: {what}",
                    spread([one / divisor for one in seconds], 1),
                    spread(ratios, 2),
                    spread([run["memory"] for run in own], 1),
                    spread([run["last"].get(last) for run in own], 2),
                ]
            )
    text += table(head, rows) + "\n"
    rows = []
    for method, operations in results["operations"].items():
        own = runs[method]["here"]
        for stage in _stages(own[0]["seconds"]):
            seconds = [_stages(run["seconds"])[stage] for run in own]
            rates = [_stages(operations)[stage] / one / 1e9 for one in seconds]
            shares = [
                rate * 1e9 / max(run["rates"].values())
                for rate, run in zip(rates, own, strict=True)
            ]
            cells = [spread(seconds, 1), spread(rates, 0), spread(shares, 2)]
            rows.append([f"{method.upper()}, {stage}", *cells])
    fastest = [max(run["rates"].values()) / 1e9 for run in runs["dpo"]["here"]]
    return (
        text
        + table(["here", "seconds", "GFLOP/s", "share of the matrix rate"], rows)
        + f"\nMatrix rate: {spread(fastest, 0)} GFLOP/s (products [1024, 576] × [576, 1536]).\n"
    )


def _stages(values: dict[str, float]) -> dict[str, float]:
    """Values by stage; PPO's update has the rest of "all"."""
    stages = {name: value for name, value in values.items() if name != "all"}
    if "epoch 1" not in stages:
        stages["update"] = values["all"] - sum(stages.values())
    return stages


if __name__ == "__main__":
    main()
