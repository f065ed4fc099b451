"""A training script with parsed flags: SFT model, reward model, tokenised prompts, and [PAD]."""

import shutil
import sys
from dataclasses import dataclass, field

from datasets import load_from_disk
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    HfArgumentParser,
)

from align_core import PPOConfig, PPOTrainer


@dataclass
class Script:
    dataset_name: str = field(metadata={"help": "A folder of datasets."})
    dataset_test_split: str = field(default="test", metadata={"help": "The split for evaluation."})


def main(argv):
    script, args = HfArgumentParser((Script, PPOConfig)).parse_args_into_dataclasses(argv)
    shutil.rmtree(args.output_dir, ignore_errors=True)
    tokenizer = AutoTokenizer.from_pretrained(args.sft_model_path, padding_side="left")
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    scorer, critic = (
        AutoModelForSequenceClassification.from_pretrained(args.reward_model_path, num_labels=1)
        for _ in range(2)
    )
    policy, reference = (
        AutoModelForCausalLM.from_pretrained(args.sft_model_path) for _ in range(2)
    )
    data = load_from_disk(script.dataset_name)

    def tokenise(split):
        def encode(row):
            ids = tokenizer(row["prompt"], padding=False)["input_ids"]
            return {"input_ids": ids, "lengths": len(ids)}

        columns = data[split].column_names
        encoded = data[split].map(encode, remove_columns=columns, num_proc=args.dataset_num_proc)
        return encoded.filter(lambda row: row["lengths"] <= 512, num_proc=args.dataset_num_proc)

    trainer = PPOTrainer(
        args=args,
        processing_class=tokenizer,
        model=policy,
        ref_model=reference,
        reward_model=scorer,
        value_model=critic,
        train_dataset=tokenise("train"),
        eval_dataset=None if args.eval_strategy == "no" else tokenise(script.dataset_test_split),
        peft_config=None,
    )
    trainer.train()
    trainer.save_model(args.output_dir)
    if args.push_to_hub:
        trainer.push_to_hub(dataset_name=script.dataset_name)
    trainer.generate_completions()
    return trainer


if __name__ == "__main__":
    main(sys.argv[1:])
