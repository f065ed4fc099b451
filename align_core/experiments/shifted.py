"""The trainings of the experiment `shift`: pairs from elsewhere, and four methods on them."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from align_core.config.run_config import RunConfig, resolve
from align_core.config.task_card import card
from align_core.data.encoding import encode_pairs
from align_core.data.preference_files import read_preferences, stored_pairs
from align_core.experiments import language_models
from align_core.experiments.shift import BETA, COVERED
from align_core.models.libraries import quieten_libraries
from align_core.models.loading import load_policy, load_reward_model, load_tokenizer, save_model
from align_core.models.rewards import ProxyReward, Reward
from align_core.models.sampled_pairs import sampled_pairs
from align_core.runs.events import series
from align_core.tasks import load_task


def pairs_of(source: str, task: str, count: int, seed: int) -> list[dict]:
    """So many pairs, labelled by the task's rater; those of which a text was cut are left out, for
    a file of preferences does not tell."""
    quieten_libraries()
    if source == "pretrained":
        tokenizer, policy = load_tokenizer(source), load_policy(source)
        pairs = sampled_pairs(policy, tokenizer, load_task(task), 2 * count, seed)
    else:
        pairs = stored_pairs(task, 3 * count, seed)
    if source == "half":
        pairs = [pair for pair in pairs if load_task(task).group(pair["prompt"]) in COVERED]
    if source == "shouted":  # the gold reward hardly minds
        shouted = ("chosen", "rejected")
        pairs = [pair | {side: pair[side].replace(".", "!") for side in shouted} for pair in pairs]
    whole = [pair for pair in pairs if pair["chosen_ended"] and pair["rejected_ended"]]
    differing = [pair for pair in whole if pair["chosen"] != pair["rejected"]]
    return differing[:count]


def reward(
    shared: Path, source: str, task: str, seed: int, pairs: int, **_: Any
) -> dict[str, float]:
    """Stores the pairs and a reward model of them; its accuracy on the reference's own texts."""
    chosen = pairs_of(source, task, pairs, seed)
    _write(_pairs(shared, source, seed), chosen)
    steps = math.ceil(len(chosen) / resolve("reward", task).batch_size)
    config = resolve(
        "reward", task, preferences=str(_pairs(shared, source, seed)), steps=steps, seed=seed
    )
    with language_models.trained(config) as run:
        model, tokenizer = load_reward_model(str(run.path)), load_tokenizer(str(run.path))
        save_model(model, tokenizer, _model(shared, source, seed))
        accuracy = series(run.events()[0])["eval/accuracy"][-1][1]
    return {"accuracy": accuracy, "pairs": len(chosen)}


def ppo(
    shared: Path, source: str, task: str, seed: int, rollouts: int, **_: Any
) -> dict[str, float]:
    """PPO on the reward model of these pairs."""
    config = resolve(
        "ppo",
        task,
        beta=BETA,
        steps=rollouts,
        eval_every=rollouts,
        reward_model=str(_model(shared, source, seed)),
        seed=seed,
    )
    return _earned(config, task, seed)


def dpo(shared: Path, source: str, task: str, seed: int, batch: int, **_: Any) -> dict[str, float]:
    """DPO, once over the pairs."""
    return _earned(_dpo(_pairs(shared, source, seed), task, batch, seed), task, seed)


