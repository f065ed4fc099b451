"""The trainers, one module or package for each method.

SFT, reward models and DPO use the trainers of TRL; the others are our own. The module of a method
has `build(setup)`, which takes a `common.Setup` and returns a `transformers.Trainer`.
"""
