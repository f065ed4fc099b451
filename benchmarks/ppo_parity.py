"""Compares the formulas of this PPO with those of TRL 1.12, on a rollout that TRL made.

    python -m benchmarks.ppo_parity            run TRL, compare, write results and docs/ppo.md
    python -m benchmarks.ppo_parity --render   write docs/ppo.md from the stored results

TRL trains on one rollout of full-length responses, for which TRL and this project put the score
at the same token. The arguments and results of TRL's functions are recorded, and `objectives` is
applied to the same arguments.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.common import DOCS, table, write_section
from benchmarks.ppo_throughput import PEER, SETTINGS, embedded, install_peer

RESULTS = Path(__file__).with_name("ppo_parity.json")
PAGE = DOCS / "ppo.md"
EPISODES, TOKENS, BETA, LAM, CLIP, VALUE_CLIP = 32, 12, 0.7, 0.95, 0.2, 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--render", action="store_true", help="only write the page")
    args = parser.parse_args()
    if not args.render:
        install_peer()
        RESULTS.write_text(json.dumps(compare(), indent=1) + "\n")
    text = render(json.loads(RESULTS.read_text()))
    write_section(PAGE, "parity", text)
    print(text)


def compare() -> dict[str, float]:
    """Quantity -> the largest difference over all episodes, tokens and minibatches."""
    import torch

    from align_core import objectives

    recorded = _run_trl()
    logp, ref_logp, *later = recorded["selective_log_softmax"]
    values, scores = recorded["get_reward"]
    mask = torch.ones_like(logp, dtype=torch.bool)
    kl = objectives.kl_estimate(logp, ref_logp)
    rewards = objectives.token_rewards(scores, kl, mask, BETA)
    advantages, returns = objectives.gae(rewards, values, mask, 1.0, LAM)
    whitened = objectives.masked_whiten(advantages, mask)
    bessel = (1 - 1 / advantages.numel()) ** 0.5  # TRL divides by N − 1
    result = {
        "advantages": _max_difference(advantages, recorded["masked_whiten"][0]),
        "whitened advantages, but for N − 1": _max_difference(
            whitened * bessel, recorded["masked_whiten"][1]
        ),
    }
    # Each minibatch has all episodes, in a different order, which does not affect means.
    order = [_order(recorded["tokens"][0], again) for again in recorded["tokens"][1:]]
    names = "value loss", "value clip fraction", "policy loss", "policy clip fraction"
    differences = defaultdict(list)
    for epoch, (rows, again, new_values) in enumerate(
        zip(order, later, recorded["values"], strict=True)
    ):
        policy_losses, clipped = objectives.ppo_policy_loss(
            again, logp[rows], whitened[rows] * bessel, CLIP
        )
        value_losses, value_clipped = objectives.ppo_value_loss(
            new_values, values[rows], returns[rows], VALUE_CLIP
        )
        ours = value_losses, value_clipped, policy_losses, clipped
        theirs = recorded["masked_mean"][4 * epoch : 4 * epoch + 4]
        scale = 0.5, 1, 1, 1  # TRL halves the value loss after the mean
        for name, our, their, by in zip(names, ours, theirs, scale, strict=True):
            differences[name].append(abs(our.double().mean().item() - by * their))
    result |= {name: max(differences[name]) for name in names}
    assert max(result.values()) < 1e-5, result
    return {**result, "clipped": recorded["masked_mean"][-1]}


def _max_difference(ours, theirs) -> float:
    return (ours - theirs).abs().max().item()


def _order(rows, again) -> list[int]:
    """For each row of `again`, its index in `rows`."""
    place = {tuple(row): i for i, row in enumerate(rows.tolist())}
    return [place[tuple(row)] for row in again.tolist()]


def _run_trl() -> dict[str, list[Any]]:
    """Run one rollout and its updates by TRL; returns arguments and results of its functions."""
    sys.path.insert(0, str(PEER))
    import torch
    from datasets import Dataset
    from trl.experimental.ppo import PPOConfig, PPOTrainer, ppo_trainer

    from align_core.config.environment import set_library_environment
    from align_core.models.loading import load_policy, load_tokenizer
    from align_core.tasks import load_task

    set_library_environment()
    torch.manual_seed(0)
    tokenizer = load_tokenizer("sft-reviews")
    prompts = sorted(tokenizer(load_task("reviews").prompts("train"))["input_ids"], key=len)
    # Another reference, so that the KL of the first rollout is not 0.
    parts = {**embedded(), "ref_model": load_policy("pretrained")}
    recorded: dict[str, list[Any]] = defaultdict(list)

    def record(name: str, note: Any) -> None:
        function = getattr(ppo_trainer, name)

        def wrapper(*args, **kwargs):
            result = function(*args, **kwargs)
            note(args, result)
            return result

        setattr(ppo_trainer, name, wrapper)

    def response_values(values):
        return values[:, -TOKENS - 1 : -1].squeeze(-1).detach().clone()

    def note_forward(args, result) -> None:
        if isinstance(result, tuple):  # policy and values, in the updates
            recorded["tokens"].append(args[1].clone())
            recorded["values"].append(response_values(result[1]))

    def note_reward(args, result) -> None:
        scored = args[0] is parts["reward_model"]
        recorded["get_reward"].append(result[1] if scored else response_values(result[0]))

    def note_whitened(args, result) -> None:
        recorded["masked_whiten"] += [args[0].clone(), result.clone()]
        recorded[
            "masked_mean"
        ].clear()  # drop the means of the whitening; those of the updates follow

    record("forward", note_forward)
    record("get_reward", note_reward)
    record("masked_whiten", note_whitened)
    record("batch_generation", lambda _, result: recorded["tokens"].append(result[0].clone()))
    record("masked_mean", lambda _, result: recorded["masked_mean"].append(result.item()))
    record(
        "selective_log_softmax",
        lambda _, result: recorded["selective_log_softmax"].append(result.detach().clone()),
    )
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            **SETTINGS,
            "output_dir": folder,
            "seed": 0,
            "per_device_train_batch_size": EPISODES,
            "local_rollout_forward_batch_size": EPISODES,
            "num_ppo_epochs": 3,
            "num_mini_batches": 1,
            "total_episodes": EPISODES,
            "response_length": TOKENS,
            "stop_token": None,
            "kl_coef": BETA,
            "lam": LAM,
            "cliprange": CLIP,
            "cliprange_value": VALUE_CLIP,
            "learning_rate": 1e-3,
            "gradient_checkpointing": False,
            "num_sample_generations": 0,
        }
        trainer = PPOTrainer(
            args=PPOConfig(**settings),
            processing_class=tokenizer,
            train_dataset=Dataset.from_dict({"input_ids": prompts}),
            **parts,
        )
        trainer.train()
    return recorded


def render(results: dict[str, float]) -> str:
    intro = [
        "Written by `python -m benchmarks.ppo_parity` from `benchmarks/ppo_parity.json`: the",
        "largest differences between TRL's formulas and those of `align_core.objectives`, on a",
        f"rollout that TRL made ({EPISODES} responses of {TOKENS} tokens) and its",
        f"three updates; {results['clipped']:.0%} of the tokens were clipped in the last.\n\n",
    ]
    rows = [[name, f"{value:.1e}"] for name, value in results.items() if name != "clipped"]
    return "\n".join(intro) + table(["", "TRL 1.12 and here differ by"], rows)


if __name__ == "__main__":
    main()
