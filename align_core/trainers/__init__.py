"""The trainers, one module for each method: SFT, reward model and DPO use TRL; PPO is our own.

Each has `build(setup)`, which takes a `common.Setup` and returns a `transformers.Trainer`.
"""
