"""Load and save policies, references and reward models, in the formats of transformers."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from align_core.config.messages import plain
from align_core.config.model_files import damage
from align_core.config.model_index import DIFFERENCE, locate
from align_core.models.difference import add_difference, load_difference
from align_core.models.generation_settings import let_sample
from align_core.models.gguf import load_gguf
from align_core.models.load_errors import MODELS, UNLOADABLE, ModelError, reason
from align_core.models.sharding import full_state_dict
from align_core.runs.files import replace_folder


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """The tokenizer of the model `name`, or of its base where an adapter has none; it pads on the
    left. A missing end token is taken from the model's configuration; a missing padding token is
    replaced by another special token."""
    if _has_adapter(name) and not any(Path(locate(name)).glob("tokenizer*")):
        return load_tokenizer(_base_of(name))
    tokenizer = _load(AutoTokenizer, name)
    if tokenizer.eos_token_id is None and (end := _end_of_model(name)) is not None:
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(end)
    add_padding_token(tokenizer)
    tokenizer.padding_side = "left"
    return tokenizer


def add_padding_token(tokenizer: PreTrainedTokenizerBase) -> None:
    """Use another special token as the padding token if there is none.

    Raises:
        ModelError: there is no special token.
    """
    if tokenizer.pad_token_id is not None:
        return
    others = tokenizer.eos_token, tokenizer.unk_token, tokenizer.bos_token, tokenizer.cls_token
    tokenizer.pad_token = next(filter(None, others), None)
    if tokenizer.pad_token_id is None:
        name = tokenizer.name_or_path
        line = f"model {name}: expected a tokenizer with an end token or a padding token, got none"
        raise ModelError(plain(line))


def _end_of_model(name: str) -> int | None:
    """Id of the end token in the model's configurations; the first one if they name several."""
    for kind in (GenerationConfig, AutoConfig):
        with suppress(ModelError):
            end = getattr(_load(kind, name), "eos_token_id", None)
            if end is not None:
                return end[0] if isinstance(end, list) else end
    return None


def load_policy(name: str) -> PreTrainedModel | PeftModel:
    """A causal language model in float32 and evaluation mode, with its adapter if it has one."""
    return _load_with_adapter(AutoModelForCausalLM, name)


def load_trainable(name: str) -> PreTrainedModel:
    """The policy with its adapter merged into its weights, all of which are trainable."""
    policy = merge_adapter(load_policy(name)).requires_grad_(True)
    policy.name_or_path = name
    return policy


def load_reward_model(name: str) -> PreTrainedModel | PeftModel:
    """A sequence classifier with one label: its raw output is the proxy reward, in nats."""
    labels = _load(AutoConfig, name).num_labels if not _has_adapter(name) else 1
    if labels != 1:
        line = f"reward model {name}: expected a model with one label, got {labels}"
        raise ModelError(plain(line))
    return _load_with_adapter(AutoModelForSequenceClassification, name, num_labels=1)


def new_reward_model(name: str, seed: int) -> PreTrainedModel:
    """A reward model: the trunk of a causal language model with a new scalar head.

    The head's weights have std 1/√(d + 1), d the width of the trunk (the code of arXiv 1909.08593).
    """
    torch.manual_seed(seed)
    model = _load(AutoModelForSequenceClassification, name, num_labels=1)
    head = scalar_head(model)
    nn.init.normal_(head.weight, std=(head.in_features + 1) ** -0.5)
    return model.eval()


def scalar_head(model: PreTrainedModel) -> nn.Linear:
    """The output layer of a reward model: `score` in decoders, `classifier` in encoders."""
    return model.score if hasattr(model, "score") else model.classifier


def is_decoder(reward_model: PreTrainedModel | PeftModel) -> bool:
    """Whether a reward model scores a text at its last token, as a decoder does."""
    return hasattr(reward_model, "score")


def positions(model: nn.Module) -> float:
    """The maximum number of tokens of a text; infinity if the model has no maximum."""
    config = getattr(model, "config", None)
    most = getattr(config, "max_position_embeddings", None) or math.inf
    if isinstance(model, PreTrainedModel | PeftModel):
        # RoBERTa and its relatives count positions from the one after their padding token's id.
        padding = getattr(getattr(trunk(model), "embeddings", None), "padding_idx", None)
        most -= 0 if padding is None else padding + 1
    return most


def name_of(model: nn.Module) -> str:
    """A model as messages name it: its folder or hub id, else its class."""
    return getattr(model, "name_or_path", "") or type(model).__name__


def device_of(model: nn.Module) -> torch.device:
    """The device of the model's first parameter; the CPU if it has none."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def trunk(reward_model: nn.Module) -> nn.Module:
    """A reward model without its head, including the layers of an adapter.

    A module that is not a `PreTrainedModel` names its trunk in `base_model_prefix`, as in TRL.
    """
    if isinstance(reward_model, PeftModel):
        reward_model = reward_model.get_base_model()
    if isinstance(reward_model, PreTrainedModel):
        return reward_model.base_model
    return getattr(reward_model, reward_model.base_model_prefix)


def merge_adapter(model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """The model with its adapter, if any, merged into its weights."""
    return model.merge_and_unload() if isinstance(model, PeftModel) else model


def freeze_trunk(model: PreTrainedModel) -> None:
    """Make only the scalar head of a reward model trainable."""
    model.requires_grad_(False)
    scalar_head(model).requires_grad_(True)


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode, and restore its mode afterwards."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def save_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    model_card: str | None = None,
) -> None:
    """Save the model as safetensors, with its tokenizer and model card, if any.

    A failure leaves the old folder intact. So does killing the process, if the operating system can
    exchange two folders in one step.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".saving-") as staging:
        new = Path(staging) / "new"
        # Adapters are on linear layers alone; by default peft would ask the hub for the size of the
        # base model's embeddings.
        adapter_options = {"save_embedding_layers": False} if isinstance(model, PeftModel) else {}
        model.save_pretrained(new, state_dict=full_state_dict(model), **adapter_options)
        tokenizer.save_pretrained(new)
        (new / "README.md").unlink(missing_ok=True)  # peft's model card
        if model_card is not None:
            (new / "README.md").write_text(model_card, encoding="utf-8")
        replace_folder(new, folder)


