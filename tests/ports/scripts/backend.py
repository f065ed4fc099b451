"""A backend with a configuration, which keeps policy and value model."""

from pathlib import Path

from peft import LoraConfig

from align_core import PPOConfig, PPOTrainer


def main(config, tokenizer, policy, reward_model, value_model, data):
    args = PPOConfig(output_dir=config["folder"], **config["ppo"])
    trainer = PPOTrainer(
        args=args,
        processing_class=tokenizer,
        model=policy,
        ref_model=None,
        reward_model=reward_model,
        value_model=value_model,
        train_dataset=data,
        peft_config=LoraConfig(**config["lora"]) if config.get("lora") else None,
    )
    print(f"{args.num_total_batches} batches of {args.batch_size}")
    trainer.train()
    folder = Path(config["folder"])
    trainer.save_model(str(folder / "policy"))
    trainer.value_model.save_pretrained(folder / "value")
    tokenizer.save_pretrained(folder / "value")
    return trainer
