"""Responses to evaluation prompts: their metrics, and a table of samples."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas
from datasets import Dataset
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainerControl

from align_core.trainers.ppo.callbacks import EvaluationEntry
from align_core.trainers.ppo.config import RolloutConfig
from align_core.trainers.ppo.metrics import reward_means
from align_core.trainers.ppo.prompts import Row, check_columns, encoded, prompts_of
from align_core.trainers.ppo.rollouts import Episodes

PRINTED = 5  # rows of a table


class Samples(Trainer):
    """A mixin of PPOTrainer that samples a response to each prompt, always with the same noise.

    The processes share the prompts, so all of them must call each method.
    """

    control: TrainerControl  # set by transformers.Trainer

    def evaluate(
        self,
        eval_dataset: Dataset | Mapping[str, Dataset] | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """Mean score, rewards and KL of an evaluation data set, or of each of several by name.

        `ignore_keys` is Trainer's, and has no effect.
        """
        data = self._eval_data(eval_dataset)
        if isinstance(data, Mapping):
            metrics: dict[str, float] = {}
            for name, part in data.items():
                metrics |= self.evaluate(part, None, f"{metric_key_prefix}_{name}")
            return metrics
        episodes = self._samples(list(data))
        means = {"objective/scores": episodes.scores.mean(), "objective/kl": episodes.kl.mean()}
        means |= reward_means(episodes, self.reward_names)
        metrics = {f"{metric_key_prefix}_{name}": mean.item() for name, mean in means.items()}
        self.log(EvaluationEntry(metrics, self.state.log_history))
        handler = self.callback_handler
        self.control = handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Evaluate between rollouts. The rollout's entry remains the last in the log, where scripts
        for TRL's PPO, which evaluates nothing, read it after a run."""
        log = self.state.log_history
        count = len(log)
        metrics = super()._evaluate(*args, **kwargs)
        if count and log[count - 1]["step"] == self.state.global_step:
            log.append(log.pop(count - 1))
        return metrics

    def generate_completions(self, sampling: bool = False) -> list[dict[str, Any]]:
        """Sample a response to each prompt of the `eval_dataset`; print the first few as a table.

        A run that reports to trackio or wandb sends them the table as `completions`. With
        `sampling`, only the first `per_device_eval_batch_size` prompts are used. Returns a dict for
        each prompt: query, model response and score; [] if there is no `eval_dataset`.
        """
        if self.eval_dataset is None:
            return []
        data = self.eval_dataset
        rows = list(next(iter(data.values())) if isinstance(data, Mapping) else data)
        if sampling:
            rows = rows[: self.args.per_device_eval_batch_size]
        episodes = self._samples(rows)
        columns = {
            "query": _texts(self, episodes.prompt_ids, episodes.prompt_mask),
            "model response": _texts(self, episodes.tokens, episodes.mask),
            "score": [round(score, 3) for score in episodes.scores.tolist()],
        }
        table = [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
        if self.is_world_process_zero():
            _print(table[:PRINTED])
            _report(table, self.args.report_to, self.state.global_step)
        return table

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader:
        """Yields the prompts of an evaluation set, padded on the left, as `input_ids` and
        `attention_mask`, for callbacks that generate."""
        data = self._eval_data(eval_dataset)
        rows = list(next(iter(data.values())) if isinstance(data, Mapping) else data)
        return DataLoader(rows, self.args.per_device_eval_batch_size, collate_fn=self._padded)

    def get_test_dataloader(self, test_dataset: Any) -> DataLoader:
        """`get_eval_dataloader` of another data set."""
        return self.get_eval_dataloader(test_dataset)

    def _padded(self, rows: list[Row]) -> dict[str, Tensor]:
        tokenizer = self.processing_class
        ids = encoded(tokenizer, prompts_of(rows, self.data_collator, tokenizer), rows)
        return {"input_ids": ids.ids, "attention_mask": ids.mask}

    def _eval_data(self, dataset: Any) -> Any:
        sets = self.eval_dataset
        if isinstance(dataset, str):
            if not isinstance(sets, Mapping) or dataset not in sets:
                names = ", ".join(sets) if isinstance(sets, Mapping) else "a data set"
                raise ValueError(f"eval_dataset: expected {names}, got the name {dataset!r}")
            dataset = sets[dataset]
        data = sets if dataset is None else dataset
        if data is None:
            raise ValueError("eval_dataset: expected a data set for evaluate(), got None")
        if not isinstance(data, Mapping):
            check_columns("eval_dataset", data, self.data_collator is not list)
        return data

    def _samples(self, rows: list[dict[str, Any]]) -> Episodes:
        if self.reward_model is None:
            raise ValueError("reward_model: expected one for the scores of samples, got None")
        size = self.args.per_device_eval_batch_size
        return self._gathered(rows, size, self.args.seed, self.score)


class SampleTables(TrainerCallback):
    """Prints a table of samples in the first of every `rollouts` rollouts."""

    def __init__(self, trainer: Samples, rollouts: int) -> None:
        self._trainer, self._rollouts = trainer, rollouts

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        rollout = state.global_step // args.updates_per_rollout
        if (rollout - 1) % self._rollouts == 0:
            self._trainer.generate_completions(sampling=True)


def check_best_metric(args: RolloutConfig, evaluation: Any, reward_names: Sequence[str]) -> None:
    """Check that an evaluation has the metric by which Trainer chooses a checkpoint or stops.

    Raises:
        ValueError: the evaluation does not have it.
    """
    if args.eval_strategy == "no" or args.metric_for_best_model is None:
        return
    metrics = ["objective/scores", "objective/kl"]
    if len(reward_names) > 1:
        metrics += [f"rewards/{name}/mean" for name in reward_names]
    if isinstance(evaluation, Mapping):
        metrics = [f"{name}_{metric}" for name in evaluation for metric in metrics]
    if args.metric_for_best_model.removeprefix("eval_") not in metrics:
        line = f"expected a metric of an evaluation: {' or '.join(metrics)}"
        raise ValueError(f"metric_for_best_model got {args.metric_for_best_model!r}, {line}")


def _texts(trainer: Samples, ids: Any, mask: Any) -> list[str]:
    rows = [row[real.bool()].tolist() for row, real in zip(ids, mask, strict=True)]
    return trainer.processing_class.batch_decode(rows, skip_special_tokens=True)


def _report(rows: list[dict[str, Any]], report_to: Collection[str], step: int) -> None:
    for name in sorted({"trackio", "wandb"}.intersection(report_to)):
        library = importlib.import_module(name)
        table = pandas.DataFrame([{"step": step, **row} for row in rows])
        library.log({"completions": library.Table(dataframe=table)})


def _print(rows: list[dict[str, Any]]) -> None:
    table = Table(show_lines=True)
    for name in rows[0]:
        table.add_column(name)
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console().print(table, markup=False)
