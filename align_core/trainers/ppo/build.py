"""The PPO trainer of a run."""

from __future__ import annotations

from typing import Any

from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from align_core.config.methods import PPO_EPOCHS, ppo_minibatches
from align_core.models.lora import lora_config
from align_core.models.rewards import ProxyReward, Reward
from align_core.models.value_model import value_model_of
from align_core.trainers.common import QUIET, WARMUP, Setup
from align_core.trainers.ppo.config import PPOConfig
from align_core.trainers.ppo.trainer import PPOTrainer

VALUE_CLIP = 5.0  # nats, wide enough for rewards of a few nats


def build(setup: Setup) -> PPOTrainer:
    """The PPO trainer of a run, on its reward model or the gold reward.

    The value model is a copy of the reward model. In four cases there is a value head instead: with
    LoRA, to save memory; without a reward model; for a reward model whose tokens differ from the
    policy's; and for a reward model that is an encoder.
    """
    config, proxy, value_model = setup.config, setup.proxy, None
    if isinstance(proxy, ProxyReward) and proxy.gives_values and not config.lora_r:
        value_model = value_model_of(proxy.model)
    return make_trainer(
        setup.model,
        setup.reference,
        setup.tokenizer,
        setup.data,
        reward=reward_of(setup),
        value_model=value_model,
        # λ < 1 trades variance for bias; with a trained value model the variance is small anyway.
        lam=0.95 if value_model is None else 1.0,
        whiten_advantages=config.whiten_advantages,
        cliprange_value=VALUE_CLIP,
        lora_r=config.lora_r,
        lora_layers=config.lora_layers,
        **rollout_settings(setup),
    )


def reward_of(setup: Setup) -> Reward:
    """The reward that a run on rollouts optimises."""
    reward = setup.gold if setup.config.reward_model == "gold" else setup.proxy
    assert reward is not None  # any other value names a reward model
    return reward


def rollout_settings(setup: Setup) -> dict[str, Any]:
    """The settings that all runs on rollouts share."""
    config = setup.config
    return {
        "kl_coef": config.beta,
        "num_ppo_epochs": PPO_EPOCHS,
        "num_mini_batches": ppo_minibatches(config.batch_size),
        "response_length": setup.task.max_new_tokens,
        "warmup_steps": config.steps // WARMUP,
        **setup.arguments,
    }


def make_trainer(
    model: PreTrainedModel,
    reference: PreTrainedModel | None,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Dataset,
    *,
    reward: Reward,
    value_model: PreTrainedModel | None = None,
    lora_r: int = 0,
    lora_layers: int | None = None,
    **arguments: Any,
) -> PPOTrainer:
    """A trainer on `prompts`, a data set with the column prompt; with LoRA `reference` is None."""
    return PPOTrainer(
        args=PPOConfig(**{**QUIET, **arguments}),
        processing_class=tokenizer,
        model=model,
        ref_model=reference,
        reward_model=reward,
        train_dataset=prompts,
        value_model=value_model,
        peft_config=lora_config(model, lora_r, "CAUSAL_LM", lora_layers),
    )
