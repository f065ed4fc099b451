"""Forms of data, collators and new adapters of scripts: each is read as the plain one is."""

from __future__ import annotations

import numpy as np
import pandas
import pytest
import torch
from datasets import Dataset, concatenate_datasets
from peft import AutoPeftModelForCausalLM, IA3Config, LoHaConfig, LoraConfig, VeraConfig
from torch.utils.data import Subset
from transformers import (
    DataCollatorForLanguageModeling,
    DataCollatorForSeq2Seq,
    DataCollatorWithPadding,
)

from align_core.data.encoding import Prompts
from align_core.models.loading import save_model
from tests import toy
from tests.ports.ported import PROMPTS, history, rows, trained

IDS = toy.tokenizer()(PROMPTS)["input_ids"]


class MapStyle(torch.utils.data.Dataset):
    """A data set of tensors, as of PyTorch."""

    def __len__(self) -> int:
        return len(IDS)

    def __getitem__(self, row: int) -> dict:
        ids = torch.tensor(IDS[row])
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def padded() -> Dataset:
    columns = toy.tokenizer()(PROMPTS, padding="max_length", max_length=16)
    return rows(**{name: columns[name] for name in ("input_ids", "attention_mask")})


FORMS = {
    "tensors": lambda: rows(input_ids=IDS).with_format("torch"),
    "arrays": lambda: rows(input_ids=IDS).with_format("numpy"),
    "a list": lambda: [{"input_ids": ids} for ids in IDS],
    "of PyTorch": MapStyle,
    "a subset": lambda: Subset(MapStyle(), range(4)),
    "parts": lambda: concatenate_datasets([rows(prompt=PROMPTS[:2]), rows(prompt=PROMPTS[2:])]),
    "pandas": lambda: Dataset.from_pandas(pandas.DataFrame({"prompt": PROMPTS})),
    "padded": padded,
    "preferences": lambda: rows(prompt=PROMPTS, chosen=PROMPTS, rejected=PROMPTS),
}


def read(trainer) -> list[list[int]]:
    """The prompts of the last rollout, sorted."""
    episodes = trainer.latest.episodes
    return sorted(Prompts(episodes.prompt_ids, episodes.prompt_mask).real())


@pytest.mark.parametrize("form", FORMS)
def test_data_of_any_form_is_read(tmp_path, form):
    assert read(trained(tmp_path, data=FORMS[form](), total_episodes=4)) == sorted(IDS)


def on_the_right(batch):
    """Padding on the right, in arrays."""
    ids = [row["input_ids"] for row in batch]
    width = max(map(len, ids))
    return {
        "input_ids": np.array([row + [1] * (width - len(row)) for row in ids]),
        "attention_mask": np.array([[1] * len(row) + [0] * (width - len(row)) for row in ids]),
    }


def lists(batch):
    """Lists without padding."""
    return {name: [row[name] for row in batch] for name in batch[0]}


COLLATORS = {
    "padding": lambda: DataCollatorWithPadding(toy.tokenizer(), pad_to_multiple_of=8),
    "language modelling": lambda: DataCollatorForLanguageModeling(toy.tokenizer(), mlm=False),
    "sequences": lambda: DataCollatorForSeq2Seq(toy.tokenizer()),
    "on the right": lambda: on_the_right,
    "lists": lambda: lists,
}


@pytest.mark.parametrize("kind", COLLATORS)
def test_batches_of_any_collator_are_read(tmp_path, kind):
    parts = {"data": rows(input_ids=IDS), "data_collator": COLLATORS[kind]()}
    assert read(trained(tmp_path, total_episodes=4, **parts)) == sorted(IDS)


OF_LLAMA = {"task_type": "CAUSAL_LM", "target_modules": ["q_proj", "v_proj"]}
ADAPTERS = {
    "DoRA": LoraConfig(r=2, use_dora=True, **OF_LLAMA),
    "an output layer": LoraConfig(r=2, modules_to_save=["lm_head"], **OF_LLAMA),
    "IA3": IA3Config(feedforward_modules=[], **OF_LLAMA),
    "LoHa": LoHaConfig(r=2, **OF_LLAMA),
    "VeRA": VeraConfig(r=2, **OF_LLAMA),
}


@pytest.mark.parametrize("kind", ADAPTERS)
def test_an_adapter_of_any_kind_starts_at_its_reference_and_loads(tmp_path, kind):
    save_model(toy.policy(), toy.tokenizer(), tmp_path / "base")
    model = toy.policy()
    model.name_or_path = model.config._name_or_path = str(tmp_path / "base")
    trainer = trained(tmp_path, model=model, peft_config=ADAPTERS[kind], learning_rate=1e-2)
    first, second = history(trainer, "objective/kl")
    assert first < 1e-6 < second
    trainer.save_model(str(tmp_path / "kept"))
    again = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "kept").eval()
    torch.testing.assert_close(toy.outputs(again), toy.outputs(trainer.policy), atol=1e-5, rtol=0)
