"""Builds all embedded models and data from the tasks' grammars.

The tasks `reviews` and `capitals` share a tokenizer and a pretrained model. Each task has an SFT
model, its samples on the probe and held-out prompts with their gold rewards, a labelled pool of
preference pairs, and a reward model. `capitals` has a second reward model, trained on few pairs,
which PPO over-optimises; `reviews` has a second one, trained on pairs of the pretrained model. All
builds on the same machine write identical files.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import transformers
from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    DataCollatorForSeq2Seq,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
)

from align_core.build import worked_examples
from align_core.build.sharpness import sharpen
from align_core.config import model_index
from align_core.config.run_config import resolve
from align_core.config.task_card import BUILT_IN, known_card
from align_core.data.encoding import encode_demonstrations, encode_pairs
from align_core.data.preference_files import stored_pairs
from align_core.evaluation.reference_samples import sample_reference
from align_core.models.libraries import silence_libraries
from align_core.models.loading import (
    load_policy,
    load_reward_model,
    load_tokenizer,
    new_reward_model,
    save_model,
)
from align_core.models.sampled_pairs import sampled_pairs, with_reference_logps
from align_core.runs.control import Control
from align_core.runs.directory import RunDirectory
from align_core.tasks.grammar_task import GrammarTask
from align_core.tasks.loader import grammar_task
from align_core.trainers import reward, sft
from align_core.trainers.common import QUIET, FiniteTraining, LengthBatches
from align_core.training.run import run as execute

END, PAD = "<|end|>", "<|pad|>"
VOCABULARY = 1024
WHOLE_WORDS = 680  # the most frequent words, which are single tokens
ARCHITECTURE = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 128,
}

DOCUMENTS = {"reviews": 72_000, "capitals": 48_000}  # the language of reviews is richer
# Many small updates: with few large ones, a model of this size learns only single words.
PRETRAINING = {
    "max_steps": 12_000,
    "learning_rate": 3e-3,
    "per_device_train_batch_size": 32,
    "adam_beta2": 0.98,
    "warmup_steps": 200,
}
FINE_TUNING_STEPS, FINE_TUNING_BATCH = 600, 64
FINE_TUNING = {
    "max_steps": FINE_TUNING_STEPS,
    "learning_rate": 1e-3,
    "per_device_train_batch_size": FINE_TUNING_BATCH,
}
REWARD_MODEL = {"max_steps": 300, "learning_rate": 1e-3, "per_device_train_batch_size": 64}
SCHEDULE = {
    "lr_scheduler_type": "cosine",
    "warmup_steps": 50,
    "weight_decay": 0.01,
    "disable_tqdm": False,
    "logging_steps": 100,
}

REFERENCE_SAMPLES = 1536
POOL = 16_000
# The fewest pairs with which PPO over-optimises for every seed (benchmarks/few_pairs.json).
FEW_PAIRS = {"capitals": 1024}
# Pairs of the pretrained model's texts, as many as in the default DPO run.
OFF_DISTRIBUTION_PAIRS = {"reviews": 4000}
SEED = 0


def build() -> None:
    """Write every asset, replacing the old ones. It takes minutes on two cores."""
    silence_libraries()
    folder = model_index.ASSETS
    clock = time.monotonic()
    tasks = [grammar_task(name) for name in BUILT_IN]
    facts: dict[str, dict] = {}

    documents = [text for task in tasks for text in task.corpus(DOCUMENTS[task.name], SEED)]
    random.Random(SEED).shuffle(documents)
    tokenizer = train_tokenizer(documents)
    pretrained = pretrain(tokenizer, documents)
    save_model(pretrained, tokenizer, folder / "models" / "pretrained")
    facts["pretrained"] = {"parameters": sum(p.numel() for p in pretrained.parameters())}
    print(f"pretrained: {facts['pretrained']} ({time.monotonic() - clock:.0f} s)")

    for task in tasks:
        policy = fine_tune(task)
        save_model(policy, tokenizer, folder / "models" / task.reference)
        facts[task.reference] = store_references(task, policy, tokenizer, folder)
        print(f"{task.reference}: {facts[task.reference]} ({time.monotonic() - clock:.0f} s)")
        pairs = sampled_pairs(policy, tokenizer, task, POOL, SEED)
        pairs = with_reference_logps(pairs, policy, tokenizer)
        pool = folder / "preferences" / f"{task.name}.parquet"
        pool.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(pairs), pool, compression="zstd")
        model = train_reward_model(task, tokenizer)
        save_model(model, tokenizer, folder / "models" / task.reward_model)
        worked_examples.save(task.name)
        print(f"{task.reward_model} ({time.monotonic() - clock:.0f} s)")
    for name, count in FEW_PAIRS.items():
        train_variant(
            name, folder / "models" / f"{known_card(name).reward_model}-few", preference_pairs=count
        )
    for name, count in OFF_DISTRIBUTION_PAIRS.items():
        options = {"preference_pairs": count, "pair_source": "pretrained"}
        train_variant(name, folder / "models" / f"{known_card(name).reward_model}-off", **options)
    (folder / "facts.json").write_text(json.dumps(facts, indent=2) + "\n")


def train_tokenizer(documents: list[str]) -> PreTrainedTokenizerFast:
    """Byte-level BPE with the most frequent words as tokens, and merges learnt from the others.

    Learnt merges alone would fill the vocabulary with parts of words. Text with other words can
    still be encoded, by its bytes.
    """
    splitter = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rows = [[word for word, _ in splitter.pre_tokenize_str(text)] for text in documents]
    counts = Counter(word for row in rows for word in row if len(word) > 1)
    whole_words = dict(counts.most_common(WHOLE_WORDS))

    learner, decoder = Tokenizer(models.BPE()), decoders.ByteLevel()
    learner.pre_tokenizer = splitter
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(whole_words),
        special_tokens=[END, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    others = (decoder.decode([word for word in row if word not in whole_words]) for row in rows)
    learner.train_from_iterator(others, trainer)

    learnt = json.loads(learner.to_str())["model"]
    vocabulary = learnt["vocab"]
    for word in whole_words:
        vocabulary.setdefault(word, len(vocabulary))
    merges = [tuple(pair) for pair in learnt["merges"]]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=True))
    tokenizer.pre_tokenizer, tokenizer.decoder = splitter, decoder
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        padding_side="left",
        model_max_length=ARCHITECTURE["max_position_embeddings"],
        clean_up_tokenization_spaces=False,
    )


def pretrain(tokenizer: PreTrainedTokenizerBase, documents: list[str]) -> PreTrainedModel:
    """Train a language model on the corpora of both tasks."""
    transformers.set_seed(SEED)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            **ARCHITECTURE,
        )
    )
    ids = [row + [tokenizer.eos_token_id] for row in tokenizer(documents)["input_ids"]]
    with tempfile.TemporaryDirectory() as scratch:
        trainer = Pretrainer(
            model,
            args=TrainingArguments(
                output_dir=scratch, seed=SEED, **{**QUIET, **SCHEDULE, **PRETRAINING}
            ),
            train_dataset=Dataset.from_dict({"input_ids": ids, "labels": ids}),
            data_collator=DataCollatorForSeq2Seq(tokenizer, model),
        )
        trainer.train()
    return model.eval()


class Pretrainer(LengthBatches, FiniteTraining, Trainer):
    """Trainer on complete texts, with the mean cross-entropy over all tokens."""


def fine_tune(task: GrammarTask) -> PreTrainedModel:
    """Train the task's reference by SFT, so that it answers and ends its texts, and sharpen it."""
    tokenizer = load_tokenizer("pretrained")
    count = FINE_TUNING_STEPS * FINE_TUNING_BATCH
    demonstrations = encode_demonstrations(tokenizer, task.demonstrations(count, SEED))
    model = load_policy("pretrained")
    return sharpen(_train(sft.build, model, tokenizer, demonstrations, FINE_TUNING))


