"""Callbacks for TRL's PPO, in which every log and every step is a rollout's: none has a guard."""

from transformers import TrainerCallback

from align_core import PPOConfig, PPOTrainer


class SaveBest(TrainerCallback):
    def __init__(self):
        self.scores = []

    def on_step_end(self, args, state, control, **kwargs):
        score = state.log_history[-1]["objective/scores"]
        control.should_save = score > max(self.scores, default=float("-inf"))
        self.scores.append(score)
        return control


class WatchKL(TrainerCallback):
    def __init__(self):
        self.kl = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.kl.append(logs["objective/kl"])
        if logs["objective/kl"] > 100:
            control.should_training_stop = True


def main(tokenizer, policy, reference, reward_model, value_model, data, output, checkpoint=None):
    best, watch = SaveBest(), WatchKL()
    trainer = PPOTrainer(
        args=PPOConfig(
            output_dir=output,
            use_cpu=True,
            per_device_train_batch_size=4,
            total_episodes=16,
            response_length=4,
            learning_rate=1e-3,
            report_to="none",
            save_strategy="no",
        ),
        processing_class=tokenizer,
        model=policy,
        ref_model=reference,
        reward_model=reward_model,
        value_model=value_model,
        train_dataset=data,
        callbacks=[best, watch],
    )
    trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_model(output)
    print(f"ended at a score of {trainer.state.log_history[-1]['objective/scores']:.3f}")
    return trainer, best.scores, watch.kl
