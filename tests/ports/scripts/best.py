"""The checkpoint with the best score on evaluation prompts, found with early stopping."""

from transformers import EarlyStoppingCallback

from align_core import PPOConfig, PPOTrainer


def main(tokenizer, policy, reward_model, value_model, data, evaluation, output, **settings):
    args = PPOConfig(
        output_dir=output,
        use_cpu=True,
        per_device_train_batch_size=4,
        total_episodes=24,
        response_length=4,
        learning_rate=1e-2,
        eval_strategy="steps",
        eval_steps=1,
        save_strategy="steps",
        save_steps=1,
        save_total_limit=2,
        load_best_model_at_end=True,
        report_to="none",
        **settings,
    )
    trainer = PPOTrainer(
        args=args,
        processing_class=tokenizer,
        model=policy,
        ref_model=None,
        reward_model=reward_model,
        value_model=value_model,
        train_dataset=data,
        eval_dataset=evaluation,
        callbacks=[EarlyStoppingCallback(early_stopping_patience=2)],
    )
    trainer.train()
    trainer.save_model()
    return trainer
