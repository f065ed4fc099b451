"""A study: a subclass that stores its rollouts, and a callback that reads the log of each."""

from transformers import TrainerCallback

from align_core import PPOConfig, PPOTrainer


class Noting(PPOTrainer):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.facts = {
            "stop": self.stop_token_id,
            "reward": type(self.reward_model).__name__,
            "total": self.args.num_total_batches,
        }

    def log(self, logs, start_time=None):
        logs["study/episodes"] = self.state.episode
        super().log(logs, start_time)


class Rewards(TrainerCallback):
    def __init__(self):
        self.scores = []

    def on_step_end(self, args, state, control, **kwargs):
        self.scores.append(state.log_history[-1]["objective/scores"])
        return control


def main(tokenizer, policy, reference, reward_model, value_model, data, output):
    rewards = Rewards()
    args = PPOConfig(
        output_dir=output,
        use_cpu=True,
        per_device_train_batch_size=4,
        num_ppo_epochs=1,
        total_episodes=12,
        response_length=4,
        num_sample_generations=0,
        stop_token="eos",
        report_to="none",
        save_strategy="no",
    )
    trainer = Noting(
        args=args,
        processing_class=tokenizer,
        model=policy,
        ref_model=reference,
        reward_model=reward_model,
        value_model=value_model,
        train_dataset=data,
        callbacks=[rewards],
    )
    trainer.train()
    return trainer, rewards.scores
