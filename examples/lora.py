"""LoRA: an adapter is trained, and the reference is the policy without it.

    python examples/lora.py [--model MODEL] [--layers K]

With K, only the last K layers have an adapter. The layers below then run once for each text, for
policy, reference and values together.
"""

import argparse

from datasets import Dataset
from peft import LoraConfig

from align_core import PPOConfig, PPOTrainer, load_task
from align_core.models.loading import load_policy, load_tokenizer


def main(arguments: list[str] | None = None) -> PPOTrainer:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="sft-reviews", help="a folder or a MODEL by name")
    parser.add_argument("--layers", type=int, help="how many of the last layers have an adapter")
    parser.add_argument("--episodes", type=int, default=2048)
    parser.add_argument("--output-dir", default="runs/lora")
    options = parser.parse_args(arguments)
    task, policy = load_task("reviews"), load_policy(options.model)
    depth = policy.config.num_hidden_layers
    last = None if options.layers is None else list(range(depth - options.layers, depth))
    trainer = PPOTrainer(
        args=PPOConfig(
            output_dir=options.output_dir,
            total_episodes=options.episodes,
            per_device_train_batch_size=64,
            response_length=task.max_new_tokens,
            learning_rate=3e-3,
            kl_coef=0.5,
        ),
        processing_class=load_tokenizer(options.model),
        model=policy,
        ref_model=None,
        reward_model=task.reward,
        train_dataset=Dataset.from_dict({"prompt": task.prompts("train")}),
        peft_config=LoraConfig(
            r=16,
            target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj"],
            layers_to_transform=last,
            task_type="CAUSAL_LM",
        ),
    )
    trainer.train()
    trainer.save_model()  # the adapter
    return trainer


if __name__ == "__main__":
    main()
