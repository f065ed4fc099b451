"""The trainers, one module for each method: SFT, reward model and DPO on top of TRL, PPO our own.

Each has `build(setup)`, which takes a `common.Setup` and returns a `transformers.Trainer`.
"""
