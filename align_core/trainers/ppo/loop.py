"""PPO in your own loop: `rollout` and `learn` are the steps of `train`.

    while not trainer.done:
        rollout = trainer.rollout(prompts)
        trainer.learn(rollout, scores_of(rollout.completions))

The first call prepares the model, the optimiser and the callbacks as `train` does, and the last one
ends the run. Your loop logs and saves what `train` would, at the same steps.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from align_core.config.errors import shown
from align_core.data.encoding import Inputs
from align_core.trainers.mixins import TrainerMixin
from align_core.trainers.ppo.prompts import Row
from align_core.trainers.ppo.rollouts import Episodes, epochs
from align_core.trainers.ppo.scores import (
    check_finite,
    completion_texts,
    penalised,
    token_scores,
    unscored,
)


@dataclass(frozen=True)
class SampledRollout:
    """B responses of the policy to `prompts`, with at most T tokens, for `PPOTrainer.learn`.

    `completions` are their texts, without end tokens; `completion_ids` include the end tokens.
    """

    prompts: Sequence[Any]
    completions: list[str]
    completion_ids: list[list[int]]
    episodes: Episodes

    @property
    def mask(self) -> Tensor:
        """True at the response tokens [B, T], the end token included."""
        return self.episodes.mask

    @property
    def logp(self) -> Tensor:
        """Log-probabilities [B, T] of the tokens under the policy, in nats."""
        return self.episodes.logp

    @property
    def ref_logp(self) -> Tensor:
        """Log-probabilities [B, T] of the tokens under the reference, in nats."""
        return self.episodes.ref_logp

    @property
    def values(self) -> Tensor:
        """Values [B, T] before each token, in nats."""
        return self.episodes.values

    @property
    def kl(self) -> Tensor:
        """The exact KL [B] of each response, summed over its tokens, in nats."""
        return self.episodes.kl

    @property
    def ended(self) -> Tensor:
        """Whether each response has an end token [B]."""
        return self.episodes.ended


class OwnLoop(TrainerMixin):
    """A mixin of PPOTrainer: `rollout` samples responses, your loop scores them, and `learn` trains
    on them."""

    _epoch: dict[str, Any] | None = None  # the arguments of Trainer's `_run_epoch`
    _begins = False
    _turns = 0  # rollouts since the last `learn`

    @property
    def done(self) -> bool:
        """Whether the run has made all its steps, or a callback has stopped it."""
        stopped = self._epoch is not None and self.control.should_training_stop
        return stopped or self.state.global_step >= self.args.max_steps

    def rollout(self, prompts: Inputs | Sequence[Row]) -> SampledRollout:
        """Sample a response to each prompt, and compute its log-probabilities, values and KL.

        The prompts are texts, messages, token ids, or rows of a data set with these. With several
        processes, each passes all prompts and gets all responses.

        Raises:
            ValueError: the run is done, there is no prompt, or one is empty or too long.
        """
        self._begin()
        if self.done:
            raise ValueError(f"expected a run that is not done, got step {self.state.global_step}")
        prompts = _listed(prompts)
        if self._turns == 0 and self.state.global_step:
            self._move_reference()
        rows = [_row(prompt) for prompt in prompts]
        size, seed = self.args.sampling_batch_size, self._rollout_seed(self._turns)
        episodes = self._gathered(rows, size, seed, unscored)
        self._turns += 1
        ids = [row[real].tolist() for row, real in zip(episodes.tokens, episodes.mask, strict=True)]
        before = [
            row[real.bool()].tolist()
            for row, real in zip(episodes.prompt_ids, episodes.prompt_mask, strict=True)
        ]
        texts = completion_texts(self.processing_class, before, ids, self.ends)
        return SampledRollout(prompts, texts, ids, episodes)

    def learn(
        self,
        rollout: SampledRollout | Sequence[SampledRollout],
        scores: Sequence[Any],
        episodes: Sequence[Any] | None = None,
    ) -> None:
        """Estimate advantages and make the updates, from a rollout and its scores.

        With several rollouts, each is a turn of its episodes, and has its own list in `scores`.

        The score of a completion is a number, or a list with a number for each of its tokens. All
        rollouts together have at most `batch_size` completions.

        `episodes` has, for each rollout, a name for the episode of each completion. Advantages then
        reach back from a turn to the earlier turns of its episode. By default each completion is an
        episode of its own.

        Raises:
            TypeError: `rollout` was not returned by the method `rollout`.
            ValueError: the number of scores or episodes is wrong, a score is not a finite number,
                or there are too many or too few completions.
        """
        turns, turn_scores, turn_episodes = rollout, scores, episodes
        if not isinstance(turns, Sequence):
            turns, turn_scores, turn_episodes = [turns], [scores], episodes and [episodes]
        if not all(isinstance(turn, SampledRollout) for turn in turns):
            raise TypeError(f"rollout: expected a result of rollout(prompts), got {shown(turns)}")
        if len(turns) != len(turn_scores):
            line = f"expected a list for each of {len(turns)} rollouts, got {len(turn_scores)}"
            raise ValueError(f"scores: {line}")
        parts = [self._scored(*turn) for turn in zip(turns, turn_scores, strict=True)]
        joined = Episodes.joined(parts, self.pad_id)
        if turn_episodes is not None:
            numbers = _numbered(turn_episodes, [turn.completion_ids for turn in turns])
            joined = replace(joined, turn_of=torch.tensor(numbers, device=joined.tokens.device))
        args, count = self.args, len(joined.tokens)
        micro_batches = args.num_mini_batches * args.gradient_accumulation_steps
        min_count = micro_batches * self.accelerator.num_processes
        if not min_count <= count <= args.batch_size:
            line = f"expected {min_count} to {args.batch_size} episodes, at least one for each "
            raise ValueError(f"rollout: {line}micro-batch and at most batch_size, got {count}")
        self._begin()
        assert self._epoch is not None  # `_begin` sets it
        self._turns = 0
        self._waiting = epochs(
            self._estimated(joined), args, self.accelerator, self._rollout_seed()
        )
        arguments = {
            # The finished share of the run, to which Trainer adds the share of each step.
            "epoch": self.state.global_step / args.max_steps,
            "train_dataloader": [[]] * len(self._waiting),
            "num_update_steps_per_epoch": args.updates_per_rollout,
            "resume_from_checkpoint": None,
        }
        super()._run_epoch(**{**self._epoch, **arguments})
        self._waiting.clear()
        if self.done:
            self._finalize_training(None, self.state.episode, self._epoch["start_time"])

    def resume(self, checkpoint: str | Path | bool = True) -> None:
        """Continue from a checkpoint, by default the last one in `output_dir`, before any rollout.

        Raises:
            ValueError: the loop has begun, or there is no such checkpoint.
        """
        if self._epoch is not None:
            raise ValueError(
                "expected resume() before the first rollout, got a loop that has begun"
            )
        self._begin(checkpoint)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Trainer's loop. Raises ValueError if there is no data set."""
        if self.train_dataset is None:
            line = "expected a data set for train(), got None; rollout(prompts) and learn(rollout, "
            raise ValueError(f"train_dataset: {line}scores) need none")
        return super().train(*args, **kwargs)

    def _begin(self, checkpoint: str | Path | bool | None = None) -> None:
        """Do once what `train` does before its first step."""
        if self._epoch is None:
            self._begins = True
            with suppress(_Begun):
                super().train(resume_from_checkpoint=checkpoint)
            self._begins = False

    def _run_epoch(self, **arguments: Any) -> None:
        if not self._begins:
            return super()._run_epoch(**arguments)
        self._epoch = arguments
        if arguments["resume_from_checkpoint"] is not None:
            self._load_rng_state(arguments["resume_from_checkpoint"])
        raise _Begun

    def _scored(self, rollout: SampledRollout, scores: Sequence[Any]) -> Episodes:
        episodes = rollout.episodes
        values = token_scores(scores, rollout.completion_ids, "scores").to(episodes.logp.device)
        penalty = self.args.missing_eos_penalty
        by_reward = values.sum(1, keepdim=True)
        check_finite(by_reward, ["scores"])
        return replace(
            episodes,
            token_scores=penalised(values, episodes.mask, episodes.ended, penalty),
            by_reward=by_reward,
        )


