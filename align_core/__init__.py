"""Alignment of small language models by SFT, reward models, PPO and DPO, against the exact optimum.

Names are imported on first use, so that the page can import this package without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from align_core.api import load_run, train
    from align_core.config.errors import ConfigError
    from align_core.models.labels import one_label
    from align_core.tasks import load_task
    from align_core.trainers.ppo.config import PPOConfig
    from align_core.trainers.ppo.trainer import PPOTrainer

__all__ = ["ConfigError", "PPOConfig", "PPOTrainer", "load_run", "load_task", "one_label", "train"]

_HOMES = {
    "ConfigError": "align_core.config.errors",
    "PPOConfig": "align_core.trainers.ppo.config",
    "PPOTrainer": "align_core.trainers.ppo.trainer",
    "load_run": "align_core.api",
    "load_task": "align_core.tasks",
    "one_label": "align_core.models.labels",
    "train": "align_core.api",
}
_OLD_TRL_NAMES = {
    "AutoModelForCausalLMWithValueHead": "PPOTrainer takes plain models and adds the value head",
    "AutoModelForSeq2SeqLMWithValueHead": "PPOTrainer takes plain models and adds the value head",
    "PPOv2Config": "it is PPOConfig here",
    "PPOv2Trainer": "it is PPOTrainer here",
}


def __getattr__(name: str) -> Any:
    if name in _OLD_TRL_NAMES:
        line = f"{name} belongs to TRL 0.11: {_OLD_TRL_NAMES[name]}"
        raise ImportError(f'{line}; docs/ppo.md, "Coming from TRL", shows what to write')
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
