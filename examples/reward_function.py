"""A reward function on a chat model: answers that are short, and end in an exclamation mark.

    python examples/reward_function.py [--model MODEL]

By default MODEL is embedded, with no chat template of its own; `smollm2` is a real chat model
(`align-core fetch smollm2`).
"""

import argparse

from datasets import Dataset

from align_core import PPOConfig, PPOTrainer
from align_core.models.loading import load_policy, load_tokenizer

PLAIN = "{% for message in messages %}{{ message['content'] }} {% endfor %}"
QUESTIONS = ["Describe a film.", "What was the plot like?", "Who should see it?", "Was it long?"]


def reward(prompts, completions, completion_ids, **_):
    """Completions are messages, as the prompts are; `completion_ids` are their tokens."""
    answers = [messages[0]["content"] for messages in completions]
    return [
        2.0 * answer.rstrip().endswith("!") - 0.05 * len(ids)
        for answer, ids in zip(answers, completion_ids, strict=True)
    ]


def main(arguments: list[str] | None = None) -> PPOTrainer:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="sft-reviews", help="a folder or a MODEL by name")
    parser.add_argument("--episodes", type=int, default=2048)
    parser.add_argument("--output-dir", default="runs/reward-function")
    options = parser.parse_args(arguments)
    tokenizer = load_tokenizer(options.model)
    tokenizer.chat_template = tokenizer.chat_template or PLAIN
    chats = [[{"role": "user", "content": question}] for question in QUESTIONS]
    trainer = PPOTrainer(
        args=PPOConfig(
            output_dir=options.output_dir,
            total_episodes=options.episodes,
            per_device_train_batch_size=32,
            response_length=24,
            learning_rate=3e-4,
            kl_coef=0.1,
        ),
        processing_class=tokenizer,
        model=load_policy(options.model),
        ref_model=None,
        reward_model=reward,
        train_dataset=Dataset.from_dict({"prompt": chats}),
    )
    trainer.train()
    trainer.save_model()
    return trainer


if __name__ == "__main__":
    main()
