"""A reward model with a tokenizer of its own, which need not be the policy's.

    python examples/reward_model.py [--model MODEL] [--reward-model MODEL] [--label LABEL]

The reward model gets each text in its own tokens. Of a classifier with several labels, LABEL names
the one whose logit is the reward.
"""

import argparse

from datasets import Dataset
from transformers import AutoModelForSequenceClassification

from align_core import PPOConfig, PPOTrainer, load_task, one_label
from align_core.config.model_index import locate
from align_core.models.loading import load_policy, load_tokenizer


def main(arguments: list[str] | None = None) -> PPOTrainer:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="sft-reviews", help="a folder or a MODEL by name")
    parser.add_argument("--reward-model", default="reward-reviews", help="likewise")
    parser.add_argument("--label", help="of several labels, the one to reward")
    parser.add_argument("--episodes", type=int, default=2048)
    parser.add_argument("--output-dir", default="runs/reward-model")
    options = parser.parse_args(arguments)
    reward_model = AutoModelForSequenceClassification.from_pretrained(locate(options.reward_model))
    if options.label is not None:
        reward_model = one_label(reward_model, options.label)
    trainer = PPOTrainer(
        args=PPOConfig(
            output_dir=options.output_dir,
            total_episodes=options.episodes,
            per_device_train_batch_size=64,
            response_length=36,
            learning_rate=3e-4,
            kl_coef=0.5,
            missing_eos_penalty=1.0,
        ),
        processing_class=load_tokenizer(options.model),
        model=load_policy(options.model),
        ref_model=None,
        reward_model=reward_model,
        reward_processing_classes=load_tokenizer(options.reward_model),
        train_dataset=Dataset.from_dict({"prompt": load_task("reviews").prompts("train")}),
    )
    trainer.train()
    trainer.save_model()
    return trainer


if __name__ == "__main__":
    main()
