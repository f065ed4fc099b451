"""From a script for TRL 0.11: what its loop did is now an argument.

    python examples/from_old_trl.py [--model MODEL]

The script sampled openings of reviews, wrote on from them, scored the texts, and called
`PPOTrainer.step`. A line that begins with `# was:` is one of it.
"""

import argparse

from datasets import Dataset

from align_core import PPOConfig, PPOTrainer, load_task
from align_core.models.loading import load_policy, load_tokenizer

PRAISE = {"good", "great", "charming", "brilliant", "wonderful", "funny"}


def positive(prompts, completions, **_):
    # was: rewards = [torch.tensor(score(text)) for text in batch["response"]]
    return [float(len(PRAISE & set(text.replace(".", " ").split()))) for text in completions]


def main(arguments: list[str] | None = None) -> PPOTrainer:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="sft-reviews", help="a folder or a MODEL by name")
    parser.add_argument("--episodes", type=int, default=2048)
    parser.add_argument("--output-dir", default="runs/from-old-trl")
    options = parser.parse_args(arguments)
    config = PPOConfig(
        output_dir=options.output_dir,
        learning_rate=3e-4,
        kl_coef=0.2,  # was: init_kl_coef=0.2
        total_episodes=options.episodes,  # was: steps=2048
        per_device_train_batch_size=64,  # was: batch_size=64
        num_mini_batches=4,  # was: mini_batch_size=16
        response_length=36,  # was: generation_kwargs = {"max_new_tokens": 36, "top_k": 0}
    )
    trainer = PPOTrainer(
        args=config,
        processing_class=load_tokenizer(options.model),
        # was: model=AutoModelForCausalLMWithValueHead.from_pretrained(…), which the trainer makes
        model=load_policy(options.model),
        ref_model=None,  # was: create_reference_model(model)
        reward_model=positive,
        train_dataset=Dataset.from_dict({"prompt": load_task("reviews").prompts("train")}),
    )
    # was: for batch in trainer.dataloader: …; trainer.step(queries, responses, rewards)
    trainer.train()
    trainer.save_model()
    return trainer


if __name__ == "__main__":
    main()
