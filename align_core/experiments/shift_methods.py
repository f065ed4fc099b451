"""The trainings of the experiment `shift`: pairs from elsewhere, and four methods on them."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from align_core.config.run_config import RunConfig, resolve
from align_core.config.task_card import card
from align_core.data.encoding import encode_pairs
from align_core.data.preference_files import read_preferences, stored_pairs
from align_core.experiments import trained_models
from align_core.models.libraries import silence_libraries
from align_core.models.loading import load_policy, load_reward_model, load_tokenizer, save_model
from align_core.models.rewards import ProxyReward, Reward
from align_core.models.sampled_pairs import sampled_pairs
from align_core.runs.events import series
from align_core.tasks import load_task
from align_core.tasks.rater import preference


@dataclass(frozen=True)
class Setting:
    """One run of the experiment: which pairs, how much of what, and where `shared` things are.

    `source` names where the pairs are from; of `half`, those of the groups `covered` alone.
    """

    shared: Path
    source: str
    task: str
    seed: int
    pairs: int
    batch: int
    rollouts: int
    rounds: int
    beta: float
    covered: Sequence[str]

    @property
    def reference(self) -> str:
        return card(self.task).reference

    @property
    def pairs_file(self) -> Path:
        return self.shared / "pairs" / f"{self.source}-{self.seed}.jsonl"

    @property
    def reward_model(self) -> Path:
        return self.shared / "reward" / f"{self.source}-{self.seed}"


def pairs_of(setting: Setting) -> list[dict]:
    """The setting's pairs, labelled by the task's rater; those of which a text was cut are left
    out, for a file of preferences does not tell."""
    silence_libraries()
    source, task, count, seed = setting.source, setting.task, setting.pairs, setting.seed
    if source == "pretrained":
        tokenizer, policy = load_tokenizer(source), load_policy(source)
        pairs = sampled_pairs(policy, tokenizer, load_task(task), 2 * count, seed)
    else:
        pairs = stored_pairs(task, 3 * count, seed)
    if source == "half":
        group = load_task(task).group
        pairs = [pair for pair in pairs if group(pair["prompt"]) in setting.covered]
    if source == "shouted":  # the gold reward hardly minds
        shouted = ("chosen", "rejected")
        pairs = [pair | {side: pair[side].replace(".", "!") for side in shouted} for pair in pairs]
    whole = [pair for pair in pairs if pair["chosen_ended"] and pair["rejected_ended"]]
    differing = [pair for pair in whole if pair["chosen"] != pair["rejected"]]
    return differing[:count]


def reward(setting: Setting) -> dict[str, float]:
    """Stores the pairs and a reward model of them; its accuracy on the reference's own texts."""
    chosen = pairs_of(setting)
    _write(setting.pairs_file, chosen)
    steps = math.ceil(len(chosen) / resolve("reward", setting.task).batch_size)
    preferences, seed = str(setting.pairs_file), setting.seed
    config = resolve("reward", setting.task, preferences=preferences, steps=steps, seed=seed)
    with trained_models.trained(config) as run:
        model, tokenizer = load_reward_model(str(run.path)), load_tokenizer(str(run.path))
        save_model(model, tokenizer, setting.reward_model)
        accuracy = series(run.events()[0])["eval/accuracy"][-1][1]
    return {"accuracy": accuracy, "pairs": len(chosen)}


def ppo(setting: Setting) -> dict[str, float]:
    """PPO on the reward model of these pairs."""
    config = resolve(
        "ppo",
        setting.task,
        beta=setting.beta,
        steps=setting.rollouts,
        eval_every=setting.rollouts,
        reward_model=str(setting.reward_model),
        seed=setting.seed,
    )
    return _earned(config, setting)


def dpo(setting: Setting) -> dict[str, float]:
    """DPO, once over the pairs."""
    return _earned(_dpo(setting, setting.pairs_file), setting)


def sft_dpo(setting: Setting) -> dict[str, float]:
    """The same from a model that was first fine-tuned on the chosen texts, which is then its
    reference; it is measured against the first one."""
    pairs = read_preferences(setting.pairs_file)
    steps = max(1, len(pairs) // setting.batch)
    policy, _ = trained_models.train_on_likelihood(
        setting.task, pairs, 0.0, steps=steps, every=steps, seed=setting.seed
    )
    folder = setting.shared / "sft" / f"{setting.source}-{setting.seed}"
    save_model(policy, load_tokenizer(setting.reference), folder)
    return _earned(_dpo(setting, setting.pairs_file, model=str(folder)), setting)


def iterated(setting: Setting) -> dict[str, float]:
    """Rounds of DPO on the policy's own samples, labelled by the reward model of these pairs.

    A round begins from the policy of the one before, which is its reference.
    """
    silence_libraries()
    task, start, rounds = load_task(setting.task), setting.reference, setting.rounds
    tokenizer = load_tokenizer(start)
    proxy = ProxyReward(load_reward_model(str(setting.reward_model)), tokenizer)
    folder = setting.shared / "iterated" / f"{setting.source}-{setting.seed}"
    for turn in range(rounds):
        policy, chance = load_policy(start), setting.seed * 100 + turn
        own = sampled_pairs(policy, tokenizer, task, setting.pairs // rounds, chance)
        whole = [pair for pair in own if pair["chosen_ended"] and pair["rejected_ended"]]
        pairs = folder.with_name(f"{folder.name}-{turn}.jsonl")
        _write(pairs, labelled(proxy, tokenizer, whole, chance))
        with trained_models.trained(_dpo(setting, pairs, model=start)) as run:
            policy = load_policy(str(run.model_path))
        start = str(folder)
        save_model(policy, tokenizer, folder)
    return _measured(load_policy(start), setting)


METHODS: dict[str, Callable[[Setting], dict[str, Any]]] = {
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
        if chance.random() >= preference(first - second):
            texts = texts[::-1]
        found.append({"prompt": pair["prompt"], "chosen": texts[0], "rejected": texts[1]})
    return found


def _dpo(setting: Setting, pairs: Path, **model: str) -> RunConfig:
    steps = max(1, len(read_preferences(pairs)) // setting.batch)
    return resolve(
        "dpo",
        setting.task,
        beta=setting.beta,
        preferences=str(pairs),
        batch_size=setting.batch,
        steps=steps,
        eval_every=steps,
        seed=setting.seed,
        **model,
    )


def _earned(config: RunConfig, setting: Setting) -> dict[str, float]:
    with trained_models.trained(config) as run:
        return _measured(load_policy(str(run.model_path)), setting)


def _measured(policy: PreTrainedModel, setting: Setting) -> dict[str, float]:
    """Gold reward above the reference's, KL, gain; for capitals also by coverage."""
    evaluator = trained_models.probe_evaluator(setting.task, setting.seed)
    found = evaluator(policy)
    metrics = evaluator.metrics(found)
    more = found.policy.gold - found.reference.gold
    numbers = {
        "more": more.mean().item(),
        "kl": metrics["eval/kl"],
        "gain": metrics["eval/gain"],
        "efficiency": metrics["eval/frontier_efficiency"],
    }
    if setting.task == "capitals":
        group = load_task(setting.task).group
        covered = torch.tensor(
            [group(prompt) in setting.covered for prompt in found.policy.prompts]
        )
        numbers["covered"] = more[covered].mean().item()
        numbers["others"] = more[~covered].mean().item()
    return numbers


def _write(path: Path, pairs: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = ("prompt", "chosen", "rejected")
    lines = (json.dumps({name: pair[name] for name in columns}) for pair in pairs)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
