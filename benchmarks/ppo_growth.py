"""The cost of a PPO rollout and its updates over batch size, response length and parameters.

    python -m benchmarks.ppo_growth            run all, write results, docs/benchmarks.md, figure
    python -m benchmarks.ppo_growth --render   write page and figure from the stored results

Random Llamas with a vocabulary of 1,024 and a value head on the policy's trunk; all responses have
full length. Each point is the median of the rollouts after the first, in its own process.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import tempfile
import time
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.common import DOCS, THREADS, child, machine, table, write_section

RESULTS = Path(__file__).with_name("ppo_growth.json")
PAGE, FIGURE = DOCS / "benchmarks.md", DOCS / "growth.svg"

# parameters: (hidden size, intermediate size, layers)
SIZES = {
    "1M": (128, 512, 4),
    "5M": (256, 1024, 5),
    "25M": (512, 1344, 8),
    "100M": (768, 2560, 12),
}
PROMPT = 8  # tokens
ROLLOUTS = 4
BASE = {"parameters": "1M", "batch": 128, "length": 32}
AXES: dict[str, list[dict[str, Any]]] = {
    "batch": [{**BASE, "batch": batch} for batch in (32, 128, 512, 1024)],
    "length": [{**BASE, "length": length} for length in (16, 32, 64, 128, 256)],
    "parameters": [{**BASE, "batch": 32, "parameters": size} for size in SIZES],
}
UNITS = {"batch": "episodes", "length": "tokens of a response", "parameters": "parameters"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--render", action="store_true", help="only write page and figure")
    parser.add_argument("--point", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.point:
        print(json.dumps(one_point(**args.point)))
        return
    if not args.render:
        RESULTS.write_text(json.dumps(measure(), indent=1) + "\n")
    results = json.loads(RESULTS.read_text())
    text = render(results)
    write_section(PAGE, "growth", text)
    draw(results, FIGURE)
    print(text)


def measure() -> dict:
    """The machine and the points of each axis; a point on several axes is measured once."""

    @cache
    def measured(point: str) -> dict:
        result = child("benchmarks.ppo_growth", "--point", point)
        print(point, result, flush=True)
        return {**json.loads(point), **result}

    axes = {
        axis: [measured(json.dumps(point)) for point in points] for axis, points in AXES.items()
    }
    return {"machine": machine(), "axes": axes}


def one_point(parameters: str, batch: int, length: int) -> dict[str, float]:
    """Parameters, median seconds of a rollout with its updates, and peak memory in GB."""
    import torch
    from datasets import Dataset
    from transformers import LlamaConfig, LlamaForCausalLM, TrainerCallback

    from align_core import PPOConfig, PPOTrainer
    from align_core.config.environment import set_library_environment
    from align_core.models.loading import load_tokenizer

    set_library_environment()
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    tokenizer = load_tokenizer("pretrained")
    hidden, intermediate, layers = SIZES[parameters]
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=1024,
            hidden_size=hidden,
            intermediate_size=intermediate,
            num_hidden_layers=layers,
            num_attention_heads=hidden // 32,
            max_position_embeddings=512,
            tie_word_embeddings=True,
        )
    )
    updates = 4
    ends: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, args, state, control, **_) -> None:
            if state.global_step % updates == 0:
                ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        trainer = PPOTrainer(
            PPOConfig(
                output_dir=folder,
                per_device_train_batch_size=batch,
                num_ppo_epochs=2,
                num_mini_batches=2,
                response_length=length,
                stop_token=None,
                total_episodes=ROLLOUTS * batch,
                learning_rate=1e-5,
                use_cpu=True,
                bf16=False,
                report_to="none",
                disable_tqdm=True,
                save_strategy="no",
            ),
            tokenizer,
            model,
            None,
            lambda completions, **_: [float(len(text)) for text in completions],
            Dataset.from_dict({"input_ids": torch.randint(2, 1000, (batch, PROMPT)).tolist()}),
            callbacks=[Clock()],
        )
        trainer.train()
    # ru_maxrss is in bytes on macOS, in kilobytes elsewhere
    unit = 2**30 if platform.system() == "Darwin" else 2**20
    return {
        "count": model.num_parameters(),
        "seconds": statistics.median(b - a for a, b in pairwise(ends)),
        "memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit,
    }


def render(results: dict) -> str:
    intro = [
        "Written by `python -m benchmarks.ppo_growth` from `benchmarks/ppo_growth.json`: one",
        "rollout and its four updates (two epochs of two minibatches), the median of three after a",
        "first one; random Llamas with a vocabulary of 1,024, a value head, prompts of",
        f"{PROMPT} tokens, responses of full length.",
        f"Peak memory is that of the whole process. Machine: {results['machine']}.\n",
        "![Time and memory over batch, length and parameters](growth.svg)\n\n",
    ]
    head = ["episodes", "tokens", "parameters", "seconds", "episodes a second", "memory, GB"]
    rows = [
        [
            f"{point['batch']:,}",
            str(point["length"]),
            f"{point['count'] / 1e6:.1f} M",
            f"{point['seconds']:.2f}",
            f"{point['batch'] / point['seconds']:.0f}",
            f"{point['memory_gb']:.1f}",
        ]
        for points in results["axes"].values()
        for point in points
    ]
    return "\n".join(intro) + table(head, rows)


def draw(results: dict, path: Path) -> None:
    """Write the figure: time above, memory below, on logarithmic axes."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    style = {"svg.hashsalt": "growth", "svg.fonttype": "none", "font.size": 10}
    rows = {"seconds": "seconds a rollout", "memory_gb": "peak memory, GB"}
    with plt.rc_context(style):
        figure, panels = plt.subplots(2, 3, figsize=(9, 5), sharex="col", sharey="row")
        for column, (axis, points) in enumerate(results["axes"].items()):
            across = [point["count" if axis == "parameters" else axis] for point in points]
            for row, (key, label) in enumerate(rows.items()):
                panel = panels[row, column]
                panel.loglog(across, [point[key] for point in points], "o-", color="#0072b2")
                panel.grid(True, which="major", alpha=0.3)
                if column == 0:
                    panel.set_ylabel(label)
            panels[1, column].set_xlabel(UNITS[axis])
        figure.subplots_adjust(0.08, 0.11, 0.98, 0.97, wspace=0.1, hspace=0.1)
        figure.savefig(path, metadata={"Date": None, "Creator": None})
        plt.close(figure)


if __name__ == "__main__":
    main()