def _load_with_adapter(
    factory: Any, name: str, complete: bool = True, **options: Any
) -> PreTrainedModel | PeftModel:
    """The model with its adapter, if any. An adapter may contain the head that its base lacks."""
    if not _has_adapter(name):
        return _load(factory, name, complete=complete, **options).eval()
    folder, base_name = Path(locate(name)), _base_of(name)
    if not (folder / "adapter_model.safetensors").is_file():
        raise ModelError(plain(f"model {name}: its adapter has no adapter_model.safetensors"))
    base = merge_adapter(_load_with_adapter(factory, base_name, complete=False, **options))
    try:
        adapted = PeftModel.from_pretrained(base, folder).eval()
    except UNLOADABLE as error:
        line = f"model {name}: its adapter cannot be loaded: {reason(error, factory)}"
        raise ModelError(plain(line)) from error
    if (adapter := adapted.active_peft_config).is_prompt_learning:
        kind = type(adapter).__name__
        line = f"model {name}: expected an adapter of weights, such as LoRA, got {kind}"
        raise ModelError(plain(line))
    return adapted


def _base_of(name: str) -> str:
    """The model that an adapter is on.

    Raises:
        ModelError: its adapter_config.json cannot be read, or names no other model.
    """
    try:
        text = (Path(locate(name)) / "adapter_config.json").read_text(encoding="utf-8")
        base: str = json.loads(text)["base_model_name_or_path"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        line = f"model {name}: its adapter_config.json cannot be read: {error}"
        raise ModelError(plain(line)) from error
    try:
        is_its_own_base = locate(base) == locate(name)
    except ValueError as error:
        line = f"model {name}: its adapter needs the base model {base}: {error}"
        raise ModelError(plain(line)) from error
    if is_its_own_base:
        raise ModelError(plain(f"model {name}: its adapter names itself as the base model"))
    return base


def _has_adapter(name: str) -> bool:
    return (Path(locate(name)) / "adapter_config.json").is_file()


def _load(factory: Any, name: str, complete: bool = False, **options: Any) -> Any:
    """Load the model `name` as `factory`; with `complete`, its files must have all weights."""
    path, loads_model = locate(name), factory in MODELS
    if loads_model and (Path(path) / DIFFERENCE).is_file():
        return _load_on_base(factory, name, complete, **options)
    if loads_model and (problem := damage(path)):
        raise ModelError(plain(f"model {name}: {problem}"))
    if loads_model:
        options |= {"dtype": torch.float32, "use_safetensors": True}
    if loads_model and Path(path).is_dir():
        config = _load(AutoConfig, name)
        if config.is_encoder_decoder:
            got = f"one of {type(config).__name__}, an encoder with a decoder"
            raise ModelError(plain(f"model {name}: expected {MODELS[factory]}, got {got}"))
    if complete:
        options["output_loading_info"] = True
    try:
        # Code in a model's folder is never executed, and the user is not asked to allow it.
        if Path(path).is_file():
            loaded = load_gguf(factory, Path(path), **options)
        else:
            loaded = factory.from_pretrained(path, trust_remote_code=False, **options)
    except ModelError:
        raise
    except Exception as error:  # tokenizers raises Exception itself
        why = reason(error, factory)
        files = "tokenizer" if factory is AutoTokenizer else "files"
        problem = (
            f"its {files} cannot be loaded"
            if Path(path).exists()
            else "it is not on this machine and could not be loaded from the hub (offline?)"
        )
        raise ModelError(plain(f"model {name}: {problem}: {why}")) from error
    if isinstance(loaded, tuple):
        loaded, info = loaded
        if missing := sorted(info["missing_keys"]):
            expected = f"expected {MODELS[factory]}, got a model without {', '.join(missing[:3])}"
            raise ModelError(plain(f"model {name}: {expected}"))
        if surplus := sorted(filter(_is_of_layer, info["unexpected_keys"])):
            expected = "expected as many layers as its config.json says, got weights of more, such"
            raise ModelError(plain(f"model {name}: {expected} as {surplus[0]}"))
    if isinstance(loaded, PreTrainedModel):
        loaded.name_or_path = name  # the config of an adapter then names this base, not its path
        let_sample(getattr(loaded, "generation_config", None))
    return loaded


def _is_of_layer(name: str) -> bool:
    """Whether the name of a weight has the number of a layer."""
    return any(part.isdigit() for part in name.split("."))


def _load_on_base(factory: Any, name: str, complete: bool, **options: Any) -> PreTrainedModel:
    """The model that DIFFERENCE, a file of `name`, describes: an embedded model plus changes."""
    try:
        base, changes = load_difference(Path(locate(name)) / DIFFERENCE)
        model = _load(factory, base, complete, **options)
        add_difference(model, changes)
    except UNLOADABLE as error:
        line = f"model {name}: its {DIFFERENCE} cannot be used: {reason(error, factory)}"
        raise ModelError(plain(line)) from error
    model.name_or_path = name
    return model
