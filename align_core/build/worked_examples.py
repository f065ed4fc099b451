"""Records worked examples of the steps from SFT to the optimum, whose arithmetic the page shows.

The examples are a demonstration, a preference pair, a token of a PPO rollout, two groups of texts,
and texts of the reference for a prompt, with all numbers in their equations. They come from the
embedded models and from two short runs, of DPO and PPO. The same machine always gives the same
numbers.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from typing import Any

import pyarrow.parquet
import torch
import transformers
from datasets import Dataset
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from align_core.build.sharpness import effect, unsharpened
from align_core.config import model_index
from align_core.config.methods import PPO_EPOCHS
from align_core.config.run_config import resolve
from align_core.data.encoding import Prompts, encode, encode_pairs, encode_prompts
from align_core.data.preference_files import stored_pairs
from align_core.models.loading import (
    load_policy,
    load_reward_model,
    load_tokenizer,
    load_trainable,
)
from align_core.models.logprobs import logprobs
from align_core.models.rewards import ProxyReward
from align_core.models.value_model import value_model_of
from align_core.optimum import ReferenceSamples
from align_core.tasks.grammar_task import GrammarTask
from align_core.tasks.loader import grammar_task
from align_core.trainers import dpo
from align_core.trainers.common import QUIET
from align_core.trainers.ppo.build import VALUE_CLIP
from align_core.trainers.ppo.config import PPOConfig
from align_core.trainers.ppo.rollouts import Rollout
from align_core.trainers.ppo.trainer import PPOTrainer
from align_core.training.example_token import example_token

DPO_STEPS, PPO_ROLLOUTS = 40, 4
CLIP = 0.2
SEED = 0
GROUP = 4  # texts of a prompt; the default of RLOO and GRPO
KTO_TEXTS = 64  # as many as in a batch of KTO
# The stored pairs to show: two short texts, one of them obviously better.
PAIRS = {
    "reviews": ("This film never felt", " predictable! I went home singing.", " flat."),
    "capitals": (
        "Name the capital of France.",
        " Paris.",
        " I once sent a postcard to Berlin by mistake, but the capital is Paris.",
    ),
}
# Prompts whose first stored samples differ much ("hard") and little ("easy").
GROUPS = {
    "reviews": {
        "hard": "This drama about a dragon with",
        "easy": "The violins in this western were",
    },
    "capitals": {
        "hard": "Tell me the capital of the Comoros.",
        "easy": "Do you know the capital of Rwanda?",
    },
}
TEXTS = {
    "reviews": (
        "For a thriller with a talking potato, it",
        (" was brilliant.", " was not at all boring.", " was boring."),
    ),
    "capitals": (
        "Quick, what is the capital of Norway?",
        (" Oslo.", " The capital of Norway is Oslo.", " Bergen."),
    ),
}


def record(name: str) -> dict[str, Any]:
    """The worked examples of a task, with log-probabilities and rewards in nats."""
    task = grammar_task(name)
    tokenizer = load_tokenizer(task.reference)
    reference = load_policy(task.reference).requires_grad_(False)
    return {
        "demonstration": demonstration(task, reference, tokenizer),
        "pair": _pair(task, reference, tokenizer),
        "token": _token(task, reference, tokenizer),
        "groups": groups(task, tokenizer),
        "optimum": _optimum(task, reference, tokenizer),
    }


def save(name: str) -> None:
    """Record the worked examples of a task in the assets."""
    path = model_index.worked_example(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(_rounded(record(name)), ensure_ascii=False) + "\n")


def save_demonstration(name: str) -> None:
    """Record a task's demonstration anew, without the other examples, which take training runs."""
    task, path = grammar_task(name), model_index.worked_example(name)
    reference, tokenizer = load_policy(task.reference), load_tokenizer(task.reference)
    examples = json.loads(path.read_text(encoding="utf-8"))
    examples |= _rounded({"demonstration": demonstration(task, reference, tokenizer)})
    path.write_text(json.dumps(examples, ensure_ascii=False) + "\n")


