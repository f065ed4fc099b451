"""Makes a trainer like a script, with all arguments by name, on the toy language."""

from __future__ import annotations

import torch
from datasets import Dataset
from transformers import GPT2Config, GPT2Model

from align_core import PPOConfig, PPOTrainer
from tests import toy

PROMPTS = ["the film", "a plot", "the plot was never", "never a film"]
OF_TRAINER = (
    "ref_model",
    "value_model",
    "data_collator",
    "eval_dataset",
    "optimizers",
    "callbacks",
    "peft_config",
    "reward_processing_classes",
)


def rows(**columns) -> Dataset:
    return Dataset.from_dict(columns or {"prompt": PROMPTS})


def made(
    tmp_path, *, cls=PPOTrainer, model=None, reward=toy.reward, tokenizer=None, data=None, **changes
):
    """A trainer with two rollouts of four texts of at most four tokens, and an update for each."""
    parts = {name: changes.pop(name) for name in OF_TRAINER if name in changes}
    settings = {
        "output_dir": str(tmp_path / "out"),
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        "per_device_train_batch_size": 4,
        "num_ppo_epochs": 1,
        "total_episodes": 8,
        "response_length": 4,
        "learning_rate": 1e-3,
        "save_strategy": "no",
        **changes,
    }
    return cls(
        args=PPOConfig(**settings),
        processing_class=tokenizer or toy.tokenizer(),
        model=model or toy.policy(),
        ref_model=parts.pop("ref_model", None),
        reward_model=reward,
        train_dataset=rows() if data is None else data,
        **parts,
    )


def trained(tmp_path, **changes):
    trainer = made(tmp_path, **changes)
    trainer.train()
    return trainer


def history(trainer, name: str) -> list[float]:
    return [entry[name] for entry in trainer.state.log_history if name in entry]


def scored(trainer, prompts, ids, columns=None) -> list[float]:
    """The trainer's scores of texts."""
    return trainer.score(prompts, ids, columns or {}).tokens.sum(1).tolist()


class Scorer(torch.nn.Module):
    """A reward module for TRL's PPO, with a named trunk and a head."""

    base_model_prefix = "trunk"

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        config = GPT2Config(vocab_size=14, n_embd=16, n_layer=1, n_head=2, n_positions=64)
        self.trunk = GPT2Model(config).eval()
        self.head = torch.nn.Linear(16, 1)

    def score(self, states):
        assert states.dim() == 3, "states [B, L, H], as in TRL"
        return self.head(states)
