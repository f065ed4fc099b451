"""A short PPO run on the toy language, as one of several processes: its end goes to a file."""

from __future__ import annotations

import sys

from datasets import Dataset
from safetensors.torch import save_file

from align_core import PPOConfig, PPOTrainer
from tests import toy


def main(folder: str, batch_size: int) -> None:
    trainer = PPOTrainer(
        PPOConfig(
            output_dir=f"{folder}/out",
            use_cpu=True,
            report_to="none",
            disable_tqdm=True,
            save_strategy="no",
            logging_steps=1,
            per_device_train_batch_size=batch_size,
            num_ppo_epochs=2,
            num_mini_batches=2,
            total_episodes=48,
            response_length=6,
            learning_rate=1e-3,
            seed=0,
        ),
        toy.tokenizer(),
        toy.policy(),
        toy.policy(1),
        toy.reward,
        Dataset.from_dict({"prompt": ["the film", "a plot", "the plot was never", "never"]}),
        toy.reward_model(),
    )
    trainer.train()
    if trainer.is_world_process_zero():
        weights = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
        logged = [entry for entry in trainer.state.log_history if "objective/kl" in entry]
        metrics = {name: str(value) for name, value in logged[-1].items()}
        save_file(weights, f"{folder}/end.safetensors", metrics)
    trainer.accelerator.end_training()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