def demonstration(
    task: GrammarTask, reference: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> dict[str, Any]:
    """A demonstration, with its log-probabilities before and after SFT and under the reference, and
    the `effect` of sharpening, which makes SFT's model the reference."""
    chosen = next(
        demonstration
        for demonstration in task.demonstrations(64, SEED)
        if 5 <= len(demonstration["completion"].split()) <= 8
        and task.reward(*([text] for text in demonstration.values()))[0] > 1
    )
    prompt, ids = chosen["prompt"], encode(tokenizer, **chosen)[1]
    before = _logps(load_policy("pretrained"), tokenizer, prompt, [ids])[0]
    after = _logps(unsharpened(task), tokenizer, prompt, [ids])[0]
    sharp = _logps(reference, tokenizer, prompt, [ids])[0]
    names = "text", "before", "logp", "sharpened"
    columns = zip(_texts(tokenizer, ids), before, after, sharp, strict=True)
    return {
        "prompt": prompt,
        "tokens": [dict(zip(names, token, strict=True)) for token in columns],
        "effect": effect(task, tokenizer),
    }


def _pair(
    task: GrammarTask, reference: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> dict[str, Any]:
    """A labelled pair: its rewards and lengths, and its log-probabilities before and after
    DPO_STEPS of DPO; `kl` is KTO's z_0 of that policy, in nats."""
    pool = pyarrow.parquet.read_table(model_index.preference_pool(task.name)).to_pylist()
    sides = "chosen", "rejected"
    pair = next(
        pair
        for pair in pool
        if (pair["prompt"], pair["chosen"], pair["rejected"]) == PAIRS[task.name]
    )
    config = resolve("dpo", task.name)
    assert config.preference_pairs is not None and config.beta is not None  # options of DPO
    trainer = dpo.make_trainer(
        load_trainable(config.model),
        reference,
        tokenizer,
        encode_pairs(tokenizer, stored_pairs(task.name, config.preference_pairs, SEED)),
        beta=config.beta,
        **_arguments(config, DPO_STEPS),
    )
    trainer.train()
    prompt, texts = pair["prompt"], [pair[side] for side in sides]
    ids = [encode(tokenizer, prompt, text)[1] for text in texts]
    proxy = ProxyReward(load_reward_model(task.reward_model), tokenizer)
    columns = zip(
        texts,
        task.reward([prompt] * 2, texts),
        proxy([prompt] * 2, texts, completion_ids=ids),
        map(sum, _logps(trainer.model.eval(), tokenizer, prompt, ids)),
        map(sum, _logps(reference, tokenizer, prompt, ids)),
        map(len, ids),
        strict=True,
    )
    names = "text", "gold_reward", "proxy_reward", "logp", "ref_logp", "length"
    rows = [dict(zip(names, row, strict=True)) for row in columns]
    return {
        "prompt": prompt,
        **dict(zip(sides, rows, strict=True)),
        "steps": DPO_STEPS,
        "beta": config.beta,
        "kl": _kl_of_other_prompts(trainer.model, reference, tokenizer, pool[:KTO_TEXTS]),
    }


@torch.no_grad()
def _kl_of_other_prompts(
    policy: PreTrainedModel,
    reference: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: list[dict[str, Any]],
) -> float:
    """KTO's z_0, at least 0: the mean log(π/π_ref) of chosen texts, each after another pair's
    prompt."""
    texts = [pair["chosen"] for pair in pairs]
    prompts = encode_prompts(tokenizer, [pair["prompt"] for pair in pairs])
    ids = [
        encode(tokenizer, pair["prompt"], text)[1]
        for pair, text in zip(pairs, texts[1:] + texts[:1], strict=True)
    ]
    logps, ref_logps = (torch.cat(logprobs(model, prompts, ids)) for model in (policy, reference))
    return max(0.0, (logps - ref_logps).sum().item() / len(pairs))


def groups(task: GrammarTask, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """The first GROUP stored samples of the reference for each prompt of GROUPS, with their gold
    rewards, rounded to the digits that the page shows."""
    stored = ReferenceSamples.load(model_index.reference_samples(task.name, "probe"))
    entries = {}
    for name, prompt in GROUPS[task.name].items():
        prompt_samples = stored.select([prompt])
        ids = [
            prompt_samples.tokens[0, sample][: prompt_samples.lengths[0, sample]]
            for sample in range(GROUP)
        ]
        texts = [tokenizer.decode(row, skip_special_tokens=True) for row in ids]
        rewards = prompt_samples.rewards[0, :GROUP].round(2).tolist()
        columns = zip(texts, rewards, strict=True)
        rows = [{"text": text, "gold_reward": reward} for text, reward in columns]
        entries[name] = {"prompt": prompt, "texts": rows}
    return entries


def _token(
    task: GrammarTask, reference: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> dict[str, Any]:
    """A token of the last rollout with a clipped ratio, and the text before and after it."""
    config = resolve("ppo", task.name)
    reward_model = load_reward_model(task.reward_model)
    settings = {
        **_arguments(config, PPO_ROLLOUTS * 4),
        "num_ppo_epochs": PPO_EPOCHS,
        "cliprange_value": VALUE_CLIP,
        "num_mini_batches": 2,
        "kl_coef": config.beta,
        "lam": 1.0,
        "cliprange": CLIP,
        "response_length": task.max_new_tokens,
    }
    trainer = PPOTrainer(
        PPOConfig(**settings),
        tokenizer,
        load_trainable(config.model),
        reference,
        ProxyReward(reward_model, tokenizer),
        Dataset.from_dict({"prompt": task.prompts("train")}),
        value_model=value_model_of(reward_model),
    )
    trainer.train()
    assert trainer.latest is not None  # after training
    episodes = len(trainer.latest.episodes.tokens)
    token = example_token(trainer, _clipped_token(trainer, trainer.latest))
    return {**token, "rollouts": PPO_ROLLOUTS, "episodes": episodes}


@torch.no_grad()
def _clipped_token(trainer: PPOTrainer, rollout: Rollout) -> tuple[int, int]:
    """The first token of the rollout that is a whole word of a short text, with a high advantage
    and a clipped ratio: its episode and its position in the text."""
    episodes, advantages, *_ = rollout
    mask, tokenizer = episodes.mask, trainer.processing_class
    ids = [row[real].tolist() for row, real in zip(episodes.tokens, mask, strict=True)]
    prompts = Prompts(episodes.prompt_ids, episodes.prompt_mask)
    new_logp = pad_sequence(logprobs(trainer.policy.eval(), prompts, ids), batch_first=True)
    likelier = (new_logp - episodes.logp).exp() > 1 + CLIP
    moved = (episodes.logp - episodes.ref_logp).abs() > 0.1
    for row, position in (mask & (advantages > 0.3) & likelier & moved).nonzero().tolist():
        word = tokenizer.decode(ids[row][position])
        ended = ids[row][-1] == tokenizer.eos_token_id
        if ended and len(ids[row]) <= 16 and re.fullmatch(r" [A-Za-z]{4,}", word):
            return row, position
    raise LookupError("expected a word with a clipped ratio in the last rollout, got none")


def _optimum(
    task: GrammarTask, reference: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> dict[str, Any]:
    """Some texts for a prompt, with their log-probabilities under the reference and gold rewards.

    `rewards` lists [reward, count] over the stored samples of the prompt; Z is the mean of
    exp(r/β) over these samples.
    """
    prompt, texts = TEXTS[task.name]
    stored = ReferenceSamples.load(model_index.reference_samples(task.name, "probe")).select(
        [prompt]
    )
    ids = [encode(tokenizer, prompt, text)[1] for text in texts]
    columns = zip(
        texts,
        task.reward([prompt] * len(texts), texts),
        map(sum, _logps(reference, tokenizer, prompt, ids)),
        strict=True,
    )
    return {
        "prompt": prompt,
        "texts": [
            {"text": text, "gold_reward": reward, "ref_logp": logp}
            for text, reward, logp in columns
        ],
        "samples": stored.rewards.size,
        "rewards": sorted(Counter(stored.rewards[0].tolist()).items()),
    }


def _arguments(config: Any, updates: int) -> dict[str, Any]:
    """Set the seed; return `TrainingArguments` of a short run at a constant learning rate."""
    transformers.set_seed(SEED)
    return {
        **QUIET,
        "output_dir": tempfile.gettempdir(),  # required, though nothing is saved
        "max_steps": updates,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": "constant",
        "per_device_train_batch_size": config.batch_size,
        "seed": SEED,
    }


@torch.no_grad()
def _logps(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: str, ids: list[list[int]]
) -> list[list[float]]:
    """The log-probabilities of the tokens of some completions of a prompt."""
    prompts = encode_prompts(tokenizer, [prompt]).repeat(len(ids))
    return [logp.tolist() for logp in logprobs(model, prompts, ids)]


def _texts(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> list[str]:
    """Each token as text; the end token is an empty text."""
    return [tokenizer.decode(token, skip_special_tokens=True) for token in ids]


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value
