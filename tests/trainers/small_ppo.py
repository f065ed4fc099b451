"""A small PPO trainer, with the arguments of TRL's scripts."""

from __future__ import annotations

from datasets import Dataset

from align_core import PPOConfig, PPOTrainer
from tests import toy

PROMPTS = ["the film", "a plot", "the plot was never", "never a film"]


def made(tmp_path, *, data=None, reward=toy.reward, tokenizer=None, model=None, **changes):
    parts = {
        name: changes.pop(name)
        for name in ("ref_model", "value_model", "data_collator", "eval_dataset", "peft_config")
        if name in changes
    }
    settings = {
        "output_dir": str(tmp_path / "out"),
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        "logging_steps": 1,
        "per_device_train_batch_size": 8,
        "num_ppo_epochs": 2,
        "num_mini_batches": 2,
        "total_episodes": 24,
        "response_length": 6,
        "learning_rate": 1e-2,
        "seed": 0,
        **changes,
    }
    return PPOTrainer(
        args=PPOConfig(**settings),
        processing_class=tokenizer or toy.tokenizer(),
        model=model or toy.policy(),
        ref_model=parts.pop("ref_model", None),
        reward_model=reward,
        train_dataset=data or Dataset.from_dict({"prompt": PROMPTS}),
        value_model=parts.pop("value_model", None),
        **parts,
    )
