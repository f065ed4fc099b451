"""Whether the formulas of PPO here are those of TRL 1.12, on a rollout that TRL made.

    python -m benchmarks.ppo_parity            run TRL, compare, write results and docs/ppo.md
    python -m benchmarks.ppo_parity --render   write docs/ppo.md from the stored results

TRL trains one rollout of full-length responses, where both place the score at the same token. What
goes into its formulas and what comes out is noted on the way, and put through `objectives`.
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
    given = parser.parse_args()
    if not given.render:
        install_peer()
        RESULTS.write_text(json.dumps(compare(), indent=1) + "\n")
    text = render(json.loads(RESULTS.read_text()))
    write_section(PAGE, "parity", text)
    print(text)


def compare() -> dict[str, float]:
    """The largest difference of each quantity, over all episodes, tokens and minibatches."""
    import torch

    from align_core import objectives

    seen = _run_of_trl()
    logp, ref_logp, *later = seen["selective_log_softmax"]
    values, scores = seen["get_reward"]
    mask = torch.ones_like(logp, dtype=torch.bool)
    kl = objectives.kl_estimate(logp, ref_logp)
    rewards = objectives.token_rewards(scores, kl, mask, BETA)
    advantages, returns = objectives.gae(rewards, values, mask, 1.0, LAM)
    whitened = objectives.masked_whiten(advantages, mask)
    bessel = (1 - 1 / advantages.numel()) ** 0.5  # TRL divides by N − 1
    found = {
        "advantages": _apart(advantages, seen["masked_whiten"][0]),
        "whitened advantages, but for N − 1": _apart(whitened * bessel, seen["masked_whiten"][1]),
    }
    # Each minibatch is all episodes, in an order of its own; means do not see the order.
    order = [_order(seen["tokens"][0], again) for again in seen["tokens"][1:]]
    names = "value loss", "value clip fraction", "policy loss", "policy clip fraction"
    differences = defaultdict(list)
    for epoch, (rows, again, new_values) in enumerate(
        zip(order, later, seen["values"], strict=True)
    ):
        policy_losses, clipped = objectives.ppo_policy_loss(
            again, logp[rows], whitened[rows] * bessel, CLIP
        )
        value_losses, value_clipped = objectives.ppo_value_loss(
            new_values, values[rows], returns[rows], VALUE_CLIP
        )
        ours = value_losses, value_clipped, policy_losses, clipped
        theirs = seen["masked_mean"][4 * epoch : 4 * epoch + 4]
        scale = 0.5, 1, 1, 1  # TRL halves the value loss after the mean
        for name, our, their, by in zip(names, ours, theirs, scale, strict=True):
            differences[name].append(abs(our.double().mean().item() - by * their))
    found |= {name: max(differences[name]) for name in names}
    assert max(found.values()) < 1e-5, found
    return {**found, "clipped": seen["masked_mean"][-1]}


def _apart(ours, theirs) -> float:
    return (ours - theirs).abs().max().item()


def _order(rows, again) -> list[int]:
    """Where each row of `again` stands in `rows`."""
    place = {tuple(row): i for i, row in enumerate(rows.tolist())}
    return [place[tuple(row)] for row in again.tolist()]


def _run_of_trl() -> dict[str, list[Any]]:
    """One rollout and its updates by TRL; what its functions were given and gave."""
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
    parts = {**embedded(), "ref_model": load_policy("pretrained")}  # a KL from the first rollout
    seen: dict[str, list[Any]] = defaultdict(list)

    def noting(name: str, note: Any) -> None:
        function = getattr(ppo_trainer, name)

        def noted(*args, **kwargs):
            result = function(*args, **kwargs)
            note(args, result)
            return result

        setattr(ppo_trainer, name, noted)

    def response_values(of_all):
        return of_all[:, -TOKENS - 1 : -1].squeeze(-1).detach().clone()

    def note_forward(args, result) -> None:
        if isinstance(result, tuple):  # policy and values, in the updates
            seen["tokens"].append(args[1].clone())
            seen["values"].append(response_values(result[1]))

    def note_reward(args, result) -> None:
        scored = args[0] is parts["reward_model"]
        seen["get_reward"].append(result[1] if scored else response_values(result[0]))

    def note_whitened(args, result) -> None:
        seen["masked_whiten"] += [args[0].clone(), result.clone()]
        seen["masked_mean"].clear()  # it took means itself; those of the updates follow

    noting("forward", note_forward)
    noting("get_reward", note_reward)
    noting("masked_whiten", note_whitened)
    noting("batch_generation", lambda _, result: seen["tokens"].append(result[0].clone()))
    noting("masked_mean", lambda _, result: seen["masked_mean"].append(result.item()))
    noting(
        "selective_log_softmax",
        lambda _, result: seen["selective_log_softmax"].append(result.detach().clone()),
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
    return seen


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
