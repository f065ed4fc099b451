"""Proximal policy optimisation of a language model against a reward, with a KL penalty.

Maximises E[r(x, y)] − β KL(π ‖ π_ref) (arXiv 1909.08593; arXiv 1707.06347 for the clipping):

    1. sample a response to each prompt from the policy
    2. score the responses
    3. compute log-probabilities of the reference and values of the value model
    4. give −β·KL as reward at every token, and the score at the last one
    5. estimate advantages and returns, and whiten the advantages
    6. take clipped steps on policy and value, in several epochs of minibatches
    7. move β towards its KL target, and the reference towards the policy, if so configured

Steps 1 to 5 make a rollout, in `_prepare_inputs`; step 6 is `compute_loss` (`losses.py`), once a
minibatch; `rollout` and `learn` (`loop.py`) are the same steps for your own loop. In step 7, β is
adapted at the end of the rollout, because checkpoints do not store the rollout's KL; the reference
moves after the rollout's last update. `transformers.Trainer` brings the optimiser, gradient
clipping, callbacks, checkpoints and distributed training. Under FSDP the policy and its values are
sharded, but not during a rollout, because one process may sample more tokens than another.

Arguments, settings and metrics are named as in TRL's last PPO; docs/ppo.md lists the differences.
Named reference adapters are not supported.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from datasets import Dataset, IterableDataset
from peft import PeftConfig, PeftModel
from torch import Tensor, nn
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainerControl,
)

from align_core.data.encoding import Prompts
from align_core.models.distributed import equal_shares
from align_core.models.loading import eval_mode
from align_core.models.reference import move_towards
from align_core.models.sampling import RandomDraw
from align_core.models.sharding import unsharded
from align_core.models.truncation import StopStrings
from align_core.models.value_model import PolicyWithValue
from align_core.objectives import (
    adapted_kl_coef,
    gae,
    kl_estimate,
    masked_whiten,
    token_rewards,
)
from align_core.trainers.common import FiniteTraining, ShardedTraining
from align_core.trainers.ppo.arguments import (
    add_value_weights,
    check_models,
    check_prompts,
    check_tokenizer,
    check_types,
    ends_of,
    policy_of,
    reference_of,
    room_of,
    separate_rewards,
    valid_padding,
)
from align_core.trainers.ppo.callbacks import RolloutCallbacks
from align_core.trainers.ppo.checkpoints import PPOCheckpoints
from align_core.trainers.ppo.config import RolloutConfig
from align_core.trainers.ppo.generation import check_generator, respond, vllm_generator
from align_core.trainers.ppo.loop import OwnLoop
from align_core.trainers.ppo.losses import PPOLosses
from align_core.trainers.ppo.metrics import PPOMetrics, mismatch_metrics, rollout_metrics
from align_core.trainers.ppo.names import TRLNames
from align_core.trainers.ppo.phases import Phases
from align_core.trainers.ppo.prompts import Row, columns_of, encoded, prompts_of
from align_core.trainers.ppo.rollouts import Batch, Episodes, Rollout, compare, epochs
from align_core.trainers.ppo.rows import RolloutRows, numbered
from align_core.trainers.ppo.samples import Samples, SampleTables, check_best_metric
from align_core.trainers.ppo.schedules import Optimizers
from align_core.trainers.ppo.scores import (
    RewardModel,
    Score,
    check_finite,
    penalised,
    reward_names,
    score_function,
    unscored,
)


class PPOTrainer(
    TRLNames,
    OwnLoop,
    RolloutRows,
    PPOLosses,
    Samples,
    PPOCheckpoints,
    PPOMetrics,
    Optimizers,
    ShardedTraining,
    FiniteTraining,
    Trainer,
):
    """PPO of a policy against a reward, with a value model or a value head on the policy's trunk.

    Args:
        args: a `PPOConfig`; a subclass of this trainer may take settings of another class.
        processing_class: the tokenizer.
        model: the policy.
        ref_model: the reference; None for the initial policy.
        reward_model: a model with one label or a function of TRL's reward signature, or several,
            which are summed. Scores are in nats. None for your own loop, without data sets.
        train_dataset: a column `prompt`, text or conversational, or `input_ids`; its other columns
            are passed to the reward functions. None for your own loop.
        value_model: a model with one label, trained with the policy; a copy of the reward model is
            a good initialisation. None for a value head on the policy's trunk.
        data_collator: returns `input_ids` and `attention_mask` for rows, if they need it.
        eval_dataset: prompts for `evaluate`, or several sets of them by name.
        peft_config: a new adapter for the policy; the value model is trained whole.
        reward_processing_classes: the tokenizers of the reward models; by default the one in each
            model's folder, or the policy's.
    """

    control: TrainerControl  # set by transformers.Trainer
    model_class: type[PolicyWithValue] = PolicyWithValue  # the class of the trained model

    def __init__(
        self,
        args: RolloutConfig,
        processing_class: PreTrainedTokenizerBase,
        model: PreTrainedModel | PeftModel,
        ref_model: PreTrainedModel | None,
        reward_model: RewardModel | Sequence[RewardModel] | None = None,
        train_dataset: Dataset | IterableDataset | None = None,
        value_model: nn.Module | None = None,
        data_collator: Callable | None = None,
        eval_dataset: Dataset | Mapping[str, Dataset] | None = None,
        optimizers: tuple = (None, None),
        callbacks: list[TrainerCallback] | None = None,
        peft_config: PeftConfig | None = None,
        reward_processing_classes: Any = None,
    ) -> None:
        check_types(args, data_collator, optimizers, callbacks, peft_config)
        args.check_evaluation(eval_dataset)
        check_tokenizer(processing_class)
        self.was_merged = isinstance(model, PeftModel) and peft_config is not None
        self.policy = policy_of(model, ref_model, peft_config, args)
        check_models(self.policy, value_model, processing_class)
        self.phases = Phases(processing_class)
        self.pad_id = valid_padding(self.policy, processing_class)
        self.reference = reference_of(self.policy, ref_model, peft_config is not None, args)
        self.ends = ends_of(self.policy, processing_class, args)
        check_generator(args, getattr(self.policy, "name_or_path", ""))
        texts = args.stop_strings
        self.stops = StopStrings(processing_class, texts) if texts else None
        self.reward_model = separate_rewards(reward_model, value_model)
        self.score: Score = unscored
        self.reward_names: list[str] = []
        rewards = None
        if any(part is not None for part in (self.reward_model, train_dataset, eval_dataset)):
            self.reward_names = reward_names(self.reward_model)
            self.score = rewards = score_function(
                self.reward_model,
                processing_class,
                args.device,
                self.ends,
                reward_processing_classes,
                rows=self.policy.get_input_embeddings().num_embeddings,
                weights=args.reward_weights,
            )
        readers = rewards.readers if rewards is not None else []
        self.room = room_of(args, self.policy, self.ref_model, value_model, *readers)
        if rewards is not None:
            check_best_metric(args, eval_dataset, self.reward_names)
            sampling = processing_class, data_collator or list, self.room, args.local_episodes
            check_prompts(train_dataset, eval_dataset, rewards.check_columns, *sampling)
        self.beta = args.kl_coef
        self.latest: Rollout | None = None
        self._waiting: list[Batch] = []
        self._metrics: dict[str, list[float]] = defaultdict(list)
        wrapped = self.model_class(self.policy, value_model)
        add_value_weights(optimizers, wrapped)
        super().__init__(
            model=wrapped,
            args=args.counted_in_updates(numbered(train_dataset)[1]),
            data_collator=data_collator or list,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            processing_class=processing_class,
            optimizers=optimizers,
            callbacks=callbacks,
        )
        self.model_accepts_loss_kwargs = False
        self.generator = vllm_generator(self)
        self.logp_differences: list[Tensor] = []  # see `mismatch_metrics`
        self.state.episode = 0
        self.callback_handler = RolloutCallbacks(self)
        if eval_dataset is not None and args.num_sample_generations > 0:
            self.add_callback(SampleTables(self, self.sample_generations_freq))

    def _prepare_inputs(self, rows: list[int]) -> Batch:
        # Trainer passes the same rows once for each micro-batch; the first time makes the rollout.
        if not self._waiting:
            self._move_reference()
            group = range(self.args.texts_per_prompt)
            rollout = self._rollout([self._rows[i] for i in rows for _ in group])
            self._waiting = epochs(rollout, self.args, self.accelerator, self._rollout_seed())
            self.phases.update(self.args.updates_per_rollout)
        return self._waiting.pop(0)

    def _rollout(self, rows: list[Row]) -> Batch:
        """Steps 1 to 5."""
        size = self.args.sampling_batch_size
        return self._estimated(self._gathered(rows, size, self._rollout_seed(), self.score))

    def _gathered(self, rows: list[Row], size: int, seed: int, score: Score) -> Episodes:
        """Steps 1 to 3: each process samples its share of the rows, then all get all episodes."""
        shares = equal_shares(len(rows), self.accelerator.num_processes)
        share = shares[self.accelerator.process_index]
        episodes = self._episodes(rows, share, size, seed, score)
        episodes = episodes.gathered(self.accelerator, self.pad_id, shares)
        check_finite(episodes.by_reward, self.reward_names)
        return episodes

    def _estimated(self, episodes: Episodes) -> Batch:
        """Steps 4 and 5, and the part of step 7 that moves β."""
        args, mask, count = self.args, episodes.mask, len(episodes.tokens)

        estimate = kl_estimate(episodes.logp, episodes.ref_logp, args.kl_estimator)
        advantages, returns = self._advantages(episodes, estimate)

        self.latest = Rollout(episodes, advantages, self.beta, self.state.global_step)
        self.state.episode += count
        self._record(rollout_metrics(episodes, estimate, self.beta, self.reward_names))
        self._record(mismatch_metrics(self.logp_differences))

        # 7. Move β towards its KL target, for the next rollout; see also `_move_reference`.
        if args.kl_target is not None:
            kl, horizon = episodes.kl.mean().item(), args.kl_horizon
            self.beta = adapted_kl_coef(self.beta, kl, args.kl_target, count / horizon)
        return Batch(
            prompts=Prompts(episodes.prompt_ids, episodes.prompt_mask),
            tokens=episodes.tokens,
            mask=mask,
            logp=episodes.logp,
            ref_logp=episodes.ref_logp,
            values=episodes.values,
            advantages=advantages,
            returns=returns,
            trunk_states=episodes.trunk_states,
        )

    def _advantages(self, episodes: Episodes, estimate: Tensor) -> tuple[Tensor, Tensor]:
        """Advantages and returns [B, T], in nats; `estimate` [B, T] is the estimate of the KL."""
        args, mask = self.args, episodes.mask

        # 4. Give −β·KL as reward at every token, and the score at the last one.
        rewards = token_rewards(episodes.token_scores, estimate, mask, self.beta)
        if args.whiten_rewards:
            rewards = masked_whiten(rewards, mask, shift_mean=False)

        # 5. Estimate advantages and returns, and whiten the advantages.
        advantages, returns = gae(
            rewards, episodes.values, mask, args.gamma, args.lam, episodes.turn_of
        )
        if args.whiten_advantages:
            advantages = masked_whiten(advantages, mask)
        return advantages, returns

    @torch.no_grad()
    def _episodes(
        self, rows: list[Row], share: range, size: int, seed: int, score: Score
    ) -> Episodes:
        """Steps 1 to 3 for the rows in `share`, `size` at a time, without mixed precision."""
        if self.generator is not None:
            self.logp_differences.clear()
            self.generator.sync_weights()
        with unsharded(self.model), eval_mode(self.model):
            parts = [
                self._sample([rows[i] for i in part], RandomDraw(seed, len(rows), part[0]), score)
                for part in (share[i : i + size] for i in range(0, len(share), size))
            ]
        return Episodes.joined(parts, self.pad_id)

    def _sample(self, rows: list[Row], draw: RandomDraw, score: Score) -> Episodes:
        args, tokenizer = self.args, self.processing_class
        prompts = prompts_of(rows, self.data_collator, tokenizer)
        ids = encoded(tokenizer, prompts, rows)
        self.room.check(prompts, ids)
        inputs = ids.to(self.policy.device)

        # 1. Sample a response to each prompt, and keep the states of a frozen trunk.
        responses = respond(self, inputs, draw)

        # 2. Score the responses.
        columns = {**columns_of(rows), "trainer_state": self.state}
        scores = score(prompts, responses.ids(), columns, ids.real())
        token_scores, reward_scores = (column.to(inputs.ids.device) for column in scores)

        # 3. Compute log-probabilities of the reference and values of the value model.
        compared = compare(self.model, self.reference, inputs, responses, args.temperature)
        width, trunk = inputs.ids.shape[1], responses.trunk_states
        return Episodes(
            prompt_ids=inputs.ids,
            prompt_mask=inputs.mask,
            tokens=responses.tokens,
            mask=responses.mask,
            logp=compared.logp,
            ref_logp=compared.ref_logp,
            values=compared.values,
            token_scores=penalised(
                token_scores, responses.mask, responses.ended, args.missing_eos_penalty
            ),
            by_reward=reward_scores,
            ended=responses.ended,
            kl=compared.kl.sum(1),
            entropy=compared.entropy.sum(1),
            prompt_trunk=None if trunk is None else trunk[:, :width],
            trunk=None if trunk is None else trunk[:, width:],
        )

    def _move_reference(self) -> None:
        """7. Every `ref_model_sync_steps` rollouts, move the reference towards the policy."""
        args = self.args
        rollout = self.state.global_step // args.updates_per_rollout
        if args.sync_ref_model and rollout and rollout % args.ref_model_sync_steps == 0:
            with unsharded(self.model):
                move_towards(self.reference, self.policy, args.ref_model_mixup_alpha)

    def _rollout_seed(self, turn: int = 0) -> int:
        """A seed for this rollout, which depends only on the step, so that a resumed run agrees.

        `turn` counts the rollouts since the last `learn` of your own loop.
        """
        return self.args.seed * 1_000_003 + self.state.global_step + 500_009 * turn
