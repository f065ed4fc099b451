"""Times, memory and throughput of sampling, PPO and DPO on random weights, for a GPU.

    python -m benchmarks.gpu                  measure on a GPU, and write docs/benchmarks.md
    python -m benchmarks.gpu --tiny           measure a tiny model, on a CPU too
    python -m benchmarks.gpu --render         write docs/benchmarks.md from the stored results
    python -m benchmarks.gpu --bundle FOLDER  write what a machine without a network needs

Prompts and pairs are random tokens. No text ends early, so all have the same length. The gold
reward is the number of tokens whose embedding begins with a positive number, in nats: with random
weights these are half of the tokens, and a model can learn to write more of them.

`--bundle` prints the commands for the other machine. The `gpu.json` that they write belongs in
benchmarks/ here, and `--render` then writes the page.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from align_core.config.environment import set_library_environment
from benchmarks.common import DOCS, ROOT, machine, table, write_section

RESULTS = Path(__file__).with_name("gpu.json")
PAGE = DOCS / "benchmarks.md"
COMMAND = "python -m benchmarks.gpu"
PRECISIONS = ("float32", "bfloat16")
# Configurations as in transformers: SmolLM2-135M, Qwen2.5-0.5B, and a small one.
SHAPES = {
    "135M": {
        "model_type": "llama",
        "vocab_size": 49152,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
    },
    "0.5B": {
        "model_type": "qwen2",
        "vocab_size": 151936,
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
    },
}
TINY = {
    "tiny": {
        "model_type": "llama",
        "vocab_size": 1024,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
    }
}
TINY_SIZES = {"texts": 4, "pairs": 2, "prompt": 4, "response": 4, "layers": 1, "repeats": 1}

# What a machine with torch may lack, or have in an older version.
WHEELS = (
    *("transformers", "trl", "datasets", "dill", "multiprocess", "pydantic", "pydantic-core"),
    *("annotated-types", "typing-inspection", "typing-extensions"),
)
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
MODULES = ("__init__", "common", "gpu", "gpu_parts", "ppo_memory", "real_model_sides")
TOKENIZER = Path("assets", "models", "sft-reviews")
LIMIT = 60e6  # bytes of a bundle
INSTALL = "python3 -m pip install --no-index --no-deps --target site wheels/*.whl"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="a tiny model, on a CPU too")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the results as JSON")
    parser.add_argument("--render", action="store_true", help="only write the page")
    parser.add_argument("--bundle", type=Path, metavar="FOLDER", help="only write this folder")
    args = parser.parse_args()
    if args.bundle:
        print(bundle(args.bundle))
        return
    if not args.render:
        set_library_environment()
        import torch

        if not args.tiny and not torch.cuda.is_available():
            parser.error("expected a GPU that PyTorch sees, or --tiny")
        shapes, sizes, results = (TINY, TINY_SIZES, None) if args.tiny else (SHAPES, {}, RESULTS)
        print(described(measure(shapes, sizes, [file for file in (args.out, results) if file])))
    if not args.tiny and PAGE.exists():  # a bundle has no documents
        write_section(PAGE, "gpu", render())


def measure(
    shapes: dict[str, dict[str, Any]], sizes: dict[str, int], files: Iterable[Path]
) -> dict[str, Any]:
    """A row for each model, precision and part; `files` are written after each row."""
    import torch

    from align_core.models.libraries import silence_libraries
    from benchmarks.gpu_parts import PARTS, Case, Sizes, matrix_rate, measured

    silence_libraries()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name() if device.type == "cuda" else "no GPU"
    rate, all_sizes = matrix_rate(device), Sizes(**sizes)
    results: dict[str, Any] = {
        "machine": f"{name}; {machine(torch.get_num_threads())}",
        "matrix_rate": rate,
        "sizes": vars(all_sizes),
        "rows": [],
    }
    for model, shape in shapes.items():
        for precision in PRECISIONS:
            for part in PARTS:
                row = {"model": model, "precision": precision, "part": part}
                row |= measured(part, Case(shape, precision, all_sizes, device), rate)
                results["rows"].append(row)
                for file in files:
                    file.write_text(json.dumps(results, indent=1) + "\n")
    return results


def render() -> str:
    """The section of docs/benchmarks.md, from the stored results."""
    if not RESULTS.exists():
        return f"Not measured yet: `{COMMAND}` does so, on a machine with a GPU.\n"
    results = json.loads(RESULTS.read_text())
    return f"Written by `{COMMAND}` from `benchmarks/{RESULTS.name}`.\n{described(results)}"


def described(results: dict[str, Any]) -> str:
    """What was measured, and a table with a row for each part."""
    sizes, rate = results["sizes"], results["matrix_rate"] / 1e12
    texts = f"of {sizes['prompt']} + {sizes['response']} random tokens"
    about = [
        f"Models with random weights; medians of {sizes['repeats']}, after a warm-up. Sampling and",
        f"PPO: {sizes['texts']} texts {texts}; a rollout has",
        f"{sizes['epochs']} epochs of {sizes['minibatches']} minibatches and values by a head;",
        "tokens/s counts response tokens. DPO: a step on",
        f"{sizes['pairs']} new pairs of such texts, and all their tokens. LoRA: rank",
        f"{sizes['rank']} on the last {sizes['layers']} layers. *Share*: of the device's",
        f"rate of bfloat16 matrix products, {rate:.3g} TFLOP/s. KL and gold reward: nats, in the",
        "first rollout, before any update, and in the last.",
        f"Machine: {results['machine']}.",
    ]
    head = ["model", "precision", "", "seconds", "tokens/s", "peak MB", "share", "KL", "gold"]
    return "\n".join(about) + "\n\n" + table(head, [_cells(row) for row in results["rows"]])


def _cells(row: dict[str, Any]) -> list[str]:
    cells = [row["model"], row["precision"], row["part"]]
    if "error" in row:
        return [*cells, row["error"].splitlines()[0].replace("|", "/"), *["–"] * 5]
    return [
        *cells,
        f"{statistics.median(row['seconds']):.3g}",
        f"{row['tokens_per_second']:.0f}",
        f"{row['memory']:.0f}",
        f"{row['share']:.3f}",
        *(_change(row.get("kl"), ".2g"), _change(row.get("gold"), ".2f")),
    ]


def _change(values: list[float] | None, digits: str) -> str:
    return f"{values[0]:{digits}} → {values[-1]:{digits}}" if values else "–"


def bundle(folder: Path) -> str:
    """Write code, tokenizer and wheels to a new folder; returns its size and the command to use it.

    Raises:
        SystemExit: the folder exists, or has LIMIT bytes or more.
    """
    if folder.exists():
        sys.exit(f"{folder}: expected a new folder, got one that exists")
    caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "align_core", folder / "align_core", ignore=caches)
    (folder / "benchmarks").mkdir()
    for name in MODULES:
        shutil.copy(ROOT / "benchmarks" / f"{name}.py", folder / "benchmarks")
    without_weights = shutil.ignore_patterns("*.safetensors")
    shutil.copytree(ROOT / TOKENIZER, folder / TOKENIZER, ignore=without_weights)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    pip += ["--python-version", "3.12", "--implementation", "cp"]
    pip += [option for name in PLATFORMS for option in ("--platform", name)]
    pip += ["--dest", str(folder / "wheels"), *(f"{name}=={version(name)}" for name in WHEELS)]
    subprocess.run(pip, check=True)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size >= LIMIT:
        sys.exit(f"{folder}: expected less than {LIMIT / 1e6:.0f} MB, got {size / 1e6:.1f} MB")
    run = f"PYTHONPATH=site python3 -m benchmarks.gpu --out {RESULTS.name}"
    return f"{size / 1e6:.1f} MB. On the other machine: cd {folder.name} && {INSTALL} && {run}"


if __name__ == "__main__":
    main()
