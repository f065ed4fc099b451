"""Settings that PPO refuses when they are made, each in one line."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest

from align_core import PPOTrainer
from align_core.trainers.groups import GroupConfig
from align_core.trainers.grpo import GRPOConfig
from align_core.trainers.ppo.config import PPOConfig
from align_core.trainers.ppo.ranges import RANGES
from tests import toy

# The first values that a setting takes, and those beside them that it refuses.
WHOLE = ([1, 4.0, np.int64(2)], [0, -1, 1.5, "1", True, math.inf, math.nan])
SHARES = ([0, 0.5, 1], [-1e-9, 1.1, math.nan, "0.5"])
ABOVE = ([1e-9, 2], [0, -1, math.inf, math.nan, "1"])
NOT_NEGATIVE = ([0, 0.5, np.float32(0.5)], [-1e-9, math.inf, math.nan, "0.5", None, [1]])
TABLE = {
    "per_device_train_batch_size": WHOLE,
    "per_device_eval_batch_size": WHOLE,
    "gradient_accumulation_steps": WHOLE,
    "num_ppo_epochs": WHOLE,
    "num_mini_batches": WHOLE,
    "total_episodes": WHOLE,
    "response_length": WHOLE,
    "local_rollout_forward_batch_size": WHOLE,
    "top_k": WHOLE,
    "kl_horizon": WHOLE,
    "ref_model_sync_steps": WHOLE,
    "num_sample_generations": ([0, 1, 2.0], [-1, 0.5, "1", None]),
    "seed": ([0, 2**32 - 1], [-1, 2**32, 0.5, None]),
    "max_steps": ([-1, 0, 3], [-2, 0.5, None]),
    "temperature": ABOVE,
    "missing_eos_penalty": ([0, 1.5, None], [-1e-9, math.inf, math.nan, "1"]),
    "kl_target": ABOVE,
    "num_train_epochs": ABOVE,
    "learning_rate": NOT_NEGATIVE,
    "kl_coef": NOT_NEGATIVE,
    "vf_coef": NOT_NEGATIVE,
    "weight_decay": NOT_NEGATIVE,
    "warmup_steps": ([0, 0.5, 3], [-1, "1", math.nan]),
    "logging_steps": ([0.5, 3], [-1, -0.5, "1", math.nan]),
    "save_steps": ([0.5, 3], [-1, "1", math.nan]),
    "eval_steps": ([0.5, 3, None], [-1, "1", math.nan]),
    "cliprange": ([1e-9, 2, math.inf], [0, -0.2, math.nan, "0.2", None]),
    "cliprange_value": ([1e-9, 2, math.inf], [0, -0.2, math.nan, "0.2", None]),
    "gamma": SHARES,
    "lam": SHARES,
    "ref_model_mixup_alpha": SHARES,
    "top_p": ([1e-9, 1], [0, -0.1, 1.1, math.nan, "1"]),
    "vllm_gpu_memory_utilization": ([1e-9, 1], [0, -0.1, 1.1, None]),
    "whiten_rewards": ([True, False], ["False", 0, None]),
    "whiten_advantages": ([True, False], ["False", 1, None]),
    "sync_ref_model": ([True, False], ["no", None]),
    "stop_strings": (["good", ["a", "b"], None], ["", [], [""], ["a", 1], 3]),
    "stop_token_id": ([0, [3, 8], None], [-1, [], "a", ["a"], 0.5, [[1]]]),
    "reward_weights": ([[1, -0.5], (0.0,), None], [1.0, [], ["1"], [math.nan], "1", [None]]),
    "stop_token": (["eos", None], ["pad", 0, ["eos"]]),
    "kl_estimator": (["k1", "k3"], ["k2", None, ["k1"]]),
    "generator": (["transformers", "vllm"], ["hf", None]),
}


def config(tmp_path, **settings) -> PPOConfig:
    return PPOConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, **settings)


@pytest.mark.parametrize("name", TABLE)
def test_each_setting_takes_its_values_and_refuses_those_beside_them(tmp_path, name):
    taken, refused = TABLE[name]
    for value in taken:
        got = getattr(config(tmp_path, **{name: value}), name)
        assert got == ([value] if isinstance(value, str) and name == "stop_strings" else value)
        assert type(got) is int or value != 4.0 or name not in RANGES, "4.0 becomes 4"
    for value in refused:
        with pytest.raises(ValueError, match=f"^{name} got .*, expected ") as error:
            config(tmp_path, **{name: value})
        assert "\n" not in str(error.value) and len(str(error.value)) < 200


def test_every_number_and_switch_of_ppo_is_in_the_table():
    """A new setting needs a range, or a check of its own."""
    own = {f for f in fields(PPOConfig) if type(f.default) in (int, float, bool)}
    own -= {f for f in own if f.name in PPOConfig.__mro__[2].__dataclass_fields__}
    assert {f.name for f in own} - TABLE.keys() == {"ds3_gather_for_generation"}
    assert RANGES.keys() <= TABLE.keys()


def test_the_size_of_a_group_is_two_or_more(tmp_path):
    settings = {"output_dir": str(tmp_path), "use_cpu": True, "per_device_train_batch_size": 10}
    assert repr(GroupConfig(**settings, num_generations=2.0).num_generations) == "2"
    for size in (1, 0, -2, 2.5, 3, math.inf, "2", None):
        with pytest.raises(ValueError, match="num_generations got .*, expected 2 or more"):
            GroupConfig(**settings, num_generations=size)
    made = GroupConfig(**settings, num_generations=2)
    made.num_generations = 3
    with pytest.raises(ValueError, match="num_generations got 3, .* divisor of the 10 episodes"):
        made.check()


@pytest.mark.parametrize("name", ["scale_rewards", "loss_type", "importance_sampling_level"])
def test_grpo_takes_the_names_that_it_knows(tmp_path, name):
    """Any other name would be one of them: TRL's True, for "group", would be "none"."""
    settings = {"output_dir": str(tmp_path), "use_cpu": True, "per_device_train_batch_size": 4}
    for known in GRPOConfig.choices[name]:
        assert getattr(GRPOConfig(**settings, **{name: known}), name) == known
    for value in (True, "sentence", None):
        with pytest.raises(ValueError, match=f"{name} got .*, expected '"):
            GRPOConfig(**settings, **{name: value})


