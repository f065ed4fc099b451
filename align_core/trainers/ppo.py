"""Proximal policy optimisation of a language model against a reward, on a leash to its reference.

Maximises E[r(x, y)] − β KL(π ‖ π_ref) (arXiv 1909.08593; arXiv 1707.06347 for the clipping):

    1. sample a response to each prompt from the policy
    2. score the responses
    3. ask the reference for its log-probabilities and the value model for its values
    4. pay −β·KL at every token and the score at the last one
    5. estimate advantages and returns, and whiten the advantages
    6. take clipped steps on policy and value, in several epochs of minibatches

Steps 1 to 5 make a rollout, in `_prepare_inputs`; step 6 is `compute_loss`, once a minibatch; the
optimiser, clipping of gradients, callbacks and checkpoints are those of `transformers.Trainer`.
Field and metric names are those of TRL's last PPO. Rewards are not whitened: they are in nats, the
unit of β.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import get_peft_model
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer, TrainingArguments

from align_core.encoding import Prompts, encode_prompts
from align_core.models import PolicyWithValue, as_reference, lora
from align_core.objectives import (
    entropy,
    exact_kl,
    gae,
    kl_estimate,
    masked_mean,
    masked_whiten,
    ppo_policy_loss,
    ppo_value_loss,
    token_logprobs,
    token_rewards,
)
from align_core.rewards import Reward
from align_core.sampling import RandomDraw, Responses, by_length, response_outputs, sample
from align_core.trainers.common import QUIET, FiniteTraining


@dataclass
class PPOConfig(TrainingArguments):
    """`TrainingArguments` and PPO's own settings, named as in TRL.

    One rollout has per_device_train_batch_size × gradient_accumulation_steps × num_mini_batches
    episodes. `kl_coef` is β, in nats of reward per nat of KL.
    """

    kl_coef: float = 0.05
    kl_estimator: str = "k1"
    num_ppo_epochs: int = 4
    num_mini_batches: int = 1
    response_length: int = 53
    temperature: float = 1.0
    gamma: float = 1.0
    lam: float = 0.95
    cliprange: float = 0.2
    cliprange_value: float = 0.2
    vf_coef: float = 0.1
    remove_unused_columns: bool = False

    @property
    def minibatch_size(self) -> int:
        """Episodes in one optimiser step."""
        return self.per_device_train_batch_size * self.gradient_accumulation_steps

    @property
    def updates_per_rollout(self) -> int:
        """Optimiser steps made from one rollout."""
        return self.num_ppo_epochs * self.num_mini_batches


@dataclass(frozen=True)
class Rollout:
    """Episodes and all that the loss needs of them. B episodes, P prompt and T response tokens.

    `mask`, `logp`, `values`, `advantages` and `returns` are [B, T]; the mask is true at response
    tokens, the end token included, and the others are 0 outside it.
    """

    prompts: Prompts
    tokens: Tensor
    mask: Tensor
    logp: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor

    def __getitem__(self, rows: Tensor) -> Rollout:
        """Some episodes, cut to the longest of their responses."""
        length = int(self.mask[rows].sum(1).max())
        return Rollout(
            self.prompts[rows],
            *(
                getattr(self, name)[rows, :length]
                for name in ("tokens", "mask", "logp", "values", "advantages", "returns")
            ),
        )


class RolloutBatches:
    """Rows of the data set, one rollout's worth at a time and each repeated for its minibatches.

    The order is a function of the seed alone, so that a resumed run meets the same prompts.
    """

    def __init__(self, rows: int, size: int, rollouts: int, repeats: int, seed: int) -> None:
        self._rows, self._size, self._seed = rows, size, seed
        self._rollouts, self._repeats = rollouts, repeats

    def __len__(self) -> int:
        return self._rollouts * self._repeats

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self._seed)
        waiting: list[int] = []
        for _ in range(self._rollouts):
            while len(waiting) < self._size:
                waiting += torch.randperm(self._rows, generator=generator).tolist()
            batch, waiting = waiting[: self._size], waiting[self._size :]
            for _ in range(self._repeats):
                yield batch


class PPOTrainer(FiniteTraining, Trainer):
    """PPO of a policy against a reward, with a value model or a value head on the policy's trunk.

    Args:
        args: the settings; `max_steps` counts optimiser steps, `updates_per_rollout` a rollout.
        processing_class: the tokenizer, with a padding and an end token.
        model: the policy; with a LoRA adapter, `ref_model` is None and the adapter is switched off.
        ref_model: the reference, frozen.
        reward: scores in nats, with the signature of TRL's reward functions.
        value_model: a model with one label, trained along with the policy; None for the head.
        train_dataset: a column `prompt`, text or conversational.
    """

    def __init__(
        self,
        args: PPOConfig,
        processing_class: PreTrainedTokenizerBase,
        model: PreTrainedModel,
        ref_model: PreTrainedModel | None,
        reward: Reward,
        train_dataset: Dataset,
        value_model: PreTrainedModel | None = None,
        callbacks: list | None = None,
    ) -> None:
        self.policy, self.reference, self.reward = model, ref_model, reward
        self.beta = args.kl_coef
        self._minibatches: list[Rollout] = []
        self._metrics: dict[str, list[float]] = defaultdict(list)
        super().__init__(
            model=PolicyWithValue(model, value_model),
            args=args,
            data_collator=list,
            train_dataset=train_dataset,
            processing_class=processing_class,
            callbacks=callbacks,
        )
        self.model_accepts_loss_kwargs = False
        if ref_model is not None:
            ref_model.to(args.device)

    def get_train_dataloader(self) -> DataLoader:
        """Each batch is the prompts of a whole rollout; it comes once for every minibatch of it."""
        args = self.args
        batches = RolloutBatches(
            rows=len(self.train_dataset),
            size=args.minibatch_size * args.num_mini_batches,
            rollouts=-(-args.max_steps // args.updates_per_rollout),
            repeats=args.updates_per_rollout * args.gradient_accumulation_steps,
            seed=args.seed,
        )
        return DataLoader(self.train_dataset, batch_sampler=batches, collate_fn=self.data_collator)

    def _prepare_inputs(self, inputs: list[dict[str, Any]]) -> Rollout:
        if not self._minibatches:
            rollout = self._rollout([example["prompt"] for example in inputs])
            self._minibatches = list(self._split(rollout))
        return self._minibatches.pop(0)

    @torch.no_grad()
    def _rollout(self, prompts: list) -> Rollout:
        args, tokenizer, model = self.args, self.processing_class, self.model
        model.eval()
        encoded = encode_prompts(tokenizer, prompts).to(self.policy.device)

        # 1. Sample a response to each prompt.
        responses = sample(
            self.policy,
            encoded,
            RandomDraw(self._rollout_seed(), len(prompts)),
            max_new_tokens=args.response_length,
            end_id=tokenizer.eos_token_id,
            pad_id=tokenizer.pad_token_id,
            temperature=args.temperature,
        )
        tokens, mask = responses.tokens, responses.mask

        # 2. Score the responses.
        ids = responses.ids()
        completions = tokenizer.batch_decode(ids, skip_special_tokens=True)
        scores = torch.tensor(
            self.reward(prompts, completions, completion_ids=ids), device=tokens.device
        )

        # 3. Ask the reference for its log-probabilities, and the value model for its values.
        ref_logp, values, kl, entropies = self._reread(encoded, responses)

        # 4. Pay −β·KL at every token and the score at the last one.
        estimate = kl_estimate(responses.logp, ref_logp, args.kl_estimator) * mask
        rewards = token_rewards(scores, estimate, mask, self.beta)

        # 5. Estimate advantages and returns, and whiten the advantages.
        advantages, returns = gae(rewards, values, mask, args.gamma, args.lam)
        advantages = masked_whiten(advantages, mask)

        non_score = -self.beta * estimate.sum(1)
        self._note(
            {
                "objective/kl": kl.sum(1).mean(),
                "objective/kl_estimate": estimate.sum(1).mean(),
                "objective/entropy": entropies.sum(1).mean(),
                "objective/scores": scores.mean(),
                "objective/non_score_reward": non_score.mean(),
                "objective/rlhf_reward": (scores + non_score).mean(),
                "val/num_eos_tokens": responses.ended.sum(),
                "episode": torch.tensor(
                    (self.state.global_step // args.updates_per_rollout + 1) * len(prompts)
                ),
            }
        )
        return Rollout(encoded, tokens, mask, responses.logp, values, advantages, returns)

    def _reread(
        self, prompts: Prompts, responses: Responses
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The reference's log-probs, the values, the exact KL and the entropy at each token, all
        [B, T] and 0 outside the mask."""
        found = [torch.zeros_like(responses.logp) for _ in range(4)]
        for rows in by_length(responses.mask):
            part = responses[rows]
            batch = prompts[rows], part.tokens, part.mask
            logits, values = self.model(*batch)
            logits = logits / self.args.temperature
            reference, reference_mode = as_reference(self.policy, self.reference)
            with reference_mode:
                ref_logits = response_outputs(reference, *batch)[0] / self.args.temperature
            ref_logp = token_logprobs(ref_logits, part.tokens)
            columns = ref_logp, values, exact_kl(logits, ref_logits).float(), entropy(logits)
            for whole, column in zip(found, columns, strict=True):
                whole[rows, : part.tokens.shape[1]] = column * part.mask
        return tuple(found)

    def _split(self, rollout: Rollout) -> Iterator[Rollout]:
        """Minibatches, in a new random order each epoch."""
        args = self.args
        generator = torch.Generator().manual_seed(self._rollout_seed())
        for _ in range(args.num_ppo_epochs):
            order = torch.randperm(len(rollout.tokens), generator=generator)
            yield from (rollout[rows] for rows in order.split(args.per_device_train_batch_size))

    def compute_loss(
        self,
        model: PolicyWithValue,
        inputs: Rollout,
        return_outputs: bool = False,
        num_items_in_batch: int | None = None,
    ) -> Tensor:
        """6. The clipped losses of policy and value, mean over the minibatch's tokens; a scalar."""
        args = self.args
        loss, means = 0.0, defaultdict(float)
        for rows in by_length(inputs.mask):
            batch = inputs[rows]
            share = batch.mask.sum() / inputs.mask.sum()
            logits, values = model(batch.prompts, batch.tokens, batch.mask)
            logits = logits / args.temperature
            logp = token_logprobs(logits, batch.tokens)
            policy_losses, policy_clipped = ppo_policy_loss(
                logp, batch.logp, batch.advantages, args.cliprange
            )
            value_losses, value_clipped = ppo_value_loss(
                values, batch.values, batch.returns, args.cliprange_value
            )
            losses = policy_losses + args.vf_coef * value_losses
            loss += share * masked_mean(losses, batch.mask)

            with torch.no_grad():
                log_ratio = (logp - batch.logp) * batch.mask
                ratio = log_ratio.exp()
                columns = {
                    "policy/approxkl_avg": 0.5 * log_ratio**2,
                    "policy/clipfrac_avg": policy_clipped.float(),
                    "policy/entropy_avg": entropy(logits),
                    "loss/policy_avg": policy_losses,
                    "loss/value_avg": value_losses,
                    "val/clipfrac_avg": value_clipped.float(),
                    "val/ratio": ratio,
                    "val/ratio_var": (ratio - 1) ** 2,
                }
                for name, column in columns.items():
                    means[name] += share * masked_mean(column, batch.mask)
        self._note(means)
        return loss

    def _rollout_seed(self) -> int:
        """Differs for each rollout, and is known without its history: a resumed run agrees."""
        return self.args.seed * 1_000_003 + self.state.global_step

    def _note(self, metrics: dict[str, Tensor]) -> None:
        for name, value in metrics.items():
            self._metrics[name].append(value.item())

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the means since the last log."""
        means = {name: sum(seen) / len(seen) for name, seen in self._metrics.items()}
        self._metrics.clear()
        super().log({**logs, **means}, start_time)

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        self.model.save(Path(output_dir or self.args.output_dir))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        self.model.load(Path(resume_from_checkpoint))


def build(
    model: PreTrainedModel,
    reference: PreTrainedModel | None,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Dataset,
    *,
    reward: Reward,
    value_model: PreTrainedModel | None = None,
    lora_r: int = 0,
    **arguments,
) -> PPOTrainer:
    """`prompts` has the column prompt; `reference` is None with LoRA: the adapter switched off."""
    if adapter := lora(lora_r, "CAUSAL_LM"):
        model = get_peft_model(model, adapter)
    args = PPOConfig(**{**QUIET, **arguments})
    return PPOTrainer(args, tokenizer, model, reference, reward, prompts, value_model)
