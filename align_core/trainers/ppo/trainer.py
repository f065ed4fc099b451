"""Proximal policy optimisation of a language model against a reward, on a leash to its reference.

Maximises E[r(x, y)] − β KL(π ‖ π_ref) (arXiv 1909.08593; arXiv 1707.06347 for the clipping):

    1. sample a response to each prompt from the policy
    2. score the responses
    3. ask the reference for its log-probabilities and the value model for its values
    4. pay −β·KL at every token and the score at the last one
    5. estimate advantages and returns, and whiten the advantages
    6. take clipped steps on policy and value, in several epochs of minibatches
    7. move β towards its KL target, and the reference towards the policy, where that is asked for

Steps 1 to 5 make a rollout, in `_prepare_inputs`; step 6 is `compute_loss`, once a minibatch. Step
7 has two moments: β moves with the rollout, whose KL no checkpoint holds, and the reference once
the rollout has been learnt from, for it follows the policy. Neither is asked in between. The
optimiser, gradient clipping, callbacks, checkpoints and processes are those of
`transformers.Trainer`. Under FSDP the policy and its values are in shards, and whole in every
process while a rollout is made: one process may sample more tokens than another.

Arguments, settings and metrics are named as in TRL's last PPO; docs/ppo.md says where it differs.
Left out: tables of samples while it trains (`evaluate` and callbacks serve), and reference adapters
by name (the adapter switched off is the reference).
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
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer, TrainerCallback

from align_core.data.encoding import Prompts, encode_prompts
from align_core.models.loading import lora
from align_core.models.logprobs import by_length
from align_core.models.reference import move_towards
from align_core.models.rewards import Reward, as_score
from align_core.models.sampling import RandomDraw, sample
from align_core.models.sharding import whole
from align_core.models.value_model import PolicyWithValue, with_adapters
from align_core.objectives import (
    adapted_kl_coef,
    gae,
    kl_estimate,
    masked_mean,
    masked_whiten,
    ppo_policy_loss,
    ppo_value_loss,
    token_logprobs,
    token_rewards,
)
from align_core.trainers.common import QUIET, FiniteTraining, ShardedTraining
from align_core.trainers.ppo.checkpoints import PPOCheckpoints
from align_core.trainers.ppo.config import PPOConfig
from align_core.trainers.ppo.metrics import PPOMetrics, rollout_metrics, step_metrics
from align_core.trainers.ppo.rollouts import (
    Batch,
    Episodes,
    Rollout,
    RolloutBatches,
    columns_of,
    prompts_of,
    reference_and_values,
)


class PPOTrainer(PPOCheckpoints, PPOMetrics, ShardedTraining, FiniteTraining, Trainer):
    """PPO of a policy against a reward, with a value model or a value head on the policy's trunk.

    Args:
        args: the settings.
        processing_class: the tokenizer, with a padding and an end token.
        model: the policy.
        ref_model: the reference; None for a copy of the policy or, with an adapter, for the policy
            with its adapter switched off.
        reward_model: a model with one label or a function of TRL's reward signature, or several,
            which are summed. Scores are in the unit of 1/β: nats.
        train_dataset: a column `prompt`, text or conversational, or `input_ids`; its other columns
            go to the reward functions.
        value_model: a model with one label, trained along with the policy; a copy of the reward
            model is a good start. None for a head on the policy's trunk.
        data_collator: of batches of `input_ids` and `attention_mask`, where the rows need one.
        eval_dataset: prompts for `evaluate`.
        peft_config: an adapter for the policy, and for the value model where there is one.
    """

    def __init__(
        self,
        args: PPOConfig,
        processing_class: PreTrainedTokenizerBase,
        model: PreTrainedModel,
        ref_model: PreTrainedModel | None,
        reward_model: PreTrainedModel | Reward | Sequence[PreTrainedModel | Reward],
        train_dataset: Dataset,
        value_model: PreTrainedModel | None = None,
        data_collator: Callable | None = None,
        eval_dataset: Dataset | None = None,
        optimizers: tuple = (None, None),
        callbacks: list[TrainerCallback] | None = None,
        peft_config: PeftConfig | None = None,
    ) -> None:
        if ref_model is model:
            raise ValueError(
                "ref_model is model itself; it takes None for a copy, or another model"
            )
        if peft_config is not None:
            model, value_model = with_adapters(model, value_model, peft_config)
        if args.sync_ref_model and isinstance(model, PeftModel):
            raise ValueError("sync_ref_model: a reference cannot follow a policy with an adapter")
        if ref_model is None and not isinstance(model, PeftModel):
            ref_model = copy.deepcopy(model)
        if ref_model is not None:
            ref_model.requires_grad_(False).eval().to(args.device)
        self.policy, self.reference = model, ref_model
        self.score = as_score(reward_model, processing_class, args.device)
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
        """Each batch is the rows of a whole rollout; it comes once for every piece of it."""
        args = self.args
        self._waiting.clear()
        self._metrics.clear()
        batches = RolloutBatches(
            rows=len(self.train_dataset),
            size=args.local_episodes * self.accelerator.num_processes,
            rollouts=-(-args.max_steps // args.updates_per_rollout),
            repeats=args.pieces_per_rollout,
            seed=args.seed,
        )
        # Plain lists of row numbers: a piece's batch is only looked at where a rollout begins.
        return DataLoader(range(len(self.train_dataset)), batch_sampler=batches, collate_fn=list)

    def _prepare_inputs(self, rows: list[int]) -> Batch:
        # The loader gives a rollout's rows once for every piece of it (`get_train_dataloader`). The
        # first time they make the rollout; then they are ignored, and its pieces handed out.
        if not self._waiting:
            if self.state.global_step:
                self._move_reference()
            self._waiting = self._pieces(self._rollout([self.train_dataset[i] for i in rows]))
            pieces, expected = len(self._waiting), self.args.pieces_per_rollout
            assert pieces == expected, f"expected {expected} pieces of a rollout, got {pieces}"
        return self._waiting.pop(0)

    def _rollout(self, rows: list[dict[str, Any]]) -> Batch:
        """Steps 1 to 5; each process samples its share, and all learn from the whole."""
        args = self.args
        process, processes = self.accelerator.process_index, self.accelerator.num_processes
        share, pad_id = len(rows) // processes, self.processing_class.pad_token_id
        mine = range(process * share, (process + 1) * share)
        episodes = self._episodes(rows, mine, args.sampling_batch_size, self._rollout_seed())
        episodes = episodes.gathered(self.accelerator, pad_id)
        mask = episodes.mask

        # 4. Pay −β·KL at every token and the score at the last one.
        estimate = kl_estimate(episodes.logp, episodes.ref_logp, args.kl_estimator) * mask
        rewards = token_rewards(episodes.scores, estimate, mask, self.beta)
        if args.whiten_rewards:
            rewards = masked_whiten(rewards, mask, shift_mean=False)

        # 5. Estimate advantages and returns, and whiten the advantages.
        advantages, returns = gae(rewards, episodes.values, mask, args.gamma, args.lam)
        if args.whiten_advantages:
            advantages = masked_whiten(advantages, mask)

        self.latest = Rollout(episodes, advantages, self.beta, self.state.global_step)
        self._note(rollout_metrics(episodes, estimate, self.beta))

        # 7. Move β towards its KL target, for the next rollout; the reference: `_move_reference`.
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
        )

    @torch.no_grad()
    def _episodes(self, rows: list[dict[str, Any]], mine: range, size: int, seed: int) -> Episodes:
        """Steps 1 to 3 for some of `rows`, `size` at a time, in the precision of step 6."""
        with self.compute_loss_context_manager(), whole(self.model):
            parts = [
                self._sampled(rows[i : i + size], RandomDraw(seed, len(rows), i))
                for i in mine[::size]
            ]
        return Episodes.joined(parts, self.processing_class.pad_token_id)

    def _sampled(self, rows: list[dict[str, Any]], draw: RandomDraw) -> Episodes:
        args, tokenizer = self.args, self.processing_class
        self.model.eval()
        prompts = prompts_of(rows, self.data_collator)
        encoded = encode_prompts(tokenizer, prompts).to(self.policy.device)

        # 1. Sample a response to each prompt.
        responses = sample(
            self.policy,
            encoded,
            draw,
            max_new_tokens=args.response_length,
            end_id=args.end_id(tokenizer.eos_token_id),
            pad_id=tokenizer.pad_token_id,
            temperature=args.temperature,
            keep_logits=True,
            keep_states=self.model.value_model is None,
        )

        # 2. Score the responses.
        columns = {**columns_of(rows), "trainer_state": self.state}
        scores = torch.tensor(self.score(prompts, responses.ids(), columns))
        scores = scores.to(responses.logp.device)
        if args.missing_eos_penalty is not None:
            scores = scores - args.missing_eos_penalty * ~responses.ended

        # 3. Ask the reference for its log-probabilities, and the value model for its values.
        ref_logp, values, kl, entropies = reference_and_values(
            self.model, self.reference, encoded, responses, args.temperature
        )
        return Episodes(
            prompt_ids=encoded.ids,
            prompt_mask=encoded.mask,
            tokens=responses.tokens,
            mask=responses.mask,
            logp=responses.logp,
            ref_logp=ref_logp,
            values=values,
            scores=scores,
            ended=responses.ended,
            kl=kl.sum(1),
            entropy=entropies.sum(1),
        )

    def _pieces(self, rollout: Batch) -> list[Batch]:
        """This process's part of every minibatch of every epoch, in pieces for accumulation."""
        args, accelerator = self.args, self.accelerator
        size = args.local_episodes // args.num_mini_batches // args.gradient_accumulation_steps
        generator = torch.Generator().manual_seed(self._rollout_seed())
        process, processes = accelerator.process_index, accelerator.num_processes
        return [
            piece
            for _ in range(args.num_ppo_epochs)
            for piece in rollout.pieces(args.num_mini_batches, size, process, processes, generator)
        ]

    def compute_loss(
        self,
        model: PolicyWithValue,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: int | None = None,
    ) -> Tensor:
        """6. The clipped losses of policy and value, mean over the minibatch's tokens; a scalar."""
        args = self.args
        loss, means = 0.0, defaultdict(float)
        for rows in by_length(inputs.prompts, inputs.mask):
            batch = inputs[rows]
            share = inputs.weight * batch.mask.sum() / inputs.mask.sum()
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
            noted = step_metrics(
                batch, logits, logp, policy_losses, policy_clipped, value_losses, value_clipped
            )
            for name, mean in noted.items():
                means[name] += share * mean
        self._note(means)
        return loss

    def _move_reference(self) -> None:
        """7. Move the reference towards the policy that the last rollout made, every so many."""
        args = self.args
        rollout = self.state.global_step // args.updates_per_rollout
        if args.sync_ref_model and rollout % args.ref_model_sync_steps == 0:
            with whole(self.model):
                move_towards(self.reference, self.policy, args.ref_model_mixup_alpha)

    def evaluate(
        self, eval_dataset: Dataset | None = None, metric_key_prefix: str = "eval", **_: Any
    ) -> dict[str, float]:
        """Mean score and KL of one response to each prompt, the same chance every time."""
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
        """Differs for each rollout, and is known without its history: a resumed run agrees."""
        return self.args.seed * 1_000_003 + self.state.global_step


def make_trainer(
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
    return PPOTrainer(
        args=PPOConfig(**{**QUIET, **arguments}),
        processing_class=tokenizer,
        model=model,
        ref_model=reference,
        reward_model=reward,
        train_dataset=prompts,
        value_model=value_model,
        peft_config=lora(lora_r, "CAUSAL_LM"),
    )
