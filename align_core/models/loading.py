"""Load and save policies, references and reward models, all in the formats of transformers."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from align_core.config.errors import ConfigError
from align_core.config.messages import plain
from align_core.config.model_index import locate
from align_core.models.sharding import weights_of


class ModelError(ConfigError):
    """A model could not be loaded; one line that says which and why."""


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """The tokenizer of MODEL, with a padding token (its end token where it has none)."""
    tokenizer = _load(AutoTokenizer, name)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    return tokenizer


def load_policy(name: str) -> PreTrainedModel | PeftModel:
    """A causal language model in float32 and evaluation mode, adapter included where it has one."""
    return _load_with_adapter(AutoModelForCausalLM, name)


def load_to_train(name: str) -> PreTrainedModel:
    """`load_policy` with every weight free to move, an adapter merged into what it adapts."""
    policy = merged(load_policy(name)).requires_grad_(True)
    policy.name_or_path = name
    return policy


def load_reward_model(name: str) -> PreTrainedModel | PeftModel:
    """A sequence classifier with one label: its raw output is the proxy reward, in nats."""
    labels = _load(AutoConfig, name).num_labels if not _has_adapter(name) else 1
    if labels != 1:
        line = f"reward model {name}: got {labels} labels, takes a model with one"
        raise ModelError(plain(line))
    return _load_with_adapter(AutoModelForSequenceClassification, name, num_labels=1)


def new_reward_model(name: str, seed: int) -> PreTrainedModel:
    """The trunk of a causal language model under a fresh scalar head.

    The head starts at std 1/√(d + 1), d the width of the trunk (the code of arXiv 1909.08593).
    """
    torch.manual_seed(seed)
    model = _load(AutoModelForSequenceClassification, name, num_labels=1)
    head = scalar_head(model)
    nn.init.normal_(head.weight, std=(head.in_features + 1) ** -0.5)
    return model.eval()


def scalar_head(model: PreTrainedModel) -> nn.Linear:
    """The output layer of a reward model: `score` in decoders, `classifier` in encoders."""
    return model.score if hasattr(model, "score") else model.classifier


def trunk(reward_model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """A reward model without its head, an adapter's changes to it included."""
    if isinstance(reward_model, PeftModel):
        reward_model = reward_model.get_base_model()
    return reward_model.base_model


def merged(model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """The model with an adapter's changes in its own weights."""
    return model.merge_and_unload() if isinstance(model, PeftModel) else model


def freeze_trunk(model: PreTrainedModel) -> None:
    """Leave only the scalar head of a reward model to train."""
    model.requires_grad_(False)
    scalar_head(model).requires_grad_(True)


def lora(rank: int, task_type: str) -> LoraConfig | None:
    """A LoRA adapter on every linear layer of the trunk; none at rank 0 (arXiv 2106.09685)."""
    if rank == 0:
        return None
    return LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type=task_type)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode within, the mode it was in after."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def save_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write the model as safetensors with its tokenizer: all of the new one or all of the old."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".saving-") as staging:
        fresh, previous = Path(staging) / "new", Path(staging) / "old"
        model.save_pretrained(fresh, state_dict=weights_of(model))
        tokenizer.save_pretrained(fresh)
        for notes in fresh.glob("README.md"):
            notes.unlink()
        if folder.exists():
            folder.rename(previous)
        fresh.rename(folder)
        shutil.rmtree(previous, ignore_errors=True)


def _load_with_adapter(factory: type, name: str, **options) -> PreTrainedModel | PeftModel:
    if not _has_adapter(name):
        return _load(factory, name, **options).eval()
    folder = Path(locate(name))
    base = json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
    under = merged(_load_with_adapter(factory, base, **options))
    return PeftModel.from_pretrained(under, folder).eval()


def _has_adapter(name: str) -> bool:
    return (Path(locate(name)) / "adapter_config.json").is_file()


def _load(factory: type, name: str, **options):
    path = locate(name)
    if factory in (AutoModelForCausalLM, AutoModelForSequenceClassification):
        options["dtype"] = torch.float32
    try:
        loaded = factory.from_pretrained(path, **options)
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        line = (
            f"model {name}: it is not on this machine and could not be loaded from the hub "
            f"(offline?), or its files are broken: {reason}"
        )
        raise ModelError(plain(line)) from error
    if isinstance(loaded, PreTrainedModel):
        loaded.name_or_path = name  # what an adapter will call its base: a name, not a place
    return loaded
