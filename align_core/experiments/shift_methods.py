"""The runs of the experiment `shift`: pairs of each source, and four methods trained on them."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from align_core.config.run_config import RunConfig, resolve
from align_core.config.task_card import known_card
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
    """The settings of a run.

    `shared` is the folder of files that runs share. `source` is a key of `shift.SOURCES`; the
    source "half" has only pairs of the groups `covered`. A quick run has other options of its
    evaluations and of the rollouts of PPO.
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
    evaluation: Mapping[str, int] = field(default_factory=dict)
    rollout: Mapping[str, int] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        reference = known_card(self.task).reference
        assert reference is not None, "a built-in task has one"
        return reference

    @property
    def pairs_file(self) -> Path:
        return self.shared / "pairs" / f"{self.source}-{self.seed}.jsonl"

    @property
    def reward_model(self) -> Path:
        return self.shared / "reward" / f"{self.source}-{self.seed}"


def pairs_of(setting: Setting) -> list[dict]:
    """The setting's pairs, labelled by the task's rater.

    Pairs with a text cut at the token limit are left out: the files of pairs that are written here
    do not record the cut.
    """
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
    if source == "shouted":  # the gold reward changes little
        shouted = ("chosen", "rejected")
        pairs = [pair | {side: pair[side].replace(".", "!") for side in shouted} for pair in pairs]
    ended = [pair for pair in pairs if pair["chosen_ended"] and pair["rejected_ended"]]
    distinct = [pair for pair in ended if pair["chosen"] != pair["rejected"]]
    return distinct[:count]


def reward(setting: Setting) -> dict[str, float]:
    """Store the pairs and a reward model trained on them; returns its accuracy on the reference's
    texts, and the number of pairs."""
    pairs = pairs_of(setting)
    _write(setting.pairs_file, pairs)
    steps = math.ceil(len(pairs) / resolve("reward", setting.task).batch_size)
    preferences, seed = str(setting.pairs_file), setting.seed
    config = resolve(
        "reward",
        setting.task,
        preferences=preferences,
        steps=steps,
        seed=seed,
        **setting.evaluation,
    )
    with trained_models.trained(config) as run:
        model, tokenizer = load_reward_model(str(run.path)), load_tokenizer(str(run.path))
        save_model(model, tokenizer, setting.reward_model)
        accuracy = series(run.events()[0])["eval/accuracy"][-1][1]
    return {"accuracy": accuracy, "pairs": len(pairs)}


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
        **setting.evaluation,
        **setting.rollout,
    )
    return _train_and_measure(config, setting)


def dpo(setting: Setting) -> dict[str, float]:
    """DPO, one pass over the pairs."""
    return _train_and_measure(_dpo(setting, setting.pairs_file), setting)


def sft_dpo(setting: Setting) -> dict[str, float]:
    """SFT on the chosen texts, then DPO with the fine-tuned model as its reference. The policy is
    evaluated against the original reference."""
    pairs = read_preferences(setting.pairs_file)
    steps = max(1, len(pairs) // setting.batch)
    policy, _ = trained_models.train_on_likelihood(
        setting.task, pairs, 0.0, steps=steps, every=steps, seed=setting.seed, **setting.evaluation
    )
    folder = setting.shared / "sft" / f"{setting.source}-{setting.seed}"
    save_model(policy, load_tokenizer(setting.reference), folder)
    return _train_and_measure(_dpo(setting, setting.pairs_file, model=str(folder)), setting)


def iterated(setting: Setting) -> dict[str, float]:
    """Rounds of DPO on the policy's own samples, labelled by the reward model of these pairs.

    A round starts from the policy of the previous one, which is its reference.
    """
    silence_libraries()
    task, start, rounds = load_task(setting.task), setting.reference, setting.rounds
    tokenizer = load_tokenizer(start)
    proxy = ProxyReward(load_reward_model(str(setting.reward_model)), tokenizer)
    folder = setting.shared / "iterated" / f"{setting.source}-{setting.seed}"
    for number in range(rounds):
        policy, seed = load_policy(start), setting.seed * 100 + number
        sampled = sampled_pairs(policy, tokenizer, task, setting.pairs // rounds, seed)
        ended = [pair for pair in sampled if pair["chosen_ended"] and pair["rejected_ended"]]
        pairs = folder.with_name(f"{folder.name}-{number}.jsonl")
        _write(pairs, labelled(proxy, tokenizer, ended, seed))
        with trained_models.trained(_dpo(setting, pairs, model=start)) as run:
            policy = load_policy(str(run.model_path))
        start = str(folder)
        save_model(policy, tokenizer, folder)
    return _measure(load_policy(start), setting)


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
    """The pairs, with the chosen text drawn anew, by σ(Δr) on the reward model's scores."""
    encoded = encode_pairs(tokenizer, pairs)
    prompts = [pair["prompt"] for pair in pairs]
    scores = [
        proxy(prompts, [pair[side] for pair in pairs], completion_ids=encoded[f"{side}_ids"])
        for side in ("chosen", "rejected")
    ]
    rng = random.Random(seed)
    rows = []
    for pair, first, second in zip(pairs, *scores, strict=True):
        texts = pair["chosen"], pair["rejected"]
        if rng.random() >= preference(first - second):
            texts = texts[::-1]
        rows.append({"prompt": pair["prompt"], "chosen": texts[0], "rejected": texts[1]})
    return rows


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
        **setting.evaluation,
        **model,
    )


def _train_and_measure(config: RunConfig, setting: Setting) -> dict[str, float]:
    with trained_models.trained(config) as run:
        return _measure(load_policy(str(run.model_path)), setting)


def _measure(policy: PreTrainedModel, setting: Setting) -> dict[str, float]:
    """Gold reward minus that of the reference, as `more`, KL, gain and efficiency; for capitals
    also `more` on the covered and on the other prompts."""
    evaluator = trained_models.probe_evaluator(setting.task, setting.seed, **setting.evaluation)
    evaluation = evaluator(policy)
    metrics = evaluator.metrics(evaluation)
    more = evaluation.policy.gold - evaluation.reference.gold
    numbers = {
        "more": more.mean().item(),
        "kl": metrics["eval/kl"],
        "gain": metrics["eval/gain"],
        "efficiency": metrics["eval/frontier_efficiency"],
    }
    if setting.task == "capitals":
        group = load_task(setting.task).group
        covered = torch.tensor(
            [group(prompt) in setting.covered for prompt in evaluation.policy.prompts]
        )
        numbers["covered"] = more[covered].mean().item()
        numbers["others"] = more[~covered].mean().item()
    return numbers


def _write(path: Path, pairs: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = ("prompt", "chosen", "rejected")
    lines = (json.dumps({name: pair[name] for name in columns}) for pair in pairs)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