def _numbered(
    episodes: Sequence[Sequence[Hashable]], completions: Sequence[Sequence[Any]]
) -> list[int]:
    """The number of each completion's episode, rollout by rollout."""
    sizes, expected = [len(names) for names in episodes], [len(texts) for texts in completions]
    if sizes != expected or any(len({*names}) < len(names) for names in episodes):
        line = f"expected lists of {expected} different names, one for each completion"
        raise ValueError(f"episodes: {line}, got {shown([*map(list, episodes)])}")
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(name, len(numbers)) for names in episodes for name in names]


class _Begun(Exception):
    """Raised by `_run_epoch` to leave Trainer's `train` before its first step."""


def _listed(prompts: Any) -> Sequence[Any]:
    """The prompts as a list. Raises ValueError for one prompt alone, or none."""
    values = prompts.tolist() if hasattr(prompts, "tolist") else prompts
    if isinstance(values, str | Mapping) or not hasattr(values, "__len__"):
        line = "expected a list of texts, conversations, token ids or rows"
        raise ValueError(f"prompts: {line}, got {shown(prompts)}")
    if not len(values):
        raise ValueError("prompts: expected one or more, got 0")
    return values


def _row(prompt: Any) -> Row:
    """A prompt as a row of a data set."""
    if isinstance(prompt, Mapping):
        if not {"prompt", "input_ids"} & {*prompt}:
            line = "expected rows with prompt or input_ids, or a list of conversations"
            raise ValueError(f"prompts: {line}, got {shown(prompt)}")
        return {**prompt}
    is_ids = isinstance(prompt, list | tuple) and bool(prompt) and isinstance(prompt[0], int)
    return {"input_ids" if is_ids else "prompt": prompt}
