"""The numbers, switches and lists that the settings of rollouts take."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, fields
from numbers import Real
from typing import Any

from transformers import TrainingArguments

from align_core.config.errors import shown


@dataclass(frozen=True)
class Range:
    """Numbers for which `holds` is true; error messages describe them as `expected`."""

    expected: str
    holds: Callable[[Any], bool]
    is_whole: bool = False

    def __contains__(self, value: Any) -> bool:
        if not isinstance(value, Real) or isinstance(value, bool) or math.isnan(value):
            return False
        return self.holds(value) and not (self.is_whole and value % 1)


ONE_OR_MORE = Range("a whole number above 0", lambda n: 1 <= n < math.inf, is_whole=True)
ZERO_OR_MORE = Range("a whole number, 0 or more", lambda n: 0 <= n < math.inf, is_whole=True)
POSITIVE = Range("a number above 0", lambda x: 0 < x < math.inf)
NOT_NEGATIVE = Range("a number, 0 or more", lambda x: 0 <= x < math.inf)
CLIP = Range("a number above 0", lambda x: x > 0)  # infinity turns clipping off
SHARE = Range("a number from 0 to 1", lambda x: 0 <= x <= 1)
SHARE_ABOVE_ZERO = Range("a number above 0, at most 1", lambda x: 0 < x <= 1)

_RANGES: Mapping[Range, tuple[str, ...]] = {
    ONE_OR_MORE: (
        "per_device_train_batch_size",
        "per_device_eval_batch_size",
        "gradient_accumulation_steps",
        "num_ppo_epochs",
        "num_mini_batches",
        "total_episodes",
        "response_length",
        "local_rollout_forward_batch_size",
        "top_k",
        "kl_horizon",
        "ref_model_sync_steps",
    ),
    ZERO_OR_MORE: ("num_sample_generations",),
    Range("a whole number from 0 to 4294967295", lambda n: 0 <= n < 2**32, True): ("seed",),
    Range("a whole number, or -1 for none", lambda n: -1 <= n < math.inf, True): ("max_steps",),
    POSITIVE: ("temperature", "kl_target", "num_train_epochs"),
    NOT_NEGATIVE: (
        "missing_eos_penalty",
        "learning_rate",
        "kl_coef",
        "vf_coef",
        "weight_decay",
        "warmup_steps",
        "logging_steps",
        "save_steps",
        "eval_steps",
    ),
    CLIP: ("cliprange", "cliprange_value"),
    SHARE: ("gamma", "lam", "ref_model_mixup_alpha"),
    SHARE_ABOVE_ZERO: ("top_p", "vllm_gpu_memory_utilization"),
}
RANGES = {name: numbers for numbers, names in _RANGES.items() for name in names}


def check_settings(settings: Any) -> None:
    """Check the numbers, switches and lists of a `RolloutConfig`. Where a whole number is expected,
    4.0 becomes 4; where texts are expected, a single text becomes a list.

    Raises:
        ValueError: a setting has an invalid value.
    """
    trainer_settings = {field.name for field in fields(TrainingArguments)}
    for field in fields(settings):
        value = getattr(settings, field.name)
        is_switch = isinstance(field.default, bool) and field.name not in trainer_settings
        if field.name in RANGES:
            setattr(settings, field.name, _number(field, value))
        elif is_switch and not isinstance(value, bool):
            raise _refused(field, value, "True or False")
    _check_lists(settings)


def _number(field: Field, value: Any) -> Any:
    numbers = RANGES[field.name]
    if value is None and field.default is None:
        return value
    if value not in numbers:
        raise _refused(field, value, numbers.expected)
    return int(value) if numbers.is_whole else value


def _check_lists(settings: Any) -> None:
    by_name = {field.name: field for field in fields(settings)}
    if isinstance(settings.stop_strings, str):
        settings.stop_strings = [settings.stop_strings]
    lists: dict[str, tuple[str, Callable[[Any], bool]]] = {
        "stop_strings": ("texts", lambda text: isinstance(text, str) and text != ""),
        "reward_weights": (
            "a list of finite numbers, one for each reward",
            lambda x: isinstance(x, Real) and math.isfinite(x),
        ),
    }
    for name, (expected, holds) in lists.items():
        values = getattr(settings, name)
        if values is None:
            continue
        if not isinstance(values, list | tuple) or not values or not all(map(holds, values)):
            raise _refused(by_name[name], values, expected)
    stop_ids = settings.stop_token_id
    ids = stop_ids if isinstance(stop_ids, list | tuple) else [stop_ids]
    if stop_ids is not None and not (ids and all(token_id in ZERO_OR_MORE for token_id in ids)):
        raise _refused(by_name["stop_token_id"], stop_ids, "the id of a token, or a list of ids")


def _refused(field: Field, value: Any, expected: str) -> ValueError:
    optional = ", or None" if field.default is None else ""
    return ValueError(f"{field.name} got {shown(value)}, expected {expected}{optional}")