def test_an_adaptive_beta_cannot_begin_at_zero(tmp_path):
    assert config(tmp_path, kl_coef=0).kl_coef == 0
    with pytest.raises(ValueError, match="kl_coef got 0, expected a number above 0 with kl_target"):
        config(tmp_path, kl_coef=0, kl_target=0.5)


def test_an_adaptive_beta_cannot_change_its_sign_in_a_rollout(tmp_path):
    """β·(1 − 0.2·episodes/horizon) is negative at a horizon below a fifth of the episodes."""
    assert config(tmp_path, kl_target=0.5, kl_horizon=8).kl_horizon == 8
    assert config(tmp_path, kl_horizon=7).kl_target is None
    with pytest.raises(ValueError, match="kl_horizon got 7, expected 8 or more, the episodes of"):
        config(tmp_path, kl_target=0.5, kl_horizon=7)


def test_rollouts_that_minibatches_do_not_divide_are_refused(tmp_path):
    with pytest.raises(ValueError, match="num_mini_batches got 3, expected a divisor of the 8 ep"):
        config(tmp_path, num_mini_batches=3)


def test_a_setting_that_a_script_assigns_is_checked_when_the_trainer_is_made(tmp_path):
    for name, value in (("kl_coef", -1), ("num_mini_batches", 3), ("kl_estimator", "k2")):
        args = config(tmp_path)
        setattr(args, name, value)
        with pytest.raises(ValueError, match=f"^{name} got {value!r}, expected "):
            PPOTrainer(args, toy.tokenizer(), toy.policy(), ref_model=None)