def sft_dpo(
    shared: Path, source: str, task: str, seed: int, batch: int, **_: Any
) -> dict[str, float]:
    """The same from a model that was first fine-tuned on the chosen texts, which is then its
    reference; it is measured against the first one."""
    path = _pairs(shared, source, seed)
    pairs = read_preferences(path)
    steps = max(1, len(pairs) // batch)
    policy, _ = language_models.train_on_likelihood(
        task, pairs, 0.0, steps=steps, every=steps, seed=seed
    )
    folder = shared / "sft" / f"{source}-{seed}"
    save_model(policy, load_tokenizer(card(task).reference), folder)
    return _earned(_dpo(path, task, batch, seed, model=str(folder)), task, seed)


def iterated(
    shared: Path,
    source: str,
    task: str,
    seed: int,
    pairs: int,
    batch: int,
    rounds: int,
    **_: Any,
) -> dict[str, float]:
    """Rounds of DPO on the policy's own samples, labelled by the reward model of these pairs.

    A round begins from the policy of the one before, which is its reference.
    """
    quieten_libraries()
    tokenizer = load_tokenizer(card(task).reference)
    proxy = ProxyReward(load_reward_model(str(_model(shared, source, seed))), tokenizer)
    start = card(task).reference
    for turn in range(rounds):
        policy, chance = load_policy(start), seed * 100 + turn
        own = sampled_pairs(policy, tokenizer, load_task(task), pairs // rounds, chance)
        whole = [pair for pair in own if pair["chosen_ended"] and pair["rejected_ended"]]
        path = shared / "iterated" / f"{source}-{seed}-{turn}.jsonl"
        _write(path, labelled(proxy, tokenizer, whole, chance))
        with language_models.trained(_dpo(path, task, batch, seed, model=start)) as run:
            policy = load_policy(str(run.model_path))
        start = str(shared / "iterated" / f"{source}-{seed}")
        save_model(policy, tokenizer, Path(start))
    return _measured(load_policy(start), task, seed)


METHODS: dict[str, Callable[..., dict[str, Any]]] = {
    "reward": reward,
    "ppo": ppo,
    "dpo": dpo,
    "sft-dpo": sft_dpo,
    "iterated": iterated,
}


def labelled(
    proxy: Reward, tokenizer: PreTrainedTokenizerBase, pairs: list[dict], seed: int
) -> list[dict]:
    """The pairs as raters would label them whose reward is the reward model's: σ(Δr)."""
    encoded = encode_pairs(tokenizer, pairs)
    prompts = [pair["prompt"] for pair in pairs]
    scores = [
        proxy(prompts, [pair[side] for pair in pairs], completion_ids=encoded[f"{side}_ids"])
        for side in ("chosen", "rejected")
    ]
    chance = random.Random(seed)
    found = []
    for pair, first, second in zip(pairs, *scores, strict=True):
        texts = pair["chosen"], pair["rejected"]
        if chance.random() >= torch.sigmoid(torch.tensor(first - second)).item():
            texts = texts[::-1]
        found.append({"prompt": pair["prompt"], "chosen": texts[0], "rejected": texts[1]})
    return found


def _dpo(pairs: Path, task: str, batch: int, seed: int, **model: str) -> RunConfig:
    steps = max(1, len(read_preferences(pairs)) // batch)
    return resolve(
        "dpo",
        task,
        beta=BETA,
        preferences=str(pairs),
        batch_size=batch,
        steps=steps,
        eval_every=steps,
        seed=seed,
        **model,
    )


def _earned(config: RunConfig, task: str, seed: int) -> dict[str, float]:
    with language_models.trained(config) as run:
        return _measured(load_policy(str(run.model_path)), task, seed)


def _measured(policy: PreTrainedModel, task: str, seed: int) -> dict[str, float]:
    """Gold reward above the reference's, KL, gain; for capitals also by coverage."""
    evaluator = language_models.probe_evaluator(task, seed)
    found = evaluator(policy)
    metrics = evaluator.metrics(found)
    more = found.policy.gold - found.reference.gold
    numbers = {
        "more": more.mean().item(),
        "kl": metrics["eval/kl"],
        "gain": metrics["eval/gain"],
        "efficiency": metrics["eval/frontier_efficiency"],
    }
    if task == "capitals":
        groups = [load_task(task).group(prompt) in COVERED for prompt in found.policy.prompts]
        covered = torch.tensor(groups)
        numbers["covered"] = more[covered].mean().item()
        numbers["others"] = more[~covered].mean().item()
    return numbers


def _pairs(shared: Path, source: str, seed: int) -> Path:
    return shared / "pairs" / f"{source}-{seed}.jsonl"


def _model(shared: Path, source: str, seed: int) -> Path:
    return shared / "reward" / f"{source}-{seed}"


def _write(path: Path, pairs: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = ("prompt", "chosen", "rejected")
    lines = (json.dumps({name: pair[name] for name in columns}) for pair in pairs)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
