"""Settings and flags of older PPOs and TrainingArguments, and what replaces them."""

from __future__ import annotations

from argparse import Action, ArgumentParser
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

# Settings that TRL 1.12 computes, or that TrainingArguments had: their parsers take the flags.
_FLAGS = {
    "world_size": "accelerate launch --num_processes",
    "num_total_batches": "total_episodes",
    "batch_size": "per_device_train_batch_size times gradient_accumulation_steps",
    "local_batch_size": "per_device_train_batch_size times gradient_accumulation_steps",
    "mini_batch_size": "num_mini_batches",
    "local_mini_batch_size": "num_mini_batches",
    "micro_batch_size": "per_device_train_batch_size",
    "evaluation_strategy": "eval_strategy",
    "warmup_ratio": "warmup_steps, which below 1 is a share of the run",
    "no_cuda": "use_cpu",
    "overwrite_output_dir": "nothing, output_dir is always written to",
    "save_safetensors": "nothing, models are always saved as safetensors",
    "group_by_length": "nothing, texts are always grouped by length",
    "push_to_hub_token": "hub_token",
}
ELSEWHERE = {
    **_FLAGS,
    "ppo_epochs": "num_ppo_epochs",
    "init_kl_coef": "kl_coef",
    "adap_kl_ctrl": "kl_target, which makes the coefficient adaptive",
    "target": "kl_target",
    "horizon": "kl_horizon",
    "steps": "total_episodes",
    "model_name": "the argument model of PPOTrainer",
    "log_with": "report_to",
    "tracker_project_name": "report_to and project",
    "task_name": "run_name",
    "kl_penalty": "kl_estimator",
    "early_stopping": "a callback that stops",
    "target_kl": "a callback that stops, or kl_target",
    "backward_batch_size": "per_device_train_batch_size",
    "optimize_cuda_cache": "nothing",
    "is_peft_model": "peft_config",
    "score_clip": "a reward that is clipped",
    "use_score_scaling": "whiten_advantages",
    "use_score_norm": "whiten_advantages",
    "base_model": "the argument model of PPOTrainer",
    "non_eos_penalty": "missing_eos_penalty",
    "penalty_reward_value": "missing_eos_penalty",
    "truncate_token": "stop_token",
    "truncate_token_id": "stop_token_id",
}
FLAGS = [f"--{name}" for name in _FLAGS] + [f"--{name.replace('_', '-')}" for name in _FLAGS]
# Setting of TRL 1.12 that can only be None -> the replacement for other values.
ONLY_NONE = {
    "model_adapter_name": "peft_config, or a PeftModel whose active adapter is trained",
    "ref_adapter_name": "ref_model=None: the reference is the initial policy",
    "neftune_noise_alpha": "no noise, which would change the probabilities that the loss compares",
}


def uses(owner: str, kind: str, names: Iterable[str], replacements: Mapping[str, str]) -> str:
    """A line that says what replaces each of these settings or arguments of older versions."""
    lines = [f"{name}: use {replacements[name]}" for name in names]
    return f"{owner} has no {kind} " + "; no ".join(lines)


class ReplacedFlag(Action):
    """Raises TypeError for one of FLAGS, naming what replaces it."""

    def __call__(
        self, parser: ArgumentParser, namespace: Any, values: Any, option: str | None = None
    ) -> NoReturn:
        name = (option or "").removeprefix("--").replace("-", "_")
        raise TypeError(uses("PPOConfig", "setting", [name], ELSEWHERE))