def train_reward_model(task: GrammarTask, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """Train a reward model on the whole pool by Bradley-Terry."""
    pairs = encode_pairs(tokenizer, stored_pairs(task.name, POOL, SEED))
    model = new_reward_model(task.reference, SEED)
    return _train(reward.build, model, tokenizer, pairs, REWARD_MODEL)


def train_variant(task: str, folder: Path, **options: Any) -> None:
    """Train the task's default reward model with these `options`; write it to `folder`."""
    config = resolve("reward", task, seed=SEED, **options)
    with tempfile.TemporaryDirectory() as scratch:
        run = RunDirectory.create(Path(scratch) / "run", config)
        execute(config, run, Control())
        run.close()
        save_model(load_reward_model(str(run.path)), load_tokenizer(str(run.path)), folder)


def store_references(
    task: GrammarTask, policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path
) -> dict[str, float]:
    """Store scored samples of the reference; returns their statistics.

    `fluent` is the share of texts that end by themselves and parse, `length` is in tokens, and the
    rewards are in nats.
    """
    (folder / "reference").mkdir(parents=True, exist_ok=True)
    fluent = []
    for split in ("probe", "heldout"):
        prompts = task.prompts(split)
        stored = sample_reference(
            task, policy, tokenizer, prompts, REFERENCE_SAMPLES, SEED + len(prompts)
        )
        stored.save(folder / "reference" / f"{task.name}-{split}.npz")
        for row, prompt in enumerate(prompts):
            for n in range(64):
                ids = stored.tokens[row, n, : stored.lengths[row, n]]
                text = tokenizer.decode(ids.tolist(), skip_special_tokens=True)
                fluent.append(bool(stored.ended[row, n]) and task.parses(prompt, text))
    return {
        "fluent": float(np.mean(fluent)),
        "reward_mean": float(stored.rewards.mean()),
        "reward_std": float(stored.rewards.std()),
        "length": float(stored.lengths.mean()),
    }


def _train(
    make: Callable, model: PreTrainedModel, tokenizer: Any, data: Dataset, settings: dict
) -> PreTrainedModel:
    with tempfile.TemporaryDirectory() as scratch:
        trainer = make(
            model, tokenizer, data, output_dir=scratch, seed=SEED, **{**SCHEDULE, **settings}
        )
        trainer.train()
    return trainer.model.eval()
