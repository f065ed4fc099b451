"""Checks of the arguments of PPOTrainer before training, so that none fails during or after it."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset, IterableDataset
from peft import PeftConfig, PeftModel, get_peft_model
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

from align_core.config.errors import shown
from align_core.models import distributed
from align_core.models.checks import (
    check_generation_config,
    check_sampling,
    check_values,
    check_vocabulary,
)
from align_core.models.frozen_trunk import agree, two_texts
from align_core.models.loading import (
    add_padding_token,
    eval_mode,
    merge_adapter,
    name_of,
    positions,
)
from align_core.models.reference import InitialWeights, Reference
from align_core.models.sampling import end_ids
from align_core.models.value_model import PolicyWithValue
from align_core.trainers.ppo.config import RolloutConfig
from align_core.trainers.ppo.prompts import (
    Room,
    check_columns,
    columns_of,
    encoded,
    first_rows,
    prompts_of,
)
from align_core.trainers.ppo.scores import RewardModel, check_scalar

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

COMING_FROM = 'docs/ppo.md, "Coming from TRL", shows what to write'


def check_types(
    args: Any, data_collator: Any, optimizers: Any, callbacks: Any, peft_config: Any
) -> None:
    """Check the settings, and the types of the arguments that are passed on to other libraries.

    Raises:
        TypeError: an argument has another type.
        ValueError: a setting is invalid.
    """
    is_pair = isinstance(optimizers, tuple | list) and len(optimizers) == 2
    checks = {
        "args": (args, isinstance(args, RolloutConfig), "a PPOConfig"),
        "data_collator": (
            data_collator,
            data_collator is None or callable(data_collator),
            "a function of rows, or None",
        ),
        "optimizers": (optimizers, is_pair, "a pair: an optimiser and a schedule, each or None"),
        "callbacks": (
            callbacks,
            callbacks is None
            or (isinstance(callbacks, list | tuple) and all(map(_is_callback, callbacks))),
            "a list of callbacks, or None",
        ),
        "peft_config": (
            peft_config,
            peft_config is None or isinstance(peft_config, PeftConfig),
            "a configuration of PEFT, such as LoraConfig(…), or None",
        ),
    }
    for name, (value, holds, expected) in checks.items():
        if not holds:
            raise TypeError(f"{name}: expected {expected}, got {_type_name(value)}")
    args.check()
    if args.fp16 and args.device.type == "cpu":
        raise ValueError("fp16 got True, expected False on a CPU; use bf16=True")


def _is_callback(value: Any) -> bool:
    """Whether it is a callback or a callback class, as Trainer accepts both."""
    return isinstance(value, TrainerCallback) or (
        isinstance(value, type) and issubclass(value, TrainerCallback)
    )


def _type_name(value: Any) -> str:
    """The name of a value's class; for a list, also the names of its items' classes."""
    if isinstance(value, list | tuple):
        return f"{type(value).__name__} of {', '.join(map(_type_name, value)) or 'nothing'}"
    return "nothing" if value is None else type(value).__name__


def check_tokenizer(tokenizer: PreTrainedTokenizerBase) -> None:
    """Check that it is a tokenizer, and use another special token if it has none for padding.

    Raises:
        TypeError: it is not a tokenizer.
        ModelError: it has no special token.
    """
    if not hasattr(tokenizer, "pad_token_id"):  # for example a model, TRL 0.11's second argument
        line = f"expected a tokenizer, got {type(tokenizer).__name__}"
        raise TypeError(f"processing_class: {line}; {COMING_FROM}")
    add_padding_token(tokenizer)


def separate_rewards(
    rewards: RewardModel | Sequence[RewardModel] | None, value_model: nn.Module | None
) -> Any:
    """The reward or rewards. A reward that is also the value model is replaced by a frozen copy,
    because the value model is trained."""
    if isinstance(rewards, list | tuple):
        return [separate_rewards(reward, value_model) for reward in rewards]
    if rewards is None or rewards is not value_model:
        return rewards
    frozen: Any = copy.deepcopy(rewards)
    return frozen.requires_grad_(False)


def policy_of(
    model: PreTrainedModel | PeftModel,
    ref_model: PreTrainedModel | None,
    peft_config: PeftConfig | None,
    args: RolloutConfig,
) -> PreTrainedModel | PeftModel:
    """The policy to train: the model, with a new adapter if there is a `peft_config`.

    An adapter that the model has already is merged into its weights first.

    Raises:
        TypeError, ValueError: PPO cannot train the model, or not with these other arguments.
    """
    if ref_model is model:
        raise ValueError("ref_model: expected None or another model, got model itself")
    if hasattr(model, "v_head"):
        line = "expected a causal language model, got one with a v_head, as in TRL 0.11"
        raise TypeError(f"model: {line}; {COMING_FROM}")
    if not isinstance(model, PreTrainedModel | PeftModel):
        line = f"expected a causal language model, got {type(model).__name__}"
        raise TypeError(f"model: {line}; AutoModelForCausalLM.from_pretrained(…) loads one")
    if isinstance(model, PeftModel) and model.active_peft_config.is_prompt_learning:
        kind = type(model.active_peft_config).__name__
        raise ValueError(f"model: expected an adapter of weights, such as LoRA, got {kind}")
    if getattr(model, "_hf_peft_config_loaded", False):
        line = "expected PeftModel.from_pretrained(base, adapter, is_trainable=True)"
        raise ValueError(f"model: {line}, got a model that has loaded an adapter itself")
    if peft_config is not None:
        model = get_peft_model(merge_adapter(model), peft_config)
    if args.sync_ref_model and isinstance(model, PeftModel):
        raise ValueError("sync_ref_model got True, expected False for a policy with an adapter")
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        line = "expected trainable weights, got none; PeftModel.from_pretrained(…, "
        raise ValueError(f"model: {line}is_trainable=True) or peft_config makes some")
    rounded = {str(p.dtype) for p in trained if p.dtype in (torch.bfloat16, torch.float16)}
    if rounded:
        dtype = ", ".join(sorted(rounded)).replace("torch.", "")
        line = f"its weights are {dtype}, in which most steps of {args.learning_rate:g} round to 0"
        line += "; load it with dtype=torch.float32, and set bf16=True for speed"
        warnings.warn(f"model: {line}", stacklevel=4)
    return model


def reference_of(
    policy: PreTrainedModel | PeftModel,
    ref_model: PreTrainedModel | None,
    has_new_adapter: bool,
    args: RolloutConfig,
) -> Reference:
    """The reference: `ref_model`, or the initial policy if that is None.

    The initial policy is kept as a copy or, if it has an adapter, as the adapter's initial weights.
    Nothing is kept, and None is returned, for a new adapter that changes nothing yet: the reference
    is then the policy with its adapter disabled. Some new adapters do change the policy: PiSSA
    takes a part out of the base.

    Raises:
        TypeError, ValueError: `ref_model` is not a causal language model with the policy's
            vocabulary, or is None for a sharded policy with an adapter.
    """
    if ref_model is not None:
        if not isinstance(ref_model, PreTrainedModel | PeftModel):
            line = f"expected a causal language model, or None, got {shown(ref_model)}"
            raise TypeError(f"ref_model: {line}")
        rows, ref_rows = (m.get_input_embeddings().num_embeddings for m in (policy, ref_model))
        if rows != ref_rows:
            line = f"expected the {rows} tokens of the policy, got {ref_rows}"
            raise ValueError(f"ref_model: {line}; ref_model.resize_token_embeddings({rows})")
    if ref_model is None and has_new_adapter and _changes_nothing(policy):
        return None
    if ref_model is not None or not isinstance(policy, PeftModel):
        reference = copy.deepcopy(policy) if ref_model is None else ref_model
        return reference.requires_grad_(False).eval().to(args.device)
    if distributed.SHARDED_BY:
        line = f"expected a model for a policy with an adapter under {distributed.SHARDED_BY}"
        raise ValueError(f"ref_model: {line}, got None")
    return InitialWeights(policy)


@torch.no_grad()
def _changes_nothing(policy: PeftModel) -> bool:
    """Whether the policy has the same logits without its adapter."""
    inputs = two_texts(policy, policy.get_input_embeddings())
    with eval_mode(policy):
        logits = policy(**inputs, use_cache=False).logits
        with policy.disable_adapter():
            return agree(policy(**inputs, use_cache=False).logits, logits)


def check_models(
    policy: PreTrainedModel | PeftModel,
    value_model: nn.Module | None,
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    """Check that the policy can be sampled and saved, and that both models have the tokenizer's
    tokens.

    Raises:
        TypeError, ValueError: a check failed.
    """
    check_vocabulary(policy, tokenizer, with_padding=False)
    check_sampling(policy)
    check_generation_config(policy)
    if value_model is None:
        return
    check_scalar(value_model, "value_model")
    if not any(p.requires_grad for p in value_model.parameters()):
        line = "expected trainable weights, got none; value_model.requires_grad_(True), or None"
        raise ValueError(f"value_model: {line} for a head on the policy")
    if not hasattr(value_model, "score"):
        line = f"expected a decoder, with a value at every token, got {name_of(value_model)}"
        raise ValueError(f"value_model: {line}")
    if not isinstance(value_model, PreTrainedModel | PeftModel):
        check_values(value_model)
    if hasattr(value_model, "get_input_embeddings"):
        check_vocabulary(value_model, tokenizer, with_padding=False)


def ends_of(
    policy: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerBase, args: RolloutConfig
) -> list[int]:
    """Ids of the tokens that end a response.

    Raises:
        ValueError: `stop_token_id` is not in the policy's vocabulary.
    """
    ends = args.end_ids(end_ids(policy, tokenizer) if args.stops_at_ends else [])
    rows = policy.get_input_embeddings().num_embeddings
    if args.stop_token_id is not None and not {*ends} <= {*range(rows)}:
        line = f"expected ids below {rows}, the policy's vocabulary"
        raise ValueError(f"stop_token_id got {args.stop_token_id!r}, {line}")
    return ends


def valid_padding(policy: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """The id of the padding token; 0 if the policy has no embedding for that token."""
    pad = tokenizer.pad_token_id
    return pad if pad < policy.get_input_embeddings().num_embeddings else 0


def room_of(
    args: RolloutConfig, policy: PreTrainedModel | PeftModel, *others: nn.Module | None
) -> Room:
    """The room of these models for a prompt before a response.

    Raises:
        ValueError: there is no room for a prompt.
    """
    max_positions = min(positions(model) for model in (policy, *others) if model is not None)
    if max_positions <= args.response_length:
        line = f"expected less than {max_positions}, the positions of the models"
        raise ValueError(f"response_length got {args.response_length}, {line}")
    rows = policy.get_input_embeddings().num_embeddings
    return Room(max_positions - args.response_length, args.response_length, rows)


def check_prompts(
    train: Dataset | IterableDataset | None,
    evaluation: Dataset | Mapping[str, Dataset] | None,
    check_rewards: Callable[[str, Collection[str]], None],
    tokenizer: PreTrainedTokenizerBase,
    collator: Callable,
    room: Room,
    size: int,
) -> None:
    """Check the prompts of the first rows of each data set, `size` at a time.

    Of a stream, or with a collator, only the first `size` rows are checked. `check_rewards` gets
    the name of each data set, and the names of its columns other than the prompts.

    Raises:
        ValueError: there is no prompt, or one is empty, too long, or has tokens that the policy
            lacks.
    """
    sets: dict[str, Any] = {"train_dataset": train}
    if isinstance(evaluation, Mapping):
        sets |= {f"eval_dataset[{name!r}]": data for name, data in evaluation.items()}
    elif evaluation is not None:
        sets["eval_dataset"] = evaluation
    for name, data in sets.items():
        check_columns(name, data, collator is not list)
        columns: dict[str, None] = {}
        for rows in first_rows(data, size):
            prompts = prompts_of(rows, collator, tokenizer)
            room.check(prompts, encoded(tokenizer, prompts, rows))
            columns |= dict.fromkeys(columns_of(rows))
            if not hasattr(data, "__len__") or collator is not list:
                break
        check_rewards(name, columns)


def add_value_weights(
    optimizers: tuple[Optimizer | None, LRScheduler | None], model: PolicyWithValue
) -> None:
    """Add the weights of the value model or head to a given optimiser that lacks them.

    Raises:
        ValueError: there is a learning rate schedule, to which no weights can be added.
    """
    optimizer, schedule = optimizers
    values = model.value_model or model.value_head
    if optimizer is None or values is None:
        return
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    weights = [p for p in values.parameters() if p.requires_grad]
    if any(id(p) in known for p in weights):
        return
    if schedule is not None:
        line = "expected an optimiser that also has the weights of value_model, or no schedule"
        raise ValueError(f"optimizers: {line}")
    optimizer.add_param_group({"params": weights})
