"""A subclass that reads the metrics of each rollout in `log`, and writes them to a file."""

import json
from pathlib import Path

from align_core import PPOConfig, PPOTrainer


class Journal(PPOTrainer):
    def log(self, logs, start_time=None):
        line = {name: logs[name] for name in ("episode", "objective/kl", "objective/scores", "lr")}
        logs["objective/score_per_kl"] = line["objective/scores"] / max(line["objective/kl"], 1e-6)
        with Path(self.args.output_dir, "journal.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        super().log(logs, start_time)


def main(tokenizer, policy, reward_model, value_model, data, output, **settings):
    trainer = Journal(
        args=PPOConfig(
            output_dir=output,
            use_cpu=True,
            per_device_train_batch_size=4,
            num_ppo_epochs=2,
            total_episodes=12,
            response_length=4,
            report_to="none",
            save_strategy="no",
            **settings,
        ),
        processing_class=tokenizer,
        model=policy,
        ref_model=None,
        reward_model=reward_model,
        value_model=value_model,
        train_dataset=data,
        eval_dataset=data,
    )
    trainer.train()
    trainer.save_model(output)
    return trainer
