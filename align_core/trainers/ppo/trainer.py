"""Proximal policy optimisation of a language model against a reward, with a KL penalty.

Maximises E[r(x, y)] − β KL(π ‖ π_ref) (arXiv 1909.08593; arXiv 1707.06347 for the clipping):

    1. sample a response to each prompt from the policy
    2. score the responses
    3. compute log-probabilities of the reference and values of the value model
    4. give −β·KL as reward at every token, and the score at the last one
    5. estimate advantages and returns, and whiten the advantages
    6. take clipped steps on policy and value, in several epochs of minibatches
    7. move β towards its KL target, and the reference towards the policy, if so configured

Steps 1 to 5 make a rollout, in `_prepare_inputs`; step 6 is `compute_loss`, once a minibatch. In
step 7, β moves with the rollout, whose KL is in no checkpoint; the reference moves after the last
update on the rollout, when the policy has moved. Optimiser, gradient clipping, callbacks,
checkpoints and processes are those of `transformers.Trainer`. Under FSDP the policy and its values
are sharded, but unsharded during a rollout, as one process may sample more tokens than another.

Arguments, settings and metrics are named as in TRL's last PPO; docs/ppo.md lists the differences.
Left out: tables of samples during training (use `evaluate` or a callback), and reference adapters
by name (the reference of an adapter is the policy with that adapter disabled).
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from datasets import Dataset
from peft import PeftConfig, PeftModel
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainerControl,
)

from align_core.data.encoding import Prompts, encode_prompts
from align_core.models.logprobs import length_batches
from align_core.models.reference import move_towards
from align_core.models.rewards import RewardFunction, score_function
from align_core.models.sampling import RandomDraw, end_ids, sample
from align_core.models.sharding import unsharded
from align_core.models.value_model import PolicyWithValue, with_adapters
from align_core.objectives import (
    adapted_kl_coef,
    gae,
    kl_estimate,
    masked_mean,
    masked_whiten,
    ppo_policy_loss,
    ppo_value_loss,
    token_rewards,
)
from align_core.trainers.common import FiniteTraining, ShardedTraining
from align_core.trainers.ppo.checkpoints import PPOCheckpoints
from align_core.trainers.ppo.config import PPOConfig
from align_core.trainers.ppo.metrics import PPOMetrics, rollout_metrics, step_metrics
from align_core.trainers.ppo.rollouts import (
    Batch,
    Episodes,
    Rollout,
    RolloutBatches,
    columns_of,
    compare,
    prompts_of,
)


class PPOTrainer(PPOCheckpoints, PPOMetrics, ShardedTraining, FiniteTraining, Trainer):
    """PPO of a policy against a reward, with a value model or a value head on the policy's trunk.

    Args:
        processing_class: the tokenizer, with a padding and an end token.
        model: the policy.
        ref_model: the reference; None for a copy of the policy or, with an adapter, for the policy
            with its adapter disabled.
        reward_model: a model with one label or a function of TRL's reward signature, or several,
            which are summed. Scores are in nats.
        train_dataset: a column `prompt`, text or conversational, or `input_ids`; its other columns
            are passed to the reward functions.
        value_model: a model with one label, trained along with the policy; a copy of the reward
            model is a good initialisation. None for a head on the policy's trunk.
        data_collator: makes `input_ids` and `attention_mask` of rows, if they need one.
        eval_dataset: prompts for `evaluate`.
        peft_config: an adapter for the policy, and for the value model if there is one.
    """

    control: TrainerControl  # of transformers.Trainer

    def __init__(
        self,
        args: PPOConfig,
        processing_class: PreTrainedTokenizerBase,
        model: PreTrainedModel,
        ref_model: PreTrainedModel | None,
        reward_model: PreTrainedModel | RewardFunction | Sequence[PreTrainedModel | RewardFunction],
        train_dataset: Dataset,
        value_model: PreTrainedModel | None = None,
        data_collator: Callable | None = None,
        eval_dataset: Dataset | None = None,
        optimizers: tuple = (None, None),
        callbacks: list[TrainerCallback] | None = None,
        peft_config: PeftConfig | None = None,
    ) -> None:
        if ref_model is model:
            raise ValueError("ref_model is model itself, expected None or another model")
        if peft_config is not None:
            model, value_model = with_adapters(model, value_model, peft_config)
        if args.sync_ref_model and isinstance(model, PeftModel):
            raise ValueError("sync_ref_model got True, expected False for a policy with an adapter")
        if ref_model is None and not isinstance(model, PeftModel):
            ref_model = copy.deepcopy(model)
        if ref_model is not None:
            ref_model.requires_grad_(False).eval().to(args.device)
        self.policy, self.reference = model, ref_model
        self.ends = args.end_ids(end_ids(model, processing_class) if args.stops_at_ends else [])
        self.score = score_function(reward_model, processing_class, args.device, self.ends)
        self.beta = args.kl_coef
        self.latest: Rollout | None = None
        self._waiting: list[Batch] = []
        self._metrics: dict[str, list[float]] = defaultdict(list)
        super().__init__(
            model=PolicyWithValue(model, value_model),
            args=args.counted_in_updates(len(train_dataset)),
            data_collator=data_collator or list,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            processing_class=processing_class,
            optimizers=optimizers,
            callbacks=callbacks,
        )
        self.model_accepts_loss_kwargs = False

    def get_train_dataloader(self) -> DataLoader:
        """Yields the row numbers of one rollout, once for each of its micro-batches."""
        args = self.args
        self._waiting.clear()
        self._metrics.clear()
        batches = RolloutBatches(
            rows=len(self.train_dataset),
            size=args.local_episodes * self.accelerator.num_processes,
            rollouts=-(-args.max_steps // args.updates_per_rollout),
            repeats=args.micro_batches_per_rollout,
            seed=args.seed,
        )
        # Row numbers only: `_prepare_inputs` reads the rows once, when it makes the rollout.
        return DataLoader(range(len(self.train_dataset)), batch_sampler=batches, collate_fn=list)

    def _prepare_inputs(self, rows: list[int]) -> Batch:
        # The loader repeats a rollout's rows for each of its micro-batches. The first time they
        # make the rollout; later they are ignored, and the next micro-batch is returned.
        if not self._waiting:
            if self.state.global_step:
                self._move_reference()
            self._waiting = self._micro_batches(
                self._rollout([self.train_dataset[i] for i in rows])
            )
            assert len(self._waiting) == self.args.micro_batches_per_rollout
        return self._waiting.pop(0)

    def _rollout(self, rows: list[dict[str, Any]]) -> Batch:
        """Steps 1 to 5: each process samples a part of the rollout, then all gather all of it."""
        args = self.args
        process, processes = self.accelerator.process_index, self.accelerator.num_processes
        count, pad_id = len(rows) // processes, self.processing_class.pad_token_id
        own = range(process * count, (process + 1) * count)
        episodes = self._episodes(rows, own, args.sampling_batch_size, self._rollout_seed())
        episodes = episodes.gathered(self.accelerator, pad_id)
        mask = episodes.mask

        # 4. Give −β·KL as reward at every token, and the score at the last one.
        estimate = kl_estimate(episodes.logp, episodes.ref_logp, args.kl_estimator) * mask
        rewards = token_rewards(episodes.scores, estimate, mask, self.beta)
        if args.whiten_rewards:
            rewards = masked_whiten(rewards, mask, shift_mean=False)

        # 5. Estimate advantages and returns, and whiten the advantages.
        advantages, returns = gae(rewards, episodes.values, mask, args.gamma, args.lam)
        if args.whiten_advantages:
            advantages = masked_whiten(advantages, mask)

        self.latest = Rollout(episodes, advantages, self.beta, self.state.global_step)
        self._record(rollout_metrics(episodes, estimate, self.beta))

        # 7. Move β towards its KL target, for the next rollout; see also `_move_reference`.
        if args.kl_target is not None:
            kl, horizon = episodes.kl.mean().item(), args.kl_horizon
            self.beta = adapted_kl_coef(self.beta, kl, args.kl_target, len(rows) / horizon)
        return Batch(
            prompts=Prompts(episodes.prompt_ids, episodes.prompt_mask),
            tokens=episodes.tokens,
            mask=mask,
            logp=episodes.logp,
            values=episodes.values,
            advantages=advantages,
            returns=returns,
            trunk_states=episodes.trunk_states,
        )

    @torch.no_grad()
    def _episodes(self, rows: list[dict[str, Any]], own: range, size: int, seed: int) -> Episodes:
        """Steps 1 to 3 for the rows `own`, `size` at a time, in the precision of step 6."""
        with self.compute_loss_context_manager(), unsharded(self.model):
            parts = [
                self._sample(rows[i : i + size], RandomDraw(seed, len(rows), i))
                for i in own[::size]
            ]
        return Episodes.joined(parts, self.processing_class.pad_token_id)

    def _sample(self, rows: list[dict[str, Any]], draw: RandomDraw) -> Episodes:
        args, tokenizer = self.args, self.processing_class
        self.model.eval()
        prompts = prompts_of(rows, self.data_collator)
        encoded = encode_prompts(tokenizer, prompts).to(self.policy.device)

        # 1. Sample a response to each prompt, and keep the states of a frozen trunk.
        frozen = self.model.frozen if self.reference is None else None
        responses = sample(
            self.policy,
            encoded,
            draw,
            max_new_tokens=args.response_length,
            end_ids=self.ends,
            pad_id=tokenizer.pad_token_id,
            temperature=args.temperature,
            keep_logits=frozen is None,
            keep_states=frozen is None and self.model.value_model is None,
            frozen=frozen,
        )

        # 2. Score the responses.
        columns = {**columns_of(rows), "trainer_state": self.state}
        scores = torch.tensor(self.score(prompts, responses.ids(), columns))
        scores = scores.to(responses.logp.device)
        if args.missing_eos_penalty is not None:
            scores = scores - args.missing_eos_penalty * ~responses.ended

        # 3. Compute log-probabilities of the reference and values of the value model.
        compared = compare(self.model, self.reference, encoded, responses, args.temperature)
        width, trunk = encoded.ids.shape[1], responses.trunk_states
        return Episodes(
            prompt_ids=encoded.ids,
            prompt_mask=encoded.mask,
            tokens=responses.tokens,
            mask=responses.mask,
            logp=compared.logp,
            ref_logp=compared.ref_logp,
            values=compared.values,
            scores=scores,
            ended=responses.ended,
            kl=compared.kl.sum(1),
            entropy=compared.entropy.sum(1),
            prompt_trunk=None if trunk is None else trunk[:, :width],
            trunk=None if trunk is None else trunk[:, width:],
        )

    def _micro_batches(self, rollout: Batch) -> list[Batch]:
        """This process's micro-batches of every minibatch of every epoch."""
        args, accelerator = self.args, self.accelerator
        size = args.local_episodes // args.num_mini_batches // args.gradient_accumulation_steps
        generator = torch.Generator().manual_seed(self._rollout_seed())
        process, processes = accelerator.process_index, accelerator.num_processes
        return [
            micro_batch
            for _ in range(args.num_ppo_epochs)
            for micro_batch in rollout.micro_batches(
                args.num_mini_batches, size, process, processes, generator
            )
        ]

    def compute_loss(
        self,
        model: PolicyWithValue,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: int | None = None,
    ) -> Tensor:
        """6. The clipped losses of policy and value: a scalar, the mean over its tokens."""
        args = self.args
        loss, means = 0.0, defaultdict[str, float](float)
        for rows in length_batches(inputs.prompts, inputs.mask):
            batch = inputs[rows]
            weight = inputs.weight * batch.mask.sum() / inputs.mask.sum()
            logp, entropies, values = model(
                batch.prompts, batch.tokens, batch.mask, args.temperature, batch.trunk_states
            )
            policy_losses, policy_clipped = ppo_policy_loss(
                logp, batch.logp, batch.advantages, args.cliprange
            )
            value_losses, value_clipped = ppo_value_loss(
                values, batch.values, batch.returns, args.cliprange_value
            )
            losses = policy_losses + args.vf_coef * value_losses
            loss += weight * masked_mean(losses, batch.mask)
            metrics = step_metrics(
                batch, entropies, logp, policy_losses, policy_clipped, value_losses, value_clipped
            )
            for name, mean in metrics.items():
                means[name] += weight * mean
        self._record(means)
        return loss

    def _move_reference(self) -> None:
        """7. Every `ref_model_sync_steps` rollouts, move the reference towards the policy."""
        args = self.args
        rollout = self.state.global_step // args.updates_per_rollout
        if args.sync_ref_model and rollout % args.ref_model_sync_steps == 0:
            with unsharded(self.model):
                move_towards(self.reference, self.policy, args.ref_model_mixup_alpha)

    def evaluate(
        self, eval_dataset: Dataset | None = None, metric_key_prefix: str = "eval", **_: Any
    ) -> dict[str, float]:
        """Mean score and KL of one response to each prompt, with the same noise at every call."""
        rows = list(eval_dataset if eval_dataset is not None else self.eval_dataset)
        args, size = self.args, self.args.per_device_eval_batch_size
        episodes = self._episodes(rows, range(len(rows)), size, args.seed)
        metrics = {
            f"{metric_key_prefix}_objective/scores": episodes.scores.mean().item(),
            f"{metric_key_prefix}_objective/kl": episodes.kl.mean().item(),
        }
        Trainer.log(self, metrics)
        self.control = self.callback_handler.on_evaluate(args, self.state, self.control, metrics)
        return metrics

    def _rollout_seed(self) -> int:
        """A seed for this rollout, a function of the step alone, so that a resumed run agrees."""
        return self.args.seed * 1_000_003 + self.state.global_step
