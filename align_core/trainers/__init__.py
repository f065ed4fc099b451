"""One module a method; SFT, the reward model and DPO are thin layers on TRL, PPO is this project's.

Each has a `build` that takes a model, its tokenizer, examples and `TrainingArguments` fields.
"""
