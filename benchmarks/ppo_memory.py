"""Peak memory of PPO's steps, beside what weights, gradients, optimiser and one chunk need.

python -m benchmarks.ppo_memory            measure, write docs/scaling.md
python -m benchmarks.ppo_memory --render   write docs/scaling.md from the stored results
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
from pathlib import Path

from benchmarks.common import DOCS, ROOT, THREADS, child, machine, table, write_section

RESULTS = ROOT / "benchmarks" / "ppo_memory.json"
PAGE = DOCS / "scaling.md"
TEXTS, PROMPT, RESPONSE = 16, 16, 32  # texts of a CPU's chunk; tokens of a prompt and a response
ALLOWED = 1.2
SIZE = {
    "vocab_size": 8192,
    "hidden_size": 512,
    "intermediate_size": 1536,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "tie_word_embeddings": True,
    "bos_token_id": None,
    "eos_token_id": 0,
    "pad_token_id": 1,
}
VALUES = {"head": "value head", "model": "value model"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--render", action="store_true", help="only write the page")
    parser.add_argument("--step", choices=VALUES)
    parser.add_argument("--chunk", choices=VALUES)
    options = parser.parse_args()
    if options.step or options.chunk:
        print(json.dumps(step(options.step) if options.step else chunk(options.chunk)))
        return
    if not options.render:
        threads = int(os.environ.get("OMP_NUM_THREADS", THREADS))
        results = {"machine": machine(threads), "cases": {}}
        for values in VALUES:
            parts = child("benchmarks.ppo_memory", "--step", values)
            parts |= child("benchmarks.ppo_memory", "--chunk", values)
            results["cases"][values] = parts
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    text = render(json.loads(RESULTS.read_text()))
    write_section(PAGE, "memory", text)
    print(text)


def models(values: str) -> tuple:
    """The policy, and the value model if there is one."""
    from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification

    policy = LlamaForCausalLM(LlamaConfig(**SIZE))
    if values == "head":
        return policy, None
    return policy, LlamaForSequenceClassification(LlamaConfig(**SIZE, num_labels=1))


def step(values: str) -> dict[str, float]:
    """Peak memory in megabytes over two rollouts, less what was in use before the models were made
    ("step"), and what weights, gradients and AdamW's moments need ("state")."""
    from datasets import Dataset

    from align_core import PPOConfig, PPOTrainer
    from align_core.models.loading import load_tokenizer

    before = resident()
    policy, value_model = models(values)
    with tempfile.TemporaryDirectory() as folder:
        args = PPOConfig(
            output_dir=folder,
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            per_device_train_batch_size=TEXTS,
            response_length=RESPONSE,
            stop_token=None,
            num_ppo_epochs=1,
            total_episodes=2 * TEXTS,
        )
        trainer = PPOTrainer(
            args,
            load_tokenizer("sft-reviews"),
            policy,
            None,
            reward_model=lambda prompts, **_: [0.0] * len(prompts),
            train_dataset=Dataset.from_dict({"input_ids": [[2] * PROMPT] * TEXTS}),
            value_model=value_model,
        )
        trainer.train()
    weights = [p.nbytes for p in trainer.model.parameters()]
    reference = sum(p.nbytes for p in trainer.ref_model.parameters())
    return {
        "parameters": sum(p.numel() for p in policy.parameters()),
        "step": peak() - before,
        "state": (4 * sum(weights) + reference) / 1e6,
    }


def chunk(values: str) -> dict[str, float]:
    """Peak memory in megabytes of a forward and a backward pass of one chunk, less the weights and
    gradients."""
    import torch

    from align_core.data.encoding import Prompts
    from align_core.models.value_model import PolicyWithValue

    model = PolicyWithValue(*models(values))
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    prompts = Prompts(torch.full((TEXTS, PROMPT), 2), torch.ones(TEXTS, PROMPT, dtype=torch.long))
    tokens = torch.full((TEXTS, RESPONSE), 3)
    before = resident()
    outputs = model(prompts, tokens, torch.ones_like(tokens, dtype=torch.bool))
    (outputs.logp.mean() + outputs.values.mean()).backward()
    return {"chunk": peak() - before}


def resident() -> float:
    """Resident memory of this process in megabytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def peak() -> float:
    """The largest resident memory of this process so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def render(results: dict) -> str:
    """A row for each kind of values."""
    size = results["cases"]["head"]["parameters"] / 1e6
    intro = (
        "Written by `python -m benchmarks.ppo_memory` from `benchmarks/ppo_memory.json`: MB at\n"
        f"the peak of two rollouts and updates of a policy of {size:.0f} M parameters, with a\n"
        f"reference, on {TEXTS} texts of {PROMPT} + {RESPONSE} tokens, less those in use\n"
        "before the models were made. *State* is what weights, gradients and AdamW's moments\n"
        "take, *chunk* a forward and a backward pass of the same texts. **Bold ✗**: more than "
        f"{ALLOWED} times their sum.\nMachine: {results['machine']}.\n\n"
    )
    rows = []
    for values, peaks in results["cases"].items():
        ratio = peaks["step"] / (peaks["state"] + peaks["chunk"])
        shown = f"{ratio:.2f}" if ratio <= ALLOWED else f"**{ratio:.2f} ✗**"
        numbers = [f"{peaks[name]:.0f}" for name in ("state", "chunk", "step")]
        rows.append([VALUES[values], *numbers, shown])
    return intro + table(["values by a", "state", "chunk", "peak", "peak / sum"], rows)


if __name__ == "__main__":
    main()
